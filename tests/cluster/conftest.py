"""Test beds of real hosts and a real Slurm on this machine, from ../shared/kit. They start daemons and change the
machine's network, so they are no part of jobs/test.sh; the commands are in tests/cluster/README.md."""

import functools
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
KIT = ROOT.parent / "shared" / "kit"
sys.path.insert(0, str(ROOT / "tests" / "oracle"))

import program  # noqa: E402

import beds  # noqa: E402


def need(*commands):
    """Skips, saying what is missing."""
    if not KIT.is_dir():
        pytest.skip(f"{KIT} is not there: the test beds' scripts")
    if os.geteuid() != 0:
        pytest.skip("the test beds need root")
    if not (program.BUILD / "moesweep").exists():
        pytest.skip(f"{program.BUILD / 'moesweep'} is not built")
    missing = [name for name in commands if not shutil.which(name)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory):
    """A function from a method to what two ranks on this host make of it, undisturbed."""
    @functools.cache
    def of(method):
        run = beds.Run(tmp_path_factory.mktemp("whole"), method)
        program.call(*run.command, ranks=2)
        return run.result()
    return of


@pytest.fixture(scope="session")
def whole(uninterrupted):
    """Of trace."""
    return uninterrupted("trace")


@pytest.fixture(scope="session")
def slurm_bed(tmp_path_factory):
    """A Slurm of two nodes, n1 and n2, with two cores each. Its state is in the folder given."""
    need("slurmctld", "slurmd", "sbatch", "munged")
    folder = tmp_path_factory.mktemp("slurm")
    subprocess.run([KIT / "slurm-up.sh", folder], check=True, stdout=subprocess.DEVNULL)
    bed = beds.Slurm(folder)
    yield bed
    bed.cancel_all()
    subprocess.run([KIT / "slurm-down.sh", folder], check=True)


@pytest.fixture
def slurm(slurm_bed):
    """The same with both nodes up and no job in it."""
    slurm_bed.restore()
    yield slurm_bed
    slurm_bed.restore()


@pytest.fixture
def hosts():
    """Two hosts, h1 and h2, joined by a cable."""
    need("ip", "mpirun")
    subprocess.run([KIT / "net-up.sh"], check=True)
    yield beds.Hosts(KIT)
    subprocess.run([KIT / "net-down.sh"], check=True)
