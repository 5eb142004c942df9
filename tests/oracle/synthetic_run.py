"""Writes a sweep.h5 as the program does, from a made-up study with a known winner: input for the tests of analysis/."""

import h5py
import numpy as np

CONFIG = """[model]
path = models/synthetic
[cases]
discovery = {discovery}
[noise]
scale = 3
[select]
recurrence = {recurrence}
[controls]
random = 3
[stats]
bootstrap = 400
sign_flips = 400
"""
STATUS = ["usable", "true_not_single_token", "foil_not_single_token", "same_token", "subject_not_found",
          "clean_margin_too_small", "noise_drop_too_small"]
SPLIT = ["none", "discovery", "validation"]
KIND = ["block", "expert", "coalition_clean", "coalition_union"]


class Synthetic:
    """A run of `usable` cases in which expert `expert` of layer `layer` returns `effect` logits wherever it is routed."""

    def __init__(self, layers=6, experts=8, k=4, usable=64, layer=4, expert=2, effect=1.0, seed=0, recurrence=None):
        self.layers, self.experts, self.k, self.layer, self.expert = layers, experts, k, layer, expert
        self.rng = np.random.default_rng(seed)
        self.recurrence = usable // 4 if recurrence is None else recurrence
        skipped = max(3, usable // 10)
        scanned = usable + skipped
        self.status = np.zeros(scanned, "i1")
        self.status[self.rng.choice(scanned, skipped, replace=False)] = self.rng.integers(1, len(STATUS), skipped)
        self.split = np.where(self.status == 0, 2, 0).astype("i1")
        self.split[self.rng.choice(np.flatnonzero(self.status == 0), usable // 2, replace=False)] = 1
        self.clean = self.rng.normal(6, 2, scanned)
        self.noised = self.clean - self.rng.gamma(4, 1, scanned)
        self.make_rows(effect)

    def make_rows(self, effect):
        """Routing lines and rows of every usable case; the block returns the sum of its experts, and something more."""
        self.routing, self.rows = [], []
        for case in np.flatnonzero(self.status == 0):
            for layer in range(self.layers):
                routed = {run: self.route(layer) for run in (0, 1)}
                self.routing += [(case, layer, run, routed[run]) for run in (0, 1)]
                union = np.union1d(routed[0], routed[1])
                strength = np.exp(-0.5 * ((layer - self.layer) / max(1, self.layers / 8)) ** 2)
                rescue = self.rng.normal(0.05, 0.25, self.experts) * strength
                if layer == self.layer and self.expert in routed[0]:
                    rescue[self.expert] += self.rng.gamma(3, effect / 3)
                lines = [(0, -1, rescue[union].sum() + 0.1 * strength)]
                lines += [(1, e, rescue[e]) for e in union]
                lines += [(2, -1, rescue[routed[0]].sum()), (3, -1, rescue[union].sum())]
                self.rows += [(case, layer, kind, e, e in routed[0], e in routed[1], value) for kind, e, value in lines]

    def route(self, layer):
        """k different experts; the planted one in most cases of its layer."""
        routed = self.rng.permutation(self.experts)[: self.k]
        if layer == self.layer and self.expert not in routed and self.rng.random() < 0.7:
            routed[0] = self.expert
        return routed

    def write(self, folder, *, selected=True, note="", model_type="qwen3_moe", without=()):
        """Writes folder/sweep.h5; `selected` = False: a run in which no expert recurs. `without`: groups to leave out."""
        folder.mkdir(parents=True, exist_ok=True)
        with h5py.File(folder / "sweep.h5", "w", libver="latest") as file:
            self.write_meta(file, model_type)
            self.write_tables(file)
            self.write_results(file.create_group("results"), selected, note)
            for group in without:
                del file[group]
        return folder

    def write_meta(self, file, model_type):
        config = CONFIG.format(discovery=(self.split == 1).sum(), recurrence=self.recurrence)
        attributes(file.create_group("meta"), {
            "version": "0.1.0", "precision": "fp32", "model_type": model_type, "num_hidden_layers": self.layers,
            "hidden_size": 96, "num_experts": self.experts, "num_experts_per_tok": self.k, "vocab_size": 3072,
            "weights_sha256": "a" * 64, "tokenizer_sha256": "b" * 64, "facts_sha256": "c" * 64, "config": config,
            "sigma": "0.0613", "bos": "no"})
        attributes(file.create_group("provenance"), {"ranks": 2})

    def write_tables(self, file):
        n = len(self.status)
        cases = file.create_group("cases")
        column(cases, "case_id", np.arange(n, dtype="i8") * 7 + 1)
        column(cases, "record", np.arange(n, dtype="i4"))
        for name, words in (("relation", "P{}"), ("subject", "Zürich {}"), ("prompt", "Zürich {} <b>lies</b> & lives in"),
                            ("true_text", "Österreich"), ("foil_text", "Milan")):
            texts(cases, name, [words.format(i % 5) for i in range(n)])
        column(cases, "status", self.status, names=STATUS)
        column(cases, "split", self.split, names=SPLIT)
        lengths = 5 + np.arange(n) % 4
        column(cases, "token_begin", np.concatenate([[0], np.cumsum(lengths)]).astype("i8"))
        column(cases, "token_ids", np.arange(lengths.sum(), dtype="i4") % 3072)
        for name in ("subject_begin", "subject_end", "true_id", "foil_id"):
            column(cases, name, np.arange(n, dtype="i4"))
        column(cases, "delta_clean", self.clean, unit="logit")
        column(cases, "delta_noised", self.noised, unit="logit")

        routing = file.create_group("routing")
        column(routing, "case", [r[0] for r in self.routing], "i4")
        column(routing, "layer", [r[1] for r in self.routing], "i4")
        column(routing, "run", [r[2] for r in self.routing], "i1", names=["clean", "noised"])
        column(routing, "expert", np.array([r[3] for r in self.routing]), "i4")
        for name in ("weight", "contribution_norm"):
            column(routing, name, np.full((len(self.routing), self.k), 1 / self.k), "f4")
        column(routing, "gap", np.ones(len(self.routing)), "f4")

        rows = file.create_group("rows")
        for i, (name, dtype) in enumerate([("case", "i4"), ("layer", "i4"), ("kind", "i1"), ("expert", "i4"),
                                           ("clean_active", "i1"), ("noised_active", "i1"), ("rescue", "f8")]):
            column(rows, name, [r[i] for r in self.rows], dtype, names=KIND if name == "kind" else None)
        column(rows, "scale", np.ones(len(self.rows)), "f4")
        column(rows, "patch_norm", np.ones(len(self.rows)), "f4")
        column(rows, "delta", rows["rescue"][:] + self.noised[rows["case"][:]], "f8")

    def write_results(self, results, selected, note):
        rescue = {(case, layer, kind, e): value for case, layer, kind, e, clean, _, value in self.rows if kind != 1 or clean}
        routed = {(case, layer): e for case, layer, run, e in self.routing if run == 0}
        half = {name: np.flatnonzero(self.split == i) for i, name in enumerate(SPLIT)}
        usable = np.flatnonzero(self.split)
        expert = self.expert if selected else -1
        summary = results.create_group("summary")
        attributes(summary, {"meaning": "What was selected", "selected_layer": self.layer, "selected_expert": expert,
                             "selected_by_active_mean": expert, "discovery_cases": len(half["discovery"]),
                             "validation_cases": len(half["validation"]), "note": note,
                             "rule_layer": "Layer: the highest mean block rescue.", "rule_spec": "Spec: a difference."})

        layers = results.create_group("layers")
        column(layers, "layer", np.arange(self.layers), "i4")
        for name in ("discovery", "validation"):
            summaries(layers, name + "_", [[rescue[c, layer, 0, -1] for c in half[name]] for layer in range(self.layers)])

        active = {name: np.array([sum(e in routed[c, self.layer] for c in half[name]) for e in range(self.experts)])
                  for name in ("discovery", "validation")}
        total = np.array([sum(rescue.get((c, self.layer, 1, e), 0) for c in half["discovery"]) for e in range(self.experts)])
        candidates = results.create_group("candidates")
        column(candidates, "expert", np.arange(self.experts), "i4")
        column(candidates, "discovery_active", active["discovery"], "i4")
        column(candidates, "validation_active", active["validation"], "i4")
        column(candidates, "discovery_rescue", total / len(half["discovery"]), "f8")
        with np.errstate(invalid="ignore"):
            column(candidates, "discovery_rescue_active", total / active["discovery"], "f8")
        column(candidates, "recurrent", (active["discovery"] >= self.recurrence) & selected, "i1")

        shape = [[(layer, e) for e in range(self.experts)] for layer in range(self.layers)]
        heatmap = results.create_group("heatmap")
        column(heatmap, "layer", np.arange(self.layers), "i4")
        column(heatmap, "mean_rescue", [[np.mean([rescue.get((c, layer, 1, e), 0) for c in usable]) for layer, e in line]
                                        for line in shape], "f8")
        column(heatmap, "active", [[sum(e in routed[c, layer] for c in usable) for layer, e in line] for line in shape], "i4")

        lines = {name: [] for name in ("case", "active", "block_rescue", "expert_rescue", "controls", "control_mean", "spec")}
        for case in half["validation"]:
            others = [e for e in sorted(routed[case, self.layer]) if e != expert][:3]
            control = np.mean([rescue[case, self.layer, 1, e] for e in others]) if others and selected else np.nan
            alone = rescue.get((case, self.layer, 1, expert), 0.0) if selected else np.nan
            for name, value in zip(lines, (case, expert in routed[case, self.layer], rescue[case, self.layer, 0, -1], alone,
                                           len(others) * selected, control, alone - control)):
                lines[name].append(value)
        validation = results.create_group("validation")
        for name, dtype in zip(lines, ("i4", "i1", "f8", "f8", "i1", "f8", "f8")):
            column(validation, name, lines[name], dtype)
        self.write_table1(results.create_group("table1"), {name: np.array(values, float) for name, values in lines.items()},
                          [[rescue[c, self.layer, kind, -1] for c in half["validation"]] for kind in (2, 3)])

    @staticmethod
    def write_table1(table, lines, coalitions):
        where = lines["active"] == 1
        quantities = {"layer_rescue": lines["block_rescue"], "expert_rescue": lines["expert_rescue"], "spec": lines["spec"],
                      "expert_rescue_active": lines["expert_rescue"][where], "spec_active": lines["spec"][where],
                      "control_mean": lines["control_mean"], "coalition_clean": coalitions[0], "coalition_union": coalitions[1]}
        texts(table, "name", list(quantities))
        texts(table, "meaning", [f"what {name} is" for name in quantities])
        summaries(table, "", [np.array(v)[np.isfinite(v)] for v in quantities.values()])


def attributes(group, values):
    for name, value in values.items():
        group.attrs.create(name, str(value), dtype=h5py.string_dtype(length=max(1, len(str(value).encode()))))


def column(group, name, values, dtype=None, unit="", names=None):
    values = np.asarray(values, dtype)
    dtype = h5py.enum_dtype({n: i for i, n in enumerate(names)}, basetype="i1") if names else values.dtype
    dataset = group.create_dataset(name, data=values, dtype=dtype)
    dataset.attrs["unit"], dataset.attrs["meaning"] = unit, name


def texts(group, name, values):
    data = [v.encode() for v in values]
    group.create_dataset(name, data=np.array(data, dtype=h5py.string_dtype(length=max(map(len, data), default=1))))


def summaries(group, prefix, samples):
    """n, mean, interval, p and positive fraction of each sample, as NaN where it is empty."""
    rng = np.random.default_rng(1)
    numbers = []
    for values in map(np.asarray, samples):
        if len(values) == 0:
            numbers.append([np.nan] * 5)
            continue
        means = values[rng.integers(0, len(values), (400, len(values)))].mean(axis=1)
        flipped = np.abs((values * rng.choice([-1, 1], (400, len(values)))).mean(axis=1))
        numbers.append([values.mean(), *np.quantile(means, [0.025, 0.975]),
                        (1 + (flipped >= abs(values.mean())).sum()) / 401, (values > 0).mean()])
    column(group, prefix + "n", [len(v) for v in samples], "i8")
    for i, name in enumerate(("mean", "ci_low", "ci_high", "p", "positive_fraction")):
        column(group, prefix + name, [line[i] for line in numbers], "f8")
