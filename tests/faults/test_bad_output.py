"""Where a run cannot write: exit 74 and the file's name, nothing half-written, and the same command goes on
afterwards."""

import contextlib
import subprocess

import h5py
import pytest

import compare_runs
from tiny import files_below, message, refused, run


@contextlib.contextmanager
def mounted(folder, options):
    """A small file system of its own in memory, over a folder."""
    folder.mkdir(exist_ok=True)
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True)
    if made.returncode != 0:
        pytest.skip(f"mounting is not permitted here: {made.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def assert_nothing_half_written(folder):
    for path in folder.rglob("*"):
        assert not path.name.endswith(".tmp") and not path.name.startswith("."), path
        if path.suffix == ".h5":
            with h5py.File(path) as file:
                file.visititems(lambda name, node: node[()] is not None if isinstance(node, h5py.Dataset) else None)


# --- the folder ---


def test_a_file_in_the_folders_place(inputs, ranks):
    (inputs.write().folder / "run").write_text("not a folder\n")
    refused(inputs.folder, ranks, 74, "run: cannot be created")


def test_a_file_in_the_place_of_its_parent(inputs, ranks):
    refused(inputs.write().folder, ranks, 74, "facts.json/run: cannot be created", arguments=("trace", "trace.ini", "--run.out=facts.json/run"))


def test_a_name_that_is_too_long(inputs):
    name = "x" * 300
    refused(inputs.write().folder, 1, 74, name, "File name too long", arguments=("trace", "trace.ini", f"--run.out={name}"))


def test_a_read_only_folder(inputs, ranks):
    inputs.write()
    with mounted(inputs.folder / "run", "ro"):
        refused(inputs.folder, ranks, 74, "run: cannot be written: Read-only file system")


# --- the disk is full ---


def kib(paths):
    """What files take on a tmpfs."""
    return sum(-(-path.stat().st_size // 4096) * 4 for path in paths)


# In the order in which they are written.
WRITTEN = ["identity.ini", "config.ini", "weights.sha256", "cases.h5", *(f"units/00000{i}.h5" for i in range(4)), "sweep.h5"]


@pytest.mark.parametrize("name", ["config.ini", "weights.sha256", "cases.h5", "units/000000.h5", "units/000003.h5", "sweep.h5"])
def test_a_full_disk(inputs, ranks, name):
    """Whatever file it is that does not fit: what is there is whole, and with more space the same command completes."""
    inputs.write()
    assert run(inputs.folder, "trace", "trace.ini", "--run.out=roomy").returncode == 0
    fitting = [inputs.folder / "roomy" / other for other in WRITTEN[:WRITTEN.index(name)]]
    lock = 4  # KiB, while the run lives
    size = lock + kib(fitting) + kib([inputs.folder / "roomy" / name]) // 8 * 4  # and about half of the one
    with mounted(inputs.folder / "run", f"size={size}k"):
        line = message(run(inputs.folder, "trace", "trace.ini", ranks=ranks), 74)
        assert line.startswith(f"moesweep: run/{name.split('/')[0]}") and "No space left on device" in line, line
        assert_nothing_half_written(inputs.folder / "run")
        assert not (inputs.folder / "run" / "sweep.h5").exists()
        committed = files_below(inputs.folder / "run")

        subprocess.run(["mount", "-o", "remount,size=64m", str(inputs.folder / "run")], check=True)
        done = run(inputs.folder, "trace", "trace.ini", ranks=ranks)
        assert (done.returncode, done.stderr) == (0, "")
        after = files_below(inputs.folder / "run")
        assert {file: after[file] for file in committed} == committed  # gone on, not begun anew
        assert compare_runs.compare(inputs.folder / "run", inputs.folder / "roomy") == []


def test_a_full_disk_keeps_the_finished_file(inputs):
    """Merging again where the new file does not fit leaves the old one."""
    inputs.write()
    with mounted(inputs.folder / "run", "size=64m"):
        assert run(inputs.folder, "trace", "trace.ini").returncode == 0
        size = kib(path for path in (inputs.folder / "run").rglob("*") if path.is_file()) + kib([inputs.folder / "run" / "sweep.h5"]) // 2
        subprocess.run(["mount", "-o", f"remount,size={size}k", str(inputs.folder / "run")], check=True)
        refused(inputs.folder, 1, 74, "run/sweep.h5: ", "No space left on device", arguments=("merge", "run"))


# --- what is there already ---


@pytest.mark.quick
def test_another_configuration(inputs, ranks):
    folder = inputs.write().folder
    assert run(folder, "trace", "trace.ini").returncode == 0
    refused(folder, ranks, 78, "run: noise.scale: this run has 3, the new command 2", arguments=("trace", "trace.ini", "--noise.scale=2"))


@pytest.mark.parametrize("what", ["weights", "tokenizer", "facts"])
def test_other_inputs(inputs, ranks, what):
    folder = inputs.write().folder
    assert run(folder, "trace", "trace.ini").returncode == 0
    if what == "weights":
        inputs.change("model.norm.weight", lambda values: values * 2)
    elif what == "tokenizer":
        inputs.tokenizer["version"] = "1.1"
    else:
        inputs.facts[3]["requested_rewrite"]["subject"] = "Zoe"
    inputs.write()
    refused(folder, ranks, 78, f"run: {what}_sha256: this run has ")


def test_a_finished_run_survives_a_broken_model(inputs, ranks):
    folder = inputs.write().folder
    assert run(folder, "trace", "trace.ini").returncode == 0
    next(iter(inputs.shards.values())).cut = 1
    inputs.write()
    refused(folder, ranks, 65, "truncated")


@pytest.mark.parametrize("name", ["cases.h5", "units/000002.h5"])
def test_a_damaged_file_of_the_run(inputs, ranks, name):
    folder = inputs.write().folder
    assert run(folder, "trace", "trace.ini").returncode == 0
    path = folder / "run" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2:] = bytes(len(content) - len(content) // 2)
    path.write_bytes(content)
    refused(folder, ranks, 65, f"run/{name}: ")


def test_merge_of_an_unfinished_run(inputs):
    folder = inputs.write().folder
    assert run(folder, "trace", "trace.ini").returncode == 0
    (folder / "run" / "units" / "000001.h5").unlink()
    refused(folder, 1, 65, "run/units/000001.h5: missing", arguments=("merge", "run"))
    (folder / "run" / "cases.h5").unlink()
    refused(folder, 1, 65, "run: the scan is not finished", arguments=("merge", "run"))


def test_merge_of_no_run(tmp_path):
    refused(tmp_path, 1, 65, "elsewhere/config.ini: no such file", arguments=("merge", "elsewhere"))


def test_merge_under_another_configuration(inputs):
    folder = inputs.write().folder
    assert run(folder, "trace", "trace.ini").returncode == 0
    refused(folder, 1, 78, "run: noise.scale: ", arguments=("merge", "run", "--noise.scale=2"))
