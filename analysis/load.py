"""Reads a run's sweep.h5 into pandas frames.

    from load import load
    run = load("runs/demo")
    rows = run.rows[run.rows.kind == "expert"]
    rows.groupby(["layer", "expert"]).rescue.mean()
"""

import configparser
import dataclasses
import pathlib

import h5py
import numpy as np
import pandas as pd


# What the report reads; a file without one of them is refused by name.
COLUMNS = {
    "cases": ["case_id", "prompt", "true_text", "foil_text", "relation", "status", "split", "delta_clean", "delta_noised"],
    "routing": ["case", "layer", "run", "expert"],
    "rows": ["case", "layer", "kind", "expert", "clean_active", "rescue"],
    "results/layers": ["layer", "discovery_mean", "validation_mean"],
    "results/candidates": ["expert", "discovery_active", "discovery_rescue"],
    "results/heatmap": ["layer", "mean_rescue", "active"],
    "results/validation": ["case", "active", "spec"],
    "results/table1": ["name", "n", "mean", "ci_low", "ci_high"],
}


class RunError(Exception):
    """A run that cannot be read; the message is one line naming the file and what is wrong in it."""


@dataclasses.dataclass
class Run:
    path: pathlib.Path  # the run's folder
    meta: dict  # attributes of /meta, as text
    provenance: dict  # attributes of /provenance, as text
    config: configparser.ConfigParser  # meta["config"]
    cases: pd.DataFrame  # a line per scanned record; index = the `case` of routing and rows; tokens = array of ids
    routing: pd.DataFrame  # (n, K) columns as expert_0, expert_1, ...
    rows: pd.DataFrame
    results: dict  # name -> frame; (n, width) columns as name_0, name_1, ...
    summary: dict  # attributes of /results/summary, as text
    units: dict  # results table -> column -> unit

    def number(self, name):
        """A number of /meta, or None where it is absent."""
        return int(self.meta[name]) if name in self.meta else None

    @property
    def selected_layer(self):
        return int(self.summary["selected_layer"])

    @property
    def selected_expert(self):
        return int(self.summary["selected_expert"])


def load(run):
    """The run in folder `run`. RunError when sweep.h5 or a part of it is missing."""
    path = pathlib.Path(run)
    name = path / "sweep.h5"
    if not name.is_file():
        raise RunError(f"{name}: no such file: the run has not been finished and merged")
    try:
        file = h5py.File(name, "r")
    except OSError as error:
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
        results = {key: frame(table) for key, table in group("results").items()}
        units = {key: {column: text(data.attrs.get("unit", "")) for column, data in table.items()}
                 for key, table in file["results"].items()}
        return Run(path, meta, provenance, config, cases(group("cases")), frame(group("routing")),
                   frame(group("rows")), results, attributes(group("results/summary")), units)


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
