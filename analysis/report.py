"""Makes RUN/report/ from RUN/sweep.h5 alone: index.html, self-contained, with its figures (SVG, PNG) and tables (CSV).

    python analysis/report.py RUN
"""

import argparse
import base64
import pathlib
import sys

import jinja2

import figures
import tables
from load import RunError, load

HERE = pathlib.Path(__file__).parent


def draw(run, paper, folder):
    """Draws every figure that the run has data for. Returns name -> data URI."""
    results = run.results
    recurrence = run.config.getint("select", "recurrence", fallback=0)
    drawn = {
        "answer": figures.answer(results["table1"].set_index("name"), paper["table1"] if paper else {}),
        "layers": figures.layers(results["layers"], run.selected_layer),
        "heatmap": figures.heatmap(results["heatmap"], run.selected_layer, run.selected_expert),
        "candidates": figures.candidates(results["candidates"], recurrence, run.selected_expert),
        "validation": figures.validation(results["validation"]),
    }
    uris = {}
    for name, figure in drawn.items():
        if figure is not None:
            svg = figures.save(figure, folder, name)
            uris[name] = "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
    return uris


def write_csv(run, listed, paper, folder):
    """Writes every table in full. Returns the file names."""
    table1 = run.results["table1"].copy()
    for i, end in enumerate(("mean", "ci_low", "ci_high")):
        table1[f"paper_{end}"] = [paper["table1"].get(name, [None] * 3)[i] if paper else None for name in table1["name"]]
    written = {"table1": table1, "layers": run.results["layers"], "candidates": run.results["candidates"],
               "heatmap": tables.heatmap_long(run.results["heatmap"]), "validation": run.results["validation"], "cases": listed}
    for name, table in written.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    return [f"{name}.csv" for name in written]


def make_report(path):
    """Writes the report of the run in folder `path` and returns the page's path. RunError when the run cannot be read."""
    run = load(path)
    paper = tables.paper_values(run)
    folder = run.path / "report"
    folder.mkdir(exist_ok=True)
    listed = tables.cases(run)
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(HERE / "templates"), autoescape=True,
                                     undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["number"] = figures.number
    page = environment.get_template("report.html.j2").render(
        run=run, paper=paper, answer=[sentence for sentence in tables.answer(run) if sentence],
        figures=draw(run, paper, folder), csv=write_csv(run, listed, paper, folder), table1=tables.table1(run, paper),
        facts=tables.facts(run), statuses=tables.status_counts(run),
        recurrence=run.config.get("select", "recurrence", fallback="?"),
        candidates=run.results["candidates"].sort_values(["discovery_active", "expert"], ascending=[False, True]).head(12),
        rules=[text for name, text in run.summary.items() if name.startswith("rule_")], note=run.summary.get("note", ""),
        cases=listed[listed.split != "none"])
    index = folder / "index.html"
    index.write_text(page, encoding="utf-8")
    return index


def main():
    parser = argparse.ArgumentParser(description="Makes RUN/report/index.html from RUN/sweep.h5.")
    parser.add_argument("run", help="a run's folder")
    try:
        print(make_report(parser.parse_args().run))
    except RunError as error:
        print(f"report: {error}", file=sys.stderr)
        return 65
    except OSError as error:
        print(f"report: {error.filename}: {error.strerror}", file=sys.stderr)
        return 74
    return 0


if __name__ == "__main__":
    sys.exit(main())
