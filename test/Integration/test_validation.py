# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""weirc validate against hooks: each case of --cases is computed again, one by one, on the Hugging Face model."""

from __future__ import annotations

import csv
import functools
import json
import os
import re
import resource
import shlex
import subprocess

import dictionaries
import engines
import families
import graph_oracle
import hooks
import killed
import numpy
import pytest
import random_dictionaries
import scipy.optimize
import torch
import torch.nn.functional as functional
from models import Tally, apart

import weir

SITES = ("res", "mlp", "att")
ALL = ("top1", "random_of_5", "permutation", "top5", "exhaustive", "joint")
SPEC = """
weir: 1
model: {program: PROGRAM}
dictionaries:
  sae: {format: sae_lens, path: "{site}.{layer}", sites: [res, mlp, att], layers: 0..2}
matches:
  flow: {method: top_k, k: 1, similarity: cosine}
  paired: {method: permutation, sites: [res], similarity: cosine}
policies:
  unused: {on: {site: 0/res}, do: record}
"""


class Validated:
    """What `weirc validate` says and writes."""

    def __init__(self, spec, text, folder, *options, code: int = 0, environment=None):
        folder.mkdir(parents=True, exist_ok=True)
        command = [engines.TOOLS / "weirc", "validate", spec, "--text", text, "--cases", folder / "cases.csv", "--tokens",
                   folder / "tokens.npy", "--json", *options]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True,
                              env=os.environ | {"WEIR_CACHE": str(folder / "cache")} | (environment or {}))
        assert done.returncode == code, done.stdout + done.stderr
        self.said = json.loads(done.stdout) if done.stdout else {}
        self.text = done.stdout + done.stderr
        self.folder, self.code = folder, code
        self.tokens = numpy.load(folder / "tokens.npy") if code == 0 else None

    @functools.cached_property
    def cases(self) -> list[dict[str, str]]:
        if self.code:
            return []
        with open(self.folder / "cases.csv", newline="") as file:
            return list(csv.DictReader(file))

    def table(self) -> bytes:
        """All cases, as they are written."""
        return (self.folder / "cases.csv").read_bytes()

    def numbers(self):
        """What identifies cases, and their numbers [n, 4]."""
        keys = [tuple(case[name] for name in ("target", "document", "window", "position", "method", "predecessors", "group"))
                for case in self.cases]
        return keys, numpy.array([[float(case[name] or "nan") for name in ("before", "after", "loss", "loss_after")]
                                  for case in self.cases])


def parse(feature: str):
    layer, site, index = feature.split("/")
    return int(layer), site, int(index)


class Oracle:
    """Cases one by one: hooks take features away from one token of a window."""

    def __init__(self, model, folder):
        self.model = model
        self.loaded = {(layer, site): dictionaries.load("sae_lens", folder / f"{site}.{layer}", None)
                       for layer in range(3) for site in SITES}

    def run(self, window, position: int, removed, target):
        """The activations of the target's dictionary at the token, whether rounding could tell otherwise, and the
        losses [S - 1] of all next tokens."""
        layer, site, _ = target
        doubtful, seen = False, None
        taken = {}
        for feature in removed:
            taken.setdefault(feature[:2], []).append(feature[2])

        def edit(at_layer, kind, x):
            nonlocal doubtful, seen
            here = (at_layer, kind)
            token = x[:, position].double()
            f = self.loaded[here].encode(token)
            _, unsure = self.loaded[here].active(token)
            if here == (layer, site):
                seen = f[0]
                doubtful |= bool(unsure[0, target[2]])
            if here not in taken:
                return x
            doubtful |= bool(unsure[0, taken[here]].any())
            v = f.clone()
            v[:, taken[here]] = 0
            x = x.clone()
            decode = self.loaded[here].decode
            x[:, position] = (token - decode(f, token) + decode(v, token)).to(x.dtype)
            return x

        wanted = {(layer, site), *taken}
        with torch.no_grad(), hooks.hooked(self.model, self.model.config, sorted(wanted), edit):
            logits = self.model(window[None], use_cache=False).logits[0].double()
        return seen[target[2]].item(), doubtful, functional.cross_entropy(logits[:-1], window[1:], reduction="none")


def compare(oracle: Oracle, validated: Validated, loss_tokens: int) -> float:
    """Every number of every case. Returns the part that rounding let compare."""
    compared = 0
    known = {}
    for case in validated.cases:
        window = validated.tokens[int(case["window"])]
        window = torch.from_numpy(window[window >= 0])
        position, target = int(case["position"]), parse(case["target"])
        removed = [parse(feature) for feature in case["predecessors"].split("+")]
        key = (case["window"], position, target)
        if key not in known:
            known[key] = oracle.run(window, position, [], target)
        before, unsure, losses = known[key]
        after, still_unsure, changed = oracle.run(window, position, removed, target)
        if unsure or still_unsure:
            continue
        compared += 1
        scale = max(abs(before), abs(after), 1.0)
        assert abs(float(case["before"]) - before) < 2e-4 * scale, case
        assert abs(float(case["after"]) - after) < 2e-4 * scale, (case, after)
        if not loss_tokens:
            assert case["loss"] == case["loss_after"] == ""
            continue
        behind = slice(position, min(position + loss_tokens, len(window) - 1))
        assert abs(float(case["loss"]) - losses[behind].mean().item()) < 2e-4
        assert abs(float(case["loss_after"]) - changed[behind].mean().item()) < 2e-4
    return compared / len(validated.cases)


