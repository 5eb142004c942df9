# moesweep_test(NAME SOURCES a.cpp ... LINK lib ...): a Catch2 program test_NAME, run whole as one CTest test.
function(moesweep_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LINK")
  add_executable(test_${name} ${arg_SOURCES})
  target_link_libraries(test_${name} PRIVATE moesweep_test_main ${arg_LINK})
  add_test(NAME ${name} COMMAND test_${name})
  set_tests_properties(${name} PROPERTIES ENVIRONMENT "MOESWEEP_SHARED=${PROJECT_SOURCE_DIR}/../shared")
endfunction()

# moesweep_mpi_test(NAME RANKS n COMMAND ...): a command under mpirun -n RANKS, one thread a rank.
function(moesweep_mpi_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "RANKS" "COMMAND")
  add_test(NAME ${name} COMMAND ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG} ${arg_RANKS} ${arg_COMMAND})
  set_tests_properties(${name} PROPERTIES PROCESSORS ${arg_RANKS} ENVIRONMENT
    "OMPI_ALLOW_RUN_AS_ROOT=1;OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1;OMPI_MCA_rmaps_base_oversubscribe=1;OMP_NUM_THREADS=1")
endfunction()
