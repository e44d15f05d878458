# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""From a torch.export archive to an AOTInductor package for `weir-run --engine aot`.

The package holds code and no weights: the runner gives it the archive's, which it has mapped.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from .errors import WeirError, first_line
from .files import replacing, same_file


def load(path: Path) -> ExportedProgram:
    """Reads a torch.export archive; WeirError says what is wrong with it."""
    if not path.is_file():
        raise WeirError(f"{path}: no such file")
    if not zipfile.is_zipfile(path):
        raise WeirError(f"{path} is not a torch.export archive")
    try:
        return torch.export.load(path)
    except Exception as error:  # a damaged archive can raise anything in the readers below
        raise WeirError(f"cannot load {path}: {first_line(error)}") from error


def example_inputs(program: ExportedProgram) -> tuple[torch.Tensor, ...]:
    """Zeros of the types and sizes of the program's inputs; a dynamic size is the one it was traced with."""
    values = {node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"}
    inputs = (values[spec.arg.name] for spec in program.graph_signature.input_specs if spec.kind == InputKind.USER_INPUT)

    def size(dimension) -> int:
        return dimension if isinstance(dimension, int) else int(dimension.node.hint)

    return tuple(torch.zeros([size(dimension) for dimension in value.shape], dtype=value.dtype) for value in inputs)


def package(path: str | Path, output: str | Path | None = None) -> Path:
    """Compiles the archive `path` to `output` (by default beside it, NAME.aot.pt2) for this machine's
    processor. Takes about a minute for 30 layers."""
    path = Path(path)
    output = path.with_suffix(".aot.pt2") if output is None else Path(output)
    if same_file(path, output):
        raise WeirError(f"{output} is the program itself, which would be replaced: choose another name")
    program = load(path)
    # An archive whose inputs were changed after its export carries examples that do not fit.
    program.example_inputs = (example_inputs(program), {})
    # Inductor gives constants names of its own; buffers keep theirs, by which the runner finds them.
    for spec in program.graph_signature.input_specs:
        if spec.kind == InputKind.CONSTANT_TENSOR:
            spec.kind, spec.persistent = InputKind.BUFFER, False
    with replacing(output) as stream, torch.no_grad():
        try:
            torch._inductor.aoti_compile_and_package(
                program, package_path=stream, inductor_configs={"aot_inductor.package_constants_in_so": False})
        except RuntimeError as error:
            raise WeirError(f"AOTInductor cannot compile {path}: {first_line(error)}") from error
    return output
