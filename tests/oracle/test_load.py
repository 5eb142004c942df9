"""load(): a run as pandas frames, and the example that uses it."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "analysis"), str(pathlib.Path(__file__).parent)]

import load  # noqa: E402
from synthetic_run import Synthetic  # noqa: E402


@pytest.fixture(scope="module")
def made():
    return Synthetic(usable=40)


@pytest.fixture(scope="module")
def run(made, tmp_path_factory):
    return load.load(made.write(tmp_path_factory.mktemp("run")))


def test_codes_have_names(run):
    assert set(run.rows.kind.unique()) == {"block", "expert", "coalition_clean", "coalition_union"}
    assert set(run.routing.run.unique()) == {"clean", "noised"}
    assert set(run.controls.kind.unique()) == {"equal_norm", "subset"}
    assert set(run.cases.relaxed_split.unique()) == {"none", "discovery", "validation"}


def test_frames_are_what_was_written(made, run):
    for ours, theirs in ((run.rows, made.own.rows), (run.controls, made.controls), (run.base, made.own.base)):
        assert len(ours) == len(theirs)
        for name in theirs:
            assert (ours[name].astype(theirs[name].dtype) == theirs[name]).all(), name
    assert [f"expert_{i}" in run.routing for i in range(5)] == [True] * 4 + [False]


def test_conditions_stand_below_one_another(made, run):
    noises = run.conditions.rows[["noise_scale", "draw"]].drop_duplicates().itertuples(index=False, name=None)
    assert list(noises) == [(scale, draw) for scale, draw, _ in made.conditions]
    second = run.conditions.rows[(run.conditions.rows.noise_scale == 3) & (run.conditions.rows.draw == 2)]
    assert (second.rescue.to_numpy() == made.conditions[1][2].rows.rescue).all()
    assert len(run.conditions.base) == 4 * len(run.base) and len(run.conditions.routing) == 4 * len(run.routing)
    assert set(run.conditions.rows.kind.unique()) == set(run.rows.kind.unique())


def test_without_conditions_the_frames_have_their_columns(tmp_path):
    run = load.load(Synthetic(usable=20, whole=False).write(tmp_path))
    assert list(run.conditions.rows) == ["noise_scale", "draw", *run.rows] and len(run.conditions.rows) == 0
    assert len(run.controls) == 0 and "rescue" in run.controls


def test_texts_tokens_units_and_settings(run):
    assert run.cases.subject[0] == "Zürich 0"
    assert [len(ids) for ids in run.cases.tokens[:4]] == [5, 6, 7, 8] and run.cases.tokens[1][0] == 5
    assert run.units["layers"]["layer"] == ""
    assert run.setting("select.recurrence") == "10" and run.setting("select.nothing") is None
    assert (run.selected_layer, run.selected_expert) == (4, 2)


def test_the_example_runs(run):
    done = subprocess.run([sys.executable, ROOT / "analysis" / "example.py", run.path], text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert "expert_rescue" in done.stdout and "first_choice_moves" in done.stdout and "nan" not in done.stdout.lower()
    assert (ROOT / "analysis" / "example.py").read_text().count("\n") <= 40  # it fits on a screen
