#!/usr/bin/env bash
# Sets up, builds and passes all tests: the C++ suites by CTest, then the source tree, the oracle and the faults by pytest,
# then those of numbers once more as on other processors (numerics.sh). All run even if one fails. Where there is nvcc, the
# program of the preset cuda is built as well, and started: that needs no GPU. jobs/quick.sh passes the quick part.
# Cost: see setup.sh for packages and torch, then about half an hour on two cores, the preset cuda included.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

jobs/setup.sh --test
preset=${MOESWEEP_PRESET:-cpu}
export MOESWEEP_BUILD=$PWD/build/$preset

# The program alone: the tests are those of the other preset.
build_for_cuda() {
    if command -v nvcc >/dev/null || [[ -x ${CUDA_HOME:-/usr/local/cuda}/bin/nvcc ]]; then
        ! command -v ccache >/dev/null || export CMAKE_CXX_COMPILER_LAUNCHER=ccache
        MOESWEEP_PRESET=cuda jobs/setup.sh && build/cuda/moesweep --version
    else
        echo "test: no nvcc, so the preset cuda is left out"
    fi
}

failed=0
export OMP_NUM_THREADS=1
[[ $(id -u) -ne 0 ]] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_mpi_yield_when_idle=1   # for the suites that run beside each other
export MOESWEEP_RUN=$MOESWEEP_BUILD/paper-demo   # the whole study on the demo, whose tables and report are tested
rm -rf "$MOESWEEP_RUN"
"$MOESWEEP_BUILD/moesweep" trace configs/paper-demo.ini --run.out="$MOESWEEP_RUN" || failed=1
.venv/bin/ctest --preset "$preset" || failed=1
.venv/bin/pytest -q tests/test_*.py || failed=1
# These wait more than they compute, so they run beside the oracle; what they say comes at the end.
declare -A beside
run_beside() {
    local log=$MOESWEEP_BUILD/$1.log
    .venv/bin/pytest -q "${@:2}" >"$log" 2>&1 &
    beside[$log]=$!
}
run_beside kill_harness tests/faults/test_kill_harness.py
run_beside faults tests/faults/test_{kill_points,folder_checks,launchers,inspect,bad_*}.py
run_beside interruptions tests/faults/test_{stops,failing_io}.py
.venv/bin/pytest tests/oracle -q || failed=1
jobs/numerics.sh || failed=1
build_for_cuda || failed=1
for log in "${!beside[@]}"; do
    wait "${beside[$log]}" || failed=1
    cat "$log"
done
exit $failed
