"""Writes a sweep.h5 as the program does, from a made-up study with a known winner: input for the tests of analysis/."""

import configparser
import random
from types import SimpleNamespace

import h5py
import numpy as np
import pandas as pd

import study_reference

CONFIG = """[model]
path = models/synthetic
[cases]
seed = 0
limit = {usable}
discovery = {discovery}
[noise]
scale = 3
draws = {draws}
scales = {scales}
[select]
recurrence = {recurrence}
[controls]
random = 3
seed = 1000
[scale_up]
limit = {relaxed}
recurrence = {relaxed_recurrence}
[stability]
split_seeds = 0,1,2
thresholds = {recurrence},{usable}
folds = 5
[stats]
bootstrap = 400
sign_flips = 400
"""
STATUS = ["usable", "true_not_single_token", "foil_not_single_token", "same_token", "subject_not_found",
          "clean_margin_too_small", "noise_drop_too_small"]
SPLIT = ["none", "discovery", "validation"]
KIND = ["block", "expert", "coalition_clean", "coalition_union", "subset", "equal_norm"]
RUN = ["clean", "noised"]
NOTHING = {"two_experts": "The model routes a token to more than two experts.", "relaxed": "No relaxed study was asked for.",
           "relaxed_transfer": "No relaxed study was asked for.", "draws": "One draw of the noise.",
           "shapley": "No subsets were asked for.", "noise_scales": "No other scale was swept."}
PAPER_PLACES = {
    "main_results": "Table 1", "protocol": "Table 2", "activity": "Table 3", "relations": "Table 4",
    "relation_results": "Table 5", "layer_gap": "Table 6", "ratios": "Table 7", "split_cases": "Table 8",
    "gate_matched": "Table 9", "ranks": "Table 10", "two_experts": "Table 11", "stability": "Appendix D",
    "relation_folds": "Table 12", "noise_scales": "Table 13", "relaxed": "Table 14", "relaxed_transfer": "Table 15",
    "coalitions": "Table 16",
}
SUMMARY = ["n", "mean", "ci_low", "ci_high", "p", "positive_fraction"]
EMPTY = {"two_experts": ["quantity", *SUMMARY], "relaxed": ["quantity", *SUMMARY],
         "relaxed_transfer": ["subset", "quantity", *SUMMARY],
         "joint": ["layer", "expert", "discovery_active", "discovery_rescue", "validation_rescue"],
         "shapley": ["layer", "expert", "n", "mean", "ci_low", "ci_high", "share"]}  # the columns of tables without a line


