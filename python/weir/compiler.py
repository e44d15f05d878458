# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Calling weirc."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from .errors import WeirError


class CompileError(WeirError):
    """weirc refused a spec. `diagnostics` is its list of messages, each a dict with severity, message
    and, where there is a place, file, line and column."""

    def __init__(self, message: str, diagnostics: list[dict]):
        super().__init__(message)
        self.diagnostics = diagnostics


def tool(name: str) -> Path:
    """The path of one of Weir's tools: in $WEIR_BUILD/bin, in build/bin of the source tree this
    package is in, or on PATH."""
    if folder := os.environ.get("WEIR_BUILD"):
        path = Path(folder) / "bin" / name
        if not path.is_file():
            raise WeirError(f"$WEIR_BUILD has no bin/{name}: {path} does not exist")
        return path
    path = Path(__file__).resolve().parents[2] / "build" / "bin" / name
    if path.is_file():
        return path
    if found := shutil.which(name):
        return Path(found)
    raise WeirError(f"{name} is not built: run ./bootstrap build, or name the build folder in WEIR_BUILD")


def _line(diagnostic: dict) -> str:
    place = "".join(f"{diagnostic[key]}:" for key in ("file", "line", "column") if key in diagnostic)
    lines = [f"{place}{' ' if place else ''}{diagnostic['severity']}: {diagnostic['message']}"]
    lines += [_line(note) for note in diagnostic.get("notes", ())]
    return "\n".join(lines)


def _flags(options: dict) -> list[str]:
    """{"model": "a.pt2", "remarks": True} -> ["--model", "a.pt2", "--remarks"]; None and False are left out."""
    flags = []
    for name, value in options.items():
        if value is None or value is False:
            continue
        flags.append("--" + name.replace("_", "-"))
        if value is not True:
            flags.append(str(value))
    return flags


def compile(spec: str | os.PathLike, output: str | os.PathLike, **options) -> dict:
    """Compiles `spec` into the folder `output` (`weirc build`) and returns what weirc reports about it.

    `options` are those of `weirc build --help`: model="a.pt2", engine="aot", …
    Raises CompileError with all messages when the spec, the model or a dictionary is refused.
    """
    command = [tool("weirc"), "build", os.fspath(spec), "-o", os.fspath(output), "--json", *_flags(options)]
    done = subprocess.run(command, capture_output=True, text=True)
    try:
        result = json.loads(done.stdout)
    except ValueError:
        result = {}
    if done.returncode == 0 and result.get("ok"):
        return result
    diagnostics = result.get("diagnostics", [])
    text = "\n".join(map(_line, diagnostics)) or done.stderr.strip() or f"weirc ended with status {done.returncode}"
    raise CompileError(text, diagnostics)