@pytest.fixture(scope="module")
def workplace(tiny, tmp_path_factory):
    """A function from a family to a folder with a spec, dictionaries of a tiny model, and tokens."""
    made = {}

    def make(family: str):
        if family in made:
            return made[family]
        folder = tmp_path_factory.mktemp(family)
        model = tiny(family)
        random = numpy.random.default_rng(len(family))
        architectures = iter(["standard", "jumprelu", "topk", "gated"] * 3)
        for layer in range(3):
            for kind in SITES:
                width, size = model.sizes[kind]
                random_dictionaries.write_sae(folder / f"{kind}.{layer}", random, width, size, architecture=next(architectures))
        (folder / "spec.yaml").write_text(SPEC.replace("PROGRAM", str(model.archive)))
        ids = random.integers(3, families.VOCABULARY, (8, 20))
        for row in range(1, 8):
            ids[row, random.integers(6, 20):] = -1
        numpy.save(folder / "ids.npy", ids)
        made[family] = model, folder, ids
        return made[family]

    return make


@pytest.mark.parametrize("family, loss_tokens", [("llama", 3), ("gemma2", 3), ("gpt-neox", 0), ("gpt2", 3), ("mistral", 0)])
def test_cases_are_those_of_hooks(workplace, tmp_path, family, loss_tokens):
    model, folder, ids = workplace(family)
    options = ["--sample", 5, "--occurrences", 2, "--context", 12, *(word for name in ALL for word in ("--method", name))]
    if loss_tokens:
        options += ["--loss", "--loss-tokens", loss_tokens]
    validated = Validated(folder / "spec.yaml", folder / "ids.npy", tmp_path, *options)
    methods = {case["method"] for case in validated.cases}
    assert methods == set(ALL)
    part = compare(Oracle(model.model, folder), validated, loss_tokens)
    assert part > 0.6, f"only {part:.0%} of {len(validated.cases)} cases were compared"

    # The windows are those of the text, none over two documents.
    pieces = [(document, row[row >= 0][at:at + 12]) for document, row in enumerate(ids) for at in range(0, (row >= 0).sum(), 12)]
    documents, pieces = zip(*((document, piece) for document, piece in pieces if len(piece) > 1))
    assert all(int(case["document"]) == documents[int(case["window"])] for case in validated.cases)
    assert validated.tokens.dtype == numpy.int64 and validated.tokens.shape == (len(pieces), 12)
    for got, want in zip(validated.tokens, pieces):
        numpy.testing.assert_array_equal(got, numpy.pad(want, (0, 12 - len(want)), constant_values=-1))


def activity(oracle: Oracle, window):
    """Activations [S, F] of every dictionary, without an edit, and whether rounding could tell otherwise."""
    found = {}

    def look(layer, kind, x):
        found[layer, kind] = (oracle.loaded[layer, kind].encode(x[0].double()),
                              oracle.loaded[layer, kind].active(x[0].double())[1])
        return x

    with torch.no_grad(), hooks.hooked(oracle.model, oracle.model.config, sorted(oracle.loaded), look):
        oracle.model(window[None], use_cache=False)
    return found


def test_predecessors_are_those_of_the_matches(workplace, tmp_path):
    """Which features are taken away, and the groups, from cosines and assignments in NumPy."""
    model, folder, _ = workplace("llama")
    options = ["--sample", 6, "--occurrences", 3, *(word for name in ALL for word in ("--method", name))]
    validated = Validated(folder / "spec.yaml", folder / "ids.npy", tmp_path, *options)
    oracle = Oracle(model.model, folder)
    rows = {place: functional.normalize(loaded.rows, dim=1).numpy() for place, loaded in oracle.loaded.items()}
    by_occurrence = {}
    for case in validated.cases:
        by_occurrence.setdefault((case["window"], case["position"], case["target"]), []).append(case)
    drawn = set()
    for (window, position, name), cases in by_occurrence.items():
        tokens = validated.tokens[int(window)]
        found = activity(oracle, torch.from_numpy(tokens[tokens >= 0]))
        layer, site, index = parse(name)
        assert site == "res"
        want = {method: set() for method in ALL}
        best, unsure, five = [], False, {}
        for place in ((layer - 1, "res"), (layer, "att"), (layer, "mlp")):
            if place not in rows:  # nothing is before layer 0
                continue
            values, doubt = (each[int(position)].numpy() for each in found[place])
            unsure |= bool(doubt.any())
            ranked = numpy.argsort(-(rows[place] @ rows[layer, site][index]), kind="stable")[:5]
            def write(features):
                return "+".join(f"{place[0]}/{place[1]}/{i}" for i in sorted(features))
            five[place[1]] = {write([i]) for i in ranked if values[i] > 0}
            if values[ranked[0]] > 0:
                best.append(write([ranked[0]]))
                want["top1"].add(best[-1])
            active = [i for i in ranked if values[i] > 0]
            if active:
                want["top5"].add(write(active))
            want["exhaustive"] |= {write([i]) for i in numpy.flatnonzero(values > 0)}
        if layer > 0:
            pair, other = scipy.optimize.linear_sum_assignment(rows[layer - 1, "res"] @ rows[layer, "res"].T, maximize=True)
            partner = pair[other == index][0]
            if found[layer - 1, "res"][0][int(position), partner] > 0:
                want["permutation"].add(f"{layer - 1}/res/{partner}")
        # In the order of the model: the stream before, attention, MLP.
        for subset in range(1 << len(best)):
            chosen = [one for i, one in enumerate(best) if subset >> i & 1]
            if len(chosen) > 1:
                want["joint"].add("+".join(chosen))
        if unsure:
            continue
        kinds = {one.split("/")[1] for one in best}
        group = "+".join(kind.upper() for kind in SITES if kind in kinds) or "nowhere"
        assert {case["group"] for case in cases} == {group}
        for method in ALL:
            got = {case["predecessors"] for case in cases if case["method"] == method}
            if method != "random_of_5":
                assert got == want[method], (name, window, position, method)
                continue
            drawn |= {(name, one) for one in got}
            for one in got:
                assert one in five[one.split("/")[1]]
    assert len(drawn) > 5


