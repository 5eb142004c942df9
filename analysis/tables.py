"""What the report says and lists: the answer in words, table 1 beside the paper, the run's facts, the cases."""

import json
import pathlib

import numpy as np
import pandas as pd

from figures import LABELS, number

MEANINGS = {
    "expert_rescue_active": "Selected expert, where active",
    "spec_active": "Spec, where active",
}


def paper_values(run):
    """The paper's model with this run's geometry, or None."""
    known = json.loads((pathlib.Path(__file__).parent / "paper_values.json").read_text())
    for model in known["models"]:
        if all(run.number(name) == value for name, value in model["geometry"].items()):
            return model | {"source": known["source"]}
    return None


def interval(low, high, digits=3):
    return f"[{number(low, digits)}, {number(high, digits)}]" if np.isfinite(low) else ""


def p_value(p, sign_flips):
    """A p value with two digits; the least that this many samples can give is a bound."""
    if not np.isfinite(p):
        return "–"
    if p <= 1 / (1 + sign_flips):
        return f"≤ {1 / (1 + sign_flips):.1g}"
    return f"{p:.2g}" if p < 0.1 else f"{p:.2f}"


def table1(run, paper):
    """Lines of table 1 as shown. `apart`: this run's interval and the paper's do not overlap."""
    shown = []
    for line in run.results["table1"].itertuples():
        theirs = (paper or {"table1": {}})["table1"].get(line.name)
        apart = bool(theirs) and line.n > 0 and (line.ci_low > theirs[2] or line.ci_high < theirs[1])
        shown.append({
            "name": line.name, "label": LABELS.get(line.name) or MEANINGS.get(line.name, line.name), "meaning": line.meaning,
            "n": line.n, "mean": number(line.mean), "interval": interval(line.ci_low, line.ci_high),
            "p": p_value(line.p, run.config.getint("stats", "sign_flips", fallback=10000)),
            "positive": f"{line.positive_fraction:.2f}" if line.n else "–",
            "paper": f"{number(theirs[0])} {interval(*theirs[1:])}" if theirs else "", "apart": apart})
    return shown


def cases(run):
    """Every scanned case with its rescues at the selected layer and expert; NaN where there is none."""
    table = run.cases.drop(columns=["tokens"], errors="ignore").copy()
    at_layer = run.rows[run.rows.layer == run.selected_layer]
    table["block_rescue"] = at_layer[at_layer.kind == "block"].set_index("case").rescue
    table["active"] = 0
    table["expert_rescue"] = np.nan
    if run.selected_expert >= 0:
        expert = at_layer[(at_layer.kind == "expert") & (at_layer.expert == run.selected_expert) & (at_layer.clean_active == 1)]
        table.loc[table.split != "none", "expert_rescue"] = 0.0
        table.loc[expert.case, "expert_rescue"] = expert.rescue.to_numpy()
        table.loc[expert.case, "active"] = 1
    drawn = run.results["validation"].set_index("case") if len(run.results["validation"]) else None
    for name in ("control_mean", "spec"):
        table[name] = drawn[name] if drawn is not None else np.nan
    return table


def heatmap_long(table):
    """The (layer, expert) arrays as a line per pair."""
    pairs = pd.wide_to_long(table, ["mean_rescue", "active"], "layer", "expert", sep="_") if table.shape[1] > 1 else table
    return pairs.reset_index().sort_values(["layer", "expert"], ignore_index=True)


def status_counts(run):
    counts = run.cases.status.value_counts()
    return [(name.replace("_", " "), int(count)) for name, count in counts.items() if count]


def facts(run):
    """The run's facts as (name, value) lines."""
    meta, config = run.meta, run.config
    lines = [("Model", f"{meta.get('model_type', '?')}, {config.get('model', 'path', fallback='?')}"),
             ("Geometry", f"{meta.get('num_hidden_layers')} layers, hidden {meta.get('hidden_size')}, "
                          f"{meta.get('num_experts')} experts, top-{meta.get('num_experts_per_tok')}, "
                          f"vocabulary {run.number('vocab_size') or 0:,}"),
             ("Precision, BOS", f"{meta.get('precision')}, {meta.get('bos')}"),
             ("Noise", f"σ = {float(meta.get('sigma', 'nan')):.6g} ({config.get('noise', 'scale', fallback='?')} × the "
                       "embedding matrix's standard deviation)"),
             ("Rows", ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in run.rows.kind.value_counts().items()
                                if count) or "none"),
             ("moesweep", meta.get("version", "?"))]
    return lines + [(f"SHA-256 of {part}", meta[f"{part}_sha256"]) for part in ("weights", "tokenizer", "facts")
                    if f"{part}_sha256" in meta]


def answer(run):
    """The answer in two or three sentences."""
    note = run.summary.get("note", "")
    lines = run.results["table1"].set_index("name") if len(run.results["table1"]) else None
    if lines is None or lines.n["layer_rescue"] == 0:
        return ["This run gives no answer.", note]
    validation = run.cases[run.cases.split == "validation"]
    drop = (validation.delta_clean - validation.delta_noised).mean()
    block = lines.loc["layer_rescue"]
    layer, expert = run.selected_layer, run.selected_expert
    def estimate(line):
        return f"{number(line['mean'], 2)} {interval(line.ci_low, line.ci_high, 2)}"

    said = [f"On {block.n} held-out facts, putting back the clean output of layer {layer}’s expert block returns "
            f"{estimate(block)} of the {drop:.2f} logits that the noise takes."]
    if expert < 0:
        return said + [note]
    alone = lines.loc["expert_rescue"]
    routed = int(run.results["validation"].active.sum())
    share = f", {alone['mean'] / block['mean']:.0%} of the block’s" if block.ci_low > 0 and alone["mean"] > 0 else ""
    said.append(f"Expert {expert} alone returns {estimate(alone)}{share}; the "
                f"router picks it in {routed} of these cases.")
    spec = lines.loc["spec"]
    if spec.n == 0:
        return said + [note]
    gap = f"Spec {estimate(spec)}"
    if spec.ci_low > 0:
        said.append(f"That is more than other active experts of the layer return ({gap}): it stands out.")
    elif spec.ci_high < 0:
        said.append(f"Other active experts of the layer return more ({gap}): the block carries the signal, this expert does not "
                    "stand out.")
    else:
        said.append(f"Other active experts of the layer return about as much ({gap}): no single expert stands out.")
    if layer + 1 == run.number("num_hidden_layers"):
        said.append(f"Layer {layer} is the last one, so its rescue is a direct effect on the logits.")
    return said
