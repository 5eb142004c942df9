"""Runs are killed, stopped, frozen and starved of disk at random moments and go on, with other ranks, until they are
done.

    python tests/faults/kill_harness.py [--method xici] --trials 500 --seed 1 [--only 17]

After every attempt the run's folder must pass folder_checks.py, and in the end hold the bits of a run that nobody
disturbed. tests/README.md says what is drawn and what is judged."""

import argparse
import collections
import contextlib
import functools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import compare_runs  # noqa: E402
import folder_checks  # noqa: E402
import tiny  # noqa: E402
from attempts import BLOWS, DISK, ENVIRONMENT, Place, Wrong, carry_out, draw_attempt, expect_nobody, random_of  # noqa: E402
from tiny import METHODS, TRACE, XICI  # noqa: E402

MOST_ATTEMPTS = 6  # of a trial; nobody disturbs the last
BASE = {
    TRACE: ["--cases.limit=20", "--cases.discovery=10", "--run.unit=1", "--stats.bootstrap=10", "--stats.sign_flips=10",
            "--stability.split_seeds=0", "--stability.thresholds=1", "--stability.folds=2"],
    XICI: ["--questions.limit=5", "--run.unit=1", "--stats.bootstrap=10", "--stats.sign_flips=10"],
}
KINDS = {
    TRACE: {
        "plain": ["--controls.equal_norm=no"],
        "controls": ["--sweep.subsets=all"],
        "conditions": ["--controls.equal_norm=no", "--noise.draws=2", "--noise.scales=1"],
        "all": ["--noise.draws=2", "--store.vectors=patches"],
    },
    XICI: {
        "plain": [],
        "rated": ["--rate.by=model", "--rate.model=model", "--rate.chat=none"],
        "banned": ["--deactivate.by=ban", "--capture.tokens=answer"],
        "conditions": ["--deactivate.draws=2", "--deactivate.same_relation=yes", "--deactivate.permuted=yes", "--deactivate.singles=yes"],
    },
}