def with_graphs(folder, path, **changes):
    """The spec of a workplace with graphs, as a file, and what is in it."""
    data = hooks.read((folder / "spec.yaml").read_text())
    data["dictionaries"]["sae"]["path"] = str(folder / "{site}.{layer}")
    data["matches"]["wide"] = {"method": "top_k", "k": 3, "similarity": "cosine"}
    data["graphs"] = {
        "near": {"from": [f"2/res/{i}" for i in range(10)], "match": "wide", "width": 2, "keep": 0.02},
        "chain": {"from": "1/res/3", "match": "paired", "direction": "both", "keep": 0}}
    data["labels"] = {"1/res/3": "the third", "0/mlp/9": "somewhere else"} | {f"2/res/{i}": f"number {i}" for i in range(10)}
    data.update(changes)
    path.write_text(json.dumps(data))
    return data


def graphs_of(oracle: Oracle, data: dict) -> graph_oracle.Oracle:
    return graph_oracle.Oracle(data, data["dictionaries"]["sae"], lambda layer, site: oracle.loaded[layer, site].rows.numpy())


def check_graph_cases(oracle: Oracle, validated: Validated, edges: dict):
    """`edges` and `joint` take away what leads to a target in the graphs; groups are theirs. Returns how many cases of
    `edges` were looked at."""
    by_occurrence, looked = {}, 0
    for case in validated.cases:
        by_occurrence.setdefault((case["window"], case["position"], case["target"]), []).append(case)
    for (window, position, name), cases in by_occurrence.items():
        tokens = validated.tokens[int(window)]
        found = activity(oracle, torch.from_numpy(tokens[tokens >= 0]))
        leading = sorted(((similarity, source) for (source, to), similarity in edges.items() if str(to) == name), reverse=True)
        active, best, unsure = [], {}, False
        for _, source in leading:
            values, doubt = (each[int(position)].numpy() for each in found[source.place])
            unsure |= bool(doubt[source.index])
            best.setdefault(source.place, (source, values[source.index] > 0))
            if values[source.index] > 0:
                active.append(source)
        if unsure:
            continue
        # In the order of the model: the stream before, attention, MLP.
        best = [str(source) for source, fires in sorted(best.values(), key=lambda one: (
            one[0].layer, graph_oracle.ORDER[one[0].site])) if fires]
        joint = {"+".join(one for i, one in enumerate(best) if subset >> i & 1) for subset in range(1 << len(best))
                 if subset.bit_count() > 1}
        if len(active) > len(best) and len(active) > 1:
            order = sorted(active, key=lambda node: (node.layer, graph_oracle.ORDER[node.site], node.index))
            joint.add("+".join(map(str, order)))
        group = "+".join(kind.upper() for kind in SITES if any(f"/{kind}/" in one for one in best)) or "nowhere"
        assert {case["group"] for case in cases} == {group}
        assert {case["predecessors"] for case in cases if case["method"] == "edges"} == set(map(str, active))
        assert {case["predecessors"] for case in cases if case["method"] == "joint"} == joint
        looked += len(active)
    return looked


