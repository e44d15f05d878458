# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Random specs on programs that keep the blocks of a GGUF file: against hooks on the model as transformers
dequantises it (see hooks.py)."""

from __future__ import annotations

import json
import zipfile
from collections import Counter

import hypothesis
import pytest
import quantised_models
import specs
import torch
from conftest import EFFORT
from engines import Built
from models import TOLERANCE, Tally, Tiny, apart
from test_equivalence_tiny import check_whole


class Quantised(Tiny):
    def _load(self, family: str):
        return quantised_models.load(quantised_models.file(family)), quantised_models.exported(family)


@pytest.mark.parametrize("family, lower", [("llama", "aten"), ("gemma3", "kernel")])
def test_random_specs(family, lower, monkeypatch):
    monkeypatch.setattr("engines.LOWER", lower)
    model, tally = Quantised(family), Tally()

    @hypothesis.settings(max_examples=3 * EFFORT)
    @hypothesis.given(specs.cases(specs.Shape(family, tuple(model.kinds))))
    def check(case):
        check_whole(case, model, tally)

    check()
    tally.assert_enough()


def calls(folder) -> Counter:
    """The operators of a built program, and how many results each call of a joined one has."""
    with zipfile.ZipFile(folder / "program.pt2") as archive:
        name, = (name for name in archive.namelist() if name.endswith("models/model.json"))
        nodes = json.loads(archive.read(name))["graph_module"]["graph"]["nodes"]
    return Counter((node["target"].split(".")[3], len(node["outputs"][0].get("as_tensors", [None]))) for node in nodes)


@pytest.mark.parametrize("family", ["llama", "qwen2"])
def test_linear_maps_that_read_the_same_are_joined(family, tmp_path):
    """Queries, keys and values, and the two halves of the MLP: the program's numbers stay what they are to the bit, with a
    bias (qwen2) and without, read by torch and by weir-run."""
    path = tmp_path / "spec.yaml"
    path.write_text("""
weir: 1
model: {program: model.pt2}
dictionaries:
  n: {format: neurons, sites: [mlp], layers: 0..2}
policies:
  push: {on: "n:1/mlp/5", do: add, strength: 3}
plans:
  pushed: [push]
""")
    built = Built(path, quantised_models.exported(family), tmp_path / "program")
    found = calls(tmp_path / "program")
    assert found["quantized_linears", 3] == found["quantized_linears", 2] == 3
    # Attention's output, the MLP's, and the head.
    assert found["quantized_linear", 1] == 2 * 3 + 1
    plain = torch.export.load(quantised_models.exported(family)).module()
    joined = torch.export.load(tmp_path / "program" / "program.pt2")
    given = dict.fromkeys(joined.graph_signature.user_inputs)
    ids = torch.randint(3, 90, (2, 11), generator=torch.Generator().manual_seed(4))
    positions = torch.arange(11).expand(2, -1).contiguous()
    with torch.no_grad():
        want = plain(ids, positions)
        # Rows without a plan.
        given |= {"input_ids": ids, "positions": positions, "prompt_length": torch.tensor([11, 11]),
                  "plan": torch.tensor([-1, -1])}
        assert torch.equal(joined.module()(*given.values()), want)
    got, _ = built.run(specs.Batch(ids.tolist(), [None, "pushed"], [11, 11], [{}, {}]))
    assert torch.equal(torch.as_tensor(got[0]), want[0]) and apart(got[1], want[1]) > 1e-3


def test_the_models_own_rows_are_those_that_its_blocks_stand_for(tmp_path):
    """Neurons and the unembedding of packed weights, by hand."""
    model = quantised_models.load(quantised_models.file("llama"))
    path = tmp_path / "spec.yaml"
    path.write_text("""
weir: 1
model: {program: model.pt2}
dictionaries:
  n: {format: neurons, sites: [mlp], layers: 0..2}
  u: {format: unembedding, sites: [res], layers: 0..2}
policies:
  push: {on: "n:1/mlp/5", do: add, strength: 3}
  pin: {on: "u:2/res/7", do: set, value: 4}
plans:
  both: [push, pin]
""")
    program = Built(path, quantised_models.exported("llama"), tmp_path / "program")
    ids = [[3, 9, 27, 81, 5, 15, 45]]
    got, _ = program.run(specs.Batch(ids, ["both"], [7], [{}]))
    neuron = model.model.layers[1].mlp.down_proj.weight[:, 5]
    row = model.lm_head.weight[7]
    assert neuron.norm() > 0.1 and row.norm() > 0.1
    handles = [
        model.model.layers[1].mlp.register_forward_hook(lambda module, inputs, out: out + 3 * neuron),
        model.model.layers[2].register_forward_hook(
            lambda module, inputs, out: out + (4 - (out @ row / (row @ row)).unsqueeze(-1)) * row)]
    with torch.no_grad():
        want = model(torch.tensor(ids), use_cache=False).logits[0]
        for handle in handles:
            handle.remove()
        plain = model(torch.tensor(ids), use_cache=False).logits[0]
    assert apart(plain, want) > 0.05
    assert apart(got[0], want) <= TOLERANCE
