"""Memory is planned: a checkpoint larger than run.memory is streamed, within the plan, to the bits of a resident
run."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest

import program
import synthetic_facts

HIDDEN, INNER, EXPERTS, LAYERS = 512, 512, 64, 20  # 2.0 GB in bf16
MEMORY = 1_000_000_000
SETTINGS = dict(cases__limit=12, cases__clean_margin="-inf", cases__noise_drop="-inf", cases__discovery=6, run__unit=4,
                select__recurrence=1, stability__thresholds=1, sweep__layers="0,9,18", store__vectors="patches")


def tensors(vocabulary):
    """Names and shapes of a Qwen3-MoE checkpoint."""
    yield "model.embed_tokens.weight", (vocabulary, HIDDEN)
    yield "model.norm.weight", (HIDDEN,)
    yield "lm_head.weight", (vocabulary, HIDDEN)
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}."
        yield prefix + "input_layernorm.weight", (HIDDEN,)
        yield prefix + "post_attention_layernorm.weight", (HIDDEN,)
        yield prefix + "self_attn.q_norm.weight", (64,)
        yield prefix + "self_attn.k_norm.weight", (64,)
        for name, shape in {"q": (512, HIDDEN), "k": (128, HIDDEN), "v": (128, HIDDEN), "o": (HIDDEN, 512)}.items():
            yield prefix + f"self_attn.{name}_proj.weight", shape
        yield prefix + "mlp.gate.weight", (EXPERTS, HIDDEN)
        for expert in range(EXPERTS):
            for name, shape in {"gate": (INNER, HIDDEN), "up": (INNER, HIDDEN), "down": (HIDDEN, INNER)}.items():
                yield prefix + f"mlp.experts.{expert}.{name}_proj.weight", shape


def write_checkpoint(folder, tokenizer):
    """Written by hand, piece by piece, so that this process needs little memory itself."""
    vocabulary = tokenizer.get_vocab_size()
    header, end = {}, 0
    for name, shape in tensors(vocabulary):
        begin, end = end, end + 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    random = np.random.default_rng(0)
    with open(folder / "model.safetensors", "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, shape in tensors(vocabulary):
            scale = 1 if "norm" in name or "embed" in name else HIDDEN ** -0.5
            values = random.random(shape, dtype=np.float32) * scale * (1 if "norm" in name else 3.4)
            values = values if "norm" in name else values - 1.7 * scale
            file.write((values.view(np.uint32) >> 16).astype(np.uint16).tobytes())
    (folder / "config.json").write_text(json.dumps(dict(
        model_type="qwen3_moe", vocab_size=vocabulary, hidden_size=HIDDEN, num_hidden_layers=LAYERS, num_attention_heads=8,
        num_key_value_heads=2, head_dim=64, rms_norm_eps=1e-6, num_experts=EXPERTS, num_experts_per_tok=4,
        moe_intermediate_size=INNER, norm_topk_prob=True, rope_theta=1e6)))
    tokenizer.save(str(folder / "tokenizer.json"))


@pytest.fixture(scope="module")
def config(tmp_path_factory, facts_file):
    folder = tmp_path_factory.mktemp("large")
    write_checkpoint(folder, synthetic_facts.byte_level_tokenizer())
    assert (folder / "model.safetensors").stat().st_size > 2_000_000_000
    return program.write_config(folder / "sweep.ini", model__path=folder, cases__path=facts_file(20), **SETTINGS)


PEAK = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
sys.exit(code)
"""


def trace(config, out, ranks=1, **settings):
    """The sweep, and the largest memory of one of its processes in bytes."""
    arguments = program.command("trace", config, *program.options(run__out=out, **settings), ranks=ranks)
    done = subprocess.run([sys.executable, "-c", PEAK, *arguments], env=program.ENVIRONMENT, capture_output=True, text=True,
                          timeout=program.TIMEOUT)
    assert done.returncode == 0, done.stdout + done.stderr
    return program.Sweep(out / "sweep.h5"), int(done.stdout.split()[-1])


