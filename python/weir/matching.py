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
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from .compiler import tool
from .errors import WeirError

_ABI = 2
_SIMILARITIES = {"cosine": 0, "dot": 1, "mse": 2}
_SCREENS = {"auto": 0, "f32": 1, "bf16": 2, "int8": 3}
_DEVICES = {"cpu": 0, "cuda": 1, "auto": 2}
_SCREEN_NAMES = {number: name for name, number in _SCREENS.items()}


@dataclass(frozen=True)
class TopK:
    """The k most similar rows of b for every row of a, best first."""

    indices: np.ndarray  # [F, k] int64; equal values by ascending index
    values: np.ndarray  # [F, k] float64
    survivors: int  # pairs computed in float64 after the screen
    distinct: int  # different rows of b
    screen: str  # "f32", "bf16", "int8", or "auto" if all pairs were computed in float64


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


@dataclass(frozen=True)
class FeatureMap:
    """Row i leads to indices[starts[i]:starts[i + 1]], heaviest first."""

    starts: np.ndarray  # [F + 1] int64
    indices: np.ndarray  # int64; equal weights by ascending index
    weights: np.ndarray  # float64, above 0


@dataclass(frozen=True)
class Quality:
    """How well matched pairs agree; nothing counts where the match is -1."""

    pairs: int
    mean_cosine: float  # NaN without a pair
    mean_squared_error: float  # mean over the pairs of |a_i - b_j|^2 / d
    cosine: np.ndarray  # [F] float64, NaN where the match is -1
    squared_error: np.ndarray  # [F] float64, NaN where the match is -1
    error_quantiles: np.ndarray  # squared errors at the quantiles asked for


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
    path = tool("weirc").resolve().parents[1] / "lib" / "libweir_matching.so"
    if not path.exists():
        raise WeirError(f"{path} is missing: run ./bootstrap build, or install Weir whole")
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


def _codes(similarity: str, screen: str, device: str) -> list[ctypes.c_int32]:
    return [ctypes.c_int32(_code(_SIMILARITIES, "similarity", similarity)),
            ctypes.c_int32(_code(_SCREENS, "screen", screen)), ctypes.c_int32(_code(_DEVICES, "device", device))]


def _call(function: Any, *arguments: Any) -> None:
    message = ctypes.create_string_buffer(1024)
    if function(*arguments, message, ctypes.c_int64(len(message))):
        raise WeirError(message.value.decode(errors="replace"))


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def top_k(a: Any, b: Any, k: int = 1, similarity: str = "cosine", *, screen: str = "auto", device: str = "cpu",
          threads: int = 0) -> TopK:
    """The k most similar rows of b for every row of a, exact in float64.

    k is 1..min(F', 256). `screen` is the precision of the product that sorts out
    most pairs, without influence on the result; `device` where it runs ("cpu",
    "cuda", or "auto": CUDA if torch has it); `threads` 0 leaves torch's number.
    Raises WeirError for shapes that do not fit, NaN and infinity.
    """
    left, right = _matrix("a", a), _matrix("b", b)
    rows = left[0].rows if len(left) else 0
    codes = _codes(similarity, screen, device)
    room = max(0, min(int(k), 256))
    indices, values = np.empty((rows, room), np.int64), np.empty((rows, room), np.float64)
    stats = np.zeros(3, np.int64)
    _call(_library().weir_matching_top_k, left, ctypes.c_int64(len(left)), right, ctypes.c_int64(len(right)),
          ctypes.c_int64(k), *codes, ctypes.c_int32(threads),
          _pointer(indices), _pointer(values), _pointer(stats))
    return TopK(indices, values, int(stats[0]), int(stats[1]), _SCREEN_NAMES[int(stats[2])])


