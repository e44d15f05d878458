# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A program as a file of ExecuTorch's, for its portable and optimised kernels; and that file run."""

from __future__ import annotations

import contextlib
import logging
import math
import warnings
from pathlib import Path

import torch
from torch.export import ExportedProgram

from ..errors import WeirError, first_line
from .explicit_state import State

# Of what its kernels lack.
DECOMPOSITIONS = {torch.ops.aten.exp2.default: lambda x: torch.exp(x * math.log(2))}


@contextlib.contextmanager
def quiet():
    """It and torchao tell of parts that are for other machines."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def write(program: ExportedProgram, to: Path, path: Path):
    """Writes `to`, a .pte with one method, forward, for sizes up to the largest of the program. Errors: WeirError for what
    ExecuTorch cannot convert, or has no kernel of; `path` is how they call the program."""
    with quiet():
        from executorch.exir import EdgeCompileConfig, to_edge
        from executorch.runtime import Runtime

        for tensor in program.state_dict.values():
            tensor.requires_grad_(False)
        try:
            # Which operators there are is asked of the runtime below.
            made = to_edge(program, compile_config=EdgeCompileConfig(_check_ir_validity=False)).to_executorch()
        except Exception as error:  # its errors have no base of their own
            raise WeirError(f"ExecuTorch cannot convert {path}: {first_line(error)}") from error
        called = {node.target.name() for node in made.exported_program().graph.nodes
                  if isinstance(node.target, torch._ops.OpOverload) and node.target.namespace == "aten"}
        if missing := sorted(called - set(Runtime.get().operator_registry.operator_names)):
            raise WeirError(f"{path} calls {missing[0].replace('::', '.')}, which ExecuTorch has no kernel of")
        with open(to, "wb") as file:
            made.write_to_file(file)


class ExecuTorchRunner:
    """A model.pte in ExecuTorch's own runtime. Called with the program's inputs it gives its outputs, and keeps the states."""

    def __init__(self, path: Path, states: list[State]):
        with quiet():
            from executorch.runtime import Runtime

            self.program = Runtime.get().load_program(path)
        self.method = self.program.load_method("forward")
        self.states = [torch.zeros(state.shape, dtype=state.dtype) for state in states]

    def __call__(self, *inputs: torch.Tensor) -> list[torch.Tensor]:
        outputs = self.method.execute([*(value.contiguous() for value in inputs), *self.states])
        count = len(outputs) - len(self.states)
        self.states = [value.clone() for value in outputs[count:]]
        return list(outputs[:count])
