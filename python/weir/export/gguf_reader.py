# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""gguf-py's reader, faster.

It slices the mapped file for every string and every number of a vocabulary, and a slice of numpy.memmap takes ten times
as long as one of an array. A model of 262,144 tokens has three million of them, and transformers opens a file three times.
"""

from __future__ import annotations

import contextlib
import functools

import gguf
import numpy


@functools.lru_cache(maxsize=64)
def _ordered(dtype, order: str) -> numpy.dtype:
    return numpy.dtype(dtype).newbyteorder(order)


class Reader(gguf.GGUFReader):
    """Gives what gguf.GGUFReader gives, arrays in place of memmaps: they lie in the mapped file as well."""

    @property
    def data(self) -> numpy.ndarray:
        return self._bytes

    @data.setter
    def data(self, mapped: numpy.ndarray):
        self._bytes = numpy.asarray(mapped)

    def _get(self, offset, dtype, count=1, override_order=None):
        kind = _ordered(dtype, override_order or self.byte_order)
        count = int(count)
        offset = int(offset)
        return self._bytes[offset : offset + kind.itemsize * count].view(kind)


@contextlib.contextmanager
def for_transformers():
    """While it lasts, transformers reads GGUF files with it: it looks the class up at every call."""
    before = gguf.GGUFReader
    gguf.GGUFReader = Reader
    try:
        yield
    finally:
        gguf.GGUFReader = before
