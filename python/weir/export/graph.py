# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tracing a Program, and taking out of the graph what does nothing.

Every node costs a dispatcher call at each token, and a conversion to the type that a value already
has hides the residual stream's edges: the next block would read the value from within a norm.
"""

from __future__ import annotations

import torch
from torch.export import Dim, ExportedProgram
from torch.fx import Node

from ..errors import first_line
from .errors import ExportError
from .program import Program

_CONVERSIONS = {
    torch.ops.aten.to.dtype,
    torch.ops.aten.to.dtype_layout,
    torch.ops.aten.to.device,
    torch.ops.aten.to.other,
    torch.ops.aten.type_as.default,
    torch.ops.aten.alias.default,
}


def trace(program: Program) -> ExportedProgram:
    """Exports `program` with batch (1..rows, fixed if that is 1) and length (1..length) dynamic.

    Without guards: they would be Python that readers run, and they say nothing that the ranges do not.
    """
    # Examples of 2 x 2: a size of 1 would be taken for a constant, and so would the largest one.
    batch = min(2, program.rows)
    ids = torch.zeros(batch, 2, dtype=torch.int64)
    positions = torch.arange(2).expand(batch, 2).contiguous()
    shape = {1: Dim("length", min=1, max=program.length)}
    if program.rows > 1:
        shape[0] = Dim("batch", min=1, max=program.rows)
    try:
        with torch.no_grad():
            exported = torch.export.export(program, (ids, positions), dynamic_shapes=(shape, shape), strict=False)
    except ExportError:
        raise
    except Exception as error:  # torch.export has no common base for what modelling code can raise in it
        raise ExportError(f"torch.export cannot trace the model: {first_line(error)}") from error
    simplify(exported)
    exported._guards_code = []
    return exported


def _identity(node: Node) -> Node | None:
    """The argument that `node` returns unchanged, None if it computes anything."""
    if node.op != "call_function":
        return None
    source = node.args[0] if node.args else None
    if not isinstance(source, Node):
        return None
    if node.target in _CONVERSIONS:
        before, after = source.meta["val"], node.meta["val"]
        same = before.dtype == after.dtype and before.device == after.device and before.layout == after.layout
        # A copy, or another memory format, is asked for by a further argument.
        copies = node.kwargs.get("copy") or node.kwargs.get("memory_format") is not None or True in node.args[2:]
        return source if same and not copies else None
    if node.target is torch.ops.aten.dropout.default:
        return source if node.args[2] is False else None
    if node.target is torch.ops.aten.slice.Tensor:
        start, end, step = (*node.args[2:], *(None, None, 1)[len(node.args) - 2:])
        return source if start in (None, 0) and end in (None, 2**63 - 1) and step == 1 else None
    return None


def simplify(exported: ExportedProgram):
    """Removes, in place: checks of tensor metadata, conversions that convert nothing, dropout outside
    of training, slices of everything, and the file names and line numbers of the machine that exported."""
    graph = exported.graph_module.graph
    for node in list(graph.nodes):
        for key in ("stack_trace", "from_node"):
            node.meta.pop(key, None)
        if node.target is torch.ops.aten._assert_tensor_metadata.default:
            graph.erase_node(node)
        elif (source := _identity(node)) is not None:
            exported.graph_signature.replace_all_uses(node.name, source.name)
            node.replace_all_uses_with(source)
            graph.erase_node(node)
    graph.lint()
    exported.graph_module.recompile()
    exported.validate()
