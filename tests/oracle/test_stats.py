"""The C++ statistics against numpy and scipy: with == on the exported random draws, and to sampling error on scipy's
own."""

import os
import pathlib
import subprocess

import numpy as np
import pytest
import scipy.stats

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROBE = pathlib.Path(os.environ.get("MOESWEEP_BUILD", ROOT / "build" / "cpu")) / "stats_probe"


def probe(values, seed=0, bootstrap=500, sign_flips=1000):
    """Returns (summary of six numbers, bootstrap indices, signs) as the C++ makes them."""
    done = subprocess.run([PROBE, str(seed), str(bootstrap), str(sign_flips)], check=True, text=True, capture_output=True,
                          input="\n".join(repr(float(v)) for v in values))
    lines = done.stdout.splitlines()
    table = [np.array(line.split(), dtype=int) for line in lines[1:]]
    return [float(x) for x in lines[0].split()], np.array(table[:bootstrap]), np.array(table[bootstrap:])


def sequential_mean(rows):
    """Sums from left to right, as the C++ does (numpy.sum adds pairwise)."""
    return np.cumsum(rows, axis=1)[:, -1] / rows.shape[1]


def columns():
    rng = np.random.default_rng(11)
    yield "one", [0.25]
    yield "two", [-1.0, 3.0]
    yield "skewed", rng.exponential(size=37) - 0.5
    yield "normal", rng.normal(0.2, 1.0, size=128)
    yield "wide", rng.normal(size=90) * 10.0 ** rng.integers(-12, 12, size=90)


@pytest.mark.parametrize(("name", "values"), list(columns()), ids=lambda x: x if isinstance(x, str) else "")
@pytest.mark.parametrize("bootstrap", [1, 2, 40, 41, 500])
def test_summary_is_numpys_on_the_same_draws(name, values, bootstrap):
    values = np.asarray(values, dtype=float)
    (n, mean, low, high, p, positive), indices, signs = probe(values, seed=7, bootstrap=bootstrap)
    assert n == len(values)
    assert mean == sequential_mean(values[None])[0]
    assert [low, high] == list(np.quantile(sequential_mean(values[indices]), [0.025, 0.975]))
    assert positive == np.mean(values > 0)
    flipped = np.abs(np.cumsum(values * signs, axis=1)[:, -1])
    extreme = flipped >= np.abs(values.sum()) - 1e-12 * np.abs(values).sum()
    assert p == (1 + extreme.sum()) / (1 + len(signs))


def test_interval_agrees_with_scipys_own_bootstrap():
    values = np.random.default_rng(3).exponential(size=128)
    (_, _, low, high, _, _), _, _ = probe(values, bootstrap=5000, sign_flips=1)
    theirs = scipy.stats.bootstrap((values,), np.mean, n_resamples=20000, method="percentile", rng=5).confidence_interval
    width = theirs.high - theirs.low
    assert abs(low - theirs.low) < 0.03 * width
    assert abs(high - theirs.high) < 0.03 * width


@pytest.mark.parametrize("shift", [0.0, 0.4, 0.9])
def test_p_agrees_with_scipys_enumeration_of_all_signs(shift):
    values = np.random.default_rng(17).normal(shift, 1.0, size=12)
    exact = scipy.stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
    (_, _, _, _, p, _), _, _ = probe(values, bootstrap=1, sign_flips=40000)
    assert p == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 40000) + 1 / 40000)


def test_indices_and_signs_are_even():
    values = np.zeros(64)
    _, indices, signs = probe(values, bootstrap=4000, sign_flips=4000)
    assert scipy.stats.chisquare(np.bincount(indices.ravel(), minlength=64)).pvalue > 1e-3
    assert scipy.stats.binomtest(int((signs > 0).sum()), signs.size).pvalue > 1e-3
    neighbours = indices[:, :-1] * 64 + indices[:, 1:]
    assert scipy.stats.chisquare(np.bincount(neighbours.ravel(), minlength=4096)).pvalue > 1e-3
