# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Folders that appear whole or not at all."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import tempfile
from pathlib import Path

from ..errors import WeirError
from ..files import umask

MARK = "weir-fold.json"  # what is in it was made here, and may be replaced


def _made_here(folder: Path, mark: str) -> bool:
    """Whether a folder is empty, or holds what its mark says was made here and nothing else."""
    present = {entry.name for entry in folder.iterdir()}
    if not present:
        return True
    try:
        made = json.loads((folder / mark).read_text())["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return isinstance(made, list) and present <= {mark, *map(str, made)}


def _exchange(one: Path, other: Path) -> bool:
    """Two folders take each other's names in one step; False where the file system cannot."""
    with contextlib.suppress(AttributeError):
        call = ctypes.CDLL(None, use_errno=True).renameat2
        return call(-100, os.fsencode(one), -100, os.fsencode(other), 2) == 0  # AT_FDCWD, RENAME_EXCHANGE
    return False


@contextlib.contextmanager
def folder(output: Path, keep: Path | None, about: dict, mark: str = MARK, maker: str = "weirc fold"):
    """A new folder that is called `output` when the block ends without an error, with a list of its files in `mark`.

    What is there under that name has to be empty or made here. WeirError if it is not, or if it would take the place
    of `keep` or of a folder around it.
    """
    output = Path(os.path.realpath(output))
    if keep is not None:
        kept = Path(os.path.realpath(keep))
        if output in (kept, *kept.parents) or kept in output.parents:
            raise WeirError(f"{output} is or lies in the folder of the model itself, which stays as it is; choose another")
    if output.exists() and not (output.is_dir() and _made_here(output, mark)):
        raise WeirError(f"{output} is there already and holds other things than what {maker} makes; remove it, or "
                        "choose another name")
    output.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{output.name[:200]}.weir-part-", dir=output.parent))
    try:
        yield scratch
        (scratch / mark).write_text(json.dumps({**about, "files": sorted(entry.name for entry in scratch.iterdir())}, indent=1)
                                    + "\n")
        for entry in scratch.iterdir():
            with open(entry, "rb") as stream:
                os.fsync(stream.fileno())
        scratch.chmod(0o777 & ~umask())
        if not output.exists():
            scratch.rename(output)
        elif not _made_here(output, mark):
            raise WeirError(f"{output} has changed meanwhile")
        elif not _exchange(scratch, output):
            old = Path(tempfile.mkdtemp(prefix=f".{output.name[:200]}.weir-old-", dir=output.parent))
            output.rename(old)
            scratch.rename(output)
            scratch = old
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
