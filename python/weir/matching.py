# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Exact matching of feature rows: the k most similar rows, and permutations.

    >>> import numpy as np, weir.matching
    >>> a = np.eye(3, dtype=np.float32)
    >>> weir.matching.top_k(a, a[::-1]).indices.ravel().tolist()
    [2, 1, 0]
    >>> weir.matching.permutation(a, a[::-1]).permutation.tolist()
    [2, 1, 0]

A matrix is a NumPy array or a CPU tensor [F, d] of float32, float16 or bfloat16,
of any strides, or a list of such: parts that stand side by side, as decoder rows,
encoder rows and encoder bias [F] do. Nothing is copied. Similarities are float64
sums in the order of the index: "cosine" (0 for a zero row), "dot", and "mse",
which is -(1/d) sum (a - b)^2. See docs/matching.md.
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .errors import WeirError

_ABI = 1
_SIMILARITIES = {"cosine": 0, "dot": 1, "mse": 2}
_SCREENS = {"auto": 0, "f32": 1, "bf16": 2}
_SCREEN_NAMES = {number: name for name, number in _SCREENS.items()}


@dataclass(frozen=True)
class TopK:
    """The k most similar rows of b for every row of a, best first."""

    indices: np.ndarray  # [F, k] int64; equal values by ascending index
    values: np.ndarray  # [F, k] float64
    survivors: int  # pairs computed in float64 after the screen
    distinct: int  # different rows of b
    screen: str  # "f32", "bf16", or "auto" if all pairs were computed in float64


@dataclass(frozen=True)
class Certificate:
    """Proof of optimality: duals with u_i + v_j <= cost_ij for all pairs."""

    u: np.ndarray  # [F]
    v: np.ndarray  # [F']
    dual_cost: float  # sum of u and v: no assignment costs less
    gap: float  # cost - dual_cost
    worst_reduced_cost: float  # min of cost_ij - u_i - v_j and 0


@dataclass(frozen=True)
class Permutation:
    """The assignment with the largest total similarity."""

    permutation: np.ndarray  # [F] int64: row of b, -1 where none is left
    cost: float  # -(sum of the similarities of the matched pairs)
    certificate: Certificate
    rounds: int  # of pricing
    arcs: int  # pairs in the sparse graph
    priced_rows: int  # rows that pricing had to multiply
    survivors: int  # pairs computed in float64
    dense: bool  # whether the full matrix was used


class _Part(ctypes.Structure):
    _fields_ = [
        ("dtype", ctypes.c_int32),
        ("data", ctypes.c_void_p),
        ("rows", ctypes.c_int64),
        ("cols", ctypes.c_int64),
        ("row_stride", ctypes.c_int64),
        ("col_stride", ctypes.c_int64),
    ]


@cache
def _library() -> ctypes.CDLL:
    build = os.environ.get("WEIR_BUILD") or Path(__file__).resolve().parents[2] / "build"
    path = Path(build) / "lib" / "libweir_matching.so"
    if not path.exists():
        raise WeirError(f"{path} is missing: run ./bootstrap build")
    # LibTorch is loaded by its own package first, with the settings it wants.
    import torch  # noqa: F401

    library = ctypes.CDLL(str(path))
    if library.weir_matching_abi() != _ABI:
        raise WeirError(f"{path} is of another version: run ./bootstrap build")
    return library


