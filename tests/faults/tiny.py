"""A whole input for moesweep that runs in a moment: a two-layer Qwen3-MoE in two shards, a tokenizer, twelve facts, six
questions in six languages, and a configuration of each method, as plain Python values that a test breaks in one place
before they are written. And how the program is run."""

import dataclasses
import json
import os
import subprocess
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("MOESWEEP_BUILD", ROOT / "build" / "cpu")) / "moesweep"
FAILING_IO = PROGRAM.with_name("failing_io.so")
FIRST, SECOND = (f"model-0000{i}-of-00002.safetensors" for i in (1, 2))
# What a run leaves that breaks when its folder has been opened.
OPENED = ["run", "run/config.ini", "run/identity.ini", "run/lock", "run/units", "run/weights.sha256"]
LAYERS, HIDDEN, HEADS, KV_HEADS, HEAD_DIM, EXPERTS, INNER = 2, 16, 2, 1, 8, 4, 8


def to_bf16(values):
    """Cut to bfloat16, as 16-bit patterns."""
    return (np.asarray(values, dtype="<f4").view("<u4") >> 16).astype("<u2")


STORED = {"F32": lambda x: np.asarray(x, dtype="<f4"), "F16": lambda x: np.asarray(x, dtype="<f2"), "BF16": to_bf16,
          "I64": lambda x: np.asarray(x, dtype="<i8"), "F8_E4M3": lambda x: np.asarray(x, dtype="u1")}


class Shard:
    """A safetensors file: its header, its data, and ways to write it wrong."""

    def __init__(self):
        self.header, self.data = {}, b""
        self.edit = lambda text: text  # of the header's JSON text
        self.length = None             # the header's length as the file claims it
        self.cut = 0                   # bytes missing at the file's end

    def add(self, name, values, dtype="BF16"):
        stored = STORED[dtype](values).tobytes()
        self.header[name] = {"dtype": dtype, "shape": list(np.shape(values)), "data_offsets": [len(self.data), len(self.data) + len(stored)]}
        self.data += stored

    def bytes(self):
        text = self.edit(json.dumps(self.header)).encode()
        whole = (len(text) if self.length is None else self.length).to_bytes(8, "little") + text + self.data
        return whole[:len(whole) - self.cut]


