"""A report's page: its figures, and the templates that all reports share (templates/)."""

import base64
import dataclasses
import pathlib

import jinja2

from . import drawing
from .shown import number, percent

HERE = pathlib.Path(__file__).parent


@dataclasses.dataclass
class Figure:
    name: str
    alt: str
    caption: str
    uri: str = ""  # empty: nothing to draw


class Figures(dict):
    """The figures of a page by name, written into a folder."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def add(self, name, figure, alt, caption):
        """`figure`: None where there is nothing to draw."""
        self[name] = Figure(name, alt, caption)
        if figure is not None:
            svg = drawing.save(figure, self.folder, name)
            self[name].uri = "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def environment(templates):
    """Templates of a method's folder, and the common ones."""
    made = jinja2.Environment(loader=jinja2.FileSystemLoader([templates, HERE / "templates"]), autoescape=True,
                              undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters["number"], made.filters["percent"] = number, percent
    # An interval stays on one line; a narrow page may put it beneath its mean.
    made.filters["together"] = lambda text, field: text.replace(", ", ",\u00a0") if field.right else text
    return made
