# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What is changed in vLLM, and that it is there.

Each point names what it changes and the arguments that it relies on. All are checked when a process loads the plugin, those
of the second model runner (V2) where a worker has it, before it loads its model: a vLLM in which one is missing does not
start.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from dataclasses import dataclass
from typing import Callable

import numpy as np
from weir.errors import WeirError

from . import model_state, models, native
from .check import WeightCheck, check_config
from .keys import request_block_key
from .runtime import Runtime, Scheduled, said_by
from .settings import RESERVED, Folder, Hashed, Refused, Registry, Settings

VERSIONS = "0.32"


@dataclass(frozen=True)
class Point:
    module: str
    path: str  # a class and its method, or a function
    arguments: tuple[str, ...]
    make: Callable | None = None  # from the old function to the new one; None for a hook, which is there to be overridden

    def find(self):
        try:
            owner = importlib.import_module(self.module)
            *outer, name = self.path.split(".")
            for part in outer:
                owner = getattr(owner, part)
            old = getattr(owner, name)
        except (ImportError, AttributeError) as error:
            raise RuntimeError(f"weir: vLLM has no {self.module}.{self.path}, which steering changes; this plugin is for vLLM "
                               f"{VERSIONS} ({error})") from None
        if getattr(old, "_weir", False):
            return owner, name, old
        has = inspect.signature(old).parameters if callable(old) else {}
        missing = [argument for argument in self.arguments if argument not in has]
        if missing:
            raise RuntimeError(f"weir: {self.module}.{self.path} of this vLLM has no argument {missing[0]!r}, which steering "
                               f"relies on; this plugin is for vLLM {VERSIONS}")
        return owner, name, old


def apply():
    """Checks all points, then changes them; once in a process. Errors: RuntimeError."""
    found = [(point, *point.find()) for point in POINTS]
    models.register()
    change(found)
    # Imported by name where it is used.
    utils = importlib.import_module("vllm.v1.core.kv_cache_utils")
    for module in ("vllm.v1.core.block_pool", "vllm.v1.simple_kv_offload.manager"):
        user = importlib.import_module(module)
        if not hasattr(user, "generate_block_hash_extra_keys"):
            raise RuntimeError(f"weir: {module} of this vLLM takes its keys of blocks from elsewhere; this plugin is for vLLM "
                               f"{VERSIONS}")
        user.generate_block_hash_extra_keys = utils.generate_block_hash_extra_keys
    worker = importlib.import_module("vllm.v1.worker.gpu_worker").Worker
    worker.weir_counts, worker.weir_reload, worker.weir_kernels = counts, reload_tables, kernel_sites


def apply_v2():
    """The same for the second model runner. Its modules are imported where it is used: on the CPU vLLM changes some of what
    they use before."""
    from dataclasses import fields

    found = [(point, *point.find()) for point in V2_POINTS]
    for module, name, needed in V2_FIELDS:
        has = {each.name for each in fields(getattr(importlib.import_module(module), name))}
        for each in needed:
            if each not in has:
                raise RuntimeError(f"weir: {module}.{name} of this vLLM has no {each!r}, which steering relies on; this plugin "
                                   f"is for vLLM {VERSIONS}")
    change(found)


def change(found: list[tuple]):
    for point, owner, name, old in found:
        if point.make is None or getattr(old, "_weir", False):
            continue
        new = functools.wraps(old)(point.make(old))
        new._weir = True
        setattr(owner, name, new)


# ------------------------------------------------------------------ the process that takes requests
def start_front(old):
    def run(self, vllm_config, *args, **kwargs):
        settings = Settings.of(vllm_config.additional_config)
        registry = None
        if settings is not None:
            registry = Registry.open(settings)
            check_config(vllm_config, registry)
        self.weir = registry
        return old(self, vllm_config, *args, **kwargs)
    return run


