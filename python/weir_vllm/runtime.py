# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a worker does in a step: which plan, knobs and place in its row each token has, and the edits at each site.

Buffers have a row for each token of a step and live as long as the worker, so that what a CUDA graph captured finds them.
On the CPU, a step without a steered token does nothing, and sites that a folder has kernels of are done without Python;
on a device that may capture graphs nothing is decided here, and tokens without a plan are left to the bit by gates that do
not hold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from weir.sites import NO_PLAN, Edits, Rows

from . import models, native
from .keys import find
from .settings import RESERVED, Folder, looks_for_markers


@dataclass(frozen=True)
class Scheduled:
    """Tokens of one request in a step."""

    said: dict | None  # what the request was resolved to
    count: int
    first: int  # position of the first of them
    prompt_length: int
    ids: object  # a function that gives the ids of positions 0, 1, … up to the last of them


class Loaded:
    """A table on the worker's device, with its buffers. `server` is that of native operators, which do the sites that the
    folder has kernels of; `by_torch` are the numbers of the others, and of those that others read."""

    def __init__(self, folder: Folder, device, tokens: int, sites: list, server: native.Server | None, dtype):
        self.folder, self.table, self.server = folder, folder.table, server
        kernels = native.kernels_of(folder, dtype) if server else {}
        self.number = server.add(kernels) if server else None
        self.kernels = set(kernels)
        self.edits = Edits(folder.table, device, count=True, without=kernels)
        self.own = list(self.edits.sites)
        self.by_torch = [sites.index(site) for site in self.own]
        self.step = None
        self.visited: set = set()
        if not self.own:
            return
        self.plan = torch.full((tokens,), NO_PLAN, dtype=torch.int64, device=device)
        self.knobs = torch.zeros((tokens, len(self.table.knobs)), dtype=torch.float32, device=device)
        # The answers to what scopes ask of markers, made where the ids are.
        self.found = {key: torch.zeros((tokens,), dtype=torch.int64, device=device) for key, _, _ in self.edits.questions}
        self.marked = {plan.index for plan in self.table.plans if looks_for_markers(plan)}
        self.counts = torch.zeros(len(self.table.sites), dtype=torch.int64, device=device)

    def find(self, first: bool, positions: torch.Tensor, markers, query) -> torch.Tensor:
        return self.found[query][: positions.shape[0]].unsqueeze(1)

    def forget(self):
        """No token has a plan of this table."""
        if self.own:
            self.plan.fill_(NO_PLAN)


