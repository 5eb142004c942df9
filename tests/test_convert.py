"""Questions files from made-up files of each dataset's layout: what comes out, what is counted, what is refused."""

import gzip
import json
import pathlib
import subprocess
import sys

import pandas as pd
import pytest

ANALYSIS = pathlib.Path(__file__).resolve().parents[1] / "analysis"
sys.path.insert(0, str(ANALYSIS))

from moesweep.xici.convert import main  # noqa: E402

pytestmark = pytest.mark.quick



class Convert:
    """The converter in a folder of made-up files."""

    def __init__(self, folder, capture):
        self.folder, self.capture = folder, capture

    def write(self, name, content):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".jsonl"):
            content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in content)
        elif name.endswith(".json"):
            content = json.dumps(content, ensure_ascii=False)
        path.write_text(content, encoding="utf-8")
        return self

    def run(self, layout, *arguments):
        """(exit code, stderr)"""
        code = main([layout, *arguments, "-o", "out.jsonl"])
        return code, self.capture.readouterr().err

    def made(self, layout, *arguments):
        """The records by id, with their languages as {code: (question, answers)}, and what was said."""
        code, said = self.run(layout, *arguments)
        assert code == 0, said
        records = [json.loads(line) for line in (self.folder / "out.jsonl").read_text(encoding="utf-8").splitlines()]
        for record in records:
            record["languages"] = {code: (entry.pop("question"), entry.pop("answers")) for code, entry in
                                   record["languages"].items() if set(entry) == {"question", "answers"}}
        assert len({record["id"] for record in records}) == len(records)
        return {record.pop("id"): record for record in records}, said.splitlines()

    def refused(self, layout, *arguments, code=65):
        """The one line that is said."""
        got, said = self.run(layout, *arguments)
        assert got == code, said
        assert not (self.folder / "out.jsonl").exists()
        assert said.startswith("convert: ") and said.count("\n") == 1
        return said.removeprefix("convert: ").strip()


