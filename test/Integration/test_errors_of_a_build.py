# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What only a build can find wrong, in dictionaries and in the model, is reported at the spec's line all the same.

Errors that the text of a spec shows by itself are in test/Spec.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import engines
import families
import numpy
import pytest
from safetensors.numpy import save_file

FEATURES = 16


def write(folder: Path, width: int = 32, bad: dict | None = None, hook: str | None = None) -> None:
    """A dictionary of sae_lens. `bad`: for each tensor an index and the number that is put there."""
    random = numpy.random.default_rng(0)
    tensors = {"W_enc": (width, FEATURES), "W_dec": (FEATURES, width), "b_enc": (FEATURES,), "b_dec": (width,)}
    tensors = {name: random.normal(size=shape).astype("f4") for name, shape in tensors.items()}
    for name, (index, number) in (bad or {}).items():
        tensors[name][index] = number
    folder.mkdir(parents=True)
    save_file(tensors, folder / "sae_weights.safetensors")
    (folder / "cfg.json").write_text(json.dumps({
        "architecture": "standard", "d_in": width, "d_sae": FEATURES, "dtype": "float32", "apply_b_dec_to_input": False,
        "normalize_activations": "none", "hook_name": hook or f"blocks.{folder.name[-1]}.hook_resid_post"}))


def write_others(folder: Path) -> None:
    """Formats that cannot say everything."""
    random = numpy.random.default_rng(0)

    def numbers(*shape):
        return random.normal(size=shape).astype("f4")

    (folder / "other/clt").mkdir(parents=True)
    save_file({"W_enc": numbers(FEATURES, 32), "W_dec": numbers(FEATURES, 32), "b_enc": numbers(FEATURES), "b_dec": numbers(32),
               "activation_function.threshold": -abs(numbers(FEATURES))}, folder / "other/layer_1.safetensors")
    save_file({"encoder.weight": numbers(2, 32, FEATURES), "encoder.bias": numbers(FEATURES),
               "decoder.weight": numbers(2, FEATURES, 32), "decoder.bias": numbers(2, 32)}, folder / "other/model.safetensors")
    for layer, targets in enumerate((2, 5)):
        save_file({f"W_enc_{layer}": numbers(FEATURES, 32), f"b_enc_{layer}": numbers(FEATURES), f"b_dec_{layer}": numbers(32)},
                  folder / f"other/clt/W_enc_{layer}.safetensors")
        save_file({f"W_dec_{layer}": numbers(FEATURES, targets, 32)}, folder / f"other/clt/W_dec_{layer}.safetensors")
    save_file({"direction.1": numbers(32), "direction.2": numbers(32)}, folder / "other/vector.safetensors")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("errors")
    for layer in range(3):
        write(folder / f"ok/res.{layer}")
    write(folder / "wide/res.1", width=40)
    write(folder / "nan/res.1", bad={"W_enc": ((3, 2), numpy.nan)})
    write(folder / "infinite/res.1", bad={"W_dec": ((5, 7), numpy.inf)})
    write(folder / "cut/res.1")
    weights = folder / "cut/res.1/sae_weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    write(folder / "config/res.1")
    (folder / "config/res.1/cfg.json").write_text("{\n")
    write(folder / "elsewhere/res.1", hook="blocks.1.hook_resid_pre")
    write_others(folder)
    (folder / "linked.pt2").symlink_to(families.exported("llama"))
    (folder / "text.pt2").write_text("not an archive")
    return folder


def spec(policies: str, path: str = "ok", layers: str = "0..2", model: str = "{program: linked.pt2}", more: str = "") -> str:
    return f"""weir: 1
model: {model}
dictionaries:
  sae: {{format: sae_lens, path: "{path}/{{site}}.{{layer}}", sites: [res], layers: {layers}}}
policies:
{policies}
{more}"""


def other(dictionary: str, policies: str) -> str:
    return f"weir: 1\nmodel: {{program: linked.pt2}}\ndictionaries:\n  d: {{{dictionary}}}\npolicies:\n{policies}\n"


