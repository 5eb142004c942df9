"""The figures of the whole study: the paper's figure 1, noise scales and draws, every layer's best expert, Shapley
values."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MaxNLocator

from ..common.drawing import BLUE, INK, MUTED, PAPER, RULE, RUST, WIDTH
from ..common.shown import name_of, number


def figure1(results, selected, paper):
    """The paper's figure 1: block rescue across layers; the expert's specificity; coalitions against the block."""
    main = results["main_results"].set_index("name")
    coalitions = results["coalitions"].set_index("quantity")
    if results["layers"].empty or main.empty or main.n["layer_rescue"] == 0:
        return None
    theirs = paper["tables"] if paper else {}
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(1.3 * WIDTH, 2.8), width_ratios=[1.35, 1, 1])
    curve(left, results["layers"], selected)
    left.set_title("Block rescue across layers", loc="left", fontsize=9.5, color=INK)

    names = {"expert_rescue": "selected", "control_mean": "controls", "spec": "Spec"}
    points(middle, [(label, main.loc[name], theirs.get("main_results", {}).get(name)) for name, label in names.items()
                    if main.n[name] > 0], emphasised="Spec")
    middle.set_title("The selected expert", loc="left", fontsize=9.5, color=INK)

    names = {"clean_topk": "clean-\nrouted", "routing_union": "all\nrouted", "expert": "selected"}
    points(right, [(label, coalitions.loc[name], theirs.get("coalitions", {}).get(name)) for name, label in names.items()
                   if name in coalitions.index and coalitions.n[name] > 0])
    block = main.loc["layer_rescue"]
    right.axhspan(block.ci_low, block.ci_high, color=MUTED, alpha=0.1, lw=0, zorder=0)
    right.axhline(block["mean"], color=MUTED, lw=1.1, ls=(0, (4, 2)), zorder=1)
    right.set_title("Coalitions; dashed: whole block", loc="left", fontsize=9.5, color=INK)
    return figure


def curve(axes, table, selected):
    axes.axhline(0, color=RULE, zorder=0)
    marks = {"marker": "o", "ms": 4} if len(table) <= 12 else {}
    axes.fill_between(table.layer, table.validation_ci_low, table.validation_ci_high, color=BLUE, alpha=0.16, lw=0)
    axes.plot(table.layer, table.validation_mean, color=BLUE, lw=1.8, **marks)
    if selected in set(table.layer):
        axes.axvline(selected, color=RUST, lw=0.9, ls=(0, (1, 2)), zorder=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="layer", ylabel="rescue, logits")


def points(axes, lines, emphasised=None):
    """A point with its interval per line (label, summary, the paper's line or None)."""
    axes.axhline(0, color=RULE, zorder=0)
    for x, (label, line, theirs) in enumerate(lines):
        color = RUST if label == emphasised else BLUE
        axes.plot([x, x], [line.ci_low, line.ci_high], color=color, lw=2.2, solid_capstyle="round", zorder=3)
        axes.plot(x, line["mean"], "o", color=color, ms=7, mec="white", mew=0.9, zorder=4)
        axes.annotate(number(line["mean"], 2), (x, line["mean"]), xytext=(7, 0), textcoords="offset points", va="center",
                      fontsize=8.5, color=INK)
        if theirs:
            mean, low, high = theirs["mean"]
            axes.plot([x - 0.2] * 2, [low, high], color=PAPER, lw=1.4, solid_capstyle="round")
            axes.plot(x - 0.2, mean, "o", color="white", ms=4.5, mec=PAPER, mew=1.2)
    axes.set_xticks(range(len(lines)), [label for label, *_ in lines], color=INK)
    axes.set_xlim(-0.5, max(len(lines), 1) - 0.3)
    axes.margins(y=0.15)


def noise(table, own, paper):
    """Rescue of the expert, and what the noise takes, at every scale."""
    if table.scale.nunique() < 2:
        return None
    figure, (left, right) = plt.subplots(1, 2, figsize=(1.2 * WIDTH, 2.7), width_ratios=[1.5, 1])
    for axes in (left, right):
        axes.axhline(0, color=RULE, zorder=0)
        axes.axvline(own, color=MUTED, lw=0.9, ls=(0, (1, 2)), zorder=0)
        axes.set_xticks(table.scale.unique())
        axes.set_xlabel("noise scale")
    anew, fixed = (table[(table.selection == name) & (table.rescue_n > 0)] for name in ("anew", "fixed"))
    left.plot(anew.scale, anew.rescue_mean, "o", color="white", ms=9, mec=RUST, mew=1.3, label="selected anew")
    left.fill_between(fixed.scale, fixed.rescue_ci_low, fixed.rescue_ci_high, color=BLUE, alpha=0.16, lw=0)
    left.plot(fixed.scale, fixed.rescue_mean, "o-", color=BLUE, lw=1.8, ms=4.5, label="fixed, 95% interval")
    for line in (paper or {"tables": {}})["tables"].get("noise_scales", {}).items():
        scale, (mean, low, high) = float(line[0].split()[0]), line[1]["rescue_mean"]
        left.plot([scale + 0.06] * 2, [low, high], color=PAPER, lw=1.4)
        left.plot(scale + 0.06, mean, "o", color="white", ms=4.5, mec=PAPER, mew=1.2)
    left.set_ylabel("rescue of the expert, logits")
    left.margins(y=0.15)
    left.legend(loc="best")
    right.plot(fixed.scale, fixed.mean_drop, "o-", color=INK, lw=1.5, ms=4.5)
    right.set_ylim(bottom=min(0, right.get_ylim()[0]))
    right.set_ylabel("what the noise takes, logits")
    return figure


def layer_best(table, layers, selected):
    """Every layer's best recurrent expert on the validation half, before its block's rescue."""
    known = table[table.rescue_n > 0] if len(table) else table
    if known.empty:
        return None
    figure, axes = plt.subplots(figsize=(WIDTH, 2.9))
    axes.axhline(0, color=RULE, zorder=0)
    axes.plot(layers.layer, layers.validation_mean, color=PAPER, lw=1.4, zorder=1, label="whole block")
    chosen = known.layer == selected
    for which, color, label in ((~chosen, BLUE, "best recurrent expert, 95% interval"), (chosen, RUST, "at the selected layer")):
        axes.vlines(known.layer[which], known.rescue_ci_low[which], known.rescue_ci_high[which], color=color, lw=1.8)
        axes.plot(known.layer[which], known.rescue_mean[which], "o", color=color, ms=5, mec="white", mew=0.8, label=label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0.04, y=0.12)
    axes.set(xlabel="layer", ylabel="rescue, logits")
    axes.legend(loc="best")
    return figure


def draws(table):
    """The three validation means under every draw of the noise, with their standard deviation as bands."""
    if len(table) < 2:
        return None
    figure, axes = plt.subplots(figsize=(WIDTH, 2.6))
    axes.axhline(0, color=RULE, zorder=0)
    for name, label, color in (("layer_rescue", "whole block", MUTED), ("expert_rescue", "selected expert", BLUE),
                               ("spec", "Spec", RUST)):
        mean, spread = table[name].mean(), float(table.attrs.get(f"{name}_sd", "nan"))
        if np.isfinite(spread):
            axes.axhspan(mean - spread, mean + spread, color=color, alpha=0.1, lw=0)
        axes.axhline(mean, color=color, lw=0.8)
        axes.plot(table.draw, table[name], "o", color=color, ms=6, mec="white", mew=0.8)
        axes.annotate(label, (1, mean), xycoords=("axes fraction", "data"), xytext=(6, 0), textcoords="offset points",
                      va="center", color=color, fontsize=8.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlim(table.draw.min() - 0.5, table.draw.max() + 0.5)
    axes.set(xlabel="draw", ylabel="validation mean, logits")
    return figure


def shapley(table, selected, most=20):
    """The largest mean Shapley values, with intervals and how often the expert is routed."""
    if table.empty:
        return None
    shown = table.assign(size=table["mean"].abs()).nlargest(most, "size").sort_values("mean", ascending=False)
    figure, axes = plt.subplots(figsize=(WIDTH, 0.9 + 0.26 * len(shown)))
    axes.axvline(0, color=RULE, zorder=0)
    for y, line in enumerate(shown.itertuples()):
        color = RUST if (line.layer, line.expert) == selected else BLUE
        axes.plot([line.ci_low, line.ci_high], [y, y], color=color, lw=2, solid_capstyle="round")
        axes.plot(line.mean, y, "o", color=color, ms=6, mec="white", mew=0.9)
        axes.annotate(f"{line.n}", (1, y), xycoords=("axes fraction", "data"), xytext=(6, 0), textcoords="offset points",
                      va="center", fontsize=8, color=MUTED)
    axes.annotate("cases", (1, 1), xycoords="axes fraction", xytext=(6, 2), textcoords="offset points", fontsize=8, color=MUTED)
    axes.set_yticks(range(len(shown)), [name_of(line.layer, line.expert) for line in shown.itertuples()], color=INK)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("Shapley value where routed, logits (95% intervals)")
    return figure