def test_features_of_graphs(workplace, tmp_path, monkeypatch):
    """Targets, edges, groups and every number, from graphs that are walked in NumPy and hooks one by one."""
    model, folder, _ = workplace("llama")
    spec = tmp_path / "spec.yaml"
    data = with_graphs(folder, spec)
    methods = [word for name in (*ALL, "edges") for word in ("--method", name)]
    validated = Validated(spec, folder / "ids.npy", tmp_path, "--match", "flow", "--match", "paired", "--occurrences", 3, *methods)
    oracle = Oracle(model.model, folder)
    assert compare(oracle, validated, 0) > 0.6
    walked = graphs_of(oracle, data)
    graphs = [walked.graph(name) for name in data["graphs"]]
    edges = {}
    for graph in graphs:
        for edge, similarity in graph.edges.items():
            edges[edge] = max(similarity, edges.get(edge, -1))
    assert check_graph_cases(oracle, validated, edges) > 30
    assert {case["method"] for case in validated.cases} == {*ALL, "edges"}
    # Features that the match leads to are targets even where the graph ends; those of MLPs and attention have nothing
    # before them.
    nodes = {node for graph in graphs for node in graph.nodes if node.site == "res"}
    assert set(validated.said["targets"]) == set(map(str, nodes)) and validated.said["graphs"] == list(data["graphs"])
    said = {(edge["from"], edge["to"]): edge for edge in validated.said["edges"]}
    assert {key for key, edge in said.items() if edge["in_graph"]} == {(str(a), str(b)) for a, b in edges}
    for (a, b), similarity in edges.items():
        edge = said[str(a), str(b)]
        assert abs(edge["similarity"] - similarity) < 1e-5
        assert (edge["effect"] is None) == (edge["cases"] == 0)
    assert any(not edge["in_graph"] for edge in said.values())

    # Without a match by top_k that is the only one, what graphs have is left, and the permutation.
    few = Validated(spec, folder / "ids.npy", tmp_path / "few", "--occurrences", 2, "--loss", "--loss-tokens", 3)
    assert {case["method"] for case in few.cases} == {"edges", "joint", "permutation"}
    assert compare(oracle, few, 3) > 0.6
    one = Validated(spec, folder / "ids.npy", tmp_path / "one", "--graph", "near", "--method", "edges")
    # Names are shown where the features are.
    for run in validated, one:
        named = set(run.said["targets"]) | {edge["from"] for edge in run.said["edges"]}
        assert run.said["labels"] == {name: label for name, label in data["labels"].items() if name in named}
    assert validated.said["labels"] and data["labels"].keys() - one.said["labels"].keys()
    done = subprocess.run(list(map(str, [engines.TOOLS / "weirc", "validate", spec, "--text", folder / "ids.npy", "--graph", "near",
                                         "--method", "edges"])), capture_output=True, text=True,
                          env=os.environ | {"WEIR_CACHE": str(tmp_path / "one" / "cache")})
    for target in {case["target"] for case in one.cases} & data["labels"].keys():
        count = sum(case["target"] == target for case in one.cases)
        name = re.escape(f"{target} ({data['labels'][target]})")
        assert re.search(rf"^{name} +\d+ +{count} ", done.stdout, re.M), done.stdout
    # What it says shows the effects: those that were measured on this text, of graphs that name no text.
    command = done.stdout.split("show them with\n")[1].splitlines()[0].split()
    assert command == ["weirc", "graph", str(spec), "--text", str(folder / "ids.npy")]
    monkeypatch.setenv("WEIR_CACHE", str(tmp_path / "one" / "cache"))
    listed = subprocess.run([engines.TOOLS / "weirc", *command[1:], "near"], capture_output=True, text=True, check=True).stdout
    shown = weir.graph(spec, "near", text=folder / "ids.npy")["near"]
    measured = {(edge["from"], edge["to"]): edge["effect"] for edge in one.said["edges"]}
    assert len(shown.sources) == len(measured) and not numpy.isnan(shown.effects).all()
    for a, b, effect in zip(shown.sources, shown.ends, shown.effects):
        want = measured[shown.features[a], shown.features[b]]
        assert numpy.isnan(effect) if want is None else effect == want
    assert listed.count("  effect ") == numpy.isfinite(shown.effects[:40]).sum() > 0
    numpy.save(tmp_path / "other.npy", numpy.load(folder / "ids.npy")[:4])
    for text in None, tmp_path / "other.npy":
        assert numpy.isnan(weir.graph(spec, "near", text=text)["near"].effects).all()
    with pytest.raises(weir.CompileError, match="none.npy"):
        weir.graph(spec, "near", text=tmp_path / "none.npy")
    near = walked.graph("near")
    assert set(one.said["targets"]) == {str(to) for _, to in near.edges}
    assert {case["predecessors"] for case in one.cases} <= {str(source) for source, _ in near.edges}


def test_graphs_that_ask_for_effects_get_them(workplace, tmp_path, monkeypatch):
    """`keep: {effect: e}` asks for scores of edges that only its own candidates name."""
    _, folder, _ = workplace("llama")
    spec = tmp_path / "spec.yaml"
    monkeypatch.setenv("WEIR_CACHE", str(tmp_path / "cache"))
    near = {"from": [f"2/res/{i}" for i in range(10)], "match": "flow", "text": str(folder / "ids.npy")}
    with_graphs(folder, spec, graphs={"causal": near | {"keep": {"similarity": 0, "effect": 0.02}}})
    with pytest.raises(weir.CompileError, match="measure it with: weirc validate .* --graph causal --method edges"):
        weir.graph(spec)
    result = weir.validate(spec, folder / "ids.npy", match="flow")
    assert result.report["graphs"] == ["causal"] and result.edges.in_graph.any()
    effects = {(a, b): effect for a, b, effect, held in zip(
        result.edges.source, result.edges.target, result.edges.effect, result.edges.in_graph) if held}
    assert numpy.isnan(list(effects.values())).any(), "an edge without a case is told of, too"
    graph = weir.graph(spec)["causal"]
    kept = {(graph.features[a], graph.features[b]): effect for a, b, effect in zip(graph.sources, graph.ends, graph.effects)}
    assert kept and all(effects[edge] == effect >= 0.02 for edge, effect in kept.items())
    # What leads to the target itself is there if it reaches that.
    assert {edge for edge, effect in effects.items() if edge[1] in near["from"] and effect >= 0.02} == {
        edge for edge in kept if edge[1] in near["from"]}


