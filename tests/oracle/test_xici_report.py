"""The report of real runs of the second method: every table and figure is there and agrees with the answers, each
question has its page, and the paper's values stand beside ours where model and data are the paper's."""

import collections
import html
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
from types import SimpleNamespace

import h5py
import numpy as np
import pandas as pd
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "analysis"), str(ROOT / "tests"), str(pathlib.Path(__file__).parent)]

import moesweep  # noqa: E402
import xici_run  # noqa: E402
from moesweep.report import make_report  # noqa: E402
from moesweep.xici import words  # noqa: E402
from moesweep.xici.tables import BEYOND, PAPER  # noqa: E402
from test_report import NOT_A_NUMBER, cells, section  # noqa: E402

TABLES = [table.name for table in PAPER + BEYOND]
FIGURES = ["answer", "caps", "layers", "languages"]
EMPTY = {"held_out"}  # no language is held out
KNOWN = json.loads((ROOT / "analysis" / "moesweep" / "xici" / "paper_values.json").read_text())
TEXT = pathlib.Path(os.environ.get("MOESWEEP_SHARED", ROOT.parent / "shared")) / "paper" / "2603.17102.txt"
QWEN3 = {"model_type": "qwen3_moe", "num_hidden_layers": "48", "hidden_size": "2048", "num_experts": "128",
         "num_experts_per_tok": "8", "rope_theta": "10000000"}


@pytest.fixture(scope="module")
def run(xici_folder):
    return moesweep.load(xici_folder)


@pytest.fixture(scope="module")
def page(xici_folder):
    made = make_report(xici_folder)
    assert made == xici_folder / "report" / "index.html"
    return made.read_text(encoding="utf-8")


def written(folder, name):
    return pd.read_csv(folder / "report" / f"{name}.csv", keep_default_na=False, na_values=[""])


