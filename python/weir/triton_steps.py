# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Steps of a program's steering (patches.py) as Triton kernels, for GPUs.

A step is a graph of PyTorch's operators on values [batch, sequence, n]. It becomes one kernel with a program for each
token: what has n columns is a vector, what has one a number, and rows of dictionaries are read one after the other. So
the value is read once and written once, and each row once. A graph with an operator that has no form here stays with
PyTorch. Of this package only itself is needed, so that it runs on machines that have PyTorch and Triton alone.
"""

from __future__ import annotations

import importlib.util
import linecache
import math
import operator

import torch
from torch import fx

_aten = torch.ops.aten
_counter = 0

# Numbers of a vector are in registers: a wider value has no form.
MOST_COLUMNS = 1 << 15


class NoForm(Exception):
    """A step that stays with PyTorch's operators, and why."""


def installed() -> bool:
    """Whether Triton is there."""
    return importlib.util.find_spec("triton") is not None


def replace(step) -> str | None:
    """Makes a kernel of a step (patches.Step), or says why it stays as it is. Where gradients are asked for, PyTorch's operators
    run."""
    graph = step.run.graph
    given = next(node for node in graph.nodes if node.op == "output").args[0]
    examples = {node.name: node.meta.get("val") for node in graph.nodes if node.op == "placeholder"}
    if not step.gives:
        return "it gives nothing"
    if any(not isinstance(each, torch.Tensor) for each in (*examples.values(), *(node.meta.get("val") for node in given))):
        return "it takes or gives what is no tensor"
    try:
        kernel, plain = TritonStep(step.run, examples, [node.meta["val"] for node in given]), step.run
    except NoForm as why:
        return str(why)

    def run(*values):
        if torch.is_grad_enabled() and any(value.requires_grad for value in values):
            return plain(*values)
        return kernel(*values)

    step.run = run
    return None


def _pow2(n: int) -> int:
    return 1 << max(n - 1, 0).bit_length()


class _Value:
    """What a name in the kernel holds for a token: `columns` numbers; or a matrix of constants, which is read row by row."""

    def __init__(self, name: str, columns: int, matrix: tuple[int, int] | None = None):
        self.name, self.columns, self.matrix = name, columns, matrix


_BINARY = {_aten.add.Tensor: "+", _aten.sub.Tensor: "-", _aten.mul.Tensor: "*", _aten.div.Tensor: "/",
           _aten.mul.Scalar: "*", _aten.add.Scalar: "+", _aten.sub.Scalar: "-", _aten.div.Scalar: "/",
           _aten.logical_and.default: "&", _aten.logical_or.default: "|"}
for _name, _sign in (("gt", ">"), ("lt", "<"), ("ge", ">="), ("le", "<="), ("eq", "=="), ("ne", "!=")):
    for _kind in ("Scalar", "Tensor"):
        _BINARY[getattr(getattr(_aten, _name), _kind)] = _sign


