"""An attempt at a run and what befalls it: a rank or mpirun killed, stopped or frozen, or the disk full, at a drawn
moment."""

import contextlib
import dataclasses
import os
import random
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

import folder_checks
import tiny

PATIENCE = 240     # seconds after which an attempt hangs
DYING = 10         # seconds that the ranks may outlive their mpirun
WATCHDOG = 4       # run.watchdog where a rank is frozen, in seconds
ALONE = 124        # code of an mpirun that hangs without a rank, having lost its way between a signal and a rank that connects
DISK = 64 << 20    # bytes of a small disk
ENVIRONMENT = {**{key: value for key, value in os.environ.items() if not key.startswith("MOESWEEP_")},
               "OMP_NUM_THREADS": "1", "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
               "OMPI_MCA_rmaps_base_oversubscribe": "1", "OMPI_MCA_odls_base_sigkill_timeout": "0"}


class Wrong(Exception):
    """Something that must not happen did."""


# --- live processes ---


def processes(run):
    """pid -> program of all that work on the run, mpirun included: they name it in their command line."""
    found = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                words = Path(entry.path, "cmdline").read_bytes().decode(errors="replace").split("\0")
                if f"--run.out={run}" in words:
                    found[int(entry.name)] = words[0]
    return found


def ranks_of(run):
    """The pids of its ranks, in the order of their numbers."""
    def number(pid):
        with contextlib.suppress(OSError):
            for setting in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                if setting.startswith(b"OMPI_COMM_WORLD_RANK="):
                    return int(setting.split(b"=")[1])
        return 0
    return sorted((pid for pid, program in processes(run).items() if program == str(tiny.PROGRAM)), key=number)


def exit_code(returncode):
    """As a shell says it: 128 + n for signal n."""
    return 128 - returncode if returncode < 0 else returncode


def hit(pid, number):
    with contextlib.suppress(ProcessLookupError):  # it was quicker
        os.kill(pid, number)


