# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What weirc hands over: a job folder with job.json and numbers.safetensors, and the answer that it waits for."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open

from ..errors import WeirError
from ..export import gguf_reading
from ..export.sources import Source, resolve
from ..files import read_text

_DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
_CHUNK = 1 << 22  # numbers of a weight that are computed in f64 at once


class Refused(Exception):
    """The format has no place for a change of `tensor` (a name in the program), or for anything at all."""

    def __init__(self, why: str, tensor: str | None = None):
        super().__init__(why)
        self.tensor = tensor


def within(values: torch.Tensor, name: str) -> torch.Tensor:
    """The values, unless their type could not hold one of them."""
    if not values.isfinite().all():
        raise Refused(f"the new {name} has numbers beyond {str(values.dtype).removeprefix('torch.')}", name)
    return values


@dataclass
class Change:
    """A linear map y = W x + b, or a table of rows, that becomes W + left @ right and bias.

    `left` [out, r] and `right` [r, in], f64, are None where W stays, `bias` and `shift` (less the old one), [out],
    where b does. A weight may be stored [in, out] (`in_out`), as tables are.
    """

    weight_name: str
    bias_name: str
    inputs: int  # numbers of x
    in_out: bool
    table: bool
    shared: bool  # something else reads the old weight
    had_bias: bool
    rows: torch.Tensor  # the first of the old weight, as the program stores them
    left: torch.Tensor | None = None
    right: torch.Tensor | None = None
    bias: torch.Tensor | None = None
    shift: torch.Tensor | None = None

    @property
    def module(self) -> str:
        return self.weight_name.removesuffix(".weight")

    def weight(self, old: torch.Tensor, in_out: bool) -> torch.Tensor:
        """The new weight in the type of the old one, which is stored [in, out] or [out, in]."""
        left, right = (self.right.T, self.left.T) if in_out else (self.left, self.right)
        new = torch.empty_like(old)
        step = max(1, _CHUNK // max(1, old.shape[1]))
        for first in range(0, old.shape[0], step):
            part = slice(first, first + step)
            new[part] = (old[part].double() + left[part] @ right).to(old.dtype)
        return within(new, self.weight_name)


@dataclass
class Job:
    to: str
    output: Path
    source_name: str
    family: str
    dtype: torch.dtype
    plan: str
    tensor_type: str
    changes: list[Change]
    directions: dict[int, torch.Tensor]  # of a control vector, by layer

    @classmethod
    def read(cls, folder: Path) -> Job:
        job = json.loads(read_text(folder / "job.json"))
        changes, directions = [], {}
        with safe_open(folder / "numbers.safetensors", "pt") as numbers:
            names = set(numbers.keys())

            def tensor(number, part):
                name = f"{number}.{part}"
                return numbers.get_tensor(name) if name in names else None

            for number, map in enumerate(job["maps"]):
                if "layer" in map:
                    directions[map["layer"]] = tensor(number, "direction")
                    continue
                changes.append(Change(map["weight"], map["bias"], map["inputs"], map["in_out"], map["table"], map["shared"],
                                      map["had_bias"],
                                      **{part: tensor(number, part) for part in ("rows", "left", "right", "bias", "shift")}))
        return cls(job["to"], Path(job["output"]), job["source"], job["family"], _DTYPES[job["dtype"]], job["plan"],
                   job["tensor_type"], changes, directions)

    def source(self) -> Source:
        """Where the model's own files are. Raises WeirError if they are not found."""
        try:
            return resolve(self.source_name)
        except WeirError as error:
            raise WeirError(f"{error}\nName the folder or the file that the program was exported from with --source") from error

    def check(self, change: Change, old: torch.Tensor, in_out: bool):
        """`old` has to be the weight that the program has, which may be rounded to the program's type."""
        count = len(change.rows)
        if in_out != change.in_out:
            old = old.T
        got = old[:count].to(self.dtype).double()
        size = change.rows.abs().max().item()
        if old.shape[1] != change.rows.shape[1] or (got - change.rows).abs().max().item() > 1e-6 * size:
            raise WeirError(f"{self.source_name}: {change.weight_name} has other numbers than the program's; the model was "
                            "exported from another folder or file")


def write(folder: Path):
    """Does what job.json says and leaves the answer: what was refused, warnings, the files that were made."""
    from . import adapters, checkpoints, llama_cpp

    job = Job.read(folder)
    writers = {"checkpoint": checkpoints.write, "lora": adapters.write, "gguf": llama_cpp.write_model,
               "gguf-control": llama_cpp.write_control_vector}
    refused, files = [], []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            with gguf_reading.once():
                files = writers[job.to](job)
        except Refused as reason:
            refused = [{"why": str(reason), **({"tensor": reason.tensor} if reason.tensor else {})}]
    from ..errors import WeirWarning

    told = [str(warning.message) for warning in caught if issubclass(warning.category, WeirWarning)]
    (folder / "answer.json").write_text(json.dumps({"refused": refused, "warnings": told, "files": files}))
