# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Opening a torch.export archive so that nothing of it runs.

torch.export.load (2.13) trusts an archive: it unpickles sample inputs, objects and old forms of weights,
evaluates guards and sizes, calls whatever a node names, and loads machine code that lies in the file. So the
archive does not get to it. weirc reads the file, checks it (`weirc vet`) and says what PyTorch may have: a copy
of the graph, made of what Weir knows, and where the weights lie. From these the program is put together here.

The file is read once, into memory without a name. What is hashed, checked and run are the same bytes, whatever
becomes of the file meanwhile.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import os
import threading
import warnings
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Sequence

from . import compiler, deserializing
from .errors import WeirError, WeirWarning, first_line
from .files import open_regular

# Operators that Weir itself has, and no program's kernels.
_OF_WEIR = tuple(f"torch.ops.weir.{name}" for name in ("quantized_", "cached_attention.", "rms_norm.", "rotate."))

# PyTorch's reader knows one program at a time in a process, and fails on a second one.
_reading = threading.Lock()

if TYPE_CHECKING:
    import torch
    from torch.export import ExportedProgram


@dataclass(frozen=True)
class Opened:
    """program  as torch.export has it, without guards and without sample inputs
    info     extra/weir.json, None if the archive has none
    extra    the texts of the records below extra/ that Weir reads, by name
    texts    the bytes of those that may be long, by name: tokenizer.json, tokenizer_config.json
    handle   a descriptor of the archive's bytes, open inside `opening` only
    places   where in the file each tensor begins, by name"""

    program: "ExportedProgram"
    info: dict | None
    extra: dict[str, str]
    texts: dict[str, bytes]
    handle: int
    places: dict[str, int] = field(default_factory=dict)


class _Copy:
    """The bytes of a regular file, in memory that only this process and its children can reach."""

    def __init__(self, path: Path, size: int | None):
        stream = open_regular(path)
        source = stream.fileno()
        try:
            found = os.fstat(source)
            # What cannot be an archive, or the archive, is not read to find out, nor kept in memory.
            if not found.st_size:
                raise WeirError(f"{path} is empty")
            if size is not None and found.st_size != size:
                raise WeirError(f"{path}: it has {found.st_size} bytes, the manifest says {size}")
            if not zipfile.is_zipfile(stream):
                raise WeirError(f"cannot load {path}: not an archive of torch.export: no end of a zip in it")
            memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
            if found.st_size > memory:
                raise WeirError(f"{path}: {found.st_size} bytes, more than the {memory} of memory that this machine has")
            self.handle = os.memfd_create("weir", os.MFD_CLOEXEC)
            try:
                done = 0
                while done < found.st_size:
                    count = os.sendfile(self.handle, source, done, found.st_size - done)
                    if not count:
                        raise WeirError(f"{path} became shorter while it was read")
                    done += count
                self.bytes = mmap.mmap(self.handle, found.st_size)
            except BaseException:
                self.close()
                raise
        finally:
            stream.close()

    def close(self):
        """The bytes stay as long as a tensor uses them."""
        os.close(self.handle)


def _tensors(described: dict, memory: mmap.mmap) -> tuple[dict, dict]:
    """Weights and constants by name. They share `memory`, and tied ones share a storage."""
    import torch

    # The numbers of torch._export.serde.schema.ScalarType.
    dtypes = {1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64, 6: torch.float16,
              7: torch.float32, 8: torch.float64, 12: torch.bool, 13: torch.bfloat16}
    records: dict[tuple[int, int], torch.Tensor] = {}
    weights, constants = {}, {}
    for name, about in described.items():
        if about["dtype"] not in dtypes:
            raise WeirError(f"'{name}' is of a type (number {about['dtype']}) that programs do not use")
        dtype = dtypes[about["dtype"]]
        place = about["begin"], about["dtype"]
        if place not in records:
            count = about["bytes"] // dtype.itemsize
            record = torch.frombuffer(memory, dtype=dtype, count=count, offset=about["begin"]) if count else \
                torch.empty(0, dtype=dtype)
            # Vectorised code may assume what writers of archives guarantee.
            records[place] = record if about["begin"] % 64 == 0 else record.clone()
        tensor = records[place].as_strided(about["sizes"], about["strides"], about["offset"])
        if about["parameter"]:
            tensor = torch.nn.Parameter(tensor, requires_grad=False)
        (weights if about["weight"] else constants)[name] = tensor
    return weights, constants


