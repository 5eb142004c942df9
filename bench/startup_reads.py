#!/usr/bin/env python3
"""What each rank reads of a checkpoint when a run starts, goes on, and passes over streamed layers, as strace counts
it.

    .venv/bin/python bench/startup_reads.py TOKENIZER FACTS [--ranks 1,2,4] [--pass]

The checkpoint has Qwen3-30B-A3B's true shapes, 61 GB in 16 shards, and takes no room: its data are holes of sparse
files. TOKENIZER is that model's tokenizer.json, FACTS CounterFact's JSON. Start: to the end of opening and hashing.
--pass: also a whole run of two cases whose layers are streamed. """

import argparse
import collections
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[1]
MODEL = ROOT / "build/hollow-qwen3"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
               "OMPI_MCA_rmaps_base_oversubscribe": "1", "OMPI_MCA_mpi_yield_when_idle": "1"}
CONFIG = dict(model_type="qwen3_moe", hidden_size=2048, num_hidden_layers=48, num_attention_heads=32, num_key_value_heads=4,
              head_dim=128, intermediate_size=6144, moe_intermediate_size=768, num_experts=128, num_experts_per_tok=8,
              norm_topk_prob=True, decoder_sparse_step=1, mlp_only_layers=[], hidden_act="silu", rms_norm_eps=1e-6,
              rope_theta=1e6, vocab_size=151936, tie_word_embeddings=False, eos_token_id=151645)
SHARD_BYTES = 4_000_000_000
KINDS = ["config.json", "index", "tokenizer", "facts", "headers", "hashing", "embedding statistics", "layers and ends"]


