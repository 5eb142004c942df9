"""moesweep.load(): runs of either method as pandas frames, xarray and Parquet, and the example that uses it."""

import json
import pathlib
import re
import subprocess
import sys

import h5py
import numpy as np
import pandas as pd
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "analysis"), str(pathlib.Path(__file__).parent)]

import moesweep  # noqa: E402
import synthetic_run  # noqa: E402
from moesweep.common.store import open_file  # noqa: E402
from synthetic_run import Synthetic  # noqa: E402


@pytest.fixture(scope="module")
def made():
    return Synthetic(usable=40)


@pytest.fixture(scope="module")
def run(made, tmp_path_factory):
    return moesweep.load(made.write(tmp_path_factory.mktemp("run")))


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
    assert run.rows is run.rows  # read once


def test_conditions_stand_below_one_another(made, run):
    noises = run.conditions.rows[["noise_scale", "draw"]].drop_duplicates().itertuples(index=False, name=None)
    assert list(noises) == [(scale, draw) for scale, draw, _ in made.conditions]
    second = run.conditions.rows[(run.conditions.rows.noise_scale == 3) & (run.conditions.rows.draw == 2)]
    assert (second.rescue.to_numpy() == made.conditions[1][2].rows.rescue).all()
    assert len(run.conditions.base) == 4 * len(run.base) and len(run.conditions.routing) == 4 * len(run.routing)
    assert set(run.conditions.rows.kind.unique()) == set(run.rows.kind.unique())


def test_without_conditions_the_frames_have_their_columns(tmp_path):
    run = moesweep.load(Synthetic(usable=20, whole=False).write(tmp_path))
    assert list(run.conditions.rows) == ["noise_scale", "draw", *run.rows] and len(run.conditions.rows) == 0
    assert len(run.controls) == 0 and "rescue" in run.controls


def test_texts_tokens_units_and_settings(run):
    assert run.cases.subject[0] == "Zürich 0"
    assert [len(ids) for ids in run.cases.tokens[:4]] == [5, 6, 7, 8] and run.cases.tokens[1][0] == 5
    assert run.setting("select.recurrence") == "10" and run.setting("select.nothing") is None
    assert (run.selected_layer, run.selected_expert) == (4, 2)
    assert run.meta["precision"] == "fp32" and run.provenance["ranks"] == "2"
    routing = run.routing.attrs
    assert routing["meanings"]["expert_3"] == "expert" and set(routing["units"]) == set(run.routing)
    assert run.results["main_results"].attrs["paper"] == "arXiv 2606.03780, Table 1"
    assert set(dir(run)) > {"cases", "rows", "routing", "controls", "conditions", "results"}


def test_the_file_itself_may_be_named_and_renamed(made, tmp_path):
    folder = made.write(tmp_path / "run")
    (folder / "sweep.h5").rename(tmp_path / "other.h5")
    run = moesweep.load(tmp_path / "other.h5")
    assert isinstance(run, moesweep.TracingRun) and len(run.rows) == len(made.own.rows) and run.path == tmp_path


def test_a_run_with_the_old_names_is_refused_with_the_way_out(made, tmp_path):
    made.write(tmp_path)
    with h5py.File(tmp_path / "sweep.h5", "a") as file:
        file["results"].move("main_results", "table1")
    with pytest.raises(moesweep.RunError, match=f"older version; moesweep merge {tmp_path} "):
        moesweep.load(tmp_path)


def test_damage_is_named_when_it_is_met(made, tmp_path):
    """Under fletcher32, as the program writes it."""
    made.write(tmp_path)
    with h5py.File(tmp_path / "sweep.h5", "a") as file:
        del file["controls/rescue"]
        rescue = file.create_dataset("controls/rescue", data=made.controls.rescue, chunks=True, fletcher32=True)
        place = rescue.id.get_chunk_info(0).byte_offset
    with open(tmp_path / "sweep.h5", "r+b") as file:
        file.seek(place)
        file.write(b"\xff" * 16)
    run = moesweep.load(tmp_path)
    assert len(run.rows)
    with pytest.raises(moesweep.RunError, match="sweep.h5: /controls/rescue: cannot be read"):
        run.controls


# --- arrays and Parquet files ---


