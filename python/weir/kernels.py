# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The kernels of a program (kernels.so beside it) as operators of PyTorch.

    weir.kernels.register()          torch.ops.weir.edit and its like are there
    weir.kernels.load("kernels.so")  and the kernels of a file, under their names

`weir.load` does both for a folder of `weirc build --lower=kernel`.
"""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path

from .compiler import tool
from .errors import WeirError
from .files import open_regular


class OtherProcessor(WeirError):
    """Kernels that are whole, and do not run on this machine."""


# Copies of files stay open, also of those that were refused: the loader knows them by their names, and another file of the
# same name would get an older one's code.
_loaded: list[int] = []

# Functions of PyTorch that libraries of operators call when they are loaded, with its stable interface and without.
_REGISTERING = b"aoti_torch_library", b"torch7Library"


@cache
def register():
    """Makes the operators known: `torch.ops.weir.edit`, `edit_` (in place) and `edit_and_read`."""
    import torch

    path = tool("weirc").resolve().parents[1] / "lib" / "libweir_kernels.so"
    if not path.exists():
        raise WeirError(f"{path} is missing: run ./bootstrap build, or install Weir whole")
    torch.ops.load_library(str(path))


def load(path: str | Path, *, sha256: str | None = None):
    """Loads the kernels of a file, which is native code, for as long as the process lives.

    sha256  64 lower-case hexadecimal digits that the file has to have

    Errors: WeirError for what is no file of kernels, or another one; OtherProcessor for kernels that do not run here.
    """
    import torch

    register()
    with open_regular(path) as stream:
        content = stream.read()
    if sha256 is not None:
        digest = hashlib.sha256(content).hexdigest()
        if digest != sha256:
            raise WeirError(f"{path}: its SHA-256 is {digest}, the manifest says {sha256}")
    # A library that registers operators which are there ends in the middle of the loader, whose lock it keeps.
    if any(mark in content for mark in _REGISTERING):
        raise WeirError(f"{path} holds no kernels: it registers operators of PyTorch")
    # What is loaded is what was compared, and stays as it is when somebody writes another file over this one.
    held = os.memfd_create("weir-kernels", os.MFD_CLOEXEC)
    _loaded.append(held)
    with open(held, "wb", closefd=False) as copy:
        copy.write(content)
    name = f"/proc/self/fd/{held}"
    try:
        torch.ops.weir.load_kernels(name)
    except RuntimeError as error:
        said = str(error).splitlines()[0].removeprefix("weir: ")
        # What is behind the name, which a person chose.
        kind = OtherProcessor if said.startswith((f"{name} holds kernels of another processor",
                                                  f"{name}: no variant of its kernels runs on this processor")) else WeirError
        said = said.replace(name, os.fspath(path))
        raise kind(said if os.fspath(path) in said else f"{os.fspath(path)}: {said}") from error
