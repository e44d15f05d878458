# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products with the blocks of GGUF files against gguf-py's own dequantisation, on random and extreme blocks."""

from __future__ import annotations

import copy
import functools
import subprocess
from collections import Counter
from types import SimpleNamespace

import families
import gguf
import gguf_files
import numpy
import pytest
import quantised_models
import torch
import weir.export
import weir.kernels
from gguf import GGMLQuantizationType as Type
from weir.export import packed

weir.kernels.register()
linear, embedding = torch.ops.weir.quantized_linear, torch.ops.weir.quantized_embedding
linears = torch.ops.weir.quantized_linears

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


def rounded(x: torch.Tensor) -> torch.Tensor:
    """x [T, width] with each 32 numbers rounded to bytes of a common scale, in f64 apart from the scale."""
    groups = x.reshape(len(x), -1, 32)
    scale = groups.abs().amax(-1, keepdim=True) / 127
    return (torch.where(scale > 0, torch.round(groups / scale), 0.0).double() * scale.double()).reshape(x.shape)


INTEGERS = [kind for kind in packed.TYPES if HALVES[kind]]


@pytest.mark.parametrize("extreme", [False, True], ids=["usual", "extreme"])
@pytest.mark.parametrize("kind", INTEGERS)
def test_rounded_products_are_those_of_rounded_tokens(kind, extreme):
    raw = blocks(kind, extreme)
    weight = dequantised(kind, raw).double()
    x = torch.randn(7, weight.shape[1], generator=torch.Generator().manual_seed(6))
    x[1, :32] = 0
    x[2, 32:64] *= 1e-30
    got = linear(x, torch.from_numpy(raw), None, kind, "int8")
    # The parts of a number of a block, and their sum, may be larger than the number.
    magnitude = rounded(x).abs() @ torch.maximum(weight.abs(), weight.abs().amax(1, keepdim=True)).t()
    assert ((got - rounded(x) @ weight.t()).abs() <= 1e-6 * magnitude + 1e-44).all()
    exact = linear(x, torch.from_numpy(raw), None, kind)
    assert not torch.equal(got, exact) and (got - exact).norm() <= 0.02 * exact.norm()
    # A token's result is its own, whatever else there is.
    assert torch.equal(torch.cat([linear(row[None], torch.from_numpy(raw), None, kind, "int8") for row in x]), got)


@pytest.mark.parametrize("kind", INTEGERS)
def test_what_rounding_costs_at_most(kind):
    """An activation moves by half a step of its group, and a product by no more than that times the weights."""
    raw = blocks(kind, False)
    weight = dequantised(kind, raw).double()
    # Activations of many sizes, as models have them.
    x = torch.randn(12, weight.shape[1], generator=torch.Generator().manual_seed(8))
    x *= torch.exp(2 * torch.randn(x.shape, generator=torch.Generator().manual_seed(9)))
    got, exact = (linear(x, torch.from_numpy(raw), None, kind, how).double() for how in ("int8", "exact"))
    step = x.reshape(12, -1, 32).abs().amax(-1).double() / 127
    bound = step @ weight.abs().reshape(len(weight), -1, 32).sum(-1).t() / 2
    magnitude = x.double().abs() @ torch.maximum(weight.abs(), weight.abs().amax(1, keepdim=True)).t()
    error = (got - exact).abs()
    assert (error <= bound + 2e-6 * magnitude).all()
    # The bound is no idle one: products come near it.
    assert (error / bound).max() > 0.05


def test_rounded_products_of_what_is_not_finite():
    raw = torch.from_numpy(blocks("Q8_0", False))
    x = torch.ones(3, 32 * BLOCKS)
    x[1, 40] = float("nan")
    x[2, 70] = float("inf")
    got = linear(x, raw, None, "Q8_0", "int8")
    assert got[0].isfinite().all() and got[1:].isnan().all()
    with pytest.raises(RuntimeError, match="there is no arithmetic 'int4'; known are exact, int8"):
        linear(x, raw, None, "Q8_0", "int4")
    with pytest.raises(RuntimeError, match="weights of type F16 have no integers"):
        linear(torch.zeros(1, 32), torch.zeros(1, 64, dtype=torch.uint8), None, "F16", "int8")


