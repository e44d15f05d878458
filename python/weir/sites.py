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
import math
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

import torch

from .errors import WeirError

FILE = "sites.safetensors"
VERSION = 1
NO_PLAN = -1

Site = tuple[str, int]  # kind and layer


class SiteTableError(WeirError):
    """A table that cannot be read, or that says what this version does not know."""


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
                tensors = {name: file.get_tensor(name) for name in file.keys()}
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


# ------------------------------------------------------------------ operations
def _compare(x, above, below):
    held = None
    if above is not None:
        held = x > above
    if below is not None:
        under = x < below
        held = under if held is None else held & under
    return held


def _kept(gate, x):
    return x if gate is None else torch.where(gate, x, 0.0)


def _spread(x, normalization):
    """The factor that brings a normalised dictionary's output back."""
    if normalization == "layer_norm":
        return x.std(-1, keepdim=True)
    return x.norm(dim=-1, keepdim=True) / math.sqrt(x.shape[-1])


def _normalized(x, normalization):
    if normalization == "none":
        return x
    spread = _spread(x, normalization)
    if normalization == "layer_norm":
        return (x - x.mean(-1, keepdim=True)) / (spread + 1e-5)
    return x / torch.where(spread > 0, spread, 1.0)


def _top_k(z, k):
    values, indices = torch.topk(z, k, dim=-1, sorted=False)
    return torch.zeros_like(z).scatter(-1, indices, values.relu())


def _number(value) -> float:
    return float(value)  # "inf" is one


