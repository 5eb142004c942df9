"""Fixtures of the fault tests."""

import pytest

import tiny


@pytest.fixture(params=[1, 2], ids=["1-rank", "2-ranks"])
def ranks(request):
    """Each fault is met by one process and by two under mpirun."""
    return request.param


@pytest.fixture
def inputs(tmp_path):
    """Sound inputs in a folder of their own, not yet written."""
    return tiny.Tiny(tmp_path)


def pytest_collection_modifyitems(items):
    if not tiny.PROGRAM.exists():
        for item in items:
            item.add_marker(pytest.mark.skip(reason=f"{tiny.PROGRAM} is not built"))
