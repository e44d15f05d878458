# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Downloads a source package, checks its hash and unpacks it.

usage: fetch_sdist.py NAME==VERSION SHA256 FOLDER

The content of the archive's top folder lands in FOLDER/tree. The package is not
built; pip runs its build backend for the metadata only.
"""

import hashlib
import subprocess
import sys
import tarfile
from pathlib import Path


def main() -> int:
    requirement, digest, folder = sys.argv[1:]
    folder = Path(folder)
    package = requirement.split("==")[0]
    name = package.lower().replace("-", "_")
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "-q",
         "--disable-pip-version-check", "--no-deps", "--no-binary", package,
         "-d", str(folder), requirement],
        check=True)
    (archive,) = [path for path in folder.glob("*.tar.gz")
                  if path.name.lower().replace("-", "_").startswith(name)]
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != digest:
        print(f"{archive.name}: its SHA-256 is {found}, expected {digest}",
              file=sys.stderr)
        return 1
    # Debian 12's Python, 3.11.2, knows no filters yet. The digest has said what
    # is unpacked.
    safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    with tarfile.open(archive) as tar:
        tar.extractall(folder, **safely)
    (top,) = [path for path in folder.iterdir() if path.is_dir()]
    top.rename(folder / "tree")
    return 0


if __name__ == "__main__":
    sys.exit(main())
