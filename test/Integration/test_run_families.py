# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""weir-run's reference engine against the exported program in Python, bit by bit, on every family."""

from __future__ import annotations

import subprocess

import families
import numpy
import pytest
import torch
from engines import TOOLS

LENGTHS = (20, 13, 1)


def logits(program, ids, tmp_path, *options) -> torch.Tensor:
    numpy.save(tmp_path / "ids.npy", ids.numpy())
    subprocess.run([TOOLS / "weir-run", program, "--engine", "reference", "--threads", "1", "--ids", tmp_path / "ids.npy",
                    "--logits", tmp_path / "logits.npy", *options], check=True)
    return torch.from_numpy(numpy.load(tmp_path / "logits.npy"))


def ragged() -> tuple[torch.Tensor, torch.Tensor]:
    """ids [3, 20] with -1 as padding, and the positions of the program's input."""
    generator = torch.Generator().manual_seed(2)
    ids = torch.randint(3, families.VOCABULARY, (len(LENGTHS), max(LENGTHS)), generator=generator)
    for row, length in enumerate(LENGTHS):
        ids[row, length:] = -1
    return ids, torch.where(ids < 0, -1, torch.arange(ids.shape[1]))


@torch.no_grad()
@pytest.mark.parametrize("family, dtype", families.CASES)
def test_logits_are_those_of_python(family, dtype, tmp_path):
    program = families.exported(family, dtype)
    module = torch.export.load(program).module()
    ids, positions = ragged()
    padding = (ids < 0).unsqueeze(2)

    want = module(ids.clamp(min=0), positions).masked_fill(padding, 0)
    assert torch.equal(logits(program, ids, tmp_path), want)

    # Prefill of 6, then one token at a time, on the same cache.
    steps = [slice(0, 6), *(slice(at, at + 1) for at in range(6, ids.shape[1]))]
    want = torch.cat([module(ids[:, step].clamp(min=0), positions[:, step]) for step in steps], 1).masked_fill(padding, 0)
    assert torch.equal(logits(program, ids, tmp_path, "--prefill", "6"), want)


@torch.no_grad()
@pytest.mark.parametrize("family", ["llama", "gemma2"])
def test_a_row_of_a_batch_is_the_row_alone(family, tmp_path):
    """Matrix products of other sizes sum in another order, hence the tolerance: 2e-5 of logits up to 9."""
    program = families.exported(family)
    ids, _ = ragged()
    together = logits(program, ids, tmp_path)
    for row, length in enumerate(LENGTHS):
        alone = logits(program, ids[row : row + 1, :length], tmp_path)
        torch.testing.assert_close(together[row, :length], alone[0], rtol=0, atol=2e-5)
        assert not together[row, length:].any()


@torch.no_grad()
def test_more_rows_than_the_batch_has(tmp_path):
    program = families.exported("llama")
    ids, _ = ragged()
    many = ids.repeat(3, 1)[:7]
    assert torch.equal(logits(program, many, tmp_path)[:3], logits(program, ids, tmp_path))
