# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The logit lens: what the end of a model, its final norm and its unembedding, makes of a vector of the residual stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import WeirError

if TYPE_CHECKING:
    import numpy
    import torch
    from .recording import Recorder


def _before(node) -> set:
    """A node and all that it is computed from."""
    found, queue = {node}, [node]
    while queue:
        for source in queue.pop().all_input_nodes:
            if source not in found:
                found.add(source)
                queue.append(source)
    return found


class Lens:
    """Made of a program that records the value of the last layer's residual stream: what lies between this value and the
    logits is the end of the model, whatever it is made of."""

    def __init__(self, recorder: "Recorder"):
        """Raises WeirError where the end of the program depends on more than that value."""
        import torch

        program = recorder.program
        self.width = program.info["hidden_size"]
        self.longest = program.info["max_length"]
        site = f"{program.info['layers'] - 1}/res"
        graph = program.module.graph
        outputs = next(node for node in graph.nodes if node.op == "output").args[0]
        logits, recorded = outputs[0], outputs[1 + list(program.records).index(recorder.values[site])]
        order = {node: index for index, node in enumerate(graph.nodes)}
        common = [node for node in _before(logits) & _before(recorded)
                  if isinstance(value := node.meta.get("val"), torch.Tensor) and value.dim() == 3 and value.shape[-1] == self.width]
        if not common:
            raise WeirError("the program's logits do not depend on its last layer as the logit lens has it")
        last = max(common, key=order.get)
        self.dtype = last.meta["val"].dtype
        self.module = _between(program.module, last, logits)

    def parts(self, rows: "numpy.ndarray"):
        """Logits [m, V] float32 of vectors [n, d], some at a time."""
        import torch

        rows = torch.as_tensor(rows)
        step = min(self.longest, 256)
        for first in range(0, len(rows), step):
            with torch.no_grad():
                yield self.module(rows[first:first + step][None].to(self.dtype))[0].float()

    def top(self, rows: "numpy.ndarray", count: int) -> tuple["numpy.ndarray", "numpy.ndarray"]:
        """The tokens with the largest logits, [n, count] int64, equal ones by their number, and these logits, float32."""
        import numpy
        import torch

        found = []
        for logits in self.parts(rows):
            values, tokens = torch.topk(logits, min(count, logits.shape[-1]))
            values, tokens = values.numpy(), tokens.numpy()
            order = numpy.lexsort((tokens, -values))
            found.append((numpy.take_along_axis(tokens, order, -1), numpy.take_along_axis(values, order, -1)))
        return tuple(numpy.concatenate([part[which] for part in found]) for which in (0, 1))


def _between(module: "torch.fx.GraphModule", value, result) -> "torch.fx.GraphModule":
    """The part of a module from one node to another, as a module of one argument [1, n, d]."""
    import torch

    wanted, queue = {result}, [result]
    while queue:
        node = queue.pop()
        for source in node.all_input_nodes if node is not value else ():
            if source not in wanted:
                wanted.add(source)
                queue.append(source)
    graph = torch.fx.Graph()
    made: dict = {}
    argument = graph.placeholder("value")
    for node in module.graph.nodes:
        if node not in wanted:
            continue
        if node is value:
            made[node] = argument
        elif node.op == "placeholder":
            # The sizes of the inputs are asked for, as [b, S], which are the value's.
            made[node] = graph.call_function(torch.ops.aten.select.int, (argument, -1, 0))
        else:
            made[node] = graph.node_copy(node, lambda one: made[one])
    graph.output(made[result])
    return torch.fx.GraphModule(module, graph)

