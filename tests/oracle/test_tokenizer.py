"""Our tokenizer against the `tokenizers` package: equal ids and equal character offsets, text by text.

The C++ side is the test tool text_probe in the build folder MOESWEEP_BUILD (default build/cpu).
"""
import itertools
import json
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer

import program

ROOT = Path(__file__).resolve().parents[2]
TOOL = Path(os.environ.get("MOESWEEP_BUILD", ROOT / "build" / "cpu")) / "text_probe"
DATA = Path(os.environ.get("MOESWEEP_SHARED", ROOT.parent / "shared")) / "data"
REAL = ["qwen3", "mixtral"]

pytestmark = pytest.mark.skipif(not TOOL.exists(), reason=f"{TOOL} is not built")
needs_data = pytest.mark.skipif(not DATA.exists(), reason="the folder shared/data is not there (MOESWEEP_SHARED)")


def assert_equal_encodings(folder, texts):
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    run = subprocess.run([TOOL, folder], input=lines, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    ours = [json.loads(line) for line in run.stdout.splitlines()]
    reference = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
    assert len(ours) == len(texts)
    for text, mine, theirs in zip(texts, ours, reference.encode_batch(texts, add_special_tokens=False)):
        assert mine["ids"] == theirs.ids, (text, theirs.tokens)
        assert list(zip(mine["begin"], mine["end"])) == theirs.offsets, (text, theirs.tokens)


# --- real tokenizers ---


@needs_data
@pytest.mark.parametrize("name", REAL)
def test_every_prompt_and_object_of_counterfact(name):
    texts = []
    for record in json.loads((DATA / "counterfact.json").read_text()):
        rewrite = record["requested_rewrite"]
        texts += [rewrite["prompt"].format(rewrite["subject"]), *record["paraphrase_prompts"]]
        for target in ("target_true", "target_new"):
            texts += [rewrite[target]["str"], " " + rewrite[target]["str"]]
    distinct = list(dict.fromkeys(texts))
    assert len(distinct) > 2 * 21_000
    assert_equal_encodings(DATA / "tokenizers" / name, distinct)


@needs_data
@pytest.mark.parametrize("name", REAL)
def test_golden_and_multilingual_texts(name):
    texts = []
    for golden in (DATA / "tokenizers").glob("*/golden_*.jsonl"):
        texts += [json.loads(line)["text"] for line in golden.read_text().splitlines()]
    for prompts in sorted((DATA / "multilingual").glob("klar_variant/*.txt")):
        texts += prompts.read_text().splitlines()
    assert_equal_encodings(DATA / "tokenizers" / name, texts)


# --- random Unicode ---

LITERALS = ["<s>", "</s>", "<unk>", "<|endoftext|>", "<|im_start|>", "<think>", "<|fim_pad|>", "<0x41>", "\u2581", "\u0120"]
WORDS = [
    "the", "The", "It's", "WE'LL", "'\u017f", "caf\u00e9", "Stra\u00dfe", "\u4e2d\u6587", "\u0440\u0443\u0441",
    "\u0e44\u0e17\u0e22", "2024", "3.14", "e\u0301", "\u212b", "\u1e9b\u0323", "\u0344", "\u0f73", "\u0f81", "\u0958",
    "\ub258\u11a7", "\ub258\u11a8", "\ufb1d", "\U0001d15e", "\U0001f468\u200d\U0001f469\u200d\U0001f466",
    "\U0001f1e9\U0001f1ea",
]
SPACES = [
    " ", "  ", "\t", "\n", "\r\n", "\n\n ", "\u00a0", "\u1680", "\u180e", "\u2003", "\u200b", "\u2028", "\u202f",
    "\u3000", "\u0085", "\x0b", "\x0c", "\x1c",
]
RANGES = {
    "latin": (0x20, 0x250), "marks": (0x300, 0x370), "marks of Indic scripts": (0x900, 0xE00), "Tibetan": (0xF00, 0xFD0),
    "Jamo": (0x1100, 0x1200), "Hangul": (0xAC00, 0xD7A4), "compatibility": (0xF900, 0xFB50), "younger marks": (0x1AB0, 0x1B00),
    "emoji": (0x1F300, 0x1FB00), "controls": (0, 0x20), "rare scripts": (0x10D00, 0x11F60), "musical": (0x1D150, 0x1D1F0),
    "basic plane": (0, 0x10000), "supplementary": (0x10000, 0x20000), "ideographs": (0x20000, 0x32400), "all": (0, 0x110000),
}


def random_text(draw):
    parts = []
    for _ in range(draw.randint(0, 12)):
        source = draw.random()
        if source < 0.15:
            parts.append(draw.choice(SPACES))
        elif source < 0.3:
            parts.append(draw.choice(WORDS))
        elif source < 0.36:
            parts.append(draw.choice(LITERALS))
        else:
            first, end = RANGES[draw.choice(list(RANGES))]
            codes = [draw.randrange(first, end) for _ in range(draw.randint(1, 4))]
            parts.append("".join(chr(code) for code in codes if not 0xD800 <= code < 0xE000))
    return "".join(parts)


def random_texts(seed, n):
    draw = random.Random(seed)
    return [random_text(draw) for _ in range(n)]


@needs_data
@pytest.mark.parametrize("name", REAL)
def test_random_unicode(name):
    assert_equal_encodings(DATA / "tokenizers" / name, random_texts(0, 6000))


@needs_data
def test_every_character_beside_letters_and_marks():
    """Letters, numbers and spaces as the pattern knows them, decompositions, and the class of every combining mark."""
    uniform = [(0x3400, 0xA000), (0xAC00, 0xD7A4), (0xE000, 0xF900), (0x17000, 0x18CD6), (0x20000, 0x2A6E0)]
    codes = [code for code in range(0x33480) if not 0xD800 <= code < 0xE000
             and (code % 61 == 0 or not any(first <= code < end for first, end in uniform))]
    texts = ["".join(f"{c}a\u0345\u0301{c}\u0334 1{c}" for c in map(chr, codes[i:i + 16])) for i in range(0, len(codes), 16)]
    assert_equal_encodings(DATA / "tokenizers" / "qwen3", texts)


# --- small tokenizers, for the settings that the real ones do not use ---

SPLIT = {"type": "Split", "pattern": {"Regex": "(?i:'s|'t)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"},
         "behavior": "Isolated", "invert": False}
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
MARK = "\u2581"


def byte_alphabet():
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = (chr(0x100 + i) for i in range(256 - len(printable)))
    return [chr(byte) if byte in printable else next(others) for byte in range(256)]


def bpe(pieces, merges, **settings):
    vocabulary = list(dict.fromkeys([*pieces, *(a + b for a, b in merges)]))
    return {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
            "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
            "vocab": {piece: i for i, piece in enumerate(vocabulary)}, "merges": [list(pair) for pair in merges], **settings}


def byte_model(*unreachable, **settings):
    merges = [
        ("t", "h"), ("th", "e"), ("\u0120", "the"), ("\u0120", "\u0120"), ("1", "2"), ("e", "\u00cc"), ("a", "b"),
        ("b", "c"), ("ab", "c"), ("a", "bc"),
    ]
    return bpe([*byte_alphabet(), *unreachable], merges, **settings)


def mark_model(**settings):
    alphabet = ["<unk>", MARK, *"abcdefgh ABC.,12", *(f"<0x{byte:02X}>" for byte in range(256))]
    return bpe(alphabet, [("a", "b"), (MARK, "ab"), (MARK, MARK), ("c", MARK), (MARK, "1")], unk_token="<unk>", **settings)


def added(model, *tokens):
    defaults = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    new_ids = itertools.count(max(model["vocab"].values()) + 1)

    def id_of(content):
        return model["vocab"][content] if content in model["vocab"] else next(new_ids)

    return [{"id": id_of(content), "content": content, **defaults, **settings} for content, settings in tokens]


def sequence(kind, *stages):
    members = {"normalizer": "normalizers", "pre_tokenizer": "pretokenizers", "post_processor": "processors"}
    return {"type": "Sequence", members[kind]: list(stages)}


def metaspace(scheme, split):
    return {"type": "Metaspace", "replacement": MARK, "prepend_scheme": scheme, "split": split}


def split(pattern, behavior, invert=False):
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}


