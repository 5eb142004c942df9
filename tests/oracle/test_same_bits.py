"""The merged file's bits do not depend on ranks, units or lost files, and a smaller sweep is a part of the full one."""

import configparser
import itertools
import json
import os
import pathlib
import shutil

import numpy as np
import pytest

import checkpoints
import program

FACTS = 60  # of which these give 17 usable cases, so that a unit of 16 is not the whole run
SETTINGS = dict(model__precision="fp32", cases__limit=17, cases__clean_margin=-1, cases__noise_drop=-1, cases__discovery=8,
                select__recurrence=2, store__vectors="patches", run__unit=16)
UNITS = (1, 5, 16)
RANKS_AND_GROUPS = [(1, 1), (2, 1), (2, 2), (3, 1), (3, 2), (4, 1), (4, 2), (4, 4), (8, 1), (8, 2), (8, 4)]  # 3, 2: one group
ALL_SPLITS = [(ranks, group, unit) for (ranks, group), unit in itertools.product(RANKS_AND_GROUPS, UNITS)]
SOME_SPLITS = [(ranks, group, UNITS[i % 3]) for i, (ranks, group) in enumerate(RANKS_AND_GROUPS)]
FEW_SPLITS = [(1, 1, 1), (2, 2, 5), (4, 2, 16)]
EVERYTHING = os.environ.get("MOESWEEP_TEST_EVERYTHING") == "yes"  # all combinations for all, by hand
QUICK = [("qwen3", "fp32", (2, 2, 16)), ("qwen3", "fp32", (3, 1, 1))]
SPLITS = [pytest.param(name, precision, *split, marks=[pytest.mark.numerics] * (split == FEW_SPLITS[1])
                       + [pytest.mark.quick] * ((name, precision, split) in QUICK))
          for name, precision, splits in [("glm4", "fp32", ALL_SPLITS), ("qwen3", "fp32", SOME_SPLITS),
                                          ("mixtral", "fp32", SOME_SPLITS), ("qwen3", "fp64", FEW_SPLITS),
                                          ("glm4", "split", FEW_SPLITS), ("mixtral", "parity", FEW_SPLITS),
                                          ("glm4-plain", "fp32", FEW_SPLITS), ("mixtral-top-7", "fp32", FEW_SPLITS)]
          for split in (ALL_SPLITS if EVERYTHING else splits)]


@pytest.fixture(scope="module")
def config(checkpoint, facts_file, tmp_path_factory):
    """A function from a checkpoint's name to a configuration file, whose settings options may override."""
    def write(name):
        path = tmp_path_factory.mktemp("config") / "sweep.ini"
        return program.write_config(path, model__path=checkpoint(name), cases__path=facts_file(FACTS), **SETTINGS)
    return write


def trace(config, out, ranks=1, **settings):
    program.call("trace", config, *program.options(run__out=out, **settings), ranks=ranks)
    return program.Sweep(out / "sweep.h5")


@pytest.fixture(scope="module")
def whole(config, tmp_path_factory):
    """A function to the run of one rank and one unit size that others are compared with, made once: (configuration,
    folder, sweep)."""
    made = {}

    def run(name, precision="fp32"):
        if (name, precision) not in made:
            file, out = config(name), tmp_path_factory.mktemp("whole") / "run"
            made[name, precision] = file, out, trace(file, out, model__precision=precision)
        return made[name, precision]
    return run


@pytest.mark.parametrize(("name", "precision", "ranks", "group", "unit"), SPLITS)
def test_any_ranks_and_groups_and_any_unit(whole, tmp_path, name, precision, ranks, group, unit):
    file, _, expected = whole(name, precision)
    statuses = set(expected["cases/status"])
    assert {"usable", "clean_margin_too_small", "noise_drop_too_small"} <= statuses  # the scan had something to decide
    weights = "streamed" if unit == 5 else "resident"
    split = trace(file, tmp_path / "run", ranks, model__precision=precision, run__unit=unit, parallel__experts=group,
                  model__weights=weights)
    program.assert_same_bits(split, expected)


@pytest.mark.parametrize("name", checkpoints.ONE_OF_EACH_FAMILY)
@pytest.mark.parametrize("rewrite", [checkpoints.config_with_hub_names, checkpoints.config_with_new_names])
def test_names_in_config_json(whole, tmp_path, name, rewrite):
    file, _, expected = whole(name)
    folder = checkpoints.with_config(checkpoint_of(file), tmp_path / "model", rewrite)
    rewritten = json.loads((folder / "config.json").read_text())
    assert rewritten.get("rope_parameters", rewritten)["rope_theta"] == 1e6  # not the default, so that overlooking it shows
    program.assert_same_bits(trace(file, tmp_path / "run", model__path=folder), expected)


def checkpoint_of(file):
    """The model folder that a configuration names."""
    parser = configparser.ConfigParser()
    parser.read(file)
    return pathlib.Path(parser["model"]["path"])


# --- going on with a run ---


