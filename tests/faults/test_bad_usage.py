"""A mistake in the configuration or on the command line: one line that says where, exit 64 on every rank."""

import subprocess

import pytest

from tiny import PROGRAM, message, refused, run


@pytest.mark.parametrize(("line", "words"), [
    ("[noise]\nscal = 3", "trace.ini:15: noise.scal: unknown key"),
    ("[noise]\nscale = three", "trace.ini:15: noise.scale: expected a number >= 0, got 'three'"),
    ("[controls]\nrandom = -1", "trace.ini:15: controls.random: expected a whole number from 0 to 127, got '-1'"),
])
def test_configuration_line(inputs, ranks, line, words):
    inputs.ini += line + "\n"
    refused(inputs.write().folder, ranks, 64, words)


@pytest.mark.parametrize(("line", "words"), [
    ("[nose]", "trace.ini:14: [nose]: unknown section"),
    ("[cases]\nseed = 1.5", "trace.ini:15: cases.seed: expected a whole number"),
    ("[model]\nprecision = fp16", "trace.ini:15: model.precision: expected auto | fp32 | fp64 | split | fast | parity, got 'fp16'"),
    ("[cases]\nlimit = 9", "trace.ini:15: cases.limit: set twice, first in line 5"),
    ("unit", "trace.ini:14: expected [section], key = value or a comment, got 'unit'"),
    ("[sweep]\nlayers = 0-", "trace.ini:15: sweep.layers: expected all, or layers such as 0-3,7, got '0-'"),
])
def test_other_configuration_line(inputs, line, words):
    inputs.ini += line + "\n"
    refused(inputs.write().folder, 1, 64, words)


@pytest.mark.parametrize(("line", "key"), [("path = model", "model.path"), ("path = facts.json", "cases.path"), ("out = run", "run.out")])
def test_key_that_a_run_needs(inputs, ranks, line, key):
    inputs.ini = inputs.ini.replace(line + "\n", "")
    refused(inputs.write().folder, ranks, 64, f"{key}: required, set it in the configuration or as --{key}=...")


@pytest.mark.quick
@pytest.mark.parametrize(("argument", "words"), [
    ("--run.unit=0", "--run.unit: expected a whole number from 1"),
    ("--sweep.layers=2", "sweep.layers: expected layers 0 to 1 of this model, got 2"),
    ("--noise.scal=3", "trace: unrecognised option '--noise.scal=3', see moesweep trace --help"),
    ("--run.device=gpu", "--run.device: expected auto | cpu | cuda, got 'gpu'"),
    ("--run.device=cuda", "run.device: cuda, but this program was built without CUDA (preset cuda)"),
    ("--run.unit=", "--run.unit: expected a whole number from 1 to 2147483647, got ''"),
    ("--verify=", "trace: option '--verify' does not take any arguments"),
    ("--run.unit", "trace: the required argument for option '--run.unit' is missing"),
    ("another.ini", "trace: expected one argument, a configuration file, got 2"),
])
def test_argument(inputs, ranks, argument, words):
    refused(inputs.write().folder, ranks, 64, words, arguments=("trace", "trace.ini", argument))


@pytest.mark.parametrize(("arguments", "words"), [
    (["sweep"], "unknown command 'sweep', see moesweep --help"),
    (["trace"], "trace: expected one argument, a configuration file, got 0"),
    (["trace", "--frobnicate"], "trace: unrecognised option '--frobnicate'"),
    (["plan", "--frobnicate"], "plan: unrecognised option '--frobnicate'"),
])
def test_command_line(tmp_path, ranks, arguments, words):
    refused(tmp_path, ranks, 64, words, arguments=arguments)


@pytest.mark.parametrize(("arguments", "words"), [
    (["inspect"], "inspect: expected one argument, a model folder, got 0"),
    (["merge", "a", "b"], "merge: expected one argument, a run folder, got 2"),
    (["tokenize", "model"], "tokenize: expected a model folder and at least one text"),
    (["tokenize", "--frobnicate"], "tokenize: unrecognised option '--frobnicate'"),
])
def test_command_line_of_one_process(tmp_path, arguments, words):
    refused(tmp_path, 1, 64, words, arguments=arguments)


@pytest.mark.parametrize(("name", "value", "words"), [
    ("MOESWEEP_NOISE_SCALE", "loud", "MOESWEEP_NOISE_SCALE: expected a number >= 0, got 'loud'"),
    ("MOESWEEP_NOISE_SCAL", "3", "MOESWEEP_NOISE_SCAL: unknown key"),
])
def test_environment(inputs, ranks, name, value, words):
    refused(inputs.write().folder, ranks, 64, words, environment={name: value})


def test_no_configuration_file(inputs, ranks):
    inputs.write()
    refused(inputs.folder, ranks, 65, "elsewhere.ini: no such file", arguments=("trace", "elsewhere.ini"))


def test_one_line_even_where_a_name_holds_a_line_break(tmp_path):
    line = refused(tmp_path, 1, 65, "no such file", arguments=("trace", "a\nb\x1b[31m.ini"))
    assert line.isprintable()


@pytest.mark.parametrize("command", ["inspect", "tokenize"])
def test_broken_model_in_the_other_commands(inputs, command):
    inputs.config["hidden_size"] = "16"
    del inputs.tokenizer["model"]["merges"]
    arguments = [command, "model", *(["text"] if command == "tokenize" else [])]
    words = {"inspect": "model/config.json: hidden_size: unexpected", "tokenize": "model/tokenizer.json: model.merges: missing"}
    refused(inputs.write().folder, 1, 65, words[command], arguments=arguments)


def test_inspect_names_what_is_missing(inputs):
    name = "model.layers.1.mlp.experts.2.down_proj.weight"
    inputs.change(name, lambda values: None)
    done = run(inputs.write().folder, "inspect", "model")
    assert f"problem        model: {name}: missing tensor\n" in done.stdout
    assert message(done, 65) == f"moesweep: model: {name}: missing tensor"


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["trace", "--help"], ["inspect", "model"],
                                       ["tokenize", "model", "text"], ["plan", "trace.ini"], ["trace", "trace.ini"]], ids=" ".join)
def test_standard_output_that_cannot_be_written(inputs, arguments):
    """Nobody may take a lost answer for an empty one. A trace finishes all the same: its result is not on stdout."""
    inputs.write()
    with open("/dev/full", "w") as full:
        done = run(inputs.folder, *arguments, stdout=full)
    assert message(done, 74) == "moesweep: standard output: not all of it could be written"
    assert (inputs.folder / "run" / "sweep.h5").exists() == (arguments[0] == "trace" and "--help" not in arguments)


def test_the_exit_code_where_the_message_cannot_be_written(inputs):
    with open("/dev/full", "w") as full:
        done = subprocess.run([str(PROGRAM), "trace", "nowhere.ini"], cwd=inputs.write().folder, stdin=subprocess.DEVNULL,
                              stdout=full, stderr=full)
    assert done.returncode == 65


def test_reader_of_standard_output_that_left(inputs):
    """As in `moesweep inspect model | head -1`: the usual end by SIGPIPE, no hang."""
    done = subprocess.run(["bash", "-c", "set -o pipefail; yes text | head -2000 | xargs -d '\\n' \"$0\" tokenize model | head -1",
                           str(PROGRAM)], cwd=inputs.write().folder, capture_output=True, text=True, timeout=60)
    assert done.stdout.count("\n") == 1
