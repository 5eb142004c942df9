"""A run of causal tracing: its tables, those under further noises, and (case, layer, expert) arrays."""

import functools

import pandas as pd

from . import arrays
from ..common.run import Run
from ..common.store import RunError, frame


class Conditions:
    """What the sweep gave under further noises: frames as the run's own, led by the columns noise_scale and draw."""

    def __init__(self, file):
        self._file = file

    def _joined(self, part):
        """The tables of every condition below one another; without any, the run's own columns and no line."""
        frames = [frame(group[part]).assign(noise_scale=float(group.attrs["scale"]), draw=int(group.attrs["draw"]))
                  for group in self._file["conditions"].values()]
        empty = frame(self._file[part], slice(0)).assign(noise_scale=0.0, draw=0)
        whole = pd.concat(frames or [empty], ignore_index=True)
        return whole[["noise_scale", "draw", *(name for name in empty if name not in ("noise_scale", "draw"))]]

    base = functools.cached_property(lambda self: self._joined("base"))
    routing = functools.cached_property(lambda self: self._joined("routing"))
    rows = functools.cached_property(lambda self: self._joined("rows"))

    def frames(self, front=""):
        for name in ("base", "routing", "rows"):
            yield front + name, getattr(self, name)


class TracingRun(Run):
    """A run of `moesweep trace`.

    cases       a line per scanned record; index = the `case` of the other frames; tokens = array of ids base        the
    clean and the noised run of every swept case routing     the routed experts of a (case, layer, run): expert_0,
    expert_1, ... by descending weight rows        a line per patched run controls    the patched runs of the second
    pass, at the selected layer conditions  .base, .routing and .rows of the same cases under other noises results    
    name -> frame, such as results["main_results"]; frame.attrs["paper"] says where the paper prints its like """

    required = {  # what the report reads; a file without one of them is refused by name
        "cases": ["case_id", "prompt", "true_text", "foil_text", "relation", "status", "split", "relaxed_split", "delta_clean",
                  "delta_noised"],
        "base": ["case", "delta_clean", "delta_noised"],
        "routing": ["case", "layer", "run", "expert", "weight"],
        "rows": ["case", "layer", "kind", "expert", "members", "clean_active", "rescue"],
        "controls": ["case", "layer", "kind", "expert", "members", "rescue"],
        "conditions": [],
        "results": [],
        "results/summary": [],
        "results/layers": ["layer", "discovery_mean", "validation_mean"],
        "results/candidates": ["expert", "discovery_active", "discovery_rescue"],
        "results/heatmap": ["layer", "mean_rescue", "active"],
        "results/validation": ["case", "active", "spec"],
        "results/main_results": ["name", "n", "mean", "ci_low", "ci_high"],
    }

    def __init__(self, path, file):
        if "results/table1" in file:
            raise RunError(f"{path}: /results: its tables have the names of an older version; moesweep merge {path.parent} "
                           "renames them")
        super().__init__(path, file)
        self.conditions = Conditions(file)

    @property
    def summary(self):
        """What was selected, and by which rules, as text."""
        return self.results["summary"].attrs

    @property
    def selected_layer(self):
        return int(self.summary["selected_layer"])

    @property
    def selected_expert(self):
        return int(self.summary["selected_expert"])

    def to_xarray(self):
        """The swept cases as a Dataset over (case, layer, expert): rescue, patch_norm, clean_active, noised_active,
        weight (of the clean run), noised_weight; block_rescue (case, layer); delta_clean, delta_noised (case). Where
        neither run routes to an expert, its patch and rescue are exactly 0, as is its weight in a run that does not; a
        routed pair or a block that was not patched (sweep.experts, sweep.layers, sweep.blocks) is NaN. Needs xarray."""
        return arrays.dataset(self)
