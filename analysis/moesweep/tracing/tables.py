"""The tables of the report: the paper's in its order, then those beyond it. What a table says in words stands here, its
numbers in /results."""

import pandas as pd

from ..common.paper import unlike
from ..common.shown import Field, Table, count, estimate, index, name_of, number, plain, site, summary, value, words

QUANTITIES = {
    "layer_rescue": "Whole block", "expert_rescue": "Selected expert", "spec": "Spec",
    "expert_rescue_active": "Selected expert, where active", "spec_active": "Spec, where active",
    "control_mean": "Other active experts (controls)", "coalition_clean": "Clean-routed experts together",
    "coalition_union": "All routed experts together", "clean_topk": "Clean-routed experts together",
    "routing_union": "All routed experts together", "block": "Whole block", "expert": "Selected expert",
    "selected": "Selected expert", "matched_control": "Gate-matched control",
    "expert_over_layer": "Selected expert / whole block", "spec_over_layer": "Spec / whole block",
    "raw_spec": "Spec, raw", "selected_equal_norm": "Selected expert, equal norm",
    "other_equal_norm": "Other active expert, equal norm", "equal_norm_spec": "Spec, equal norm",
}
VERSIONS = {"raw": "raw", "equal_norm": "equal norm"}


def quantity(column="quantity"):
    return words(column, "Quantity", QUANTITIES)


def is_selected(run, line):
    return (line["layer"], line["expert"]) == (run.selected_layer, run.selected_expert)


def active_only(run):
    """A line per headline quantity: its mean over all cases, and over those where the selected expert is routed."""
    lines = run.results["main_results"].set_index("name") if len(run.results["main_results"]) else pd.DataFrame()
    names = [name for name in ("expert_rescue", "spec") if name in lines.index and f"{name}_active" in lines.index]
    columns = ["n", "mean", "ci_low", "ci_high"]
    table = {"quantity": names} | {column: [lines.loc[name, column] for name in names] for column in columns}
    table |= {f"active_{column}": [lines.loc[f"{name}_active", column] for name in names] for column in columns}
    return pd.DataFrame(table)


def protocol_remark(run, frame, paper):
    return unlike(run, paper)


def case_list(run, frame):
    """A line per half, in the order of the split."""
    halves = frame.sort_values("position").groupby("split", sort=False)
    return pd.DataFrame({"split": [name for name, _ in halves],
                         "case_id": [", ".join(map(str, half.case_id)) for _, half in halves]})


def case_remark(run, frame, paper):
    """How many of the cases are the paper's."""
    found = []
    for line in frame.itertuples():
        ours, theirs = line.case_id.split(", "), [str(case) for case in paper.get(line.split, [])]
        if theirs:
            same = "the same, in the same order" if ours == theirs else f"{len(set(ours) & set(theirs))} of them here"
            found.append(f"{line.split}: {len(theirs)} in the paper, {same}")
    return f"{'; '.join(found)}.".capitalize() if found else ""


def stability_remark(run, frame, paper):
    if frame.empty:
        return ""
    chosen = (frame.expert_at_main_layer == run.selected_expert).sum()
    anew = ((frame.layer == run.selected_layer) & (frame.expert == run.selected_expert)).sum()
    said = (f"At layer {run.selected_layer}, expert {run.selected_expert} is chosen in {chosen} of {len(frame)} settings; with the "
            f"layer chosen anew as well, in {anew}. Mean over the settings: rescue {number(frame.rescue_mean.mean())}, "
            f"Spec {number(frame.spec_mean.mean())}.")
    if "all" in paper:
        known = paper["all"]
        said += (f" The paper: {known['selected']} of {known['settings']}, {number(known['rescue_mean'])} and "
                 f"{number(known['spec_mean'])}.")
    return said


def folds_remark(run, frame, paper):
    folds = frame[frame.fold >= 0]
    if folds.empty:
        return ""
    said = f"Expert {run.selected_expert} is selected in {(folds.expert == run.selected_expert).sum()} of {len(folds)} folds"
    return said + (f" (the paper: {paper['all']['selected']} of {paper['all']['folds']})." if "all" in paper else ".")


