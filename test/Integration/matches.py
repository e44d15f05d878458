# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Specs with matches, their dictionaries, and the same matches by NumPy and SciPy."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy
import random_dictionaries
from engines import TOOLS
from safetensors.numpy import load_file
from scipy.optimize import linear_sum_assignment

WIDTH = 8
SPEC = """\
weir: 1
model: {program: absent.pt2}
dictionaries:
  sae: {format: sae_lens, path: "dictionaries/{site}.{layer}", sites: [res, mlp], layers: 0..2}
matches:
  flow: {method: top_k, k: 2}
  parts: {sites: [res], method: top_k, similarity: dot, weights: [decoder, encoder, encoder_bias], fold: decoder_norm}
  permutation: {sites: [res], method: permutation, fold: threshold, weights: [decoder, encoder, encoder_bias]}
policies: {}
"""
# Pairs of sites of a matching, from the features that are looked up to those that are found.
FLOW = [("res.0", "mlp.0"), ("res.1", "res.0"), ("res.1", "mlp.1"), ("res.2", "res.1"), ("res.2", "mlp.2")]
PARTS = [("res.1", "res.0"), ("res.2", "res.1")]
PERMUTATION = [("res.0", "res.1"), ("res.1", "res.2")]


class Case:
    """A spec in a folder of its own, with a cache of its own."""

    def __init__(self, folder: Path, spec: str = SPEC, *, features: int = 24, seed: int = 0):
        self.folder, self.cache, self.path = folder, folder / "cache", folder / "spec.yaml"
        self.path.write_text(spec)
        random = numpy.random.default_rng(seed)
        for layer in range(3):
            for site, count in (("res", features), ("mlp", features // 2 + layer)):
                random_dictionaries.write_sae(
                    folder / f"dictionaries/{site}.{layer}", random, WIDTH, 1.0, architecture="jumprelu",
                    normalize="none", features=count)

    def line(self, text: str) -> int:
        """The number of the spec's first line that contains a text."""
        lines = self.path.read_text().split("\n")
        return next(number for number, line in enumerate(lines, 1) if text in line)

    def weights_file(self, site: str) -> Path:
        return self.folder / "dictionaries" / site / "sae_weights.safetensors"

    def command(self, *arguments) -> list[str]:
        return [str(TOOLS / "weirc"), "match", str(self.path), "--cache", str(self.cache), *map(str, arguments)]

    def run(self, *arguments, code: int = 0) -> subprocess.CompletedProcess:
        return run(self.command(*arguments), code)

    def match(self, *arguments) -> dict:
        """What `weirc match --json` says."""
        return json.loads(self.run("--json", *arguments).stdout)

    def entries(self) -> list[Path]:
        return sorted((self.cache / "v1").rglob("*.safetensors"))

    def export(self, name: str = "matches.safetensors") -> dict:
        """The matches as tensors."""
        path = self.folder / name
        self.run("--export", path)
        return load_file(path)

    def forget(self):
        shutil.rmtree(self.cache, ignore_errors=True)


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def run(command: list[str], code: int = 0) -> subprocess.CompletedProcess:
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=300)
    assert done.returncode == code, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done


def cache_command(case: Case, command: str, *arguments, code: int = 0) -> subprocess.CompletedProcess:
    return run([str(TOOLS / "weirc"), "cache", command, "--cache", str(case.cache), *map(str, arguments)], code)


def same(one: dict, two: dict) -> bool:
    return one.keys() == two.keys() and all(numpy.array_equal(one[name], two[name]) for name in one)


# The definitions, in float64 from weights that are folded in float32.


def rows(case: Case, site: str, parts=("decoder",), fold: str = "none") -> numpy.ndarray:
    """The features as rows [F, n]."""
    weights = load_file(case.weights_file(site))
    decoder, encoder, bias = weights["W_dec"], weights["W_enc"].T, weights["b_enc"][:, None]
    if json.loads(case.weights_file(site).with_name("cfg.json").read_text())["apply_b_dec_to_input"]:
        bias = (bias - encoder.astype(numpy.float64) @ weights["b_dec"][:, None]).astype(numpy.float32)
    if fold == "threshold":
        scale = weights["threshold"][:, None]
        decoder, encoder, bias = decoder * scale, encoder / scale, bias / scale
    elif fold == "decoder_norm":
        norm = numpy.linalg.norm(decoder.astype(numpy.float64), axis=1, keepdims=True)
        decoder, encoder, bias = decoder / norm, encoder * norm, bias * norm
    all_parts = {"decoder": decoder, "encoder": encoder, "encoder_bias": bias}
    return numpy.concatenate([all_parts[part] for part in parts], axis=1).astype(numpy.float32).astype(numpy.float64)


def similarities(a: numpy.ndarray, b: numpy.ndarray, kind: str) -> numpy.ndarray:
    if kind == "cosine":
        a, b = (x / numpy.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    if kind == "mse":
        return -((a[:, None] - b[None]) ** 2).mean(axis=2)
    return a @ b.T


def best(table: numpy.ndarray, k: int):
    """(indices, values) of the k largest of every row, best first."""
    order = numpy.argsort(-table, axis=1, kind="stable")[:, :k]
    return order, numpy.take_along_axis(table, order, axis=1)


def assignment(table: numpy.ndarray):
    """(indices [F], values [F]) with the largest total."""
    taken, columns = linear_sum_assignment(table, maximize=True)
    assert numpy.array_equal(taken, numpy.arange(len(table)))
    return columns, table[taken, columns]
