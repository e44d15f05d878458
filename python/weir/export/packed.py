# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs that keep the blocks of a GGUF file instead of the numbers that they stand for.

transformers reads such a file by dequantising it, and brings rows of attention into its own order. So which bytes a
weight of the model comes from is not looked up but found: the tensor of the file whose dequantised rows are the
weight's rows, to the bit, in whatever order. What cannot be found so is refused.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy
import torch
from torch.export import ExportedProgram
from torch.fx import Node

from ..errors import first_line
from .errors import ExportError, UnsupportedModel

# Those that lib/Kernels/Blocks.cpp knows, by ggml's names; numbers of a block.
TYPES = {"F16": 32, "BF16": 32, "Q4_0": 32, "Q4_1": 32, "Q5_0": 32, "Q5_1": 32, "Q8_0": 32, "Q4_K": 256, "Q5_K": 256,
         "Q6_K": 256}
_PLAIN = ("F16", "BF16")  # no blocks: where rows are no multiple of 32 numbers, they become numbers of the program's type

_aten = torch.ops.aten


@dataclass
class Stored:
    """A matrix of the file: `blocks` [rows, bytes of a row] uint8, each row `width` numbers."""

    name: str
    type: str
    blocks: numpy.ndarray
    width: int
    kind: gguf.GGMLQuantizationType

    @property
    def shape(self) -> tuple[int, int]:
        return self.blocks.shape[0], self.width

    def numbers(self, dtype: torch.dtype) -> list[torch.Tensor]:
        """[rows, width] of `dtype`, as the model may have them: transformers computes in f32 for some architectures, in
        the type that it loads for others."""
        if self.type == "F16":
            wide = self.blocks.view(numpy.float16).astype(numpy.float32)
        else:
            with numpy.errstate(all="ignore"):
                wide = gguf.dequantize(self.blocks, self.kind)
        versions = [torch.from_numpy(numpy.ascontiguousarray(wide)).to(dtype)]
        if dtype != torch.float32 and self.type not in _PLAIN:
            from transformers.integrations.gguf.dequant import dequantize

            versions.append(dequantize(torch.from_numpy(self.blocks.copy()).reshape(-1), self.kind.value, dtype).reshape(self.shape))
        return versions


def _row_keys(matrix: torch.Tensor) -> list[int]:
    """A hash of each row's bytes, of a dense matrix. Zeros of both signs are one number."""
    rows = (matrix.detach() + 0.0).contiguous().view(torch.uint8).numpy()
    return [hash(row.tobytes()) for row in rows]