def relaxed_remark(run, frame, paper):
    facts = frame.attrs
    if "discovery_active" not in facts or frame.empty:
        return ""
    chosen = name_of(int(facts["layer"]), int(facts["expert"]))
    of = f" of {facts['discovery_cases']}" if "discovery_cases" in facts else ""
    said = f"The relaxed study selects {chosen}, active in {facts['discovery_active']}{of} discovery cases"
    return said + (f" (the paper: {paper['all']['discovery_active']} of {paper['all']['discovery_cases']})." if "all" in paper
                   else ".")


def draws_remark(run, frame, paper):
    facts = frame.attrs
    spread = [f"{label} {float(facts[name + '_sd']):.3f} and {float(facts[name + '_se']):.3f}" for name, label in
              (("layer_rescue", "whole block"), ("expert_rescue", "selected expert"), ("spec", "Spec")) if name + "_sd" in facts]
    return f"Standard deviation between draws, and standard error of their mean: {'; '.join(spread)}." if spread else ""


def shapley_remark(run, frame, paper):
    residual = frame.attrs.get("largest_residual")
    if residual is None or frame.empty:
        return ""
    return f"In every case the values sum to the coalition’s rescue; the largest difference is {float(residual):.1g}."


PAPER = (
    Table("main_results", "Main results", "Rescue in logits on the validation half. Spec is the selected expert’s rescue minus "
          "the mean of other active experts of its layer.",
          (quantity("name"), *summary()), key=("name",),
          chosen=lambda run, line: line["name"] in ("layer_rescue", "expert_rescue", "spec")),
    Table("protocol", "Protocol", "The settings of this run.",
          (words("item", "Item"), words("setting", "Setting")), remark=protocol_remark, fold=30),
    Table("activity", "Activity", "In how many cases the clean run routes to the selected expert, and rows that are exactly "
          "zero; structural ones are zero because the expert is not routed.",
          (words("half", "Half"), count("cases", "cases"), count("active", "active"), count("zero_rescue", "rescue = 0"),
           count("zero_spec", "Spec = 0"), count("structural", "structural")), key=("half",)),
    Table("relations", "Relations", "Cases of each relation, both halves.",
          (words("relation", "Relation"), count("n", "n")), key=("relation",), fold=15),
    Table("relation_results", "Relation by relation", "The ten most frequent relations of the validation half; positive: share "
          "of cases with Spec above 0.",
          (words("relation", "Relation"), count("n", "n"), value("expert_rescue", "expert"), value("spec", "Spec"),
           plain("positive_fraction", "positive")), key=("relation",)),
    Table("layer_gap", "Sharpness", "The best layer of the validation half and the one after it.",
          (index("top_layer", "top layer"), value("top", "its rescue"), index("next_layer", "next layer"),
           value("next", "its rescue"), value("gap", "gap"))),
    Table("ratios", "Shares of the block", "Ratios of validation means; the intervals resample cases in pairs.",
          (quantity(), estimate(("value", "ci_low", "ci_high"), "value, 95% interval")), key=("quantity",)),
    Table("split_cases", "Cases", "The case ids of both halves, in the order of the split.",
          (words("split", "Half"), words("case_id", "Case ids")), arrange=case_list, remark=case_remark, fold=0),
    Table("gate_matched", "Gate-matched control", "Against the active expert with the nearest routing weight; with equal norm, "
          "both patches are scaled to the smaller one’s.",
          (quantity(), words("version", "Patch", VERSIONS), *summary()), key=("quantity", "version"),
          chosen=lambda run, line: line["quantity"] == "spec"),
    Table("ranks", "Rank among all active experts", "Rank 1 and percentile 1 are the best; Spec is against the mean of "
          "all others.",
          (count("ranked", "cases"), count("top1", "first"), count("top2", "first two"), plain("mean_rank", "mean rank"),
           plain("mean_percentile", "percentile"), estimate("spec_all", "Spec against all"))),
    Table("two_experts", "The active pair", "Under top-2 routing: the selected expert and the one beside it.",
          (quantity(), *summary()), key=("quantity",)),
    Table("stability", "Other splits and thresholds", "Selection on reshuffled halves; the summaries test "
          "the expert that is chosen at the main layer.",
          (count("seed", "seed"), count("threshold", "threshold"), site("layer", "expert", "chosen anew"),
           index("expert_at_main_layer", "at main layer"), estimate("rescue", "rescue"), estimate("spec", "Spec")),
          key=("seed", "threshold"), remark=stability_remark),
    Table("relation_folds", "Relations held out", "Selection on four folds of relations, test on the fifth.",
          (Field("Fold", ("fold",), lambda fold: "all" if fold < 0 else str(fold), right=False),
           Field("Relations", ("relations",), lambda names: names.replace(",", ", "), right=False, whole=False),
           count("held_out", "held out"), count("active", "active"),
           index("expert", "expert"),
           estimate("rescue", "rescue"), estimate("spec", "Spec")), key=("fold",), remark=folds_remark,
          chosen=lambda run, line: line["fold"] < 0),
    Table("noise_scales", "Noise scales", "Fixed: the selected layer and expert; anew: both selected under that noise.",
          (plain("scale", "scale", 1), words("selection", "Selection"), site("layer", "expert"), count("n", "n"),
           count("active", "active"), value("mean_drop", "drop"), estimate("rescue", "rescue"),
           plain("rescue_positive_fraction", "positive")), key=("scale", "selection"),
          chosen=lambda run, line: line["scale"] == float(run.setting("noise.scale")) and line["selection"] == "fixed"),
    Table("relaxed", "Relaxed filters", "A study of its own on more cases, with weaker filters.",
          (quantity(), *summary()), key=("quantity",), remark=relaxed_remark),
    Table("relaxed_transfer", "Relaxed cases, without the overlap", "The strict study’s layer and expert on the relaxed "
          "validation half; new: without the cases of the strict study.",
          (words("subset", "Cases"), quantity(), *summary()), key=("subset", "quantity")),
    Table("coalitions", "Coalitions", "Experts put back together at the selected layer, validation half.",
          (quantity(), *summary()), key=("quantity",)),
)

