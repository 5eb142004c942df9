"""The tables of /results computed anew from a run's rows, plainly: what the report's numbers are held against.

A table is a dict of columns. Intervals and p values are a normal distribution's: near those of the program, never
equal. """

import itertools
import math
import random
from collections import Counter, defaultdict

import numpy as np
from sweep_reference import NONE, Sweep, gain, mean, summary


class Study:
    """A run's tables. `run`: what load() gives, or anything with its frames, config and number()."""

    def __init__(self, run):
        self.run, self.config = run, run.config
        self.cases = run.cases
        self.sweep = Sweep(run.base, run.routing, run.rows)
        self.recurrence = self.setting("select.recurrence")
        half = {name: self.cases.index[self.cases.split == name].tolist() for name in ("discovery", "validation")}
        self.discovery, self.validation = half["discovery"], half["validation"]
        self.all = sorted(self.discovery + self.validation)
        self.layer = self.best_layer(self.sweep, self.discovery)
        self.expert = self.best_expert(self.sweep, self.layer, self.discovery)

    def setting(self, key, kind=int):
        return kind(self.config.get(*key.split(".")))

    def best_layer(self, sweep, cases):
        means = [mean(self.blocks(cases, layer, sweep)) for layer in sweep.layers]
        return int(sweep.layers[int(np.argmax(means))])

    def recurrent(self, sweep, layer, cases, threshold):
        """(mean rescue over all cases, expert, active cases) of the recurrent experts, best first."""
        active = Counter(expert for case in cases for expert in sweep.routed[case, layer][0])
        found = [(mean([sweep.of_expert(case, layer, expert) for case in cases]), expert, times)
                 for expert, times in active.items() if times >= threshold]
        return sorted(found, key=lambda line: (-line[0], line[1]))

    def best_expert(self, sweep, layer, cases, threshold=None):
        found = self.recurrent(sweep, layer, cases, self.recurrence if threshold is None else threshold)
        return found[0][1] if found else NONE

    def controls(self, case, layer, expert):
        others = sorted(e for e in self.sweep.routed[case, layer][0] if e != expert)
        seed = self.setting("controls.seed") + int(self.cases.case_id[case])
        return random.Random(seed).sample(others, min(self.setting("controls.random"), len(others)))

    def spec(self, case, layer, expert, sweep=None):
        sweep = sweep or self.sweep
        against = mean([sweep.of_expert(case, layer, e) for e in self.controls(case, layer, expert)])
        return sweep.of_expert(case, layer, expert) - against

    def rescues(self, cases, layer, expert, sweep=None):
        return [(sweep or self.sweep).of_expert(case, layer, expert) for case in cases] if expert >= 0 else []

    def specs(self, cases, layer, expert, sweep=None):
        return [self.spec(case, layer, expert, sweep) for case in cases] if expert >= 0 else []

    def blocks(self, cases, layer, sweep=None):
        return [(sweep or self.sweep).block(case, layer) for case in cases]

    def active(self, cases, layer, expert):
        return [case for case in cases if expert in self.sweep.routed[case, layer][0]]

    def together(self, kind):
        return [self.sweep.rescue[case, self.layer, kind, NONE] for case in self.validation]

    def headline(self, cases, layer, expert):
        return {"layer_rescue": self.blocks(cases, layer), "expert_rescue": self.rescues(cases, layer, expert),
                "spec": self.specs(cases, layer, expert)}

    def layers(self):
        return lines({"layer": layer} | summary(self.blocks(self.discovery, layer), "discovery")
                     | summary(self.blocks(self.validation, layer), "validation") for layer in self.sweep.layers)

    def main_results(self):
        routed = self.active(self.validation, self.layer, self.expert)
        named = self.headline(self.validation, self.layer, self.expert)
        named |= {"expert_rescue_active": self.rescues(routed, self.layer, self.expert),
                  "spec_active": self.specs(routed, self.layer, self.expert),
                  "control_mean": [rescue - spec for rescue, spec in zip(named["expert_rescue"], named["spec"])]}
        named |= {kind: self.together(kind) for kind in ("coalition_clean", "coalition_union")}
        return lines({"name": name} | summary(values) for name, values in named.items())

    def activity(self):
        return lines([self.activity_of("discovery", self.discovery), self.activity_of("validation", self.validation)])

    def activity_of(self, half, cases):
        rescues, specs = self.rescues(cases, self.layer, self.expert), self.specs(cases, self.layer, self.expert)
        active = len(self.active(cases, self.layer, self.expert))
        return {"half": half, "cases": len(cases), "active": active, "zero_rescue": rescues.count(0.0),
                "zero_spec": specs.count(0.0), "structural": len(cases) - active}

    def by_relation(self):
        counts = Counter(self.cases.relation[case] for case in self.all)  # in scan order
        return [relation for relation, _ in counts.most_common()]  # stable: ties as they first appear

    def relations(self):
        return lines({"relation": relation, "n": sum(self.cases.relation[case] == relation for case in self.all)}
                     for relation in self.by_relation())

    def relation_results(self):
        counts = Counter(self.cases.relation[case] for case in self.validation)
        found = []
        for relation, n in counts.most_common(10):
            cases = [case for case in self.validation if self.cases.relation[case] == relation]
            specs = self.specs(cases, self.layer, self.expert)
            found.append({"relation": relation, "n": n, "expert_rescue": mean(self.rescues(cases, self.layer, self.expert)),
                          "spec": mean(specs), "positive_fraction": mean([spec > 0 for spec in specs])})
        return lines(found)

    def layer_gap(self):
        means = {layer: mean(self.blocks(self.validation, layer)) for layer in self.sweep.layers}
        top, following = sorted(means, key=lambda layer: (-means[layer], layer))[:2]
        return lines([{"top_layer": top, "top": means[top], "next_layer": following, "next": means[following],
                       "gap": means[top] - means[following]}])

    def ratios(self):
        block, rescue, spec = (mean(values) for values in self.headline(self.validation, self.layer, self.expert).values())
        return lines({"quantity": name, "value": value} for name, value in
                     (("layer_rescue", block), ("expert_over_layer", rescue / block), ("spec_over_layer", spec / block)))

    def split_cases(self):
        order = self.split_order(self.setting("cases.seed"))
        return lines({"case_id": int(self.cases.case_id[case]), "split": self.cases.split[case], "position": i}
                     for i, case in enumerate(order))

    def split_order(self, seed):
        order = list(self.all)
        random.Random(seed).shuffle(order)
        return order

    def pairs(self):
        """(case, gate-matched control) where the selected expert and another are routed."""
        for case in self.validation:
            experts, weights = self.sweep.routed[case, self.layer]
            if self.expert in experts and len(experts) > 1:
                own = weights[experts.index(self.expert)]
                yield case, min((abs(w - own), e) for e, w in zip(experts, weights) if e != self.expert)[1]

    def contrasts(self):
        second = self.run.controls[self.run.controls.kind == "equal_norm"]
        equal = dict(zip(zip(second.case, second.expert), second.rescue))
        for version, of in (("raw", lambda case, e: self.sweep.of_expert(case, self.layer, e)),
                            ("equal_norm", lambda case, e: equal.get((case, e), 0.0))):
            values = [(of(case, self.expert), of(case, control)) for case, control in self.pairs()]
            yield version, {"selected": [a for a, _ in values], "matched_control": [b for _, b in values],
                            "spec": [a - b for a, b in values]}

    def gate_matched(self):
        return lines({"quantity": quantity, "version": version} | summary(values)
                     for version, named in self.contrasts() for quantity, values in named.items())

    def ranks(self):
        ranks, percentiles, against = [], [], []
        for case in self.active(self.validation, self.layer, self.expert):
            experts = self.sweep.routed[case, self.layer][0]
            own = self.sweep.of_expert(case, self.layer, self.expert)
            others = [self.sweep.of_expert(case, self.layer, e) for e in experts if e != self.expert]
            if others:
                ranks.append(1 + sum(other > own for other in others))
                percentiles.append(1 - (ranks[-1] - 1) / len(others))
                against.append(own - mean(others))
        return lines([{"ranked": len(ranks), "top1": sum(r <= 1 for r in ranks), "top2": sum(r <= 2 for r in ranks),
                       "mean_rank": mean(ranks), "mean_percentile": mean(percentiles)} | summary(against, "spec_all")])

    def two_experts(self):
        if self.run.number("num_experts_per_tok") != 2:
            return lines([])
        of = dict(self.contrasts())
        return lines({"quantity": name} | summary(of[version][quantity]) for name, version, quantity in
                     (("raw_spec", "raw", "spec"), ("selected_equal_norm", "equal_norm", "selected"),
                      ("other_equal_norm", "equal_norm", "matched_control"), ("equal_norm_spec", "equal_norm", "spec")))

    def stability(self):
        seeds, thresholds = ([int(x) for x in self.config.get("stability", key).split(",")]
                             for key in ("split_seeds", "thresholds"))
        found = []
        for seed, threshold in itertools.product(seeds, thresholds):
            order, size = self.split_order(seed), self.setting("cases.discovery")
            discovery, validation = sorted(order[:size]), sorted(order[size:])
            layer = self.best_layer(self.sweep, discovery)
            chosen = self.best_expert(self.sweep, self.layer, discovery, threshold)
            found.append({"seed": seed, "threshold": threshold, "layer": layer,
                          "expert": self.best_expert(self.sweep, layer, discovery, threshold), "expert_at_main_layer": chosen}
                         | summary(self.rescues(validation, self.layer, chosen), "rescue")
                         | summary(self.specs(validation, self.layer, chosen), "spec"))
        return lines(found)

    def relation_folds(self):
        folds, relations = self.setting("stability.folds"), self.by_relation()
        found, pooled, specs, active = [], [], [], 0
        for fold in range(folds):
            out = relations[fold::folds]
            held = [case for case in self.all if self.cases.relation[case] in out]
            expert = self.best_expert(self.sweep, self.layer, [case for case in self.all if case not in held])
            found.append({"fold": fold, "relations": ",".join(out), "held_out": len(held),
                          "active": len(self.active(held, self.layer, expert)), "expert": expert}
                         | summary(self.rescues(held, self.layer, expert), "rescue")
                         | summary(self.specs(held, self.layer, expert), "spec"))
            pooled += self.rescues(held, self.layer, expert)
            specs += self.specs(held, self.layer, expert)
            active += found[-1]["active"]
        chosen = {line["expert"] for line in found}
        found.append({"fold": NONE, "relations": "all", "held_out": len(self.all), "active": active,
                      "expert": chosen.pop() if len(chosen) == 1 else NONE}
                     | summary(pooled, "rescue") | summary(specs, "spec"))
        return lines(found)

    def noises(self):
        """(scale, draw, sweep), the run's own first."""
        yield self.setting("noise.scale", float), 0, self.sweep
        frames = self.run.conditions
        for scale, draw in frames.base[["noise_scale", "draw"]].drop_duplicates().itertuples(index=False):
            yield float(scale), int(draw), Sweep(*(table[(table.noise_scale == scale) & (table.draw == draw)]
                                                   for table in (frames.base, frames.routing, frames.rows)))

    def noise_scales(self):
        found = []
        for scale, _, sweep in sorted((noise for noise in self.noises() if noise[1] == 0), key=lambda noise: noise[0]):
            layer = self.best_layer(sweep, self.discovery)
            anew = layer, self.best_expert(sweep, layer, self.discovery)
            for name, (at, expert) in (("fixed", (self.layer, self.expert)), ("anew", anew)):
                found.append({"scale": scale, "selection": name, "layer": at, "expert": expert, "n": len(self.validation),
                              "active": len(self.active(self.validation, at, expert)),
                              "mean_drop": mean([sweep.drop[case] for case in self.validation])}
                             | summary(self.rescues(self.validation, at, expert, sweep), "rescue"))
        return lines(found)

    def draws(self):
        own = self.setting("noise.scale", float)
        return lines({"draw": draw, "scale": scale, "layer_rescue": mean(self.blocks(self.validation, self.layer, sweep)),
                      "expert_rescue": mean(self.rescues(self.validation, self.layer, self.expert, sweep)),
                      "spec": mean(self.specs(self.validation, self.layer, self.expert, sweep))}
                     for scale, draw, sweep in self.noises() if scale == own)

    def relaxed_half(self, name):
        return self.cases.index[self.cases.relaxed_split == name].tolist()

    def relaxed(self):
        discovery, validation = self.relaxed_half("discovery"), self.relaxed_half("validation")
        if not validation:
            return lines([])
        layer = self.best_layer(self.sweep, discovery)
        expert = self.best_expert(self.sweep, layer, discovery, self.setting("scale_up.recurrence"))
        return lines({"quantity": name} | summary(values) for name, values in self.headline(validation, layer, expert).items())

    def relaxed_transfer(self):
        every = self.relaxed_half("validation")
        subsets = {"all": every, "new": [case for case in every if self.cases.split[case] == "none"]}
        return lines({"subset": subset, "quantity": name} | summary(values) for subset, cases in subsets.items() if cases
                     for name, values in self.headline(cases, self.layer, self.expert).items())

    def coalitions(self):
        named = {"clean_topk": self.together("coalition_clean"), "routing_union": self.together("coalition_union"),
                 "block": self.blocks(self.validation, self.layer),
                 "expert": self.rescues(self.validation, self.layer, self.expert)}
        return lines({"quantity": name} | summary(values) for name, values in named.items())

    def layer_best(self):
        found = []
        for layer in self.sweep.layers:
            best = self.recurrent(self.sweep, layer, self.discovery, self.recurrence)
            value, expert, active = best[0] if best else (math.nan, NONE, 0)
            found.append({"layer": layer, "expert": expert, "discovery_active": active, "discovery_rescue": value}
                         | summary(self.rescues(self.validation, layer, expert), "rescue")
                         | summary(self.specs(self.validation, layer, expert), "spec"))
        return lines(found)

    def joint(self):
        pairs = [(value, layer, expert, active) for layer in self.sweep.layers
                 for value, expert, active in self.recurrent(self.sweep, layer, self.discovery, self.recurrence)]
        return lines({"layer": layer, "expert": expert, "discovery_active": active, "discovery_rescue": value,
                      "validation_rescue": mean(self.rescues(self.validation, layer, expert))}
                     for value, layer, expert, active in sorted(pairs, key=lambda pair: (-pair[0], *pair[1:3]))[:20])

    def shapley(self):
        games = defaultdict(lambda: {0: 0.0})
        for rows in (self.run.rows, self.run.controls):
            for row in rows[(rows.kind == "subset") & rows.case.isin(self.all)].itertuples():
                games[row.layer, row.case][row.members] = row.rescue
        values, totals = defaultdict(list), defaultdict(float)
        for (layer, case), game in games.items():
            experts = self.sweep.routed[case, layer][0]
            totals[layer] += game[2 ** len(experts) - 1]
            for j, expert in enumerate(experts):
                values[layer, expert].append(gain(game, j, len(experts)))
        found = [{"layer": layer, "expert": expert, "share": sum(shares) / totals[layer]} | summary(shares)
                 for (layer, expert), shares in values.items()]
        return lines(sorted(found, key=lambda line: (line["layer"], -line["mean"])))


TABLES = ("layers", "main_results", "activity", "relations", "relation_results", "layer_gap", "ratios", "split_cases",
          "gate_matched", "ranks", "two_experts", "stability", "relation_folds", "noise_scales", "draws", "relaxed",
          "relaxed_transfer", "coalitions", "layer_best", "joint", "shapley")


def lines(records):
    """Lines as columns."""
    records = list(records)
    return {name: [record[name] for record in records] for name in records[0]} if records else {}


def tables(run):
    study = Study(run)
    return {name: getattr(study, name)() for name in TABLES}
