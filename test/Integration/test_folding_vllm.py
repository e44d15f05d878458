# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Folded checkpoints in vLLM, which knows nothing of Weir: the last column of the table of docs/folding.md."""

from __future__ import annotations

import json
from pathlib import Path

import numpy
import pytest
import serving
import torch
from serving import Served
from test_folding import IDS, LEAST, Model, column, table


# An engine takes seconds. Between them these change every kind of tensor: biases of both halves, of several layers and of
# heads, weights, embeddings and the head.
LOADED = ("slope", "head_push", "both")


@pytest.mark.usefixtures("warm_python")
def test_folded_checkpoints_in_vllm(tmp_path):
    served = Served("llama", tmp_path)
    model = Model("llama", tmp_path, of=(served.model, served.archive))
    said = column("`checkpoint` in vLLM")
    # What is refused as a checkpoint is not there.
    assert said == {plan: what for (plan, door), what in table().items() if door == "checkpoint"}
    assert all(said[plan] == "exact" for plan in LOADED)
    folders = [model.fold(plan, "checkpoint") for plan in LOADED]
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "job.json").write_text(json.dumps([list(map(str, folders)), IDS, served.model.config.vocab_size]))
    code, text = serving.run_script(Path(__file__).with_name("serving_folded.py"), tmp_path / "job.json", out, folder=tmp_path)
    assert code == 0, text[-4000:]
    for number, plan in enumerate(LOADED):
        want, plain = (torch.log_softmax(logits, -1)[:, :-1] for logits in (model.want(plan), model.plain))
        got = torch.from_numpy(numpy.load(out / f"{number}.npy"))
        distance = (got - want).abs().max().item()
        assert distance <= serving.TOLERANCE, (plan, distance)
        assert (got - plain).abs().max() > LEAST
