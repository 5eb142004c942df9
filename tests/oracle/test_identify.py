"""The C++ identification and the sets that it draws against numpy, scipy and random.Random, on synthetic captures."""

import functools
import os
import pathlib
import random
import subprocess
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import pytest
import scipy.stats

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROBE = pathlib.Path(os.environ.get("MOESWEEP_BUILD", ROOT / "build" / "cpu")) / "identify_probe"
IDENTIFIED, RANDOM, SHUFFLED, SAME_RELATION, PERMUTED, SINGLE = range(6)


@dataclass
class Captures:
    moe: np.ndarray  # per decoder layer: bool
    sequences: np.ndarray  # [N, 4]: question, language, right, relation
    weights: np.ndarray  # [N, layers, experts]

    @property
    def layers(self):
        return np.flatnonzero(self.moe)

    def write(self, path):
        shape = np.array([len(self.moe), self.weights.shape[2], len(self.sequences)], dtype="<i8")
        path.write_bytes(shape.tobytes() + self.moe.astype("u1").tobytes() + self.sequences.astype("<i4").tobytes()
                         + self.weights.astype("<f4").tobytes())
        return path


def synthetic(questions, languages, layers=9, experts=24, seed=0, effect=0.03):
    """Sparse weights: generalists, experts of a language, and a few experts per question that weigh more where it is
    right.

    A third of the languages is missing here and there; some questions are right everywhere, some nowhere.
    """
    rng = np.random.default_rng(seed)
    moe = np.arange(layers) > 0
    shape = (moe.sum(), experts)
    favour = rng.random((languages, *shape)) < 0.1
    generalists = rng.random(shape) < 0.04
    rows, weights = [], []
    for question in range(questions):
        own = rng.random(shape) < 0.03
        rate = rng.choice([0, 1, 0.3, 0.5, 0.7], p=[0.1, 0.05, 0.25, 0.3, 0.3])
        for language in rng.permutation(languages):
            if languages > 3 and rng.random() < 0.15:
                continue
            right = rng.random() < rate
            weight = rng.exponential(0.02, size=shape) * (rng.random(shape) < 0.6)
            weight += 0.1 * generalists + 0.03 * favour[language] + effect * right * own * rng.random(shape)
            rows.append([question * 3 + 7, language, right, question % 40])
            weights.append(weight)
    return Captures(moe, np.array(rows), np.array(weights, dtype=np.float32))


def probe(captures, tmp_path, **keys):
    """What the C++ finds: word -> lines of numbers."""
    arguments = [f"{name.replace('__', '.')}={value}" for name, value in keys.items()]
    done = subprocess.run([PROBE, captures.write(tmp_path / "raw"), *arguments], check=True, text=True, capture_output=True)
    found = defaultdict(list)
    for line in done.stdout.splitlines():
        word, *numbers = line.split()
        found[word].append([float(number) if "." in number or "e" in number else int(number) for number in numbers])
    return found


# --- an independent identification ---


def blacklist(captures, top, share):
    flat = captures.weights.reshape(len(captures.weights), -1)
    most = max(1, int(np.floor(round(top * flat.shape[1], 6))))
    order = np.argsort(-flat, axis=1, kind="stable")[:, :most]
    hits = np.zeros(flat.shape[1], dtype=int)
    for row, best in zip(flat, order):
        hits[best[row[best] > 0]] += 1
    return hits > share * len(flat)


