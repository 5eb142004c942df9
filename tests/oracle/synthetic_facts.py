"""Made-up facts in CounterFact's layout, small tokenizers for them, and the cases that the two must become."""

import dataclasses
import itertools
import json
import random

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

# The subject stands at the start, in the middle and at the end (so that it holds the last token); the long ones pass 16
# and 32 tokens, where the width of a context changes.
TEMPLATES = {
    "P17": "{} is located in the country of",
    "P36": "The capital city of {} is called",
    "P19": "People from far away who come here to live say that they love {}",
    "P103": "In the old books that were written a long time ago, and in the songs that the people of the river still sing"
            " in the evening, {} speaks",
    "P27": "{}, a citizen of",
    "P176": "{}",
}
OBJECTS = ["France", "Italy", "Spain", "Rome", "Paris", "Madrid", "Berlin", "Germany", "Sweden", "Japan", "Tokyo", "English"]
SYLLABLES = ["Zü", "ri", "ch", "São", "to", "mé", "Var", "den", "lo", "Kat", "ia", "nu", "fel", "東", "ost"]


def make_facts(n, seed=0):
    """n records; every seventh has an object of several tokens, one has the same object twice."""
    draw = random.Random(seed)
    facts = []
    for i, relation in zip(range(n), itertools.cycle(TEMPLATES)):
        subject = "".join(draw.choices(SYLLABLES, k=draw.randint(1, 4))) + draw.choice(["", " Islands", " II", "'s Ford"])
        true, foil = draw.sample(OBJECTS, 2)
        if i % 7 == 3:
            true, foil = (true, foil + "ish Isles") if i % 2 else (true + "ish Isles", foil)
        if i == 5:
            foil = true
        if i == 11:
            subject = "The"  # a prompt of one token: it has no context
        facts.append({"case_id": 1000 - 3 * i, "requested_rewrite": {
            "prompt": TEMPLATES[relation], "relation_id": relation, "subject": subject,
            "target_true": {"str": true, "id": "Q1"}, "target_new": {"str": foil, "id": "Q2"}}})
    return facts


def sentences(facts):
    """What the tokenizers are trained on: prompts, and the objects so often that each becomes one token."""
    for fact in facts:
        rewrite = fact["requested_rewrite"]
        yield rewrite["prompt"].format(rewrite["subject"])
    yield from (f" {word}" for word in OBJECTS * 50)


def byte_level_tokenizer():
    """As Qwen3 and GLM have it: BPE over bytes, no BOS."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["<|endoftext|>"], show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(sentences(make_facts(30)), trainer)
    return tokenizer


def sentence_piece_tokenizer():
    """As Mixtral has it: the space as a character of the pieces, unknown characters as bytes, BOS prepended by
    default."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=140, show_progress=False)
    ascii_only = (text.encode("ascii", "ignore").decode() for text in sentences(make_facts(30)))
    trained.train_from_iterator(ascii_only, trainer)
    model = json.loads(trained.to_str())["model"]

    pieces = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)] + sorted(model["vocab"], key=model["vocab"].get)
    merges = [tuple(merge) for merge in model["merges"]]
    tokenizer = Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate(pieces)}, merges=merges, unk_token="<unk>",
                                     fuse_unk=True, byte_fallback=True))
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                           decoders.Strip(" ", 1, 0)])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B",
                                                             special_tokens=[("<s>", tokenizer.token_to_id("<s>"))])
    return tokenizer


@dataclasses.dataclass
class Case:
    """A record as it must stand in /cases; what is decided later is not in here."""
    record: int
    case_id: int
    relation: str
    subject: str
    prompt: str
    true_text: str
    foil_text: str
    tokens: list
    subject_begin: int
    subject_end: int
    true_id: int
    foil_id: int
    status: str


def make_case(tokenizer, fact, record, bos):
    """The case of a record; `bos` is the id to prepend, or None."""
    rewrite = fact["requested_rewrite"]
    prompt, subject = rewrite["prompt"].format(rewrite["subject"]), rewrite["subject"]
    first = rewrite["prompt"].index("{}")
    encoding = tokenizer.encode(prompt, add_special_tokens=False)
    inside = [t for t, (begin, end) in enumerate(encoding.offsets) if max(begin, first) < min(end, first + len(subject))]
    front = [] if bos is None else [bos]
    texts = [rewrite[target]["str"] for target in ("target_true", "target_new")]
    true_id, foil_id = (single_token(tokenizer, text) for text in texts)
    status = ("true_not_single_token" if true_id < 0 else "foil_not_single_token" if foil_id < 0
              else "same_token" if true_id == foil_id else "usable")
    return Case(record, fact["case_id"], rewrite["relation_id"], subject, prompt, *texts, front + encoding.ids,
                inside[0] + len(front), inside[-1] + 1 + len(front), true_id, foil_id, status)


def single_token(tokenizer, word):
    """The id of the word after a space, -1 if that is several tokens."""
    prepends_space = tokenizer.encode("x", add_special_tokens=False).tokens[0].startswith("▁")
    ids = tokenizer.encode(word if prepends_space else f" {word}", add_special_tokens=False).ids
    return ids[0] if len(ids) == 1 else -1


def scanned_cases(tokenizer, facts, bos, seed=0):
    """Cases of all records in the order of the scan."""
    order = list(range(len(facts)))
    random.Random(seed).shuffle(order)
    return [make_case(tokenizer, facts[record], record, bos) for record in order]
