"""A Qwen3-MoE checkpoint built by hand in which it is known which experts carry an answer, and in which languages.

A question is a word of its language, some that mean nothing, and its subject at last, so that prompts differ in length.
Beside CONST, one large number in every token (planted.py), a hidden state has these dimensions:

    SUBJECT + q  1 in the subject of question q
    LANGUAGE + l 1 in the word of language l
    SEEN + l     WIDTH / prompt's length at the last position of a prompt in language l, by layer 0's uniform attention
    OUT + q      how strongly the answer to q is asked for: the head compares it with a threshold, below which it says UNKNOWN
    DONE         1 in answers, after which the answer ends

Each question has two carriers, one in layer 2 and one in layer 3, which are routed to in its own languages alone, at
the prompt's last token. Those of even questions suffice alone, those of odd ones do not. Layer 1, a dense one, knows
most answers in one more language, COMMON, where no expert carries them. Fillers of all layers write nothing; one of
them is a generalist."""

import json
import random

import numpy as np
from safetensors.numpy import save_file

import planted
from planted import CONST, GATE, HEIGHT

CARRIED, LANGUAGES, COMMON = 24, 12, 11
QUESTIONS = CARRIED + 1       # the last one is right nowhere
FILLERS = 8
E, K, LAYERS, F, HEAD_DIM = CARRIED + FILLERS, 4, 4, 32, 16
CARRYING, DENSE = (2, 3), 1   # layers
GENERALIST = (0, 13)
WIDTH = 6                     # tokens of the longest prompt
SUBJECT = CONST + 1
LANGUAGE = SUBJECT + CARRIED
SEEN = LANGUAGE + LANGUAGES
OUT = SEEN + LANGUAGES
DONE = OUT + CARRIED
D = DONE + 1
UNIT = np.sqrt(D) / HEIGHT    # what a RMS norm makes of 1
UNKNOWN, NOISE, END = "dunno", "um", "<end>"


def languages_of(q):
    """In which question q's carriers are routed to: as many questions to each language but COMMON, nearly."""
    return {l for l in range(COMMON) if (l + 3 * q) % COMMON < 5}


def known_commonly(q):
    return q % 4 != 3


def carrier(q, layer):
    """Its expert in the layer."""
    return random.Random(layer).sample(range(E), CARRIED)[q]


def carriers(q):
    return {(layer, carrier(q, layer)) for layer in CARRYING} if q < CARRIED else set()


def is_right(q, l, deactivated=frozenset()):
    if q >= CARRIED or l == COMMON:
        return q < CARRIED and known_commonly(q)
    left = len(carriers(q) - set(deactivated))
    return l in languages_of(q) and left >= (1 if q % 2 == 0 else 2)


def subject(q):
    return "S" + planted.name(q)


def answer(q):
    return "A" + planted.name(q)


def language_word(l):
    return "L" + planted.name(l)


def question(q, l):
    return " ".join(["", language_word(l), *[NOISE] * (1 + l % 4), subject(q)])


def write_questions(path):
    records = ({"id": f"q{q}", "dataset": "planted", "relation": f"r{q % 3}", "languages": {
        f"l{l}": {"question": question(q, l), "answers": [answer(q)]} for l in range(LANGUAGES)}} for q in range(QUESTIONS))
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def make_tokenizer():
    words = [UNKNOWN, NOISE, *map(subject, range(QUESTIONS)), *map(answer, range(QUESTIONS)),
             *map(language_word, range(LANGUAGES))]
    tokenizer = planted.word_tokenizer(words)
    tokenizer.add_special_tokens([END])
    return tokenizer


def make_router(layer):
    """[E, D]: a carrier's logit is 8 to 28 where it carries, -12 or less elsewhere."""
    router = np.zeros((E, D), np.float32)
    router[:, CONST] = (1 - 0.05 * np.arange(E)) / np.sqrt(D)
    if layer == GENERALIST[0]:
        router[GENERALIST[1], CONST] = 4 / np.sqrt(D)
    for q in range(CARRIED) if layer in CARRYING else ():
        row = router[carrier(q, layer)]
        row[CONST], row[SUBJECT + q] = -162 / np.sqrt(D), 150 / UNIT
        row[[SEEN + l for l in languages_of(q)]] = 20 / UNIT
    return router