def test_arrays_hold_every_row_and_zeros_elsewhere(made, run):
    pytest.importorskip("xarray", reason="xarray is not installed (requirements-test.txt)")
    data = run.to_xarray()
    assert dict(data.sizes) == {"case": len(made.swept), "layer": 6, "expert": 8} and list(data.case) == list(made.swept)
    rows = made.own.rows[made.own.rows.kind == "expert"]
    expected = np.zeros((data.sizes["case"], 6, 8, 4))
    positions = {case: i for i, case in enumerate(made.swept)}
    for row in rows.itertuples():
        expected[positions[row.case], row.layer, row.expert] = row.rescue, 1.0, row.clean_active, row.noised_active
    for i, name in enumerate(("rescue", "patch_norm", "clean_active", "noised_active")):
        assert (data[name].to_numpy() == expected[..., i]).all(), name
    assert data.rescue.dtype == np.float64 and data.clean_active.dtype == bool and data.rescue.attrs["unit"] == "logit"
    weight = {(line.case, line.layer, line.run): line for line in made.own.routing.itertuples()}
    for name, of_run in (("weight", "clean"), ("noised_weight", "noised")):
        assert np.allclose(data[name].sum("expert"), 1)
        line = weight[made.swept[7], 3, of_run]
        assert data[name].sel(case=line.case, layer=3, expert=line.expert_1).item() == np.float32(line.weight_1)
    block = made.own.rows[(made.own.rows.kind == "block") & (made.own.rows.layer == 2)].set_index("case").rescue
    assert (data.block_rescue.sel(layer=2).to_series() == block).all()
    assert (data.delta_noised.to_numpy() == made.own.base.delta_noised).all()
    assert data.split.sel(case=made.swept[0]).item() == run.cases.split[made.swept[0]]


def test_what_was_routed_and_not_patched_is_not_a_number(made, tmp_path):
    """As with sweep.experts = clean, and a layer that was left out."""
    pytest.importorskip("xarray", reason="xarray is not installed (requirements-test.txt)")
    made.write(tmp_path)
    with h5py.File(tmp_path / "sweep.h5", "a") as file:
        rows = {name: file["rows"][name][:] for name in file["rows"]}
        kept = (rows["layer"] != 1) & ((rows["kind"] != 1) | (rows["clean_active"] == 1))
        for name, values in rows.items():
            dtype = file["rows"][name].dtype
            del file["rows"][name]
            file["rows"].create_dataset(name, data=values[kept], dtype=dtype)
    data = moesweep.load(tmp_path).to_xarray()
    routed = data.clean_active | data.noised_active
    unpatched = routed & ((data.layer == 1) | ~data.clean_active)
    assert unpatched.any() and (np.isnan(data.rescue) == unpatched).all()
    assert (data.rescue.to_numpy()[~routed.to_numpy()] == 0).all()
    assert (np.isnan(data.block_rescue) == (data.layer == 1)).all()


def test_a_row_of_no_base_run_is_no_row_of_another_case(made, tmp_path):
    pytest.importorskip("xarray", reason="xarray is not installed (requirements-test.txt)")
    made.write(tmp_path)
    with h5py.File(tmp_path / "sweep.h5", "a") as file:
        file["rows/case"][5] = np.flatnonzero(made.status)[0]  # was scanned, but not swept
    with pytest.raises(moesweep.RunError, match="a case that is not in /base"):
        moesweep.load(tmp_path).to_xarray()


def test_parquet_files_hold_every_table(run, tmp_path):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed (requirements-test.txt)")
    run.to_parquet(tmp_path)
    files = {str(file.relative_to(tmp_path).with_suffix("")) for file in tmp_path.rglob("*.parquet")}
    assert files == {"cases", "base", "routing", "rows", "controls", "conditions/base", "conditions/routing", "conditions/rows",
                     *(f"results/{name}" for name in run.results)}
    for name in ("rows", "routing", "results/main_results"):
        written, ours = pd.read_parquet(tmp_path / f"{name}.parquet"), dict(run.frames())[name]
        pd.testing.assert_frame_equal(written, ours)
        assert written.attrs == ours.attrs
    assert [list(ids) for ids in pd.read_parquet(tmp_path / "cases.parquet").tokens] == [list(ids) for ids in run.cases.tokens]
    assert json.loads((tmp_path / "meta.json").read_text()) == run.meta


# --- groups of any method ---


