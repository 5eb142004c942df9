"""A page per question: its answers in every language, as asked and under each condition, and its experts."""

import dataclasses

import pandas as pd

from ..common.shown import name_of, p_value
from .tables import SETS


@dataclasses.dataclass
class Column:
    """A condition with its answers."""

    label: str
    experts: int
    answers: dict  # language -> (text, right or None)

    @property
    def right(self):
        return sum(right is True for _, right in self.answers.values())


@dataclasses.dataclass
class Page:
    """A question's page."""

    question: int
    facts: dict  # its line in words.questions
    variants: list  # of (language, text, reference)
    columns: list  # as asked, then under the conditions of identify.cap
    further: list  # Columns of other caps and of single experts: shown by their numbers
    experts: list  # of the lines of /experts, as dicts

    @property
    def name(self):
        return file_name(self.question)

    def counts(self, column):
        """(right before, of these lost, wrong before, of these gained) of a further column."""
        pairs = [(before, column.answers[language][1]) for language, (_, before) in self.columns[0].answers.items()
                 if language in column.answers]
        right, wrong = ([after for before, after in pairs if before is which] for which in (True, False))
        return len(right), right.count(False), len(wrong), wrong.count(True)


def file_name(question):
    return f"questions/{question:06}.html"


def pages(run, listed):
    """Every question's page. `listed`: words.questions."""
    by_trial = {}
    for line in run.answers[["trial", "language", "text", "right"]].itertuples():
        right = None if pd.isna(line.right) else bool(line.right)
        by_trial.setdefault(line.trial, {})[line.language] = line.text, right
    experts = run.experts.assign(others=others(run.experts))
    conditions, variants, experts = (dict(list(table.groupby("question")))
                                     for table in (run.conditions, run.variants, experts))
    own = run.experts[run.experts.kept == 1].groupby("question")
    names = {question: [name_of(*pair) for pair in zip(lines.layer, lines.expert)] for question, lines in own}
    as_asked = run.trials[run.trials.experts == 0]
    asked = dict(zip(as_asked.question, as_asked.index))
    for question, facts in zip(listed.index, listed.to_dict("records")):
        columns, further = [Column("as asked", 0, by_trial.get(asked[question], {}))], []
        for line in conditions[question].itertuples() if question in conditions else ():
            if line.trial not in by_trial:  # has not been asked
                continue
            column = Column(label_of(run, line, names), run.trials.experts[line.trial], by_trial[line.trial])
            (columns if line.cap == run.cap and line.kind != "single" else further).append(column)
        lines = variants[question]
        yield Page(question, facts, list(zip(lines.language, lines.text, lines.reference)), columns, further,
                   [line | {"name": name_of(line["layer"], line["expert"]), "p": p_value(line["p"])}
                    for line in (experts[question].to_dict("records") if question in experts else [])])


def others(experts):
    """Of how many other questions each line's expert is one, within the cap."""
    kept = experts.groupby(["layer", "expert"]).kept.transform("sum")
    return kept - experts.kept


def label_of(run, line, names):
    """A condition in words."""
    if line.kind == "single":
        return f"{names[line.question][line.draw]} alone"
    text = SETS.get(line.kind, line.kind)
    if line.source != line.question:
        text += f", of {run.questions.id[line.source]}"
    if line.kind == "random":
        text = f"random, draw {line.draw}"
    return text if line.cap == run.cap else f"{text}, cap {line.cap}"


def write_pages(run, listed, template, folder):
    """Writes FOLDER/questions/NNNNNN.html for every question."""
    (folder / "questions").mkdir(exist_ok=True)
    last = len(listed) - 1
    for page in pages(run, listed):
        beside = [file_name(number) if 0 <= number <= last else "" for number in (page.question - 1, page.question + 1)]
        text = template.render(run=run, page=page, beside=beside)
        (folder / page.name).write_text(text, encoding="utf-8")
