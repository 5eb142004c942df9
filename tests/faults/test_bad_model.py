"""A broken checkpoint: one line that names file and field, exit 65 on every rank, nothing left behind."""

import h5py
import numpy as np
import pytest

import compare_runs
from tiny import EXPERTS, FIRST, HIDDEN, INNER, OPENED, SECOND, Shard, files_below, message, refused, run

NORM, ROUTER, DOWN = "model.norm.weight", "model.layers.1.mlp.gate.weight", "model.layers.1.mlp.experts.2.down_proj.weight"


@pytest.mark.quick
def test_sound_inputs_are_not_refused(inputs, ranks):
    """So that every refusal below comes of its own defect."""
    done = run(inputs.write().folder, "trace", "trace.ini", ranks=ranks)
    assert (done.returncode, done.stderr) == (0, "")
    assert files_below(inputs.folder).keys() >= {"run/sweep.h5", "run/cases.h5", *(f"run/units/00000{i}.h5" for i in range(4))}


# --- files and shards ---


def test_no_model_folder(inputs, ranks):
    inputs.write()
    refused(inputs.folder, ranks, 65, "elsewhere/config.json: no such file", arguments=("trace", "trace.ini", "--model.path=elsewhere"))


def test_no_checkpoint_in_the_folder(inputs, ranks):
    inputs.write()
    for name in (FIRST, SECOND, "model.safetensors.index.json"):
        (inputs.folder / "model" / name).unlink()
    refused(inputs.folder, ranks, 65, "model: neither model.safetensors nor model.safetensors.index.json")


def test_missing_shard(inputs, ranks):
    inputs.write()
    (inputs.folder / "model" / SECOND).unlink()
    refused(inputs.folder, ranks, 65, f"model/{SECOND}: no such file")


def test_shard_cut_in_its_data(inputs, ranks):
    inputs.shards[SECOND].cut = 7
    size = len(inputs.shards[SECOND].data)
    refused(inputs.write().folder, ranks, 65, f"model/{SECOND}: truncated: expected {size} bytes of data, got {size - 7}")


def test_shard_cut_in_its_header(inputs, ranks):
    shard = inputs.shards[SECOND]
    shard.cut = len(shard.bytes()) - 100
    refused(inputs.write().folder, ranks, 65, f"model/{SECOND}: header: truncated", "got 92")


def test_empty_shard(inputs, ranks):
    shard = inputs.shards[SECOND]
    shard.cut = len(shard.bytes())
    refused(inputs.write().folder, ranks, 65, f"model/{SECOND}: header: file has only 0 bytes")


def test_tensor_that_the_index_places_elsewhere(inputs, ranks):
    inputs.index[NORM] = FIRST
    refused(inputs.write().folder, ranks, 65, f"index.json: {NORM}: not in {FIRST}")


def test_tensor_in_two_shards_of_which_the_index_names_none(inputs, ranks):
    inputs.shards[FIRST].add(NORM, np.ones(16))
    del inputs.index[NORM]
    refused(inputs.write().folder, ranks, 65,
            f"model/{FIRST}: {NORM}: also in model/{SECOND}, and the index does not say which one counts")


def test_shards_and_a_whole_file(inputs, ranks):
    whole = Shard()
    for shard in inputs.shards.values():
        for name, entry in shard.header.items():
            begin, end = entry["data_offsets"]
            whole.header[name] = entry | {"data_offsets": [len(whole.data), len(whole.data) + end - begin]}
            whole.data += shard.data[begin:end]
    (inputs.write().folder / "model" / "model.safetensors").write_bytes(whole.bytes())
    refused(inputs.folder, ranks, 65, "model: both model.safetensors and the shards of model.safetensors.index.json hold a whole "
                                      "model: remove the one that you do not mean")


def test_shards_and_a_file_none_of_which_is_whole(inputs, ranks):
    inputs.change(DOWN, lambda values: None)
    (inputs.write().folder / "model" / "model.safetensors").write_bytes(inputs.shards[FIRST].bytes())
    refused(inputs.folder, ranks, 65, "model: neither model.safetensors nor the shards of model.safetensors.index.json hold a whole "
                                      f"model: model: {NORM}: missing tensor; model: {DOWN}: missing tensor")


@pytest.mark.parametrize("shape", [(EXPERTS, INNER, 2 * HIDDEN), (EXPERTS, 2 * INNER), (EXPERTS - 1, 2 * INNER, HIDDEN)])
def test_fused_experts_of_another_shape(inputs, ranks, shape):
    prefix = "model.layers.1.mlp.experts."
    for expert in range(EXPERTS):
        for name in ("gate", "up"):
            inputs.change(f"{prefix}{expert}.{name}_proj.weight", lambda values: None)
    inputs.shards[SECOND].add(prefix + "gate_up_proj", np.ones(shape))
    inputs.index[prefix + "gate_up_proj"] = SECOND
    refused(inputs.write().folder, ranks, 65,
            f"model/{SECOND}: {prefix}gate_up_proj: expected shape {[EXPERTS, 2 * INNER, HIDDEN]}, got {list(shape)}")


