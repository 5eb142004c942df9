"""The report of a run: its page and a page per question, with the figures and tables beside them."""

import pathlib

from . import figures, pages, tables, words
from ..common.export import write_tables
from ..common.page import Figures, environment
from ..common.shown import show

HERE = pathlib.Path(__file__).parent


def draw(run, paper, shown, folder):
    """Draws every figure that the run has data for. Returns them by name."""
    def whole(table):
        return table[table.dataset == run.whole]

    theirs = paper["tables"].get("ablation", {}) if paper else {}
    kinds = {kind: theirs.get(f"{run.whole} {kind} {run.cap}", {}) for kind in tables.SETS}
    kinds = {kind: values for kind, values in kinds.items() if values}
    grey = " Grey: the paper." if kinds else ""
    drawn = Figures(folder)
    drawn.add("answer", figures.answer(words.at_cap(run, "ablation", "kind"), kinds),
              "Rates by whose experts are deactivated",
              f"Answers that change when experts are deactivated, by whose experts these are; cap {run.cap}.{grey}")
    drawn.add("caps", figures.caps(whole(run.results["ablation"])), "Rates by cap",
              "As the paper’s figure 2: the rates with more or fewer experts of each question; solid: its own, with "
              "95% intervals.")
    drawn.add("layers", figures.layers(whole(run.results["layers"])), "Identified experts by layer",
              "As the paper’s figures 3 and 4: an expert counts once for every question that it is found for.")
    drawn.add("languages", figures.languages(whole(shown["languages"].frame)), "Right answers by language",
              "Languages by their share of right answers.")
    return drawn


def write_rows(run, listed, folder):
    """The long tables that only machines read. Returns the file names."""
    written = {"questions": listed.rename_axis("question").reset_index(), "answers": run.asked_again(),
               "experts": run.experts}
    for name, table in written.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    return [f"{name}.csv" for name in written]


def make_report(run):
    """Writes the report into the run's folder and returns the page's path. RunError when a part is missing."""
    paper = words.paper_values(run)
    shown = {table.name: show(table, run, paper) for table in tables.PAPER + tables.BEYOND}
    folder = run.path / "report"
    folder.mkdir(exist_ok=True)
    listed = words.questions(run)
    write_tables(shown.values(), paper, folder)
    templates = environment(HERE / "templates")
    page = templates.get_template("report.html.j2").render(
        run=run, paper=paper, answer=[sentence for sentence in words.answer(run) if sentence],
        figures=draw(run, paper, shown, folder), shown=shown, of_paper=[table.name for table in tables.PAPER],
        beyond=[table.name for table in tables.BEYOND if len(shown[table.name].frame)], facts=words.facts(run),
        files=write_rows(run, listed, folder), questions=listed, page_of=pages.file_name)
    pages.write_pages(run, listed, templates.get_template("question.html.j2"), folder)
    index = folder / "index.html"
    index.write_text(page, encoding="utf-8")
    return index