@pytest.fixture
def convert(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    return Convert(tmp_path, capsys)


# --- the layouts ---

ECLEKTIC = [{"q_id": 7, "original_lang": "de", "title": "x", "de_q": "Wo?", "de_a": "Bonn", "de_c": "...",
             "id_q": "Di mana?", "id_a": "Bonn "},
            {"q_id": 8, "original_lang": "de", "title": "x", "de_q": "Wer?", "de_a": "Kant", "de_c": "...",
             "id_q": "Siapa?", "id_a": ""}]


def test_eclektic(convert):
    made, said = convert.write("main.jsonl", ECLEKTIC).made("eclektic", "main.jsonl")
    assert made == {"7": {"dataset": "eclektic", "languages": {"de": ("Wo?", ["Bonn"]), "id": ("Di mana?", ["Bonn"])}},
                    "8": {"dataset": "eclektic", "languages": {"de": ("Wer?", ["Kant"])}}}
    assert said == ["2 questions in 2 languages, 3 in all; 1 lack a language", "left out, no answer: 1"]


def test_eclektic_with_a_row_a_language(convert):
    convert.write("long.csv", '\ufeffq_id,language,question,answer\n1,de,"Wo, bitte?",Bonn\n1,en,Where?,Bonn\n')
    made, said = convert.made("eclektic", "long.csv", "--dataset", "E")
    assert made == {"1": {"dataset": "E", "languages": {"de": ("Wo, bitte?", ["Bonn"]), "en": ("Where?", ["Bonn"])}}}
    assert said == ["1 questions in 2 languages, 2 in all"]


def test_multiloko(convert):
    row = {"text": "...", "target": "It is Bonn.", "output_type": "word"}
    convert.write("english/dev.jsonl", [row | {"id": "a/1", "question": "Where?", "targets": ["Bonn", "in Bonn", "Bonn"]}])
    convert.write("english/dev_translated_human_simplified_mandarin.jsonl",
                  [row | {"id": "a/1", "question": "在哪里？", "targets": ["波恩"]}])
    made, _ = convert.made("multiloko", "english/dev.jsonl", "english/dev_translated_human_simplified_mandarin.jsonl")
    assert made == {"a/1": {"dataset": "multiloko", "languages": {
        "english": ("Where?", ["Bonn", "in Bonn"]), "simplified_mandarin": ("在哪里？", ["波恩"])}}}


MMLU = "sample_id,subject,subject_category,question,option_a,option_b,option_c,option_d,answer\n"


def test_global_mmlu(convert):
    convert.write("en.csv", MMLU + "p/1,prehistory,H,Who?,a,b,c,d,C\nm/1,anatomy,S,Bone?,a,b,c,d,A\n")
    convert.write("made/de_test.jsonl", [{"sample_id": "p/1", "subject": "prehistory", "question": "Wer?", "option_a": "ä",
                                          "option_b": "b", "option_c": "ç", "option_d": "d", "answer": "C"}])
    made, _ = convert.made("global-mmlu", "en.csv", "de=made/de_test.jsonl", "--subject", "prehistory")
    assert made == {"p/1": {"dataset": "global-mmlu", "relation": "prehistory",
                            "languages": {"en": ("Who?", ["c"]), "de": ("Wer?", ["ç"])}}}


def test_a_parquet_file_is_read_like_its_rows(convert):
    pytest.importorskip("pyarrow")
    for code, question in (("en", "Who?"), ("fil", "Sino?")):
        row = {"sample_id": "p/1", "subject": "prehistory", "question": question, "answer": "B"}
        pd.DataFrame([row | {f"option_{x}": x for x in "abcd"}]).to_parquet(convert.folder / f"{code}.parquet")
    made, _ = convert.made("global-mmlu", "en.parquet", "fil.parquet")
    assert made["p/1"]["languages"] == {"en": ("Who?", ["b"]), "fil": ("Sino?", ["b"])}


def mkqa_row(number, en, **others):
    return {"example_id": number, "query": "x", "queries": {code: f"{code}?" for code in ("en", *others)},
            "answers": {"en": en, **others}}


def test_mkqa(convert):
    rows = [mkqa_row(-5, [{"type": "entity", "entity": "Q1", "text": "Bonn", "aliases": ["Bonn am Rhein", "Bonn"]}],
                     zh_cn=[{"type": "entity", "text": "波恩 "}], ja=[{"type": "unanswerable", "text": None}]),
            mkqa_row(6, [{"type": "long_answer", "text": None}], zh_cn=[{"type": "long_answer", "text": None}])]
    with gzip.open(convert.folder / "mkqa.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join(map(json.dumps, rows)))
    made, said = convert.made("mkqa", "mkqa.jsonl.gz")
    assert made == {"-5": {"dataset": "mkqa", "languages": {"en": ("en?", ["Bonn", "Bonn am Rhein"]),
                                                            "zh_cn": ("zh_cn?", ["波恩"])}}}
    assert said == ["1 questions in 2 languages, 2 in all", "left out, a long answer: 2", "left out, unanswerable: 1"]


def bmike(**languages):
    return {code: {"case_id": 3, "subject": "x", "src": question, "rephrase": "x", "old": old, "alt": "wrong"}
            for code, (question, old) in languages.items()}


def test_bmike53(convert):
    convert.write("counterfact_test_de.json", [bmike(en=("Where?", "Bonn"), de=("Wo?", "Bonn am Rhein"))])
    convert.write("counterfact_test_fr.json", [bmike(en=("Where?", "Bonn"), fr=("Où ?", "Bonn"))])
    made, said = convert.made("bmike53", "counterfact_test_de.json", "counterfact_test_fr.json")
    assert made == {"3": {"dataset": "bmike53", "languages": {"en": ("Where?", ["Bonn"]), "de": ("Wo?", ["Bonn am Rhein"]),
                                                              "fr": ("Où ?", ["Bonn"])}}}
    assert said == ["1 questions in 3 languages, 3 in all", "left out, repeated: 1"]


def test_klar(convert):
    convert.write("eng_Latn.txt", "Which? The answer is: A\nWho? The answer is: B\nWhich? The answer is: C\n")
    convert.write("ell_Grek.txt", "Ποια; Η απάντηση είναι: Α\nΠοιος; Η απάντηση είναι: Β\nΠοια; Η απάντηση είναι: Γ\n")
    made, _ = convert.made("klar", "en=eng_Latn.txt", "ell_Grek.txt")
    assert made == {"klar-0001": {"dataset": "klar", "languages": {"en": ("Which?", ["A", "C"]), "ell_Grek": ("Ποια;", ["Α", "Γ"])}},
                    "klar-0002": {"dataset": "klar", "languages": {"en": ("Who?", ["B"]), "ell_Grek": ("Ποιος;", ["Β"])}}}


def test_only_some_languages(convert):
    convert.write("a.json", [bmike(en=("Where?", "Bonn"), de=("Wo?", "Bonn"), fr=("Où ?", "Bonn"))])
    made, _ = convert.made("bmike53", "a.json", "--languages", "fr,de")
    assert list(made["3"]["languages"]) == ["de", "fr"]
    (convert.folder / "out.jsonl").unlink()
    assert convert.refused("bmike53", "a.json", "--languages", "de,xx") == "a.json: no question of 'xx'"


# --- what is refused ---

CASES = [
    ("eclektic", {"a.jsonl": [{"q_id": 1, "de_q": "Wo?"}]}, "a.jsonl:1: de_a missing; it has q_id, de_q"),
    ("eclektic", {"a.jsonl": [{"q_id": 1}]}, "a.jsonl:1: language, question, answer missing; it has q_id"),
    ("eclektic", {"a.csv": "language,question,answer\nde,Wo?,Bonn\n"},
     "a.csv:2: q_id missing; it has language, question, answer"),
    ("eclektic", {"a.csv": "q_id,language,question,answer\n1,de,Wo?\n"}, "a.csv:2: expected 4 cells"),
    ("eclektic", {"a.csv": ""}, "a.csv: is empty"),
    ("eclektic", {"a.csv": 'q_id,language,question,answer\n1,de,"Wo?,Bonn\n'}, "a.csv: unexpected end of data"),
    ("eclektic", {"a.jsonl": [["Wo?"]]}, "a.jsonl:1: expected an object"),
    ("eclektic", {"a.jsonl": [{"q_id": 1, "de_q": ["Wo?"], "de_a": "Bonn"}]},
     'a.jsonl:1: de_q: expected a text, got ["Wo?"]'),
    ("eclektic", {"a.jsonl": [{"q_id": "", "de_q": "Wo?", "de_a": "Bonn"}]}, "a.jsonl:1: id is empty"),
    ("eclektic", {"a.jsonl": [{"q_id": 1, "de_q": "Wo?", "de_a": "Bonn"}]}, "a.jsonl: 1 questions, none of them in two languages"),
    ("eclektic", {"a.csv": "q_id,language,question,answer\n1,de,Wo?,Bonn\n1,de,Wo?,Ulm\n"}, "a.csv:3: 1 in de differs from a.csv:2"),
    ("eclektic", {"a.txt": "Wo?"}, "a.txt: expected a name that ends in .csv, .jsonl, .json, .parquet"),
    ("multiloko", {"x/dev.jsonl": [{"id": 1, "question": "Wo?", "target": "Bonn"}]},
     "x/dev.jsonl:1: targets missing; it has id, question, target"),
    ("multiloko", {"x/dev.jsonl": [{"id": 1, "question": "Wo?", "targets": "Bonn"}]},
     "x/dev.jsonl:1: targets: expected a list of texts"),
    ("multiloko", {"german.jsonl": []}, "german.jsonl: which language? Give LANGUAGE=FILE, or a name such as english/dev.jsonl or "
     "dev_translated_human_german.jsonl"),
    ("global-mmlu", {"de.csv": MMLU + "p/1,prehistory,H,Wer?,a,b,c,d,E\n"}, "de.csv:2: answer: expected A, B, C or D, got 'E'"),
    ("global-mmlu", {"test.csv": MMLU}, "test.csv: which language? Give LANGUAGE=FILE, or a name such as de.csv"),
    ("global-mmlu", {"de.csv": MMLU + "1,a,H,Q,a,b,c,d,A\n", "en.csv": MMLU + "1,b,H,Q,a,b,c,d,A\n"}, "en.csv:2: 1: b, elsewhere a"),
    ("mkqa", {"a.jsonl": [{"example_id": 1, "queries": {"en": "x", "de": "x"}, "answers": {"en": []}}]},
     "a.jsonl:1: answers: de missing; it has en"),
    ("mkqa", {"a.jsonl": [mkqa_row(1, None)]}, "a.jsonl:1: answers: en: expected a list"),
    ("mkqa", {"a.jsonl": [{"example_id": 1, "queries": ["x"], "answers": {}}]}, "a.jsonl:1: queries: expected an object"),
    ("mkqa", {"a.jsonl": [mkqa_row(1, [{"type": "entity"}])]}, "a.jsonl:1: answers: en: text missing; it has type"),
    ("bmike53", {"a.json": {"en": {}}}, "a.json: expected a list of objects"),
    ("bmike53", {"a.json": [{"en": {"case_id": 1, "src": "x", "alt": "y"}}]}, "a.json: record 1: en: old missing; it has case_id, src, alt"),
    ("bmike53", {"a.json": [{"en": "x"}]}, "a.json: record 1: en: expected an object"),
    ("klar", {"a.txt": "Who? The answer is: B\nWho\n"}, "a.txt:2: expected 'question? label: answer'"),
    ("klar", {"a.txt": "Who? x: B\n", "b.txt": "Who? x: B\nWho? x: B\n"}, "b.txt: 2 lines, the first file has 1"),
]


@pytest.mark.parametrize(("layout", "files", "said"), CASES, ids=[said for _, _, said in CASES])
def test_what_is_refused(convert, layout, files, said):
    for name, content in files.items():
        convert.write(name, content)
    assert convert.refused(layout, *files) == said


def test_text_that_is_cut_or_in_another_encoding_is_refused(convert):
    line = json.dumps(ECLEKTIC[0] | {"de_q": "Wo steht es geschrieben, wie man hört?"}, ensure_ascii=False).encode()
    for content in (line[:40], line.decode().encode("latin-1")):
        (convert.folder / "a.jsonl").write_bytes(line + b"\n" + content)
        assert convert.refused("eclektic", "a.jsonl").startswith("a.jsonl")


def test_files_that_cannot_be_read_or_written(convert):
    assert convert.refused("mkqa", "none.jsonl", code=74) == "none.jsonl: No such file or directory"
    convert.write("main.jsonl", ECLEKTIC)
    (convert.folder / "out.jsonl").mkdir()
    assert convert.run("eclektic", "main.jsonl") == (74, "convert: out.jsonl: Is a directory\n")


def test_the_command(convert):
    """As a user calls it; a subject is of one layout."""
    convert.write("main.jsonl", ECLEKTIC)
    command = [sys.executable, "-m", "moesweep.convert", "eclektic", "main.jsonl", "-o", "out.jsonl"]
    environment = {"PYTHONPATH": str(ANALYSIS), "PYTHONUTF8": "1"}
    done = subprocess.run(command, env=environment, text=True, capture_output=True)
    assert (done.returncode, done.stdout) == (0, "") and done.stderr.startswith("2 questions")
    done = subprocess.run([*command, "--subject", "prehistory"], env=environment, text=True, capture_output=True)
    assert done.returncode == 2 and "--subject is of global-mmlu alone" in done.stderr
