"""The demo's questions: facts of ../relations/ asked in sixteen languages, by templates.ini and people.txt. Names stay
as they are in English, in every language."""

import configparser
import json
import random
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from facts import read_relations  # noqa: E402

DATASET = "demo"


@dataclass(frozen=True)
class Question:
    """A fact asked in every language, {code: text}, and its answers, the reference first."""

    id: str
    relation: str
    texts: dict[str, str]
    answers: list[str]

    def record(self) -> dict:
        """A line of questions.jsonl."""
        return {"id": self.id, "dataset": DATASET, "relation": self.relation,
                "languages": {code: {"question": text, "answers": self.answers} for code, text in self.texts.items()}}


def read_people() -> dict[str, str]:
    """{surname: full name} of people.txt"""
    lines = (HERE / "people.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("=") for line in lines if "=" in line and not line.startswith("#"))
    return {last.strip(): f"{first.strip()} {last.strip()}" for first, names in pairs for last in names.split(";")}


def read_templates() -> dict[str, dict[str, str]]:
    """{relation: {language: template}}"""
    parser = configparser.ConfigParser(interpolation=None, delimiters="=")
    parser.optionxform = str
    parser.read(HERE / "templates.ini", encoding="utf-8")
    return {section: dict(parser[section]) for section in parser.sections()}


def make_questions() -> list[Question]:
    """All questions in a fixed random order, so that the first ones are of every relation."""
    full = read_people()
    templates = read_templates()
    questions = []
    for relation in read_relations(HERE.parent / "relations"):
        if relation.id not in templates:
            continue
        for subject, name in relation.facts:
            questions.append(Question(
                f"{relation.id}-{len(questions):03d}", relation.id,
                {code: text.format(subject) for code, text in templates[relation.id].items()},
                list(dict.fromkeys([full.get(name, name), name]))))
    random.Random(0).shuffle(questions)
    return questions


def write_questions(questions: list[Question], path: Path) -> None:
    lines = [json.dumps(question.record(), ensure_ascii=False) for question in questions]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
