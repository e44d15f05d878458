# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Sites that Weir's kernels do on the CPU, in operators of libweir_kernels.so: neither they nor a step without steered
tokens run Python. Where the library or a folder's kernels.so is not there, PyTorch's operators do the same."""

from __future__ import annotations

import functools
import logging

import numpy as np
import torch
from weir import kernels
from weir.errors import WeirError
from weir.sites import KERNEL_INPUTS, SiteKernel, SiteTableError

from .settings import Folder, SettingsError

logger = logging.getLogger("vllm.weir")

INPUTS = KERNEL_INPUTS  # by the operators' numbers


@functools.cache
def is_there() -> bool:
    """Whether libweir_kernels.so is installed with Weir's tools ($WEIR_BUILD, or weirc on PATH)."""
    try:
        kernels.register()
    except (WeirError, OSError) as error:
        logger.info("sites are edited by PyTorch's operators: %s", error)
        return False
    return True


def kernels_of(folder: Folder, dtype: torch.dtype) -> dict[tuple[str, int], SiteKernel]:
    """The sites of a folder that its kernels do, for a model in this type. Errors: SettingsError for a kernels.so that is
    not the one of the folder, and for a table that says no kernels."""
    from .check import DTYPES

    try:
        found = folder.table.kernels()
    except SiteTableError as error:
        raise SettingsError(f"weir: {error}") from None
    if not found or folder.kernels is None or DTYPES.get(folder.table.model.get("dtype")) != dtype:
        return {}
    path, digest = folder.kernels
    try:
        kernels.load(path, sha256=digest)
    except kernels.OtherProcessor as error:
        logger.warning("%s; sites are edited by PyTorch's operators", error)
        return {}
    except WeirError as error:
        raise SettingsError(f"weir: {error}") from None
    except OSError as error:
        raise SettingsError(f"weir: {path}: {error}") from None
    return found


class Server:
    """The operators' state for one worker. `sites` are the places that have an operator, by number."""

    def __init__(self, sites: list[tuple[str, int]]):
        self.sites = sites
        self.number = torch.ops.weir.serve_new(len(sites))

    def add(self, found: dict[tuple[str, int], SiteKernel]) -> int:
        """A table's kernels; gives its number."""
        table = torch.ops.weir.serve_table(self.number)
        for site, kernel in found.items():
            torch.ops.weir.serve_kernel(self.number, self.sites.index(site), table, kernel.name,
                                        [INPUTS.index(name) for name in kernel.inputs], list(kernel.reads),
                                        [constant.contiguous() for constant in kernel.constants])
        return table

    def step(self, by_torch: list[int]) -> int:
        """Begins a step without a steered token; `by_torch` are sites of which PyTorch does a part. Gives a site that the
        model should have passed in the step before and did not, or -1."""
        return torch.ops.weir.serve_step(self.number, by_torch)

    def steer(self, table: int, rows: np.ndarray, plan, knobs, positions, prompt_length):
        """The tokens of the step that a table steers: arrays of what each of them has."""
        torch.ops.weir.serve_steer(self.number, table, torch.from_numpy(rows), torch.from_numpy(plan), torch.from_numpy(knobs),
                                   torch.from_numpy(positions).unsqueeze(1), torch.from_numpy(prompt_length))

    def counts(self, table: int) -> list[int]:
        """How many tokens a table's kernels changed, by the number of the site."""
        counts = torch.zeros(len(self.sites), dtype=torch.int64)
        torch.ops.weir.serve_counts(self.number, table, counts)
        return counts.tolist()


def off():
    """The model that runs next has no plans."""
    if is_there():
        torch.ops.weir.serve_off()
