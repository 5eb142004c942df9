"""The checks that other tests rest on are themselves checked: each planted fault is found by name, here and by the
program."""

import shutil

import h5py
import numpy as np
import pytest

import compare_runs
import folder_checks
import tiny
from tiny import message, run


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder with inputs and a finished run."""
    folder = tiny.Tiny(tmp_path_factory.mktemp("whole")).write().folder
    assert run(folder, "trace", "trace.ini").returncode == 0
    return folder


@pytest.fixture
def planted(whole, tmp_path):
    """A copy of the finished run for a test to plant its fault in: (run folder, the look at it before)."""
    shutil.copytree(whole / "run", tmp_path / "run")
    return tmp_path / "run", folder_checks.committed(tmp_path / "run")


def merge_refuses(folder, *words):
    line = message(run(folder.parent, "merge", "run"), 65)
    assert all(word in line for word in words), line


def found(problems, name, *words):
    """The one problem found, which is of that file."""
    assert len(problems) == 1 and problems[0].startswith(f"{name}: "), problems
    assert all(word in problems[0] for word in words), problems


@pytest.mark.quick
def test_nothing_is_found_in_a_sound_run(whole, planted):
    folder, before = planted
    assert {"cases.h5", "units/000000.h5", "units/000003.h5"} < before.keys()
    assert any(name.startswith("units/controls-") for name in before)
    assert folder_checks.problems(folder, finished=True) == []
    assert folder_checks.lost(before, folder_checks.committed(folder)) == []
    assert run(folder.parent, "merge", "run").returncode == 0
    assert compare_runs.compare(folder, whole / "run") == []


def test_a_lost_unit(planted):
    folder, before = planted
    (folder / "units/000002.h5").unlink()
    found(folder_checks.lost(before, folder_checks.committed(folder)), "units/000002.h5", "lost")
    merge_refuses(folder, "run/units/000002.h5: missing")


def test_a_unit_that_changed(planted):
    """Sound in itself, but not what had been committed."""
    folder, before = planted
    with h5py.File(folder / "units/000002.h5", "r+") as file:
        file["rows/delta"][0] += 1
    folder_checks.seal(folder / "units/000002.h5")
    assert folder_checks.problems(folder) == []
    found(folder_checks.lost(before, folder_checks.committed(folder)), "units/000002.h5", "changed")


def test_a_unit_under_another_number(planted):
    folder, _ = planted
    shutil.copy(folder / "units/000001.h5", folder / "units/000002.h5")
    found(folder_checks.strangers(folder), "units/000002.h5", "is unit 1")
    cases = folder_checks.doubled(folder)
    assert len(cases) == 2 and all(line.startswith("units/000002.h5: case ") and line.endswith("units/000001.h5 too") for line in cases)
    merge_refuses(folder, "run/units/000002.h5: ", "unit: expected 2, found 1")


def test_the_cases_of_another_unit(planted):
    """A duplicate that calls itself by the right number."""
    folder, _ = planted
    shutil.copy(folder / "units/000001.h5", folder / "units/000002.h5")
    with h5py.File(folder / "units/000002.h5", "r+") as file:
        file.attrs.modify("unit", np.int64(2))
    folder_checks.seal(folder / "units/000002.h5")
    assert folder_checks.strangers(folder) == folder_checks.half_written(folder) == []
    assert len(folder_checks.doubled(folder)) == 2
    merge_refuses(folder, "run/units/000002.h5: case_begin: ", "lies in the unit before it")


def test_a_unit_of_another_series(planted):
    folder, _ = planted
    controls = next(folder.glob("units/controls-*"))
    shutil.copy(controls / "000001.h5", folder / "units/000001.h5")
    found(folder_checks.strangers(folder), "units/000001.h5", f"of the series '{controls.name}'")
    merge_refuses(folder, "run/units/000001.h5: ", "series: expected", controls.name)


def test_a_flipped_bit(planted):
    folder, _ = planted
    path = folder / "units/000001.h5"
    good = path.read_bytes()
    rng = np.random.default_rng(3)
    for bit in rng.choice(len(good) * 8, 300, replace=False).tolist():
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bad)
        assert len(folder_checks.unreadable(path, sealed=True)) == 1
    found(folder_checks.half_written(folder), "units/000001.h5", "damaged")
    merge_refuses(folder, "run/units/000001.h5: damaged")


@pytest.mark.parametrize("what", ["noise.scale", "run.unit", "weights_sha256", "tokenizer_sha256", "facts_sha256"])
def test_a_unit_of_another_run(planted, tmp_path, what):
    folder, _ = planted
    (tmp_path / "other").mkdir()
    other, options = tiny.Tiny(tmp_path / "other"), []
    if what == "weights_sha256":
        other.change("model.norm.weight", lambda values: values * 2)
    elif what == "tokenizer_sha256":
        other.tokenizer["version"] = "1.1"
    elif what == "facts_sha256":
        other.facts[11]["requested_rewrite"]["subject"] = "Zoe"
    else:
        options = [f"--{what}=4"]
    other.write()
    assert run(other.folder, "trace", "trace.ini", *options).returncode == 0
    shutil.copy(other.folder / "run/units/000001.h5", folder / "units/000001.h5")
    found(folder_checks.strangers(folder), "units/000001.h5", f"{what}: of a run with ")
    ours, theirs = (folder_checks.identity((at / "identity.ini").read_text())[what] for at in (folder, other.folder / "run"))
    merge_refuses(folder, "run/units/000001.h5: ", f"{what}: the file has {theirs}, the run {ours}")


@pytest.mark.parametrize("name", ["cases.h5", "units/000000.h5", "sweep.h5", "identity.ini"])
def test_a_half_written_file(planted, name):
    folder, _ = planted
    content = (folder / name).read_bytes()
    for size in (0, len(content) // 2, len(content) - 1):
        (folder / name).write_bytes(content[:size])
        found(folder_checks.half_written(folder), name)


def test_a_leftover(planted):
    folder, _ = planted
    (folder / "units" / ".000007.h5.host.1.aa.tmp").write_bytes(b"part")
    assert folder_checks.problems(folder) == []  # a killed run may leave it
    found(folder_checks.problems(folder, finished=True), "units/.000007.h5.host.1.aa.tmp", "left behind")
