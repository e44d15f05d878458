# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs exported from GGUF files against the transformers models that the files were written from.

The files are written with the format's own library. Scaled rotary embeddings were compared with llama.cpp's
probabilities of the next token as well (xllamacpp; they agree within its rounding, 0.01 in the logarithm).
"""

from __future__ import annotations

import copy
import functools

import families
import gguf
import gguf_files
import numpy
import pytest
import torch
import weir.export
from transformers import AutoModelForCausalLM, Gemma3TextConfig
from weir.export import gguf_reading

LENGTH = 16


@functools.cache
def model(family: str):
    if family != "gemma3":
        return families.model(family)
    torch.manual_seed(0)  # llama.cpp's and transformers' default: every sixth layer sees everything
    config = Gemma3TextConfig(**{**families._shape, "num_hidden_layers": 6}, head_dim=16, query_pre_attn_scalar=16, sliding_window=5)
    result = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in result.parameters():
            parameter.add_(torch.randn(parameter.shape) * (0.3 if parameter.dim() > 1 else 0.1))
    return result


def ids() -> torch.Tensor:
    return torch.randint(3, families.VOCABULARY, (1, LENGTH), generator=torch.Generator().manual_seed(2))


@torch.no_grad()
def said_by(program) -> torch.Tensor:
    return torch.export.load(program).module()(ids(), torch.arange(LENGTH).unsqueeze(0))


def rotated(family: str, rope: dict, layers: str | None = None):
    """The model with its rotary embedding changed, of all layers or of those of a type."""
    config = copy.deepcopy(model(family).config)
    old = config.rope_parameters
    config.rope_parameters = {**old, layers: {**old[layers], **rope}} if layers else {**old, **rope}
    result = AutoModelForCausalLM.from_config(config).eval()
    result.load_state_dict(model(family).state_dict())
    return result


YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 32}


def llama3_factors() -> torch.Tensor:
    """What llama.cpp's converter stores for Llama 3.1's rotary embedding."""
    return model("llama").model.rotary_emb.inv_freq / rotated("llama", LLAMA3).model.rotary_emb.inv_freq


@pytest.mark.parametrize("family, keys, tensors, rope, layers", [
    ("llama", {}, {}, {}, None),
    ("qwen2", {}, {}, {}, None),
    ("gemma3", {}, {}, {}, None),
    ("llama", {"rope.scaling.type": "none", "rope.scaling.factor": 4.0}, {}, {}, None),
    ("llama", {"rope.scaling.type": "linear", "rope.scaling.factor": 4.0}, {}, {"rope_type": "linear", "factor": 4.0}, None),
    ("llama", {"rope.scale_linear": 4.0}, {}, {"rope_type": "linear", "factor": 4.0}, None),
    ("gemma3", {"rope.scaling.type": "linear", "rope.scaling.factor": 8.0}, {}, {"rope_type": "linear", "factor": 8.0},
     "full_attention"),
    ("qwen2", {"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0, "rope.scaling.original_context_length": 16,
               "rope.scaling.finetuned": True}, {}, YARN, None),
    ("llama", {"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0, "rope.scaling.original_context_length": 16,
               "rope.scaling.yarn_beta_fast": 8.0}, {}, {**YARN, "beta_fast": 8.0}, None),
    ("llama", {}, {"rope_freqs.weight": llama3_factors}, LLAMA3, None),
    ("llama", {"rope.scaling.original_context_length": 64}, {"rope_factors_short.weight": lambda: torch.tensor([1.0, 1.5, 2, 3]),
                                                             "rope_factors_long.weight": lambda: torch.ones(4)},
     {"rope_type": "longrope", "short_factor": [1.0, 1.5, 2, 3], "long_factor": [1.0] * 4, "factor": 1.0,
      "attention_factor": 1.0, "original_max_position_embeddings": 64}, None),
], ids=lambda value: value if isinstance(value, str) else "")
@torch.no_grad()
def test_a_file_says_how_positions_are_rotated(family, keys, tensors, rope, layers, tmp_path):
    want = rotated(family, rope, layers)(ids()).logits
    if rope:
        assert (want - model(family)(ids()).logits).abs().max() > 0.1, "that it is applied has to show"
    path = gguf_files.write(tmp_path / "model.gguf", model(family), keys, {name: make().numpy() for name, make in tensors.items()})
    got = said_by(weir.export.export(path, tmp_path / "model.pt2", max_batch=1, max_length=LENGTH))
    torch.testing.assert_close(got, want, rtol=0, atol=2e-4)


@pytest.mark.parametrize("keys, tensors, without, reason", [
    ({"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0, "rope.scaling.yarn_log_multiplier": 0.1}, {}, (),
     "yarn_log_multiplier"),
    ({"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0, "rope.scaling.alpha": 2.0}, {}, (), "rope.scaling.alpha is not known"),
    ({"rope.scaling.type": "spiral"}, {}, (), "the type 'spiral' is not known"),
    ({"rope.scaling.attn_factor": 1.5}, {}, (), "without yarn"),
    ({}, {"rope_freqs.weight": torch.full((3,), 2.0)}, (), "3 factors"),
    ({}, {"rope_factors_long.weight": torch.ones(4)}, (), "there is only one"),
    ({"attn_logit_softcapping": 30.0}, {}, (), "attn_logit_softcapping = 30.0, for which transformers' LlamaConfig has no place"),
    ({"attention.key_length": 16}, {}, (), "attention.key_length = 16|not those that its configuration describes"),
    ({"split.count": 3}, {}, (), "one of 3 files of a model; merge them first"),
    ({}, {"blk.1.attn_q.bias": torch.ones(32)}, (), "no place for: blk.1.attn_q.bias"),
    ({}, {}, ("blk.2.ffn_down.weight",), "it lacks model.layers.2.mlp.down_proj.weight"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_what_a_file_says_and_cannot_be_exported_is_refused(keys, tensors, without, reason, tmp_path):
    path = gguf_files.write(tmp_path / "model.gguf", model("llama"), keys, tensors, without)
    with pytest.raises(weir.export.ExportError, match=reason):
        weir.export.export(path, tmp_path / "model.pt2", max_batch=1, max_length=LENGTH)
    assert [file.name for file in tmp_path.iterdir()] == ["model.gguf"]


def test_the_length_is_by_default_no_more_than_the_context(tmp_path, monkeypatch):
    monkeypatch.setenv("WEIR_CACHE", str(tmp_path / "cache"))
    path = gguf_files.write(tmp_path / "model.gguf", model("llama"))
    assert "-n64-" in str(weir.export.cached(path, max_batch=1))


def test_a_file_is_read_once_and_again_when_it_changes(tmp_path, monkeypatch):
    """What an export takes is what gguf's own reader says, from one pass over the file and one table of names."""
    passes, tables = [], []
    reader, table = gguf.GGUFReader, gguf.get_tensor_name_map
    read = reader.__init__
    monkeypatch.setattr(reader, "__init__", lambda self, *arguments: (passes.append(1), read(self, *arguments))[1])
    monkeypatch.setattr(gguf, "get_tensor_name_map", lambda *arguments: (tables.append(arguments), table(*arguments))[1])
    path = gguf_files.write(tmp_path / "tiny.gguf", model("llama"), {"general.name": "one"})
    tables.clear()
    weir.export.export(path, tmp_path / "tiny.pt2", max_batch=1, max_length=8)
    assert len(passes) == len(tables) == 1
    with gguf_reading.once():
        first = gguf.GGUFReader(path)
        with gguf_reading.once():
            assert gguf.GGUFReader(str(path)) is first
        assert gguf.GGUFReader(path) is first
        gguf_files.write(path, model("llama"), {"general.name": "two"})
        assert gguf.GGUFReader(path) is not first
    assert gguf.GGUFReader is reader
    gguf_files.write_tokenizer(tmp_path / "tokens.gguf", {f"t{index}é": index for index in range(50)}, [], "llama-bpe")
    for path in path, tmp_path / "tokens.gguf":
        mine, plain = gguf_reading._Reader(path), gguf.GGUFReader(path)
        assert {name: field.contents() for name, field in mine.fields.items()} == \
            {name: field.contents() for name, field in plain.fields.items()}
        for got, want in zip(mine.tensors, plain.tensors, strict=True):
            assert got.name == want.name and (got.data == want.data).all()


