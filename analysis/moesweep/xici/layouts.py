"""The layouts of public multilingual datasets: each is read as entries, one a (question, language)."""

import csv
import gzip
import json
import pathlib
import re
from typing import NamedTuple

csv.field_size_limit(1 << 30)  # ECLeKTic carries whole articles


class InputError(Exception):
    """A file that is not of the layout, or contradicts itself. One line, which names the file and the field."""


class Entry(NamedTuple):
    """A question in one language. `answers` may be empty: then `without` says why."""

    where: str  # file and line, for messages
    id: str
    language: str
    question: str
    answers: list[str]
    relation: str | None = None
    without: str = "no answer"


def text(row, field, where):
    """A field's text without outer blanks; of a number its digits, "" where there is none."""
    value = row[field]
    if value is None or value != value:  # an empty cell of a Parquet file is a NaN
        return ""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise InputError(f"{where}: {field}: expected a text, got {json.dumps(value, ensure_ascii=False, default=str)[:60]}")
    return str(value).strip()


def texts(row, field, where):
    """A field's list of texts."""
    if not isinstance(row[field], list):
        raise InputError(f"{where}: {field}: expected a list of texts")
    return [text({field: value}, field, where) for value in row[field]]


def require(row, fields, where):
    """Refuses what is no object, or one that lacks some of the fields."""
    if not isinstance(row, dict):
        raise InputError(f"{where}: expected an object")
    missing = [field for field in fields if field not in row]
    if missing:
        raise InputError(f"{where}: {', '.join(missing)} missing; it has {', '.join(map(str, row)) or 'nothing'}")


def open_text(path):
    opener = gzip.open if path.suffix == ".gz" else open
    return opener(path, "rt", encoding="utf-8-sig", newline="")


