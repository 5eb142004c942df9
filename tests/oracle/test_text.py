"""Decoding, chat forms and stop tokens against the `tokenizers` package and transformers, by the test tool
text_probe."""
import json
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils.chat_template_utils import render_jinja_template

import program
from test_tokenizer import DATA, MARK, REAL, SMALL, TOOL, added, needs_data

pytestmark = pytest.mark.skipif(not TOOL.exists(), reason=f"{TOOL} is not built")


def answers(folder, questions):
    lines = "".join(json.dumps(question) + "\n" for question in questions)
    run = subprocess.run([TOOL, folder], input=lines, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.split("\n")[:-1]]  # a text may hold U+2028


# --- ids to text ---


def assert_equal_texts(folder, sequences):
    reference = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
    for skip in (False, True):
        ours = answers(folder, [{"ids": ids, "skip_special": skip} for ids in sequences])
        assert len(ours) == len(sequences)
        for ids, mine in zip(sequences, ours):
            assert mine["text"] == reference.decode(ids, skip_special_tokens=skip), ids


def random_ids(seed, n, size, favoured):
    """Sequences in which some ids are frequent, and some lie behind the vocabulary."""
    draw = random.Random(seed)
    return [[draw.choice(favoured) if draw.random() < 0.4 else draw.randrange(size + 20) for _ in range(draw.randint(0, 12))]
            for _ in range(n)]


@needs_data
@pytest.mark.parametrize("name", REAL)
def test_goldens_and_random_ids_of_real_tokenizers(name):
    folder = DATA / "tokenizers" / name
    definition = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = definition["model"]["vocab"]
    # Of single bytes, parts of characters come together as no text has them.
    single = [i for piece, i in vocabulary.items() if len(piece) == 1 or piece.startswith("<0x")]
    special = [token["id"] for token in definition["added_tokens"]]
    goldens = [json.loads(line)["ids"] for path in folder.glob("golden_*.jsonl") for line in path.read_text().splitlines()]
    assert len(goldens) == 1457
    size = len(vocabulary) + len(special)
    assert_equal_texts(folder, goldens + random_ids(3, 3000, size, single) + random_ids(4, 1000, size, special))


DECODERS = {
    "none": None,
    "bytes": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
    "llama": {"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": MARK}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
    "fallback alone": {"type": "ByteFallback"},
    "metaspace always": {"type": "Metaspace", "replacement": MARK, "prepend_scheme": "always", "split": True},
    "metaspace first": {"type": "Metaspace", "replacement": MARK, "prepend_scheme": "first", "split": False},
    "metaspace never": {"type": "Metaspace", "replacement": MARK, "prepend_scheme": "never", "split": True},
    "replace": {"type": "Replace", "pattern": {"String": "ab"}, "content": ""},
    "strip": {"type": "Strip", "content": "a", "start": 2, "stop": 0},
    "no step": {"type": "Sequence", "decoders": []},
}


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("name", ["nfc and added tokens", "marks and added tokens"])
def test_decoders(name, decoder, tmp_path):
    settings = dict(SMALL[name])
    model = settings["model"]
    settings["added"] = [*settings["added"], ("<|s|>", {"special": True}), ("\u00e9\u4e2d", {"special": True}), ("a", {"special": True}),
                         ("b", {"special": True, "normalized": True}), (MARK + "b", {"special": True})]
    tokens = added(model, *settings.pop("added"))
    stages = {"normalizer": None, "pre_tokenizer": None, "post_processor": None, **settings, "decoder": DECODERS[decoder]}
    (tmp_path / "tokenizer.json").write_text(json.dumps({"version": "1.0", "added_tokens": tokens, **stages}))
    size = len(model["vocab"]) + len(tokens)
    marks = [i for piece, i in model["vocab"].items() if MARK in piece or "ab" in piece or piece in "a b"]
    assert_equal_texts(tmp_path, random_ids(5, 2000, size, [token["id"] for token in tokens] + marks))


# --- chat forms ---

FIRST_MIXTRAL = (
    "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token}}"
    "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}")
PARTS = ["<think>", "</think>", "\n", "\n\n", " ", "\t", "\u00a0", "\x1c", "\u2028", "\u200b", "x", "an answer", "\u4e2d", "/nothink",
         "<tool_response>", "</tool_response>", "<|im_end|>", "{{ x }}", "'", '"']


def template_texts():
    """Every template of the table, by name."""
    texts = {"first mixtral": FIRST_MIXTRAL}
    for name in ("qwen3-instruct-2507", "qwen3", "qwen3.6", "glm-4.5", "mistral-v1-instruct"):
        texts[name] = (DATA / "chat_templates" / f"{name}.jinja").read_text()
    texts["first qwen3"] = json.loads((DATA / "tokenizers/qwen3/tokenizer_config.json").read_text())["chat_template"]
    return texts


