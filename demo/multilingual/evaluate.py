"""XICI (arXiv 2603.17102) on the demo, with transformers, scipy and nothing of moesweep: an oracle of the whole method.

    python demo/multilingual/evaluate.py [--model FOLDER] [--questions FILE] [--out FILE.json]

Greedy answers in fp32 to every question in every language, the gate weights of what was fed, the experts of each
question, and the answers once these are deactivated. Questions of even number chose the model's sizes; those of odd
number did not, and are reported apart. One thread, two minutes.

Shapes: N sequences, a (question, language) each; L layers, E experts a layer, S = L * E experts; T tokens.
"""

import argparse
import json
import string
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.stats import mannwhitneyu, rankdata

HERE = Path(__file__).parent
BATCH = 256       # sequences of one length
MAX_TOKENS = 24   # of an answer
TOP, SHARE = 0.01, 0.05  # the blacklist: among this share of the experts in more than this share of the sequences
ALPHA, TAU, CAP = 0.05, 0.005, 25
DRAWS = 5_000     # of the bootstrap over questions


class Asker:
    """Asks a model batches of questions and keeps its gate weights; experts can be deactivated for each question."""

    def __init__(self, folder: Path):
        from transformers import AutoModelForCausalLM, AutoTokenizer  # here, for what needs no model
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        config = self.model.config
        self.layers, self.experts, self.top_k = config.num_hidden_layers, config.num_experts, config.num_experts_per_tok
        self.end = config.eos_token_id
        self.deactivated = None  # (B, L, E) bool
        self.gates = [None] * self.layers  # (B, T, E) each, of the last forward pass
        for number, layer in enumerate(self.model.model.layers):
            layer.mlp.gate.forward = self.route(layer.mlp.gate, number)

    def route(self, gate, layer: int):
        """Qwen3-MoE's routing; the logit of a deactivated expert becomes its row's minimum before the choice."""
        def forward(hidden):
            logits = hidden.reshape(-1, gate.weight.shape[1]) @ gate.weight.T  # (B * T, E)
            if self.deactivated is not None:
                off = self.deactivated[:, layer].repeat_interleave(len(logits) // len(self.deactivated), dim=0)
                logits = torch.where(off, logits.min(-1, keepdim=True).values, logits)
            top, chosen = logits.softmax(-1).topk(self.top_k, dim=-1)
            top = top / top.sum(-1, keepdim=True)
            self.gates[layer] = torch.zeros_like(logits).scatter(-1, chosen, top)
            return logits, top, chosen
        return forward

    @torch.no_grad()
    def ask(self, texts: list[str], deactivated: np.ndarray | None = None) -> tuple[list[str], np.ndarray]:
        """The greedy answers, and the gate weights (N, S) averaged over all tokens that were fed."""
        prompts = [self.tokenizer(text)["input_ids"] for text in texts]
        by_length: dict[int, list[int]] = {}
        for number, prompt in enumerate(prompts):
            by_length.setdefault(len(prompt), []).append(number)
        answers, weights = [""] * len(texts), np.zeros((len(texts), self.layers * self.experts))
        for numbers in by_length.values():
            for start in range(0, len(numbers), BATCH):
                some = numbers[start:start + BATCH]
                self.deactivated = None if deactivated is None else \
                    torch.from_numpy(deactivated[some]).view(len(some), self.layers, self.experts)
                ids, gates = self.generate(torch.tensor([prompts[n] for n in some]))
                weights[some] = gates
                for n, text in zip(some, self.tokenizer.batch_decode(ids, skip_special_tokens=True)):
                    answers[n] = text
        return answers, weights

    def generate(self, prompts: torch.Tensor) -> tuple[list[list[int]], np.ndarray]:
        """prompts (B, T) -> the answers' tokens without the end, and the mean gate weights (B, S) of what was fed."""
        answers: list[list[int]] = [[] for _ in prompts]
        running = torch.ones(len(prompts), dtype=torch.bool)
        total, fed = torch.zeros(len(prompts), self.layers, self.experts, dtype=torch.float64), torch.zeros(len(prompts))
        ids, cache = prompts, None
        for _ in range(MAX_TOKENS):
            out = self.model(input_ids=ids, past_key_values=cache, use_cache=True)
            cache = out.past_key_values
            gates = torch.stack([g.view(len(prompts), -1, self.experts).double().sum(1) for g in self.gates], dim=1)
            total[running] += gates[running]
            fed[running] += ids.shape[1]
            best = out.logits[:, -1].argmax(-1)
            running &= best != self.end
            if not running.any():
                break
            for n in running.nonzero().flatten().tolist():
                answers[n].append(int(best[n]))
            ids = best.unsqueeze(1)
        return answers, (total / fed[:, None, None]).flatten(1).numpy()


def plain(text: str) -> str:
    """Lower case, without punctuation, one space between words."""
    return " ".join("".join(c for c in text.casefold() if c not in string.punctuation).split())


@dataclass
class Asked:
    """All questions in all languages: Q questions, G languages, N = Q * G sequences in this order."""

    records: list[dict]
    languages: list[str]
    texts: list[str]
    aliases: list[set[str]]

    def right(self, answers: list[str], numbers) -> np.ndarray:
        return np.array([plain(answer) in self.aliases[n] for answer, n in zip(answers, numbers)])


def read_questions(path: Path) -> Asked:
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    languages = list(records[0]["languages"])
    every = [r["languages"][code] for r in records for code in languages]
    return Asked(records, languages, [e["question"] for e in every], [{plain(a) for a in e["answers"]} for e in every])


def blacklist(weights: np.ndarray) -> np.ndarray:
    """Of weights (N, S): which experts are among the TOP share of all in more than a SHARE of the sequences; bool
    (S,)."""
    most = max(1, int(TOP * weights.shape[1]))
    top = np.argpartition(-weights, most - 1, axis=1)[:, :most]
    return np.bincount(top.ravel(), minlength=weights.shape[1]) > SHARE * len(weights)


def identify(values: np.ndarray, right: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Of one question, values (G, S) less their language's mean and right (G,): its experts, the CAP best first
    ranks."""
    correct, wrong = values[right], values[~right]
    test = mannwhitneyu(correct, wrong, alternative="greater", method="asymptotic", use_continuity=True, axis=0)
    difference = np.median(correct, axis=0) - np.median(wrong, axis=0)
    passed = np.flatnonzero(allowed & (test.pvalue < ALPHA) & (difference > TAU))
    ranks = rankdata(-test.statistic[passed]) + rankdata(-difference[passed])
    return passed[np.argsort(ranks, kind="stable")[:CAP]]


def derangement(size: int, rng: np.random.Generator) -> np.ndarray:
    """A permutation that leaves nothing in place: everyone takes the next one's, in a random circle."""
    order, taken = rng.permutation(size), np.empty(size, int)
    taken[order] = np.roll(order, -1)
    return taken


def make_sets(own: dict[int, np.ndarray], relations: list[str], experts: int,
              rng: np.random.Generator) -> dict[str, dict[int, np.ndarray]]:
    """{condition: {question: its set of experts}}, for XICI and the baselines. A question that is alone in its relation
    has no set of the same relation."""
    questions = list(own)
    shuffled, related = {}, {}
    for relation in [None, *dict.fromkeys(relations[q] for q in questions)]:
        peers = [q for q in questions if relation in (None, relations[q])]
        if len(peers) > 1:
            (related if relation else shuffled).update({q: own[peers[t]] for q, t in zip(peers, derangement(len(peers), rng))})
    return {"XICI": own, "shuffled": shuffled, "same relation": related,
            "random": {q: rng.choice(experts, len(own[q]), replace=False) for q in questions}}


def rate(lost: np.ndarray, of: np.ndarray) -> float:
    return float(lost.sum() / of.sum()) if of.sum() else float("nan")


def interval(lost: np.ndarray, of: np.ndarray, less=None, seed: int = 0) -> list[float]:
    """95 % of the rates of resampled questions; `less`: a second (lost, of) of the same questions to subtract."""
    draws = np.random.default_rng(seed).integers(len(of), size=(DRAWS, len(of)))
    rates = lost[draws].sum(1) / of[draws].sum(1)
    if less is not None:
        rates = rates - less[0][draws].sum(1) / less[1][draws].sum(1)
    return [float(x) for x in np.percentile(rates, [2.5, 97.5])]


HALVES = {"chose": 0, "held out": 1}  # the number in a question's id, modulo 2


def evaluate(asker: Asker, asked: Asked, halves=tuple(HALVES), seed: int = 0) -> dict:
    """The figures of each half, whose sets are exchanged within it, and of all questions."""
    count, languages = len(asked.records), len(asked.languages)
    answers, weights = asker.ask(asked.texts)
    right = asked.right(answers, range(len(answers))).reshape(count, languages)
    mixed = np.flatnonzero(right.any(1) & ~right.all(1))
    banned = blacklist(weights)
    values = weights.reshape(count, languages, -1)
    values = values - values.mean(0)
    own = {int(q): found for q in mixed if len(found := identify(values[q], right[q], ~banned))}
    result = {
        "questions": count, "languages": languages, "all right": int(right.all(1).sum()), "none right": int((~right.any(1)).sum()),
        "mixed": len(mixed), "experts": len(banned), "blacklisted": int(banned.sum()), "identified": len(own),
        "experts a question": float(np.mean([len(s) for s in own.values()])),
        "right": {code: float(right[:, i].mean()) for i, code in enumerate(asked.languages)},
        "mixed right": float(right[mixed].mean()),
    }
    relations, rng, after = [r["relation"] for r in asked.records], np.random.default_rng(seed), {}
    for half in halves:
        members = {q: found for q, found in own.items() if int(asked.records[q]["id"].split("-")[1]) % 2 == HALVES[half]}
        for condition, sets in make_sets(members, relations, len(banned), rng).items():
            numbers = [q * languages + i for q in sets for i in range(languages)]
            deactivated = np.zeros((len(numbers), len(banned)), bool)
            for row, q in enumerate(sets):
                deactivated[row * languages:(row + 1) * languages, sets[q]] = True
            got, _ = asker.ask([asked.texts[n] for n in numbers], deactivated)
            after.setdefault(condition, {}).update(zip(sets, asked.right(got, numbers).reshape(-1, languages)))
        result[half] = {condition: figures(right, then, after["XICI"], list(members)) for condition, then in after.items()}
    result["all"] = {condition: figures(right, then, after["XICI"], list(own)) for condition, then in after.items()}
    return result


def figures(right: np.ndarray, after: dict, xici: dict, members: list[int]) -> dict:
    """Success and spurious gain of a condition over (question, language); XICI's success less its, on the same
    questions."""
    members = [q for q in members if q in after]
    before, then, ours = right[members], np.array([after[q] for q in members]), np.array([xici[q] for q in members])
    lost, of = (before & ~then).sum(1), before.sum(1)
    our_lost = (before & ~ours).sum(1)
    return {"questions": len(members), "pairs": int(of.sum()), "success": rate(lost, of), "interval": interval(lost, of),
            "spurious": rate((~before & then).sum(1), (~before).sum(1)), "none_left": int((~then.any(1)).sum()),
            "xici_less": rate(our_lost, of) - rate(lost, of), "xici_less_interval": interval(our_lost, of, (lost, of))}


def show(result: dict) -> None:
    print(", ".join(f"{key} {value}" for key, value in result.items() if not isinstance(value, dict)))
    print("right by language: " + ", ".join(f"{code} {value:.2f}" for code, value in result["right"].items()))
    for half in ("all", *HALVES):
        for condition, f in result[half].items():
            print(f"{half:9s} {condition:14s} {f['questions']:4d} questions {f['pairs']:5d} pairs  success {f['success']:.3f} "
                  f"[{f['interval'][0]:.3f}, {f['interval'][1]:.3f}]  spurious {f['spurious']:.3f}  none left {f['none_left']:3d}"
                  f"  XICI less this {f['xici_less']:+.3f} [{f['xici_less_interval'][0]:+.3f}, {f['xici_less_interval'][1]:+.3f}]")


def main() -> None:
    parser = argparse.ArgumentParser(description="XICI on the demo, by transformers and scipy.")
    parser.add_argument("--model", type=Path, default=HERE / "model")
    parser.add_argument("--questions", type=Path, default=HERE / "questions.jsonl")
    parser.add_argument("--out", type=Path, help="the figures as JSON")
    args = parser.parse_args()
    torch.set_num_threads(1)
    started = time.monotonic()
    result = evaluate(Asker(args.model), read_questions(args.questions))
    show(result)
    print(f"{time.monotonic() - started:.0f} s")
    if args.out:
        args.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
