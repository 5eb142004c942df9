# shellcheck shell=bash disable=SC2034,SC2154
# For jobs that start ranks on a cluster: what they check first, and how they pass on a request to stop. Sourced with $root,
# the repository, and $job, the name in messages.

program=${MOESWEEP_BUILD:-$root/build/${MOESWEEP_PRESET:-cpu}}/moesweep
export OMP_NUM_THREADS=1   # a rank is one thread

refuse() {
    echo "$job: $1" >&2
    exit 64
}

check_program() {
    [[ -x $program ]] || refuse "$program is not there: build it once (README, On a cluster), or set MOESWEEP_BUILD"
}

# take_method [METHOD] CONFIG.ini [--section.key=value ...]: $method, which is trace unless named, and $arguments, the rest.
take_method() {
    method=trace
    if [[ $# -gt 1 && $2 != -* ]]; then
        method=$1
        shift
    fi
    [[ -f ${1:-} ]] || refuse "no such configuration: '${1:-}', seen from $PWD"
    arguments=("$@")
}

asked='' launcher=''
pass_on() {
    asked=yes
    echo "$job: asked to stop"
    [[ -z $launcher ]] || kill -USR1 "$launcher" 2>/dev/null || true   # it may just have ended
}

# run_ranks COMMAND...: runs it, passes USR1 on to it, and leaves its exit code in $code. If USR1 killed it, because it came
# before the program listened or twice, that counts as stopped, too.
run_ranks() {
    "$@" &
    launcher=$! code=0
    [[ -z $asked ]] || pass_on   # the signal came before there was a launcher
    wait "$launcher" || code=$?
    while kill -0 "$launcher" 2>/dev/null; do   # a signal interrupts wait
        code=0
        wait "$launcher" || code=$?
    done
    launcher=''
    [[ -z $asked || $code -ne 138 ]] || code=75
}
