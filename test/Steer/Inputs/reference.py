# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a plan means, token by token in f64, and the module that says the same.

The model is small but has what a block has: res 0, then neurons (neuron 1) read
from it, their projection (mlp 1), and the sum (res 1).
"""

import numpy

from executor import orthonormal

D, F, N = 8, 12, 10  # width, features of a dictionary, neurons
VOCABULARY = 32
SITES = [("res", 0), ("neuron", 1), ("mlp", 1), ("res", 1)]


class Dictionary:
    def __init__(self, rng, activation, k=0, normalization="none"):
        self.activation, self.k, self.normalization = activation, k, normalization
        normal = lambda *shape: rng.normal(size=shape).astype(numpy.float32)
        self.encoder = normal(F, D)
        self.bias = normal(F) * 0.3
        self.threshold = numpy.abs(normal(F)) * 0.5
        self.scale, self.offset = numpy.exp(normal(F) * 0.2), normal(F) * 0.2
        self.decoder = normal(F, D)

    def part(self, part, features):
        rows = features or list(range(F))
        unit = self.decoder / numpy.linalg.norm(self.decoder, axis=1)[:, None]
        return {"encoder": self.encoder, "encoder_bias": self.bias,
                "threshold": self.threshold, "magnitude_scale": self.scale,
                "magnitude_bias": self.offset, "decoder": self.decoder,
                "unit_decoder": unit}[part][rows]

    def inputScale(self, x):
        """What brings a normalised dictionary's output back."""
        if self.normalization == "constant_norm":
            return numpy.linalg.norm(x) / numpy.sqrt(len(x))
        if self.normalization == "layer_norm":
            return x.std(ddof=1)
        return 1.0

    def read(self, x):
        if self.normalization == "constant_norm":
            x = x / (self.inputScale(x) or 1)
        elif self.normalization == "layer_norm":
            x = (x - x.mean()) / (x.std(ddof=1) + 1e-5)
        product = self.encoder.astype(numpy.float64) @ x
        z = product + self.bias
        if self.activation == "identity":
            return z
        if self.activation == "relu":
            return numpy.maximum(z, 0)
        if self.activation == "jumprelu":
            return numpy.where((z > self.threshold) & (z > 0), z, 0)
        if self.activation == "gated":
            magnitude = product * self.scale + self.offset
            return numpy.where(z > 0, numpy.maximum(magnitude, 0), 0)
        assert self.activation == "topk"
        f = numpy.zeros(F)
        top = numpy.argsort(-z)[:self.k]
        f[top] = numpy.maximum(z[top], 0)
        return f

    def text(self):
        return "topk, %d" % self.k if self.k else self.activation


class Neurons(Dictionary):
    def __init__(self, rng):
        super().__init__(rng, "identity")
        self.decoder = rng.normal(size=(N, D)).astype(numpy.float32)

    def read(self, x):
        return x

    def inputScale(self, x):
        return 1.0