def test_experts_fused_and_single(inputs, ranks):
    fused = "model.layers.1.mlp.experts.down_proj"
    inputs.shards[FIRST].add(fused, np.ones((EXPERTS, HIDDEN, INNER)))
    inputs.index[fused] = FIRST
    refused(inputs.write().folder, ranks, 65, f"model/{FIRST}: {fused}: stored twice, also as {DOWN.replace('2', '0')} in model/{SECOND}")


def test_shard_outside_the_folder(inputs, ranks):
    inputs.index[NORM] = "../" + SECOND
    refused(inputs.write().folder, ranks, 65, f"index.json: weight_map: {NORM}: '../{SECOND}' is not a file name")


def what_nobody_needs(inputs):
    """The index lists more than the model needs: a tensor in no shard, shards absent or broken. One shard holds a
    copy."""
    inputs.index |= {"model.layers.2.eh_proj.weight": SECOND, "model.layers.2.enorm.weight": "gone.safetensors",
                     "model.layers.2.hnorm.weight": "broken.safetensors"}
    inputs.shards["broken.safetensors"] = Shard()
    inputs.shards["broken.safetensors"].cut = 3
    inputs.shards[FIRST].add(NORM, np.ones(16))
    return ["model/broken.safetensors: header: file has only 7 bytes: passed over, for nothing that is needed is there",
            "model/gone.safetensors: no such file: passed over, for nothing that is needed is there",
            f"model/{FIRST}: {NORM}: passed over, for the index names {SECOND} (transformers takes it from the last file)"]


def test_what_nobody_needs_is_passed_over_with_a_line(inputs, ranks):
    folder = inputs.write().folder
    assert run(folder, "trace", "trace.ini", "--run.out=plain").returncode == 0
    notes = what_nobody_needs(inputs)
    inputs.write()
    for arguments in (["inspect", "model"], ["plan", "trace.ini"], ["trace", "trace.ini"]):
        done = run(folder, *arguments, ranks=ranks if arguments[0] == "trace" else 1)
        assert (done.returncode, done.stderr) == (0, ""), done
        assert [note in done.stdout for note in notes] == [True] * 3, done.stdout
    assert compare_runs.compare(folder / "run/sweep.h5", folder / "plain/sweep.h5", attributes="none") == []
    with h5py.File(folder / "run/sweep.h5") as ours:
        assert ours["provenance"].attrs["notes"].decode().splitlines() == notes


def test_another_copy_named_by_the_index_is_another_model(inputs):
    what_nobody_needs(inputs)
    folder = inputs.write().folder
    assert run(folder, "trace", "trace.ini").returncode == 0
    inputs.index[NORM] = FIRST
    inputs.write()
    assert f"model/{FIRST}: {NORM}: other numbers than in model/{SECOND}, which transformers would take" in message(
        run(folder, "inspect", "model"), 65)
    assert "weights_sha256" in message(run(folder, "trace", "trace.ini"), 78)


# --- tensors ---


def test_missing_tensor(inputs, ranks):
    inputs.change(DOWN, lambda values: None)
    refused(inputs.write().folder, ranks, 65, f"model: {DOWN}: missing tensor")


def test_wrong_shape(inputs, ranks):
    inputs.change(DOWN, lambda values: values[:, :6])
    refused(inputs.write().folder, ranks, 65, f"model/{SECOND}: {DOWN}: expected shape [16, 8], got [16, 6]")


@pytest.mark.parametrize("dtype", ["I64", "F8_E4M3"])
def test_wrong_dtype(inputs, ranks, dtype):
    inputs.change(DOWN, lambda values: values, dtype)
    refused(inputs.write().folder, ranks, 65, f"model/{SECOND}: {DOWN}: dtype {dtype} is not supported, expected BF16, F16 or F32")


@pytest.mark.parametrize("precision", ["split", "fast", "parity"])
def test_a_matrix_that_is_no_bf16_where_it_must_be(inputs, ranks, precision):
    inputs.change(DOWN, lambda values: values, "F16")
    refused(inputs.write().folder, ranks, 65, f"model/{SECOND}: {DOWN}: F16, but the precisions split, fast and parity need a model in BF16",
            arguments=("trace", "trace.ini", f"--model.precision={precision}"))


def test_a_norm_may_have_any_type(inputs):
    inputs.change(NORM, lambda values: values, "F32")
    assert run(inputs.write().folder, "trace", "trace.ini", "--model.precision=split").returncode == 0


def test_embedding_smaller_than_the_tokenizers_ids(inputs, ranks):
    """The objects' ids are the last of the vocabulary."""
    rows = inputs.config["vocab_size"] = inputs.config["vocab_size"] - 4
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        inputs.change(name, lambda values: values[:rows])
    refused(inputs.write().folder, ranks, 65, f"model/{SECOND}: lm_head.weight: token id 25", f"is beyond its {rows} rows", new_files=OPENED)


