# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products with the blocks of GGUF files against gguf-py's own dequantisation, on random and extreme blocks."""

from __future__ import annotations

import functools

import gguf
import numpy
import pytest
import torch
import weir.kernels
from gguf import GGMLQuantizationType as Type
from weir.export import packed

weir.kernels.register()
linear, embedding = torch.ops.weir.quantized_linear, torch.ops.weir.quantized_embedding

# Where the scales of 16 bits lie in a block.
HALVES = {"Q4_0": (0,), "Q4_1": (0, 2), "Q5_0": (0,), "Q5_1": (0, 2), "Q8_0": (0,), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,),
          "F16": (), "BF16": ()}
# Zeros of both signs, the smallest and the largest subnormal, the largest numbers, negative ones.
EXTREMES = numpy.array([0x0000, 0x8000, 0x0001, 0x8001, 0x03FF, 0x83FF, 0x7BFF, 0xFBFF, 0xBC00], dtype="<u2")
ROWS, BLOCKS = 11, 6  # numbers of rows and blocks that no vector's width divides


def sizes(kind: str) -> tuple[int, int]:
    """Numbers and bytes of a block, as a row of one."""
    numbers = packed.TYPES[kind]
    count, size = gguf.GGML_QUANT_SIZES[Type[kind]]
    return numbers, numbers // count * size


@functools.cache
def blocks(kind: str, extreme: bool) -> numpy.ndarray:
    """[ROWS, bytes of BLOCKS blocks] uint8. Every byte pattern of the integers; scales are moderate or extreme."""
    numbers, size = sizes(kind)
    generator = numpy.random.default_rng(len(kind) + extreme)
    if not HALVES[kind]:
        values = generator.standard_normal((ROWS, BLOCKS * numbers)).astype(numpy.float32)
        if extreme:
            values[:, ::3] = generator.choice([0.0, -0.0, 6e-8, -6e-8, 65504, -65504], values[:, ::3].shape)
        if kind == "F16":
            return values.astype(numpy.float16).view(numpy.uint8)
        return (values.view(numpy.uint32) >> 16).astype(numpy.uint16).view(numpy.uint8)
    raw = generator.integers(0, 256, (ROWS, BLOCKS, size), dtype=numpy.uint8)
    for at in HALVES[kind]:
        scale = generator.choice(EXTREMES, (ROWS, BLOCKS, 1)) if extreme else \
            (generator.standard_normal((ROWS, BLOCKS, 1)) * 0.1).astype(numpy.float16)
        raw[:, :, at : at + 2] = scale.view(numpy.uint8)
    return raw.reshape(ROWS, -1)


def dequantised(kind: str, raw: numpy.ndarray) -> torch.Tensor:
    """[rows, width] f32, as gguf-py has it."""
    if kind == "F16":
        return torch.from_numpy(raw.view(numpy.float16).astype(numpy.float32))
    return torch.from_numpy(gguf.dequantize(raw, Type[kind]).astype(numpy.float32))


def test_all_types_are_known_on_both_sides():
    with pytest.raises(RuntimeError) as error:
        linear(torch.zeros(1, 32), torch.zeros(1, 34, dtype=torch.uint8), None, "Q9_9")
    assert f"no weights of type 'Q9_9'; known are {', '.join(packed.TYPES)}" in str(error.value)
    for kind in packed.TYPES:
        numbers, size = sizes(kind)
        assert linear(torch.zeros(1, numbers), torch.zeros(3, size, dtype=torch.uint8), None, kind).shape == (1, 3)
        with pytest.raises(RuntimeError, match=f"have {size} bytes, not {size - 1}"):
            linear(torch.zeros(1, numbers), torch.zeros(3, size - 1, dtype=torch.uint8), None, kind)


@pytest.mark.parametrize("extreme", [False, True], ids=["usual", "extreme"])
@pytest.mark.parametrize("kind", packed.TYPES)
def test_rows_are_those_of_gguf_to_the_bit(kind, extreme):
    raw = blocks(kind, extreme)
    want = dequantised(kind, raw)
    order = torch.tensor([[3, 0, ROWS - 1], [3, 7, 1]])
    got = embedding(torch.from_numpy(raw), order, kind, want.shape[1])
    assert torch.equal(got.view(torch.int32), want[order].view(torch.int32))


@pytest.mark.parametrize("extreme", [False, True], ids=["usual", "extreme"])
@pytest.mark.parametrize("kind", packed.TYPES)
def test_products_are_those_of_the_numbers(kind, extreme):
    raw = blocks(kind, extreme)
    weight = dequantised(kind, raw).double()
    # Few tokens and many go through different kernels.
    x = torch.randn(29, weight.shape[1], generator=torch.Generator().manual_seed(1))
    got = linear(x, torch.from_numpy(raw), None, kind)
    want = x.double() @ weight.t()
    # A product has 2 x width roundings at most, each relative to a sum of magnitudes.
    magnitude = x.double().abs() @ weight.abs().t()
    assert ((got - want).abs() <= 3e-7 * magnitude + 1e-44).all()
    assert got.abs().max() > 0


