# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Whether what was made of a program for another runtime is the program: weir-run's reference engine says."""

from __future__ import annotations

import math
import subprocess
import tempfile
import warnings
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Sequence

import numpy
import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from . import archives, compiler, programs
from .errors import WeirError, WeirWarning, first_line

# |package - reference| / |reference| of a token, Euclidean norms over its logits; of a record over its features, against
# the token of the batch that has the most of them, since most have none. Kernels that are fused sum in
# another order and round less often: 6e-6 on SmolLM2 and less on tiny models in f32, up to 0.1 in bf16. What reads past
# an input, mixes up rows or leaves out an operation is off by about the size of the logits themselves.
TOLERANCE = {torch.float32: 2e-3, torch.bfloat16: 0.25}
_WHOLE = 4  # batches with texts of the largest length
_SHORT = 32  # tokens
_PACKAGE = "the package that AOTInductor makes"


#===---- Inputs ------------------------------------------------------------------------------------===#

def inputs_of(program: ExportedProgram) -> dict[str, torch.Tensor]:
    """The program's inputs by name, as tensors without data whose dynamic sizes are symbols."""
    values = {node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"}
    return {spec.arg.name: values[spec.arg.name] for spec in program.graph_signature.input_specs
            if spec.kind == InputKind.USER_INPUT}


def bounds(program: ExportedProgram, size) -> tuple[int, int]:
    """The smallest and the largest value of a size."""
    if isinstance(size, int):
        return size, size
    limits = program.range_constraints[size.node.expr]
    return int(limits.lower), int(limits.upper) if math.isfinite(float(limits.upper)) else 2**62


def traced(size) -> int:
    """What a size was when the program was traced."""
    return size if isinstance(size, int) else int(size.node.hint)


#===---- Comparison --------------------------------------------------------------------------------===#

@dataclass(frozen=True)
class _Case:
    """Texts from their start, the second and each other after it half as long as the first. The first half of each is
    its prompt.

    ids        [b, S] int64, random; -1 at padding
    positions  [b, S] int64, -1 at padding
    plans      an index into the program's plans for each row, -1 for none
    knobs      of all rows, by name
    """

    ids: torch.Tensor
    positions: torch.Tensor
    plans: list[int]
    knobs: dict[str, float]

    @property
    def prompts(self) -> torch.Tensor:
        """[b] int64: how many tokens of each row are its prompt."""
        return ((self.positions >= 0).sum(1) + 1) // 2

    def inputs(self, program: ExportedProgram, columns=slice(None)) -> list[torch.Tensor]:
        """What the program takes, in its order, of some columns of the texts."""
        rows = len(self.plans)
        values = {"input_ids": self.ids[:, columns].clamp(min=0), "positions": self.positions[:, columns].contiguous(),
                  "prompt_length": self.prompts, "plan": torch.tensor(self.plans),
                  "knobs": torch.tensor([list(self.knobs.values())] * rows, dtype=torch.float32)}
        return [values[name] for name in inputs_of(program)]

    def __str__(self):
        return f"{self.ids.shape[0]} rows of {self.ids.shape[1]} tokens"


def _knob(about: dict) -> float:
    """A value at which a knob acts."""
    return about["default"] or about["max"] or about["min"]


def _case(rows: int, length: int, vocabulary: int, plans: list[int], steering: dict) -> _Case:
    random = torch.Generator().manual_seed(0)
    positions = torch.arange(length).repeat(rows, 1)
    positions[1::2, (length + 1) // 2:] = -1
    ids = torch.randint(0, vocabulary, (rows, length), generator=random).masked_fill(positions < 0, -1)
    return _Case(ids, positions, plans, {knob["name"]: _knob(knob) for knob in steering.get("knobs", [])})


def largest(program: ExportedProgram, info: dict) -> tuple[int, int]:
    """The most rows and the most tokens a row that the program takes at once."""
    most = (bounds(program, size)[1] for size in inputs_of(program)["input_ids"].shape)
    return tuple(min(bound, info[key]) for bound, key in zip(most, ("max_batch", "max_length")))


def _row_plans(rows: int, plans: int, fixed: bool = False) -> list[list[int]]:
    """Which plans to compare on so many rows, a list for each batch. Every plan is in one of them, and so is no plan: the
    first row of several has none, and the others, as far as there are plans, one after another. Where half of the rows
    are enough for the plans, a row with one stands between rows without. With a plan that is fixed all have that."""
    if fixed:
        return [[0] * rows]
    if rows == 1:
        return [[plan] for plan in range(-1, plans)]
    if plans <= rows // 2:
        return [[(row // 2) % plans if row % 2 and plans else -1 for row in range(rows)]]
    return [[-1, *((first + row) % plans for row in range(rows - 1))] for first in range(0, plans, rows - 1)]


def _lengths(longest: int, batches: int) -> list[int]:
    """How many tokens a row the batches have. With many plans those after the second are shorter: all together have about
    as many as _WHOLE long ones, or _SHORT each."""
    return [longest] * min(batches, 2) + [min(longest, max(_SHORT, _WHOLE * longest // batches))] * (batches - 2)


class _TooLarge(Exception):
    """The reference engine would hold more memory than it may."""


def _reference(opened: archives.Opened, path: Path, case: _Case, steering: dict, operators: Sequence[str],
               kernels: str | Path | None = None, what: str = _PACKAGE) -> dict[int, torch.Tensor]:
    """Of weir-run's reference engine, by the program's output: 0 the logits [b, S, V], in memory that is a file's, then
    the records [b, S, features]. `what` is what they are for."""
    command = [compiler.tool("weir-run"), archives.name_of(opened.handle), "--engine", "reference",
               "--no-verify"]  # weirc has read all of these very bytes
    for name in operators:
        command += ["--allow-operator", name]
    if kernels is not None:
        command += ["--kernels", str(kernels)]
    if steering.get("plans"):
        command += ["--plan", ",".join("none" if plan < 0 else steering["plans"][plan] for plan in case.plans)]
    if "prompt_length" in inputs_of(opened.program):
        command += ["--prompt-length", ",".join(map(str, case.prompts.tolist()))]
    for name, value in case.knobs.items():
        command += ["--knob", f"{name}={value!r}"]
    with tempfile.TemporaryDirectory(prefix="weir-") as folder:
        ids, logits, records = (Path(folder, name) for name in ("ids.npy", "logits.npy", "records.npz"))
        numpy.save(ids, case.ids.numpy())
        if steering.get("records"):
            command += ["--record", records]
        done = subprocess.run([*command, "--ids", ids, "--logits", logits], capture_output=True, text=True,
                              pass_fds=(opened.handle,))
        if done.returncode:
            if "--max-memory" in done.stderr:
                raise _TooLarge
            said = done.stderr.strip().replace(archives.name_of(opened.handle), str(path)) or \
                f"it ended with status {done.returncode}"
            raise WeirError(f"{what} cannot be compared with the reference engine: {said}")
        # They stay readable when the folder is gone.
        wanted = {0: torch.from_numpy(numpy.load(logits, mmap_mode="c"))}
        if steering.get("records"):
            with numpy.load(records) as arrays:
                wanted |= {record["output"]: torch.from_numpy(arrays[record["name"]]) for record in steering["records"]}
        return wanted


def _distances(got: torch.Tensor, want: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
    """[..., V] and the same -> [...]: how far apart, relative to a size; infinite for NaN."""
    got, want = got.float(), want.float()
    far = (got - want).norm(dim=-1) / size.clamp(min=1e-12)
    return torch.where(got.isfinite().all(-1), far, math.inf)


def _run(package, inputs: list[torch.Tensor], shapes: dict[int, tuple[int, ...]]) -> dict[int, torch.Tensor]:
    """Those of the package's outputs that are compared. Raises ValueError with what is wrong instead."""
    try:
        outputs = package(*inputs)
    except RuntimeError as error:
        raise ValueError(f"an error: {first_line(error)}") from error
    outputs = outputs if isinstance(outputs, (tuple, list)) else [outputs]
    for index, shape in shapes.items():
        if index >= len(outputs):
            raise ValueError(f"{len(outputs)} outputs, and no output {index}")
        if tuple(outputs[index].shape) != tuple(shape):
            raise ValueError(f"sizes {list(outputs[index].shape)} instead of {list(shape)}")
    return {index: outputs[index] for index in shapes}


def _worst(program: ExportedProgram, package, case: _Case, want: dict[int, torch.Tensor]) -> float:
    """How far apart the package and the reference are where they differ most: over the texts at once and, after that,
    over the last token of each alone, which reads the package's cache. Of the tokens of each plan's rows it is the best
    two thirds that count: near a jump, rounding may decide, and a row's tokens after it are others. For the same reason
    a record says nothing of a plan that has one or two tokens."""
    rows, length = case.ids.shape
    got = _run(package, case.inputs(program), {output: tensor.shape for output, tensor in want.items()})
    # Of a record most tokens are zeros; padding holds anything.
    sizes = {output: tensor.float().norm(dim=-1) if output == 0 else
             tensor.float().norm(dim=-1).masked_fill(case.positions < 0, 0).max().expand(rows, length)
             for output, tensor in want.items()}
    distances = defaultdict(list)  # by output and plan
    for row, plan in enumerate(case.plans):
        count = int((case.positions[row] >= 0).sum())
        for output, tensor in want.items():
            distances[output, plan].append(_distances(got[output][row, :count], tensor[row, :count], sizes[output][row, :count]))
    if length > 1:
        whole = case.positions[:, -1] >= 0
        got = _run(package, case.inputs(program, slice(length - 1, length)),
                   {output: (rows, 1, tensor.shape[2]) for output, tensor in want.items()})
        for row in whole.nonzero().flatten().tolist():
            for output, tensor in want.items():
                distances[output, case.plans[row]].append(_distances(got[output][row], tensor[row, -1:], sizes[output][row, -1:]))
    worst = [torch.zeros(())]
    for (output, plan), tokens in distances.items():
        tokens = torch.cat(tokens)
        if output and len(tokens) < 3:
            continue
        worst.append(tokens.kthvalue(len(tokens) if plan < 0 and not output else math.ceil(len(tokens) * 2 / 3)).values)
    return float(torch.stack(worst).max())


@torch.no_grad()
def compare(opened: archives.Opened, package, path: Path, progress: Callable[[str], None] = lambda line: None,
            operators: Sequence[str] = (), kernels: str | Path | None = None, what: str = _PACKAGE,
            tolerances: dict[torch.dtype, float] = TOLERANCE):
    """Runs what was made of a program, and the program in weir-run's reference engine, on 1 and on the largest number of
    rows, with 1 and with the largest number of tokens, and raises WeirError where they disagree. On the largest sizes every
    plan is compared; on the others it may be one.

    `package` takes the program's inputs in their order and gives its outputs; it keeps its cache between calls. Where the
    reference engine has not enough memory for so many tokens, it is half as many, as often as need be, and a WeirWarning
    says so. `path` is how messages call the program; `operators` are those that it may call although the catalogue lacks
    them.
    """
    program, info = opened.program, opened.info
    steering = programs.steering_of(opened, path)
    tensors = {**program.state_dict, **program.constants}
    tolerance = max(tolerances.get(tensor.dtype, 0) for tensor in [torch.zeros(0), *tensors.values()])
    most_rows, most_length = largest(program, info)
    for rows in sorted({1, most_rows}):
        for longest in sorted({1, most_length}):
            batches = _row_plans(rows, len(steering.get("plans", [])), bool(steering.get("fixed")))
            if (rows, longest) != (most_rows, most_length):
                batches = batches[:2 if rows == 1 else 1]
            for plans, wanted in zip(batches, _lengths(longest, len(batches))):
                length = wanted
                while True:
                    case = _case(rows, length, info["vocab_size"], plans, steering)
                    try:
                        want = _reference(opened, path, case, steering, operators, kernels, what)
                        break
                    except _TooLarge:
                        if length == 1:
                            raise WeirError(f"{path}: there is not enough memory to run {case}, with which {what} is "
                                            "compared: export the model with fewer rows (--max-batch)") from None
                        length //= 2
                try:
                    worst = _worst(program, package, case, want)
                    if not worst <= tolerance:
                        raise ValueError(f"a relative error of {worst:.2g} (allowed {tolerance:g})")
                except ValueError as error:
                    raise WeirError(f"{what} of {path} is not the program: on {case} it has "
                                    f"{error}. It is not kept") from error
                progress(f"compared with the reference engine on {case}: a relative error of {worst:.2g}")
                if length < wanted:
                    warnings.warn(f"{what} was compared on {case} only: for {wanted} there is not enough memory",
                                  WeirWarning)