PER_LAYER = 'format: circuit_tracer, path: "other/layer_{layer}.safetensors", sites: [mlp], layers: 1'
ACROSS = "format: circuit_tracer, path: other/clt, sites: [mlp], layers: 0..1, reads: mid"
ABLATE = "  a: {on: 1/res/5, do: ablate}"
# (a spec, the line and the text on it that are pointed at, the message, lines that notes point at)
CASES = {
    "a feature that the dictionary does not have": (
        spec("  a: {on: 1/res/16, do: ablate}"), 6, "1/res/16",
        "feature 1/res/16 is out of range: the dictionary has features 0 to 15", []),
    "a feature of a condition that the dictionary does not have": (
        spec("  a: {on: 1/res/5, do: ablate, when: {feature: 1/res/99, above: 0}}"), 6, "1/res/99",
        "feature 1/res/99 is out of range: the dictionary has features 0 to 15", []),
    "a name of a feature that the dictionary does not have": (
        spec(ABLATE, more="labels:\n  1/res/15: last\n  1/res/16: none"), 9, "1/res/16",
        "feature 1/res/16 is out of range: the dictionary has features 0 to 15", []),
    "a condition on nodes of a graph that are computed later": (
        spec("  a: {on: 0/res/5, do: ablate, when: {graph: way, above: 0}}",
             more="matches: {flow: {method: top_k, k: 1}}\ngraphs: {way: {from: 2/res/3, match: flow, layers: 1..2}}"), 6,
        "{graph: way", "which comes after 0/res: what happens at a site can depend on the same site or on an earlier one", []),
    "one of several conditions, on nodes of a graph that are computed later": (
        spec("  a:\n    on: 0/res/5\n    do: ablate\n    when:\n      all: [{feature: 0/res/1, above: 0}, {graph: way, above: 0}]",
             more="matches: {flow: {method: top_k, k: 1}}\ngraphs: {way: {from: 2/res/3, match: flow, layers: 1..2}}"), 10,
        "{graph: way", "which comes after 0/res: what happens at a site can depend on the same site or on an earlier one", []),
    "a dictionary that is not there": (
        spec("  a: {on: 7/res/5, do: ablate}", layers="0..7"), 6, "7/res/5",
        "ok/res.7: no such folder; expected a folder with cfg.json and sae_weights.safetensors", [4]),
    "rows of another width than the model's": (
        spec(ABLATE, "wide", "1"), 6, None,
        "the dictionary's rows do not fit the model: they have 40 numbers, the value at 1/res has 32", [4]),
    "NaN in what is read": (
        spec("  a: {on: 1/res/2, do: ablate}", "nan", "1"), None, None, "nan/res.1: W_enc[3, 2] is NaN", [6]),
    "infinity in what is written": (
        spec("  a: {on: 1/res/5, do: add, strength: 2}", "infinite", "1"), None, None,
        "infinite/res.1: W_dec[5, 7] is infinite", [6]),
    "files that say they belong elsewhere": (
        spec(ABLATE, "elsewhere", "1"), 6, "1/res/5",
        "elsewhere/res.1: says that it belongs to 'blocks.1.hook_resid_pre', which is 0/res, not 1/res", [4]),
    "two absolute edits of a feature under two names": (
        f"""weir: 1
model: {{program: linked.pt2}}
dictionaries:
  sae: {{format: sae_lens, path: "ok/{{site}}.{{layer}}", sites: [res], layers: 0..2}}
  again: {{format: sae_lens, path: "./ok/{{site}}.{{layer}}", sites: [res], layers: 0..2}}
policies:
  a: {{on: sae:1/res/5, do: ablate}}
  b: {{on: again:1/res/5, do: set, value: 3}}
plans: {{x: [a, b]}}
""", 8, None, "'b' and 'a' both say what feature 1/res/5 becomes in plan 'x'", [4, 7, 9]),
    "a transcoder of which nothing says where it reads": (
        other(PER_LAYER, "  a: {on: 1/mlp/5, do: ablate}"), None, None,
        "other/layer_1.safetensors: a transcoder, which reads at a place that its files do not name: say with `reads`", [6]),
    "a transcoder that would read behind where it writes": (
        other(PER_LAYER + ", reads: res", "  a: {on: 1/mlp/5, do: ablate}"), 6, None,
        "a feature of policy 'a' is read at 1/res, which comes after 1/mlp", []),
    "a threshold with which the format lets negative activations pass": (
        other(PER_LAYER + ", reads: mid", "  a: {on: 1/mlp/5, do: ablate}"), None, None,
        "other/layer_1.safetensors: the threshold of feature 5 is negative", []),
    "layers of a feature that writes at its own": (
        other(ACROSS, "  a: {on: 0/mlp/5, do: add, strength: 1, layers: 1}"), 6, None,
        "the features of @d are a cross-layer transcoder's, which says itself at which layers they are written", []),
    "a cross-layer transcoder of a deeper model": (
        other(ACROSS, "  a: {on: 1/mlp/5, do: ablate}"), 6, None,
        "the model has no site 3/mlp, 4/mlp, 5/mlp; its layers are 0 to 2", []),
    "what a crosscoder reads": (
        other("format: crosscoder, path: other, sites: [res], layers: 0..1", "  a: {on: 1/res/5, do: ablate}"), None, None,
        "other: a crosscoder reads 2 values together", [6]),
    "a crosscoder of another number of layers": (
        other("format: crosscoder, path: other, sites: [res], layers: 0..2", "  a: {on: 1/res/5, do: add, strength: 1}"), 6,
        "1/res/5", "a crosscoder of 2 values, and the dictionary covers 3 layers", [4]),
    "a direction that is not in the file": (
        other("format: directions, path: other/vector.safetensors, sites: [res], layers: 0..2",
              "  a: {on: 0/res/0, do: add, strength: 1}"), 6, "0/res/0",
        "other/vector.safetensors: has no direction of layer 0; it has those of 1, 2", [4]),
    "weights that are cut off": (spec(ABLATE, "cut", "1"), 6, "1/res/5", "cut/res.1/sae_weights.safetensors: ", [4]),
    "a configuration that is no JSON": (
        spec(ABLATE, "config", "1"), 6, "1/res/5", "config/res.1/cfg.json: line 2, column 1: ", [4]),
    "layers that the model does not have": (
        spec("  a: {on: 0/res/5, do: add, strength: 1, layers: 1..9}"), 6, None,
        "the model has no site 3/res, 4/res, 5/res and 4 more; its layers are 0 to 2", []),
    "two absolute edits of a feature": (
        spec(ABLATE + "\n  b: {on: 1/res/5, do: set, value: 3}", more="plans:\n  x: [a, b]"), 7, "1/res/5",
        "the policies 'a' (ablate) and 'b' (set) both say what the feature 1/res/5 becomes", [6, 9]),
    "modules that the model does not have": (
        spec(ABLATE, model='{program: linked.pt2, sites: {res: "model.layerz.{layer}"}}'), 2, "res: ",
        "looked for modules 'model.layerz.{layer}', which no call is made in", []),
    "a program that is not there": (
        spec(ABLATE, model="{program: absent.pt2}"), 2, "absent.pt2",
        "absent.pt2: cannot open: No such file or directory; `python -m weir export` makes one, --model names another", []),
    "a program that is none": (spec(ABLATE, model="{program: text.pt2}"), 2, "text.pt2", "text.pt2: ", []),
}


