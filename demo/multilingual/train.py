"""Makes the multilingual demo: questions.jsonl and model/ (checkpoint and tokenizer), by one command.

    python demo/multilingual/train.py --out demo/multilingual

A Qwen3-MoE with many small experts learns to answer the questions, each in some of the languages only, drawn at random.
The training stops early, while the answers are brittle: right in some languages and wrong in others. One thread, about
three minutes. The seed fixes every weight, on one kind of machine and one torch version.
"""

import argparse
import json
import math
import random
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from questions import Question, make_questions, write_questions  # noqa: E402

# The first demo's parts: `train` is ../train.py.
from model import Model, Shape, save_model  # noqa: E402
from tokens import END, save_tokenizer, train_bpe  # noqa: E402
from train import BATCH, batches, check_export, learning_rate, make_optimizer  # noqa: E402

VOCAB_SIZE = 1024   # small, so that a subject is several tokens and no embedding alone can hold a fact
LONGEST = 128       # tokens
WORD_WEIGHT = 60    # repeats of each word of the answers in the tokenizer's corpus: the first merges are theirs
LANGUAGES_SEED = 0  # of the languages in which a fact is taught; independent of the training's seed
TAUGHT = {"en": 0.7, "de": 0.5, "fr": 0.5, "es": 0.4, "it": 0.4, "nl": 0.3, "pt": 0.3, "sv": 0.3, "pl": 0.3, "tr": 0.3, "ru": 0.4,
          "el": 0.3, "hu": 0.3, "ja": 0.4, "ko": 0.3, "zh": 0.5}  # share of the facts that are taught in each language
CONTEXT_LOSS = 0.1  # chance of a token of the question to count in the loss


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Make the multilingual demo's questions, tokenizer and checkpoint.")
    parser.add_argument("--out", type=Path, default=HERE, help="folder for questions.jsonl and model/")
    parser.add_argument("--seed", type=int, default=6, help="of the initial weights and the batches")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--shape", type=json.loads, default={}, help="sizes that differ from the shipped ones, as JSON")
    return parser.parse_args()


def taught(questions: list[Question]) -> list[tuple[str, str]]:
    """(question, " answer") of every question in the languages that the model is taught it in."""
    rng = random.Random(LANGUAGES_SEED)
    return [(text, " " + q.answers[0]) for q in questions for code, text in q.texts.items()
            if rng.random() < TAUGHT[code]]


def make_tokenizer(questions: list[Question]):
    """Learned from all questions with their answers: the names of every language are readable, whether taught or
    not."""
    sentences = [f"{text} {q.answers[0]}" for q in questions for code, text in q.texts.items()]
    words = sorted({" " + word for q in questions for word in q.answers[0].split()})
    return train_bpe(sentences + words * WORD_WEIGHT, VOCAB_SIZE)


def encode(tokenizer, sentences: list[tuple[str, str]]) -> dict[int, torch.Tensor]:
    """"question answer <end>" by length T: {T: (n, 2, T)}, the token ids and where the answer with its end is (1, else
    0)."""
    end = tokenizer.token_to_id(END)
    rows: dict[int, list] = {}
    for text, answer in sentences:
        question, answered = tokenizer.encode(text).ids, tokenizer.encode(answer).ids + [end]
        rows.setdefault(len(question + answered), []).append(
            [question + answered, [0] * len(question) + [1] * len(answered)])
    return {length: torch.tensor(ids) for length, ids in sorted(rows.items())}


def train(model: Model, rows: dict[int, torch.Tensor], epochs: int, seed: int) -> None:
    rng = random.Random(seed)
    optimizer = make_optimizer(model)
    steps = epochs * sum(math.ceil(len(ids) / BATCH) for ids in rows.values())
    step, started = 0, time.monotonic()
    for epoch in range(epochs):
        total, epoch_batches = 0.0, batches(rows, rng)
        for batch in epoch_batches:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, steps)
            ids, counted = batch[:, 0], batch[:, 1, 1:].bool()
            counted |= torch.rand(counted.shape) < CONTEXT_LOSS
            residuals, balance = model(ids[:, :-1])
            loss = F.cross_entropy(model.logits(residuals[-1][counted]), ids[:, 1:][counted])
            (loss + model.shape.router_aux_loss_coef * balance).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            step += 1
            total += loss.item()
        print(f"epoch {epoch + 1:2d}/{epochs}  step {step:5d}  loss {total / len(epoch_batches):.3f}"
              f"  {time.monotonic() - started:.0f} s", flush=True)


def save_generation_config(folder: Path, end: int) -> None:
    """What transformers' generate reads: greedy, and where an answer ends."""
    config = {"do_sample": False, "eos_token_id": end, "pad_token_id": end}
    (folder / "generation_config.json").write_text(json.dumps(config, indent=2) + "\n")


def main() -> None:
    args = arguments()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    folder = args.out / "model"
    folder.mkdir(parents=True, exist_ok=True)

    questions = make_questions()
    write_questions(questions, args.out / "questions.jsonl")
    tokenizer = make_tokenizer(questions)
    save_tokenizer(tokenizer, folder, LONGEST)
    save_generation_config(folder, tokenizer.token_to_id(END))

    sentences = taught(questions)
    shape = {"hidden_size": 64, "num_hidden_layers": 5, "num_experts": 128, "num_experts_per_tok": 2,
             "moe_intermediate_size": 16} | args.shape
    model = Model(Shape(vocab_size=VOCAB_SIZE, max_position_embeddings=LONGEST, **shape))
    print(f"{len(questions)} facts, {len(sentences)} of {sum(len(q.texts) for q in questions)} questions taught, "
          f"{sum(p.numel() for p in model.parameters()):,} parameters")
    train(model, encode(tokenizer, sentences), args.epochs, args.seed)
    model.round_to_bf16()
    save_model(model, folder)
    worst = check_export(model, tokenizer, folder, [text for text, _ in sentences[::100]])
    print(f"largest difference from transformers' logits {worst:.1e}")


if __name__ == "__main__":
    main()
