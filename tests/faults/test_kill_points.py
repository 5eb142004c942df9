"""Killed at every step of every commit, a run goes on with another number of ranks to the same bits."""

import os
import re

import pytest

import compare_runs
import folder_checks
import tiny
from attempts import BLOWS, exit_code, expect_nobody
from tiny import METHODS, run

KILLABLE = tiny.PROGRAM.with_name("moesweep_killable")

pytestmark = pytest.mark.skipif(not KILLABLE.exists(), reason=f"{KILLABLE} is not built")


def small_run(method, folder, name, ranks=1, program=tiny.PROGRAM, kill_at=""):
    """A run in the folder of that name."""
    return run(folder, method.name, method.ini, *method.small, f"--run.out={name}", ranks=ranks, program=program,
               environment={"MOESWEEP_KILL_AT": kill_at})


@pytest.fixture(scope="module", params=METHODS, ids=str)
def whole(request, tmp_path_factory):
    """(method, inputs with an uninterrupted run, the points at which it may be killed, as the program lists them)."""
    method, folder = request.param, tiny.Tiny(tmp_path_factory.mktemp("whole")).write().folder
    done = small_run(method, folder, "whole", program=KILLABLE, kill_at="list")
    assert done.returncode == 0
    steps = re.findall(r"^kill steps: (.*)$", done.stderr, re.MULTILINE)[0].split()
    points = [(os.path.relpath(file, "whole"), step)
              for file, step in re.findall(r"^kill point: (.*) (\w+)$", done.stderr, re.MULTILINE)]
    assert {step for _, step in points} == set(steps)  # no step that the program knows of was passed by
    files = {str(path.relative_to(folder / "whole")) for path in (folder / "whole").rglob("*") if path.is_file()}
    assert {file for file, _ in points} == files - {"lock"}  # the lock is no commit: test_run_lock.cpp kills its holders
    assert len(points) == len(set(points)) == len(steps) * len({file for file, _ in points})
    return method, folder, points


def killed(method, folder, name, ranks, point):
    """A run in a new folder that dies at that point."""
    file, step = point
    done = small_run(method, folder, name, ranks, KILLABLE, f"{name}/{file} {step}:1")
    possible = {137} if ranks == 1 else BLOWS["kill a rank"].codes
    assert exit_code(done.returncode) in possible, (point, done.returncode, done.stderr)
    expect_nobody(name)
    there = (folder / name / file).exists()
    assert there == (step in ("renamed", "finished")), point


@pytest.mark.parametrize(("ranks", "then"), [(1, 2), (2, 1), (4, 1)])
def test_every_kill_point(whole, ranks, then):
    method, folder, points = whole
    assert len(points) > 40
    for number, point in enumerate(points):
        name = f"run-{ranks}-{number}"
        killed(method, folder, name, ranks, point)
        assert folder_checks.problems(folder / name) == [], point
        before = folder_checks.committed(folder / name)
        resumed = small_run(method, folder, name, then)
        assert resumed.returncode == 0, (point, resumed.stderr)
        assert folder_checks.problems(folder / name, finished=True) == [], point
        assert folder_checks.lost(before, folder_checks.committed(folder / name)) == [], point
        assert compare_runs.compare(folder / name / method.merged, folder / "whole" / method.merged) == [], point


def test_the_shipped_program_has_no_kill_points(whole):
    method, folder, _ = whole
    assert small_run(method, folder, "shipped", kill_at=f"shipped/{method.items} begun:1").returncode == 0
    assert b"MOESWEEP_KILL_AT" not in tiny.PROGRAM.read_bytes()
    assert b"MOESWEEP_KILL_AT" in KILLABLE.read_bytes()  # so that the line above says something