def wait_until(condition, seconds=PATIENCE):
    """Whether it came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.003)
    return True


def expect_nobody(run):
    if not wait_until(lambda: not processes(run), DYING):
        raise Wrong(f"still alive: {processes(run)}")


def end_all(run):
    def gone():
        for pid in (left := processes(run)):
            hit(pid, signal.SIGKILL)
        return not left
    wait_until(gone, DYING)


def where_they_are(run):
    """Backtraces, where there is a gdb."""
    command = ["gdb", "-batch", "-ex", "thread apply all backtrace", "-p"]
    return "".join(subprocess.run([*command, str(pid)], capture_output=True, text=True).stdout for pid in ranks_of(run)
                   if shutil.which("gdb"))


# --- where a run is made ---


@dataclasses.dataclass
class Place:
    """Where the inputs are, where the run's folder is to be, on which disk, and where the attempts' output goes. `more`
    of the environment says how that disk behaves."""
    inputs: Path
    run: Path
    disk: Path
    said: Path
    more: dict = dataclasses.field(default_factory=dict)


@contextlib.contextmanager
def started(command, place, ranks=0):
    """The process of a command on the run, under mpirun for ranks > 0. None of the run's processes survives it. MPI's
    own files go beside the run, so that those of killed ranks can be removed with it."""
    scratch = place.said.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    environment = ENVIRONMENT | place.more | {
        "TMPDIR": str(scratch), "OMPI_MCA_btl_vader_backing_directory": str(scratch), "OMPI_MCA_osc_sm_backing_directory": str(scratch)}
    if ranks:
        command = ["mpirun", "-n", str(ranks), *command]
    with open(place.said, "a") as out:
        process = subprocess.Popen(command, cwd=place.inputs, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                   start_new_session=True)
    orphans = False
    try:
        yield process
        orphans = True  # wanted: who comes here has killed mpirun, or looks himself for what is left
    finally:
        process.kill()
        process.wait()
        if not orphans:
            end_all(place.run)


# --- blows ---


@dataclasses.dataclass
class Blow:
    """`strike(live, rng)` does it; `codes` are what the attempt may then end with, 128 + n for signal n, beside 0 where
    it was done already. `weight`: how often it is drawn."""
    strike: object
    codes: set
    weight: int
    least_ranks: int = 0  # 0: mpirun is not needed


@dataclasses.dataclass
class Live:
    """An attempt under way, as blows see it."""
    process: subprocess.Popen
    place: Place

    @property
    def ranks(self):
        return ranks_of(self.place.run)


def to_a_rank(number):
    return lambda live, rng: hit(rng.choice(live.ranks), number)


def to_mpirun(number):
    return lambda live, rng: hit(live.process.pid, number)


def freeze(live, rng):
    """Where nobody watches (between two phases) it is thawed after a while, and must go on."""
    rank = rng.choice(live.ranks)
    hit(rank, signal.SIGSTOP)
    wait_until(lambda: live.process.poll() is not None, 5 * WATCHDOG)
    hit(rank, signal.SIGCONT)


def fill_disk(live, rng):
    """Leaves a few bytes or none."""
    filler = live.place.disk / "filler"
    with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 20))
    os.truncate(filler, max(0, filler.stat().st_size - rng.choice([0, 4096, 16384, 65536])))


def limit_files(live, rng):
    """As a quota that is used up: what a rank writes beyond so many bytes of a file fails."""
    size = rng.choice([0, 100, 5000, 20000])
    for pid in live.ranks:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, size))


# A signal that comes before the program listens ends it. On TERM mpirun says 1, whatever its ranks say. It can die
# itself, by SIGPIPE, of a rank that is killed while it speaks to it.
BLOWS = {
    "nothing": Blow(None, set(), 2),
    "kill a rank": Blow(to_a_rank(signal.SIGKILL), {137, 141}, 4),
    "kill mpirun": Blow(to_mpirun(signal.SIGKILL), {137}, 4, least_ranks=1),
    "TERM to mpirun": Blow(to_mpirun(signal.SIGTERM), {1, 75, 143, ALONE}, 2, least_ranks=1),
    "TERM to a rank": Blow(to_a_rank(signal.SIGTERM), {75, 143}, 2),
    "USR1 to mpirun": Blow(to_mpirun(signal.SIGUSR1), {75, 138, ALONE}, 2, least_ranks=1),
    "USR1 to a rank": Blow(to_a_rank(signal.SIGUSR1), {75, 138}, 2),
    "freeze a rank": Blow(freeze, {0, 71}, 1, least_ranks=2),  # one rank alone is frozen with its watchdog
    "full disk": Blow(fill_disk, {74}, 0),
    "file limit": Blow(limit_files, {74}, 2),
}


# --- an attempt ---


@dataclasses.dataclass
class Attempt:
    """One start of the program and what befalls it: `blow`, `delay` seconds after the `commits`-th new file (0: after
    the start)."""
    ranks: int
    mpirun: bool
    settings: list
    blow: str
    commits: int = 0
    delay: float = 0

    def __str__(self):
        return (f"{self.ranks} ranks{'' if self.mpirun else ' without mpirun'} {' '.join(self.settings)}: {self.blow} "
                f"{self.delay:.3f} s after {f'commit {self.commits}' if self.commits else 'the start'}")


def draw_attempt(rng, most_ranks, left, on_disk, last):
    """`left` files are still to be committed; nobody disturbs the last attempt."""
    ranks = rng.choice([1, 2, 2, 3, 4] * 4 + [most_ranks])
    mpirun = ranks > 1 or rng.random() < 0.5
    weights = {name: blow.weight for name, blow in BLOWS.items() if (ranks if mpirun else 0) >= blow.least_ranks}
    if on_disk:
        weights["full disk"] = 10
    blow = "nothing" if last else rng.choices(list(weights), weights.values())[0]
    settings = [f"--parallel.experts={rng.choice(['auto', *(n for n in (1, 2, 4) if n <= ranks)])}",
                f"--model.weights={rng.choice(['resident', 'streamed'])}"]
    attempt = Attempt(ranks, mpirun, settings, blow)
    if blow == "freeze a rank":
        settings.append(f"--run.watchdog={WATCHDOG}")
        attempt.commits = rng.randint(1, max(1, left))  # once it is under way: nobody watches MPI's own start
    elif blow != "file limit" and (left == 0 or rng.random() < 0.2):
        attempt.delay = rng.uniform(0, 1)
    else:  # MPI's own start takes a limit on files ill
        attempt.commits = rng.randint(1, max(1, left))
        attempt.delay = rng.uniform(0, 0.02 if attempt.commits < left else 0.2)  # the merge takes longer than a unit
    return attempt


def strike(attempt, live, rng):
    """Waits for the moment. The look at the folder just before the blow; None if the attempt ended first."""
    def ended():
        return live.process.poll() is not None

    def committed():
        return len(folder_checks.sealed_files(live.place.run))

    first = committed()
    if attempt.commits and not wait_until(lambda: ended() or committed() >= first + attempt.commits):
        raise Wrong("hangs before the blow")
    wait_until(ended, attempt.delay)
    wait_until(lambda: ended() or live.ranks)
    look = folder_checks.committed(live.place.run)
    if ended():
        return None
    try:
        BLOWS[attempt.blow].strike(live, rng)
    except IndexError:  # no rank is left to choose from
        return None
    return look


def carry_out(attempt, command, place, rng):
    """(exit code, 128 + n for signal n; the look just before the blow, None if it did not fall)."""
    with open(place.said, "a") as said:
        print(f"--- {attempt}", file=said)
    command = [*command, *attempt.settings]
    with started(command, place, attempt.ranks if attempt.mpirun else 0) as process:
        look = None if attempt.blow == "nothing" else strike(attempt, Live(process, place), rng)
        try:
            code = process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            if ranks_of(place.run):
                place.said.with_name("backtraces.txt").write_text(where_they_are(place.run))
                raise Wrong(f"hangs: {processes(place.run)}") from None
            process.kill()
            code = ALONE
        finally:
            (place.disk / "filler").unlink(missing_ok=True)
        if attempt.blow != "kill mpirun" or rng.random() < 0.5:  # else the next attempt comes while the ranks of this one live
            expect_nobody(place.run)
    return exit_code(code), look


def random_of(*words):
    """Draws that depend on the words alone."""
    return random.Random(" ".join(map(str, words)))
