# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Makes the pages of docs/reference from the TableGen files.

    python docs/generate.py            write the pages
    python docs/generate.py --check    exit with 1 if a page is out of date
"""

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TBLGEN = Path("/usr/lib/llvm-22/bin/mlir-tblgen")
INCLUDES = [ROOT / "include", Path("/usr/lib/llvm-22/include")]
DIALECTS = {"FX": "fx", "Flow": "flow", "Steer": "steer"}
PASSES = {
    "FX": "weir/Dialect/FX/Transforms/Passes.td",
    "Flow": "weir/Dialect/Flow/Transforms/Passes.td",
    "Steer": "weir/Dialect/Steer/Transforms/Passes.td",
    "Steer, measured": "weir/Dialect/Steer/Transforms/MeasurePasses.td",
    "Conversion": "weir/Conversion/SteerToFX/Passes.td",
    "Folding": "weir/Conversion/SteerToWeights/Passes.td",
}


def tblgen(source: str, *arguments: str) -> str:
    command = [TBLGEN, *arguments, *(f"-I{path}" for path in INCLUDES),
               ROOT / "include" / source]
    text = subprocess.run(command, check=True, stdout=subprocess.PIPE,
                          text=True).stdout
    return "\n".join(line.rstrip() for line in text.splitlines()).strip() + "\n"


def pages() -> dict[str, str]:
    made = {}
    for room, dialect in DIALECTS.items():
        made[f"{room}Dialect.md"] = tblgen(
            f"weir/Dialect/{room}/IR/{room}Ops.td", "-gen-dialect-doc",
            f"-dialect={dialect}")
    passes = ["# Passes\n"]
    for room, source in PASSES.items():
        passes.append(f"## {room}\n\n{tblgen(source, '-gen-pass-doc')}")
    made["Passes.md"] = "\n".join(passes)
    return made


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    folder = ROOT / "docs" / "reference"
    folder.mkdir(exist_ok=True)
    stale = []
    for name, text in pages().items():
        page = folder / name
        if page.exists() and page.read_text() == text:
            continue
        stale.append(name)
        if not args.check:
            page.write_text(text)
    if args.check and stale:
        print(f"out of date: {', '.join(stale)}; run python docs/generate.py",
              file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
