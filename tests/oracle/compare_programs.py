"""Shows that a change of the program moves no number: runs the program before and after it, and compares all their
files.

    python tests/oracle/compare_programs.py OLD/moesweep NEW/moesweep [--folder FOLDER] [--only WORD]

The demo and the whole study on it, and a tiny checkpoint of each family in fp32 and fp64, each by 1 and 3 ranks,
streamed, and with experts divided over 2 ranks. By hand; three minutes on two cores. What differs is named, its runs
stay in FOLDER, and the exit code is 1."""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import checkpoints  # noqa: E402
import program  # noqa: E402
import synthetic_facts  # noqa: E402
from compare_runs import compare  # noqa: E402

WAYS = {"1 rank": (1, []), "3 ranks": (3, []), "streamed": (1, ["--model.weights=streamed"]),
        "2 ranks to a model": (2, ["--parallel.experts=2"])}
SETTINGS = ["--cases.limit=17", "--cases.clean_margin=-1", "--cases.noise_drop=-1", "--cases.discovery=8", "--select.recurrence=2",
            "--sweep.subsets=all", "--noise.draws=2", "--noise.scales=1", "--store.vectors=patches", "--run.unit=5"]


def inputs(folder):
    """(name, configuration and overrides) of every run."""
    yield "demo", ["configs/demo.ini"]
    yield "study of the demo", ["configs/paper-demo.ini"]
    facts = folder / "facts.json"
    facts.write_text(json.dumps(synthetic_facts.make_facts(60)))
    (folder / "empty.ini").write_text("")
    for family in checkpoints.ONE_OF_EACH_FAMILY:
        (folder / family).mkdir()
        model = checkpoints.make_checkpoint(family, folder / family)
        for precision in ("fp32", "fp64"):
            yield f"{family} {precision}", [folder / "empty.ini", f"--model.path={model}", f"--cases.path={facts}",
                                            f"--model.precision={precision}", *SETTINGS]


def run(moesweep, ranks, arguments, out):
    """A trace; an Error's line is raised as RuntimeError."""
    front = ["mpirun", "-n", str(ranks)] if ranks > 1 else []
    done = subprocess.run([*front, moesweep, "trace", *map(str, arguments), f"--run.out={out}"], cwd=program.ROOT,
                          env=program.ENVIRONMENT, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{moesweep}: exit code {done.returncode}: {done.stderr.strip()}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", metavar="OLD", type=Path)
    parser.add_argument("new", metavar="NEW", type=Path)
    parser.add_argument("--folder", type=Path, help="where to work (default: a new folder for temporary files)")
    parser.add_argument("--only", default="", help="runs whose name has this word")
    options = parser.parse_args()
    old, new = options.old.resolve(), options.new.resolve()
    base = (options.folder or Path(tempfile.mkdtemp(prefix="programs-"))).resolve()
    base.mkdir(parents=True, exist_ok=True)

    differing = 0
    for name, arguments in inputs(base):
        for way, (ranks, more) in WAYS.items():
            title = f"{name}, {way}"
            if options.only not in title:
                continue
            before, after = base / f"{title}, old", base / f"{title}, new"
            try:
                run(old, ranks, [*arguments, *more], before)
                run(new, ranks, [*arguments, *more], after)
                wrong = compare(before, after, attributes="numbers")
            except RuntimeError as error:
                wrong = [str(error)]
            print(f"{title}: {'the same bits' if not wrong else f'{len(wrong)} differences'}", *wrong, sep="\n  ", flush=True)
            differing += bool(wrong)
            if not wrong:
                shutil.rmtree(before)
                shutil.rmtree(after)
    if differing == 0 and not options.folder:
        shutil.rmtree(base)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
