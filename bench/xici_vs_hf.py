#!/usr/bin/env python3
"""moesweep xici against transformers' generate, one CPU thread each: the same questions, and the same experts
deactivated.

    bench/make_checkpoint.py && bench/xici_vs_hf.py [--quick]

First moesweep asks, identifies by made-up ratings and asks again. Then transformers decodes the same prompts,
left-padded, in batches of several sizes, and some of the trials without their experts, by hooks on the routers: one
trial's languages a batch, or as many trials as are quickest, each with a mask of its own. In fp64 its tokens must be
moesweep's; in fp32 some answers differ from some token on, as experts are nearly tied: how many is printed, and how
many differ between two of transformers' own settings. Then rounds of all of them in turn; trials that are not sampled
are taken to cost the same. """

import argparse
import functools
import itertools
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import time

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import h5py
import numpy as np
import torch
from transformers import AutoModelForCausalLM
from transformers.utils import logging

import make_checkpoint
from timing import Watch, cpu_seconds, peak_gigabytes

EXPERTS = ["grouped_mm", "eager"]  # batched_mm copies weights: 0.7 tokens a second
LENGTHS = {  # least, median and most tokens of KLAR's questions in Qwen3's chat form with the paper's system text
    "en": (34, 40, 46), "ar": (36, 43, 55), "ca": (38, 43, 51), "el": (55, 89, 105), "es": (36, 44, 49), "fr": (34, 45, 53),
    "ja": (36, 39, 48), "ko": (39, 43, 52), "ru": (37, 46, 55), "tr": (35, 41, 50), "uk": (44, 53, 70), "zh": (33, 37, 44)}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="bench/xici.ini")
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build/cpu"), help="folder of moesweep")
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("build/bench-xici"))
    parser.add_argument("--questions", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=24, help="of an answer")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sample", type=int, default=4, help="questions and trials that transformers does, one a batch")
    parser.add_argument("--sizes", type=int, nargs="+", default=[12, 48, 96], help="sequences of a batch")
    parser.add_argument("--quick", action="store_true", help="2 questions, 6 tokens, one round")
    args = parser.parse_args()
    if args.quick:
        args.questions, args.tokens, args.rounds, args.sample, args.sizes = 2, 6, 1, 2, [12, 24]
    return args


# moesweep
# ----------------------------------------------------------------------------------------------------------------

def write_questions(path, n):
    """n questions of words that are a token each, as long as real ones are."""
    rng = random.Random(1)
    words = make_checkpoint.words(random.Random(0), 600)
    ask = lambda low, middle, high: " ".join(rng.choices(words, k=round(rng.triangular(low, high, middle))))
    questions = [{"id": f"q{i}", "dataset": "bench", "languages": {
        language: {"question": ask(*lengths), "answers": ["none"]} for language, lengths in LENGTHS.items()}} for i in range(n)]
    path.write_text("".join(json.dumps(question) + "\n" for question in questions))


def run_moesweep(args, fresh=True, name="run", **options):
    """The program as a user runs it. Returns (wall, CPU) seconds of both stages and of the whole process, and the most
    memory, in GB."""
    folder = args.work / name
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    options |= {"run.out": folder, "questions.path": args.work / "questions.jsonl", "ask.max_tokens": args.tokens, "run.progress": 1e6}
    if (ratings := ratings_of(folder)).exists():
        options["rate.file"] = ratings
    start, marks = time.perf_counter(), {}
    process = subprocess.Popen([args.build / "moesweep", "xici", args.config, *(f"--{key}={value}" for key, value in options.items())],
                               stdout=subprocess.PIPE, text=True)
    for line in process.stdout:  # each stage begins behind one line and ends with another
        for mark, pattern in (("ask", r".* \d+ sequences$"), ("asked", r"units (\d+)/\1 "),
                              ("again", r"bench: "), ("answered", r"deactivated: units (\d+)/\1 ")):
            if re.match(pattern, line):
                marks[mark], memory = np.array([time.perf_counter(), cpu_seconds(process.pid)]), peak_gigabytes(process.pid)
    _, status, usage = os.wait4(process.pid, 0)
    whole = np.array([time.perf_counter() - start, usage.ru_utime + usage.ru_stime])
    if os.waitstatus_to_exitcode(status) != 75:  # it waits for ratings
        sys.exit(f"moesweep failed: {os.waitstatus_to_exitcode(status)}")
    stages = [marks[end] - marks[begin] for begin, end in (("ask", "asked"), ("again", "answered")) if end in marks]
    return stages, whole, memory


