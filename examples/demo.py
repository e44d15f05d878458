# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiles an example spec on SmolLM2-135M-Instruct and shows what it does.

Run by `./bootstrap demo`: exports the model (once), compiles
examples/smollm2/three_plans.yaml into build/demo, then lets one batch go on from
the same prompt under no plan and under each plan of the spec.
"""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SPEC = ROOT / "examples" / "smollm2" / "three_plans.yaml"
BUILD = Path(os.environ.get("WEIR_BUILD", ROOT / "build"))
OUT = BUILD / "demo"
PROMPT = "I think"
PLANS = ["none", "war", "food", "music"]
TOKENS = 48


def run(*command: object, **options) -> str:
    shown = " ".join(str(part) for part in command)
    print(f"$ {shown.replace(str(ROOT) + '/', '')}", flush=True)
    env = dict(os.environ, PYTHONPATH=str(ROOT / "python"))
    done = subprocess.run([str(part) for part in command], check=True, env=env,
                          stdout=subprocess.PIPE, text=True, **options)
    return done.stdout


def side_by_side(left: str, right: str, width: int) -> str:
    columns = [textwrap.wrap(text, width) or [""] for text in (left, right)]
    height = max(map(len, columns))
    for column in columns:
        column += [""] * (height - len(column))
    return "\n".join(f"  {a:<{width}} | {b}" for a, b in zip(*columns))


def main() -> int:
    model = run(sys.executable, "-m", "weir", "export", "smollm2",
                "--cached").strip().splitlines()[-1]
    run(BUILD / "bin" / "weirc", "build", SPEC, "--model", model, "-o", OUT)
    answer = json.loads(run(
        BUILD / "bin" / "weir-run", OUT,
        *[part for _ in PLANS for part in ("--prompt", PROMPT)],
        "--plan", ",".join(PLANS), "--max-new-tokens", TOKENS, "--json"))
    texts = {row["plan"]: " ".join((PROMPT + row["text"]).split())
             for row in answer["rows"]}

    width = max(30, (shutil.get_terminal_size((100, 24)).columns - 8) // 2)
    for plan in PLANS[1:]:
        print(f"\n  {'plain':<{width}} | plan '{plan}'")
        print("  " + "-" * width + "-+-" + "-" * width)
        print(side_by_side(texts["none"], texts[plan], width))
    decode = answer["decode"]
    print(f"\n{len(PLANS)} rows in one batch, each with its own plan: "
          f"{decode['tokens_per_second']:.0f} tokens/s.")
    print(f"The program is {OUT.relative_to(ROOT)}/program.pt2; its report is "
          "report.md beside it.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
