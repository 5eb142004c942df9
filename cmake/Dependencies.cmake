# Everything found here, once. Debian's packages supply all but torch, whose Python wheel is also our libtorch.

find_package(MPI REQUIRED COMPONENTS C)
set(HDF5_PREFER_PARALLEL FALSE)
find_package(HDF5 REQUIRED COMPONENTS C)
find_package(Boost REQUIRED CONFIG COMPONENTS program_options)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(PkgConfig REQUIRED)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
if(MOESWEEP_TESTS)
  find_package(Catch2 REQUIRED)
endif()

# fmt, ahead of the other version among torch's headers. Its folder is linked into the build folder, because a compiler
# searches /usr/include last, whatever it is told.
get_target_property(fmt_include fmt::fmt INTERFACE_INCLUDE_DIRECTORIES)
find_path(FMT_INCLUDE_DIR fmt/format.h PATHS ${fmt_include} NO_DEFAULT_PATH REQUIRED)
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/fmt)
file(CREATE_LINK ${FMT_INCLUDE_DIR}/fmt ${PROJECT_BINARY_DIR}/fmt/fmt SYMBOLIC)
add_library(moesweep_fmt INTERFACE)
target_include_directories(moesweep_fmt SYSTEM INTERFACE ${PROJECT_BINARY_DIR}/fmt)
target_link_libraries(moesweep_fmt INTERFACE fmt::fmt)

add_library(moesweep_hdf5 INTERFACE)
target_include_directories(moesweep_hdf5 SYSTEM INTERFACE ${HDF5_C_INCLUDE_DIRS})
target_compile_definitions(moesweep_hdf5 INTERFACE ${HDF5_C_DEFINITIONS})
target_link_libraries(moesweep_hdf5 INTERFACE ${HDF5_C_LIBRARIES})

# libtorch: libraries and headers from the wheel. Its own CMake package would need a CUDA toolkit for the CPU, too,
# because the wheel is a CUDA build.
find_path(TORCH_ROOT NAMES lib/libtorch_cpu.so
          PATHS ${MOESWEEP_VENV}/lib/python3.14/site-packages/torch ${MOESWEEP_VENV}/lib/python3.13/site-packages/torch
                ${MOESWEEP_VENV}/lib/python3.12/site-packages/torch ${MOESWEEP_VENV}/lib/python3.11/site-packages/torch
                ${MOESWEEP_VENV}/lib/python3.10/site-packages/torch
          NO_DEFAULT_PATH DOC "Folder of the torch package (holds lib/ and include/)")
if(NOT TORCH_ROOT)
  message(FATAL_ERROR "torch not found under ${MOESWEEP_VENV}: run jobs/setup.sh, or set MOESWEEP_VENV or TORCH_ROOT")
endif()
add_library(moesweep_c10 SHARED IMPORTED)
set_target_properties(moesweep_c10 PROPERTIES IMPORTED_LOCATION ${TORCH_ROOT}/lib/libc10.so)
add_library(moesweep_torch SHARED IMPORTED)
set_target_properties(moesweep_torch PROPERTIES IMPORTED_LOCATION ${TORCH_ROOT}/lib/libtorch_cpu.so
                      INTERFACE_INCLUDE_DIRECTORIES ${TORCH_ROOT}/include
                      INTERFACE_SYSTEM_INCLUDE_DIRECTORIES ${TORCH_ROOT}/include
                      INTERFACE_COMPILE_DEFINITIONS _GLIBCXX_USE_CXX11_ABI=1)
target_link_libraries(moesweep_torch INTERFACE moesweep_c10)

# For the preset cuda, and for tests of the calls of NCCL, which need no more than its header and CUDA's.
file(GLOB wheels ${TORCH_ROOT}/../nvidia/cu*/include)
find_path(NCCL_INCLUDE_DIR nccl.h HINTS /usr/local/cuda/include ${TORCH_ROOT}/../nvidia/nccl/include)
find_path(CUDA_RUNTIME_INCLUDE_DIR cuda_runtime.h HINTS /usr/local/cuda/include ${wheels})
if(MOESWEEP_CUDA)
  include(Cuda)
endif()
