"""How the figures of all reports look, and how they are written."""

import io

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

INK, MUTED, RULE = "#1f2933", "#64707d", "#d5dae0"
BLUE, RUST, PAPER = "#2b5c8a", "#c0562f", "#9aa5b1"
WIDTH = 6.4  # inches

plt.rcParams.update({
    "font.size": 9, "axes.labelsize": 9, "xtick.labelsize": 8.5, "ytick.labelsize": 8.5, "legend.fontsize": 8.5,
    "text.color": INK, "axes.labelcolor": MUTED, "xtick.color": MUTED, "ytick.color": MUTED, "axes.edgecolor": RULE,
    "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.8, "legend.frameon": False,
    "xtick.major.size": 0, "ytick.major.size": 0, "figure.constrained_layout.use": True,
    "svg.fonttype": "none", "svg.hashsalt": "moesweep",  # text stays text; the same figure is the same file
})


def save(figure, folder, name):
    """Writes NAME.svg and NAME.png and returns the SVG's text."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    # Drawn with matplotlib's own font; a browser has better ones.
    svg = buffer.getvalue().replace("'DejaVu Sans'", "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial")
    (folder / f"{name}.svg").write_text(svg, encoding="utf-8")
    figure.savefig(folder / f"{name}.png", dpi=200, metadata={"Software": None})
    plt.close(figure)
    return svg
