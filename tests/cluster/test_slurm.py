"""jobs/slurm-run.sbatch and jobs/slurm-array.sbatch in a real Slurm: whatever ends an attempt, the job goes on by
itself and ends with the bits of an uninterrupted run."""

import os
import signal
import subprocess

import pytest

import beds
import program

RUN, ARRAY = beds.JOBS / "slurm-run.sbatch", beds.JOBS / "slurm-array.sbatch"
TWO_NODES = ("--nodes=2", "--ntasks=2", "--ntasks-per-node=1")
ONE_NODE = ("--nodes=1", "--ntasks=2")


def assert_ends_whole(slurm, job, folder, run, expected, kept):
    """The job ends well, no unit of before was made again, and the file has the bits it must have."""
    assert slurm.wait_for_end(job) == ("COMPLETED", 0), slurm.log(folder, job)
    assert kept.items() <= run.units().items()
    program.assert_same_bits(run.result(), expected)


@pytest.mark.parametrize("nodes", [ONE_NODE, TWO_NODES], ids=["one node", "two nodes"])
@pytest.mark.parametrize("launcher", ["mpirun", "srun --mpi=pmix"])
@pytest.mark.parametrize("method", beds.SETTINGS)
def test_a_signal_puts_the_job_back(slurm, uninterrupted, tmp_path, method, launcher, nodes):
    run, whole = beds.Run(tmp_path, method), uninterrupted(method)
    job = slurm.submit(tmp_path, RUN, *run.arguments, options=[*nodes, f"--export=ALL,MOESWEEP_LAUNCH={launcher}"])
    for restarts in (1, 2):
        run.wait_for_units()
        slurm.call("scancel", "--batch", "--signal=USR1", job)
        slurm.wait_for_restart(job, restarts)
    assert not run.is_whole()
    assert_ends_whole(slurm, job, tmp_path, run, whole, run.units())
    assert slurm.restarts(job) == 2
    assert slurm.log(tmp_path, job).count("back into the queue") == 2


def test_the_time_limit_puts_the_job_back(slurm, whole, tmp_path):
    """Slurm looks at its clocks every 30 s and finds the job, which has a minute, close to its end. The ranks are held
    until then, for they need less."""
    run = beds.Run(tmp_path)
    job = slurm.submit(tmp_path, RUN, *run.arguments, options=[*ONE_NODE, "--time=1", "--signal=B:USR1@50"])
    run.wait_for_units()
    run.signal_ranks(signal.SIGSTOP)
    beds.until(lambda: "asked to stop" in slurm.log(tmp_path, job), "Slurm's signal")
    run.signal_ranks(signal.SIGCONT)
    slurm.wait_for_restart(job)
    kept = run.units()
    assert kept and not run.is_whole()
    assert_ends_whole(slurm, job, tmp_path, run, whole, kept)


@pytest.mark.parametrize("nodes", [ONE_NODE, TWO_NODES], ids=["one node", "two nodes"])
def test_requeued_by_hand(slurm, whole, tmp_path, nodes):
    """No warning: Slurm kills the ranks and starts the job again."""
    run = beds.Run(tmp_path)
    job = slurm.submit(tmp_path, RUN, *run.arguments, options=nodes)
    run.wait_for_units()
    slurm.call("scontrol", "requeue", job)
    slurm.wait_for_restart(job)
    assert_ends_whole(slurm, job, tmp_path, run, whole, run.units())


def test_preempted(slurm, whole, tmp_path):
    run = beds.Run(tmp_path)
    job = slurm.submit(tmp_path, RUN, *run.arguments, options=TWO_NODES)
    run.wait_for_units()
    urgent = slurm.submit(tmp_path, write_script(tmp_path, "exit 0"), options=["--partition=hi", "--nodes=2", "--exclusive"])
    slurm.wait_for_restart(job)
    kept = run.units()
    assert slurm.wait_for_end(urgent) == ("COMPLETED", 0)
    assert "back into the queue" in slurm.log(tmp_path, job)  # it had been told, and had time to stop
    assert_ends_whole(slurm, job, tmp_path, run, whole, kept)


