# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Keeps transformers' reader of GGUF files (5.23) from doing the same work again and again.

It has gguf's library parse all of a file's metadata for the configuration, for the weights and for the tokenizer, and
make the table of tensors' names for each of a model's modules: two thirds of what loading SmolLM2 took.
"""

from __future__ import annotations

import contextlib
import functools
import os
import struct

import gguf
import numpy

_under_way = False


class _Reader(gguf.GGUFReader):
    def _build_fields(self, *arguments):
        # The same mapped bytes: slicing a memmap costs several times as much, and every token is some slices.
        self.data = self.data.view(numpy.ndarray)
        return super()._build_fields(*arguments)

    def _get_field_parts(self, orig_offs, raw_type):
        """What gguf's makes of an array, which takes each of its items for a value of any kind. Where an array does not lie in
        the file as a whole, the errors are gguf's."""
        if raw_type != gguf.GGUFValueType.ARRAY or self.byte_order != "I":
            return super()._get_field_parts(orig_offs, raw_type)
        data, begin = self.data, orig_offs + 12
        parts = [self._get(orig_offs, numpy.uint32), self._get(orig_offs + 4, numpy.uint64)]
        kind, count = gguf.GGUFValueType(parts[0][0]), int(parts[1][0])
        types = [gguf.GGUFValueType.ARRAY] + [kind] * (count > 0)
        if kind == gguf.GGUFValueType.STRING:
            raw, size = memoryview(data), len(data)
            for _ in range(count):
                text = begin + 8
                end = text + _length(raw, begin)[0] if text <= size else size + 1
                if end > size:
                    return super()._get_field_parts(orig_offs, raw_type)
                parts += data[begin:text].view(numpy.uint64), data[text:end]
                begin = end
            return begin - orig_offs, parts, list(range(3, len(parts), 2)), types
        dtype = numpy.dtype(self.gguf_scalar_to_np.get(kind, "V"))
        end = begin + count * dtype.itemsize
        if kind not in self.gguf_scalar_to_np or end > len(data):
            return super()._get_field_parts(orig_offs, raw_type)
        parts.extend(data[begin:end].view(dtype).reshape(count, 1))
        return end - orig_offs, parts, list(range(2, len(parts))), types


_length = struct.Struct("<Q").unpack_from


def _value(parse):
    """transformers' _gguf_parse_value, with less work for each of the tokens of a vocabulary."""
    texts = [gguf.GGUFValueType.STRING], [gguf.GGUFValueType.ARRAY, gguf.GGUFValueType.STRING]
    return lambda value, types: value.tobytes().decode() if types in texts else parse(value, types)


@functools.lru_cache(1)
def _read(path: str, *state) -> gguf.GGUFReader:
    return _Reader(path)


def _reader(path, mode="r") -> gguf.GGUFReader:
    if mode != "r":
        return _Reader(path, mode)
    state = os.stat(path)
    return _read(os.path.abspath(path), state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns)


@contextlib.contextmanager
def once():
    """While it lasts (the outermost, where they are nested), the metadata of a file are read once, unless the file
    changes, and a table of names is made once."""
    global _under_way
    if _under_way:
        yield
        return
    from transformers import modeling_gguf_pytorch_utils as loading

    before = gguf.GGUFReader, gguf.get_tensor_name_map, loading._gguf_parse_value
    _under_way = True
    gguf.GGUFReader, gguf.get_tensor_name_map = _reader, functools.cache(gguf.get_tensor_name_map)
    loading._gguf_parse_value = _value(loading._gguf_parse_value)
    try:
        yield
    finally:
        gguf.GGUFReader, gguf.get_tensor_name_map, loading._gguf_parse_value = before
        _read.cache_clear()
        _under_way = False