def byte_level_alphabet():
    """GPT-2's character for each of the 256 bytes."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [b for b in range(256) if b not in shown]
    return {b: chr(b) for b in shown} | {b: chr(256 + i) for i, b in enumerate(hidden)}


def a_tokenizer():
    alphabet = byte_level_alphabet()
    objects = [alphabet[ord(" ")] + letter for letter in "abcd"]
    vocab = {piece: i for i, piece in enumerate([*alphabet.values(), *objects])}
    return {"version": "1.0", "added_tokens": [], "normalizer": None, "post_processor": None,
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                      "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "vocab": vocab,
                      "merges": [[piece[0], piece[1]] for piece in objects]}}


def some_facts():
    return [{"case_id": 100 + i, "requested_rewrite": {
        "prompt": "{} lives in", "relation_id": f"P{i % 2}", "subject": name, "target_true": {"str": "ab"[i % 2]},
        "target_new": {"str": "cd"[i % 2]}}} for i, name in enumerate("Ada Bo Cy Di Ed Fay Gus Hal Ian Jo Kim Lou".split())]


def some_questions():
    """An answer of this model is a few arbitrary letters, and right where it holds one of those listed: about half
    are."""
    return [{"id": f"q{i}", "dataset": "east" if i % 3 else "west", "relation": f"P{i % 2}", "languages": {
        language: {"question": f"{name} lives {language}", "answers": list("abcdefghijklm")} for language in ("de", "en", "id", "ja", "th", "zh")}}
        for i, name in enumerate("Ada Bo Cy Di Ed Fay".split())]


def some_tensors(vocab):
    """name -> values, in the order of the layers."""
    rng = np.random.default_rng(5)

    def weights(*shape):
        return rng.normal(0, 0.3, shape)

    yield "model.embed_tokens.weight", weights(vocab, HIDDEN)
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}."
        for name in ("input_layernorm", "post_attention_layernorm"):
            yield f"{prefix}{name}.weight", 1 + weights(HIDDEN)
        for name, heads in (("q", HEADS), ("k", KV_HEADS), ("v", KV_HEADS)):
            yield f"{prefix}self_attn.{name}_proj.weight", weights(heads * HEAD_DIM, HIDDEN)
        yield f"{prefix}self_attn.o_proj.weight", weights(HIDDEN, HEADS * HEAD_DIM)
        for name in ("q_norm", "k_norm"):
            yield f"{prefix}self_attn.{name}.weight", 1 + weights(HEAD_DIM)
        yield f"{prefix}mlp.gate.weight", weights(EXPERTS, HIDDEN)
        for expert in range(EXPERTS):
            for name, shape in (("gate", (INNER, HIDDEN)), ("up", (INNER, HIDDEN)), ("down", (HIDDEN, INNER))):
                yield f"{prefix}mlp.experts.{expert}.{name}_proj.weight", weights(*shape)
    yield "model.norm.weight", 1 + weights(HIDDEN)
    yield "lm_head.weight", weights(vocab, HIDDEN)


@dataclasses.dataclass
class Tiny:
    """What a run reads. A test changes a value, or writes the files and then spoils one."""
    folder: Path
    tokenizer: dict = dataclasses.field(default_factory=a_tokenizer)
    facts: list = dataclasses.field(default_factory=some_facts)
    questions: list = dataclasses.field(default_factory=some_questions)
    config: dict = dataclasses.field(default_factory=dict)   # of the model: config.json
    shards: dict = dataclasses.field(default_factory=lambda: {FIRST: Shard(), SECOND: Shard()})
    index: dict = dataclasses.field(default_factory=dict)    # tensor -> shard
    ini: str = ("[model]\npath = model\n[cases]\npath = facts.json\nlimit = 8\ndiscovery = 4\nclean_margin = -inf\n"
                "noise_drop = -inf\n[select]\nrecurrence = 1\n[run]\nout = run\nunit = 2\n")
    xici_ini: str = ("[model]\npath = model\n[questions]\npath = questions.jsonl\n[ask]\nchat = none\nmax_tokens = 4\n"
                     "[identify]\nblacklist_share = 1\nalpha = 1\ntau = 0\ncap = 2\n[run]\nout = run\nunit = 2\n")

    def __post_init__(self):
        vocab = len(self.tokenizer["model"]["vocab"])
        self.config |= {"model_type": "qwen3_moe", "vocab_size": vocab, "hidden_size": HIDDEN, "num_hidden_layers": LAYERS,
                        "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "head_dim": HEAD_DIM,
                        "num_experts": EXPERTS, "num_experts_per_tok": 2, "moe_intermediate_size": INNER,
                        "norm_topk_prob": True, "hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 1e4}
        for name, values in some_tensors(vocab):
            second = not name.startswith(("model.embed", "model.layers.0."))
            self.shards[SECOND if second else FIRST].add(name, values)
            self.index[name] = SECOND if second else FIRST

    def change(self, name, change, dtype="BF16"):
        """Writes a tensor's shard anew with changed values: change(array of fp32) -> array, or None for no such
        tensor."""
        shard = self.shards[self.index[name]]
        old, fresh = shard, Shard()
        for other, entry in old.header.items():
            begin, end = entry["data_offsets"]
            values = (np.frombuffer(old.data[begin:end], "<u2").astype("<u4") << 16).view("<f4").reshape(entry["shape"])
            if other != name:
                fresh.add(other, values)
            elif (changed := change(values.copy())) is not None:
                fresh.add(other, changed, dtype)
            else:
                del self.index[name]
        shard.header, shard.data = fresh.header, fresh.data

    def write(self):
        model = self.folder / "model"
        model.mkdir(exist_ok=True)
        (model / "config.json").write_text(json.dumps(self.config))
        (model / "tokenizer.json").write_text(json.dumps(self.tokenizer))
        (model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": self.index}))
        for name, shard in self.shards.items():
            (model / name).write_bytes(shard.bytes())
        (self.folder / "facts.json").write_text(json.dumps(self.facts))
        (self.folder / "questions.jsonl").write_text("".join(json.dumps(question) + "\n" for question in self.questions))
        (self.folder / "trace.ini").write_text(self.ini)
        (self.folder / "xici.ini").write_text(self.xici_ini)
        return self


# --- running it ---

@dataclasses.dataclass(frozen=True)
class Method:
    """A method of the program, by its command. `small`: options for tests that run it hundreds of times, with few units
    and little to sum up."""
    name: str
    items: str   # the file of what its units refer to
    merged: str  # the file that a run ends with
    small: tuple

    @property
    def ini(self):
        return f"{self.name}.ini"

    def __str__(self):
        return self.name


TRACE = Method("trace", "cases.h5", "sweep.h5", (
    "--cases.limit=4", "--cases.discovery=2", "--stats.bootstrap=10", "--stats.sign_flips=10", "--stability.split_seeds=0",
    "--stability.thresholds=1", "--stability.folds=2"))
XICI = Method("xici", "questions.h5", "xici.h5", (
    "--questions.limit=1", "--run.unit=1", "--stats.bootstrap=10", "--stats.sign_flips=10", "--deactivate.draws=0",
    "--deactivate.shuffled=no"))
METHODS = [TRACE, XICI]


def run(folder, *arguments, ranks=1, stdout=subprocess.PIPE, environment=None, seconds=120, program=PROGRAM):
    """Runs moesweep in `folder`, under mpirun for ranks > 1. A hang is an error: subprocess.TimeoutExpired."""
    command = [str(program), *map(str, arguments)]
    if ranks > 1:
        command = ["mpirun", "-n", str(ranks), *command]
    settings = {"OMP_NUM_THREADS": "1", "OMPI_MCA_rmaps_base_oversubscribe": "1",
                "OMPI_MCA_odls_base_sigkill_timeout": "0"}  # mpirun else waits two seconds after a rank has failed
    if os.geteuid() == 0:
        settings |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    with subprocess.Popen(command, cwd=folder, env=os.environ | settings | (environment or {}), text=True,
                          stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE) as process:
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.terminate()  # mpirun takes its ranks along
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def files_below(folder):
    """Relative path -> content, of every file; a folder's content is None."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def message(done, code):
    """The one line that the program says on stderr when it ends with `code`; mpirun's own words are not ours."""
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    ours = [line for line in done.stderr.splitlines() if line.startswith("moesweep: ")]
    assert len(ours) == 1, done.stderr
    if done.args[0] == str(PROGRAM):
        assert done.stderr == ours[0] + "\n"
    return ours[0]


def refused(folder, ranks, code, *words, new_files=(), rewritten=(), arguments=("trace", "trace.ini"), environment=None):
    """Runs a command that must fail with `code` and one line that holds all `words`, and that must leave every file in
    `folder` as it was but those `rewritten`, and none beside but `new_files`. Returns the line."""
    before = {name: content for name, content in files_below(folder).items() if name not in rewritten}
    line = message(run(folder, *arguments, ranks=ranks, environment=environment), code)
    for word in words:
        assert str(word) in line, f"'{word}' is not in: {line}"
    after = files_below(folder)
    assert {name: after.get(name, "gone") for name in before} == before
    assert set(after) - set(before) <= {*new_files, *rewritten}
    return line


def watched_disk(below, calls, **settings):
    """The environment in which failing_io.c counts those calls on files below a folder; its other settings by their
    names."""
    return {"LD_PRELOAD": str(FAILING_IO), "FAILING_IO_BELOW": str(below), "FAILING_IO_CALLS": calls,
            **{f"FAILING_IO_{name.upper()}": str(value) for name, value in settings.items()}}
