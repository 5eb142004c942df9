"""Sixty trials of the kill harness on each method; and tests of the harness itself: each blow falls, and planted faults
are found."""

import random
import shutil
import signal
import subprocess
import sys
from collections import Counter

import h5py
import numpy as np
import pytest

import attempts
import folder_checks
import kill_harness
from attempts import BLOWS, WATCHDOG, Attempt, Blow, Place, Wrong
from kill_harness import Bench, bring_to_end, can_mount, small_disk
from tiny import METHODS, TRACE, XICI, watched_disk

QUICK = ["kill a rank", "TERM to mpirun"]
LAST = "units/000019.h5"  # not yet committed when something is planted
by_method = pytest.mark.parametrize("bench", METHODS, indirect=True, ids=str)


@pytest.fixture(scope="module")
def bench(request, tmp_path_factory):
    """Of a trace, where a test does not say otherwise."""
    return Bench(tmp_path_factory.mktemp("inputs"), getattr(request, "param", TRACE))


def slow_place(bench, disk, said):
    """On a disk that is slow to commit units, so that nothing that is to happen amid a run comes too late."""
    return Place(bench.folder, disk / "run", disk, said, watched_disk(disk / "run" / "units", "rename", slow=100))


@pytest.fixture
def place(bench, tmp_path):
    return slow_place(bench, tmp_path, tmp_path / "said.txt")


@by_method
def test_whatever_befalls_it_a_run_loses_nothing(bench, tmp_path):
    assert kill_harness.trials(bench, tmp_path, 0, range(60), tally := Counter()) == []
    assert tally["attempts"] > 60  # runs were interrupted, and went on


@by_method
@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.quick if name in QUICK else ())
                                  for name in BLOWS if name != "nothing"])
def test_each_blow_falls(bench, tmp_path, name):
    """At a drawn moment it may come too late, on a fast machine more often; here it cannot."""
    if name == "full disk" and not can_mount():
        pytest.skip("no disk can be mounted")
    settings = [f"--run.watchdog={WATCHDOG}"] if name == "freeze a rank" else []
    plan = [Attempt(2, True, settings, name, commits=3), Attempt(2, True, [], "nothing")]
    with small_disk(tmp_path, name == "full disk") as disk:
        place = slow_place(bench, disk, tmp_path / "said.txt")
        bring_to_end(bench, "plain", place, plan, random.Random(0), tally := Counter())
    assert any(line.startswith(f"{name}: ") and line != f"{name}: 0" for line in tally)


# --- what is planted is found ---


def plant(fault):
    """A blow: while a rank is frozen at its work, something happens to the run's folder; then the rank is killed."""
    def strike(live, _):
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for rank in live.ranks:
                attempts.hit(rank, number)
            if number == signal.SIGSTOP:
                fault(live.place.run)
    return Blow(strike, {137}, 0)


@pytest.fixture
def outcome(bench, place, monkeypatch):
    """A function from a fault to what the harness says of a run in which it is planted and that then goes on; "" if
    nothing."""
    def find(fault):
        monkeypatch.setitem(BLOWS, "plant", plant(fault))
        plan = [Attempt(1, False, [], "plant", commits=5), Attempt(2, True, [], "nothing")]
        try:
            bring_to_end(bench, "plain", place, plan, random.Random(0), tally := Counter())
        except Wrong as wrong:
            return str(wrong)
        assert tally["plant: 137"] == tally["nothing: 0"] == 1
        return ""
    return find


def rewrite(path, change):
    """Changes a unit as HDF5 and seals it: sound in itself."""
    with h5py.File(path, "r+") as file:
        change(file)
    folder_checks.seal(path)


def test_nothing_is_found_where_nothing_is_planted(outcome):
    assert outcome(lambda run: None) == ""


def test_a_lost_unit(outcome):
    assert outcome(lambda run: (run / "units/000002.h5").unlink()) == "units/000002.h5: lost since it was committed"


