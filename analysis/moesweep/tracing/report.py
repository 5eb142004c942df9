"""The report of a run: its page, with the figures and tables beside it."""

import pathlib

from . import figures, study_figures, tables, words
from ..common.export import write_tables
from ..common.page import Figures, environment
from ..common.shown import show

HERE = pathlib.Path(__file__).parent


def draw(run, paper, folder):
    """Draws every figure that the run has data for. Returns them by name."""
    results, (layer, expert) = run.results, (run.selected_layer, run.selected_expert)
    chosen = f"layer {layer}" if layer >= 0 else "no layer"
    recurrence = run.config.getint("select", "recurrence", fallback=0)
    grey = " Grey: the paper." if paper else ""
    drawn = Figures(folder)
    add = drawn.add
    add("answer", figures.answer(results["main_results"].set_index("name"), paper["tables"]["main_results"] if paper else {}),
        "Mean rescues with intervals",
        f"Mean rescue over the validation cases when a clean piece of {chosen} is put back into the noised run.{grey}")
    add("figure1", study_figures.figure1(results, layer, paper), "Block rescue across layers, the selected expert, coalitions",
        f"As the paper’s figure 1, on the validation half, with 95% intervals; dashed: the whole block of {chosen}.{grey}")
    add("validation", figures.validation(results["validation"]), "Selected expert against its controls, case by case",
        "A point per validation case. Above the line the selected expert returns more than the case’s controls do on average.")
    add("noise", study_figures.noise(results["noise_scales"], float(run.setting("noise.scale") or "nan"), paper),
        "Rescue at every noise scale", f"Rescue of the expert at every scale of the noise; dotted: the run’s own.{grey}")
    add("layers", figures.layers(results["layers"], layer), "Block rescue of every layer",
        "Mean block rescue when a layer’s clean output is put back; the discovery half selects, the validation half tests.")
    add("heatmap", figures.heatmap(results["heatmap"], layer, expert), "Mean rescue of every expert of every layer",
        "Mean rescue over the cases of both halves, 0 where the expert is not routed; the selected expert is framed. Large maps "
        "colour by the square root.")
    add("candidates", figures.candidates(results["candidates"], recurrence, expert), "Candidates of the selected layer",
        f"How often each expert of {chosen} is active on the discovery half, and its mean rescue there.")
    add("layer_best", study_figures.layer_best(results["layer_best"], results["layers"], layer), "Every layer’s best expert",
        "Each layer’s best recurrent expert by the discovery half, on the validation half, before its block’s rescue.")
    add("draws", study_figures.draws(results["draws"]), "Validation means under every draw",
        "The three validation means under every draw of the noise, with one standard deviation between draws.")
    add("shapley", study_figures.shapley(results["shapley"], (layer, expert)), "Shapley values",
        "The largest mean Shapley values, over the cases that route to the expert.")
    return drawn


def write_rows(run, listed, folder):
    """The long tables that only machines read. Returns the file names."""
    written = {"heatmap": words.heatmap_long(run.results["heatmap"]), "validation": run.results["validation"], "cases": listed}
    for name, table in written.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    return [f"{name}.csv" for name in written]


def make_report(run):
    """Writes the report into the run's folder and returns the page's path. RunError when a part of the run is
    missing."""
    paper = words.paper_values(run)
    shown = {table.name: show(table, run, paper) for table in tables.PAPER + tables.BEYOND}
    folder = run.path / "report"
    folder.mkdir(exist_ok=True)
    listed = words.cases(run)
    write_tables(shown.values(), paper, folder)
    page = environment(HERE / "templates").get_template("report.html.j2").render(
        run=run, paper=paper, answer=[sentence for sentence in words.answer(run) if sentence],
        figures=draw(run, paper, folder), shown=shown, of_paper=[table.name for table in tables.PAPER],
        beyond=[table.name for table in tables.BEYOND], files=write_rows(run, listed, folder), facts=words.facts(run),
        rules=[text for name, text in run.summary.items() if name.startswith("rule_")], note=run.summary.get("note", ""),
        cases=listed[listed.half != "none"])
    index = folder / "index.html"
    index.write_text(page, encoding="utf-8")
    return index
