# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Random specs with their dictionaries, and random batches to run them on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import families
import hooks
import numpy
import random_dictionaries
import torch
import yaml
from hypothesis import strategies as st

KINDS = ("head", "att", "mid", "mlp", "res")  # in the order in which a block computes them
ABSOLUTE = ("set", "scale", "clamp", "ablate", "transfer")
NUMBERS = (-2.0, -1.0, -0.5, 0.0, 0.25, 0.5, 1.0, 1.5, 3.0)


@dataclass(frozen=True)
class Shape:
    """What specs are drawn for: a model and, unless they are drawn as well, its dictionaries."""

    family: str
    kinds: tuple[str, ...]
    layers: int = 3
    collections: dict | None = None
    pools: dict | None = None  # (layer, kind) -> features to choose from; all of them unless given
    strength: float = 1.0  # what strengths and values are multiplied by
    rows: int = families.MAX_BATCH
    longest: int = 20
    texts: tuple[list[int], ...] = ()  # token ids to take prompts from; random ids unless given
    form: str | None = None  # which of random_dictionaries.FORMS is the second collection; drawn unless given

    @property
    def frequent(self) -> list[int]:
        """Tokens that most rows have; those of random rows are one in four of all."""
        if not self.texts:
            return [3, 4, 5, 6]
        return [token for token, _ in Counter(token for text in self.texts for token in text[: self.longest]).most_common(8)]


@dataclass(frozen=True)
class Batch:
    """Token ids, plan, prompt length and knobs of each row; rows may differ in length."""

    ids: list[list[int]]
    plans: list[str | None]
    prompt_lengths: list[int]
    knobs: list[dict[str, float]]

    def padded(self) -> torch.Tensor:
        """ids [b, S], -1 where a short row has ended."""
        longest = max(map(len, self.ids))
        return torch.tensor([row + [-1] * (longest - len(row)) for row in self.ids])


@dataclass(frozen=True)
class Case:
    """What hypothesis draws: everything but bytes, so that a failure shrinks to a small spec."""

    family: str
    seed: int  # of the dictionaries' numbers
    data: dict  # the spec
    batches: tuple[Batch, ...]

    def __repr__(self):
        return f"Case of {self.family}, seed {self.seed}:\n{text(self.data)}\n" + "\n".join(map(repr, self.batches))

    def write(self, folder: Path, sizes: dict[str, tuple[int, float]]) -> Path:
        """Writes spec and dictionaries. `sizes`: width and typical size of values by kind of site."""
        random = numpy.random.default_rng(self.seed)
        folder.mkdir(parents=True, exist_ok=True)
        for name, collection in self.data["dictionaries"].items():
            if Path(collection["path"]).is_absolute():
                continue
            first, last = (int(end) for end in collection["layers"].split(".."))
            form = random_dictionaries.FORMS.get(name)
            if form:
                width, size = sizes[form.size_of or collection.get("reads", form.site)]
                assert width == sizes[form.site][0]
                if form.together:
                    form.write(folder / collection["path"], random, width, size, range(first, last + 1))
                    continue
                for layer in range(first, last + 1):
                    form.write(folder / collection["path"].format(layer=layer), random, width, size, layer)
                continue
            for kind in KINDS:
                for layer in range(first, last + 1) if kind in collection["sites"] else ():
                    path = folder / collection["path"].format(site=kind, layer=layer)
                    random_dictionaries.WRITERS[collection["format"]](path, random, *sizes[kind])
        # Always the same: what was measured on it for a model is found again.
        ids = numpy.random.default_rng(0).integers(3, families.VOCABULARY, (3, 20))
        ids[1, 13:] = -1
        numpy.save(folder / "text.npy", ids)
        path = folder / "spec.yaml"
        path.write_text(text(self.data))
        path.write_text(text(with_paths(hooks.Spec(path, torch.nn.Identity()))))
        return path


