# moesweep_fuzz(NAME SOURCES a.cpp ... LINK lib ...): the program fuzz_NAME around one LLVMFuzzerTestOneInput. With
# MOESWEEP_FUZZ it is a fuzzer; else a plain program that replays files. Either way CTest replays corpus/NAME with it.
function(moesweep_fuzz name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LINK")
  add_executable(fuzz_${name} ${arg_SOURCES})
  target_link_libraries(fuzz_${name} PRIVATE ${arg_LINK})
  target_include_directories(fuzz_${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests/support ${PROJECT_SOURCE_DIR}/src)
  set(corpus ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${name})
  if(MOESWEEP_FUZZ)
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    add_test(NAME fuzz_${name} COMMAND fuzz_${name} -runs=0 -rss_limit_mb=2048 -timeout=10 ${corpus})
    add_dependencies(fuzzers fuzz_${name})
  else()
    target_sources(fuzz_${name} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/replay.cpp)
    add_test(NAME fuzz_${name} COMMAND fuzz_${name} ${corpus})
    set_tests_properties(fuzz_${name} PROPERTIES TIMEOUT 120 LABELS quick)   # a hang is a finding
  endif()
endfunction()
