"""Questions, chat forms and keys with which xici cannot begin: one line that names file or key, the same code on every
rank, and no folder made. What a run can only find later costs no unit."""

import json

import numpy as np
import pytest

from tiny import FIRST, HIDDEN, INNER, OPENED, SECOND, message, refused, run

XICI = ("xici", "xici.ini")
ROUTER = "model.layers.1.mlp.gate.weight"


def xici_refuses(inputs, ranks, code, *words, options=(), new_files=()):
    return refused(inputs.folder, ranks, code, *words, arguments=(*XICI, *options), new_files=new_files)


@pytest.mark.quick
def test_sound_questions_are_not_refused(inputs, ranks):
    """So that every refusal below comes of its own defect; and both kinds of answers are there."""
    done = run(inputs.write().folder, *XICI, ranks=ranks)
    assert done.returncode == 0, done.stderr
    assert "west: 2 of 2 questions answered right in some languages, 2 of them with experts" in done.stdout
    assert "wrote run/xici.h5" in done.stdout


# --- the file ---


def test_no_questions_file(inputs, ranks):
    (inputs.write().folder / "questions.jsonl").unlink()
    xici_refuses(inputs, ranks, 65, "questions.jsonl: no such file")


def test_a_folder_in_its_place(inputs, ranks):
    path = inputs.write().folder / "questions.jsonl"
    path.unlink()
    path.mkdir()
    xici_refuses(inputs, ranks, 74, "questions.jsonl: cannot be read: it is not a regular file")