class _Dumper(yaml.SafeDumper):
    """Without aliases, which specs do not have."""

    yaml_implicit_resolvers = hooks.Loader.yaml_implicit_resolvers

    def ignore_aliases(self, data):
        return True


def text(data) -> str:
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=120, default_flow_style=None)


def _tokens(draw, shape: Shape, shares: bool = False):
    """A scope of any kind; with `shares`, tokens may get a share of an edit."""
    if draw(st.booleans()):
        return draw(st.sampled_from(["all", "prompt", "generated", "last", "sampled"]))
    scope = {}
    if draw(st.integers(0, 2)) == 0:
        scope["part"] = draw(st.sampled_from(["all", "prompt", "generated", "last", "sampled"]))
    least = draw(st.integers(0, 4)) if draw(st.booleans()) else 0
    if least:
        scope["skip_first"] = least
    choice = draw(st.integers(0 if scope else 1, 3))
    if choice == 1:  # a set that nothing can be in is an error, so positions begin at `least`
        scope["positions"] = draw(st.lists(st.integers(least, 19), min_size=1, max_size=6, unique=True))
    elif choice == 2:
        scope["from"] = draw(st.integers(0, 12))
        if draw(st.booleans()):
            scope["to"] = max(scope["from"], least) + draw(st.integers(0, 8))
    elif choice == 3:
        scope["to"] = draw(st.integers(least, 19))
    if draw(st.booleans()):
        if draw(st.booleans()):  # what follows is seldom seen where few positions are left
            scope = {key: scope[key] for key in scope if key == "part"}
        scope |= _markers(draw, shape)
    if shares and draw(st.booleans()):
        if draw(st.booleans()):
            scope["ramp"] = {"over": draw(st.integers(1, 8))}
        if "ramp" not in scope or draw(st.booleans()):
            scope["decay"] = {"half": draw(st.sampled_from([0.5, 1, 3, 64]))}
    # At position 0 no token is generated, and none is behind a marker: that is an error as well.
    if scope.get("part") == "generated" or scope.keys() & {"after", "between"}:
        if "positions" in scope:
            scope["positions"] = list(dict.fromkeys(max(1, position) for position in scope["positions"]))
        if scope.get("to") == 0:
            scope["to"] = 1
    return scope


def _markers(draw, shape: Shape) -> dict:
    """Tokens that rows are likely to have, none of them for two things."""
    first, second, third, fourth = draw(st.permutations(shape.frequent))[:4]
    return draw(st.sampled_from([
        {"after": first}, {"after": [first, second]}, {"until": first}, {"until": [first, second]},
        {"between": [first, second]}, {"between": [[first, second], third]}, {"between": [first, [second, third]]},
        {"after": first, "until": second}, {"after": first, "between": [second, third]},
        {"after": first, "until": fourth, "between": [second, [first, third]]}]))


