# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""How long the tools take to start: a build, and another one beside it.

    python benchmarks/compiler/startup.py build [OTHER_BUILD] [--runs 20] [--at-least 8]

Runs each command `--runs` times in turn with both builds and prints the best time
and processor time of each in milliseconds, and how many times faster the first
build is. With `--at-least` it fails if weir-opt or a command of weirc is less.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SPEC = """
weir: 1
model: {}
dictionaries: {sae: {format: sae_lens, path: "d/{layer}", sites: [res], layers: 0..3}}
policies: {p: {on: {features: [1/res/7]}, do: add, strength: 2}}
plans: {p: [p]}
"""

COMMANDS = {
    "weir-opt empty.mlir": ["weir-opt", "empty.mlir"],
    "weirc check spec.yaml": ["weirc", "check", "spec.yaml"],
    "weirc --help": ["weirc", "--help"],
    "weirc cache ls": ["weirc", "cache", "ls", "--cache", "cache"],
    "weir-translate --import-spec": ["weir-translate", "--import-spec", "spec.yaml"],
    "weir-lsp-server --help": ["weir-lsp-server", "--help"],
    "weir-run --help": ["weir-run", "--help"],
}


def measure(build: Path, command: list[str], folder: str) -> tuple[float, float]:
    """Milliseconds, and milliseconds of the processor."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([build / "bin" / command[0], *command[1:]], cwd=folder, check=False,
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{build}: {' '.join(command)} ended with {done.returncode}: {done.stderr}")
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return 1e3 * wall, 1e3 * used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("builds", nargs="+", type=Path, help="one or two build folders")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--at-least", type=float)
    args = parser.parse_args()
    builds = [Path(os.path.abspath(build)) for build in args.builds[:2]]
    slow = []
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "empty.mlir").write_text("module {}\n")
        Path(folder, "spec.yaml").write_text(SPEC)
        Path(folder, "cache").mkdir()
        print("| best of", args.runs, "| " + " | ".join(f"{build}: ms | processor" for build in builds),
              "| times faster |" if len(builds) == 2 else "|")
        print("|---" * (1 + 2 * len(builds) + (len(builds) == 2)) + "|")
        for name, command in COMMANDS.items():
            best = [(float("inf"), float("inf"))] * len(builds)
            for _ in range(args.runs):
                for index, build in enumerate(builds):
                    seen = measure(build, command, folder)
                    best[index] = min(best[index][0], seen[0]), min(best[index][1], seen[1])
            row = [name] + [f"{number:.1f}" for pair in best for number in pair]
            if len(builds) == 2:
                ratio = best[1][1] / best[0][1]
                row.append(f"{ratio:.0f}")
                if args.at_least and command[0] in ("weir-opt", "weirc") and ratio < args.at_least:
                    slow.append(name)
            print("| " + " | ".join(row) + " |", flush=True)
    if slow:
        sys.exit(f"less than {args.at_least} times faster: {', '.join(slow)}")


if __name__ == "__main__":
    main()
