#!/usr/bin/env python3
# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What quantised products cost: the loss of programs of one model and of llama.cpp on the same tokens, in nats a token.

    python benchmarks/quantised/loss.py MODEL.gguf PROGRAM [PROGRAM ...] --text held-out.jsonl [--texts N] [--tokens N]

A PROGRAM is a .pt2 file; the first one is what the others are compared with. The first N tokens of each of the first N
texts, each alone; the mean over all tokens but the first of a text. llama.cpp is the wheel that the tests use; its cache
is f16. The change is that of each token, paired, with its standard error."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
import weir

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "test" / "Python"))


def losses(logits: torch.Tensor, ids: list[int]) -> torch.Tensor:
    """[n - 1] f64: -log p of each token but the first."""
    return -torch.log_softmax(logits[:-1].double(), -1)[torch.arange(len(ids) - 1), torch.tensor(ids[1:])]


def of_program(path: str, rows: list[list[int]]) -> torch.Tensor:
    program = weir.load(path)
    return torch.cat([losses(program([ids]).logits[0], ids) for ids in rows])


def of_llama(path: str, rows: list[list[int]]) -> torch.Tensor:
    import llama_cpp

    return torch.cat([losses(torch.from_numpy(llama_cpp.logits(Path(path), ids)), ids) for ids in rows])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("programs", nargs="+", metavar="PROGRAM")
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--texts", type=int, default=40)
    parser.add_argument("--tokens", type=int, default=256)
    given = parser.parse_args()
    texts = [json.loads(line)["text"] for line in given.text.read_text(encoding="utf-8").splitlines()[: given.texts]]
    encode = weir.load(given.programs[0]).encode
    rows = [ids for ids in (encode(text)[: given.tokens] for text in texts) if len(ids) > 1]
    contestants = [(program, of_program) for program in given.programs] + [("llama.cpp", lambda _, rows: of_llama(given.model, rows))]
    first = None
    print(f"{len(rows)} texts, {sum(len(ids) - 1 for ids in rows)} tokens")
    print("| | nats a token | change |\n|---|---|---|")
    for name, measure in contestants:
        found = measure(name, rows)
        first = found if first is None else first
        change = found - first
        print(f"| {name} | {found.mean():.4f} | {change.mean():+.4f} ± {change.std() / len(change) ** 0.5:.4f} |", flush=True)


if __name__ == "__main__":
    main()
