# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What `cmake --install` puts into a prefix works from there, also after the prefix was moved."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import families
import numpy
import pytest
from engines import ROOT, TOOLS
from random_dictionaries import write_sae

SPEC = """
weir: 1
model: {program: model.pt2}
dictionaries: {sae: {format: sae_lens, path: "sae{layer}", sites: [res], layers: 0..1}}
policies: {more: {on: {features: [1/res/3]}, do: add, strength: 4}}
matches: {next: {dictionary: sae, method: top_k}}
plans: {more: [more]}
"""

CONSUMER = """
cmake_minimum_required(VERSION 3.25)
project(consumer CXX)
set(CMAKE_CXX_STANDARD 20)
find_package(Weir 0.1 REQUIRED CONFIG)
add_executable(consumer consumer.cpp)
target_link_libraries(consumer PRIVATE Weir::WeirSpec)
"""

CODE = """
#include "weir/InitAllDialects.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/raw_ostream.h"
int main(int, char **argv) {
  mlir::DialectRegistry registry;
  weir::registerAllDialects(registry);
  mlir::MLIRContext context(registry);
  auto module = mlir::parseSourceString<mlir::ModuleOp>(argv[1], &context);
  if (module) module->print(llvm::outs());
  return !module;
}
"""


def environment(**changes) -> dict[str, str]:
    """Without what names a build or its packages."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WEIR_", "PYTHON", "CMAKE_"))}
    return kept | {"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"} | changes


def run(*command, status: int = 0, **options) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          env=options.pop("env", environment()), **options)
    assert done.returncode == status, f"{command[0]} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    """Installed into one folder, then moved into another."""
    folder = tmp_path_factory.mktemp("install")
    run(shutil.which("cmake"), "--install", TOOLS.parent, "--prefix", folder / "first", "--strip")
    (folder / "first").rename(folder / "moved")
    return folder / "moved"


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A spec, a model and dictionaries."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "spec.yaml").write_text(SPEC)
    shutil.copy(families.exported("llama"), folder / "model.pt2")
    width = families.model("llama").config.hidden_size
    draw = numpy.random.default_rng(0)
    for layer in (0, 1):
        write_sae(folder / f"sae{layer}", draw, width, 1.0)
    numpy.save(folder / "ids.npy", numpy.array([[3, 4, 5]]))
    return folder


def test_each_tool_works_from_where_it_is(prefix, work):
    tools = prefix / "bin"
    assert sorted(path.name for path in tools.iterdir()) == [
        "weir-codegen", "weir-lsp-server", "weir-opt", "weir-run", "weir-translate", "weirc"]
    run(tools / "weirc", "check", "spec.yaml", cwd=work)
    run(tools / "weirc", "match", "spec.yaml", "--cache", "cache", cwd=work)
    run(tools / "weirc", "build", "spec.yaml", "-o", "steered", cwd=work)
    run(tools / "weir-run", "steered", "--ids", "ids.npy", "--logits", "logits.npy", cwd=work)
    assert numpy.load(work / "logits.npy").shape == (1, 3, families.VOCABULARY)
    text = run(tools / "weir-translate", "--import-spec", "spec.yaml", cwd=work)
    assert "steer.policy @more" in run(tools / "weir-opt", "-", input=text, cwd=work)
    body = json.dumps({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"capabilities": {}}})
    answer = run(tools / "weir-lsp-server", input=f"Content-Length: {len(body)}\r\n\r\n{body}", cwd=work, status=1)
    assert "hoverProvider" in answer


def test_the_python_package_finds_what_was_installed_with_it(prefix, work):
    packages, = prefix.glob("lib/python3.*/site-packages")
    said = run(sys.executable, "-P", "-c", """
import sys, numpy, weir, weir.matching
from weir.compiler import prefix
weir.compile("spec.yaml", "compiled")
a = numpy.eye(3, dtype=numpy.float32)
print(weir.__file__, weir.tool("weirc"), prefix(), weir.matching.top_k(a, a[::-1]).indices.ravel().tolist(), sep="\\n")
""", cwd=work, env=environment(PYTHONPATH=str(packages)))
    assert said.splitlines() == [str(packages / "weir" / "__init__.py"), str(prefix / "bin" / "weirc"), str(prefix), "[2, 1, 0]"]
    assert (work / "compiled" / "program.pt2").is_file()


def test_tools_call_the_python_package_beside_them(prefix, work):
    python = work / "python"
    python.write_text(f"#!/bin/sh\necho \"$PYTHONPATH $@\" > {work}/called\nexit 3\n")
    python.chmod(0o755)
    run(prefix / "bin" / "weirc", "build", "spec.yaml", "-o", "package", "--engine", "aot", cwd=work, status=2,
        env=environment(WEIR_PYTHON=str(python)))
    packages, *arguments = (work / "called").read_text().split()
    assert (Path(packages) / "weir" / "__init__.py").is_file() and Path(packages).is_relative_to(prefix)
    assert arguments[:4] == ["-P", "-m", "weir", "aot"]
    assert not (work / "package").exists()


def test_a_virtual_environment_is_a_prefix(prefix, work):
    """Its interpreter is taken, which has what the tools need."""
    python = prefix / "bin" / "python"
    python.write_text(f"#!/bin/sh\necho \"$0\" > {work}/own\nexit 3\n")
    python.chmod(0o755)
    (prefix / "pyvenv.cfg").write_text("")
    try:
        run(prefix / "bin" / "weirc", "build", "spec.yaml", "-o", "package", "--engine", "aot", cwd=work, status=2)
    finally:
        python.unlink()
        (prefix / "pyvenv.cfg").unlink()
    assert (work / "own").read_text().strip() == str(python)


def test_nothing_names_the_sources_or_the_build(prefix):
    """But what is no part of Weir: the Python environment it was built with, and LibTorch in it."""
    named = {}
    for path in prefix.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            found = {match.decode(errors="replace") for match in re.findall(re.escape(str(ROOT)).encode() + rb"[^\0\"';:\s]*", data)}
            environment_of_python = str(Path(sys.prefix))
            if left := {text for text in found if not text.startswith(environment_of_python)}:
                named[str(path.relative_to(prefix))] = sorted(left)[:3]
    assert not named


def test_a_program_is_built_against_the_cmake_package(prefix, tmp_path):
    (tmp_path / "CMakeLists.txt").write_text(CONSUMER)
    (tmp_path / "consumer.cpp").write_text(CODE)
    cache = dict(re.findall(r"^(\w+):\w+=(.*)$", (TOOLS.parent / "CMakeCache.txt").read_text(), re.MULTILINE))
    cmake = shutil.which("cmake")
    run(cmake, "-S", ".", "-B", "build", f"-DCMAKE_PREFIX_PATH={prefix}", "-DCMAKE_BUILD_TYPE=Debug",
        *(f"-D{name}={cache[name]}" for name in ("CMAKE_CXX_COMPILER", "CMAKE_LINKER_TYPE") if cache.get(name)), cwd=tmp_path)
    run(cmake, "--build", "build", cwd=tmp_path)
    printed = run(tmp_path / "build" / "consumer", 'steer.knob @k default 1.0', cwd=tmp_path)
    assert "steer.knob @k" in printed
