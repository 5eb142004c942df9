"""Runs of moesweep as pandas frames.

    import moesweep
    run = moesweep.load("runs/paper-demo")
    rows = run.rows[run.rows.kind == "expert"]
    rows.groupby(["layer", "expert"]).rescue.mean()

    run = moesweep.load("runs/xici-demo")
    run.asked_again("identified").groupby("language", observed=True)[["right_before", "right_after"]].mean()

analysis/example.py has more. Nothing compiled is needed, and no lock is taken.
"""

import pathlib

from .common.run import Run
from .common.store import RunError, open_file
from .tracing.run import TracingRun
from .xici.run import XiciRun

__all__ = ["load", "Run", "RunError", "TracingRun", "XiciRun"]
METHODS = {"sweep.h5": TracingRun, "xici.h5": XiciRun}  # a method's file in the folder of a run -> what it is read as


def load(path):
    """The run in folder `path`, or in its file: sweep.h5 or xici.h5, under whatever name. Its groups are read when they
    are asked for. RunError when the file or a part of it is missing or damaged, OSError where the system cannot read
    it."""
    path = pathlib.Path(path)
    if path.is_dir():
        found = [path / name for name in METHODS if (path / name).is_file()] or [path / next(iter(METHODS))]
        if len(found) > 1:
            raise RunError(f"{path}: holds {' and '.join(file.name for file in found)}: name one of them")
        path = found[0]
    file = open_file(path)
    method = METHODS.get(path.name) or (XiciRun if "questions" in file else TracingRun)
    return method(path, file)