class _Drawing:
    """Draws one spec."""

    def __init__(self, draw, shape: Shape):
        self.draw, self.shape = draw, shape
        self.collections, self.counts = dict(shape.collections or {}), {}
        self.matches, self.graphs = {}, {}
        self.reached = {}  # graph -> (the earliest place that it may have, the latest), as `latest` of conditions
        self.knobs = {f"k{index}": {"default": draw(st.sampled_from(NUMBERS)), "range": [-4, 4]}
                      for index in range(draw(st.integers(0, 2)))}

    def one_in(self, n: int) -> bool:
        return self.draw(st.integers(0, n - 1)) == n - 1

    def collection(self, name: str, form: str):
        kinds = [kind for kind in KINDS if kind in self.shape.kinds and (form == "sae_lens" or kind == "res" or self.one_in(2))]
        first = self.draw(st.integers(0, self.shape.layers - 1))
        last = self.draw(st.integers(first, self.shape.layers - 1))
        suffix = ".npy" if form == "directions" else ""
        self.collections[name] = {"format": form, "path": f"{name}/{{site}}.{{layer}}{suffix}", "sites": kinds,
                                  "layers": f"{first}..{last}"}
        self.counts[name] = 6 if form == "directions" else random_dictionaries.FEATURES

    def form(self, name: str):
        """A collection of one of the formats that have one kind of site."""
        form = random_dictionaries.FORMS[name]
        first = self.draw(st.integers(0, self.shape.layers - 1))
        last = self.draw(st.integers(first, self.shape.layers - 1))
        self.collections[name] = {"format": form.format, "path": f"{name}/{form.path}", "sites": [form.site],
                                  "layers": f"{first}..{last}"}
        reads = [place for place in form.reads if place in (*self.shape.kinds, "mlp_in")]
        if reads:
            self.collections[name]["reads"] = self.draw(st.sampled_from(reads))
        self.counts[name] = form.features

    def draw_graphs(self):
        """Up to two walks backward from features of `sae`, each with an edge at least: the best cosine of so many
        features is positive; a path in one of them; and what is made of two."""
        collection = self.collections["sae"]
        first, last = (int(end) for end in collection["layers"].split(".."))
        modules = [kind for kind in collection["sites"] if kind in ("mlp", "att")]
        starts = list(range(first if modules else first + 1, last + 1))
        if "res" not in collection["sites"] or not starts:
            return
        self.matches["flow"] = {"dictionary": "sae", "method": "top_k", "k": self.draw(st.integers(1, 3)),
                                "sites": ["res", *modules]}
        for name in ("faith", "doubt")[: self.draw(st.integers(1, 2))]:
            layer = self.draw(st.sampled_from(starts))
            targets = self.draw(st.lists(self.index((layer, "res", "sae")), min_size=1, max_size=2, unique=True))
            self.graphs[name] = {"from": [f"sae:{layer}/res/{index}" for index in targets], "match": "flow",
                                 "width": self.draw(st.integers(1, self.matches["flow"]["k"]))}
            earliest = min((KINDS.index(kind) for kind in ("res", *modules)))
            self.reached[name] = (first, earliest), (layer, KINDS.index("res"))
        walks = list(self.graphs)
        if self.one_in(2):
            walk = self.draw(st.sampled_from(walks))
            self.graphs["way"] = {"path": {"in": walk, "number": self.draw(st.integers(0, 99))}, "match": "flow"}
            self.reached["way"] = self.reached[walk]
        if len(walks) == 2:
            self.graphs["both"] = {"union": ["doubt", self.draw(st.sampled_from(["faith", *self.graphs.keys() & {"way"}]))]}
            low, high = zip(*self.reached.values())
            self.reached["both"] = min(low), max(high)
            # None of these can be empty: each has a target of its first graph.
            self.graphs["common"] = {"intersection": ["both", "doubt"]}
            self.reached["common"] = self.reached["both"]
            later, earlier = sorted(("faith", "doubt"), key=lambda name: self.reached[name][1], reverse=True)
            if self.reached[later][1] > self.reached[earlier][1]:
                self.graphs["rest"] = {"difference": [later, earlier]}
                self.reached["rest"] = self.reached[later]

    def part(self) -> dict:
        """Some nodes of a graph, one at least."""
        part = {"graph": self.draw(st.sampled_from(sorted(self.graphs)))}
        which = self.draw(st.sampled_from([None, None, "roots", "leaves", "sites", "steps"]))
        if which in ("roots", "leaves"):
            part[which] = True
        elif which == "sites":
            part["sites"] = ["res"]
        elif which == "steps":
            part["steps"] = self.draw(st.integers(0, 2))
        return part

    def sites(self, name=None) -> list[tuple[int, str, str]]:
        """(layer, kind, collection), in the order of computation."""
        found = []
        for each, collection in self.collections.items():
            if name in (None, each):
                first, last = (int(end) for end in collection["layers"].split(".."))
                found += [(layer, kind, each) for layer in range(first, last + 1) for kind in collection["sites"]]
        return sorted(found, key=lambda at: (at[0], KINDS.index(at[1])))

    def index(self, at):
        """Of a feature at a site."""
        layer, kind, name = at
        return st.sampled_from(self.shape.pools[layer, kind]) if self.shape.pools else st.integers(0, self.counts[name] - 1)

    def is_single(self, at) -> bool:
        """Whether there is one feature at a site: it has no antagonists, and gives to no other one."""
        return self.counts.get(at[2], 2) == 1

    def can_be_read(self, at) -> bool:
        """Whether a site has all that decides about the features of a collection there."""
        form = random_dictionaries.FORMS.get(at[2])
        return form is None or not form.decodes_only

    def feature(self, at, index=None) -> str:
        layer, kind, name = at
        prefix = f"{name}:" if len(self.collections) > 1 or self.one_in(4) else ""
        return f"{prefix}{layer}/{kind}/{self.draw(self.index(at)) if index is None else index}"

    def several(self, most_sites=2) -> tuple[list, list]:
        """(a selection, the sites it is at)."""
        if self.graphs and self.one_in(2):
            part = self.part()
            layer, kind = self.reached[part["graph"]][0]
            selector = {"antagonists": part, "count": self.draw(st.integers(1, 2))} if self.one_in(4) else part
            return [selector], [(layer, KINDS[kind], "sae")]
        sites = self.draw(st.lists(st.sampled_from(self.sites()), min_size=1, max_size=most_sites, unique=True))
        selected = []
        for at in sites:
            indices = self.draw(st.lists(self.index(at), min_size=1, max_size=3, unique=True))
            selected += [self.feature(at, index) for index in indices]
        if not self.shape.pools and self.one_in(8):
            at = sites[0]
            full = self.feature(at, 0).rpartition("/")[0]
            selected = [each for each in selected if each.rpartition("/")[0] != full]
            selected.append({"site": full})
        elif not self.is_single(sites[0]) and self.one_in(8):
            selected = [{"antagonists": self.feature(sites[0]), "count": self.draw(st.integers(1, 3))}]
            sites = sites[:1]
        return selected, sites

    def condition(self, latest, depth=0):
        allowed = [at for at in self.sites() if (at[0], KINDS.index(at[1])) <= latest and self.can_be_read(at)]
        if not allowed:
            return None
        if depth < 2 and self.one_in(3):
            key = self.draw(st.sampled_from(["any", "all"]))
            return {key: [self.condition(latest, depth + 1) for _ in range(self.draw(st.integers(1, 3)))]}
        condition = {"feature": self.feature(self.draw(st.sampled_from(allowed)))}
        watched = [name for name in sorted(self.graphs) if self.reached[name][1] <= latest]
        if watched and self.one_in(3):
            condition = {"graph": self.draw(st.sampled_from(watched)), "nodes": self.draw(st.sampled_from(["any", "all"]))}
        which = self.draw(st.integers(0, 3))
        if which != 1:
            condition["above"] = self.draw(st.sampled_from([-0.5, 0.0, 0.25, 0.5]))
        if which in (1, 2):
            condition["below"] = self.draw(st.sampled_from([0.75, 1.0, 2.0]))
        return condition

    def number(self, policy: dict, key: str, numbers=NUMBERS, unit=1.0):
        policy[key] = self.draw(st.sampled_from(numbers)) * unit
        if self.knobs and self.one_in(3):
            policy["times"] = self.draw(st.sampled_from(sorted(self.knobs)))

    def strength(self, policy: dict):
        self.number(policy, "strength", [number for number in NUMBERS if number], self.shape.strength)
        schedule = self.draw(st.sampled_from([None, None, "constant", "linear", "exponential", "gaussian"]))
        if schedule is None:
            return
        policy["strength"] = strength = {"value": policy["strength"], "schedule": schedule}
        if self.one_in(3):
            # Of values that are as large as the norms, so that nothing drowns.
            strength |= {"dose": self.draw(st.sampled_from([-0.5, 0.25, 0.75])), "text": "text.npy"}
            del strength["value"]
        if "times" in policy and self.one_in(2):
            strength["times"] = policy.pop("times")
        if schedule == "linear" and ("dose" in strength or self.one_in(2)):
            strength["last"] = self.draw(st.sampled_from([0.25, -0.75] if "dose" in strength else NUMBERS))
        if schedule == "exponential" and self.one_in(2):
            strength["rate"] = self.draw(st.sampled_from([-1.0, -0.1, 0.5]))
        if schedule == "gaussian":
            strength |= {"center": self.draw(st.sampled_from([0, 1, 1.5, 4, 12])),
                         "width": self.draw(st.sampled_from([0.5, 1, 2.5]))}

    def policy(self) -> dict:
        action = self.draw(st.sampled_from(["add", "add", *ABSOLUTE, "project_out", "record"]))
        selected, sites = self.several(1 if action == "transfer" else 2)
        if action == "transfer" and self.is_single(sites[0]):
            action = "ablate"
        if not all(map(self.can_be_read, sites)):
            action = self.draw(st.sampled_from(["add", "project_out"]))
        policy = {"on": selected, "do": action}
        changed = [(layer, KINDS.index(kind)) for layer, kind, _ in sites]
        if action == "transfer":
            # From one site to the same or a later one, as many features there.
            count = self.draw(st.integers(1, 3))
            later = [at for at in self.sites() if (at[0], KINDS.index(at[1])) >= changed[0]
                     and not self.is_single(at) and self.can_be_read(at)]
            target = self.draw(st.sampled_from(later))
            sources = self.draw(st.lists(self.index(sites[0]), min_size=count, max_size=count, unique=True))
            targets = self.draw(st.lists(self.index(target).filter(lambda index: index not in sources),
                                         min_size=count, max_size=count, unique=True))
            policy["on"] = [self.feature(sites[0], index) for index in sources]
            policy["to"] = [self.feature(target, index) for index in targets]
            changed.append((target[0], KINDS.index(target[1])))
        elif action == "add":
            self.strength(policy)
            # What is left of a graph may have nodes that no path joins with a target, which have no weight.
            if any(selector.get("graph", "rest") != "rest" for selector in selected if isinstance(selector, dict)) and self.one_in(2):
                if not isinstance(policy["strength"], dict):
                    policy["strength"] = {"value": policy["strength"]}
                policy["strength"]["weight"] = "similarity"
            if self.one_in(3):
                policy["normalize"] = True
            # A cross-layer transcoder says itself where it writes.
            across = any(name == "cross_layer" for _, _, name in sites)
            layers = None if across else self.draw(st.sampled_from([None, "own", "cumulative", "range"]))
            if layers == "range":
                first = self.draw(st.integers(0, self.shape.layers - 1))
                policy["layers"] = f"{first}..{self.draw(st.integers(first, self.shape.layers - 1))}"
                changed = [(first, kind) for _, kind in changed]
            elif layers:
                policy["layers"] = layers
                if layers == "cumulative":
                    changed = [(int(self.collections[name]["layers"].split("..")[0]), KINDS.index(kind))
                               for _, kind, name in sites]
        elif action == "set":
            self.number(policy, "value", unit=self.shape.strength)
        elif action == "scale":
            self.number(policy, "factor")
        elif action == "clamp":
            least = self.draw(st.sampled_from([None, -0.5, 0.25, 1.0]))
            if least is not None:
                policy["min"] = least
            if least is None or self.one_in(2):
                policy["max"] = self.draw(st.sampled_from([1.0, 1.5, 3.0]))
        if action in ("set", "scale", "clamp", "ablate") and self.one_in(3):
            policy["only_active"] = True
        if action != "record" and self.one_in(4):
            policy["norm"] = "preserve"
        if action == "record" and self.one_in(2):
            policy["after"] = self.draw(st.booleans())
        if self.one_in(2):
            policy["tokens"] = _tokens(self.draw, self.shape, action not in ("record", "project_out"))
        if self.one_in(3):
            condition = self.condition(min(changed))
            if condition:
                policy["when"] = condition
        return policy

    def gate(self, policies) -> dict:
        """A record of where another policy acts, within a scope of its own."""
        policy = {"do": "record", "gate": self.draw(st.sampled_from(sorted(policies)))}
        if self.one_in(3):
            policy["tokens"] = _tokens(self.draw, self.shape)
        return policy

    def value(self) -> dict:
        """A record of all numbers of a site or two, within a scope and under a condition of its own."""
        sites = self.draw(st.lists(st.sampled_from([f"{layer}/{kind}" for layer, kind, _ in self.sites()]), min_size=1,
                                   max_size=2, unique=True))
        policy = {"do": "record", "value": sites if len(sites) > 1 or self.one_in(2) else sites[0]}
        if self.one_in(2):
            policy["after"] = self.draw(st.booleans())
        if self.one_in(3):
            policy["tokens"] = _tokens(self.draw, self.shape)
        if self.one_in(3):
            condition = self.condition((self.shape.layers - 1, len(KINDS) - 1))
            if condition:
                policy["when"] = condition
        return policy

    def whole(self) -> dict:
        """A dictionary of the residual stream of every layer, and a permutation through it."""
        self.collections["whole"] = {"format": "gemma_scope", "path": "whole/{site}.{layer}", "sites": ["res"],
                                     "layers": f"0..{self.shape.layers - 1}"}
        self.counts["whole"] = random_dictionaries.FEATURES
        match = {"dictionary": "whole", "method": "permutation"}
        if self.one_in(2):
            match["similarity"] = self.draw(st.sampled_from(["mse", "cosine", "dot"]))
        if self.one_in(2):
            match["fold"] = self.draw(st.sampled_from(["threshold", "decoder_norm"]))
        return match

    def substitute(self, match: str) -> dict:
        """A policy that replaces one or several layers."""
        first = self.draw(st.integers(1, self.shape.layers - 1))
        last = self.draw(st.integers(first, self.shape.layers - 1))
        policy = {"do": "substitute", "layers": first if first == last else f"{first}..{last}"}
        form = self.draw(st.sampled_from(["permutation", "permutation", "quantile", "drop", "encode_decode_current",
                                          "encode_decode_previous"]))
        if form != "permutation" or self.one_in(2):
            policy["form"] = form
        if form in ("permutation", "quantile"):
            policy["match"] = match
        if form == "quantile":
            policy["quantile"] = self.draw(st.sampled_from([0.0, 0.5, 0.9, 1.0]))
        if form.startswith("encode_decode"):
            policy["dictionary"] = "whole"
        if self.one_in(3):
            policy["tokens"] = _tokens(self.draw, self.shape)
        if self.one_in(3):
            condition = self.condition((first - 1, KINDS.index("res")))
            if condition:
                policy["when"] = condition
        return policy

    def batch(self, plans) -> Batch:
        shape = self.shape
        lengths = self.draw(st.lists(st.integers(1, shape.longest), min_size=1, max_size=shape.rows))
        random = numpy.random.default_rng(self.draw(st.integers(0, 10**6)))
        if shape.texts:
            ids = [shape.texts[random.integers(len(shape.texts))][:length] for length in lengths]
        else:
            ids = [numpy.where(random.random(length) < 0.25, random.choice(shape.frequent, length),
                               random.integers(3, families.VOCABULARY, length)).tolist() for length in lengths]
        # One plan may be asked for by every row, by some, or by none.
        names = [self.draw(st.sampled_from([*plans, *plans, None])) for _ in lengths]
        knobs = [{name: self.draw(st.sampled_from(NUMBERS)) for name in self.knobs if self.one_in(2)} for _ in lengths]
        return Batch(ids, names, [self.draw(st.integers(1, len(row))) for row in ids], knobs)


