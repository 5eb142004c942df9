"""The other commands: plan, inspect, tokenize, merge and --print-config agree with the model, the tokenizer and a
run."""

import configparser
import json
import re

import pytest
import torch
import transformers
from safetensors import safe_open
from tokenizers import Tokenizer

import checkpoints
import program
import reference
import synthetic_facts

FACTS = 12
EXPERTS = {"none": lambda k, e: (0, 0), "clean": lambda k, e: (k, k), "union": lambda k, e: (k, min(2 * k, e))}


def config_of(folder, facts, path, **settings):
    return program.write_config(path / "sweep.ini", model__path=folder, cases__path=facts, cases__limit=0,
                                cases__clean_margin="-inf", cases__noise_drop="-inf", cases__discovery=4, select__recurrence=1,
                                run__out=path / "run", **settings)


def fields(text):
    """Lines of a name, two or more blanks and a value, as a dictionary of lists."""
    found = {}
    for line in text.splitlines():
        name, value = re.split(r"\s{2,}", line, maxsplit=1)
        found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize("name", checkpoints.RECIPES)
def test_inspect_counts_what_transformers_counts(checkpoint, name):
    folder = checkpoint(name)
    found = fields(program.call("inspect", folder).stdout)
    model = reference.load_model(folder, torch.float32)
    c = model.config
    parameters = sum(p.numel() for p in model.parameters()) + sum(b.numel() for n, b in model.named_buffers() if "correction" in n)
    files = list(folder.glob("*.safetensors"))
    moe = len(reference.moe_blocks(model))
    assert found["family"] == [c.model_type]
    assert found["parameters"] == [f"{parameters} in {len(files)} file(s)"]
    assert found["layers"] == [f"{c.num_hidden_layers} ({moe} MoE, {c.num_hidden_layers - moe} dense)"]
    assert found["heads"][0].startswith(f"{c.num_attention_heads} query, {c.num_key_value_heads} key/value")
    assert f"top-{c.num_experts_per_tok}" in found["experts"][0] and found["experts"][0].startswith(f"{c.num_local_experts} of")
    next_token_layer = [n for n in tensor_names(folder) if n.startswith(f"model.layers.{c.num_hidden_layers}.")]
    beyond = f"layer {c.num_hidden_layers}, beyond the last: {len(next_token_layer)} tensors, as of next-token prediction"
    assert "unexpected" not in found and found.get("left alone", []) == [beyond] * bool(next_token_layer)
    assert bool(next_token_layer) == checkpoints.RECIPES[name].next_token_layer


def tensor_names(folder):
    names = []
    for path in folder.glob("*.safetensors"):
        with safe_open(path, "pt") as file:
            names += file.keys()
    return names


def test_inspect_names_what_is_missing(checkpoint, tmp_path):
    folder = checkpoints.with_config(checkpoint("mixtral"), tmp_path / "model", lambda config: {**config, "num_hidden_layers": 5})
    done = program.call("inspect", folder, expect=65)
    problems = fields(done.stdout)["problem"]
    assert len(problems) == 2 + 4 + 1 + 3 * 8  # norms, attention, router, experts of a fifth layer
    assert all("model.layers.4." in line for line in problems)
    assert done.stderr == f"moesweep: {problems[0]} (1 of {len(problems)} problems)\n"


@pytest.mark.parametrize("template", [True, False])
@pytest.mark.parametrize("add", [None, True, False])
@pytest.mark.parametrize("kind", ["", "LlamaTokenizer"])
def test_bos_is_said_and_is_transformers_s(checkpoint, facts_file, tmp_path, template, add, kind):
    folder = checkpoints.with_config(checkpoint("mixtral"), tmp_path / "model", lambda config: config)
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    assert tokenizer["post_processor"]["type"] == "TemplateProcessing"
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer if template else tokenizer | {"post_processor": None}))
    settings = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"} | ({"tokenizer_class": kind} if kind else {})
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | ({} if add is None else {"add_bos_token": add})))

    theirs = transformers.AutoTokenizer.from_pretrained(folder)("France is").input_ids
    expected = "1 '<s>'" if theirs[0] == 1 else "none"
    lines = fields(program.call("inspect", folder).stdout)
    config = config_of(folder, facts_file(FACTS), tmp_path)
    plans = {bos: fields(program.call("plan", config, f"--model.bos={bos}").stdout) for bos in ("auto", "yes", "no")}
    said, *disputes = lines["BOS"]
    assert said == f"{expected} (by tokenizer.json)" and plans["auto"]["BOS"] == lines["BOS"]
    assert len(disputes) == (add is not None and add != template) and all("add_bos_token" in line for line in disputes)
    assert (plans["yes"]["BOS"], plans["no"]["BOS"]) == (["1 '<s>' (model.bos = yes)"], ["none (model.bos = no)"])


