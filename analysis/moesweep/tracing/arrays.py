"""The rows of a run as arrays over (case, layer, expert)."""

import numpy as np

from ..common.store import RunError

DIMENSIONS = "case", "layer", "expert"
VARIABLES = {  # unit, meaning
    "rescue": ("logit", "rescue of the expert's patch; NaN: routed but not patched"),
    "patch_norm": ("", "norm of the expert's patch; NaN: routed but not patched"),
    "clean_active": ("", "the clean run routes to the expert"),
    "noised_active": ("", "the noised run routes to the expert"),
    "weight": ("", "routing weight of the expert in the clean run"),
    "noised_weight": ("", "routing weight of the expert in the noised run"),
    "block_rescue": ("logit", "rescue of the layer's whole MoE output; NaN: not patched"),
    "delta_clean": ("logit", "logit(true) - logit(foil) of the clean run"),
    "delta_noised": ("logit", "logit(true) - logit(foil) of the noised run"),
}


def dataset(run):
    """What TracingRun.to_xarray says."""
    import xarray

    base, rows = run.base.sort_values("case"), run.rows
    cases = base.case.to_numpy()
    layers = np.union1d(run.routing.layer, rows.layer)
    experts = run.number("num_experts")

    def places(table):
        if not table.case.isin(cases).all():
            raise RunError(f"{run.file}: a row or a routing is of a case that is not in /base")
        return np.searchsorted(cases, table.case), np.searchsorted(layers, table.layer)

    def filled(array, place, values):
        array[place] = values
        return array

    routed, weights = by_run(run.routing, places, (len(cases), len(layers), experts))
    of_expert, of_block = rows[rows.kind == "expert"], rows[rows.kind == "block"]
    place = *places(of_expert), of_expert.expert
    unpatched = np.where(routed.any(0), np.nan, 0.0)
    arrays = {"rescue": filled(unpatched.copy(), place, of_expert.rescue),
              "patch_norm": filled(unpatched.astype("f4"), place, of_expert.patch_norm),
              "clean_active": routed[0], "noised_active": routed[1], "weight": weights[0], "noised_weight": weights[1],
              "block_rescue": filled(np.full(unpatched.shape[:2], np.nan), places(of_block), of_block.rescue),
              "delta_clean": base.delta_clean.to_numpy(), "delta_noised": base.delta_noised.to_numpy()}
    variables = {name: (DIMENSIONS[:array.ndim], array, dict(zip(("unit", "meaning"), VARIABLES[name])))
                 for name, array in arrays.items()}
    coordinates = {"case": cases, "layer": layers, "expert": np.arange(experts)}
    for name in ("case_id", "relation", "split", "relaxed_split"):
        coordinates[name] = "case", np.asarray(run.cases[name].loc[cases])
    return xarray.Dataset(variables, coordinates,
                          {"selected_layer": run.selected_layer, "selected_expert": run.selected_expert})


def by_run(routing, places, shape):
    """Whether each run routes to an expert, and with which weight: (2, case, layer, expert), the clean run first."""
    routed, weights = np.zeros((2, *shape), bool), np.zeros((2, *shape), "f4")
    run = (routing.run == "noised").to_numpy().astype(int)
    for slot in range(routing.columns.str.fullmatch(r"expert_\d+").sum()):
        place = run, *places(routing), routing[f"expert_{slot}"]
        routed[place], weights[place] = True, routing[f"weight_{slot}"]
    return routed, weights
