"""What the report says beside its tables: the answer, the run's facts, its questions, the paper's values."""

import pathlib

import numpy as np

from .tables import SETS
from ..common.paper import model_of
from ..common.shown import between, number, p_value, percent

WHOLE = {"ECLeKTic", "MultiLoKo", "Global MMLU"}  # what the paper's totals are of


def paper_values(run):
    """The paper's model with this run's geometry, and its values for the datasets that are the paper's, under their
    names here; `datasets` says which these are, `others` why the others are not. None: the paper has no such model."""
    known, model = model_of(run, pathlib.Path(__file__).parent / "paper_values.json")
    if model is None:
        return None
    beside, others = datasets(run.results["outcomes"], known["datasets"])
    names = [(ours, theirs) for ours, theirs in beside.items()]
    if not others and len(beside) == len(WHOLE) and set(beside.values()) == WHOLE:
        names.append(("all", "all"))
    tables = {"rules": known["protocol"] | model["protocol"]} if beside else {}
    for table, lines in model["tables"].items():
        tables[table] = {f"{ours} {rest}".strip(): columns for ours, theirs in names
                         for rest, columns in lines.get(theirs, {}).items()}
    return {"name": model["name"], "source": known["source"], "datasets": beside, "others": others, "tables": tables}


def datasets(outcomes, known):
    """(this run's datasets that are the paper's -> the paper's name of them, for each of the others why it is not)."""
    beside, others = {}, []
    for line in outcomes[outcomes.dataset != "all"].itertuples():
        plain = "".join(filter(str.isalnum, line.dataset.casefold()))
        named = {name: one for name, one in known.items() if any(plain.startswith(start) for start in one["names"])}
        size = line.questions, line.languages
        same = [name for name, one in named.items() if (one["questions"], one["languages"]) == size]
        sizes = " or ".join(f"{one['questions']} in {one['languages']}" for one in named.values())
        if same:
            beside[line.dataset] = same[0]
        else:
            here = f"{line.questions} questions in {line.languages} languages here, {sizes} in the paper"
            others.append(f"{line.dataset} ({here if named else 'not in the paper'})")
    return beside, others


def answer(run):
    """The answer in up to four sentences."""
    outcomes, found = (next(table[table.dataset == run.whole].itertuples()) for table in
                       (run.results[name] for name in ("outcomes", "identified")))
    said = [f"Of {outcomes.questions:,} questions asked in {outcomes.languages} languages, {outcomes.mixed:,} are "
            "answered right in some and wrong in others."]
    if not found.questions:
        return said + ["No expert weighs enough more where the answers are right, so there is nothing to deactivate."]
    said.append(f"The contrast finds experts for {found.questions:,} of them, {found.experts:.1f} each on average.")
    own = at_cap(run, "ablation", "kind")
    if "identified" not in own.index:
        return said + ["They have not been asked again without these experts, or the answers are yet to be rated."]
    line = own.loc["identified"]
    said.append(f"Without its experts, {stated(line, 'success')} of a question’s right answers become wrong and "
                f"{stated(line, 'gain')} of its wrong ones right.")
    return said + [verdict(own, at_cap(run, "comparisons", "baseline"))]


def at_cap(run, name, index):
    """The lines of a table of /results about everything, under identify.cap."""
    table = run.results[name]
    return table[(table.dataset == run.whole) & (table.cap == run.cap)].set_index(index)


def stated(line, name):
    ends = (line[name], line[f"{name}_low"], line[f"{name}_high"])
    return between(*map(percent, ends), np.isfinite(ends[1]))


def verdict(own, comparisons):
    """Do the experts do more than the baselines? Nothing where there is none."""
    said = []
    for name in ("random", "shuffled", "same_relation"):
        if name not in comparisons.index:
            continue
        line = comparisons.loc[name]
        p = f"p = {p_value(line.difference_p)}"
        more, less = line.difference_low > 0, line.difference_high < 0
        apart = "more than" if more else "less than" if less else "not clearly apart from"
        said.append(f"{apart} {SETS[name].removesuffix(', as many')} ({number(100 * line.difference, 1)} points, {p})")
    return f"Rate difference {stated(own.loc['identified'], 'difference')}: {', '.join(said)}." if said else ""


def questions(run):
    """Every question with its outcome, its experts, and what is lost and gained without them; NaN: not asked again."""
    table = run.questions[["id", "dataset", "relation"]].copy()
    other = (run.variants.language != "en").sort_values(kind="stable").index  # English first, where there is any
    first = run.variants.loc[other].drop_duplicates("question").set_index("question")
    table["text"], table["reference"] = first.text, first.reference
    asked = run.answers[run.trials.experts.to_numpy()[run.answers.trial] == 0].groupby("question")
    table["asked"], table["right"] = asked.size(), asked.right.sum().astype(int)
    kept = run.experts.groupby("question").kept
    table["experts"], table["cut_off"] = kept.sum(), kept.size() - kept.sum()
    again = run.asked_again()
    again = again[again.right_after.notna()]
    table["lost"] = (again.right_before & ~again.right_after).astype(int).groupby(again.question).sum()
    table["gained"] = (~again.right_before & again.right_after).astype(int).groupby(again.question).sum()
    return table.fillna({"experts": 0, "cut_off": 0}).astype({"experts": int, "cut_off": int})


def facts(run):
    """The run's facts as (name, value) lines."""
    meta = run.meta
    sizes = run.conditions.kind.value_counts(sort=False)
    lines = [("Model", f"{meta.get('model_type', '?')}, {run.setting('model.path') or '?'}"),
             ("Geometry", f"{meta.get('num_hidden_layers')} layers, {len(run.layers)} of them with experts, hidden "
                          f"{meta.get('hidden_size')}, {meta.get('num_experts')} experts, "
                          f"top-{meta.get('num_experts_per_tok')}"),
             ("Precision, BOS", f"{meta.get('precision')}, {meta.get('bos')}"),
             ("Questions", f"{len(run.questions):,} in {len(run.languages)} languages, {len(run.variants):,} in all"),
             ("Chat form", meta.get("prompt_form", "")),
             ("Stop tokens", meta.get("stop_tokens", "")),
             ("Answers", f"{len(run.answers):,} to {len(run.trials):,} questions with and without experts"),
             ("Sets of experts", ", ".join(f"{size:,} {kind.replace('_', ' ')}" for kind, size in sizes.items())),
             ("Cut at ask.max_tokens", f"{(run.answers.stopped == 0).sum():,} of {len(run.answers):,} answers"),
             ("moesweep", meta.get("version", "?"))]
    lines += [(f"SHA-256 of {part}", meta.get(f"{part}_sha256", "")) for part in ("weights", "tokenizer", "questions")]
    return [(name, value) for name, value in lines if value]