def write_script(folder, line):
    path = folder / "script.sh"
    path.write_text(f"#!/bin/bash\n{line}\n")
    return path


@pytest.mark.parametrize("loss", ["declared down", "dead"])
@pytest.mark.parametrize("lost", ["n1", "n2"])
@pytest.mark.parametrize("method", beds.SETTINGS)
def test_a_lost_node(slurm, uninterrupted, tmp_path, method, loss, lost):
    """n1 holds the job's script and launcher, n2 a rank. The job waits until both are there again."""
    run, whole = beds.Run(tmp_path, method), uninterrupted(method)
    job = slurm.submit(tmp_path, RUN, *run.arguments, options=TWO_NODES)
    run.wait_for_units()
    if loss == "dead":
        slurm.kill_node(lost)
    else:
        slurm.call("scontrol", "update", f"nodename={lost}", "state=down", "reason=test")
    slurm.wait_for_restart(job)
    beds.until(lambda: not run.processes(), "no rank of the lost attempt left")
    kept = run.units()
    assert kept and not run.is_whole()
    slurm.raise_nodes()
    assert_ends_whole(slurm, job, tmp_path, run, whole, kept)


def test_a_job_moves_to_another_node(slurm, whole, tmp_path):
    run = beds.Run(tmp_path)
    job = slurm.submit(tmp_path, RUN, *run.arguments, options=ONE_NODE)
    run.wait_for_units()
    assert slurm.job(job)["NodeList"] == "n1"
    slurm.kill_node("n1")
    slurm.wait_for_restart(job)
    assert_ends_whole(slurm, job, tmp_path, run, whole, run.units())
    assert slurm.job(job)["NodeList"] == "n2"


def test_a_lock_that_a_dead_host_left(slurm, whole, tmp_path):
    """A host that is gone cannot take its lock along: for half a minute it looks alive."""
    run = beds.Run(tmp_path)
    job = slurm.submit(tmp_path, RUN, *run.arguments, options=ONE_NODE)
    run.wait_for_units()
    slurm.call("scontrol", "requeue", job)
    slurm.wait_for_restart(job)
    (run.out / "lock").write_text("attempt = 0123456789abcdef\nhost = gone\nmachine = another\nprocess = 1\n"
                                  "started = 2000-01-01T00:00:00Z\n")
    assert_ends_whole(slurm, job, tmp_path, run, whole, run.units())
    log = slurm.log(tmp_path, job)
    assert "host gone" in log and "lock is still fresh" in log


def test_bad_input_is_final(slurm, tmp_path):
    run = beds.Run(tmp_path)
    job = slurm.submit(tmp_path, RUN, *run.arguments, "--cases.path=/nowhere/facts.json", options=ONE_NODE)
    assert slurm.wait_for_end(job) == ("FAILED", 65)
    assert slurm.restarts(job) == 0 and "/nowhere/facts.json" in slurm.log(tmp_path, job)


@pytest.mark.parametrize(("arguments", "variables", "said"), [
    (["nothing.ini"], "", "slurm-run: no such configuration: 'nothing.ini'"),
    ([], "", "slurm-run: no such configuration: ''"),
    (["xici", "nothing.ini"], "", "slurm-run: no such configuration: 'nothing.ini'"),
    (["trace.ini"], ",MOESWEEP_BUILD=/nowhere", "slurm-run: /nowhere/moesweep is not there"),
    (["trace.ini"], ",MOESWEEP_ROOT=/nowhere", "slurm-run: no repository at '/nowhere'")])
def test_what_is_missing_is_said_at_once(slurm, tmp_path, arguments, variables, said):
    beds.write_config(tmp_path / "trace.ini")
    job = slurm.submit(tmp_path, RUN, *arguments, options=[f"--export=ALL{variables}"])
    assert slurm.wait_for_end(job) == ("FAILED", 64)
    lines = slurm.log(tmp_path, job).splitlines()
    assert len(lines) == 1 and lines[0].startswith(said)


# --- without a job script ---


