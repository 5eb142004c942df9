"""What a process makes of the environment that launchers leave: alone it runs, and several that cannot meet are
refused."""

import os
import resource
import subprocess
import time

import pytest

from tiny import PROGRAM, TRACE, message, run

JOB = {"SLURM_JOB_ID": "77", "SLURM_JOBID": "77", "SLURM_NTASKS": "4", "SLURM_NODELIST": "node1", "SLURM_JOB_NODELIST": "node1",
       "SLURM_NNODES": "1", "SLURM_TASKS_PER_NODE": "4", "SLURM_JOB_CPUS_PER_NODE": "4"}
STEP = JOB | {"SLURM_STEP_ID": "0", "SLURM_STEPID": "0", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0",
              "SLURM_STEP_NODELIST": "node1", "SLURM_STEP_NUM_NODES": "1", "SLURM_STEP_TASKS_PER_NODE": "1"}
PMI2 = {"PMI_RANK": "0", "PMI_SIZE": "1", "PMI_FD": "99", "PMI_JOBID": "77.0"}
PMIX = {"PMIX_NAMESPACE": "slurm.pmix.77.0", "PMIX_RANK": "0", "PMIX_SERVER_URI41": "pmix-server.1;tcp4://127.0.0.1:1"}
ALONE = {
    "in a job": JOB,
    "in a step": STEP | {"SLURM_STEP_NUM_TASKS": "1"},
    "in a step by pmi2": STEP | PMI2 | {"SLURM_STEP_NUM_TASKS": "1"},
    "in a step by pmix, after another program": STEP | PMIX | {"SLURM_STEP_NUM_TASKS": "1"},
    "in a step, left by mpirun": STEP | {"SLURM_STEP_NUM_TASKS": "1", "PMIX_NAMESPACE": "x", "PMIX_RANK": "0"},
    "left by another launcher": {"PMI_RANK": "0", "PMI_SIZE": "1"},
    "left by PMIx": {"PMIX_NAMESPACE": "x", "PMIX_RANK": "0"},
    "left by mpirun": {"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "3"},
}


@pytest.mark.parametrize("environment", ALONE.values(), ids=ALONE)
def test_one_process_runs(inputs, environment):
    inputs.write()
    for command in (("plan", "trace.ini"), ("trace", "trace.ini", *TRACE.small)):
        done = run(inputs.folder, *command, environment=environment)
        assert (done.returncode, done.stderr) == (0, ""), command
    assert (inputs.folder / "run" / "sweep.h5").exists()


@pytest.mark.parametrize("command", [("plan", "trace.ini"), ("trace", "trace.ini"), ("trace",)], ids=" ".join)
def test_several_tasks_of_srun_that_cannot_meet(inputs, command):
    """Each would be a run of its own in the same folder. The first of them speaks."""
    inputs.write()
    line = message(run(inputs.folder, *command, environment=STEP | {"SLURM_STEP_NUM_TASKS": "4"}), 64)
    assert line == ("moesweep: srun started 4 tasks without PMI, so they cannot find each other: use srun --mpi=pmix, or "
                    "mpirun instead of srun")
    done = run(inputs.folder, *command, environment=STEP | {"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "3"})
    assert (done.returncode, done.stdout, done.stderr) == (64, "", "")
    assert not (inputs.folder / "run").exists()


def test_mpirun_in_a_step_of_srun(inputs):
    done = run(inputs.write().folder, "plan", "trace.ini", ranks=2,
               environment={name: value for name, value in STEP.items() if "STEP" in name} | {"SLURM_STEP_NUM_TASKS": "4"})
    assert done.returncode == 0 and "ranks                      2, 1 to a copy of the model\n" in done.stdout


@pytest.mark.parametrize("command", [("--version",), ("--help",), ("tokenize", "model", "a b"), ("inspect", "model"), ("merge", "run")],
                         ids=" ".join)
def test_one_process_of_several_speaks(inputs, command):
    """For a command that divides no work: the others end in peace, and do not contend for the folder either."""
    inputs.write()
    if command[0] == "merge":
        assert run(inputs.folder, "trace", "trace.ini", *TRACE.small).returncode == 0
    alone, three = run(inputs.folder, *command), run(inputs.folder, *command, ranks=3)
    assert (three.returncode, three.stdout, three.stderr) == (alone.returncode, alone.stdout, alone.stderr) == (0, alone.stdout, "")
    of_srun = STEP | {"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "2"}
    assert run(inputs.folder, *command, environment=of_srun).stdout == ""
    assert run(inputs.folder, *command, environment=ALONE["left by mpirun"]).stdout == alone.stdout != ""


def test_open_files_as_many_as_the_system_allows(inputs):
    """Over TCP rank 0 has one for each other rank: a thousand ranks under the usual soft limit of 1024 would hang."""
    inputs.write()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    low = min(200, hard - 1)
    with subprocess.Popen([str(PROGRAM), "trace", "trace.ini", *TRACE.small], cwd=inputs.folder, stdout=subprocess.DEVNULL,
                          env=os.environ | {"OMP_NUM_THREADS": "1"},
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (low, hard))) as process:
        raised = False
        while process.poll() is None and not raised:
            raised = resource.prlimit(process.pid, resource.RLIMIT_NOFILE) == (hard, hard)
            time.sleep(0.002)
        assert process.wait(timeout=120) == 0
    assert raised
