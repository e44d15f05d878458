# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Steps of the steering as Triton kernels, by Triton's interpreter, against PyTorch's operators. Triton is no requirement of
Weir, so that this folder is not among those that run_all.py runs:

    pip install triton && pytest test/Triton
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

os.environ["TRITON_INTERPRET"] = "1"  # read when Triton is imported
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test" / "Integration"))

import copy  # noqa: E402

import models  # noqa: E402
import pytest  # noqa: E402
import setuptools  # noqa: E402, F401
import torch  # noqa: E402
import weir  # noqa: E402
from engines import Built  # noqa: E402
from models import TOLERANCE, apart  # noqa: E402
from test_equivalence_fixed import BATCH, EVERYTHING, ids, written  # noqa: E402
from weir import triton_steps  # noqa: E402

FAMILIES = ["llama", "gemma2"]


@pytest.fixture(scope="module", params=FAMILIES)
def attached(request, tmp_path_factory):
    """A live model with every action, scope and kind of condition, by PyTorch's operators."""
    tiny = models.Tiny(request.param)
    path = written(EVERYTHING, tiny, tmp_path_factory.mktemp(request.param))
    built = Built(path, tiny.archive, path.parent / "program", lower="aten")
    with weir.attach(tiny.model, built.folder) as steering:
        yield tiny.model, steering


def given(step, batch: int, sequence: int) -> list[torch.Tensor]:
    """Values for a step, of the sizes that its placeholders say."""
    random, made = torch.Generator().manual_seed(4), []
    for node in step.run.graph.nodes:
        if node.op != "placeholder":
            continue
        example = node.meta["val"]
        shape = [size if isinstance(size, int) else (batch, sequence)[place] for place, size in enumerate(example.shape)]
        made.append(torch.rand(shape, generator=random) < 0.5 if example.dtype == torch.bool else
                    torch.randn(shape, generator=random).to(example.dtype))
    return made


def kernels_of(steering):
    """(step, its kernel) for all that have one."""
    found = []
    for site in steering._steering.sites:
        step = copy.copy(site.step)
        why = triton_steps.replace(step)
        assert why is None or "topk" in why or not site.step.gives, why
        if why is None:
            found.append((site.step, step))
    assert len(found) >= 6
    return found


def close(got, want):
    assert len(got) == len(want)
    for one, other in zip(got, want):
        assert one.shape == other.shape and one.dtype == other.dtype
        if other.dtype == torch.bool:
            assert torch.equal(one, other)
        else:
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5 * max(other.abs().max().item(), 1), equal_nan=True)


def test_kernels_are_their_graphs(attached):
    for step, kernel in kernels_of(attached[1]):
        for sizes in ((3, 5), (1, 1), (2, 1)):
            values = given(step, *sizes)
            close(kernel.run(*values), step.run(*values))
        values = given(step, 2, 0)
        assert [each.shape for each in kernel.run(*values)] == [each.shape for each in step.run(*values)]


def test_a_token_is_itself(attached):
    """Alone, in a batch and with any strides, to the bit; what is not finite stays in its token."""
    for step, kernel in kernels_of(attached[1]):
        values = given(step, 3, 4)
        want = kernel.run(*values)
        part = [each[1:2] if each.shape[0] == 3 else each for each in values]
        part = [each[:, 2:3] if each.shape[1] == 4 else each for each in part]
        for one, whole in zip(kernel.run(*part), want):
            assert torch.equal(one, whole[1:2, 2:3] if whole.shape[1] == 4 else whole[1:2])
        turned = [each.transpose(0, 2).contiguous().transpose(0, 2) for each in values]
        assert all(torch.equal(one, other) for one, other in zip(kernel.run(*turned), want))
        values[0] = values[0].clone()
        if values[0].dtype.is_floating_point and values[0].shape[:2] == (3, 4):
            for number in (float("nan"), float("inf")):
                values[0][1, 2, 0] = number
                got, graph = kernel.run(*values), step.run(*values)
                others = torch.ones(3, 4, dtype=torch.bool)
                others[1, 2] = False
                for one, other, before in zip(got, graph, want):
                    if one.shape[:2] == (3, 4):
                        assert torch.equal(one[others], before[others])
                        assert torch.equal(one.isfinite(), other.isfinite()) or one.dtype == torch.bool


@torch.no_grad()
def test_a_model_is_steered_by_them(attached):
    model, steering = attached
    rows = torch.tensor(ids(14, 14, 14))
    steering.set(plan=BATCH["plans"], knobs=BATCH["knobs"], prompt_length=BATCH["prompt_lengths"])
    want = model(rows, use_cache=False).logits
    before = [site.step.run for site in steering._steering.sites]
    assert sum(triton_steps.replace(site.step) is None for site in steering._steering.sites) >= 6
    try:
        assert apart(model(rows, use_cache=False).logits, want) <= TOLERANCE
    finally:
        for site, run in zip(steering._steering.sites, before):
            site.step.run = run
        steering.set()


def test_gradients_go_through_pytorch(attached):
    for step, kernel in kernels_of(attached[1])[:2]:
        values = given(step, 2, 2)
        values[0] = values[0].requires_grad_()
        assert kernel.run(*values)[0].requires_grad


def test_the_script_for_a_device():
    """benchmarks/device.py checks itself by the interpreter on small sizes; it needs nothing but PyTorch and Triton."""
    done = subprocess.run([sys.executable, ROOT / "benchmarks" / "device.py", "--interpret"], capture_output=True, text=True,
                          cwd="/")
    assert done.returncode == 0, done.stderr
    assert "all of them as the formula in f64" in done.stdout
