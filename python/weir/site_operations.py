# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The operations of a site table in PyTorch (see docs/site-table.md). A function is made of each once, with its numbers on
a device; it takes the step (weir.sites.Step) and gives the operation's result."""

from __future__ import annotations

import math
from typing import Callable

import torch

from .errors import WeirError


class SiteTableError(WeirError):
    """A table that cannot be read, or that says what this version does not know."""


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


class Compiler:
    """Makes a function of each operation of a table (weir.sites.SiteTable)."""

    def __init__(self, table, device):
        self.device, self.on_host = device, table.tensors
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
                length = step.rows.prompt_length.unsqueeze(1) - int(scope["set"] != "generated")
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
        self.lookups[op["out"]] = (self.slots[op["in"][0]], self.on_host[op["table"]["tensor"]])
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
