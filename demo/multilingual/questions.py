"""The demo's questions: the facts of ../relations/ asked in twelve languages, by templates.ini, people.txt and russian.txt.

Subjects keep their English names. So do the answers, but for Russian, where they are in Cyrillic.
"""

import configparser
import json
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from facts import read_relations  # noqa: E402

DATASET = "demo"


@dataclass(frozen=True)
class Question:
    """A fact asked in every language: {code: question text} and {code: answers}, the reference first."""

    id: str
    relation: str
    texts: dict[str, str]
    answers: dict[str, list[str]]

    def record(self) -> dict:
        """A line of questions.jsonl."""
        return {"id": self.id, "dataset": DATASET, "relation": self.relation,
                "languages": {code: {"question": text, "answers": self.answers[code]} for code, text in self.texts.items()}}


def read_pairs(path: Path) -> list[tuple[str, str]]:
    """The lines `key = value` of a file, without its comments."""
    lines = (line for line in path.read_text(encoding="utf-8").splitlines() if line.strip() and not line.startswith("#"))
    return [(key.strip(), value.strip()) for key, _, value in (line.partition("=") for line in lines)]


def read_templates() -> dict[str, dict[str, str]]:
    """{relation: {language: template}}"""
    parser = configparser.ConfigParser(interpolation=None, delimiters="=")
    parser.optionxform = str
    parser.read(HERE / "templates.ini", encoding="utf-8")
    return {section: dict(parser[section]) for section in parser.sections()}


def make_questions() -> list[Question]:
    """All questions, by relation and in the order of the facts."""
    full = {last.strip(): f"{first} {last.strip()}" for first, names in read_pairs(HERE / "people.txt")
            for last in names.split(";")}
    russian = dict(read_pairs(HERE / "russian.txt"))
    templates = read_templates()
    questions = []
    for relation in read_relations(HERE.parent / "relations"):
        if relation.id not in templates:
            continue
        for index, (subject, name) in enumerate(relation.facts):
            latin = list(dict.fromkeys([full.get(name, name), name]))
            questions.append(Question(
                f"{relation.id}-{index:02d}", relation.id,
                {code: text.format(subject) for code, text in templates[relation.id].items()},
                {code: [russian[name], *latin] if code == "ru" else latin for code in templates[relation.id]}))
    return questions


def write_questions(questions: list[Question], path: Path) -> None:
    lines = [json.dumps(question.record(), ensure_ascii=False) for question in questions]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
