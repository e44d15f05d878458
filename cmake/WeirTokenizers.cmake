# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

# What text needs on its way to token ids: PCRE2 (splitting patterns), ICU
# (normal forms, character classes), nlohmann-json and minja (chat templates).
# minja is one header under the MIT licence; ./bootstrap unpacks it from the
# sdist of llama-cpp-python 0.3.16, which carries it.

find_package(nlohmann_json 3.11 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(WEIR_PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(WEIR_ICU REQUIRED IMPORTED_TARGET icu-uc)

set(WEIR_MINJA_DIR ${CMAKE_SOURCE_DIR}/third_party/minja
    CACHE PATH "Folder of minja.hpp")
if(NOT EXISTS ${WEIR_MINJA_DIR}/minja.hpp)
  message(FATAL_ERROR "${WEIR_MINJA_DIR}/minja.hpp is missing: run ./bootstrap")
endif()
add_library(weir_minja INTERFACE)
target_include_directories(weir_minja SYSTEM INTERFACE ${WEIR_MINJA_DIR})
target_link_libraries(weir_minja INTERFACE nlohmann_json::nlohmann_json)