def without_memory(plan):
    """What a plan says but for the memory of the program itself, which two processes do not share to the last page."""
    return [line for line in plan.splitlines() if not line.startswith(("memory per rank", "  for the program"))]


def test_without_mpirun_a_run_needs_no_folder_that_others_may_remove(checkpoint, facts_file, tmp_path):
    """Open MPI's temporary folder is one for all such processes of a user, and each that ends takes it away."""
    (tmp_path / "not_a_folder").touch()
    program.call("trace", config_of(checkpoint("qwen3"), facts_file(FACTS), tmp_path), TMPDIR=tmp_path / "not_a_folder")
    assert (tmp_path / "run" / "sweep.h5").exists()


@pytest.mark.parametrize(("name", "experts"), [("qwen3", "union"), ("mixtral", "none"), ("glm4", "clean"), ("glm4", "union")])
def test_plan_foretells_the_run(checkpoint, facts_file, tmp_path, name, experts):
    folder = checkpoint(name)
    config = config_of(folder, facts_file(FACTS), tmp_path, sweep__experts=experts)
    printed = program.call("plan", config).stdout
    assert without_memory(program.call("trace", config, "--dry-run").stdout) == without_memory(printed)
    assert not (tmp_path / "run").exists()

    plan = {key: [int(n) for n in re.findall(r"\b\d+\b", value[0])] for key, value in fields(printed).items()}
    program.call("trace", config)
    sweep = program.Sweep(tmp_path / "run" / "sweep.h5")
    usable = sweep["cases/status"] == "usable"
    lengths = (sweep["cases/token_begin"][1:] - sweep["cases/token_begin"][:-1])[usable]
    assert plan["cases"] == [usable.sum(), -(-lengths.sum() // usable.sum()), lengths.max()]
    kinds = list(sweep["rows/kind"])
    assert plan["block rows"] == [kinds.count("block")]
    assert plan["coalition rows"] == [kinds.count("coalition_clean") + kinds.count("coalition_union")]
    assert plan["expert rows"][0] <= kinds.count("expert") <= plan["expert rows"][-1]
    least, most = EXPERTS[experts](int(sweep.meta["num_experts_per_tok"]), int(sweep.meta["num_experts"]))
    sites = kinds.count("block")
    assert (plan["expert rows"][0], plan["expert rows"][-1]) == (least * sites, most * sites)
    assert {"row-layers", "arithmetic", "weights", "ranks", "a pass", "memory per rank", "sweep.h5"} <= plan.keys()


@pytest.mark.parametrize("name", ["qwen3", "mixtral"])
def test_tokenize_prints_the_ids(checkpoint, name):
    rewrites = [fact["requested_rewrite"] for fact in synthetic_facts.make_facts(8)]
    texts = [rewrite["prompt"].format(rewrite["subject"]) for rewrite in rewrites]
    tokenizer = Tokenizer.from_file(str(checkpoint(name) / "tokenizer.json"))
    expected = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
    assert program.call("tokenize", checkpoint(name), *texts).stdout == "".join(f"{' '.join(map(str, e.ids))}\n" for e in expected)

    lines = program.call("tokenize", "--pieces", checkpoint(name), texts[0]).stdout.splitlines()
    pieces = [re.fullmatch(r" +(\d+)  \[(\d+), (\d+)\)  (.*)", line).groups() for line in lines[1:]]
    first = expected[0]
    assert pieces == [(str(i), str(b), str(e), piece) for i, (b, e), piece in zip(first.ids, first.offsets, first.tokens)]


@pytest.mark.quick
def test_print_config_prints_what_the_run_stores(checkpoint, facts_file, tmp_path):
    config = config_of(checkpoint("qwen3"), facts_file(FACTS), tmp_path, noise__scale=2)
    arguments = ["trace", config, "--noise.seed=3"]
    printed = program.call(*arguments, "--print-config", MOESWEEP_NOISE_SCALE="2.5", MOESWEEP_NOISE_SEED="1").stdout
    assert not (tmp_path / "run").exists()
    parser = configparser.ConfigParser()
    parser.read_string(printed)
    assert (parser["noise"]["scale"], parser["noise"]["seed"]) == ("2.5", "3")  # file < environment < command line
    assert parser["cases"]["discovery"] == "4" and parser["sweep"]["experts"] == "union"

    (tmp_path / "again.ini").write_text(printed)
    assert program.call("trace", tmp_path / "again.ini", "--print-config").stdout == printed
    program.call("trace", tmp_path / "again.ini")
    settled = printed.replace("precision = auto", "precision = fp32").replace("device = auto", "device = cpu")
    assert settled != printed and (tmp_path / "run" / "config.ini").read_text() == settled


def test_an_empty_value_on_the_command_line_is_one_in_a_file(tmp_path):
    empty = {"model": ["path"], "cases": ["path"], "noise": ["scales"], "stability": ["split_seeds", "thresholds"], "run": ["out"]}
    sections = {section: "".join(f"{key} =\n" for key in keys) for section, keys in empty.items()}
    (tmp_path / "empty.ini").write_text("".join(f"[{section}]\n{lines}" for section, lines in sections.items()))
    (tmp_path / "full.ini").write_text("".join(f"[{section}]\n{lines.replace('=', '= 7')}" for section, lines in sections.items()))
    emptied = [f"--{section}.{key}=" for section, keys in empty.items() for key in keys]
    printed = program.call("trace", tmp_path / "empty.ini", "--print-config").stdout
    assert program.call("trace", tmp_path / "full.ini", "--print-config").stdout != printed
    assert program.call("trace", tmp_path / "full.ini", *emptied, "--print-config").stdout == printed


@pytest.mark.quick
def test_merge_makes_the_file_again_also_under_another_split(checkpoint, facts_file, tmp_path):
    config, out = config_of(checkpoint("qwen3"), facts_file(FACTS), tmp_path), tmp_path / "run"
    program.call("trace", config)
    first = program.Sweep(out / "sweep.h5")
    (out / "sweep.h5").unlink()
    program.call("merge", out)
    program.assert_same_bits(program.Sweep(out / "sweep.h5"), first)

    other = program.options(cases__discovery=6, select__recurrence=3)
    program.call("merge", out, *other)
    program.call("trace", config, *other, *program.options(run__out=tmp_path / "fresh"))
    merged = program.Sweep(out / "sweep.h5")
    program.assert_same_bits(merged, program.Sweep(tmp_path / "fresh" / "sweep.h5"))
    assert list(merged["cases/split"]).count("discovery") == 6 and list(first["cases/split"]).count("discovery") == 4
    done = program.call("merge", out, "--noise.seed=9", expect=78)
    assert "noise.seed" in done.stderr

    (out / "units" / "000000.h5").unlink()
    assert "000000.h5" in program.call("merge", out, expect=65).stderr


@pytest.mark.quick
@pytest.mark.parametrize("command", [[], ["trace"], ["plan"], ["merge"], ["inspect"], ["tokenize"]], ids=" ".join)
def test_help(command):
    printed = program.call(*command, "--help").stdout
    assert "moesweep" in printed and all(word in printed for word in command)


def test_the_command_line_is_checked():
    for arguments in (["sweep"], ["trace"], ["trace", "a.ini", "--no.key=1"], ["tokenize"]):
        done = program.call(*arguments, expect=64)
        assert done.stderr.startswith("moesweep: ") and done.stderr.count("\n") == 1
    assert re.fullmatch(r"moesweep \d+\.\d+\.\d+\n", program.call("--version").stdout)