def rows(path, fields):
    """(where, row) of a .csv, .jsonl, .json (a list) or .parquet file, the text ones also with .gz. Every row has the
    fields."""
    kind = path.suffixes[-2] if path.suffix == ".gz" and len(path.suffixes) > 1 else path.suffix
    readers = {".csv": csv_rows, ".jsonl": jsonl_rows, ".json": json_rows, ".parquet": parquet_rows}
    if kind not in readers:
        raise InputError(f"{path}: expected a name that ends in {', '.join(readers)}")
    try:
        for where, row in readers[kind](path):
            require(row, fields, where)
            yield where, row
    except (UnicodeDecodeError, json.JSONDecodeError, csv.Error, EOFError, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: {error}") from None


def csv_rows(path):
    with open_text(path) as file:
        reader = csv.DictReader(file, strict=True)
        if reader.fieldnames is None:
            raise InputError(f"{path}: is empty")
        for row in reader:
            if None in row or None in row.values():
                raise InputError(f"{path}:{reader.line_num}: expected {len(reader.fieldnames)} cells")
            yield f"{path}:{reader.line_num}", row


def jsonl_rows(path):
    with open_text(path) as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    yield f"{path}:{number}", json.loads(line)
                except json.JSONDecodeError as error:
                    raise InputError(f"{path}:{number}: {error}") from None


def json_rows(path):
    with open_text(path) as file:
        whole = json.load(file)
    if not isinstance(whole, list):
        raise InputError(f"{path}: expected a list of objects")
    yield from ((f"{path}: record {number}", row) for number, row in enumerate(whole, 1))


def parquet_rows(path):
    import pandas
    try:
        frame = pandas.read_parquet(path)
    except (ImportError, ValueError) as error:  # pyarrow is missing, or the file is none
        raise InputError(f"{path}: {str(error).splitlines()[0]}") from None
    yield from ((f"{path}: row {number}", row) for number, row in enumerate(frame.to_dict("records"), 1))


def labelled(files, pattern, example):
    """(language, path) of files given as LANGUAGE=FILE, or named after their language as the pattern says."""
    for name in files:
        language, equals, rest = name.partition("=")
        path = pathlib.Path(rest if equals else name)
        match = None if equals else re.search(pattern, path.as_posix())
        found = match[match.lastindex] if match else language if equals else ""
        if not found:
            raise InputError(f"{name}: which language? Give LANGUAGE=FILE, or a name such as {example}")
        yield found, path


def eclektic(files, options):
    """A row a question with q_id, de_q, de_a, en_q, en_a ...; or a row a (question, language) with q_id, language,
    question and answer."""
    for path in map(pathlib.Path, files):
        for where, row in rows(path, ["q_id"]):
            pairs = [field[:-2] for field in row if field.endswith("_q")]
            if pairs:
                require(row, [f"{code}_a" for code in pairs], where)
                for code in pairs:
                    answer = text(row, f"{code}_a", where)
                    yield Entry(where, text(row, "q_id", where), code, text(row, f"{code}_q", where), [answer])
            else:
                require(row, ["language", "question", "answer"], where)
                yield Entry(where, text(row, "q_id", where), text(row, "language", where), text(row, "question", where),
                            [text(row, "answer", where)])


def multiloko(files, options):
    """A file a language: english/dev.jsonl and english/dev_translated_human_german.jsonl, with id, question and
    targets."""
    for language, path in labelled(files, r"_translated_(?:human|machine)_(\w+)\.jsonl$|([^/]+)/dev\.jsonl$",
                                   "english/dev.jsonl or dev_translated_human_german.jsonl"):
        for where, row in rows(path, ["id", "question", "targets"]):
            yield Entry(where, text(row, "id", where), language, text(row, "question", where), texts(row, "targets", where))


def global_mmlu(files, options):
    """A file a language, such as de.csv, with sample_id, subject, question, option_a to option_d and answer, a
    letter."""
    for language, path in labelled(files, r"(?:^|/)([a-z]{2}|fil)\.(?:csv|jsonl?|parquet)(?:\.gz)?$", "de.csv"):
        for where, row in rows(path, ["sample_id", "subject", "question", *(f"option_{x}" for x in "abcd"), "answer"]):
            subject, letter = text(row, "subject", where), text(row, "answer", where)
            if options.subject and subject not in options.subject:
                continue
            if letter not in ("A", "B", "C", "D"):
                raise InputError(f"{where}: answer: expected A, B, C or D, got '{letter}'")
            yield Entry(where, text(row, "sample_id", where), language, text(row, "question", where),
                        [text(row, f"option_{letter.lower()}", where)], subject)


NO_SHORT_ANSWER = {"unanswerable": "unanswerable", "long_answer": "a long answer"}


def mkqa(files, options):
    """mkqa.jsonl: example_id, queries by language, answers by language, each with type, text and aliases."""
    for path in map(pathlib.Path, files):
        for where, row in rows(path, ["example_id", "queries", "answers"]):
            require(row["queries"], [], f"{where}: queries")
            require(row["answers"], row["queries"], f"{where}: answers")
            for language in row["queries"]:
                answers, without = [], "no answer"
                if not isinstance(row["answers"][language], list):
                    raise InputError(f"{where}: answers: {language}: expected a list")
                for answer in row["answers"][language]:
                    require(answer, ["type"], f"{where}: answers: {language}")
                    if answer["type"] in NO_SHORT_ANSWER:
                        without = NO_SHORT_ANSWER[answer["type"]]
                    else:
                        require(answer, ["text"], f"{where}: answers: {language}")
                        answers += [text(answer, "text", where), *texts({"aliases": []} | answer, "aliases", where)]
                yield Entry(where, text(row, "example_id", where), language, text(row["queries"], language, where), answers,
                            without=without)


def bmike53(files, options):
    """BMIKE-53's counterfact_test_de.json: a list of records by language, with case_id, src and old, the true
    answer."""
    for path in map(pathlib.Path, files):
        for where, row in rows(path, []):
            for language, record in row.items():
                require(record, ["case_id", "src", "old"], f"{where}: {language}")
                yield Entry(where, text(record, "case_id", where), language, text(record, "src", where),
                            [text(record, "old", where)])


# A question, its mark and a label of at most 40 characters, then the answer.
KLAR = re.compile(r"(.*?[?？؟;])\s*([^:：?？؟;]{1,40})[:：]\s*(.*)")


def klar(files, options):
    """A file a language, such as eng_Latn.txt: a line a fact, `question? label: answer`, the same in every file. Lines
    whose question is the same in the first file are one question with several answers."""
    first = {}  # line -> id, by the first file
    for language, path in labelled(files, r"(?:^|/)(\w+)\.txt$", "eng_Latn.txt"):
        try:
            with open_text(path) as file:
                lines = file.read().split("\n")
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: {error}") from None
        found, lines = {}, [line.strip() for line in lines]
        while lines and not lines[-1]:
            lines.pop()
        for number, line in enumerate(lines, 1):
            if not (match := KLAR.fullmatch(line)):
                raise InputError(f"{path}:{number}: expected 'question? label: answer'")
            found[number] = (match[1].strip(), match[3].strip())
        if not first:
            of_question = {}
            first = {number: of_question.setdefault(question, len(of_question) + 1)
                     for number, (question, _) in found.items()}
        if found.keys() != first.keys():
            raise InputError(f"{path}: {len(found)} lines, the first file has {len(first)}")
        united = {}
        for number, (question, answer) in found.items():
            united.setdefault(first[number], (number, question, []))[2].append(answer)
        for key, (number, question, answers) in united.items():
            yield Entry(f"{path}:{number}", f"klar-{key:04d}", language, question, answers)


LAYOUTS = {"eclektic": eclektic, "multiloko": multiloko, "global-mmlu": global_mmlu, "mkqa": mkqa, "bmike53": bmike53,
           "klar": klar}