def test_graphs_of_several_dictionaries(workplace, tmp_path):
    """Their features are called as a spec writes them."""
    model, folder, _ = workplace("llama")
    spec = tmp_path / "spec.yaml"
    data = with_graphs(folder, spec)
    data["dictionaries"]["other"] = data["dictionaries"]["sae"] | {"path": str(folder / "{site}.{layer}")}
    data["matches"] = {name: {"dictionary": name, "method": "top_k", "k": 1} for name in ("sae", "other")}
    data["graphs"] = {name: {"from": f"{name}:2/res/{index}", "match": name, "keep": 0}
                      for name, index in (("sae", 1), ("other", 4))}
    data["policies"]["unused"]["on"] = {"site": "sae:0/res"}
    data["labels"] = {"sae:2/res/1": "one"}
    spec.write_text(json.dumps(data))
    validated = Validated(spec, folder / "ids.npy", tmp_path, "--method", "edges", "--method", "joint")
    assert validated.said["labels"] == data["labels"]
    assert {"sae:2/res/1", "other:2/res/4"} <= set(validated.said["targets"])
    for case in validated.cases:
        features = [case["target"], *case["predecessors"].split("+")]
        assert len({feature.split(":")[0] for feature in features}) == 1
        case["target"], case["predecessors"] = features[0].split(":")[1], "+".join(one.split(":")[1] for one in features[1:])
    assert compare(Oracle(model.model, folder), validated, 0) > 0.6

def test_tables_are_made_of_the_cases(workplace, tmp_path):
    model, folder, _ = workplace("llama")
    validated = Validated(folder / "spec.yaml", folder / "ids.npy", tmp_path, "--sample", 8, "--occurrences", 3, "--loss")
    said = validated.said
    occurrences = {(case["window"], case["position"], case["target"]) for case in validated.cases}
    assert said["occurrences"] >= len(occurrences) and said["cases"] == len(validated.cases)
    assert sum(group["occurrences"] for group in said["groups"]) == said["occurrences"]
    for row in said["table"]:
        cases = [case for case in validated.cases if case["method"] == row["method"] and row["group"] in (None, case["group"])]
        after, before = (numpy.array([float(case[name]) for case in cases]) for name in ("after", "before"))
        assert row["cases"] == len(cases) and row["successes"] == (after <= 0).sum()
        if not cases:
            assert row["within_pairs"]["value"] is None
            continue
        n, p, z = len(cases), (after <= 0).mean(), 1.959963984540054
        centre, half = p + z * z / (2 * n), z * numpy.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        wilson = numpy.array([centre - half, centre + half]) / (1 + z * z / n)
        numpy.testing.assert_allclose([row["within_pairs"][key] for key in ("value", "low", "high")], [p, *wilson], atol=1e-9)
        change = 1 - after / before
        assert abs(row["activation_change"]["value"] - change.mean()) < 1e-6
        if n > 1:
            assert abs(row["activation_change"]["high"] - change.mean() - z * change.std(ddof=1) / n**0.5) < 1e-6
        loss, behind = (numpy.array([float(case[name]) for case in cases]) for name in ("loss", "loss_after"))
        assert abs(row["loss_change"]["value"] - ((behind - loss) / loss).mean()) < 1e-9
        out = {(case["window"], case["position"], case["target"]) for case in cases if float(case["after"]) <= 0}
        total = said["occurrences"] if row["group"] is None else next(
            group["occurrences"] for group in said["groups"] if group["group"] == row["group"])
        assert row["over_targets"]["n"] == total and abs(row["over_targets"]["value"] - len(out) / total) < 1e-9
    for edge in said["edges"]:
        at = {(case["window"], case["position"]): 1 - float(case["after"]) / float(case["before"]) for case in validated.cases
              if case["target"] == edge["to"] and case["predecessors"] == edge["from"]}
        assert edge["cases"] == len(at) and abs(edge["effect"] - numpy.mean(list(at.values()))) < 1e-6


def test_nothing_depends_on_batches_and_threads(workplace, tmp_path):
    _, folder, _ = workplace("gemma2")
    options = ["--sample", 8, "--occurrences", 2, "--loss"]
    one = Validated(folder / "spec.yaml", folder / "ids.npy", tmp_path / "one", *options)
    other = Validated(folder / "spec.yaml", folder / "ids.npy", tmp_path / "other", *options, "--rows", 3, "--threads", 2,
                      environment={"OMP_NUM_THREADS": "2"})
    keys, numbers = one.numbers()
    other_keys, other_numbers = other.numbers()
    assert keys == other_keys
    numpy.testing.assert_allclose(numbers, other_numbers, rtol=2e-5, atol=2e-5)
    # Another seed is another choice.
    assert Validated(folder / "spec.yaml", folder / "ids.npy", tmp_path / "seed", *options, "--seed", 1).numbers()[0] != keys


