"""Two hosts with a cable between them: the same bits as one host, and a cut in mid-run that loses nothing."""

import signal
import time

import pytest

import beds
import program

CUT_SECONDS = 15  # until a run without its link must have ended; the keepalive needs 11


@pytest.mark.parametrize(("method", "slots", "experts"), [
    *(("trace", *shape) for shape in [(1, 1), (1, 2), (2, 1), (2, 2), (2, 4)]), ("xici", 1, 2), ("xici", 2, 2)])
def test_two_hosts_give_the_bits_of_one(hosts, uninterrupted, tmp_path, method, slots, experts):
    """With one rank on each, two ranks to a copy of the model send every row over the cable; likewise 4 with two on
    each."""
    run, whole = beds.Run(tmp_path, method), uninterrupted(method)
    process = hosts.start(tmp_path, run, f"--parallel.experts={experts}", slots=slots)
    printed, _ = process.communicate(timeout=beds.PATIENCE)
    assert process.returncode == 0, printed
    program.assert_same_bits(run.result(), whole)


@pytest.mark.parametrize("name", ["SIGUSR1", "SIGTERM", "SIGINT"])
def test_a_signal_to_the_script_stops_both_hosts(hosts, whole, tmp_path, name):
    run = beds.Run(tmp_path)
    process = hosts.start(tmp_path, run)
    run.wait_for_units(process)
    process.send_signal(getattr(signal, name))
    printed, _ = process.communicate(timeout=beds.PATIENCE)
    assert process.returncode == 75, printed
    assert not run.is_whole() and not run.processes()

    process = hosts.start(tmp_path, run)
    printed, _ = process.communicate(timeout=beds.PATIENCE)
    assert process.returncode == 0, printed
    program.assert_same_bits(run.result(), whole)


@pytest.mark.parametrize("experts", [1, 2])
@pytest.mark.parametrize("after", ["one host", "two hosts"])
@pytest.mark.parametrize("method", beds.SETTINGS)
def test_a_cut_link_ends_the_run_and_loses_nothing(hosts, uninterrupted, tmp_path, method, experts, after):
    run, whole = beds.Run(tmp_path, method), uninterrupted(method)
    process = hosts.start(tmp_path, run, f"--parallel.experts={experts}", slots=1)
    run.wait_for_units(process)
    hosts.cut()
    cut = time.monotonic()
    printed, _ = process.communicate(timeout=beds.PATIENCE)
    ended = time.monotonic() - cut
    assert process.returncode not in (0, 75), printed
    assert "lost" in printed, printed
    beds.until(lambda: not run.processes(), "no rank left on either host")
    alive = time.monotonic() - cut
    assert ended < CUT_SECONDS and alive < CUT_SECONDS, (ended, alive, printed)
    assert not run.is_whole()

    kept = run.units()
    if after == "two hosts":
        hosts.join()
        process = hosts.start(tmp_path, run, slots=2)
        printed, _ = process.communicate(timeout=beds.PATIENCE)
        assert process.returncode == 0, printed
    else:
        program.call(*run.command)
    assert kept and kept.items() <= run.units().items()  # none was computed again
    program.assert_same_bits(run.result(), whole)


def test_settings_in_the_environment_reach_both_hosts(hosts, tmp_path):
    """A daemon on another host starts with an environment of its own."""
    run = beds.Run(tmp_path)
    hosts.environment["MOESWEEP_NOISE_SCALE"] = "2.5"
    process = hosts.start(tmp_path, run, slots=1)
    printed, _ = process.communicate(timeout=beds.PATIENCE)
    assert process.returncode == 0, printed
    program.call("trace", run.config, f"--run.out={tmp_path / 'other'}", "--noise.scale=2.5", ranks=2)
    program.assert_same_bits(run.result(), program.Sweep(tmp_path / "other" / "sweep.h5"))
