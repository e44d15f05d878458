# Helpers that give every target of the project the same flags.

add_library(weir_options INTERFACE)
target_include_directories(weir_options INTERFACE
  ${CMAKE_SOURCE_DIR}/include ${CMAKE_BINARY_DIR}/include)
target_include_directories(weir_options SYSTEM INTERFACE
  ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})
target_compile_definitions(weir_options INTERFACE ${WEIR_LLVM_DEFINITIONS})
target_compile_options(weir_options INTERFACE
  -Wall -Wextra -Wno-unused-parameter -Werror=return-type)
if(WEIR_SANITIZE)
  target_compile_options(weir_options INTERFACE
    -fsanitize=${WEIR_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=undefined
    # LLVM's shared library carries no type information for some vtables.
    -fno-sanitize=vptr)
  target_link_options(weir_options INTERFACE -fsanitize=${WEIR_SANITIZE})
endif()
if(WEIR_BUILD_FUZZERS)
  # Fuzzers are guided by what is reached in the libraries.
  target_compile_options(weir_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# LibTorch, with its headers treated as system headers.
add_library(weir_torch INTERFACE)
target_include_directories(weir_torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
target_link_libraries(weir_torch INTERFACE ${TORCH_LIBRARIES})

# weir_library(NAME [SOURCES ...] [LINK ...] [DEPENDS ...])
# A static library of the project. LINK is public; DEPENDS names generated
# headers that have to exist first.
function(weir_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;DEPENDS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC weir_options ${ARG_LINK})
  if(ARG_DEPENDS)
    add_dependencies(${name} ${ARG_DEPENDS})
  endif()
endfunction()

# weir_tool(NAME [SOURCES ...] [LINK ...])
function(weir_tool name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE weir_options ${ARG_LINK})
endfunction()

# weir_unittest(NAME [SOURCES ...] [LINK ...]): a GoogleTest binary in
# build/test/Unit; the `weir-unittests` target builds all of them.
function(weir_unittest name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test/Unit)
  target_link_libraries(${name} PRIVATE weir_options ${ARG_LINK} gtest gtest_main rapidcheck Threads::Threads)
  add_test(NAME ${name} COMMAND ${name})
  add_dependencies(weir-unittests ${name})
endfunction()

# weir_fuzzer(NAME [SOURCES ...] [LINK ...]): a libFuzzer binary; the same
# source linked without libFuzzer replays its corpus in the tests.
function(weir_fuzzer name)
  if(NOT WEIR_BUILD_FUZZERS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test/Fuzz)
  target_link_libraries(${name} PRIVATE weir_options ${ARG_LINK})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
endfunction()