class _Writer:
    def __init__(self, graph: fx.Graph, examples: dict[str, torch.Tensor], constants: dict[str, torch.Tensor]):
        self.graph, self.examples, self.constants = graph, examples, constants
        self.lines: list[str] = []
        self.parameters: list[str] = []
        self.values: dict[fx.Node, _Value] = {}
        self.loads: list[tuple[str, str]] = []  # parameter and placeholder or constant
        self.sizes: set[int] = set()
        self.count = 0

    def add(self, text: str, indent: int = 0):
        self.lines.append("    " * (indent + 1) + text)

    def new(self, expression: str, columns: int) -> _Value:
        self.count += 1
        self.add(f"v{self.count} = {expression}")
        return _Value(f"v{self.count}", columns)

    def index(self, columns: int) -> str:
        self.sizes.add(columns)
        return f"i{columns}"

    def mask(self, columns: int) -> str:
        return f"{self.index(columns)} < {columns}"

    @staticmethod
    def number(value) -> str:
        if isinstance(value, bool):
            return "1" if value else "0"
        if isinstance(value, float) and not math.isfinite(value):
            return f"float('{value}')"
        return repr(float(value) if isinstance(value, float) else int(value))

    def operand(self, given) -> tuple[str, int]:
        if isinstance(given, fx.Node):
            value = self.values[given]
            if value.matrix:
                raise NoForm("a matrix among numbers")
            return value.name, value.columns
        if isinstance(given, (int, float)):
            return self.number(given), 1
        raise NoForm(f"an argument {given!r}")

    def pick(self, value: _Value, place: str) -> str:
        """One of a vector's numbers."""
        if value.columns == 1:
            return value.name
        return f"tl.sum(tl.where({self.index(value.columns)} == {place}, {value.name}, 0.0), axis=0)"

    def gathered(self, columns: int, each) -> _Value:
        """A vector of numbers, each from an expression of its place."""
        if columns == 1:
            return self.new(each("0"), 1)
        self.count += 1
        name, index = f"v{self.count}", self.index(columns)
        self.add(f"{name} = tl.zeros([{_pow2(columns)}], tl.float32)")
        self.add(f"for j in range({columns}):")
        self.add(f"{name} = tl.where({index} == j, {each('j')}, {name})", 1)
        return _Value(name, columns)

    def load(self, node: fx.Node) -> _Value:
        """A value of the program, or a constant. Pointers to [batch, sequence, n] come with three strides."""
        self.count += 1
        name = f"p{len(self.loads)}"
        if node.op == "get_attr":
            constant = self.constants[node.target]
            self.loads.append((name, node.target))
            self.parameters.append(name)
            if not constant.is_contiguous():
                raise NoForm("a constant that is not dense")
            if constant.dim() == 2 and 1 not in constant.shape[:1]:
                return _Value(name, 0, tuple(constant.shape))
            columns = constant.shape[-1] if constant.dim() else 1
            if constant.numel() != columns:
                raise NoForm(f"a constant of sizes {list(constant.shape)}")
            row = _Value(name, 0, (1, columns)) if constant.dim() == 2 else None
            loaded = self.new(f"tl.load({name})" if columns == 1 else
                              f"tl.load({name} + {self.index(columns)}, mask={self.mask(columns)}, other=0)", columns)
            # A matrix of one row is both.
            if row:
                loaded.row = row
            return self.wide(loaded, constant.dtype)
        example = self.examples[node.name]
        if example.dim() != 3:
            raise NoForm(f"an input of {example.dim()} dimensions")
        columns = example.shape[2]
        self.loads.append((name, node.name))
        self.parameters += [name, f"{name}b", f"{name}s", f"{name}c"]
        at = f"{name} + b * {name}b + s * {name}s"
        loaded = self.new(f"tl.load({at})" if columns == 1 else
                          f"tl.load({at} + {self.index(columns)} * {name}c, mask={self.mask(columns)}, other=0)", columns)
        return self.wide(loaded, example.dtype)

    def wide(self, value: _Value, dtype: torch.dtype) -> _Value:
        if dtype in (torch.bfloat16, torch.float16):
            self.add(f"{value.name} = {value.name}.to(tl.float32)")
        elif dtype == torch.bool:
            self.add(f"{value.name} = {value.name} != 0")
        elif dtype not in (torch.float32, torch.int64, torch.int32):
            raise NoForm(f"numbers of {dtype}")
        return value

    def row(self, matrix: _Value, place: str) -> str:
        rows, columns = matrix.matrix
        return f"tl.load({matrix.name} + {place} * {columns} + {self.index(columns)}, mask={self.mask(columns)}, other=0).to(tl.float32)"

    def matrix_of(self, node: fx.Node) -> _Value:
        value = self.values[node]
        found = value if value.matrix else getattr(value, "row", None)
        if found is None:
            raise NoForm("a product with what is no constant")
        return found

    def linear(self, x: _Value, weight: _Value) -> _Value:
        """[d] and [k, d] give k sums."""
        rows, columns = weight.matrix
        if columns != x.columns or columns == 1:
            raise NoForm("a product of other sizes")
        inside = self.new(self.masked(x), columns).name
        return self.gathered(rows, lambda place: f"tl.sum({self.row(weight, place)} * {inside}, axis=0)")

    def matmul(self, x: _Value, matrix: _Value) -> _Value:
        """[m] and [m, n] give n sums: of rows, or column by column where these are fewer."""
        m, n = matrix.matrix
        if m != x.columns or max(m, n) == 1:
            raise NoForm("a product of other sizes")
        if n < m or n == 1:
            index, inside = self.index(m), self.new(self.masked(x), m).name
            return self.gathered(n, lambda place: f"tl.sum(tl.load({matrix.name} + {index} * {n} + {place}, mask={self.mask(m)}, "
                                                  f"other=0).to(tl.float32) * {inside}, axis=0)")
        self.count += 1
        name = f"v{self.count}"
        self.add(f"{name} = tl.zeros([{_pow2(n)}], tl.float32)")
        self.add(f"for j in range({m}):")
        self.add(f"{name} += {self.pick(x, 'j')} * {self.row(matrix, 'j')}", 1)
        return _Value(name, n)

    def masked(self, value: _Value) -> str:
        """The vector with zeros where it has no columns: what is there may be anything."""
        return f"tl.where({self.mask(value.columns)}, {value.name}, 0.0)" if value.columns > 1 else value.name

    def total(self, value: _Value, power: int = 1) -> str:
        name = self.masked(value)
        each = name if power == 1 else f"({name}) * ({name})"
        return f"tl.sum({each}, axis=0)" if value.columns > 1 else f"({each})"

    def call(self, node: fx.Node) -> _Value:
        target, args, kwargs = node.target, list(node.args), dict(node.kwargs)
        if not isinstance(target, torch._ops.OpOverload):
            raise NoForm(f"{target}")
        for argument in target._schema.arguments[len(args):]:
            args.append(kwargs.pop(argument.name, argument.default_value))
        last = {-1, 2}

        def over_last(dims, keep) -> bool:
            return len(dims) == 1 and dims[0] in last and keep

        if target in _BINARY:
            (x, m), (y, n) = self.operand(args[0]), self.operand(args[1])
            if len(args) > 2 and args[2] not in (1, None):
                y = f"({y} * {self.number(args[2])})"
            return self.new(f"{x} {_BINARY[target]} {y}", max(m, n))
        if target in (_aten.where.ScalarOther, _aten.where.self, _aten.where.ScalarSelf):
            parts = [self.operand(each) for each in args[:3]]
            return self.new("tl.where(" + ", ".join(name for name, _ in parts) + ")", max(columns for _, columns in parts))
        if target == _aten.logical_not.default:
            x, n = self.operand(args[0])
            return self.new(f"{x} == 0", n)
        if target == _aten.relu.default:
            x, n = self.operand(args[0])
            return self.new(f"tl.where({x} < 0.0, 0.0, {x})", n)  # NaN stays
        if target in (_aten.clamp_min.default, _aten.clamp_max.default):
            x, n = self.operand(args[0])
            sign = "<" if target == _aten.clamp_min.default else ">"
            bound = self.number(args[1])
            return self.new(f"tl.where({x} {sign} {bound}, {bound}, {x})", n)
        if target in (_aten.maximum.default, _aten.minimum.default):
            (x, m), (y, n) = self.operand(args[0]), self.operand(args[1])
            sign = ">" if target == _aten.maximum.default else "<"
            return self.new(f"tl.where(({x} {sign} {y}) | ({x} != {x}), {x}, {y})", max(m, n))
        if target == _aten.to.dtype:
            x, n = self.operand(args[0])
            if args[1] in (torch.float32, torch.bfloat16, torch.float16):
                narrow = {torch.bfloat16: ".to(tl.bfloat16)", torch.float16: ".to(tl.float16)"}.get(args[1], "")
                return self.new(f"{x}{narrow}.to(tl.float32)", n)
            raise NoForm(f"numbers of {args[1]}")
        if target == _aten.linear.default:
            z = self.linear(self.values[args[0]], self.matrix_of(args[1]))
            if args[2] is None:
                return z
            bias, _ = self.operand(args[2])
            return self.new(f"{z.name} + {bias}", z.columns)
        if target == _aten.matmul.default:
            return self.matmul(self.values[args[0]], self.matrix_of(args[1]))
        if target == _aten.slice.Tensor:
            value = self.values[args[0]]
            if args[1] not in last or args[4] not in (1, None):
                raise NoForm("a slice of rows")
            begin, end, _ = slice(args[2], args[3]).indices(value.columns)
            if begin == 0 and end == value.columns:
                return value
            return self.gathered(end - begin, lambda place: self.pick(value, f"{begin} + {place}"))
        if target == _aten.index_select.default:
            value, listed = self.values[args[0]], self.values[args[2]]
            if args[1] not in last:
                raise NoForm("a choice of rows")
            name = next(pointer for pointer, held in self.loads if held == args[2].target)
            return self.gathered(listed.columns, lambda place: self.pick(value, f"tl.load({name} + {place})"))
        if target == _aten.cat.default:
            parts = [self.values[each] for each in args[0]]
            if args[1] not in last:
                raise NoForm("rows behind one another")
            total = sum(part.columns for part in parts)
            begin, index = 0, self.index(total)
            result = self.new(f"tl.zeros([{_pow2(total)}], tl.float32)", total)
            for part in parts:
                self.add(f"for j in range({part.columns}):")
                self.add(f"{result.name} = tl.where({index} == {begin} + j, {self.pick(part, 'j')}, {result.name})", 1)
                begin += part.columns
            return result
        if target == _aten.linalg_vector_norm.default and args[1] == 2 and over_last(args[2], args[3]):
            return self.new(f"tl.sqrt({self.total(self.values[args[0]], 2)})", 1)
        if target == _aten.mean.dim and over_last(args[1], args[2]):
            value = self.values[args[0]]
            return self.new(f"{self.total(value)} / {float(value.columns)}", 1)
        if target == _aten.sum.dim_IntList and over_last(args[1], args[2]):
            return self.new(self.total(self.values[args[0]]), 1)
        if target == _aten.std.correction and over_last(args[1], args[3]):
            value, correction = self.values[args[0]], 1 if args[2] is None else args[2]
            mean = self.new(f"{self.total(value)} / {float(value.columns)}", 1)
            apart = self.new(f"{value.name} - {mean.name}", value.columns)
            return self.new(f"tl.sqrt({self.total(apart, 2)} / {float(value.columns - correction)})", 1)
        raise NoForm(f"{target}")

    def write(self, results: list[tuple[fx.Node, torch.Tensor]]) -> str:
        for node in self.graph.nodes:
            if node.op in ("placeholder", "get_attr"):
                self.values[node] = self.load(node)
            elif node.op == "call_function":
                self.values[node] = self.call(node)
            if node in self.values and self.values[node].columns > MOST_COLUMNS:
                raise NoForm(f"{self.values[node].columns} columns")
        for number, (node, example) in enumerate(results):
            value, columns = self.values[node], example.shape[-1]
            if example.dim() != 3 or value.matrix or columns not in (value.columns, 1) and value.columns != 1:
                raise NoForm("a result of other sizes")
            name = f"r{number}"
            self.parameters += [name, f"{name}b", f"{name}s"]
            at = f"{name} + b * {name}b + s * {name}s"
            held = value.name if example.dtype != torch.bool else f"({value.name}).to(tl.int8)"
            if columns == 1:
                self.add(f"tl.store({at}, {held})")
            else:
                spread = held if value.columns > 1 else f"{held} + tl.zeros([{_pow2(columns)}], tl.float32)"
                self.add(f"tl.store({at} + {self.index(columns)}, {spread}, mask={self.mask(columns)})")
        head = [f"    i{columns} = tl.arange(0, {_pow2(columns)})" for columns in sorted(self.sizes)]
        return "\n".join([f"def kernel(sequence, {', '.join(self.parameters)}):", "    token = tl.program_id(0)",
                          "    b = (token // sequence).to(tl.int64)", "    s = (token % sequence).to(tl.int64)", *head, *self.lines, ""])


