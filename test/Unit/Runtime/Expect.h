//===- Expect.h - Checks of errors ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_TEST_UNIT_RUNTIME_EXPECT_H
#define WEIR_TEST_UNIT_RUNTIME_EXPECT_H

#include "llvm/Support/Error.h"

#include <gtest/gtest.h>

#include <string>

namespace weir::test {

/// The message of an error, "" for success.
inline std::string messageOf(llvm::Error error) {
  return llvm::toString(std::move(error));
}
template <typename T> std::string messageOf(llvm::Expected<T> result) {
  return result ? std::string() : messageOf(result.takeError());
}

/// The value, or a test failure with the message.
template <typename T> T valueOf(llvm::Expected<T> result) {
  if (!result) {
    ADD_FAILURE() << messageOf(result.takeError());
    std::abort();
  }
  return std::move(*result);
}

} // namespace weir::test

#define EXPECT_OK(expression)                                                  \
  EXPECT_EQ(::weir::test::messageOf(expression), "")
#define EXPECT_ERROR(expression, part)                                         \
  EXPECT_PRED_FORMAT2(::testing::IsSubstring, part,                            \
                      ::weir::test::messageOf(expression))

#endif // WEIR_TEST_UNIT_RUNTIME_EXPECT_H
