# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Causal validation of matches (`weirc validate`), with its results as arrays."""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy

from . import compiler

METHODS = ("top1", "random_of_5", "permutation", "top5", "exhaustive", "joint", "edges")


@dataclass(frozen=True)
class Cases:
    """One entry a case, n in all: what was taken away where, and what the target did."""

    target: numpy.ndarray  # [n] str, "12/res/411"
    document: numpy.ndarray  # [n] int64
    window: numpy.ndarray  # [n] int64, a row of Validation.tokens
    position: numpy.ndarray  # [n] int64, in the window
    method: numpy.ndarray  # [n] str
    predecessors: numpy.ndarray  # [n] str, joined by "+"
    group: numpy.ndarray  # [n] str, "RES+MLP" or "nowhere"
    before: numpy.ndarray  # [n] float32, the target's activation
    after: numpy.ndarray  # [n] float32
    loss: numpy.ndarray  # [n] float64 in nats, NaN unless asked for
    loss_after: numpy.ndarray  # [n] float64

    def __len__(self) -> int:
        return len(self.target)


@dataclass(frozen=True)
class Edges:
    """One entry an edge, n in all: a predecessor that was taken away alone, or an edge of a graph."""

    source: numpy.ndarray  # [n] str
    target: numpy.ndarray  # [n] str
    similarity: numpy.ndarray  # [n] float64, NaN where it is none of the target's best
    effect: numpy.ndarray  # [n] float64, mean of 1 - after / before, NaN without a case
    cases: numpy.ndarray  # [n] int64
    in_graph: numpy.ndarray  # [n] bool


@dataclass(frozen=True)
class Table:
    """One entry a method and group, n in all; `group` is "all" for all of them together. Estimates [n, 3] are value
    and 95% interval, NaN without a case."""

    method: numpy.ndarray  # [n] str
    group: numpy.ndarray  # [n] str
    cases: numpy.ndarray  # [n] int64
    successes: numpy.ndarray  # [n] int64
    within_pairs: numpy.ndarray  # [n, 3] float64
    over_targets: numpy.ndarray  # [n, 3] float64
    activation_change: numpy.ndarray  # [n, 3] float64
    loss_change: numpy.ndarray  # [n, 3] float64, NaN unless asked for


@dataclass(frozen=True)
class Validation:
    table: Table
    edges: Edges
    cases: Cases
    tokens: numpy.ndarray  # [windows, context] int64, -1 behind the end
    labels: dict[str, str]  # by feature, what the spec calls it
    report: dict  # all that `weirc validate --json` says


def _array(values, dtype) -> numpy.ndarray:
    return numpy.array(values, dtype=dtype) if values else numpy.empty(0, dtype)


def _number(value) -> float:
    return float("nan") if value is None or value == "" else float(value)


def _estimates(rows: list[dict], key: str) -> numpy.ndarray:
    return numpy.array([[_number((row.get(key) or {}).get(part)) for part in ("value", "low", "high")] for row in rows],
                       dtype=numpy.float64).reshape(len(rows), 3)


def _table(rows: list[dict]) -> Table:
    return Table(
        method=_array([row["method"] for row in rows], str), group=_array([row["group"] or "all" for row in rows], str),
        cases=_array([row["cases"] for row in rows], numpy.int64),
        successes=_array([row["successes"] for row in rows], numpy.int64),
        **{key: _estimates(rows, key) for key in ("within_pairs", "over_targets", "activation_change", "loss_change")})


def _edges(rows: list[dict]) -> Edges:
    return Edges(
        source=_array([row["from"] for row in rows], str), target=_array([row["to"] for row in rows], str),
        similarity=_array([_number(row["similarity"]) for row in rows], numpy.float64),
        effect=_array([_number(row["effect"]) for row in rows], numpy.float64),
        cases=_array([row["cases"] for row in rows], numpy.int64),
        in_graph=_array([row["in_graph"] for row in rows], bool))


def _cases(path: Path) -> Cases:
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    integers, reals = ("document", "window", "position"), {"before": numpy.float32, "after": numpy.float32}
    columns = {}
    for name in Cases.__dataclass_fields__:
        values = [row[name] for row in rows]
        if name in integers:
            columns[name] = _array([int(value) for value in values], numpy.int64)
        elif name in reals or name.startswith("loss"):
            columns[name] = _array([_number(value) for value in values], reals.get(name, numpy.float64))
        else:
            columns[name] = _array(values, str)
    return Cases(**columns)


def validate(spec: str | os.PathLike, text: str | os.PathLike, *, sample: int | None = None, seed: int | None = None,
             graph: str | Iterable[str] = (), match: str | Iterable[str] = (), method: str | Iterable[str] = (),
             loss: bool = False, **options) -> Validation:
    """Takes predecessors of features away from a text's tokens and sees whether the features go out (arXiv 2502.03032):
    of all features of the spec's graphs, or of a sample.

    text     a .txt, .jsonl or .npy file
    graph    names of graphs, instead of all that the spec has
    sample   validate so many features of each layer, drawn by `seed`, instead of those of graphs
    match    names of matches, where the spec has several of a kind
    method   some of METHODS; all but "exhaustive" if there is none
    loss     also the change of the loss behind the token
    options  further ones of `weirc validate --help`: model="a.pt2", occurrences=20, context=256, …

    On a terminal a line shows how far it is. A call that was killed goes on where it was when it is made again. Raises
    CompileError with weirc's messages.
    """
    with tempfile.TemporaryDirectory(prefix="weir-validate-") as folder:
        cases, tokens = Path(folder) / "cases.csv", Path(folder) / "tokens.npy"
        report = compiler.weirc(
            "validate", os.fspath(spec), shows_progress=True, text=os.fspath(text), sample=sample, seed=seed, loss=loss,
            cases=cases, tokens=tokens, **options,
            **{name: [given] if isinstance(given, str) else list(given)
               for name, given in (("graph", graph), ("match", match), ("method", method))})
        return Validation(table=_table(report["table"]), edges=_edges(report["edges"]), cases=_cases(cases),
                          tokens=numpy.load(tokens), labels=report["labels"], report=report)
