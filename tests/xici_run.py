"""A small run of `moesweep xici` on the embedded demo model, made in a second or two. The ratings come from a file, so
that there are right answers and wrong ones whatever the model says. Input for tests of docs/store.md and analysis/."""

import itertools
import json
import os
import subprocess
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = Path(os.environ.get("MOESWEEP_BUILD", ROOT / "build" / "cpu")) / "moesweep"
LANGUAGES = ["en", "de", "fr", "es", "it", "nl", "pt", "id", "ja", "zh"]
WORDS = {"en": "Where is", "de": "Wo liegt", "fr": "Où est", "es": "Dónde está", "it": "Dove è", "nl": "Waar ligt",
         "pt": "Onde fica", "id": "Di mana", "ja": "どこですか", "zh": "在哪里"}
DATASETS = {"places": ["Turku", "Lagos", "Quito", "Minsk"], "rivers": ["Ebro", "Oder", "Niger", "Indus"]}
SETTINGS = {
    "model.path": "demo/model", "ask.chat": "none", "ask.max_tokens": 4, "rate.by": "file", "identify.layers": "all",
    "identify.tau": 0, "identify.subtract_mean": "no", "identify.blacklist_share": 0.5, "identify.cap": 3,
    "deactivate.draws": 2, "deactivate.same_relation": "yes", "deactivate.permuted": "yes", "deactivate.singles": "yes",
    "deactivate.caps": "1,2", "stats.bootstrap": 50, "stats.sign_flips": 50, "run.unit": 3}


def questions():
    """Two datasets; a relation has two questions, but one that has one; the last question lacks a language."""
    for dataset, names in DATASETS.items():
        for i, name in enumerate(names):
            languages = {code: {"question": f"{WORDS[code]} {name}?", "answers": [f"{name} land", name.lower()]}
                         for code in LANGUAGES if (name, code) != ("Indus", "zh")}
            relation = {"relation": "alone" if name == "Lagos" else f"{dataset}-{i // 2}"} if name != "Oder" else {}
            yield {"id": f"{dataset}-{i}", "dataset": dataset, **relation, "languages": languages}


def verdict(line):
    """Right in the first languages, from question to question in one more; of the first question in all, of the second
    in none. Asked again, an answer in three is turned round."""
    if line["id"].startswith("places-") and line["id"][-1] in "01":
        return line["id"][-1] == "0"
    right = LANGUAGES.index(line["language"]) < 4 + int(line["id"][-1])
    turned = zlib.crc32("{id} {language} {condition}".format_map(line).encode()) % 3 == 0
    return right != (line["condition"] != "asked" and turned)


def make(folder, settings=None):
    """Writes FOLDER/run and returns it. The program is called until all answers are rated."""
    lines = [json.dumps(question, ensure_ascii=False) for question in questions()]
    (folder / "questions.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    run, ratings = folder / "run", folder / "ratings.jsonl"
    keys = SETTINGS | {"questions.path": folder / "questions.jsonl", "run.out": run} | (settings or {})
    command = [PROGRAM, "xici", "configs/reference-xici.ini", *(f"--{key}={value}" for key, value in keys.items())]
    for attempt in itertools.count():
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, text=True,
                              capture_output=True)
        if done.returncode != 75 or attempt == 2:
            assert done.returncode == 0, done.stdout + done.stderr
            return run
        rated = [{name: line[name] for name in ("id", "language", "condition")} | {"right": verdict(line)}
                 for file in sorted(run.glob("answers*.jsonl"))
                 for line in map(json.loads, file.read_text(encoding="utf-8").splitlines())]
        ratings.write_text("".join(json.dumps(line) + "\n" for line in rated), encoding="utf-8")
        command += [f"--rate.file={ratings}"] * (attempt == 0)