def test_a_run_that_was_killed_goes_on(workplace, tmp_path):
    _, folder, ids = workplace("llama")
    long = numpy.concatenate([ids] * 40)
    numpy.save(tmp_path / "long.npy", long)
    options = ["--sample", 24, "--occurrences", 1000, "--method", "exhaustive", "--rows", 2]
    whole = Validated(folder / "spec.yaml", tmp_path / "long.npy", tmp_path / "whole", *options)
    whole_table = whole.table()
    assert whole_table.count(b"\n") > 10_000 and whole.said["windows_resumed"] == 0

    cache = tmp_path / "killed" / "cache"
    command = [engines.TOOLS / "weirc", "validate", folder / "spec.yaml", "--text", tmp_path / "long.npy", *options, "--cache", cache]
    log, = killed.kill(command, cache, "validation", lambda changes: bool(changes) and changes[0] > 3)
    # As if the disk had taken half of what was written last.
    os.truncate(log, log.stat().st_size - 7)
    resumed = Validated(folder / "spec.yaml", tmp_path / "long.npy", tmp_path / "killed", *options)
    assert 0 < resumed.said["windows_resumed"] < resumed.said["windows"]
    assert resumed.table() == whole_table
    # What is finished is not done again.
    again = Validated(folder / "spec.yaml", tmp_path / "long.npy", tmp_path / "killed", *options)
    assert again.said["windows_resumed"] == again.said["windows_read"]
    assert again.table() == whole_table


def test_wrong_input(workplace, tmp_path):
    _, folder, _ = workplace("llama")
    spec, text = folder / "spec.yaml", folder / "ids.npy"

    def refused(*options, text=text, spec=spec, code=2, **more):
        return Validated(spec, text, tmp_path, *options, code=code, **more).text

    numpy.save(tmp_path / "one.npy", numpy.array([5]))
    assert "there is no token that counts" in refused("--sample", 3, text=tmp_path / "one.npy")
    numpy.save(tmp_path / "two.npy", numpy.array([5, 6]))
    assert "none of the 9 targets fires at a token that counts" in refused("--sample", 3, "--loss", text=tmp_path / "two.npy")
    assert "no section 'graphs'" in refused() and "Give --sample" in refused()
    assert "is of the features of graphs" in refused("--sample", 3, "--method", "edges")
    with_graphs(folder, tmp_path / "graphs.yaml")
    assert "there is no graph 'nea'; did you mean 'near'?" in refused("--graph", "nea", spec=tmp_path / "graphs.yaml")
    for more in [], ["--sample", 3]:
        with_graphs(folder, tmp_path / "named.yaml", labels={"2/res/999": "nothing"})
        assert "feature 2/res/999 is out of range" in refused(*more, spec=tmp_path / "named.yaml")
    assert "or several: say which with --match" in refused("--method", "top1", spec=tmp_path / "graphs.yaml")
    assert "excludes" in refused("--graph", "near", "--sample", 3, spec=tmp_path / "graphs.yaml", code=1)
    assert "has no match 'flown'" in refused("--sample", 3, "--match", "flown")
    assert "needs a match by permutation" in refused("--sample", 3, "--match", "flow", "--method", "permutation")
    assert "there is no method 'top3', only top1" in refused("--sample", 3, "--method", "top3", code=1)
    data = hooks.read(spec.read_text())
    data["matches"] = {"one": {"method": "top_k", "k": 1}, "two": {"method": "top_k", "k": 2}}
    data["dictionaries"]["sae"]["path"] = str(folder / "{site}.{layer}")
    (tmp_path / "two.yaml").write_text(json.dumps(data))
    assert "say which one is meant with --match" in refused("--sample", 3, spec=tmp_path / "two.yaml")
    del data["matches"]
    (tmp_path / "none.yaml").write_text(json.dumps(data))
    assert "no match to validate" in refused("--sample", 3, spec=tmp_path / "none.yaml")


def test_python_has_the_same_as_arrays(workplace, tmp_path, monkeypatch):
    _, folder, _ = workplace("llama")
    validated = Validated(folder / "spec.yaml", folder / "ids.npy", tmp_path, "--sample", 6, "--occurrences", 2, "--loss", "--method",
                          "top1", "--method", "joint")
    monkeypatch.setenv("WEIR_CACHE", str(tmp_path / "cache"))
    result = weir.validate(folder / "spec.yaml", folder / "ids.npy", sample=6, occurrences=2, loss=True, method=["top1", "joint"])
    assert result.report["windows_resumed"] == validated.said["windows_read"]
    numpy.testing.assert_array_equal(result.tokens, validated.tokens)
    assert len(result.cases) == len(validated.cases)
    for name in ("target", "method", "predecessors", "group"):
        assert getattr(result.cases, name).tolist() == [case[name] for case in validated.cases]
    for name in ("document", "window", "position", "before", "after", "loss", "loss_after"):
        want = numpy.array([float(case[name]) for case in validated.cases])
        numpy.testing.assert_allclose(getattr(result.cases, name), want, rtol=1e-6)
    rows = validated.said["table"]
    assert result.table.group.tolist() == [row["group"] or "all" for row in rows]
    assert result.table.within_pairs.shape == result.table.loss_change.shape == (len(rows), 3)
    assert result.table.cases.tolist() == [row["cases"] for row in rows]
    assert result.labels == validated.said["labels"]
    assert result.edges.effect.tolist() == [edge["effect"] for edge in validated.said["edges"]]
    with pytest.raises(weir.CompileError, match="has no match 'flown'"):
        weir.validate(folder / "spec.yaml", folder / "ids.npy", sample=6, match="flown")