@st.composite
def cases(draw, shape: Shape) -> Case:
    """A spec of 1 to 6 policies in 1 to 3 plans, and two batches."""
    drawing = _Drawing(draw, shape)
    if shape.collections is None:
        drawing.collection("sae", "sae_lens")
        if shape.form:
            drawing.form(shape.form)
        elif drawing.one_in(3):
            drawing.collection("other", draw(st.sampled_from(sorted(random_dictionaries.WRITERS))))
        else:
            drawing.form(draw(st.sampled_from(sorted(random_dictionaries.FORMS))))
        if not shape.form:  # its own features are what is asked for
            drawing.draw_graphs()
    matches = {}
    if shape.collections is None and drawing.one_in(3):
        matches["through"] = drawing.whole()
    policies = {f"p{index}": drawing.policy() for index in range(draw(st.integers(1, 6)))}
    if matches:
        policies["layers"] = drawing.substitute("through")
    if drawing.one_in(2):
        policies["value"] = drawing.value()
    if drawing.one_in(2):
        policies["gate"] = drawing.gate(policies)
    names = draw(st.lists(st.sampled_from(["one", "two", "three"]), min_size=1, max_size=3, unique=True))
    plans = {name: draw(st.lists(st.sampled_from(sorted(policies)), max_size=6, unique=True)) for name in names}
    plans[names[0]] = plans[names[0]] or sorted(policies)
    data = {"weir": 1, "model": {"program": f"{shape.family}.pt2"}, "dictionaries": drawing.collections}
    if drawing.graphs:
        data["graphs"] = drawing.graphs
        matches = {**drawing.matches, **matches}
    if matches:
        data["matches"] = matches
    if drawing.knobs:
        data["knobs"] = drawing.knobs
    data |= {"policies": policies, "plans": plans}
    batches = tuple(drawing.batch(list(plans)) for _ in range(2))
    return Case(shape.family, draw(st.integers(0, 10**6)), data, batches)


