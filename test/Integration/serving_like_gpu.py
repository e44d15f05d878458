# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a GPU does and a CPU doesn't, on the CPU, for jobs of serving_job.py: vLLM's second model runner, whose kernels of
Triton are interpreted; edits without decisions on the host; and graphs, which are recorded once and replayed on the same
memory, as CUDA graphs are, with whatever the buffers hold then."""

from __future__ import annotations

import contextlib
import os
from types import SimpleNamespace

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def second_runner():
    """Before vLLM is imported. Its own classes run, none is replaced: it only has to find a Triton for this processor, and
    the interpreter that Triton brings along is one for any."""
    os.environ |= {"TRITON_INTERPRET": "1", "VLLM_USE_V2_MODEL_RUNNER": "1"}
    from triton.backends import backends

    backends["cpu"] = SimpleNamespace(compiler=None, driver=SimpleNamespace(is_active=lambda: True))
    import vllm.triton_utils

    assert vllm.triton_utils.HAS_TRITON
    del backends["cpu"]  # Inductor would compile for it


class Recording(TorchDispatchMode):
    """Notes every operator that runs. A number that comes back to Python is an error, as it is while a graph is captured:
    what follows would depend on it. So is a tensor that is made of a number of Python's, which a device has to be sent."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        numbers = not all(isinstance(each, torch.Tensor) or each is None for each in tree_leaves(out))
        # A size that depends on values: of an index, where it is a mask.
        sized = torch.Tag.dynamic_output_shape in func.tags and (
            func is not torch.ops.aten.index.Tensor or any(each is not None and each.dtype == torch.bool for each in args[1]))
        if numbers or sized or func is torch.ops.aten.lift_fresh.default:
            raise AssertionError(f"{func} decides something on the host, in a graph")
        self.calls.append((func, args, kwargs, out))
        return out

    def replay(self):
        """The same operators on the same memory."""
        for func, args, kwargs, out in self.calls:
            for kept, new in zip(tree_leaves(out), tree_leaves(func(*args, **kwargs)), strict=True):
                if isinstance(kept, torch.Tensor) and kept.untyped_storage().data_ptr() != new.untyped_storage().data_ptr():
                    kept.copy_(new)


class Graphs:
    """A graph for each site and size, the tokens of a step rounded up to SIZES. It is captured when it is first needed, on
    zeros and with no plan, after a pass to warm up, and replayed for every step."""

    SIZES = 16

    def __init__(self, edit):
        self.edit, self.of = edit, {}

    def __call__(self, runtime, value, residual, number):
        count = len(value)
        size = -(-count // self.SIZES) * self.SIZES
        if (number, size) not in self.of:
            self.of[number, size] = self.capture(runtime, value, residual, number, size)
        graph, own, other = self.of[number, size]
        own[:count].copy_(value)
        if other is not None:
            other[:count].copy_(residual)
        behind = own[count:].clone()
        graph.replay()
        assert own[count:].equal(behind), "padding was edited"
        value.copy_(own[:count])

    def capture(self, runtime, value, residual, number, size):
        own = value.new_zeros(size, value.shape[1])
        other = None if residual is None else torch.zeros_like(own)
        kept = [(loaded.plan.clone(), loaded.counts.clone()) for loaded in runtime.tables.values()]
        for loaded in runtime.tables.values():
            loaded.forget()
        if all(runtime.sites[number] == loaded.own[0] for loaded in runtime.tables.values()):
            self.edit(runtime, own.clone(), other, number)  # a pass before, after which nobody says that another one begins
        with Recording() as graph:
            self.edit(runtime, own, other, number)
        for loaded, (plan, counts) in zip(runtime.tables.values(), kept):
            loaded.plan.copy_(plan)
            loaded.counts.copy_(counts)
        return graph, own, other


def told(runtime, tokens: int) -> list:
    """What the operators of a step find in their buffers: of each steered token the table, plan, knobs, position, tokens of
    the prompt and the places of markers; in no order, since the runners' differ."""
    rows = []
    for name, loaded in sorted(runtime.tables.items()):
        assert (loaded.plan[tokens:] == -1).all(), "padding has a plan"
        found = [loaded.found[key] for key, _, _ in loaded.edits.questions]
        for row in (loaded.plan[:tokens] >= 0).nonzero().flatten().tolist():
            plan = int(loaded.plan[row])
            rows.append([name, plan, loaded.knobs[row].tolist(), int(runtime.positions[row]), int(runtime.prompt_length[row]),
                         [int(answers[row]) for answers in found] if plan in loaded.marked else []])
    return sorted(rows)


@contextlib.contextmanager
def like_gpu(with_graphs: bool):
    """Engines that start meanwhile have PyTorch's operators, which decide nothing on the host; gives the list of what each of
    their steps was told."""
    from weir_vllm import native
    from weir_vllm.runtime import Runtime

    steps, was, there = [], (Runtime.__init__, Runtime.begin, Runtime.edit), native.is_there
    graphs = Graphs(Runtime.edit) if with_graphs else None

    def start(self, *args, **kwargs):
        was[0](self, *args, **kwargs)
        self.skips, self.present = False, list(self.tables.values())

    def begin(self, scheduled):
        was[1](self, scheduled)
        steps.append([sum(each.count for each in scheduled), told(self, sum(each.count for each in scheduled))])

    try:
        native.is_there = lambda: False
        Runtime.__init__, Runtime.begin = start, begin
        if with_graphs:
            Runtime.edit = lambda *args: graphs(*args)
        yield steps
    finally:
        Runtime.__init__, Runtime.begin, Runtime.edit = was
        native.is_there = there