@pytest.fixture
def other(tmp_path):
    """A file of no method in particular."""
    with h5py.File(tmp_path / "other.h5", "w", libver="latest") as file:
        synthetic_run.attributes(file.create_group("meta"), {"version": "0.1.0", "config": "[ask]\nbatch = 4\n"})
        synthetic_run.attributes(file.create_group("provenance"), {"ranks": 1})
        synthetic_run.frame(file, "questions", pd.DataFrame({"question": [0, 1], "text": ["où ?", "where?"]}))
        answers = synthetic_run.frame(file, "answers", pd.DataFrame({"question": [0, 0, 1]}))
        codes = h5py.enum_dtype({"unknown": -1, "wrong": 0, "right": 1}, basetype="i1")
        answers.create_dataset("state", data=np.array([1, 0, -1], "i1"), dtype=codes).attrs["meaning"] = "as judged"
        synthetic_run.column(answers, "token_begin", [0, 2, 2, 5])
        synthetic_run.column(answers, "token_ids", np.arange(5, dtype="i4"))
        capture = file.create_group("capture")
        capture.create_dataset("judged", data=np.array([[1, 0], [0, 0], [-1, 1]], "i1"), dtype=codes)
        synthetic_run.column(capture, "logit", np.arange(6.0).reshape(3, 2))
        synthetic_run.frame(file, "experts", pd.DataFrame({"layer": [3], "expert": [7], "p": [0.01]}))
        synthetic_run.frame(file.create_group("results"), "main_results", pd.DataFrame({"n": [2]}))
    return tmp_path / "other.h5"


def test_another_methods_groups_are_frames_as_well(other):
    run = moesweep.Run(other, open_file(other))
    assert list(run.answers.state) == ["right", "wrong", "unknown"]
    assert run.answers.attrs["meanings"]["state"] == "as judged"
    assert [list(ids) for ids in run.answers.tokens] == [[0, 1], [], [2, 3, 4]]
    assert run.capture.to_dict("list") == {"judged_0": ["right", "wrong", "unknown"], "judged_1": ["wrong", "wrong", "right"],
                                           "logit_0": [0, 2, 4], "logit_1": [1, 3, 5]}
    assert run.questions.text[0] == "où ?" and run.experts.expert[0] == 7 and run.results["main_results"].n[0] == 2
    assert run.setting("ask.batch") == "4"
    assert [name for name, _ in run.frames()] == ["answers", "capture", "experts", "questions", "results/main_results"]
    with pytest.raises(AttributeError, match="other.h5: /rows: group is missing"):
        run.rows


def test_what_is_no_column_is_refused_by_name(other):
    with h5py.File(other, "a") as file:
        file["experts"].create_dataset("cube", data=np.zeros((1, 2, 3)))
        synthetic_run.column(file["questions"], "long", [1, 2, 3])
        file["answers/token_begin"][0] = 0
        file["answers/state"].id.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array([1, 0, 9], "i1"), mtype=h5py.h5t.NATIVE_INT8)
    run = moesweep.Run(other, open_file(other))
    for name, said in (("experts", "/experts/cube: 3 dimensions, expected 1 or 2"),
                       ("questions", "/questions: columns of different lengths"),
                       ("answers", "/answers/state: a code has no name")):
        with pytest.raises(moesweep.RunError, match=said):
            getattr(run, name)


def test_two_methods_in_one_folder_are_told_apart_by_name(made, other, tmp_path):
    made.write(tmp_path)
    other.rename(tmp_path / "xici.h5")
    with pytest.raises(moesweep.RunError, match="holds sweep.h5 and xici.h5"):
        moesweep.load(tmp_path)
    assert isinstance(moesweep.load(tmp_path / "sweep.h5"), moesweep.TracingRun)
    with pytest.raises(moesweep.RunError, match="xici.h5: /questions/id: dataset is missing"):
        moesweep.load(tmp_path / "xici.h5")


# --- from a shell ---


def test_the_example_runs(run):
    done = subprocess.run([sys.executable, ROOT / "analysis" / "example.py", run.path], text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert "expert_rescue" in done.stdout and "first_choice_moves" in done.stdout and "nan" not in done.stdout.lower()
    assert (ROOT / "analysis" / "example.py").read_text().count("\n") <= 40  # it fits on a screen


def test_the_package_has_the_programs_version():
    versions = [re.search(pattern, (ROOT / file).read_text())[1] for file, pattern in
                (("CMakeLists.txt", r"VERSION (\S+) LANGUAGES"), ("analysis/pyproject.toml", r'version = "(.*)"'))]
    assert versions[0] == versions[1]


def test_reading_needs_no_more_than_its_dependencies(run):
    """Neither what draws reports nor torch; and the module runs as one, too."""
    lines = ("import sys, moesweep; moesweep.load(sys.argv[1]).rows; "
             "print(*{'matplotlib', 'jinja2', 'torch', 'xarray'} & set(sys.modules))")
    done = subprocess.run([sys.executable, "-c", lines, run.path], cwd=ROOT / "analysis", text=True, capture_output=True)
    assert (done.returncode, done.stdout) == (0, "\n"), done.stderr
    done = subprocess.run([sys.executable, "-m", "moesweep.report", run.path], cwd=ROOT / "analysis", text=True,
                          capture_output=True)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout == f"{run.path / 'report' / 'index.html'}\n"
