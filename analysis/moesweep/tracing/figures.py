"""The figures of the headline. A function draws one from the run's frames, or returns None where there is nothing to
draw."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import FuncNorm, LinearSegmentedColormap, Normalize
from matplotlib.ticker import MaxNLocator

from ..common.drawing import BLUE, INK, MUTED, PAPER, RULE, RUST, WIDTH
from ..common.shown import number
from .tables import QUANTITIES

DIVERGING = LinearSegmentedColormap.from_list("rescue", ["#7a3418", RUST, "#edc4b2", "#fbfbfa", "#b3cbe0", BLUE, "#16344f"])

HEADLINE = ("layer_rescue", "coalition_clean", "coalition_union", "expert_rescue", "control_mean", "spec")


def answer(results, paper):
    """Mean rescues with intervals, one line each; the paper's, where there are any, under ours in grey."""
    lines = [name for name in HEADLINE if name in results.index and results.n[name] > 0]
    if not lines:
        return None
    figure, axes = plt.subplots(figsize=(WIDTH, 0.75 + 0.36 * len(lines)))
    axes.axvline(0, color=RULE, zorder=0)
    for y, name in enumerate(lines):
        mean, low, high = results.loc[name, ["mean", "ci_low", "ci_high"]]
        color = RUST if name == "spec" else BLUE
        axes.plot([low, high], [y, y], color=color, lw=2.2, solid_capstyle="round")
        axes.plot(mean, y, "o", color=color, ms=6.5, mec="white", mew=0.9)
        axes.annotate(number(mean), (max(high, paper.get(name, {"mean": [0, 0, high]})["mean"][2]), y), xytext=(8, 0),
                      textcoords="offset points", va="center", color=INK, fontsize=8.5)
        if name in paper:
            mean, low, high = paper[name]["mean"]
            axes.plot([low, high], [y + 0.27] * 2, color=PAPER, lw=1.4, solid_capstyle="round")
            axes.plot(mean, y + 0.27, "o", color="white", ms=4.5, mec=PAPER, mew=1.2)
    labels = QUANTITIES | {"spec": "Spec: selected minus controls"}
    axes.set_yticks(range(len(lines)), [labels[name] for name in lines], color=INK)
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.margins(x=0.12)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("mean rescue, logits (95% intervals" + ("; grey: the paper)" if paper else ")"))
    return figure


def layers(table, selected):
    """Mean block rescue of every layer on both halves, with the validation interval as a band."""
    if table.empty or table.discovery_n.sum() + table.validation_n.sum() == 0:
        return None
    figure, axes = plt.subplots(figsize=(WIDTH, 2.9))
    axes.axhline(0, color=RULE, zorder=0)
    single = {"marker": "o", "ms": 4} if len(table) <= 12 else {}
    axes.fill_between(table.layer, table.validation_ci_low, table.validation_ci_high, color=BLUE, alpha=0.16, lw=0,
                      label="validation, 95% interval")
    axes.plot(table.layer, table.validation_mean, color=BLUE, lw=1.8, label="validation", **single)
    axes.plot(table.layer, table.discovery_mean, color=MUTED, lw=1.1, ls=(0, (3, 2)), label="discovery (selects)", **single)
    if selected >= 0:
        chosen = table[table.layer == selected].iloc[0]
        axes.axvline(selected, color=RUST, lw=0.9, ls=(0, (1, 2)), zorder=0)
        peak = np.nanmax([chosen.discovery_mean, chosen.validation_ci_high, chosen.validation_mean])
        right = table.layer.max() - selected < 0.15 * (np.ptp(table.layer) + 1)
        axes.annotate(f"layer {selected}", (selected, peak), xytext=(-6 if right else 6, 2), textcoords="offset points",
                      ha="right" if right else "left", color=RUST)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0.03, y=0.12)
    axes.set(xlabel="layer", ylabel="block rescue, logits")
    axes.legend(loc="upper left")
    return figure


