# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the largest and worst inputs cost: below 1 MiB at most 1 GiB of memory and 20 s, accepted or refused.

    WEIR_BUILD=build pytest -s test/Integration/test_input_limits.py    # prints the table of docs/testing.md
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import families
import numpy
import pytest
from weir import compiler

MIB = 1 << 20
HEAD = """weir: 1
model: {program: model.pt2}
dictionaries:
  n: {format: neurons, sites: [mlp], layers: 0..2}
"""


@dataclasses.dataclass(frozen=True)
class Cost:
    size: int  # bytes of the input
    status: int
    message: str
    memory: int  # bytes, at the peak
    seconds: float  # of the processor


# A child's peak counts the memory of the process that it was forked from: a small one in between.
MEASURE = """
import json, os, subprocess, sys
process = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(sys.argv[1], "wb"))
_, status, usage = os.wait4(process.pid, 0)
print(json.dumps([os.waitstatus_to_exitcode(status), usage.ru_maxrss << 10, usage.ru_utime + usage.ru_stime]))
"""


def run(folder: Path, size: int, tool: str, *arguments) -> Cost:
    """Runs a tool in `folder` and measures it."""
    said = folder / "stderr"
    measured = subprocess.run(
        [sys.executable, "-S", "-c", MEASURE, said, compiler.tool(tool), *map(str, arguments)], cwd=folder, check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, timeout=300)
    status, memory, seconds = json.loads(measured.stdout)
    assert said.stat().st_size <= MIB, "messages of more than a megabyte"
    return Cost(size, status, said.read_text(errors="replace"), memory, seconds)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("limits")
    (folder / "model.pt2").symlink_to(families.exported("llama"))
    return folder


# ---- specs

def policies(texts, plans=None) -> str:
    names = [f"p{i}" for i in range(len(texts))]
    lines = [HEAD + "policies:"] + [f"  {name}: {text}" for name, text in zip(names, texts)]
    lines += ["plans:"] + [f"  {name}: [{', '.join(members)}]" for name, members in (plans or {"q": names}).items()]
    return "\n".join(lines) + "\n"


def feature(i: int, features: int = 48) -> str:
    return f"{i // features % 3}/mlp/{i % features}"


def many(text: str, count: int) -> str:
    return ", ".join(text % i for i in range(count))


VALUES = ", ".join(f"{layer}/{kind}" for layer in range(3) for kind in ("res", "mlp", "att", "mid", "head"))
# name -> (spec, what the first error has to say; None: it is accepted). As large as they may be, or 1 MiB.
SPECS = {
    "140,000 positions": (policies(
        ["{on: 1/mlp/3, do: ablate, tokens: {positions: [%s]}}" % many("%d", 140000)]), None),
    "1,000 alternatives of a condition": (policies(
        ["{on: 2/mlp/3, do: ablate, when: {any: [%s]}}" % ", ".join(
            "{feature: %s, above: %d}" % (feature(i % 48), i) for i in range(1000))]), None),
    "20,000 alternatives": (policies(
        ["{on: 2/mlp/3, do: ablate, when: {any: [%s]}}" % ", ".join(
            "{feature: %s, above: %d}" % (feature(i % 48), i) for i in range(20000))]),
        "operations to the program, and at most 3000"),
    "150 policies with 5 alternatives": (policies(
        ["{on: 2/mlp/%d, do: ablate, when: {any: [%s]}}" % (
            k % 48, ", ".join("{feature: %s, above: %d}" % (feature(i), k) for i in range(5))) for k in range(150)],
        {f"q{k}": [f"p{k}"] for k in range(150)}), None),
    "280 policies of their own tokens": (policies(
        ["{on: %s, do: set, value: %d, tokens: {positions: [%d]}}" % (feature(k), k, k) for k in range(280)],
        {f"q{k}": [f"p{k}"] for k in range(280)}), None),
    "1,000 policies of their own tokens": (policies(
        ["{on: %s, do: set, value: %d, tokens: {positions: [%d]}}" % (feature(k), k, k) for k in range(1000)],
        {f"q{k}": [f"p{k}"] for k in range(1000)}), None),
    "10,000 policies in plans of their own": (policies(
        ["{on: %s, do: set, value: %d, tokens: {from: %d}}" % (feature(k), k % 9, k % 7) for k in range(10000)],
        {f"q{k}": [f"p{k}"] for k in range(10000)}), None),
    "8,000 records": (policies(["{on: %s, do: record, tokens: {from: %d}}" % (feature(k), k) for k in range(8000)],
                               {f"q{k}": [f"p{k}"] for k in range(8000)}),
                      "operations to the program, and at most 3000"),
    "10,000 additions in one plan": (policies(
        ["{on: %s, do: add, strength: 1, tokens: {from: %d}}" % (feature(k), k) for k in range(10000)]),
        "operations to the program, and at most 3000"),
    "1,000 additions at all layers": (policies(
        ["{on: 2/mlp/%d, do: add, strength: %d, layers: 0..2, tokens: {from: %d}}" % (k % 48, k + 1, k % 20)
         for k in range(1000)]), None),
    "an addition at 10,000 layers": (policies(
        ["{on: 2/mlp/%d, do: add, strength: %d, layers: 0..9999}" % (k % 48, k + 1) for k in range(1000)]),
        "more than 200000 edits"),
    "130 policies that record all sites": (policies(
        ["{value: [%s], do: record, tokens: {from: %d}}" % (VALUES, k) for k in range(130)]), None),
    "1,000 policies that record all sites": (policies(
        ["{value: [%s], do: record}" % VALUES] * 1000), "record more than 2000 values of sites"),
    "250 policies in 700 plans": (policies(
        ["{on: %s, do: add, strength: 1, tokens: {from: %d}}" % (feature(k), k) for k in range(250)],
        {f"q{k}": [f"p{i}" for i in range(250)] for k in range(700)}), None),
    "projections in 700 orders": (policies(
        ["{on: %s, do: project_out}" % feature(k) for k in range(140)],
        {f"q{k}": [f"p{(i + k) % 140}" for i in range(140)] for k in range(700)}), "in one order"),
    "70,000 features that are not there": (policies(
        ["{on: [%s], do: ablate}" % ", ".join(f"0/mlp/{i}" for i in range(70000))],
        {f"q{k}": ["p0"] for k in range(1000)}), "too many errors"),
}


