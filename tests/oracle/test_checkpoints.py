"""Folders as they come: a head beside a tied embedding, two sets of weights, fused experts; read as transformers reads
them."""

import json
import shutil

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

import checkpoints
import program
import reference
from test_sweep import NOISE_SEED, TOLERANCES, bos_of, scanned_cases

FACTS = 6
HEAD, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"


def copied(folder, copy, **settings):
    """A copy that a test may change, with these settings in its config.json."""
    shutil.copytree(folder, copy)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | settings))
    return copy


def weight_files(folder):
    return [*folder.glob("*.safetensors"), *folder.glob("*.index.json")]


def tensors_of(folder):
    return {name: tensor for path in sorted(folder.glob("*.safetensors")) for name, tensor in load_file(path).items()}


def replace_weights(folder, tensors):
    for path in weight_files(folder):
        path.unlink()
    save_file(tensors, folder / SINGLE, metadata={"format": "pt"})


def trace(folder, facts, run, *more, ranks=1):
    config = program.write_config(run.with_suffix(".ini"), model__path=folder, cases__path=facts, cases__limit=0,
                                  cases__clean_margin="-inf", cases__noise_drop="-inf", cases__discovery=2, noise__seed=NOISE_SEED,
                                  select__recurrence=1, run__unit=4, run__log="yes", run__out=run)
    return program.call("trace", config, *more, ranks=ranks)


def assert_same_numbers(run, other):
    program.assert_same_columns(program.Sweep(run / "sweep.h5"), program.Sweep(other / "sweep.h5"))


def assert_transformers_has_them(folder, name, run):
    """delta of both base runs, of the folder as transformers loads it."""
    model = reference.load_model(folder, torch.float32)
    sigma = reference.noise_sigma(model, 3.0)
    cases = scanned_cases(folder, FACTS, bos_of(name))
    expected = [reference.base_deltas(model, case, sigma, NOISE_SEED) if case.status == "usable" else (0, 0) for case in cases]
    sweep = program.Sweep(run / "sweep.h5")
    ours = np.stack([sweep["cases/delta_clean"], sweep["cases/delta_noised"]], 1)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=TOLERANCES["fp32"]["value"])


def noted(folder, run, done):
    """The notes of a run, which its output, its log, /provenance and inspect have alike."""
    with h5py.File(run / "sweep.h5") as file:
        notes = file["provenance"].attrs["notes"].decode().splitlines()
    log = (run / "log" / "rank-0.log").read_text().splitlines()
    inspected = program.call("inspect", folder).stdout.splitlines()
    assert [line for line in inspected if line.startswith("note ")] == [f"note           {note}" for note in notes]
    for note in notes:
        assert note in log and note in done.stdout.splitlines()
    return notes


@pytest.fixture(scope="module", params=checkpoints.ONE_OF_EACH_FAMILY)
def swept(request, checkpoint, facts_file, tmp_path_factory):
    """A checkpoint of each family as it is, and its run."""
    folder, run = checkpoint(request.param), tmp_path_factory.mktemp("swept") / "run"
    assert noted(folder, run, trace(folder, facts_file(FACTS), run)) == []
    return request.param, folder, run


# --- a head of its own beside a tied embedding ---


def test_a_head_that_differs_from_the_tied_embedding_counts(swept, facts_file, tmp_path):
    name, folder, untied = swept
    tied, run = copied(folder, tmp_path / "model", tie_word_embeddings=True), tmp_path / "run"
    done = trace(tied, facts_file(FACTS), run, ranks=2)
    assert_same_numbers(run, untied)
    assert_transformers_has_them(tied, name, run)
    [note] = noted(tied, run, done)
    assert note.startswith(str(tied)) and f"{HEAD}: other numbers than {EMBEDDING}" in note


def test_an_equal_head_is_a_copy(checkpoint, facts_file, tmp_path):
    tied = checkpoint("qwen3-sparse-step")
    copy = copied(tied, tmp_path / "model")
    tensors = tensors_of(tied)
    assert HEAD not in tensors
    replace_weights(copy, {**tensors, HEAD: tensors[EMBEDDING].clone()})
    trace(tied, facts_file(FACTS), tmp_path / "tied")
    assert noted(copy, tmp_path / "run", trace(copy, facts_file(FACTS), tmp_path / "run")) == []
    assert_same_numbers(tmp_path / "run", tmp_path / "tied")