class Bench:
    """Inputs that all trials share, in a folder of their own, and for each kind the run that nobody disturbs."""

    def __init__(self, folder, method=TRACE, most_ranks=8):
        self.folder, self.method, self.most_ranks, self.made = folder, method, most_ranks, {}
        inputs = tiny.Tiny(folder)
        names = [a + b for a in ("Al", "Be", "Cleo", "Dora") for b in ("", "n", "ta", "mir", "fried", "linde")]
        inputs.facts = [{"case_id": 100 + i, "requested_rewrite": {
            "prompt": "{} lives in", "relation_id": f"P{i % 2}", "subject": name, "target_true": {"str": "ab"[i % 2]},
            "target_new": {"str": "cd"[i // 2 % 2]}}} for i, name in enumerate(names)]
        inputs.questions = [inputs.questions[i % 6] | {"id": i} for i in range(15)]
        inputs.write()

    def command(self, kind, run, *settings):
        method = self.method
        return [str(tiny.PROGRAM), method.name, method.ini, *BASE[method], *KINDS[method][kind], *settings, f"--run.out={run}"]

    def merged(self, run):
        return run / self.method.merged

    def whole(self, kind, *settings):
        """The folder of the undisturbed run, by one process; made when first asked for."""
        if (kind, *settings) not in self.made:
            run = self.folder / f"whole-{len(self.made)}"
            subprocess.run(self.command(kind, run, *settings), cwd=self.folder, env=ENVIRONMENT, check=True, capture_output=True)
            self.made[kind, *settings] = run
        return self.made[kind, *settings]

    def left(self, kind, run):
        """How many files the run has still to commit."""
        return len(folder_checks.sealed_files(self.whole(kind))) - len(folder_checks.sealed_files(run))


# --- what must hold ---


def judge_folder(run, before, code):
    """After an attempt; `before` is what was seen in the folder before. One that ended by itself has cleaned up."""
    wrong = folder_checks.problems(run, finished=code in (0, 75)) if run.exists() else []
    if wrong := wrong + folder_checks.lost(before, folder_checks.committed(run)):
        raise Wrong("; ".join(wrong))


def judge_code(code, attempt, fell, done):
    expected = BLOWS[attempt.blow].codes if fell else {0}
    if code not in expected | ({0} if done else set()):
        raise Wrong(f"exit code {code}, expected {sorted(expected)}")
    if code == 0 and not done:
        raise Wrong("exit code 0 without a merged file")


def judge_merged(bench, kind, run):
    if wrong := compare_runs.compare(bench.merged(run), bench.merged(bench.whole(kind))):
        raise Wrong("; ".join(wrong))


# --- a trial ---


def bring_to_end(bench, kind, place, attempts, rng, tally):
    """Attempt after attempt until the merged file is there: Wrong as soon as something is."""
    command, run = bench.command(kind, place.run), place.run
    for attempt in attempts:
        before = folder_checks.committed(run)
        code, look = carry_out(attempt, command, place, rng)
        while code == 69:  # ranks of an attempt whose mpirun was killed still hold the folder
            tally["refused for a moment"] += 1
            code, look = carry_out(attempt, command, place, rng)
        done, fell = bench.merged(run).exists(), look is not None
        tally["attempts"] += 1
        tally[f"{attempt.blow}{'' if fell or attempt.blow == 'nothing' else ' (too late)'}: {code}"] += 1
        judge_folder(run, {**(look or {}), **before}, code)
        judge_code(code, attempt, fell, done)
        if done:
            break
    else:
        raise Wrong("no merged file after the last attempt")
    expect_nobody(run)
    judge_merged(bench, kind, run)


def trial(bench, folder, seed, number, tally):
    """Removes the folder where all was well, and keeps it where something was wrong."""
    rng = random_of(seed, number)
    kind, on_disk = rng.choice(list(KINDS[bench.method])), rng.random() < 0.2 and can_mount()
    tally[f"trials: {kind}"] += 1
    tally["trials on a small disk"] += on_disk
    folder.mkdir(parents=True)
    with small_disk(folder, on_disk) as disk:
        place = Place(bench.folder, disk / "run", disk, folder / "said.txt")
        attempts = (draw_attempt(random_of(seed, number, i), bench.most_ranks, bench.left(kind, place.run), on_disk,
                                 last=i + 1 == MOST_ATTEMPTS) for i in range(MOST_ATTEMPTS))
        bring_to_end(bench, kind, place, attempts, rng, tally)
    shutil.rmtree(folder)


@contextlib.contextmanager
def small_disk(folder, wanted):
    """A folder for the run, on a disk of its own where wanted. What a failed trial leaves on it is copied beside it."""
    disk = folder / "disk"
    disk.mkdir()
    if not wanted:
        yield disk
        return
    if not mount(disk):
        raise OSError(f"{disk}: cannot be mounted")
    try:
        yield disk
    except Wrong:
        shutil.copytree(disk, folder / "disk-as-it-was")
        raise
    finally:
        unmount(disk)


@functools.cache
def can_mount():
    """Whether this process may mount a small disk. Else no disk is full, and limits on files stand for it."""
    with tempfile.TemporaryDirectory() as folder:
        return mount(folder) and unmount(folder)


def mount(folder):
    return os.geteuid() == 0 and subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)],
                                                capture_output=True).returncode == 0


def unmount(folder):
    return subprocess.run(["umount", "--lazy", str(folder)], capture_output=True).returncode == 0


# --- many ---


def trials(bench, base, seed, numbers, tally, show=lambda line: None):
    """What was wrong, a line for each."""
    failures = []
    for number in numbers:
        folder, begin = base / f"trial-{number}", time.monotonic()
        try:
            trial(bench, folder, seed, number, tally)
            show(f"trial {number}: {time.monotonic() - begin:.1f} s")
        except Wrong as wrong:
            failures.append(f"trial {number}: {wrong}\n  kept in {folder}; again: --method {bench.method} --seed {seed} --only {number}")
            show(failures[-1])
    return failures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", choices=[method.name for method in METHODS], default="trace")
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first trial")
    parser.add_argument("--only", type=int, help="one trial, by its number")
    parser.add_argument("--folder", type=Path, help="where to work (default: a new folder for temporary files)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a stopped harness cleans up as well

    base = (options.folder or Path(tempfile.mkdtemp(prefix="kills-"))).resolve()
    (base / "inputs").mkdir(parents=True)
    numbers = range(options.first, options.first + options.trials) if options.only is None else [options.only]
    bench = Bench(base / "inputs", next(method for method in METHODS if method.name == options.method))
    tally = collections.Counter()
    try:
        failures = trials(bench, base, options.seed, numbers, tally, functools.partial(print, flush=True))
    finally:  # also of as many as there were before an interruption
        for name, count in sorted(tally.items()):
            print(f"{count:6}  {name}")
    print(f"{len(failures)} of {len(numbers)} trials failed", *failures, sep="\n")
    if not failures:
        shutil.rmtree(base)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