@pytest.mark.parametrize("kind", packed.TYPES)
def test_a_row_does_not_depend_on_the_batch_nor_on_threads(kind):
    raw = torch.from_numpy(blocks(kind, False))
    raw = raw.repeat(40, 1)  # enough for several threads
    width = sizes(kind)[0] * BLOCKS
    x = torch.randn(29, width, generator=torch.Generator().manual_seed(2))
    alone = torch.cat([linear(row[None], raw, None, kind) for row in x])
    before = torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            for count in (1, 2, 4, 5, 8, 9, 16, 29):
                assert torch.equal(linear(x[:count], raw, None, kind), alone[:count]), (threads, count)
    finally:
        torch.set_num_threads(before)


def test_types_shapes_and_strides_of_values():
    raw = torch.from_numpy(blocks("Q4_1", False))
    width = 32 * BLOCKS
    x = torch.randn(2, 3, width, generator=torch.Generator().manual_seed(3))
    bias = torch.randn(ROWS, generator=torch.Generator().manual_seed(4))
    whole = linear(x, raw, bias, "Q4_1")
    assert whole.shape == (2, 3, ROWS)
    assert torch.equal(whole, linear(x, raw, None, "Q4_1") + bias)
    assert torch.equal(linear(x.transpose(0, 1).contiguous().transpose(0, 1), raw, bias, "Q4_1"), whole)
    assert torch.equal(linear(x[1, 2], raw, bias, "Q4_1"), whole[1, 2])
    for dtype in (torch.bfloat16, torch.float16):
        narrow = linear(x.to(dtype), raw, bias.to(dtype), "Q4_1")
        wide = linear(x.to(dtype).float(), raw, bias.to(dtype).float(), "Q4_1")
        assert narrow.dtype == dtype and torch.equal(narrow, wide.to(dtype))
    # Rows of a larger matrix, where they lie.
    assert torch.equal(linear(x, raw[::2], None, "Q4_1"), linear(x, raw, None, "Q4_1")[..., ::2])
    assert linear(x[:, :0], raw, None, "Q4_1").shape == (2, 0, ROWS)
    assert linear(x, raw[:0], None, "Q4_1").shape == (2, 3, 0)


@pytest.mark.parametrize("call, message", [
    (lambda x, raw: linear(x[:, :-1], raw, None, "Q4_1"), "rows of 191 numbers are no multiple of the 32 of a block of Q4_1"),
    (lambda x, raw: linear(x[:, :-32], raw, None, "Q4_1"), "rows of 160 numbers of type Q4_1 have 100 bytes, not 120"),
    (lambda x, raw: linear(x, raw[:, :-1], None, "Q4_1"), "have 120 bytes, not 119"),
    (lambda x, raw: linear(x, raw, None, "Q6_K"), "no multiple of the 256"),
    (lambda x, raw: linear(x, raw.to(torch.int8), None, "Q4_1"), "blocks are bytes"),
    (lambda x, raw: linear(x, raw.flatten(), None, "Q4_1"), "blocks are bytes"),
    (lambda x, raw: linear(x, raw.repeat(1, 2)[:, ::2], None, "Q4_1"), "not contiguous along their rows"),
    (lambda x, raw: linear(x.double(), raw, None, "Q4_1"), "takes f32, bf16 or f16"),
    (lambda x, raw: linear(x[0, 0], raw, None, "Q4_1"), "takes f32, bf16 or f16 of at least one dimension"),
    (lambda x, raw: linear(x, raw, torch.zeros(ROWS - 1), "Q4_1"), "a number for each of the 11 rows"),
    (lambda x, raw: embedding(raw, torch.tensor([ROWS]), "Q4_1", 192), "has no row 11: there are 11"),
    (lambda x, raw: embedding(raw, torch.tensor([-1]), "Q4_1", 192), "has no row -1"),
    (lambda x, raw: embedding(raw, torch.tensor([0]), "Q4_1", -32), "no multiple of the 32"),
    (lambda x, raw: embedding(raw, torch.tensor([0]), "Q4_1", 2**62), "have"),
    (lambda x, raw: embedding(raw, torch.tensor([0], dtype=torch.int32), "Q4_1", 192), "indices of 64 bits"),
])
def test_what_does_not_fit_is_refused(call, message):
    x = torch.zeros(2, 32 * BLOCKS)
    with pytest.raises(RuntimeError) as error:
        call(x, torch.from_numpy(blocks("Q4_1", False)))
    assert message in str(error.value)


def test_shapes_stay_free_under_export():
    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table = torch.nn.Parameter(torch.from_numpy(blocks("Q8_0", False)), requires_grad=False)

        def forward(self, ids):
            return linear(embedding(self.table, ids, "Q8_0", 32 * BLOCKS), self.table, None, "Q8_0")

    module = Module()
    shape = {0: torch.export.Dim("b", min=1, max=7), 1: torch.export.Dim("s", min=1, max=9)}
    program = torch.export.export(module, (torch.zeros(2, 3, dtype=torch.int64),), dynamic_shapes=(shape,)).module()
    for sizes_ in ((1, 1), (5, 2), (7, 9)):
        ids = torch.randint(0, ROWS, sizes_, generator=torch.Generator().manual_seed(5))
        assert torch.equal(program(ids), module(ids))
