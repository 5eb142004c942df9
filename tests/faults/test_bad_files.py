"""Something else in a file's place, or a file that is nearly there: one line that says what it is, exit 65 on every
rank."""

import gzip
import json
import shutil

import pytest

from tiny import OPENED, SECOND, files_below, refused, run

INDEX = "model/model.safetensors.index.json"
READ = ["model/config.json", "model/tokenizer.json", INDEX, f"model/{SECOND}", "facts.json"]
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 4998663696\n"
PAGE = b"<!DOCTYPE html><html><head><title>401</title></head></html>\n" * 20


@pytest.mark.parametrize("file", READ)
@pytest.mark.parametrize(("content", "what"), [
    (POINTER, "a Git LFS pointer, not the file itself: `git lfs pull` fetches that"),
    (PAGE, "an HTML page, left by a failed download: download the file again"),
    (b"Entry not found", "an error page from Hugging Face, not the file"),
    (gzip.compress(b"{}" * 100), "compressed by gzip: unpack it"),
    (bytes(4096), "filled with zeros"),
], ids=["pointer", "page", "answer", "gzip", "zeros"])
def test_something_else_in_its_place(inputs, file, content, what):
    (inputs.write().folder / file).write_bytes(content)
    line = refused(inputs.folder, 1, 65, f"{file}: {what}")
    assert line.startswith(f"moesweep: {file}: ")


def test_a_pointer_is_named_once_by_two_ranks_and_by_inspect(inputs):
    (inputs.write().folder / "model" / SECOND).write_bytes(POINTER)
    refused(inputs.folder, 2, 65, f"model/{SECOND}: a Git LFS pointer")
    refused(inputs.folder, 1, 65, f"model/{SECOND}: a Git LFS pointer", arguments=("inspect", "model"))


@pytest.mark.parametrize(("content", "what"), [(POINTER, "a Git LFS pointer"), ("[model]\n".encode("utf-16"), "text in UTF-16: save it in UTF-8")])
def test_something_else_in_the_configurations_place(inputs, content, what):
    (inputs.write().folder / "trace.ini").write_bytes(content)
    refused(inputs.folder, 1, 64, f"trace.ini: {what}")


@pytest.mark.parametrize("file", ["cases.h5", "units/000001.h5", "config.ini"])
def test_a_pointer_in_a_run(inputs, file):
    """As in a repository of runs."""
    folder = inputs.write().folder
    assert run(folder, "trace", "trace.ini").returncode == 0
    (folder / "run" / file).write_bytes(POINTER)
    refused(folder, 1, 64 if file == "config.ini" else 65, f"run/{file}: ", "a Git LFS pointer", arguments=("merge", "run"))


# --- not there ---


def test_a_download_that_did_not_end(inputs, ranks):
    shard = inputs.write().folder / "model" / SECOND
    shard.rename(f"{shard}.incomplete")
    refused(inputs.folder, ranks, 65, f"model/{SECOND}: no such file: {SECOND}.incomplete is an unfinished download")


def test_a_download_that_hugging_faces_client_did_not_end(inputs):
    shard = inputs.write().folder / "model" / SECOND
    kept = shard.parent / ".cache" / "huggingface" / "download"
    kept.mkdir(parents=True)
    shard.rename(kept / "x1Yz.0123abc.incomplete")
    refused(inputs.folder, 1, 65, f"model/{SECOND}: no such file: model/.cache/huggingface/download holds unfinished downloads")


@pytest.mark.parametrize("file", READ)
def test_a_link_that_leads_nowhere(inputs, file):
    path = inputs.write().folder / file
    path.unlink()
    path.symlink_to("../../blobs/0123abc")
    if file == INDEX:  # the folder then has none
        refused(inputs.folder, 1, 65, "model: ")
    else:
        refused(inputs.folder, 1, 65, f"{file}: no such file: it is a link to ../../blobs/0123abc, which does not exist")


