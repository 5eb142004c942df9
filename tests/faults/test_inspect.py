"""inspect ends with another code than 0 where a run would be refused or compute otherwise than transformers."""

from tiny import refused, run

DOWN, NORM = "model.layers.1.mlp.experts.2.down_proj.weight", "model.norm.weight"


def inspected(inputs, *words):
    return refused(inputs.folder, 1, 65, *words, arguments=("inspect", "model"))


def test_inspect_of_a_whole_folder(inputs):
    done = run(inputs.write().folder, "inspect", "model")
    assert (done.returncode, done.stderr) == (0, "")


def test_inspect_without_a_tokenizer(inputs):
    (inputs.write().folder / "model" / "tokenizer.json").unlink()
    inspected(inputs, "model/tokenizer.json: ")


def test_inspect_of_a_broken_tokenizer(inputs):
    inputs.tokenizer["model"]["type"] = "Unigram"
    inputs.write()
    inspected(inputs, "model/tokenizer.json: model.type: expected BPE")


def test_inspect_without_weights(inputs):
    inputs.write()
    for path in (inputs.folder / "model").glob("*.safetensors*"):
        path.unlink()
    inspected(inputs, "model")


def test_inspect_of_a_dtype_that_is_not_read(inputs):
    inputs.change(NORM, lambda x: x, dtype="F8_E4M3")
    inputs.write()
    inspected(inputs, f"{NORM}: dtype F8_E4M3 is not supported")


def test_inspect_ends_with_the_first_of_several_problems(inputs):
    inputs.change(NORM, lambda x: None)
    (inputs.write().folder / "model" / "tokenizer.json").unlink()
    inspected(inputs, f"{NORM}: missing tensor (1 of 2 problems)")


def test_inspect_says_which_precisions_a_model_is_for(inputs):
    inputs.change(DOWN, lambda x: x, dtype="F16")
    done = run(inputs.write().folder, "inspect", "model")
    assert done.returncode == 0 and "precisions     fp32 and fp64 alone: " in done.stdout and DOWN in done.stdout
