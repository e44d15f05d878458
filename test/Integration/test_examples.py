# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Every example compiles as it is written, and docs/matches.md has the numbers of the one it is about."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest
from engines import ROOT, TOOLS
from weir.export import cached

FOLDER = ROOT / "examples" / "smollm2"
EXAMPLES = sorted(path.name for path in FOLDER.glob("*.yaml"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def weirc(*arguments) -> dict:
    done = subprocess.run([TOOLS / "weirc", *map(str, arguments), "--json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_compiles(name, cache):
    report = weirc("explain", FOLDER / name, "--model", cached("smollm2"), "--cache", cache)["report"]
    assert report["sites"]


def test_the_walkthrough(cache, tmp_path):
    done = subprocess.run([sys.executable, FOLDER / "walkthrough.py", tmp_path], capture_output=True, text=True,
                          env=os.environ | {"WEIR_CACHE": str(cache)})
    assert done.returncode == 0, done.stderr
    assert "13/res/1103 -> 14/res/839" in done.stdout and "12 features of layers 11 to 16, 11 edges." in done.stdout
    assert re.search(r"edges have a case, with a mean effect of 0\.\d\d", done.stdout) and "0.4: +" in done.stdout, done.stdout
    assert (tmp_path / "war.html").read_text().startswith("<!DOCTYPE html>") and len(list(tmp_path.iterdir())) == 1


def test_the_page_about_matches_has_the_numbers_of_the_command(cache):
    found = weirc("match", FOLDER / "matches.yaml", "--cache", cache)
    page = (ROOT / "docs" / "matches.md").read_text()
    pairs = {(entry["matching"], entry["source"], entry["target"]): entry for entry in found["matches"]
             if entry["steps"] == 1}

    def cell(entry) -> str:
        return f"{entry['cosines']['median']:.3f}, {100 * entry['shares']['0.5']:.1f}%"

    for layer in range(10, 17):
        cells = [cell(pairs["flow", f"res.{layer}", to]) for to in (f"res.{layer - 1}", f"mlp.{layer}", f"att.{layer}")]
        assert f"| {layer} | {' | '.join(cells)} |" in page
    for layer in range(9, 16):
        text = cell(pairs["permutation", f"res.{layer}", f"res.{layer + 1}"]).replace(", ", " | ")
        assert f"| {layer} to {layer + 1} | {text} |" in page
    for name, row in (("flow", "top 1"), ("permutation", "permutation")):
        means = [point["cosines"]["mean"] for point in found["curve"] if point["matching"] == name]
        assert f"| {row} | {' | '.join(f'{mean:.3f}' for mean in means)} |" in page
    for entry in found["matches"]:
        if "certificate" in entry:
            assert abs(entry["certificate"]["gap"]) < 1e-15 and entry["certificate"]["worst_reduced_cost"] > -1e-15


def test_the_chain_on_the_page(cache):
    """Each feature is the next one's best match a layer before."""
    page = (ROOT / "docs" / "matches.md").read_text()
    chain = re.findall(r"(\d+)/(\d+)", re.search(r"^war .*$", page, re.M)[0])
    assert len(chain) == 4
    weirc("match", FOLDER / "matches.yaml", "--cache", cache, "--export", cache / "matches.csv")
    best = {}
    for line in (cache / "matches.csv").read_text().splitlines()[1:]:
        matching, source, feature, target, other, *_, steps = line.split(",")
        if (matching, steps) == ("flow", "1"):
            best[source, feature, target] = other
    for (before, first), (layer, second) in zip(chain, chain[1:]):
        assert best[f"res.{layer}", second, f"res.{before}"] == first
