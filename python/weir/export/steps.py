# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""One call for what a model's code spells as several: norms and rotations of quantised programs in f32.

What is not written in the form that is looked for stays as it is. Attention needs no looking for: program.py lets
weir::cached_attention do it while the model is traced.
"""

from __future__ import annotations

from typing import Callable

import torch
from torch.export import ExportedProgram
from torch.fx import Node

from .program import LANES

_aten = torch.ops.aten


def _is(node, target) -> bool:
    return isinstance(node, Node) and node.target is target


def _factors(node) -> tuple[Node, Node] | None:
    """The two tensors of a product."""
    return node.args if _is(node, _aten.mul.Tensor) and all(isinstance(factor, Node) for factor in node.args) else None


def _f32(*nodes: Node) -> bool:
    return all(node.meta["val"].dtype == torch.float32 for node in nodes)


def _normed(node: Node) -> tuple[Node, float] | None:
    """x and epsilon of x * rsqrt(mean(x^2, -1, keepdim) + epsilon)."""
    for x, scale in ((node.args, node.args[::-1]) if _factors(node) else ()):
        if not _is(scale, _aten.rsqrt.default) or not _is(total := scale.args[0], _aten.add.Tensor) or len(total.args) != 2:
            continue
        mean, epsilon = total.args
        if not isinstance(epsilon, (int, float)) or total.kwargs or not _is(mean, _aten.mean.dim) or mean.kwargs:
            continue
        if tuple(mean.args[1:]) not in (([-1], True), ([x.meta["val"].dim() - 1], True)):
            continue
        if _is(square := mean.args[0], _aten.pow.Tensor_Scalar) and square.args == (x, 2):
            return x, float(epsilon)
    return None


def _and_offset(weight: Node) -> tuple[Node, float]:
    """A tensor of which a weight is the sum with a number, as Gemma's code has it, and the number."""
    if _is(weight, _aten.add.Tensor) and len(weight.args) == 2 and not weight.kwargs:
        for tensor, offset in (weight.args, weight.args[::-1]):
            if isinstance(tensor, Node) and isinstance(offset, (int, float)) and _f32(tensor) and float(offset) != 0:
                return tensor, float(offset)
    return weight, 0.0


def _norm(node: Node) -> tuple | None:
    """The call for a weight times what `_normed` finds."""
    for normed, weight in ((node.args, node.args[::-1]) if _factors(node) else ()):
        if (found := _normed(normed)) is None or len(normed.users) > 1:
            continue
        x, epsilon = found
        width = x.meta["val"].shape[-1]
        shape = tuple(weight.meta["val"].shape)
        if shape == (width,) and width % LANES == 0 and _f32(x, weight, node):
            weight, offset = _and_offset(weight)
            return torch.ops.weir.rms_norm.default, (x, weight, epsilon, *([offset] if offset else []))
    return None


def _half(node, x: Node, first: bool) -> bool:
    """Whether a value is one half of x's last dimension."""
    if not _is(node, _aten.slice.Tensor) or node.args[0] is not x or node.kwargs:
        return False
    rank, width = x.meta["val"].dim(), x.meta["val"].shape[-1]
    dim, start, end, step = (*node.args[1:], *(0, None, None, 1)[len(node.args) - 1:])
    end = width if end is None else min(end, width)
    return (dim in (-1, rank - 1) and step == 1 and width % 2 == 0
            and ((start or 0), end) == ((0, width // 2) if first else (width // 2, width)))


def _rotation(node: Node) -> tuple | None:
    """The call for x * cos + cat(-second half of x, first half) * sin."""
    if not _is(node, _aten.add.Tensor) or len(node.args) != 2 or node.kwargs:
        return None
    left, right = (_factors(part) for part in node.args)
    if left is None or right is None:
        return None
    x, cos = left
    turned, sin = right
    if not _is(turned, _aten.cat.default) or len(turned.args[0]) != 2 or x.meta["val"].dim() != 4:
        return None
    if (turned.args[1] if len(turned.args) > 1 else 0) not in (-1, 3):
        return None
    negative, first = turned.args[0]
    if not _is(negative, _aten.neg.default) or not _half(negative.args[0], x, first=False) or not _half(first, x, first=True):
        return None
    batch, _, length, width = x.meta["val"].shape
    for angle in (cos, sin):
        shape = angle.meta["val"].shape
        if len(shape) != 4 or shape[0] not in (1, batch) or shape[1] != 1 or shape[2] != length or shape[3] != width:
            return None
    return (torch.ops.weir.rotate.default, (x, cos, sin)) if _f32(x, cos, sin) else None


def _erase(node: Node):
    """Takes out a node and what only it used."""
    sources = list(node.all_input_nodes)
    node.graph.erase_node(node)
    for source in dict.fromkeys(sources):
        if source.op == "call_function" and not source.users and not source.target._schema.is_mutable:
            _erase(source)


def _replace(exported: ExportedProgram, find: Callable[[Node], tuple | None]):
    graph = exported.graph_module.graph
    for node in list(graph.nodes):
        if node.op != "call_function" or (found := find(node)) is None:
            continue
        target, arguments = found
        with graph.inserting_before(node):
            new = graph.call_function(target, arguments)
        new.meta = {key: entry for key, entry in node.meta.items() if key in ("nn_module_stack", "torch_fn", "val")}
        exported.graph_signature.replace_all_uses(node.name, new.name)
        node.replace_all_uses_with(new)
        _erase(node)


def _share_unsqueezed(exported: ExportedProgram):
    """Angles get their dimension for heads in each layer anew: once is enough."""
    known: dict[tuple, Node] = {}
    for node in list(exported.graph_module.graph.nodes):
        if node.target is not _aten.unsqueeze.default or node.kwargs or not isinstance(node.args[0], Node):
            continue
        if not all(user.target is torch.ops.weir.rotate.default for user in node.users):
            continue
        first = known.setdefault(tuple(node.args), node)
        if first is not node:
            exported.graph_signature.replace_all_uses(node.name, first.name)
            node.replace_all_uses_with(first)
            node.graph.erase_node(node)


def fuse(exported: ExportedProgram):
    """Puts weir::rms_norm and weir::rotate into the program, in place. Their kernels must be registered."""
    _replace(exported, _norm)
    _replace(exported, _rotation)
    _share_unsqueezed(exported)
    exported.graph_module.graph.lint()
    exported.graph_module.recompile()
    exported.validate()
