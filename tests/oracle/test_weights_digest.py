"""The weights' SHA-256 is computed once, kept beside the run, and computed again where it must be."""

import hashlib
import os
import shutil

import pytest

import program

SETTINGS = dict(cases__limit=4, cases__clean_margin="-inf", cases__noise_drop="-inf", cases__discovery=2,
                select__recurrence=1, sweep__layers="0")


@pytest.fixture
def model(checkpoint, tmp_path):
    """A checkpoint in several files that a test may change."""
    return shutil.copytree(checkpoint("mixtral"), tmp_path / "model")


@pytest.fixture
def config(model, facts_file, tmp_path):
    return program.write_config(tmp_path / "sweep.ini", model__path=model, cases__path=facts_file(10),
                                run__out=tmp_path / "run", **SETTINGS)


def digest_of(model):
    """As sha256sum's lines for the files in the order of their names."""
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in sorted(model.glob("*.safetensors"))]
    assert len(lines) > 2
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@pytest.mark.parametrize("ranks", [1, 3])
def test_the_ranks_divide_the_files(config, model, tmp_path, ranks):
    program.call("trace", config, ranks=ranks)
    assert program.Sweep(tmp_path / "run/sweep.h5").meta["weights_sha256"] == digest_of(model)
    kept = sorted((tmp_path / "run/weights.sha256").read_text().splitlines(), key=lambda line: line.split()[-1])
    assert len(kept) == len(list(model.glob("*.safetensors")))
    for line, file in zip(kept, sorted(model.glob("*.safetensors"))):
        status = file.stat()
        assert line == f"{hashlib.sha256(file.read_bytes()).hexdigest()} {status.st_size} {status.st_mtime_ns} {file}"


def change_silently(file):
    """Another last byte under the same size and time."""
    before, content = file.stat(), bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_verify_sees_what_size_and_time_do_not(config, model):
    program.call("trace", config)
    change_silently(sorted(model.glob("*.safetensors"))[-1])
    program.call("trace", config)  # what is kept still holds
    done = program.call("trace", config, "--verify", expect=78)
    assert "weights_sha256" in done.stderr


def test_a_file_of_another_time_is_read_again(config, model, tmp_path):
    program.call("trace", config)
    file = sorted(model.glob("*.safetensors"))[0]
    change_silently(file)
    os.utime(file)
    assert "weights_sha256" in program.call("trace", config, expect=78).stderr


def test_a_damaged_note_is_made_again(config, model, tmp_path):
    program.call("trace", config)
    note = tmp_path / "run/weights.sha256"
    good = note.read_text()
    note.write_text("\n" + good[:40])
    program.call("trace", config)
    assert note.read_text() == good
    program.call("merge", tmp_path / "run")


def test_a_moved_model_is_the_same_model(config, model, tmp_path):
    program.call("trace", config)
    moved = model.rename(tmp_path / "moved")
    program.call("trace", config, f"--model.path={moved}")
