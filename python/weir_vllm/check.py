# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a server has to be for its plans to be done right: its configuration, and the weights of its model."""

from __future__ import annotations

import torch
from weir.sites import SiteTable

from .settings import Registry, SettingsError, looks_for_markers

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}


def check_config(config, registry: Registry):
    """Errors: SettingsError for what would be wrong, or steered in part."""
    def refuse(why: str):
        raise SettingsError(f"weir: {why}")

    parallel = config.parallel_config
    if config.speculative_config is not None:
        refuse("speculative decoding is not supported: drafted tokens would be checked without their plan")
    if parallel.pipeline_parallel_size > 1:
        refuse("pipeline parallelism is not supported: conditions look at earlier layers; use tensor parallelism")
    if getattr(parallel, "use_ubatching", False):
        refuse("overlapping micro-batches are not supported: start without --enable-dbo")
    if getattr(parallel, "prefill_context_parallel_size", 1) > 1 or getattr(parallel, "decode_context_parallel_size", 1) > 1:
        refuse("context parallelism is not supported")
    if getattr(config, "kv_transfer_config", None) is not None:
        refuse("KV connectors are not supported: whether their keys tell plans apart is not known")
    if getattr(config.model_config, "enable_prompt_embeds", False):
        refuse("prompts that are embeddings are not supported: start without --enable-prompt-embeds")
    if config.model_config.quantization is not None:
        refuse("quantised weights cannot be told from those that the plans were built for")
    passes = getattr(config.compilation_config, "pass_config", None)
    if getattr(passes, "enable_sp", False):
        refuse("sequence parallelism is not supported: a site's value would be split")
    if config.scheduler_config.async_scheduling:
        check_markers(registry)
    dtype = config.model_config.dtype
    for folder in registry.folders:
        built = folder.table.model.get("dtype")
        if DTYPES.get(built) != dtype and not registry.settings.any_dtype:
            refuse(f"{folder.path} was built for a model of {built}, and the server runs in {dtype}: start it with --dtype "
                   'another, export the model in this type, or say {"weir": {"any_dtype": true, …}}')


def check_markers(registry: Registry):
    for folder in registry.folders:
        for plan in folder.table.plans:
            if looks_for_markers(plan):
                raise SettingsError(
                    f"weir: plan '{plan.name}' looks for tokens, which are not known yet where steps are scheduled ahead: start "
                    "the server with --no-async-scheduling")


class WeightCheck:
    """While a model is loaded: compares some numbers of each weight with those of the model that the plans were built for.
    `finish` raises SettingsError for another model, and where nothing was seen."""

    def __init__(self, table: SiteTable, any_dtype: bool):
        self.table, self.any_dtype = table, any_dtype
        self.probes = {name.removeprefix("model/"): probe for name, probe in table.tensors.items() if name.startswith("model/")}
        self.seen: set[str] = set()
        self.wrong: str | None = None

    def __enter__(self):
        from vllm.model_executor.model_loader.default_loader import DefaultModelLoader

        self.owner, self.old = DefaultModelLoader, DefaultModelLoader.get_all_weights
        check = self

        def watched(loader, *args, **kwargs):
            for name, tensor in check.old(loader, *args, **kwargs):
                check.look(name, tensor)
                yield name, tensor

        self.owner.get_all_weights = watched
        return self

    def __exit__(self, *error):
        self.owner.get_all_weights = self.old

    def look(self, name: str, tensor: torch.Tensor):
        probe = self.probes.get(name)
        if probe is None or self.wrong:
            return
        self.seen.add(name)
        flat, count = tensor.reshape(-1), len(probe)
        values = flat[:: max(1, len(flat) // count)][:count].float() if len(flat) >= count else flat.float()
        built = DTYPES.get(self.table.model.get("dtype"), torch.float32)
        if tensor.dtype.itemsize >= built.itemsize:
            same = values.to(built).float().equal(probe)
        else:  # the plans were built for wider numbers
            same = probe.to(tensor.dtype).float().equal(values)
        if not same:
            self.wrong = name

    def finish(self):
        model = self.table.model.get("name")
        if self.wrong:
            raise SettingsError(f"weir: this is not the model that {self.table.path} was built for ({model}): its weight "
                                f"{self.wrong} is another one")
        missing = sorted(self.probes.keys() - self.seen - {"lm_head.weight"})  # often the embedding, and not stored
        if missing:
            raise SettingsError(f"weir: it cannot be told whether this is the model that {self.table.path} was built for "
                                f"({model}): its weights have no {missing[0]}; serve a folder of safetensors")
