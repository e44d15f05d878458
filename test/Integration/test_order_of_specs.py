# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A spec is a set of names: in whatever order its sections, dictionaries, matches, graphs, labels, knobs, policies and plans
stand, and the members of its lists that are sets, `weirc validate` and `features` give the same to the bit, and what chance
chooses is the same. So do `evaluate` and `sweep` but for losses under plans with several additions at a site: a program
adds them up in the order of the spec, in f32, and no sum of rounded numbers is that of another order. The order of what is listed is
the spec's. (`weirc graph`: test_graphs.py.)"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys

import hooks
import letters
import numpy
import pytest
import random_dictionaries
import specs
import torch
import weir
from conftest import EFFORT

pytestmark = pytest.mark.usefixtures("warm_python")

SPEC = """\
weir: 1
model: {program: PROGRAM}
dictionaries:
  sae: {format: sae_lens, path: "sae/{site}.{layer}", sites: [res, mlp, att], layers: 0..2}
  scope: {format: gemma_scope, path: "scope/{layer}", sites: [res], layers: 0..2}
matches:
  flow: {dictionary: sae, method: top_k, k: 3, similarity: cosine}
  paired: {dictionary: sae, sites: [res], method: permutation, similarity: cosine}
  other: {dictionary: scope, method: top_k, k: 2, similarity: cosine}
labels: {"sae:2/res/5": war, "sae:1/res/3": peace, "scope:1/res/2": letters}
features:
  named: ["sae:1/res/3", "sae:2/res/7", "sae:1/mlp/2"]
  opposed: {antagonists: "sae:1/res/3", count: 2}
graphs:
  war: {from: ["sae:2/res/5", "sae:2/res/1"], match: flow, width: 2}
  peace: {from: "sae:1/res/3", match: flow, direction: both, width: 2}
  all: {union: [war, peace]}
  apart: {from: "scope:2/res/4", match: other, width: 2}
knobs:
  much: {default: 0.5, range: [-4, 4]}
  less: {default: -0.25}
policies:
  push: {on: {graph: war}, do: add, strength: {value: 0.7, times: much, weight: similarity}, tokens: {skip_first: 1}}
  pull: {on: [{features: named}, "sae:2/mlp/1"], do: add, strength: {value: 0.3, times: less}, layers: cumulative}
  mute: {on: [{features: opposed}, "scope:0/res/1"], do: scale, factor: 0.5}
  when: {on: [{graph: apart, sites: [res]}], do: clamp, max: 1, when: {all: [{feature: "sae:0/mlp/3", above: 0}, {graph: apart, roots: true, above: 0.1}]}}
  away: {on: ["sae:1/att/4", "sae:1/att/2"], do: project_out, norm: preserve}
plans:
  whole: [push, pull, mute, when, away]
  some: [push, mute]
  one: [pull]
"""
# Members of these lists are a set: the order of others says something, such as which feature gives to which.
SETS = {"sites", "from", "union", "on", "all", "named", "whole", "some", "one"}
TEXT = ["The answer then is in the other hand, and the ant in the tin.", "An ant ran in, and the rain ran on at ten.", "Tea."]
COMMANDS = {
    "validate": ["--text", "text.jsonl", "--context", 24, "--occurrences", 3, "--loss", "--loss-tokens", 3, "--cases", "cases.csv"],
    "validate, a sample": ["--text", "text.jsonl", "--context", 24, "--sample", 4, "--match", "flow", "--match", "paired", "--occurrences", 2,
                           "--cases", "cases.csv"],
    "evaluate": ["--text", "text.jsonl", "--context", 24, "--judge", "JUDGE", "--judge-pairs", 5],
    "sweep": ["--text", "text.jsonl", "--context", 24, "--plan", "whole", "--knob", "much=-1:2:4", "--knob", "less=0.5", "--prompt", "The ",
              "-n", 6, "--words", "the,an", "--schedules", "push"],
    "features": ["--text", "text.jsonl", "--context", 24, "--contexts", 3, "--neighbours", 3],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("order")
    model, numbers, sizes = letters.model(), numpy.random.default_rng(3), {}

    def measure(layer, kind, x):
        sizes[layer, kind] = x.shape[-1], float(x.std())
        return x

    with torch.no_grad(), hooks.hooked(model, model.config, [(layer, kind) for layer in range(3) for kind in ("res", "mlp", "att")], measure):
        model(letters.tokenizer()(TEXT[0], return_tensors="pt")["input_ids"], use_cache=False)
    for (layer, kind), size in sizes.items():
        random_dictionaries.write_sae(folder / f"sae/{kind}.{layer}", numbers, *size, architecture="jumprelu", normalize="none")
    for layer in range(3):
        random_dictionaries.write_gemma_scope(folder / f"scope/{layer}", numbers, *sizes[layer, "res"])
    (folder / "judge.py").write_text("import json, sys, zlib\nfor line in sys.stdin:\n    pair = json.loads(line)\n"
                                     "    verdict = ('SAME', 'MAYBE', 'DIFFERENT')[zlib.crc32(' '.join(pair['features']).encode()) % 3]\n"
                                     "    print(json.dumps({'id': pair['id'], 'verdict': verdict}))\n")
    (folder / "text.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXT))
    return folder


def turned(value, draw: random.Random | None, name: str = ""):
    """The same spec in another order: that of a draw, or the other way round."""
    if isinstance(value, dict):
        members = [(key, turned(each, draw, key)) for key, each in value.items()]
    elif isinstance(value, list) and name in SETS:
        members = [turned(each, draw) for each in value]
    else:
        return value
    members = draw.sample(members, len(members)) if draw else members[::-1]
    return dict(members) if isinstance(value, dict) else members


def in_order(value):
    """Lists of objects and of names sorted, by all but their numbers: their order is the spec's."""
    if isinstance(value, dict):
        return {key: in_order(each) for key, each in value.items()}
    if isinstance(value, list):
        found = [in_order(each) for each in value]
        if all(isinstance(each, (dict, str)) for each in found):
            found.sort(key=lambda each: re.sub(r"-?\d+\.\d+(e-?\d+)?", "", json.dumps(each, sort_keys=True)))
        return found
    return value


# What a sum in another order may be off by: changes are differences of losses of about 7 nats.
ROUNDING = 2e-6


def assert_same(got, want, path=""):
    """Equal but for the rounding of losses, and their intervals."""
    if isinstance(want, dict):
        assert got.keys() == want.keys(), path
        for key in want:
            assert_same(got[key], want[key], f"{path}.{key}")
    elif isinstance(want, list):
        assert len(got) == len(want), path
        for place, (a, b) in enumerate(zip(got, want)):
            assert_same(a, b, f"{path}[{place}]")
    elif isinstance(want, float) and path.rpartition(".")[2] in ("mean", "half_width") and path.split(".")[-2] in ("loss", "change"):
        assert got == pytest.approx(want, abs=ROUNDING), path
    else:
        assert got == want, path


def given(folder, place, spec: dict, command: str):
    """What a command says of a spec, and the cases that it writes, without anything that was computed before."""
    path = folder / f"{place.name}.yaml"
    path.write_text(specs.text(spec))
    files = {"text.jsonl": folder / "text.jsonl", "cases.csv": place / "cases.csv", "JUDGE": f"{sys.executable} {folder / 'judge.py'}"}
    words = [files.get(word, word) for word in COMMANDS[command]]
    done = subprocess.run([weir.tool("weirc"), command.partition(",")[0], path, "--json", "--cache", place / "cache",
                           *map(str, words)], capture_output=True, text=True, env=os.environ | {"WEIR_CACHE": str(place / "cache")})
    assert done.returncode == 0, done.stdout + done.stderr
    cases = (place / "cases.csv").read_text().splitlines() if "cases.csv" in COMMANDS[command] else []
    return json.loads(done.stdout), sorted(cases)


@pytest.mark.parametrize("command", COMMANDS)
def test_no_result_depends_on_the_order_of_the_spec(folder, tmp_path, command):
    spec = hooks.read(SPEC.replace("PROGRAM", str(letters.exported())))
    (tmp_path / "written").mkdir()
    said, cases = given(folder, tmp_path / "written", spec, command)
    for number in range(1 + EFFORT):
        place = tmp_path / f"turned{number}"
        place.mkdir()
        other = turned(spec, random.Random(number) if number else None)
        assert other.keys() == spec.keys() and specs.text(other) != specs.text(spec)
        again, other_cases = given(folder, place, other, command)
        try:
            assert_same(in_order(again), in_order(said))
            assert other_cases == cases
        except AssertionError as error:
            error.add_note(specs.text(other))
            raise