def test_a_broken_expert_that_one_rank_of_a_group_holds(inputs):
    """It is found in the middle of a pass, by one rank alone, while the other waits for it."""
    def spoil(values):
        values.flat[0] = np.nan
        return values

    inputs.change(DOWN, spoil)
    folder = inputs.write().folder
    done = run(folder, "trace", "trace.ini", "--parallel.experts=2", "--model.weights=streamed", ranks=2, seconds=60)
    assert f"model/{inputs.index[DOWN]}: {DOWN}: holds a NaN or an infinity" in done.stderr
    assert done.returncode == 65


@pytest.mark.parametrize(("name", "dtype", "value"), [
    (DOWN, "BF16", np.nan), (DOWN, "BF16", np.inf), (DOWN, "F16", np.nan), (DOWN, "F16", -np.inf), (DOWN, "F32", np.nan),
    (DOWN, "F32", np.inf), (ROUTER, "BF16", np.nan), ("model.layers.0.input_layernorm.weight", "F32", -np.inf),
    ("model.embed_tokens.weight", "F16", np.nan)])
def test_weight_that_is_no_number(inputs, ranks, name, dtype, value):
    def spoil(values):
        values.flat[-3] = value
        return values

    inputs.change(name, spoil, dtype)
    shard = inputs.index[name]
    refused(inputs.write().folder, ranks, 65, f"model/{shard}: {name}: holds a NaN or an infinity", new_files=OPENED)


# --- the header of a shard ---


def test_header_with_a_hole(inputs, ranks):
    shard = inputs.shards[SECOND]
    begin, end = shard.header[NORM]["data_offsets"]
    del shard.header[NORM], inputs.index[NORM]
    refused(inputs.write().folder, ranks, 65, f"model/{SECOND}: lm_head.weight: data_offsets: hole at byte {end}, expected to begin at {begin}")


def test_header_with_an_overlap(inputs, ranks):
    shard = inputs.shards[SECOND]
    shard.header[NORM]["data_offsets"] = [0, 32]  # where the first tensor lies, of the same size
    refused(inputs.write().folder, ranks, 65, f"model/{SECOND}: {NORM}: data_offsets: overlap at byte 0, expected to begin at 32")


def test_header_with_bytes_after_the_last_tensor(inputs, ranks):
    inputs.shards[SECOND].data += b"\0\0\0"
    refused(inputs.write().folder, ranks, 65, f"model/{SECOND}: data: 3 bytes belong to no tensor")


def test_header_whose_size_is_not_shape_times_dtype(inputs, ranks):
    inputs.shards[SECOND].header[NORM]["shape"] = [15]
    refused(inputs.write().folder, ranks, 65, f"model/{SECOND}: {NORM}: data_offsets: expected 30 bytes for BF16 [15]")


def test_header_with_a_duplicate_key(inputs, ranks):
    inputs.shards[SECOND].edit = lambda text: text.replace('"lm_head.weight"', f'"{NORM}"')
    refused(inputs.write().folder, ranks, 65, f"model/{SECOND}: header: {NORM}: appears twice")


def test_header_of_oversized_length(inputs, ranks):
    inputs.shards[SECOND].length = 100_000_001
    refused(inputs.write().folder, ranks, 65, f"model/{SECOND}: header: 100000001 bytes, at most 100000000")


def test_header_that_is_not_json(inputs, ranks):
    inputs.shards[SECOND].edit = lambda text: text[:40] + "," + text[40:]
    refused(inputs.write().folder, ranks, 65, f"model/{SECOND}: header: byte ", "not valid JSON")


def test_header_that_begins_with_something_else(inputs, ranks):
    inputs.shards[SECOND].edit = lambda text: " " + text
    refused(inputs.write().folder, ranks, 65, f"model/{SECOND}: header: does not begin with '{{'")


@pytest.mark.parametrize("field", ["dtype", "shape", "data_offsets"])
def test_header_without_a_field(inputs, field):
    del inputs.shards[SECOND].header[NORM][field]
    refused(inputs.write().folder, 1, 65, f"model/{SECOND}: {NORM}: {field}: missing")


@pytest.mark.parametrize(("field", "value"), [
    ("dtype", "BF17"), ("dtype", 16), ("shape", [-16]), ("shape", [16.5]), ("shape", "16"), ("shape", [2**40, 2**40]),
    ("shape", [True, 16]), ("data_offsets", [0, 32, 64]), ("data_offsets", [-32, 0]), ("data_offsets", [0.5, 32.5]),
], ids=str)
def test_header_with_a_field_of_another_kind(inputs, field, value):
    inputs.shards[SECOND].header[NORM][field] = value
    refused(inputs.write().folder, 1, 65, f"model/{SECOND}: {NORM}: {field}: ")