# --- tables and figures ---


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_in_the_page_and_beside_it(xici_folder, page, name):
    assert f'<figure id="figure-{name}">' in page
    svg = (xici_folder / "report" / f"{name}.svg").read_text(encoding="utf-8")
    assert svg.startswith("<?xml") and not NOT_A_NUMBER.search(svg)
    assert (xici_folder / "report" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", TABLES)
def test_every_table_is_in_the_page_and_beside_it(xici_folder, page, name):
    table, latex = written(xici_folder, name), (xici_folder / "report" / f"{name}.tex").read_text(encoding="utf-8")
    assert (xici_folder / "report" / f"{name}.md").read_text(encoding="utf-8").startswith("**")
    if name in EMPTY:
        assert len(table) == 0 and f'<section id="{name}">' not in page
        return
    shown = len(re.findall("<tr data-key", section(page, name)))
    own_cap = (table.cap == 3).sum() if "cap" in table and name != "caps" else len(table)
    assert shown == min(own_cap, 20 if name == "shared" else own_cap) > 0
    assert latex.count(r"\\" + "\n") - latex.count(r"} \\") == shown + 1 and "−" not in latex


def test_the_page_is_whole(page):
    assert not NOT_A_NUMBER.search(re.sub(r'"data:[^"]*"', "", page))
    assert not re.search(r'(src|href)="(?!data:|#|questions/\d{6}\.html"|\w+\.(svg|png|csv|md|tex)")', page)
    assert page.count("<script") == 1 and "url(" not in page and "@import" not in page


@pytest.fixture(scope="module")
def answers(xici_folder):
    """The file's answers without any help: question -> language -> right before; a condition's kind, cap, question and
    language -> right after; each question's dataset."""
    with h5py.File(xici_folder / "xici.h5", locking=False) as file:
        verdicts = collections.defaultdict(dict)
        for trial, language, right in zip(*(file["ratings"][name][:] for name in ("trial", "language", "right"))):
            verdicts[trial][xici_run.LANGUAGES[language]] = bool(right)
        question = file["trials/question"][:]
        dataset = [name.decode() for name in file["questions/dataset"][:]]
        conditions = [(kind.decode(), cap, question[trial], verdicts[trial]) for trial, kind, cap in
                      zip(*(file["conditions"][name][:] for name in ("trial", "kind", "cap")))]
        return {q: verdicts[q] for q in range(len(dataset))}, conditions, dataset


def parts(dataset):
    return {"places": {"places"}, "rivers": {"rivers"}, "all": set(dataset)}


def test_outcomes_agree_with_the_answers(xici_folder, page, answers):
    before, _, dataset = answers
    for line in written(xici_folder, "outcomes").itertuples():
        of_part = [before[q] for q in before if dataset[q] in parts(dataset)[line.dataset]]
        right = [sum(one.values()) for one in of_part]
        assert line.questions == len(of_part) and line.all_wrong == right.count(0)
        assert line.all_right == sum(n == len(one) for n, one in zip(right, of_part))
        assert line.mixed == line.questions - line.all_wrong - line.all_right > 0
        assert np.isclose(line.accuracy, sum(right) / sum(map(len, of_part)))
        assert np.isclose(line.english_accuracy, np.mean([one["en"] for one in of_part]))


@pytest.mark.parametrize("name", ["ablation", "caps", "variants"])
def test_rates_agree_with_the_answers(xici_folder, page, answers, name):
    before, conditions, dataset = answers
    lines = written(xici_folder, name)
    assert len(lines) == {"ablation": 36, "caps": 36, "variants": 3}[name]
    for line in lines.to_dict("records"):
        kind, cap = line.get("kind", "identified"), line.get("cap", 3)
        pairs, silenced = [], 0
        for its_kind, its_cap, question, after in conditions:
            if (its_kind, its_cap) == (kind, cap) and dataset[question] in parts(dataset)[line["dataset"]]:
                pairs += [(before[question][language], right) for language, right in after.items()]
                silenced += any(before[question].values()) and not any(after.values())
        success = np.mean([not after for was_right, after in pairs if was_right])
        gain = np.mean([after for was_right, after in pairs if not was_right])
        assert np.allclose([line["success"], line["gain"], line["difference"]], [success, gain, success - gain])
        assert line["silenced"] == silenced


def test_languages_agree_with_the_answers(xici_folder, page, answers):
    before, conditions, dataset = answers
    for line in written(xici_folder, "languages").itertuples():
        pairs = [(before[question][line.language], after[line.language]) for kind, cap, question, after in conditions
                 if (kind, cap) == ("identified", 3) and line.language in after
                 and dataset[question] in parts(dataset)[line.dataset]]
        assert line.right_before == sum(was_right for was_right, _ in pairs)
        assert (line.lost, line.gained) == (pairs.count((True, False)), pairs.count((False, True)))


def test_experts_of_several_questions_are_counted(xici_folder, run, page):
    kept = collections.Counter(zip(*(run.experts[run.experts.kept == 1][name] for name in ("layer", "expert"))))
    shared = written(xici_folder, "shared")
    assert {(line.layer, line.expert): line.questions for line in shared.itertuples()} == kept
    by_layer = written(xici_folder, "layers").query("dataset == 'all'").set_index("layer")
    for layer in by_layer.index:
        assert by_layer.identified[layer] == sum(n for (at, _), n in kept.items() if at == layer)
        assert by_layer.experts[layer] == sum(at == layer for at, _ in kept)


def test_the_answer_says_the_headline(page, run):
    said = html.unescape(re.search('<p class="answer">(.*?)</p>', page, re.S)[1])
    own = run.results["ablation"].query("dataset == 'all' and kind == 'identified' and cap == 3").iloc[0]
    assert f"Of 8 questions asked in 10 languages, {run.results['outcomes'].mixed.iloc[-1]} are answered right" in said
    assert f"{100 * own.success:.1f}% [{100 * own.success_low:.1f}%, {100 * own.success_high:.1f}%]" in said


# --- a page per question ---


def rows(text, heading):
    """The lines of the table below a heading, as lists of texts."""
    table = re.search(rf'<h2 id="{heading}">.*?<tbody>(.*?)</tbody>', text, re.S)[1]
    return [[html.unescape(re.sub("<[^>]+>", "", cell)).strip() for cell in re.findall(r"<td.*?</td>", line, re.S)]
            for line in re.findall(r"<tr>.*?</tr>", table, re.S)]


def test_every_question_has_its_page(xici_folder, page, run):
    names = re.findall(r'href="(questions/\d{6}\.html)"', page)
    assert names == [f"questions/{question:06}.html" for question in range(8)]
    said = run.answers.set_index(["trial", "language"])
    for question, name in enumerate(names):
        text = (xici_folder / "report" / name).read_text(encoding="utf-8")
        assert not re.search(r">[^<]*\b(nan|NaN|None|&lt;NA&gt;)\b", text)
        for link in re.findall(r'href="([^"]+)"', text):
            assert (xici_folder / "report" / name).parent.joinpath(link).is_file(), link
        columns = run.conditions[(run.conditions.question == question) & (run.conditions.cap == 3)
                                 & (run.conditions.kind != "single")].trial
        lines = rows(text, "answers")
        assert [line[0] for line in lines] == list(run.variants[run.variants.question == question].language)
        for line in lines:
            for trial, cell in zip([question, *columns], line[2:], strict=True):
                answer = said.loc[trial, line[0]]
                assert cell.split() == ("✓ " if answer.right else "✗ ").split() + answer.text.split()
        found = run.experts[run.experts.question == question]
        if len(found):
            names_of = [f"L{layer:02}E{expert:03}" for layer, expert in zip(found.layer, found.expert)]
            assert [line[0] for line in rows(text, "experts")] == names_of
            assert [line[-1] == "yes" for line in rows(text, "experts")] == list(found.kept == 1)
        else:
            assert "No expert passes the test." in text


def test_texts_are_escaped(xici_folder, tmp_path):
    shutil.copy(xici_folder / "xici.h5", tmp_path)
    with h5py.File(tmp_path / "xici.h5", "a") as file:
        for part in ("variants/text", "answers/text"):
            values = file[part][:]
            values[:] = b"<b>&"
            file[part][:] = values
    index = make_report(tmp_path)
    for path in (index, index.parent / "questions" / "000002.html"):
        text = path.read_text(encoding="utf-8")
        assert "&lt;b&gt;&amp;" in text and "<b>&" not in text


# --- runs that are less than whole ---


def test_a_run_without_experts_has_a_page(tmp_path):
    """All answers wrong, so that nothing is asked again."""
    if not xici_run.PROGRAM.exists():
        pytest.skip(f"{xici_run.PROGRAM} is not built")
    run = xici_run.make(tmp_path, {"rate.by": "exact", "questions.limit": 1})
    page = make_report(run).read_text(encoding="utf-8")
    assert "<h1>No experts</h1>" in page and "nothing to deactivate" in page and "nothing to draw in this run" in page
    assert not NOT_A_NUMBER.search(re.sub(r'"data:[^"]*"', "", page))
    assert "No experts are found." in (run / "report" / "questions" / "000001.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("part", ["answers", "experts/p", "results/comparisons"])
def test_a_missing_part_is_named_in_one_line(xici_folder, tmp_path, part):
    shutil.copy(xici_folder / "xici.h5", tmp_path)
    with h5py.File(tmp_path / "xici.h5", "a") as file:
        del file[part]
    done = subprocess.run([sys.executable, ROOT / "analysis" / "report.py", tmp_path], text=True, capture_output=True)
    what = "dataset" if part == "experts/p" else "group"
    assert (done.returncode, done.stderr) == (65, f"report: {tmp_path / 'xici.h5'}: /{part}: {what} is missing\n")


# --- the paper's values ---


def paper_table(first):
    """The lines of the paper's table that has a line beginning so: lists of cells."""
    if not TEXT.is_file():
        pytest.skip("shared/paper/2603.17102.txt is not there")
    lines = TEXT.read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(first))
    end = next(i for i in range(start, len(lines)) if not lines[i].startswith("|"))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[start:end]]