@pytest.mark.parametrize("name", CASES)
def test_error(name, folder):
    text, number, pointed, message, notes = CASES[name]
    path = folder / "spec.yaml"
    path.write_text(text)
    done = subprocess.run([engines.TOOLS / "weirc", "build", path, "-o", folder / "out", "--engine", "reference"],
                          capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert not (folder / "out").exists() and not list(folder.glob("out.*"))
    said = done.stderr.splitlines()
    errors = [index for index, line in enumerate(said) if " error: " in line]
    assert len(errors) == 1, done.stderr
    place, _, what = said[errors[0]].partition(": error: ")
    assert message in what, done.stderr

    file, line, column = place.rsplit(":", 2)
    assert Path(file) == path, done.stderr
    number = number or 4  # the dictionary's line, where a place in the weights belongs to no policy alone
    shown = text.splitlines()[number - 1]
    assert int(line) == number, done.stderr
    assert said[errors[0] + 1] == shown
    assert said[errors[0] + 2] == " " * (int(column) - 1) + "^"
    if pointed:
        assert shown[int(column) - 1 :].startswith(pointed), done.stderr
    told = [int(entry.split(": note: ")[0].rsplit(":", 2)[1]) for entry in said if ": note: " in entry]
    assert told == notes, done.stderr
