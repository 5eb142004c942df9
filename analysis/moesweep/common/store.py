"""HDF5 groups of columns as pandas frames. Knows no method: a dataset of n values is a column, one of (n, k) values is
k columns NAME_0, NAME_1, ..., codes of an enumerated type become their names."""

import contextlib
import os
from collections.abc import Mapping

import h5py
import numpy as np
import pandas as pd


class RunError(Exception):
    """A run that cannot be read; the message is one line naming the file and what is wrong in it."""


def open_file(path):
    """The file, opened without a lock: some cluster file systems have none, and a file under its final name does not
    change."""
    if not path.is_file():
        raise RunError(f"{path}: no such file: the run has not been finished and merged")
    with named_errors(path, "not a readable HDF5 file"):
        return h5py.File(path, "r", locking=False)


@contextlib.contextmanager
def named_errors(path, what):
    """Names the file in an OSError of the system; one of HDF5 itself becomes a RunError that says `what` is wrong."""
    try:
        yield
    except OSError as error:
        if error.errno:
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from None
        raise RunError(f"{path}: {what}: {error}") from None


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def attributes(item):
    """The attributes of a group or dataset, as text."""
    return {name: text(value) for name, value in item.attrs.items()}


def values(dataset, lines=slice(None)):
    """A dataset, or some of its lines: strings as str, enumerated values by name, in a Categorical of all names if
    (n,)."""
    place = f"{dataset.name}: "
    if dataset.ndim not in (1, 2):
        raise RunError(f"{dataset.file.filename}: {place}{dataset.ndim} dimensions, expected 1 or 2")
    with named_errors(dataset.file.filename, place + "cannot be read"):
        names = h5py.check_enum_dtype(dataset.dtype)
        if not names:
            return dataset.asstr()[lines] if h5py.check_string_dtype(dataset.dtype) else dataset[lines]
        named = sorted(names, key=names.get)
        known, found = np.array([names[name] for name in named]), dataset[lines]
    codes = np.searchsorted(known, found).clip(max=len(known) - 1)
    if not (known[codes] == found).all():
        raise RunError(f"{dataset.file.filename}: {place}a code has no name")
    return pd.Categorical.from_codes(codes, named) if codes.ndim == 1 else np.array(named, object)[codes]


def frame(group, lines=slice(None), without=()):
    """A group's columns, without those named in `without`. NAME_begin (n + 1 offsets) and NAME_ids are one column NAMEs
    of arrays. frame.attrs holds the group's attributes as text, and `units` and `meanings`, column -> text."""
    stems = (name.removesuffix("_ids") for name in group if name.endswith("_ids"))
    lists = [stem for stem in stems if f"{stem}_begin" in group]
    columns, units, meanings = {}, {}, {}

    def add(name, column, dataset):
        columns[name] = column
        units[name], meanings[name] = (text(dataset.attrs.get(key, "")) for key in ("unit", "meaning"))

    for name, dataset in group.items():
        if name in without or any(name in (f"{each}_begin", f"{each}_ids") for each in lists):
            continue
        column = values(dataset, lines)
        if column.ndim == 1:
            add(name, column, dataset)
        else:
            for i in range(column.shape[1]):
                add(f"{name}_{i}", column[:, i], dataset)
    for name in lists:
        begin, ids = values(group[f"{name}_begin"]), values(group[f"{name}_ids"])
        add(f"{name}s", [ids[a:b] for a, b in zip(begin[:-1], begin[1:])][lines], group[f"{name}_ids"])
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise RunError(f"{group.file.filename}: {group.name}: columns of different lengths: {lengths}")
    table = pd.DataFrame(columns)
    table.attrs = attributes(group) | {"units": units, "meanings": meanings}
    return table


def opened(item):
    """A dataset as an array, a group of columns (or of nothing but attributes) as a frame, a group of groups as a
    Folder."""
    if isinstance(item, h5py.Dataset):
        return values(item)
    whole = not any(isinstance(member, h5py.Group) for member in item.values())
    return frame(item) if whole and (len(item) or len(item.attrs)) else Folder(item)


class Folder(Mapping):
    """The members of a group by name, each read when it is first asked for."""

    def __init__(self, group):
        self.group, self.known = group, {}

    def __getitem__(self, name):
        if name not in self.known:
            self.known[name] = opened(self.group[name])
        return self.known[name]

    def __iter__(self):
        return iter(self.group)

    def __len__(self):
        return len(self.group)

    def __repr__(self):
        return f"<{self.group.name}: {', '.join(self)}>"

    def frames(self, front=""):
        """(path, frame) of every frame in it."""
        for name in self:
            if isinstance(self[name], pd.DataFrame):
                yield front + name, self[name]
            elif isinstance(self[name], Folder):
                yield from self[name].frames(f"{front}{name}/")
