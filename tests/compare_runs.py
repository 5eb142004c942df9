"""Compares two runs bit by bit, dataset by dataset, and names everything that differs.

    python tests/compare_runs.py OLD NEW [--attributes all|numbers|none]

OLD and NEW are run folders, of which the merged file (sweep.h5 or xici.h5), the list of items (cases.h5 or
questions.h5) and all units are compared, or two HDF5 files. The exit code is 0 if nothing differs, 1 if something does,
2 if a file cannot be read. NaN equals itself, and -0 is not 0. Groups that were renamed are compared with what they are
called today. A file is held in memory as a whole.

/provenance is left out: it says when, where and how a run was made. Of the attributes, `numbers` (the command's
default, for runs of two versions of the program) leaves out those of WORDS; `all` (the functions' default) compares
every one."""

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

FILES = ["sweep.h5", "cases.h5", "xici.h5", "questions.h5"]  # of a run's folder, beside its units

# What the tables of /results were called when they had the paper's numbers.
NAMES = ["main_results", "protocol", "activity", "relations", "relation_results", "layer_gap", "ratios", "split_cases",
         "gate_matched", "ranks", "two_experts", "stability", "noise_scales", "relaxed", "relaxed_transfer", "coalitions"]
RENAMED = {f"table{number}": name for number, name in enumerate(NAMES, 1)}

# Attributes that may differ between two versions of the program which compute the same numbers.
WORDS = {
    "meaning", "title", "paper", "note",  # words for readers; a note may name another table by its name
    "identity", "config",                 # list every key, of which a later version has more
    "version",                            # the program's
}

COMPARED = {
    "all": lambda name: True,
    "numbers": lambda name: name not in WORDS and not name.startswith("rule_"),  # /results/summary says its rules in words
    "none": lambda name: False,
}


class Part(NamedTuple):
    attributes: dict              # name -> array
    values: np.ndarray | None     # of a dataset; None for a group


def contents(path):
    """All of an HDF5 file but /provenance: path of a group or dataset, without a slash in front -> Part."""
    found = {}

    def take(name, node):
        if name.split("/")[0] != "provenance":
            found[name] = Part({key: array(value) for key, value in node.attrs.items()},
                               array(node[()]) if isinstance(node, h5py.Dataset) else None)

    with h5py.File(path, locking=False) as file:
        take("", file)
        file.visititems(take)
    return found


def array(value):
    """With the texts themselves rather than pointers to them."""
    values = np.asarray(value)
    return values.astype(bytes) if values.dtype == object else values


def today(name):
    """The name that a group or dataset has today."""
    parts = name.split("/")
    if parts[0] == "results" and len(parts) > 1:
        parts[1] = RENAMED.get(parts[1], parts[1])
    return "/".join(parts)


def compare(first, second, attributes="all"):
    """A line for everything that differs between two run folders or two HDF5 files. OSError if one cannot be read,
    ValueError if there is nothing to compare."""
    if Path(first).is_dir() != Path(second).is_dir():
        raise OSError(f"{first}, {second}: a folder and a file")
    one, other = files(Path(first)), files(Path(second))
    wrong = only(one, other)
    for name in one:
        if name in other:
            prefix = f"{name}: " if name else ""
            wrong += [prefix + line for line in differences(contents(one[name]), contents(other[name]), attributes)]
    return wrong


def files(run):
    """The files that hold a run's data, by their names in its folder. A file stands for itself, under no name."""
    if not run.is_dir():
        return {"": run}
    paths = [*(run / name for name in FILES), *sorted((run / "units").rglob("*.h5"))]
    found = {str(path.relative_to(run)): path for path in paths if path.exists()}
    if not found:
        raise FileNotFoundError(f"{run}: no {', '.join(FILES)} or units")
    return found


def differences(first, second, attributes="all"):
    """A line for everything that differs between the contents of two files."""
    one, other = ({today(name): part for name, part in parts.items()} for parts in (first, second))
    if len(one) < len(first) or len(other) < len(second):
        raise ValueError("a group under its old name and its new one")
    if not any(part.values is not None for part in one.values()):
        raise ValueError("no datasets to compare")
    wrong, compared = only(one, other), COMPARED[attributes]
    for name, part in one.items():
        if name not in other:
            continue
        if what := unlike(part.values, other[name].values):
            wrong.append(f"{name}: {what}")
        ours, theirs = ({f"{name}@{key}": value for key, value in node.attributes.items() if compared(key)}
                        for node in (part, other[name]))
        wrong += only(ours, theirs)
        wrong += [f"{key}: {what}" for key, value in ours.items() if key in theirs and (what := unlike(value, theirs[key]))]
    return wrong


def only(one, other):
    """Names that only one side has, without what is below such a name."""
    alone = one.keys() ^ other.keys()
    return [f"{name}: only in the {'first' if name in one else 'second'}" for name in sorted(alone)
            if name.rpartition("/")[0] not in alone]


def unlike(a, b):
    """How two arrays differ, with the first line that does; "" where they do not."""
    if a is None or b is None:
        return "" if a is b else "a group and a dataset"
    if a.dtype.kind != b.dtype.kind or a.dtype.kind not in "SU" and a.dtype != b.dtype:
        return f"of type {a.dtype} and {b.dtype}"
    if names(a) != names(b):
        return f"values called {names(a)} and {names(b)}"
    if a.shape != b.shape:
        return f"of shape {a.shape} and {b.shape}"
    wide = np.result_type(a, b)  # texts are stored as wide as the longest
    bits = [values.astype(wide).reshape(-1, 1).view(np.uint8) if values.size else values for values in (a, b)]
    differing = np.flatnonzero((bits[0] != bits[1]).any(axis=-1))
    if len(differing):
        where = np.unravel_index(differing[0], a.shape)
        place = "".join(f"{word} {index}" for word, index in zip(("line", ", column"), where))
        count = f" ({len(differing)} of {a.size} differ)" if place else ""
        return f"{place}: {shown(a[where], b[where])}{count}".removeprefix(": ")
    return "" if a.dtype == b.dtype else f"of type {a.dtype} and {b.dtype}"


def names(values):
    """The names of enumerated values."""
    return {value: name for name, value in (h5py.check_enum_dtype(values.dtype) or {}).items()}


def shown(a, b):
    """Two values as text; where that is the same, their bytes."""
    texts = [value.decode(errors="replace") if isinstance(value, bytes) else str(value) for value in (a, b)]
    if texts[0] == texts[1]:
        texts = [f"0x{value.tobytes()[::-1].hex()}" for value in (a, b)]
    return " and ".join(repr(text) if isinstance(a, bytes) else text for text in texts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", metavar="OLD", type=Path)
    parser.add_argument("new", metavar="NEW", type=Path)
    parser.add_argument("--attributes", choices=COMPARED, default="numbers")
    options = parser.parse_args()
    try:
        wrong = compare(options.old, options.new, options.attributes)
    except (OSError, ValueError) as error:
        print(f"compare_runs: {error}", file=sys.stderr)
        return 2
    print(*wrong, f"differences: {len(wrong)}" if wrong else "the same bits", sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