def process_inputs(old):
    def run(self, request_id, prompt, params, *args, **kwargs):
        from vllm.exceptions import VLLMValidationError
        from vllm.sampling_params import SamplingParams

        extra = getattr(params, "extra_args", None) or {}
        said = None
        try:
            if self.weir is None:
                if any(key.startswith("weir_") for key in extra):
                    raise Refused("this server was started without a folder of plans; see docs/serving.md", "weir_plan")
            elif isinstance(params, SamplingParams):
                said = self.weir.resolve(extra)
                if said and kwargs.get("resumable"):
                    raise Refused("a request whose prompt is still to come cannot be steered", "weir_plan")
        except Refused as error:
            raise VLLMValidationError(str(error), parameter=error.parameter, value=error.value) from None
        request = old(self, request_id, prompt, params, *args, **kwargs)
        own = request.sampling_params
        if own is not None and (said or RESERVED in (own.extra_args or {})):
            # A copy: what the caller gave is the caller's. A key that a request brought is not trusted.
            own.extra_args = {key: value for key, value in (own.extra_args or {}).items() if key != RESERVED}
            if said:
                own.extra_args[RESERVED] = said
        return request
    return run


def beam_search_params(old):
    def run(self, *args, **kwargs):
        from vllm.exceptions import VLLMValidationError

        if any(key.startswith("weir_") for key in (self.vllm_xargs or {})):
            raise VLLMValidationError("beam search drops the arguments of a request, so that it would not be steered",
                                      parameter="weir_plan", value=self.vllm_xargs.get("weir_plan"))
        return old(self, *args, **kwargs)
    return run


# ------------------------------------------------------------------ engine core
def extra_keys(old):
    def run(request, start_token_idx, end_token_idx, start_mm_idx):
        keys, next_mm = old(request, start_token_idx, end_token_idx, start_mm_idx)
        own = request_block_key(request, start_token_idx, end_token_idx)
        if own is not None:
            keys = (keys or ()) + (("weir", own),)
        return keys, next_mm
    return run


# ------------------------------------------------------------------ workers
def load_model(old):
    def run(self, *args, **kwargs):
        config = self.vllm_config
        settings = Settings.of(config.additional_config)
        if settings is None:
            self.model_runner.weir = None
            return old(self, *args, **kwargs)
        registry = Registry.open(settings)
        check_config(config, registry)
        if config.use_v2_model_runner:
            apply_v2()
        with WeightCheck(registry.folders[0].table, settings.any_dtype) as weights:
            out = old(self, *args, **kwargs)
        weights.finish()
        runner = self.model_runner
        runner.weir = install(runner, config, registry)
        if config.use_v2_model_runner:
            if not hasattr(runner.model_state, "weir_requests"):
                raise RuntimeError("weir: vLLM made the state of the model without asking which class it has; this plugin is "
                                   f"for vLLM {VERSIONS}")
            runner.model_state.weir = runner.weir
        return out
    return run


def install(runner, config, registry: Registry) -> Runtime:
    """Puts the operators into the model, before it is compiled."""
    model = runner.get_model()
    sites = list(dict.fromkeys(site for folder in registry.folders for site in folder.table.sites))
    found = models.places(model, sites, config.parallel_config.tensor_parallel_size)
    is_native = runner.device.type == "cpu" and native.is_there()
    for number, (module, place) in enumerate(found):
        models.wrap(module, place, number, is_native)
    others = {key: value for key, value in config.additional_config.items() if key != "weir"} if isinstance(
        config.additional_config, dict) else config.additional_config.others
    config.additional_config = Hashed(registry.settings, others, sites, is_native)
    # Padded sizes of graphs included.
    capture = getattr(config.compilation_config, "max_cudagraph_capture_size", None) or 0
    tokens = max(config.scheduler_config.max_num_batched_tokens, capture, config.scheduler_config.max_num_seqs) + 128
    return Runtime(registry.folders, tokens, runner.device, sites, config.model_config.dtype if is_native else None)


