"""Each system call by which a run writes fails once: exit 74, one line that names the file, nothing half-written, and
the same command without the fault goes on to the same bits. failing_io.c makes the calls fail."""

import errno
import os
import re
import shutil
import socket
import subprocess
import sys
import time

import pytest

import compare_runs
import folder_checks
import tiny
from tiny import METHODS, TRACE, files_below, message, run

ERRORS = [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EACCES]

pytestmark = pytest.mark.skipif(not tiny.FAILING_IO.exists(), reason=f"{tiny.FAILING_IO} is not built")


def small_run(method, folder, name, ranks=1, **fault):
    """A run in the folder of that name."""
    return run(folder, method.name, method.ini, *method.small, f"--run.out={name}", ranks=ranks,
               environment=environment(folder, name, **fault) if fault else None)


def environment(folder, name, at=0, error=errno.EIO):
    """The at-th call that concerns a file of the run fails, 0: none; all are logged."""
    return tiny.watched_disk(folder / name, "open,write,sync,rename,close,mkdir", at=at, errno=error, log=folder / f"{name}.log")


def calls(folder, name):
    """By process the (call, file in the run) in their order; a temporary file goes by its final name, the probe of a
    folder by the folder's."""
    found, temporary = {}, re.compile(rf"/\.([^/]*)\.{re.escape(socket.gethostname())}\.\d+\.[0-9a-f]{{16}}\.tmp$")
    for line in (folder / f"{name}.log").read_text().splitlines():
        process, call, path = line.split(" ", 2)
        file = temporary.sub(r"/\1", path.removeprefix(str(folder) + "/"))
        found.setdefault(process, []).append((call, file.removesuffix("/probe").removeprefix(name).lstrip("/")))
    return list(found.values())


@pytest.fixture(scope="module", params=METHODS, ids=str)
def whole(request, tmp_path_factory):
    """(method, inputs with an uninterrupted run, the calls by which it wrote)."""
    method, folder = request.param, tiny.Tiny(tmp_path_factory.mktemp("whole")).write().folder
    assert small_run(method, folder, "whole", at=0).returncode == 0
    [made] = calls(folder, "whole")
    assert {call for call, _ in made} == {"open", "write", "sync", "rename", "close", "mkdir"}
    files = {str(path.relative_to(folder / "whole")) for path in (folder / "whole").rglob("*") if path.is_file()}
    assert {file for call, file in made if call == "open"} >= files  # the shim sees every file being written
    return method, folder, made


def failed(done, name, file, error):
    """Checks how a run ended whose call on that file failed."""
    line = message(done, 74)
    named = line.removeprefix("moesweep: ").split(": ")[0]
    assert named == os.path.normpath(f"{name}/{file}"), line
    assert line.endswith(os.strerror(error)), line


def expect_only_the_lock_after_the_commit(method, made):
    """The number of the call that commits the merged file: the folder's sync. What comes after it lets go of the
    lock."""
    committed = made.index(("rename", method.merged)) + 2
    assert made[committed - 1] == ("sync", "") and {file for _, file in made[committed:]} <= {"lock"}
    return committed


def contents(folder):
    """Of every file but the lock, which names the last process that held it."""
    return {path: content for path, content in files_below(folder).items() if path != "lock"}


def test_every_call_of_a_run(whole):
    method, folder, made = whole
    committed = expect_only_the_lock_after_the_commit(method, made)
    resumed = set()
    for number, (call, file) in enumerate(made, 1):
        if (call, file) == ("write", method.merged) and made[number - 2] == (call, file):
            continue  # hundreds, each of which is tried in the next test
        name, error = f"run-{number}", ERRORS[number % len(ERRORS)]
        done = small_run(method, folder, name, at=number, error=error)
        if number <= committed:
            failed(done, name, file, error)
        else:
            assert done.returncode == 0  # the run is done, and its lock passes for that of a dead process
        if (folder / name).exists():
            assert folder_checks.problems(folder / name, finished=True) == [], (call, file)
        state = frozenset((path, content) for path, content in contents(folder / name).items() if path != "config.ini")
        if state not in resumed:  # a folder of the same content goes on in the same way
            resumed.add(state)
            goes_on(method, folder, name)
    assert len(resumed) > 8


def goes_on(method, folder, name):
    before = folder_checks.committed(folder / name)
    done = small_run(method, folder, name)
    assert done.returncode == 0, done.stderr
    assert folder_checks.problems(folder / name, finished=True) == []
    assert folder_checks.lost(before, folder_checks.committed(folder / name)) == []
    assert compare_runs.compare(folder / name / method.merged, folder / "whole" / method.merged) == []