class _Compiler:
    """Makes a function of each operation. A function takes the step and gives the operation's result."""

    def __init__(self, table: SiteTable, device):
        self.device = device
        self.tensors = {name: tensor.to(device) for name, tensor in table.tensors.items() if not name.startswith("model/")}
        self.questions: list[tuple] = []  # (key, first, ids or (lookup, table)) of scopes that look for markers
        self.lookups = {}  # value -> (slots of plans, table)
        self.slots = {}

    def tensor(self, reference) -> torch.Tensor:
        return self.tensors[reference["tensor"]]

    def operand(self, reference) -> Callable:
        if isinstance(reference, int):
            return lambda step: step.values[reference]
        if reference == "x":
            return lambda step: step.x
        if reference in ("plan", "knobs", "positions", "prompt_length", "history"):
            return lambda step: getattr(step.rows, reference)
        kind, layer = reference.split("/")[1], int(reference.split("/")[0])
        return lambda step: step.kept[kind, layer]

    def operands(self, op) -> list:
        """Functions, or None for what is missing; what may be several is a list."""
        return [(self.operand(entry[0]) if entry else None) if isinstance(entry, list) else self.operand(entry)
                for entry in op["in"]]

    def optional(self, op, count) -> list:
        found = self.operands(op)
        return found + [None] * (count - len(found))

    def numbers(self, values) -> torch.Tensor:
        return torch.tensor([_number(value) for value in values], dtype=torch.float32, device=self.device)

    def compile(self, op) -> Callable:
        make = getattr(self, "make_" + op["op"], None)
        if make is None:
            raise SiteTableError(f"the site table has the operation '{op['op']}', which this version does not know")
        return make(op)

    # -- gates, knobs and scopes
    def make_in_plans(self, op):
        plan, = self.operands(op)
        plans = op["plans"]
        if len(plans) == 1:
            return lambda step: (plan(step) == plans[0]).view(-1, 1, 1)
        chosen = torch.tensor(plans or [-2], device=self.device)
        return lambda step: (plan(step).unsqueeze(1) == chosen).any(1).view(-1, 1, 1)

    def make_knob_value(self, op):
        knobs, = self.operands(op)
        index = op["index"]
        return lambda step: knobs(step)[:, index].view(-1, 1, 1)

    def make_constant(self, op):
        value = op["value"]
        kept = torch.tensor([value], dtype=torch.bool if isinstance(value, bool) else torch.float32, device=self.device)
        return lambda step: kept

    def make_all(self, op):
        first, *others = self.operands(op)

        def run(step):
            held = first(step)
            for other in others:
                held = held & other(step)
            return held
        return run

    def make_any(self, op):
        first, *others = self.operands(op)

        def run(step):
            held = first(step)
            for other in others:
                held = held | other(step)
            return held
        return run

    def make_tokens(self, op):
        scope = op["scope"]

        def run(step):
            return scope_holds(scope, step.rows.positions, step.rows.prompt_length.unsqueeze(1)).unsqueeze(2)
        return run

    def make_compare(self, op):
        x, = self.operands(op)
        above, below = op.get("above"), op.get("below")
        return lambda step: _compare(x(step), above, below)

    def ask(self, op, part, first, ids):
        """A function that finds markers: `ids` are numbers, or a function that gives those of each row."""
        key = (op["out"], part)
        if callable(ids):
            reference = op["in"][self.row_marker_places[op["op"]][part]][0]
            self.questions.append((key, first, self.lookups[reference]))
            return lambda step: step.rows.history.find(first, step.rows.positions, ids(step), key)
        self.questions.append((key, first, list(ids)))
        return lambda step: step.rows.history.find(first, step.rows.positions, ids, key)

    row_marker_places = {"row_marked": {"after": 2, "until": 3, "opens": 4, "closes": 5},
                         "row_ramp": {"after": 5, "opens": 6}}

    def marked(self, op, after, until, opens, closes):
        parts = []
        if after is not None:
            found = self.ask(op, "after", True, after)
            parts.append(lambda step: found(step) < step.rows.positions)
        if until is not None:
            ended = self.ask(op, "until", True, until)
            parts.append(lambda step: ended(step) > step.rows.positions)
        if opens is not None:
            opened, closed = self.ask(op, "opens", False, opens), self.ask(op, "closes", False, closes)

            def between(step):
                last = opened(step)
                return (last < step.rows.positions) & (last > closed(step))
            parts.append(between)

        def run(step):
            held = parts[0](step)
            for part in parts[1:]:
                held = held & part(step)
            return held.unsqueeze(2)
        return run

    def make_marked(self, op):
        markers = op["markers"]
        return self.marked(op, *(markers.get(key) for key in ("after", "until", "opens", "closes")))

    def make_row_marked(self, op):
        found = self.operands(op)
        return self.marked(op, *found[2:6])

    def make_ramp(self, op):
        scope = op["scope"]
        markers = scope.get("markers", {})
        after = self.ask(op, "after", True, markers["after"]) if "after" in markers else None
        opens = self.ask(op, "opens", False, markers["opens"]) if "opens" in markers else None
        first = max(scope.get("from", 0), scope.get("skip_first", 0), min(scope.get("positions", [0])))
        over, half = scope.get("over"), scope.get("half")

        def run(step):
            positions = step.rows.positions
            since = positions - first
            if scope["set"] in ("generated", "last", "sampled"):
                length = step.rows.prompt_length.unsqueeze(1) - (scope["set"] != "generated")
                since = torch.minimum(since, positions - length)
            for found in (after, opens):
                if found is not None:
                    since = torch.minimum(since, positions - found(step) - 1)
            return ramp(since, over, half).unsqueeze(2)
        return run

    def make_row_ramp(self, op):
        _, _, _, begin, first, after, opens, over, half = self.operands(op)
        after = self.ask(op, "after", True, after) if after else None
        opens = self.ask(op, "opens", False, opens) if opens else None

        def run(step):
            positions = step.rows.positions
            since = positions - begin(step)[:, :, 0]
            if first is not None:
                since = torch.minimum(since, positions - step.rows.prompt_length.unsqueeze(1) - first(step)[:, :, 0])
            for found in (after, opens):
                if found is not None:
                    since = torch.minimum(since, positions - found(step) - 1)
            return ramp(since, None if over is None else over(step)[:, :, 0],
                        None if half is None else half(step)[:, :, 0]).unsqueeze(2)
        return run

    def make_product(self, op):
        a, b = self.operands(op)
        return lambda step: a(step) * b(step)

    # -- tables
    def make_slot(self, op):
        plan, = self.operands(op)
        slots = [0, *op["slots"]]  # no plan stands first
        self.slots[op["out"]] = slots
        table = torch.tensor(slots, device=self.device)
        return lambda step: table[plan(step) + 1]

    def make_lookup(self, op):
        slot, = self.operands(op)
        table = self.tensor(op["table"])
        self.lookups[op["out"]] = (self.slots[op["in"][0]], table.cpu())
        table = table.unsqueeze(1)
        return lambda step: table.index_select(0, slot(step))

    def make_row_tokens(self, op):
        _, _, begin, end, first, last, listed = self.operands(op)

        def run(step):
            positions = step.rows.positions
            held = torch.ones_like(positions, dtype=torch.bool)
            if begin is not None:
                held = held & (positions >= begin(step)[:, :, 0])
            if end is not None:
                held = held & (positions <= end(step)[:, :, 0])
            if first is not None or last is not None:
                relative = positions - step.rows.prompt_length.unsqueeze(1)
                if first is not None:
                    held = held & (relative >= first(step)[:, :, 0])
                if last is not None:
                    held = held & (relative <= last(step)[:, :, 0])
            if listed is not None:
                held = held & (positions.unsqueeze(2) == listed(step)).any(-1)
            return held.unsqueeze(2)
        return run

    def make_row_compare(self, op):
        x, above, below = self.operands(op)
        return lambda step: _compare(x(step), above and above(step), below and below(step))

    def make_row_knob(self, op):
        knobs, column = self.operands(op)
        return lambda step: knobs(step).gather(1, column(step)[:, 0]).unsqueeze(2)

    # -- reading
    def make_read(self, op):
        x, = self.operands(op)
        features = torch.tensor(op["features"], device=self.device)
        if op.get("gather"):
            return lambda step: x(step).index_select(-1, features)
        encoder, bias = self.tensor(op["encoder"]), self.tensor(op["encoder_bias"])
        normalization, activation = op.get("normalization", "none"), op["activation"]
        activate = self.activation(op)
        if activation["kind"] == "topk":
            k = activation["k"]
            return lambda step: _top_k(torch.nn.functional.linear(_normalized(x(step), normalization), encoder, bias),
                                       k).index_select(-1, features)
        if activation["kind"] == "gated":
            return lambda step: activate(torch.nn.functional.linear(_normalized(x(step), normalization), encoder), bias)
        return lambda step: activate(torch.nn.functional.linear(_normalized(x(step), normalization), encoder, bias))

    def activation(self, op):
        kind = op["activation"]["kind"]
        if kind == "identity":
            return lambda z: z
        if kind == "relu":
            return torch.relu
        if kind == "jumprelu":
            threshold = self.tensor(op["threshold"])
            return lambda z: torch.where(z > threshold, z, 0.0).relu()
        if kind == "gated":
            scale, offset = self.tensor(op["magnitude_scale"]), self.tensor(op["magnitude_bias"])
            return lambda z, bias: torch.where(z + bias > 0, (z * scale + offset).relu(), 0.0)
        if kind == "topk":
            return None
        raise SiteTableError(f"the site table has the activation '{kind}', which this version does not know")

    def make_row_read(self, op):
        x, rows = self.operands(op)
        if op.get("gather") or op["activation"]["kind"] == "topk":
            features = torch.tensor(op["features"], device=self.device)

            def columns(step, values):
                indices = features[rows(step)]
                return values.gather(-1, indices.expand(*values.shape[:-1], -1))
            if op.get("gather"):
                return lambda step: columns(step, x(step))
            encoder, bias, k = self.tensor(op["encoder"]), self.tensor(op["encoder_bias"]), op["activation"]["k"]
            normalization = op.get("normalization", "none")
            return lambda step: columns(step, _top_k(
                torch.nn.functional.linear(_normalized(x(step), normalization), encoder, bias), k))
        encoder, bias = self.tensor(op["encoder"]), self.tensor(op["encoder_bias"])
        normalization, kind = op.get("normalization", "none"), op["activation"]["kind"]
        if kind not in ("identity", "relu", "jumprelu", "gated"):
            raise SiteTableError(f"the site table has the activation '{kind}', which this version does not know")
        threshold = self.tensor(op["threshold"]) if kind == "jumprelu" else None
        scale, offset = ((self.tensor(op["magnitude_scale"]), self.tensor(op["magnitude_bias"]))
                         if kind == "gated" else (None, None))

        def run(step):
            at = rows(step)
            product = _normalized(x(step), normalization) @ encoder[at[:, 0]].transpose(1, 2)
            z = product + bias[at]
            if kind == "relu":
                return z.relu()
            if kind == "jumprelu":
                return torch.where(z > threshold[at], z, 0.0).relu()
            if kind == "gated":
                return torch.where(z > 0, (product * scale[at] + offset[at]).relu(), 0.0)
            return z
        return run

    def make_pick(self, op):
        f, = self.operands(op)
        columns = op["columns"]
        if columns == list(range(columns[0], columns[0] + len(columns))):
            start, count = columns[0], len(columns)
            return lambda step: f(step).narrow(-1, start, count)
        indices = torch.tensor(columns, device=self.device)
        return lambda step: f(step).index_select(-1, indices)

    def make_input_scale(self, op):
        x, = self.operands(op)
        normalization = op["normalization"]
        return lambda step: _spread(x(step), normalization)

    # -- new activations
    def scaled(self, op, values):
        f, times = self.optional(op, 2)
        numbers = values[0] if len(set(values)) == 1 else self.numbers(values)
        if times is None:
            return lambda step: f(step) * numbers
        return lambda step: f(step) * numbers * times(step)

    def make_scale_by(self, op):
        return self.scaled(op, op["factors"])

    def make_set_to(self, op):
        f, times = self.optional(op, 2)
        numbers = self.numbers(op["values"])
        if times is None:
            return lambda step: numbers.expand_as(f(step))
        return lambda step: (numbers * times(step)).expand_as(f(step))

    def make_clamp_to(self, op):
        f, = self.operands(op)
        least, most = op.get("min"), op.get("max")
        return lambda step: f(step).clamp(least, most)

    def make_sum(self, op):
        a, b = self.operands(op)
        return lambda step: a(step) + b(step)

    def make_row_set(self, op):
        f, values, times = self.optional(op, 3)
        if times is None:
            return lambda step: values(step).expand_as(f(step))
        return lambda step: (values(step) * times(step)).expand_as(f(step))

    def make_row_scale(self, op):
        f, factors, times = self.optional(op, 3)
        if times is None:
            return lambda step: f(step) * factors(step)
        return lambda step: f(step) * factors(step) * times(step)

    def make_row_clamp(self, op):
        f, least, most = self.operands(op)

        def run(step):
            v = f(step)
            if least is not None:
                v = torch.maximum(v, least(step))
            return v if most is None else torch.minimum(v, most(step))
        return run

    def make_row_keep(self, op):
        f, columns = self.operands(op)
        return lambda step: torch.where(columns(step), f(step), 0.0)

    # -- coefficients
    def make_delta(self, op):
        f, v, gate, scale = self.operands(op)
        only_active = op.get("only_active", False)

        def run(step):
            before = f(step)
            delta = v(step) - before
            if scale is not None:
                delta = delta * scale(step)
            held = None if gate is None else gate(step)
            if only_active:
                active = before > 0
                held = active if held is None else held & active
            return _kept(held, delta)
        return run

    def make_strength(self, op):
        times, gate = self.operands(op)
        value = torch.tensor([op["value"]], dtype=torch.float32, device=self.device)
        number = op["value"]
        if times is None:
            return lambda step: _kept(gate and gate(step), value)
        return lambda step: _kept(gate and gate(step), times(step) * number)

    def make_row_strength(self, op):
        value, times, gate = self.operands(op)

        def run(step):
            strength = value(step)
            if times is not None:
                strength = strength * times(step)
            return _kept(gate and gate(step), strength)
        return run

    # -- writing
    def make_write(self, op):
        x, *coefficients = self.operands(op)
        matrix = torch.cat([self.tensor(rows) for rows in op["rows"]])
        if len(coefficients) == 1:
            coefficient, = coefficients
            if len(matrix) == 1:
                row = matrix[0]

                def single(step):
                    c = coefficient(step)
                    step.note(c)
                    return x(step) + c * row
                return single

            def one(step):
                c = coefficient(step)
                step.note(c)
                return x(step) + c @ matrix
            return one

        def run(step):
            value = x(step)
            parts = []
            for coefficient in coefficients:
                c = coefficient(step)
                step.note(c)
                parts.append(c.expand(*value.shape[:-1], c.shape[-1]))
            return value + torch.cat(parts, -1) @ matrix
        return run

    def make_row_write(self, op):
        x, coefficients, rows = self.operands(op)
        directions = self.tensor(op["directions"])

        def run(step):
            c = coefficients(step)
            step.note(c)
            own = directions[rows(step)[:, 0]]
            return x(step) + (c * own if own.shape[1] == 1 else c @ own)
        return run

    def make_project(self, op):
        x, gate = self.optional(op, 2)
        basis = self.tensor(op["rows"])
        transposed = basis.T.contiguous()

        def run(step):
            value = x(step)
            held = gate and gate(step)
            step.note(held)
            return value - _kept(held, value @ transposed) @ basis
        return run

    def make_row_project(self, op):
        x, rows, columns, gate = self.operands(op)
        directions = self.tensor(op["directions"])

        def run(step):
            value = x(step)
            basis = directions[rows(step)[:, 0]]
            held = gate and gate(step)
            step.note(held)
            inside = value @ basis.transpose(1, 2)
            if columns is not None:
                inside = torch.where(columns(step), inside, 0.0)
            return value - _kept(held, inside) @ basis
        return run

    def make_rescale(self, op):
        x, like, gate = self.optional(op, 3)

        def run(step):
            value = x(step)
            before, after = like(step).norm(dim=-1, keepdim=True), value.norm(dim=-1, keepdim=True)
            rescaled = value * (before / torch.where(after > 0, after, 1.0))
            return rescaled if gate is None else torch.where(gate(step), rescaled, value)
        return run

    def make_record(self, op):
        f, gate = self.optional(op, 2)
        name = op["name"]

        def run(step):
            step.records[name] = _kept(gate and gate(step), f(step))
        return run

    def make_record_gate(self, op):
        f, gate = self.optional(op, 2)
        name = op["name"]

        def run(step):
            step.records[name] = _kept(gate and gate(step), f(step).float())
        return run