def test_a_tied_head_without_the_embedding(checkpoint, facts_file, tmp_path):
    """Tying goes both ways in transformers."""
    tied = checkpoint("mixtral-top-1")
    copy = copied(tied, tmp_path / "model")
    tensors = tensors_of(tied)
    tensors[HEAD] = tensors.pop(EMBEDDING)
    replace_weights(copy, tensors)
    trace(tied, facts_file(FACTS), tmp_path / "tied")
    assert noted(copy, tmp_path / "run", trace(copy, facts_file(FACTS), tmp_path / "run")) == []
    assert_same_numbers(tmp_path / "run", tmp_path / "tied")
    assert_transformers_has_them(copy, "mixtral-top-1", tmp_path / "run")


def test_no_head_where_none_is_tied(checkpoint, tmp_path):
    """transformers would draw one at random."""
    copy = copied(checkpoint("qwen3"), tmp_path / "model")
    tensors = tensors_of(copy)
    del tensors[HEAD]
    replace_weights(copy, tensors)
    assert f"problem        {copy}: {HEAD}: missing tensor" in program.call("inspect", copy, expect=65).stdout


# --- two sets of weights ---


def test_saved_in_place_over_shards(checkpoint, facts_file, tmp_path):
    """save_pretrained takes the old shards away and leaves their index."""
    folder = copied(checkpoint("mixtral"), tmp_path / "model")
    AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).save_pretrained(folder)
    assert sorted(path.name for path in weight_files(folder)) == [SINGLE, INDEX]
    done = trace(folder, facts_file(FACTS), tmp_path / "run")
    [note] = noted(folder, tmp_path / "run", done)
    assert note.startswith(f"{folder / INDEX}: passed over, for it is not whole: ") and note.endswith("no such file")
    assert_transformers_has_them(folder, "mixtral", tmp_path / "run")


def test_saved_in_place_over_a_single_file(checkpoint, facts_file, tmp_path):
    """save_pretrained leaves the old file, which transformers goes on to read."""
    folder = copied(checkpoint("qwen3"), tmp_path / "model")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    model.save_pretrained(folder, max_shard_size="40KB")
    words = f"{folder}: both {SINGLE} and the shards of {INDEX} hold a whole model: remove the one that you do not mean"
    assert words in program.call("inspect", folder, expect=65).stderr
    config = program.write_config(tmp_path / "sweep.ini", model__path=folder, cases__path=facts_file(FACTS),
                                  run__out=tmp_path / "run")
    assert words in program.call("trace", config, expect=65).stderr
    assert not (tmp_path / "run").exists()
    for removed in ([folder / SINGLE], [folder / INDEX, *folder.glob("model-*.safetensors")]):
        chosen = copied(folder, tmp_path / removed[0].name)
        for path in removed:
            (chosen / path.name).unlink()
        program.call("inspect", chosen)


# --- fused experts ---


@pytest.mark.parametrize("shard", ["1GB", "60KB"])
def test_fused_experts(swept, facts_file, tmp_path, shard):
    name, folder, run = swept
    fused = copied(folder, tmp_path / "model")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    for path in weight_files(fused):
        path.unlink()
    model.save_pretrained(fused, max_shard_size=shard, save_original_format=False)
    experts = [key for key in tensors_of(fused) if key.startswith("model.layers.2.mlp.experts.")]
    assert sorted(key.rsplit(".", 1)[1] for key in experts) == ["down_proj", "gate_up_proj"]
    for i, (more, ranks) in enumerate([((), 1), (["--model.weights=streamed"], 1), (["--parallel.experts=2"], 2),
                                       (["--parallel.experts=2", "--model.weights=streamed"], 2)]):
        again = tmp_path / f"run-{i}"
        assert noted(fused, again, trace(fused, facts_file(FACTS), again, *more, ranks=ranks)) == []
        assert_same_numbers(again, run)
    assert_transformers_has_them(fused, name, again)


def test_fused_experts_in_some_layers(checkpoint, facts_file, tmp_path):
    folder = checkpoint("qwen3")
    trace(folder, facts_file(FACTS), tmp_path / "single")
    mixed = copied(folder, tmp_path / "model")
    tensors, prefix = tensors_of(folder), "model.layers.2.mlp.experts."
    expert = [{part: tensors.pop(f"{prefix}{e}.{part}_proj.weight") for part in ("gate", "up", "down")} for e in range(8)]
    tensors[prefix + "gate_up_proj"] = torch.stack([torch.cat([e["gate"], e["up"]]) for e in expert])
    tensors[prefix + "down_proj"] = torch.stack([e["down"] for e in expert])
    replace_weights(mixed, tensors)
    trace(mixed, facts_file(FACTS), tmp_path / "run")
    assert_same_numbers(tmp_path / "run", tmp_path / "single")
    assert_transformers_has_them(mixed, "qwen3", tmp_path / "run")
