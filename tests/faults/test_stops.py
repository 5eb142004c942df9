"""Stopping on purpose: signals, a limit of hours, a second run on the same folder, a rank that no longer moves."""

import dataclasses
import os
import re
import signal
import time
from pathlib import Path

import pytest

import compare_runs
import folder_checks
from attempts import WATCHDOG, Place, expect_nobody, hit, ranks_of, started, wait_until
from kill_harness import Bench
from tiny import METHODS, TRACE, XICI, files_below, message, run, watched_disk

LONG = {TRACE: "--noise.draws=4", XICI: "--deactivate.draws=4"}  # so many units,
SLOW = 50  # and so many milliseconds for the commit of each, that none of these stops comes too late
GROUPS = [(1, 1), (2, 1), (2, 2), (4, 1), (4, 2)]


ASKED, DEACTIVATED = "units/*.h5", "units/deactivated-*/*.h5"  # what each stage of xici commits
by_method = pytest.mark.parametrize("bench", METHODS, indirect=True, ids=str)
at_each_stage = pytest.mark.parametrize("stage", [ASKED, DEACTIVATED], ids=["asked", "deactivated"])
of_xici = pytest.mark.parametrize("bench", [XICI], indirect=True, ids=str)


@pytest.fixture(scope="module")
def bench(request, tmp_path_factory):
    """Of a trace, where a test does not say otherwise."""
    return Bench(tmp_path_factory.mktemp("inputs"), getattr(request, "param", TRACE))


@pytest.fixture
def place(bench, tmp_path):
    return Place(bench.folder, tmp_path / "run", tmp_path, tmp_path / "said.txt")


@pytest.fixture
def start(bench, place):
    """A function that starts the long run in `place`, on a disk that is slow to commit some of its files; used by
    `with`."""
    def run(ranks, experts=1, *settings, slow=SLOW, files="units"):
        command = bench.command("plain", place.run, LONG[bench.method], f"--parallel.experts={experts}", *settings)
        disk = watched_disk(place.run / files, "rename", slow=slow) if slow else {}
        return started(command, dataclasses.replace(place, more=disk), ranks if ranks > 1 else 0)
    return run


@pytest.fixture
def goes_on(bench, place, start):
    """A function that lets the run go on to its end, and compares its data with those of one that nobody stopped."""
    def run(ranks=2):
        with start(ranks, slow=0) as process:
            assert process.wait(timeout=240) == 0, place.said.read_text()
        assert folder_checks.problems(place.run, finished=True) == []
        expect_the_bits_of_a_whole_run(bench, place.run)
    return run


def expect_the_bits_of_a_whole_run(bench, run):
    assert compare_runs.compare(bench.merged(run), bench.merged(bench.whole("plain", LONG[bench.method]))) == []


def wait_for_units(process, run, stage=ASKED):
    assert wait_until(lambda: process.poll() is not None or any(run.glob(stage)))
    assert process.poll() is None


def ours(said):
    """The messages among what was said."""
    return [line for line in said.read_text().splitlines() if line.startswith("moesweep: ")]