@pytest.mark.parametrize("mpi", ["none", "pmi2", "pmix"])
def test_one_process_after_the_other_in_an_interactive_step(slurm, whole, tmp_path, mpi):
    """As in srun --pty bash, whatever srun offers by default."""
    run = beds.Run(tmp_path)
    shell = ["bash", "-c", '"$0" plan "$@" && "$0" trace "$@"', program.BUILD / "moesweep"]
    printed = slurm.call("srun", f"--mpi={mpi}", *shell, *run.arguments)
    assert "1, 1 to a copy of the model" in printed
    program.assert_same_bits(run.result(), whole)


def test_several_tasks_that_cannot_meet(slurm, tmp_path):
    run = beds.Run(tmp_path)
    command = ["srun", "--mpi=none", "--ntasks=2", program.BUILD / "moesweep", "trace", *run.arguments]
    done = subprocess.run([str(word) for word in command], env=slurm.environment, capture_output=True, text=True)
    ours = [line for line in done.stderr.splitlines() if line.startswith("moesweep: ")]
    assert done.returncode == 64 and not run.out.exists()
    assert len(ours) == 1 and "use srun --mpi=pmix, or mpirun in place of srun" in ours[0]


# --- arrays ---

SCALES = ["1", "2.5", "3"]


@pytest.fixture(scope="module")
def by_scale(tmp_path_factory):
    """scale -> the uninterrupted run with it."""
    found = {}
    for scale in SCALES:
        run = beds.Run(tmp_path_factory.mktemp("scale"))
        program.call(*run.command, f"--noise.scale={scale}", ranks=2)
        found[scale] = run.result()
    return found


def test_an_array_of_overrides(slurm, by_scale, tmp_path):
    config = beds.write_config(tmp_path / "trace.ini")
    (tmp_path / "scales.txt").write_text("# by scale\n\n" + "".join(f"trace.ini --noise.scale={scale}\n" for scale in SCALES[:2]) +
                                         f"{config} --run.out=own\n")
    outs = [tmp_path / "runs" / "scales" / "1", tmp_path / "runs" / "scales" / "2", tmp_path / "own"]
    job = slurm.submit(tmp_path, ARRAY, "scales.txt", "--run.log=yes", options=["--array=1-3", *ONE_NODE])
    beds.until(lambda: list(outs[1].glob("units/*.h5")), "the second task at work")
    slurm.call("scancel", "--batch", "--signal=USR1", f"{job}_2")
    for task, out, scale in zip((1, 2, 3), outs, SCALES):
        assert slurm.wait_for_end(f"{job}_{task}") == ("COMPLETED", 0)
        program.assert_same_bits(program.Sweep(out / "sweep.h5"), by_scale[scale])
        assert os.listdir(out / "log")  # the options after the list are for every task
    assert slurm.restarts(f"{job}_2") == 1


def test_an_array_of_methods(slurm, uninterrupted, tmp_path):
    """A line names the method; without one it is trace."""
    for method in beds.SETTINGS:
        (tmp_path / method).mkdir()
    runs = [beds.Run(tmp_path / method, method) for method in beds.SETTINGS]
    (tmp_path / "both.txt").write_text("".join(" ".join(run.arguments) + "\n" for run in runs))
    job = slurm.submit(tmp_path, ARRAY, "both.txt", options=["--array=1-2", *ONE_NODE])
    for task, (run, method) in enumerate(zip(runs, beds.SETTINGS), 1):
        assert slurm.wait_for_end(f"{job}_{task}") == ("COMPLETED", 0)
        program.assert_same_bits(run.result(), uninterrupted(method))


@pytest.mark.parametrize(("arguments", "said"), [
    (["nothing.txt"], "slurm-array: no such list: 'nothing.txt'"),
    (["list.txt"], "slurm-array: list.txt: has 1 lines, there is none for task 2: use --array=1-1")])
def test_a_list_that_does_not_fit(slurm, tmp_path, arguments, said):
    (tmp_path / "list.txt").write_text("trace.ini\n")
    job = slurm.submit(tmp_path, ARRAY, *arguments, options=["--array=2"])
    assert slurm.wait_for_end(f"{job}_2") == ("FAILED", 64)
    (log,) = tmp_path.glob("*.log")
    assert log.read_text().startswith(said) and len(log.read_text().splitlines()) == 1
