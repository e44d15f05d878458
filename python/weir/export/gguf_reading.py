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

import gguf
import numpy

_under_way = False


class _Reader(gguf.GGUFReader):
    def _build_fields(self, *arguments):
        # The same mapped bytes: slicing a memmap costs several times as much, and every token is some slices.
        self.data = self.data.view(numpy.ndarray)
        return super()._build_fields(*arguments)


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
    before = gguf.GGUFReader, gguf.get_tensor_name_map
    _under_way = True
    gguf.GGUFReader, gguf.get_tensor_name_map = _reader, functools.cache(gguf.get_tensor_name_map)
    try:
        yield
    finally:
        gguf.GGUFReader, gguf.get_tensor_name_map = before
        _read.cache_clear()
        _under_way = False
