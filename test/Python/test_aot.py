# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""AOTInductor packages of exported programs."""

from __future__ import annotations

import shutil

import families
import pytest
import torch
from weir import aot
from weir.__main__ import main


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    path = tmp_path_factory.mktemp("aot") / "gemma2.pt2"  # windows, softcapping and shared heads in one model
    shutil.copy(families.exported("gemma2"), path)
    return path


@torch.no_grad()
def test_a_package_takes_its_weights_from_the_archive_and_any_batch_and_length(archive):
    assert main(["aot", str(archive)]) == 0
    path = archive.with_name("gemma2.aot.pt2")
    exported = torch.export.load(archive)
    tensors = {**exported.state_dict, **exported.constants}
    runner = torch._inductor.aoti_load_package(str(path))
    names = runner.get_constant_fqns()
    assert set(names) <= set(tensors) and "kv_cache.key_2" in names
    runner.load_constants({name: tensors[name].detach().clone() for name in names}, check_full_update=True, user_managed=True)
    eager = exported.module()
    tokens = torch.randint(0, families.VOCABULARY, (3, 20), generator=torch.Generator().manual_seed(0))
    positions = torch.arange(20).repeat(3, 1)
    positions[1, 9:] = -1
    want = eager(tokens, positions)
    got = runner(tokens, positions)
    for row, length in enumerate((20, 9, 20)):
        torch.testing.assert_close(got[row, :length], want[row, :length], rtol=0, atol=5e-5)
    assert got.isfinite().all()
    for at in range(20):
        one = runner(tokens[2:, at : at + 1], positions[2:, at : at + 1])
        torch.testing.assert_close(one[0, 0], want[2, at], rtol=0, atol=5e-5)
    with pytest.raises(RuntimeError):
        runner(tokens[:1, :1], torch.tensor([[families.MAX_LENGTH]]))


class ManyInputs(torch.nn.Module):
    def forward(self, input_ids, positions, plan, knobs):
        return input_ids * plan.unsqueeze(1) + positions * knobs.sum(1, keepdim=True)


def test_examples_fit_the_inputs_a_program_has_now():
    batch, length = torch.export.Dim("batch", min=1, max=3), torch.export.Dim("length", min=1, max=8)
    long = dict(dtype=torch.long)
    exported = torch.export.export(
        ManyInputs(), (torch.zeros(2, 5, **long), torch.zeros(2, 5, **long), torch.zeros(2, **long), torch.zeros(2, 3)),
        dynamic_shapes=({0: batch, 1: length}, {0: batch, 1: length}, {0: batch}, {0: batch}))
    exported.example_inputs = None
    got = aot.example_inputs(exported)
    assert [(tuple(value.shape), value.dtype) for value in got] == [
        ((2, 5), torch.int64), ((2, 5), torch.int64), ((2,), torch.int64), ((2, 3), torch.float32)]


def test_errors(tmp_path, capsys):
    (tmp_path / "text.pt2").write_text("not an archive")
    for path, reason in ((tmp_path / "absent.pt2", "no such file"), (tmp_path / "text.pt2", "not a torch.export archive")):
        assert main(["aot", str(path)]) == 1
        assert reason in capsys.readouterr().err
    assert {entry.name for entry in tmp_path.iterdir()} == {"text.pt2"}
