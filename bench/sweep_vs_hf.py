#!/usr/bin/env python3
"""moesweep against a full forward for every patch, one CPU thread each: the same checkpoint, facts and patches.

    bench/make_checkpoint.py && bench/sweep_vs_hf.py

Checks a sample of the rescues of every baseline against moesweep's, then times rounds of all of them in turn. Baselines
would take hours over all patches: each is timed on a sample spread evenly over the layers, its time scaled to a patch.
"""

import argparse
import os
import pathlib
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

import hugging_face
import products
from timing import Watch, cpu_seconds

TOLERANCE = 1e-4  # logits: fp32 over 48 layers, sums in different orders
BATCHES = [8, 16, 32, 64, 128, 256]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="bench/bench.ini")
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build/cpu"), help="folder of moesweep and full_forwards")
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("build/bench-run"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--hooks", type=int, default=48, help="patches timed one a forward")
    parser.add_argument("--batched", type=int, default=256, help="patches timed in batches, at least one batch")
    parser.add_argument("--cpp", type=int, default=96, help="patches timed by full_forwards")
    return parser.parse_args()


# moesweep
# ----------------------------------------------------------------------------------------------------------------

def run_moesweep(args):
    """The program as a user runs it. Returns (wall, CPU) seconds of the sweep alone and of the whole process."""
    shutil.rmtree(args.work / "run", ignore_errors=True)
    start, marks = time.perf_counter(), {}
    process = subprocess.Popen([args.build / "moesweep", "trace", args.config, f"--run.out={args.work / 'run'}", "--run.progress=1e6"],
                               stdout=subprocess.PIPE, text=True)
    for line in process.stdout:  # the scan's end and the sweep's are lines of their own
        for mark, pattern in (("scanned", r"\d+ records scanned"), ("swept", r"units (\d+)/\1 ")):
            if re.match(pattern, line):
                marks[mark] = np.array([time.perf_counter(), cpu_seconds(process.pid)])
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0 or len(marks) < 2:
        sys.exit(f"moesweep failed: {status}")
    return marks["swept"] - marks["scanned"], np.array([time.perf_counter() - start, usage.ru_utime + usage.ru_stime])


def read_run(folder):
    """Rows as a list of (case id, layer, kind, expert) with their rescues, and the cases as HuggingFace takes them."""
    with h5py.File(folder / "sweep.h5", locking=False) as file:
        rows, cases = file["rows"], file["cases"]
        ids, kinds = cases["case_id"][:], {v: k for k, v in h5py.check_enum_dtype(rows["kind"].dtype).items()}
        patches = [(int(ids[c]), int(l), kinds[int(k)], int(e)) for c, l, k, e in
                   zip(rows["case"][:], rows["layer"][:], rows["kind"][:], rows["expert"][:])]
        begin, tokens = cases["token_begin"][:], cases["token_ids"][:]
        columns = [cases[name][:].tolist() for name in ("subject_begin", "subject_end", "true_id", "foil_id")]
        tokens_of = {int(ids[i]): (tokens[begin[i]:begin[i + 1]].tolist(), *(c[i] for c in columns)) for i in range(len(ids))}
        return patches, rows["rescue"][:], tokens_of


# samples
# -----------------------------------------------------------------------------------------------------------------

def spread(indices, patches, n):
    """n of the indices, evenly over the layers and, within one, over the cases."""
    by_layer = sorted(indices, key=lambda i: (patches[i][1], patches[i][0]))
    return [by_layer[int((j + 0.5) * len(by_layer) / n)] for j in range(n)]


def batches_of(patches, size, n):
    """About n patches in batches of `size`, each of one case and spread over all layers."""
    of_case = {}
    for i, patch in enumerate(patches):
        of_case.setdefault(patch[0], []).append(i)
    cases = sorted(of_case)
    count = max(1, n // size)
    return [spread(of_case[cases[b * len(cases) // count]], patches, size) for b in range(count)]


# baselines
# ---------------------------------------------------------------------------------------------------------------

def hf_batch(hf, patches, batch):
    case_id = patches[batch[0]][0]
    hf.prepare(case_id)
    outputs = [(patches[i][1], hf.patched_output(*patches[i])) for i in batch]
    with Watch() as watch:
        rescues = hf.rescues(case_id, outputs)
    return watch.seconds, rescues


def hf_sample(hf, patches, batches, implementation):
    """(wall, CPU) seconds and the rescues of all batches, by patch."""
    hf.use(implementation)
    seconds, rescues = np.zeros(2), {}
    for batch in batches:
        took, found = hf_batch(hf, patches, batch)
        seconds += took
        rescues.update(zip(batch, found))
    return seconds, rescues


def fastest(hf, patches, implementations, sizes):
    """The quickest (batch size, experts implementation) per patch, by two batches each."""
    best = {}
    for implementation in implementations:
        for size in sizes:
            batches = batches_of(patches, size, 2 * size)
            hf_sample(hf, patches, batches[:1], implementation)
            best[size, implementation] = hf_sample(hf, patches, batches, implementation)[0][1] / (2 * size)
            print(f"  {implementation:10} batch {size:3}: {1e3 * best[size, implementation]:8.2f} ms a patch", flush=True)
    return min(best, key=best.get)


def run_cpp(args, patches, sample):
    path = args.work / "sample.txt"
    path.write_text("".join("{} {} {} {}\n".format(*patches[i]) for i in sample))
    lines = subprocess.run([args.build / "full_forwards", args.config, path], check=True, capture_output=True, text=True).stdout.splitlines()
    return np.array(lines[-1].split()[1:], float), {i: float(line.split()[4]) for i, line in zip(sample, lines)}


# figures
# -----------------------------------------------------------------------------------------------------------------

def gemm_rate(n=2048, repeats=6):
    """FLOP per CPU second of one large fp32 product: torch.mm, and the same by oneDNN."""
    a, b, rates = torch.randn(n, n), torch.randn(n, n), []
    for multiply in products.LIBRARIES.values():
        multiply(a, b)
        with Watch() as watch:
            for _ in range(repeats):
                multiply(a, b)
        rates.append(2 * n**3 * repeats / watch.seconds[1])
    return rates


def work_of(config, patches, tokens_of):
    """Row-layers of all patches, and FLOP of the whole sweep: rows above their layers and both base runs."""
    D, Dh, H, Hkv = config.hidden_size, config.head_dim, config.num_attention_heads, config.num_key_value_heads
    per_row = D * (Dh * (2 * H + 2 * Hkv) + config.num_experts + 3 * config.num_experts_per_tok * config.moe_intermediate_size)
    row_layers = [config.num_hidden_layers - 1 - layer for _, layer, _, _ in patches]
    with_scores = sum(n * (per_row + 2 * H * Dh * len(tokens_of[p[0]][0])) for n, p in zip(row_layers, patches))
    lengths = [len(tokens) for tokens, *_ in tokens_of.values()]
    base = sum(2 * config.num_hidden_layers * (T * per_row + H * Dh * T * (T + 1)) for T in lengths)
    return sum(row_layers), 2 * (with_scores + base)


def check(name, rescues, expected):
    worst = max(abs(value - expected[i]) for i, value in rescues.items())
    print(f"  {name}: {len(rescues)} rescues, largest difference {worst:.1e}", flush=True)
    return worst <= TOLERANCE


def main():
    args = parse_arguments()
    args.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)

    run_moesweep(args)
    patches, expected, tokens_of = read_run(args.work / "run")
    model_folder = re.search(r"^path = (.*)$", pathlib.Path(args.config).read_text(), re.M)[1]
    hf = hugging_face.HuggingFace(model_folder, tokens_of, noise_scale=3.0)
    row_layers, flop = work_of(hf.model.config, patches, tokens_of)
    print(f"{len(patches)} patches of {len(tokens_of)} cases, {row_layers} row-layers, {flop / 1e12:.2f} TFLOP")

    print("choosing the quickest transformers settings (CPU time)")
    _, single = fastest(hf, patches, ["eager", "batched_mm", "grouped_mm"], [1])
    size, grouped = fastest(hf, patches, ["eager", "grouped_mm"], BATCHES)  # batched_mm copies weights: 1 s a patch
    everything = range(len(patches))
    singles, batches = [[i] for i in spread(everything, patches, args.hooks)], batches_of(patches, size, args.batched)
    cpp = spread(everything, patches, args.cpp)
    baselines = {
        f"(a) transformers + hooks, one patch a forward, {single}": (args.hooks, lambda: hf_sample(hf, patches, singles, single)),
        f"(b) transformers, batches of {size}, {grouped}": (size * len(batches), lambda: hf_sample(hf, patches, batches, grouped)),
        "(c) C++ full forwards, one patch a forward": (args.cpp, lambda: run_cpp(args, patches, cpp)),
    }

    print("rescues against moesweep's")
    if not all([check(name, run()[1], expected) for name, (_, run) in baselines.items()]):
        sys.exit(f"rescues differ by more than {TOLERANCE}: nothing is timed")

    print(f"{args.rounds} rounds", flush=True)
    sweep, whole, gemm, per_patch = [], [], [], {name: [] for name in baselines}
    for _ in range(args.rounds):
        alone, process = run_moesweep(args)
        sweep.append(alone)
        whole.append(process)
        gemm.append(gemm_rate())
        for name, (n, run) in baselines.items():
            per_patch[name].append(run()[0] / n)
        print("  moesweep {:.1f} s; ".format(alone[0]) + "; ".join(f"{name[:3]} {1e3 * t[-1][0]:.2f} ms" for name, t in per_patch.items()),
              flush=True)
    report(len(patches), row_layers, flop, np.array(sweep), np.array(whole), np.array(gemm), per_patch)


def report(n, row_layers, flop, sweep, whole, gemm, per_patch):
    """Medians; a ratio is the median of the rounds' own ratios, so that a slow round slows both sides of it."""
    rate, best = np.median(gemm, axis=0)
    achieved = flop / np.median(sweep[:, 1])
    print("\nmedians, wall seconds (CPU seconds)")
    for name, seconds in (("moesweep, the sweep", sweep), ("moesweep, the whole process", whole)):
        wall, cpu = np.median(seconds, axis=0)
        print(f"{name:60} {wall:9.2f} ({cpu:.2f})  {1e3 * wall / n:8.3f} ({1e3 * cpu / n:.3f}) ms a patch  {row_layers / wall:9.0f} row-layers/s")
    for name, times in per_patch.items():
        wall, cpu = np.median(times, axis=0)
        print(f"{name:60} {wall * n:9.0f} ({cpu * n:.0f})  {1e3 * wall:8.2f} ({1e3 * cpu:.2f}) ms a patch  {row_layers / (wall * n):9.0f} row-layers/s")
        for against, seconds in (("the sweep", sweep), ("the whole process", whole)):
            ratio_wall, ratio_cpu = np.median(np.array(times) * n / seconds, axis=0)
            print(f"{'':4}{ratio_wall:.0f}x ({ratio_cpu:.0f}x) {against}")
    print(f"FLOP per CPU second of the sweep: {achieved / 1e9:.1f} G; one 2048-cube product: torch.mm {rate / 1e9:.1f} G "
          f"({achieved / rate:.0%}), oneDNN {best / 1e9:.1f} G ({achieved / best:.0%})")


if __name__ == "__main__":
    main()
