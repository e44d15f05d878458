//===- InputRolesTest.cpp - What a program's inputs are for ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Program/InputRoles.h"

#include <gtest/gtest.h>

using namespace weir;

namespace {

TEST(InputRoles, NamesLeadBackToTheirRoles) {
  for (InputRole role : {InputRole::InputIds, InputRole::Positions,
                         InputRole::PromptLength, InputRole::Plan,
                         InputRole::Knobs})
    EXPECT_EQ(inputRoleNamed(roleName(role)), role) << roleName(role).str();
  EXPECT_EQ(roleName(InputRole::PromptLength), "prompt_length");
  EXPECT_FALSE(inputRoleNamed(""));
  EXPECT_FALSE(inputRoleNamed("plans"));
  EXPECT_FALSE(inputRoleNamed(logitsName));
}

TEST(InputRoles, HaveTheirShapes) {
  EXPECT_EQ(rankOf(InputRole::InputIds), 2u);
  EXPECT_EQ(rankOf(InputRole::Plan), 1u);
  EXPECT_TRUE(mayBeFlat(InputRole::Positions));
  EXPECT_FALSE(mayBeFlat(InputRole::Knobs));
  EXPECT_TRUE(holdsNumbers(InputRole::Knobs));
  EXPECT_FALSE(holdsNumbers(InputRole::PromptLength));
}

} // namespace
