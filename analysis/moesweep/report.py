"""Makes RUN/report/ from the run's file alone: index.html, self-contained, with its figures (SVG, PNG) and tables (CSV,
Markdown, LaTeX) beside it.

    python -m moesweep.report RUN
"""

import argparse
import sys

from . import RunError, TracingRun, XiciRun, load
from .tracing import report as tracing
from .xici import report as xici

REPORTS = {TracingRun: tracing.make_report, XiciRun: xici.make_report}


def make_report(path):
    """Writes the report of the run in folder `path` and returns its page's path. RunError when it cannot be read."""
    run = load(path)
    return REPORTS[type(run)](run)


def main():
    parser = argparse.ArgumentParser(prog="report", description="Makes RUN/report/index.html from the run's file.")
    parser.add_argument("run", help="a run's folder")
    run = parser.parse_args().run
    try:
        print(make_report(run))
    except RunError as error:
        print(f"report: {error}", file=sys.stderr)
        return 65
    except OSError as error:
        print(f"report: {error.filename or run}: {error.strerror or error}", file=sys.stderr)
        return 74
    return 0


if __name__ == "__main__":
    sys.exit(main())