def scope_holds(scope: dict, positions, length):
    """Whether a scope holds at positions, markers aside: both are tensors, or arrays of NumPy that broadcast. Padding
    (position -1) is never in it."""
    held = positions >= max(scope.get("from", 0), scope.get("skip_first", 0), 0)
    part = scope.get("set", "all")
    if part == "prompt":
        held = held & (positions < length)
    elif part == "generated":
        held = held & (positions >= length)
    elif part == "last":
        held = held & (positions == length - 1)
    elif part == "sampled":
        held = held & (positions >= length - 1)
    if "positions" in scope:
        listed = positions == scope["positions"][0]
        for position in scope["positions"][1:]:
            listed = listed | (positions == position)
        held = held & listed
    if "to" in scope:
        held = held & (positions <= scope["to"])
    return held


def ramp(since: torch.Tensor, over, half) -> torch.Tensor:
    """The share of an edit at so many tokens from where its scope begins: a number each, or one a row; None for none."""
    n = since.to(torch.float32).clamp(min=0.0)
    share = None if over is None else ((n + 1) / over).clamp(max=1.0)
    if half is not None:
        decay = torch.exp2(-(n / half))
        share = decay if share is None else share * decay
    return share


# ------------------------------------------------------------------ running
@dataclass
class _SiteEdits:
    operations: list = field(default_factory=list)  # (number of the result or None, function)
    result: int | None = None
    is_kept: bool = False  # whether a later site asks for the value


class Edits:
    """A table's operations, with its numbers on a device. With `count`, a step also says how many tokens it edited."""

    def __init__(self, table: SiteTable, device: torch.device | str = "cpu", count: bool = False):
        self.table, self.count = table, count
        compiler = _Compiler(table, torch.device(device))
        self.prelude = [(op.get("out"), compiler.compile(op)) for op in table.document["prelude"]]
        self.sites: dict[Site, _SiteEdits] = {}
        for site in table.document["sites"]:
            edits = self.sites[site["site"], int(site["layer"])] = _SiteEdits(result=site.get("result"))
            for op in site["ops"]:
                edits.operations.append((op.get("out"), compiler.compile(op)))
                for reference in _flat(op["in"]):
                    if isinstance(reference, str) and "/" in reference:
                        layer, kind = reference.split("/")
                        self.sites[kind, int(layer)].is_kept = True
        # Scopes that look for markers: (key, first, ids or (slots, table)), for who answers them otherwise than History.
        self.questions = compiler.questions
        self.fixed = table.fixed is not None

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
