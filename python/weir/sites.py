# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a built folder does at each site, in plain PyTorch: for who runs the model himself.

    table = SiteTable.open("steered")                      sites.safetensors, see docs/site-table.md
    edits = Edits(table)                                   its numbers on a device
    step = edits.begin(rows)                               what depends on no value of the model
    value = step.edit(("res", 12), value)                  a site's value [B, S, d], in the order of the model

A server that flattens its tokens takes each token for a row of one: B tokens, S = 1. A site that is only read has to
be given as well. Numbers are those of the program that `weirc build` makes: edits in f32, rounded once to the value's
type, and rows without a plan are unchanged to the bit.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import torch

from .site_operations import Compiler, SiteTableError, ramp, scope_holds

FILE = "sites.safetensors"
VERSION = 1
NO_PLAN = -1
KERNEL_INPUTS = ("plan", "knobs", "positions", "prompt_length")

__all__ = ["Edits", "History", "Knob", "NO_PLAN", "Plan", "Policy", "Rows", "SiteKernel", "SiteTable", "SiteTableError",
           "Step", "ramp", "scope_holds"]

Site = tuple[str, int]  # kind and layer


@dataclass(frozen=True)
class Knob:
    name: str
    default: float
    min: float
    max: float


@dataclass(frozen=True)
class Policy:
    name: str
    edits: bool
    plans: tuple[str, ...]
    conditional: bool
    tokens: dict  # what #steer.scope says, see docs/site-table.md
    knob: str | None
    features: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    name: str
    index: int
    digest: str  # of what it does, not of its name
    policies: tuple[Policy, ...]

    @property
    def knobs(self) -> tuple[str, ...]:
        """Those that multiply something in it."""
        return tuple(dict.fromkeys(policy.knob for policy in self.policies if policy.knob))

    @property
    def edits(self) -> bool:
        return any(policy.edits for policy in self.policies)


@dataclass(frozen=True)
class SiteKernel:
    """A kernel of the folder's kernels.so that does all edits of a site (weir_kernels.h)."""

    name: str
    inputs: tuple[str, ...]  # of KERNEL_INPUTS
    reads: tuple[int, ...]  # columns of what it reads for records, after the new value
    constants: tuple[torch.Tensor, ...]


class SiteTable:
    """An opened sites.safetensors. `document` is its JSON; tensors are on the CPU."""

    def __init__(self, path: Path, document: dict, tensors: dict[str, torch.Tensor]):
        self.path, self.document, self.tensors = path, document, tensors
        self.model = document.get("model", {})
        self.sites = [(site["site"], int(site["layer"])) for site in document["sites"]]
        self.widths = {(site["site"], int(site["layer"])): int(site["width"]) for site in document["sites"]}
        self.edited = [(site["site"], int(site["layer"])) for site in document["sites"] if "result" in site]
        self.knobs = [Knob(knob["name"], float(knob["default"]), float(knob["min"]), float(knob["max"]))
                      for knob in document.get("knobs", [])]
        policies = {policy["name"]: Policy(policy["name"], bool(policy["edits"]), tuple(policy["plans"]),
                                           bool(policy["conditional"]), policy.get("tokens") or {}, policy.get("knob"),
                                           tuple(policy.get("features", ())))
                    for policy in document["policies"]}
        self.plans = [Plan(plan["name"], index, plan["digest"], tuple(policies[name] for name in plan["policies"]))
                      for index, plan in enumerate(document["plans"])]
        self.fixed = document.get("fixed")
        self.refused = document.get("refused", [])

    @classmethod
    def open(cls, folder: str | Path) -> SiteTable:
        """The table of a folder that `weirc build` made, or a table's file. Errors: SiteTableError for what is none,
        or of another version."""
        path = Path(folder)
        path = path / FILE if path.is_dir() else path
        try:
            from safetensors import safe_open

            with safe_open(path, framework="pt") as file:
                text = (file.metadata() or {}).get("weir")
                # Of its own: the file may be written over while its numbers are in use.
                tensors = {name: file.get_tensor(name).clone() for name in file.keys()}
        except FileNotFoundError:
            hint = "; build the spec again with this version of weirc" if (path.parent / "manifest.json").exists() else ""
            raise SiteTableError(f"{path}: there is no such file{hint}") from None
        except (OSError, struct.error) as error:
            raise SiteTableError(f"{path}: {error}") from None
        except Exception as error:  # safetensors has an error type of its own
            raise SiteTableError(f"{path}: is no site table: {error}") from None
        try:
            document = json.loads(text or "")
            version = document.get("weir_sites")
        except (ValueError, AttributeError):
            raise SiteTableError(f"{path}: is no site table: it does not say what is done") from None
        if version != VERSION:
            raise SiteTableError(f"{path}: is a site table of version {version}; this package reads version {VERSION}")
        try:
            return cls(path, document, tensors)
        except (KeyError, TypeError, ValueError) as error:
            raise SiteTableError(f"{path}: is no site table: {error!r}") from None

    def plan(self, name: str) -> Plan:
        for plan in self.plans:
            if plan.name == name:
                return plan
        raise KeyError(f"there is no plan {name!r}; there are {', '.join(plan.name for plan in self.plans) or 'none'}")

    def defaults(self) -> list[float]:
        return [knob.default for knob in self.knobs]

    def kernels(self) -> dict[Site, SiteKernel]:
        """By site, of a folder built with --lower=kernel: where a kernel makes the new value. What is read there for later
        sites is left to the operations (`Edits`, without these sites). Errors: SiteTableError for an entry that says no
        kernel."""
        found = {}
        for site in self.document["sites"]:
            if site.get("kernel") is None:
                continue
            try:
                found[site["site"], int(site["layer"])] = self._kernel(site["kernel"])
            except (KeyError, TypeError, ValueError) as error:
                raise SiteTableError(f"{self.path}: the kernel of {site['layer']}/{site['site']} is damaged: {error!r}; build "
                                     "the spec again") from None
        return found

    def _kernel(self, entry: dict) -> SiteKernel:
        name, inputs, reads = entry["name"], entry["inputs"], entry["reads"]
        if not isinstance(name, str) or not isinstance(inputs, list) or not isinstance(reads, list):
            raise TypeError("a name and lists of inputs and reads")
        for given in inputs:
            if given not in KERNEL_INPUTS:
                raise ValueError(f"input {given!r}")
        for columns in reads:
            if type(columns) is not int or columns < 0:
                raise ValueError(f"read {columns!r}")
        return SiteKernel(name, tuple(inputs), tuple(reads), tuple(self.tensors[each["tensor"]] for each in entry["constants"]))