def planned(config, **settings):
    """What `plan` says: the lines "name   value", sizes in bytes."""
    text = program.call("plan", config, *program.options(**settings)).stdout
    lines = dict(re.split(r"  +", line.strip(), maxsplit=1) for line in text.splitlines() if "  " in line.strip())
    factor = {"kB": 1e3, "MB": 1e6, "GB": 1e9}
    sizes = {name: float(m[1]) * factor[m[2]] for name, value in lines.items()
             if (m := re.match(r"([\d.]+) (kB|MB|GB)", value))}
    return lines, sizes


@pytest.fixture(scope="module")
def streamed(config, tmp_path_factory):
    return trace(config, tmp_path_factory.mktemp("streamed") / "run", run__memory="1GB")


def test_a_checkpoint_of_twice_the_memory_is_streamed_within_the_plan(config, streamed):
    lines, sizes = planned(config, run__memory="1GB")
    assert "read layer by layer" in lines["weights"]
    assert sizes["memory per rank"] <= MEMORY
    assert streamed[1] <= 1.1 * sizes["memory per rank"]


def test_matrices_in_bf16_take_half_of_it(config, tmp_path):
    settings = dict(run__memory="1GB", model__weights="streamed", model__precision="split")
    _, in_fp32 = planned(config, run__memory="1GB")
    _, sizes = planned(config, **settings)
    assert sizes["for weights"] < 0.52 * in_fp32["for weights"]
    assert trace(config, tmp_path / "run", **settings)[1] <= 1.1 * sizes["memory per rank"]


def test_resident_has_the_same_bits(config, streamed, tmp_path):
    sweep, peak = trace(config, tmp_path / "run", model__weights="resident", run__memory="8GB")
    program.assert_same_bits(sweep, streamed[0])
    assert peak > 4_000_000_000  # it was resident


def test_divided_experts_have_the_same_bits(config, streamed, tmp_path):
    sweep, peak = trace(config, tmp_path / "run", ranks=2, model__weights="streamed", parallel__experts=2, run__memory="1GB")
    program.assert_same_bits(sweep, streamed[0])
    assert peak < streamed[1]  # a rank's share is half


def test_too_little_is_refused_with_what_is_needed(config, tmp_path):
    done = program.call("trace", config, *program.options(run__out=tmp_path / "run", run__memory="100MB"), expect=64)
    needed = int(re.search(r"run.memory: 100MB is too little, at least (\d+) MB", done.stderr)[1])
    assert 200 < needed < 1000
    refused = program.call("plan", config, *program.options(run__memory="100MB"), expect=64)
    ways = re.findall(r"^ +(--\S+(?:, --\S+)*)$", refused.stdout, re.MULTILINE)  # what plan says all the same
    assert ways and ways[-1].startswith("--run.memory=")
    for way in ways:
        memory = [] if "--run.memory" in way else ["--run.memory=100MB"]
        program.call("plan", config, *memory, *way.split(", "))
    program.call("plan", config, *program.options(run__memory=f"{needed + 20}MB"))