def tensors():
    """name -> shape, as the model's own shards have them in turn."""
    hidden, inner, head = CONFIG["hidden_size"], CONFIG["moe_intermediate_size"], CONFIG["head_dim"]
    queries, keys = head * CONFIG["num_attention_heads"], head * CONFIG["num_key_value_heads"]
    yield "model.embed_tokens.weight", [CONFIG["vocab_size"], hidden]
    for layer in range(CONFIG["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        for name, shape in {"q_proj": [queries, hidden], "k_proj": [keys, hidden], "v_proj": [keys, hidden],
                            "o_proj": [hidden, queries], "q_norm": [head], "k_norm": [head]}.items():
            yield f"{prefix}self_attn.{name}.weight", shape
        yield f"{prefix}mlp.gate.weight", [CONFIG["num_experts"], hidden]
        for expert in range(CONFIG["num_experts"]):
            for name, shape in {"gate": [inner, hidden], "up": [inner, hidden], "down": [hidden, inner]}.items():
                yield f"{prefix}mlp.experts.{expert}.{name}_proj.weight", shape
        for name in ("input_layernorm", "post_attention_layernorm"):
            yield f"{prefix}{name}.weight", [hidden]
    yield "model.norm.weight", [hidden]
    yield "lm_head.weight", [CONFIG["vocab_size"], hidden]


def write_model(tokenizer):
    """Returns the length of each shard's header, and where the embedding matrix ends in the first."""
    MODEL.mkdir(parents=True, exist_ok=True)
    shards, room = [], 0
    for name, shape in tensors():
        size = 2 * shape[0] * (shape[1] if len(shape) == 2 else 1)
        if size > room:
            shards.append({})
            room = SHARD_BYTES
        shards[-1][name] = (shape, size)
        room -= size
    headers, index = {}, {}
    for i, shard in enumerate(shards, start=1):
        file, header, end = f"model-{i:05}-of-{len(shards):05}.safetensors", {"__metadata__": {"format": "pt"}}, 0
        for name, (shape, size) in shard.items():
            header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [end, end + size]}
            index[name] = file
            end += size
        text = json.dumps(header).encode()
        with open(MODEL / file, "wb") as out:
            out.write(struct.pack("<Q", len(text)) + text)
            out.truncate(8 + len(text) + end)
        headers[file] = 8 + len(text)
    (MODEL / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    (MODEL / "config.json").write_text(json.dumps(CONFIG))
    shutil.copyfile(tokenizer, MODEL / "tokenizer.json")
    first = f"model-00001-of-{len(shards):05}.safetensors"
    return headers, first, headers[first] + 2 * CONFIG["vocab_size"] * CONFIG["hidden_size"]


def kind_of(call, file, offset, facts, model):
    """Of a read, by what is read; None where it is none of the run's inputs."""
    headers, first, embedding_end = model
    if file == facts:
        return "facts"
    if file.parent != MODEL:
        return None
    if file.name in headers:
        if call == "read":
            return "hashing"
        if offset < headers[file.name]:
            return "headers"
        whole_block = offset < embedding_end and file.name == first
        return "embedding statistics" if whole_block else "layers and ends"
    return {"tokenizer.json": "tokenizer", "model.safetensors.index.json": "index"}.get(file.name, "config.json")


def count(ranks, out, facts, model, options):
    """Bytes by kind, for each rank."""
    traces = ROOT / "build/startup-reads"
    shutil.rmtree(traces, ignore_errors=True)
    traces.mkdir(parents=True)
    program = ["strace", "-f", "--seccomp-bpf", "-y", "-s0", "-e", "trace=read,pread64", "-o"]
    command = " ".join([*program, f"{traces}/$OMPI_COMM_WORLD_RANK", "build/cpu/moesweep", "trace", "bench/bench.ini",
                        f"--model.path={MODEL}", f"--cases.path={facts}", f"--run.out={out}", *options])
    done = subprocess.run(["mpirun", "-n", str(ranks), "sh", "-c", command], cwd=ROOT, env=ENVIRONMENT, text=True,
                          capture_output=True)
    if done.returncode not in (0, 75):
        raise SystemExit(done.stdout + done.stderr)
    by_rank = []
    for rank in range(ranks):
        bytes_read = collections.Counter()
        for call, file, offset, n in calls(traces / str(rank)):
            bytes_read[kind_of(call, file, offset, facts, model)] += n
        by_rank.append(bytes_read)
    return by_rank


def calls(trace):
    """(name, file, offset of a pread64, bytes) of each call. Where threads call at once, strace cuts a call in two
    lines."""
    whole = re.compile(r"(read|pread64)\(\d+<([^>]*)>,.*?(?:, (\d+))?\) += (\d+)$")
    begun = {}
    for line in trace.read_text().splitlines():
        thread, text = line.split(maxsplit=1)
        if text.endswith("<unfinished ...>"):
            begun[thread] = text.removesuffix("<unfinished ...>")
            continue
        if resumed := re.match(r"<\.\.\. \w+ resumed>", text):
            text = begun.pop(thread) + text[resumed.end():]
        if found := whole.match(text):
            yield found[1], pathlib.Path(found[2]), int(found[3] or 0), int(found[4])


def show(title, by_rank):
    print(f"{title}, MB: least and most of a rank, all")
    for kind in KINDS:
        values = [rank[kind] / 1e6 for rank in by_rank]
        print(f"    {kind:22} {min(values):12.2f} {max(values):12.2f} {sum(values):12.2f}")
    print(flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokenizer", type=pathlib.Path)
    parser.add_argument("facts", type=pathlib.Path)
    parser.add_argument("--ranks", default="1,2,4")
    parser.add_argument("--pass", dest="whole", action="store_true")
    args = parser.parse_args()
    facts, model = args.facts.resolve(), write_model(args.tokenizer)
    out = ROOT / "build/startup-reads-run"
    streamed = ["--model.weights=streamed", "--model.precision=split", "--parallel.experts=1", "--cases.limit=2",
                "--cases.discovery=1", "--cases.clean_margin=-inf", "--cases.noise_drop=-inf", "--select.recurrence=1",
                "--run.unit=1"]
    start = [*streamed, "--run.max_hours=1e-9"]
    for ranks in map(int, args.ranks.split(",")):
        shutil.rmtree(out, ignore_errors=True)
        show(f"{ranks} ranks, first start", count(ranks, out, facts, model, start))
        show(f"{ranks} ranks, going on", count(ranks, out, facts, model, start))
        if args.whole:
            show(f"{ranks} ranks, two cases with streamed layers", count(ranks, out, facts, model, streamed))


if __name__ == "__main__":
    main()
