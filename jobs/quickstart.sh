#!/usr/bin/env bash
# The main job on the embedded demo: every (layer, expert) of 256 facts, on two ranks, and its report.
# Cost: see setup.sh, then about a minute on two cores. Run again, it goes on where it stopped, or only draws the report.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

jobs/setup.sh
preset=${MOESWEEP_PRESET:-cpu}

export OMP_NUM_THREADS=1                     # a rank is one thread
export OMPI_MCA_rmaps_base_oversubscribe=1   # two ranks also on one core
if [[ $(id -u) -eq 0 ]]; then                # a container
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi

mpirun -n 2 "build/$preset/moesweep" trace configs/demo.ini
.venv/bin/python analysis/report.py runs/demo
echo "The report is in $PWD/runs/demo/report/index.html"
