#!/usr/bin/env bash
# The inner loop: builds what changed, then passes the quick part of the tests: the C++ suites labelled `quick`, and what pytest
# marks so, which is one family in one precision and a fault of each kind. jobs/test.sh passes all. Options go to pytest:
#
#     jobs/quick.sh -x -k same_bits
#
# Cost: the build, then a minute and a half on two cores.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

preset=${MOESWEEP_PRESET:-cpu}
export MOESWEEP_BUILD=$PWD/build/$preset OMP_NUM_THREADS=1
[[ $(id -u) -ne 0 ]] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_mpi_yield_when_idle=1   # two suites of ranks beside each other

.venv/bin/cmake --build --preset "$preset"
failed=0
.venv/bin/ctest --preset "$preset" -L quick -j 2 || failed=1
.venv/bin/pytest -q -m quick tests "$@" || failed=1
exit $failed
