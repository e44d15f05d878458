# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Sums over a text, kept while they are made, so that a run that was killed goes on where it was."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ..files import replacing

if TYPE_CHECKING:
    import torch

SECONDS = 30


def folder(cache: str | os.PathLike | None) -> Path:
    """Where they lie: below the cache of matches."""
    return Path(cache or os.environ.get("WEIR_CACHE") or Path.home() / ".cache" / "weir") / "features"


class Checkpoint:
    """Tensors, and how many windows are in them, under the hash of all that they depend on.

    The file is written at most every `SECONDS`, whole or not at all, and goes away when all is done."""

    def __init__(self, cache: str | os.PathLike | None, what: list):
        """`what` is of what JSON can hold."""
        key = hashlib.sha256(json.dumps(["weir features 1", *what]).encode()).hexdigest()
        self.path = folder(cache) / f"{key}.npz"
        self.saved = time.monotonic()

    def load(self, tensors: list["torch.Tensor"]) -> list[int]:
        """Fills the tensors, if there is a checkpoint of these forms, and gives the numbers that were saved with them;
        else none."""
        import numpy
        import torch

        try:
            with numpy.load(self.path, allow_pickle=False) as file:
                arrays = [file[f"tensor{number}"] for number in range(len(tensors))]
                numbers = [int(one) for one in file["numbers"]]
        except Exception:  # not there, or damaged: everything is counted anew
            return []
        if any(array.shape != tuple(tensor.shape) or torch.from_numpy(array).dtype != tensor.dtype
               for array, tensor in zip(arrays, tensors)):
            return []
        for array, tensor in zip(arrays, tensors):
            tensor.copy_(torch.from_numpy(array))
        return numbers

    def save(self, tensors: list["torch.Tensor"], numbers: list[int]):
        """Writes them if it is time. A folder that cannot be written only costs the resumption."""
        import numpy

        if time.monotonic() - self.saved < SECONDS:
            return
        with contextlib.suppress(OSError), replacing(self.path) as stream:
            numpy.savez(stream, numbers=numpy.array(numbers),
                        **{f"tensor{number}": tensor.numpy() for number, tensor in enumerate(tensors)})
        self.saved = time.monotonic()

    def done(self):
        with contextlib.suppress(OSError):
            self.path.unlink()
