# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Lowers plans with weir-opt, runs the aten calls, and compares every token with
the meaning of the plan (reference.py). Usage: numerics.py GROUP, GROUP, …; a group
may be random FROM TO. With `kernels` as the first word, patches become kernels."""

import dataclasses
import os
import random
import re
import subprocess
import sys
import tempfile

import numpy
import torch

from executor import Executor
from reference import D, F, N, VOCABULARY, Spec

STEER = ("builtin.module(steer-expand-policies,"
         "fx.program(cse,steer-merge,canonicalize))")
LOWER = ("builtin.module(fx.program(steer-widen-patches,"
         "steer-decompose-reads,convert-steer-to-fx,fx-strip-sites,cse,"
         "canonicalize))")
KERNELS = "builtin.module(weir-lower{lower=kernel})"
KERNEL_MODULE = "module @steer.kernels {\n"
# Row 0: prefill with padding; row 1: a longer prompt; row 2: decoding.
POSITIONS = numpy.array([[0, 1, 2, 3, -1, -1], [0, 1, 2, 3, 4, 5],
                         [7, 8, 9, 10, 11, -1]])
LENGTHS = numpy.array([3, 5, 9])


def weirOpt(modules, pipeline):
    mark = "\n// -----\n"
    done = subprocess.run(
        ["weir-opt", "--split-input-file", f"--pass-pipeline={pipeline}"],
        input=mark.join(modules), text=True, capture_output=True)
    if done.returncode:
        sys.exit(f"weir-opt failed: {done.stderr}")
    return done.stdout.split(mark)


def lower(cases):
    """Both stages of every case: what is patched, and the calls."""
    steered = weirOpt([case.spec.text(case.element) for case in cases], STEER)
    lowered = weirOpt(steered, KERNELS if onKernels() else LOWER)
    if onKernels():
        lowered = loadKernels(lowered)
    assert len(steered) == len(lowered) == len(cases)
    return zip(cases, steered, lowered)


def onKernels():
    return sys.argv[1] == "kernels"


def loadKernels(lowered):
    """Compiles the kernels of all cases into one file and loads it; returns the programs without them."""
    functions, programs = {}, []
    for text in lowered:
        program, mark, kernels = text.partition(KERNEL_MODULE)
        programs.append(program)
        for function in re.findall(r"^    func\.func @.*?^    }$", kernels, re.M | re.S):
            functions[re.search(r"@(\w+)", function).group(1)] = function
        assert mark or "weir.edit" not in program
    assert sum("weir.edit" in program for program in programs) > len(programs) / 2
    # An alias that is used by a function stands in front of the module.
    aliases = sorted(set(re.findall(r"^#\w+ = strided.*$", "\n".join(lowered), re.M)))
    assert not aliases or len({a.split(" = ")[0] for a in aliases}) == len(aliases)
    with tempfile.TemporaryDirectory() as folder:
        source, made = os.path.join(folder, "kernels.mlir"), os.path.join(folder, "kernels.so")
        with open(source, "w") as file:
            file.write("\n".join([*aliases, "module {", *functions.values(), "}"]))
        subprocess.run(["weir-codegen", source, "-o", made], check=True)
        import weir.kernels
        weir.kernels.load(made)
    return programs


@dataclasses.dataclass
class Case:
    name: str
    spec: Spec
    rng: numpy.random.Generator
    plans: list
    element: str = "f32"


def check(case, steered, lowered):
    name, spec, rng, element = case.name, case.spec, case.rng, case.element
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}[element]
    narrow = lambda x: torch.tensor(x).to(torch.float32).to(dtype).double().numpy()
    weights = [narrow(rng.normal(size=shape) / numpy.sqrt(shape[1]) * scale)
               for shape, scale in (((VOCABULARY, D), 3), ((N, D), 1), ((D, N), 1))]
    ids = rng.integers(0, VOCABULARY, POSITIONS.shape)
    plans = numpy.array(case.plans)
    knobs = rng.uniform(0.5, 2, (3, len(spec.knobs))).astype(numpy.float32)

    recorded = re.findall(r"steer\.record .* as \"([\w.]+)\" \[(.*?)\]", steered)
    assert "steer." not in lowered[lowered.index("fx.program"):]
    inputs = dict(zip(("w", "up", "down"),
                      (torch.tensor(w).to(dtype) for w in weights)))
    inputs |= {"input_ids": torch.tensor(ids), "positions": torch.tensor(POSITIONS),
               "prompt_length": torch.tensor(LENGTHS),
               "plan": torch.tensor(plans), "knobs": torch.tensor(knobs)}
    got = Executor(lowered, spec.dictionaries).run(inputs)

    # f32 against f64; for bf16 and f16 a last bit may differ where f32 and f64 fall
    # on two sides of a tie, but not more.
    tolerance = {"f32": 2e-4, "bf16": 2 ** -7, "f16": 2 ** -10}[element]
    expected, records = spec.run(weights, ids, POSITIONS, LENGTHS, plans, knobs,
                                 narrow)
    real = POSITIONS >= 0
    out = got[0].double().numpy()
    assert got[0].dtype == dtype
    assert numpy.isfinite(out).all(), f"{name}: not finite"
    error = numpy.abs(out - expected)[real] / (1 + numpy.abs(expected[real]))
    assert error.max() < tolerance, f"{name}: error {error.max()}\n{spec.text()}"
    if element != "f32":
        different = (out != expected)[real].mean()
        assert different < 0.02, f"{name}: {different:.3f} of the bits differ"

    # Something happens, and nothing happens to rows without a plan.
    plain, _ = spec.run(weights, ids, POSITIONS, LENGTHS, [-1] * 3, knobs, narrow)
    for row, plan in enumerate(plans):
        if plan < 0:
            inputs["plan"] = torch.full((3,), -1)
            off = Executor(lowered, spec.dictionaries).run(inputs)[0]
            assert torch.equal(off[row], got[0][row]), f"{name}: row {row} changed"
    changes = numpy.abs(expected - plain)[real].max() > 0.01

    assert len(recorded) == len(got) - 1
    for (label, features), values in zip(recorded, got[1:]):
        columns = [(c, k, int(l), int(i)) for c, l, k, i in re.findall(
            r"@(\w+):(\d+)/(\w+)/(\d+)", features)]
        assert len(columns) == values.shape[-1]
        for b, s in numpy.ndindex(*POSITIONS.shape):
            for j, feature in enumerate(columns):
                policy = label.split(".")[0]
                want = records[b, s].get((policy, feature), 0.0)
                value = float(values[b, s, j])
                assert abs(value - want) < 2e-4 * (1 + abs(want)) or \
                    element != "f32" and abs(value - want) < 0.1, \
                    f"{name}: {label} {feature} at {b},{s}: {value}, not {want}"
                changes |= want != 0
    return changes


# ---- cases by hand -----------------------------------------------------------

R0, R1, M1 = (lambda i: ("sae", "res", 0, i)), (lambda i: ("sae", "res", 1, i)), \
    (lambda i: ("sae", "mlp", 1, i))
O1, N1 = (lambda i: ("other", "res", 1, i)), (lambda i: ("neurons", "mlp", 1, i))
ADD = {"do": "add", "on": [R1(3)], "strength": 2.0}
SET = {"do": "set", "on": [R1(3), R1(7)], "value": 1.5}


def single(p, **dictionary):
    def make(rng):
        spec = Spec(rng, **dictionary)
        spec.policies, spec.plans = {"p": p}, [["p"]]
        return spec
    return make


def several(policies, *plans, **dictionary):
    def make(rng):
        spec = Spec(rng, **dictionary)
        spec.policies = policies
        spec.plans = list(plans or [list(policies)])
        return spec
    return make


ALL_ACTIONS = {
    "add": ADD,
    "add_unit": {**ADD, "normalize": True, "on": [R1(3), R1(4)]},
    "add_knob": {**ADD, "times": "kb"},
    "add_linear": {**ADD, "layers": "cumulative", "schedule": "linear", "of": [5.0]},
    "add_linear_default": {**ADD, "layers": "cumulative", "schedule": "linear"},
    "add_exponential": {**ADD, "layers": "cumulative", "schedule": "exponential",
                        "of": [-0.7]},
    "add_gaussian": {**ADD, "layers": "range, 0, 1", "schedule": "gaussian",
                     "of": [0.5, 0.8]},
    "add_range": {**ADD, "layers": "range, 0, 0"},
    "set": SET,
    "set_knob": {**SET, "times": "ka"},
    "set_active": {**SET, "only_active": True},
    "scale": {"do": "scale", "on": [R0(1), R1(2), R1(5)], "value": -1.0},
    "scale_knob": {"do": "scale", "on": [R1(2)], "value": 3.0, "times": "kb"},
    "clamp": {"do": "clamp", "on": [R1(2), R1(3)], "min": 0.4, "max": 0.6},
    "clamp_active": {"do": "clamp", "on": [R1(2), R1(3)], "min": 0.4,
                     "only_active": True},
    "clamp_max": {"do": "clamp", "on": [R1(2), R1(3)], "max": 0.2},
    "ablate": {"do": "ablate", "on": [R1(i) for i in range(F)]},
    "transfer": {"do": "transfer", "on": [R1(1), R1(2)], "to": [R1(5), R1(6)]},
    "transfer_sites": {"do": "transfer", "on": [R0(1), R0(2)], "to": [M1(5), R1(6)]},
    "transfer_dictionaries": {"do": "transfer", "on": [O1(1), R1(2)],
                              "to": [R1(5), O1(6)]},
    "project_out": {"do": "project_out", "on": [R1(1), R1(2)]},
    "project_out_two_dictionaries": {"do": "project_out", "on": [R1(1), O1(2)]},
    "project_out_several": {"do": "project_out", "on": [R1(1), R1(2), O1(2), R1(4), R1(5)]},
    "record": {"do": "record", "on": [R0(1), R1(2), O1(2), N1(1)]},
    "neurons": {"do": "set", "on": [N1(1), N1(4)], "value": 2.0},
    "norm": {**ADD, "norm": True},
}
ACTIVATIONS = {
    "relu": {}, "jumprelu": {"activation": "jumprelu"},
    "topk": {"activation": "topk", "k": 4}, "gated": {"activation": "gated"},
    "identity": {"activation": "identity"},
    "constant_norm": {"normalization": "constant_norm"},
    "layer_norm": {"normalization": "layer_norm", "activation": "jumprelu"},
}
SCOPES = {
    "every": {}, "prompt": {"set": "prompt"}, "generated": {"set": "generated"},
    "last": {"set": "last"}, "positions": {"positions": [1, 4, 9]},
    "from": {"from": 2}, "to": {"to": 2}, "skip": {"skip_first": 2},
    "between": {"from": 1, "to": 4, "skip_first": 2},
    "generated_to": {"set": "generated", "to": 9},
    "prompt_skip": {"set": "prompt", "skip_first": 1},
    "last_positions": {"set": "last", "positions": [2, 8]},
    "prompt_to": {"set": "prompt", "to": 8},
}
WHEN = {"feature": R1(7), "above": 0.2}
CONDITIONS = {
    "here": WHEN,
    "below": {"feature": R1(7), "below": 0.2},
    "between": {"feature": O1(7), "above": -1.0, "below": 1.0},
    "earlier": {"feature": R0(2), "above": 0.3},
    "neuron": {"feature": N1(3), "above": 0.0},
    "any": {"any": [WHEN, {"feature": R0(2), "above": 1.0}]},
    "all": {"all": [WHEN, {"any": [{"feature": M1(2), "below": 0.5},
                                   {"feature": N1(3), "above": 0.0}]}]},
}

CASES = {}
for name, p in ALL_ACTIONS.items():
    CASES[f"action.{name}"] = single(p)
    CASES[f"bf16.{name}"] = CASES[f"f16.{name}"] = single(p)
for name, dictionary in ACTIVATIONS.items():
    CASES[f"activation.{name}"] = several(
        {"scale": {"do": "scale", "on": [R1(i) for i in range(6)], "value": 2.0},
         "add": {**ADD, "on": [R1(8)]}, "rec": {"do": "record", "on": [R1(1), R1(9)]}},
        **dictionary)
    CASES[f"f16.{name}"] = CASES[f"activation.{name}"]
for name, scope in SCOPES.items():
    CASES[f"tokens.{name}"] = several(
        {"set": {**SET, "tokens": scope},
         "record": {"do": "record", "on": [R1(3), R1(8)], "tokens": scope}})
for name, condition in CONDITIONS.items():
    CASES[f"when.{name}"] = single({**SET, "when": condition})
    CASES[f"when.project_{name}"] = single(
        {"do": "project_out", "on": [R1(1), R1(2)], "when": condition, "norm": True})
PROJECT = lambda *on, **more: {"do": "project_out", "on": list(on), **more}
CASES |= {
    "mix.add_and_set": several({"set": SET, "add": {**ADD, "on": [R1(3), R1(7)]}}),
    "mix.record_before_edits": several(
        {"rec": {"do": "record", "on": [R1(3), R1(7)]}, "set": SET, "add": ADD}),
    "mix.transfer_target_gets_more": several(
        {"t": ALL_ACTIONS["transfer"], "add": {**ADD, "on": [R1(5), R1(6), R1(1)]}}),
    "mix.projections_in_order": several({"a": PROJECT(R1(1)), "b": PROJECT(R1(2))}),
    "mix.projections_reversed": several({"a": PROJECT(R1(1)), "b": PROJECT(R1(2))},
                                        ["b", "a"]),
    "mix.norm_of_one": several(
        {"a": {**ADD, "norm": True, "when": WHEN}, "s": SET, "b": PROJECT(R1(1))}),
    "mix.edits_of_earlier_layers": several(
        {"a": {**ADD, "on": [R0(3)], "strength": 3.0},
         "b": {"do": "scale", "on": [R1(1), R1(2), M1(3)], "value": -2.0},
         "c": {"do": "scale", "on": [N1(2)], "value": 0.0}}),
    "mix.condition_sees_before_edits": several(
        {"a": {"do": "ablate", "on": [R0(i) for i in range(F)]},
         "b": {**SET, "when": {"feature": R0(2), "above": 0.3}}}),
    "mix.rows_with_plans_of_their_own": several(
        {"a": PROJECT(R1(1)), "b": PROJECT(R1(2)), "c": SET,
         "d": {"do": "ablate", "on": [R1(3)], "tokens": {"set": "prompt"}}},
        ["a", "b", "c"], ["b", "a", "d"]),
}


def randomSpec(rng, pick):
    dictionary = dict(pick.choice(list(ACTIVATIONS.values())))
    spec = Spec(rng, **dictionary)
    make = [R0, R1, M1, O1, N1]
    for i in range(pick.randint(2, 5)):
        p = dict(pick.choice(list(ALL_ACTIONS.values())))
        if p["do"] != "transfer":
            # The model has no mlp 0.
            kinds = [R0, R1, O1] if "layers" in p else make
            features = [pick.choice(kinds)(pick.randrange(N)) for _ in range(4)]
            p["on"] = sorted(set(features))
        if pick.random() < 0.5:
            p["tokens"] = pick.choice(list(SCOPES.values()))
        sites = {(f[1], l) for f in p["on"] + p.get("to", [])
                 for l in spec.layersOf(p, f)}
        if pick.random() < 0.4:
            # Only what every site of the policy may depend on.
            condition = {"feature": R0(pick.randrange(F)), "above": 0.1}
            if sites == {("res", 1)}:
                condition = pick.choice(list(CONDITIONS.values()))
            p["when"] = condition
        if p["do"] != "record" and pick.random() < 0.3:
            p["norm"] = True
        spec.policies[f"p{i}"] = p
    edited = lambda p: set(p["on"] + p.get("to", [])) if p["do"] in (
        "set", "scale", "clamp", "ablate", "transfer") else set()
    for _ in range(pick.randint(1, 3)):
        names, taken = [], set()
        for name in pick.sample(list(spec.policies), len(spec.policies)):
            mine = edited(spec.policies[name])
            if not mine & taken and pick.random() < 0.8:
                names.append(name)
                taken |= mine
        spec.plans.append(names)
    return spec


def ties():
    """Of equal numbers at the boundary of the k largest as many stay as there is
    room for: on aten the same ones as in sae_lens, in kernels the first."""
    spec = several({"rec": {"do": "record", "on": [R0(i) for i in range(F)]}},
                   activation="topk", k=4)(numpy.random.default_rng(3))
    dictionary = spec.dictionaries["sae.res.0"]
    for array in (dictionary.encoder, dictionary.bias):
        array[:] = array[[0] * 3 + [3] * 3 + [6] * 3 + [9] * 3]
    spec.policies["add"], spec.plans = {**ADD, "on": [R0(3)]}, [["rec", "add"]]
    steered = weirOpt([spec.text()], STEER)
    lowered = loadKernels(weirOpt(steered, KERNELS)) if onKernels() else weirOpt(steered, LOWER)
    w = torch.randn(VOCABULARY, D)
    ids = torch.arange(VOCABULARY)[None]
    zeros = torch.zeros(1, dtype=torch.int64)
    got = Executor(lowered[0], spec.dictionaries).run(
        {"w": w, "up": torch.randn(N, D), "down": torch.randn(D, N),
         "input_ids": ids, "positions": ids, "prompt_length": zeros,
         "plan": zeros, "knobs": torch.ones(1, 2)})[1]
    z = torch.nn.functional.linear(w[None], torch.tensor(dictionary.encoder),
                                   torch.tensor(dictionary.bias))
    if onKernels():
        indices = z.sort(dim=-1, descending=True, stable=True).indices[..., :4]
    else:
        indices = torch.topk(z, k=4, dim=-1, sorted=False).indices
    expected = torch.zeros_like(z).scatter_(-1, indices, z.gather(-1, indices).relu())
    # Sums of another order are other numbers; who stays is the same.
    assert torch.equal(got, expected) or onKernels()
    assert torch.equal(got != 0, expected != 0) and (got - expected).abs().max() < 1e-5
    full = (z > 0).sum(-1) >= 4
    assert full.any() and ((got != 0).sum(-1)[full] == 4).all()
    print("ties agree")


def main(arguments):
    if arguments[0] == "ties":
        return ties()
    group, cases = arguments[0], []
    if group == "random":
        for seed in range(int(arguments[1]), int(arguments[2])):
            pick, rng = random.Random(seed), numpy.random.default_rng(seed)
            spec = randomSpec(rng, pick)
            plans = [pick.randrange(-1, len(spec.plans)) for _ in range(3)]
            cases.append(Case(f"random {seed}", spec, rng, plans))
    else:
        for name, make in CASES.items():
            if not name.startswith(group + "."):
                continue
            rng = numpy.random.default_rng(7)
            spec = make(rng)
            plans = [0, 1, -1] if len(spec.plans) > 1 else [0, 0, 0]
            cases.append(Case(name, spec, rng, plans,
                              group if group in ("bf16", "f16") else "f32"))
    for case, steered, lowered in lower(cases):
        changes = check(case, steered, lowered)
        # A random plan may well be empty; one by hand is not.
        assert changes or group == "random", f"{case.name} changes nothing"
    print(f"{group}: {len(cases)} cases agree")


if __name__ == "__main__":
    # Groups with commas between them: torch is imported once.
    for part in " ".join(sys.argv[1 + onKernels():]).split(","):
        main(part.split())
