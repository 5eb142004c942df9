"""The machines that the cluster tests run on, and what they run: the demo of each method, a unit per case or
question."""

import os
import pathlib
import signal
import subprocess
import time

import program

JOBS = program.ROOT / "jobs"
PATIENCE = 240  # seconds until a test gives up on something that must happen
ENVIRONMENT = {**program.ENVIRONMENT, "MOESWEEP_BUILD": str(program.BUILD), "OMPI_MCA_hwloc_base_binding_policy": "none"}


DEMO, MULTILINGUAL = program.ROOT / "demo", program.ROOT / "demo" / "multilingual"
SETTINGS = {  # of trace: 128 units and as many of the second pass
    "trace": dict(model__path=DEMO / "model", cases__path=DEMO / "facts.json", cases__limit=128, cases__discovery=64,
                  select__recurrence=32, run__unit=1),
    "xici": dict(model__path=MULTILINGUAL / "model", questions__path=MULTILINGUAL / "questions.jsonl", questions__limit=128,
                 ask__chat="none", ask__max_tokens=8, identify__layers="all", run__unit=1),
}
MERGED = {"trace": "sweep.h5", "xici": "xici.h5"}


def write_config(path, method="trace"):
    return program.write_config(path, **SETTINGS[method])


def until(happened, what):
    """The first true value of happened()."""
    deadline = time.monotonic() + PATIENCE
    while not (value := happened()):
        assert time.monotonic() < deadline, f"not in {PATIENCE} s: {what}"
        time.sleep(0.02)
    return value


class Run:
    """A run folder as seen from outside."""

    def __init__(self, folder, method="trace"):
        self.config, self.out, self.merged = write_config(folder / f"{method}.ini", method), folder / "run", folder / "run" / MERGED[method]
        self.command = [method, str(self.config), f"--run.out={self.out}"]
        self.arguments = self.command if method != "trace" else self.command[1:]  # of the job scripts

    def units(self):
        """path -> time of writing, of every committed unit."""
        return {path: path.stat().st_mtime_ns for path in self.out.rglob("units/[0-9]*.h5")}

    def wait_for_units(self, process=None, more=3):
        """Returns once the run has committed some more."""
        wanted = len(self.units()) + more

        def committed():
            assert process is None or process.poll() is None, process.communicate()[0]
            return len(self.units()) >= wanted

        until(committed, f"{wanted} units in {self.out}")

    def is_whole(self):
        return self.merged.exists()

    def result(self):
        return program.Sweep(self.merged)

    def processes(self):
        """Ids of all its ranks and launchers."""
        return [process for process in processes() if f"--run.out={self.out}".encode() in contents(process, "cmdline")]

    def signal_ranks(self, number):
        for process in self.processes():
            if contents(process, "cmdline")[0].endswith(b"/moesweep"):
                os.kill(process, number)


def processes():
    return [int(entry.name) for entry in pathlib.Path("/proc").iterdir() if entry.name.isdigit()]


def contents(process, file):
    """The words of its cmdline or environ, none if it has ended."""
    try:
        return pathlib.Path(f"/proc/{process}/{file}").read_bytes().split(b"\0")
    except OSError:
        return []


def session(process):
    """The daemon that Slurm leaves with a job's step shares a session with its tasks."""
    try:
        return os.getsid(process)
    except ProcessLookupError:
        return None


