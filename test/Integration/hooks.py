# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a spec means, written a second time: forward hooks on a Hugging Face model.

This is the reference that programs are compared with, so nothing of Weir is used, only the YAML.
It is written for clarity, and where there is a choice it computes differently: edits of features
are made on whole reconstructions with the error term, x - decode(f) + decode(v), in f64, one row of
a batch at a time, without a KV cache.

Besides logits it reports from which token on they may not be compared: activations such as JumpReLU
and conditions jump, and where the number that decides is within its rounding of the threshold (see
dictionaries.py) a program in f32 may be right and yet take the other branch. A causal model's
earlier tokens do not depend on such a token.
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import dictionaries
import graph_oracle
import numpy
import torch
import yaml
from replaced_layers import Replacement

# Where sites are in the models of transformers: path of the block, then for each site a module below
# it and the side of it. `mid` is changed in place, because the residual branch holds the same tensor.
_LLAMA = ("model.layers", {"res": ("", "output"), "att": ("self_attn", "output"), "mlp": ("mlp", "output"),
                           "mid": ("post_attention_layernorm", "in_place"), "head": ("self_attn.o_proj", "input"),
                           "mlp_in": ("mlp", "input"), "emb": ("", "input")})
# Gemma normalises what attention and MLP add.
_GEMMA = ("model.layers", {"res": ("", "output"), "att": ("post_attention_layernorm", "output"),
                           "mlp": ("post_feedforward_layernorm", "output"),
                           "mid": ("pre_feedforward_layernorm", "in_place"), "head": ("self_attn.o_proj", "input"),
                           "mlp_in": ("mlp", "input"), "emb": ("", "input")})
_GPT2 = ("transformer.h", {"res": ("", "output"), "att": ("attn", "output"), "mlp": ("mlp", "output"),
                           "mid": ("ln_2", "in_place"), "head": ("attn.c_proj", "input"), "mlp_in": ("mlp", "input"), "emb": ("", "input")})
_NEOX = ("gpt_neox.layers", {"res": ("", "output"), "att": ("attention", "output"), "mlp": ("mlp", "output"),
                             "mid": ("post_attention_layernorm", "in_place"), "head": ("attention.dense", "input"),
                             "mlp_in": ("mlp", "input"), "emb": ("", "input")})
SITES = {"llama": _LLAMA, "mistral": _LLAMA, "qwen2": _LLAMA, "qwen3": _LLAMA, "gemma2": _GEMMA,
         "gemma3_text": _GEMMA, "gpt2": _GPT2, "gpt_neox": _NEOX}


def sites_of(config) -> list[str]:
    """The kinds of sites that a model has, in the order in which they are computed."""
    parallel = getattr(config, "use_parallel_residual", False)  # attention and MLP side by side
    return [kind for kind in ("head", "att", "mid", "mlp", "res") if not (parallel and kind == "mid")]


