# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Makes the packages of this folder known to an environment without a copy of them.

usage: python register.py SITE_PACKAGES

vLLM finds plugins by the metadata of installed packages: it is written from pyproject.toml, beside a path file that leads
here. A second run changes nothing.
"""

import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(site: Path) -> None:
    project = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name = project["name"].replace("-", "_")
    folder = site / f"{name}-{project['version']}.dist-info"
    folder.mkdir(exist_ok=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    (folder / "entry_points.txt").write_text("\n".join(
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in entries.items())
        for group, entries in project["entry-points"].items()))
    (folder / "RECORD").write_text("")
    (site / "weir.pth").write_text(f"{HERE.parent}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
