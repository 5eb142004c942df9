# The effective options, printed at the end of every configure.
message(STATUS "moesweep ${PROJECT_VERSION}")
set(cuda OFF)
if(MOESWEEP_CUDA)
  set(cuda "${CUDAToolkit_VERSION} for ${CMAKE_CUDA_ARCHITECTURES}, NCCL ${NCCL_LIBRARY}")
  string(REPLACE ";" " " cuda "${cuda}")
endif()
foreach(line "build type|${CMAKE_BUILD_TYPE}" "compiler|${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}"
             "warnings are errors|${MOESWEEP_WERROR}" "sanitizers|${MOESWEEP_SANITIZE}" "tests|${MOESWEEP_TESTS}"
             "bench|${MOESWEEP_BENCH}" "fuzzers|${MOESWEEP_FUZZ}" "MPI|${MPI_C_VERSION}" "HDF5|${HDF5_VERSION}"
             "fmt|${fmt_VERSION}" "torch|${TORCH_ROOT}" "CUDA|${cuda}")
  string(REPLACE "|" ";" pair "${line}")
  list(GET pair 0 key)
  string(SUBSTRING "${line}" 0 0 value)
  string(REGEX REPLACE "^[^|]*\\|" "" value "${line}")
  message(STATUS "  ${key}: ${value}")
endforeach()
