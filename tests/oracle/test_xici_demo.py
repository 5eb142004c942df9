"""The second method on the multilingual demo against the demo's own evaluation, which knows transformers and scipy
alone: the same answers, ratings, experts and rates. Every count of an ablation again from the file's answers and
ratings."""

import sys

import numpy as np
import pandas as pd
import pytest

import program

DEMO = program.ROOT / "demo" / "multilingual"
sys.path.insert(0, str(DEMO))
import evaluate  # noqa: E402

EVERY = 54  # of the demo's questions, one in so many
SETTINGS = dict(model__path=DEMO / "model", model__precision="fp32", ask__chat="none", ask__max_tokens=evaluate.MAX_TOKENS,
                deactivate__same_relation="yes", deactivate__permuted="yes", deactivate__caps=1,
                stats__bootstrap=100, stats__sign_flips=100)


class Run:
    """A run, and the evaluation's first steps: answers, weights, ratings [questions, languages], experts of each
    question."""

    def __init__(self, found, questions):
        self.found = found
        self.asker, self.asked = evaluate.Asker(DEMO / "model"), evaluate.read_questions(questions)
        self.count, self.languages = len(self.asked.records), len(self.asked.languages)
        self.answers, weights = self.asker.ask(self.asked.texts)
        self.right = self.asked.right(self.answers, range(len(self.answers))).reshape(self.count, self.languages)
        self.blacklist = evaluate.blacklist(weights)
        values = weights.reshape(self.count, self.languages, -1)
        values = values - values.mean(0)
        self.mixed = np.flatnonzero(self.right.any(1) & ~self.right.all(1))
        own = {int(q): evaluate.identify(values[q], self.right[q], ~self.blacklist) for q in self.mixed}
        self.own = {q: self.pairs(experts) for q, experts in own.items() if len(experts)}

    def pairs(self, columns):
        return [divmod(int(column), self.asker.experts) for column in columns]

    def table(self, name):
        columns = {column.removeprefix(name + "/"): values for column, values in self.found.columns.items()}
        return pd.DataFrame({column: values for column, values in columns.items()
                             if "/" not in column and name + "/" + column in self.found.columns})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    work = tmp_path_factory.mktemp("demo")
    questions = work / "questions.jsonl"
    lines = (DEMO / "questions.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    questions.write_text("".join(lines[::EVERY]), encoding="utf-8")
    config = program.write_config(work / "xici.ini", questions__path=questions, run__out=work / "run", **SETTINGS)
    program.call("xici", config)
    return Run(program.Sweep(work / "run" / "xici.h5"), questions)


def test_the_same_answers_and_ratings(run):
    answers, ratings = run.table("answers"), run.table("ratings")
    asked = answers.trial < run.count
    assert [text.strip() for text in answers.text[asked]] == [text.strip() for text in run.answers]
    assert list(ratings.right[asked]) == list(run.right.flatten())
    assert list(run.found["languages/label"]) == run.asked.languages
    [outcomes] = run.table("results/outcomes").itertuples()
    assert (outcomes.mixed, outcomes.all_right) == (len(run.mixed), run.right.all(1).sum()) and outcomes.mixed > 5


def test_the_same_experts(run):
    experts, blacklist = run.table("experts"), run.table("blacklist")
    kept = experts[experts.kept == 1]
    assert {q: list(zip(rows.layer, rows.expert)) for q, rows in kept.groupby("question")} == run.own
    assert list(zip(blacklist.layer, blacklist.expert)) == run.pairs(np.flatnonzero(run.blacklist))
    assert len(run.own) > 3


def test_the_same_rates(run):
    """All sets of the run, the drawn and exchanged ones among them, deactivated by the evaluation."""
    answers, trials = run.table("answers"), run.table("trials")
    again = answers[answers.trial >= run.count]
    off = np.zeros((len(trials), run.asker.layers, run.asker.experts), bool)
    off[tuple(run.table("deactivated")[["trial", "layer", "expert"]].to_numpy().T)] = True
    numbers = [trials.question[trial] * run.languages + language for trial, language in zip(again.trial, again.language)]
    texts, _ = run.asker.ask([run.asked.texts[n] for n in numbers], off[again.trial].reshape(len(again), -1))
    assert [text.strip() for text in again.text] == [text.strip() for text in texts]
    right = run.asked.right(texts, numbers)
    assert list(run.table("ratings").right[len(run.answers):]) == list(right)

    conditions, cap = run.table("conditions"), run.found["conditions/cap"].max()
    own = conditions[(conditions.kind == "identified") & (conditions.cap == cap)].trial
    assert list(trials.question[own]) == list(run.own)
    after = {trials.question[trial]: right[again.trial == trial] for trial in own}
    figures = evaluate.figures(run.right, after, after, list(run.own))
    ablation = run.table("results/ablation")
    [line] = ablation[(ablation.kind == "identified") & (ablation.cap == cap)].itertuples()
    assert (line.success, line.gain, line.right) == (figures["success"], figures["spurious"], figures["pairs"])


def test_every_ablation_from_answers_and_ratings(run):
    answers = run.table("answers").assign(right=run.table("ratings").right)
    trials, conditions, ablation = run.table("trials"), run.table("conditions"), run.table("results/ablation")
    assert set(zip(ablation.kind, ablation.cap)) == set(zip(conditions.kind, conditions.cap))
    assert set(conditions.kind) == {"identified", "random", "shuffled", "same_relation", "permuted"}
    before = answers[answers.trial < run.count].set_index(["trial", "language"]).right.rename("before").rename_axis(
        ["question", "language"])
    for line in ablation.itertuples():
        group = conditions[(conditions.kind == line.kind) & (conditions.cap == line.cap)].rename_axis("set").reset_index()
        group["question"] = trials.question[group.trial].to_numpy()
        pairs = group.merge(answers, on="trial").merge(before.reset_index(), on=["question", "language"])
        lost, gained = pairs.before & ~pairs.right & 1, ~pairs.before & 1 & pairs.right
        by_set = pairs.groupby("set")[["before", "right"]].sum()
        assert (line.questions, line.sets) == (group.question.nunique(), len(group))
        assert line.experts == trials.experts[group.trial].mean()
        assert (line.right, line.lost, line.wrong, line.gained) == (pairs.before.sum(), lost.sum(), (1 - pairs.before).sum(),
                                                                    gained.sum())
        assert line.silenced == ((by_set.before > 0) & (by_set.right == 0)).sum()
        assert line.disobeyed == pairs.disobeyed.sum()
        assert line.success == pytest.approx(lost.sum() / pairs.before.sum(), rel=1e-12)
        assert line.gain == pytest.approx(gained.sum() / (1 - pairs.before).sum(), rel=1e-12)
        assert line.difference == pytest.approx(line.success - line.gain, rel=1e-12, abs=1e-15)