def write_holes(folder, layer_bytes):
    """Two layers, each of so many bytes in fp32: a bf16 checkpoint whose data are holes of a sparse file."""
    tokenizer = synthetic_facts.byte_level_tokenizer()
    vocabulary, hidden, experts = tokenizer.get_vocab_size(), 1024, 16
    inner = int(layer_bytes / 4 / 3 / hidden / experts)
    shapes = {"model.embed_tokens.weight": (vocabulary, hidden), "model.norm.weight": (hidden,),
              "lm_head.weight": (vocabulary, hidden)}
    for layer in range(2):
        prefix = f"model.layers.{layer}."
        for name, shape in {"q": (hidden, hidden), "k": (128, hidden), "v": (128, hidden), "o": (hidden, hidden)}.items():
            shapes[f"{prefix}self_attn.{name}_proj.weight"] = shape
        for name in ("input_layernorm", "post_attention_layernorm"):
            shapes[f"{prefix}{name}.weight"] = (hidden,)
        shapes |= {f"{prefix}self_attn.{name}_norm.weight": (64,) for name in "qk"}
        shapes[f"{prefix}mlp.gate.weight"] = (experts, hidden)
        for expert in range(experts):
            for name, shape in {"gate": (inner, hidden), "up": (inner, hidden), "down": (hidden, inner)}.items():
                shapes[f"{prefix}mlp.experts.{expert}.{name}_proj.weight"] = shape
    header, end = {}, 0
    for name, shape in shapes.items():
        begin, end = end, end + 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    with open(folder / "model.safetensors", "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)
    (folder / "config.json").write_text(json.dumps(dict(
        model_type="qwen3_moe", vocab_size=vocabulary, hidden_size=hidden, num_hidden_layers=2, num_attention_heads=16,
        num_key_value_heads=2, head_dim=64, num_experts=experts, num_experts_per_tok=2, moe_intermediate_size=inner)))
    tokenizer.save(str(folder / "tokenizer.json"))


NO_FIT = "this is more than run.memory allows; each of these would fit:"


def advice(text):
    """The limit of a rank in bytes, and the lines behind NO_FIT."""
    limit = re.search(r"^memory per rank .* of ([\d.]+) (MB|GB)$", text, re.MULTILINE)
    ways = text.split(NO_FIT)[1].split("\n")[1:-1] if NO_FIT in text else []
    return float(limit[1]) * {"MB": 1e6, "GB": 1e9}[limit[2]], [way.strip() for way in ways]


@pytest.mark.parametrize(("share", "ranks", "settings", "kinds"), [
    (0.65, 1, {}, ["split", "2 ranks on 2 nodes", "memory"]),
    (0.65, 2, {}, ["split", "nodes", "memory"]),
    (1.3, 1, {"model__weights": "resident"}, ["split, 2 ranks on 2 nodes", "4 ranks on 4 nodes", "memory"]),
    (0.38, 2, {"parallel__experts": 1}, ["split", "parallel.experts=auto", "memory"])])
def test_what_plan_advises_fits(facts_file, tmp_path, share, ranks, settings, kinds):
    """A layer of `share` of a node's memory, of which streaming needs two."""
    small = tmp_path / "small"
    small.mkdir()
    write_holes(small, 10_000_000)
    config = program.write_config(tmp_path / "sweep.ini", model__path=small, cases__path=facts_file(20), cases__limit=12,
                                  run__unit=4)
    node, ways = advice(program.call("plan", config).stdout)
    assert ways == []
    write_holes(tmp_path, share * node)
    settings = settings | {"model__path": tmp_path}

    def plan(ranks, *more, expect=0):
        asked = {key: value for key, value in settings.items() if not any(key.replace("__", ".") in option for option in more)}
        done = program.call("plan", config, *program.options(**asked), *more, ranks=ranks, expect=expect)
        return advice(done.stdout) if expect == 0 else done.stderr

    _, ways = plan(ranks)
    assert len(ways) == len(kinds) and all(kind in way for kind, way in zip(kinds, ways))
    for way in ways:
        options = re.findall(r"--\S+?(?=,|$)", way)
        if here := re.match(r".*?(\d+) of the \d+ ranks on a node", way):
            assert plan(int(here[1]), *options)[1] == []
        elif more := re.match(r".*?(\d+) ranks on (\d+) nodes like this", way):  # as if each node's ranks had all of this one
            memory = f"{node * int(more[2]) / int(more[1]) / 1e6:.0f}MB"
            plan(int(more[1]), *options, f"--run.memory={memory}")
        elif enough := re.match(r"([\d.]+) GB of memory for a rank", way):
            plan(ranks, f"--run.memory={float(enough[1]):.1f}GB")
            assert "is too little" in plan(ranks, f"--run.memory={float(enough[1]) - 0.3:.1f}GB", expect=64)
        else:
            assert plan(ranks, *options)[1] == []
