#!/usr/bin/env python3
"""What more ranks bring: the sweep of bench.ini by 1 rank, by 2 that divide the cases, and by 2 that divide the
experts.

    .venv/bin/python bench/ranks.py [--rounds 3]      # needs build/bench-model (make_checkpoint.py) and two idle cores

The time is the sweep's, as rank 0's log tells it; start, scan, controls and merge are left out.
"""

import argparse
import os
import pathlib
import re
import shutil
import statistics
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[1]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
WAYS = {"1 rank": (1, 1), "2 ranks, cases divided": (2, 1), "2 ranks, experts divided": (2, 2)}


def sweep_seconds(program, ranks, group, unit):
    out = ROOT / "build/bench-ranks"
    shutil.rmtree(out, ignore_errors=True)
    done = subprocess.run(["mpirun", "-n", str(ranks), program, "trace", "bench/bench.ini", f"--run.out={out}", f"--run.unit={unit}",
                           f"--parallel.experts={group}", "--model.weights=resident", "--run.log=yes"],
                          cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(done.stdout + done.stderr)
    log = (out / "log/rank-0.log").read_text()
    took = re.search(r"^units \d+/\d+ in ([\d.]+) s$", log, re.MULTILINE)
    return float(took[1]), [line for line in log.splitlines() if line.startswith("experts:")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--unit", type=int, default=8, help="cases in a unit, of 32")
    parser.add_argument("--program", default="build/cpu/moesweep")
    args = parser.parse_args()
    seconds = {way: [] for way in WAYS}
    for _ in range(args.rounds):
        for way, (ranks, group) in WAYS.items():
            took, notes = sweep_seconds(args.program, ranks, group, args.unit)
            seconds[way].append(took)
            print(f"{way}: {took:.2f} s", *notes, sep="\n    ", flush=True)
    one, cases, experts = (statistics.median(seconds[way]) for way in WAYS)
    print(f"medians: {one:.2f}, {cases:.2f}, {experts:.2f} s; 2 ranks over 1: {one / cases:.2f} by cases, {one / experts:.2f} by experts; "
          f"experts over cases: {cases / experts:.2f}")


if __name__ == "__main__":
    main()
