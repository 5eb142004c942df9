"""What study_reference.py asks of one sweep, a case at a time; means, intervals and Shapley values."""

import math

import numpy as np

NONE = -1


class Sweep:
    """The rows of one noise, found by case and layer."""

    def __init__(self, base, routing, rows):
        experts = routing.filter(regex=r"^expert_\d+$").to_numpy()
        weights = routing.filter(regex=r"^weight_\d+$").to_numpy()
        clean = (routing.run == "clean").to_numpy()
        self.routed = {place: (e.tolist(), w.tolist()) for place, e, w in
                       zip(zip(routing.case[clean], routing.layer[clean]), experts[clean], weights[clean])}
        self.rescue = dict(zip(zip(rows.case, rows.layer, rows.kind, rows.expert), rows.rescue))
        self.drop = dict(zip(base.case, base.delta_clean - base.delta_noised))
        self.layers = sorted(rows.layer[rows.kind == "block"].unique())

    def block(self, case, layer):
        return self.rescue[case, layer, "block", NONE]

    def of_expert(self, case, layer, expert):
        return self.rescue[case, layer, "expert", expert] if expert in self.routed[case, layer][0] else 0.0


def mean(values):
    """Over the values that are there; NaN without any."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def summary(values, prefix=""):
    known = np.array([value for value in values if not math.isnan(value)], float)
    centre, error = mean(known), known.std() / math.sqrt(len(known)) if len(known) else math.nan
    numbers = {"n": len(known), "mean": centre, "ci_low": centre - 1.96 * error, "ci_high": centre + 1.96 * error,
               "p": math.erfc(abs(centre) / error / math.sqrt(2)) if error else 1.0,
               "positive_fraction": mean(known > 0)}
    return {f"{prefix}_{name}" if prefix else name: number for name, number in numbers.items()}


def gain(game, player, players):
    """What a player adds when it joins, over all orders of joining: each subset stands for so many of them."""
    return sum((game[s | 1 << player] - game[s]) / (players * math.comb(players - 1, s.bit_count()))
               for s in range(2 ** players) if not s >> player & 1)