def prepare_inputs(old):
    def run(self, scheduler_output, num_scheduled_tokens, *args, **kwargs):
        out = old(self, scheduler_output, num_scheduled_tokens, *args, **kwargs)
        if self.weir is None:
            deactivate()
            return out
        batch = self.input_batch
        scheduled = []
        for index, request in enumerate(batch.req_ids):
            count, first = int(num_scheduled_tokens[index]), int(batch.num_computed_tokens_cpu[index])
            scheduled.append(Scheduled(
                said_by(self.requests[request].sampling_params), count, first, int(batch.num_prompt_tokens[index]),
                functools.partial(ids_of, batch.token_ids_cpu, index, first + count)))
        self.weir.begin(scheduled)
        return out
    return run


def deactivate():
    """Another engine of this process may have had plans."""
    if models.Active.runtime is not None:
        models.Active.runtime = None
        native.off()


def ids_of(token_ids: np.ndarray, index: int, count: int) -> np.ndarray:
    return token_ids[index, :count]


def dummy_run(old):
    def run(self, *args, **kwargs):
        if getattr(self, "weir", None) is not None:
            self.weir.begin_dummy()
        else:
            deactivate()
        return old(self, *args, **kwargs)
    return run


def kernel_sites(self) -> list[str]:
    """For collective_rpc: sites that Weir's kernels do, for some folder at least."""
    runtime = getattr(self.model_runner, "weir", None)
    return runtime.kernel_sites() if runtime is not None else []


def counts(self) -> dict[str, int]:
    """For collective_rpc: tokens that were edited, by site."""
    runtime = getattr(self.model_runner, "weir", None)
    return runtime.counted() if runtime is not None else {}


def reload_tables(self, folders: list[list[str]]) -> str:
    """For collective_rpc: folders (name, path) as they are now. An error is returned, since a worker that raises ends."""
    try:
        runtime = self.model_runner.weir
        runtime.reload([Folder.open(name, path) for name, path in folders])
    except (ValueError, RuntimeError, OSError, WeirError) as error:
        return str(error)
    return ""


POINTS = [
    Point("vllm.v1.engine.input_processor", "InputProcessor.__init__", ("vllm_config",), start_front),
    Point("vllm.v1.engine.input_processor", "InputProcessor.process_inputs", ("request_id", "prompt", "params", "resumable"),
          process_inputs),
    Point("vllm.entrypoints.openai.chat_completion.protocol", "ChatCompletionRequest.to_beam_search_params", (),
          beam_search_params),
    Point("vllm.entrypoints.openai.completion.protocol", "CompletionRequest.to_beam_search_params", (), beam_search_params),
    Point("vllm.v1.core.kv_cache_utils", "generate_block_hash_extra_keys",
          ("request", "start_token_idx", "end_token_idx", "start_mm_idx"), extra_keys),
    Point("vllm.v1.worker.gpu_worker", "Worker.load_model", (), load_model),
    Point("vllm.v1.worker.gpu_model_runner", "GPUModelRunner._prepare_inputs", ("scheduler_output", "num_scheduled_tokens"),
          prepare_inputs),
    Point("vllm.v1.worker.gpu_model_runner", "GPUModelRunner._dummy_run", (), dummy_run),
]
V2_POINTS = [
    Point("vllm.v1.worker.gpu.model_states", "resolve_model_state_cls", ("vllm_config", "model"), model_state.state_class),
    Point("vllm.v1.worker.gpu.model_states.interface", "ModelState.add_request", ("req_index", "new_req_data")),
    Point("vllm.v1.worker.gpu.model_states.interface", "ModelState.remove_request", ("req_id",)),
    Point("vllm.v1.worker.gpu.model_states.interface", "ModelState.prepare_inputs", ("input_batch", "req_states")),
    Point("vllm.v1.worker.gpu.model_states.interface", "ModelState.prepare_dummy_inputs", ("num_reqs", "num_tokens")),
    Point("vllm.v1.core.sched.output", "NewRequestData.prompt_len", ()),
]
# Of dataclasses that hooks are given.
V2_FIELDS = [
    ("vllm.v1.worker.gpu.input_batch", "InputBatch",
     ("req_ids", "idx_mapping_np", "num_scheduled_tokens", "num_computed_tokens_np")),
    ("vllm.v1.core.sched.output", "NewRequestData", ("req_id", "sampling_params")),
]
