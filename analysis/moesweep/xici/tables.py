"""The tables of the report: the paper's in its order, then those beyond it. What a table says in words stands here, its
numbers in /results or in the answers."""

import pandas as pd

from ..common.paper import unlike
from ..common.shown import Table, count, index, plain, points, rate, share, site, words

SETS = {"identified": "its own experts", "random": "random ones, as many", "shuffled": "another question’s",
        "same_relation": "another question’s, same relation", "permuted": "found with right and wrong permuted",
        "single": "each of its own alone"}


def dataset():
    return words("dataset", "Dataset")


def sets(column="kind", label="Experts deactivated"):
    return words(column, label, SETS)


def own_cap(run, frame):
    return frame[frame.cap == run.cap]


def is_whole(run, line):
    """Is the line about everything, in a run of several datasets?"""
    return line["dataset"] == run.whole == "all"


def variants(run):
    """A line per dataset: its outcomes, experts and answers without them, as the paper's Table 3."""
    ablation = run.results["ablation"]
    own = ablation[(ablation.kind == "identified") & (ablation.cap == run.cap)]
    table = run.results["outcomes"][["dataset", "languages", "all_right", "all_wrong", "mixed"]]
    table = table.merge(run.results["identified"][["dataset", "questions", "experts"]], on="dataset")
    rates = [column for name in ("success", "gain", "difference") for column in (name, f"{name}_low", f"{name}_high")]
    table = table.merge(own[["dataset", *rates, "silenced"]], on="dataset", how="left")
    table.attrs["paper"] = "arXiv 2603.17102, Table 3"
    return table


def languages(run):
    """A line per dataset and language: right answers, and what is lost without the questions' own experts."""
    table, again = run.results["languages"], run.asked_again()
    known = again[again.right_before.notna() & again.right_after.notna()]
    flags = {"right_before": known.right_before, "lost": known.right_before & ~known.right_after,
             "wrong_before": ~known.right_before, "gained": ~known.right_before & known.right_after}
    counted = pd.DataFrame({"dataset": known.dataset, "language": known.language.astype(str)}
                           | {name: flag.astype(int) for name, flag in flags.items()})
    parts = [counted, counted.assign(dataset="all")] if run.whole == "all" else [counted]
    counted = pd.concat(parts).groupby(["dataset", "language"], as_index=False).sum()
    table = table.merge(counted, on=["dataset", "language"], how="left").fillna(dict.fromkeys(flags, 0))
    table = table.astype(dict.fromkeys(flags, int))
    return table.assign(accuracy=table.right / table.asked, success=table.lost / table.right_before)


def shared(run):
    """A line per expert that is a question's: of how many, and how large its differences are."""
    kept = run.experts[run.experts.kept == 1]
    pairs = kept.groupby(["layer", "expert"], as_index=False)
    table = pairs.agg(questions=("question", "size"), difference=("difference", "mean"))
    return table.sort_values(["questions", "difference"], ascending=False, ignore_index=True)


def shared_remark(run, frame, paper):
    alone = (shared(run).questions == 1).sum()
    return f"{alone:,} of {len(shared(run)):,} experts are of one question alone." if len(frame) else ""


def blacklist_remark(run, frame, paper):
    pairs = len(run.layers) * int(run.meta["num_experts"])
    return f"The model has {pairs:,} routed experts in {len(run.layers)} layers."


RATES = (rate("success", "success"), rate("gain", "spurious gain"), rate("difference", "difference"))
ABLATION = (count("questions", "questions"), plain("experts", "experts", 1), count("right", "right before"), *RATES,
            count("silenced", "right nowhere"))

