# shellcheck shell=bash disable=SC2154
# For the jobs that start ranks on a cluster: what they check first, and a run that is told to stop in time. Sourced with
# $root, the repository, and $job, the name in messages.

program=${MOESWEEP_BUILD:-$root/build/${MOESWEEP_PRESET:-cpu}}/moesweep
export OMP_NUM_THREADS=1   # a rank is one thread

refuse() {
    echo "$job: $1" >&2
    exit 64
}

check_program() { [[ -x $program ]] || refuse "$program is not there: build it once (README, On a cluster), or set MOESWEEP_BUILD"; }
check_config() { [[ -f ${1:-} ]] || refuse "no such configuration: '${1:-}', seen from $PWD"; }

asked='' launcher=''
pass_on() {
    asked=yes
    echo "$job: asked to stop"
    [[ -z $launcher ]] || kill -USR1 "$launcher" 2>/dev/null || true   # it may just have ended
}

# run_ranks COMMAND...: runs it, hands USR1 on to it, and leaves its exit code in $code. Killed by USR1 is stopped, too: then
# the signal came before the program listened, or twice.
run_ranks() {
    "$@" &
    launcher=$! code=0
    [[ -z $asked ]] || pass_on   # it came before there was a launcher
    wait "$launcher" || code=$?
    while kill -0 "$launcher" 2>/dev/null; do   # a signal ends a wait early
        code=0
        wait "$launcher" || code=$?
    done
    launcher=''
    [[ -z $asked || $code -ne 138 ]] || code=75
}