@pytest.mark.parametrize("arithmetic", ["exact", "int8"])
def test_joined_products_are_the_separate_ones_to_the_bit(arithmetic):
    """Matrices of all types at once, of several sizes, some with a bias."""
    kinds, width = (list(packed.TYPES) if arithmetic == "exact" else INTEGERS), 1536
    generator = torch.Generator().manual_seed(11)
    matrices, biases = [], []
    for i, kind in enumerate(kinds):
        numbers, size = sizes(kind)
        rows = 150 - 13 * i
        matrices.append(torch.from_numpy(numpy.resize(blocks(kind, False), (rows, width // numbers * size))))
        biases.append(torch.randn(rows, generator=generator) if i % 3 else None)
    x = torch.randn(29, width, generator=generator)
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            for tokens in (0, 1, 2, 9, 29):
                got = linears(x[:tokens], matrices, biases, kinds, arithmetic)
                want = [linear(x[:tokens], *each, arithmetic) for each in zip(matrices, biases, kinds)]
                assert len(got) == len(want) and all(map(torch.equal, got, want)), (threads, tokens)
    finally:
        torch.set_num_threads(before)
    for dtype in (torch.bfloat16, torch.float16):
        got = linears(x[:3].to(dtype), matrices, biases, kinds, arithmetic)
        want = [linear(x[:3].to(dtype), *each, arithmetic) for each in zip(matrices, biases, kinds)]
        assert all(one.dtype == dtype for one in got) and all(map(torch.equal, got, want))
    assert linears(x, [], [], [], arithmetic) == []


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
    (lambda x, raw: linears(x, [raw, raw], [None, None], ["Q4_1", "Q6_K"]), "no multiple of the 256"),
    (lambda x, raw: linears(x, [raw, raw[:, :-1]], [None, None], ["Q4_1"] * 2), "have 120 bytes, not 119"),
    (lambda x, raw: linears(x, [raw, raw], [None, torch.zeros(ROWS - 1)], ["Q4_1"] * 2), "a number for each of the 11 rows"),
    (lambda x, raw: linears(x, [raw, raw], [None], ["Q4_1"] * 2), "a bias or none and a type for each of the 2 matrices"),
    (lambda x, raw: linears(x, [raw, raw], [None] * 2, ["Q4_1"]), "a bias or none and a type for each of the 2 matrices"),
    (lambda x, raw: linears(x, [raw], [None], ["Q4_1"], "int4"), "there is no arithmetic 'int4'"),
    (lambda x, raw: linears(x.double(), [raw], [None], ["Q4_1"]), "quantized_linears takes f32, bf16 or f16"),
    (lambda x, raw: linears(x[:0, :0], [torch.zeros(2**62, 0, dtype=torch.uint8)] * 2, [None] * 2, ["Q4_1"] * 2),
     "quantized_linears takes fewer rows"),
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
            x = embedding(self.table, ids, "Q8_0", 32 * BLOCKS)
            first, second = linears(x, [self.table, self.table[:5]], [None, None], ["Q8_0", "Q8_0"])
            return linear(x, self.table, None, "Q8_0"), first, second

    module = Module()
    shape = {0: torch.export.Dim("b", min=1, max=7), 1: torch.export.Dim("s", min=1, max=9)}
    program = torch.export.export(module, (torch.zeros(2, 3, dtype=torch.int64),), dynamic_shapes=(shape,)).module()
    for sizes_ in ((1, 1), (5, 2), (7, 9)):
        ids = torch.randint(0, ROWS, sizes_, generator=torch.Generator().manual_seed(5))
        assert all(map(torch.equal, program(ids), module(ids)))


# Exports.

LENGTH = 16


def ids() -> torch.Tensor:
    return torch.randint(3, families.VOCABULARY, (2, LENGTH), generator=torch.Generator().manual_seed(2))


@torch.no_grad()
def logits(archive) -> torch.Tensor:
    return torch.export.load(archive).module()(ids(), torch.arange(LENGTH).expand(2, -1).contiguous())


@torch.no_grad()
def said_by_transformers(family: str) -> torch.Tensor:
    return quantised_models.load(quantised_models.file(family))(ids()).logits


@pytest.mark.parametrize("family", quantised_models.CONFIGS)
def test_a_native_program_says_what_the_dequantised_one_says(family):
    archive = quantised_models.exported(family)
    kinds = Counter(quantised_models.types(family).values())
    exported = torch.export.load(archive)
    tied = quantised_models.CONFIGS[family].tie_word_embeddings
    called = Counter(node.args[2 if "embedding" in str(node.target) else 3] for node in exported.graph.nodes
                     if str(node.target).startswith("weir.quantized_"))
    assert called == kinds + Counter({"Q8_0": 1} if tied else {})
    matrices = {name: weight for name, weight in exported.state_dict.items() if weight.dim() == 2}
    assert all(weight.dtype == torch.uint8 for weight in matrices.values()), "numbers and blocks of one matrix"
    got, want = logits(archive), said_by_transformers(family)
    # The same numbers in another order of sums.
    assert (got - want).abs().max() <= 5e-5 * want.abs().max()


def test_blocks_are_the_files_own_bytes():
    exported = torch.export.load(quantised_models.exported("llama"))
    tensors = {tensor.name: tensor.data for tensor in gguf.GGUFReader(quantised_models.file("llama")).tensors}
    state = exported.state_dict
    for ours, theirs in (("model.layers.1.mlp.down_proj.weight", "blk.1.ffn_down.weight"),
                         ("model.embed_tokens.weight", "token_embd.weight")):
        assert numpy.array_equal(state[ours].numpy(), tensors[theirs].view(numpy.uint8).reshape(len(tensors[theirs]), -1))
    # transformers has the rows of Llama's heads in another order.
    ours, theirs = state["model.layers.1.self_attn.q_proj.weight"].numpy(), tensors["blk.1.attn_q.weight"]
    theirs = theirs.view(numpy.uint8).reshape(len(theirs), -1)
    assert not numpy.array_equal(ours, theirs)
    assert numpy.array_equal(ours, theirs.reshape(4, 32, 2, -1).swapaxes(1, 2).reshape(ours.shape))


def test_equal_matrices_of_a_file_are_told_apart(tmp_path):
    """A head that is stored beside an embedding with the same numbers."""
    model = copy.deepcopy(quantised_models._random("llama"))
    with torch.no_grad():
        model.lm_head.weight.copy_(model.model.embed_tokens.weight)
    path = gguf_files.write(tmp_path / "model.gguf", model, types=quantised_models.types("llama") | {
        "token_embd.weight": "Q8_0", "output.weight": "Q8_0"})
    out = weir.export.export(path, tmp_path / "out.pt2", weights="native", max_batch=families.MAX_BATCH, max_length=8)
    assert out.exists()


def test_activations_of_16_bits():
    got, want = logits(quantised_models.exported("gemma3", dtype="bf16")), logits(quantised_models.exported("gemma3"))
    assert got.dtype == torch.float32
    assert (got - want).norm() <= 0.15 * want.norm()


def test_what_cannot_be_kept_is_refused_by_name(tmp_path):
    def export(path, **options):
        with pytest.raises(weir.export.ExportError) as error:
            weir.export.export(path, tmp_path / "out.pt2", weights="native", max_length=8, **options)
        assert not (tmp_path / "out.pt2").exists()
        return str(error.value)

    ups = {"blk.1.ffn_up.weight": "Q4_0"}
    # Another type: IQ4_NL has no kernels, and its blocks are as large as those of Q4_0.
    path = quantised_models.write(tmp_path / "unknown.gguf", "llama", ups)
    said = numpy.frombuffer(path.read_bytes(), dtype=numpy.uint8).copy()
    at = path.read_bytes().index(b"blk.1.ffn_up.weight") + len(b"blk.1.ffn_up.weight") + 4 + 2 * 8
    assert said[at] == Type.Q4_0
    said[at] = Type.IQ4_NL
    path.write_bytes(said.tobytes())
    assert "tensor blk.1.ffn_up.weight is of type IQ4_NL, for which there are no kernels" in export(path)
    # Cut off in the blocks.
    whole = quantised_models.write(tmp_path / "whole.gguf", "llama", {"output.weight": "Q8_0"}).read_bytes()
    (tmp_path / "cut.gguf").write_bytes(whole[:-100])
    assert "cut" in export(tmp_path / "cut.gguf")
    # A matrix that the model does not have as it is.
    path = gguf_files.write(tmp_path / "more.gguf", quantised_models._random("llama"), types=ups)
    loaded = quantised_models.load(path)
    stored = packed._Matches(path, torch.float32)
    assert stored.find(loaded.model.layers[0].mlp.up_proj.weight) is None
    with pytest.raises(weir.export.UnsupportedModel, match="do not become weights of the model as they are: blk.1.ffn_up"):
        stored.refuse_unused()
    assert stored.find(loaded.model.layers[1].mlp.up_proj.weight)[0].name == "blk.1.ffn_up.weight"
    stored.refuse_unused()
    # No GGUF file at all.
    model = quantised_models._random("llama")
    with pytest.raises(weir.export.ExportError, match="--weights native keeps the blocks of a GGUF file, and tiny is none"):
        weir.export.export(model, tmp_path / "out.pt2", name="tiny", weights="native")
    with pytest.raises(weir.export.ExportError, match="weights must be one of plain, native"):
        weir.export.export(model, tmp_path / "out.pt2", weights="int3")


@pytest.mark.parametrize("kind, shape, size, message", [
    ("Q4_1", [48, 3], 60, "tensor w of type Q4_1 has rows of 48 numbers, which is no multiple of the 32 of a block"),
    ("Q6_K", [128, 3], 630, "tensor w of type Q6_K has rows of 128 numbers, which is no multiple of the 256 of a block"),
    ("Q4_1", [64, 3], 119, "tensor w has 119 bytes of blocks; 3 rows of 64 numbers of type Q4_1 have 120"),
    ("Q4_1", [64, 3, 2], 240, "tensor w has 3 dimensions"),
    ("Q2_K", [256, 3], 252, "tensor w is of type Q2_K"),
])
def test_matrices_that_are_none(tmp_path, monkeypatch, kind, shape, size, message):
    """What the format's own reader would not let pass or have in a file that it wrote."""
    tensor = SimpleNamespace(name="w", tensor_type=Type[kind], shape=shape, data=numpy.zeros(size, numpy.uint8))
    monkeypatch.setattr(packed.gguf, "GGUFReader", lambda path: SimpleNamespace(tensors=[tensor]))
    with pytest.raises(weir.export.ExportError) as error:
        packed._matrices(tmp_path / "m.gguf")
    assert str(error.value).startswith(f"m.gguf: {message}")


def test_a_folder_with_blocks_is_not_served(tmp_path):
    """Numbers of blocks are not compared, so a server with any other matrices would pass for the program's model."""
    from weir.compiler import tool
    from weir.sites import SiteTable
    from weir_vllm.settings import Registry, Settings, SettingsError

    spec = tmp_path / "spec.yaml"
    spec.write_text("weir: 1\nmodel: {program: model.pt2}\ndictionaries:\n  u: {format: unembedding, sites: [res], layers: 0..2}\n"
                    'policies:\n  pin: {on: "u:1/res/7", do: set, value: 4}\nplans:\n  pin: [pin]\n')
    subprocess.run([tool("weirc"), "build", spec, "--model", quantised_models.exported("llama"), "-o", tmp_path / "steered"],
                   check=True)
    entry, = SiteTable.open(tmp_path / "steered").refused
    assert entry["weight"] == "lm_head.weight" and "--weights plain" in entry["why"]
    with pytest.raises(SettingsError, match="the weight lm_head.weight cannot be served: the program keeps quantised blocks"):
        Registry.open(Settings.of({"weir": {"folder": str(tmp_path / "steered")}}))


def test_a_link_is_the_file_that_it_leads_to(tmp_path):
    """As in a cache whose files are named by their hashes."""
    from weir.export.sources import resolve

    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "0123").write_bytes(quantised_models.file("llama").read_bytes())
    (tmp_path / "tiny.gguf").symlink_to("blobs/0123")
    source = resolve(str(tmp_path / "tiny.gguf"))
    assert source.name == "tiny"
    assert source.model(torch.float32).config.hidden_size == quantised_models.load(quantised_models.file("llama")).config.hidden_size
