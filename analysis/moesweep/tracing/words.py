"""What the report says beside its tables: the answer, the run's facts, the cases, the paper's values, how to cite."""

import pathlib

import numpy as np
import pandas as pd

from ..common.paper import model_of
from ..common.shown import interval, number


def paper_values(run):
    """The paper's model with this run's geometry, or None."""
    known, model = model_of(run, pathlib.Path(__file__).parent / "paper_values.json")
    if model is None:
        return None
    model["tables"]["protocol"] = known["protocol"] | model["protocol"]
    return model | {"source": known["source"]}


def answer(run):
    """The answer in up to three sentences."""
    note = run.summary.get("note", "")
    lines = run.results["main_results"].set_index("name") if len(run.results["main_results"]) else None
    if lines is None or lines.n["layer_rescue"] == 0:
        return ["This run gives no answer.", note]
    validation = run.cases[run.cases.split == "validation"]
    drop = (validation.delta_clean - validation.delta_noised).mean()
    block = lines.loc["layer_rescue"]
    layer, expert = run.selected_layer, run.selected_expert
    last = ", the last one," if layer + 1 == run.number("num_hidden_layers") else ""
    said = [f"On {block.n} held-out facts, putting back the clean output of layer {layer}’s expert block{last} returns "
            f"{stated(block)} of the {drop:.2f} logits that the noise takes."]
    if expert < 0:
        return said + [note]
    alone = lines.loc["expert_rescue"]
    routed = int(run.results["validation"].active.sum())
    share = f", {alone['mean'] / block['mean']:.0%} of the block’s" if block.ci_low > 0 and alone["mean"] > 0 else ""
    said.append(f"Expert {expert} alone returns {stated(alone)}{share}; the router picks it in {routed} of these cases.")
    return said + [verdict(lines) or note]


def stated(line):
    return f"{number(line['mean'], 2)} {interval(line.ci_low, line.ci_high, 2)}"


def verdict(lines):
    """Does the selected expert stand out? Nothing where there is no control."""
    spec = lines.loc["spec"]
    if spec.n == 0:
        return ""
    together = lines.loc["coalition_clean"] if "coalition_clean" in lines.index else None
    beside = f"; all clean-routed experts together return {stated(together)}" if together is not None and together.n else ""
    if spec.ci_low > 0:
        return f"That is more than other active experts of the layer return (Spec {stated(spec)}): it stands out{beside}."
    if spec.ci_high < 0:
        return (f"Other active experts of the layer return more (Spec {stated(spec)}): the block carries the signal, this expert "
                f"does not stand out{beside}.")
    return (f"Other active experts of the layer return about as much (Spec {stated(spec)}): no single expert stands "
            f"out{beside}.")


def cases(run):
    """Every scanned case with its rescues at the selected layer and expert; NaN where there is none."""
    table = run.cases.drop(columns=["tokens"], errors="ignore").copy()
    swept = (table.split != "none") | (table.relaxed_split != "none")
    at_layer = run.rows[run.rows.layer == run.selected_layer]
    table["half"] = np.where(table.split != "none", table.split.astype(str),
                             np.where(swept, "relaxed " + table.relaxed_split.astype(str), "none"))
    table["block_rescue"] = at_layer[at_layer.kind == "block"].set_index("case").rescue
    table["active"] = 0
    table["expert_rescue"] = np.nan
    if run.selected_expert >= 0:
        expert = at_layer[(at_layer.kind == "expert") & (at_layer.expert == run.selected_expert) & (at_layer.clean_active == 1)]
        table.loc[swept, "expert_rescue"] = 0.0
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


def facts(run):
    """The run's facts as (name, value) lines."""
    meta, counts = run.meta, run.cases.status.value_counts()
    sizes = [f"{size:,} {kind.replace('_', ' ')}" for kind, size in run.rows.kind.value_counts().items() if size]
    noises = run.conditions.base.drop_duplicates(["noise_scale", "draw"])
    halves = f"{run.summary.get('discovery_cases')} discovery, {run.summary.get('validation_cases')} validation"
    relaxed = run.cases.relaxed_split.value_counts()
    lines = [("Model", f"{meta.get('model_type', '?')}, {run.setting('model.path') or '?'}"),
             ("Geometry", f"{meta.get('num_hidden_layers')} layers, hidden {meta.get('hidden_size')}, "
                          f"{meta.get('num_experts')} experts, top-{meta.get('num_experts_per_tok')}, "
                          f"vocabulary {run.number('vocab_size') or 0:,}"),
             ("Precision, BOS", f"{meta.get('precision')}, {meta.get('bos')}"),
             ("Noise", f"σ = {float(meta.get('sigma', 'nan')):.6g} ({run.setting('noise.scale')} × the embedding matrix’s standard "
                       "deviation)"),
             ("Further noises", ", ".join(f"draw {line.draw}" if line.draw else f"scale {line.noise_scale:g}"
                                         for line in noises.itertuples())),
             ("Patched runs", ", ".join(sizes) or "none"),
             ("Second pass", f"{len(run.controls):,} patched runs" if len(run.controls) else ""),
             ("Records scanned", ", ".join(f"{size:,} {name.replace('_', ' ')}" for name, size in counts.items() if size)),
             ("Split", halves),
             ("Relaxed study", f"{relaxed['discovery']} discovery, {relaxed['validation']} validation"
              if relaxed["discovery"] + relaxed["validation"] else ""),
             ("moesweep", meta.get("version", "?"))]
    lines += [(f"SHA-256 of {part}", meta.get(f"{part}_sha256", "")) for part in ("weights", "tokenizer", "facts")]
    return [(name, value) for name, value in lines if value]