def ratings_of(folder):
    return folder.with_suffix(".jsonl")


def rate(folder):
    """Made-up ratings of the answers; half are right."""
    rng = random.Random(2)
    with open(ratings_of(folder), "w") as file:
        for answer in map(json.loads, (folder / "answers.jsonl").read_text().splitlines()):
            name = {key: answer[key] for key in ("id", "language", "condition")}
            file.write(json.dumps(name | {"right": rng.random() < 0.5}) + "\n")


class Run:
    """What moesweep's file holds: trials as (question, experts), prompts by (question, language), answers by (trial,
    language)."""

    def __init__(self, folder):
        with h5py.File(folder / "xici.h5", locking=False) as file:
            def columns(table, *names):
                return [file[table][name][:].tolist() for name in names]
            (questions,) = columns("trials", "question")
            self.trials = [(question, []) for question in questions]
            for trial, layer, expert in zip(*columns("deactivated", "trial", "layer", "expert")):
                self.trials[trial][1].append((layer, expert))
            self.prompts, ids = {}, file["variants"]["token_ids"][:].tolist()
            begin = file["variants"]["token_begin"][:].tolist()
            for i, (question, language) in enumerate(zip(*columns("variants", "question", "language"))):
                self.prompts[question, language] = ids[begin[i]:begin[i + 1]]
            self.answers = {}
            for trial, language, token, gap in zip(*columns("answer_tokens", "trial", "language", "token", "gap")):
                self.answers.setdefault((trial, language), []).append((token, gap))

    def tokens(self):
        return {key: [token for token, _ in answer] for key, answer in self.answers.items()}

    def sequences(self, trials):
        return [key for key in sorted(self.answers) if key[0] in set(trials)]


# transformers
# ------------------------------------------------------------------------------------------------------------

class HuggingFace:
    def __init__(self, folder, run, tokens, dtype=torch.float32):
        self.model = AutoModelForCausalLM.from_pretrained(pathlib.Path(folder), dtype=dtype).eval()
        self.run, self.tokens = run, tokens

    def use(self, attention, experts):
        self.model.config._attn_implementation, self.model.config._experts_implementation = attention, experts

    def hooks(self, batch):
        """On the routers of those layers in which a sequence of the batch goes without experts."""
        E, masks = self.model.config.num_experts, {}
        for row, (trial, _) in enumerate(batch):
            for layer, expert in self.run.trials[trial][1]:
                masks.setdefault(layer, torch.zeros((len(batch), E), dtype=torch.bool))[row, expert] = True
        return [self.model.model.layers[layer].mlp.gate.register_forward_hook(deactivating(mask)) for layer, mask in masks.items()]

    def generate(self, batch):
        """The answers [B, tokens] of sequences (trial, language)."""
        prompts = [self.run.prompts[self.run.trials[trial][0], language] for trial, language in batch]
        width = max(map(len, prompts))
        ids = torch.tensor([[0] * (width - len(prompt)) + prompt for prompt in prompts])
        mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
        handles = self.hooks(batch)
        found = self.model.generate(ids, attention_mask=mask, do_sample=False, max_new_tokens=self.tokens, pad_token_id=0)
        for handle in handles:
            handle.remove()
        return found[:, width:].tolist()

    def answer(self, sequences, size):
        """(wall, CPU) seconds and the answers, in batches of that size."""
        batches = [sequences[begin:begin + size] for begin in range(0, len(sequences), size)]
        with Watch() as watch:
            answers = [self.generate(batch) for batch in batches]
        return watch.seconds, dict(zip(sequences, itertools.chain(*answers)))


