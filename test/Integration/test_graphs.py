# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`weirc graph` against a walk in NumPy, on random dictionaries and random graphs; its files; what it refuses."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import numpy
import pytest
import random_dictionaries
import specs
import weir
from engines import TOOLS
from graph_oracle import Graph, Node, Oracle
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

WIDTH, LAYERS = 6, 5
FEATURES = {"res": 9, "mlp": 5, "att": 4}
SITES = ("res", "mlp", "att")
EXAMPLES = 30 * int(os.environ.get("WEIR_EXAMPLES", "1"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Dictionaries of five layers, whose features go on from layer to layer with some noise."""
    root = tmp_path_factory.mktemp("graphs")
    random = numpy.random.default_rng(7)
    for layer in range(LAYERS):
        for site in SITES:
            random_dictionaries.write_sae(root / f"dictionaries/{site}.{layer}", random, WIDTH, 1.0,
                                          architecture="jumprelu", normalize="none", features=FEATURES[site])
    return root


def rows_of(folder: Path):
    loaded = {}

    def rows(layer, site):
        if (layer, site) not in loaded:
            path = folder / f"dictionaries/{site}.{layer}/sae_weights.safetensors"
            loaded[layer, site] = load_file(path)["W_dec"].astype(numpy.float64)
        return loaded[layer, site]

    return rows


def weirc(folder: Path, data: dict | str, *arguments, code: int = 0) -> subprocess.CompletedProcess:
    path = folder / "spec.yaml"
    path.write_text(data if isinstance(data, str) else specs.text(data))
    result = subprocess.run([str(TOOLS / "weirc"), "graph", str(path), "--cache", str(folder / "cache"),
                             *map(str, arguments)], capture_output=True, text=True)
    assert result.returncode == code, result.stderr
    return result


def graphs_of(folder: Path, data: dict) -> dict[str, Graph]:
    return read(json.loads(weirc(folder, data, "--json").stdout)["graphs"])


def read(found: dict) -> dict[str, Graph]:

    def node(text):
        layer, site, index = text.split("/")
        return Node(int(layer), site, int(index))

    graphs = {}
    for name, graph in found.items():
        nodes = [node(each["feature"]) for each in graph["nodes"]]
        assert len(set(nodes)) == len(nodes)
        edges = {(node(edge["from"]), node(edge["to"])): edge["similarity"] for edge in graph["edges"]}
        assert len(edges) == len(graph["edges"]) and all(edge["effect"] is None for edge in graph["edges"])
        graphs[name] = Graph.of(nodes, edges, map(node, graph["target"]))
        assert len(graphs[name].targets) == len(graph["target"])
    return graphs


def assert_same(got: Graph, want: Graph):
    assert got.nodes == want.nodes
    assert got.targets == want.targets
    assert got.edges.keys() == want.edges.keys()
    for ends, similarity in want.edges.items():
        assert got.edges[ends] == pytest.approx(similarity, rel=1e-12)


def base() -> dict:
    return {"weir": 1, "model": {},
            "dictionaries": {"sae": {"format": "sae_lens", "path": "dictionaries/{site}.{layer}", "sites": list(SITES),
                                     "layers": f"0..{LAYERS - 1}"}},
            "matches": {"flow": {"method": "top_k", "k": 3}, "near": {"method": "top_k", "sites": ["res", "mlp"]},
                        "chain": {"method": "permutation", "sites": ["res"], "similarity": "cosine"},
                        "beside": {"method": "top_k", "sites": ["mlp"], "k": 2}},
            "graphs": {}, "policies": {}}


@st.composite
def graph_specs(draw):
    """A spec with one to four walks, a path, and what is made of them."""
    data = base()
    names = []
    for number in range(draw(st.integers(1, 4))):
        match = draw(st.sampled_from(sorted(data["matches"])))
        settings_ = data["matches"][match]
        first = draw(st.integers(0, LAYERS - 2))
        last = draw(st.integers(first + 1, LAYERS - 1))
        sites = settings_.get("sites", list(SITES))
        targets = []
        for _ in range(draw(st.integers(1, 3))):
            # From modules, most walks lead nowhere.
            site = draw(st.sampled_from([*sites, *["res"] * 4] if "res" in sites else sites))
            targets.append(f"{draw(st.integers(first, last))}/{site}/{draw(st.integers(0, FEATURES[site] - 1))}")
        targets = sorted(set(targets))
        graph = {"from": targets if len(targets) > 1 else targets[0], "match": match,
                 "direction": draw(st.sampled_from(["backward", "forward", "both", "both"])),
                 "width": draw(st.integers(1, settings_.get("k", 1)))}
        if draw(st.booleans()):
            graph["layers"] = f"{first}..{last}"
        kind = draw(st.integers(0, 2))
        if kind == 1:
            graph["keep"] = draw(st.sampled_from([0.1, 0.3, 0.6]))
        if kind == 2:
            graph["keep"] = {site: draw(st.sampled_from([0.1, 0.3, 0.5, {"similarity": 0.7}])) for site in sites
                             if draw(st.booleans())} or {"similarity": 0.2}
        data["graphs"][f"walk{number}"] = graph
        names.append(f"walk{number}")
    for number in range(draw(st.integers(0, 2))):
        ends = [f"{layer}/res/{draw(st.integers(0, FEATURES['res'] - 1))}"
                for layer in draw(st.lists(st.integers(0, LAYERS - 1), min_size=2, max_size=2, unique=True))]
        data["graphs"][f"path{number}"] = {"path": ends, "match": draw(st.sampled_from(["flow", "near", "chain"]))}
        names.append(f"path{number}")
    for number in range(draw(st.integers(0, 3))):
        if len(names) < 2:
            break
        key = draw(st.sampled_from(["union", "intersection", "difference"]))
        of = draw(st.lists(st.sampled_from(names), min_size=2, max_size=3, unique=True))
        data["graphs"][f"made{number}"] = {key: of}
        names.append(f"made{number}")
    return data


def oracle_of(folder: Path, data: dict) -> Oracle:
    return Oracle(data, data["dictionaries"]["sae"], rows_of(folder))


def sensible(folder: Path, data: dict) -> dict:
    """The spec without graphs that are errors: empty ones, and targets that a match does not lead on from."""
    kept = {}
    for name, graph in data["graphs"].items():
        if any(each not in kept for key in ("union", "intersection", "difference") for each in graph.get(key, [])):
            continue
        oracle = oracle_of(folder, {**data, "graphs": {**kept, name: graph}})
        if "from" in graph:
            match = data["matches"][graph["match"]]
            inside = range(*(lambda span: (span[0], span[1] + 1))(
                tuple(map(int, graph.get("layers", f"0..{LAYERS - 1}").split("..")))))
            pairs = [(target, source) if match["method"] == "top_k" else (source, target)
                     for source, target in oracle.pairs(match)]
            side = {"backward": (1,), "forward": (0,), "both": (0, 1)}[graph["direction"]]
            if any(not any(pair[end] == node.place and pair[1 - end][0] in inside for pair in pairs for end in side)
                   for node in oracle.nodes(graph["from"])):
                continue
            if not oracle.graph(name).edges:
                continue
        if oracle.graph(name).nodes:
            kept[name] = graph
    return {**data, "graphs": kept}


@settings(max_examples=EXAMPLES)
@given(drawn=graph_specs())
def test_graphs_are_those_of_a_walk_in_numpy(folder, drawn):
    data = sensible(folder, drawn)
    if not data["graphs"]:
        return
    oracle = oracle_of(folder, data)
    found = json.loads(weirc(folder, data, "--json").stdout)["graphs"]
    got = read(found)
    assert got.keys() == data["graphs"].keys()
    for name, graph in got.items():
        assert_same(graph, oracle.graph(name))
    # The order of a spec says nothing, and neither does what is in the cache.
    turned = {**data, "graphs": dict(reversed(data["graphs"].items())), "matches": dict(reversed(data["matches"].items()))}
    for graph in turned["graphs"].values():
        for key in ("from", "union", "intersection"):
            if isinstance(graph.get(key), list):
                graph[key] = graph[key][::-1]
        if "path" in graph:
            graph["path"] = graph["path"][::-1]
    assert json.loads(weirc(folder, turned, "--json").stdout)["graphs"] == found


def test_random_directions_are_what_keep_compares_with(folder):
    data = base()
    matches = data["matches"]["flow"]
    del matches["k"]
    rows, random = rows_of(folder), numpy.random.default_rng(1)
    directions = random.normal(size=(20000, WIDTH))
    directions /= numpy.linalg.norm(directions, axis=1, keepdims=True)

    def null(place, q):
        unit = rows(*place) / numpy.linalg.norm(rows(*place), axis=1, keepdims=True)
        return numpy.quantile((directions @ unit.T).max(axis=1), q)

    oracle = oracle_of(folder, data)
    edges = oracle.edges_of("flow")
    for q in (0.05, 0.5, 0.9):
        data["graphs"] = {"g": {"from": [{"site": f"{layer}/res"} for layer in range(1, LAYERS)], "match": "flow",
                                "keep": {"null": q}}}
        got = graphs_of(folder, data)["g"].edges
        for ends, similarity in edges.items():
            # 2,048 directions tell a quantile within a few hundredths of a cosine.
            if ends[1].layer > 0 and abs(similarity - null(ends[0].place, q)) > 0.04:
                assert (ends in got) == (similarity > null(ends[0].place, q)), (q, ends, similarity)


def test_labels_and_forms_of_files(folder):
    data = base()
    data["labels"] = {"4/res/2": 'faith & "doubt"'}
    data["graphs"] = {"faith": {"from": "4/res/2", "match": "flow", "width": 2}, "back": {"from": "3/res/1", "match": "near"}}
    files = {suffix: folder / f"graphs.{suffix}" for suffix in ("json", "dot", "graphml")}
    for path in files.values():
        assert weirc(folder, data, "-o", path).stdout == ""
    shown = json.loads(weirc(folder, data, "--json").stdout)
    assert shown["ok"] and json.loads(files["json"].read_text()) == {"graphs": shown["graphs"]}
    faith = shown["graphs"]["faith"]
    labels = {node["feature"]: node["label"] for node in faith["nodes"]}
    assert faith["target"] == ["4/res/2"] and labels.pop("4/res/2") == 'faith & "doubt"' and not any(labels.values())
    assert [node["feature"] for node in faith["nodes"]] == [
        str(node) for node in oracle_of(folder, data).part({"graph": "faith"})]

    # Graphviz reads the DOT, an XML reader the GraphML, and both have every node and edge.
    for name, graph in shown["graphs"].items():
        path = folder / f"{name}.dot"
        weirc(folder, data, name, "-o", path)
        plain = subprocess.run(["dot", "-Tplain", str(path)], check=True, capture_output=True, text=True).stdout
        lines = [line.split()[0] for line in plain.splitlines() if line]
        assert lines.count("node") == len(graph["nodes"]) and lines.count("edge") == len(graph["edges"])
    assert 'faith & \\"doubt\\"' in files["dot"].read_text()
    space = "{http://graphml.graphdrawing.org/xmlns}"
    tree = ElementTree.parse(files["graphml"]).getroot()
    for element in tree.iter(f"{space}graph"):
        graph = shown["graphs"][element.get("id")]
        assert len(element.findall(f"{space}node")) == len(graph["nodes"])
        assert len(element.findall(f"{space}edge")) == len(graph["edges"])
    assert any(data.text == 'faith & "doubt"' for data in tree.iter(f"{space}data"))

    # One graph, and files of others are left alone.
    assert list(json.loads(weirc(folder, data, "back", "--json").stdout)["graphs"]) == ["back"]
    assert "there is no graph 'faiht'; did you mean 'faith'?" in weirc(folder, data, "faiht", code=2).stderr
    assert "there is no graph 'xyz'; the spec has 'faith' or 'back'" in weirc(folder, data, "xyz", code=2).stderr
    mine = folder / "mine.json"
    mine.write_text('{"other": 1}\n')
    assert "holds no graphs and is not replaced" in weirc(folder, data, "-o", mine, code=1).stderr
    assert mine.read_text() == '{"other": 1}\n'
    assert "has to end in .json, .dot, .graphml, .html or .svg" in weirc(folder, data, "-o", folder / "a.png", code=1).stderr
    text = weirc(folder, data, "faith").stdout
    assert re.match(r'faith: \d+ nodes, \d+ edges, layers \d to 4, target 4/res/2 \(faith & "doubt"\)\n', text)


@pytest.mark.parametrize("ending", ["json", "dot", "graphml", "svg", "html"])
def test_a_full_disk_leaves_the_file_that_was_there(folder, tmp_path, ending):
    """A limit on the size of files stands for it."""
    data = base()
    data["graphs"] = {"faith": {"from": "4/res/2", "match": "flow", "width": 2}}
    path = tmp_path / f"graph.{ending}"
    weirc(folder, data, "-o", path)
    before = path.read_bytes()
    done = subprocess.run([str(TOOLS / "weirc"), "graph", str(folder / "spec.yaml"), "--cache", str(folder / "cache"), "-o", str(path)],
                          capture_output=True, text=True, restore_signals=False,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)))
    assert done.returncode == 2 and "too large" in done.stderr, done.stderr
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_graphs_in_python(folder):
    data = base()
    data["labels"] = {"4/res/2": "faith"}
    data["graphs"] = {"faith": {"from": "4/res/2", "match": "flow", "width": 2}}
    path = folder / "python.yaml"
    path.write_text(specs.text(data))
    graphs = weir.graph(path, cache=folder / "cache")
    graph, want = graphs["faith"], oracle_of(folder, data).graph("faith")
    assert [graph.features[target] for target in graph.targets] == ["4/res/2"]
    assert graph.labels[graph.features.index("4/res/2")] == "faith"
    edges = {(graph.features[a], graph.features[b]): s for a, b, s in zip(graph.sources, graph.ends, graph.similarities)}
    assert edges == {(str(a), str(b)): pytest.approx(s) for (a, b), s in want.edges.items()}
    assert graph.effects.dtype == numpy.float64 and numpy.isnan(graph.effects).all()
    assert weir.graph(path, "faith", cache=folder / "cache").keys() == {"faith"}


@pytest.mark.parametrize("graph, message", [
    ({"from": "4/res/99", "match": "flow"}, "feature 4/res/99 is out of range: the dictionary has features 0 to 8"),
    ({"from": "4/res/1", "match": "flow", "keep": 1}, "the graph 'g' is empty: nothing leads to its target 4/res/1"),
    ({"from": "0/res/1", "match": "chain"}, "leads to no site before 0/res: it matches layers 0 to 4"),
    ({"from": "4/mlp/1", "match": "flow"}, "leads to no site before 4/mlp: nothing comes before features of 'mlp' in it, in any layer"),
    ({"from": "4/res/1", "match": "flow", "layers": "4..4", "direction": "forward"},
     "leads to no site after 4/res: the graph covers layers 4 to 4"),
    ({"path": ["0/mlp/1", "4/att/2"], "match": "flow"}, "no path of @flow leads from 0/mlp to 4/att: it matches layers 0 to 4"),
    ({"path": ["0/res/99", "4/res/1"], "match": "flow"}, "feature 0/res/99 is out of range: the dictionary has features 0 to 8"),
    ({"path": ["0/res/1", "4/res/99"], "match": "flow"}, "feature 4/res/99 is out of range: the dictionary has features 0 to 8"),
    ({"difference": ["whole", "also"]}, "the graph 'g' is empty: nothing is left"),
    ({"intersection": ["whole", "apart"]}, "the graph 'g' is empty: there is no node that all of its graphs have"),
])
def test_errors_stand_at_their_line(folder, graph, message):
    data = base()
    data["graphs"] = {"whole": {"from": "4/res/1", "match": "flow"},
                      "also": {"from": "4/res/1", "match": "flow", "direction": "both"},
                      "apart": {"from": "0/mlp/1", "match": "flow", "direction": "forward", "layers": "0..0"},
                      "g": graph}
    text = specs.text(data)
    line = next(number for number, content in enumerate(text.splitlines(), 1) if content.startswith("  g:"))
    end = next(number for number, content in enumerate(text.splitlines(), 1) if content.startswith("policies:"))
    error = weirc(folder, data, code=2).stderr
    found = re.search(r"spec\.yaml:(\d+):\d+: error: (.*)", error)
    assert message in found[2] and line <= int(found[1]) < end, error


@pytest.mark.parametrize("command, options", [("graph", []), ("graph", ["--story"]), ("match", []), ("check", [])])
def test_a_name_of_no_feature_is_an_error_at_its_line(folder, command, options):
    data = base()
    data["graphs"] = {"g": {"from": "4/res/1", "match": "flow"}}
    path = folder / "labels.yaml"
    path.write_text(specs.text(data) + "labels:\n  4/res/1: there\n  2/mlp/4: there, in no graph\n  2/mlp/5: not there\n  3/att/77: nor this\n")
    last = len(path.read_text().splitlines())
    done = subprocess.run([str(TOOLS / "weirc"), command, str(path), "--cache", str(folder / "cache"), *options],
                          capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert re.findall(r"labels\.yaml:(\d+):3: error: (feature .*)", done.stderr) == [
        (str(last - 1), "feature 2/mlp/5 is out of range: the dictionary has features 0 to 4"),
        (str(last), "feature 3/att/77 is out of range: the dictionary has features 0 to 3")]


def test_names_of_features_whose_dictionaries_are_elsewhere(folder, tmp_path):
    """Nothing is known of them: a warning where dictionaries are opened, and nothing where a spec is only read."""
    data = base()
    data["dictionaries"]["sae"]["path"] = str(folder / "dictionaries/{site}.{layer}")
    data["dictionaries"]["far"] = {"format": "sae_lens", "path": "far/{site}.{layer}", "sites": ["res"], "layers": "0..1"}
    data["labels"] = {"far:1/res/3": "lost"}
    data["graphs"] = {"g": {"from": "sae:4/res/1", "match": "flow"}}
    for match in data["matches"].values():
        match["dictionary"] = "sae"
    path = tmp_path / "spec.yaml"
    path.write_text(specs.text(data))
    for command, said in (("graph", ["cannot tell whether the dictionary has the feature 1/res/3"]), ("check", [])):
        done = subprocess.run([str(TOOLS / "weirc"), command, str(path), "--cache", str(folder / "cache"), "--json"],
                              capture_output=True, text=True)
        told = json.loads(done.stdout)
        assert done.returncode == 0 and [each["severity"] for each in told["diagnostics"]] == ["warning"] * len(said)
        assert all(words in each["message"] for each, words in zip(told["diagnostics"], said))


def test_a_damaged_graph_is_built_anew(folder):
    data = base()
    data["graphs"] = {"g": {"from": "4/res/3", "match": "flow", "width": 3}}
    first = weirc(folder, data, "--json").stdout
    for path in (folder / "cache/v1").rglob("*.safetensors"):
        content = path.read_bytes()
        if b'"targets"' in content:
            path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    again = weirc(folder, data, "--json")
    told = json.loads(again.stdout)
    assert told["graphs"] == json.loads(first)["graphs"]
    assert any("damaged" in each["message"] for each in told["diagnostics"])
    assert json.loads(weirc(folder, data, "--json").stdout)["diagnostics"] == []
