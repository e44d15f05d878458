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


def prefix() -> Path | None:
    """What this package was installed into: PREFIX of PREFIX/lib/pythonX.Y/site-packages/weir. A build
    folder is one, by a link, which is therefore not followed."""
    packages = Path(os.path.abspath(__file__)).parents[1]
    if packages.name == "site-packages" and packages.parents[1].name == "lib":
        return packages.parents[2]
    return None


def installed(*parts: str) -> Path | None:
    """A file that was installed with this package, if it is there."""
    root = prefix()
    path = root.joinpath(*parts) if root else None
    return path if path and path.is_file() else None


def tool(name: str) -> Path:
    """The path of one of Weir's tools: in $WEIR_BUILD/bin, where this package was installed, or on
    PATH."""
    if folder := os.environ.get("WEIR_BUILD"):
        path = Path(folder) / "bin" / name
        if not path.is_file():
            raise WeirError(f"$WEIR_BUILD has no bin/{name}: {path} does not exist")
        return path
    if path := installed("bin", name):
        return path
    if found := shutil.which(name):
        return Path(found)
    raise WeirError(f"{name} is not installed with this package and not on PATH: run ./bootstrap build, or name the build folder "
                    "in WEIR_BUILD")


def _line(diagnostic: dict) -> str:
    place = "".join(f"{diagnostic[key]}:" for key in ("file", "line", "column") if key in diagnostic)
    lines = [f"{place}{' ' if place else ''}{diagnostic['severity']}: {diagnostic['message']}"]
    lines += [_line(note) for note in diagnostic.get("notes", ())]
    return "\n".join(lines)


def flags(options: dict) -> list[str]:
    """{"model": "a.pt2", "remarks": True} -> ["--model", "a.pt2", "--remarks"]; None and False are left out, and a list
    gives its flag once for each of its elements."""
    words = []
    for name, value in options.items():
        if value is None or value is False:
            continue
        for one in value if isinstance(value, (list, tuple)) else [value]:
            words.append("--" + name.replace("_", "-"))
            if one is not True:
                words.append(str(one))
    return words


def message(diagnostics: list[dict]) -> str:
    """Diagnostics as lines "FILE:LINE:COLUMN: SEVERITY: TEXT", notes below what they belong to."""
    return "\n".join(map(_line, diagnostics))


def result(status: int, stdout: str, stderr: str) -> dict:
    """What weirc printed with --json when it ended with `status`. Raises CompileError unless it succeeded."""
    try:
        printed = json.loads(stdout)
    except ValueError:
        printed = {}
    if status == 0 and printed.get("ok"):
        return printed
    diagnostics = printed.get("diagnostics", [])
    ended = f"weirc was killed by signal {-status}" if status < 0 else f"weirc ended with status {status}"
    # What a step in Python says stands there.
    said = "\n".join(filter(None, [stderr.strip(), message(diagnostics)]))
    raise CompileError(said or ended, diagnostics)


def weirc(*arguments: str | os.PathLike, pass_fds: tuple[int, ...] = (), shows_progress: bool = False, **options) -> dict:
    """Runs `weirc ARGUMENTS --json` with the options as flags and returns what it prints. It inherits the open
    files `pass_fds`. With `shows_progress` its progress line goes to the terminal, if there is one; messages are in the JSON.

    Raises CompileError with all messages when it fails.
    """
    command = [tool("weirc"), *arguments, "--json", *flags(options)]
    errors = None if shows_progress and os.isatty(2) else subprocess.PIPE
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=errors, text=True, pass_fds=pass_fds)
    return result(done.returncode, done.stdout, done.stderr or "")


def compile(spec: str | os.PathLike, output: str | os.PathLike, **options) -> dict:
    """Compiles `spec` into the folder `output` (`weirc build`) and returns what weirc reports about it.

    `options` are those of `weirc build --help`: model="a.pt2", engine="aot", …
    Raises CompileError with all messages when the spec, the model or a dictionary is refused.
    """
    return weirc("build", os.fspath(spec), "-o", os.fspath(output), **options)
