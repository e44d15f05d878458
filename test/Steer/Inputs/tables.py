# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Many plans whose policies have few forms: what steer-tabulate-plans makes of them
is run with PyTorch and compared, plan by plan, with their meaning (reference.py).
Usage: tables.py FROM TO [bf16]."""

import dataclasses
import random
import re
import sys

import numpy
import torch

import numerics
from executor import Executor
from numerics import ACTIVATIONS, M1, N1, O1, R0, R1, SCOPES
from reference import D, F, N, VOCABULARY, Spec

numerics.STEER = (
    "builtin.module(steer-expand-policies,fx.program(cse),"
    "steer-tabulate-plans{min-policies=2},fx.program(cse,steer-merge,canonicalize))")

LISTED = [scope for scope in SCOPES.values() if "positions" in scope]
RANGES = [scope for scope in SCOPES.values() if "positions" not in scope and scope]


class Form:
    """What the policies of one form have in common; each `policy` is another one."""

    def __init__(self, pick, index):
        self.pick, self.index = pick, index
        self.action = pick.choice(["add", "add", "set", "scale", "clamp", "ablate",
                                   "transfer", "project_out"])
        self.make = pick.choice([R0, R1, R1, R1, M1, O1, N1])
        self.size = N if self.make is N1 else F
        self.most = pick.choice([1, 3, 6])
        if self.action == "transfer":
            self.most = 2
        self.normalize = pick.random() < 0.3
        self.active = pick.random() < 0.3
        self.bounds = pick.choice([("min",), ("max",), ("min", "max")])
        self.has_knob = pick.random() < 0.4
        self.scopes = pick.choice([None, RANGES, LISTED, RANGES[:1]])
        self.norm = pick.random() < 0.3
        self.condition = self.draw_condition() if pick.random() < 0.5 else None

    def draw_condition(self, depth=0):
        pick = self.pick
        if depth < 2 and pick.random() < 0.4:
            return (pick.choice(["any", "all"]),
                    [self.draw_condition(depth + 1) for _ in range(pick.randint(1, 3))])
        makes = [R0, R1, M1, O1, N1] if self.make in (R1, O1) else [R0]
        return pick.choice(makes), pick.choice([("above",), ("below",), ("above", "below")])

    def instance(self, condition):
        if isinstance(condition[0], str):
            return {condition[0]: [self.instance(each) for each in condition[1]]}
        make, ends = condition
        feature = make(self.pick.randrange(N if make is N1 else F))
        return {"feature": feature, **{end: self.pick.choice([-0.4, 0.1, 0.3]) + 0.8 * (end == "below")
                                       for end in ends}}

    def policy(self):
        pick = self.pick
        features = pick.sample(range(self.size), pick.randint(1, self.most))
        p = {"do": self.action, "on": [self.make(i) for i in features]}
        number = pick.choice([-2.0, -0.5, 0.5, 1.5, 3.0])
        if self.action == "add":
            p |= {"strength": number, "normalize": self.normalize}
        elif self.action in ("set", "scale"):
            p["value"] = number
        elif self.action == "clamp":
            low = pick.choice([-0.2, 0.1, 0.4])
            p |= {end: low + 0.3 * (end == "max") for end in self.bounds}
        elif self.action == "transfer":
            left = [i for i in range(self.size) if i not in features]
            p["to"] = [self.make(i) for i in pick.sample(left, len(features))]
        if self.action in ("set", "scale", "clamp", "ablate") and self.active:
            p["only_active"] = True
        if self.action in ("add", "set", "scale") and self.has_knob:
            p["times"] = pick.choice(["ka", "kb"])
        if self.scopes:
            p["tokens"] = pick.choice(self.scopes)
        if self.condition:
            p["when"] = self.instance(self.condition)
        if self.norm:
            p["norm"] = True
        return p


ABSOLUTE = ("set", "scale", "clamp", "ablate", "transfer")


def many_plans(pick, rng):
    """Some forms, and plans with a policy of most of them; some policies are shared."""
    spec = Spec(rng, **pick.choice(list(ACTIVATIONS.values())))
    forms = [Form(pick, i) for i in range(pick.randint(1, 4))]
    made = {form: [] for form in forms}
    for plan in range(pick.randint(6, 12)):
        names, taken = [], set()
        for form in forms:
            if pick.random() < 0.15:
                continue
            if made[form] and pick.random() < 0.2:
                name = pick.choice(made[form])
            else:
                name = f"p{len(spec.policies)}"
                spec.policies[name] = form.policy()
                made[form].append(name)
            p = spec.policies[name]
            mine = {*p["on"], *p.get("to", [])} if p["do"] in ABSOLUTE else set()
            if mine & taken:
                continue
            names.append(name)
            taken |= mine
        # Projections do not commute, so their order differs between plans.
        spec.plans.append(pick.sample(names, len(names)))
    used = {name for names in spec.plans for name in names}
    spec.policies = {name: p for name, p in spec.policies.items() if name in used}
    return spec


def check_rows_alone(case, lowered):
    """A row of a mixed batch is the row alone, and without a plan it is the model's
    own to the bit."""
    spec, rng = case.spec, numpy.random.default_rng(1)
    weights = [torch.tensor(rng.normal(size=shape) / numpy.sqrt(shape[1]), dtype=torch.float32)
               for shape in ((VOCABULARY, D), (N, D), (D, N))]
    rows = len(spec.plans) + 1
    ids = torch.tensor(rng.integers(0, VOCABULARY, (rows, 5)))
    positions = torch.arange(5).repeat(rows, 1)
    positions[::2, 3:] = -1
    inputs = {"input_ids": ids, "positions": positions,
              "prompt_length": torch.tensor(rng.integers(1, 4, rows)),
              "plan": torch.arange(-1, rows - 1),
              "knobs": torch.tensor(rng.uniform(0.5, 2, (rows, 2)), dtype=torch.float32)}
    fixed = dict(zip(("w", "up", "down"), weights))
    whole = Executor(lowered, spec.dictionaries).run({**fixed, **inputs})[0]
    for row in range(rows):
        alone = Executor(lowered, spec.dictionaries).run(
            {**fixed, **{name: value[row:row + 1] for name, value in inputs.items()}})[0]
        torch.testing.assert_close(alone[0], whole[row], rtol=1e-4, atol=1e-4)
    x = torch.nn.functional.embedding(ids[:1], weights[0])
    plain = x + torch.nn.functional.linear(
        torch.nn.functional.linear(x, weights[1]), weights[2])
    off = Executor(lowered, spec.dictionaries).run(
        {**fixed, **{name: value[:1] for name, value in inputs.items()}})[0]
    assert torch.equal(off, plain), f"{case.name}: a row without a plan changed"
    return True


def main(first, last, element="f32"):
    cases = []
    for seed in range(first, last):
        pick, rng = random.Random(seed), numpy.random.default_rng(seed)
        spec = many_plans(pick, rng)
        cases.append(numerics.Case(f"tables {seed}", spec, rng, [0, 0, -1], element))
    tabulated = changes = 0
    for case, steered, lowered in numerics.lower(cases):
        tabulated += "steer.lookup" in steered
        plans = list(range(len(case.spec.plans)))
        for pair in zip(plans[::2], plans[1::2]):
            changes += bool(numerics.check(
                dataclasses.replace(case, plans=[*pair, -1]), steered, lowered))
        if element == "f32":
            check_rows_alone(case, lowered)
    assert tabulated > 0.9 * len(cases), f"only {tabulated} of {len(cases)} have tables"
    assert changes, "nothing changes"
    print(f"tables: {len(cases)} cases agree")


if __name__ == "__main__":
    first, last, *rest = sys.argv[1 + numerics.onKernels():]
    main(int(first), int(last), *rest)
