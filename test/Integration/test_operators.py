# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A program that calls an operator outside the catalogue is built and run when the user names it, and not otherwise.

The operator is `special_expit`, sigmoid under a name that the catalogue lacks.
"""

from __future__ import annotations

import json
import os
import subprocess
import zipfile
from pathlib import Path

import families
import numpy
import pytest
import torch
import weir.__main__ as main
from weir import aot, archives, comparison
from weir.compiler import flags, tool
from weir.errors import WeirError, WeirWarning

NAME = "aten.special_expit.default"
SPEC = """weir: 1
model: {program: foreign.pt2}
dictionaries:
  n: {format: neurons, sites: [mlp], layers: 0..0}
policies:
  a: {on: {features: [0/mlp/1]}, do: ablate}
plans:
  a: [a]
"""


def run(*command) -> subprocess.CompletedProcess:
    return subprocess.run(list(map(str, command)), capture_output=True, text=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """foreign.pt2, the tiny Llama with another activation, spec.yaml and ids.npy."""
    folder = tmp_path_factory.mktemp("operators")
    with zipfile.ZipFile(families.exported("llama")) as source, zipfile.ZipFile(folder / "foreign.pt2", "w") as out:
        for info in source.infolist():
            data = source.read(info)
            if info.filename.endswith("models/model.json"):
                program = json.loads(data)
                for node in program["graph_module"]["graph"]["nodes"]:
                    if node["target"] == "torch.ops.aten.silu.default":
                        node["target"] = f"torch.ops.{NAME}"
                data = json.dumps(program).encode()
            out.writestr(info.filename, data)
    (folder / "spec.yaml").write_text(SPEC)
    numpy.save(folder / "ids.npy", numpy.array([[3, 4, 5]]))
    return folder


def test_builder_and_runner_say_the_same(folder):
    out = folder / "refused"
    build = run(tool("weirc"), "build", folder / "spec.yaml", "-o", out)
    logits = folder / "refused.npy"
    ran = run(tool("weir-run"), folder / "foreign.pt2", "--ids", folder / "ids.npy", "--logits", logits)
    assert (build.returncode, ran.returncode) == (2, 1)
    reason = ran.stderr[ran.stderr.index("node "):].strip()
    assert f"calls {NAME}, which is not one of the operators" in reason and f"give --allow-operator {NAME}" in reason
    assert reason in build.stderr
    assert not out.exists() and not logits.exists()


def test_named_operator_is_named_again_to_run(folder):
    allow = ["--allow-operator", NAME]
    out, logits = folder / "allowed", folder / "allowed.npy"
    build = run(tool("weirc"), "build", folder / "spec.yaml", "-o", out, *allow)
    assert build.returncode == 0, build.stderr
    assert f"warning: the program calls {NAME}, which --allow-operator allows" in build.stderr
    command = [tool("weir-run"), out, "--ids", folder / "ids.npy", "--logits", logits]
    again = run(*command)
    assert again.returncode == 1 and "needs it again when it runs" in again.stderr
    ran = run(*command, *allow)
    assert ran.returncode == 0, ran.stderr
    assert f"weir-run: warning: the program calls {NAME}" in ran.stderr
    assert numpy.load(logits).shape == (1, 3, families.VOCABULARY)


def test_packages_of_named_operators(folder, monkeypatch):
    """`python -m weir aot` compiles such a program, and compares it with the reference engine, if it is told as well."""
    path = folder / "foreign.pt2"
    with pytest.raises(WeirError, match=f"give --allow-operator {NAME}"):
        aot.package(path)
    with pytest.warns(WeirWarning, match=f"the program calls {NAME}"), archives.opening(path, allow_operators=[NAME]) as opened:
        case = comparison._case(1, 3, families.VOCABULARY, [-1], {})
        assert comparison._reference(opened, path, case, {}, [NAME])[0].shape == (1, 3, families.VOCABULARY)
        with pytest.raises(WeirError, match="cannot be compared with the reference engine: .*--allow-operator"):
            comparison._reference(opened, path, case, {}, [])

    def reached(*arguments, **options):
        raise RuntimeError("reached")

    monkeypatch.setattr(torch._inductor, "aoti_compile_and_package", reached)
    with pytest.warns(WeirWarning), pytest.raises(WeirError, match="AOTInductor cannot compile .*: reached"):
        aot.package(path, allow_operators=[NAME])
    assert main._parser().parse_args(["aot", "x.pt2", "--allow-operator", "a", "--allow-operator", "b"]).allow_operator == ["a", "b"]


def test_a_build_tells_who_makes_its_package(folder, tmp_path):
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\n')
    python.chmod(0o755)
    done = subprocess.run([tool("weirc"), "build", folder / "spec.yaml", "-o", tmp_path / "out", "--engine", "aot", "--allow-operator", NAME],
                          capture_output=True, text=True, env=dict(os.environ, WEIR_PYTHON=str(python)))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "arguments").read_text().endswith(f"program.aot.pt2 --allow-operator {NAME}\n")


def test_python_names_several():
    assert flags({"allow_operator": ["a.b.c", "a.d.e"], "json": True}) == [
        "--allow-operator", "a.b.c", "--allow-operator", "a.d.e", "--json"]


def test_memory_is_bounded(folder):
    command = [tool("weir-run"), families.exported("llama"), "--ids", folder / "ids.npy", "--logits", folder / "m.npy"]
    small = run(*command, "--max-memory", "1")
    assert small.returncode == 2 and "that this program may hold (--max-memory)" in small.stderr
    assert not (folder / "m.npy").exists()
    assert run(*command, "--max-memory", "64M").returncode == 0