@pytest.mark.parametrize("order", [gguf.GGUFEndian.LITTLE, gguf.GGUFEndian.BIG])
def test_the_reader_gives_what_the_formats_own_gives(tmp_path, order):
    path = tmp_path / "model.gguf"
    writer = gguf.GGUFWriter(path, "llama", endianess=order)
    writer.add_array("tokenizer.ggml.tokens", ["", "a", "ä", "long " * 40])
    writer.add_array("tokenizer.ggml.scores", [0.5, -1e30, 3.0])
    writer.add_array("llama.lists", [[1, 2], [3]])
    writer.add_bool("llama.flag", True)
    writer.add_int8("llama.byte", -3)
    writer.add_uint64("llama.long", 2**63)
    writer.add_float64("llama.wide", 1e300)
    writer.add_tensor("w", numpy.arange(12, dtype=numpy.float32).reshape(3, 4))
    writer.add_tensor("v", numpy.arange(5, dtype=numpy.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    want, got = gguf.GGUFReader(path), gguf_reading._Reader(path)
    assert list(want.fields) == list(got.fields) and want.endianess == got.endianess == order
    for name, field in want.fields.items():
        other = got.fields[name]
        assert (field.offset, field.data, field.types) == (other.offset, other.data, other.types)
        assert [(part.dtype, part.tobytes()) for part in field.parts] == [(part.dtype, part.tobytes()) for part in other.parts]
        assert field.contents() == other.contents()
    for one, other in zip(want.tensors, got.tensors, strict=True):
        assert (one.name, one.tensor_type, one.n_bytes) == (other.name, other.tensor_type, other.n_bytes)
        assert one.data.dtype == other.data.dtype and numpy.array_equal(one.data, other.data)
    # Cut off anywhere, both refuse.
    whole = path.read_bytes()
    for size in range(0, got.data_offset + 3, 7):
        path.write_bytes(whole[:size])
        for reader in (gguf.GGUFReader, gguf_reading._Reader):
            with pytest.raises(Exception) as error:
                reader(path)
            assert isinstance(error.value, (ValueError, IndexError, UnicodeDecodeError)), (size, error.value)