def number(text):
    return round(float(text[:-1]) / 100, 4) if text.endswith("%") else float(text)


@pytest.mark.quick
@pytest.mark.parametrize(("model", "name"), [(0, "GLM-4.5-Air"), (1, "Qwen3-30B-A3B-Instruct-2507")])
def test_table_1_is_transcribed(model, name):
    lines, ours = paper_table("| Dataset | E | M | G |"), KNOWN["models"][model]
    assert ours["name"] == name
    at = [line[0] for line in lines].index(name)
    names = ["english_accuracy", "accuracy", "all_right", "all_wrong", "mixed"]
    labels = ["English Acc", "Avg. Acc", "All Correct", "All Incorrect", "Mixed Results"]
    for label, column, line in zip(labels, names, lines[at + 1:at + 6], strict=True):
        values = [ours["tables"]["outcomes"][each][""][column] for each in ("ECLeKTic", "MultiLoKo", "Global MMLU")]
        assert line[0] == label and values == list(map(number, line[1:]))
    sizes = [[KNOWN["datasets"][each][what] for each in ("ECLeKTic", "MultiLoKo", "Global MMLU")] for what in
             ("questions", "languages")]
    assert sizes == [[int(cell) for cell in line[1:]] for line in lines if line[0].startswith("Num. ")]