def heatmap(table, layer, expert):
    """Mean rescue of every expert of every swept layer; the selected one is framed. In a large map a few pairs tower
    over the others, so there its colours grow with the square root."""
    values = table.filter(regex=r"^mean_rescue_\d+$").to_numpy()
    if not np.isfinite(values).any():
        return None
    shown, experts = values.shape
    figure, axes = plt.subplots(figsize=(WIDTH, np.clip(1.2 + (0.34 if shown <= 12 else 0.09) * shown, 2.0, 6.5)))
    few = shown * experts <= 128
    most = np.nanmax(np.abs(values)) or 1
    norm = Normalize(-most, most) if few else FuncNorm((signed_root, signed_square), -most, most)
    image = axes.imshow(values, cmap=DIVERGING, norm=norm, aspect="auto", interpolation="nearest")
    if few:
        for (y, x), value in np.ndenumerate(values):
            axes.text(x, y, number(value, 2), ha="center", va="center", fontsize=7.5,
                      color="white" if abs(value) > 0.6 * most else INK)
    every = max(1, -(-shown // 16))
    axes.set_yticks(range(0, shown, every), table.layer[::every])
    axes.xaxis.set_major_locator(MaxNLocator(nbins=16, integer=True))
    if expert >= 0 and layer in set(table.layer):
        y = int(np.flatnonzero(table.layer == layer)[0])
        axes.add_patch(plt.Rectangle((expert - 0.5, y - 0.5), 1, 1, fill=False, ec=INK, lw=1.4))
        if not few:
            axes.annotate(f"L{layer} E{expert}", (expert, y), xytext=(0, -9 if y < shown / 2 else 9),
                          textcoords="offset points", ha="center", va="top" if y < shown / 2 else "bottom",
                          fontsize=8.5, color=INK, bbox={"boxstyle": "round,pad=0.2", "fc": "white", "ec": "none", "alpha": 0.85})
    axes.spines[:].set_visible(False)
    axes.set(xlabel="expert", ylabel="layer")
    bar = figure.colorbar(image, ax=axes, pad=0.02, aspect=30)
    if not few:
        ticks = most * signed_square(np.linspace(-1, 1, 5))
        bar.set_ticks(ticks, labels=[number(tick, 2) for tick in ticks])
    bar.outline.set_visible(False)
    bar.set_label("mean rescue, logits")
    return figure


def candidates(table, recurrence, expert):
    """How often each expert of the selected layer is active, against its mean rescue: the rule that selects, drawn."""
    if table.empty or not np.isfinite(table.discovery_rescue).any():
        return None
    figure, axes = plt.subplots(figsize=(WIDTH, 2.7))
    axes.axhline(0, color=RULE, zorder=0)
    axes.axvline(recurrence, color=MUTED, lw=0.9, ls=(0, (1, 2)), zorder=0)
    axes.annotate("recurrent from here", (recurrence, 1), xycoords=("data", "axes fraction"), xytext=(5, -2),
                  textcoords="offset points", va="top", color=MUTED, fontsize=8.5)
    recurrent = table.recurrent == 1
    for which, color in ((~recurrent, PAPER), (recurrent, BLUE)):
        axes.scatter(table.discovery_active[which], table.discovery_rescue[which], s=26, color=color, ec="white", lw=0.7)
    if expert >= 0:
        chosen = table[table.expert == expert].iloc[0]
        axes.scatter(chosen.discovery_active, chosen.discovery_rescue, s=44, color=RUST, ec="white", lw=0.8, zorder=3)
        axes.annotate(f"expert {expert}", (chosen.discovery_active, chosen.discovery_rescue), xytext=(-8, 0),
                      textcoords="offset points", ha="right", va="center", color=RUST)
    axes.set_xlim(left=min(0, axes.get_xlim()[0]), right=max(axes.get_xlim()[1], recurrence * 1.3))
    axes.margins(y=0.15)
    axes.set(xlabel="discovery cases in which the expert is active", ylabel="mean rescue, logits")
    return figure


def validation(table):
    """Each validation case: the selected expert's rescue against the mean of its controls."""
    known = table[np.isfinite(table.spec)] if len(table) else table
    if known.empty:
        return None
    figure, axes = plt.subplots(figsize=(WIDTH, 3.4))
    active = known.active == 1
    axes.axline((0, 0), slope=1, color=MUTED, lw=0.9, ls=(0, (1, 2)), zorder=0, label="Spec = 0")
    axes.scatter(known.control_mean[active], known.expert_rescue[active], s=22, color=BLUE, alpha=0.75, ec="white", lw=0.6,
                 label=f"expert active ({active.sum()})")
    if (~active).any():
        axes.scatter(known.control_mean[~active], known.expert_rescue[~active], s=20, facecolor="white", ec=RUST, lw=1,
                     label=f"expert not routed ({(~active).sum()})")
    axes.set(xlabel="mean rescue of the controls, logits", ylabel="rescue of the\nselected expert, logits")
    axes.legend(loc="best")
    return figure


def signed_root(x):
    return np.sign(x) * np.sqrt(np.abs(x))


def signed_square(x):
    return np.sign(x) * np.square(x)
