"""The report of made-up runs, and of a real one: every figure and table is there, shows numbers, and agrees with the
rows."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pandas as pd
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "analysis"), str(pathlib.Path(__file__).parent)]

import moesweep  # noqa: E402
import study_reference  # noqa: E402
from moesweep.common.shown import number  # noqa: E402
from moesweep.tracing import words  # noqa: E402
from moesweep.tracing.tables import BEYOND, PAPER  # noqa: E402
from synthetic_run import NOTHING, PAPER_PLACES, Synthetic  # noqa: E402

FIGURES = ["answer", "figure1", "validation", "noise", "layers", "heatmap", "candidates", "layer_best", "draws", "shapley"]
TABLES = ["main_results", "protocol", "activity", "relations", "relation_results", "layer_gap", "ratios", "split_cases",
          "gate_matched", "ranks", "two_experts", "stability", "relation_folds", "noise_scales", "relaxed",
          "relaxed_transfer", "coalitions", "active_only", "layers", "candidates", "layer_best", "joint", "draws", "shapley"]
NOT_A_NUMBER = re.compile(r'>[^<]*\b(nan|NaN|None|inf)\b|d="[^"]*nan')  # in a text or a path
MAY_BE_EMPTY = {"two_experts"}  # a model routes either to two experts or to more
APPROXIMATE = re.compile(r"(^|_)(ci_low|ci_high|p)$")  # of the reference
REAL = pathlib.Path(os.environ.get("MOESWEEP_RUN", ROOT / "runs" / "paper-demo"))


def report(run):
    return subprocess.run([sys.executable, ROOT / "analysis" / "report.py", run], text=True, capture_output=True)


def made(run):
    done = report(run)
    assert done.returncode == 0, done.stderr
    page = pathlib.Path(done.stdout.strip())
    assert page == run / "report" / "index.html"
    return page.read_text(encoding="utf-8")


@pytest.fixture(scope="module", params=["synthetic", "top-2", "real"])
def run(request, tmp_path_factory):
    """A whole study, with every table and figure."""
    folder = tmp_path_factory.mktemp("run")
    if request.param == "synthetic":
        return Synthetic().write(folder)
    if request.param == "top-2":
        return Synthetic(k=2, usable=80, recurrence=10).write(folder)
    if not (REAL / "sweep.h5").is_file():
        pytest.skip(f"{REAL} has not been made: moesweep trace configs/paper-demo.ini, or set MOESWEEP_RUN")
    shutil.copy(REAL / "sweep.h5", folder)
    return folder


@pytest.fixture(scope="module")
def page(run):
    return made(run)


def section(page, name):
    return re.search(rf'<section id="{name}">.*?</section>', page, re.S).group()


def cells(page, name, key):
    """The cells of a table's line: what is ours, and what is the paper's."""
    line = re.search(rf'<tr data-key="{re.escape(key)}".*?</tr>', section(page, name), re.S).group()
    parted = [cell.partition('<span class="paper">') for cell in re.findall(r"<td.*?</td>", line, re.S)]
    return [tuple(re.sub(r"<[^>]+>", "", part).strip() for part in (ours, theirs)) for ours, _, theirs in parted]


def disagreements(run):
    """Where the report's tables and the run's rows differ, as text: table, column, the report's values, the rows'."""
    found = []
    for name, columns in study_reference.tables(moesweep.load(run)).items():
        written = pd.read_csv(run / "report" / f"{name}.csv", keep_default_na=False, na_values=[""])
        if len(written) != max(map(len, columns.values()), default=0):
            found.append(f"{name}: {len(written)} lines")
            continue
        for column, expected in columns.items():
            if APPROXIMATE.search(column) or column not in written:
                continue
            ours = written[column].to_numpy()
            numeric = all(isinstance(value, (int, float, np.number)) for value in expected)
            same = np.allclose(ours, expected, rtol=1e-9, atol=1e-12, equal_nan=True) if numeric else list(ours) == list(expected)
            if not same:
                found.append(f"{name}: {column}: {list(ours)} instead of {list(expected)}")
    return found


def test_the_report_has_these_tables_in_the_papers_order():
    assert [table.name for table in PAPER + BEYOND] == TABLES


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_in_the_page_and_beside_it(run, page, name):
    assert f'<figure id="figure-{name}">' in page
    svg = (run / "report" / f"{name}.svg").read_text(encoding="utf-8")
    assert svg.startswith("<?xml") and not NOT_A_NUMBER.search(svg)
    assert (run / "report" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", TABLES)
def test_every_table_is_in_the_page_and_beside_it(run, page, name):
    text, table = section(page, name), pd.read_csv(run / "report" / f"{name}.csv")
    places = re.findall(r'<span class="source">arXiv 2606.03780, (.*?)</span></h3>', text)
    assert places == ([PAPER_PLACES[name]] if name in PAPER_PLACES else [])
    markdown = (run / "report" / f"{name}.md").read_text(encoding="utf-8")
    latex = (run / "report" / f"{name}.tex").read_text(encoding="utf-8")
    if len(table) == 0:
        assert name in MAY_BE_EMPTY and '<p class="note">' in text
        return
    shown = len(re.findall("<tr data-key", text))
    assert shown == {"split_cases": 2, "candidates": min(12, len(table))}.get(name, len(table))
    assert markdown.count("\n| ") == shown + 2 and latex.count(r"\\" + "\n") - latex.count(r"} \\") == shown + 1
    for line in latex.splitlines():  # as many cells as the header has
        if "&" in line:
            assert line.count(" & ") == latex.split(r"\toprule", 1)[1].splitlines()[1].count(" & "), line
    assert r"\toprule" in latex and "−" not in latex


def test_no_nan_where_there_are_cases(run, page):
    assert not NOT_A_NUMBER.search(re.sub(r'"data:[^"]*"', "", page))
    for name in TABLES:
        table = pd.read_csv(run / "report" / f"{name}.csv")
        for size in [column for column in table if re.search("(^|_)n$", column)]:
            prefix = size[:-1]
            for column in [prefix + end for end in ("mean", "ci_low", "ci_high") if prefix + end in table]:
                assert table[table[size] > 0][column].notna().all(), (name, column)


def test_every_table_agrees_with_the_rows(run, page):
    assert not disagreements(run)


def test_numbers_that_disagree_with_the_rows_are_found(tmp_path):
    wrong = [("main_results", "n"), ("gate_matched", "n"), ("stability", "rescue_n"), ("relation_folds", "held_out"),
             ("noise_scales", "active"), ("relaxed_transfer", "n"), ("coalitions", "mean"), ("shapley", "n")]
    Synthetic(usable=40).write(tmp_path)
    with h5py.File(tmp_path / "sweep.h5", "a") as file:
        for name, column in wrong:
            file["results"][name][column][0] += 1
    made(tmp_path)
    found = [line.rsplit(": ", 1)[0] for line in disagreements(tmp_path)]
    assert sorted(found) == sorted(f"{name}: {column}" for name, column in wrong)


def test_draws_of_the_noise_differ(run, page):
    draws = pd.read_csv(run / "report" / "draws.csv")
    assert len(draws) > 1 and draws.layer_rescue.nunique() == len(draws)


def test_the_page_shows_what_the_files_hold(run, page):
    table = pd.read_csv(run / "report" / "main_results.csv").set_index("name")
    for name, line in table.iterrows():
        shown = [ours for ours, _ in cells(page, "main_results", name)]
        assert shown[1] == str(int(line.n)) and shown[2].startswith(number(line["mean"]))
        assert shown[4] == f"{line.positive_fraction:.2f}"


def test_the_page_needs_no_network(page):
    assert not re.search(r'(src|href)="(?!data:|#|\w+\.(svg|png|csv|md|tex)")', page)
    assert page.count("<script") == page.count("<script>") == 1
    assert "url(" not in page and "@import" not in page and "fetch(" not in page


def test_the_case_list_agrees_with_the_validation_table(run, page):
    loaded = moesweep.load(run)
    listed = words.cases(loaded)
    study = loaded.results["validation"].set_index("case")
    assert sorted(listed.index[listed.split == "validation"]) == list(study.index)
    for name in ("block_rescue", "expert_rescue", "active", "spec"):
        assert np.array_equal(listed.loc[study.index, name], study[name], equal_nan=True), name
    assert listed[listed.half == "none"][["block_rescue", "expert_rescue"]].isna().all().all()
    assert page.count('<td class="prompt">') == (listed.half != "none").sum()


def test_the_same_run_gives_the_same_files(run, page):
    def files():
        return {file.name: file.read_bytes() for file in (run / "report").iterdir()}

    first = files()
    made(run)
    assert files() == first


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory):
    return Synthetic().write(tmp_path_factory.mktemp("synthetic"))


@pytest.fixture(scope="module")
def synthetic_page(synthetic):
    return made(synthetic)


def test_the_page_says_what_was_selected_and_by_which_rules(synthetic_page):
    assert "<h1>Layer 4, expert 2</h1>" in synthetic_page
    assert "Expert 2 alone returns" in synthetic_page and "it stands out" in synthetic_page
    assert "<li>Spec: a difference.</li>" in synthetic_page
    assert "a" * 64 in synthetic_page and "discovery = 32" in synthetic_page
    assert re.search(r"\b96 usable", synthetic_page.replace("clean margin", "")) or "64 usable" in synthetic_page
    assert "@software{moesweep" in synthetic_page and "{The moesweep authors}" in synthetic_page


def test_another_choice_by_the_active_mean_is_said(tmp_path, synthetic_page):
    assert "would be selected" not in synthetic_page
    Synthetic(usable=16).write(tmp_path)
    with h5py.File(tmp_path / "sweep.h5", "a") as file:
        file["results/summary"].attrs["selected_by_active_mean"] = "7"
    assert "By the mean over its active cases alone, expert 7 would be selected." in made(tmp_path)


def test_texts_are_escaped(synthetic_page):
    assert "&lt;b&gt;lies&lt;/b&gt; &amp; lives in" in synthetic_page and "Österreich" in synthetic_page


def test_a_run_without_further_noises_or_relaxed_cases_has_a_whole_page(tmp_path):
    page = made(Synthetic(whole=False).write(tmp_path))
    for name, note in NOTHING.items():
        assert note in section(page, name)
    for name in TABLES:
        assert f'<section id="{name}">' in page and (tmp_path / "report" / f"{name}.csv").is_file()
    assert "nothing to draw" in page and not NOT_A_NUMBER.search(re.sub(r'"data:[^"]*"', "", page))


def test_no_expert_selected_is_said_in_words(tmp_path):
    note = "No expert of layer 4 is clean-active in at least 99 of the 10 discovery cases: no expert is selected."
    page = made(Synthetic(usable=20, recurrence=99).write(tmp_path, selected=False, note=note))
    assert "<h1>Layer 4</h1>" in page and note in page
    assert [ours for ours, _ in cells(page, "main_results", "expert_rescue")][1:] == ["0", "–", "–", "–"]
    assert "No expert is selected." in section(page, "gate_matched")
    assert '<p class="none" id="figure-validation">' in page
    assert not NOT_A_NUMBER.search(re.sub(r'"data:[^"]*"', "", page))


def test_an_empty_study_still_has_a_page(tmp_path):
    """As the program writes a run without discovery cases: tables without lines, nothing selected."""
    Synthetic(usable=20, whole=False).write(tmp_path)
    with h5py.File(tmp_path / "sweep.h5", "a") as file:
        for name in set(file["results"]) - {"layers", "heatmap", "summary"}:
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


@pytest.mark.parametrize("part", ["meta", "cases", "rows", "results", "controls", "conditions", "results/gate_matched"])
def test_a_missing_group_is_named_in_one_line(tmp_path, part):
    done = report(Synthetic(usable=20, whole=False).write(tmp_path, without=[part]))
    assert done.returncode == 65
    assert done.stderr == f"report: {tmp_path / 'sweep.h5'}: /{part}: group is missing\n"


@pytest.mark.parametrize("part", ["rows/rescue", "results/gate_matched/n"])
def test_a_missing_column_is_named_in_one_line(tmp_path, part):
    done = report(Synthetic(usable=20, whole=False).write(tmp_path, without=[part]))
    assert done.returncode == 65
    assert done.stderr == f"report: {tmp_path / 'sweep.h5'}: /{part}: dataset is missing\n"


def test_a_missing_or_damaged_file_is_named_in_one_line(tmp_path):
    done = report(tmp_path)
    assert done.returncode == 65
    assert done.stderr.count("\n") == 1 and "sweep.h5: no such file" in done.stderr
    (tmp_path / "sweep.h5").write_bytes(b"not HDF5")
    done = report(tmp_path)
    assert done.returncode == 65
    assert done.stderr.count("\n") == 1 and "sweep.h5: not a readable HDF5 file" in done.stderr