BEYOND = (
    Table("active_only", "All cases, and active ones alone", "The headline counts an expert that is not routed as 0; its mean "
          "where it is routed stands beside it.",
          (quantity(), count("n", "n"), estimate("", "all cases"), count("active_n", "n"), estimate("active", "where active")),
          key=("quantity",), make=active_only),
    Table("layers", "Every layer", "Block rescue on both halves; the discovery half selects.",
          (index("layer", "layer"), count("discovery_n", "n"), estimate("discovery", "discovery"),
           count("validation_n", "n"), estimate("validation", "validation")), key=("layer",),
          chosen=lambda run, line: line["layer"] == run.selected_layer),
    Table("candidates", "Candidates of the selected layer", "Its twelve most often active experts; the recurrent ones are "
          "candidates.",
          (words("expert", "Expert"), count("discovery_active", "active, discovery"),
           count("validation_active", "active, validation"), value("discovery_rescue", "rescue, all cases"),
           value("discovery_rescue_active", "rescue, where active"),
           words("recurrent", "Candidate", {0: "no", 1: "yes"})), key=("expert",),
          arrange=lambda run, frame: frame.sort_values(["discovery_active", "expert"], ascending=[False, True]).head(12),
          chosen=lambda run, line: line["expert"] == run.selected_expert),
    Table("layer_best", "Every layer’s best expert", "The best recurrent expert of each layer by the discovery half, tested on "
          "the validation half.",
          (site("layer", "expert"), count("discovery_active", "active"), value("discovery_rescue", "discovery"),
           count("rescue_n", "n"), estimate("rescue", "rescue"), estimate("spec", "Spec")), key=("layer",), chosen=is_selected),
    Table("joint", "The best pairs of all layers", "Recurrent (layer, expert) pairs by mean rescue on the discovery half; the "
          "first is the joint selection.",
          (site("layer", "expert"), count("discovery_active", "active"), value("discovery_rescue", "discovery"),
           value("validation_rescue", "validation")), key=("layer", "expert"), fold=20, chosen=is_selected),
    Table("draws", "Draws of the noise", "The same study under other draws; draw 0 is this run’s own.",
          (count("draw", "draw"), plain("scale", "scale", 1), value("layer_rescue", "whole block"),
           value("expert_rescue", "selected expert"), value("spec", "Spec")), key=("draw",), remark=draws_remark),
    Table("shapley", "Shapley values", "Each routed expert’s fair share of what the clean-routed experts return together, exact "
          "over all subsets; share: of what the coalition returns over all cases of the layer.",
          (site("layer", "expert"), count("n", "n"), estimate("", "value, 95% interval"), plain("share", "share")),
          key=("layer", "expert"), remark=shapley_remark, fold=16, chosen=is_selected),
)
