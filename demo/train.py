"""Makes the demo: facts.json and model/ (checkpoint and tokenizer), by one command.

    python demo/train.py --out demo

A Qwen3-MoE of 1.3 million parameters learns the facts of relations/*.txt by heart, each fact in six or seven sentences,
a sentence per row. The loss is taken twice: after the last layer and, through the same final norm and head, after the
middle one. So the middle layer has to finish the recall and the layers above it only refine it: the expert that carries
a fact is then not next to the logits.

One thread, three to five minutes. The seed fixes every weight, on one kind of machine and one torch version.
"""

import argparse
import json
import math
import random
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

from facts import make_records, read_relations, training_sentences
from model import Model, Shape, save_model
from tokens import save_tokenizer, train_tokenizer

FACTS_SEED = 0     # foils and neighbours; independent of the training's seed
VOCAB_SIZE = 3072
EXIT_LAYER = 2      # the middle one of five, counted from 0
BATCH = 32          # sentences; small batches learn fastest
PEAK_RATE = 2e-3
WARM_UP = 100       # steps; then constant to half of the training, then a cosine
LAST_RATE = 0.02    # of the peak
CONTEXT_LOSS = 0.3  # chance of a token other than the object to count in the loss
LOGIT_ERROR = 1e-4  # between this program's fp32 logits and transformers': the same sums in another order


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Make the demo's facts, tokenizer and checkpoint.")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder for facts.json and model/")
    parser.add_argument("--seed", type=int, default=2, help="of the initial weights and the batches")
    parser.add_argument("--epochs", type=int, default=12)
    return parser.parse_args()


def encode(tokenizer: Tokenizer, sentences: list[tuple[str, str]]) -> dict[int, torch.Tensor]:
    """Token ids of "text object ." by length: {T: (n, T)}, so that no batch needs padding."""
    rows: dict[int, list[list[int]]] = {}
    for text, answer in sentences:
        ids = tokenizer.encode(text).ids + tokenizer.encode(answer).ids + tokenizer.encode(".").ids
        rows.setdefault(len(ids), []).append(ids)
    return {length: torch.tensor(ids) for length, ids in sorted(rows.items())}


def batches(rows: dict[int, torch.Tensor], rng: random.Random) -> list[torch.Tensor]:
    """One epoch: every sentence once, of one length within a batch, in a random order."""
    epoch = []
    for ids in rows.values():
        order = list(range(len(ids)))
        rng.shuffle(order)
        epoch += [ids[order[i:i + BATCH]] for i in range(0, len(order), BATCH)]
    rng.shuffle(epoch)
    return epoch


def learning_rate(step: int, steps: int) -> float:
    if step < WARM_UP:
        return PEAK_RATE * (step + 1) / WARM_UP
    if step < steps // 2:
        return PEAK_RATE
    progress = (step - steps // 2) / (steps - steps // 2)
    return PEAK_RATE * (LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(math.pi * progress)) / 2)


def make_optimizer(model: Model) -> torch.optim.Optimizer:
    """AdamW; no weight decay on embedding, norms and routers."""
    spared = lambda name: "norm" in name or "embed" in name or name.endswith("mlp.gate.weight")
    named = list(model.named_parameters())
    return torch.optim.AdamW(
        [{"params": [p for n, p in named if not spared(n)], "weight_decay": 0.1},
         {"params": [p for n, p in named if spared(n)], "weight_decay": 0.0}],
        lr=PEAK_RATE, betas=(0.9, 0.95), fused=True)


def batch_loss(model: Model, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross entropy of the counted next tokens after the last layer; the loss to descend, with exit and balance."""
    targets = ids[:, 1:]
    counted = torch.rand(targets.shape) < CONTEXT_LOSS
    counted[:, -2] = True  # the object; the full stop follows it
    residuals, balance = model(ids[:, :-1])
    last, middle = (F.cross_entropy(model.logits(residuals[layer][counted]), targets[counted])
                    for layer in (-1, EXIT_LAYER))
    return last, last + middle + model.shape.router_aux_loss_coef * balance


def train(model: Model, rows: dict[int, torch.Tensor], epochs: int, seed: int) -> None:
    rng = random.Random(seed)
    optimizer = make_optimizer(model)
    steps = epochs * sum(math.ceil(len(ids) / BATCH) for ids in rows.values())
    step, started = 0, time.monotonic()
    for epoch in range(epochs):
        total = 0.0
        epoch_batches = batches(rows, rng)
        for ids in epoch_batches:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, steps)
            last, loss = batch_loss(model, ids)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            step += 1
            total += last.item()
        print(f"epoch {epoch + 1:2d}/{epochs}  step {step:5d}  loss {total / len(epoch_batches):.3f}"
              f"  {time.monotonic() - started:.0f} s", flush=True)


@torch.no_grad()
def last_logits(model: Model, tokenizer: Tokenizer, text: str) -> torch.Tensor:
    """The logits (V) of the token after the text."""
    residuals, _ = model(torch.tensor([tokenizer.encode(text).ids]))
    return model.logits(residuals[-1][0, -1])


def recall(model: Model, tokenizer: Tokenizer, questions: list[tuple[str, str]]) -> float:
    """Share of the questions whose object is the most likely next token."""
    right = [tokenizer.encode(answer).ids == [int(last_logits(model, tokenizer, text).argmax())]
             for text, answer in questions]
    return sum(right) / len(right)


@torch.no_grad()
def check_export(model: Model, tokenizer: Tokenizer, folder: Path, texts: list[str]) -> float:
    """The largest difference between our logits and those of transformers reading the folder; large is an error."""
    from transformers import AutoModelForCausalLM, AutoTokenizer
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    their_tokenizer = AutoTokenizer.from_pretrained(folder)
    worst = 0.0
    for text in texts:
        ids = their_tokenizer(text, return_tensors="pt")["input_ids"]
        difference = theirs(ids).logits[0, -1] - last_logits(model, tokenizer, text)
        worst = max(worst, float(difference.abs().max()))
    if worst > LOGIT_ERROR:
        raise ValueError(f"transformers' logits differ by {worst:.2e}, allowed {LOGIT_ERROR:.0e}")
    return worst


def main() -> None:
    args = arguments()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    folder = args.out / "model"
    folder.mkdir(parents=True, exist_ok=True)

    relations = read_relations(Path(__file__).parent / "relations")
    records = make_records(relations, FACTS_SEED)
    text = json.dumps(records, indent=1, ensure_ascii=False)
    (args.out / "facts.json").write_text(text + "\n", encoding="utf-8")

    sentences = training_sentences(relations)
    tokenizer = train_tokenizer(sentences, VOCAB_SIZE)
    save_tokenizer(tokenizer, folder)

    model = Model(Shape(vocab_size=VOCAB_SIZE))
    print(f"{len(records)} facts, {len(sentences)} sentences, {sum(p.numel() for p in model.parameters()):,} parameters")
    train(model, encode(tokenizer, sentences), args.epochs, args.seed)
    model.round_to_bf16()
    save_model(model, folder)

    held_out = [(p.format(s), " " + o) for r in relations for p in r.paraphrases for s, o in r.facts]
    print(f"recall on training templates {recall(model, tokenizer, sentences):.3f}, "
          f"on held-out paraphrases {recall(model, tokenizer, held_out):.3f}")
    worst = check_export(model, tokenizer, folder, [text for text, _ in held_out[::20]])
    print(f"largest difference from transformers' logits {worst:.1e}")


if __name__ == "__main__":
    main()
