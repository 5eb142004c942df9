#!/usr/bin/env bash
# Sets up, builds and passes all tests: the C++ suites by CTest, then the oracle and the faults by pytest. Both run even
# if the first fails. Cost: see setup.sh, then a few minutes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

jobs/setup.sh --test
preset=${MOESWEEP_PRESET:-cpu}
export MOESWEEP_BUILD=$PWD/build/$preset

failed=0
.venv/bin/ctest --preset "$preset" || failed=1
.venv/bin/pytest tests/oracle tests/faults -q || failed=1
exit $failed
