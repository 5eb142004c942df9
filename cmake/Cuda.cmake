# What the preset cuda adds. The program has one libnccl and one libcudart, those of torch's wheel.
find_program(MOESWEEP_NVCC nvcc HINTS ENV CUDACXX ENV CUDA_PATH ENV CUDA_HOME PATHS /usr/local/cuda PATH_SUFFIXES bin)
if(MOESWEEP_NVCC AND NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
  set(CMAKE_CUDA_COMPILER ${MOESWEEP_NVCC})
endif()
enable_language(CUDA)
set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
set(CMAKE_CUDA_RUNTIME_LIBRARY Shared)
find_package(CUDAToolkit REQUIRED)

find_library(NCCL_LIBRARY NAMES nccl libnccl.so.2 HINTS ${TORCH_ROOT}/../nvidia/nccl/lib ${CUDAToolkit_LIBRARY_DIR})
if(NOT NCCL_INCLUDE_DIR OR NOT NCCL_LIBRARY)
  message(FATAL_ERROR "NCCL not found: set NCCL_INCLUDE_DIR (holds nccl.h) and NCCL_LIBRARY (libnccl.so)")
endif()
add_library(moesweep_nccl SHARED IMPORTED)
set_target_properties(moesweep_nccl PROPERTIES IMPORTED_LOCATION ${NCCL_LIBRARY}
                      INTERFACE_SYSTEM_INCLUDE_DIRECTORIES ${NCCL_INCLUDE_DIR})
target_link_libraries(moesweep_nccl INTERFACE CUDA::cudart)

# torch's kernels register themselves when their library is loaded, without any symbol being used. One item, so that the
# flags stay around the libraries.
target_link_libraries(moesweep_torch INTERFACE
  "-Wl,--push-state,--no-as-needed,${TORCH_ROOT}/lib/libtorch_cuda.so,${TORCH_ROOT}/lib/libc10_cuda.so,--pop-state")

# CUTLASS: headers, which its Python package holds.
file(GLOB cutlass_packages ${TORCH_ROOT}/../cutlass_library/source/include)
find_path(CUTLASS_INCLUDE_DIR cutlass/cutlass.h HINTS ${cutlass_packages})
if(NOT CUTLASS_INCLUDE_DIR)
  message(FATAL_ERROR "CUTLASS not found: jobs/setup.sh installs requirements-cuda.txt, or set CUTLASS_INCLUDE_DIR")
endif()
add_library(moesweep_cutlass INTERFACE)
target_include_directories(moesweep_cutlass SYSTEM INTERFACE ${CUTLASS_INCLUDE_DIR})