@pytest.mark.quick
@pytest.mark.parametrize("model", [0, 1])
def test_table_2_is_transcribed(model):
    numbered = [line for line in paper_table("| Model | GLM-4.5-Air | Qwen3") if line[0].isdigit()]
    lines = {line[0]: line[2 + 4 * model:6 + 4 * model] for line in numbered}
    tables, datasets = KNOWN["models"][model]["tables"], ["ECLeKTic", "MultiLoKo", "Global MMLU", "all"]
    places = {"1": ("identified", "", "mixed"), "3": ("identified", "", "blacklisted"),
              "4": ("identified", "", "questions"), "5": ("identified", "", "experts"),
              "6": ("ablation", "identified 25", "right"), "10": ("ablation", "identified 25", "silenced")}
    for first, kind in ((7, "identified"), (11, "shuffled"), (14, "random")):
        for i, rate in enumerate(("success", "gain", "difference")):
            places[str(first + i)] = "ablation", f"{kind} 25", rate
    assert set(places) == set(lines) - {"2"}
    for row, (table, key, column) in places.items():
        for dataset, cell in zip(datasets, lines[row], strict=True):
            assert cell == "-" or tables[table][dataset][key][column] == number(cell), (row, dataset)


@pytest.mark.quick
@pytest.mark.parametrize("model", [0, 1])
def test_table_3_is_transcribed(model):
    lines = [line for line in paper_table("| Model | GLM | Qwen |") if line[-1][:1].isdigit()]
    lines = [line[1 + 2 * model:3 + 2 * model] for line in lines]
    columns = ["languages", "all_right", "all_wrong", "mixed", "questions", "experts", "success", "gain", "difference",
               "silenced"]
    table = KNOWN["models"][model]["tables"]["variants"]
    ours = [[table[name][""][column] for name in ("MultiLoKo, paraphrases", "MultiLoKo")] for column in columns]
    assert ours == [list(map(number, line)) for line in lines]


def outcomes(*lines):
    table = pd.DataFrame(lines, columns=["dataset", "questions", "languages"])
    if len(lines) > 1:
        table.loc[len(table)] = ["all", table.questions.sum(), 42]
    return table


def beside(*lines, meta=QWEN3):
    return words.paper_values(SimpleNamespace(meta=meta, results={"outcomes": outcomes(*lines)}))


@pytest.mark.quick
def test_the_papers_values_stand_beside_its_data_alone():
    whole = beside(("eclektic", 383, 12), ("multiloko-en", 250, 31), ("Global-MMLU prehistory", 150, 42))
    assert whole["name"] == "Qwen3-30B-A3B-Instruct-2507" and whole["others"] == []
    assert whole["tables"]["ablation"]["multiloko-en identified 25"]["success"] == 0.345
    assert whole["tables"]["ablation"]["all shuffled 25"]["difference"] == 0.036
    assert whole["tables"]["variants"]["multiloko-en"]["silenced"] == 10
    part = beside(("multiloko", 250, 11), ("eclektic", 382, 12), ("mine", 10, 2))
    assert part["datasets"] == {"multiloko": "MultiLoKo, paraphrases"}
    assert part["others"] == ["eclektic (382 questions in 12 languages here, 383 in 12 in the paper)",
                              "mine (not in the paper)"]
    assert set(part["tables"]["variants"]) == {"multiloko"} and not part["tables"]["ablation"]
    none = beside(("mine", 10, 2))
    assert none["datasets"] == {} and not any(none["tables"].values())
    assert beside(("eclektic", 383, 12), meta=QWEN3 | {"rope_theta": "1000000"}) is None  # Qwen3-30B-A3B of before


@pytest.mark.parametrize(("theirs", "said"), [(False, "but the data are not the paper’s"),
                                              (True, "Beneath in grey: Qwen3-30B")])
def test_the_page_says_whose_values_stand_there(xici_folder, page, tmp_path, theirs, said):
    assert "The paper has no model of this geometry" in page and 'class="paper"' not in page
    shutil.copy(xici_folder / "xici.h5", tmp_path)
    with h5py.File(tmp_path / "xici.h5", "a") as file:
        for name, value in QWEN3.items():
            file["meta"].attrs[name] = value
        if theirs:
            for name, table in {"questions": file["questions"], **file["results"]}.items():
                if "dataset" in table:
                    values = [value.replace(b"rivers", b"ECLeKTic") for value in table["dataset"][:]]
                    del table["dataset"]
                    table["dataset"] = np.array(values, "S8")
            file["results/outcomes/questions"][1], file["results/outcomes/languages"][1] = 383, 12
    changed = make_report(tmp_path).read_text(encoding="utf-8")
    assert said in changed and ('class="paper"' in changed) == theirs
    if theirs:
        assert cells(changed, "outcomes", "ECLeKTic")[4][1] == "15.4%"
        assert not cells(changed, "outcomes", "places")[4][1]
        assert "identify.cap is 3 (the paper’s: 25)" in section(changed, "rules")