class Runtime:
    """Of one worker. `sites` are the places that have an operator, (kind, layer) by number; with a `dtype`, that of the
    model, they are the native ones."""

    def __init__(self, folders: list[Folder], tokens: int, device: torch.device, sites: list, dtype=None):
        self.device, self.tokens, self.sites, self.dtype = device, tokens, sites, dtype
        self.server = native.Server(sites) if dtype is not None else None
        self.skips = device.type == "cpu"
        self.positions = torch.zeros(tokens, dtype=torch.int64, device=device)
        self.prompt_length = torch.zeros(tokens, dtype=torch.int64, device=device)
        self.tables: dict[str, Loaded] = {}
        for folder in folders:
            self.load(folder)
        self.present: list[Loaded] = [] if self.skips else list(self.tables.values())
        self.asked: set[str] = set()  # tables of the running step

    def load(self, folder: Folder):
        if folder.identity not in self.tables:
            self.tables[folder.identity] = Loaded(folder, self.device, self.tokens, self.sites, self.server, self.dtype)

    # -- what is told before a step
    def begin(self, scheduled: list[Scheduled]):
        """Of the tokens that come, in their order; what stands behind them is padding."""
        asked = {each.said["table"] for each in scheduled if each.said}
        self.start(asked)
        if not asked:
            self.clear()
            return
        counts = np.array([each.count for each in scheduled])
        firsts = np.array([each.first for each in scheduled])
        starts = np.cumsum(counts) - counts
        positions = np.arange(counts.sum()) + np.repeat(firsts - starts, counts)
        lengths = np.repeat(np.array([each.prompt_length for each in scheduled], dtype=np.int64), counts)
        if any(self.tables[identity].own for identity in asked):
            self.put(self.positions, positions)
            self.put(self.prompt_length, lengths)
        for identity, loaded in self.tables.items():
            if identity in asked:
                self.fill(loaded, scheduled, counts, starts, positions, lengths)
            elif identity in self.asked:
                loaded.forget()
        self.asked = asked
        if self.skips:
            self.present = [self.tables[identity] for identity in sorted(asked) if self.tables[identity].own]

    def fill(self, loaded: Loaded, scheduled, counts, starts, positions, lengths):
        own = [each.said if each.said and each.said["table"] == loaded.folder.identity else None for each in scheduled]
        plans = np.repeat(np.array([said["plan"] if said else NO_PLAN for said in own], dtype=np.int64), counts)
        none = loaded.table.defaults()
        knobs = np.repeat(np.array([said["knobs"] if said else none for said in own], dtype=np.float32), counts, axis=0)
        if loaded.kernels:
            rows = np.flatnonzero(plans != NO_PLAN)
            loaded.server.steer(loaded.number, rows, plans[rows], knobs[rows], positions[rows], lengths[rows])
        if not loaded.own:
            return
        self.put(loaded.plan, plans)
        loaded.plan[len(plans):].fill_(NO_PLAN)
        if loaded.table.knobs:
            self.put(loaded.knobs, knobs)
        if not any(said and said["plan"] in loaded.marked for said in own):
            return
        answers = {key: np.zeros(len(plans), dtype=np.int64) for key, _, _ in loaded.edits.questions}
        for said, each, start in zip(own, scheduled, starts):
            if not said or said["plan"] not in loaded.marked:
                continue
            ids = np.asarray(each.ids())
            for key, first, asked in loaded.edits.questions:
                if isinstance(asked, tuple):  # the row of a table that the plan has
                    slots, table = asked
                    asked = table[slots[said["plan"] + 1]].numpy()
                answers[key][start: start + each.count] = find(first, ids, asked, each.first)
        for key, values in answers.items():
            self.put(loaded.found[key], values)

    def put(self, buffer: torch.Tensor, values: np.ndarray):
        source = torch.from_numpy(np.ascontiguousarray(values)).to(buffer.dtype)
        if buffer.device.type != "cpu":
            source = source.pin_memory()
        buffer[: len(source)].copy_(source, non_blocking=True)

    def clear(self):
        """No token is steered: of a step without one, and of a run with no requests."""
        for identity in self.asked:
            if identity in self.tables:
                self.tables[identity].forget()
        self.asked = set()
        if self.skips:
            self.present = []

    def begin_dummy(self):
        self.start(set())
        self.clear()

    def start(self, asked: set[str]):
        """A step begins in which these tables steer something."""
        models.Active.runtime = self
        unknown = asked - self.tables.keys()
        if unknown:
            raise RuntimeError(f"weir: a request was made for a folder that this worker does not have ({', '.join(unknown)})")
        self.check_visited()
        if self.server is not None:
            missed = self.server.step(sorted({number for identity in asked for number in self.tables[identity].by_torch}))
            if missed >= 0:
                self.missed(self.sites[missed])
        for loaded in self.tables.values():
            loaded.step = None

    def check_visited(self):
        """Whether the last step passed all sites: a graph that lost one would leave requests unsteered in silence. Where
        graphs are replayed nobody passes here, and native operators have their own."""
        if self.skips and self.server is None:
            for loaded in self.present:
                for site in loaded.own:
                    if site not in loaded.visited:
                        self.missed(site)
        for loaded in self.tables.values():
            loaded.visited = set()

    def missed(self, site):
        kind, layer = site
        raise RuntimeError(f"weir: the model ran and did not pass the site {layer}/{kind}: its requests were not steered; "
                           "report this")

    # -- what the operators call
    def edit(self, value: torch.Tensor, residual: torch.Tensor | None, number: int):
        """Edits a site's value [N, d] in place; with `residual` their sum is the value."""
        site = self.sites[number]
        for loaded in self.present:
            if site not in loaded.own:
                continue
            count = value.shape[0]
            step = loaded.step
            # Each pass begins anew at its first site, whoever runs it: a graph that is captured after a pass that warms it up
            # has to hold what depends on plans and positions itself.
            if step is None or site == loaded.own[0]:
                step = loaded.step = loaded.edits.begin(Rows(
                    loaded.plan[:count], loaded.knobs[:count], self.positions[:count].unsqueeze(1),
                    self.prompt_length[:count], loaded))
            loaded.visited.add(site)
            x = value.float() if residual is None else value.float() + residual.float()
            after = step.wide(site, x.unsqueeze(1))
            if after is None:
                continue
            after = after.squeeze(1)
            if residual is None:
                value.copy_(after)
            else:
                value.add_(after - x)
            if site in step.edited:
                loaded.counts[loaded.table.sites.index(site)] += step.edited[site].sum()

    # -- what the server asks
    def counted(self) -> dict[str, int]:
        """Tokens that were edited since the start, by site. A token is counted again where it is computed again."""
        total: dict[str, int] = {}
        for loaded in self.tables.values():
            by_kernel = dict(zip(self.sites, self.server.counts(loaded.number))) if self.server else {}
            by_torch = dict(zip(loaded.table.sites, loaded.counts.tolist())) if loaded.own else {}
            for kind, layer in loaded.table.edited:
                count = (by_kernel if (kind, layer) in loaded.kernels else by_torch)[kind, layer]
                total[f"{layer}/{kind}"] = total.get(f"{layer}/{kind}", 0) + count
        return total

    def kernel_sites(self) -> list[str]:
        """Sites that kernels do, for one of the folders at least."""
        return [f"{layer}/{kind}" for kind, layer in self.sites
                if any((kind, layer) in loaded.kernels for loaded in self.tables.values())]

    def reload(self, folders: list[Folder]):
        """Adds folders as they are now. Older ones stay, for the requests that began with them. Errors: ValueError for
        what needs another graph."""
        if not self.skips:
            raise ValueError("weir: a folder can be reloaded where nothing is captured in graphs, on the CPU; start the "
                             "server again")
        for folder in folders:
            new = [f"{layer}/{kind}" for kind, layer in folder.table.sites if (kind, layer) not in self.sites]
            if new:
                raise ValueError(f"weir: {folder.path} edits or reads sites that it did not when the server started, "
                                 f"{', '.join(new)}; start the server again")
        for folder in folders:
            self.load(folder)


def said_by(sampling_params) -> dict | None:
    return (getattr(sampling_params, "extra_args", None) or {}).get(RESERVED)