PAPER = (
    Table("outcomes", "Inconsistency across languages", "Questions answered right in every language, in none, and in "
          "some: the last are those that can be contrasted.",
          (dataset(), count("questions", "questions"), count("languages", "languages"),
           share("english_accuracy", "English"), share("accuracy", "accuracy"), count("all_right", "all right"),
           count("all_wrong", "all wrong"), count("mixed", "mixed")), key=("dataset",), chosen=is_whole),
    Table("identified", "Experts identified", "Of the questions answered right in some languages. Capped: questions "
          "for which more experts pass than the cap lets through; p < α: share of all U tests, before the threshold.",
          (dataset(), count("mixed", "mixed"), count("blacklisted", "blacklisted"), count("questions", "with experts"),
           plain("experts", "experts of each", 1), count("capped", "capped"), count("tested", "U tests"),
           share("significant", "p < α")), key=("dataset",), remark=blacklist_remark, chosen=is_whole),
    Table("ablation", "Asked again without experts", "Success: share of right answers that become wrong; spurious "
          "gain: share of wrong ones that become right; difference: the one minus the other. Right nowhere: sets "
          "without which the question is answered right in no language. 95% intervals resample questions.",
          (dataset(), sets(), *ABLATION), key=("dataset", "kind", "cap"), arrange=own_cap, fold=30,
          chosen=lambda run, line: line["kind"] == "identified"),
    Table("variants", "Languages and paraphrases", "Each dataset with what its variants are: the labels of its "
          "questions are languages or, in a dataset of paraphrases, wordings of one language.",
          (dataset(), count("languages", "variants"), count("all_right", "all right"), count("all_wrong", "all wrong"),
           count("mixed", "mixed"), count("questions", "with experts"), plain("experts", "experts of each", 1), *RATES,
           plain("silenced", "right nowhere", 0)), key=("dataset",), make=variants, chosen=is_whole),
    Table("layers", "Where identified experts are", "Times an expert of a layer is a question’s, how many different "
          "ones, and how many are left out as generalists.",
          (dataset(), index("layer", "layer"), count("identified", "identified"), count("experts", "different"),
           count("blacklisted", "blacklisted")), key=("dataset", "layer")),
)

BEYOND = (
    Table("comparisons", "Against the baselines", "Its own experts minus each baseline, in percentage points, over the "
          "questions that have both; p flips the signs of questions.",
          (dataset(), sets("baseline", "Baseline"), count("questions", "questions"), *points("success", "success"),
           *points("difference", "difference")), key=("dataset", "baseline", "cap"), arrange=own_cap, fold=30),
    Table("caps", "Every cap", "The same rates with more or fewer experts of each question.",
          (dataset(), sets(), count("cap", "cap"), *ABLATION), key=("dataset", "kind", "cap"),
          make=lambda run: run.results["ablation"], chosen=lambda run, line: line["cap"] == run.cap),
    Table("held_out", "Held-out languages", "The same rates in the languages that identify.languages leaves out, whose "
          "answers did not choose the experts.",
          (dataset(), sets(), *ABLATION), key=("dataset", "kind", "cap"), arrange=own_cap, fold=30),
    Table("languages", "Language by language", "Right answers as asked; of the questions that have experts, right ones "
          "before and how many of them are lost without these.",
          (dataset(), words("language", "Language"), count("asked", "asked"), count("right", "right"),
           share("accuracy", "accuracy"), count("right_before", "right before"), count("lost", "lost"),
           share("success", "success"), count("gained", "gained")),
          key=("dataset", "language"), make=languages, fold=20),
    Table("shared", "Experts of several questions", "The experts that are found for most questions, and their mean "
          "difference of medians.",
          (site("layer", "expert"), count("questions", "questions"), plain("difference", "difference", 4)),
          key=("layer", "expert"), make=shared, arrange=lambda run, frame: frame.head(20), remark=shared_remark,
          fold=20),
    Table("raters", "Agreement of raters", "The rater’s verdicts against exact comparison with the known answers.",
          (words("answers", "Answers"), count("unparsable", "unparsable"), count("both_right", "both right"),
           count("rater_alone_right", "rater alone right"), count("exact_alone_right", "exact alone right"),
           count("both_wrong", "both wrong"), share("agreement", "agreement"), plain("kappa", "κ")), key=("answers",)),
    Table("unpaired", "Questions without a partner", "They have experts, but no other question to exchange them with.",
          (words("id", "Question"), sets("kind", "Baseline")), key=("id", "kind")),
    Table("rules", "Rules", "How this run settles what has to be settled.",
          (words("item", "Item"), words("setting", "Rule")), fold=30,
          remark=lambda run, frame, paper: unlike(run, paper)),
)
