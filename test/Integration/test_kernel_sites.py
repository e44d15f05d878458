# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Kernels of random sites: any width, any number of features, every activation, f32, bf16 and f16, plans and records,
against their formula in f64.

How far a number may be off follows from the arithmetic. With u = 2^-24, a sum in which a term takes part in n
additions, each with one rounding, is off by at most n u times the sum of absolute values. In the order of sums that
kernels name, a product of d numbers has d / 32 + 7 of them (32 sums side by side, added up in six steps). So it is known
to (d / 32 + 7) u |x| |w|, an activation and a coefficient c to what that makes of it, and x + sum c_j D_j to the errors
of its coefficients along |D| and k + 2 roundings of what is summed. A site of 16 bits is rounded once more, at the end.
Where an activation is as near to its threshold, or to the k-th largest, as it is off, either branch is right."""

from __future__ import annotations

import random
import resource
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import engines
import numpy
import pytest
import torch

sys.path.append(str(Path(__file__).resolve().parents[1] / "Steer" / "Inputs"))
from executor import Executor  # noqa: E402

U = 2.0**-24
DTYPES = {"f32": (torch.float32, 0.0), "bf16": (torch.bfloat16, 2.0**-8), "f16": (torch.float16, 2.0**-11)}
KINDS = ["identity", "relu", "jumprelu", "gated", "topk"]
PLANS = 3


@dataclass
class Site:
    """y = x + sum_p [plan = p] (r_p - 1) f D over lists of features, of which plans may share some."""

    seed: int
    width: int
    size: int
    kind: str
    element: str
    lists: list[list[int]]
    normalization: str = ""
    kept: int = 1
    records: bool = False
    elsewhere: bool = False  # it reads another value, which is x backwards
    parts: dict = field(default_factory=dict)

    def __post_init__(self):
        rng = numpy.random.default_rng(self.seed)
        shape = self.size, self.width
        self.factors = [float(rng.uniform(-2, 3)) for _ in self.lists]
        self.parts = {"encoder": rng.normal(size=shape) / self.width**0.5, "encoder_bias": rng.normal(size=self.size) / 4,
                      "decoder": rng.normal(size=shape) / self.width**0.5,
                      "threshold": rng.uniform(-0.1, 0.6, self.size),
                      "magnitude_scale": numpy.exp(rng.normal(size=self.size) / 3),
                      "magnitude_bias": rng.normal(size=self.size) / 4}
        self.parts = {name: value.astype(numpy.float32) for name, value in self.parts.items()}

    def part(self, name, features):
        """As the executor asks for it; nothing listed is all."""
        rows = self.parts[name]
        return rows[features] if features else rows

    def text(self) -> str:
        x = f"tensor<?x?x{self.width}x{self.element}>"
        act = f"{self.kind}, {self.kept}" if self.kind == "topk" else self.kind
        norm = f" normalization <{self.normalization}>" if self.normalization else ""
        gates, body, writes, types, rows = [], [], [], [], []
        for p, (features, factor) in enumerate(zip(self.lists, self.factors)):
            gates.append(f"  %g{p} = steer.in_plans %plan [{p}] : tensor<?xi64>")
            if not features:
                continue
            f = f"tensor<?x?x{len(features)}xf32>"
            body.append(f"    %f{p} = steer.read {'%o' if self.elsewhere else '%h'} of @d {features} activation <{act}>{norm} size {self.size} : {x}")
            body.append(f"    %v{p} = steer.scale_by %f{p} {[factor] * len(features)} : {f}")
            body.append(f"    %c{p} = steer.delta %f{p} to %v{p} where %g{p} : tensor<?x1x1xi1> : {f}")
            if self.records:
                listed = ", ".join(f"#flow.feature<@sae:0/res/{i}>" for i in features)
                body.append(f'    steer.record %f{p} as "r{p}" [{listed}] : {f}')
            writes.append(f"%c{p}"), types.append(f), rows.append(f"#flow.rows<decoder of @d{features}>")
        value = "%h"
        if writes:
            body.append(f"    %w = steer.write %h, {', '.join(writes)} along [{', '.join(rows)}] : "
                        f"{', '.join([x, *types])}")
            value = "%w"
        return "\n".join([
            f"flow.dictionary @d of @sae at <0/res> reads <0/res> features {self.size} width {self.width} "
            f"activation <{act}>{norm}",
            *(f"steer.plan @p{p} []" for p in range(PLANS)),
            f"fx.program @main(%x: {x} = #fx.input<user_input>, %o: {x} = #fx.input<user_input>, "
            "%plan: tensor<?xi64> = #fx.input<user_input>) {",
            *gates, f"  %y = steer.patch %x at <0/res> {{\n  ^bb0(%h: {x}):", *body, f"    steer.yield {value} : {x}\n  }} : {x}",
            f"  fx.return %y : {x} as [#fx.output<user_output>]\n}}"])

    def run(self, x, plan):
        """What the kernel gives: the value and, by list, activations."""
        with torch.no_grad():
            return Executor(self.lowered, {"d": self}).run({"x": x, "o": x.flip(-1), "plan": plan})

    def activations(self, x):
        """All features of tokens [n, d] in f64: (f, how far an f32 one may be off, whether it may as well be on the
        other side of where it jumps)."""
        w, b = self.parts["encoder"].astype(float), self.parts["encoder_bias"].astype(float)
        off = numpy.zeros_like(x)
        depth = self.width / 32 + 7
        if self.normalization == "layer_norm":
            mean = x.mean(-1, keepdims=True)
            std = x.std(-1, keepdims=True, ddof=1)
            # A mean, a deviation, a difference and a quotient: each as far off as a sum.
            size = numpy.abs(x).max(-1, keepdims=True)
            x = (x - mean) / (std + 1e-5)
            off = 4 * depth * U * (numpy.abs(x) + size / (std + 1e-5))
        elif self.normalization == "constant_norm":
            norm = numpy.linalg.norm(x, axis=-1, keepdims=True) / self.width**0.5
            x = x / numpy.where(norm > 0, norm, 1)
            off = 4 * depth * U * numpy.abs(x)
        z = x @ w.T + b
        e = (depth + 1) * U * (numpy.abs(x) @ numpy.abs(w).T + numpy.abs(b)) + off @ numpy.abs(w).T
        relu = lambda v: numpy.maximum(v, 0)  # noqa: E731
        if self.kind == "identity":
            return z, e, numpy.zeros(z.shape, bool)
        if self.kind == "relu":
            return relu(z), e, numpy.zeros(z.shape, bool)
        if self.kind == "jumprelu":
            t = self.parts["threshold"].astype(float)
            return relu(numpy.where(z > t, z, 0)), e, numpy.abs(z - t) <= e
        if self.kind == "gated":
            scale, bias = (self.parts[f"magnitude_{each}"].astype(float) for each in ("scale", "bias"))
            product = z - b
            magnitude = product * scale + bias
            return numpy.where(z > 0, relu(magnitude), 0), e * scale + 2 * U * numpy.abs(magnitude), numpy.abs(z) <= e
        last = -numpy.sort(-z, axis=-1)[..., self.kept - 1: self.kept]
        after = -numpy.sort(-z, axis=-1)[..., self.kept: self.kept + 1] if self.kept < self.size else -numpy.inf + 0 * last
        worst = e.max(-1, keepdims=True)
        return numpy.where(z >= last, relu(z), 0), e, ((numpy.abs(z - last) <= 2 * worst) | (numpy.abs(z - after) <= 2 * worst)) \
            & (last - after <= 2 * worst)

    def check(self, x, plan):
        got = self.run(x, plan)
        dtype, rounding = DTYPES[self.element]
        assert got[0].dtype == dtype and got[0].shape == x.shape
        values = x.double().numpy().reshape(-1, self.width)
        f, e, unsure = self.activations(values[:, ::-1] if self.elsewhere else values)
        rows = plan.numpy().repeat(x.shape[1])
        want, off = values.copy(), numpy.zeros_like(values)
        size = numpy.abs(values)
        decoder = self.parts["decoder"].astype(float)
        doubtful = numpy.zeros(len(values), bool)
        for p, (features, factor) in enumerate(zip(self.lists, self.factors)):
            here = rows == p
            rate = float(numpy.float32(factor)) - 1
            c = rate * f[:, features]
            # r f - f: both are rounded.
            ce = (abs(rate) * e + 3 * U * (1 + abs(factor)) * numpy.abs(f))[:, features]
            jump = unsure[:, features].any(-1)
            want[here] += (c @ decoder[features])[here]
            off[here] += (ce @ numpy.abs(decoder[features]))[here]
            size[here] += (numpy.abs(c) @ numpy.abs(decoder[features]))[here]
            doubtful |= here & jump
        off += (max(map(len, self.lists), default=0) + 2) * U * size
        off += rounding * numpy.abs(want) + (2.0**-24 if self.element == "f16" else 0)
        out = got[0].double().numpy().reshape(-1, self.width)
        wrong = (numpy.abs(out - want) > off).any(-1) & ~doubtful
        assert not wrong.any(), f"{self}: off by {(numpy.abs(out - want) / numpy.maximum(off, 1e-30))[wrong].max()} bounds"
        assert doubtful.mean() < 0.5
        # What no plan is for is the same to the bit.
        none = torch.tensor(rows == -1).reshape(x.shape[:2])
        assert torch.equal(got[0][none].view(torch.int16), x[none].view(torch.int16))
        if self.records:
            for features, record in zip([each for each in self.lists if each], got[1:]):
                record = record.double().numpy().reshape(len(values), -1)
                right = (numpy.abs(record - f[:, features]) <= e[:, features]) | unsure[:, features]
                assert right.all(), f"{self}: a record is off"


def draw(seed: int) -> Site:
    pick = random.Random(seed)
    width = pick.choice([1, 2, 7, 15, 16, 17, 31, 33, 48, 64, 90, 257, 576, 1000])
    size = pick.choice([1, 2, 5, 16, 40, 300])
    shared = pick.sample(range(size), pick.randint(0, min(3, size)))
    lists = []
    for _ in range(PLANS):
        k = pick.choice([0, 1, 2, 3, 4, 5, 9, 17, 40])
        own = pick.sample(range(size), min(size, k))
        lists.append(list(dict.fromkeys(shared + own)) if pick.random() < 0.5 else own)
    kind = pick.choice(KINDS)
    normalization = pick.choice(["", "", "layer_norm", "constant_norm"]) if width > 6 else ""
    return Site(seed, width, size, kind, pick.choice(list(DTYPES)), lists, normalization, pick.randint(1, size),
                pick.random() < 0.3)


BY_HAND = [
    Site(900, 576, 4096, "jumprelu", "f32", [list(range(4096)), [], [4095]]),  # every feature of a dictionary
    Site(901, 64, 3000, "topk", "f32", [[0, 1500, 2999], [7], []], kept=64),  # the list is cut again and again
    Site(902, 40, 700, "topk", "bf16", [[3, 699], [3], []], "layer_norm", kept=600),
    Site(903, 33, 20, "topk", "f16", [list(range(20)), [2], [2, 3]], kept=20, records=True),  # all of them stay
    Site(905, 48, 500, "topk", "f32", [[1, 2, 3], [2], []], "constant_norm", kept=30, elsewhere=True),
    Site(906, 48, 50, "jumprelu", "f16", [[1, 2, 3, 4, 5], [2], []], elsewhere=True),
    Site(904, 576, 16, "relu", "f32", [[], [], []]),  # nothing is edited
]


@pytest.fixture(scope="module")
def sites(tmp_path_factory) -> list[Site]:
    """All of them in one file of kernels."""
    import weir.kernels

    folder = tmp_path_factory.mktemp("sites")
    made, mark = [*map(draw, range(24)), *BY_HAND], "\n// -----\n"

    def lowered(to: str) -> list[str]:
        done = subprocess.run([engines.TOOLS / "weir-opt", "--split-input-file", "--mlir-print-local-scope",
                               "--pass-pipeline=builtin.module(fx.program(steer-merge,canonicalize),weir-lower{lower=%s})" % to],
                              input=mark.join(site.text() for site in made), text=True, capture_output=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.split(mark)

    functions = {}
    for site, text, aten in zip(made, lowered("kernel"), lowered("aten"), strict=True):
        site.lowered, _, kernels = text.partition("module @steer.kernels {\n")
        site.aten = aten
        assert ("weir.edit" in site.lowered) == any(site.lists) and "weir.edit" not in aten
        if kernels:
            functions[kernels.partition("@")[2].partition("(")[0]] = kernels[: kernels.rindex("    }\n") + 6]
    (folder / "kernels.mlir").write_text("\n".join(["module {", *functions.values(), "}"]))
    subprocess.run([engines.TOOLS / "weir-codegen", folder / "kernels.mlir", "-o", folder / "kernels.so"], check=True)
    weir.kernels.load(folder / "kernels.so")
    return made


def inputs(site: Site, batch: int, sequence: int, seed: int = 0):
    rng = torch.Generator().manual_seed(1000 * site.seed + seed)
    x = torch.randn(batch, sequence, site.width, generator=rng).to(DTYPES[site.element][0])
    return x, torch.arange(batch) % (PLANS + 1) - 1


def test_sites_are_their_formula(sites):
    for site in sites:
        site.check(*inputs(site, 8, 9))


def test_a_token_alone_is_the_token_among_others(sites):
    """To the bit, in blocks and out of them, records included."""
    for site in sites:
        x, plan = inputs(site, 4, 31)
        whole = site.run(x, plan)
        for row, token in ((0, 0), (1, 30), (3, 13), (2, 24)):
            alone = site.run(x[row: row + 1, token: token + 1], plan[row: row + 1])
            for one, other in zip(alone, whole):
                assert torch.equal(one[0, 0].view(torch.int16), other[row, token].view(torch.int16))


def test_none_and_strided(sites):
    for site in sites:
        x, plan = inputs(site, 3, 5)
        want = site.run(x, plan)
        wide = torch.zeros(3, 5, 2 * site.width + 1, dtype=x.dtype)
        wide[..., 1: site.width + 1] = x
        for one, other in zip(site.run(wide[..., 1: site.width + 1], plan), want):
            assert torch.equal(one, other)
        for each in site.run(x[:, :0], plan):
            assert each.shape[:2] == (3, 0)


def test_what_is_not_finite(sites):
    """Stays in its token, and is what aten makes of it."""
    for site in sites:
        x, plan = inputs(site, 4, 6)
        want = site.run(x, plan)
        for number in (float("nan"), float("inf"), -float("inf")):
            broken = x.clone()
            broken[:, 2, site.width // 2] = number
            got = site.run(broken, plan)
            others = torch.arange(6) != 2
            for one, other in zip(got, want):
                assert torch.equal(one[:, others].view(torch.int16), other[:, others].view(torch.int16))
            assert not got[0][:, 2].isfinite().all()
            if site.kind == "topk":
                continue  # who stays of equal ones is for each lowering to say
            aten = Executor(site.aten, {"d": site}).run({"x": broken, "o": broken.flip(-1), "plan": plan})
            for one, other in zip(got, aten):
                one, other = one[:, 2].float(), other[:, 2].float()
                assert torch.equal(one.isnan(), other.isnan()) and torch.equal(one.isinf(), other.isinf()), site


def test_126_layers_of_one_shape(tmp_path):
    """One kernel, in 3 s of the processor: 64 features a layer, a width of 4,096."""
    layers, width, k = 126, 4096, 64
    x, f = f"tensor<?x?x{width}xf32>", f"tensor<?x?x{k}xf32>"
    lines = [f"flow.dictionary @d{i} of @sae at <{i}/res> reads <{i}/res> features 16384 width {width} activation <jumprelu>"
             for i in range(layers)]
    lines.append(f"steer.plan @a []\nfx.program @main(%x0: {x} = #fx.input<user_input>, %plan: tensor<?xi64> = "
                 "#fx.input<user_input>) {\n  %g = steer.in_plans %plan [0] : tensor<?xi64>")
    for i in range(layers):
        features = [(7 * i + 3 * j) % 16384 for j in range(k)]
        lines.append(f"  %x{i + 1} = steer.patch %x{i} at <{i}/res> {{\n  ^bb0(%h: {x}):\n"
                     f"    %f = steer.read %h of @d{i} {features} activation <jumprelu> size 16384 : {x}\n"
                     f"    %v = steer.scale_by %f {[0.5 + i] * k} : {f}\n"
                     f"    %c = steer.delta %f to %v where %g : tensor<?x1x1xi1> : {f}\n"
                     f"    %w = steer.write %h, %c along [#flow.rows<decoder of @d{i}{features}>] : {x}, {f}\n"
                     f"    steer.yield %w : {x}\n  }} : {x}")
    lines.append(f"  fx.return %x{layers} : {x} as [#fx.output<user_output>]\n}}")
    (tmp_path / "sites.mlir").write_text("\n".join(lines))

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([engines.TOOLS / "weir-opt", tmp_path / "sites.mlir", "--mlir-print-op-generic", "-o", tmp_path / "low.mlir",
                    "--pass-pipeline=builtin.module(weir-lower{lower=kernel})"], check=True)
    subprocess.run([engines.TOOLS / "weir-codegen", tmp_path / "low.mlir", "-o", tmp_path / "kernels.so"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    text = (tmp_path / "low.mlir").read_text()
    assert text.count('"func.func"') == 1 and text.count('target = "weir.edit.default"') == layers
    took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert took < 3, f"{took:.1f} s of the processor"