def make_exact(model):
    """Norms, rotary angles and routers in the model's dtype, of which transformers computes parts in fp32 in any
    model."""
    def norm(module, x):
        return module.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + module.variance_epsilon))

    def rotate(x, position_ids):
        half, theta = model.config.head_dim // 2, model.config.rope_parameters["rope_theta"]
        angles = position_ids[..., None].to(x.dtype) * theta ** (-torch.arange(half, dtype=x.dtype) / half)
        angles = torch.cat((angles, angles), -1)
        return angles.cos(), angles.sin()

    for module in model.modules():
        if type(module).__name__.endswith("RMSNorm"):
            module.forward = functools.partial(norm, module)
    model.model.rotary_emb.forward = rotate
    for layer in model.model.layers:
        layer.mlp.gate.register_forward_hook(deactivating(torch.zeros((1, model.config.num_experts), dtype=torch.bool)))


def deactivating(mask):
    """A router's hook that gives experts [B, E] their row's least logit, as the paper does."""
    def hook(router, args, output):
        logits = output[0]
        rows = mask.repeat_interleave(len(logits) // len(mask), 0)
        logits = torch.where(rows, logits.amin(-1, keepdim=True), logits)
        weights, experts = torch.topk(torch.softmax(logits, -1), router.top_k, -1)
        if router.norm_topk_prob:
            weights = weights / weights.sum(-1, keepdim=True)
        return logits, weights, experts
    return hook


def quickest(hf, sequences, settings, sizes):
    """The (size, setting) of the least CPU time a sequence, by one batch each, sequences being as many as the
    largest."""
    cost = {}
    for setting in settings:
        hf.use(*setting)
        for size in sizes:
            size = min(size, len(sequences))
            if (size, setting) not in cost:
                cost[size, setting] = hf.answer(sequences[:size], size)[0][1] / size
                print(f"  {'/'.join(setting):16} batch {size:3}: {hf.tokens / cost[size, setting]:8.1f} tokens a CPU second", flush=True)
    return min(cost, key=cost.get)


def differing(answers, expected):
    """How many answers of those that both have differ, and the place of the first difference of each."""
    both = sorted(set(answers) & set(expected))
    places = [next((t for t, (a, b) in enumerate(zip(answers[key], expected[key], strict=True)) if a != b), None) for key in both]
    return len(both), [(key, place) for key, place in zip(both, places) if place is not None]


def say_differences(name, answers, run):
    count, places = differing(answers, run.tokens())
    gaps = [run.answers[key][place][1] for key, place in places]
    print(f"  {name}: {len(gaps)} of {count} answers differ from some token on"
          + (f", where moesweep's gap was {min(gaps):.1e} to {max(gaps):.1e}" if gaps else ""), flush=True)
    return not gaps


# main
# --------------------------------------------------------------------------------------------------------------------

def first_run(args, name="run", **options):
    """Asks, rates and asks again. The run's trials, prompts and answers."""
    ratings_of(args.work / name).unlink(missing_ok=True)
    run_moesweep(args, name=name, **options)
    rate(args.work / name)
    run_moesweep(args, fresh=False, name=name, **options)
    return Run(args.work / name)


def check_in_fp64(args, model_folder):
    """A question, and a question asked again with two sets of experts deactivated: every token must be the same."""
    run = first_run(args, "fp64", **{"model.precision": "fp64", "questions.limit": 2})
    hf = HuggingFace(model_folder, run, args.tokens, torch.float64)
    make_exact(hf.model)
    hf.use("sdpa", "eager")
    answers = hf.answer(run.sequences([0, 2, len(run.trials) - 1]), len(LENGTHS))[1]
    if not say_differences("fp64", answers, run):
        sys.exit("tokens differ: nothing is timed")


def main():
    args = parse_arguments()
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    torch.set_grad_enabled(False)
    args.work.mkdir(parents=True, exist_ok=True)

    write_questions(args.work / "questions.jsonl", args.questions)
    model_folder = re.search(r"^path = (.*)$", pathlib.Path(args.config).read_text(), re.M)[1]
    print("tokens against moesweep's")
    check_in_fp64(args, model_folder)
    run = first_run(args)
    asked, again = range(args.questions), range(args.questions, len(run.trials))
    everything, ablation = run.sequences(asked), run.sequences(again)
    sampled = [again[int((i + 0.5) * len(again) / args.sample)] for i in range(args.sample)]
    print(f"{args.questions} questions in {len(LENGTHS)} languages, {sum(map(len, run.prompts.values()))} tokens; {len(again)} trials "
          f"without {sum(len(experts) for _, experts in run.trials) / max(len(again), 1):.1f} experts each; answers of {args.tokens} tokens")

    hf = HuggingFace(model_folder, run, args.tokens)
    print("choosing transformers' settings")
    _, single = quickest(hf, everything, list(itertools.product(("sdpa", "eager"), EXPERTS)), [12])
    size, best = quickest(hf, everything, [(single[0], experts) for experts in EXPERTS], args.sizes)
    many = run.sequences(range(again[0], min(again[0] + max(size // len(LENGTHS), 1), again[-1] + 1)))

    def transformers(sequences, size, setting):
        hf.use(*setting)
        return hf.answer(sequences, size)

    n, m = len(everything), len(ablation)
    baselines = {  # name: (stage, sequences of the stage, those that are timed, how)
        f"decoding: one question a batch, {'/'.join(single)}": (0, n, run.sequences(sampled_questions(args)), len(LENGTHS), single),
        f"decoding: batches of {size}, {'/'.join(best)}": (0, n, everything, size, best),
        f"ablation: one trial a batch, {'/'.join(single)}": (1, m, run.sequences(sampled), len(LENGTHS), single),
        f"ablation: batches of {size}, masks, {'/'.join(best)}": (1, m, many, size, best)}

    answers = {name: transformers(*how)[1] for name, (_, _, *how) in baselines.items()}
    for name, found in answers.items():
        say_differences(name, found, run)
    for one, other in itertools.combinations(answers, 2):
        count, places = differing(answers[one], answers[other])
        if count:
            print(f"  {one} and {other}: {len(places)} of {count} differ")

    pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak of memory is that of the rounds
    stages, whole, memory, seconds = [], [], [], {name: [] for name in baselines}
    for _ in range(args.rounds):
        both, process, peak = run_moesweep(args)
        stages.append(both)
        whole.append(process)
        memory.append(peak)
        for name, (_, all_of_them, sequences, *how) in baselines.items():
            seconds[name].append(transformers(sequences, *how)[0] * all_of_them / len(sequences))
        print(f"  moesweep {both[0][1]:.1f} and {both[1][1]:.1f} CPU s; " +
              "; ".join(f"{took[-1][1]:.1f}" for took in seconds.values()), flush=True)
    report(np.array(stages), np.array(whole), memory, [n * args.tokens, m * args.tokens], seconds, baselines)


def sampled_questions(args):
    count = min(args.questions, args.sample)
    return [int((i + 0.5) * args.questions / count) for i in range(count)]


def report(stages, whole, memory, tokens, seconds, baselines):
    """Medians; a ratio is the median of the rounds' own ratios, so that a slow round slows both sides of it."""
    def line(name, took, produced, ratios=""):
        wall, cpu = np.median(took, axis=0)
        print(f"| {name} | {wall:.1f} ({cpu:.1f}) | {produced / wall:.0f} ({produced / cpu:.0f}) | {ratios} |")

    print("\nmedians, wall seconds (CPU seconds)\n\n| | seconds | tokens a second | moesweep is |\n|---|---|---|---|")
    for stage, name in enumerate(("asking, with its capture", "asking again without experts")):
        line(f"moesweep, {name}", stages[:, stage], tokens[stage])
    for name, took in seconds.items():
        stage = baselines[name][0]
        wall, cpu = np.median(np.array(took) / stages[:, stage], axis=0)
        line(f"transformers, {name}", took, tokens[stage], f"{wall:.1f}x ({cpu:.1f}x) faster")
    line("moesweep, the whole process", whole, sum(tokens))
    print(f"\nmemory at most: moesweep {max(memory):.2f} GB, this process with transformers {peak_gigabytes('self'):.2f} GB")


if __name__ == "__main__":
    main()
