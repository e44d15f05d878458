# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The steering of a compiled program, taken out of its graph.

A program is the model's graph with calls between them that weirc put there (nodes named `weir_…`). Here these are cut
into steps: one before the model runs, of what depends on the program's inputs alone (gates, knobs), and one for each
value of the model that is edited or read. A step is what follows from that value and from earlier ones, so that
running each when its value is known is the program's steering, whatever computes the values.

Where a value is in the modules of the model is found in the graph: by the modules that its call and the calls that
use it stand in.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import fx

from .errors import WeirError

_PREFIX = "weir_"


@dataclass(frozen=True)
class Place:
    """Where the model's own code has a value.

    module  path of a module
    side    "output": what it gives; "input": what it is given; "in place": what it is given, and others use as well
    """

    module: str
    side: str

    def __str__(self):
        return f"the {'output' if self.side == 'output' else 'input'} of {self.module}"


@dataclass
class Step:
    """A part of the steering: values by name become values by name."""

    run: Callable
    takes: list[str]
    gives: list[str]

    def __call__(self, values: dict[str, torch.Tensor]):
        if self.gives:
            values.update(zip(self.gives, self.run(*[values[name] for name in self.takes])))


@dataclass
class Site:
    """A value of the model that is edited or read.

    value    its name in the program's graph
    new      the name of what it becomes; None if it is only read
    place    where it is in the model's modules
    example  a tensor without data: rank, width and type
    step     what runs once it is known
    is_kept, new_is_kept   whether later steps need it, or the new one; outputs of the program count
    """

    value: str
    new: str | None
    place: Place
    example: torch.Tensor
    step: Step
    is_kept: bool
    new_is_kept: bool


@dataclass
class Steering:
    """What weirc put into a program.

    first    the step before the model runs
    sites    in the order in which the model computes them
    outputs  names of the values that are outputs of the program, by their numbers
    inputs   the inputs of the program that any step takes
    state    what passes leave for later ones, by name: [rows, n], as it is before the first pass
    kernels  whether a step calls kernels
    constants  rows and numbers by name; their memory is their own
    """

    first: Step
    sites: list[Site]
    outputs: dict[int, str]
    inputs: set[str]
    state: dict[str, torch.Tensor]
    kernels: bool
    constants: dict[str, torch.Tensor] = field(repr=False)

    @classmethod
    def of(cls, module: fx.GraphModule, device: torch.device | str = "cpu") -> "Steering":
        """Takes it out of a program, `ExportedProgram.module()`. Raises WeirError for a value that is neither what a module
        of the model gives nor what one is given."""
        return _Cut(module, torch.device(device)).steering()


def _is_ours(node: fx.Node) -> bool:
    return node.op == "call_function" and node.name.startswith(_PREFIX)


def _is_tensor(node: fx.Node) -> bool:
    return isinstance(node.meta.get("val"), torch.Tensor)


def _modules(node: fx.Node) -> tuple[str, ...]:
    """The paths of the modules that a call stands in, from the outside in."""
    return tuple(path for path, _ in (node.meta.get("nn_module_stack") or {}).values()
                 if path and not path.startswith("_empty"))


