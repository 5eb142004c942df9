#!/usr/bin/env bash
# Both methods on their embedded demos, on two ranks, and their reports: every (layer, expert) of 256 facts; facts asked
# in many languages, and again without the experts of right answers.
# Cost: see setup.sh, then two minutes on two cores. Run again, it goes on where it stopped, or only draws the reports.
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
mpirun -n 2 "build/$preset/moesweep" xici configs/xici-demo.ini
for run in demo xici-demo; do
    .venv/bin/python analysis/report.py "runs/$run"
    echo "The report is in $PWD/runs/$run/report/index.html"
done
