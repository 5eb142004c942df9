# Tests labelled `quick` are the C++ part of jobs/quick.sh.

# moesweep_test(NAME [SLOW] SOURCES a.cpp ... LINK lib ...): a Catch2 program test_NAME, run whole as one CTest test. It
# is quick unless it is SLOW: more than five seconds.
function(moesweep_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "SLOW" "" "SOURCES;LINK")
  add_executable(test_${name} ${arg_SOURCES})
  target_link_libraries(test_${name} PRIVATE moesweep_test_main ${arg_LINK})
  add_test(NAME ${name} COMMAND test_${name})
  set_tests_properties(${name} PROPERTIES ENVIRONMENT "MOESWEEP_SHARED=${PROJECT_SOURCE_DIR}/../shared")
  if(NOT arg_SLOW)
    set_tests_properties(${name} PROPERTIES LABELS quick)
  endif()
endfunction()

# moesweep_mpi_test(NAME RANKS n ... SOURCES a.cpp ... LINK lib ...): the same under mpirun, once with each number of
# ranks, one thread a rank. The first number above one is quick.
function(moesweep_mpi_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "RANKS;SOURCES;LINK")
  add_executable(test_${name} ${arg_SOURCES})
  target_link_libraries(test_${name} PRIVATE moesweep_test_main ${arg_LINK})
  set(environment OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
                  OMPI_MCA_mpi_yield_when_idle=1 OMP_NUM_THREADS=1)
  foreach(ranks ${arg_RANKS})
    add_test(NAME ${name}_${ranks}
             COMMAND ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG} ${ranks} $<TARGET_FILE:test_${name}>)
    set_tests_properties(${name}_${ranks} PROPERTIES PROCESSORS 2 TIMEOUT 300 ENVIRONMENT "${environment}")
  endforeach()
  list(FILTER arg_RANKS EXCLUDE REGEX "^1$")
  list(GET arg_RANKS 0 ranks)
  set_tests_properties(${name}_${ranks} PROPERTIES LABELS quick)
endfunction()