# ------------------------------------------------------------------ what the caller knows of its tokens
class History:
    """The ids of every row by absolute position, [B, T] with -1 where none is known. A token looks no further than its
    own position."""

    def __init__(self, ids: torch.Tensor):
        self.ids = ids

    def find(self, first: bool, positions: torch.Tensor, markers, query) -> torch.Tensor:
        """The position of the first (or last) marker among a token and those before it, [B, S]; T, or -1, without one.
        `markers`: ids, or ids of each row [B, 1, K]. `query` says which of the table's questions it is."""
        ids = self.ids
        if isinstance(markers, torch.Tensor):
            found = (ids.unsqueeze(2) == markers).any(-1)
        else:
            found = torch.isin(ids, torch.tensor(markers, device=ids.device))
        own = torch.arange(ids.shape[1], device=ids.device)
        if first:
            running = torch.where(found, own, ids.shape[1]).cummin(1).values
        else:
            running = torch.where(found, own, -1).cummax(1).values
        return running.gather(1, positions.clamp(min=0))


@dataclass
class Rows:
    """The tokens of one run. `plan` [B] i64 (-1: none), `knobs` [B, K] f32, `positions` [B, S] i64 (-1: padding),
    `prompt_length` [B] i64; `history` where a scope looks for markers: anything with History's `find`."""

    plan: torch.Tensor
    knobs: torch.Tensor
    positions: torch.Tensor
    prompt_length: torch.Tensor
    history: object = None


# ------------------------------------------------------------------ running
@dataclass
class _SiteEdits:
    operations: list = field(default_factory=list)  # (number of the result or None, function)
    result: int | None = None
    is_kept: bool = False  # whether a later site asks for the value


