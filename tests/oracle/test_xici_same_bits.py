"""The bits of an xici run do not depend on ranks, expert groups, units, or how many sequences share a step; files that
were lost are made again."""

import itertools
import os
import shutil

import pytest

import compare_runs
import program
from tiny_xici_run import asked, settings  # noqa: F401, a fixture

MEMORIES = ["8GB", "0.1%"]  # all questions in flight; one at a time, for this is too little and is exceeded
WEIGHTS = ["resident", "streamed"]
UNITS = [1, 2, 16]
RANKS_AND_GROUPS = [(1, 1), (2, 1), (2, 2), (3, 1), (3, 2), (4, 1), (4, 2)]
ALL_SPLITS = [(*split, *how) for split, how in itertools.product(RANKS_AND_GROUPS, itertools.product(UNITS, MEMORIES, WEIGHTS))]
# Every value of one key beside every value of another at least once.
SOME_SPLITS = [(*split, UNITS[i % 3], MEMORIES[j], WEIGHTS[(i + j) % 2]) for i, split in enumerate(RANKS_AND_GROUPS) for j in range(2)]
FEW_SPLITS = [(2, 2, 1, "0.1%", "streamed"), (3, 1, 2, "8GB", "resident"), (4, 2, 16, "0.1%", "resident")]
EVERYTHING = os.environ.get("MOESWEEP_TEST_EVERYTHING") == "yes"  # all combinations for all, by hand
SPLITS = [pytest.param(name, precision, *split,
                       marks=[pytest.mark.quick] * (name == "qwen3" and precision == "fp32" and split in FEW_SPLITS[:2]))
          for name, precision, splits in [("qwen3", "fp32", SOME_SPLITS + FEW_SPLITS), ("glm4", "fp32", FEW_SPLITS),
                                          ("mixtral", "fp32", FEW_SPLITS), ("mixtral", "fp64", FEW_SPLITS),
                                          ("glm4", "split", FEW_SPLITS)]
          for split in (ALL_SPLITS if EVERYTHING else splits)]


def run(asked, out, ranks=1, **more):
    """With every kind of set, and every capture."""
    config = program.write_config(out.with_suffix(".ini"), **settings(
        asked, out, deactivate__permuted="yes", deactivate__singles="yes", deactivate__caps="2", deactivate__draws=2, **more))
    program.call("xici", config, ranks=ranks)
    return out


@pytest.fixture(scope="module")
def whole(asked, tmp_path_factory):
    """A function to the run of one rank that others are compared with, made once."""
    made = {}

    def of(name, precision, unit):
        key = name, precision, unit
        if key not in made:
            made[key] = run(asked(name), tmp_path_factory.mktemp("whole") / "run", run__unit=unit, run__memory="8GB",
                            model__precision=precision, model__weights="resident")
        return made[key]
    return of


@pytest.mark.parametrize(("name", "precision", "ranks", "group", "unit", "memory", "weights"), SPLITS)
def test_any_ranks_groups_units_and_memory(asked, whole, tmp_path, name, precision, ranks, group, unit, memory, weights):
    split = run(asked(name), tmp_path / "run", ranks, model__precision=precision, run__unit=unit, parallel__experts=group,
                run__memory=memory, model__weights=weights)
    assert compare_runs.compare(split, whole(name, precision, unit)) == []
    other = whole(name, precision, 2)
    assert compare_runs.compare(split / "xici.h5", other / "xici.h5") == []
    assert compare_runs.compare(split / "questions.h5", other / "questions.h5", "numbers") == []  # names its unit


@pytest.mark.quick
def test_what_was_compared(whole):
    """All files, with something in each table."""
    files = compare_runs.files(whole("qwen3", "fp32", 2))
    assert {"xici.h5", "questions.h5", "units/000002.h5"} < set(files) and any("deactivated-" in name for name in files)
    found = program.Sweep(files["xici.h5"])
    assert len(found["answers/trial"]) > 200 and len(found["results/ablation/kind"]) > 4


@pytest.mark.parametrize("memory", MEMORIES)
def test_memory_says_how_many_questions_share_a_step(asked, tmp_path, memory):
    config = program.write_config(tmp_path / "xici.ini", **settings(asked("qwen3"), tmp_path / "run", run__memory=memory))
    plan = program.call("plan", "xici", config).stdout
    assert f"{5 if memory == '8GB' else 1} questions in a micro-batch" in plan


@pytest.mark.quick
def test_lost_files_are_made_again(asked, whole, tmp_path):
    out = shutil.copytree(whole("qwen3", "fp32", 2), tmp_path / "run")
    units = sorted((out / "units").rglob("*.h5"))
    for path in [out / "xici.h5", *units[::3]]:
        path.unlink()
    run(asked("qwen3"), out, ranks=3, run__unit=2, model__precision="fp32")
    assert compare_runs.compare(out, whole("qwen3", "fp32", 2)) == []