def test_a_lost_unit_of_an_earlier_attempt(bench, place, monkeypatch):
    monkeypatch.setitem(BLOWS, "plant", plant(lambda run: (run / "units/000002.h5").unlink()))
    plan = [Attempt(1, False, [], "USR1 to a rank", commits=5), Attempt(1, False, [], "plant", commits=1)]
    with pytest.raises(Wrong, match="^units/000002.h5: lost since it was committed$"):
        bring_to_end(bench, "plain", place, plan, random.Random(0), Counter())


def test_a_duplicate(outcome):
    said = outcome(lambda run: shutil.copy(run / "units/000001.h5", run / LAST))
    assert f"{LAST}: is unit 1" in said and f"{LAST}: case " in said


def test_a_flipped_bit(outcome):
    def flip(run):
        content = bytearray((run / "units/000001.h5").read_bytes())
        content[len(content) // 2] ^= 4
        (run / "units/000001.h5").write_bytes(content)
    assert "units/000001.h5: damaged: its seal is of other bytes" in outcome(flip)


@pytest.mark.parametrize("bench", [XICI], indirect=True, ids=str)
def test_a_trial_in_two_units(outcome):
    """As a duplicate of cases: no unit 9 of the questions as they are is there yet."""
    said = outcome(lambda run: shutil.copy(run / "units/000001.h5", run / "units/000009.h5"))
    assert "units/000009.h5: is unit 1" in said and "units/000009.h5: trial 1 in language 0 is in units/000001.h5 too" in said


def test_half_a_unit(bench, outcome):
    whole = (bench.whole("plain") / LAST).read_bytes()
    assert f"{LAST}: damaged: no seal at its end" in outcome(lambda run: (run / LAST).write_bytes(whole[:len(whole) // 2]))


def test_a_unit_of_another_configuration(bench, outcome):
    other = bench.whole("plain", "--noise.scale=2")
    assert f"{LAST}: noise.scale: of a run with 2, this one has 3" in outcome(lambda run: shutil.copy(other / LAST, run / LAST))


def test_slots_in_another_order(bench, outcome):
    """A unit sound in all that can be seen from outside, but computed otherwise: the bits of the data show it."""
    def swap(file):
        norms = file["routing/contribution_norm"]
        assert (norms[:, 0] != norms[:, 1]).any()
        norms[...] = norms[:][:, ::-1]

    def fault(run):
        shutil.copy(bench.whole("plain") / LAST, run / LAST)
        rewrite(run / LAST, swap)
    said = outcome(fault)
    assert said.startswith("routing/contribution_norm: line ") and ";" not in said


def test_a_sum_in_another_order(bench, outcome):
    """Which moves a last bit."""
    def move(file):
        file["rows/delta"][0] = np.nextafter(file["rows/delta"][0], np.inf)

    def fault(run):
        shutil.copy(bench.whole("plain") / LAST, run / LAST)
        rewrite(run / LAST, move)
    assert "rows/delta: line " in outcome(fault)


def test_an_exit_code_that_is_not_true():
    attempt, killed = Attempt(1, False, [], "nothing"), Attempt(1, False, [], "kill a rank")
    kill_harness.judge_code(0, attempt, fell=False, done=True)
    kill_harness.judge_code(137, killed, fell=True, done=False)
    for code, given, fell, done in [(0, attempt, False, False), (70, attempt, False, True), (137, killed, False, False),
                                    (74, killed, True, False)]:
        with pytest.raises(Wrong, match="exit code"):
            kill_harness.judge_code(code, given, fell, done)


def test_a_process_that_is_left_behind(place, monkeypatch):
    monkeypatch.setattr(attempts, "DYING", 0.1)
    wait = [sys.executable, "-c", "import time; time.sleep(300)", f"--run.out={place.run}"]
    with subprocess.Popen(wait) as process:
        try:
            assert attempts.wait_until(lambda: attempts.processes(place.run))  # its command line comes a moment after it
            with pytest.raises(Wrong, match="still alive"):
                attempts.expect_nobody(place.run)
        finally:
            process.kill()
    attempts.expect_nobody(place.run)
