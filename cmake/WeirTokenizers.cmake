# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

# What text needs on its way to token ids: pytorch-tokenizers (byte pair encoding)
# and RE2, which it splits with; PCRE2 (patterns that look ahead), ICU (normal
# forms, character classes) and nlohmann-json (objects that keep their order).
# ./bootstrap unpacks pytorch-tokenizers into third_party/, see third_party.txt.

find_package(nlohmann_json 3.11 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(WEIR_PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(WEIR_ICU REQUIRED IMPORTED_TARGET icu-uc)
pkg_check_modules(WEIR_RE2 REQUIRED IMPORTED_TARGET re2)

# The parts of pytorch-tokenizers that encode a tokenizer.json, against Debian's
# RE2 and nlohmann-json. Its own build would compile its copies of these, of abseil
# and of SentencePiece, which takes minutes.
set(WEIR_PYTORCH_TOKENIZERS_DIR ${CMAKE_SOURCE_DIR}/third_party/pytorch-tokenizers
    CACHE PATH "Sources of pytorch-tokenizers")
if(NOT EXISTS ${WEIR_PYTORCH_TOKENIZERS_DIR}/src/bpe_tokenizer_base.cpp)
  message(FATAL_ERROR
    "${WEIR_PYTORCH_TOKENIZERS_DIR} has no sources of pytorch-tokenizers: run ./bootstrap")
endif()
add_library(weir_pytorch_tokenizers STATIC)
target_sources(weir_pytorch_tokenizers PRIVATE
  ${WEIR_PYTORCH_TOKENIZERS_DIR}/src/bpe_tokenizer_base.cpp
  ${WEIR_PYTORCH_TOKENIZERS_DIR}/src/normalizer.cpp
  ${WEIR_PYTORCH_TOKENIZERS_DIR}/src/pre_tokenizer.cpp
  ${WEIR_PYTORCH_TOKENIZERS_DIR}/src/re2_regex.cpp
  ${WEIR_PYTORCH_TOKENIZERS_DIR}/src/regex.cpp
  ${WEIR_PYTORCH_TOKENIZERS_DIR}/src/token_decoder.cpp
  ${WEIR_PYTORCH_TOKENIZERS_DIR}/llama.cpp-unicode/src/unicode.cpp
  ${WEIR_PYTORCH_TOKENIZERS_DIR}/llama.cpp-unicode/src/unicode-data.cpp)
target_include_directories(weir_pytorch_tokenizers SYSTEM PUBLIC
  $<BUILD_INTERFACE:${WEIR_PYTORCH_TOKENIZERS_DIR}/include>
  $<BUILD_INTERFACE:${WEIR_PYTORCH_TOKENIZERS_DIR}/llama.cpp-unicode/include>)
target_link_libraries(weir_pytorch_tokenizers PUBLIC
  PkgConfig::WEIR_RE2 nlohmann_json::nlohmann_json)
# Errors come back as codes; nothing is written to stderr.
target_compile_definitions(weir_pytorch_tokenizers PUBLIC TK_LOG_ENABLED=0)
# -w: the warnings are its authors'. One of its headers takes <functional> for
# included.
target_compile_options(weir_pytorch_tokenizers PRIVATE -w -include functional)
weir_install(weir_pytorch_tokenizers)
if(WEIR_SANITIZE)
  target_compile_options(weir_pytorch_tokenizers PRIVATE
    -fsanitize=${WEIR_SANITIZE} -fno-omit-frame-pointer -fno-sanitize=vptr)
endif()
