"""moesweep.load() of a real run of the second method: its frames and arrays say what the file's datasets say."""

import json
import pathlib
import shutil
import sys

import h5py
import numpy as np
import pandas as pd
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "analysis"), str(ROOT / "tests"), str(pathlib.Path(__file__).parent)]

import moesweep  # noqa: E402
import xici_run  # noqa: E402

pytestmark = pytest.mark.quick


@pytest.fixture(scope="module")
def run(xici_folder):
    return moesweep.load(xici_folder)


@pytest.fixture(scope="module")
def file(xici_folder):
    with h5py.File(xici_folder / "xici.h5", locking=False) as file:
        yield file


def asked():
    """(id, language) -> the question and its answers, as they were put."""
    return {(question["id"], language): variant for question in xici_run.questions()
            for language, variant in question["languages"].items()}


def test_frames_have_names(run, file):
    assert isinstance(run, moesweep.XiciRun) and list(run.languages.label) == xici_run.LANGUAGES
    assert set(run.conditions.kind) == {"identified", "random", "shuffled", "same_relation", "permuted", "single"}
    for name in ("answers", "answer_tokens", "capture", "ratings"):
        table = getattr(run, name)
        assert list(table.language) == [xici_run.LANGUAGES[i] for i in file[name]["language"]]
        assert list(table.question) == [file["trials/question"][i] for i in file[name]["trial"]]
    ids = run.questions.id
    put = {(ids[line.question], line.language): line for line in run.variants.itertuples()}
    assert put.keys() == asked().keys()
    for key, variant in asked().items():
        assert (put[key].text, put[key].answers) == (variant["question"], variant["answers"])
        assert put[key].reference == variant["answers"][0] and len(put[key].tokens) > 1
    assert run.variants.attrs["meanings"]["text"] == "the question" and run.answers.attrs["meanings"]["right"]
    assert (run.cap, run.whole, list(run.layers)) == (3, "all", list(range(int(run.meta["num_hidden_layers"]))))


def test_answers_have_their_ratings(run, xici_folder):
    files = xici_folder / "answers.jsonl", *xici_folder.glob("answers-deactivated-*.jsonl")
    lines = [json.loads(line) for path in files for line in path.read_text(encoding="utf-8").splitlines()]
    assert [(line["language"], line["answer"], xici_run.verdict(line)) for line in lines] \
        == list(zip(run.answers.language, run.answers.text, run.answers.right))


@pytest.mark.parametrize(("kind", "cap"), [("identified", None), ("random", 2), ("shuffled", 1), ("single", None)])
def test_asked_again_is_what_both_askings_say(run, file, kind, cap):
    said = {(trial, language): (text.decode(), bool(right)) for trial, language, text, right in
            zip(file["answers/trial"], file["answers/language"], file["answers/text"], file["ratings/right"])}
    conditions = list(zip(*(file["conditions"][name] for name in ("trial", "kind", "cap", "draw", "source"))))
    expected = []
    for trial, its_kind, its_cap, draw, source in conditions:
        question = file["trials/question"][trial]
        if (its_kind.decode(), its_cap) == (kind, cap or 3):
            expected += [(question, xici_run.LANGUAGES[language], draw, source, *said[question, language], *after)
                         for (other, language), after in said.items() if other == trial]
    table = run.asked_again(kind, cap)
    names = ["question", "language", "draw", "source", "before", "right_before", "after", "right_after"]
    assert sorted(table[names].itertuples(index=False, name=None)) == sorted(expected) and len(expected) > 20
    texts = {key: (variant["question"], variant["answers"][0]) for key, variant in asked().items()}
    for line in table.itertuples():
        assert (line.text, line.reference) == texts[line.id, line.language]
        assert line.experts == (file["deactivated/trial"][:] == line.trial).sum()


def test_asked_again_of_nothing_has_its_columns(run):
    nothing = run.asked_again("identified", 7)
    assert len(nothing) == 0 and list(nothing) == list(run.asked_again())


def test_arrays_hold_the_capture(run, file):
    pytest.importorskip("xarray", reason="xarray is not installed (requirements-test.txt)")
    data = run.to_xarray()
    layers, experts = int(run.meta["num_hidden_layers"]), int(run.meta["num_experts"])
    assert dict(data.sizes) == {"question": 8, "language": 10, "layer": layers, "expert": experts}
    capture = {name: values[:] for name, values in file["capture"].items()}
    rows = zip(file["trials/question"][:][capture["trial"]], capture["language"], range(len(capture["trial"])))
    for question, language, i in rows:
        prompt, answer = capture["prompt_tokens"][i], capture["answer_tokens"][i]
        mean = (prompt * capture["prompt"][i].astype(float) + answer * capture["answer"][i]) / (prompt + answer)
        there = data.isel(question=question, language=language)
        assert np.allclose(there.weight.to_numpy().ravel(), mean, rtol=1e-6, atol=0)
        assert (there.answer_weight.to_numpy().ravel() == capture["answer"][i]).all() and there.prompt_tokens == prompt
        assert np.allclose(there.weight.sum("expert"), 1, atol=1e-5)
    gone = data.sel(language="zh").isel(question=7)  # is not asked
    assert not gone.asked and not gone.right and np.isnan(gone.weight).all()
    assert data.asked.sum() == len(capture["trial"])
    assert data.right.sum() == run.answers[run.answers.trial < 8].right.sum()


def test_parquet_files_hold_every_table(run, tmp_path):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed (requirements-test.txt)")
    run.to_parquet(tmp_path)
    names = {str(path.relative_to(tmp_path).with_suffix("")) for path in tmp_path.rglob("*.parquet")}
    assert names == {name for name, _ in run.frames()} and {"answers", "capture", "results/ablation"} < names
    for name in ("answers", "conditions", "results/ablation"):
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / f"{name}.parquet"), dict(run.frames())[name])


def test_answers_that_are_not_rated_yet(xici_folder, tmp_path):
    shutil.copy(xici_folder / "xici.h5", tmp_path)
    with h5py.File(tmp_path / "xici.h5", "a") as file:
        asked_alone = (file["ratings/trial"][:] < 8).sum()
        for name, values in {name: values[:asked_alone] for name, values in file["ratings"].items()}.items():
            attributes = dict(file["ratings"][name].attrs)
            del file["ratings"][name]
            file["ratings"].create_dataset(name, data=values).attrs.update(attributes)
    run = moesweep.load(tmp_path)
    assert (run.answers.right.isna() == (run.answers.trial >= 8)).all()
    assert run.asked_again().right_after.isna().all() and run.asked_again().right_before.notna().all()


@pytest.mark.parametrize(("part", "said"), [("answers/language", "/answers/language: there is no such language"),
                                            ("conditions/trial", "/conditions/trial: there is no such trial"),
                                            ("ratings/trial", "/ratings: not line by line those of /answers")])
def test_what_points_nowhere_is_refused(xici_folder, tmp_path, part, said):
    shutil.copy(xici_folder / "xici.h5", tmp_path)
    with h5py.File(tmp_path / "xici.h5", "a") as file:
        file[part][0] = 5 if part == "ratings/trial" else 10**6
    run = moesweep.load(tmp_path)
    with pytest.raises(moesweep.RunError, match=said):
        getattr(run, part.split("/")[0].replace("ratings", "answers"))
