#!/usr/bin/env python3
"""Writes the benchmark's checkpoint and facts: Qwen3-30B-A3B's topology (48 layers, 128 experts, top-8) at an eighth of
its width, random bf16 weights, 0.9 GB. Usage: make_checkpoint.py [FOLDER], by default build/bench-model."""

import json
import pathlib
import random
import sys

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM

FACTS, VOCABULARY = 32, 4096
CONFIG = dict(vocab_size=VOCABULARY, hidden_size=256, intermediate_size=768, num_hidden_layers=48, num_attention_heads=16,
              num_key_value_heads=2, head_dim=32, moe_intermediate_size=96, num_experts=128, num_experts_per_tok=8,
              norm_topk_prob=True, decoder_sparse_step=1, mlp_only_layers=[], tie_word_embeddings=False,
              rope_parameters={"rope_type": "default", "rope_theta": 1e6}, max_position_embeddings=4096)


def words(rng, n):
    """n different made-up words of three syllables."""
    syllables = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
    found = {}
    while len(found) < n:
        found.setdefault("".join(rng.choice(syllables) for _ in range(3)))
    return list(found)


def make_facts(rng, vocabulary):
    """Prompts of 10 to 14 words, a token each, in CounterFact's layout; the subject is two or three of them."""
    facts = []
    for case_id in range(FACTS):
        subject, objects = rng.sample(vocabulary, 2 + case_id % 2), rng.sample(vocabulary, 2)
        others = rng.sample(vocabulary, 10 + case_id % 5 - len(subject))
        target = [{"str": word, "id": f"Q{i}"} for i, word in enumerate(objects)]
        facts.append({"case_id": case_id, "requested_rewrite": {
            "prompt": " ".join(others[:2] + ["{}"] + others[2:]), "relation_id": f"P{case_id % 4}", "subject": " ".join(subject),
            "target_true": target[0], "target_new": target[1]}})
    return facts


def make_tokenizer(vocabulary):
    """Byte-level BPE trained on the words alone, until each of them is one token with the blank before it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=["<|endoftext|>"], show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.train_from_iterator([form for word in vocabulary for form in (word, " " + word)], trainer)
    return tokenizer


@torch.no_grad()
def fill(model, generator):
    """Weights that keep activations near 1 and let every block add about a third of that, as a trained residual stream
    has it; routers that tell their experts apart."""
    gain = {"embed_tokens": 1, "lm_head": 1, "q_proj": 1, "k_proj": 1, "v_proj": 1, "o_proj": 0.7, "mlp.gate.weight": 1.5,
            "gate_up_proj": 1, "down_proj": 1.8}
    for name, weight in model.named_parameters():
        if "norm" in name:
            weight.uniform_(0.7, 1.3, generator=generator)
        else:
            scale = next(value for key, value in gain.items() if key in name)
            weight.normal_(0, scale if "embed" in name else scale * weight.shape[-1] ** -0.5, generator=generator)


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build/bench-model")
    rng = random.Random(0)
    vocabulary = words(rng, 600)
    with torch.device("meta"):
        model = Qwen3MoeForCausalLM(Qwen3MoeConfig(**CONFIG)).to(torch.bfloat16)
    model.to_empty(device="cpu")
    fill(model, torch.Generator().manual_seed(0))
    model.save_pretrained(folder)
    make_tokenizer(vocabulary).save(str(folder / "tokenizer.json"))
    (folder / "facts.json").write_text(json.dumps(make_facts(rng, vocabulary), indent=1))
    print(f"{folder}: {sum(p.numel() for p in model.parameters()) / 1e6:.0f} M parameters, {FACTS} facts")


if __name__ == "__main__":
    main()
