# A room is a folder of src/ and a static library moesweep_<room>. What other rooms may include of it lies in
# include/moesweep/<room>/, the rest beside its sources.

add_library(moesweep_options INTERFACE)
target_include_directories(moesweep_options INTERFACE ${PROJECT_SOURCE_DIR}/include)
target_compile_options(moesweep_options INTERFACE
  "$<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wpedantic;-Wshadow;-Wno-missing-field-initializers>"
  $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra,-Wshadow>)   # what nvcc makes for the host is not pedantic
if(MOESWEEP_WERROR)
  target_compile_options(moesweep_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Werror>
                         $<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings>)
endif()
target_link_libraries(moesweep_options INTERFACE moesweep_fmt)
if(MOESWEEP_SANITIZE)
  target_compile_options(moesweep_options INTERFACE -fsanitize=${MOESWEEP_SANITIZE} -fno-omit-frame-pointer
                         -fno-sanitize-recover=all)
  target_link_options(moesweep_options INTERFACE -fsanitize=${MOESWEEP_SANITIZE})
endif()

# moesweep_room(NAME SOURCES a.cpp ... LINK lib ... [PRIVATE lib ...])
function(moesweep_room name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LINK;PRIVATE")
  add_library(moesweep_${name} STATIC ${arg_SOURCES})
  target_link_libraries(moesweep_${name} PUBLIC moesweep_options ${arg_LINK} PRIVATE ${arg_PRIVATE})
  target_include_directories(moesweep_${name} PRIVATE ${PROJECT_SOURCE_DIR}/src)
endfunction()
