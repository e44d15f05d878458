# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""docs/stages.md: what it shows of each stage is what the tools print, line by line and in order."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import families
import numpy
import pytest
import random_dictionaries
from engines import ROOT, call, TOOLS

PAGE = ROOT / "docs" / "stages.md"
# The passes between a stage and the one before it.
STAGES = {
    "import": "",
    "sites": "fx.program(fx-find-sites)",
    "resolve": "flow-resolve{{base={folder}}}",
    "expand": "steer-expand-policies",
    "merge": "cse,steer-tabulate-plans,fx.program(cse,steer-merge,canonicalize)",
    "decompose": "fx.program(steer-select-lowering,steer-widen-patches,steer-decompose-reads)",
    "lower": "fx.program(convert-steer-to-fx,fx-strip-sites,cse,canonicalize,fx-dce)",
}


def blocks() -> list[tuple[str, str]]:
    return re.findall(r"^```(\S+(?: \S+)?)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def opened(module: str) -> tuple[list[str], list[str]]:
    """The aliases before a module and what it holds."""
    lines = module.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("module"))
    return lines[:start], lines[start + 1:-1]


@pytest.fixture(scope="module")
def stages(tmp_path_factory) -> dict[str, list[str]]:
    """What the tools print of each stage."""
    folder: Path = tmp_path_factory.mktemp("stages")
    random_dictionaries.write_sae(folder / "sae/res.1", numpy.random.default_rng(3), 32, 7.0, architecture="jumprelu",
                                  normalize="none", metadata={"hook_name": "blocks.1.hook_resid_post"})
    (folder / "spec.yaml").write_text(next(text for kind, text in blocks() if kind == "yaml"))
    (folder / "tiny.pt2").symlink_to(families.exported("llama"))
    call("weirc", "check", folder / "spec.yaml", "--model", folder / "tiny.pt2")
    parts = [opened(call("weir-translate", *how)) for how in (("--import-spec", folder / "spec.yaml"),
                                                             ("--import-pt2", folder / "tiny.pt2"))]
    module = "\n".join([*parts[0][0], *parts[1][0], "module {", *parts[0][1], *parts[1][1], "}"])
    printed = {}
    for stage, passes in STAGES.items():
        done = subprocess.run([TOOLS / "weir-opt", f"--pass-pipeline=builtin.module({passes.format(folder=folder)})"], input=module,
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        module = done.stdout
        printed[stage] = module.splitlines()
    return printed


def matches(shown: str, line: str, names: dict[str, str]) -> bool:
    """Whether a line is the one that is shown, up to what stands behind `…` and to the numbers of values, which are
    the same ones within a block: `names` learns them."""
    shown, is_cut = shown.removesuffix("…").rstrip(), shown.endswith("…")
    number = re.compile(r"%\d+\b")
    here, there = number.findall(shown), number.findall(line)
    if is_cut:
        there = there[:len(here)]
    plain, cut = number.sub("%N", shown), number.sub("%N", line.strip())
    if not (cut.startswith(plain) if is_cut else cut == plain) or len(here) != len(there):
        return False
    known = dict(names)
    for one, other in zip(here, there):
        if known.setdefault(one, other) != other:
            return False
    names.update(known)
    return len(set(known.values())) == len(known)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_as_the_page_shows_it(stages, stage):
    found = [text for kind, text in blocks() if kind == f"mlir {stage}"]
    assert found, "the page shows every stage"
    for text in found:
        lines, names = iter(stages[stage]), {}
        for shown in text.splitlines():
            assert any(matches(shown.strip(), line, names) for line in lines), f"not there, or not in this order: {shown}"


def test_the_page_has_no_other_blocks():
    assert {kind for kind, _ in blocks()} == {"yaml", *(f"mlir {stage}" for stage in STAGES)}


def test_what_would_not_match():
    assert matches("%1 = a %2 : …", "  %7 = a %9 : i64", {})
    assert not matches("%1 = a %1 : …", "%7 = a %9 : i64", {}), "one name is one value"
    assert not matches("%1 = a", "%7 = a : i64", {}) and not matches("%1 = b …", "%7 = a : i64", {})
