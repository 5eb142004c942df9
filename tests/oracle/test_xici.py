"""Every answer and every captured weight of a xici.h5 against transformers' generate(), a sequence at a time: tiny
checkpoints of all families, prompts from one token to a hundred, experts deactivated in each of the three ways."""

import dataclasses
import itertools

import numpy as np
import pytest

import checkpoints
import program
import xici_reference
from tiny_xici_run import DATASETS, DTYPES, MAX_TOKENS, Asked, asked, find, is_known, settings  # noqa: F401, a fixture

WAYS = ["minimum", "minus-infinity", "ban"]
GAP = {"fp32": 1e-4, "fp64": 2e-5}  # of logits
CAPTURE = 1e-6  # from transformers in fp64: fp32 runs are up to 3.5e-7 away from it, and 1.01e-6 from its fp32
NEAR_TIE = 1e-6  # of routers, whose mean weights agree to 3.5e-7: a smaller gap could fall the other way


@dataclasses.dataclass
class Run:
    """A run of the program and what its answers have to be: (trial, language) -> answer, in the order of /answers."""
    asked: Asked
    precision: str
    by: str
    found: program.Sweep
    answers: dict

    @property
    def before(self):
        return {place: answer for place, answer in self.answers.items() if place[0] < len(DATASETS)}

    @property
    def after(self):
        return {place: answer for place, answer in self.answers.items() if place[0] >= len(DATASETS)}


def deactivated(found):
    """Trial -> experts."""
    return {trial: [(layer, expert) for t, layer, expert in zip(*(found["deactivated/" + name].tolist() for name in
                                                                  ("trial", "layer", "expert"))) if t == trial]
            for trial in range(len(DATASETS), len(found["trials/question"]))}


# The numbers of one way are those of all: on other kinds of processor one is repeated.
PARAMETERS = [pytest.param((name, precision, by), id=f"{name}-{precision}-{by}",
                           marks=[pytest.mark.numerics] * (by == "minimum")
                           + [pytest.mark.quick] * ((name, precision, by) == ("qwen3", "fp32", "minimum")))
              for name, precision, by in itertools.product(checkpoints.ONE_OF_EACH_FAMILY, DTYPES, WAYS)]


@pytest.fixture(scope="module", params=PARAMETERS)
def run(request, asked, tmp_path_factory):
    name, precision, by = request.param
    made, work = asked(name), tmp_path_factory.mktemp("run")
    config = program.write_config(work / "xici.ini", **settings(made, work / "run", model__precision=precision, deactivate__by=by))
    found = find(config, work / "run")
    answers = dict(made.answers(precision))
    for trial, experts in deactivated(found).items():
        question = found["trials/question"][trial]
        answers |= {(trial, l): xici_reference.ask(made.model(precision), prompt, MAX_TOKENS, experts, by)
                    for (q, l), prompt in made.prompts.items() if q == question}
    return Run(made, precision, by, found, answers)


def test_the_checkpoint_is_a_hard_test(run):
    lengths = sorted(len(prompt) for prompt in run.asked.prompts.values())
    assert lengths[0] <= (2 if run.asked.name == "mixtral" else 1) and lengths[-1] >= 10 * np.median(lengths)  # 2: with BOS
    ends = {(answer.tokens[-1] in run.asked.end, len(answer.tokens)) for answer in run.before.values()}
    assert {(True, 1), (False, MAX_TOKENS)} < ends and len(ends) > 2
    assert min(gap for answer in run.answers.values() for gap in answer.gaps) > 2 * GAP[run.precision]
    assert min(answer.router_gap for answer in run.answers.values()) > NEAR_TIE
    assert len(run.after) > 50
    questions = run.found["trials/question"]
    assert np.mean([answer.tokens != run.before[questions[trial], l].tokens for (trial, l), answer in run.after.items()]) > 0.3
    disobeyed = sum(answer.disobeyed for answer in run.after.values())
    assert (disobeyed > 0) == (run.asked.name == "glm4" and run.by != "ban")


def test_prompts(run):
    found, prompts = run.found, run.asked.prompts
    assert list(zip(found["variants/question"], found["variants/language"])) == list(prompts)
    assert list(found["variants/token_begin"]) == [0, *itertools.accumulate(map(len, prompts.values()))]
    assert list(found["variants/token_ids"]) == [token for prompt in prompts.values() for token in prompt]


def test_every_answer(run):
    answers, found = run.answers, run.found
    assert list(zip(found["answers/trial"], found["answers/language"])) == list(answers)
    places = [(trial, l, i, token) for (trial, l), answer in answers.items() for i, token in enumerate(answer.tokens)]
    assert list(zip(*(found["answer_tokens/" + name] for name in ("trial", "language", "place", "token")))) == places
    assert list(found["answers/tokens"]) == [len(answer.tokens) for answer in answers.values()]
    assert list(found["answers/stopped"]) == [answer.tokens[-1] in run.asked.end for answer in answers.values()]
    assert list(found["answers/text"]) == [run.asked.text(answer.tokens) for answer in answers.values()]
    assert "" in found["answers/text"]  # one that ended at once
    np.testing.assert_allclose(found["answer_tokens/gap"], [gap for answer in answers.values() for gap in answer.gaps], rtol=0,
                               atol=GAP[run.precision])


def test_what_deactivated_experts_are_chosen_for(run):
    assert list(run.found["answers/disobeyed"]) == [answer.disobeyed for answer in run.answers.values()]


def test_captures(run):
    found, before = run.found, run.asked.answers("fp64")
    assert list(zip(found["capture/trial"], found["capture/language"])) == list(before)
    for part in ("prompt", "answer"):
        assert list(found[f"capture/{part}_tokens"]) == [getattr(answer, part + "_tokens") for answer in before.values()]
        expected = np.stack([getattr(answer, part).flatten() for answer in before.values()])
        np.testing.assert_allclose(found["capture/" + part], expected, rtol=0, atol=CAPTURE, err_msg=part)
        assert ((found["capture/" + part] > 0) == (expected > 0)).all()


def test_known_answers_are_right(run):
    right = run.found["ratings/right"][:len(run.before)]
    texts = [run.asked.text(answer.tokens) for answer in run.asked.answers("fp32").values()]
    assert list(right) == [is_known(place, text) for place, text in zip(run.before, texts)] and 5 < right.sum() < len(right) - 5


@pytest.mark.parametrize("name", ["qwen3", "mixtral"])
def test_a_form_of_ones_own(asked, tmp_path, name):
    made, system = asked(name), "Be brief."
    config = program.write_config(tmp_path / "xici.ini", **settings(
        made, tmp_path / "run", questions__languages="aa,dd", ask__chat="custom", ask__system=system, ask__prefix="[\\s",
        ask__infix="\\n-", ask__suffix="\\s]\\n\\n"))
    found = find(config, tmp_path / "run")
    prompts = [made.tokenizer.encode(f"[ {system}\n-{text} ]\n\n").ids for (q, l), text in made.texts.items() if l in (0, 3)]
    assert list(found["variants/token_ids"]) == [token for prompt in prompts for token in prompt]
    answers = [xici_reference.ask(made.model("fp32"), prompt, MAX_TOKENS) for prompt in prompts]
    before = found["answer_tokens/trial"] < len(DATASETS)
    assert list(found["answer_tokens/token"][before]) == [token for answer in answers for token in answer.tokens]