LLAMA = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": MARK}, {"type": "Replace", "pattern": {"String": " "}, "content": MARK}]}
STRIPPING = [("[L]", {"lstrip": True}), ("[R]", {"rstrip": True}), ("[LR]", {"lstrip": True, "rstrip": True}), ("[W]", {"single_word": True}),
             ("ab", {"normalized": True}), ("the", {"normalized": True, "single_word": True}), ("a\u0301", {"normalized": True}), ("[L][R]", {})]

SMALL = {
    "glm-like": dict(model=byte_model("\u0120ab", "bca", ignore_merges=True), pre_tokenizer=sequence("pre_tokenizer", SPLIT, BYTES),
                     post_processor={**BYTES, "trim_offsets": False}),
    "merges not ignored": dict(model=byte_model("\u0120ab", "bca"), pre_tokenizer=sequence("pre_tokenizer", SPLIT, BYTES)),
    "trimmed offsets": dict(model=byte_model(), pre_tokenizer=sequence("pre_tokenizer", SPLIT, BYTES), post_processor=BYTES),
    "prefix space": dict(model=byte_model(), pre_tokenizer={**BYTES, "add_prefix_space": True, "use_regex": True},
                         post_processor=sequence("post_processor", {**BYTES, "add_prefix_space": True})),
    "nfc and added tokens": dict(model=byte_model(), normalizer={"type": "NFC"}, pre_tokenizer=BYTES, post_processor=BYTES, added=STRIPPING),
    "marks and added tokens": dict(model=mark_model(fuse_unk=True, byte_fallback=True), normalizer=LLAMA, added=STRIPPING),
    "unknown fused": dict(model=mark_model(fuse_unk=True), normalizer=LLAMA),
    "unknown apart": dict(model=mark_model(), normalizer=LLAMA),
    "metaspace first": dict(model=mark_model(byte_fallback=True), pre_tokenizer=metaspace("first", False), added=STRIPPING),
    "metaspace always": dict(model=mark_model(byte_fallback=True), pre_tokenizer=metaspace("always", True), added=STRIPPING),
    "metaspace never": dict(model=mark_model(byte_fallback=True), pre_tokenizer=metaspace("never", True)),
    "replace": dict(model=mark_model(), normalizer=sequence("normalizer", {"type": "NFC"}, {"type": "Replace", "pattern": {"String": "ab"}, "content": "c "})),
    **{f"split {behavior} {invert}": dict(model=mark_model(), pre_tokenizer=split({"Regex": "\\s+|b+"}, behavior, invert))
       for behavior in ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous") for invert in (False, True)},
    "split at a literal": dict(model=mark_model(), pre_tokenizer=split({"String": "a."}, "Isolated")),
}

SNIPPETS = [
    "a", "b", "ab", "abc", "bc", " ", "  ", "the", " the", "12", "1234", "[L]", "[R]", "[LR]", "[W]", "[L][R]", "a.",
    "A\u0301", "a\u0301", "\u00e1", "e\u0301", "\t", "\n", "\u00a0", "\u2003", "\u4e2d", "\U0001f600", "c", ".", "'s",
    "x", "\u0301", "\u24b6", "\u2160", "_", "\u200d", "\u1100\u1161",
]


@pytest.mark.parametrize("name", SMALL)
def test_small_tokenizer(name, tmp_path):
    settings = dict(SMALL[name])
    tokens = added(settings["model"], *settings.pop("added", []))
    stages = {"normalizer": None, "pre_tokenizer": None, "post_processor": None, "decoder": None, **settings}
    (tmp_path / "tokenizer.json").write_text(json.dumps({"version": "1.0", "added_tokens": tokens, **stages}))
    draw = random.Random(1)
    texts = ["".join(draw.choice(SNIPPETS) for _ in range(draw.randint(0, 10))) for _ in range(1500)]
    assert_equal_encodings(tmp_path, texts + random_texts(2, 300))


# --- tokens and tokenizers in other files ---


def transformers_tokenizer(folder):
    from transformers import AutoTokenizer  # it takes seconds
    return AutoTokenizer.from_pretrained(folder)


def token(content):
    return {"content": content, "special": False, "lstrip": False, "rstrip": False, "single_word": False, "normalized": False}


THINK = {"410": token("<think>")}
OTHER_FILES = {
    "decoder": {"tokenizer_config.json": {"added_tokens_decoder": THINK}},
    "special": {"tokenizer_config.json": {"pad_token": "<pad>", "bos_token": "<|endoftext|>", "image_token": "<think>"}},
    "lists": {"tokenizer_config.json": {"additional_special_tokens": ["<think>"], "bos_token": None}},
    "names": {"tokenizer_config.json": {"extra_special_tokens": {"thought": "<think>"}}},
    "a piece": {"tokenizer_config.json": {"pad_token": "Rome", "add_bos_token": False}},
    "old": {"added_tokens.json": {"<think>": 411}, "special_tokens_map.json": {"pad_token": "<pad>"}},
    "old beside new": {"added_tokens.json": {"<think>": 411}, "special_tokens_map.json": {"pad_token": "<pad>"},
                       "tokenizer_config.json": {"added_tokens_decoder": {"0": token("<|endoftext|>")}}},
    "none": {"tokenizer_config.json": {"added_tokens_decoder": {"0": token("<|endoftext|>")}, "eos_token": "<|endoftext|>"}},
}


@pytest.mark.parametrize("name", OTHER_FILES)
def test_tokens_that_transformers_takes_from_other_files(checkpoint, tmp_path, name):
    folder = shutil.copytree(checkpoint("qwen3"), tmp_path / "model")
    for file, content in OTHER_FILES[name].items():
        (folder / file).write_text(json.dumps(content))
    reference = transformers_tokenizer(folder)
    added = set(reference.added_tokens_encoder) - {"<|endoftext|>"}
    told = re.search(r"^note +(\d+) of \S+ (?:is|are) not in tokenizer.json, e.g. '(.*)'", program.call("inspect", folder).stdout, re.MULTILINE)
    assert (int(told[1]), told[2] in added) == (len(added), True) if added else told is None
    for text in ("France <think> is", "<pad> of", "in Rome", "<|endoftext|> x"):
        done = subprocess.run([program.BUILD / "moesweep", "tokenize", folder, text], capture_output=True, text=True)
        if any(content in text for content in added):
            assert done.returncode == 65 and "tokenizer.json: lacks the token" in done.stderr
        else:
            assert [int(i) for i in done.stdout.split()] == reference(text, add_special_tokens=False).input_ids, text


def test_the_way_out_for_another_kind_of_tokenizer(checkpoint, tmp_path):
    """The command that the message gives makes the file, and the ids are transformers'."""
    folder = shutil.copytree(checkpoint("qwen3"), tmp_path / "model")
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
    (folder / "merges.txt").write_text("".join(" ".join(pair) + "\n" for pair in model["merges"]))
    refused = subprocess.run([program.BUILD / "moesweep", "tokenize", folder, "x"], capture_output=True, text=True)
    command = shlex.split(refused.stderr.split("make the file anew by ")[1])
    subprocess.run([sys.executable, *command[1:]], check=True, capture_output=True)
    reference = transformers_tokenizer(folder)
    for text in ("France is in Europe", "São Zürich's <|endoftext|> Ford", " lead  two"):
        assert [int(i) for i in program.call("tokenize", folder, text).stdout.split()] == reference(text, add_special_tokens=False).input_ids


@pytest.mark.parametrize("ids", [[400, 401], [400, 402], [410, 411], [401, 400], [5, 6], [0, 1]], ids=str)
def test_ids_of_added_tokens_are_those_that_the_reference_gives_or_refused(checkpoint, tmp_path, ids):
    """It counts on from the vocabulary's 400 pieces and does not ask the file."""
    folder = shutil.copytree(checkpoint("qwen3"), tmp_path / "model")
    definition = json.loads((folder / "tokenizer.json").read_text())
    definition["added_tokens"] += [token(content) | {"id": i} for content, i in zip(("<think>", "<pad>"), ids)]
    (folder / "tokenizer.json").write_text(json.dumps(definition))
    reference = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert [reference.token_to_id(content) for content in ("<think>", "<pad>")] == [400, 401]
    if ids == [400, 401]:
        assert_equal_encodings(folder, ["a <think> b", "<pad><think>"])
    else:
        wrong = next(place for place in range(2) if ids[place] != 400 + place)
        done = subprocess.run([program.BUILD / "moesweep", "tokenize", folder, "x"], capture_output=True, text=True)
        assert done.returncode == 65
        assert f"tokenizer.json: added_tokens.{wrong + 1}.id: expected {400 + wrong}, which " in done.stderr
