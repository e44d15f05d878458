# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The libraries that own dictionary formats, in a folder of their own beside the build.

They are installed when a test first asks for them, as python/requirements-formats.lock pins them, and
imported beside the project's PyTorch. Only the modules of their dictionaries are imported: what a
package's __init__ would import besides (training, tracing) is neither installed nor run.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
import types
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "python" / "requirements-formats.lock"
BUILD = Path(os.environ.get("WEIR_BUILD", ROOT / "build")).resolve()


@functools.cache
def folder(lock: Path = LOCK) -> Path:
    """The folder with the packages of a lock, which can be imported from now on. It is there as a whole or not at all."""
    wanted = BUILD / "test-libraries" / hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    if not wanted.exists():
        wanted.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=wanted.parent))
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes",
             "--only-binary", ":all:", "--no-compile", "--target", made, "-r", lock], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        try:
            made.rename(wanted)
        except OSError:  # another process was first
            shutil.rmtree(made)
    if str(wanted) not in sys.path:
        sys.path.append(str(wanted))
    return wanted


# Packages that import training when they are imported, and with it much that is not here.
BARE = {"sparsify", "dictionary_learning", "dictionary_learning.trainers"}


def module(name: str) -> types.ModuleType:
    """A module of one of the packages, without what the packages around it do when they are imported."""
    folder()
    parts = name.split(".")
    for end in range(1, len(parts)):
        package = ".".join(parts[:end])
        if package in BARE and package not in sys.modules:
            bare = types.ModuleType(package)
            bare.__path__ = [str(folder().joinpath(*parts[:end]))]
            sys.modules[package] = bare
    return importlib.import_module(name)