def _part(name: str, index: int, value: Any) -> _Part:
    where = f"matrix '{name}', part {index}"
    if isinstance(value, np.ndarray):
        codes = {np.dtype(np.float32): 0, np.dtype(np.float16): 1}
        if value.dtype not in codes:
            raise WeirError(f"{where}: element type {value.dtype} is not one of float32, float16, bfloat16")
        code, pointer, shape = codes[value.dtype], value.ctypes.data, value.shape
        if any(step % value.itemsize for step in value.strides):
            raise WeirError(f"{where}: strides that are no multiples of the element size")
        strides = [step // value.itemsize for step in value.strides]
    else:
        import torch

        if not isinstance(value, torch.Tensor):
            raise WeirError(f"{where}: expected a NumPy array or a tensor, got {type(value).__name__}")
        codes = {torch.float32: 0, torch.float16: 1, torch.bfloat16: 2}
        if value.dtype not in codes:
            raise WeirError(f"{where}: element type {value.dtype} is not one of float32, float16, bfloat16")
        if value.device.type != "cpu" or value.layout != torch.strided:
            raise WeirError(f"{where}: expected a dense tensor on the CPU")
        value = value.detach().resolve_neg()
        code, pointer, shape, strides = codes[value.dtype], value.data_ptr(), tuple(value.shape), list(value.stride())
    if len(shape) == 1:
        shape, strides = (shape[0], 1), (strides[0], 1)
    if len(shape) != 2:
        raise WeirError(f"{where}: expected a matrix, got rank {len(shape)}")
    part = _Part(code, pointer, shape[0], shape[1], strides[0], strides[1])
    part.keep = value  # the memory lives as long as the description
    return part


def _matrix(name: str, value: Any) -> ctypes.Array:
    parts = value if isinstance(value, (list, tuple)) else [value]
    made = [_part(name, index, part) for index, part in enumerate(parts)]
    array = (_Part * len(made))(*made)
    array.keep = made
    return array


def _code(table: dict[str, int], what: str, name: str) -> int:
    if name not in table:
        raise WeirError(f"unknown {what} '{name}'; there are {', '.join(table)}")
    return table[name]


def _call(function: Any, *arguments: Any) -> None:
    message = ctypes.create_string_buffer(1024)
    if function(*arguments, message, ctypes.c_int64(len(message))):
        raise WeirError(message.value.decode(errors="replace"))


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def top_k(a: Any, b: Any, k: int = 1, similarity: str = "cosine", *, screen: str = "auto", threads: int = 0) -> TopK:
    """The k most similar rows of b for every row of a, exact in float64.

    k is 1..min(F', 256). `screen` is the precision of the product that sorts out
    most pairs, without influence on the result; `threads` 0 leaves torch's
    number. Raises WeirError for shapes that do not fit, NaN and infinity.
    """
    left, right = _matrix("a", a), _matrix("b", b)
    rows = left[0].rows if len(left) else 0
    codes = _code(_SIMILARITIES, "similarity", similarity), _code(_SCREENS, "screen", screen)
    room = max(0, min(int(k), 256))
    indices, values = np.empty((rows, room), np.int64), np.empty((rows, room), np.float64)
    stats = np.zeros(3, np.int64)
    _call(_library().weir_matching_top_k, left, ctypes.c_int64(len(left)), right, ctypes.c_int64(len(right)),
          ctypes.c_int64(k), ctypes.c_int32(codes[0]), ctypes.c_int32(codes[1]), ctypes.c_int32(threads),
          _pointer(indices), _pointer(values), _pointer(stats))
    return TopK(indices, values, int(stats[0]), int(stats[1]), _SCREEN_NAMES[int(stats[2])])


def permutation(a: Any, b: Any, similarity: str = "dot", *, screen: str = "auto", threads: int = 0,
                candidates: int = 16, dense_size: int | None = None) -> Permutation:
    """The assignment of rows of b to rows of a with the largest total similarity.

    With F != F' every row of the smaller side is matched. `candidates` is the
    number of pairs a row starts with; up to `dense_size` rows the full matrix is
    used. Raises WeirError as top_k does.
    """
    left, right = _matrix("a", a), _matrix("b", b)
    rows, columns = (side[0].rows if len(side) else 0 for side in (left, right))
    codes = _code(_SIMILARITIES, "similarity", similarity), _code(_SCREENS, "screen", screen)
    result = np.empty(rows, np.int64)
    u, v = np.empty(rows), np.empty(columns)
    numbers, stats = np.zeros(4), np.zeros(5, np.int64)
    _call(_library().weir_matching_permutation, left, ctypes.c_int64(len(left)), right, ctypes.c_int64(len(right)),
          ctypes.c_int32(codes[0]), ctypes.c_int32(codes[1]), ctypes.c_int32(threads), ctypes.c_int64(candidates),
          ctypes.c_int64(-1 if dense_size is None else dense_size), _pointer(result), _pointer(u), _pointer(v),
          _pointer(numbers), _pointer(stats))
    certificate = Certificate(u, v, float(numbers[1]), float(numbers[2]), float(numbers[3]))
    return Permutation(result, float(numbers[0]), certificate, int(stats[0]), int(stats[1]), int(stats[2]),
                       int(stats[3]), bool(stats[4]))
