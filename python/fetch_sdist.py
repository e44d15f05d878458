# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Downloads a source package, compares its hash and takes files out of it.

usage: fetch_sdist.py NAME==VERSION SHA256 FOLDER PATH...

Each PATH, a file or a folder below the archive's top folder, lands in FOLDER
under its last name. Nothing is opened before the hash is compared, and nothing
of the package is run: `pip download` would run its build, and before it whatever
packages the build asks for, to learn a name that is known. So this takes only
pip's look at the package index and its connection, with the index, certificates
and proxies that pip is configured with.
"""

import contextlib
import hashlib
import logging
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


class FetchError(Exception):
    """What went wrong, in words for a person."""


@contextlib.contextmanager
def source_of(requirement: str) -> Iterator[tuple]:
    """The link of the source archive of `requirement`, NAME==VERSION, and a session of pip to get it
    with. FetchError: the index has none, or does not answer."""
    name, exact, version = requirement.partition("==")
    if not exact:
        raise FetchError(f"'{requirement}' is not of the form NAME==VERSION")
    # No public interface of pip does this. These names are in pip 22 to 25.
    try:
        from pip._internal.commands import create_command
        from pip._internal.exceptions import PipError
        from pip._internal.utils.temp_dir import global_tempdir_manager

        command = create_command("download")
        options, _ = command.parse_args(["--no-binary", ":all:", requirement])
    except ImportError as error:
        raise FetchError(f"this pip has changed within ({error}): make .venv anew with pip 23") from error
    # pip warns of every index that does not have the package.
    logging.getLogger("pip").setLevel(logging.ERROR)
    try:
        with global_tempdir_manager(), command._build_session(options) as session:
            finder = command._build_package_finder(options, session)
            for candidate in finder.find_all_candidates(name):
                if str(candidate.version) == version:
                    yield session, candidate.link
                    return
    except PipError as error:
        raise FetchError(f"{requirement}: {error}") from error
    raise FetchError(f"{requirement}: no source package of this version is in the package index")


def download(requirement: str, digest: str, archive: Path) -> None:
    """Writes the source archive of `requirement` to `archive`. FetchError: it has another SHA-256
    than `digest`, and `archive` must not be opened."""
    found = hashlib.sha256()
    with source_of(requirement) as (session, link):
        # Bytes as they are: what is hashed is what was published.
        answer = session.get(link.url_without_fragment, stream=True,
                             headers={"Accept-Encoding": "identity"})
        answer.raise_for_status()
        with archive.open("wb") as stream:
            while part := answer.raw.read(1 << 20):
                found.update(part)
                stream.write(part)
    if found.hexdigest() != digest:
        raise FetchError(f"{link.filename}: its SHA-256 is {found.hexdigest()}, expected {digest}; "
                         "nothing of it was opened")


def unpack(archive: Path, paths: list[str], folder: Path) -> None:
    """Writes `paths` of the archive into `folder`. FetchError: one is missing, or the archive has a
    link or a device there."""
    missing = dict.fromkeys(paths)
    with tarfile.open(archive) as tar:
        for member in tar:
            inner = PurePosixPath(*PurePosixPath(member.name).parts[1:])
            for path in paths:
                wanted = PurePosixPath(path)
                if inner != wanted and wanted not in inner.parents:
                    continue
                if ".." in inner.parts or not (member.isfile() or member.isdir()):
                    raise FetchError(f"{archive.name}: {member.name} is neither a file nor a folder")
                missing.pop(path, None)
                target = folder / wanted.name / inner.relative_to(wanted)
                if member.isdir():
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                with tar.extractfile(member) as source, target.open("wb") as stream:
                    shutil.copyfileobj(source, stream)
    if missing:
        raise FetchError(f"{archive.name} has no {', '.join(missing)}")


def main() -> int:
    requirement, digest, folder, *paths = sys.argv[1:]
    try:
        with tempfile.TemporaryDirectory() as scratch:
            archive = Path(scratch) / f"{requirement}.tar.gz"
            download(requirement, digest, archive)
            unpack(archive, paths, Path(folder))
    except FetchError as error:
        print(f"fetch_sdist: {error}", file=sys.stderr)
        return 1
    except (OSError, tarfile.TarError) as error:
        print(f"fetch_sdist: {requirement}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
