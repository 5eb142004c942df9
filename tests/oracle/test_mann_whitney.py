"""The C++ Mann-Whitney U test against scipy.stats.mannwhitneyu(alternative="greater")."""

import os
import pathlib
import subprocess

import numpy as np
import pytest
import scipy.stats

pytestmark = pytest.mark.quick

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROBE = pathlib.Path(os.environ.get("MOESWEEP_BUILD", ROOT / "build" / "cpu")) / "u_test_probe"
SCIPYS = {"normal": "asymptotic", "exact": "exact"}


def samples(ties):
    """Pairs of samples, each of 1 to 50 values; with ties, of few distinct values, which in the first pairs are one."""
    rng = np.random.default_rng(5)
    sizes = [(1, 1), (1, 50), (50, 1), (50, 50), (2, 3), *rng.integers(1, 51, size=(200, 2))]
    for number, (first, second) in enumerate(sizes):
        if ties:
            distinct = min(number + 1, 12) if number < 20 else rng.integers(1, 60)
            drawn = [rng.integers(distinct, size=size) * 0.1 for size in (first, second)]
        else:
            drawn = [rng.permutation(1000)[:size] / 7 + 1e-3 * k for k, size in enumerate((first, second))]
        yield drawn[0] + rng.choice([0, 0.2, 5]), drawn[1]  # under no shift, a small and a large one


def probe(pairs, method):
    """A line (U, p, difference of medians) for each pair, as the C++ makes them."""
    lines = "\n".join(" ".join([str(len(a)), str(len(b)), *map(repr, map(float, [*a, *b]))]) for a, b in pairs)
    done = subprocess.run([PROBE, method], check=True, text=True, capture_output=True, input=lines)
    return np.array([line.split() for line in done.stdout.splitlines()], dtype=float)


@pytest.mark.parametrize("ties", [False, True], ids=["distinct", "ties"])
@pytest.mark.parametrize("method", ["normal", "exact"])
def test_u_and_p_are_scipys(method, ties):
    pairs = list(samples(ties))
    ours = probe(pairs, method)
    theirs = [scipy.stats.mannwhitneyu(a, b, alternative="greater", method=SCIPYS[method]) for a, b in pairs]
    assert len(ours) == len(theirs) == 205
    assert list(ours[:, 0]) == [result.statistic for result in theirs]
    assert np.abs(ours[:, 1] - [result.pvalue for result in theirs]).max() < 1e-12
    assert list(ours[:, 2]) == [np.median(a) - np.median(b) for a, b in pairs]


def test_small_p_values_are_scipys_in_all_their_digits():
    pairs = [(np.arange(n) + shift, np.arange(m) + 0.5) for n, m in ((50, 50), (30, 12), (3, 40)) for shift in (5, 20, 200)]
    ours = probe(pairs, "normal")[:, 1]
    theirs = [scipy.stats.mannwhitneyu(a, b, alternative="greater", method="asymptotic").pvalue for a, b in pairs]
    assert ours == pytest.approx(theirs, rel=1e-12, abs=0)
    assert min(ours) < 1e-17
