# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""AOTInductor packages of exported programs."""

from __future__ import annotations

import json

import families
import pytest
import torch
import weir
from weir import archives, aot
from weir.__main__ import main
from weir.export import archive as writer
from weir.export import export

ROWS = 2  # the number that programs are traced with: it must not become the only one


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    # Windows, softcapping and shared heads in one model.
    return export(families.model("gemma2"), tmp_path_factory.mktemp("aot") / "gemma2.pt2", name="tiny-gemma2",
                  max_batch=ROWS, max_length=families.MAX_LENGTH)


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
    tokens = torch.randint(0, families.VOCABULARY, (ROWS, 20), generator=torch.Generator().manual_seed(0))
    positions = torch.arange(20).repeat(ROWS, 1)
    positions[1, 9:] = -1
    want = eager(tokens, positions)
    got = runner(tokens, positions)
    for row, length in enumerate((20, 9)):
        torch.testing.assert_close(got[row, :length], want[row, :length], rtol=0, atol=5e-5)
    assert got.isfinite().all()
    for at in range(20):
        one = runner(tokens[:1, at : at + 1], positions[:1, at : at + 1])
        torch.testing.assert_close(one[0, 0], want[0, at], rtol=0, atol=5e-5)
    with pytest.raises(RuntimeError):
        runner(tokens[:1, :1], torch.tensor([[families.MAX_LENGTH]]))


class Package:
    """Stands in for a package: the program, until it is asked for what it gets wrong."""

    def __init__(self, program, wrong):
        self.module, self.wrong = program.module(), wrong

    def get_constant_fqns(self):
        return []

    def load_constants(self, constants, **options):
        assert constants == {}

    def __call__(self, ids, positions):
        return self.wrong(self.module(ids, positions).clone())


def shifted(rows, length):
    def wrong(logits):
        if tuple(logits.shape[:2]) == (rows, length):
            logits[-1, length // 2 - 1] += 1
        return logits

    return wrong


@pytest.mark.parametrize("rows, length", [(1, 1), (1, families.MAX_LENGTH), (ROWS, 1), (ROWS, families.MAX_LENGTH)])
def test_a_package_that_is_wrong_somewhere_is_not_kept(archive, rows, length, tmp_path, monkeypatch, capsys):
    program = archives.load(archive).program
    monkeypatch.setattr(torch._inductor, "aoti_compile_and_package", lambda program, package_path, **options: None)
    monkeypatch.setattr(torch._inductor, "aoti_load_package", lambda stream: Package(program, shifted(rows, length)))
    output = tmp_path / "x.aot.pt2"
    output.write_text("an older one")
    assert main(["aot", str(archive), "-o", str(output)]) == 1
    assert f"on {rows} rows of {length} tokens it has a relative error of" in capsys.readouterr().err
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.aot.pt2"] and output.read_text() == "an older one"
    monkeypatch.setattr(torch._inductor, "aoti_load_package", lambda stream: Package(program, lambda logits: logits))
    assert main(["aot", str(archive), "-o", str(output)]) == 0
    monkeypatch.setattr(torch._inductor, "aoti_load_package", lambda stream: Package(program, lambda logits: logits[:, :1]))
    if length > 1:
        assert main(["aot", str(archive), "-o", str(output)]) == 1
        assert "it has sizes" in capsys.readouterr().err


def test_a_program_that_was_traced_with_its_largest_batch_is_refused(tmp_path):
    batch, length = torch.export.Dim("batch", min=1, max=2), torch.export.Dim("length", min=1, max=8)
    long = dict(dtype=torch.long)
    exported = torch.export.export(
        Added(), (torch.zeros(2, 5, **long), torch.zeros(2, 5, **long)), dynamic_shapes=({0: batch, 1: length},) * 2)
    writer.write(exported, {"weir.json": json.dumps({"weir": 1})}, tmp_path / "x.pt2")
    with pytest.raises(weir.WeirError, match=r"largest size of input input_ids \[axis 0\], 2; .* export the model again"):
        aot.package(tmp_path / "x.pt2")
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.pt2"]


class Added(torch.nn.Module):
    def forward(self, input_ids, positions):
        return input_ids + positions


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
    for path, reason in ((tmp_path / "absent.pt2", "no such file"), (tmp_path / "text.pt2", "cannot load")):
        assert main(["aot", str(path)]) == 1
        assert reason in capsys.readouterr().err
    assert {entry.name for entry in tmp_path.iterdir()} == {"text.pt2"}
