"""The multilingual demo's files, and its own XICI against naive sums: an oracle that others rest on is itself
checked."""

import itertools
import json
import math
import pathlib
import sys

import numpy as np
import pytest

DEMO = pathlib.Path(__file__).resolve().parents[1] / "demo" / "multilingual"
sys.path.insert(0, str(DEMO))

import evaluate  # noqa: E402
import questions  # noqa: E402

pytestmark = pytest.mark.quick


def test_the_questions_are_those_of_the_relations(tmp_path):
    made = questions.make_questions()
    questions.write_questions(made, tmp_path / "questions.jsonl")
    assert (DEMO / "questions.jsonl").read_bytes() == (tmp_path / "questions.jsonl").read_bytes()
    records = [json.loads(line) for line in (DEMO / "questions.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len({record["id"] for record in records}) == len(records) > 600
    for record in records:
        assert list(record["languages"]) == list(records[0]["languages"]) and len(record["languages"]) == 16
        for entry in record["languages"].values():
            assert entry["question"].strip() and "{}" not in entry["question"] and all(entry["answers"])
    asked = [(code, entry["question"]) for record in records for code, entry in record["languages"].items()]
    assert len(set(asked)) == len(asked)  # no two facts are asked by the same words


def test_the_files_are_small():
    files = [DEMO / "questions.jsonl", *(DEMO / "model").iterdir()]
    assert {path.name for path in files} == {"questions.jsonl", "config.json", "generation_config.json", "model.safetensors",
                                             "tokenizer.json", "tokenizer_config.json"}
    assert sum(path.stat().st_size for path in files) < 8e6


def naive_p(x, y):
    """One-tailed, x above y: pairs counted one by one, the normal approximation with ties and continuity."""
    u = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a in x for b in y)
    n, both = len(x) + len(y), sorted([*x, *y])
    ties = sum(t ** 3 - t for t in (len(list(group)) for _, group in itertools.groupby(both)))
    variance = len(x) * len(y) / 12 * (n + 1 - ties / (n * (n - 1)))
    if variance == 0:
        return u, 1.0
    return u, 0.5 * math.erfc((u - len(x) * len(y) / 2 - 0.5) / math.sqrt(2 * variance))


def naive_experts(values, right, allowed):
    passed = []
    for s in range(values.shape[1]):
        x, y = values[right, s], values[~right, s]
        u, p = naive_p(x.tolist(), y.tolist())
        difference = np.median(x) - np.median(y)
        if allowed[s] and p < 0.05 and difference > 0.005:
            passed.append((s, u, difference))
    rank = lambda i, j: sum((b[i] > passed[j][i]) + 0.5 * (b[i] == passed[j][i]) for b in passed)
    order = sorted(range(len(passed)), key=lambda j: (rank(1, j) + rank(2, j), passed[j][0]))
    return [passed[j][0] for j in order[:25]]


@pytest.mark.parametrize("seed", range(6))
def test_identification(seed):
    rng = np.random.default_rng(seed)
    right = np.arange(16) % 3 < 1 + seed % 2
    values = np.round(rng.random((16, 60)), 2)  # with ties
    values[right, :40] += 0.4
    allowed = rng.random(60) < 0.9
    found = evaluate.identify(values, right, allowed)
    assert list(found) == naive_experts(values, right, allowed) and 10 < len(found) <= 25


def test_the_blacklist():
    weights = np.zeros((100, 300))
    weights[:, 7] = 0.5           # in all
    weights[:6, 8] = 0.4          # in 6 of 100
    weights[6:11, 9] = 0.4        # in 5 of 100: not more than a share of 0.05
    weights[:, 20:23] = 0.1       # the third place: which of them is nobody's business, so one stands out
    weights[:, 21] = 0.2
    weights[11:, 22] = 0.3
    assert set(np.flatnonzero(evaluate.blacklist(weights))) == {7, 8, 21, 22}


def test_exchanged_sets():
    rng, relations = np.random.default_rng(3), ["a"] * 5 + ["b"] * 4 + ["c"]
    own = {q: np.array([q, q + 10]) for q in range(10)}
    sets = evaluate.make_sets(own, relations, 40, rng)
    assert set(sets["shuffled"]) == set(own) and set(sets["same relation"]) == set(range(9))
    for condition in ("shuffled", "same relation"):
        taken = {q: int(found[0]) for q, found in sets[condition].items()}
        assert all(q != other for q, other in taken.items()) and len(set(taken.values())) == len(taken)
    assert all(relations[q] == relations[found[0]] for q, found in sets["same relation"].items())
    assert all(len(set(found)) == 2 for found in sets["random"].values())


def test_figures():
    right = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 0]], bool)
    after = {0: [0, 1, 1, 0], 1: [0, 0, 0, 0], 2: [1, 1, 1, 1]}
    after = {q: np.array(row, bool) for q, row in after.items()}
    xici = {q: np.zeros(4, bool) for q in range(3)}
    got = evaluate.figures(right, after, xici, [0, 1, 2])
    assert (got["pairs"], got["success"], got["spurious"], got["none_left"]) == (6, 2 / 6, 2 / 6, 1)
    assert got["xici_less"] == 1 - 2 / 6 and got["interval"][0] == 0 and got["interval"][1] == pytest.approx(1, abs=0.3)
