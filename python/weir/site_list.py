# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Which kernel does what at which site of a program: for runtimes that call kernels themselves.

    python -m weir sites steered

    site model.layers.11 output
    kernel edit_6f3aec3c78e4ba52
    value add_23
    input plan
    result weir_93
    constant 541184

Below a site stand the arguments of its kernel, in their order (weir_kernels.h): values by their names in the program,
constants by where they begin in the program's file. A site of which a kernel does a part only is a remark, `#`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import WeirError

if TYPE_CHECKING:
    import torch

_INPUTS = {"plan", "knobs", "positions", "prompt_length"}


@dataclass(frozen=True)
class Call:
    """A kernel at a site.

    place      module and side: "model.layers.11 output", "model.layers.11.self_attn.o_proj input"; "in place" where others
               hold the same tensor as the module is given
    kernel     its name in kernels.so
    value, result   names of the value and of what it becomes
    inputs     names: inputs of the program, or what an earlier site's kernel reads
    reads      names of what it reads for others
    constants  name -> tensor, in the kernel's order
    columns    of each read
    """

    place: str
    kernel: str
    value: str
    inputs: list[str]
    result: str
    reads: list[str]
    constants: dict[str, "torch.Tensor"]
    columns: list[int]

    def __call__(self, x: "torch.Tensor", inputs: dict[str, "torch.Tensor"]) -> list["torch.Tensor"]:
        """The new value and what is read, by the operators of weir.kernels; `inputs` by name."""
        import torch

        taken, constants = [inputs[name] for name in self.inputs], list(self.constants.values())
        if self.reads:
            return list(torch.ops.weir.edit_and_read(x, taken, constants, self.columns, self.kernel))
        return [torch.ops.weir.edit(x, taken, constants, self.kernel)]


def _call(site, known: set[str], constants: dict) -> Call | str:
    """The call at a site, or why there is no such."""
    nodes = [node for node in site.step.run.graph.nodes if "weir.edit" in str(node.target)]
    if len(nodes) != 1:
        return "is edited by PyTorch's operators"
    node, = nodes
    x, inputs, stored, *rest = [*node.args, *[node.kwargs[each.name] for each in node.target._schema.arguments[len(node.args):]]]
    results = {0: node} if len(rest) == 1 else {user.args[1]: user for user in node.users}
    new = results.get(0)
    # Names in a step are those of the program's graph where they are given to others.
    if x.op != "placeholder" or x.name != site.value or new is None or new.name != site.new:
        return "is edited by PyTorch's operators as well"
    if missing := [each.name for each in inputs if each.op != "placeholder" or each.name not in _INPUTS | known]:
        return f"takes {', '.join(missing)}, which PyTorch's operators compute"
    columns = list(rest[0]) if len(rest) > 1 else []
    reads = [results[index + 1].name if index + 1 in results else f"unused_{index}" for index in range(len(columns))]
    return Call(f"{site.place.module} {site.place.side}", rest[-1], site.value, [each.name for each in inputs], new.name, reads,
                {each.target: constants[each.target] for each in stored}, columns)


def calls(folder: str | Path) -> tuple[list[Call], dict[str, str]]:
    """The calls of kernels of a folder that `weirc build` wrote, in the order of the model; and for other sites, by place, why
    there is none. What kernels.so holds is not loaded. Raises WeirError for a folder without kernels."""
    found, others, _ = _opened(Path(folder))
    return found, others


def _opened(folder: Path):
    from . import archives, kernels, programs
    from .patches import Steering

    manifest = programs._manifest(folder)
    if manifest.get("kernels") is None:
        raise WeirError(f"{folder} has no kernels: build it with --lower=kernel")
    kernels.register()
    opened = archives.load(folder / manifest["program"]["path"], **programs._expected(folder, manifest), kernels=True)
    steering = Steering.of(opened.program.module())
    known: set[str] = set()
    found, others = [], {}
    for site in steering.sites:
        if site.new is None:
            continue
        call = _call(site, known, steering.constants)
        if isinstance(call, str):
            others[f"{site.place.module} {site.place.side}"] = call
        else:
            found.append(call)
            known |= set(call.reads)
    return found, others, opened.places


def text(folder: str | Path) -> str:
    """The list that this module's head shows."""
    found, others, places = _opened(Path(folder))
    lines = []
    for call in found:
        lines += [f"site {call.place}", f"kernel {call.kernel}", f"value {call.value}", *(f"input {name}" for name in call.inputs),
                  f"result {call.result}", *(f"read {name}" for name in call.reads),
                  *(f"constant {places[name]}" for name in call.constants), ""]
    lines += [f"# {place} {why}" for place, why in others.items()]
    return "\n".join(lines).rstrip("\n")