def test_every_call_of_a_merge(whole):
    """Nothing in the folder changes, and the old merged file stays where there is one, until the new one is whole."""
    method, folder, _ = whole
    shutil.copytree(folder / "whole", folder / "merged")
    old = contents(folder / "merged")
    assert run(folder, "merge", "merged", environment=environment(folder, "merged")).returncode == 0
    [made] = calls(folder, "merged")
    committed = expect_only_the_lock_after_the_commit(method, made)
    assert len(made) > (100 if method is TRACE else 60) and {file for _, file in made} == {method.merged, "lock", ""}
    (folder / "merged" / method.merged).write_bytes(old[method.merged])
    for number, (call, file) in enumerate(made, 1):
        error = ERRORS[number % len(ERRORS)]
        (folder / "merged" / "lock").write_bytes(b"")  # a lock that a dead process left would add calls
        done = run(folder, "merge", "merged", environment=environment(folder, "merged", number, error))
        if number <= committed:
            failed(done, "merged", file, error)
        else:
            assert done.returncode == 0
        if number < committed:  # the new file has not got its name
            assert contents(folder / "merged") == old, (call, number)
    assert folder_checks.problems(folder / "merged", finished=True) == []
    assert compare_runs.compare(folder / "merged" / method.merged, folder / "whole" / method.merged) == []


def test_some_calls_at_two_ranks(whole):
    """Each process counts by itself, so the fault may meet both, one, or in the end neither."""
    method, folder, made = whole
    numbers = [number for number, (call, file) in enumerate(made, 1) if (call, file) != ("write", method.merged)][::6]
    met = 0
    for number in numbers:
        name, error = f"ranks-{number}", ERRORS[number % len(ERRORS)]
        done = small_run(method, folder, name, ranks=2, at=number, error=error)
        hit = [process[:number] for process in calls(folder, name) if len(process) >= number]
        files = [process[-1][1] for process in hit]
        if all(("rename", method.merged) in process and process[-1][1] == "lock" for process in hit):  # none, or one letting go
            assert done.returncode == 0, done.stderr
        else:
            met += 1
            line = message(done, 74)
            assert any(line.startswith(f"moesweep: {os.path.normpath(f'{name}/{file}')}: ") for file in files), line
            assert line.endswith(os.strerror(error)), line
        if (folder / name).exists():
            assert folder_checks.problems(folder / name, finished=True) == [], number
        goes_on(method, folder, name)
    assert met > 6


# --- file systems without locks ---


README_LINES = re.search(r"```python\n(import moesweep.*?)```", (tiny.ROOT / "README.md").read_text(), re.DOTALL)[1]


of_a_trace = pytest.mark.parametrize("whole", [TRACE], indirect=True, ids=str)


def no_flock(folder, error):
    """As on NFS without its lock daemon, or Lustre mounted without flock: whoever asks for a lock hears this error."""
    return tiny.watched_disk(folder, "flock", at="every", errno=error)


@of_a_trace
@pytest.mark.parametrize("error", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, 524], ids=["ENOLCK", "ENOSYS", "EOPNOTSUPP", "ENOTSUPP"])
def test_without_locks_everything_is_written_and_read(whole, tmp_path, error):
    _, folder, _ = whole
    tiny.Tiny(tmp_path).write()
    for arguments, ranks in ((("trace", "trace.ini", *TRACE.small, "--run.out=runs/demo"), 2), (("merge", "runs/demo"), 1), (("report", "runs/demo"), 1)):
        done = run(tmp_path, *arguments, ranks=ranks, environment=no_flock(tmp_path, error))
        assert (done.returncode, done.stderr) == (0, ""), arguments
    assert compare_runs.compare(tmp_path / "runs/demo/sweep.h5", folder / "whole/sweep.h5") == []
    done = subprocess.run([sys.executable, "-c", README_LINES], cwd=tmp_path, capture_output=True, text=True,
                          env=os.environ | no_flock(tmp_path, error) | {"PYTHONPATH": str(tiny.ROOT / "analysis")})
    assert done.returncode == 0 and "layer_rescue" in done.stdout, done.stderr


@of_a_trace
def test_what_the_system_refuses_is_no_fault_of_the_data(whole, tmp_path):
    """HDF5 locks all the same where the environment says so; then the lock's failure is what report names."""
    _, folder, _ = whole
    shutil.copytree(folder / "whole", tmp_path / "run")
    environment = no_flock(tmp_path, errno.ENOLCK) | {"HDF5_USE_FILE_LOCKING": "TRUE"}
    done = run(tmp_path, "report", "run", environment=environment)
    assert (done.returncode, done.stderr) == (74, "report: run/sweep.h5: No locks available\n")
    assert run(tmp_path, "merge", "run", environment=environment).returncode == 0  # which takes none in HDF5


@of_a_trace
def test_a_second_run_is_kept_out_without_locks(whole, tmp_path):
    """The lock's entry tells, as long as it is fresh."""
    _, folder, _ = whole
    shutil.copytree(folder / "whole", tmp_path / "run")
    (tmp_path / "run" / "lock").write_text("attempt = 0123456789abcdef\nhost = other\nmachine = another\nprocess = 1\n"
                                           "started = 2026-01-01T00:00:00Z\n")
    line = message(run(tmp_path, "merge", "run", environment=no_flock(tmp_path, errno.ENOLCK)), 69)
    assert "another run holds this folder: attempt 0123456789abcdef, host other" in line
    old = time.time() - 60
    os.utime(tmp_path / "run" / "lock", (old, old))
    assert run(tmp_path, "merge", "run", environment=no_flock(tmp_path, errno.ENOLCK)).returncode == 0
