# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The documentation says what the code says."""

import functools
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"),
                *(ROOT / "examples").rglob("*.md")])


def test_generated_pages_are_up_to_date():
    done = subprocess.run([sys.executable, ROOT / "docs" / "generate.py",
                           "--check"], stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if "://" in target:
            continue
        assert (page.parent / target).exists(), f"{page.name}: {target}"


TOOLS = Path(os.environ.get("WEIR_BUILD", ROOT / "build")).resolve() / "bin"
# The programs whose commands and options pages name; those of `python -m weir` are Python's.
PROGRAMS = {"weirc": [TOOLS / "weirc"], "weir-run": [TOOLS / "weir-run"], "weir-opt": [TOOLS / "weir-opt"],
            "weir-translate": [TOOLS / "weir-translate"], "weir-lsp-server": [TOOLS / "weir-lsp-server"],
            "python -m weir": [sys.executable, "-m", "weir"]}


@functools.cache
def help_of(program: str, *commands: str) -> str:
    """What a program says of itself, or of one of its commands; empty if there is no such command."""
    hidden = ["--help-hidden"] if program.startswith("weir-") and program not in ("weir-run",) else ["--help"]
    done = subprocess.run([*PROGRAMS[program], *commands, *hidden], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT / "python")})
    return done.stdout if done.returncode == 0 else ""


def written_commands(text: str):
    """What stands behind `$` in blocks, and in backquotes: (program, its words)."""
    blocks = re.findall(r"^```console\n(.*?)^```$", text, flags=re.S | re.M)
    lines = [line[2:] for block in blocks for line in re.sub(r"\\\n", " ", block).splitlines() if line.startswith("$ ")]
    lines += re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.S | re.M))
    for line in lines:
        for part in re.split(r"\s*(?:&&|\|\||\||;)\s*", re.sub(r"\s#.*", "", line)):
            for program in PROGRAMS:
                if part == program or part.startswith(program + " "):
                    try:
                        yield program, shlex.split(part[len(program):])
                    except ValueError:  # a part of a line in quotes
                        pass


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_are_there(page):
    for program, words in written_commands(page.read_text()):
        commands = []
        if program in ("weirc", "python -m weir"):
            for word in words[:2]:
                if not re.fullmatch("[a-z]+", word) or not help_of(program, *commands, word) or commands and commands[0] != "cache":
                    break
                commands.append(word)
            if words and re.fullmatch("[a-z]+", words[0]):
                assert commands, f"{page.name}: {program} {words[0]}"
        known = help_of(program, *commands)
        for word in words:
            if re.match(r"--[a-z]", word):
                option = re.split("[=,]", word)[0]
                assert re.search(rf"{option}(?![a-z-])", known), f"{page.name}: {program} {' '.join(words)}: no {option}"


def test_rows_have_the_keys_that_the_page_names():
    page = (ROOT / "docs" / "running.md").read_text()
    page = page[page.index("**Text.**"):page.index("**Numbers.**")]
    read = set(re.findall(r'key == "(\w+)"', (ROOT / "lib/Runtime/Requests.cpp").read_text()))
    assert len(read) >= 8
    assert {key for key in read if f"`{key}`" not in page} == set()


def test_tests_that_the_page_on_testing_names_are_there():
    """Files, tests (`…` stands for the rest of a name), and the cases of a file that are called by their names."""
    files = {path.name: path for path in (ROOT / "test").rglob("*") if path.suffix in (".py", ".cpp", ".mlir", ".test", ".yaml", ".txt")}
    tests = {name for path in files.values() if path.suffix == ".py" for name in re.findall(r"^ *def (test_\w+)", path.read_text(), re.M)}
    rows = [line for line in (ROOT / "docs/testing.md").read_text().splitlines() if line.startswith("|")]
    named = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
    assert len(named) > 150
    for name in named:
        if re.fullmatch(r"[\w/.-]+\.(py|cpp|mlir|test|yaml)", name):
            assert Path(name).name in files and ("/" not in name or (ROOT / name).exists()), name
        elif re.fullmatch(r"test_[\w…]+|…_[\w…]+", name):
            assert any(re.fullmatch(name.replace("…", r"\w*"), test) for test in tests), name
