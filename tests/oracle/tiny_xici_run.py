"""What the tests of whole xici runs share: made-up questions, tiny checkpoints whose answers end, and how these answer
by transformers."""

import dataclasses
import functools
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

import checkpoints
import program
import reference
import xici_reference

MAX_TOKENS = 6
CAP = 4
DTYPES = {"fp32": torch.float32, "fp64": torch.float64}
SEEDS = {"qwen3": 0, "mixtral": 0, "glm4": 0}  # of the questions: without near ties, as test_xici.py demands

# Made-up languages: one asks by a letter, most by some tokens, one by far more than any other.
LANGUAGES = {
    "aa": lambda name: name[0],
    "bb-Latn": lambda name: f"{name} is",
    "cc": lambda name: f"in {name}",
    "dd": lambda name: f"{name[:3]}, 東",
    "ee": lambda name: f"of {name[:2]}",
    "ff": lambda name: "In the old books that were written a long time ago, and in the songs of the river, " * 2 + name,
}
NOT_ASKED = (1, 2)  # a question and a language that it lacks
DATASETS = ["one", "one", "two", "one", "two"]  # by question
NOBODY_KNOWS = "nobody knows"


def make_texts(seed):
    """(question, language) -> what is asked"""
    draw = np.random.default_rng(seed)
    names = ["".join(draw.choice(["Zü", "Var", "lo", "Kat", "ia", "nu", "fel", "den"], 3)) for _ in DATASETS]
    return {(q, l): words(name) for q, name in enumerate(names) for l, words in enumerate(LANGUAGES.values()) if (q, l) != NOT_ASKED}


def is_known(place, text):
    """Whether the questions file knows this answer. No answer to the last question is right."""
    q, l = place
    return q + 1 < len(DATASETS) and (q + l) % 3 != 0 and any(letter.isalnum() for letter in text)


def write_questions(path, texts, answers):
    """A questions file that knows some of the model's answers (text by place)."""
    records = [{"id": f"q{q}", "dataset": dataset, "languages": {
        label: {"question": texts[q, l], "answers": [answers[q, l] if is_known((q, l), answers[q, l]) else NOBODY_KNOWS]}
        for l, label in enumerate(LANGUAGES) if (q, l) in texts}} for q, dataset in enumerate(DATASETS)]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


# --- a checkpoint whose answers end ---


def make_ending_checkpoint(name, folder, copy, prompts):
    """A copy of the checkpoint in which some answers end at once, by the tokenizer's special token (two rows of the
    head change places for that), and some later, by an ordinary one."""
    checkpoints.with_config(folder, copy, dict)
    end = Tokenizer.from_file(str(copy / "tokenizer.json")).token_to_id("</s>" if name == "mixtral" else "<|endoftext|>")
    model = reference.load_model(copy, torch.float32)
    model.generation_config.eos_token_id = None
    answers = [xici_reference.ask(model, prompt, MAX_TOKENS).tokens for prompt in prompts]
    at_once = answers[0][0]
    later = next(token for answer in answers[::-1] for token in answer[2:-1] if token not in (end, at_once))
    swap_head_rows(copy, end, at_once)
    (copy / "generation_config.json").unlink()
    (copy / "generation_config.json").write_text(json.dumps({"eos_token_id": [end, later]}))
    return copy


def swap_head_rows(folder, one, other):
    for path in folder.glob("*.safetensors"):
        tensors = load_file(path)
        if "lm_head.weight" in tensors:
            tensors["lm_head.weight"][[one, other]] = tensors["lm_head.weight"][[other, one]]
            path.unlink()  # a link
            save_file(tensors, path, metadata={"format": "pt"})


@dataclasses.dataclass
class Asked:
    """A checkpoint, what it is asked, and how it answers."""
    name: str
    folder: object
    texts: dict    # (question, language) -> text
    prompts: dict  # the same -> tokens
    questions: object = None

    def __post_init__(self):
        self.tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        self.end = set(json.loads((self.folder / "generation_config.json").read_text())["eos_token_id"])

    @functools.cache
    def model(self, precision):
        return reference.load_model(self.folder, DTYPES[precision])

    @functools.cache
    def answers(self, precision):
        return {place: xici_reference.ask(self.model(precision), prompt, MAX_TOKENS) for place, prompt in self.prompts.items()}

    def text(self, tokens):
        """Of an answer, as a column holds it: a zero byte would end it."""
        return self.tokenizer.decode(tokens, skip_special_tokens=True).replace("\0", "\ufffd")

    __hash__ = object.__hash__


@pytest.fixture(scope="module")
def asked(checkpoint, tmp_path_factory):
    """A function from a recipe's name to what is asked."""
    @functools.cache
    def make(name):
        work, texts = tmp_path_factory.mktemp(name), make_texts(SEEDS[name])
        tokenizer = Tokenizer.from_file(str(checkpoint(name) / "tokenizer.json"))
        prompts = {place: tokenizer.encode(text).ids for place, text in texts.items()}
        made = Asked(name, make_ending_checkpoint(name, checkpoint(name), work / "model", list(prompts.values())), texts, prompts)
        answers = {place: made.text(answer.tokens) for place, answer in made.answers("fp32").items()}
        made.questions = write_questions(work / "questions.jsonl", texts, answers)
        return made
    return make


# --- runs ---


def find(config, out):
    program.call("xici", config)
    return program.Sweep(out / "xici.h5")


def settings(asked, out, **more):
    """Of a run in which experts are found: random ones, for the model knows nothing."""
    return dict(model__path=asked.folder, questions__path=asked.questions, ask__chat="none", ask__max_tokens=MAX_TOKENS,
                identify__layers="all", identify__alpha=1, identify__tau=0, identify__cap=CAP, run__unit=2, run__out=out) | more
