# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Says what the loops of assembly do that multiply and add: how many fused instructions there are, on which registers.
Then how many instructions of such loops load or store a register that did not fit (at a place of the stack that is the same
in every iteration), how many are scalar, and which functions are called."""

import re
import sys

FUSED = re.compile(r"^\s+(?:vfn?m(?:add|sub)\w+|fml[as]|fn?m(?:add|sub))\s")
SCALAR = re.compile(r"^\s+(?:vfn?m(?:add|sub)\w+s[sd]|fn?m(?:add|sub))\s")
REGISTERS = re.compile(r"%([xyz]mm)\d|\.(\d+s)\b")
JUMP = re.compile(r"^\s+(?:j\w+|b\.\w+|cbn?z|tbn?z)\s+.*?(\.L\w+)\s*$")
LABEL = re.compile(r"^(\.L\w+):")
CALL = re.compile(r"^\s+(?:callq?|jmp|bl?)\s+([A-Za-z_*]\S*)")
SPILLED = re.compile(r"\(%[re][sb]p\)|\[(?:sp|x29)(?:, #-?\d+)?\]")

lines = sys.stdin.read().splitlines()
start = {}  # of the block that is read
calls, scalars, spills, loops = set(), 0, 0, 0
for number, line in enumerate(lines):
    if label := LABEL.match(line):
        start = {label.group(1): number}
    elif call := CALL.match(line):
        calls.add(call.group(1))
    elif (jump := JUMP.match(line)) and jump.group(1) in start:
        body = lines[start[jump.group(1)] + 1: number]
        fused = [each for each in body if FUSED.match(each)]
        if not fused:
            continue
        registers = sorted({"".join(kind) for each in fused for kind in REGISTERS.findall(each)})
        print(f"loop: {len(fused)} fused on {' '.join(registers)}")
        loops += 1
        scalars += sum(1 for each in fused if SCALAR.match(each))
        spills += sum(1 for each in body if SPILLED.search(each))
print(f"of {loops} loops: {spills} spills, {scalars} scalar")
print("calls:", " ".join(sorted(name for name in calls if not name.endswith(".body"))) or "none")
