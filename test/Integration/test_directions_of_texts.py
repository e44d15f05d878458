# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""weirc direction: values against hooks in transformers, directions against formulas, and a spec that uses them."""

from __future__ import annotations

import json
import subprocess

import hooks
import letters
import numpy
import pytest
import safetensors.numpy
import torch
import weir

pytestmark = pytest.mark.usefixtures("warm_python")

POSITIVE = ["the ant", "a thin thing", "tint", "an inner tin\n"]
NEGATIVE = ["12, 34", "9", "0x1f é", "55 + 5"]
SITES = [(0, "res"), (1, "res"), (2, "res"), (1, "mlp")]


@pytest.fixture(scope="module")
def model():
    return letters.model()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("directions")
    (folder / "positive.txt").write_text("\n".join(text for text in POSITIVE[:3]) + "\n")
    (folder / "positive.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in POSITIVE))
    (folder / "negative.txt").write_text("\n".join(NEGATIVE))
    return folder


@torch.no_grad()
def activations(model, texts, tokens):
    """By site: what it has for each text [n, d], in f64."""
    found = {site: [] for site in SITES}
    for text in texts:
        ids = letters.tokenizer()(text, return_tensors="pt")["input_ids"]

        def see(layer, kind, x):
            own = x[0, 1:].double()  # without <bos>
            found[layer, kind].append((own[-1] if tokens == "last" else own.mean(0)).numpy())
            return x

        with hooks.hooked(model, model.config, SITES, see):
            model(ids, use_cache=False)
    return {site: numpy.stack(values) for site, values in found.items()}


def direction(folder, *options, positive="positive.txt", code=0):
    done = subprocess.run([weir.tool("weirc"), "direction", letters.exported(), "--positive", folder / positive, "--negative",
                           folder / "negative.txt", *map(str, options)], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done


@pytest.mark.parametrize("tokens", ["last", "mean"])
def test_all_sites_in_one_pass_against_hooks(model, folder, tokens):
    done = direction(folder, "--site", "res", "--site", "1/mlp", "--tokens", tokens, "--json",
                     "-o", folder / tokens / "{site}.{layer}.safetensors")
    rows = json.loads(done.stdout)["directions"]
    assert [row["site"] for row in rows] == ["0/res", "1/res", "2/res", "1/mlp"]
    positive, negative = activations(model, POSITIVE[:3], tokens), activations(model, NEGATIVE, tokens)
    for (layer, kind), row in zip(SITES, rows):
        want = positive[layer, kind].mean(0) - negative[layer, kind].mean(0)
        got = safetensors.numpy.load_file(folder / tokens / f"{kind}.{layer}.safetensors")["directions"]
        assert got.shape == (1, letters.WIDTH) and got.dtype == numpy.float32
        assert numpy.abs(got[0] - want).max() < 1e-4 * numpy.abs(want).max()
        assert row["norm"] == pytest.approx(numpy.linalg.norm(want), rel=1e-4) and 0.5 < row["apart"] <= 1


@pytest.mark.parametrize("pairs", [True, False])
def test_the_first_component_against_hooks(model, folder, pairs):
    output = folder / f"pca-{pairs}.safetensors"
    direction(folder, "--site", "1/res", "--method", "pca", *(["--pairs"] if pairs else []), "-o", output,
              positive="positive.jsonl")
    positive, negative = (activations(model, texts, "last")[1, "res"] for texts in (POSITIVE, NEGATIVE))
    middle = (positive.mean(0) + negative.mean(0)) / 2
    points = positive - negative if pairs else numpy.concatenate([positive, negative]) - middle
    axis = numpy.linalg.eigh(points.T @ points)[1][:, -1]
    want = axis * (axis @ (positive.mean(0) - negative.mean(0)))
    got = safetensors.numpy.load_file(output)["directions"][0]
    assert numpy.abs(got - want).max() < 1e-3 * numpy.abs(want).max()


@torch.no_grad()
def test_a_direction_is_a_dictionary(model, folder):
    direction(folder, "--site", "1/res", "--method", "probe", "-o", folder / "probe.safetensors")
    row = torch.from_numpy(safetensors.numpy.load_file(folder / "probe.safetensors")["directions"][0])
    (folder / "spec.yaml").write_text("""
weir: 1
model: {program: absent.pt2}
dictionaries:
  ours: {format: directions, path: probe.safetensors, sites: [res], layers: 1}
policies:
  push: {on: 1/res/0, do: add, strength: 2}
""")
    weir.compile(folder / "spec.yaml", folder / "steered", model=letters.exported())
    program = weir.load(folder / "steered")
    ids = torch.tensor([program.encode("the ant")])
    with hooks.hooked(model, model.config, [(1, "res")], lambda layer, kind, x: x + 2 * row):
        want = model(ids, use_cache=False).logits
    torch.testing.assert_close(program(ids, plan="default").logits, want, rtol=0, atol=1e-3)


def test_mistakes(folder):
    output = ("-o", folder / "out.safetensors")
    for options, reason in (
            (("--site", "7/res", *output), "there is no 7/res; the model's layers are 0 to 2"),
            (("--site", "res", *output), "several sites: put {layer} and {site}"),
            (("--site", "1/res", "-o", folder / "negative.txt"), "are written as .safetensors"),
            (("--site", "1/res", "--pairs", *output), "3 positive texts and 4 negative ones make no pairs")):
        assert reason in direction(folder, *options, code=2).stderr
    (folder / "long.txt").write_text("e" * 60)
    assert "has 61 tokens; the program has room for 40" in direction(folder, "--site", "1/res", *output, positive="long.txt", code=2).stderr
    assert "the same mean" in direction(folder, "--site", "1/res", *output, positive="negative.txt", code=2).stderr
    assert not (folder / "out.safetensors").exists()
    help = subprocess.run([weir.tool("weirc"), "direction", "--help"], capture_output=True, text=True)
    assert help.returncode == 0 and "--positive FILE" in help.stdout
