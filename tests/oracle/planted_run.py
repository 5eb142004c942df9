"""The program's run of a planted checkpoint (planted.py), beside what must be in it: what the tests of the two files
share."""
import dataclasses
import random
import sys

import numpy as np
import pytest

import planted
import program

sys.path.insert(0, str(program.ROOT / "analysis"))
import moesweep  # noqa: E402

FACTS = 120
LIMIT, DISCOVERY, RECURRENCE = 96, 48, 24
RELAXED = 108
SETTINGS = dict(cases__limit=LIMIT, cases__discovery=DISCOVERY, select__recurrence=RECURRENCE, model__precision="fp64",
                noise__draws=2, noise__scales="1,2,4", sweep__subsets="all", controls__random=2, scale_up__limit=RELAXED,
                scale_up__discovery=RELAXED // 2, scale_up__recurrence=RELAXED // 4, stability__split_seeds="0,1,2",
                stability__thresholds="8,24,48", stability__folds=3, stats__bootstrap=200, stats__sign_flips=200)
# What is not linear in the planted model is the RMS norm: what is written, squared, against HEIGHT squared.
TOLERANCE = dict(rtol=1e-6, atol=1e-6)
ZERO = 1e-6                        # the same, for what is 0 in the closed form


@dataclasses.dataclass
class PlantedRun:
    """A run and what must be in it: records as indices in scan order, which are those of the run's /cases."""
    run: object
    truth: planted.Planted
    noised: planted.Noised
    strict: tuple                  # discovery, validation
    relaxed: tuple

    @property
    def both(self):
        return np.sort(np.concatenate(self.strict))

    def table(self, name):
        return self.run.results[name]

    def note(self, name):
        return self.table(name).attrs.get("note", "")


def members(noised, limit, clean_margin, noise_drop):
    passes = (noised.delta_clean >= clean_margin) & (noised.delta_clean - noised.delta_noised >= noise_drop)
    return np.flatnonzero(passes)[:limit]


def halves(cases, discovery, seed=0):
    order = list(cases)
    random.Random(seed).shuffle(order)
    return np.sort(order[:discovery]), np.sort(order[discovery:])


def best_expert(noised, layer, cases, recurrence):
    """-1 where none is recurrent"""
    mean = np.where(noised.active[cases, layer].sum(0) >= recurrence, noised.rescue[cases, layer].mean(0), -np.inf)
    return int(mean.argmax()) if np.isfinite(mean).any() else -1


def select(noised, cases, recurrence):
    layer = int(noised.block[cases].mean(0).argmax())
    return layer, best_expert(noised, layer, cases, recurrence)


def near(actual, expected):
    np.testing.assert_allclose(np.asarray(actual, float), expected, **TOLERANCE)


def make_run(folder, k):
    """The run of the planted checkpoint with top-k routing."""
    truth = planted.Planted(folder / "model", FACTS, k)
    config = program.write_config(folder / "planted.ini", model__path=truth.folder, cases__path=truth.folder / "facts.json",
                                  run__out=folder / "run", **SETTINGS)
    program.call("trace", config, ranks=2)
    noised = truth.closed_form()
    strict, relaxed = members(noised, LIMIT, 1, 0.5), members(noised, RELAXED, 0.5, 0.25)
    assert len(strict) == LIMIT and len(relaxed) == RELAXED and set(relaxed) != set(strict)
    return PlantedRun(moesweep.load(folder / "run"), truth, noised, halves(strict, DISCOVERY), halves(relaxed, RELAXED // 2))


made = {}


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """A function from top-k to the run, made once for all files that import this fixture."""
    def run(k):
        if k not in made:
            made[k] = make_run(tmp_path_factory.mktemp(f"top-{k}"), k)
        return made[k]
    return run


@pytest.fixture(scope="session")
def four(study):
    return study(4)