def test_only_files_of_its_own_are_replaced(workplace, tmp_path):
    _, folder, _ = workplace("llama")
    spec, text = folder / "spec.yaml", folder / "ids.npy"

    def refused(*options):
        done = subprocess.run(list(map(str, [engines.TOOLS / "weirc", "validate", spec, "--text", text, "--sample", 3, *options])),
                              capture_output=True, text=True, env=os.environ | {"WEIR_CACHE": str(tmp_path / "cache")})
        assert done.returncode == 1
        return done.stderr

    (tmp_path / "notes.csv").write_text("my notes\n")
    numpy.save(tmp_path / "weights.npy", numpy.ones(3))
    before = text.read_bytes()
    assert "is no table of cases and is not replaced" in refused("--cases", tmp_path / "notes.csv")
    assert "has to end in .csv" in refused("--cases", "/dev/full")
    assert "holds no windows of tokens" in refused("--tokens", tmp_path / "weights.npy")
    assert "is the text and is not replaced" in refused("--tokens", text)
    assert text.read_bytes() == before and (tmp_path / "notes.csv").read_text() == "my notes\n"


def test_a_full_disk_loses_nothing(workplace, tmp_path):
    """A limit on the size of files stands for it: the log of finished windows reaches it."""
    _, folder, ids = workplace("llama")
    numpy.save(tmp_path / "long.npy", numpy.concatenate([ids] * 40))
    options = ["--sample", 24, "--occurrences", 1000, "--method", "exhaustive"]
    whole_table = Validated(folder / "spec.yaml", tmp_path / "long.npy", tmp_path / "whole", *options).table()
    log = next(path for path in (tmp_path / "whole" / "cache" / "activations").iterdir() if path.suffix == ".validation")
    limit = log.stat().st_size * 3 // 4
    command = [engines.TOOLS / "weirc", "validate", folder / "spec.yaml", "--text", tmp_path / "long.npy", *options]
    small = tmp_path / "small"
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=os.environ | {"WEIR_CACHE": str(small / "cache")},
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)), restore_signals=False)
    assert done.returncode == 2 and "what was finished before is kept" in done.stderr, done.stderr
    resumed = Validated(folder / "spec.yaml", tmp_path / "long.npy", small, *options)
    assert resumed.said["windows_resumed"] > 0
    assert resumed.table() == whole_table


# Graphs that ask for effects.

GRAPHS = """
graphs:
  some: {from: [2/res/3, 2/res/7], match: flow, width: 2, keep: {effect: -1000}, text: ids.npy}
  best: {from: 2/res/3, match: flow, keep: {effect: -1000}, text: ids.npy}
  pairs: {from: 2/res/3, match: paired, keep: {effect: -1000}, text: ids.npy}
  all: {from: [2/res/3, 2/res/7], match: flow, width: 2, text: ids.npy}
  whole: {union: [all, best]}
"""


def test_graphs_find_what_was_measured_and_say_how_to(workplace, tmp_path):
    model, folder, _ = workplace("llama")
    spec = folder / "effects.yaml"
    spec.write_text(SPEC.replace("PROGRAM", str(model.archive)).replace("k: 1", "k: 2").replace("policies:", GRAPHS + "policies:"))
    weighted = folder / "weighted.yaml"
    weighted.write_text(spec.read_text().replace(
        "policies:", "policies:\n  w: {on: {graph: whole}, do: add, strength: {value: 2, weight: effect}}")
        .replace("keep: {effect: -1000}, ", ""))

    def weirc(*arguments, code=0, cache="cache"):
        done = subprocess.run([engines.TOOLS / "weirc", *map(str, arguments)], capture_output=True, text=True,
                              env=os.environ | {"WEIR_CACHE": str(tmp_path / cache)})
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def commands(done):
        return [shlex.split(part) for line in done.stderr.splitlines() if "; measure it with: " in line
                for part in line.partition("; measure it with: ")[2].split("; ")]

    refused = weirc("graph", spec, code=2)
    told = commands(refused)
    assert len(told) == 3 and "was not measured on 'ids.npy'" in refused.stderr
    assert [command[command.index("--graph") + 1] for command in told] == ["some", "best", "pairs"]
    assert all(command[:3] == ["weirc", "validate", str(spec)] and command[command.index("--method") + 1] == "edges" for command in told)
    # The weights of a union are those of its walks: each command once.
    assert [command[command.index("--graph") + 1] for command in commands(weirc("check", weighted, "--model", model.archive, code=2))] \
        == ["all", "best"]

    # Whatever else is asked for, graphs find it.
    measured = {}
    for command in told:
        said = json.loads(weirc(*command[1:], "--seed", 5, "--occurrences", 3, "--context", 12, "--json").stdout)
        for edge in said["edges"]:
            if not edge["cases"]:
                continue
            key = edge["from"], edge["to"]
            measured[key] = max(measured.get(key, (0, 0)), (edge["cases"], -edge["effect"]))
    shown = weirc("graph", spec, "--json")
    said = json.loads(shown.stdout)
    graphs = {name: {(edge["from"], edge["to"]): edge["effect"] for edge in graph["edges"]} for name, graph in said["graphs"].items()}
    for edges in graphs.values():
        for key, effect in edges.items():
            assert (effect is None) == (key not in measured)
            assert effect is None or effect == -measured[key][1]
    # What no token has both ends of reaches no threshold, and is counted: the edges that lead to a node that was reached.
    warned = {}
    for entry in said["diagnostics"]:
        if found := re.match(r"(\d+) edges? of the graph '(\w+)' (?:is|are) left out: no case of (?:it|them) was found on 'ids.npy'",
                             entry["message"]):
            warned[found[2]] = int(found[1])
    reached = {"2/res/3", "2/res/7"} | {start for start, _ in graphs["some"]}
    without = [edge for edge, effect in graphs["all"].items() if effect is None and edge[1] in reached]
    assert without and warned["some"] == len(without) and not set(without) & set(graphs["some"])
    # They come again when the graphs are only read.
    assert weirc("graph", spec).stderr == weirc("graph", spec).stderr and "left out: no case" in weirc("graph", spec).stderr
    # As a weight it is none.
    checked = weirc("check", weighted, "--model", model.archive).stderr
    nothing = sum(effect is None for effect in graphs["all"].values())
    assert f"{nothing} edges of the graph 'whole' count as no effect: no case of them was found" in checked
    # Nothing was asked of other edges.
    other = spec.with_name("other.yaml")
    other.write_text(spec.read_text().replace("2/res/7", "1/res/5").replace("width: 2", "width: 1"))
    weirc("validate", other, "--text", folder / "ids.npy", "--sample", 2, "--match", "flow", "--method", "top1", cache="other")
    assert "was not measured" in weirc("graph", other, code=2, cache="other").stderr