class Slurm:
    def __init__(self, folder):
        self.folder, self.environment = folder, {**ENVIRONMENT, "SLURM_CONF": str(folder / "slurm.conf"),
                                                 "OMPI_MCA_btl": "tcp,self", "OMPI_MCA_btl_tcp_if_include": "lo"}

    def call(self, *command, check=True):
        done = subprocess.run([str(word) for word in command], env=self.environment, capture_output=True, text=True)
        assert not check or done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout.strip()

    def submit(self, folder, script, *arguments, options=()):
        """Submits a job script from `folder` and returns the job's id."""
        where = ["--chdir", folder, "--output", folder / "%j.log"]
        return self.call("sbatch", "--parsable", *where, *options, script, *arguments)

    def job(self, job):
        """Its fields, as scontrol shows them."""
        text = self.call("scontrol", "show", "job", job, "--oneliner")
        return dict(field.split("=", 1) for field in text.split() if "=" in field)

    def state(self, job):
        return self.job(job)["JobState"]

    def restarts(self, job):
        return int(self.job(job)["Restarts"])

    def wait_for_restart(self, job, restarts=1):
        until(lambda: self.restarts(job) >= restarts, f"job {job} back in the queue")

    def wait_for_end(self, job):
        """The state in which a job ends and its exit code."""
        until(lambda: self.state(job) not in ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "REQUEUED",
                                              "PREEMPTED"), f"job {job} ended")
        job = self.job(job)
        return job["JobState"], int(job["ExitCode"].split(":")[0])

    def log(self, folder, job):
        return (folder / f"{job}.log").read_text()

    def nodes(self):
        """name -> state"""
        return dict(line.split() for line in self.call("sinfo", "-h", "-N", "-p", "p", "-o", "%N %T").splitlines())

    def start_node(self, name):
        self.call("slurmd", "-f", self.folder / "slurm.conf", "-N", name)

    def kill_node(self, name):
        """Ends its daemon and all that it has started; the daemons first, so that none can tell."""
        ours = {f"SLURM_CONF={self.folder / 'slurm.conf'}".encode(), f"SLURMD_NODENAME={name}".encode()}
        tasks = [process for process in processes() if ours <= set(contents(process, "environ"))]
        sessions = {session(process) for process in tasks} - {None}
        steps = [process for process in processes() if session(process) in sessions and process not in tasks]
        for process in [self.daemon(name), *steps, *tasks]:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:  # it has ended with another
                pass

    def daemon(self, name):
        """The process id of a node's daemon."""
        return int((self.folder / f"slurmd-{name}.pid").read_text())

    def cancel_all(self):
        self.call("scancel", "--user", "root")
        until(lambda: not self.call("squeue", "-h"), "an empty queue")

    def raise_nodes(self):
        """Starts what is dead, and takes back what was declared down."""
        for name, state in self.nodes().items():
            if not pathlib.Path(f"/proc/{self.daemon(name)}").exists():
                self.start_node(name)
            if "down" in state:
                self.call("scontrol", "update", f"nodename={name}", "state=resume", check=False)  # it may return by itself

    def restore(self):
        """Both nodes up and idle, no job."""
        self.raise_nodes()
        self.cancel_all()
        until(lambda: set(self.nodes().values()) == {"idle"}, "idle nodes")


def hear_interrupts():
    """What a shell starts in the background ignores SIGINT, and so would all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Hosts:
    NETWORK = "10.77.0.0/24"

    def __init__(self, kit):
        self.kit = kit
        self.environment = {**ENVIRONMENT, "OMPI_MCA_plm_rsh_agent": str(kit / "net-agent.sh"), "OMPI_MCA_btl": "tcp,self,vader",
                            "OMPI_MCA_btl_tcp_if_include": self.NETWORK, "OMPI_MCA_oob_tcp_if_include": self.NETWORK}

    def start(self, folder, run, *options, slots=2):
        """The run over both hosts, `slots` ranks on each, as a process."""
        (folder / "hosts").write_text(f"h1 slots={slots}\nh2 slots={slots}\n")
        command = [self.kit / "net-on.sh", "h1", JOBS / "mpirun-hosts.sh", folder / "hosts", *run.arguments, *options]
        return subprocess.Popen([str(word) for word in command], cwd=folder, env=self.environment, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, preexec_fn=hear_interrupts)

    def cut(self):
        subprocess.run(["ip", "-n", "h2", "link", "set", "v2", "down"], check=True)

    def join(self):
        subprocess.run(["ip", "-n", "h2", "link", "set", "v2", "up"], check=True)