def zeros(*shape):
    return np.zeros(shape, np.float32)


def make_expert(layer, e):
    """gate, up, down: a carrier writes its gain into OUT, for it reads CONST alone."""
    gate, up, down = zeros(F, D), zeros(F, D), zeros(D, F)
    gate[0, CONST], up[0, CONST] = GATE / np.sqrt(D), 1 / GATE / np.sqrt(D)
    for q in range(CARRIED):
        if (layer, e) in carriers(q):
            down[OUT + q, 0] = 1 if q % 2 == 0 else 0.4
    return gate, up, down


def make_dense():
    """A unit for each question: its gate is 20 where it is asked in COMMON, whose prompts have WIDTH tokens, else -20
    or less."""
    gate, up, down = zeros(F, D), zeros(F, D), zeros(D, F)
    for q in filter(known_commonly, range(CARRIED)):
        gate[q, CONST], gate[q, SUBJECT + q], gate[q, SEEN + COMMON] = -420 / np.sqrt(D), 400 / UNIT, 40 / UNIT
        up[q, CONST] = 1 / GATE / np.sqrt(D)
        down[OUT + q, q] = 1
    return gate, up, down


def make_tensors(tokenizer):
    token = lambda word: tokenizer.token_to_id("\u0120" + word)
    embedding, head = zeros(tokenizer.get_vocab_size(), D), zeros(tokenizer.get_vocab_size(), D)
    embedding[:, CONST] = HEIGHT
    for l in range(LANGUAGES):
        embedding[token(language_word(l)), LANGUAGE + l] = 1
    for q in range(CARRIED):
        embedding[token(subject(q)), SUBJECT + q] = 1
        embedding[token(answer(q)), DONE] = 1
        head[token(answer(q)), OUT + q] = 10
    embedding[token(UNKNOWN), DONE] = 1
    head[token(UNKNOWN), CONST] = 5 / HEIGHT
    head[tokenizer.token_to_id(END), DONE] = 100
    tensors = {"model.embed_tokens.weight": embedding, "lm_head.weight": head,
               "model.norm.weight": np.full(D, 1 / UNIT, np.float32)}
    for layer in range(LAYERS):
        front = f"model.layers.{layer}."
        attention = {"q": zeros(HEAD_DIM, D), "k": zeros(HEAD_DIM, D), "v": zeros(HEAD_DIM, D), "o": zeros(D, HEAD_DIM)}
        for l in range(LANGUAGES) if layer == 0 else ():
            attention["v"][l, LANGUAGE + l] = 1 / UNIT
            attention["o"][SEEN + l, l] = WIDTH
        tensors |= {f"{front}self_attn.{which}_proj.weight": matrix for which, matrix in attention.items()}
        tensors |= {f"{front}self_attn.{which}_norm.weight": np.ones(HEAD_DIM, np.float32) for which in "qk"}
        tensors |= {f"{front}{which}_layernorm.weight": np.ones(D, np.float32) for which in ("input", "post_attention")}
        blocks = {"mlp.": make_dense()} if layer == DENSE else {f"mlp.experts.{e}.": make_expert(layer, e) for e in range(E)}
        tensors |= {f"{front}{block}{which}_proj.weight": matrix for block, of in blocks.items()
                    for which, matrix in zip(("gate", "up", "down"), of)}
        if layer != DENSE:
            tensors[front + "mlp.gate.weight"] = make_router(layer)
    return tensors


def write(folder):
    """The model's folder, with questions.jsonl in it."""
    folder.mkdir(parents=True)
    tokenizer = make_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps(planted.make_config(tokenizer.get_vocab_size(), K) | {
        "hidden_size": D, "head_dim": HEAD_DIM, "num_experts": E, "moe_intermediate_size": F, "intermediate_size": F,
        "num_hidden_layers": LAYERS, "mlp_only_layers": [DENSE]}))
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": tokenizer.token_to_id(END)}))
    save_file(make_tensors(tokenizer), folder / "model.safetensors", metadata={"format": "pt"})
    write_questions(folder / "questions.jsonl")
    return folder
