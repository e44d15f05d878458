# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Small GGUF files, written from transformers models with the format's own library."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy
import torch

ARCHITECTURES = {"llama": "llama", "qwen2": "qwen2", "gemma3_text": "gemma3"}


def _as_stored(name: str, tensor: torch.Tensor, config) -> numpy.ndarray:
    """llama.cpp rotates neighbours in Llama's heads, transformers the two halves: rows go in another order."""
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}.get(name.split(".")[-2])
    if config.model_type == "llama" and heads:
        tensor = tensor.reshape(heads, 2, -1, *tensor.shape[1:]).transpose(1, 2).reshape(tensor.shape)
    if config.model_type.startswith("gemma") and name.endswith("norm.weight"):
        tensor = tensor + 1
    return tensor.detach().float().contiguous().numpy()


# Of blocks of random bytes: the place of the scale of 16 bits, of that of the minima, what that is times the scale so
# that numbers have a mean near 0, and the scale that gives them a deviation of 1.
_RANDOM = {"Q4_K": (0, 2, 7.5, 1 / 185), "Q5_K": (0, 2, 15.5, 1 / 380), "Q6_K": (208, None, 0, 1 / 1370)}


def random_blocks(kind: str, rows: int, width: int, deviation: float, seed: int) -> numpy.ndarray:
    """[rows, bytes] uint8 of a type that gguf-py reads and does not write."""
    generator = numpy.random.default_rng(seed)
    size, count = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]]
    scale_at, minimum_at, factor, one = _RANDOM[kind]
    raw = generator.integers(0, 256, (rows, width // size, count), dtype=numpy.uint8)
    scale = generator.uniform(0.5, 1.5, (rows, width // size, 1)) * deviation * one
    raw[:, :, scale_at : scale_at + 2] = scale.astype("<f2").view(numpy.uint8)
    if minimum_at is not None:
        raw[:, :, minimum_at : minimum_at + 2] = (scale * factor).astype("<f2").view(numpy.uint8)
    return raw.reshape(rows, -1)


def _add(writer: gguf.GGUFWriter, name: str, tensor: numpy.ndarray, kind: str):
    raw_type = gguf.GGMLQuantizationType[kind]
    if kind in _RANDOM:
        blocks = random_blocks(kind, *tensor.shape, float(tensor.std()), sum(name.encode()))
    else:
        blocks = gguf.quantize(tensor, raw_type)
    writer.add_tensor(name, blocks, raw_dtype=raw_type)


def write(path: Path, model, more: dict | None = None, tensors: dict | None = None, without: tuple = (),
          types: dict | None = None) -> Path:
    """Writes `model` (of a type in ARCHITECTURES) to `path`.

    more     keys below the architecture's name (split.* and tokenizer.* stand by themselves), and their values
    tensors  further tensors, by their name in the file
    without  tensors of the model that are left out, by their name in the file
    types    types of matrices that are quantised, by their name in the file; of K-quants the file has random ones
    """
    config = model.config
    architecture = ARCHITECTURES[config.model_type]
    writer = gguf.GGUFWriter(str(path), architecture)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    rope = config.rope_parameters
    writer.add_rope_freq_base(rope.get("full_attention", rope)["rope_theta"])
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_rope_dimension_count(width)
    writer.add_vocab_size(config.vocab_size)
    if architecture == "gemma3":
        writer.add_key_length(width)
        writer.add_value_length(width)
        writer.add_sliding_window(config.sliding_window)
    for key, value in (more or {}).items():
        add = {str: writer.add_string, float: writer.add_float32, int: writer.add_uint32, bool: writer.add_bool}[type(value)]
        add(key if key.startswith(("split.", "tokenizer.")) else f"{architecture}.{key}", value)
    kind = next(key for key, value in gguf.MODEL_ARCH_NAMES.items() if value == architecture)
    names = gguf.get_tensor_name_map(kind, config.num_hidden_layers)
    tied = config.tie_word_embeddings
    for name, tensor in model.state_dict().items():
        if tied and name == "lm_head.weight":
            continue
        stem, end = name.rsplit(".", 1)
        stored = f"{names.get_name(stem)}.{end}"
        if stored in without:
            continue
        if types and stored in types:
            _add(writer, stored, _as_stored(stored, tensor, config), types[stored])
        else:
            writer.add_tensor(stored, _as_stored(stored, tensor, config))
    for name, tensor in (tensors or {}).items():
        writer.add_tensor(name, numpy.ascontiguousarray(tensor, dtype=numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_tokenizer(path: Path, vocabulary: dict[str, int], merges: list[tuple[str, str]], pre: str | None, **flags) -> Path:
    """A file with a byte-level vocabulary and no weights."""
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_tokenizer_model("gpt2")
    if pre is not None:
        writer.add_tokenizer_pre(pre)
    writer.add_token_list(sorted(vocabulary, key=vocabulary.get))
    writer.add_token_merges([" ".join(merge) for merge in merges])
    for key, value in flags.items():
        getattr(writer, f"add_{key}")(value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
