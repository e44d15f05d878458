# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""llama.cpp itself, of the wheel xllamacpp, whose library exports its C interface."""

from __future__ import annotations

import ctypes
import functools
import os
from pathlib import Path

import format_libraries
import numpy

LOCK = format_libraries.ROOT / "python" / "requirements-doors.lock"


class _Parameters(ctypes.Structure):
    """Settings that are passed by value and stay as they are, so that their size is all that matters; a larger one
    does no harm in memory, which is where so large a value is passed."""

    _fields_ = [("bytes", ctypes.c_byte * 1024)]


class _Batch(ctypes.Structure):
    _fields_ = [("n_tokens", ctypes.c_int32), ("token", ctypes.POINTER(ctypes.c_int32)), ("embd", ctypes.c_void_p),
                ("pos", ctypes.POINTER(ctypes.c_int32)), ("n_seq_id", ctypes.POINTER(ctypes.c_int32)),
                ("seq_id", ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))), ("logits", ctypes.POINTER(ctypes.c_int8))]


class _String(ctypes.Structure):
    """What a std::string of manylinux2014's library points into: at `text`, behind its size and its owners."""

    _fields_ = [("size", ctypes.c_size_t), ("capacity", ctypes.c_size_t), ("owners", ctypes.c_int),
                ("padding", ctypes.c_int), ("text", ctypes.c_char * 4096)]

    def __init__(self, text: bytes):
        super().__init__(len(text), len(text), 1, 0, text)


class _VectorFile(ctypes.Structure):
    """common_control_vector_load_info"""

    _fields_ = [("strength", ctypes.c_float), ("name", ctypes.c_void_p)]


class _Vector(ctypes.Structure):
    """common_control_vector_data, and the std::vector in it"""

    _fields_ = [("width", ctypes.c_int), ("begin", ctypes.POINTER(ctypes.c_float)), ("end", ctypes.c_void_p),
                ("room", ctypes.c_void_p)]


@functools.cache
def _library():
    folder = format_libraries.folder(LOCK)
    library = ctypes.CDLL(next((folder / "xllamacpp").glob("*.so")))
    pointer = ctypes.c_void_p
    for name, result, arguments in (
            ("llama_model_default_params", _Parameters, ()), ("llama_context_default_params", _Parameters, ()),
            ("llama_model_load_from_file", pointer, (ctypes.c_char_p, _Parameters)),
            ("llama_init_from_model", pointer, (pointer, _Parameters)),
            ("llama_model_get_vocab", pointer, (pointer,)), ("llama_vocab_n_tokens", ctypes.c_int32, (pointer,)),
            ("llama_model_n_embd", ctypes.c_int32, (pointer,)), ("llama_model_n_layer", ctypes.c_int32, (pointer,)),
            ("llama_batch_init", _Batch, (ctypes.c_int32, ctypes.c_int32, ctypes.c_int32)),
            ("llama_set_n_threads", None, (pointer, ctypes.c_int32, ctypes.c_int32)),
            ("llama_decode", ctypes.c_int32, (pointer, _Batch)), ("llama_batch_free", None, (_Batch,)),
            ("llama_get_logits", ctypes.POINTER(ctypes.c_float), (pointer,)),
            ("llama_set_adapter_cvec", ctypes.c_int32,
             (pointer, pointer, ctypes.c_size_t, ctypes.c_int32, ctypes.c_int32, ctypes.c_int32)),
            ("llama_free", None, (pointer,)), ("llama_model_free", None, (pointer,)),
            ("llama_log_set", None, (pointer, pointer))):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    library.llama_log_set(_silent, None)
    library.llama_backend_init()
    return library


@ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
def _silent(level, text, data):
    pass


def control_vector(path: Path) -> tuple[int, numpy.ndarray]:
    """What llama.cpp's own loader makes of a file: the width, and the numbers from layer 1 on. (-1, none) if it takes
    the file for wrong."""
    load = _library()._Z26common_control_vector_loadRKSt6vectorI31common_control_vector_load_infoSaIS0_EE
    load.restype, load.argtypes = _Vector, (ctypes.c_void_p,)
    name = _String(str(path).encode())
    file = _VectorFile(1.0, ctypes.addressof(name) + _String.text.offset)
    start = ctypes.addressof(file)
    files = (ctypes.c_void_p * 3)(start, start + ctypes.sizeof(file), start + ctypes.sizeof(file))
    vector = load(ctypes.addressof(files))
    if vector.width < 0 or not vector.begin:
        return vector.width, numpy.zeros(0, numpy.float32)
    count = (vector.end - ctypes.cast(vector.begin, ctypes.c_void_p).value) // 4
    return vector.width, numpy.ctypeslib.as_array(vector.begin, (count,)).copy()


def logits(model: Path, ids: list[int], vector: Path | None = None) -> numpy.ndarray:
    """[tokens, vocabulary] of one forward pass of a GGUF file, with a control vector if there is one. The cache of
    llama.cpp is f16, so that the numbers are those of f32 to three digits."""
    library = _library()
    loaded = library.llama_model_load_from_file(str(model).encode(), library.llama_model_default_params())
    assert loaded, f"llama.cpp does not load {model}"
    context = library.llama_init_from_model(loaded, library.llama_context_default_params())
    # Set behind Python's back when a backend starts: what is started afterwards would not have this environment
    # (and no warm interpreter, warm_python.py).
    os.unsetenv("KMP_BLOCKTIME")
    try:
        library.llama_set_n_threads(context, 1, 1)  # of several, all but one wait in a loop
        if vector is not None:
            width, numbers = control_vector(vector)
            assert width == library.llama_model_n_embd(loaded)
            layers = library.llama_model_n_layer(loaded)
            assert library.llama_set_adapter_cvec(context, numbers.ctypes.data, numbers.size, width, 1, layers) == 0
        batch = library.llama_batch_init(len(ids), 0, 1)
        batch.n_tokens = len(ids)
        for i, token in enumerate(ids):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, i, 1, 1
            batch.seq_id[i][0] = 0
        assert library.llama_decode(context, batch) == 0
        words = library.llama_vocab_n_tokens(library.llama_model_get_vocab(loaded))
        result = numpy.ctypeslib.as_array(library.llama_get_logits(context), (len(ids), words)).copy()
        library.llama_batch_free(batch)
        return result
    finally:
        library.llama_free(context)
        library.llama_model_free(loaded)