def permutation(a: Any, b: Any, similarity: str = "dot", *, screen: str = "auto", device: str = "cpu", threads: int = 0,
                candidates: int = 32, dense_size: int | None = None) -> Permutation:
    """The assignment of rows of b to rows of a with the largest total similarity.

    With F != F' every row of the smaller side is matched. `candidates` is the
    number of pairs a row starts with; up to `dense_size` rows the full matrix is
    used. Raises WeirError as top_k does.
    """
    left, right = _matrix("a", a), _matrix("b", b)
    rows, columns = (side[0].rows if len(side) else 0 for side in (left, right))
    codes = _codes(similarity, screen, device)
    result = np.empty(rows, np.int64)
    u, v = np.empty(rows), np.empty(columns)
    numbers, stats = np.zeros(4), np.zeros(5, np.int64)
    _call(_library().weir_matching_permutation, left, ctypes.c_int64(len(left)), right, ctypes.c_int64(len(right)),
          *codes, ctypes.c_int32(threads), ctypes.c_int64(candidates),
          ctypes.c_int64(-1 if dense_size is None else dense_size), _pointer(result), _pointer(u), _pointer(v),
          _pointer(numbers), _pointer(stats))
    certificate = Certificate(u, v, float(numbers[1]), float(numbers[2]), float(numbers[3]))
    return Permutation(result, float(numbers[0]), certificate, int(stats[0]), int(stats[1]), int(stats[2]),
                       int(stats[3]), bool(stats[4]))


def _array(name: str, value: Any, dtype: type, rank: int) -> np.ndarray:
    """`value` as it lies in memory; a copy only of what is not dense."""
    array = np.asarray(value)
    if array.dtype != dtype or array.ndim != rank:
        raise WeirError(f"{name}: expected {np.dtype(dtype).name} of rank {rank}, got {array.dtype} of rank {array.ndim}")
    return np.ascontiguousarray(array)


def _size(value: int) -> ctypes.c_int64:
    return ctypes.c_int64(int(value))


def compose(first: Any, second: Any) -> np.ndarray:
    """The permutation A -> C of A -> B and B -> C: second[first], -1 staying -1.

    Takes int64 arrays [F] and [F'] and gives [F]. Raises WeirError for an entry of
    `first` outside -1..F' - 1.
    """
    left, right = _array("first", first, np.int64, 1), _array("second", second, np.int64, 1)
    result = np.empty_like(left)
    _call(_library().weir_matching_compose, _pointer(left), _size(len(left)), _pointer(right), _size(len(right)),
          _pointer(result))
    return result


def compose_top_k(first: TopK, second: TopK, keep: int, *, least: float = 0.0) -> FeatureMap:
    """The `keep` heaviest matches over two steps of top_k.

    A match weighs its similarity, a path the product, and a pair its heaviest
    path. Similarities of 0 and less, and below `least`, are left out. Raises
    WeirError for keep < 1 and an index that `second` has no row for.
    """
    indices = [_array("indices", matches.indices, np.int64, 2) for matches in (first, second)]
    values = [_array("values", matches.values, np.float64, 2) for matches in (first, second)]
    if any(one.shape != other.shape for one, other in zip(indices, values)):
        raise WeirError("indices and values of different shapes")
    (rows, first_k), (second_rows, second_k) = indices[0].shape, indices[1].shape
    starts = np.empty(rows + 1, np.int64)
    # No row leads to more than all paths.
    room = rows * max(0, min(int(keep), first_k * second_k))
    reached, weights = np.empty(room, np.int64), np.empty(room)
    _call(_library().weir_matching_compose_top_k, _pointer(indices[0]), _pointer(values[0]), _size(rows),
          _size(first_k), _pointer(indices[1]), _pointer(values[1]), _size(second_rows), _size(second_k),
          ctypes.c_double(least), _size(keep), _pointer(starts), _pointer(reached), _pointer(weights))
    return FeatureMap(starts, reached[: starts[-1]], weights[: starts[-1]])


def mutual_best(forward: TopK | np.ndarray, backward: TopK | np.ndarray) -> np.ndarray:
    """[F] int64: the best match of row i if i is the best match of it, else -1.

    Takes the results of top_k(a, b) and top_k(b, a), or their indices [F, k].
    Raises WeirError for indices that do not belong together.
    """
    left, right = (_array(name, side.indices if isinstance(side, TopK) else side, np.int64, 2)
                   for name, side in (("forward", forward), ("backward", backward)))
    result = np.empty(len(left), np.int64)
    _call(_library().weir_matching_mutual_best, _pointer(left), _size(len(left)), _size(left.shape[1]),
          _pointer(right), _size(len(right)), _size(right.shape[1]), _pointer(result))
    return result


