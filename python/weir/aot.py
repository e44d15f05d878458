# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""From a torch.export archive to an AOTInductor package for `weir-run --engine aot`.

The package holds code and no weights: the runner gives it the archive's, which it has mapped.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from . import archives
from .errors import WeirError, first_line
from .files import replacing, same_file

# |package - program| / |program| of a token, Euclidean norms over its logits. Kernels that are fused sum in
# another order and round less often.
TOLERANCE = {torch.float32: 2e-3, torch.bfloat16: 0.15}


#===---- Inputs ------------------------------------------------------------------------------------===#

def _inputs(program: ExportedProgram) -> dict[str, torch.Tensor]:
    """The program's inputs by name, as tensors without data whose dynamic sizes are symbols."""
    values = {node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"}
    return {spec.arg.name: values[spec.arg.name] for spec in program.graph_signature.input_specs
            if spec.kind == InputKind.USER_INPUT}


def _bounds(program: ExportedProgram, size) -> tuple[int, int]:
    """The smallest and the largest value of a size."""
    if isinstance(size, int):
        return size, size
    limits = program.range_constraints[size.node.expr]
    return int(limits.lower), int(limits.upper) if math.isfinite(float(limits.upper)) else 2**62


def _traced(size) -> int:
    """What a size was when the program was traced."""
    return size if isinstance(size, int) else int(size.node.hint)


def example_inputs(program: ExportedProgram) -> tuple[torch.Tensor, ...]:
    """Zeros of the types and sizes of the program's inputs; a dynamic size is the one it was traced with."""
    return tuple(torch.zeros([_traced(size) for size in value.shape], dtype=value.dtype)
                 for value in _inputs(program).values())


def _check_sizes(program: ExportedProgram, path: Path):
    """Raises WeirError where the size of an input is dynamic, but the largest one was traced: AOTInductor
    would take it for the only one, and read past the end of smaller inputs."""
    for name, value in _inputs(program).items():
        for axis, size in enumerate(value.shape):
            if not isinstance(size, int) and _bounds(program, size)[1] <= _traced(size):
                raise WeirError(f"{path} was traced with the largest size of input {name} [axis {axis}], "
                                f"{_traced(size)}; a package would work for that size only: export the model again")


#===---- Comparison --------------------------------------------------------------------------------===#

def _sample(program: ExportedProgram, rows: int, length: int, vocabulary: int, plans: list[int]) -> list[torch.Tensor]:
    """Inputs of `rows` texts from their start, the second and each other after it half as long as the first."""
    random = torch.Generator().manual_seed(0)
    positions = torch.arange(length).repeat(rows, 1)
    positions[1::2, (length + 1) // 2:] = -1
    values = {"input_ids": torch.randint(0, vocabulary, (rows, length), generator=random), "positions": positions,
              "prompt_length": (positions >= 0).sum(1), "plan": torch.tensor(plans)}
    for name, value in _inputs(program).items():
        if name not in values:  # knobs
            values[name] = torch.ones([rows, *value.shape[1:]], dtype=value.dtype)
    return [values[name] for name in _inputs(program)]


def _distances(got: torch.Tensor, want: torch.Tensor) -> torch.Tensor:
    """[..., V] and the same -> [...]: how far apart, relative to the size of `want`; infinite for NaN."""
    got, want = got.float(), want.float()
    far = (got - want).norm(dim=-1) / want.norm(dim=-1).clamp(min=1e-12)
    return torch.where(got.isfinite().all(-1), far, math.inf)


@torch.no_grad()
def compare(program: ExportedProgram, package, path: Path, vocabulary: int, max_batch: int, max_length: int):
    """Runs a package and its program on 1 and on the largest number of rows, with 1 and with the largest number
    of tokens, and raises WeirError where they disagree. The program is run by PyTorch, node by node, which is
    equal to weir-run's reference engine to the bit."""
    tensors = {**program.state_dict, **program.constants}
    # What the package writes to is its own: both begin with an empty cache.
    own = {name: tensor.detach().clone() if name in program.constants else tensor.detach() for name, tensor in tensors.items()}
    package.load_constants({name: own[name] for name in package.get_constant_fqns()}, check_full_update=True,
                           user_managed=True)
    module = program.module()
    tolerance = max(TOLERANCE.get(tensor.dtype, 0) for tensor in [torch.zeros(0), *tensors.values()])
    ids, is_steered = _inputs(program)["input_ids"], "plan" in _inputs(program)
    rows, lengths = ([max(1, low), min(most, high)] for (low, high), most in
                     zip((_bounds(program, size) for size in ids.shape), (max_batch, max_length)))
    for row_count in sorted(set(rows)):
        for length in sorted(set(lengths)):
            # Unsteered rows and steered ones; of one row alone the longer text is steered.
            plans = [0 if is_steered and (row % 2 or (row_count == 1 and length > 1)) else -1 for row in range(row_count)]
            inputs = _sample(program, row_count, length, vocabulary, plans)
            want, got = module(*inputs), package(*inputs)
            want, got = (value[0] if isinstance(value, (tuple, list)) else value for value in (want, got))
            if got.shape != want.shape:
                raise _differs(path, row_count, length, f"sizes {list(got.shape)} instead of {list(want.shape)}")
            for row, plan in enumerate(plans):
                count = int((inputs[1][row] >= 0).sum())
                far = _distances(got[row, :count], want[row, :count])
                # Near a jump of a steered row, rounding may decide: from there on its tokens are others.
                worst = far.max() if plan < 0 else far.kthvalue(max(1, math.ceil(count * 2 / 3))).values
                if not worst <= tolerance:
                    raise _differs(path, row_count, length, f"a relative error of {worst:.2g} (allowed {tolerance:g})")


def _differs(path: Path, rows: int, length: int, what: str) -> WeirError:
    return WeirError(f"the package that AOTInductor makes of {path} is not the program: on {rows} rows of {length} "
                     f"tokens it has {what}. It is not kept")


#===---- Packages ----------------------------------------------------------------------------------===#

def package(path: str | Path, output: str | Path | None = None) -> Path:
    """Compiles the archive `path` to `output` (by default beside it, NAME.aot.pt2) for this machine's
    processor, and keeps the package if it does what the program does. Takes about a minute for 30 layers.

    The package is native code: whoever loads it runs it.
    """
    path = Path(path)
    output = path.with_suffix(".aot.pt2") if output is None else Path(output)
    if same_file(path, output):
        raise WeirError(f"{output} is the program itself, which would be replaced: choose another name")
    opened = archives.load(path)
    program, info = opened.program, opened.info or {}
    _check_sizes(program, path)
    # The archive's own are not read.
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
        if "input_ids" in _inputs(program) and "positions" in _inputs(program):
            compare(program, torch._inductor.aoti_load_package(stream), path, info.get("vocab_size", 2),
                    info.get("max_batch", 2**62), info.get("max_length", 2**62))
    return output
