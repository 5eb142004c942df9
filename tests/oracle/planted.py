"""A Qwen3-MoE checkpoint built by hand in which it is known, per case and to the last logit, what every expert carries.

A hidden state has six dimensions that mean something:

    CONST   one large number in every token, beside which nothing else counts in the RMS norms of the last position
    SIGNAL  in the embeddings of subjects: how strongly the subject asks for the true object
    KIND    1 in the last token of one relation, whose routing differs
    COPY    u at the last position: the mean of the normed SIGNAL over the prompt, by layer 0's uniform attention (q = k = 0)
    ANSWER  what the head reads: its weight is +1/2 for true objects and -1/2 for foils, so that delta = ANSWER
    UNREAD  what nobody reads

An expert's gate sees CONST alone (silu of 20, which is 20 to 4e-8) and its up projection COPY, so that it writes gain x
u in one of the last two; a router's logits are affine in KIND and u. So delta is the sum over layers and routed experts
of w_e gain_e u, and a patch rescues what it adds to ANSWER: closed_form() has these numbers from a few lines of
arithmetic. """
import dataclasses
import json
import random

import numpy as np
import torch
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

D, F, E, LAYERS = 16, 4, 8, 4
CONST, SIGNAL, KIND, COPY, ANSWER, UNREAD = range(6)
HEIGHT = 65536.0                   # of CONST: u and what is written are below 30, so norms vary by less than 1e-6
UNIT = np.sqrt(D) / HEIGHT         # what a RMS norm makes of 1 at the last position
GATE = 20.0                        # silu(GATE) = GATE
COPY_GAIN = 4.0

LAYER = 2                          # the planted layer
A, B, C, N, G, R = 5, 2, 6, 0, 3, 7
X, Y, Z = 1, 4, 2                  # of layer 1, 1 and 3


@dataclasses.dataclass(frozen=True)
class Expert:
    """Its router logit is logit + kind x KIND + slope x u; it writes gain x u into `to`."""
    logit: float
    gain: float = 0
    to: int = ANSWER
    kind: float = 0
    slope: float = 0


NOBODY = Expert(-8)
EXPERTS = {
    0: {0: Expert(1), 1: Expert(0.8), 2: Expert(0.6), 3: Expert(0.4)},
    # the best expert of the model; with its opponent the layer comes second
    1: {X: Expert(2, 2.4), Y: Expert(1.9, -2), 0: Expert(0.3), 2: Expert(0.1, 0.3)},
    LAYER: {A: Expert(2, 2, kind=-20),         # carries the fact, but not where KIND is 1
            B: Expert(1.99, 1.5, to=UNREAD),   # its gate-matched twin with nothing
            C: Expert(1, -1),                  # argues against the fact
            N: Expert(0.5),                    # routed, writes nothing
            G: Expert(2.2, 0.2, slope=-1),     # takes the place of N where the signal is weak: mostly under noise
            R: Expert(-8, 3, kind=10.1)},      # stands in for A where KIND is 1: stronger, but seldom routed
    3: {Z: Expert(1, 0.1), 5: Expert(0.9), 6: Expert(0.8), 7: Expert(0.7)},
}

TEMPLATES = {"P1": "the town of {} lies in", "P2": "we know that {} belongs to", "P3": "they say {} speaks"}
KIND_WORD = "speaks"
TRUE, FOIL = ["Aland", "Beland", "Celand"], ["Dorland", "Erland"]
WEIGHTS = (11, 9, 6)               # of the relations among the facts


