"""The whole second method on a planted checkpoint: it finds the carriers of each answer and no other expert,
deactivation takes exactly the answers that they carry, and no other set does."""

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer

import planted_xici as planted
import program
import reference
import xici_reference

KINDS = ["identified", "random", "shuffled", "same_relation", "permuted", "single"]
WAYS = [pytest.param("minimum", marks=pytest.mark.quick), "minus-infinity", "ban"]


class Run:
    def __init__(self, found):
        self.table = lambda name: pd.DataFrame({column.removeprefix(name + "/"): values for column, values in found.columns.items()
                                                if column.startswith(name + "/")})
        self.answers = self.table("answers")
        self.answers["question"] = found["trials/question"][self.answers.trial]
        self.deactivated = {trial: set(zip(rows.layer, rows.expert)) for trial, rows in self.table("deactivated").groupby("trial")}
        self.conditions = self.table("conditions").assign(question=lambda rows: found["trials/question"][rows.trial])
        self.ablation = self.table("results/ablation").set_index("kind")

    def is_right(self, trial, language):
        question = self.conditions.question[self.conditions.trial == trial].iloc[0] if trial >= planted.QUESTIONS else trial
        return planted.is_right(question, language, self.deactivated.get(trial, ()))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return planted.write(tmp_path_factory.mktemp("planted") / "model")


@pytest.fixture(scope="module", params=WAYS)
def run(request, model, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "run"
    # tau: a carrier weighs more than 0.14 where it carries. What eq. 2 leaves of another question's carrier is 0.01 at
    # most.
    config = program.write_config(
        out.with_suffix(".ini"), model__path=model, model__precision="fp32", questions__path=model / "questions.jsonl",
        ask__chat="none", ask__max_tokens=3, identify__tau=0.05, deactivate__by=request.param, deactivate__draws=4,
        deactivate__same_relation="yes", deactivate__permuted="yes", deactivate__singles="yes", stats__bootstrap=100,
        stats__sign_flips=100, run__out=out)
    program.call("xici", config, ranks=2)
    return Run(program.Sweep(out / "xici.h5"))


@pytest.mark.quick
def test_transformers_answers_as_planted(model):
    loaded, tokenizer = reference.load_model(model, torch.float32), Tokenizer.from_file(str(model / "tokenizer.json"))
    for q, l in [(0, 0), (0, 1), (3, 0), (3, planted.COMMON), (4, planted.COMMON), (7, 3), (7, 9), (planted.CARRIED, 0)]:
        for off in (set(), planted.carriers(q), set(list(planted.carriers(q))[:1]), planted.carriers(8)):
            made = xici_reference.ask(loaded, tokenizer.encode(planted.question(q, l)).ids, 3, off)
            said = planted.answer(q) if planted.is_right(q, l, off) else planted.UNKNOWN
            assert tokenizer.decode(made.tokens, skip_special_tokens=True) == " " + said, (q, l, off)
            assert len(made.tokens) == 2 and min(made.gaps) > 0.5


def test_what_is_planted():
    """A question of each kind, each with right and wrong languages."""
    right = np.array([[planted.is_right(q, l) for l in range(planted.LANGUAGES)] for q in range(planted.QUESTIONS)])
    assert sorted(set(right.sum(1))) == [0, 5, 6] and right[:, :planted.COMMON].sum(0).std() < 1
    alone = [[planted.is_right(q, min(planted.languages_of(q)), {expert}) for expert in planted.carriers(q)]
             for q in range(planted.CARRIED)]
    assert alone == [[True] * 2, [False] * 2] * (planted.CARRIED // 2)


def test_the_carriers_are_found_and_no_other_expert(run):
    experts = run.table("experts")
    assert (experts.kept == 1).all()
    found = {q: set(zip(rows.layer, rows.expert)) for q, rows in experts.groupby("question")}
    assert found == {q: planted.carriers(q) for q in range(planted.CARRIED)}
    blacklist = run.table("blacklist")
    assert list(zip(blacklist.layer, blacklist.expert)) == [planted.GENERALIST]


def test_every_answer_under_every_condition(run):
    assert set(run.conditions.kind) == set(KINDS)
    right = [run.is_right(trial, language) for trial, language in zip(run.answers.trial, run.answers.language)]
    said = [" " + (planted.answer(q) if is_right else planted.UNKNOWN) for q, is_right in zip(run.answers.question, right)]
    assert list(run.answers.text) == said
    assert list(run.table("ratings").right) == right
    assert (run.answers.stopped == 1).all() and (run.answers.tokens == 2).all() and (run.answers.disobeyed == 0).all()


def test_rates(run):
    for kind, row in run.ablation.iterrows():
        pairs = [(planted.is_right(q, l), run.is_right(trial, l), (q, trial)) for q, trial in
                 run.conditions[run.conditions.kind == kind][["question", "trial"]].itertuples(index=False)
                 for l in range(planted.LANGUAGES)]
        before, after = (np.array([pair[i] for pair in pairs]) for i in (0, 1))
        assert (row.right, row.lost, row.wrong, row.gained) == (before.sum(), (before & ~after).sum(), (~before).sum(),
                                                                (~before & after).sum()), kind
        assert row.success == row.lost / row.right and row.gain == row.gained / row.wrong == 0, kind
    carried = sum(len(planted.languages_of(q)) for q in range(planted.CARRIED))
    common = sum(map(planted.known_commonly, range(planted.CARRIED)))
    identified = run.ablation.loc["identified"]
    assert (identified.lost, identified.right) == (carried, carried + common)
    assert identified.silenced == planted.CARRIED - common
    assert run.ablation.success["shuffled"] == run.ablation.success["same_relation"] == 0
    assert run.ablation.success["random"] < 0.05
    assert run.ablation.success["single"] == pytest.approx(identified.success / 2, abs=0.01)  # odd questions need both
