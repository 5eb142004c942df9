"""rate.by = model: what the rater says is what transformers' generate() says, and its verdicts decide."""

import json

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

import program
import reference
import xici_reference

SAID = 8  # tokens
SYSTEM, PROMPT = "Grade.", "Q {question} R {reference} A {answer} right?"
LANGUAGES = ["aa", "bb", "cc"]


@pytest.fixture(scope="module")
def rated(checkpoint, tmp_path_factory):
    """A run in which a Mixtral rates what a Qwen3 answers, in two ways of dealing out."""
    work = tmp_path_factory.mktemp("rated")
    questions = [{"id": f"q{q}", "dataset": "made", "languages": {
        label: {"question": f"{label} {q} is", "answers": [f"word{q}"]} for label in LANGUAGES}} for q in range(5)]
    (work / "questions.jsonl").write_text("".join(json.dumps(question) + "\n" for question in questions))
    runs = []
    for name, ranks, unit in (("one", 1, 16), ("three", 3, 2)):
        config = program.write_config(
            work / f"{name}.ini", model__path=checkpoint("qwen3"), model__precision="fp32", ask__chat="none",
            questions__path=work / "questions.jsonl", ask__max_tokens=5, rate__by="model", rate__chat="none",
            rate__model=checkpoint("mixtral"), rate__system=SYSTEM, rate__prompt=PROMPT, identify__layers="all",
            run__unit=unit, run__out=work / name)
        program.call("xici", config, ranks=ranks)
        runs.append(program.Sweep(work / name / "xici.h5"))
    return checkpoint("mixtral"), questions, runs


def test_verdicts(rated):
    folder, questions, (found, _) = rated
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    model = reference.load_model(folder, torch.float32)
    assert len(found["verdicts/said"]) == len(found["answers/text"]) == len(questions) * len(LANGUAGES)
    for trial, language, answer, said, verdict, right in zip(*(found[name] for name in (
            "answers/trial", "answers/language", "answers/text", "verdicts/said", "verdicts/verdict", "ratings/right"))):
        asked = questions[trial]["languages"][LANGUAGES[language]]
        text = PROMPT.format(question=asked["question"], reference=asked["answers"][0], answer=answer)
        made = xici_reference.ask(model, tokenizer.encode(f"{SYSTEM}\n{text}").ids, SAID)
        assert min(made.gaps) > 1e-4  # else the tokens could differ
        assert said == tokenizer.decode(made.tokens, skip_special_tokens=True).replace("\0", "")
        word = said.split()[0].strip(".,:;!\"'").lower() if said.split() else ""
        assert verdict == {"yes": "yes", "no": "no"}.get(word, "unparsable")
        assert right == (verdict == "yes")
    assert found["results/raters/unparsable"][0] == np.sum(found["verdicts/verdict"] == "unparsable")


def test_ranks_and_units_change_no_bit(rated):
    *_, (one, three) = rated
    program.assert_same_bits(one, three)


def test_a_prompt_without_a_place_for_the_answer(rated, checkpoint, tmp_path):
    config = program.write_config(tmp_path / "x.ini", model__path=checkpoint("qwen3"), ask__chat="none", rate__by="model",
                                  rate__model=checkpoint("mixtral"), rate__prompt="{question} {reference}",
                                  questions__path=tmp_path / "none.jsonl", run__out=tmp_path / "run")
    assert "rate.prompt" in program.call("xici", config, expect=64).stderr
