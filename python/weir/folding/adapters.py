# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A PEFT adapter: taking directions out of a linear map is a change of low rank, and a bias is one where LoRA has them."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from . import checkpoints, whole
from .job import Change, Job, Refused


def _factors(change: Change) -> tuple[torch.Tensor, torch.Tensor]:
    """A [r, in] and B [out, r]; of a map whose weight stays, zeros of rank 1."""
    if change.left is not None:
        return change.right.float(), change.left.float()
    return torch.zeros(1, change.inputs), torch.zeros(len(change.shift), 1)


def write(job: Job) -> list[str]:
    source = job.source()
    if source.gguf is None:
        checkpoints.check(job, Path(source.location), source.config)
    biased = any(change.shift is not None for change in job.changes)
    tensors, ranks = {}, {}
    for change in job.changes:
        if change.table and biased:
            raise Refused("an adapter of PEFT has biases (lora_bias) for all its modules or for none, and a table of "
                          "embeddings, which is changed as well, cannot have one", change.weight_name)
        key = f"base_model.model.{change.module}"
        if change.table:
            ranks[change.module] = len(change.right)
            tensors[f"{key}.lora_embedding_A"] = change.right.float().contiguous()
            tensors[f"{key}.lora_embedding_B"] = change.left.float().contiguous()
            continue
        a, b = _factors(change)
        ranks[change.module] = len(a)
        tensors[f"{key}.lora_A.weight"] = a.contiguous()
        tensors[f"{key}.lora_B.weight"] = b.contiguous()
        if biased:
            shift = torch.zeros(len(b)) if change.shift is None else change.shift.float()
            tensors[f"{key}.lora_B.bias"] = shift.contiguous()
    most = max(ranks.values(), default=1)
    settings = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": source.location, "inference_mode": True,
        "r": most, "lora_alpha": most, "lora_dropout": 0.0, "bias": "none", "lora_bias": biased,
        "fan_in_fan_out": any(change.in_out and not change.table for change in job.changes),
        "target_modules": sorted(ranks), "use_rslora": False, "use_dora": False,
        # B A as it is: the factor is lora_alpha / r, of each module.
        "rank_pattern": {name: rank for name, rank in ranks.items() if rank != most},
        "alpha_pattern": {name: rank for name, rank in ranks.items() if rank != most},
    }
    model = Path(source.location) if source.gguf is None else None
    with whole.folder(job.output, model, {"weir": "fold", "to": job.to, "plan": job.plan}) as to:
        save_file(tensors, to / "adapter_model.safetensors", metadata={"format": "pt"})
        (to / "adapter_config.json").write_text(json.dumps(settings, indent=2) + "\n")
        return sorted(entry.name for entry in to.iterdir())
