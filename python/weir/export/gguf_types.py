# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Types of blocks that transformers' reader of GGUF files (5.23) lacks: Q5_0 and Q5_1, of which files that are called
after K-quants have many. They are read with the format's own library."""

from __future__ import annotations

import gguf
import torch

_TYPES = ("Q5_0", "Q5_1")


def _reader(kind: gguf.GGMLQuantizationType):
    def dequantise(blocks: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """[n, bytes of a block] uint8 -> [n, numbers of a block]."""
        return torch.from_numpy(gguf.dequantize(blocks.cpu().numpy(), kind)).to(dtype)

    return dequantise


def install():
    """Makes the types known to transformers, where they are not."""
    try:
        from transformers.integrations.gguf import dequant
    except ImportError:  # older ones read with gguf's library
        return
    for name in _TYPES:
        kind = gguf.GGMLQuantizationType[name]
        if kind.value not in dequant.GGML_BLOCK:
            dequant.GGML_BLOCK[kind.value] = gguf.GGML_QUANT_SIZES[kind]
            dequant.GGML_NAME[kind.value] = name
            dequant._DEQUANT[kind.value] = _reader(kind)