class Edits:
    """A table's operations, with its numbers on a device. With `count`, a step also says how many tokens it edited. Sites
    of `without` are edited by somebody else: of their operations those stay that others use, and the site if there are any.
    Errors: SiteTableError for a table whose operations do not fit each other or its tensors."""

    def __init__(self, table: SiteTable, device: torch.device | str = "cpu", count: bool = False,
                 without: Collection[Site] = ()):
        self.table, self.count = table, count
        try:
            self._compile(torch.device(device), without)
            self._rehearse(torch.device(device))
        except SiteTableError as error:
            raise SiteTableError(f"{table.path}: {error}") from None
        except Exception as error:  # whatever a damaged table makes Python or PyTorch say
            raise SiteTableError(f"{table.path}: its operations do not fit each other: {type(error).__name__}: {error}; "
                                 "build the spec again") from None

    def _compile(self, device: torch.device, without: Collection[Site]):
        table = self.table
        compiler = Compiler(table, device)
        self.prelude = [(op.get("out"), compiler.compile(op)) for op in table.document["prelude"]]
        self.sites: dict[Site, _SiteEdits] = {}
        made = {op["out"]: op for site in table.document["sites"] for op in site["ops"] if "out" in op}
        used, kept = set(), set()  # numbers of results, and sites of which others want the value
        left = [reference for site in table.document["sites"] if (site["site"], int(site["layer"])) not in without
                for op in site["ops"] for reference in _flat(op["in"])]
        while left:
            reference = left.pop()
            if isinstance(reference, str) and "/" in reference:
                layer, kind = reference.split("/")
                kept.add((kind, int(layer)))
            elif isinstance(reference, int) and reference in made and reference not in used:
                used.add(reference)
                left += _flat(made[reference]["in"])
        for site in table.document["sites"]:
            at = site["site"], int(site["layer"])
            ops = [op for op in site["ops"] if at not in without or op.get("out") in used]
            if at in without and not ops and at not in kept:
                continue
            self.sites[at] = _SiteEdits([(op.get("out"), compiler.compile(op)) for op in ops],
                                        None if at in without else site.get("result"), at in kept)
        # Scopes that look for markers: (key, first, ids or (slots, table)), for who answers them otherwise than History.
        self.questions = compiler.questions
        self.fixed = table.fixed is not None

    def _rehearse(self, device: torch.device):
        """Edits two tokens, with no plan and with the first, so that what a table does wrong shows before a request."""
        def whole(*values):
            return torch.tensor(values, dtype=torch.int64, device=device)

        knobs = torch.tensor([self.table.defaults()] * 2, dtype=torch.float32, device=device)
        step = self.begin(Rows(whole(-1, 0), knobs, whole([0], [0]), whole(1, 1), History(whole([0], [0]))))
        for site in self.sites:
            x = torch.ones(2, 1, self.table.widths[site], device=device)
            after = step.wide(site, x)
            if after is not None and after.shape != x.shape:
                raise SiteTableError(f"the new value of {site[1]}/{site[0]} is a tensor {list(after.shape)} for one of "
                                     f"{list(x.shape)}")

    def begin(self, rows: Rows) -> Step:
        return Step(self, rows)


def _flat(operands):
    for entry in operands:
        if isinstance(entry, list):
            yield from entry
        else:
            yield entry


class Step:
    """One run of the model over some tokens. `records` [B, S, k] by name once the sites were passed."""

    def __init__(self, edits: Edits, rows: Rows):
        self.edits, self.rows = edits, rows
        self.values: dict[int, torch.Tensor] = {}
        self.kept: dict[Site, torch.Tensor] = {}
        self.records: dict[str, torch.Tensor] = {}
        self.edited: dict[Site, torch.Tensor] = {}  # tokens [B, S, 1], with `count`
        self.x = None
        self.here = None
        for number, run in edits.prelude:
            self.values[number] = run(self)

    def note(self, coefficients):
        """Tokens are edited where a coefficient is not zero, or a gate holds; None is everywhere."""
        if not self.edits.count:
            return
        shape = (*self.x.shape[:-1], 1)
        if coefficients is None:
            edited = torch.ones(shape, dtype=torch.bool, device=self.x.device)
        else:
            edited = (coefficients != 0).any(-1, keepdim=True).expand(shape)
        if self.edits.fixed:
            edited = edited & (self.rows.plan >= 0).view(-1, 1, 1)
        known = self.edited.get(self.here)
        self.edited[self.here] = edited if known is None else known | edited

    def edit(self, site: Site, x: torch.Tensor) -> torch.Tensor:
        """The new value of a site [B, S, d], or the same tensor where the table only reads."""
        after = self.wide(site, x)
        return x if after is None else after.to(x.dtype)

    def wide(self, site: Site, x: torch.Tensor) -> torch.Tensor | None:
        """The new value in f32, None where the table only reads."""
        edits = self.edits.sites[site]
        self.x, self.here = x.float(), site
        if edits.is_kept:
            self.kept[site] = self.x
        for number, run in edits.operations:
            value = run(self)
            if number is not None:
                self.values[number] = value
        if edits.result is None:
            return None
        after = self.values[edits.result]
        if self.edits.fixed:  # a program with one plan asks nobody; whoever has a choice does
            after = torch.where((self.rows.plan >= 0).view(-1, 1, 1), after, self.x)
        return after
