"""The figures of the report. A function draws one from a run's frames, or returns None where there is none."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MaxNLocator, PercentFormatter

from ..common.drawing import BLUE, INK, MUTED, PAPER, RULE, RUST, WIDTH
from ..common.shown import percent
from .tables import SETS

RATES = {"success": ("ablation success", BLUE, "o"), "gain": ("spurious gain", RUST, "s")}
LINES = {"identified": "-", "random": (0, (1, 1.5)), "shuffled": (0, (4, 2))}  # of the sets that every cap has


def answer(own, paper):
    """Success and spurious gain of every kind of sets; the paper's, where there are any, over ours in grey. `own`:
    lines of /results/ablation by kind."""
    kinds = [kind for kind in SETS if kind in own.index and np.isfinite(own.success[kind])]
    if not kinds:
        return None
    figure, axes = plt.subplots(figsize=(WIDTH, 0.9 + 0.5 * len(kinds)))
    for y, kind in enumerate(kinds):
        for shift, (name, (label, color, marker)) in zip((-0.13, 0.13), RATES.items()):
            line = own.loc[kind]
            ends = line[f"{name}_low"], line[f"{name}_high"]
            axes.plot(ends, [y + shift] * 2, color=color, lw=2.2, solid_capstyle="round")
            axes.plot(line[name], y + shift, marker, color=color, ms=6, mec="white", mew=0.9, clip_on=False,
                      label=None if y else label)
            if name in paper.get(kind, {}):
                axes.plot(paper[kind][name], y + shift, marker, color="white", ms=4.5, mec=PAPER, mew=1.2)
        ends = own.loc[kind, ["success", "success_high", "gain_high"]].astype(float)
        right = np.nanmax([*ends, paper.get(kind, {}).get("success", 0)])
        axes.annotate(percent(own.success[kind]), (right, y), xytext=(8, 0), textcoords="offset points", va="center",
                      color=INK, fontsize=8.5)
    axes.set_yticks(range(len(kinds)), [SETS[kind].capitalize() for kind in kinds], color=INK)
    axes.set_ylim(len(kinds) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.margins(x=0.12)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_xlabel("share of answers (95% intervals" + ("; grey: the paper)" if paper else ")"))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.0 + 0.32 / (0.3 + 0.5 * len(kinds))), ncols=2)
    return figure


def caps(table):
    """The paper's figure 2: success, spurious gain and their difference by cap. `table`: lines of /results/ablation."""
    if table.cap.nunique() < 2:
        return None
    figure, (left, right) = plt.subplots(1, 2, figsize=(1.3 * WIDTH, 3.1), sharex=True)
    for kind, style in LINES.items():
        lines = table[table.kind == kind].sort_values("cap")
        if lines.empty:
            continue
        width = 1.9 if kind == "identified" else 1.3
        for name, (label, color, marker) in RATES.items():
            left.plot(lines.cap, lines[name], color=color, ls=style, lw=width, marker=marker, ms=4)
        right.plot(lines.cap, lines.difference, color=INK, ls=style, lw=width, marker="o", ms=4, label=SETS[kind])
        if kind == "identified":
            for axes, name, color in ((left, "success", BLUE), (left, "gain", RUST), (right, "difference", INK)):
                axes.fill_between(lines.cap, lines[f"{name}_low"], lines[f"{name}_high"], color=color, alpha=0.12, lw=0)
    left.legend(handles=[plt.Line2D([], [], color=color, marker=marker, ms=4, label=label)
                         for label, color, marker in RATES.values()], loc="best")
    left.set_title("Success and spurious gain", loc="left", fontsize=9.5, color=INK)
    right.set_title("Rate difference", loc="left", fontsize=9.5, color=INK)
    right.legend(loc="best")
    for axes in (left, right):
        axes.axhline(0, color=RULE, zorder=0)
        axes.set_xticks(sorted(table.cap.unique()))
        axes.set_xlabel("experts of a question at most")
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.margins(y=0.12)
    return figure


def layers(table):
    """The paper's figures 3 and 4: how often experts of a layer are identified, and how many different ones."""
    if table.identified.sum() + table.blacklisted.sum() == 0:
        return None
    figure, axes = plt.subplots(figsize=(WIDTH, 2.9))
    axes.bar(table.layer, table.identified, width=0.82, color=BLUE, alpha=0.45, label="times identified")
    axes.bar(table.layer, table.experts, width=0.82, color=BLUE, label="different experts")
    axes.plot(table.layer, table.blacklisted, "o", color="white", mec=RUST, mew=1.2, ms=4.5, clip_on=False, zorder=3,
              label="generalists left out")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=16, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0.02)
    axes.set_ylim(0, 1.28 * max(table.identified.max(), table.blacklisted.max()))
    axes.set(xlabel="layer", ylabel="experts")
    axes.legend(loc="upper center", ncols=3)
    return figure


def languages(table):
    """Accuracy of every language, and the share of right answers that is lost without the questions' experts."""
    if table.empty:
        return None
    table = table.sort_values("accuracy", ascending=False, kind="stable")
    figure, axes = plt.subplots(figsize=(WIDTH if len(table) <= 24 else 1.3 * WIDTH, 2.7))
    x = np.arange(len(table))
    axes.bar(x, table.accuracy, width=0.78, color=BLUE, alpha=0.8, label="right as asked")
    lost = np.isfinite(table.success)
    axes.plot(x[lost], table.success[lost], "s", color=RUST, ms=5, mec="white", mew=0.8, clip_on=False,
              label="of right answers, lost without the question’s experts")
    upright = table.language.str.len().max() <= 3 and len(table) <= 24
    axes.set_xticks(x, table.language, color=INK, rotation=0 if upright else 90)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_ylim(0, 1.25 * max(table.accuracy.max(), table.success[lost].max() if lost.any() else 0, 0.04))
    axes.margins(x=0.02)
    axes.tick_params(axis="x", pad=1)
    axes.yaxis.grid(True, color=RULE, lw=0.6)
    axes.set_axisbelow(True)
    axes.legend(loc="upper center", ncols=2, labelcolor=MUTED)
    return figure
