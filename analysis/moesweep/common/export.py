"""Tables as files beside the page: CSV in full precision, Markdown and LaTeX (booktabs) as shown."""

from .shown import with_paper

LATEX = {"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
         "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "−": "$-$", "–": "--", "≠": r"$\neq$", "×": r"$\times$",
         "σ": r"$\sigma$", "’": "'", "≥": r"$\geq$", "≤": r"$\leq$"}
LONG = 40  # lines that a page of paper holds


def write_tables(shown, paper, folder):
    """NAME.csv, NAME.md and NAME.tex of every table."""
    for table in shown:
        name = table.table.name
        with_paper(table, paper).to_csv(folder / f"{name}.csv", index=False)
        (folder / f"{name}.md").write_text(markdown(table), encoding="utf-8")
        (folder / f"{name}.tex").write_text(latex(table), encoding="utf-8")


def grid(shown):
    """The table as labels, sides and lines of text, the paper's values in columns of their own."""
    labels, sides, columns = [], [], []
    for i, field in enumerate(shown.table.fields):
        cells = [line[i] for line in shown.lines]
        labels.append(field.label)
        sides.append((field.right, field.whole))
        columns.append([cell.text for cell in cells])
        if any(cell.paper for cell in cells):
            labels.append("paper")
            sides.append((True, True))
            columns.append([cell.paper + " ≠" * cell.apart for cell in cells])
    return labels, sides, list(zip(*columns))


def markdown(shown):
    labels, sides, lines = grid(shown)
    rule = ["---:" if right else ":---" for right, _ in sides]
    text = [f"**{heading(shown)}.** {sentences(shown)}", ""]
    if lines:
        text += ["| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in (labels, rule, *lines)]
    return "\n".join(text).rstrip() + "\n"


def latex(shown):
    """A table environment, or a longtable where it would not fit on a page. Needs booktabs (longtable, array)."""
    labels, sides, lines = grid(shown)
    columns = "".join("r" if right else "l" if whole or len(max((line[i] for line in lines), key=len, default="")) < 45
                      else r">{\raggedright\arraybackslash}p{0.5\linewidth}" for i, (right, whole) in enumerate(sides))
    body = ["  " + " & ".join(map(escaped, line)) + r" \\" for line in lines]
    head = [r"  \toprule", "  " + " & ".join(map(escaped, labels)) + r" \\", r"  \midrule"]
    caption = rf"\caption{{{escaped(shown.table.title)}. {escaped(sentences(shown))}}}"
    if not lines:
        return rf"% {heading(shown)}: {sentences(shown)}" + "\n"
    if len(lines) > LONG:
        text = [rf"\begin{{longtable}}{{{columns}}}", "  " + caption + r" \\", *head, r"  \endhead", *body, r"  \bottomrule",
                r"\end{longtable}"]
    else:
        text = [r"\begin{table}", r"  \centering", "  " + caption, rf"  \begin{{tabular}}{{{columns}}}", *head, *body,
                r"  \bottomrule", r"  \end{tabular}", r"\end{table}"]
    return "\n".join(text) + "\n"


def heading(shown):
    return f"{shown.table.title} ({shown.source})" if shown.source else shown.table.title


def sentences(shown):
    return " ".join(part for part in (shown.table.text, shown.remark, shown.note) if part)


def escaped(text):
    return "".join(LATEX.get(letter, letter) for letter in text)
