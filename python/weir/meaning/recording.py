# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A program that records features, compiled by weirc, and run over windows of a text."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Iterator, Sequence

from .. import compiler
from ..compiler import CompileError
from ..errors import WeirError
from ..programs import load
from .specs import Spec
from .windows import Window, Windows

if TYPE_CHECKING:
    import torch
    from ..programs import Program

KEPT = ("model", "dictionaries", "matches", "graphs", "features")
_PLAN = "weir_record"
# Of the activations of one batch.
_RECORD_BYTES = 256 << 20


@dataclass
class Recorder:
    """program   with records of features, and of values
    features  what is recorded, each feature once
    columns   where each one is: the name of a record, and a column of it
    values    the names of records of values, by their sites ("12/res")
    """

    program: "Program"
    features: list[str]
    columns: list[tuple[str, int]]
    values: dict[str, str]

    def outputs(self, names: Sequence[str]) -> "torch.fx.GraphModule":
        """The program with these records as its only outputs, and without what only others need."""
        order = list(self.program.records)
        return with_outputs(self.program.module, [1 + order.index(name) for name in names])

    def run(self, module, rows: list[list[int]]) -> tuple:
        """The outputs of a module for rows of ids, each from position 0: [b, S, …]."""
        import torch

        longest = max(map(len, rows))
        ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows])
        positions = torch.tensor([[*range(len(row)), *[-1] * (longest - len(row))] for row in rows])
        plan = torch.full((len(rows),), self.program.plans.index(_PLAN))
        with torch.no_grad():
            return tuple(module(ids, positions, torch.tensor([len(row) for row in rows]), plan))

    @functools.cached_property
    def digest(self) -> str:
        """What tells it from other programs and other features."""
        program = self.program.manifest["program"]["sha256"]
        return hashlib.sha256(json.dumps([program, self.features]).encode()).hexdigest()

    def batches(self, windows: Windows, begin: int = 0) -> Iterator[tuple[list[Window], "torch.Tensor", "torch.Tensor"]]:
        """For the windows, some at a time: them, the activations [b, S, features] float32, and which positions count
        [b, S] bool. `begin` is a window at which a batch begins. Raises WeirError for activations that are not finite."""
        import torch

        names = list(dict.fromkeys(name for name, _ in self.columns))
        module = self.outputs(names)
        starts, width = {}, 0
        for name in names:
            starts[name] = width
            width += len(self.program.records[name])
        order = torch.tensor([starts[name] + column for name, column in self.columns])
        in_order = order.tolist() == list(range(width))
        longest = max(map(len, windows.windows))
        rows = max(1, min(self.program.info["max_batch"], _RECORD_BYTES // (8 * longest * width)))
        for first in range(begin, len(windows.windows), rows):
            some = windows.windows[first:first + rows]
            outputs = self.run(module, [windows.ids(window) for window in some])
            seen = torch.cat(outputs, -1)
            seen = seen if in_order else seen[..., order]
            places = torch.arange(seen.shape[1])
            counted = torch.tensor([len(window) for window in some])[:, None] > places
            if not torch.isfinite(seen[counted]).all():
                raise WeirError(f"activations in windows {first} to {first + len(some) - 1} are not finite")
            yield some, seen, counted & (places >= windows.skip)


def _mutated(node) -> list:
    """The arguments that a node writes into."""
    schema = getattr(node.target, "_schema", None)
    if node.op != "call_function" or schema is None:
        return []
    return [value for argument, value in zip(schema.arguments, node.args)
            if argument.alias_info is not None and argument.alias_info.is_write]


def with_outputs(module: "torch.fx.GraphModule", outputs: Sequence[int]) -> "torch.fx.GraphModule":
    """A module over the same weights and buffers with these of the outputs, in this order, as a tuple."""
    import torch

    graph = torch.fx.Graph()
    result = graph.graph_copy(module.graph, {})
    graph.output(tuple(result[index] for index in outputs))
    # What is written into something that is not used again is not needed for its writing.
    order = {node: index for index, node in enumerate(graph.nodes)}

    def needed(node) -> bool:
        if node.op in ("placeholder", "output"):
            return True
        return any(user is not node and order[user] > order[node] for argument in _mutated(node)
                   if isinstance(argument, torch.fx.Node) for user in argument.users)

    graph.eliminate_dead_code(is_impure_node=needed)
    return torch.fx.GraphModule(module, graph)


def _order(feature: str) -> tuple:
    """By dictionary, layer, site and index."""
    dictionary, _, rest = feature.rpartition(":")
    layer, site, index = rest.split("/")
    return dictionary, int(layer), site, int(index)


def record(spec: Spec, folder: Path, *, features: Sequence[str] = (), selections: Sequence = (), sites: Sequence[str] = (),
           values: Sequence[str] = (), model: str | os.PathLike | None = None, cache: str | os.PathLike | None = None,
           progress: Callable[[str], None] = lambda line: None) -> Recorder:
    """Compiles and opens a program that records.

    features    names of features
    selections  nodes of YAML, as they are values of a policy's `on`
    sites       such as "12/res" or "sae:12/res": all features of these
    values      such as "29/res": what the model has there
    folder      an empty one, for the program

    Raises CompileError with weirc's messages for a spec that is wrong, and WeirError with them for other features and sites.
    """
    wanted = [({"on": list(features)}, "f0")] if features else []
    wanted += [({"on": selection}, f"s{number}") for number, selection in enumerate(selections)]
    wanted += [({"on": {"site": site}}, f"w{number}") for number, site in enumerate(sites)]
    wanted += [({"value": list(values)}, "values")] if values else []
    if not wanted:
        raise WeirError("there is nothing to record")
    progress("compiling a program that records")
    path = Path(folder, "record.yaml")
    # With its names: what has one has to be there, which only the model tells of features of its own weights.
    spec.write(path, (*KEPT, "labels"), policies={f"weir_{name}": {**fields, "do": "record"} for fields, name in wanted},
               plans={_PLAN: [f"weir_{name}" for _, name in wanted]})
    options = {"model": model and os.path.abspath(model), "cache": cache}
    try:
        compiler.compile(path, Path(folder, "program"), **options)
    except CompileError as error:
        # The spec that the person wrote has the places that mean something to them.
        compiler.weirc("explain", spec.path, **options)
        # What is wrong was asked for besides.
        said = [one["message"] for one in error.diagnostics if one["severity"] == "error"]
        raise WeirError("; ".join(said) or str(error)) from error
    progress("loading it")
    program = load(Path(folder, "program"), verify=False)
    columns: dict[str, tuple[str, int]] = {}
    places = {}
    for name, held in program.records.items():
        if name.startswith("weir_values."):
            kind, layer = name.split(".")[1:]
            places[f"{layer}/{kind}"] = name
            continue
        for column, feature in enumerate(held):
            columns.setdefault(feature, (name, column))
    names = sorted(columns, key=_order)
    return Recorder(program, names, [columns[name] for name in names], places)

