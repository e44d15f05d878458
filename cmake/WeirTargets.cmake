# Helpers that give every target of the project the same flags.

add_library(weir_options INTERFACE)
target_include_directories(weir_options INTERFACE
  "$<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include;${CMAKE_BINARY_DIR}/include>"
  $<INSTALL_INTERFACE:include>)
# Where it is installed, WeirConfig.cmake says where these are there.
target_include_directories(weir_options SYSTEM INTERFACE
  "$<BUILD_INTERFACE:${MLIR_INCLUDE_DIRS};${LLVM_INCLUDE_DIRS}>")
target_compile_definitions(weir_options INTERFACE ${WEIR_LLVM_DEFINITIONS})
target_compile_options(weir_options INTERFACE
  "$<BUILD_INTERFACE:-Wall;-Wextra;-Wno-unused-parameter;-Werror=return-type>")
# Functions that nobody calls stay out, and so do libraries that only they need.
target_link_options(weir_options INTERFACE LINKER:--gc-sections LINKER:--as-needed)
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

# What they link is not exported: the installed package finds it again.
include(WeirLLVM)
add_library(weir_llvm INTERFACE)
target_link_libraries(weir_llvm INTERFACE "$<BUILD_INTERFACE:${WEIR_LLVM_LIBRARIES}>")
add_library(weir_mlir INTERFACE)
target_link_libraries(weir_mlir INTERFACE "$<BUILD_INTERFACE:${WEIR_MLIR_LIBRARIES}>" weir_llvm)

# weir_link(TARGET PUBLIC|PRIVATE|INTERFACE NAMES...): MLIR and LLVM stand for
# their static libraries.
function(weir_link target scope)
  list(TRANSFORM ARGN REPLACE "^LLVM$" weir_llvm)
  list(TRANSFORM ARGN REPLACE "^MLIR$" weir_mlir)
  target_link_libraries(${target} ${scope} ${ARGN})
endfunction()

# LibTorch, with its headers treated as system headers.
add_library(weir_torch INTERFACE)
target_include_directories(weir_torch SYSTEM INTERFACE "$<BUILD_INTERFACE:${TORCH_INCLUDE_DIRS}>")
target_link_libraries(weir_torch INTERFACE "$<BUILD_INTERFACE:${TORCH_LIBRARIES}>")

# Most of the time of a build is spent in reading the same headers. These two
# targets compile them once; only headers of other projects, so that a change
# here never makes them stale.
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/pch/empty.cpp CONTENT "")
# A precompiled header that knows no time can be taken from ccache.
if(CMAKE_CXX_COMPILER_ID STREQUAL Clang)
  add_compile_options("SHELL:-Xclang -fno-pch-timestamp")
endif()
add_library(weir_mlir_headers OBJECT ${CMAKE_BINARY_DIR}/pch/empty.cpp)
target_link_libraries(weir_mlir_headers PRIVATE weir_options Eigen3::Eigen)
target_precompile_headers(weir_mlir_headers PRIVATE
  <mlir/Bytecode/BytecodeOpInterface.h>
  <mlir/IR/Builders.h>
  <mlir/IR/BuiltinOps.h>
  <mlir/IR/DialectImplementation.h>
  <mlir/IR/OpImplementation.h>
  <mlir/IR/PatternMatch.h>
  <mlir/IR/SymbolTable.h>
  <mlir/Interfaces/SideEffectInterfaces.h>
  <mlir/Pass/Pass.h>
  <mlir/Pass/PassManager.h>
  <mlir/Transforms/GreedyPatternRewriteDriver.h>
  <llvm/ADT/TypeSwitch.h>
  <llvm/Support/JSON.h>
  <Eigen/Core>)
if(WEIR_BUILD_TESTS)
  # Tests are run once or twice: they are optimised little.
  set(WEIR_TEST_OPTIONS $<$<CONFIG:Release>:-O1>)
  # A program, since its users are: they are compiled a little differently.
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/pch/main.cpp CONTENT "int main() {}\n")
  add_executable(weir_test_headers ${CMAKE_BINARY_DIR}/pch/main.cpp)
  weir_link(weir_test_headers PRIVATE weir_options LLVM gtest rapidcheck Threads::Threads)
  target_compile_options(weir_test_headers PRIVATE ${WEIR_TEST_OPTIONS})
  target_precompile_headers(weir_test_headers PRIVATE
    <gtest/gtest.h>
    <rapidcheck.h>
    <rapidcheck/gtest.h>
    <llvm/ADT/StringRef.h>
    <llvm/Support/Error.h>
    <llvm/Support/JSON.h>)
endif()

# weir_install(TARGETS...): into bin/ or lib/, and for `find_package(Weir)`.
function(weir_install)
  install(TARGETS ${ARGN} EXPORT Weir
    RUNTIME DESTINATION bin LIBRARY DESTINATION lib ARCHIVE DESTINATION lib)
endfunction()

# weir_library(NAME [MLIR_HEADERS] [SOURCES ...] [LINK ...] [DEPENDS ...])
# A static library; MLIR_HEADERS: it includes them. LINK
# is public; DEPENDS names generated headers that have to exist first.
function(weir_library name)
  cmake_parse_arguments(ARG "MLIR_HEADERS" "" "SOURCES;LINK;DEPENDS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  weir_link(${name} PUBLIC weir_options ${ARG_LINK})
  if(ARG_MLIR_HEADERS)
    target_precompile_headers(${name} REUSE_FROM weir_mlir_headers)
  endif()
  if(ARG_DEPENDS)
    add_dependencies(${name} ${ARG_DEPENDS})
  endif()
  weir_install(${name})
endfunction()

# weir_carries_libraries(NAME PATHS...): where an installed tool or shared library finds
# those that a wheel carries, as do the libraries that these need in turn (which only
# the older kind of search path is for).
function(weir_carries_libraries name)
  set_property(TARGET ${name} APPEND PROPERTY INSTALL_RPATH ${ARGN})
  target_link_options(${name} PRIVATE LINKER:--disable-new-dtags)
endfunction()

# weir_tool(NAME [SOURCES ...] [LINK ...])
function(weir_tool name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  weir_link(${name} PRIVATE weir_options ${ARG_LINK})
  target_compile_definitions(${name} PRIVATE WEIR_VERSION="${PROJECT_VERSION}")
  weir_carries_libraries(${name} "$ORIGIN/../lib/weir")
endfunction()

# weir_unittest(NAME [OWN_HEADERS] [SOURCES ...] [LINK ...]): a GoogleTest binary
# in build/test/Unit; the `weir-unittests` target builds all of them. OWN_HEADERS:
# it precompiles headers of its own.
function(weir_unittest name)
  cmake_parse_arguments(ARG "OWN_HEADERS" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test/Unit)
  weir_link(${name} PRIVATE weir_options ${ARG_LINK} gtest gtest_main rapidcheck Threads::Threads)
  target_compile_options(${name} PRIVATE ${WEIR_TEST_OPTIONS})
  if(NOT ARG_OWN_HEADERS)
    target_precompile_headers(${name} REUSE_FROM weir_test_headers)
  endif()
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
  weir_link(${name} PRIVATE weir_options ${ARG_LINK})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
endfunction()
