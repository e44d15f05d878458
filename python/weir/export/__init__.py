# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""From a Hugging Face causal model to a torch.export archive that `weirc` compiles and `weir-run` runs.

The program takes input_ids [b, S] int64 and positions [b, S] int64 and gives logits [b, S, V] float32;
keys and values of earlier tokens are kept inside. docs/export.md describes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.metadata
import os
import re
from pathlib import Path
from typing import Callable

from ..files import same_file
from .errors import ExportError, UnsupportedModel

__all__ = ["ARITHMETICS", "DTYPES", "ExportError", "MAX_BATCH", "MAX_LENGTH", "UnsupportedModel", "WEIGHTS", "cached", "export"]

DTYPES = ("f32", "bf16")
WEIGHTS = ("plain", "native")
# Of products with weights in blocks: f32 on the numbers that they stand for; or integers, activations rounded to
# bytes, 32 with a common scale.
ARITHMETICS = ("exact", "int8")
# What --quantize makes of a model's matrices: 32 numbers with a common scale.
QUANTIZED = {"int8": "Q8_0", "int4": "Q4_0"}
MAX_BATCH = 4
MAX_LENGTH = 512  # or the model's positions, where they are fewer


def _belongs_to(model: str | Path, path: str | Path) -> bool:
    """Whether `path` is a file in the model's folder, also through links. An older export, NAME.pt2, is none of what a
    model is read from."""
    if not os.path.isdir(model) or not os.path.exists(path):
        return False
    return any(same_file(os.path.join(folder, file), path)
               for folder, _, files in os.walk(model) for file in files if not file.endswith(".pt2"))


@contextlib.contextmanager
def _quiet():
    """transformers' bars and advice are no part of what an export has to say."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _source(model, name: str | None, tokenizer):
    from . import sources

    if isinstance(model, (str, Path)):
        return sources.resolve(str(model))
    return sources.Loaded(name or model.config.model_type, model, tokenizer)


def _length(source, asked: int | None) -> int:
    """The positions of the cache: those asked for, or as many as is usual and the model has."""
    return asked if asked is not None else min(MAX_LENGTH, source.positions() or MAX_LENGTH)


def export(model, path: str | os.PathLike, *, dtype: str = "f32", weights: str = "plain", arithmetic: str = "exact",
           quantize: str | None = None, max_batch: int = MAX_BATCH, max_length: int | None = None, name: str | None = None,
           tokenizer=None, progress: Callable[[str], None] = lambda line: None) -> Path:
    """Writes the exported program of `model` to `path`, replacing it at once or leaving it alone.

    model       a folder, a GGUF file, a name in the local Hugging Face cache, "smollm2", or a
                transformers model in memory (then `name` and `tokenizer` may go with it)
    dtype       of weights, activations and cache: "f32" or "bf16"; logits are float32 in any case
    weights     "plain": numbers of `dtype`; "native": matrices of a GGUF file stay as it has them, blocks of small
                integers (docs/quantised.md)
    arithmetic  of their products: "exact", or "int8", which rounds activations to bytes and is faster (for "native")
    quantize    "int8" or "int4": matrices are rounded to blocks of such integers. A model in memory keeps the rounded numbers
    max_batch   rows of the cache; a batch has 1..max_batch rows
    max_length  positions of the cache: prompt and answer together; by default MAX_LENGTH or the model's
                positions, whichever is less
    progress    called with one line before each step, and with what was written at the end

    Raises ExportError. Before anything is written the program is run against the model itself.
    """
    import torch

    from . import archive, check, gguf_reading, graph, program, sources, steps

    if dtype not in DTYPES:
        raise ExportError(f"dtype must be one of {', '.join(DTYPES)}, not {dtype}")
    if weights not in WEIGHTS:
        raise ExportError(f"weights must be one of {', '.join(WEIGHTS)}, not {weights}")
    if arithmetic not in ARITHMETICS:
        raise ExportError(f"arithmetic must be one of {', '.join(ARITHMETICS)}, not {arithmetic}")
    if quantize is not None and quantize not in QUANTIZED:
        raise ExportError(f"quantize must be one of {', '.join(QUANTIZED)}, not {quantize}")
    if quantize is not None and weights == "native":
        raise ExportError("--weights native keeps the blocks of a file, and --quantize makes others: choose one of them")
    if arithmetic != "exact" and weights != "native" and quantize is None:
        raise ExportError(f"--arithmetic {arithmetic} is for weights in blocks: it needs --weights native or --quantize")
    if isinstance(model, (str, Path)):
        if same_file(model, path):
            raise ExportError(f"{path} is the model itself, which would be replaced: choose another name")
        if _belongs_to(model, path):
            raise ExportError(f"{path} is a file of the model, which would be replaced: choose another name")
    torch_dtype = sources.DTYPES[dtype]
    with _quiet():
        source = _source(model, name, tokenizer)
        if weights == "native" and not getattr(source, "gguf", None):
            raise ExportError(f"--weights native keeps the blocks of a GGUF file, and {source.name} is none")
        max_length = _length(source, max_length)
        progress(f"loading {source.name}")
        with gguf_reading.once():
            loaded = source.model(torch_dtype)
            tokens = source.tokenizer()
        program.require_supported(loaded.config, max_batch, max_length)
        ids, want = check.reference(loaded, max_length)
        made, told = None, ""
        if quantize is not None:
            made, ids, want, told = _quantize(loaded, quantize, ids, want, max_length, progress)
        attention = loaded.config._attn_implementation
        experts = getattr(loaded.config, "_experts_implementation", None)
        try:
            # Activations in f32 have kernels of their own beside the products.
            own = (weights == "native" or made is not None) and dtype == "f32"
            if own:
                from .. import kernels

                kernels.register()
            module = program.Program(loaded, max_batch, max_length, own_attention=own)
            progress(f"tracing {loaded.config.num_hidden_layers} layers")
            exported = graph.trace(module)
            held = ""
            if weights == "native" or made is not None:
                held = _pack(exported, source, torch_dtype, made, progress) + told
            if own:
                steps.fuse(exported)
        finally:
            loaded.set_attn_implementation(attention)
            if experts is not None:
                loaded.set_experts_implementation(experts)
        progress(f"checking {ids.numel()} tokens against the model")
        compared = ids, want, max_batch, torch_dtype
        check.compare(exported, *compared)
        if arithmetic != "exact":
            held += _round(exported, arithmetic, compared, progress)
        path = Path(path)
        progress(f"writing {path}")
        archive.write(exported, archive.records(source.name, dtype, module, tokens, arithmetic, quantize), path)
        progress(f"wrote {path}: {source.name} ({loaded.config.model_type}, {loaded.config.num_hidden_layers} layers, {dtype}{held}), "
                 f"{max_batch} {'row' if max_batch == 1 else 'rows'} of {max_length} positions"
                 + ("" if tokens is not None else ", without a tokenizer"))
    return path


def _quantize(loaded, quantize: str, ids, want, max_length: int, progress) -> tuple:
    """Rounds a model's matrices: their blocks, what the model says now to the same tokens, and how to call that."""
    from . import check, packed

    progress(f"rounding matrices to {quantize}")
    made = packed.Made(loaded, QUANTIZED[quantize])
    _, now = check.reference(loaded, max_length)
    return made, ids, now, f"; weights are rounded to {quantize}, which moves logits by {100 * check.relative_error(now, want):.2g} %"