class Synthetic:
    """A run of `usable` cases in which expert `expert` of layer `layer` returns `effect` logits wherever it is routed.
    With `whole`, it was also swept under other noises, on relaxed cases, and with every subset at that layer."""

    def __init__(self, layers=6, experts=8, k=4, usable=64, layer=4, expert=2, effect=1.0, seed=0, recurrence=None, whole=True):
        self.layers, self.experts, self.k, self.layer, self.expert, self.whole = layers, experts, k, layer, expert, whole
        self.rng = np.random.default_rng(seed)
        skipped, relaxed = max(3, usable // 10), usable // 2 if whole else 0
        scanned = usable + skipped + relaxed
        kept = np.sort(self.rng.choice(scanned, scanned - skipped, replace=False))
        self.status = self.rng.integers(1, 5, scanned).astype("i1")
        self.status[kept] = 0
        self.status[kept[usable:]] = 5
        self.split = halves(scanned, kept[:usable])
        self.relaxed = halves(scanned, np.sort(self.rng.choice(kept, 2 * relaxed, replace=False)))
        self.swept = np.flatnonzero((self.split > 0) | (self.relaxed > 0))
        self.clean = self.rng.normal(6, 2, scanned)
        self.text = CONFIG.format(
            usable=usable, discovery=usable // 2, recurrence=usable // 4 if recurrence is None else recurrence,
            relaxed=2 * relaxed, relaxed_recurrence=relaxed // 2, draws=3 if whole else 1, scales="1,2" if whole else "")
        self.sweep(effect)

    def sweep(self, effect):
        """The tables of every noise; the clean run's routing is the same under each."""
        routed = {(case, layer): self.route(layer) for case in self.swept for layer in range(self.layers)}
        self.own = self.tables(routed, effect, 1.0)
        noises = [(3.0, 1, 1.0), (3.0, 2, 1.0), (1.0, 0, 0.3), (2.0, 0, 0.8)] if self.whole else []
        self.conditions = [(scale, draw, self.tables(routed, effect, share)) for scale, draw, share in noises]
        self.controls = self.own.rows[:0]
        if self.whole:
            self.controls = pd.concat([self.equal_norm(routed), self.subsets(routed)], ignore_index=True)

    def tables(self, routed, effect, share):
        """Base runs, routing and rows of every swept case; the block returns the sum of its experts, and something
        more."""
        noised = self.clean[self.swept] - share * self.rng.gamma(4, 1, len(self.swept)) - 1
        base = pd.DataFrame({"case": self.swept, "delta_clean": self.clean[self.swept], "delta_noised": noised})
        routing, rows = [], []
        for (case, layer), clean in routed.items():
            moved = self.route(layer)
            weights = [np.sort(self.rng.dirichlet(np.full(self.k, 4.0)))[::-1] for _ in RUN]
            routing += [(case, layer, run, *experts, *weight) for run, experts, weight in zip(RUN, (clean, moved), weights)]
            union = np.union1d(clean, moved)
            strength = share * np.exp(-0.5 * ((layer - self.layer) / max(1, self.layers / 8)) ** 2)
            rescue = self.rng.normal(0.05, 0.25, self.experts) * strength
            if layer == self.layer and self.expert in clean:
                rescue[self.expert] += self.rng.gamma(3, share * effect / 3)
            lines = [("block", -1, rescue[union].sum() + 0.1 * strength)] + [("expert", e, rescue[e]) for e in union]
            lines += [("coalition_clean", -1, rescue[clean].sum()), ("coalition_union", -1, rescue[union].sum())]
            rows += [(case, layer, kind, e, 0, e in clean, e in moved, value) for kind, e, value in lines]
        names = [f"{name}_{i}" for name in ("expert", "weight") for i in range(self.k)]
        return SimpleNamespace(base=base, routing=pd.DataFrame(routing, columns=["case", "layer", "run", *names]),
                               rows=self.frame_of(rows))

    @staticmethod
    def frame_of(rows):
        return pd.DataFrame(rows, columns=["case", "layer", "kind", "expert", "members", "clean_active", "noised_active", "rescue"])

    def route(self, layer):
        """k different experts; the planted one in most cases of its layer."""
        routed = self.rng.permutation(self.experts)[: self.k]
        if layer == self.layer and self.expert not in routed and self.rng.random() < 0.7:
            routed[0] = self.expert
        return routed

    def singles(self):
        rows = self.own.rows[(self.own.rows.layer == self.layer) & (self.own.rows.kind == "expert")]
        return dict(zip(zip(rows.case, rows.expert), rows.rescue))

    def equal_norm(self, routed):
        """Half of what the selected expert and each other one return, where both are routed: the study picks its
        pair."""
        return self.frame_of([(case, self.layer, "equal_norm", e, 0, True, False, value / 2)
                              for (case, e), value in self.singles().items()
                              if {e, self.expert} <= set(routed[case, self.layer]) and self.split[case]])

    def subsets(self, routed):
        """Every subset of the routed experts returns its sum, and a little more for each pair in it."""
        singles, rows = self.singles(), []
        for case in np.flatnonzero(self.split):
            experts = routed[case, self.layer]
            for members in range(1, 2 ** self.k):
                inside = [singles[case, e] for j, e in enumerate(experts) if members >> j & 1]
                rows.append((case, self.layer, "subset", -1, members, False, False,
                             sum(inside) + 0.02 * len(inside) * (len(inside) - 1) / 2))
        return self.frame_of(rows)

    def case_frame(self):
        n = len(self.status)
        words = {"relation": "P{}", "subject": "Zürich {}", "prompt": "Zürich {} <b>lies</b> & lives in",
                 "true_text": "Österreich", "foil_text": "Milan"}
        table = pd.DataFrame({"case_id": np.arange(n) * 7 + 1, "record": np.arange(n)})
        for name, text in words.items():
            table[name] = [text.format(i * i % 13 if name == "relation" else i % 5) for i in range(n)]
        noised = self.own.base.set_index("case").delta_noised
        return table.assign(status=pd.Categorical.from_codes(self.status, STATUS),
                            split=pd.Categorical.from_codes(self.split, SPLIT),
                            relaxed_split=pd.Categorical.from_codes(self.relaxed, SPLIT), delta_clean=self.clean,
                            delta_noised=noised.reindex(range(n)).fillna(0).to_numpy())

    def write(self, folder, *, selected=True, note="", model_type="qwen3_moe", without=()):
        """Writes folder/sweep.h5; `selected` = False: a run in which no expert recurs. `without`: groups to leave
        out."""
        folder.mkdir(parents=True, exist_ok=True)
        with h5py.File(folder / "sweep.h5", "w", libver="latest") as file:
            self.write_meta(file, model_type)
            cases = self.case_frame()
            self.write_cases(file, cases)
            self.write_sweep(file, self.own)
            frame(file, "controls", self.controls)
            conditions = file.create_group("conditions")
            for i, (scale, draw, tables) in enumerate(self.conditions):
                group = conditions.create_group(f"{i:02}")
                group.attrs["scale"], group.attrs["draw"] = scale, draw
                self.write_sweep(group, tables)
            self.write_results(file.create_group("results"), cases, selected, note)
            for group in without:
                del file[group]
        return folder

    def geometry(self):
        return {"num_hidden_layers": self.layers, "num_experts": self.experts, "num_experts_per_tok": self.k}

    def write_meta(self, file, model_type):
        attributes(file.create_group("meta"), self.geometry() | {
            "version": "0.1.0", "precision": "fp32", "model_type": model_type, "hidden_size": 96, "vocab_size": 3072,
            "weights_sha256": "a" * 64, "tokenizer_sha256": "b" * 64, "facts_sha256": "c" * 64, "config": self.text,
            "sigma": "0.0613", "bos": "no"})
        attributes(file.create_group("provenance"), {"ranks": 2})

    def write_cases(self, file, cases):
        group = frame(file, "cases", cases)
        lengths = 5 + np.arange(len(cases)) % 4
        column(group, "token_begin", np.concatenate([[0], np.cumsum(lengths)]))
        column(group, "token_ids", np.arange(lengths.sum(), dtype="i4") % 3072)
        for name in ("subject_begin", "subject_end", "true_id", "foil_id"):
            column(group, name, np.arange(len(cases), dtype="i4"))

    def write_sweep(self, file, tables):
        frame(file, "base", tables.base)
        group = frame(file, "routing", tables.routing[["case", "layer", "run"]].assign(gap=1.0))
        for name in ("expert", "weight"):
            column(group, name, tables.routing.filter(like=name + "_").to_numpy())
        frame(file, "rows", tables.rows.assign(scale=1.0, patch_norm=1.0, delta=0.0))

    def write_results(self, results, cases, selected, note):
        config = configparser.ConfigParser()
        config.read_string(self.text)
        joined = {part: pd.concat([getattr(tables, part).assign(noise_scale=scale, draw=draw)
                                   for scale, draw, tables in self.conditions]
                                  or [getattr(self.own, part)[:0].assign(noise_scale=0.0, draw=0)])
                  for part in ("base", "routing", "rows")}
        study = study_reference.Study(SimpleNamespace(
            cases=cases, controls=self.controls, conditions=SimpleNamespace(**joined), config=config,
            number=self.geometry().get, **vars(self.own)))
        expert = study.expert if selected else -1
        attributes(results.create_group("summary"), {
            "meaning": "What was selected", "selected_layer": study.layer, "selected_expert": expert,
            "selected_by_active_mean": expert, "discovery_cases": len(study.discovery),
            "validation_cases": len(study.validation), "note": note, "rule_layer": "Layer: the highest mean block rescue.",
            "rule_spec": "Spec: a difference."})
        self.write_plain_tables(results, study, selected)
        for name in study_reference.TABLES:
            table = pd.DataFrame(getattr(study, name)())
            if name == "ratios":
                table = table.assign(ci_low=table.value - 0.1, ci_high=table.value + 0.1)
            if not selected and name not in ("layers", "main_results", "relations", "layer_gap"):
                table = table[:0]
            if name == "main_results":
                table.insert(1, "meaning", [f"what {line} is" for line in table["name"]])
                if not selected:  # nothing but the block has a mean
                    table.loc[1:, "n"], table.loc[1:, "mean":] = 0, np.nan
            if not self.whole and name in ("noise_scales", "draws"):
                table = table[:2]
            group = frame(results, name, table if len(table.columns) else pd.DataFrame(columns=EMPTY[name]))
            if len(table) == 0 or not self.whole and name in NOTHING:
                attributes(group, {"note": NOTHING.get(name, "No expert is selected.")})
            if name == "relaxed" and len(table):
                attributes(group, {"discovery_active": 20, "discovery_cases": 32, "layer": study.layer, "expert": expert})
            if name == "draws" and len(table) > 1:
                attributes(group, {f"{quantity}_{of}": table[quantity].std() / (1 if of == "sd" else len(table) ** 0.5)
                                   for quantity in ("layer_rescue", "expert_rescue", "spec") for of in ("sd", "se")})
            if name == "shapley":
                attributes(group, {"largest_residual": 4e-16})
        for name, place in PAPER_PLACES.items():
            attributes(results[name], {"paper": f"arXiv 2606.03780, {place}"})

    def write_plain_tables(self, results, study, selected):
        """Those that the reference does not have: per expert and per case."""
        sweep, layer, expert = study.sweep, study.layer, study.expert
        active = {half: [len(study.active(getattr(study, half), layer, e)) for e in range(self.experts)]
                  for half in ("discovery", "validation")}
        rescue = np.array([np.mean(study.rescues(study.discovery, layer, e)) for e in range(self.experts)])
        with np.errstate(invalid="ignore"):
            among = rescue * len(study.discovery) / np.array(active["discovery"])
        frame(results, "candidates", pd.DataFrame({
            "expert": range(self.experts), "discovery_active": active["discovery"], "validation_active": active["validation"],
            "discovery_rescue": rescue, "discovery_rescue_active": among,
            "recurrent": (np.array(active["discovery"]) >= study.recurrence) & selected}))
        heatmap = frame(results, "heatmap", pd.DataFrame({"layer": range(self.layers)}))
        column(heatmap, "mean_rescue", [[np.mean(study.rescues(study.all, at, e)) for e in range(self.experts)]
                                        for at in range(self.layers)])
        column(heatmap, "active", [[len(study.active(study.all, at, e)) for e in range(self.experts)]
                                   for at in range(self.layers)])
        cases = study.validation
        alone = np.array(study.rescues(cases, layer, expert)) if selected else np.full(len(cases), np.nan)
        spec = np.array(study.specs(cases, layer, expert)) if selected else np.full(len(cases), np.nan)
        frame(results, "validation", pd.DataFrame({
            "case": cases, "active": [expert in sweep.routed[case, layer][0] for case in cases],
            "block_rescue": study.blocks(cases, layer), "expert_rescue": alone,
            "controls": [len(study.controls(case, layer, expert)) for case in cases], "control_mean": alone - spec,
            "spec": spec}))
        frame(results, "protocol", pd.DataFrame({"item": ["Record order", "Cases"], "setting": ["shuffled with seed 0",
                                                                                           f"{len(study.all)} cases"]}))


def halves(scanned, cases):
    """The split as the program makes it: a fresh shuffle, the first half is discovery."""
    order = cases.tolist()
    random.Random(0).shuffle(order)
    split = np.zeros(scanned, "i1")
    split[order[: len(order) // 2]], split[order[len(order) // 2:]] = 1, 2
    return split


def attributes(group, values):
    for name, value in values.items():
        group.attrs.create(name, str(value), dtype=h5py.string_dtype(length=max(1, len(str(value).encode()))))


def frame(parent, name, table):
    """A group with a dataset per column of `table`."""
    group = parent.create_group(name)
    for key in table:
        if key in ("kind", "run"):
            codes = table[key].map((KIND if key == "kind" else RUN).index)
            column(group, key, np.asarray(codes, "i1"), names=KIND if key == "kind" else RUN)
        elif isinstance(table[key].dtype, pd.CategoricalDtype):
            column(group, key, table[key].cat.codes.to_numpy(), names=list(table[key].cat.categories))
        elif pd.api.types.is_numeric_dtype(table[key]):
            column(group, key, table[key])
        else:
            texts(group, key, table[key])
    return group


def column(group, name, values, names=None):
    values = np.asarray(values)
    if values.dtype == bool:
        values = values.astype("i1")
    dtype = h5py.enum_dtype({n: i for i, n in enumerate(names)}, basetype="i1") if names else values.dtype
    dataset = group.create_dataset(name, data=values, dtype=dtype)
    dataset.attrs["unit"], dataset.attrs["meaning"] = "", name


def texts(group, name, values):
    data = [value.encode() for value in values]
    group.create_dataset(name, data=np.array(data, dtype=h5py.string_dtype(length=max(map(len, data), default=1))))