def test_links_to_a_cache_are_followed(inputs):
    inputs.write()
    cache = inputs.folder / "blobs"
    cache.mkdir()
    for number, path in enumerate(sorted((inputs.folder / "model").iterdir())):
        path.symlink_to(shutil.move(path, cache / str(number)))
    done = run(inputs.folder, "trace", "trace.ini")
    assert (done.returncode, done.stderr) == (0, "") and "run/sweep.h5" in files_below(inputs.folder)


# --- nearly JSON ---


def added(text):
    """A config.json with something more at its end, in a line of its own."""
    return lambda whole: whole.rstrip()[:-1] + f",\n{text}}}"


@pytest.mark.parametrize(("file", "change", "words"), [
    ("model/config.json", added('"time_step_limit": [0.0, Infinity]'), "not valid JSON: line 2: Infinity is not a number in JSON"),
    ("model/config.json", added('"a": -Infinity'), "not valid JSON: line 2: -Infinity is not a number in JSON"),
    ("model/config.json", added('"router_jitter_noise": NaN'), "not valid JSON: line 2: NaN is not a number in JSON"),
    ("model/config.json", added(""), "not valid JSON: line 2: a comma after the last element"),
    ("model/config.json", lambda text: "// exported\n" + text, "byte 1: not valid JSON: line 1: JSON has no comments"),
    ("model/tokenizer.json", added("# so"), "not valid JSON: line 2: JSON has no comments"),
    (INDEX, lambda text: repr(json.loads(text)), "byte 2: not valid JSON: line 1: written as Python prints it, not as JSON"),
    ("facts.json", lambda text: "\n".join(json.dumps(record) for record in json.loads(text)),
     "not valid JSON: line 2: a second value after the first; `jq -s .` makes one array of JSON lines"),
    ("model/tokenizer.json", lambda text: text[:1000], "byte 1001: not valid JSON: line 1: it ends too early"),
    ("facts.json", lambda text: "", "byte 1: not valid JSON: line 1: the file is empty"),
], ids=str)
def test_nearly_json(inputs, file, change, words):
    path = inputs.write().folder / file
    path.write_text(change(path.read_text()))
    refused(inputs.folder, 1, 65, f"{file}: ", words)


# --- tokenizers of another kind ---


@pytest.mark.parametrize("others", [("tokenizer.model",), ("vocab.json", "merges.txt"), ("tekken.json",)], ids=str)
def test_another_kind_of_tokenizer(inputs, ranks, others):
    inputs.write()
    (inputs.folder / "model" / "tokenizer.json").unlink()
    for name in others:
        (inputs.folder / "model" / name).write_text("{}")
    refused(inputs.folder, ranks, 65, f"model/tokenizer.json: no such file, only {others[0]}: make the file anew by python -c ",
            "T.from_pretrained('model').save_pretrained('model')")


def with_a_token_of_another_file(inputs):
    inputs.write()
    (inputs.folder / "model" / "tokenizer_config.json").write_text('{"added_tokens_decoder": {"410": {"content": "<think>"}}}')


def test_a_text_with_a_token_that_only_another_file_has(inputs, ranks):
    """transformers gives it an id of its own."""
    inputs.facts[5]["requested_rewrite"]["prompt"] = "{} <think> lives in"
    with_a_token_of_another_file(inputs)
    refused(inputs.folder, ranks, 65, "model/tokenizer.json: lacks the token '<think>' that tokenizer_config.json adds",
            "'Fay <think> lives in' contains it", arguments=("trace", "trace.ini", "--cases.limit=0"), new_files=OPENED)


def test_a_token_that_no_text_holds_is_said_before_a_run(inputs):
    with_a_token_of_another_file(inputs)
    for arguments in (("plan", "trace.ini"), ("inspect", "model")):
        done = run(inputs.folder, *arguments)
        assert (done.returncode, done.stderr) == (0, "")
        assert "note  " in done.stdout and "1 of tokenizer_config.json is not in tokenizer.json, e.g. '<think>'" in done.stdout
    assert run(inputs.folder, "trace", "trace.ini").returncode == 0
