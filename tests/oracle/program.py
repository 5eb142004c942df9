"""Runs the program under test and reads what it wrote. The build folder is MOESWEEP_BUILD (default build/cpu)."""

import os
import pathlib
import subprocess

import numpy as np

import compare_runs

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MOESWEEP_BUILD", ROOT / "build" / "cpu"))
ENVIRONMENT = {**{key: value for key, value in os.environ.items() if not key.startswith("MOESWEEP_")}, "OMP_NUM_THREADS": "1",
               "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_rmaps_base_oversubscribe": "1",
               "OMPI_MCA_mpi_yield_when_idle": "1"}
TIMEOUT = 240  # seconds; nothing here takes more than a few


def command(*arguments, ranks=1, tool="moesweep"):
    """The command line as a list; more than one rank go under mpirun."""
    front = ["mpirun", "-n", str(ranks)] if ranks > 1 else []
    return [*front, str(BUILD / tool), *map(str, arguments)]


def call(*arguments, ranks=1, tool="moesweep", expect=0, **variables):
    """Runs to the end, checks the exit code, and returns what came back (stdout, stderr as text). `variables` are added
    to the environment."""
    done = subprocess.run(command(*arguments, ranks=ranks, tool=tool), env={**ENVIRONMENT, **variables}, capture_output=True,
                          text=True, timeout=TIMEOUT)
    assert done.returncode == expect, f"{done.args}\nexit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def write_config(path, **settings):
    """An INI file of settings named section__key."""
    sections = {}
    for name, value in settings.items():
        section, key = name.split("__")
        sections.setdefault(section, []).append(f"{key} = {value}\n")
    path.write_text("".join(f"[{section}]\n{''.join(lines)}" for section, lines in sections.items()))
    return path


def options(**settings):
    """The same settings as options of the command line."""
    return [f"--{name.replace('__', '.')}={value}" for name, value in settings.items()]


class Sweep:
    """A sweep.h5 in memory: attributes of groups as text, columns as arrays, enums and strings as text."""

    def __init__(self, path):
        self.contents = compare_runs.contents(path)
        self.attributes = {name: texts(part) for name, part in self.contents.items()}
        self.columns = {name: decoded(part.values) for name, part in self.contents.items() if part.values is not None}
        self.meta = self.attributes["meta"]

    def __getitem__(self, name):
        return self.columns[name]


def texts(part):
    """The attributes of a group or dataset, texts as str."""
    return {name: value.item().decode() if value.dtype.kind == "S" else value.item() for name, value in part.attributes.items()}


def decoded(values):
    """Enumerated values as their names and strings as str, so that a test compares what a reader sees."""
    names = compare_runs.names(values)
    if names:
        return np.array([names[value] for value in values.tolist()], dtype=object)
    return np.array([text.decode() for text in values.tolist()], dtype=object) if values.dtype.kind == "S" else values


def assert_same_bits(a, b):
    """Every dataset and attribute of two sweeps is equal, NaN to NaN."""
    assert compare_runs.differences(a.contents, b.contents) == []


def assert_same_columns(a, b):
    """Every dataset of two sweeps is equal, NaN to NaN, whatever files their weights came from."""
    assert compare_runs.differences(a.contents, b.contents, attributes="none") == []
