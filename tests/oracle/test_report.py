"""The report of made-up runs: every figure and table is there, shows numbers where there are some, and agrees with the rows."""

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

import figures  # noqa: E402
import load  # noqa: E402
import tables  # noqa: E402
from synthetic_run import Synthetic  # noqa: E402

FIGURES = ["answer", "layers", "heatmap", "candidates", "validation"]
NOT_A_NUMBER = re.compile(r'>[^<]*\b(nan|None|inf)\b|d="[^"]*nan')  # in a text or a path
TABLES = ["table1", "layers", "candidates", "heatmap", "validation", "cases"]


def report(run):
    return subprocess.run([sys.executable, ROOT / "analysis" / "report.py", run], text=True, capture_output=True)


def made(run):
    done = report(run)
    assert done.returncode == 0, done.stderr
    page = pathlib.Path(done.stdout.strip())
    assert page == run / "report" / "index.html"
    return page.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return Synthetic().write(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def page(run):
    return made(run)


def cells(page, name):
    """The cells of a line of table 1."""
    line = re.search(rf'<tr data-name="{name}".*?</tr>', page, re.S).group()
    return [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<td.*?</td>", line, re.S)]


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_in_the_page_and_beside_it(run, page, name):
    assert f'<figure id="figure-{name}">' in page
    assert (run / "report" / f"{name}.svg").read_text(encoding="utf-8").startswith("<?xml")
    assert (run / "report" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", TABLES)
def test_every_table_is_beside_the_page(run, page, name):
    assert f'href="{name}.csv"' in page
    assert len(pd.read_csv(run / "report" / f"{name}.csv")) > 0


def test_the_page_needs_no_network(page):
    assert not re.search(r'(src|href)="(?!data:|\w+\.(svg|png|csv)")', page)
    assert "<script" not in page and "url(" not in page and "@import" not in page


def test_no_nan_where_there_are_cases(run, page):
    assert not NOT_A_NUMBER.search(page)
    for name in FIGURES:
        assert not NOT_A_NUMBER.search((run / "report" / f"{name}.svg").read_text(encoding="utf-8"))
    table = pd.read_csv(run / "report" / "table1.csv")
    assert table[table.n > 0][["mean", "ci_low", "ci_high", "p", "positive_fraction"]].notna().all().all()


def test_n_and_means_agree_with_the_rows(run, page):
    with h5py.File(run / "sweep.h5") as file:
        rows = {name: file["rows"][name][:] for name in ("case", "layer", "kind", "expert", "clean_active", "rescue")}
        validation = np.flatnonzero(file["cases/split"][:] == 2)
    there = np.isin(rows["case"], validation) & (rows["layer"] == 4)
    block = rows["rescue"][there & (rows["kind"] == 0)]
    expert = rows["rescue"][there & (rows["kind"] == 1) & (rows["expert"] == 2) & (rows["clean_active"] == 1)]
    assert cells(page, "layer_rescue")[1:3] == [str(len(validation)), figures.number(block.mean())]
    assert cells(page, "expert_rescue")[1:3] == [str(len(validation)), figures.number(expert.sum() / len(validation))]
    assert cells(page, "expert_rescue_active")[1:3] == [str(len(expert)), figures.number(expert.mean())]
    assert cells(page, "coalition_union")[1] == str(len(validation))


def test_the_case_list_agrees_with_the_validation_table(run):
    loaded = load.load(run)
    listed = tables.cases(loaded)
    study = loaded.results["validation"].set_index("case")
    assert list(listed.index[listed.split == "validation"]) == list(study.index)
    for name in ("block_rescue", "expert_rescue", "active", "spec"):
        assert (listed.loc[study.index, name] == study[name]).all(), name
    assert listed[listed.split == "none"][["block_rescue", "expert_rescue"]].isna().all().all()
    assert len(listed) == len(loaded.cases)


def test_the_page_says_what_was_selected_and_by_which_rules(page):
    assert "<h1>Layer 4, expert 2</h1>" in page
    assert "Expert 2 alone returns" in page and "it stands out" in page
    assert "<li>Spec: a difference.</li>" in page
    assert "a" * 64 in page and "discovery = 32" in page
    assert re.search(r"64\s+usable", page)


def test_another_choice_by_the_active_mean_is_said(tmp_path, page):
    assert "would be selected" not in page
    Synthetic(usable=16).write(tmp_path)
    with h5py.File(tmp_path / "sweep.h5", "a") as file:
        file["results/summary"].attrs["selected_by_active_mean"] = "7"
    assert "By the mean over its active cases alone, expert 7 would be selected." in made(tmp_path)


def test_texts_are_escaped(page):
    assert "&lt;b&gt;lies&lt;/b&gt; &amp; lives in" in page and "Österreich" in page


def test_the_same_run_gives_the_same_files(run, page):
    def files():
        return {file.name: file.read_bytes() for file in (run / "report").iterdir()}

    first = files()
    made(run)
    assert files() == first


def test_no_paper_beside_another_geometry(page):
    assert "Paper:" not in page and len(cells(page, "spec")) == 6


@pytest.mark.parametrize(("geometry", "name", "spec"), [
    ({"layers": 48, "experts": 128, "k": 8, "layer": 44, "expert": 69}, "Qwen3-30B-A3B-Base", "+0.400 [+0.276, +0.533]"),
    ({"layers": 32, "experts": 8, "k": 2, "layer": 19, "expert": 6}, "Mixtral-8x7B-v0.1", "−0.175 [−0.284, −0.072]"),
])
def test_the_papers_values_stand_beside_its_models(tmp_path, geometry, name, spec):
    page = made(Synthetic(**geometry, usable=16, effect=3).write(tmp_path))
    assert f"Paper: {name}" in page
    ours, theirs = cells(page, "spec")[3], cells(page, "spec")[6]
    assert theirs.startswith(spec)
    low, high = (float(end) for end in ours.replace("−", "-").strip("[]").split(","))
    paper_low, paper_high = (float(end) for end in spec.split(" ", 1)[1].replace("−", "-").strip("[]").split(","))
    assert ("≠" in theirs) == (low > paper_high or high < paper_low)
    assert cells(page, "control_mean")[6] == ""


def test_the_papers_values_are_its_table_1():
    """analysis/paper_values.json against the paper's numbers, where they are at hand."""
    shared = ROOT.parent / "shared" / "paper" / "tables.json"
    if not shared.is_file():
        pytest.skip("shared/paper/tables.json is not there")
    ours = json.loads((ROOT / "analysis" / "paper_values.json").read_text())["models"]
    theirs = json.loads(shared.read_text())
    for model, key in zip(ours, ("qwen3", "mixtral")):
        facts = theirs["models"][key]
        assert model["table1"] == theirs["table1_main_validation"][key]
        assert (model["name"], model["layer"], model["expert"]) == (facts["name"], facts["layer"], facts["expert"])
        assert list(model["geometry"].values()) == [facts["layers"], facts["experts"], facts["top_k"]]


def test_no_expert_selected_is_said_in_words(tmp_path):
    note = "No expert of layer 4 is clean-active in at least 99 of the 10 discovery cases: no expert is selected."
    page = made(Synthetic(usable=20, recurrence=99).write(tmp_path, selected=False, note=note))
    assert "<h1>Layer 4</h1>" in page and note in page
    assert cells(page, "expert_rescue")[1:] == ["0", "–", "", "–", "–"]
    assert '<p class="none" id="figure-validation">' in page
    assert not NOT_A_NUMBER.search(page)


def test_an_empty_study_still_has_a_page(tmp_path):
    """As the program writes a run without discovery cases: tables without lines, nothing selected."""
    Synthetic(usable=8).write(tmp_path)
    with h5py.File(tmp_path / "sweep.h5", "a") as file:
        for name in ("candidates", "validation", "table1"):
            table = file["results"][name]
            for key in list(table):
                dtype = table[key].dtype
                del table[key]
                table.create_dataset(key, shape=(0,), dtype=dtype)
        for name in ("selected_layer", "selected_expert"):
            file["results/summary"].attrs[name] = "-1"
        file["results/summary"].attrs["note"] = "No discovery case: no layer is selected."
    page = made(tmp_path)
    assert "<h1>No selection</h1>" in page and "No discovery case: no layer is selected." in page


def test_load_gives_frames_with_names(run):
    loaded = load.load(run)
    assert set(loaded.rows.kind.unique()) == {"block", "expert", "coalition_clean", "coalition_union"}
    assert set(loaded.routing.run.unique()) == {"clean", "noised"}
    assert [f"expert_{i}" in loaded.routing for i in range(5)] == [True] * 4 + [False]
    assert loaded.cases.subject[0] == "Zürich 0"
    assert [len(ids) for ids in loaded.cases.tokens[:4]] == [5, 6, 7, 8]
    assert loaded.cases.tokens[1][0] == 5
    assert loaded.units["layers"]["layer"] == ""
    assert loaded.config.getint("select", "recurrence") == 16


@pytest.mark.parametrize("group", ["meta", "cases", "rows", "results"])
def test_a_missing_group_is_named_in_one_line(tmp_path, group):
    done = report(Synthetic(usable=8).write(tmp_path, without=[group]))
    assert done.returncode == 65
    assert done.stderr == f"report: {tmp_path / 'sweep.h5'}: /{group}: group is missing\n"


def test_a_missing_column_is_named_in_one_line(tmp_path):
    Synthetic(usable=8).write(tmp_path, without=["rows/rescue"])
    done = report(tmp_path)
    assert done.returncode == 65
    assert done.stderr == f"report: {tmp_path / 'sweep.h5'}: /rows/rescue: dataset is missing\n"


def test_a_missing_or_damaged_file_is_named_in_one_line(tmp_path):
    done = report(tmp_path)
    assert done.returncode == 65
    assert done.stderr.count("\n") == 1 and "sweep.h5: no such file" in done.stderr
    (tmp_path / "sweep.h5").write_bytes(b"not HDF5")
    done = report(tmp_path)
    assert done.returncode == 65
    assert done.stderr.count("\n") == 1 and "sweep.h5: not a readable HDF5 file" in done.stderr
