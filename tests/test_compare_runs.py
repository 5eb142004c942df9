"""The comparison on which other tests rest is itself checked: everything that is planted in a copy of a run is
named."""

import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest

import compare_runs
from compare_runs import compare

pytestmark = pytest.mark.quick

KINDS = {"block": 0, "expert": 1}


def write_run(folder, tables="table1", controls="table9"):
    """A small run's files, with a column of each type that a store writes."""
    units = folder / "units" / "noise-2-draw-0"
    units.mkdir(parents=True)
    for path in (folder / "sweep.h5", folder / "cases.h5", folder / "units/000000.h5", units / "000000.h5"):
        with h5py.File(path, "w") as file:
            file.attrs["identity"] = np.bytes_("noise.scale = 3\n")
            rows = file.create_group("rows")
            rows.attrs["draw"] = np.int64(1)
            rows["delta"] = np.array([0.5, np.nan, 0.0])
            rows["weight"] = np.array([[0.25, 0.75], [0.5, 0.5], [1, 0]], np.float32)
            rows["case"] = np.array([0, 1, 2], np.int32)
            rows.create_dataset("kind", data=np.array([0, 1, 1], np.int8), dtype=h5py.enum_dtype(KINDS, basetype="i1"))
            rows["delta"].attrs["meaning"] = np.bytes_("patched delta")
            rows["delta"].attrs["unit"] = np.bytes_("logit")
            file["rows/none"] = np.zeros(0, np.int32)
            file["rows/none_routed"] = np.zeros((0, 4), np.int32)
    with h5py.File(folder / "sweep.h5", "r+") as file:
        file["cases/prompt"] = np.array([b"Rome is in", "\u00c5 is".encode()], "S10")
        file[f"results/{tables}/mean"] = np.array([0.1])
        file[f"results/{controls}/p"] = np.array([0.02])
        file.create_group("provenance").attrs["command"] = np.bytes_("trace")
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run") / "run")


@pytest.fixture
def other(run, tmp_path):
    """A copy in which a test plants what is to be found."""
    return shutil.copytree(run, tmp_path / "other")


def change(folder, dataset, line, value, file="sweep.h5"):
    with h5py.File(folder / file, "r+") as opened:
        opened[dataset][line] = value


def test_a_copy_has_the_same_bits(run, other):
    """A NaN equals itself, and when a run was made does not matter."""
    with h5py.File(other / "sweep.h5", "r+") as file:
        file["provenance"].attrs["command"] = np.bytes_("merge")
        file["provenance/hosts"] = np.zeros(3)
    assert compare(run, other) == compare(run / "sweep.h5", other / "sweep.h5") == []


@pytest.mark.parametrize("bit", range(64))
def test_a_flipped_bit(run, other, bit):
    with h5py.File(other / "sweep.h5", "r+") as file:
        values = file["rows/delta"][:]
        values[:1].view(np.uint64)[0] ^= np.uint64(1 << bit)
        file["rows/delta"][:] = values
    [line] = compare(run / "sweep.h5", other / "sweep.h5")
    assert line == f"rows/delta: line 0: 0.5 and {values[0]} (1 of 3 differ)"


@pytest.mark.parametrize(("dataset", "line", "value", "said"), [
    ("rows/delta", 2, -0.0, "rows/delta: line 2: 0.0 and -0.0 (1 of 3 differ)"),
    ("rows/delta", 1, 7, "rows/delta: line 1: nan and 7.0 (1 of 3 differ)"),
    ("rows/delta", 0, np.nan, "rows/delta: line 0: 0.5 and nan (1 of 3 differ)"),
    ("rows/delta", slice(None), 3, "rows/delta: line 0: 0.5 and 3.0 (3 of 3 differ)"),
    ("rows/delta", 1, np.array([0xfff8000000000001], np.uint64).view(float)[0],
     "rows/delta: line 1: 0x7ff8000000000000 and 0xfff8000000000001 (1 of 3 differ)"),
    ("rows/weight", (2, 0), 1 + 2**-23, "rows/weight: line 2, column 0: 1.0 and 1.0000001 (1 of 6 differ)"),
    ("rows/kind", 1, 0, "rows/kind: line 1: 1 and 0 (1 of 3 differ)"),
    ("cases/prompt", 1, "\u00c4 is".encode(), "cases/prompt: line 1: '\u00c5 is' and '\u00c4 is' (1 of 2 differ)"),
], ids=str)
def test_a_changed_value(run, other, dataset, line, value, said):
    change(other, dataset, line, value)
    assert compare(run, other) == [f"sweep.h5: {said}"]


@pytest.mark.parametrize("file", ["cases.h5", "units/000000.h5", "units/noise-2-draw-0/000000.h5"])
def test_every_file_is_compared(run, other, file):
    change(other, "rows/case", 2, 5, file)
    assert compare(run, other) == [f"{file}: rows/case: line 2: 2 and 5 (1 of 3 differ)"]
    (other / file).unlink()
    assert compare(run, other) == [f"{file}: only in the first"]
    assert compare(other, run) == [f"{file}: only in the second"]


def test_the_second_methods_files_are_compared(run, tmp_path):
    folders = [tmp_path / name for name in ("one", "other")]
    names = {"xici.h5": "sweep.h5", "questions.h5": "cases.h5", "units/000000.h5": "units/000000.h5",
             "units/deactivated-0123456789abcdef/000000.h5": "units/000000.h5"}
    for folder in folders:
        (folder / "units/deactivated-0123456789abcdef").mkdir(parents=True)
        for name, source in names.items():
            shutil.copy(run / source, folder / name)
    assert compare(*folders) == []
    for name in names:
        change(folders[1], "rows/case", 1, 7, name)
    assert compare(*folders) == [f"{name}: rows/case: line 1: 1 and 7 (1 of 3 differ)" for name in names]