def _pack(exported, source, dtype, made, progress) -> str:
    """Puts the file's blocks, or those that were made, into the program; how to call what there is now."""
    from . import gguf_reading, packed

    if made is not None:
        counts = packed.pack(exported, made)
    else:
        progress(f"finding the blocks of {source.gguf}")
        with gguf_reading.once():
            counts = packed.from_file(exported, Path(source.location) / source.gguf, dtype)
    return "".join(f", {count} of {kind}" for kind, count in sorted(counts.items()))


def _round(exported, arithmetic: str, compared: tuple, progress) -> str:
    """Has products round activations, in a program that was right without it; how to call that."""
    from . import check, packed

    count = packed.set_arithmetic(exported, arithmetic)
    progress(f"rounding what {count} products read to {arithmetic}")
    moved = check.compare(exported, *compared, tolerance=check.ROUNDED)
    return f"; not exact: what {count} products read is rounded to {arithmetic}, which moves logits by {100 * moved:.2g} %"


def cache_folder() -> Path:
    """Where `cached` keeps programs: $WEIR_CACHE, or .cache/weir of the source tree this package is
    in, or the user's cache folder."""
    if folder := os.environ.get("WEIR_CACHE"):
        return Path(folder) / "models"
    tree = Path(__file__).resolve().parents[3]
    if (tree / "CMakeLists.txt").is_file() and (tree / "python" / "weir").is_dir():
        return tree / ".cache" / "weir" / "models"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "weir" / "models"


def _key(source, *options) -> str:
    """Changes with anything that the exported program depends on."""
    from . import chat

    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    versions = [f"{package} {importlib.metadata.version(package)}" for package in ("torch", "transformers", "tokenizers")]
    # Without weirc a chat template is left out; the program is made anew when it is there.
    digest.update(repr((source.name, source.fingerprint(), versions, options, chat.available())).encode())
    return digest.hexdigest()[:12]


def cached(model, *, dtype: str = "f32", weights: str = "plain", arithmetic: str = "exact", quantize: str | None = None,
           max_batch: int = MAX_BATCH, max_length: int | None = None, name: str | None = None, tokenizer=None, progress: Callable[[str], None] = lambda line: None) -> Path:
    """The path of the exported program of `model`, exported now unless an earlier export still holds.

    Parameters as in `export`. A file is called after its content's key (the model's files, the
    options, the export's own source and the versions it rests on), so it never goes stale; what it
    replaces is removed. Processes that ask at once wait for one export.
    """
    source = _source(model, name, tokenizer)
    max_length = _length(source, max_length)
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    kind = "-".join([dtype, *([weights] if weights != "plain" else []), *([f"to-{quantize}"] if quantize else []),
                     *([arithmetic] if arithmetic != "exact" else [])])
    stem = f"{source.name}-{kind}-b{max_batch}-n{max_length}".replace("/", "--")
    path = folder / f"{stem}-{_key(source, kind, max_batch, max_length)}.pt2"
    if path.is_file():
        return path
    with open(folder / f".{stem}.lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.is_file():
            export(model, path, dtype=dtype, weights=weights, arithmetic=arithmetic, quantize=quantize, max_batch=max_batch,
                   max_length=max_length, name=name, tokenizer=tokenizer, progress=progress)
            superseded = re.compile(re.escape(stem) + "-[0-9a-f]{12}[.]pt2")
            for old in folder.iterdir():
                if superseded.fullmatch(old.name) and old != path:
                    old.unlink(missing_ok=True)
    return path