def random_conversation(draw, name):
    def content():
        return "".join(draw.choice(PARTS) for _ in range(draw.randint(0, 7)))

    if "mi" in name:  # turns alternate
        roles = ["user", "assistant"] * 3
    else:
        roles = [draw.choice(["user", "user", "assistant"]) for _ in range(5)]
    roles = roles[: draw.randint(1, len(roles))]
    if draw.random() < 0.5 and name != "first mixtral":
        roles = ["system", *roles]
    messages = [{"role": role, "content": content()} for role in roles]
    if name == "qwen3.6" and draw.random() < 0.9:
        messages.append({"role": "user", "content": "a question"})  # without one it raises
    return messages


@needs_data
@pytest.mark.parametrize("name", ["first mixtral", "qwen3-instruct-2507", "qwen3", "first qwen3", "qwen3.6", "glm-4.5", "mistral-v1-instruct"])
def test_random_conversations_are_rendered_as_by_the_template(name, tmp_path):
    template, tokens = template_texts()[name], {"bos_token": "<s>", "eos_token": "</s>"}
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": template, **tokens}))
    draw, questions, expected = random.Random(7), [], []
    while len(questions) < 600:
        messages = random_conversation(draw, name)
        generate, thinking = draw.random() < 0.5, draw.random() < 0.5
        try:
            rendered, _ = render_jinja_template([messages], chat_template=template, add_generation_prompt=generate,
                                                enable_thinking=thinking, **tokens)
        except Exception:  # by raise_exception; test_chat_form.cpp has these
            continue
        questions.append({"messages": messages, "generate": generate, "thinking": thinking})
        expected.append(rendered[0])
    for question, mine, theirs in zip(questions, answers(tmp_path, questions), expected):
        assert mine["text"] == theirs, question


QUESTIONS = ["Who wrote Hamlet?", "  \u897f\u6c49\u518c\u5c01\u8c01\u4e3a\u6b66\u5b89\u4faf\uff1f\n", "a <|im_end|> or </s> in it"]
SYSTEM = "In just a few words, answer in the language of the question."  # the default of ask.system


@needs_data
@pytest.mark.parametrize(("tokenizer", "template"), [("qwen3", None), ("qwen3", "qwen3-instruct-2507"), ("qwen3", "qwen3.6"),
                                                     ("mixtral", "mistral-v1-instruct")])
def test_questions_are_tokenized_as_by_apply_chat_template(tokenizer, template, tmp_path):
    """BOS included: Mixtral's template writes it, and its tokenizer puts no second one in front."""
    folder = Path(shutil.copytree(DATA / "tokenizers" / tokenizer, tmp_path / "model"))
    folder.chmod(0o755)
    if template:
        shutil.copy(DATA / "chat_templates" / f"{template}.jinja", folder / "chat_template.jinja")
    if tokenizer == "mixtral":
        (folder / "tokenizer_config.json").write_text(json.dumps(
            {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>"}))
    reference = AutoTokenizer.from_pretrained(folder)
    done = program.call("tokenize", "--chat", folder, *QUESTIONS)
    lines = done.stdout.splitlines()
    assert len(lines) == 2 * len(QUESTIONS)
    for question, prompt, ids in zip(QUESTIONS, lines[::2], lines[1::2]):
        messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question}]
        settings = {"add_generation_prompt": True, "enable_thinking": False}
        assert json.loads(prompt) == reference.apply_chat_template(messages, tokenize=False, **settings)
        assert [int(i) for i in ids.split()] == reference.apply_chat_template(messages, **settings)["input_ids"]
    two = template and tokenizer == "qwen3"  # its tokenizer_config.json has one as well
    assert ("chat_template.jinja has the model's chat template, and wins" in done.stderr) == bool(two)


# --- stop tokens ---

FILES = {
    "generation": ({"eos_token_id": 7}, {"eos_token_id": 5}, {}),
    "generation, a list": ({"eos_token_id": [7, 9]}, {"eos_token_id": 5}, {"eos_token": "<|endoftext|>"}),
    "generation without": ({}, {"eos_token_id": 5}, {}),
    "no generation": (None, {"eos_token_id": 5}, {}),
    "no generation, a list": (None, {"eos_token_id": [5, 6]}, {"eos_token": "Rome"}),
    "none": (None, {"eos_token_id": None}, {}),
}


@pytest.mark.parametrize("name", FILES)
def test_stop_tokens_are_those_of_generate_and_the_tokenizers(name, checkpoint, tmp_path):
    generation, config, tokenizer = FILES[name]
    folder = Path(shutil.copytree(checkpoint("qwen3"), tmp_path / "model"))
    (folder / "generation_config.json").unlink(missing_ok=True)
    if generation is not None:
        (folder / "generation_config.json").write_text(json.dumps(generation))
    (folder / "config.json").write_text(json.dumps(json.loads((folder / "config.json").read_text()) | config))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **tokenizer}))
    eos = AutoModelForCausalLM.from_pretrained(folder).generation_config.eos_token_id
    by_generate = set() if eos is None else {eos} if isinstance(eos, int) else set(eos)
    by_tokenizer = {AutoTokenizer.from_pretrained(folder).eos_token_id} - {None}
    mine = answers(folder, [{"stop": True}])[0]
    assert mine["ids"] == sorted(by_generate | by_tokenizer)
    assert bool(mine["note"]) == bool(by_tokenizer - by_generate)
