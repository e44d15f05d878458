# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs the tutorial: writes its files, runs its commands, compares what they print."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("WEIR_BUILD", ROOT / "build")).resolve()
PAGE = ROOT / "docs" / "tutorial.md"


def blocks(text: str) -> list[tuple[str, str]]:
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, flags=re.S | re.M)


def commands(block: str) -> list[tuple[str, str]]:
    """(command, expected output) for each `$` line."""
    parts = re.split(r"^\$ ", block, flags=re.M)
    assert parts[0] == "", "a console block begins with a command"
    return [tuple(part.split("\n", 1)) for part in parts[1:]]


def matches(expected: str, printed: str) -> bool:
    """`…` stands for any text; a line that is `…` alone for any lines."""
    pattern = re.escape(expected.strip("\n")).replace("…", "(?s:.*)")
    pattern = pattern.replace("(?s:.*)\\\n", "(?s:.*)")
    return re.fullmatch(pattern, printed.strip("\n")) is not None


def test_matching_is_strict():
    assert matches("a …\nb", "a 1\nb")
    assert matches("…\nb", "a\nx\nb")
    assert not matches("a\nb", "a\nc")
    assert not matches("a", "a\nb")


def test_the_tutorial_works(tmp_path):
    env = dict(os.environ, OMP_NUM_THREADS="1",
               PYTHONPATH=str(ROOT / "python"),
               PATH=os.pathsep.join([str(BUILD / "bin"),
                                     str(Path(sys.executable).parent),
                                     os.environ["PATH"]]))
    ran = 0
    for language, text in blocks(PAGE.read_text()):
        if language in ("yaml", "python"):
            name = re.match(r"# (\S+)\n", text).group(1)
            (tmp_path / name).write_text(text)
            continue
        assert language == "console"
        for command, expected in commands(text):
            done = subprocess.run(command, shell=True, cwd=tmp_path, env=env,
                                  stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)
            assert done.returncode == 0, f"$ {command}\n{done.stdout}"
            # An export may say what it does; everything else is compared.
            if "weir export" not in command:
                assert matches(expected, done.stdout), (
                    f"$ {command}\nexpected:\n{expected}\nprinted:\n"
                    f"{done.stdout}")
            ran += 1
    assert ran >= 15
