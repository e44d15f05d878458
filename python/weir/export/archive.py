# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writing the archive: the exported program and the records a runner needs, all at once or not at all."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import torch

from ..files import replacing
from . import chat


def token_ids(value) -> list[int]:
    """Configurations give one id, a list of ids or nothing."""
    if value is None:
        return []
    return [int(v) for v in value] if isinstance(value, (list, tuple)) else [int(value)]


def records(name: str, dtype: str, program, tokenizer, arithmetic: str = "exact",
            quantize: str | None = None) -> dict[str, str]:
    """The records below `extra/`: weir.json, and the tokenizer's files when there is a tokenizer."""
    model = program.hugging_face
    config, generation = model.config, model.generation_config
    shapes = program.shapes.values()
    bos = token_ids(config.bos_token_id)
    eos = token_ids(generation.eos_token_id if generation is not None else None) or token_ids(config.eos_token_id)
    templates: dict[str, str] = {}
    result = {}
    if tokenizer is not None:
        templates = chat.templates(tokenizer)
        bos = bos or token_ids(tokenizer.bos_token_id)
        eos = eos or token_ids(tokenizer.eos_token_id)
        with tempfile.TemporaryDirectory() as folder:
            tokenizer.save_pretrained(folder)
            for file in ("tokenizer.json", "tokenizer_config.json"):
                result[file] = (Path(folder) / file).read_text(encoding="utf-8")
    about = {
        "weir": 1,
        "model": name,
        "family": config.model_type,
        "hidden_size": config.hidden_size,
        "layers": config.num_hidden_layers,
        "heads": config.num_attention_heads,
        "head_dim": max(shape.value_dim for shape in shapes),
        "vocab_size": model.get_output_embeddings().weight.shape[0],
        "max_batch": program.max_batch,
        "max_length": program.max_length,
        "dtype": dtype,
        "bos": bos[0] if bos else None,
        "eos": eos,
        "chat_template": templates.get("default"),
    }
    if arithmetic != "exact":
        about["arithmetic"] = arithmetic  # what products do to activations
    if quantize is not None:
        about["quantized"] = quantize  # what matrices were rounded to
    if set(templates) - {"default"}:
        about["chat_templates"] = templates
    result["weir.json"] = json.dumps(about, indent=1, ensure_ascii=False)
    return result


def write(exported: torch.export.ExportedProgram, extra: dict[str, str], path: Path):
    """Writes `exported` and the records `extra` to `path`. Through a stream, not a name: the archive's
    inner folder would else be called after the file, and two exports would differ."""
    with replacing(path) as stream:
        torch.export.save(exported, stream, extra_files=extra)