def with_paths(spec: hooks.Spec) -> dict:
    """The spec, its paths with two ends: a node of a walk and a target that it leads to. Which there are, only the numbers of
    the dictionaries say."""
    graphs = dict(spec.data.get("graphs", {}))
    for name, graph in graphs.items():
        if not isinstance(graph.get("path"), dict):
            continue
        drawn = graph["path"]
        walk = spec.graphs(drawn["in"]).graph(drawn["in"])
        ends = []
        for target in sorted(walk.targets):
            before, todo = set(), [target]
            while todo:
                later = todo.pop()
                todo += [earlier for earlier, other in walk.edges if other == later and earlier not in before]
                before |= set(todo)
            ends += [(node, target) for node in sorted(before)]
        two = [f"sae:{node}" for node in ends[drawn["number"] % len(ends)]]
        graphs[name] = {**graph, "path": two[:: 1 - 2 * (drawn["number"] % 2)]}
    return {**spec.data, **({"graphs": graphs} if graphs else {})}


def without_conflicts(spec: hooks.Spec) -> dict[str, list[str]]:
    """The plans of a spec, less the policies that would write a feature a second time, or that are inside of layers that
    another one replaces."""
    plans = {}
    for plan, names in spec.plans.items():
        written, places, plans[plan] = set(), set(), []
        for name in names:
            policy = spec.policies[name]
            features = set()
            if policy["do"] in ABSOLUTE:
                features = {*spec.features(name, "on"), *(spec.features(name, "to") if "to" in policy else [])}
            own = spec.places(name)
            replacements = [*spec.replacements(plans[plan]).values(), *spec.replacements([name]).values()]
            # What a policy that replaces layers reads comes before them.
            inside = any(replacement.covers(place) for replacement in replacements for place in own | places)
            overlap = len({layer for each in replacements for layer in range(each.first, each.last + 1)}) < sum(
                each.last - each.first + 1 for each in replacements)
            if not features & written and not inside and not overlap:
                written |= features
                places |= own
                plans[plan].append(name)
    return plans