class _Cut:
    def __init__(self, module: fx.GraphModule, device: torch.device):
        self.module, self.device = module, device
        self.nodes = list(module.graph.nodes)
        self.order = {node: index for index, node in enumerate(self.nodes)}
        self.ours = [node for node in self.nodes if _is_ours(node)]
        self.state = self._state()
        self.levels = self._levels()
        self.edited = self._edited()  # new value -> value
        self.new = {value: new for new, value in self.edited.items()}
        self.members: dict[str, list[fx.Node]] = defaultdict(list)
        for node in self.nodes:
            for path in _modules(node):
                self.members[path].append(node)

    def _state(self) -> set[fx.Node]:
        """Buffers that steps write into."""
        written = set()
        for node in self.ours:
            if isinstance(node.target, torch._ops.OpOverload):
                for argument, given in zip(node.target._schema.arguments, node.args):
                    if argument.alias_info is not None and argument.alias_info.is_write and isinstance(given, fx.Node) \
                            and given.op == "get_attr":
                        written.add(given)
        return written

    def _is_free(self, node: fx.Node) -> bool:
        """Whether a node is no value of the model: an input, a constant, or a number made of sizes."""
        return node.op in ("placeholder", "get_attr") or not _is_tensor(node)

    def _levels(self) -> dict[fx.Node, int]:
        """For each of our nodes the place in the graph of the last value of the model that it depends on; -1 for none."""
        levels: dict[fx.Node, int] = {}
        for node in self.ours:
            # What several results are given as is no tensor, and ours.
            levels[node] = max((levels[each] if _is_ours(each) else -1 if self._is_free(each) else self.order[each]
                                for each in node.all_input_nodes), default=-1)
        return levels

    def _edited(self) -> dict[fx.Node, fx.Node]:
        found = {}
        for node in self.ours:
            if not any(user.op == "call_function" and not _is_ours(user) for user in node.users):
                continue
            value = self.nodes[self.levels[node]] if self.levels[node] >= 0 else None
            was, becomes = (each.meta.get("val") if each is not None else None for each in (value, node))
            # All that used the value uses the new one; else another value is the edited one.
            if value is None or not isinstance(was, torch.Tensor) or not isinstance(becomes, torch.Tensor) \
                    or was.dtype != becomes.dtype or was.dim() != becomes.dim() or value in found.values() \
                    or any(not _is_ours(user) for user in value.users):
                raise WeirError(f"what {node.name} replaces in the program is no single value of the model, so it cannot be "
                                "done in a live one")
            found[node] = value
        return found

    def _users(self, value: fx.Node) -> list[fx.Node]:
        """The model's calls that use a value, or what it became."""
        new = self.new.get(value)
        return [user for each in (value, new) if each is not None for user in each.users if not _is_ours(user)]

    def _leaving(self, path: str) -> set[fx.Node]:
        return {node for node in self.members[path] if _is_tensor(node) and not _is_ours(node)
                and any(path not in _modules(user) for user in self._users(node))}

    def _entering(self, path: str) -> set[fx.Node]:
        found = set()
        for node in self.members[path]:
            for given in node.all_input_nodes:
                value = self.edited.get(given, given)
                if value.op != "get_attr" and _is_tensor(value) and path not in _modules(value):
                    found.add(value)
        return found

    def _place(self, value: fx.Node) -> Place:
        around = _modules(value)
        for path in reversed(around):
            if self._leaving(path) == {value}:
                return Place(path, "output")
        users = sorted(self._users(value), key=self.order.__getitem__)
        if users:
            for path in _modules(users[0]):
                if path not in around and self._entering(path) == {value}:
                    together = all(path in _modules(user) for user in users)
                    if together or self._is_own(value):
                        return Place(path, "input" if together else "in place")
        raise WeirError(f"the program reads or edits '{value.name}', computed in {around[-1] if around else 'no module'}; it is "
                        "neither the one thing that a module of the model gives nor the one that it is given, so it cannot be "
                        "found in a live model")

    @staticmethod
    def _is_own(value: fx.Node) -> bool:
        """Whether a call gives memory of its own, which may be written over."""
        return isinstance(value.target, torch._ops.OpOverload) and all(
            result.alias_info is None for result in value.target._schema.returns) and \
            value.target.name() not in ("aten::contiguous", "aten::to.dtype", "aten::reshape")

    def steering(self) -> Steering:
        output = next(node for node in self.nodes if node.op == "output")
        results = output.args[0] if isinstance(output.args[0], (tuple, list)) else [output.args[0]]
        outputs = {index: node.name for index, node in enumerate(results) if isinstance(node, fx.Node) and _is_ours(node)}
        values = sorted({each for node in self.ours for each in node.all_input_nodes
                         if not _is_ours(each) and not self._is_free(each)}, key=self.order.__getitem__)
        levels = [-1, *(self.order[value] for value in values)]
        by_level: dict[int, list[fx.Node]] = {level: [] for level in levels}
        for node in self.ours:
            by_level[self.levels[node]].append(node)
        constants = self._constants()
        # The last level at which each value is needed.
        needed: dict[fx.Node, int] = {}
        for node in self.ours:
            for each in node.all_input_nodes:
                needed[each] = max(needed.get(each, -1), self.levels[node])
        needed |= {node: len(self.nodes) for node in results if isinstance(node, fx.Node) and _is_ours(node)}

        def is_kept(node):
            own = self.levels[node] if _is_ours(node) else self.order[node]
            return needed.get(node, -1) > own

        steps = {level: self._step(by_level[level], constants, lambda node: node in self.edited or is_kept(node))
                 for level in levels}
        names = {self.nodes[level].name for level in levels[1:]}
        inputs = {name for step in steps.values() for name in step.takes} - names
        sites = []
        for value in values:
            new = self.new.get(value)
            sites.append(Site(value.name, new.name if new else None, self._place(value), value.meta["val"],
                              steps[self.order[value]], is_kept(value), new is not None and is_kept(new)))
        placeholders = {node.name for node in self.nodes if node.op == "placeholder"}
        state = {node.name: getattr(self.module, node.target).detach().to(self.device, copy=True) for node in self.state}
        kernels = any("weir." in str(node.target) for node in self.ours)
        return Steering(steps[-1], sites, outputs, inputs & placeholders, state, kernels, constants)

    def _constants(self) -> dict[str, torch.Tensor]:
        """What steps take beside values, in memory of its own: the archive's holds all weights of the model."""
        named = {each.target for node in self.ours for each in node.all_input_nodes
                 if each.op == "get_attr" and each not in self.state}
        return {name: _attribute(self.module, name).detach().to(self.device, copy=True) for name in sorted(named)}

    def _step(self, nodes: list[fx.Node], constants: dict, is_needed) -> Step:
        graph, copies = fx.Graph(), {}
        inside = set(nodes)
        sizes: list[fx.Node] = []

        def add_sizes(node):
            """Numbers made of sizes are made again wherever they are needed."""
            if node not in sizes and not _is_ours(node) and node.op == "call_function":
                for each in node.all_input_nodes:
                    add_sizes(each)
                sizes.append(node)

        for node in nodes:
            for each in node.all_input_nodes:
                if not _is_ours(each) and each.op == "call_function" and not _is_tensor(each):
                    add_sizes(each)
        takes = []
        for node in [*sizes, *nodes]:
            for each in node.all_input_nodes:
                if each in copies or each in inside or each in sizes or (each.op == "get_attr" and each not in self.state):
                    continue
                copies[each] = graph.placeholder(each.name)
                copies[each].meta = dict(each.meta)
                takes.append(each.name)
        for node in [*sizes, *nodes]:
            for each in node.all_input_nodes:
                if each not in copies and each.op == "get_attr":
                    copies[each] = graph.get_attr(each.target.replace(".", "_"))
            copies[node] = graph.node_copy(node, copies.__getitem__)
            self._move(copies[node])
        gives = [node for node in nodes if is_needed(node)]
        graph.output(tuple(copies[node] for node in gives))
        root = {name.replace(".", "_"): tensor for name, tensor in constants.items()}
        return Step(fx.GraphModule(root, graph), takes, [node.name for node in gives])

    def _move(self, node: fx.Node):
        """What a call makes is made where the model is."""
        if isinstance(node.target, torch._ops.OpOverload) and self.device.type != "cpu" and any(
                argument.name == "device" for argument in node.target._schema.arguments):
            node.kwargs = {**node.kwargs, "device": self.device}


def _attribute(module, path: str):
    for name in path.split("."):
        module = getattr(module, name)
    return module