class Spec:
    """Policies as mappings: name -> {do, on, and what the action takes}. Features
    are (collection, site, layer, index)."""

    def __init__(self, rng, activation="relu", k=0, normalization="none"):
        make = lambda: Dictionary(rng, activation, k, normalization)
        self.dictionaries = {
            "sae.res.0": make(), "sae.res.1": make(), "sae.mlp.1": make(),
            "other.res.1": Dictionary(rng, "identity"),
            "neurons.mlp.1": Neurons(rng)}
        self.policies, self.plans = {}, []
        self.knobs = ["ka", "kb"]

    # ---- the module

    def feature(self, f):
        collection, kind, layer, index = f
        return f"#flow.feature<@{collection}:{layer}/{kind}/{index}>"

    def condition(self, c):
        for key, name in (("any", "any_of"), ("all", "all_of")):
            if key in c:
                inner = ", ".join(self.condition(each) for each in c[key])
                return f"#steer.{name}<[{inner}]>"
        ends = "".join(f", {end} = {c[end]:.17e} : f64" for end in ("above", "below")
                       if end in c)
        return f"#steer.when<feature = {self.feature(c['feature'])}{ends}>"

    def action(self, p):
        number = lambda key: f"{p[key]:.17e}"
        if p["do"] == "add":
            s = p.get("schedule", "constant")
            extra = "".join(f", {v:.17e}" for v in p.get("of", []))
            normalize = " normalize = true" if p.get("normalize") else ""
            return f"add<#steer.{s}<{number('strength')}{extra}>{normalize}>"
        if p["do"] in ("set", "scale"):
            return f"{p['do']}<{number('value')}>"
        if p["do"] == "clamp":
            return "clamp<" + ", ".join(f"{end} = {number(end)} : f64"
                                        for end in ("min", "max") if end in p) + ">"
        return p["do"]

    def scope(self, t):
        parts = [f"set = {t['set']}"] if "set" in t else []
        if "positions" in t:
            inside = ", ".join(map(str, t["positions"]))
            parts.append(f"positions = [{inside}]")
        parts += [f"{key} = {t[key]}" for key in ("from", "to", "skip_first")
                  if key in t]
        return "<" + ", ".join(parts) + ">"

    def text(self, element="f32"):
        lines = ["flow.collection @sae <sae_lens> at \"{site}.{layer}\" sites "
                 "[#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 1",
                 "flow.collection @other <directions> at \"x\" sites "
                 "[#fx.site_kind<res>] layers 1 to 1",
                 "flow.collection @neurons <neurons> sites [#fx.site_kind<mlp>] "
                 "layers 1 to 1"]
        for name, dictionary in self.dictionaries.items():
            collection, kind, layer = name.split(".")
            reads = "neuron" if collection == "neurons" else kind
            normalization = "" if dictionary.normalization == "none" else \
                f" normalization <{dictionary.normalization}>"
            lines.append(
                f"flow.dictionary @{name} of @{collection} at <{layer}/{kind}> "
                f"reads <{layer}/{reads}> features {N if reads == 'neuron' else F} "
                f"width {D} activation <{dictionary.text()}>{normalization}")
        lines += [f"steer.knob @{knob} default 1.0" for knob in self.knobs]
        for name, p in self.policies.items():
            lists = {"on": p["on"], **({"to": p["to"]} if "to" in p else {})}
            for key, features in lists.items():
                inner = ", ".join(map(self.feature, features))
                lines.append(f"%{name}.{key} = flow.select [{inner}]")
            line = f"steer.policy @{name} #steer.{self.action(p)} on %{name}.on"
            line += f" to %{name}.to" if "to" in p else ""
            if "layers" in p:
                line += f" layers <{p['layers']}>"
            if "tokens" in p:
                line += f" tokens {self.scope(p['tokens'])}"
            if "when" in p:
                line += f" when {self.condition(p['when'])}"
            if "times" in p:
                line += f" times @{p['times']}"
            line += " only_active" if p.get("only_active") else ""
            line += " preserve_norm" if p.get("norm") else ""
            lines.append(line)
        for i, plan in enumerate(self.plans):
            names = ", ".join("@" + name for name in plan)
            lines.append(f"steer.plan @plan{i} [{names}]")
        ids = "tensor<?x?xi64, #fx.dims<s0 = 2, s1 = 3>>"
        x = f"tensor<?x?x{D}x{element}, #fx.dims<s0 = 2, s1 = 3>>"
        n = f"tensor<?x?x{N}x{element}, #fx.dims<s0 = 2, s1 = 3>>"
        weight = lambda r, c: f"tensor<{r}x{c}x{element}>"
        lines.append(f"""fx.program @main(
    %w: {weight(VOCABULARY, D)} = #fx.input<parameter "model"::"w">,
    %up: {weight(N, D)} = #fx.input<parameter "model"::"up">,
    %down: {weight(D, N)} = #fx.input<parameter "model"::"down">,
    %input_ids: {ids} = #fx.input<user_input>,
    %positions: {ids} = #fx.input<user_input>) {{
  %e = fx.call @aten.embedding.default(weight = %w, indices = %input_ids) : ({weight(VOCABULARY, D)}, {ids}) -> {x}
  %r = fx.site 0/res of %e : {x}
  %u = fx.call @aten.linear.default(input = %r, weight = %up) : ({x}, {weight(N, D)}) -> {n}
  %n = fx.site 1/neuron of %u : {n}
  %d = fx.call @aten.linear.default(input = %n, weight = %down) : ({n}, {weight(D, N)}) -> {x}
  %m = fx.site 1/mlp of %d : {x}
  %s = fx.call @aten.add.Tensor(self = %r, other = %m) : ({x}, {x}) -> {x}
  %z = fx.site 1/res of %s : {x}
  fx.return %z : {x} as [#fx.output<user_output>]
}}""")
        return "\n".join(lines) + "\n"

    # ---- what it means

    def layersOf(self, p, feature):
        layers = p.get("layers", "own")
        if layers == "own":
            return [feature[2]]
        if layers == "cumulative":
            first = 0 if feature[0] == "sae" else 1  # what the collection covers
            return list(range(first, feature[2] + 1))
        _, first, last = layers.split(",")
        return list(range(int(first), int(last) + 1))

    def strength(self, p, layer):
        layers = [l for f in p["on"] for l in self.layersOf(p, f)]
        first, last, s = min(layers), max(layers), p["strength"]
        kind, of = p.get("schedule", "constant"), p.get("of", [])
        if kind == "constant":
            return s
        if kind == "linear":
            end = of[0] if of else 1.0
            return s if first == last else \
                s + (end - s) * (layer - first) / (last - first)
        if kind == "exponential":
            return s * numpy.exp(of[0] * (layer - first))
        return s * numpy.exp(-(layer - of[0]) ** 2 / (2 * of[1] ** 2))

    def acts(self, t, position, length):
        part = t.get("set", "all")
        return (position >= 0
                and (part != "prompt" or position < length)
                and (part != "generated" or position >= length)
                and (part != "last" or position == length - 1)
                and ("positions" not in t or position in t["positions"])
                and position >= t.get("from", 0) and position >= t.get("skip_first", 0)
                and position <= t.get("to", position))

    def dictionary(self, f):
        return self.dictionaries["%s.%s.%d" % f[:3]]

    def readsAt(self, f):
        return ("neuron", f[2]) if f[0] == "neurons" else (f[1], f[2])

    def activation(self, f, before):
        return self.dictionary(f).read(before[self.readsAt(f)])[f[3]]

    def holds(self, c, before):
        if "any" in c:
            return any(self.holds(each, before) for each in c["any"])
        if "all" in c:
            return all(self.holds(each, before) for each in c["all"])
        f = self.activation(c["feature"], before)
        return f > c.get("above", -numpy.inf) and f < c.get("below", numpy.inf)

    def newActivation(self, p, f, knob):
        if p["do"] == "set":
            return p["value"] * knob
        if p["do"] == "scale":
            return p["value"] * f * knob
        if p["do"] == "clamp":
            return min(max(f, p.get("min", -numpy.inf)), p.get("max", numpy.inf))
        assert p["do"] == "ablate"
        return 0.0

    def editSite(self, site, before, plan, token, knobs, records):
        """The value of a site after what a plan does at one token. `before` holds
        the values of this site and of earlier ones before their edits."""
        x = before[site]
        new, spans, keepNorm = x.copy(), [], False
        for name in self.plans[plan]:
            p = self.policies[name]
            if not self.acts(p.get("tokens", {}), *token):
                continue
            here = [f for f in p["on"] if any((f[1], l) == site
                                              for l in self.layersOf(p, f))]
            there = [(a, b) for a, b in zip(p["on"], p.get("to", []))
                     if (b[1], b[2]) == site]
            if not here and not there:
                continue
            if "when" in p and not self.holds(p["when"], before):
                continue
            knob = knobs[self.knobs.index(p["times"])] if "times" in p else 1.0
            for f in here:
                row = self.dictionary(f).decoder[f[3]].astype(numpy.float64)
                if p["do"] == "add":
                    if p.get("normalize"):
                        row = row / numpy.linalg.norm(row)
                    new += self.strength(p, site[1]) * knob * row
                elif p["do"] in ("set", "scale", "clamp", "ablate", "transfer"):
                    old = self.activation(f, before)
                    if p.get("only_active") and not old > 0:
                        continue
                    v = 0.0 if p["do"] == "transfer" else \
                        self.newActivation(p, old, knob)
                    scale = self.dictionary(f).inputScale(before[self.readsAt(f)])
                    new += (v - old) * scale * row
                elif p["do"] == "record":
                    records[name, f] = self.activation(f, before)
            for a, b in there:
                row = self.dictionary(b).decoder[b[3]].astype(numpy.float64)
                scale = self.dictionary(b).inputScale(before[self.readsAt(b)])
                new += self.activation(a, before) * scale * row
            if p["do"] == "project_out":
                spans.append(numpy.array([self.dictionary(f).decoder[f[3]]
                                          for f in here]))
            keepNorm |= bool(p.get("norm"))
        for span in spans:
            q = orthonormal(span)
            new = new - q.T @ (q @ new)
        if keepNorm and numpy.linalg.norm(new) > 0:
            new = new * numpy.linalg.norm(x) / numpy.linalg.norm(new)
        return new

    def run(self, weights, ids, positions, lengths, plans, knobs, narrow=lambda x: x):
        """[b, S, D] and a list of {(policy, feature): activation} a token.
        `narrow` rounds to the model's type."""
        w, up, down = weights
        out, records = numpy.zeros((*ids.shape, D)), {}
        for b in range(len(ids)):
            for s in range(ids.shape[1]):
                token = (int(positions[b, s]), int(lengths[b]))
                recorded, before, after = {}, {}, {}
                for site in SITES:
                    if site == ("res", 0):
                        value = w[ids[b, s]].astype(numpy.float64)
                    elif site == ("neuron", 1):
                        value = narrow(up @ after["res", 0])
                    elif site == ("mlp", 1):
                        value = narrow(down @ after["neuron", 1])
                    else:
                        value = narrow(after["res", 0] + after["mlp", 1])
                    before[site] = after[site] = value
                    if 0 <= plans[b] < len(self.plans) and site[0] != "neuron":
                        after[site] = narrow(self.editSite(
                            site, before, plans[b], token, knobs[b], recorded))
                out[b, s] = after["res", 1]
                records[b, s] = recorded
        return out, records