# ---- other files

def archive(folder: Path, document: str) -> int:
    """The tiny model with another document of its graph."""
    with zipfile.ZipFile(families.exported("llama")) as source, zipfile.ZipFile(folder / "hostile.pt2", "w") as target:
        for item in source.infolist():
            target.writestr(item.filename, document if item.filename.endswith("models/model.json") else source.read(item))
    return len(document)


def nested(text: str, size: int) -> str:
    return "[" + ",".join([text] * (size // (len(text) + 1))) + "]"


DOCUMENTS = {
    "graph of 1 MiB, objects": '{"schema_version": {"major": 8}, "x": ' + nested('{"":0}', MIB) + "}",
    "graph of 1 MiB, objects in objects": '{"schema_version": {"major": 8}, "x": ' + nested(
        '{"":' * 200 + "0" + "}" * 200, MIB) + "}",
    "graph of 1 MiB, numbers": '{"schema_version": {"major": 8}, "x": ' + nested("0", MIB) + "}",
    "graph of 64 MiB, numbers": '{"schema_version": {"major": 8}, "x": ' + nested("0", 63 * MIB) + "}",
}


def test_costs(folder):
    costs: dict[str, Cost] = {}
    problems = []

    def note(name: str, cost: Cost, wanted: str | None):
        costs[name] = cost
        if cost.status < 0 or (cost.status == 0) != (wanted is None) or not re.search(wanted or "", cost.message):
            problems.append(f"{name}: status {cost.status}: {cost.message[:500]}")

    for name, (text, wanted) in SPECS.items():
        assert len(text) <= MIB, name
        (folder / "spec.yaml").write_text(text)
        note("spec: " + name, run(folder, len(text), "weirc", "build", "spec.yaml", "-o", folder / "out"), wanted)
    for name, document in DOCUMENTS.items():
        note(name, run(folder, archive(folder, document), "weir-run", "hostile.pt2", "-p", "x"), "hostile.pt2: ")

    # Arrays that are zeros: as much as a file of 1 MiB may inflate to, then more.
    dictionary = folder / "scope"
    dictionary.mkdir()
    (folder / "spec.yaml").write_text(HEAD.replace("format: neurons, sites: [mlp]", "format: gemma_scope, path: scope, sites: [res]")
                                      .replace("0..2", "0") + "policies:\n  p: {on: 0/res/3, do: ablate}\n")
    for count, wanted in ((900_000, None), (20_000_000, "inflate to")):
        numpy.savez_compressed(dictionary / "params.npz", W_enc=numpy.zeros((32, count), "f4"),
                               W_dec=numpy.zeros((count, 32), "f4"), b_enc=numpy.zeros(count, "f4"),
                               b_dec=numpy.zeros(32, "f4"), threshold=numpy.zeros(count, "f4"))
        size = (dictionary / "params.npz").stat().st_size
        note(f"npz of {count:,} features", run(folder, size, "weirc", "build", "spec.yaml", "-o", folder / "out"), wanted)
    # The shape comes before the numbers.
    numpy.savez_compressed(dictionary / "params.npz", W_enc=numpy.zeros((16, 1_500_000), "f4"),
                           W_dec=numpy.zeros((1_500_000, 16), "f4"), b_enc=numpy.zeros(1_500_000, "f4"),
                           b_dec=numpy.zeros(16, "f4"), threshold=numpy.zeros(1_500_000, "f4"))
    size = (dictionary / "params.npz").stat().st_size
    cost = run(folder, size, "weirc", "build", "spec.yaml", "-o", folder / "out")
    note("npz of another width", cost, "do not fit the model")
    if cost.memory > costs["npz of 20,000,000 features"].memory + 50 * MIB:  # which was refused by its directory
        problems.append(f"an npz of the wrong width takes {cost.memory >> 20} MiB: it was inflated")

    print("\n| input | size | processor | memory at the peak |\n|---|---|---|---|")
    for name, cost in costs.items():
        print(f"| {name}{' (refused)' if cost.status else ''} | {cost.size / MIB:.2f} MiB | {cost.seconds:.1f} s | "
              f"{cost.memory >> 20} MiB |")
        if cost.size <= MIB * 1.05 and (cost.memory > 1 << 30 or cost.seconds > 20):
            problems.append(f"{name}: {cost.memory >> 20} MiB, {cost.seconds:.1f} s")
    assert not problems, "\n".join(problems)
