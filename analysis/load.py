"""Reads a run's sweep.h5 into pandas frames.

    from load import load
    run = load("runs/paper-demo")
    rows = run.rows[run.rows.kind == "expert"]
    rows.groupby(["layer", "expert"]).rescue.mean()

example.py has more.
"""

import configparser
import dataclasses
import os
import pathlib

import h5py
import numpy as np
import pandas as pd


# What the report reads; a file without one of them is refused by name.
COLUMNS = {
    "cases": ["case_id", "prompt", "true_text", "foil_text", "relation", "status", "split", "relaxed_split", "delta_clean",
              "delta_noised"],
    "base": ["case", "delta_clean", "delta_noised"],
    "routing": ["case", "layer", "run", "expert", "weight"],
    "rows": ["case", "layer", "kind", "expert", "members", "clean_active", "rescue"],
    "controls": ["case", "layer", "kind", "expert", "members", "rescue"],
    "conditions": [],
    "results/layers": ["layer", "discovery_mean", "validation_mean"],
    "results/candidates": ["expert", "discovery_active", "discovery_rescue"],
    "results/heatmap": ["layer", "mean_rescue", "active"],
    "results/validation": ["case", "active", "spec"],
    "results/table1": ["name", "n", "mean", "ci_low", "ci_high"],
}


class RunError(Exception):
    """A run that cannot be read; the message is one line naming the file and what is wrong in it."""


@dataclasses.dataclass
class Tables:
    """What the sweep gave under further noises: frames as the run's own, led by the columns noise_scale and draw."""

    base: pd.DataFrame
    routing: pd.DataFrame
    rows: pd.DataFrame


@dataclasses.dataclass
class Run:
    path: pathlib.Path  # the run's folder
    meta: dict  # attributes of /meta, as text
    provenance: dict  # attributes of /provenance, as text
    config: configparser.ConfigParser  # meta["config"]
    cases: pd.DataFrame  # a line per scanned record; index = the `case` of the other frames; tokens = array of ids
    base: pd.DataFrame  # the clean and the noised run of every swept case
    routing: pd.DataFrame  # (n, K) columns as expert_0, expert_1, ...
    rows: pd.DataFrame  # a line per patched run
    controls: pd.DataFrame  # the patched runs of the second pass, at the selected layer
    conditions: Tables  # the same cases under other noises
    results: dict  # name -> frame; (n, width) columns as name_0, name_1, ...
    attributes: dict  # name -> attributes of a results table, as text
    units: dict  # name -> column -> unit

    def setting(self, key):
        """A key of the configuration, such as noise.scale, as text; None where it is absent."""
        return self.config.get(*key.split("."), fallback=None)

    def number(self, name):
        """A number of /meta, or None where it is absent."""
        return int(self.meta[name]) if name in self.meta else None

    def table(self, name, columns):
        """A table of results that has these columns, or a RunError that names what is missing."""
        if name not in self.results:
            raise RunError(f"{self.path / 'sweep.h5'}: /results/{name}: group is missing")
        for column in columns:
            if column not in self.results[name]:
                raise RunError(f"{self.path / 'sweep.h5'}: /results/{name}/{column}: dataset is missing")
        return self.results[name]

    @property
    def summary(self):
        """What was selected, and by which rules, as text."""
        return self.attributes["summary"]

    @property
    def selected_layer(self):
        return int(self.summary["selected_layer"])

    @property
    def selected_expert(self):
        return int(self.summary["selected_expert"])


def load(run):
    """The run in folder `run`. RunError when sweep.h5 or a part of it is missing, OSError where the system cannot read it. It takes
    no lock: some cluster file systems have none, and a file under its final name does not change."""
    path = pathlib.Path(run)
    name = path / "sweep.h5"
    if not name.is_file():
        raise RunError(f"{name}: no such file: the run has not been finished and merged")
    try:
        file = h5py.File(name, "r", locking=False)
    except OSError as error:
        if error.errno:  # the system's word; else it is HDF5's
            raise OSError(error.errno, os.strerror(error.errno), str(name)) from None
        raise RunError(f"{name}: not a readable HDF5 file: {error}") from None
    with file:
        def group(part):
            if part not in file:
                raise RunError(f"{name}: /{part}: group is missing")
            for dataset in COLUMNS.get(part, []):
                if dataset not in file[part]:
                    raise RunError(f"{name}: /{part}/{dataset}: dataset is missing")
            return file[part]

        meta, provenance = attributes(group("meta")), attributes(group("provenance"))
        group("results")
        config = configparser.ConfigParser(interpolation=None)
        try:  # /provenance holds every key, /meta those that change a number
            config.read_string(provenance.get("config") or meta.get("config", ""))
        except configparser.Error as error:
            raise RunError(f"{name}: /meta: config: {str(error).splitlines()[0]}") from None
        for part in COLUMNS:
            group(part)
        results = file["results"]
        units = {key: {column: text(data.attrs.get("unit", "")) for column, data in table.items()}
                 for key, table in results.items()}
        group("results/summary")
        swept = {part: frame(file[part]) for part in ("base", "routing", "rows")}
        return Run(path, meta, provenance, config, cases(file["cases"]), **swept, controls=frame(file["controls"]),
                   conditions=conditions(file["conditions"], swept),
                   results={key: frame(table) for key, table in results.items()},
                   attributes={key: attributes(table) for key, table in results.items()}, units=units)


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def attributes(group):
    return {name: text(value) for name, value in group.attrs.items()}


def column(dataset):
    """A dataset as numpy values: enums by name, strings as str."""
    names = h5py.check_enum_dtype(dataset.dtype)
    if names:
        return pd.Categorical.from_codes(dataset[:], list(sorted(names, key=names.get)))
    if h5py.check_string_dtype(dataset.dtype):
        return dataset.asstr()[:]
    return dataset[:]


def frame(group, skip=()):
    columns = {}
    for name, dataset in group.items():
        if name in skip:
            continue
        values = column(dataset)
        if getattr(values, "ndim", 1) == 1:
            columns[name] = values
        else:
            columns |= {f"{name}_{i}": values[:, i] for i in range(values.shape[1])}
    return pd.DataFrame(columns)


def cases(group):
    table = frame(group, skip=("token_begin", "token_ids"))
    if "token_begin" in group:
        table["tokens"] = np.split(group["token_ids"][:], group["token_begin"][1:-1]) if len(table) else []
    return table


def conditions(group, swept):
    """The tables of every condition below one another; without any, frames with the columns of `swept` and no line."""
    joined = {}
    for part, table in swept.items():
        frames = [table[:0].assign(noise_scale=0.0, draw=0)]
        frames += [frame(condition[part]).assign(noise_scale=float(condition.attrs["scale"]), draw=int(condition.attrs["draw"]))
                   for condition in group.values()]
        whole = pd.concat(frames[1:] or frames, ignore_index=True)
        joined[part] = whole[["noise_scale", "draw", *table.columns]]
    return Tables(**joined)
