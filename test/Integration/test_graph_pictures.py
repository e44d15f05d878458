# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""weirc graph with pictures and stories, from the spec on: what Python draws is what weirc has found."""

from __future__ import annotations

import json
import re
import subprocess
import xml.etree.ElementTree as ElementTree

import letters
import numpy
import pytest
import weir
from random_dictionaries import write_sae
from weir.meaning.specs import Spec

SPEC = """
weir: 1
model: {program: PROGRAM}
dictionaries:
  sae: {format: sae_lens, path: "sae/{site}.{layer}", sites: [res, mlp], layers: 0..2}
matches:
  flow: {dictionary: sae, method: top_k, k: 2}
graphs:
  deep: {from: 2/res/7, match: flow, width: 2}
  flat: {from: 1/res/3, match: flow, layers: 0..1, direction: both}
labels: {2/res/7: "the <b>end</b>", 1/res/3: middle}
policies:
  more: {on: {graph: deep, sites: [res]}, do: add, strength: 2}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    random = numpy.random.default_rng(7)
    for layer in range(3):
        for kind in ("res", "mlp"):
            write_sae(folder / "sae" / f"{kind}.{layer}", random, letters.WIDTH, 4.0, architecture="jumprelu", normalize="none")
    (folder / "spec.yaml").write_text(SPEC.replace("PROGRAM", str(letters.exported())))
    (folder / "text.jsonl").write_text('{"text": "the ant and the tin hat in the inner inn; then another"}\n')
    return folder


def run(folder, *words, code=0):
    done = subprocess.run([weir.tool("weirc"), "graph", folder / "spec.yaml", *map(str, words)], capture_output=True, text=True)
    assert done.returncode == code, done.stderr + done.stdout
    return done


def data_of(page) -> dict:
    return json.loads(re.search(r'id="weir-data">(.*?)</script>', page.read_text())[1])


@pytest.mark.parametrize("command", [["graph"], ["match"], ["validate", "--text", "text.jsonl", "--sample", "1"],
                                     ["features", "--text", "text.jsonl", "--feature", "sae:1/res/3"]], ids=lambda words: words[0])
def test_a_name_of_no_feature_of_the_model_is_an_error(folder, command):
    """The model is read for it, though files are all that is followed."""
    path = folder / "words.yaml"
    path.write_text((folder / "spec.yaml").read_text().replace("dictionaries:\n", "dictionaries:\n  words: {format: unembedding, sites: [res], "
                    "layers: 2}\n").replace("from: ", "from: sae:").split("labels:")[0] + "labels:\n  words:2/res/3: there\n"
                    "  words:2/res/999999: nothing\npolicies: {}\n")
    done = subprocess.run([weir.tool("weirc"), command[0], path, *command[1:]], cwd=folder, capture_output=True, text=True)
    last = len(path.read_text().splitlines()) - 1
    assert done.returncode == 2 and f"{path}:{last}:3: error: feature 2/res/999999 is out of range" in done.stderr, done.stderr


def test_a_page_has_what_weirc_has_found(folder):
    found = json.loads(run(folder, "--json").stdout)["graphs"]
    assert set(found) == {"deep", "flat"}
    run(folder, "-o", folder / "graphs.html")
    data = data_of(folder / "graphs.html")
    assert data["about"] == {}
    for drawn in data["graphs"]:
        graph = found[drawn["name"]]
        names = [feature for feature, _, _ in drawn["nodes"]]
        assert names == [node["feature"] for node in graph["nodes"]]
        assert [label for _, label, _ in drawn["nodes"]] == [node["label"] for node in graph["nodes"]]
        assert [names[number] for number in drawn["target"]] == graph["target"]
        assert [[names[a], names[b], s, e] for a, b, s, e in drawn["edges"]] == [
            [edge["from"], edge["to"], pytest.approx(edge["similarity"], abs=1e-4), edge["effect"]] for edge in graph["edges"]]
    assert any(label == "the <b>end</b>" for _, label, _ in data["graphs"][0]["nodes"] + data["graphs"][1]["nodes"])


def test_contexts_and_names_on_a_text(folder):
    run(folder, "deep", "-o", folder / "deep.html", "--text", folder / "text.jsonl")
    data = data_of(folder / "deep.html")
    assert [graph["name"] for graph in data["graphs"]] == ["deep"]
    assert set(data["about"]) == {feature for feature, _, _ in data["graphs"][0]["nodes"]}
    assert all(len(row["promotes"]) == 10 for row in data["about"].values()) and any(row.get("contexts") for row in data["about"].values())
    # The same of all graphs of the spec.
    report = weir.features(folder / "spec.yaml", folder / "text.jsonl", promotes=0, neighbours=0)
    assert set(report.features) >= set(data["about"]) and Spec(folder / "spec.yaml").labels() == {"2/res/7": "the <b>end</b>", "1/res/3": "middle"}
    assert report.labels[report.features.index("2/res/7")] == "the <b>end</b>"


def test_a_picture_and_a_story(folder):
    run(folder, "flat", "-o", folder / "flat.svg")
    titles = [element.text for element in ElementTree.parse(folder / "flat.svg").iter() if element.tag.endswith("title")]
    assert any(title.startswith("1/res/3: middle") for title in titles)
    story = run(folder, "--story").stdout
    # What is told, and no list of edges.
    assert story == "\n".join(told.text for _, told in sorted(weir.story(folder / "spec.yaml").items()))
    assert "deep\n====" in story and "flat\n====" in story
    assert "The target is the <b>end</b> (2/res/7), a feature of the residual stream of layer 2." in " ".join(story.split())
    done = run(folder, "flat", "--story", "--text", folder / "text.jsonl", "--max-tokens", 10)
    told = done.stdout
    assert re.search(r"text.jsonl: on the first 10 of \d+ tokens \(--max-tokens 10; 0 for all\)", done.stderr)
    assert "deep" not in told and "middle (1/res/3)" in told


@pytest.mark.parametrize("ending", ["html", "svg", "dot", "json", "graphml"])
def test_pictures_from_python(folder, tmp_path, ending):
    graphs = weir.picture(folder / "spec.yaml", tmp_path / f"one.{ending}", "deep")
    run(folder, "deep", "-o", tmp_path / f"other.{ending}")
    assert (tmp_path / f"one.{ending}").read_bytes() == (tmp_path / f"other.{ending}").read_bytes()
    graph = weir.graph(folder / "spec.yaml", "deep")["deep"]
    assert graphs.keys() == {"deep"} and graphs["deep"].features == graph.features
    numpy.testing.assert_array_equal(graphs["deep"].similarities, graph.similarities)
    with pytest.raises(weir.CompileError, match="has to end in .json, .dot, .graphml, .html or .svg"):
        weir.picture(folder / "spec.yaml", tmp_path / "one.png")


def test_stories_from_python(folder):
    stories = weir.story(folder / "spec.yaml")
    assert run(folder, "--story").stdout.startswith("\n".join(stories[name].text for name in sorted(stories)))
    assert stories["deep"].graph.features and all("\n" not in text for text in stories["deep"].paragraphs)
    told = weir.story(folder / "spec.yaml", "flat", text=folder / "text.jsonl", max_tokens=10)
    assert told.keys() == {"flat"}
    assert told["flat"].text.strip() in run(folder, "flat", "--story", "--text", folder / "text.jsonl", "--max-tokens", 10).stdout


@pytest.mark.parametrize("words, code, reason", [
    (["-o", "two.svg"], 2, "a picture has one graph; name one of"),
    (["-o", "text.jsonl.html", "--text", "none.jsonl"], 2, "none.jsonl: cannot open: No such file"),
    (["deep", "-o", "mine.svg"], 2, "no picture of Weir's"),
    (["--story", "-o", "x.svg"], 1, "excludes"),
    (["--features", "text.jsonl"], 1, "--features and --max-tokens require --story"),
    (["--text", "text.jsonl", "--max-tokens", "5"], 1, "--features and --max-tokens require --story"),
])
def test_mistakes(folder, monkeypatch, words, code, reason):
    monkeypatch.chdir(folder)
    (folder / "mine.svg").write_text("<svg/>")
    before = sorted(folder.iterdir())
    assert reason in run(folder, *words, code=code).stderr
    assert sorted(folder.iterdir()) == before and (folder / "mine.svg").read_text() == "<svg/>"