@contextlib.contextmanager
def hooked(model, config, wanted, edit):
    """While it lasts, the value x [b, S, d] at each (layer, kind) of `wanted` becomes edit(layer, kind, x)."""
    blocks, kinds = SITES[config.model_type]
    handles = []
    for layer, kind in wanted:
        assert kind in (*sites_of(config), "mlp_in", "emb")
        path, side = kinds[kind]
        module = model.get_submodule(".".join(part for part in (blocks, str(layer), path) if part))

        def output(module, args, result, layer=layer, kind=kind):
            if isinstance(result, tuple):
                return (edit(layer, kind, result[0]), *result[1:])
            return edit(layer, kind, result)

        def before(module, args, kwargs, layer=layer, kind=kind, side=side):
            values = [*args, *kwargs.values()]
            assert isinstance(values[0], torch.Tensor)
            new = edit(layer, kind, values[0])
            if side == "in_place":
                values[0].copy_(new)
                return None
            return (new, *args[1:]), kwargs

        handles.append(module.register_forward_hook(output) if side == "output" else
                       module.register_forward_pre_hook(before, with_kwargs=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@dataclass(frozen=True, order=True)
class Feature:
    layer: int
    site: str
    index: int
    dictionary: str

    @property
    def at(self):
        return self.layer, self.site


class Loader(yaml.SafeLoader):
    """PyYAML reads YAML 1.1, to which `on` is true and 1e3 is text."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()}
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("true|false"), list("tf"))


def read(text: str) -> dict:
    return yaml.load(text, Loader)


def _number(value) -> float:
    return float(value)


def _layers(value) -> tuple[int, int]:
    first, _, last = str(value).partition("..")
    return int(first), int(last or first)


class Spec:
    """A spec file, with its names resolved. Markers that are texts need Hugging Face's `tokenizer`; effects of edges are those
    that `weirc validate --json` has said, in effects.json beside the spec."""

    def __init__(self, path: Path, model, tokenizer=None):
        measured = Path(path).with_name("effects.json")
        self.effects = {} if not measured.exists() else {
            tuple(map(graph_oracle.Node.parse, (edge["from"], edge["to"]))): edge["effect"]
            for edge in json.loads(measured.read_text())["edges"] if edge["effect"] is not None}
        self.folder, self.model, self.tokenizer = Path(path).parent, model, tokenizer
        self.data = read(Path(path).read_text())
        self.collections = self.data.get("dictionaries", {})
        self.policies = self.data["policies"]
        self.plans = self.data.get("plans", {"default": list(self.policies)})
        self.knobs = {name: _number(knob["default"]) for name, knob in self.data.get("knobs", {}).items()}
        self._opened, self._medians = {}, {}
        self.features = functools.cache(lambda policy, key: self._select(self.policies[policy][key]))
        self.graphs = functools.cache(self._graphs)
        self.weight = functools.cache(self._weight)

    def dictionary(self, name: str, layer: int, site: str) -> dictionaries.Dictionary:
        if (name, layer, site) not in self._opened:
            collection = self.collections[name]
            path = self.folder / str(collection.get("path", "")).format(site=site, layer=layer)
            opened = dictionaries.load(collection["format"], path, self.model, layer, _layers(collection["layers"])[0])
            if "reads" in collection:
                opened.reads = layer, collection["reads"]
            self._opened[name, layer, site] = opened
        return self._opened[name, layer, site]

    def _graphs(self, name: str) -> graph_oracle.Oracle:
        """What knows the graphs of one collection, and the one of this name among them."""
        collection = self.collection_of(name)
        return graph_oracle.Oracle(
            self.data, self.collections[collection],
            lambda layer, site: self.dictionary(collection, layer, site).rows.numpy(), effects=self.effects)

    def collection_of(self, graph: str) -> str:
        entry = self.data["graphs"][graph]
        for key in ("union", "intersection", "difference"):
            if key in entry:
                return self.collection_of(entry[key][0])
        return self.data["matches"][entry["match"]].get("dictionary", next(iter(self.collections)))

    def nodes(self, selector: dict) -> list[Feature]:
        """The features of a part of a graph."""
        name = self.collection_of(selector["graph"])
        return [Feature(node.layer, node.site, node.index, name)
                for node in self.graphs(selector["graph"]).part(selector)]

    def _weight(self, policy: str, feature: Feature) -> float:
        """What the strength of an addition is multiplied by, for one of its features."""
        strength = self.policies[policy].get("strength")
        if not isinstance(strength, dict) or strength.get("weight", "none") == "none":
            return 1.0
        assert strength["weight"] in ("similarity", "effect")
        for selector in self._single(self.policies[policy]["on"]):
            if feature in self._select(selector):
                if not isinstance(selector, dict) or "graph" not in selector:
                    return 1.0
                node = graph_oracle.Node(feature.layer, feature.site, feature.index)
                return self.graphs(selector["graph"]).weights(selector["graph"], strength["weight"])[node]
        raise AssertionError("a feature of no selector")

    def _single(self, selector) -> list:
        """The selectors of a list, named ones included, in order."""
        if isinstance(selector, list):
            return [single for each in selector for single in self._single(each)]
        if isinstance(selector, dict) and "features" in selector:
            named = selector["features"]
            return self._single(named if isinstance(named, list) else self.data["features"][named])
        return [selector]

    def of(self, feature: Feature) -> dictionaries.Dictionary:
        return self.dictionary(feature.dictionary, feature.layer, feature.site)

    def read_at(self, feature: Feature) -> tuple[int, str]:
        """The place whose value decides about a feature."""
        return self.of(feature).reads or feature.at

    def written_at(self, feature: Feature) -> list[tuple[int, str]]:
        """The places that a feature's decoder rows are of: those of a cross-layer transcoder are several."""
        return [(layer, feature.site) for layer in (feature.layer, *self.further(feature))]

    def further(self, feature: Feature) -> dict[int, torch.Tensor]:
        is_file = self.collections[feature.dictionary]["format"] == "circuit_tracer"
        return self.of(feature).further if is_file else {}

    def token(self, marker: str | int) -> int:
        if isinstance(marker, int):
            return marker
        (found,) = self.tokenizer.encode(marker, add_special_tokens=False)
        return found

    def parse(self, text: str) -> Feature:
        name, _, rest = text.rpartition(":")
        layer, site, index = rest.split("/")
        return Feature(int(layer), site, int(index), name or next(iter(self.collections)))

    def _select(self, selector) -> list[Feature]:
        """The features of a selector or a list of them, each once, in order."""
        if isinstance(selector, list):
            found = [feature for each in selector for feature in self._select(each)]
        elif isinstance(selector, str):
            found = [self.parse(selector)]
        elif "features" in selector:
            named = selector["features"]
            found = self._select(named if isinstance(named, list) else self.data["features"][named])
        elif "graph" in selector:
            found = self.nodes(selector)
        elif "site" in selector:
            first = self.parse(selector["site"] + "/0")
            found = [Feature(first.layer, first.site, index, first.dictionary)
                     for index in range(self.of(first).features)]
        else:
            of, found = selector["antagonists"], []
            for to in self.nodes(of) if isinstance(of, dict) else [self.parse(of)]:
                rows = torch.nn.functional.normalize(self.of(to).rows, dim=1)
                cosine = rows @ rows[to.index]
                furthest = [index for index in cosine.argsort(stable=True).tolist() if cosine[index] < 0]
                found += [Feature(to.layer, to.site, index, to.dictionary)
                          for index in furthest[: selector.get("count", 1)]]
        return list(dict.fromkeys(found))

    def conditions(self, condition) -> list[Feature]:
        if condition is None:
            return []
        inner = condition.get("any") or condition.get("all")
        if inner is not None:
            return [feature for each in inner for feature in self.conditions(each)]
        if "graph" in condition:
            return self.nodes(condition)
        return [self.parse(condition["feature"])]

    def written_layers(self, policy: str, feature: Feature) -> range:
        """The layers at which an addition of `feature` is written."""
        layers = self.policies[policy].get("layers", "own")
        if self.further(feature):
            assert layers == "own"
            return range(feature.layer, max(self.further(feature)) + 1)
        if layers == "own":
            return range(feature.layer, feature.layer + 1)
        if layers == "cumulative":
            return range(_layers(self.collections[feature.dictionary]["layers"])[0], feature.layer + 1)
        first, last = _layers(layers)
        return range(first, last + 1)

    def projected_at(self, policy: str, feature: Feature) -> list[tuple[int, str]]:
        """Where the direction of `feature` is taken out: where the feature is written, or all of the residual stream."""
        if self.policies[policy].get("layers", "own") != "all":
            return self.written_at(feature)
        config = self.model.config
        kinds = [kind for kind in sites_of(config) if kind in ("mid", "res")]
        return [(0, "emb"), *((layer, kind) for layer in range(config.num_hidden_layers) for kind in kinds)]

    def strength(self, policy: str, layer: int, kind: str | None = None) -> float:
        """The strength of an addition at a site, before knobs."""
        scheduled = self.scheduled(policy, layer)
        strength = self.policies[policy]["strength"]
        if not isinstance(strength, dict) or "dose" not in strength:
            return scheduled
        # What the policy adds there has this share of the median norm.
        return scheduled * self.medians(strength["text"])[layer, kind] / self.direction(policy, layer, kind).norm().item()

    def direction(self, policy: str, layer: int, kind: str) -> torch.Tensor:
        """The sum [d] of the rows that an addition writes at a site, of features whose own strength is that of the site."""
        total = 0
        for feature in self.features(policy, "on"):
            layers = [feature.layer] if self.further(feature) else self.written_layers(policy, feature)
            if feature.site == kind and layer in layers:
                row = self.of(feature).rows_at(layer)[feature.index]
                total = total + self.weight(policy, feature) * (
                    row / row.norm() if self.policies[policy].get("normalize") else row)
        return total

    def medians(self, text: str) -> dict[tuple[int, str], float]:
        """The median of |x| at every site over the tokens of a text, but for the first of each document: the model
        alone, one document at a time."""
        if text not in self._medians:
            norms = defaultdict(list)

            def keep(layer, kind, x):
                norms[layer, kind] += x[0, 1:].to(torch.float64).norm(dim=1).tolist()
                return x

            with torch.no_grad(), hooked(self.model, self.model.config, self.sites(), keep):
                for document in numpy.load(self.folder / text):
                    tokens = torch.as_tensor(document[document >= 0]).reshape(1, -1)
                    assert tokens.shape[1] <= 128, "a longer one is cut into windows"
                    self.model(tokens, attention_mask=torch.ones_like(tokens), use_cache=False)
            self._medians[text] = {at: float(numpy.median(found)) for at, found in norms.items()}
        return self._medians[text]

    def scheduled(self, policy: str, layer: int) -> float:
        """What the schedule says at a layer: a strength, or a dose. The schedules run over all layers that
        the policy writes at."""
        strength = self.policies[policy]["strength"]
        if not isinstance(strength, dict):
            return _number(strength)
        value = _number(strength["dose"] if "dose" in strength else strength["value"])
        schedule = strength.get("schedule", "constant")
        # A feature of a cross-layer transcoder has one strength, that of its own layer.
        written = [at for feature in self.features(policy, "on")
                   for at in ([feature.layer] if self.further(feature) else self.written_layers(policy, feature))]
        first, last = min(written), max(written)
        if schedule == "exponential":
            return value * math.exp(_number(strength.get("rate", -0.05)) * (layer - first))
        if schedule == "linear" and first < last:
            return value + (_number(strength.get("last", 1)) - value) * (layer - first) / (last - first)
        if schedule == "gaussian":
            distance = (layer - _number(strength["center"])) / _number(strength["width"])
            return value * math.exp(-distance * distance / 2)
        return value

    def values(self, policy: str) -> list[tuple[int, str]]:
        """The sites of which a policy records all numbers."""
        value = self.policies[policy].get("value") if self.policies[policy]["do"] == "record" else None
        texts = [] if value is None else value if isinstance(value, list) else [value]
        return [(int(layer), kind) for layer, kind in (text.split("/") for text in texts)]

    def replacements(self, policies) -> dict[str, Replacement]:
        """Of those of the policies that replace layers, what they put there."""
        return {name: Replacement(self, name) for name in policies if self.policies[name]["do"] == "substitute"}

    def places(self, name: str) -> set[tuple[int, str]]:
        """Every (layer, kind) that a policy reads or writes; of one that replaces layers, what its condition reads."""
        policy = self.policies[name]
        features = [feature for key in ("on", "to") if key in policy for feature in self.features(name, key)]
        found = {self.read_at(feature) for feature in features + self.conditions(policy.get("when"))}
        found |= {at for feature in features for at in self.written_at(feature)} | set(self.values(name))
        if policy["do"] == "add":
            found |= {(layer, feature.site) for feature in features for layer in self.written_layers(name, feature)}
        if policy["do"] == "project_out":
            found |= {at for feature in features for at in self.projected_at(name, feature)}
        return found

    def sites(self) -> set[tuple[int, str]]:
        """Every (layer, kind) that any policy reads or writes."""
        found = set().union(*(self.places(name) for name in self.policies))
        for replacement in self.replacements(self.policies).values():
            found |= {replacement.source, replacement.at}
        return found


@dataclass
class Scope:
    """Which tokens [S] of a row a policy's `tokens` names, and which share of an edit each of them gets."""

    inside: torch.Tensor
    share: torch.Tensor  # f64


def scope_of(tokens, ids: list[int], prompt_length: int, token=int) -> Scope:
    """`ids` are those of a row from its beginning; `token` gives the id of a marker. A row is read from left to
    right, as it would be by a person."""
    if tokens is None or isinstance(tokens, str):
        tokens = {"part": tokens or "all"}

    def some(value) -> set[int]:
        return {token(each) for each in (value if isinstance(value, list) else [value])}

    after, until = (some(tokens[key]) if key in tokens else None for key in ("after", "until"))
    opens, closes = map(some, tokens["between"]) if "between" in tokens else (None, None)
    part, length = tokens.get("part", "all"), prompt_length
    begins = {"all": 0, "prompt": 0, "generated": length, "last": length - 1, "sampled": length - 1}[part]
    ends = {"prompt": length - 1, "last": length - 1}.get(part, math.inf)
    begins = max(begins, tokens.get("from", 0), tokens.get("skip_first", 0), min(tokens.get("positions", [0])))
    ends = min(ends, tokens.get("to", math.inf))

    inside, share = [], []
    passed = opened = None  # the position of the first marker of `after`; of what opened the span that goes on
    stopped = False
    for position, each in enumerate(ids):
        holds = begins <= position <= ends and position in tokens.get("positions", [position])
        since = begins
        if until is not None:
            stopped = stopped or each in until
            holds = holds and not stopped
        if after is not None:
            holds = holds and passed is not None
            since = since if passed is None else max(since, passed + 1)
        if opens is not None:
            holds = holds and opened is not None and each not in opens | closes
            since = since if opened is None else max(since, opened + 1)
        count = position - since if holds else 0
        whole = min(1.0, (count + 1) / tokens["ramp"]["over"]) if "ramp" in tokens else 1.0
        if "decay" in tokens:
            whole *= 0.5 ** (count / _number(tokens["decay"]["half"]))
        inside.append(holds)
        share.append(whole)
        if after is not None and passed is None and each in after:
            passed = position
        if opens is not None and each in opens:
            opened = position
        elif closes is not None and each in closes:
            opened = None
    return Scope(torch.tensor(inside, dtype=torch.bool), torch.tensor(share, dtype=torch.float64))


@dataclass
class Result:
    logits: torch.Tensor  # [S, V]
    # [S] each; in place of a feature a gate stands as "gate:NAME", a number of a site as "13/res[5]"
    records: dict[tuple[str, Feature | str], torch.Tensor] = field(default_factory=dict)
    edited: dict[tuple[str, tuple[int, str]], torch.Tensor] = field(default_factory=dict)  # [S] each, by policy and site
    doubtful: int = 0  # logits and records of tokens from here on may not be compared


class _Row:
    """One row under one plan: what the hooks do. x is [S, d] in f64 throughout."""

    def __init__(self, spec: Spec, plan: str | None, knobs: dict[str, float], prompt_length: int, ids: list[int]):
        self.spec, self.knobs = spec, {**spec.knobs, **knobs}
        self.policies = {name: spec.policies[name] for name in (spec.plans[plan] if plan is not None else [])}
        scopes = {name: scope_of(policy.get("tokens"), ids, prompt_length, spec.token)
                  for name, policy in self.policies.items()}
        self.scope = {name: scope.inside for name, scope in scopes.items()}
        self.share = {name: scope.share for name, scope in scopes.items()}
        self.seen: dict[tuple[int, str], torch.Tensor] = {}  # values before any edit at their site
        self.left: dict[tuple[int, str], torch.Tensor] = {}  # and after all of them
        self.edited: dict[tuple[str, tuple[int, str]], torch.Tensor] = {}
        self.records: dict[tuple[str, Feature], torch.Tensor] = {}
        self.doubt = torch.zeros(len(ids), dtype=torch.bool)
        self.replacements = spec.replacements(self.policies)

    def __call__(self, layer: int, kind: str, value: torch.Tensor) -> torch.Tensor:
        x = self._replaced(layer, kind, value[0].to(torch.float64))
        assert x.isfinite().all()
        self.seen[layer, kind] = x
        return self._edited(layer, kind, x).to(value.dtype).unsqueeze(0)

    def _replaced(self, layer: int, kind: str, x: torch.Tensor) -> torch.Tensor:
        """The value of a site, before any edit there: what takes a layer's place is made of the stream before it, after
        all edits there."""
        for name, replacement in self.replacements.items():
            if replacement.at == (layer, kind):
                gate = self._gate(name)
                new, uncertain = replacement(self.left[replacement.source])
                self.doubt |= gate & uncertain
                x = torch.where(gate.unsqueeze(1), new, x)
                self._edits(name, layer, kind, gate)
        return x

    def _read(self, feature: Feature, where: torch.Tensor, after: bool = False) -> torch.Tensor:
        """A feature's activation [S]; it matters at the tokens `where`."""
        dictionary, x = self.spec.of(feature), (self.left if after else self.seen)[self.spec.read_at(feature)]
        self.doubt |= where & dictionary.jumps(x)[:, feature.index]
        return dictionary.encode(x)[:, feature.index]

    def _compare(self, condition, where) -> torch.Tensor:
        for key, combine in (("any", torch.logical_or), ("all", torch.logical_and)):
            if key in condition:
                return functools.reduce(combine, [self._compare(each, where) for each in condition[key]])
        if "graph" in condition:
            combine = torch.logical_and if condition.get("nodes") == "all" else torch.logical_or
            return functools.reduce(combine, [self._holds(feature, condition, where)
                                              for feature in self.spec.nodes(condition)])
        return self._holds(self.spec.parse(condition["feature"]), condition, where)

    def _holds(self, feature: Feature, condition, where) -> torch.Tensor:
        def holds(f):
            f = f[:, feature.index]
            above = f > _number(condition["above"]) if "above" in condition else True
            below = f < _number(condition["below"]) if "below" in condition else True
            return torch.as_tensor(above) & torch.as_tensor(below)

        low, decision, high = map(holds, self.spec.of(feature).around(self.seen[self.spec.read_at(feature)]))
        self.doubt |= where & ((low != decision) | (high != decision))
        return decision

    def _gate(self, name: str) -> torch.Tensor:
        """The tokens at which a policy acts, [S]."""
        scope, condition = self.scope[name], self.policies[name].get("when")
        return scope & self._compare(condition, scope) if condition else scope

    def _times(self, name: str) -> float:
        policy = self.policies[name]
        strength = policy.get("strength")
        knob = policy.get("times") or (strength.get("times") if isinstance(strength, dict) else None)
        return self.knobs[knob] if knob else 1.0

    def _new_value(self, name: str, f: torch.Tensor) -> torch.Tensor:
        policy, times = self.policies[name], self._times(name)
        if policy["do"] == "set":
            return torch.full_like(f, _number(policy["value"]) * times)
        if policy["do"] == "scale":
            return f * _number(policy["factor"]) * times
        if policy["do"] == "clamp":
            return f.clamp(_number(policy.get("min", "-inf")), _number(policy.get("max", "inf")))
        assert policy["do"] == "ablate"
        return torch.zeros_like(f)

    def _edits(self, name: str, layer: int, kind: str, where: torch.Tensor):
        """A policy changes something at a site, at the tokens `where`."""
        at = name, (layer, kind)
        self.edited[at] = self.edited.get(at, torch.zeros_like(where)) | where

    def _absolute(self, layer: int, kind: str) -> list[tuple[Feature, torch.Tensor]]:
        """What features at this site become: (feature, v [S]), NaN where a feature stays what it is."""
        changes = []
        for name, policy in self.policies.items():
            if policy["do"] not in ("set", "scale", "clamp", "ablate", "transfer"):
                continue
            on = self.spec.features(name, "on")
            to = self.spec.features(name, "to") if policy["do"] == "transfer" else []
            if not any((layer, kind) in self.spec.written_at(feature) for feature in on + to):
                continue
            gate = self._gate(name)
            for index, feature in enumerate(on):
                if (layer, kind) in self.spec.written_at(feature):
                    f, where = self._read(feature, gate), gate
                    if policy.get("only_active"):
                        active, uncertain = self.spec.of(feature).active(self.seen[self.spec.read_at(feature)])
                        if policy["do"] in ("set", "clamp"):  # others tend to no change as f tends to 0
                            self.doubt |= gate & uncertain[:, feature.index]
                        where = gate & active[:, feature.index]
                    new = torch.zeros_like(f) if policy["do"] == "transfer" else self._new_value(name, f)
                    new = torch.where(self.share[name] == 1, new, f + self.share[name] * (new - f))
                    changes.append((feature, new.where(where, torch.nan)))
                    self._edits(name, layer, kind, where & (new != f))
                if to and (layer, kind) in self.spec.written_at(to[index]):
                    total = self._read(to[index], gate) + self.share[name] * self._read(feature, gate)
                    changes.append((to[index], total.where(gate, torch.nan)))
                    self._edits(name, layer, kind, gate & (self._read(feature, gate) != 0))
        assert len({feature for feature, _ in changes}) == len(changes), "two absolute writes on one feature"
        return changes

    def _edited(self, layer: int, kind: str, x: torch.Tensor) -> torch.Tensor:
        new = x.clone()
        # Absolute writes: replace the part of x that a dictionary explains.
        changes = self._absolute(layer, kind)
        for name, own in {(feature.dictionary, feature.layer) for feature, _ in changes}:
            dictionary = self.spec.dictionary(name, own, kind)
            f = dictionary.encode(self.seen[dictionary.reads or (layer, kind)])
            v = f.clone()
            for feature, value in changes:
                if (feature.dictionary, feature.layer) == (name, own):
                    v[:, feature.index] = torch.where(value.isnan(), v[:, feature.index], value)
            new += dictionary.decode(v, x, layer) - dictionary.decode(f, x, layer)
        # Additions.
        for name, policy in self.policies.items():
            if policy["do"] != "add":
                continue
            for feature in self.spec.features(name, "on"):
                if feature.site != kind or layer not in self.spec.written_layers(name, feature):
                    continue
                row = self.spec.of(feature).rows_at(layer)[feature.index]
                if policy.get("normalize"):
                    row = row / row.norm()
                at = feature.layer if self.spec.of(feature).further else layer
                strength = (self.spec.strength(name, at, kind) * self.spec.weight(name, feature) * self._times(name)
                            * self.share[name])
                new += torch.where(self._gate(name).unsqueeze(1), strength.unsqueeze(1) * row, 0.0)
                self._edits(name, layer, kind, self._gate(name) & (strength.float() != 0))
        # Projections, in the order written.
        for name, policy in self.policies.items():
            if policy["do"] != "project_out":
                continue
            here = [feature for feature in self.spec.features(name, "on")
                    if (layer, kind) in self.spec.projected_at(name, feature)]
            if not here:
                continue
            everywhere = policy.get("layers") == "all"
            rows = torch.stack([self.spec.of(feature).rows_at(feature.layer if everywhere else layer)[feature.index]
                                for feature in here])
            _, spread, basis = torch.linalg.svd(torch.nn.functional.normalize(rows, dim=1), full_matrices=False)
            basis = basis[spread > 1e-5]
            new = torch.where(self._gate(name).unsqueeze(1), new - new @ basis.T @ basis, new)
            self._edits(name, layer, kind, self._gate(name))
        # Norms.
        for name, policy in self.policies.items():
            if policy.get("norm") == "preserve" and (layer, kind) in self._written(name):
                length = new.norm(dim=1, keepdim=True)
                kept = new * x.norm(dim=1, keepdim=True) / torch.where(length > 0, length, 1.0)
                new = torch.where(self._gate(name).unsqueeze(1), kept, new)
        self.left[layer, kind] = new
        self._record(layer, kind)
        return new

    def _written(self, name: str) -> set[tuple[int, str]]:
        policy, on = self.policies[name], self.spec.features(name, "on")
        if policy["do"] == "add":
            return {(layer, feature.site) for feature in on for layer in self.spec.written_layers(name, feature)}
        if policy["do"] == "project_out":
            return {at for feature in on for at in self.spec.projected_at(name, feature)}
        changed = on + (self.spec.features(name, "to") if "to" in policy else [])
        return {at for feature in changed for at in self.spec.written_at(feature)}

    def _record(self, layer: int, kind: str):
        for name, policy in self.policies.items():
            if policy["do"] == "record" and "on" in policy:
                for feature in self.spec.features(name, "on"):
                    if feature.at == (layer, kind):
                        gate = self._gate(name)
                        read = self._read(feature, gate, policy.get("after", False))
                        self.records[name, feature] = read.where(gate, 0.0)

    def record_values(self):
        """All numbers of sites. All sites have been seen."""
        for name, policy in self.policies.items():
            for layer, kind in self.spec.values(name):
                x = (self.left if policy.get("after") else self.seen)[layer, kind]
                kept = torch.where(self._gate(name).unsqueeze(1), x, 0.0)
                self.records |= {(name, f"{layer}/{kind}[{column}]"): kept[:, column] for column in range(x.shape[1])}

    def record_gates(self):
        """Where other policies of the plan act; of one that is not in it, nowhere. All sites have been seen."""
        for name, policy in self.policies.items():
            if of := policy.get("gate"):
                own = self._gate(name)
                acts = self._gate(of) if of in self.policies else torch.zeros_like(own)
                self.records[name, f"gate:{of}"] = (own & acts).double()


class Reference:
    """A Hugging Face model under a spec."""

    def __init__(self, path: Path, model, tokenizer=None):
        self.spec, self.model = Spec(path, model, tokenizer), model
        self._known: dict[str, Result] = {}

    def known(self, ids: list[int], plan: str | None, prompt_length: int | None = None,
              knobs: dict[str, float] | None = None) -> Result:
        """`run`, once for each row."""
        row = repr((ids, plan, prompt_length, knobs))
        if row not in self._known:
            self._known[row] = self.run(ids, plan, prompt_length, knobs)
        return self._known[row]

    @torch.no_grad()
    def run(self, ids, plan: str | None, prompt_length: int | None = None,
            knobs: dict[str, float] | None = None) -> Result:
        """One row: `ids` [S] without padding, under the plan called `plan` (None: unsteered)."""
        tokens = torch.as_tensor(ids).reshape(1, -1)
        length = tokens.shape[1]
        row = _Row(self.spec, plan, knobs or {}, length if prompt_length is None else prompt_length, tokens[0].tolist())
        wanted = self.spec.sites() if plan is not None else ()
        for policy in row.policies.values():  # now, without hooks that edit
            if isinstance(policy.get("strength"), dict) and "text" in policy["strength"]:
                self.spec.medians(policy["strength"]["text"])
        with hooked(self.model, self.model.config, wanted, row):
            logits = self.model(tokens, attention_mask=torch.ones_like(tokens), use_cache=False).logits[0].float()
        row.record_gates()
        row.record_values()
        doubtful = int(row.doubt.nonzero()[0]) if row.doubt.any() else length
        return Result(logits, row.records, row.edited, doubtful)