def test_what_only_one_has(run, other):
    """A group is named once, without what it holds."""
    with h5py.File(other / "sweep.h5", "r+") as file:
        del file["rows/weight"], file["results/table1"]
        file["rows/more"] = np.zeros(3)
        file["controls/delta"] = np.zeros(3)
    assert compare(run / "sweep.h5", other / "sweep.h5") == [
        "controls: only in the second", "results/main_results: only in the first", "rows/more: only in the second",
        "rows/weight: only in the first"]


def replace(folder, dataset, values, dtype=None):
    with h5py.File(folder / "sweep.h5", "r+") as file:
        attributes = dict(file[dataset].attrs)
        del file[dataset]
        file.create_dataset(dataset, data=values, dtype=dtype).attrs.update(attributes)


@pytest.mark.parametrize(("dataset", "values", "said"), [
    ("rows/case", np.arange(3, dtype=np.int64), "of type int32 and int64"),
    ("rows/delta", np.array([0.5, np.nan, 0, 0]), "of shape (3,) and (4,)"),
    ("rows/none", np.zeros((0, 1), np.int32), "of shape (0,) and (0, 1)"),
    ("rows/case", np.array([b"0", b"1", b"2"]), "of type int32 and |S1"),
    ("cases/prompt", np.array([b"Rome is in", "\u00c5 is".encode()], "S11"), "of type |S10 and |S11"),
    ("cases/prompt", np.array([b"Rome is in it", "\u00c5 is".encode()]),
     "line 0: 'Rome is in' and 'Rome is in it' (1 of 2 differ)"),
])
def test_another_type_or_shape(run, other, dataset, values, said):
    replace(other, dataset, values)
    assert compare(run, other) == [f"sweep.h5: {dataset}: {said}"]


def test_another_meaning_of_a_number(run, other):
    replace(other, "rows/kind", np.array([0, 1, 1], np.int8), h5py.enum_dtype({"block": 1, "expert": 0}, basetype="i1"))
    [line] = compare(run, other)
    assert line.startswith("sweep.h5: rows/kind: values called ")


def test_renamed_groups_are_compared(run, tmp_path):
    renamed = write_run(tmp_path / "renamed", "main_results", "gate_matched")
    assert compare(run, renamed) == compare(renamed, run) == []
    change(renamed, "results/gate_matched/p", 0, 0.03)
    assert compare(run, renamed) == ["sweep.h5: results/gate_matched/p: line 0: 0.02 and 0.03 (1 of 1 differ)"]
    swapped = write_run(tmp_path / "swapped", "gate_matched", "main_results")
    assert [line.split(":")[1] for line in compare(run, swapped)] == [
        " results/gate_matched/mean", " results/gate_matched/p", " results/main_results/mean", " results/main_results/p"]
    with h5py.File(renamed / "sweep.h5", "r+") as file:
        file["results/table9/p"] = np.array([0.02])
    with pytest.raises(ValueError, match="under its old name and its new one"):
        compare(run, renamed)


def test_attributes(run, other):
    with h5py.File(other / "sweep.h5", "r+") as file:
        file.attrs["identity"] = np.bytes_("noise.scale = 3\nnoise.kind = normal\n")
        file["rows/delta"].attrs["meaning"] = np.bytes_("the patched delta")
        file["rows"].attrs["draw"] = np.int64(2)
        file["rows/delta"].attrs["unit"] = np.bytes_("bit")
        file["rows/case"].attrs["note"] = np.bytes_("new")
        del file["rows/none"], file["rows/weight"]
    said = {
        "none": ["rows/none: only in the first", "rows/weight: only in the first"],
        "numbers": ["rows@draw: 1 and 2", "rows/delta@unit: 'logit' and 'bit'"],
        "all": ["@identity: 'noise.scale = 3\\n' and 'noise.scale = 3\\nnoise.kind = normal\\n'",
                "rows/case@note: only in the second", "rows/delta@meaning: 'patched delta' and 'the patched delta'"],
    }
    for attributes, kinds in [("none", ["none"]), ("numbers", ["none", "numbers"]), ("all", ["none", "numbers", "all"])]:
        expected = [line for kind in kinds for line in said[kind]]
        assert sorted(compare(run / "sweep.h5", other / "sweep.h5", attributes)) == sorted(expected)


def test_nothing_to_compare(run, tmp_path):
    with h5py.File(tmp_path / "empty.h5", "w") as file:
        file.create_group("rows")
    with pytest.raises(ValueError, match="no datasets"):
        compare(tmp_path / "empty.h5", tmp_path / "empty.h5")
    for first, second in [(tmp_path, run), (run, tmp_path), (run, run / "sweep.h5"), (run / "gone.h5", run / "sweep.h5")]:
        with pytest.raises(OSError):
            compare(first, second)


def command(*arguments):
    return subprocess.run([sys.executable, compare_runs.__file__, *map(str, arguments)], capture_output=True, text=True)


def test_the_command(run, other):
    same = command(run, other)
    assert (same.returncode, same.stdout, same.stderr) == (0, "the same bits\n", "")
    change(other, "rows/delta", 0, 0.25, "units/000000.h5")
    different = command(run, other)
    assert (different.returncode, different.stdout) == (
        1, "units/000000.h5: rows/delta: line 0: 0.5 and 0.25 (1 of 3 differ)\ndifferences: 1\n")
    unread = command(run, other / "gone")
    assert unread.returncode == 2 and "gone" in unread.stderr and len(unread.stderr.splitlines()) == 1
