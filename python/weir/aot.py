# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""From a torch.export archive to an AOTInductor package for `weir-run --engine aot`.

The package holds code and no weights: the runner gives it the archive's, which it has mapped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Sequence

import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from . import archives, comparison
from .comparison import bounds, inputs_of, traced
from .errors import WeirError, first_line
from .files import replacing, same_file


def example_inputs(program: ExportedProgram) -> tuple[torch.Tensor, ...]:
    """Zeros of the types and sizes of the program's inputs; a dynamic size is the one it was traced with."""
    return tuple(torch.zeros([traced(size) for size in value.shape], dtype=value.dtype)
                 for value in inputs_of(program).values())


def _check_sizes(program: ExportedProgram, path: Path):
    """Raises WeirError where the size of an input is dynamic, but the largest one was traced: AOTInductor
    would take it for the only one, and read past the end of smaller inputs."""
    for name, value in inputs_of(program).items():
        for axis, size in enumerate(value.shape):
            if not isinstance(size, int) and bounds(program, size)[1] <= traced(size):
                raise WeirError(f"{path} was traced with the largest size of input {name} [axis {axis}], "
                                f"{traced(size)}; a package would work for that size only: export the model again")


@torch.no_grad()
def compare(opened: archives.Opened, package, path: Path, progress: Callable[[str], None] = lambda line: None,
            operators: Sequence[str] = (), kernels: str | Path | None = None):
    """Gives a package the weights of its program, and compares the two: see comparison.compare."""
    program = opened.program
    tensors = {**program.state_dict, **program.constants}
    # What the package writes to is its own.
    own = {name: tensor.detach().clone() if name in program.constants else tensor.detach()
           for name, tensor in tensors.items()}
    package.load_constants({name: own[name] for name in package.get_constant_fqns()}, check_full_update=True,
                           user_managed=True)
    comparison.compare(opened, package, path, progress, operators, kernels)


#===---- Packages ----------------------------------------------------------------------------------===#

def package(path: str | Path, output: str | Path | None = None, *, kernels: str | Path | None = None,
            progress: Callable[[str], None] = lambda line: None, allow_operators: Sequence[str] = ()) -> Path:
    """Compiles the archive `path` to `output` (by default beside it, NAME.aot.pt2) for this machine's
    processor, and keeps the package if it does what the reference engine of weir-run does. Takes about a minute for
    30 layers. `progress` is given a line before each step; `allow_operators` are those of `weir.load`.

    The package is native code: whoever loads it runs it. `kernels` is the file of those that the program calls,
    kernels.so beside it; they do not become a part of the package.
    """
    path = Path(path)
    output = path.with_suffix(".aot.pt2") if output is None else Path(output)
    if same_file(path, output):
        raise WeirError(f"{output} is the program itself, which would be replaced: choose another name")
    if kernels is not None:
        from .kernels import load

        load(kernels)
    with archives.opening(path, allow_operators=allow_operators, kernels=kernels is not None) as opened:
        program = opened.program
        _check_sizes(program, path)
        if not {"input_ids", "positions"} <= set(inputs_of(program)) or \
                not {"vocab_size", "max_batch", "max_length"} <= set(opened.info or {}):
            raise WeirError(f"{path} is no program of python -m weir export or weirc build: weir-run could not run it")
        # The archive's own are not read.
        program.example_inputs = (example_inputs(program), {})
        # Inductor gives constants names of its own; buffers keep theirs, by which the runner finds them.
        for spec in program.graph_signature.input_specs:
            if spec.kind == InputKind.CONSTANT_TENSOR:
                spec.kind, spec.persistent = InputKind.BUFFER, False
        with replacing(output) as stream, torch.no_grad():
            progress(f"compiling {path} with AOTInductor")
            try:
                torch._inductor.aoti_compile_and_package(
                    program, package_path=stream, inductor_configs={"aot_inductor.package_constants_in_so": False})
            except RuntimeError as error:
                raise WeirError(f"AOTInductor cannot compile {path}: {first_line(error)}") from error
            compare(opened, torch._inductor.aoti_load_package(stream), path, progress, allow_operators, kernels)
    return output
