//===- Simd.h - Functions compiled for several processors ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_MATCHING_SIMD_H
#define WEIR_LIB_MATCHING_SIMD_H

// The loader picks the version for the processor at hand. Sanitizers run before
// the loader can call the pickers, so they see the plain version only.
#if defined(__x86_64__) && defined(__linux__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(WEIR_MATCHING_NO_CLONES)
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define WEIR_MATCHING_CLONES
#endif
#endif
#ifndef WEIR_MATCHING_CLONES
#define WEIR_MATCHING_CLONES                                                   \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#endif
#else
#define WEIR_MATCHING_CLONES
#endif

#endif // WEIR_LIB_MATCHING_SIMD_H
