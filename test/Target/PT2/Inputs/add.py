# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Adds an input `plan` and a second output to the program in a file of IR."""

import sys
from pathlib import Path

path = Path(sys.argv[1])
text = path.read_text()
text = text.replace("= #fx.input<user_input>) attributes",
                    "= #fx.input<user_input>,\n      %plan: tensor<?xi64, #dims_s0> = #fx.input<user_input>) attributes")
head, tail = text.split("fx.return %add : ")
kind = tail.split(" as ")[0]
path.write_text(f"{head}fx.return %add, %add : {kind}, {kind} as [#fx.output<user_output>, #fx.output<user_output>]\n"
                "  }\n}\n")