def test_policies_over_graphs_of_effects_equal_hooks(workplace, tmp_path, monkeypatch):
    """`weight: effect`, `keep: {effect: e}` and `{null: q}`, a path and what is left of a graph, each under a policy: logits."""
    model, folder, _ = workplace("llama")
    monkeypatch.setenv("WEIR_CACHE", str(tmp_path / "cache"))
    data = hooks.read((folder / "spec.yaml").read_text())
    data["dictionaries"]["sae"]["path"] = str(folder / "{site}.{layer}")
    data["matches"] = {"flow": {"method": "top_k", "k": 3, "similarity": "cosine"}}
    text, targets = str(folder / "ids.npy"), [f"2/res/{index}" for index in range(10)]
    wide = {"from": targets, "match": "flow", "width": 2, "text": text}
    data["graphs"] = {"measured": wide, "causal": wide | {"keep": {"similarity": 0.01, "effect": 0.02}},
                      "chance": {"from": targets[:4], "match": "flow", "width": 3, "keep": {"null": 0.3}},
                      "rest": {"difference": ["measured", "chance"]}}
    walked = graph_oracle.Oracle(data, data["dictionaries"]["sae"], lambda layer, site: hooks.dictionaries.load(
        "sae_lens", folder / f"{site}.{layer}", model.model, layer, 0).rows.numpy())
    # A way that is there, over two layers.
    edges = {ends for ends in walked.edges_of("flow") if ends[0].site == "res"}
    first, last = next((str(a), str(d)) for a, b in sorted(edges) for c, d in sorted(edges) if b == c and a.layer == 0)
    data["graphs"]["way"] = {"path": [first, last], "match": "flow"}
    add = {"do": "add", "strength": {"value": 3, "weight": "effect"}, "layers": "cumulative"}
    data["policies"] = {"weighted": add | {"on": {"graph": "measured"}}, "causal": add | {"on": {"graph": "causal", "sites": ["res"]}},
                        "left": add | {"on": {"graph": "rest"}, "strength": 1.5}, "chance": {"on": {"graph": "chance"}, "do": "scale", "factor": 2},
                        "way": {"on": {"graph": "way"}, "do": "add", "strength": {"value": -2, "weight": "similarity"}}}
    data["plans"] = {name: [name] for name in data["policies"]}
    spec = tmp_path / "spec.yaml"
    spec.write_text(json.dumps(data))
    done = subprocess.run(list(map(str, [engines.TOOLS / "weirc", "validate", spec, "--text", text, "--graph", "measured", "--graph", "causal",
                                         "--method", "edges", "--json"])), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (tmp_path / "effects.json").write_text(done.stdout)
    reference = hooks.Reference(spec, model.model)
    # The graphs are not all the same, and effects are in them.
    kept = {name: reference.spec.graphs(name).graph(name) for name in data["graphs"]}
    assert {len(graph.nodes) for graph in kept.values()} != {len(kept["measured"].nodes)}
    assert len(kept["causal"].edges) < len(kept["measured"].edges) and 0 < len(kept["chance"].edges)
    for name, graph in weir.graph(spec).items():
        assert set(graph.features) == set(map(str, kept[name].nodes)), name
    weights = reference.spec.graphs("measured").weights("measured", "effect")
    assert any(0 < weight < 1 for weight in weights.values()) and any(weight == 0 for weight in weights.values())
    weir.compile(spec, tmp_path / "program", model=model.archive)
    program, tally = weir.load(tmp_path / "program"), Tally()
    ids = numpy.random.default_rng(4).integers(3, families.VOCABULARY, 14).tolist()
    plain = reference.run(ids, None)
    for plan in data["plans"]:
        want = reference.run(ids, plan)
        tally.compare(torch.as_tensor(program([ids], plan=plan).logits)[0], {}, hooks.Result(want.logits, {}, {}, want.doubtful))
        assert apart(want.logits, plain.logits) > 1e-3, plan
    tally.assert_enough()
