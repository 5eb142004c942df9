"""A run of the second method: its tables, with languages and questions by name, and arrays of what was routed to."""

import functools
import json

import numpy as np
import pandas as pd

from . import arrays
from ..common.run import Run
from ..common.store import RunError, frame, values


class XiciRun(Run):
    """A run of `moesweep xici`. `question` is an index into `questions`, `trial` into `trials`, `language` a label; a
    frame with a trial has the trial's question as well.

    questions      a line per question: id, dataset, relation
    languages      the labels
    variants       a line per (question, language): text, reference, answers (a list), tokens (an array of ids)
    trials         a line per question as it is asked, then per (question, set of deactivated experts)
    deactivated    a line per expert that a trial goes without
    conditions     whose experts these are: identified, random, shuffled, ...; several conditions may share a trial
    answers        a line per (trial, language): text, stopped, tokens, disobeyed; right (missing: not rated)
    answer_tokens  a line per token of an answer, with the gap behind it
    capture        a line per (question, language): numbers of tokens; gate_weights() and to_xarray() have the weights
    experts        a line per (question, expert) that passes the test; kept: within the cap
    blacklist      the experts that are left out
    results        name -> frame, such as results["ablation"]; frame.attrs["paper"] says where the paper prints its like
    """

    required = {  # what the report reads; a file without one of them is refused by name
        "questions": ["id", "dataset", "relation"],
        "languages": ["label"],
        "variants": ["question", "language", "text", "reference", "answers"],
        "trials": ["question", "experts"],
        "deactivated": ["trial", "layer", "expert"],
        "conditions": ["trial", "kind", "cap", "draw", "source"],
        "answers": ["trial", "language", "text", "stopped"],
        "ratings": ["trial", "language", "right"],
        "capture": ["trial", "language", "prompt_tokens", "answer_tokens", "prompt", "answer"],
        "experts": ["question", "layer", "expert", "u", "p", "difference", "kept"],
        "blacklist": ["dataset", "layer", "expert"],
        "results": [],
        "results/outcomes": ["dataset", "questions", "languages", "mixed"],
        "results/identified": ["dataset", "questions", "experts"],
        "results/layers": ["dataset", "layer", "identified", "experts", "blacklisted"],
        "results/ablation": ["dataset", "kind", "cap", "success", "gain", "difference"],
        "results/comparisons": ["dataset", "baseline", "cap", "difference", "difference_p"],
    }

    def _named(self, name, without=()):
        """A group's frame with names for languages, and with the questions of its trials."""
        table = frame(self._root.group[name], without=without)
        if "language" in table:
            labels = list(self.languages.label)
            if not table.language.between(0, len(labels) - 1).all():
                raise RunError(f"{self.file}: /{name}/language: there is no such language")
            table["language"] = pd.Categorical.from_codes(table.language, labels)
        if "trial" in table:
            if not table.trial.between(0, len(self.trials) - 1).all():
                raise RunError(f"{self.file}: /{name}/trial: there is no such trial")
            table.insert(1, "question", self.trials.question.to_numpy()[table.trial])
        return table

    deactivated = functools.cached_property(lambda self: self._named("deactivated"))
    conditions = functools.cached_property(lambda self: self._named("conditions"))
    answer_tokens = functools.cached_property(lambda self: self._named("answer_tokens"))
    ratings = functools.cached_property(lambda self: self._named("ratings"))
    capture = functools.cached_property(lambda self: self._named("capture", without=("prompt", "answer")))

    @functools.cached_property
    def variants(self):
        table = self._named("variants")
        table["answers"] = [json.loads(answers) for answers in table.answers]
        return table

    @functools.cached_property
    def answers(self):
        table, ratings = self._named("answers"), self.ratings
        rated = table.head(len(ratings))  # answers of deactivated experts may be there before their ratings are
        keys = ["trial", "language"]
        if len(rated) < len(ratings) or not rated[keys].equals(ratings[keys]):
            raise RunError(f"{self.file}: /ratings: not line by line those of /answers")
        for name in ratings.columns.drop(["question", *keys]):
            table[name] = ratings[name].astype("boolean").reindex(table.index)
            table.attrs["meanings"][name] = ratings.attrs["meanings"][name]
        return table

    @property
    def cap(self):
        """Experts of a question at most."""
        return int(self.setting("identify.cap"))

    @property
    def whole(self):
        """The dataset of the tables' lines about everything: "all", or the only dataset."""
        return self.results["outcomes"].dataset.iloc[-1]

    @property
    def layers(self):
        """The MoE layers, ascending: decoder layers, from 0."""
        return np.unique(self.results["layers"].layer)

    def asked_again(self, kind="identified", cap=None):
        """The questions that were asked again under conditions of a kind, a line per (condition, language): question,
        id, dataset, language; text and reference; draw, source and trial of the condition, the number of experts
        deactivated; the answers before and after, right_before and right_after. `cap`: identify.cap if None."""
        table = self.conditions
        table = table[(table.kind == kind) & (table.cap == (self.cap if cap is None else cap))]
        table = table.drop(columns=["kind", "cap"]).assign(experts=self.trials.experts.to_numpy()[table.trial])
        table = table.merge(self.questions[["id", "dataset"]], left_on="question", right_index=True)
        table = table.merge(self.variants[["question", "language", "text", "reference"]], on="question")
        asked = self.answers[self.trials.experts.to_numpy()[self.answers.trial] == 0]
        names = {"text": "before", "right": "right_before"}
        table = table.merge(asked[["question", "language", *names]].rename(columns=names), on=["question", "language"])
        names = {"text": "after", "right": "right_after"}
        table = table.merge(self.answers[["trial", "language", *names]].rename(columns=names), on=["trial", "language"])
        return table[["question", "id", "dataset", "language", "text", "reference", "draw", "source", "trial",
                      "experts", "before", "after", "right_before", "right_after"]]

    def gate_weights(self, tokens=None):
        """Mean gate weights (eq. 1), (n, MoE layers, experts) in the order of `capture`: over the tokens of the
        `prompt`, of the `answer`, or `all`; as capture.tokens if None. Exactly 0 where an expert is not routed to."""
        tokens = tokens or self.setting("capture.tokens")
        shape = len(self.capture), len(self.layers), -1
        parts = {part: values(self._root.group["capture"][part]).reshape(shape) for part in ("prompt", "answer")
                 if tokens in (part, "all")}
        if tokens != "all":
            return parts[tokens]
        counts = {part: self.capture[f"{part}_tokens"].to_numpy(float)[:, None, None] for part in parts}
        return (sum(counts[part] * parts[part] for part in parts) / sum(counts.values())).astype("f4")

    def to_xarray(self):
        """The capture as a Dataset over (question, language, layer, expert): weight, the mean gate weight over the
        tokens of capture.tokens, prompt_weight and answer_weight; asked, right, prompt_tokens and answer_tokens
        (question, language). Weights are NaN where a question is not asked in a language. Needs xarray."""
        return arrays.dataset(self)
