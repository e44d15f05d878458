# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A program whose caches are inputs and outputs.

A program of Weir keeps keys, values and markers in buffers that it writes to. Runtimes without such buffers drop the
writes, without a word, so they become inputs of their old values and outputs of their new ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, InputSpec, OutputKind, OutputSpec, TensorArgument
from torch.utils._pytree import tree_flatten


@dataclass(frozen=True)
class State:
    """A buffer that a program writes to: its name, and what is handed from one pass to the next."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype


def _running(values, dim, smallest):
    """aten.cummin and aten.cummax, which ONNX has no counterpart of: the smallest (largest) of what is in front of each
    element, by a table [..., S, S]: S is a row's positions."""
    dim %= values.dim()
    values = values.transpose(dim, -1)
    at = torch.arange(values.shape[-1])
    limits = torch.finfo(values.dtype) if values.is_floating_point() else torch.iinfo(values.dtype)
    seen = values.unsqueeze(-2).masked_fill(at > at.unsqueeze(-1), limits.max if smallest else limits.min)
    best, place = (seen.amin(-1), seen.argmin(-1)) if smallest else (seen.amax(-1), seen.argmax(-1))
    return best.transpose(dim, -1), place.transpose(dim, -1)


def _cummin(values, dim):
    return _running(values, dim, True)


def _cummax(values, dim):
    return _running(values, dim, False)


def _gather(values, dim, index, sparse_grad=False):
    """aten.gather by an index that has fewer rows than the values, as a batch has fewer than a cache: OpenVINO's wants
    as many."""
    dim %= values.dim()
    at = [torch.arange(size).view([-1 if axis == other else 1 for other in range(values.dim())])
          for axis, size in enumerate(index.shape)]
    at[dim] = index
    return values[tuple(at)]


def _isin(elements, tests, *, assume_unique=False, invert=False):
    """aten.isin, which would become a search that ONNX has no counterpart of. Lists of tokens are short."""
    found = (elements.unsqueeze(-1) == tests.flatten()).any(-1)
    return found.logical_not() if invert else found


_DECOMPOSITIONS = {torch.ops.aten.cummin.default: _cummin, torch.ops.aten.cummax.default: _cummax,
                   torch.ops.aten.gather.default: _gather, torch.ops.aten.isin.Tensor_Tensor: _isin}


@torch.no_grad()
def explicit(program: ExportedProgram, more: dict | None = None) -> tuple[ExportedProgram, list[State]]:
    """The program with its states behind its inputs and, in the same order, behind its outputs. Nothing else of its
    signature changes. `more` are functions for operators that a runtime lacks besides."""
    result = program.run_decompositions({**_DECOMPOSITIONS, **(more or {})})
    signature, graph = result.graph_signature, result.graph
    placeholders = {node.name: node for node in graph.nodes if node.op == "placeholder"}
    written = {spec.target: spec.arg for spec in signature.output_specs if spec.kind == OutputKind.BUFFER_MUTATION}
    buffers = [spec for spec in signature.input_specs if spec.kind == InputKind.BUFFER and spec.target in written]
    last = list(placeholders.values())[-1]
    for spec in buffers:
        node = placeholders[spec.arg.name]
        if node is not last:
            last.append(node)
        last = node
    inputs = [spec for spec in signature.input_specs if spec not in buffers] + \
        [InputSpec(InputKind.USER_INPUT, TensorArgument(spec.arg.name), None) for spec in buffers]
    outputs = [spec for spec in signature.output_specs if spec.kind == OutputKind.USER_OUTPUT] + \
        [OutputSpec(OutputKind.USER_OUTPUT, written[spec.target], None) for spec in buffers]
    nodes = {node.name: node for node in graph.nodes}
    next(node for node in graph.nodes if node.op == "output").args = (tuple(nodes[spec.arg.name] for spec in outputs),)
    signature.input_specs[:], signature.output_specs[:] = inputs, outputs
    result.graph_module.recompile()
    called = result.module_call_graph[0].signature
    names = [spec.arg.name for spec in inputs if spec.kind == InputKind.USER_INPUT]
    called.forward_arg_names = names
    called.in_spec = tree_flatten((tuple(names), {}))[1]
    called.out_spec = tree_flatten(tuple(range(len(outputs))))[1]
    values = {spec.target: placeholders[spec.arg.name].meta["val"] for spec in buffers}
    return result, [State(name, tuple(map(int, value.shape)), value.dtype) for name, value in values.items()]
