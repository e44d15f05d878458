# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""From a Hugging Face causal model to a torch.export archive that `weirc` compiles and `weir-run` runs."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import torch

from . import archive, program, sources
from .sources import DTYPES, ExportError

__all__ = ["DTYPES", "ExportError", "export", "exportProgram"]


def exportProgram(module: program.Program) -> torch.export.ExportedProgram:
    """Traces `module` with batch (1..max_batch) and length (1..max_length) dynamic."""
    # Examples of at least 2 x 2: a size of 1 would be taken for a constant.
    batch = min(2, module.max_batch)
    ids = torch.zeros(batch, 3, dtype=torch.int64)
    positions = torch.arange(3).expand(batch, 3).contiguous()
    shape = {1: torch.export.Dim("length", min=1, max=module.max_length)}
    if module.max_batch > 1:
        shape[0] = torch.export.Dim("batch", min=1, max=module.max_batch)
    with torch.no_grad():
        return torch.export.export(module, (ids, positions), dynamic_shapes=(shape, shape), strict=False)


def export(model: str, path: str | Path, *, dtype: str = "f32", max_batch: int = 4, max_length: int = 512,
           progress: Callable[[str], None] = lambda line: None) -> Path:
    source = sources.resolve(model)
    progress(f"loading {source.name}")
    loaded = source.model(DTYPES[dtype])
    tokenizer = source.tokenizer()
    module = program.Program(loaded, max_batch, max_length).eval()
    progress("tracing")
    exported = exportProgram(module)
    progress("writing")
    archive.write(exported, archive.records(source.name, dtype, module, tokenizer), Path(path))
    return Path(path)
