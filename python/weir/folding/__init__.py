# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Plans as weights, in the formats of other engines.

weirc decides what folds and computes it (docs/folding.md); here it is put into a copy of the model's own files, by
the libraries that own the formats.
"""

from __future__ import annotations

import os

from ..compiler import weirc

TARGETS = ("checkpoint", "pt2", "lora", "gguf-control", "gguf")


def fold(spec: str | os.PathLike, output: str | os.PathLike, *, to: str, **options) -> dict:
    """Writes a plan of `spec` as weights (`weirc fold`) and returns what weirc says of it: `output`, `plan`, and the
    names of the tensors that have changed as `changed`.

    `to` is one of TARGETS; `output` is a folder, of "gguf" and "gguf-control" a file. `options` are those of
    `weirc fold --help`: plan="default", knob="faith=2", source="models/SmolLM2", …
    Raises CompileError with all messages if something in the plan does not fold or has no place in that format.
    """
    return weirc("fold", os.fspath(spec), "-o", os.fspath(output), to=to, **options)