@pytest.mark.quick
@pytest.mark.parametrize("lost", [["units/000001.h5", "sweep.h5"], ["units/000000.h5", "units/000003.h5", "sweep.h5"],
                                  ["cases.h5", "units/000002.h5"], ["sweep.h5"]], ids=" ".join)
def test_lost_files_are_made_again(config, tmp_path, whole, lost):
    file, out = config("qwen3"), tmp_path / "run"
    first = trace(file, out, run__unit=4)
    kept = {path: path.stat().st_mtime_ns for path in (out / "units").iterdir()}
    for name in lost:
        (out / name).unlink()
    program.assert_same_bits(trace(file, out, ranks=3, run__unit=4), first)
    program.assert_same_bits(first, whole("qwen3")[2])
    for path, written in kept.items():
        assert (path.stat().st_mtime_ns == written) == (str(path.relative_to(out)) not in lost), path


@pytest.mark.quick
@pytest.mark.parametrize("ranks", [1, 2])
def test_another_configuration_is_refused(whole, tmp_path, ranks):
    file, folder, _ = whole("qwen3")
    out = tmp_path / "run"
    shutil.copytree(folder, out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    done = program.call("trace", file, *program.options(run__out=out, noise__scale=2.25), ranks=ranks, expect=78)
    message = [line for line in done.stderr.splitlines() if line.startswith("moesweep:")]
    assert len(message) == 1 and all(word in message[0] for word in (str(out), "noise.scale", "3", "2.25"))
    assert before == {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}


def test_a_changed_architecture_is_refused(whole, tmp_path):
    file, folder, _ = whole("qwen3")
    shutil.copytree(folder, tmp_path / "run")
    model = checkpoints.with_config(checkpoint_of(file), tmp_path / "model", lambda config: {**config, "rms_norm_eps": 1e-5})
    done = program.call("trace", file, *program.options(run__out=tmp_path / "run", model__path=model), expect=78)
    assert "architecture.rms_norm_eps: this run has 1e-06, the new command 1e-05" in done.stderr


def test_changed_weights_are_refused(whole, tmp_path):
    file, folder, _ = whole("qwen3")
    shutil.copytree(folder, tmp_path / "run")
    model = checkpoints.with_config(checkpoint_of(file), tmp_path / "model", dict)
    weights = bytearray((model / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (model / "model.safetensors").unlink()
    (model / "model.safetensors").write_bytes(weights)
    done = program.call("trace", file, *program.options(run__out=tmp_path / "run", model__path=model), expect=78)
    assert "weights_sha256" in done.stderr


# --- smaller sweeps ---

KINDS = ["block", "expert", "coalition_clean", "coalition_union"]
PARTS = {
    "layers": (dict(sweep__layers="0-1,3"), lambda rows: np.isin(rows["layer"], [0, 1, 3])),
    "one layer": (dict(sweep__layers="2"), lambda rows: rows["layer"] == 2),
    "clean experts": (dict(sweep__experts="clean"), lambda rows: (rows["kind"] != "expert") | (rows["clean_active"] == 1)),
    "no experts": (dict(sweep__experts="none"), lambda rows: rows["kind"] != "expert"),
    "no coalitions": (dict(sweep__coalitions="none"), lambda rows: np.isin(rows["kind"], ["block", "expert"])),
    "one coalition": (dict(sweep__coalitions="union"), lambda rows: rows["kind"] != "coalition_clean"),
    "no blocks": (dict(sweep__blocks="no"), lambda rows: rows["kind"] != "block"),
    "blocks alone": (dict(sweep__experts="none", sweep__coalitions="none"), lambda rows: rows["kind"] == "block"),
}


@pytest.mark.quick
@pytest.mark.parametrize("part", PARTS)
def test_a_smaller_sweep_is_a_part_of_the_full_one(whole, tmp_path, part):
    file, _, full = whole("qwen3")
    settings, choose = PARTS[part]
    smaller = trace(file, tmp_path / "run", **settings)
    chosen = choose({name: full["rows/" + name] for name in ("layer", "kind", "clean_active")})
    assert 0 < chosen.sum() < len(chosen)
    for name, column in full.columns.items():
        if name.startswith("rows/") or name == "vectors/patch":
            assert (smaller[name] == column[chosen]).all(), name
        elif not name.startswith(("results/", "controls/")):  # these follow from the rows
            assert (smaller[name] == column).all(), name


@pytest.mark.parametrize("name", checkpoints.ONE_OF_EACH_FAMILY)
@pytest.mark.parametrize("precision", ["fp32", "fp64"])
def test_without_noise_every_rescue_is_zero(config, tmp_path, name, precision):
    sweep = trace(config(name), tmp_path / "run", noise__scale=0, model__precision=precision, cases__clean_margin="-inf")
    assert len(sweep["rows/rescue"]) > 100 and (sweep["rows/rescue"] == 0).all()
    assert (sweep["cases/delta_clean"] == sweep["cases/delta_noised"]).all() and (sweep["vectors/patch"] == 0).all()
