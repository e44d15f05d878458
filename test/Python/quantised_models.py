# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tiny models in GGUF files whose matrices have every type of blocks that programs keep."""

from __future__ import annotations

import copy
import functools
import itertools
import tempfile
from pathlib import Path

import families
import gguf_files
import torch
from transformers import AutoModelForCausalLM, Gemma3TextConfig, LlamaConfig, Qwen2Config
from weir.export import packed, sources

# As wide as the largest block.
_shape = {**families._shape, "hidden_size": 256, "intermediate_size": 256}
CONFIGS = {
    "llama": LlamaConfig(**_shape, head_dim=64),
    "qwen2": Qwen2Config(**_shape, tie_word_embeddings=True),
    "gemma3": Gemma3TextConfig(**_shape, head_dim=64, query_pre_attn_scalar=64, sliding_window=5,
                               layer_types=["sliding_attention"] * 3),
}
PARTS = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
MATRICES = ("token_embd.weight", "output.weight", *(f"blk.{layer}.{part}.weight" for layer in range(3) for part in PARTS))


def types(family: str) -> dict[str, str]:
    """One type after the other, so that each part of a block has several."""
    matrices = [name for name in MATRICES if name != "output.weight" or not CONFIGS[family].tie_word_embeddings]
    return dict(zip(matrices, itertools.cycle(["Q8_0", *packed.TYPES])))


@functools.cache
def _random(family: str):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(copy.deepcopy(CONFIGS[family])).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return model


def write(path: Path, family: str, kinds: dict | None = None) -> Path:
    """The file of a family's tiny model, with these types of matrices or with one after the other."""
    return gguf_files.write(path, _random(family), types=types(family) if kinds is None else kinds)


def load(path: Path):
    """The model as transformers dequantises it, with what the file says about it and transformers does not read."""
    return sources.resolve(str(path)).model(torch.float32)


@functools.cache
def folder() -> Path:
    made = tempfile.TemporaryDirectory(prefix="weir-quantised-")
    _kept.append(made)  # goes with the process
    return Path(made.name)


_kept: list = []


@functools.cache
def file(family: str) -> Path:
    return write(folder() / f"{family}.gguf", family)


@functools.cache
def exported(family: str, dtype: str = "f32") -> Path:
    from weir.export import export

    return export(file(family), folder() / f"{family}-{dtype}.pt2", dtype=dtype, weights="native",
                  max_batch=families.MAX_BATCH, max_length=families.MAX_LENGTH)