def is_caught(pid, number):
    mask = re.search(r"^SigCgt:\s*(\w+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)[1]
    return int(mask, 16) >> (number - 1) & 1


# --- signals ---


def expect_stopped(process, place, code=75):
    assert process.wait(timeout=240) == code, place.said.read_text()
    expect_nobody(place.run)
    assert ours(place.said) == []
    assert "stopped; the same command goes on" in place.said.read_text()
    assert folder_checks.problems(place.run, finished=True) == []
    assert list(place.run.glob("units/*.h5")) and not is_merged(place.run)


def is_merged(run):
    return any((run / method.merged).exists() for method in METHODS)


@pytest.mark.parametrize(("name", "to", "ranks", "experts"), [
    *(("SIGUSR1", "all", *group) for group in GROUPS), *(("SIGTERM", "one", *group) for group in GROUPS),
    ("SIGTERM", "all", 2, 1), ("SIGUSR1", "one", 4, 2),
    ("SIGINT", "one", 1, 1), ("SIGINT", "one", 2, 1), ("SIGINT", "all", 2, 2)])
def test_a_signal_to_the_ranks(place, start, goes_on, ranks, experts, name, to):
    stopped_and_resumed(place, start, goes_on, ranks, experts, getattr(signal, name), to)


@of_xici
@at_each_stage
@pytest.mark.parametrize(("name", "to", "ranks", "experts"), [("SIGUSR1", "all", 1, 1), ("SIGTERM", "one", 2, 1), ("SIGUSR1", "one", 4, 2)])
def test_a_signal_at_each_stage_of_xici(place, start, goes_on, ranks, experts, name, to, stage):
    stopped_and_resumed(place, start, goes_on, ranks, experts, getattr(signal, name), to, stage)


def stopped_and_resumed(place, start, goes_on, ranks, experts, number, to, stage=ASKED):
    with start(ranks, experts) as process:
        wait_for_units(process, place.run, stage)
        before, pids = folder_checks.committed(place.run), ranks_of(place.run)
        assert len(pids) == ranks
        for pid in pids if to == "all" else pids[-1:]:
            hit(pid, number)
        expect_stopped(process, place)
    assert folder_checks.lost(before, folder_checks.committed(place.run)) == []
    goes_on(ranks=3 - min(ranks, 2))


@by_method
def test_usr1_to_mpirun_stops_its_ranks(place, start, goes_on):
    with start(2) as process:
        wait_for_units(process, place.run)
        process.send_signal(signal.SIGUSR1)
        expect_stopped(process, place)
    goes_on()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_mpirun_ended(place, start, goes_on, name):
    """What its ranks had committed stays; mpirun gives them little time and a code of its own."""
    with start(2) as process:
        wait_for_units(process, place.run)
        before = folder_checks.committed(place.run)
        process.send_signal(getattr(signal, name))
        assert process.wait(timeout=240) != 0
        expect_nobody(place.run)
    assert folder_checks.problems(place.run) == folder_checks.lost(before, folder_checks.committed(place.run)) == []
    goes_on()


def test_a_second_signal_ends_at_once(place, start, goes_on):
    """Rank 0 cannot stop in order, since the other rank of its group does not move."""
    with start(2, 2) as process:
        wait_for_units(process, place.run)
        first, second = ranks_of(place.run)
        hit(second, signal.SIGSTOP)
        hit(first, signal.SIGUSR1)
        assert wait_until(lambda: not is_caught(first, signal.SIGUSR1))
        assert process.poll() is None
        hit(first, signal.SIGUSR1)
        assert process.wait(timeout=240) == 128 + signal.SIGUSR1
        expect_nobody(place.run)
    assert folder_checks.problems(place.run) == []
    goes_on()


# --- time ---


@by_method
@pytest.mark.parametrize(("ranks", "experts"), [(1, 1), (2, 2)])
def test_the_hours_are_over(place, start, goes_on, ranks, experts):
    """However long the start takes here, some limit ends within the sweep."""
    hours = 0.0001
    while not list(place.run.glob("units/*.h5")):
        with start(ranks, experts, f"--run.max_hours={hours:.6f}") as process:
            assert process.wait(timeout=240) == 75, place.said.read_text()
        assert folder_checks.problems(place.run, finished=True) == ours(place.said) == []
        hours *= 1.25
    assert not is_merged(place.run)
    goes_on(ranks)


# --- a second run, a rank that does not move ---


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_second_live_run_is_refused(bench, place, start, ranks):
    with start(1) as first:
        wait_for_units(first, place.run)
        first.send_signal(signal.SIGSTOP)  # alive, but it shall not come to its end meanwhile
        before, said = files_below(place.run), place.said.with_name("second.txt")
        command = bench.command("plain", place.run, LONG[bench.method])
        second = Place(place.inputs, place.run.with_name("elsewhere"), place.disk, said)  # its end is not the first's
        with started(command, second, ranks if ranks > 1 else 0) as process:
            assert process.wait(timeout=240) == 69, said.read_text()
        attempt = re.search(r"\b[0-9a-f]{16}\b", (place.run / "lock").read_text())[0]
        refusal = f"{place.run}: another run holds this folder: attempt {attempt}, host {os.uname().nodename}, process {first.pid}, started "
        [line] = ours(said)
        assert line.startswith("moesweep: " + refusal)
        assert refusal in message(run(place.inputs, "merge", str(place.run)), 69)
        assert files_below(place.run) == before
        first.send_signal(signal.SIGCONT)
        assert first.wait(timeout=240) == 0
    assert folder_checks.problems(place.run, finished=True) == []
    expect_the_bits_of_a_whole_run(bench, place.run)


def expect_ended(process, place, rank, phase, what, seconds=240):
    """By the watchdog, with one line that says so."""
    assert process.wait(timeout=seconds) == 71, place.said.read_text()
    expect_nobody(place.run)
    [line] = ours(place.said)
    assert re.match(rf"moesweep: rank {rank}: no progress for \d+ s \(run\.watchdog\) in phase '{phase}', {what};", line), line
    assert folder_checks.problems(place.run) == []


@pytest.mark.parametrize(("ranks", "experts", "frozen"), [(2, 1, 0), (2, 1, 1), (2, 2, 0), (2, 2, 1), (4, 1, 2), (4, 2, 3)])
def test_a_rank_that_does_not_move(place, start, goes_on, ranks, experts, frozen):
    with start(ranks, experts, f"--run.watchdog={WATCHDOG}") as process:
        wait_for_units(process, place.run)
        hit(ranks_of(place.run)[frozen], signal.SIGSTOP)
        expect_ended(process, place, frozen, "sweep", "its process does not run")
    goes_on()


@of_xici
@at_each_stage
def test_a_rank_that_does_not_move_at_each_stage_of_xici(place, start, goes_on, stage):
    with start(2, 2, f"--run.watchdog={WATCHDOG}") as process:
        wait_for_units(process, place.run, stage)
        hit(ranks_of(place.run)[1], signal.SIGSTOP)
        expect_ended(process, place, 1, "sweep", "its process does not run")
    goes_on()


def test_a_run_that_is_suspended_for_longer_goes_on(place, start, goes_on):
    with start(2, 1, f"--run.watchdog={WATCHDOG}") as process:
        wait_for_units(process, place.run)
        for number in (signal.SIGSTOP, signal.SIGCONT):
            for pid in ranks_of(place.run):
                hit(pid, number)
            time.sleep(2 * WATCHDOG if number == signal.SIGSTOP else 0)
        assert process.wait(timeout=240) == 0, place.said.read_text()
    goes_on()


@pytest.mark.parametrize(("bench", "file", "phase"), [
    (TRACE, "config.ini", "opening"), (TRACE, "cases.h5", "scanned"), (TRACE, "units", "sweep"), (TRACE, "sweep.h5", "merging"),
    (XICI, "questions.h5", "opening"), (XICI, "units", "sweep"), (XICI, "xici.h5", "merging")], indirect=["bench"], ids=str)
def test_a_disk_that_does_not_answer(place, start, goes_on, file, phase):
    with start(2, 1, f"--run.watchdog={WATCHDOG}", slow=100_000, files=file) as process:
        expect_ended(process, place, r"\d", phase, "at work", seconds=90)  # before the disk answers
    goes_on()