def _matrices(path: Path) -> list[Stored]:
    """The matrices of the file that are kept as they are. Raises ExportError with the name of one that cannot be."""
    try:
        reader = gguf.GGUFReader(path)
    except Exception as error:  # a damaged file can raise anything there
        raise ExportError(f"cannot read the blocks of {path}: {first_line(error)}") from error
    kept = []
    for tensor in reader.tensors:
        kind, shape = tensor.tensor_type, [int(size) for size in tensor.shape]  # the one that runs fastest first
        if kind.name in ("F32", "F64") or len(shape) < 2:
            continue
        said = f"{path.name}: tensor {tensor.name}"
        if kind.name not in TYPES:
            raise UnsupportedModel(f"{said} is of type {kind.name}, for which there are no kernels (there are for "
                                   f"{', '.join(TYPES)}); export with --weights plain")
        if shape[0] % TYPES[kind.name]:
            if kind.name in _PLAIN:
                continue
            raise ExportError(f"{said} of type {kind.name} has rows of {shape[0]} numbers, which is no multiple of the "
                              f"{TYPES[kind.name]} of a block")
        if len(shape) > 2:
            raise UnsupportedModel(f"{said} has {len(shape)} dimensions (the experts of a mixture, say); only matrices keep "
                                   "their blocks. Export with --weights plain")
        size, count = gguf.GGML_QUANT_SIZES[kind]
        wanted = shape[1] * (shape[0] // size * count)
        data = numpy.asarray(tensor.data).reshape(-1).view(numpy.uint8)
        if data.size != wanted:
            raise ExportError(f"{said} has {data.size} bytes of blocks; {shape[1]} rows of {shape[0]} numbers of type "
                              f"{kind.name} have {wanted}")
        kept.append(Stored(tensor.name, kind.name, data.reshape(shape[1], -1), shape[0], kind))
    return kept


class _Matches:
    """Finds the matrix of the file that a weight of the model was made from."""

    def __init__(self, path: Path, dtype: torch.dtype):
        self.path, self.dtype = path, dtype
        self.by_shape = defaultdict(list)
        for stored in _matrices(path):
            self.by_shape[stored.shape].append(stored)
        self.keys: dict[str, list[list[int]]] = {}
        self.used: set[str] = set()
        self.packed: dict[tuple, torch.nn.Parameter] = {}

    def find(self, weight: torch.Tensor) -> tuple[Stored, torch.nn.Parameter] | None:
        """The matrix whose rows `weight` [rows, width] has, and its blocks in the weight's order."""
        wanted = _row_keys(weight)
        ordered = sorted(wanted)
        # Where a file has the same numbers twice, each place takes one of them.
        for stored in sorted(self.by_shape[tuple(weight.shape)], key=lambda stored: stored.name in self.used):
            if stored.name not in self.keys:
                self.keys[stored.name] = [_row_keys(numbers) for numbers in stored.numbers(self.dtype)]
            for version, keys in enumerate(self.keys[stored.name]):
                if sorted(keys) != ordered:
                    continue
                order = self._order(keys, wanted)
                # Hashes may be equal by chance.
                if torch.equal(stored.numbers(self.dtype)[version][order] + 0.0, weight.detach() + 0.0):
                    return stored, self._packed(stored, order)
        return None

    def _packed(self, stored: Stored, order: list[int]) -> torch.nn.Parameter:
        self.used.add(stored.name)
        place = stored.name, tuple(order)
        if place not in self.packed:
            self.packed[place] = torch.nn.Parameter(torch.from_numpy(stored.blocks[order]), requires_grad=False)
        return self.packed[place]

    @staticmethod
    def _order(keys: list[int], wanted: list[int]) -> list[int]:
        """For each wanted row a row of that key; of equal ones, each once and in their order."""
        if keys == wanted:
            return list(range(len(keys)))
        places = defaultdict(list)
        for row in reversed(range(len(keys))):
            places[keys[row]].append(row)
        return [places[key].pop() for key in wanted]

    def refuse_unused(self):
        unused = sorted(stored.name for matrices in self.by_shape.values() for stored in matrices if stored.name not in self.used)
        if unused:
            some = ", ".join(unused[:4]) + (f" and {len(unused) - 4} more" if len(unused) > 4 else "")
            raise UnsupportedModel(f"{self.path.name} holds tensors that do not become weights of the model as they are: "
                                   f"{some}; export with --weights plain")


class Made:
    """Blocks that are made of a model's own weights, by the rounding of ggml's reference."""

    def __init__(self, model: torch.nn.Module, kind: str):
        """Rounds the matrices of `model` in place: what blocks of type `kind` stand for becomes the weight. Embeddings and
        linear maps whose rows are whole blocks; the others stay."""
        self.kind = gguf.GGMLQuantizationType[kind]
        self.made: dict[int, tuple[Stored, torch.nn.Parameter]] = {}
        self.used: set[int] = set()
        for name, module in model.named_modules():
            weight = getattr(module, "weight", None)
            if isinstance(module, (torch.nn.Linear, torch.nn.Embedding)):
                self._round(name, weight, weight)
            elif type(module).__name__ == "Conv1D" and isinstance(weight, torch.nn.Parameter):  # of transformers, for GPT-2
                self._round(name, weight, weight.t())

    @torch.no_grad()
    def _round(self, name: str, weight: torch.nn.Parameter, rows: torch.Tensor):
        if weight.data_ptr() in self.made or rows.dim() != 2 or rows.shape[1] % TYPES[self.kind.name] or not weight.isfinite().all():
            return
        blocks = gguf.quantize(rows.float().contiguous().numpy(), self.kind)
        rows.copy_(torch.from_numpy(gguf.dequantize(blocks, self.kind)))
        stored = Stored(name, self.kind.name, blocks, rows.shape[1], self.kind)
        self.made[weight.data_ptr()] = stored, torch.nn.Parameter(torch.from_numpy(blocks), requires_grad=False)

    def find(self, weight: torch.Tensor) -> tuple[Stored, torch.nn.Parameter] | None:
        found = self.made.get(weight.data_ptr())
        if found is not None:
            self.used.add(weight.data_ptr())
        return found

    def refuse_unused(self):
        unused = [stored.name for place, (stored, _) in self.made.items() if place not in self.used]
        if unused or not self.made:
            raise UnsupportedModel(f"weights that were rounded are used otherwise than as matrices: {', '.join(unused[:4])}; export "
                                   "without --quantize" if unused else "no matrix of the model has rows of whole blocks; export "
                                   "without --quantize")


def _weight_use(node: Node, weight: Node) -> str | None:
    """How a call uses a weight: "rows" for x W^T, "columns" for x W, "table" for rows of it, None otherwise."""
    def only(at: int) -> bool:
        return [i for i, argument in enumerate(node.args) if argument is weight] == [at]

    if node.target is _aten.linear.default and only(1):
        return "rows"
    if node.target is _aten.embedding.default and only(0):
        return "table"
    if node.target is _aten.addmm.default and only(2) and not node.kwargs and len(node.args) == 3:
        return "columns"
    if node.target in (_aten.mm.default, _aten.matmul.default) and only(1):
        return "columns"
    return None


def _call(graph: torch.fx.Graph, before: Node, target, arguments: tuple, value: torch.Tensor) -> Node:
    """A call in front of `before`, made in the same place of the model."""
    with graph.inserting_before(before):
        node = graph.call_function(target, arguments)
    node.meta = {key: entry for key, entry in before.meta.items() if key in ("nn_module_stack", "torch_fn")}
    node.meta["val"] = value
    return node


def _replace(exported: ExportedProgram, node: Node, weight: Node, stored: Stored):
    """Lets a call read the blocks that `weight` now holds."""
    graph, operators = exported.graph_module.graph, torch.ops.weir
    value = node.meta["val"]
    if node.target is _aten.embedding.default:
        new = _call(graph, node, operators.quantized_embedding.default, (weight, node.args[1], stored.type, stored.width),
                    value.to(torch.float32))
        if value.dtype != torch.float32:
            new = _call(graph, node, _aten.to.dtype, (new, value.dtype), value)
    else:
        bias = None
        if node.target is _aten.addmm.default:
            bias, x = node.args[0], node.args[1]
        else:
            x = node.args[0]
            bias = node.args[2] if node.target is _aten.linear.default and len(node.args) > 2 else None
        new = _call(graph, node, operators.quantized_linear.default, (x, weight, bias, stored.type), value)
    exported.graph_signature.replace_all_uses(node.name, new.name)
    node.replace_all_uses_with(new)
    graph.erase_node(node)


def set_arithmetic(exported: ExportedProgram, arithmetic: str) -> int:
    """Lets products with blocks of integers be made by another arithmetic, in place; returns how many there are. Matrices
    of F16 and BF16 have no integers, and stay exact."""
    count = 0
    for node in exported.graph_module.graph.nodes:
        if node.target is torch.ops.weir.quantized_linear.default and node.args[3] not in _PLAIN:
            node.args = (*node.args[:4], arithmetic)
            count += 1
    exported.graph_module.recompile()
    exported.validate()
    return count


def from_file(exported: ExportedProgram, path: Path, dtype: torch.dtype) -> dict[str, int]:
    """Puts the blocks of the GGUF file `path` where the program has the numbers that they stand for, in place.

    dtype  of the program's weights
    Returns how many matrices of each type there are. Raises ExportError, with the name of a tensor, for a file whose
    matrices cannot all be kept.
    """
    return pack(exported, _Matches(path, dtype))


def pack(exported: ExportedProgram, matches: _Matches | Made) -> dict[str, int]:
    """The same with blocks that `matches` finds for a weight."""
    from .. import kernels

    kernels.register()
    graph, signature = exported.graph_module.graph, exported.graph_signature
    counts = defaultdict(int)
    places = {signature.inputs_to_parameters[node.name]: node for node in graph.nodes
              if node.op == "placeholder" and node.name in signature.inputs_to_parameters}
    # A tied weight has several names, of which the graph may read one.
    tied = defaultdict(list)
    for name, weight in exported.state_dict.items():
        tied[weight.data_ptr(), weight.shape].append(name)
    for name, node in places.items():
        weight = exported.state_dict[name]
        if not node.users or weight.dtype == torch.uint8:
            continue
        uses = {_weight_use(user, places[other]) for other in tied[weight.data_ptr(), weight.shape] if other in places
                for user in places[other].users}
        if weight.dim() != 2 or None in uses or len({use == "columns" for use in uses}) > 1:
            continue
        found = matches.find(weight.t() if "columns" in uses else weight)
        if found is None:
            continue
        stored, blocks = found
        counts[stored.type] += 1
        for other in tied[weight.data_ptr(), weight.shape]:
            exported.state_dict[other] = blocks
            if (place := places.get(other)) is None:
                continue
            with torch.no_grad():
                place.meta["val"] = place.meta["val"].new_empty(blocks.shape, dtype=torch.uint8)
            place.meta.pop("tensor_meta", None)
            for user in list(place.users):
                _replace(exported, user, place, stored)
    matches.refuse_unused()
    graph.lint()
    exported.graph_module.recompile()
    exported.validate()
    return dict(counts)