def _check_targets(program: "ExportedProgram"):
    """weirc has checked the names; this asks what they turned out to stand for."""
    import torch
    from torch._export.serde.serialize import _SYM_OPS

    for node in program.graph.nodes:
        if node.op == "call_function" and not isinstance(node.target, torch._ops.OpOverload) \
                and node.target not in _SYM_OPS and getattr(node.target, "__name__", "") != "getitem":
            raise WeirError(f"node {node.name} calls {node.target}, which is no operator")


def name_of(handle: int) -> str:
    """What a child process that inherits `handle` has to open."""
    return f"/proc/self/fd/{handle}"


def load(path: str | os.PathLike, **options) -> Opened:
    """Opens an archive as `opening` does."""
    with opening(path, **options) as opened:
        return opened


@contextlib.contextmanager
def opening(path: str | os.PathLike, *, sha256: str | None = None, size: int | None = None, verify: bool = True,
            allow_operators: Sequence[str] = (), kernels: bool = False):
    """Opens an archive, an `Opened`, whose bytes other programs can be given while the block runs. Needs weirc.

    sha256  what the file's hash has to be, None for any
    size    how many bytes it has to have, None for any
    verify  compare the archive's records with its own checksums where no `sha256` is given
    allow_operators  operators that are not in the catalogue and that it may call; a warning says which it does
    kernels  it may call kernels: the caller has loaded those that belong to it

    Raises WeirError for a file that is missing, damaged, or not a plain program: one with pickled tensors,
    custom objects, operators outside of ATen, or names and sizes that PyTorch would take for code.
    """
    path = Path(path)
    if not path.exists():
        raise WeirError(f"{path}: no such file")
    copy = _Copy(path, size)
    try:
        if sha256 is not None and (found := hashlib.sha256(copy.bytes).hexdigest()) != sha256:
            raise WeirError(f"{path}: its SHA-256 is {found}, the manifest says {sha256}")
        name = name_of(copy.handle)
        try:
            vetted = compiler.weirc("vet", name, pass_fds=(copy.handle,), no_verify=not verify or sha256 is not None,
                                    allow_operator=list(allow_operators))
        except compiler.CompileError as error:
            said = str(error).removeprefix("error: ").replace(name, str(path))
            raise WeirError(f"cannot load {said}" if said.startswith(str(path)) else f"cannot load {path}: {said}") from error
        for diagnostic in vetted["diagnostics"]:
            if diagnostic["severity"] == "warning":
                warnings.warn(diagnostic["message"], WeirWarning, stacklevel=3)
        own = [name for name in vetted["operators"] if name.startswith("torch.ops.weir.")]
        if any(name.startswith(_OF_WEIR) for name in own):
            from .kernels import register

            register()
        if not kernels and not all(name.startswith(_OF_WEIR) for name in own):
            raise WeirError(f"cannot load {path}: the program needs its kernels, native code that is not in it; load the "
                            "whole folder that weirc build made")
        from torch._export.serde import schema
        from torch._export.serde.serialize import ExportedProgramDeserializer, _dict_to_dataclass

        try:
            info = json.loads(vetted["extra"]["weir.json"]) if "weir.json" in vetted["extra"] else None
            if info is not None and not isinstance(info, dict):
                raise WeirError("extra/weir.json is no object")
            weights, constants = _tensors(vetted["tensors"], copy.bytes)
            with _reading, deserializing.once():
                document = _dict_to_dataclass(schema.ExportedProgram, vetted["document"])
                program = ExportedProgramDeserializer().deserialize(document, weights, constants, None)
        except WeirError as error:
            raise WeirError(f"cannot load {path}: {error}") from error
        except Exception as error:  # PyTorch has no common base for what a graph that does not fit raises
            raise WeirError(f"cannot load {path}: {first_line(error)}") from error
        _check_targets(program)
        texts = {key: copy.bytes[place["begin"]:place["begin"] + place["bytes"]] for key, place in vetted["texts"].items()}
        yield Opened(program, info, vetted["extra"], texts, copy.handle,
                     {key: place["begin"] for key, place in vetted["tensors"].items()})
    finally:
        copy.close()
