"""What the oracle's tests share: checkpoints and facts, made once a session."""

import functools
import json

import pytest


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """A function from a recipe's name to the checkpoint's folder."""
    import checkpoints  # here, so that tests that need no model need no torch

    return functools.cache(lambda name: checkpoints.make_checkpoint(name, tmp_path_factory.mktemp(name)))


@pytest.fixture(scope="session")
def facts_file(tmp_path_factory):
    """A function from a number of facts to the file that holds them."""
    import synthetic_facts

    def write(n):
        path = tmp_path_factory.mktemp("facts") / f"{n}.json"
        path.write_text(json.dumps(synthetic_facts.make_facts(n)), encoding="utf-8")
        return path

    return functools.cache(write)


@pytest.fixture(scope="session")
def xici_folder(tmp_path_factory):
    """A real run of the second method, every kind of sets among its conditions."""
    import xici_run

    if not xici_run.PROGRAM.exists():
        pytest.skip(f"{xici_run.PROGRAM} is not built")
    return xici_run.make(tmp_path_factory.mktemp("xici"))
