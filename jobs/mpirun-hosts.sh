#!/usr/bin/env bash
# A run over several hosts without a scheduler. From any folder that all hosts see under the same path, as the repository:
#
#     REPO/jobs/mpirun-hosts.sh HOSTS [METHOD] CONFIG.ini [--section.key=value ...]
#
# METHOD is the command of moesweep that runs, trace (the default) or xici.
# HOSTS is Open MPI's host file, a line per host with its cores, such as "node1 slots=16"; ssh must reach each without a
# password. Other settings of Open MPI go into the environment: OMPI_MCA_btl_tcp_if_include=10.0.0.0/8 names the network.
#
# Cost: what `moesweep plan [METHOD] CONFIG.ini` says, on as many cores. To stop: USR1, TERM or Ctrl-C; the ranks drop
# their current units, and the script ends with 75. A second signal ends it at once. A lost host or link ends the run
# within 15 s. After any stop the same command goes on with all that was committed, on any hosts.
set -euo pipefail

job=mpirun-hosts
root=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
. "$root/jobs/common.sh"
trap pass_on USR1 TERM INT

hosts=${1:-}
[[ -f $hosts ]] || refuse "no such host file: '$hosts', seen from $PWD"
shift
take_method "$@"
check_program

options=(--hostfile "$hosts"
         # mpirun and its daemons probe a silent link every few seconds; by default they would wait for ever
         --mca oob_tcp_keepalive_time 5 --mca oob_tcp_keepalive_intvl 2 --mca oob_tcp_keepalive_probes 3)
# Other hosts see only the variables they are given, and every rank must read the same configuration.
for name in OMP_NUM_THREADS ${LD_LIBRARY_PATH:+LD_LIBRARY_PATH} ${!MOESWEEP_@}; do options+=(-x "$name"); done

# In a session of its own mpirun does not get Ctrl-C, at which it would end the ranks at once.
run_ranks setsid mpirun "${options[@]}" "$program" "$method" "${arguments[@]}"
exit "$code"