def identify(captures, right, layers, alpha=0.05, tau=0.005, method="asymptotic", subtract=True, top=0.01, share=0.05):
    """Question -> (tested, significant, candidates ranked: (layer, expert, U, p, difference, rank of U, of
    difference))."""
    experts = captures.weights.shape[2]
    listed = blacklist(captures, top, share)
    values = captures.weights.reshape(len(captures.weights), -1).astype(np.float64)
    for language in np.unique(captures.sequences[:, 1]) if subtract else []:
        of_language = captures.sequences[:, 1] == language
        values[of_language] -= np.add.reduce(values[of_language], axis=0) / of_language.sum()
    columns = np.flatnonzero(np.repeat(np.isin(captures.layers, layers), experts) & ~listed)
    found = {}
    for question in np.unique(captures.sequences[:, 0]).tolist():
        mine = captures.sequences[:, 0] == question
        high, low = values[mine & right][:, columns], values[mine & ~right][:, columns]
        if not len(high) or not len(low):
            found[question] = (0, 0, [])
            continue
        test = scipy.stats.mannwhitneyu(high, low, alternative="greater", method=method, axis=0)
        difference = np.median(high, axis=0) - np.median(low, axis=0)
        passed = np.flatnonzero((test.pvalue < alpha) & (difference > tau))
        u_rank = scipy.stats.rankdata(-test.statistic[passed])
        difference_rank = scipy.stats.rankdata(-difference[passed])
        order = np.lexsort([columns[passed], u_rank + difference_rank])
        found[question] = (len(columns), (test.pvalue < alpha).sum(), [
            (captures.layers[columns[passed[i]] // experts], columns[passed[i]] % experts, test.statistic[passed[i]],
             test.pvalue[passed[i]], difference[passed[i]], u_rank[i], difference_rank[i]) for i in order])
    return listed, found


def check(found, expected, prefix=""):
    listed, questions = expected
    candidates = defaultdict(list)
    for question, *candidate in found[prefix + "candidate"]:
        candidates[question].append(candidate)
    assert [line[0] for line in found[prefix + "question"]] == list(questions)
    assert [tuple(line[3:]) for line in found[prefix + "question"]] == [of[:2] for of in questions.values()]
    assert len(found[prefix + "blacklist"][0]) == 2 * listed.sum()
    for question, (_, _, theirs) in questions.items():
        ours = candidates[question]
        assert [c[:3] for c in ours] == [list(c[:3]) for c in theirs]  # layer, expert and U, in the order of the ranking
        assert [c[4:] for c in ours] == [list(c[4:]) for c in theirs]
        assert all(abs(c[3] - d[3]) < 1e-12 for c, d in zip(ours, theirs))
    return candidates


SETTINGS = {
    "paper": ({}, {}),
    "other": (dict(identify__alpha=0.2, identify__tau=0.001, identify__layers="3,5-6", identify__blacklist_top=0.07,
                   identify__blacklist_share=0.3),
              dict(alpha=0.2, tau=0.001, layers=[3, 5, 6], top=0.07, share=0.3)),
    "exact": (dict(identify__p_value="exact"), dict(method="exact")),
    "ties": (dict(identify__subtract_mean="no", identify__tau=0), dict(subtract=False, tau=0)),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_thousands_of_questions_as_by_numpy_and_scipy(tmp_path, name):
    captures = synthetic(2500 if name == "paper" else 500, 12)
    keys, rules = SETTINGS[name]
    expected = identify(captures, captures.sequences[:, 2] == 1, **({"layers": range(2, 8)} | rules))
    candidates = check(probe(captures, tmp_path, **keys), expected)
    blacklisted, sizes = expected[0], [len(of) for of in candidates.values()]
    assert 0.02 < blacklisted.mean() < 0.2
    assert len(sizes) > 250 and max(sizes) > 3  # else there was nothing to compare


@functools.cache
def exact_size(first, second, alpha):
    """How often p by the normal approximation falls below alpha, without ties and effect."""
    counts = [1] + [0] * (first * second)  # of U: the coefficients of a Gaussian binomial
    for k in range(1, first + 1):
        for i in range(len(counts) - 1, second + k - 1, -1):
            counts[i] -= counts[i - second - k]
        for i in range(k, len(counts)):
            counts[i] += counts[i - k]
    z = (np.arange(len(counts)) - first * second / 2 - 0.5) / np.sqrt(first * second * (first + second + 1) / 12)
    return sum(count for count, p in zip(counts, scipy.stats.norm.sf(z)) if p < alpha) / sum(counts)


@pytest.mark.parametrize(("languages", "least"), [(12, 0.035), (40, 0.045)])
def test_without_an_effect_alpha_of_the_experts_pass(tmp_path, languages, least):
    rng = np.random.default_rng(languages)
    questions, experts = 400, 100
    sequences = np.array([[q, lang, 0, 0] for q in range(questions) for lang in range(languages)])
    sequences[:, 2] = rng.random(len(sequences)) < 0.5
    captures = Captures(np.ones(4, dtype=bool), sequences, rng.random((len(sequences), 4, experts), dtype=np.float32))
    lines = probe(captures, tmp_path, identify__layers="all", identify__blacklist_share=1)["question"]
    tested = sum(line[3] for line in lines)
    expected = sum(line[3] * exact_size(line[1], line[2], 0.05) for line in lines if line[3])
    share, error = sum(line[4] for line in lines) / tested, np.sqrt(0.05 * 0.95 / tested)
    assert abs(share - expected / tested) < 4 * error
    assert least < share < 0.05 + 4 * error  # U has steps, which leave less of alpha the fewer the languages


# --- conditions ---


def experts_of(numbers):
    return tuple(zip(numbers[::2], numbers[1::2]))


def derangement(questions, seed):
    generator, order = random.Random(seed), list(questions)
    while any(a == b for a, b in zip(order, questions)):
        order = list(questions)
        generator.shuffle(order)
    return dict(zip(questions, order))


@pytest.mark.parametrize("blacklisted", ["yes", "no"])
def test_conditions_are_those_of_pythons_random(tmp_path, blacklisted):
    captures, seed, caps = synthetic(150, 12, seed=4), 11, [2, 5, 25]
    found = probe(captures, tmp_path, deactivate__seed=seed, deactivate__draws=3, deactivate__caps="2,5", identify__tau=0.001,
                  deactivate__same_relation="yes", deactivate__permuted="yes", deactivate__singles="yes",
                  deactivate__random_blacklisted=blacklisted)
    right, relation = captures.sequences[:, 2] == 1, dict(captures.sequences[:, [0, 3]].tolist())
    listed, own = identify(captures, right, layers=range(2, 8), tau=0.001)
    shuffled = right.copy()
    for question in own:
        labels = list(right[captures.sequences[:, 0] == question])
        random.Random(seed + question + (3 << 40)).shuffle(labels)
        shuffled[captures.sequences[:, 0] == question] = labels
    permuted = identify(captures, shuffled, layers=range(2, 8), tau=0.001)
    check(found, (listed, own))
    check(found, permuted, "permuted_")

    def first(of, cap):
        return [candidate[:2] for candidate in of[2]][:cap]

    experts = captures.weights.shape[2]
    pool = [(layer, e) for layer in range(2, 8) for e in range(experts)
            if blacklisted == "yes" or not listed[(layer - 1) * experts + e]]
    with_experts = [q for q in own if own[q][2]]
    partner = {SHUFFLED: derangement(with_experts, seed + with_experts[0] + (1 << 40)), SAME_RELATION: {}}
    alone = []
    for value in set(relation.values()) - {0}:
        group = [q for q in with_experts if relation[q] == value]
        if len(group) > 1:
            partner[SAME_RELATION] |= derangement(group, seed + group[0] + (2 << 40))
    alone = [[SAME_RELATION, q] for q in with_experts if q not in partner[SAME_RELATION]]

    expected = []
    for q in own:
        for cap in caps:
            mine = first(own[q], cap)
            if mine:
                expected.append((IDENTIFIED, cap, 0, q, q, mine))
                generator = random.Random(seed + q)
                expected += [(RANDOM, cap, draw, q, q, [pool[i] for i in generator.sample(range(len(pool)), len(mine))])
                             for draw in range(3)]
                other = partner[SHUFFLED][q]
                expected.append((SHUFFLED, cap, 0, q, other, first(own[other], cap)))
            if cap == 25:
                if q in partner[SAME_RELATION]:
                    other = partner[SAME_RELATION][q]
                    expected.append((SAME_RELATION, cap, 0, q, other, first(own[other], cap)))
                if permuted[1][q][2]:
                    expected.append((PERMUTED, cap, 0, q, q, first(permuted[1][q], cap)))
                expected += [(SINGLE, cap, place, q, q, [expert]) for place, expert in enumerate(mine)]
    sets = [(line[0], experts_of(line[1:])) for line in found["set"]]
    ours = [(*line[:5], sets[line[5]]) for line in found["condition"]]
    assert ours == [(*line[:5], (line[3], tuple(sorted(line[5])))) for line in expected]
    assert {line[0] for line in ours} == set(range(6))
    assert len(set(sets)) == len(sets) and {line[5] for line in ours} == set(sets)  # each once, none in vain
    assert found["unpaired"] == alone and alone