class TritonStep:
    """A step as one kernel: the same values in and out as the graph's.

    run       the step's graph module
    examples  by the names of its placeholders: a tensor of the same rank, width and type
    results   the same for what it gives, in order

    Raises NoForm where an operator of the graph has no form here.
    """

    def __init__(self, run: fx.GraphModule, examples: dict[str, torch.Tensor], results: list[torch.Tensor]):
        import triton
        import triton.language as tl

        global _counter
        self.names = [node.name for node in run.graph.nodes if node.op == "placeholder"]
        given = next(node for node in run.graph.nodes if node.op == "output").args[0]
        self.constants = {node.target: operator.attrgetter(node.target)(run).detach() for node in run.graph.nodes
                          if node.op == "get_attr"}
        writer = _Writer(run.graph, examples, self.constants)
        self.source = writer.write(list(zip(given, results)))
        self.loads, self.results = writer.loads, [(each.shape[-1], each.dtype) for each in results]
        # Triton reads a function's text.
        _counter += 1
        name = f"<weir kernel {_counter}>"
        linecache.cache[name] = (len(self.source), None, self.source.splitlines(keepends=True), name)
        space = {"tl": tl, "__name__": __name__}
        exec(compile(self.source, name, "exec"), space)
        self.kernel = triton.jit(space["kernel"])

    def __call__(self, *values: torch.Tensor):
        named = dict(zip(self.names, values))
        shape = torch.broadcast_shapes(*(value.shape[:2] for value in values))
        arguments = []
        for _, name in self.loads:
            if name not in named:
                arguments.append(self.constants[name])
                continue
            value = named[name]
            value = value.view(torch.uint8) if value.dtype == torch.bool else value
            strides = [0 if size == 1 else stride for size, stride in zip(value.shape, value.stride())]
            arguments += [value, strides[0], strides[1], strides[2]]
        made = [torch.empty(*shape, columns, dtype=dtype, device=values[0].device) for columns, dtype in self.results]
        for each in made:
            arguments += [each.view(torch.int8) if each.dtype == torch.bool else each, each.stride(0), each.stride(1)]
        if tokens := shape[0] * shape[1]:
            self.kernel[(tokens,)](shape[1], *arguments)
        return tuple(made)