@pytest.mark.parametrize(("content", "words"), [
    (b"", "no record in it"), (b"\n \n", "no record in it"), (b"[]\n", "expected JSON lines, got an array"),
    (b'{"id": 1\n', "line 1: byte 9: not valid JSON: it ends too early"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4\n", "line 1: a Git LFS pointer, not the file itself"),
], ids=str)
def test_no_questions_in_it(inputs, content, words):
    (inputs.write().folder / "questions.jsonl").write_bytes(content)
    xici_refuses(inputs, 1, 65, f"questions.jsonl: {words}")


def test_cut_at_any_byte(inputs, ranks):
    """Only at the end of a line is a shorter file a sound one."""
    path = inputs.write().folder / "questions.jsonl"
    whole = path.read_bytes()
    for size in np.linspace(1, len(whole) - 2, 4 if ranks == 1 else 1, dtype=int):
        assert whole[size - 1:size + 1].count(b"\n") == 0
        path.write_bytes(whole[:size])
        begin, number = whole.rfind(b"\n", 0, size) + 1, whole.count(b"\n", 0, size) + 1
        xici_refuses(inputs, ranks, 65, f"questions.jsonl: line {number}: byte {size - begin + 1}: not valid JSON: it ends too early")


def test_a_key_that_a_run_needs(inputs, ranks):
    inputs.xici_ini = inputs.xici_ini.replace("path = questions.jsonl\n", "")
    inputs.write()
    xici_refuses(inputs, ranks, 64, "questions.path: required, set it in the configuration or as --questions.path=...")


# --- its fields ---


def without(key):
    return lambda question: question.pop(key)


def of_thai(**fields):
    return lambda question: question["languages"]["th"].update(fields)


@pytest.mark.parametrize(("change", "words"), [
    (lambda question: question.update(languages={}), "(id q2): languages: empty"),
    (lambda question: question["languages"].update(th=None), "(id q2): languages.th: "),
    (lambda question: question["languages"]["th"].pop("answers"), "(id q2): languages.th.answers: missing"),
    (of_thai(answers=[]), "(id q2): languages.th.answers: empty"),
    (of_thai(answers="a"), "(id q2): languages.th.answers: expected a list of texts, got "),
    (of_thai(answers=["a", " "]), "(id q2): languages.th.answers[1]: blank"),
    (of_thai(answers=["."]), "(id q2): languages.th.answers[0]: no letter, digit or symbol in it"),
    (of_thai(question=" "), "(id q2): languages.th.question: blank"),
    (of_thai(question=7), "(id q2): languages.th.question: "),
    (without("dataset"), "(id q2): dataset: missing"),
    (without("languages"), "(id q2): languages: missing"),
    (without("id"), ": id: missing"),
    (lambda question: question.update(id="q1"), "(id q1): id: repeated, first in line 2"),
], ids=range(13))
def test_a_field(inputs, change, words):
    change(inputs.questions[2])
    inputs.write()
    line = xici_refuses(inputs, 1, 65, "questions.jsonl: line 3")
    assert words in line, line


def test_a_language_without_answers(inputs, ranks):
    del inputs.questions[5]["languages"]["th"]["answers"]
    inputs.write()
    xici_refuses(inputs, ranks, 65, "questions.jsonl: line 6 (id q5): languages.th.answers: missing")


@pytest.mark.parametrize(("option", "words"), [
    ("--questions.datasets=west,north", "questions.datasets: no question of north, there are west, east"),
    ("--questions.languages=de,fr", "questions.languages: no question of fr, there are de, en, id, ja, th, zh"),
    ("--questions.limit=-1", "--questions.limit: expected a whole number from 0"),
])
def test_what_is_asked(inputs, ranks, option, words):
    inputs.write()
    xici_refuses(inputs, ranks, 64, words, options=[option])


# --- how they are asked ---


@pytest.mark.parametrize(("template", "words"), [
    (None, "model: no chat template, in chat_template.jinja or tokenizer_config.json: set ask.chat = custom with ask.prefix, "),
    ("{{ messages }}", "model/chat_template.jinja: expected the chat template of Qwen3, ")])
def test_a_chat_template_that_is_not_known(inputs, ranks, template, words):
    inputs.write()
    if template:
        (inputs.folder / "model" / "chat_template.jinja").write_text(template)
    line = xici_refuses(inputs, ranks, 65, words, options=["--ask.chat=auto"])
    assert "or ask.chat = none" in line


@pytest.mark.parametrize(("key", "value"), [("prefix", "a\\q"), ("infix", "\\"), ("suffix", "a\\\\\\"), ("system", "\\x")])
def test_an_escape_that_is_none(inputs, key, value):
    inputs.write()
    xici_refuses(inputs, 1, 64, f"--ask.{key}: expected a text with a backslash only in \\n, ", f"got '{value}'",
                 options=["--ask.chat=custom", f"--ask.{key}={value}"])


@pytest.mark.parametrize(("option", "words"), [
    ("--ask.prefix=x", "ask.prefix, ask.infix, ask.suffix: used only with ask.chat = custom"),
    ("--ask.max_tokens=0", "--ask.max_tokens: expected a whole number from 1"),
    ("--rate.model=model", "rate.model: used only with rate.by = model"),
    ("--rate.by=model", "rate.model: required with rate.by = model"),
    ("--rate.file=ratings.jsonl", "rate.file: used only with rate.by = file"),
    ("--identify.layers=1-2", "identify.layers: expected layers 0 to 1 of this model, got 2"),
    ("--identify.cap=0", "--identify.cap: expected a whole number from 1"),
    ("--identify.alpha=1.5", "--identify.alpha: "),
    ("--deactivate.by=hand", "--deactivate.by: expected minimum | minus-infinity | ban, got 'hand'"),
    ("--deactivate.caps=5,0", "deactivate.caps: "),
    ("--deactivate.caps=-3", "--deactivate.caps: expected numbers such as 1,2,4, or nothing, got '-3'"),
    ("--run.memory=1MiB", "run.memory: 1MiB is too little, at least "),
])
def test_a_key(inputs, ranks, option, words):
    inputs.write()
    late = [*OPENED, "run/questions.h5"] if "memory" in option else []
    xici_refuses(inputs, ranks, 64, words, options=[option], new_files=late)


def test_layers_without_routed_experts(inputs):
    """Said before anything is asked."""
    inputs.config |= {"mlp_only_layers": [0], "intermediate_size": INNER}
    for name in [name for name in inputs.index if name.startswith("model.layers.0.mlp.")]:
        inputs.change(name, lambda values: None)
    for name, shape in (("gate", (INNER, HIDDEN)), ("up", (INNER, HIDDEN)), ("down", (HIDDEN, INNER))):
        inputs.index[f"model.layers.0.mlp.{name}_proj.weight"] = FIRST
        inputs.shards[FIRST].add(f"model.layers.0.mlp.{name}_proj.weight", np.ones(shape))
    inputs.write()
    xici_refuses(inputs, 1, 64, "identify.layers: expected a layer with routed experts, got 0", options=["--identify.layers=0"])
    assert run(inputs.folder, *XICI).returncode == 0


@pytest.mark.parametrize(("content", "code", "words"), [
    ('{"eos_token_id": 7', 65, "not valid JSON"),
    ('{"eos_token_id": "x"}', 65, 'eos_token_id: expected a token id in [0, 16777216), found "x"'),
    ('{"eos_token_id": [3, 9999]}', 65, "eos_token_id.1: expected a token of tokenizer.json, found 9999"),
    (None, 74, "cannot be read: it is not a regular file")], ids=str)
def test_generation_config(inputs, ranks, content, code, words):
    path = inputs.write().folder / "model" / "generation_config.json"
    path.write_text(content) if content else path.mkdir()
    xici_refuses(inputs, ranks, code, "model/generation_config.json: ", words)


def test_a_model_without_stop_tokens_says_so(inputs):
    """Its answers are as long as they may be."""
    note = "no file of the model names a token that ends an answer: each has ask.max_tokens tokens\n"
    assert note in run(inputs.write().folder, *XICI).stdout
    assert note in run(inputs.folder, "plan", "xici", "xici.ini").stdout
    (inputs.folder / "model" / "generation_config.json").write_text('{"eos_token_id": 5}')
    assert note not in run(inputs.folder, "plan", "xici", "xici.ini").stdout


def test_a_window_shorter_than_prompt_and_answer(inputs, ranks):
    """The longest, of Ada, has 12 tokens and feeds all of its answer but the last one."""
    inputs.config |= {"use_sliding_window": True, "sliding_window": 14}
    inputs.write()
    xici_refuses(inputs, ranks, 65, "model/config.json: sliding_window: 14 is shorter than the 15 tokens of question q0 (en) and its answer")
    inputs.config["sliding_window"] = 15
    assert run(inputs.write().folder, *XICI).returncode == 0


def test_weights_that_are_no_numbers(inputs, ranks):
    inputs.change(ROUTER, lambda values: values * np.nan)
    inputs.write()
    xici_refuses(inputs, ranks, 65, f"model/{SECOND}: {ROUTER}: holds a NaN or an infinity", new_files=[*OPENED, "run/questions.h5"])


def test_logits_that_are_no_numbers(inputs, ranks):
    """Sound weights whose product overflows: no answer is invented."""
    inputs.change("lm_head.weight", lambda values: values * 0 + 3e38)
    inputs.write()
    xici_refuses(inputs, ranks, 65, "model: the model's logits are not finite", new_files=[*OPENED, "run/questions.h5"])


# --- plan, and what is found later ---


def test_plan(inputs, ranks):
    done = run(inputs.write().folder, "plan", "xici", "xici.ini", ranks=ranks)
    assert done.returncode == 0 and "36 at first" in done.stdout
    assert not (inputs.folder / "run").exists()
    (inputs.folder / "questions.jsonl").unlink()
    refused(inputs.folder, ranks, 65, "questions.jsonl: no such file", arguments=("plan", "xici", "xici.ini"))


@pytest.mark.parametrize(("option", "key"), [("--identify.cap=8", "identify.cap"), ("--deactivate.caps=8", "deactivate.caps")])
def test_too_few_experts_are_left(inputs, ranks, option, key):
    """Which is known when the questions are answered, and costs none of them: another cap goes on."""
    done = run(inputs.write().folder, *XICI, option, ranks=ranks)
    line = message(done, 64)
    assert key in line and ": question q" in line and "3 experts of layer 1 are to be deactivated, which leaves 1 to choose 2 from" in line, line
    answered = {path: path.read_bytes() for path in inputs.folder.glob("run/units/*.h5")}
    assert len(answered) == 3
    assert run(inputs.folder, *XICI, ranks=ranks).returncode == 0
    assert answered == {path: path.read_bytes() for path in answered}
