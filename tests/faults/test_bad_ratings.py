"""Ratings by hand and by a model: what is wrong with them is one line, and neither answers nor ratings are lost."""

import json
import shutil

import pytest

import compare_runs
from tiny import message, refused, run

BY_FILE = ("xici", "xici.ini", "--rate.by=file")
BY_MODEL = ("xici", "xici.ini", "--rate.by=model")
REWRITTEN = ("run/config.ini", "run/lock")  # by every command that opens the run
WITH_RATINGS = (*BY_FILE, "--rate.file=ratings.jsonl")


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def write(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def rated(answers):
    """Every question is right in some languages."""
    return [answer | {"right": i % 2 == 0} for i, answer in enumerate(answers)]


@pytest.fixture
def answered(inputs):
    """(folder, answers that wait to be rated)."""
    done = run(inputs.write().folder, *BY_FILE)
    assert done.returncode == 75 and "run/answers.jsonl" in done.stdout, done.stderr
    return inputs.folder, lines(inputs.folder / "run" / "answers.jsonl")


def changed(index, **fields):
    def change(ratings):
        ratings[index] |= fields
    return change


@pytest.mark.quick
def test_answers_go_out_and_ratings_come_in(answered):
    """Once for the questions as they are, once for those asked again."""
    folder, answers = answered
    assert len(answers) == 36 and {answer["condition"] for answer in answers} == {"asked"}
    write(folder / "ratings.jsonl", rated(answers))
    done = run(folder, *WITH_RATINGS)
    assert done.returncode == 75 and (folder / "run" / "xici.h5").exists(), done.stderr
    [more] = folder.glob("run/answers-*.jsonl")
    assert f"run/{more.name}" in done.stdout
    write(folder / "ratings.jsonl", rated(answers) + rated(lines(more)))
    assert run(folder, *WITH_RATINGS).returncode == 0


@pytest.mark.parametrize(("change", "words"), [
    (changed(3, id="q9"), "line 4 (id q9): id: no such question was asked"),
    (changed(3, language="fr"), "line 4 (id q0): language: the question was not asked in fr"),
    (changed(3, right=1), "line 4 (id q0): right: expected true or false, got 1"),
    (changed(3, answer="another"), "line 4 (id q0): answer: another one than this run's, which is "),
    (lambda ratings: ratings[3].pop("right"), "line 4 (id q0): right: missing"),
    (lambda ratings: ratings.append(ratings[3]), "line 37 (id q0): repeated, first in line 4"),
    (lambda ratings: ratings.pop(3), "1 of 36 answers are not rated, the first is id q0, language ja, condition asked"),
    (lambda ratings: ratings.clear(), "no record in it"),
], ids=range(8))
def test_a_rating(answered, change, words):
    folder, answers = answered
    ratings = rated(answers)
    change(ratings)
    write(folder / "ratings.jsonl", ratings)
    refused(folder, 1, 65, f"ratings.jsonl: {words}", arguments=WITH_RATINGS, rewritten=REWRITTEN)


def test_no_such_ratings(answered, ranks):
    folder, _ = answered
    refused(folder, ranks, 65, "ratings.jsonl: no such file", arguments=WITH_RATINGS, rewritten=REWRITTEN)
    (folder / "ratings.jsonl").write_text('{"id": ')
    refused(folder, ranks, 65, "ratings.jsonl: line 1: byte 8: not valid JSON", arguments=WITH_RATINGS, rewritten=REWRITTEN)


def test_merge_of_answers_that_are_not_rated(answered):
    folder, _ = answered
    refused(folder, 1, 64, "rate.file: required with rate.by = file: ratings of run/answers.jsonl", arguments=("merge", "run"))


@pytest.mark.parametrize("options", [(), ("--rate.file=run/answers.jsonl",)], ids=["forgotten", "given"])
def test_ratings_written_beside_the_answers_stay(answered, options):
    """Whether or not the command says where they are."""
    folder, answers = answered
    write(folder / "run" / "answers.jsonl", rated(answers))
    assert run(folder, *BY_FILE, *options).returncode == 75
    assert lines(folder / "run" / "answers.jsonl") == rated(answers)


# --- by a model ---


@pytest.fixture
def with_rater(inputs):
    shutil.copytree(inputs.write().folder / "model", inputs.folder / "rater")
    return inputs.folder


def broken(folder):
    (folder / "rater" / "config.json").write_text('{"model_type"')


def no_model(folder):
    shutil.rmtree(folder / "rater")
    (folder / "rater").mkdir()


def narrow(folder):
    config = json.loads((folder / "rater" / "config.json").read_text())
    (folder / "rater" / "config.json").write_text(json.dumps(config | {"use_sliding_window": True, "sliding_window": 20}))


@pytest.mark.parametrize(("spoil", "chat", "words"), [
    (lambda folder: shutil.rmtree(folder / "rater"), "none", "rater/config.json: no such file"),
    (no_model, "none", "rater/config.json: no such file"),
    (broken, "none", "rater/config.json: byte 14: not valid JSON"),
    (lambda folder: None, "auto", "rate.chat = none"),
], ids=["no folder", "no model", "broken", "no template"])
def test_a_rater_that_is_none(with_rater, ranks, spoil, chat, words):
    """Before anything is asked."""
    spoil(with_rater)
    refused(with_rater, ranks, 65, "rater", words, arguments=(*BY_MODEL, "--rate.model=rater", f"--rate.chat={chat}"))


@pytest.mark.parametrize(("prompt", "words"), [
    ("{question} {answer}", "rate.prompt: expected {reference} exactly once, got it 0 times"),
    ("{question} {answer} {answer} {reference}", "rate.prompt: expected {answer} exactly once, got it 2 times")])
def test_a_raters_prompt(with_rater, prompt, words):
    refused(with_rater, 1, 64, words, arguments=(*BY_MODEL, "--rate.model=rater", f"--rate.prompt={prompt}"))


def test_a_raters_window(with_rater, ranks):
    narrow(with_rater)
    line = message(run(with_rater, *BY_MODEL, "--rate.model=rater", "--rate.chat=none", ranks=ranks), 65)
    assert "rater/config.json: sliding_window: 20 is shorter than " in line
    assert not list(with_rater.glob("run/units/rated-*/*.h5"))


def test_merge_of_a_run_that_no_model_has_rated(with_rater):
    assert run(with_rater, "xici", "xici.ini").returncode == 0
    line = refused(with_rater, 1, 65, "run: no model has rated", arguments=("merge", "run", "--rate.by=model", "--rate.model=rater"), rewritten=REWRITTEN)
    assert "run xici" in line


def test_merge_finds_verdicts_without_the_rater(with_rater):
    done = run(with_rater, *BY_MODEL, "--rate.model=rater", "--rate.chat=none", ranks=2)
    assert done.returncode == 0, done.stderr
    shutil.copy(with_rater / "run" / "xici.h5", with_rater / "whole.h5")
    shutil.rmtree(with_rater / "rater")
    assert run(with_rater, "merge", "run").returncode == 0
    assert compare_runs.compare(with_rater / "run" / "xici.h5", with_rater / "whole.h5") == []
    [unit, *_] = sorted(with_rater.glob("run/units/rated-*/*.h5"))
    unit.unlink()
    refused(with_rater, 1, 65, f"{unit.relative_to(with_rater)}: missing, run xici again", arguments=("merge", "run"), rewritten=REWRITTEN)
