# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Files that appear whole or not at all, and regular files as the only ones that are read.

A file NAME.EXT is written as `.NAME.EXT.weir-part-0123abcd.EXT` beside it; who writes it holds a lock on it
(`flock`). So the next run knows what a killed one has left. include/weir/Support/TemporaryFile.h does the same.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import secrets
import stat
from pathlib import Path
from typing import BinaryIO

from .errors import WeirError


def open_regular(path: str | os.PathLike, limit: int | None = None) -> BinaryIO:
    """The file `path`, open for reading bytes.

    A named pipe, a device, a folder, and a file of more than `limit` bytes are a WeirError before anything is
    read or waited for, as is a file that is not there.
    """
    def check(status: os.stat_result):
        if not stat.S_ISREG(status.st_mode):
            raise WeirError(f"{path}: not a regular file")
        if limit is not None and status.st_size > limit:
            raise WeirError(f"{path}: {status.st_size} bytes, more than the {limit} that are accepted here")

    try:
        check(os.stat(path))  # opening alone can set a device going
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise WeirError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    stream = os.fdopen(handle, "rb")
    try:
        check(os.fstat(handle))
    except WeirError:
        stream.close()
        raise
    return stream


def read_text(path: str | os.PathLike, limit: int = 64 << 20) -> str:
    """All of a regular file of UTF-8 text; WeirError as for `open_regular`, and for bytes that are no UTF-8."""
    with open_regular(path, limit) as stream:
        data = stream.read()
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise WeirError(f"{path}: {error}") from error


def json_of_line(line: str, where: str):
    """The value of one line of a file of JSON lines; WeirError that says which column of `where` is wrong."""
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise WeirError(f"{where}: column {error.colno}: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise WeirError(f"{where}: {error}") from error


MARK = ".weir-part-"


def _ending(path: Path) -> str:
    return path.suffix if len(path.suffix) <= 20 else ""


def _prefix(path: Path) -> bytes:
    # File systems take names of 255 bytes.
    return b"." + os.fsencode(path.name)[:200] + MARK.encode()


def _is_named(handle: int, name: bytes) -> bool:
    """Whether an open file is a regular one of this user, under that name."""
    held = os.fstat(handle)
    try:
        named = os.lstat(name)
    except FileNotFoundError:
        return False
    return os.path.samestat(held, named) and stat.S_ISREG(held.st_mode) and held.st_uid == os.geteuid()


def _locked(handle: int) -> bool | None:
    """True: locked now; False: somebody else has it; None: the file system has no locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    except OSError:
        return None


def _remove_abandoned(path: Path):
    """Removes what killed runs left of `path`: regular files of this user with its temporary's name, which no
    process is writing."""
    pattern = re.compile(re.escape(_prefix(path)) + rb"[0-9a-fA-F]{8}" + re.escape(os.fsencode(_ending(path))))
    folder = os.fsencode(path.parent)
    for entry in os.listdir(folder):
        if not pattern.fullmatch(entry):
            continue
        name = os.path.join(folder, entry)
        try:
            handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            if _locked(handle) and _is_named(handle, name):
                with contextlib.suppress(OSError):
                    os.unlink(name)
        finally:
            os.close(handle)


def _create(path: Path) -> tuple[int, bytes]:
    """A new locked file beside `path`, and its name."""
    for attempt in range(100):
        name = os.path.join(os.fsencode(path.parent),
                            _prefix(path) + secrets.token_hex(4).encode() + os.fsencode(_ending(path)))
        try:
            handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            continue
        except OSError as error:  # nobody asked for the copy by its name
            raise OSError(error.errno, error.strerror, str(path)) from None
        # Until it is locked another process may take it for abandoned.
        if (_locked(handle) is not False and _is_named(handle, name)) or attempt >= 3:
            return handle, name
        os.close(handle)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))


@contextlib.contextmanager
def replacing(path: Path):
    """A new file beside `path` that takes its place when the block ends without an error.

    A killed run leaves the old file or the new one, never a part; what else it leaves the next one removes. A link
    stays, and the file that it leads to is replaced. Raises OSError that names `path`, also if it is there and no regular
    file.
    """
    asked = str(path)
    if path.is_symlink() and not path.exists():
        raise FileNotFoundError(errno.ENOENT, "is a link that leads nowhere", str(path))
    path = Path(os.path.realpath(path))
    # Renaming over a device would destroy it.
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "exists and is not a regular file", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path)
    handle, name = _create(path)
    try:
        # A second descriptor holds the lock until the file has its name.
        lock = os.dup(handle)
        try:
            with os.fdopen(handle, "w+b") as stream:
                yield stream
                stream.flush()
                mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o666 & ~umask()
                os.fchmod(stream.fileno(), mode)
                os.fsync(stream.fileno())
            os.replace(name, path)
        finally:
            os.close(lock)
    except BaseException as error:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        # Writes say what is wrong, such as a full disk, and not with what.
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            raise OSError(error.errno, error.strerror, asked) from error
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def same_file(one: str | os.PathLike, other: str | os.PathLike) -> bool:
    """Whether both are there and are one file."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def umask() -> int:
    """The bits that new files lack. Not to be asked while other threads make files."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
