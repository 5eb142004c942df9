"""How a table of /results is shown: which of its columns, in which form, with the paper's values beside them."""

import dataclasses
import typing

import numpy as np
import pandas as pd


@dataclasses.dataclass(frozen=True)
class Field:
    """A shown column, made of one or more columns of a table."""

    label: str
    columns: tuple  # of the table in /results
    show: typing.Callable  # their values in a line -> text
    right: bool = True  # numbers stand to the right
    whole: bool = True  # kept on one line


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of the report."""

    name: str  # its group in /results (unless it is made), and its files beside the page
    title: str
    text: str  # what it says, for the reader
    fields: tuple
    key: tuple = ()  # the columns that tell a line from others, as the paper's values name them
    remark: typing.Callable = lambda run, frame, paper: ""  # a sentence about the whole, such as a total
    arrange: typing.Callable = lambda run, frame: frame  # the lines to show, where not all
    make: typing.Callable | None = None  # run -> the frame, where it is no group of /results
    fold: int = 12  # more lines than these are folded away
    chosen: typing.Callable = lambda run, line: False  # is this line about the selected expert?


@dataclasses.dataclass
class Cell:
    text: str
    paper: str = ""
    apart: bool = False  # the two intervals do not overlap


@dataclasses.dataclass
class Shown:
    """A table ready for the page."""

    table: Table
    frame: pd.DataFrame  # every line and column of it
    source: str  # where the paper prints its like, such as "arXiv 2606.03780, Table 1"; empty: nowhere
    lines: list  # of lists of Cell, a cell a field
    keys: list  # each line's key
    chosen: list  # of bool
    note: str  # why it is empty or less than it could be
    remark: str

    @property
    def paper(self):
        return any(cell.paper for line in self.lines for cell in line)

    @property
    def apart(self):
        return any(cell.apart for line in self.lines for cell in line)

    @property
    def folded(self):
        return len(self.lines) > self.table.fold


def words(column, label, names=None):
    return Field(label, (column,), lambda value: (names or {}).get(value, str(value)), right=False, whole=False)


def count(column, label):
    return Field(label, (column,), lambda value: f"{value:,}")


def index(column, label):
    """A layer or an expert; -1 is none."""
    return Field(label, (column,), lambda value: str(value) if value >= 0 else "–")


def value(column, label, digits=3):
    return Field(label, (column,), lambda value: number(value, digits))


def plain(column, label, digits=2):
    """A number that has no sign to show: a share, a rank, a scale."""
    return Field(label, (column,), lambda value: f"{value:.{digits}f}" if np.isfinite(value) else "–")


def estimate(columns, label):
    """A mean and its 95% interval. `columns`: the three columns, or the prefix of mean, ci_low and ci_high."""
    if isinstance(columns, str):
        columns = tuple(f"{columns}_{end}".lstrip("_") for end in ("mean", "ci_low", "ci_high"))
    return Field(label, tuple(columns), lambda mean, low=np.nan, high=np.nan: f"{number(mean)} {interval(low, high)}".strip())


def share(column, label):
    return Field(label, (column,), percent)


def rate(name, label):
    """A share and its 95% interval: columns NAME, NAME_low, NAME_high."""
    return Field(label, (name, f"{name}_low", f"{name}_high"),
                 lambda value, low=np.nan, high=np.nan: between(*map(percent, (value, low, high)), np.isfinite(low)))


def points(name, label):
    """A difference of shares in percentage points with its 95% interval, and p: NAME, NAME_low, NAME_high, NAME_p."""
    def shown(*values):
        return between(*(number(100 * value, 1) for value in values), np.isfinite(values[1]))
    return Field(label, (name, f"{name}_low", f"{name}_high"), shown), Field("p", (f"{name}_p",), p_value)


def site(layer, expert, label="Expert"):
    return Field(label, (layer, expert), name_of, right=False)


def summary(prefix="", label="mean, 95% interval"):
    """Every column of a Summary."""
    dash = f"{prefix}_" if prefix else ""
    return (count(f"{dash}n", "n"), estimate(prefix, label), Field("p", (f"{dash}p",), p_value),
            plain(f"{dash}positive_fraction", "positive"))


def show(table, run, paper):
    """The table with its numbers, and with the paper's where there are any. `paper`: a model of paper_values.json or
    None."""
    columns = [column for field in table.fields for column in field.columns]
    whole = table.make(run) if table.make else run.table(table.name, columns)
    frame = table.arrange(run, whole)
    theirs = paper["tables"].get(table.name, {}) if paper else {}
    lines, keys, chosen = [], [], []
    for line in frame.to_dict("records"):
        key = key_of(table, line)
        lines.append([cell(field, line, theirs.get(key, {})) for field in table.fields])
        keys.append(key)
        chosen.append(table.chosen(run, line))
    return Shown(table, whole, whole.attrs.get("paper", ""), lines, keys, chosen, whole.attrs.get("note", ""),
                 table.remark(run, frame, theirs))


def key_of(table, line):
    """What names a line: "selected raw", "3 fixed"; nothing where the table has one line."""
    return " ".join(f"{line[column]:g}" if isinstance(line[column], float) else str(line[column]) for column in table.key)


def cell(field, line, theirs):
    ours = [line[column] for column in field.columns]
    if field.columns[0] not in theirs:
        return Cell(field.show(*ours))
    known = np.atleast_1d(theirs[field.columns[0]]).tolist()
    apart = len(ours) == len(known) == 3 and (ours[1] > known[2] or ours[2] < known[1])
    return Cell(field.show(*ours), field.show(*known), bool(apart))


def with_paper(shown, paper):
    """The frame with the paper's values as columns paper_..., where the paper has some."""
    theirs = paper["tables"].get(shown.table.name, {}) if paper else {}
    more = {}
    for i, line in enumerate(shown.frame.to_dict("records")):
        known = theirs.get(key_of(shown.table, line), {})
        for field in shown.table.fields:
            for column, known_value in zip(field.columns, np.atleast_1d(known.get(field.columns[0], []))):
                more.setdefault(f"paper_{column}", [None] * len(shown.frame))[i] = known_value
    return shown.frame.assign(**more)


def number(value, digits=3):
    """A signed number with a true minus sign; no sign where it rounds to zero, a dash where there is none."""
    if not np.isfinite(value):
        return "–"
    shown = f"{value:+.{digits}f}"
    return shown.replace("-", "−") if float(shown) else shown[1:]


def percent(value, digits=1):
    """A share as the paper prints it, with a true minus sign."""
    return f"{100 * value:.{digits}f}%".replace("-", "−") if np.isfinite(value) else "–"


def between(value, low, high, known):
    return f"{value} [{low}, {high}]" if known else value


def interval(low, high, digits=3):
    return f"[{number(low, digits)}, {number(high, digits)}]" if np.isfinite(low) else ""


def p_value(p):
    """A p value with two digits, and none beyond what some thousand sign flips can tell."""
    if not np.isfinite(p):
        return "–"
    return f"{p:.1g}" if p < 0.01 else f"{p:.2f}"


def name_of(layer, expert):
    """An expert's name as the paper writes it."""
    if layer < 0:
        return "none"
    return f"L{int(layer):02}E{int(expert):03}" if expert >= 0 else f"L{int(layer):02}, none"
