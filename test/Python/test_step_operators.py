# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Attention over a cache, norms and rotations of quantised programs, against PyTorch in f64."""

from __future__ import annotations

import copy
import json
import math
import subprocess
import zipfile
from collections import Counter

import gguf
import numpy
import pytest
import quantised_models
import torch
import torch.nn.functional as functional
import weir.export
import weir.kernels
from weir.compiler import tool

weir.kernels.register()
attention, norm, rotate = torch.ops.weir.cached_attention, torch.ops.weir.rms_norm, torch.ops.weir.rotate

ROWS, SLOTS = 4, 37


def random(*shape, seed=0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def attended(query, key, value, last, scale, window):
    """The same by masks, in f64: [b, S, heads, e]."""
    batch, heads = query.shape[:2]
    key, value = (cache[:batch].transpose(1, 2).repeat_interleave(heads // cache.shape[2], 1).double() for cache in (key, value))
    slots = torch.arange(key.shape[2])
    seen = slots <= last.unsqueeze(-1)
    if window is not None:
        seen &= slots > last.unsqueeze(-1) - window
    mask = torch.where(seen, 0.0, -math.inf).unsqueeze(1).double()
    return functional.scaled_dot_product_attention(query.double(), key, value, mask, scale=scale).transpose(1, 2)


@pytest.mark.parametrize("batch, heads, groups, length, width, value_width, window", [
    (1, 9, 3, 1, 64, 64, None), (2, 4, 4, 7, 32, 48, 3), (3, 8, 2, 5, 96, 16, None), (2, 6, 1, 9, 256, 80, 4), (1, 2, 1, 1, 64, 64, 1),
])
def test_attention_is_that_by_masks(batch, heads, groups, length, width, value_width, window):
    query = random(batch, length, heads, width).transpose(1, 2)
    key, value = random(ROWS, SLOTS, groups, width, seed=1), random(ROWS, SLOTS, groups, value_width, seed=2)
    last = torch.randint(0, SLOTS, (batch, length), generator=torch.Generator().manual_seed(3))
    # What a token does not see may be anything.
    until = last.max() + 1
    key[:, until:], value[:, until:] = math.nan, math.nan
    got = attention(query, key, value, last, 0.37, window)
    want = attended(query, key.nan_to_num(), value.nan_to_num(), last, 0.37, window)
    assert got.shape == (batch, length, heads, value_width)
    assert (got - want).abs().max() <= 3e-6
    # A token's result is its own, whatever goes with it and on however many threads.
    before = torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            for row in range(batch):
                for token in range(length):
                    alone = attention(query[row:row + 1, :, token:token + 1], key[row:], value[row:], last[row:row + 1, token:token + 1],
                                      0.37, window)
                    assert torch.equal(alone[0, 0], got[row, token])
    finally:
        torch.set_num_threads(before)


def test_scores_of_any_size():
    """One key takes all, or far more than others; what is very small is nothing."""
    query = torch.zeros(1, 1, 1, 32)
    query[..., 0] = 1
    for scores in ([0.0] * 20, [300.0, -300.0, 0.0], [-88.0, 0.0, -86.0, -1e30], [1e30, 1e30, -1e30], [-500.0] * 5,
                   [0.0, -1e-9, -20.0, -87.5]):
        key = torch.zeros(1, len(scores), 1, 32)
        key[0, :, 0, 0] = torch.tensor(scores)
        value = random(1, len(scores), 1, 16, seed=5)
        last = torch.tensor([[len(scores) - 1]])
        got, want = attention(query, key, value, last, 1.0, None), attended(query, key, value, last, 1.0, None)
        assert (got - want).abs().max() <= 1e-6, scores
    key[0, 1, 0, 0] = math.nan
    assert attention(query, key, value, last, 1.0, None).isnan().all()
    assert attention(query, key, value, torch.tensor([[0]]), 1.0, None).isfinite().all()


@pytest.mark.parametrize("shape", [(3, 576), (2, 5, 64), (1, 2, 3, 16), (16,), (2, 0, 32)])
def test_norms(shape):
    x, weight = random(*shape) * 3, random(shape[-1], seed=1)
    want = x.double() * torch.rsqrt(x.double().pow(2).mean(-1, keepdim=True) + 1e-5) * weight.double()
    got = norm(x, weight, 1e-5)
    assert got.shape == x.shape and ((got - want).abs() <= 1e-6 * want.abs() + 1e-12).all()
    if x.dim() > 1:
        assert torch.equal(norm(x.transpose(0, -2).contiguous().transpose(0, -2), weight, 1e-5), got)
    # With a weight that is a sum, as Gemma's code has it.
    assert torch.equal(norm(x, weight, 1e-5, 1.0), norm(x, weight + 1, 1e-5))
    assert norm(torch.full((1, 16), math.nan), torch.ones(16), 1e-5).isnan().all()
    assert torch.equal(norm(torch.zeros(1, 16), torch.ones(16), 1e-5), torch.zeros(1, 16))


def test_rotations_are_those_of_the_models_code_to_the_bit():
    x = random(2, 7, 4, 64).transpose(1, 2)
    cos, sin = random(2, 1, 7, 64, seed=1), random(2, 1, 7, 64, seed=2)
    turned = torch.cat((-x[..., 32:], x[..., :32]), -1)
    assert torch.equal(rotate(x, cos, sin), x * cos + turned * sin)
    assert torch.equal(rotate(x, cos[:1], sin[:1]), x * cos[:1] + turned * sin[:1])


@pytest.mark.parametrize("call, message", [
    (lambda q, k, v, last: attention(q, k, v, last + SLOTS, 1.0, None), f"no slot {SLOTS}: there are {SLOTS}"),
    (lambda q, k, v, last: attention(q, k, v, last - 1, 1.0, None), "no slot -1"),
    (lambda q, k, v, last: attention(q, k, v, last, 1.0, 0), "a window of 0 slots"),
    (lambda q, k, v, last: attention(q, k, v, last.int(), 1.0, None), "last of cached_attention has a slot for each token"),
    (lambda q, k, v, last: attention(q, k, v, last[:, :1], 1.0, None), "last of cached_attention has a slot for each token"),
    (lambda q, k, v, last: attention(q[:, :3], k, v, last, 1.0, None), "do not fit each other"),
    (lambda q, k, v, last: attention(q, k[:1], v, last, 1.0, None), "do not fit each other"),
    (lambda q, k, v, last: attention(q, k[:1], v[:1], last, 1.0, None), "do not fit each other"),
    (lambda q, k, v, last: attention(q[..., :16], k[..., :16], v, last, 1.0, None), "widths that are multiples of 32 (keys)"),
    (lambda q, k, v, last: attention(q.bfloat16(), k, v, last, 1.0, None), "query of cached_attention is a tensor of f32"),
    (lambda q, k, v, last: attention(q, k[0], v, last, 1.0, None), "key of cached_attention is a tensor of f32 with 4 dimensions"),
    (lambda q, k, v, last: norm(q[..., :15], torch.ones(15), 1e-5), "a multiple of 16"),
    (lambda q, k, v, last: norm(q, torch.ones(16), 1e-5), "a weight for each, not 32 and 16"),
    (lambda q, k, v, last: norm(q.double(), torch.ones(32), 1e-5), "x of rms_norm is a tensor of f32"),
    (lambda q, k, v, last: rotate(q, q, q), "cos and sin of rotate are"),
    (lambda q, k, v, last: rotate(q[0], q, q), "x of rotate is a tensor of f32 with 4 dimensions"),
])
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(RuntimeError) as error:
        call(random(2, 4, 3, 32), random(ROWS, SLOTS, 2, 32), random(ROWS, SLOTS, 2, 16), torch.zeros(2, 3, dtype=torch.int64))
    assert message in str(error.value)


@pytest.mark.parametrize("family, norms", [("llama", 2 * 3 + 1), ("qwen2", 2 * 3 + 1), ("gemma3", 6 * 3 + 1)])
def test_programs_call_them(family, norms):
    """Every norm, rotation and attention of a quantised program in f32; none of them in bf16."""
    exported = torch.export.load(quantised_models.exported(family))
    counts = Counter(str(node.target) for node in exported.graph.nodes)
    assert counts["weir.rms_norm.default"] == norms and counts["weir.rotate.default"] == 6
    assert counts["weir.cached_attention.default"] == 3
    # All that is added is the residual stream's: no sum of a weight and a number is made anew for each token.
    assert not any(isinstance(argument, (int, float)) for node in exported.graph.nodes if node.target is torch.ops.aten.add.Tensor
                   for argument in node.args)
    for target in ("rsqrt.default", "neg.default", "scaled_dot_product_attention.default", "slice.Tensor"):
        assert not counts[f"aten.{target}"], target
    if family == "gemma3":
        counts = Counter(str(node.target) for node in torch.export.load(quantised_models.exported(family, "bf16")).graph.nodes)
        assert counts["aten.scaled_dot_product_attention.default"] == 3 and not counts["weir.rms_norm.default"]


def test_rounded_activations_are_asked_for_and_told(tmp_path):
    lines = []
    path = weir.export.export(quantised_models.file("llama"), tmp_path / "rounded.pt2", weights="native", arithmetic="int8", max_batch=3,
                              max_length=24, progress=lines.append)
    types = [kind for name, kind in quantised_models.types("llama").items() if name != "token_embd.weight"]
    integers = sum(kind.startswith("Q") for kind in types)
    assert 0 < integers < len(types)
    assert f"not exact: what {integers} products read is rounded to int8, which moves logits by" in lines[-1]
    with zipfile.ZipFile(path) as archive:
        record, = (name for name in archive.namelist() if name.endswith("extra/weir.json"))
        assert json.loads(archive.read(record))["arithmetic"] == "int8"
    called = [node.args for node in torch.export.load(path).graph.nodes if str(node.target) == "weir.quantized_linear.default"]
    assert Counter("int8" in arguments for arguments in called) == {True: integers, False: len(types) - integers}
    assert all(arguments[3].startswith("Q") for arguments in called if "int8" in arguments)

    # Whoever steers it is told at the line that names it.
    spec = tmp_path / "spec.yaml"
    spec.write_text("weir: 1\nmodel: {program: rounded.pt2}\ndictionaries:\n  u: {format: unembedding, sites: [res], layers: 0..2}\n"
                    'policies:\n  pin: {on: "u:1/res/7", do: set, value: 4}\nplans:\n  pin: [pin]\n')
    built = subprocess.run([tool("weirc"), "build", spec, "-o", tmp_path / "steered", "--remarks"], check=True, capture_output=True,
                           text=True)
    assert f"{spec}:2:18: remark: " in built.stderr and "round what they read to int8" in built.stderr
    assert json.loads((tmp_path / "steered" / "manifest.json").read_text())["model"]["arithmetic"] == "int8"
    program = weir.load(tmp_path / "steered")
    assert "(llama, f32, int8)" in repr(program)

    ids, positions = torch.arange(3, 19)[None], torch.arange(16)[None]
    with torch.no_grad():
        got, want = (torch.export.load(file).module()(ids, positions) for file in (path, quantised_models.exported("llama")))
    assert 1e-4 * want.norm() < (got - want).norm() < 0.2 * want.norm()
    with pytest.raises(weir.export.ExportError, match="--arithmetic int8 is for weights in blocks: it needs --weights native"):
        weir.export.export(quantised_models.file("llama"), tmp_path / "out.pt2", arithmetic="int8")
    with pytest.raises(weir.export.ExportError, match="arithmetic must be one of exact, int8, not int4"):
        weir.export.export(quantised_models.file("llama"), tmp_path / "out.pt2", weights="native", arithmetic="int4")
    assert not (tmp_path / "out.pt2").exists()


@pytest.mark.parametrize("quantize, kind", [("int8", "Q8_0"), ("int4", "Q4_0")])
def test_a_models_own_matrices_are_rounded_as_ggml_does(tmp_path, quantize, kind):
    model, lines = copy.deepcopy(quantised_models._random("llama")), []
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    path = weir.export.export(model, tmp_path / "made.pt2", quantize=quantize, max_batch=3, max_length=24, name="tiny",
                              progress=lines.append)
    assert f"weights are rounded to {quantize}, which moves logits by" in lines[-1]
    exported = torch.export.load(path)
    matrices = {name: blocks for name, blocks in exported.state_dict.items() if blocks.dim() == 2}
    assert len(matrices) == 3 * 7 + 2
    for name, blocks in matrices.items():
        want = gguf.quantize(before[name].numpy(), gguf.GGMLQuantizationType[kind])
        assert numpy.array_equal(blocks.numpy(), want), name
        # The model that was given has the numbers that the program stands for.
        assert numpy.array_equal(model.state_dict()[name].numpy(), gguf.dequantize(want, gguf.GGMLQuantizationType[kind]))
    ids, positions = torch.arange(3, 19)[None], torch.arange(16)[None]
    with torch.no_grad():
        got = exported.module()(ids, positions)
        model.set_attn_implementation("sdpa")
        want = model(ids).logits
        model.load_state_dict(before)
        plain = model(ids).logits
    assert (got - want).abs().max() <= 5e-5 * want.abs().max()
    assert (got - plain).norm() > 1e-3 * plain.norm()


def test_rounding_that_cannot_be(tmp_path):
    def refused(model, **options):
        with pytest.raises(weir.export.ExportError) as error:
            weir.export.export(model, tmp_path / "out.pt2", max_batch=3, max_length=24, **options)
        assert not (tmp_path / "out.pt2").exists()
        return str(error.value)

    file = quantised_models.file("llama")
    assert "choose one of them" in refused(file, weights="native", quantize="int8")
    assert "quantize must be one of int8, int4, not int3" in refused(file, quantize="int3")
