"""A broken tokenizer or facts file: one line that names file and field, exit 65 on every rank, nothing left behind."""

import json

import pytest

from tiny import OPENED, refused


# --- tokenizer.json ---


def test_no_tokenizer(inputs, ranks):
    inputs.write()
    (inputs.folder / "model" / "tokenizer.json").unlink()
    refused(inputs.folder, ranks, 65, "model/tokenizer.json: no such file")


@pytest.mark.parametrize("field", ["merges", "vocab", "type"])
def test_tokenizer_without(inputs, ranks, field):
    del inputs.tokenizer["model"][field]
    refused(inputs.write().folder, ranks, 65, f"model/tokenizer.json: model.{field}: missing")


def test_tokenizer_broken_at_a_byte(inputs, ranks):
    path = inputs.write().folder / "model" / "tokenizer.json"
    text = path.read_bytes()
    path.write_bytes(text[:120] + b"\xff" + text[121:])
    refused(inputs.folder, ranks, 65, "model/tokenizer.json: byte 121: not valid JSON")


def test_tokenizer_cut_off(inputs, ranks):
    path = inputs.write().folder / "model" / "tokenizer.json"
    text = path.read_bytes()
    path.write_bytes(text[:1000])
    refused(inputs.folder, ranks, 65, "model/tokenizer.json: byte 1001: not valid JSON")


def test_tokenizer_of_another_kind(inputs, ranks):
    inputs.tokenizer["model"]["type"] = "Unigram"
    refused(inputs.write().folder, ranks, 65, 'model/tokenizer.json: model.type: expected BPE, found "Unigram"')


def test_merge_of_pieces_that_are_none(inputs, ranks):
    inputs.tokenizer["model"]["merges"].append(["q", "z"])
    refused(inputs.write().folder, ranks, 65, "model/tokenizer.json: model.merges.4: expected pieces of the vocabulary ('qz' is not one)")


def test_bos_that_the_tokenizer_does_not_have(inputs, ranks):
    refused(inputs.write().folder, ranks, 65, "model.bos", arguments=("trace", "trace.ini", "--model.bos=yes"),
            new_files=OPENED)


# --- chat templates ---


@pytest.mark.parametrize(("template", "words"), [
    (None, "model: no chat template, in chat_template.jinja or tokenizer_config.json: set ask.chat = custom with "),
    ("{{ messages }}", "model/chat_template.jinja: expected the chat template of Qwen3, "),
    (7, "model/tokenizer_config.json: chat_template: expected a string, found 7"),
])
def test_chat_template_that_is_not_known(inputs, template, words):
    model = inputs.write().folder / "model"
    if isinstance(template, str):
        (model / "chat_template.jinja").write_text(template)
    elif template:
        (model / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}))
    refused(inputs.folder, 1, 65, words, arguments=("tokenize", "--chat", "model", "text"))


# --- facts ---


def test_no_facts(inputs, ranks):
    inputs.write()
    (inputs.folder / "facts.json").unlink()
    refused(inputs.folder, ranks, 65, "facts.json: no such file")


def test_facts_broken_at_a_byte(inputs, ranks):
    path = inputs.write().folder / "facts.json"
    text = path.read_text()
    path.write_text(text[:200] + "}" + text[200:])
    line = refused(inputs.folder, ranks, 65, "facts.json: byte ", "not valid JSON")
    with pytest.raises(json.JSONDecodeError) as error:
        json.loads(path.read_text())
    assert abs(int(line.split("byte ")[1].split(":")[0]) - error.value.pos) <= 1


def test_facts_of_no_record(inputs, ranks):
    inputs.facts = []
    refused(inputs.write().folder, ranks, 65, "facts.json: no record in it")


def test_empty_facts_file(inputs, ranks):
    (inputs.write().folder / "facts.json").write_bytes(b"")
    refused(inputs.folder, ranks, 65, "facts.json: byte 1: not valid JSON")


def test_facts_that_are_no_list(inputs, ranks):
    inputs.facts = {"records": []}
    refused(inputs.write().folder, ranks, 65, "facts.json: expected an array of records, got object")


@pytest.mark.parametrize("field", ["subject", "prompt", "target_true", "target_new"])
def test_record_without_a_field(inputs, ranks, field):
    del inputs.facts[3]["requested_rewrite"][field]
    refused(inputs.write().folder, ranks, 65, f"facts.json: record 3 (case_id 103): requested_rewrite.{field}: missing")


def test_record_without_case_id(inputs, ranks):
    del inputs.facts[3]["case_id"]
    refused(inputs.write().folder, ranks, 65, "facts.json: record 3: case_id: missing")


@pytest.mark.parametrize("prompt", ["Ada lives in", "{} and {} live in"])
def test_prompt_without_one_place_for_the_subject(inputs, ranks, prompt):
    inputs.facts[3]["requested_rewrite"]["prompt"] = prompt
    refused(inputs.write().folder, ranks, 65, "facts.json: record 3 (case_id 103): requested_rewrite.prompt: expected exactly one {}", prompt)


@pytest.mark.parametrize(("field", "value"), [("subject", ""), ("subject", 7), ("target_true", "a"), ("target_new", {"str": " "})], ids=str)
def test_record_with_a_field_of_another_kind(inputs, field, value):
    inputs.facts[3]["requested_rewrite"][field] = value
    refused(inputs.write().folder, 1, 65, f"facts.json: record 3 (case_id 103): requested_rewrite.{field}")


def test_repeated_case_id(inputs, ranks):
    inputs.facts[9]["case_id"] = 102
    refused(inputs.write().folder, ranks, 65, "facts.json: record 9 (case_id 102): case_id: repeated, first in record 2")