def name(i):
    return "V" + "aeiouy"[i // 36 % 6] + "bdfghk"[i // 6 % 6] + "aeiouy"[i % 6]


def subject(i):
    """One or two words."""
    return name(i) if i % 3 else f"Old {name(i)}"


def strength(i):
    """SIGNAL of a subject, in units of CONST; every fifth is weak, for the relaxed filters."""
    return 0.25 + 0.05 * (i % 4) if i % 5 == 0 else 1.5 + 0.13 * (i * 7 % 11)


def make_facts(n, seed=3):
    draw = random.Random(seed)
    facts = []
    for i in range(n):
        relation = draw.choices(list(TEMPLATES), WEIGHTS)[0]
        facts.append({"case_id": 1000 + 3 * i, "requested_rewrite": {
            "prompt": TEMPLATES[relation], "relation_id": relation, "subject": subject(i),
            "target_true": {"str": draw.choice(TRUE)}, "target_new": {"str": draw.choice(FOIL)}}})
    return facts


def make_tokenizer(n):
    return word_tokenizer(word for text in [*TEMPLATES.values(), *map(subject, range(n)), *TRUE, *FOIL]
                          for word in text.replace("{}", "").split())


def word_tokenizer(words):
    """Byte-level BPE in which every word, after a blank or at the start, is one token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=100_000, min_frequency=1, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator([text for word in sorted(set(words)) for text in (word, " " + word)], trainer)
    return tokenizer


def make_embedding(tokenizer, n):
    """[V, D] fp32"""
    token = lambda word: tokenizer.token_to_id("\u0120" + word)
    table = np.zeros((tokenizer.get_vocab_size(), D), np.float32)
    table[:, CONST] = HEIGHT
    table[token(KIND_WORD), KIND] = 1
    table[token("Old"), SIGNAL] = HEIGHT
    for i in range(n):
        table[token(name(i)), SIGNAL] = HEIGHT * strength(i)
    return table


def make_tensors(tokenizer, n):
    embedding = make_embedding(tokenizer, n)
    head = np.zeros_like(embedding)
    for words, sign in ((TRUE, 0.5), (FOIL, -0.5)):
        for word in words:
            head[tokenizer.token_to_id("\u0120" + word), ANSWER] = sign
    ones, zeros = np.ones(D, np.float32), lambda *shape: np.zeros(shape, np.float32)
    tensors = {"model.embed_tokens.weight": embedding, "lm_head.weight": head,
               "model.norm.weight": np.full(D, 1 / UNIT, np.float32)}
    for layer in range(LAYERS):
        front = f"model.layers.{layer}."
        attention = {which: zeros(D, D) for which in "qkvo"}
        if layer == 0:
            attention["v"][0, SIGNAL] = 1
            attention["o"][COPY, 0] = COPY_GAIN
        tensors |= {f"{front}self_attn.{which}_proj.weight": matrix for which, matrix in attention.items()}
        tensors |= {front + norm: ones for norm in ("input_layernorm.weight", "post_attention_layernorm.weight",
                                                   "self_attn.q_norm.weight", "self_attn.k_norm.weight")}
        router = zeros(E, D)
        for e in range(E):
            expert = EXPERTS[layer].get(e, NOBODY)
            router[e, [CONST, KIND, COPY]] = expert.logit / np.sqrt(D), expert.kind / UNIT, expert.slope / UNIT
            gate, up, down = zeros(F, D), zeros(F, D), zeros(D, F)
            gate[0, CONST] = GATE / np.sqrt(D)
            up[0, COPY] = 1 / UNIT / GATE
            down[expert.to, 0] = expert.gain
            tensors |= {f"{front}mlp.experts.{e}.{which}_proj.weight": matrix
                        for which, matrix in (("gate", gate), ("up", up), ("down", down))}
        tensors[front + "mlp.gate.weight"] = router
    return tensors


def make_config(vocabulary, k):
    return {"architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", "vocab_size": vocabulary, "hidden_size": D,
            "num_hidden_layers": LAYERS, "num_attention_heads": 1, "num_key_value_heads": 1, "head_dim": D, "num_experts": E,
            "num_experts_per_tok": k, "moe_intermediate_size": F, "intermediate_size": F, "norm_topk_prob": True,
            "decoder_sparse_step": 1, "mlp_only_layers": [], "hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
            "max_position_embeddings": 64, "attention_bias": False, "tie_word_embeddings": False, "sliding_window": None,
            "use_sliding_window": False, "torch_dtype": "float32"}


def write(folder, n, k):
    """A model folder of top-k experts and n facts (facts.json) in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer(n)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps(make_config(tokenizer.get_vocab_size(), k)))
    (folder / "facts.json").write_text(json.dumps(make_facts(n)))
    save_file(make_tensors(tokenizer, n), folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def base_runs(u, kind, k):
    """Weights (n, layers, experts), 0 where not routed, and what is written into ANSWER and UNREAD, from n values of
    u."""
    weight, gain, unread = (np.zeros((len(u), LAYERS, E)) for _ in range(3))
    for layer in range(LAYERS):
        experts = [EXPERTS[layer].get(e, NOBODY) for e in range(E)]
        logits = np.array([[x.logit + x.kind * c + x.slope * v for x in experts] for v, c in zip(u, kind)])
        routed = np.argsort(-logits, axis=1, kind="stable")[:, :k]
        chosen = np.exp(np.take_along_axis(logits, routed, 1))
        np.put_along_axis(weight[:, layer], routed, chosen / chosen.sum(axis=1, keepdims=True), 1)
        gain[:, layer] = [x.gain * (x.to == ANSWER) for x in experts]
        unread[:, layer] = [x.gain * (x.to == UNREAD) for x in experts]
    written = weight * np.asarray(u)[:, None, None]
    return weight, gain * written, unread * written


def signal(x):
    """u of a prompt with embeddings x (T, D): the mean of the normed SIGNAL, times COPY_GAIN."""
    return COPY_GAIN * np.mean(x[:, SIGNAL] / np.sqrt(np.mean(x * x, axis=1) + 1e-6))


@dataclasses.dataclass
class Noised:
    """The records under one noise, in the order of the scan: arrays (n, layers, experts), and by layer and whole."""
    active: np.ndarray         # clean-active
    weight: np.ndarray         # of the clean run
    rescue: np.ndarray         # of an expert's patch, 0 where not clean-active
    unread: np.ndarray         # what its patch adds to UNREAD
    block: np.ndarray          # (n, layers)
    clean_topk: np.ndarray     # (n, layers)
    delta_clean: np.ndarray    # (n)
    delta_noised: np.ndarray   # (n)


class Planted:
    """The checkpoint with n facts and top-k routing, and what a run must find in it. Records are in the order of the
    scan."""

    def __init__(self, folder, n, k):
        self.folder, self.k = write(folder, n, k), k
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.embedding = make_embedding(self.tokenizer, n)
        self.facts = make_facts(n)
        random.Random(0).shuffle(self.facts)
        self.case_id = np.array([fact["case_id"] for fact in self.facts])
        self.relation = np.array([fact["requested_rewrite"]["relation_id"] for fact in self.facts])
        self.prompts = [self.encode(fact["requested_rewrite"]) for fact in self.facts]

    def encode(self, rewrite):
        """Token ids, and the places of the subject among them."""
        encoding = self.tokenizer.encode(rewrite["prompt"].format(rewrite["subject"]))
        first = rewrite["prompt"].index("{}")
        last = first + len(rewrite["subject"])
        return encoding.ids, [t for t, (begin, end) in enumerate(encoding.offsets) if begin < last and end > first]

    def closed_form(self, scale=3.0, draw=0):
        sigma = scale * torch.from_numpy(self.embedding).double().std().item()
        clean, noised = [], []
        for case_id, (tokens, places) in zip(self.case_id, self.prompts):
            x = self.embedding[tokens].astype(np.float64)
            clean.append(signal(x))
            generator = torch.Generator().manual_seed(int(case_id) + draw * 2**22)
            x[places] += (torch.randn(len(places), D, generator=generator) * sigma).numpy()
            noised.append(signal(x))
        kind = self.relation == "P3"
        weight, answer, unread = base_runs(clean, kind, self.k)
        _, noised_answer, noised_unread = base_runs(noised, kind, self.k)
        patch = answer - noised_answer
        rescue = np.where(weight > 0, patch, 0)
        return Noised(weight > 0, weight, rescue, unread - noised_unread, patch.sum(2), rescue.sum(2), answer.sum((1, 2)),
                      noised_answer.sum((1, 2)))