def quality(a: Any, b: Any, match: Any, quantiles: Any = ()) -> Quality:
    """Cosine and squared error of the matched pairs (i, match[i]).

    `match` is int64 [F] with -1 for rows without a match, as in
    Permutation.permutation. Quantiles lie in 0..1 and are interpolated linearly.
    Raises WeirError for shapes that do not fit, NaN and infinity.
    """
    left, right = _matrix("a", a), _matrix("b", b)
    chosen = _array("match", match, np.int64, 1)
    places = _array("quantiles", np.asarray(quantiles, np.float64), np.float64, 1)
    cosine, error, at = np.empty(len(chosen)), np.empty(len(chosen)), np.empty(len(places))
    means, pairs = np.empty(2), np.zeros(1, np.int64)
    _call(_library().weir_matching_quality, left, _size(len(left)), right, _size(len(right)), _pointer(chosen),
          _size(len(chosen)), _pointer(places), _size(len(places)), _pointer(cosine), _pointer(error), _pointer(at),
          _pointer(means), _pointer(pairs))
    return Quality(int(pairs[0]), float(means[0]), float(means[1]), cosine, error, at)


def _fold(what: int, decoder: Any, encoder: Any, bias: Any, threshold: Any, means: Any) -> np.ndarray:
    def place(name: str, value: Any, shape: tuple[int, ...], written: bool = True) -> ctypes.c_void_p:
        if value is None:
            return ctypes.c_void_p(None)
        good = isinstance(value, np.ndarray) and value.dtype == np.float32 and value.flags.c_contiguous
        if not good or value.ndim != len(shape) or any(n not in (m, -1) for n, m in zip(shape, value.shape)):
            raise WeirError(f"{name}: expected a dense float32 array {list(shape)}, -1 for any")
        if written and not value.flags.writeable:
            raise WeirError(f"{name}: the array cannot be written")
        return _pointer(value)

    rows = place("decoder", decoder, (-1, -1))
    if decoder is None:
        raise WeirError("decoder: expected a dense float32 array [-1, -1], -1 for any")
    features, width = decoder.shape
    pointers = [place("encoder", encoder, (features, -1)), place("bias", bias, (features,)),
                place("threshold", threshold, (features,)), rows, place("means", means, (features,), False)]
    left, count = np.empty(features, np.int64), np.zeros(1, np.int64)
    _call(_library().weir_matching_fold, ctypes.c_int32(what), _size(features),
          _size(0 if encoder is None else encoder.shape[1]), _size(width), *pointers, _pointer(left), _pointer(count))
    return left[: count[0]]


def fold_thresholds(decoder: np.ndarray, threshold: np.ndarray, *, encoder: np.ndarray | None = None,
                    bias: np.ndarray | None = None) -> np.ndarray:
    """Scales JumpReLU features in place so that their thresholds become 1.

    Float32 arrays: decoder [F, d], encoder [F, d_in] (rows), bias and threshold
    [F]. The dictionary's output stays. Returns the features that are left as they
    were, as their threshold is not positive. Raises WeirError, and changes
    nothing, if a number would leave the range of float32.
    """
    return _fold(0, decoder, encoder, bias, threshold, None)


def fold_decoder_norms(decoder: np.ndarray, *, encoder: np.ndarray | None = None, bias: np.ndarray | None = None,
                       threshold: np.ndarray | None = None) -> np.ndarray:
    """As fold_thresholds, so that the rows of the decoder get norm 1."""
    return _fold(1, decoder, encoder, bias, threshold, None)


def fold_mean_activations(decoder: np.ndarray, means: np.ndarray, *, encoder: np.ndarray | None = None,
                          bias: np.ndarray | None = None, threshold: np.ndarray | None = None) -> np.ndarray:
    """As fold_thresholds, so that features of mean activation `means` [F] get mean 1."""
    return _fold(2, decoder, encoder, bias, threshold, means)
