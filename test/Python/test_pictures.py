# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Pictures of flow graphs: the page in a browser, by its DOM; the SVG file; what a graph's story says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest
from browser import Browser
from flow_graphs import random_about, random_graph
from weir.__main__ import main
from weir.errors import WeirError
from weir.pictures import about, command, drawing, graph, layout, story

# What a hostile spec could call a feature, or a text have for a token. Each would set window.hit if it became code.
HOSTILE = ["<script>window.hit=1</script>", '"><img src=x onerror="window.hit=1">', "</script><script>window.hit=1</script>",
           "<!--<script>", "]]><svg onload=window.hit=1>", "&lt;b&gt; &#60;", "a'b\"c\\N\\", "${window.hit=1}", "javascript:window.hit=1",
           "\x00\x07\u202eabc\u2066", "line\nbreak\ttab\u2028", "\ud800 lone", "名前の長い特徴はここで終わらない", "<style>*{display:none}</style>",
           "a" * 300]


def as_files(folder, graphs: dict, features: dict | None = None) -> list[str]:
    """The arguments of a command for these graphs."""
    (folder / "graphs.json").write_text(json.dumps({"graphs": graphs}))
    if features is None:
        return [str(folder / "graphs.json")]
    (folder / "features.json").write_text(json.dumps(features))
    return [str(folder / "graphs.json"), "--features", str(folder / "features.json")]


@pytest.fixture(scope="module")
def browser():
    with Browser() as one:
        yield one


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A page of a graph that has every site, with what is known of its features."""
    folder = tmp_path_factory.mktemp("small")
    data = random_graph(24, layers=range(9, 13), sites=("res", "mlp", "att", "mid", "head"), seed=3)
    features = random_about(data)
    command.write(as_files(folder, {"faith": data}, features)[0], folder / "page.html", about=folder / "features.json")
    return folder / "page.html", data, {row["feature"]: row for row in features["features"]}


@pytest.fixture(scope="module")
def medium(tmp_path_factory):
    """300 nodes, of which many lead to no target."""
    folder = tmp_path_factory.mktemp("medium")
    data = random_graph(300, width=2, seed=5)
    command.write(as_files(folder, {"faith": data, "second": random_graph(10, seed=6)}, random_about(data))[0],
                  folder / "page.html", about=folder / "features.json")
    return folder / "page.html", data


def lineage(data: dict, starts: set[str], least: float = -1.0) -> set[str]:
    """Who leads to the features, and whom they lead to, by passing over all edges until nothing is new."""
    edges = [(edge["from"], edge["to"]) for edge in data["edges"] if edge["similarity"] >= least]
    before, behind = set(starts), set(starts)
    while True:
        more = {a for a, b in edges if b in before} - before, {b for a, b in edges if a in behind} - behind
        if not any(more):
            return before | behind
        before |= more[0]
        behind |= more[1]


def named(browser, selector: str) -> set[str]:
    """Which features' nodes match."""
    return set(browser.run("""(() => {
        const graph = JSON.parse(document.getElementById("weir-data").textContent).graphs[0];
        return [...document.querySelectorAll(".view:not([hidden]) .nodes > .n")].map((node, index) => [node, graph.nodes[index][0]])
          .filter(([node]) => node.matches(%s)).map(([, name]) => name);
    })()""" % json.dumps(selector)))


def middle(browser, data: dict, feature: str) -> tuple[float, float]:
    number = [node["feature"] for node in data["nodes"]].index(feature)
    return tuple(browser.run(f"""(() => {{
        const node = document.querySelectorAll(".view:not([hidden]) .nodes > .n")[{number}];
        node.scrollIntoView({{block: "center", inline: "center"}});
        const box = node.getBoundingClientRect();
        return [box.left + box.width / 2, box.top + box.height / 2];
    }})()"""))


#===---- The page ----------------------------------------------------------------------------------===#

def test_the_page_loads_nothing_but_itself(browser, small):
    browser.open(small[0])
    assert browser.requests == [small[0].as_uri()] and not browser.errors
    text = small[0].read_text()
    assert not re.search(r"""(?:src|href|url)\s*[=(]\s*["']?(?!#)\w""", re.sub(r"<script.*?</script>", "", text, flags=re.S))
    # What gets into it all the same is not run: its policy names the one script by its hash.
    browser.run("document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.hit = 1'}))")
    browser.run("document.body.insertAdjacentHTML('beforeend', '<img src=\"data:image/png;base64,AAAA\" onerror=\"window.hit = 1\">')")
    browser.run("new Promise(done => setTimeout(done, 50))")
    assert browser.run("window.hit") is None and browser.errors


def test_layers_are_ranks_and_sites_differ_by_shape_and_colour(browser, small):
    page, data, _ = small
    browser.open(page)
    shown = browser.run("""[...document.querySelectorAll(".nodes > .n")].map(node => {
        const outline = node.querySelector(".o"), box = node.getBoundingClientRect();
        return [node.getAttribute("class"), outline.getAttribute("d").replace(/[-\\d. ]+/g, " "), getComputedStyle(outline).fill, box.top];
    })""")
    by_site, by_layer = {}, {}
    for node, (_, outline, fill, top) in zip(data["nodes"], shown):
        layer, site, _ = node["feature"].split("/")
        by_site.setdefault(site, set()).add((outline, fill))
        by_layer.setdefault((int(layer), site == "res"), []).append(top)
    assert all(len(looks) == 1 for looks in by_site.values())
    assert len({looks for one in by_site.values() for looks, _ in one}) == len({fill for one in by_site.values() for _, fill in one}) == 5
    ranks = [by_layer[key] for key in sorted(by_layer)]
    assert all(max(one) < min(other) for one, other in zip(ranks, ranks[1:]))
    assert browser.run("document.querySelectorAll('.gutter text').length") == 4
    assert named(browser, ".target") == set(data["target"])


def test_edges_are_as_wide_as_they_are_similar_and_effects_stand_beside_them(browser, small):
    page, data, _ = small
    browser.open(page)
    widths = browser.run("[...document.querySelectorAll('.edges > .e')].map(edge => parseFloat(getComputedStyle(edge).strokeWidth))")
    order = sorted(range(len(widths)), key=lambda index: data["edges"][index]["similarity"])
    assert len(widths) == len(data["edges"]) and [widths[index] for index in order] == sorted(widths) and widths[order[-1]] > 3 * widths[order[0]]
    beside = browser.run("[...document.querySelectorAll('.numbers > .l')].map(one => one.textContent)")
    assert beside == [f"{edge['similarity']:.2f}" + ("" if edge["effect"] is None else f"{edge['effect']:.2f}") for edge in data["edges"]]


@pytest.mark.parametrize("how", ["pointer", "keyboard"])
def test_pointing_at_a_feature_shows_its_contexts_and_tokens(browser, small, how):
    page, data, known = small
    browser.open(page)
    assert "The target is" in browser.run("document.getElementById('about').textContent")
    feature = data["target"][0]
    if how == "pointer":
        feature = data["nodes"][5]["feature"]
        browser.mouse(*middle(browser, data, feature))
    else:
        # The graph is one stop of the Tab key; the target is where it begins.
        browser.run("document.getElementById('larger').focus()")
        for _ in range(6):
            browser.key("Tab")
            if browser.run("document.activeElement.matches('.n')"):
                break
    panel = browser.run("document.getElementById('about').textContent")
    assert feature in panel and data["nodes"][0]["feature"] not in known[feature]
    assert browser.run("[...document.querySelectorAll('#about .token')].map(one => one.textContent)") == \
        [one["token"] for one in known[feature]["promotes"]]
    contexts = browser.run("""[...document.querySelectorAll('#about .context')].map(one => [one.textContent,
        one.querySelector('.peak').textContent, [...one.querySelectorAll('span')].filter(span => span.style.background).length])""")
    for (text, peak, marked), context in zip(contexts, known[feature]["contexts"], strict=True):
        assert "".join(context["tokens"]) in text and peak == context["tokens"][14].strip()
        assert marked == sum(value > 0 for value in context["activations"])
        assert (context["source"] or f"document {context['document'] + 1}") in text
    assert f"{100 * known[feature]['density']:.2g}"[:3] in panel


def test_the_keyboard_goes_along_edges_and_rows(browser, small):
    page, data, _ = small
    browser.open(page)
    browser.run("document.querySelector('.n.target').focus()")
    inward = sorted((edge for edge in data["edges"] if edge["to"] == data["target"][0]), key=lambda edge: -edge["similarity"])
    browser.key("ArrowUp")
    assert named(browser, ":focus") == {inward[0]["from"]}
    browser.key("ArrowDown")
    assert named(browser, ":focus") == set(data["target"])
    browser.key("Enter")
    assert named(browser, ".lit") == lineage(data, set(data["target"])) and named(browser, "[aria-pressed=true]") == set(data["target"])
    browser.key("Escape")
    assert not named(browser, ".lit") and not browser.errors
    assert browser.run("document.querySelectorAll('.n[tabindex=\"0\"]').length") == 1


def test_a_click_shows_the_lineage(browser, medium):
    page, data = medium
    browser.open(page)
    feature = data["edges"][150]["to"]
    browser.mouse(*middle(browser, data, feature), click=True)
    expected = lineage(data, {feature})
    assert 2 < len(expected) < len(data["nodes"]) and named(browser, ".lit") == expected
    opacity = browser.run("[...document.querySelectorAll('.view:not([hidden]) .nodes > .n')].map(node => +getComputedStyle(node).opacity)")
    assert {value > 0.9 for node, value in zip(data["nodes"], opacity) if node["feature"] in expected} == {True}
    assert max(value for node, value in zip(data["nodes"], opacity) if node["feature"] not in expected) < 0.3
    lit, faint = zip(*browser.run("[...document.querySelectorAll('.view:not([hidden]) .edges > .e')].map(edge => "
                                  "[edge.matches('.lit'), +getComputedStyle(edge).strokeOpacity < 0.2])"))
    assert [on != off for on, off in zip(lit, faint)] == [True] * len(data["edges"])
    assert all(not on or {edge["from"], edge["to"]} <= expected for on, edge in zip(lit, data["edges"])) and sum(lit) >= len(expected) - 1
    browser.mouse(*middle(browser, data, feature), click=True)
    assert not named(browser, ".lit")


def test_the_slider_cuts_at_a_similarity(browser, medium):
    page, data = medium
    browser.open(page)
    everything = {node["feature"] for node in data["nodes"]}
    whole = lineage(data, set(data["target"]))
    for least in (0.3, 0.55, 0.9):
        browser.run(f"const slider{int(least * 100)} = document.getElementById('cut'); slider{int(least * 100)}.value = {least};"
                    f"slider{int(least * 100)}.dispatchEvent(new Event('input'))")
        kept = {end for edge in data["edges"] if edge["similarity"] >= least for end in (edge["from"], edge["to"])}
        expected = lineage(data, set(data["target"]), least) | (kept - whole)
        assert everything - named(browser, ".cut") == expected
        assert browser.run("getComputedStyle(document.querySelector('.n.cut')).visibility") == "hidden"
        count = browser.run("document.getElementById('count').textContent")
        assert count.startswith(f"{len(expected)} of {len(everything)} features")


def test_the_search_finds_names_tokens_and_features(browser, medium):
    page, data = medium
    browser.open(page)
    browser.run("document.getElementById('search').focus()")
    browser.type("BATTLE")
    known = {row["feature"]: json.dumps(row) for row in random_about(data)["features"]}
    expected = {feature for feature, row in known.items() if "battle" in row}
    assert named(browser, ".found") == expected and browser.run("document.getElementById('found').textContent") == f"{len(expected)} found"
    browser.key("Enter")
    assert browser.run("document.getElementById('found').textContent") == f"1 of {len(expected)}"
    assert browser.run("document.querySelector('#about h2').textContent") and not browser.errors
    browser.run("document.getElementById('search').value = ''; document.getElementById('search').dispatchEvent(new Event('input'))")
    assert not named(browser, ".found")


def test_several_graphs_are_chosen_by_name(browser, medium):
    browser.open(medium[0])
    assert browser.run("[...document.querySelectorAll('#which option')].map(one => one.textContent)") == ["faith", "second"]
    browser.run("const which = document.getElementById('which'); which.value = '1'; which.dispatchEvent(new Event('change'))")
    assert browser.run("[...document.querySelectorAll('.view')].map(one => one.hidden)") == [True, False]
    assert browser.run("document.querySelector('#about h2').textContent") == "second" and not browser.errors


OVERLAPS = """(() => {
  const boxes = [...document.querySelectorAll(".view:not([hidden]) .nodes > .n .o")].map(one => one.getBoundingClientRect());
  let overlaps = 0;
  boxes.forEach((a, i) => boxes.forEach((b, j) => {
    if (i < j && a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom) ++overlaps;
  }));
  const outside = [...document.querySelectorAll(".view:not([hidden]) .nodes > .n")].filter(node => {
    const box = node.querySelector(".o").getBoundingClientRect();
    return [...node.querySelectorAll("text")].some(text => { const t = text.getBoundingClientRect(); return t.left < box.left + 1 || t.right > box.right - 1; });
  }).length;
  const numbers = [...document.querySelectorAll(".view:not([hidden]) .numbers > .l")].filter(one => {
    const t = one.getBoundingClientRect();
    return boxes.some(b => t.left < b.right && b.left < t.right && t.top + 2 < b.bottom && b.top < t.bottom - 2);
  }).length;
  const size = parseFloat(getComputedStyle(document.querySelector(".view:not([hidden]) .n .i") ?? document.body).fontSize);
  const svg = document.querySelector(".view:not([hidden]) svg.graph");
  return {overlaps, outside, numbers, pixels: size * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width};
})()"""


@pytest.mark.parametrize("which", ["small", "medium"])
def test_nothing_overlaps_and_text_can_be_read(browser, which, request):
    browser.open(request.getfixturevalue(which)[0])
    seen = browser.run(OVERLAPS)
    assert (seen["overlaps"], seen["outside"], seen["numbers"]) == (0, 0, 0) and seen["pixels"] >= 9.5


CONTRASTS = """(() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const light = colour => {
    canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map(v => v / 255).map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + .05) / (y + .05); };
  const style = (selector, name) => getComputedStyle(document.querySelector(selector))[name];
  const paper = style("body", "backgroundColor"), result = {body: ratio(style("body", "color"), paper), soft: ratio(style("#count", "color"), paper)};
  for (const band of document.querySelectorAll(".band")) result["gutter " + band.getAttribute("class")] = ratio(style(".gutter text", "fill"), getComputedStyle(band).fill);
  for (const node of document.querySelectorAll(".nodes > .n")) {
    const outline = getComputedStyle(node.querySelector(".o")), text = getComputedStyle(node.querySelector("text"));
    result["text " + node.getAttribute("class")] = ratio(text.fill, outline.fill);
    result["line " + node.getAttribute("class")] = ratio(outline.stroke, paper) * 1.5;  // 3 is enough for a shape
  }
  return [paper, result];
})()"""


def test_light_and_dark_have_contrast(browser, small):
    papers = []
    for scheme in ("light", "dark"):
        browser.open(small[0], scheme=scheme)
        paper, ratios = browser.run(CONTRASTS)
        papers.append(sum(map(int, re.findall(r"\d+", paper)[:3])))
        assert len(ratios) > 10 and {name: ratio for name, ratio in ratios.items() if ratio < 4.5} == {}
    assert papers[0] > 600 and papers[1] < 150


def test_it_can_be_printed(browser, small):
    page, data, known = small
    browser.open(page, scheme="dark")
    browser.look(800, 1100, "dark", media="print")
    display = "getComputedStyle(document.querySelector('%s')).display"
    assert browser.run(display % ".controls") == "none" and browser.run(display % ".tables") == "block"
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    rows = browser.run("[...document.querySelectorAll('.tables tbody tr')].map(row => [...row.cells].map(cell => cell.textContent))")
    assert sorted(row[0] for row in rows) == sorted(node["feature"] for node in data["nodes"])
    assert all(row[3] == "".join(known[row[0]]["contexts"][0]["tokens"]) for row in rows)
    assert browser.pdf().startswith(b"%PDF")
    browser.look(1280, 860)


def hostile_graph() -> tuple[dict, dict]:
    data = random_graph(len(HOSTILE) * 3, layers=range(0, 8))
    for node, label in zip(data["nodes"], HOSTILE * 9):
        node["label"] = label
    features = random_about(data)
    for number, row in enumerate(features["features"]):
        text = HOSTILE[number % len(HOSTILE)]
        row["promotes"] = [{"token": text, "logit": 1.0}]
        row["contexts"][0] |= {"tokens": [text, " a"], "activations": [2.0, 0.0], "source": text}
    return data, features


def test_labels_and_tokens_are_text_whatever_they_say(browser, tmp_path):
    data, features = hostile_graph()
    arguments = as_files(tmp_path, {HOSTILE[0]: data, HOSTILE[1]: data}, features)
    assert main(["picture", *arguments, "-o", str(tmp_path / "page.html")]) == 0
    browser.open(tmp_path / "page.html")
    shape = "[document.querySelectorAll('script').length, document.querySelectorAll('img, iframe, object, embed').length, " \
            "document.querySelectorAll('style').length, document.title]"
    assert browser.run(shape) == [2, 0, 1, f"{HOSTILE[0]}, {HOSTILE[1]}"]
    labels = browser.run("[...document.querySelectorAll('.view:not([hidden]) .nodes > .n')].map(node => node.getAttribute('aria-label'))")
    assert [label.rsplit(", feature", 1)[0] for label in labels] == [about.visible(node["label"]) for node in data["nodes"]]
    for number, node in enumerate(data["nodes"][:len(HOSTILE)]):
        browser.run(f"document.querySelectorAll('.nodes > .n')[{number}].focus()")
        assert browser.run("document.querySelector('#about h2').textContent") == about.visible(node["label"])
        assert browser.run("document.querySelector('#about .token').textContent") == about.visible(HOSTILE[number])
    browser.run("new Promise(done => setTimeout(done, 50))")
    assert browser.run("window.hit") is None and not browser.errors and browser.run(shape)[:3] == [2, 0, 1]
    seen = browser.run(OVERLAPS)
    assert seen["overlaps"] == 0


def test_a_large_graph_takes_little(browser, tmp_path):
    """10,000 nodes: time of the processor and memory of the whole command, dot included; and the page works."""
    data = random_graph(10_000, width=3)
    as_files(tmp_path, {"faith": data})
    program = ("import resource, sys; from weir.__main__ import main; code = main(sys.argv[1:]);"
               "used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)];"
               # Its own peak from the kernel's page: what getrusage says counts the process that it was forked from.
               "own = int(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1]);"
               "print(sum(one.ru_utime + one.ru_stime for one in used), max(own, used[1].ru_maxrss)); sys.exit(code)")
    done = subprocess.run([sys.executable, "-c", program, "picture", tmp_path / "graphs.json", "-o", tmp_path / "page.html"],
                          capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    seconds, kilobytes = map(float, done.stdout.split())
    assert seconds < 3 and kilobytes < 300 * 1024
    browser.open(tmp_path / "page.html")
    assert browser.run("document.querySelectorAll('.nodes > .n').length") == len(data["nodes"]) and not browser.errors
    browser.run("document.querySelector('.n.target').dispatchEvent(new MouseEvent('click', {bubbles: true}))")
    assert named(browser, ".lit") == lineage(data, set(data["target"]))


#===---- SVG ---------------------------------------------------------------------------------------===#

def test_the_picture_is_one_file_of_xml(browser, tmp_path):
    data, features = hostile_graph()
    arguments = as_files(tmp_path, {"faith": data}, features)
    assert main(["picture", *arguments, "-o", str(tmp_path / "graph.svg")]) == 0
    root = ElementTree.parse(tmp_path / "graph.svg").getroot()
    tags = {element.tag.rsplit("}", 1)[-1] for element in root.iter()}
    assert tags == {"svg", "title", "style", "rect", "text", "tspan", "g", "path"} or tags == {"svg", "title", "style", "rect", "text", "g", "path"}
    assert not {name for element in root.iter() for name in element.attrib if "href" in name or name.startswith("on")}
    titles = [element.text for element in root.iter() if element.tag.endswith("title")]
    assert all(any(node["feature"] in title for title in titles) for node in data["nodes"])
    browser.open(tmp_path / "graph.svg")
    assert browser.requests == [(tmp_path / "graph.svg").as_uri()] and not browser.errors


def test_without_dot_the_error_says_what_to_install(tmp_path, monkeypatch, capsys):
    arguments = as_files(tmp_path, {"faith": random_graph(10)})
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["picture", *arguments, "-o", str(tmp_path / "graph.svg")]) == 1
    assert "Graphviz" in capsys.readouterr().err and not (tmp_path / "graph.svg").exists()
    (tmp_path / "dot").write_text("#!/bin/sh\necho it is broken >&2\nexit 3\n")
    (tmp_path / "dot").chmod(0o755)
    assert main(["picture", *arguments, "-o", str(tmp_path / "graph.svg")]) == 1
    assert "it is broken" in capsys.readouterr().err
    (tmp_path / "dot").write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    monkeypatch.setattr(layout, "DOT_SECONDS", 0.2)
    assert main(["picture", *arguments, "-o", str(tmp_path / "graph.svg")]) == 1
    assert "after 0.2 s" in capsys.readouterr().err


def test_a_large_picture_has_its_rows_in_order():
    one = graph.of("faith", random_graph(2000, width=2))
    assert len(one) > layout.DOT_NODES
    placed = layout.place(one)
    assert not placed.is_small and len(set(zip(placed.x, placed.y))) == len(one)
    rows = layout.rows_of(one)
    for (_, above), (_, below) in zip(rows, rows[1:]):
        assert max(placed.y[node] for node in above) < min(placed.y[node] for node in below)
    assert "NaN" not in drawing.standalone(one, placed, {}) and "nan" not in drawing.standalone(one, placed, {})


#===---- What is read ------------------------------------------------------------------------------===#

NODE = {"feature": "1/res/2", "label": None}
EDGE = {"from": "1/res/2", "to": "2/res/3", "similarity": 0.5, "effect": None}
PAIR = {"target": ["2/res/3"], "nodes": [NODE, {"feature": "2/res/3"}], "edges": [EDGE]}


@pytest.mark.parametrize("changed, words", [
    ({"nodes": []}, "there is no node"),
    ({"nodes": None}, "nodes must be a list"),
    ({"nodes": [NODE, NODE]}, "nodes[1]: 1/res/2 is there twice"),
    ({"nodes": [{"feature": "1/res"}]}, "nodes[0]: '1/res' is no feature"),
    ({"nodes": [{"label": "x"}]}, "nodes[0]: feature is missing"),
    ({"nodes": [{"feature": "1/res/2", "label": 3}]}, "label is 3"),
    ({"target": ["4/res/1"]}, "target[0]: '4/res/1' is no node"),
    ({"edges": [{**EDGE, "from": "9/res/9"}]}, "edges[0].from: '9/res/9' is no node"),
    ({"edges": [{**EDGE, "to": None}]}, "edges[0].to: None is no node"),
    ({"edges": [EDGE, EDGE]}, "is there twice"),
    ({"edges": [{**EDGE, "to": "1/res/2"}]}, "leads from 1/res/2 to itself"),
    ({"edges": [EDGE, {**EDGE, "from": EDGE["to"], "to": EDGE["from"]}]},
     "edges[1] leads from 2/res/3 to 1/res/2, which a model does not compute later"),
    ({"nodes": [NODE, {"feature": "2/res/3"}, {"feature": "2/mlp/3"}], "edges": [{**EDGE, "from": "2/res/3", "to": "2/mlp/3"}]},
     "edges[0] leads from 2/res/3 to 2/mlp/3, which a model does not compute later"),
    ({"nodes": [NODE, {"feature": "2/res/3"}, {"feature": "2/res/4"}], "edges": [{**EDGE, "from": "2/res/3", "to": "2/res/4"}]},
     "edges[0] leads from 2/res/3 to 2/res/4, which"),
    ({"nodes": [{"feature": "1/new/2"}, {"feature": "1/other/3"}, {"feature": "2/res/3"}],
      "edges": [{**EDGE, "from": "1/new/2", "to": "1/other/3"}, {**EDGE, "from": "1/other/3", "to": "1/new/2"}]},
     "is a cycle; edges lead from earlier features to later ones"),
    ({"nodes": [{"feature": "01/res/2"}]}, "nodes[0]: '01/res/2' is no feature"),
    ({"nodes": [{"feature": "١/res/2"}]}, "nodes[0]: '١/res/2' is no feature"),
    ({"nodes": [{"feature": "1/res/" + "9" * 1000}]}, "… is no feature; features are such as"),
    ({"target": None}, "graphs.faith.target must be a list"),
    ({"edges": [{**EDGE, "similarity": 1e300}]}, "edges[0].similarity is 1e+300; it is a number up to 1"),
    ({"edges": [{**EDGE, "similarity": -1e300}]}, "edges[0].similarity is -1e+300; it is a number up to 1"),
    ({"edges": [{**EDGE, "similarity": 10 ** 400}]}, "…; it is a number up to 1"),
    ({"edges": [{**EDGE, "effect": 1.5}]}, "edges[0].effect is 1.5; it is a number up to 1"),
    ({"edges": [{**EDGE, "similarity": None}]}, "similarity is missing"),
    ({"edges": [{**EDGE, "similarity": "0.5"}]}, "similarity is '0.5'"),
    ({"edges": [{**EDGE, "effect": True}]}, "effect is True"),
    ({"edges": ["x"]}, "edges[0] must be an object"),
])
def test_what_is_no_graph_is_told(changed, words):
    with pytest.raises(WeirError, match=re.escape(words)):
        graph.loads(json.dumps({"graphs": {"faith": {**PAIR, **changed}}}), "graphs.json")


@pytest.mark.parametrize("text, words", [("{", "not valid JSON"), ("[]", "has no graph"), ('{"graphs": {}}', "has no graph"),
                                         ('{"graphs": {"a": 3}}', "graphs.a must be"), ("[" * 100000, "not valid JSON"),
                                         (json.dumps({"graphs": {"a": PAIR}}).replace("0.5", "NaN"), "NaN is no number"),
                                         (json.dumps({"graphs": {"a": PAIR}}).replace("0.5", "1e999"), "edges[0].similarity is inf"),
                                         ('{"graphs": {"a": 1, "b": 2, "a": 3}}', "the key 'a' is there twice in one object"),
                                         ('{"graphs": {"\\u001b[31m\\ud800": 3}}', "graphs.␛[31m\ufffd must be")])
def test_what_is_no_json_is_told(text, words):
    with pytest.raises(WeirError, match=re.escape(words)):
        graph.loads(text, "graphs.json")


def test_a_file_that_is_no_graph_is_an_input_error_and_nothing_is_written(tmp_path, capsys):
    path, features = tmp_path / "graphs.json", tmp_path / "features.json"
    for changed, words in (({"edges": [{**EDGE, "similarity": 1e300}]}, "graphs.faith.edges[0].similarity is 1e+300"),
                           ({"edges": [{**EDGE, "from": "2/res/3", "to": "1/res/2"}]}, "graphs.faith.edges[0] leads from")):
        path.write_text(json.dumps({"graphs": {"faith": {**PAIR, **changed}}}))
        for asked in (["-o", str(tmp_path / "x.html")], ["-o", str(tmp_path / "x.svg")], ["--story"]):
            assert main(["picture", str(path), *asked]) == 2
            said = capsys.readouterr()
            assert f"error: {path}: {words}" in said.err and not said.out
    path.write_text(json.dumps({"graphs": {"faith": PAIR}}))
    features.write_text(json.dumps({"features": [{"feature": "1/res/2", "density": 3}]}))
    assert main(["picture", str(path), "-o", str(tmp_path / "x.html"), "--features", str(features)]) == 2
    assert f"error: {features}: features[0]: density is no share of tokens" in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == [features, path]


def test_numbers_out_of_the_ordinary_are_drawn(tmp_path):
    """Minus a mean squared error may be anything below zero."""
    one = graph.of("far", {**PAIR, "edges": [{**EDGE, "similarity": -123456.0, "effect": -1e9}]})
    for text in (command.render([one], ".html", {}), command.render([one], ".svg", {}), story.as_text(one, {})):
        assert "-1.23e+05" in text and "-1e+09" in text and len(text) < 200_000


@pytest.mark.parametrize("kind", ["html", "svg"])
def test_a_full_disk_names_the_file(tmp_path, kind):
    """A limit on the size of files stands for it."""
    arguments, path = as_files(tmp_path, {"a": PAIR}), tmp_path / f"x.{kind}"
    done = subprocess.run([sys.executable, "-c", "import resource, sys; from weir.__main__ import main;"
                           "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)); sys.exit(main(sys.argv[1:]))",
                           "picture", *arguments, "-o", str(path)], capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr == f"error: {path}: File too large\n"
    assert sorted(tmp_path.iterdir()) == [tmp_path / "graphs.json"]


@pytest.mark.parametrize("row, words", [
    ({}, '"feature" is missing'), ({"feature": "1/res/2", "density": "x"}, "density is no number"),
    ({"feature": "1/res/2", "promotes": [{"token": 3, "logit": 1}]}, "promotes has an entry"),
    ({"feature": "1/res/2", "contexts": [{"tokens": ["a"], "activations": []}]}, "as many tokens as activations"),
    ({"feature": "1/res/2", "neighbours": [3]}, "neighbours must be a list of objects"),
    ({"feature": "1/res/2", "mean": 10 ** 400}, "mean is no number"), ({"feature": "1/res/2", "density": -1}, "density is no share"),
    ({"feature": "1/res/2", "contexts": [{"tokens": ["a"], "activations": [1], "source": 3}]}, "a source that is no text"),
    ({"feature": "1/res/2", "contexts": [{"tokens": ["a"], "activations": [1], "position": "x"}]}, "a position that is no number"),
    ({"feature": "1/res/2", "neighbours": [{"feature": "1/res/3", "similarity": 0.5, "by": []}]}, "'by' that is no text")])
def test_what_is_no_list_of_features_is_told(row, words):
    with pytest.raises(WeirError, match=re.escape(words)):
        about.loads(json.dumps({"features": [row]}), "features.json")


def test_wrong_usage_is_told(tmp_path, capsys):
    arguments = as_files(tmp_path, {"a": PAIR, "b": PAIR})
    for more, words in ((["-o", str(tmp_path / "x.png")], "pictures are .html and .svg"), (["-o", str(tmp_path / "x.svg")], "name one of a, b"),
                        (["-o", str(tmp_path / "x.svg"), "--graph", "c"], "there is no graph 'c'; there are a, b\n"),
                        (["-o", str(tmp_path / "x.html"), "--features", str(tmp_path / "none.json")], "none.json")):
        assert main(["picture", *arguments, *more]) == 1
        assert words in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["graphs.json"]
    for more, words in ((["--story", "-o", "x.svg"], "not allowed with"), ([], "is required"), (["--story", "--text", "a.txt"], "--text needs --spec")):
        with pytest.raises(SystemExit):
            main(["picture", *arguments, *more])
        assert words in capsys.readouterr().err


def test_only_pictures_are_replaced(tmp_path, capsys):
    arguments = as_files(tmp_path, {"a": PAIR})
    for kind in ("html", "svg"):
        path = tmp_path / f"x.{kind}"
        path.write_text("")
        assert [main(["picture", *arguments, "-o", str(path)]) for _ in range(2)] == [0, 0]
        path.write_text("<html>mine</html>")
        assert main(["picture", *arguments, "-o", str(path)]) == 1 and "no picture of Weir's" in capsys.readouterr().err
        assert path.read_text() == "<html>mine</html>"


def test_features_of_several_dictionaries_have_their_names():
    one = graph.of("faith", {"target": [], "nodes": [{"feature": "a:1/res/2"}, {"feature": "b:1/res/2"}], "edges": []})
    placed = layout.place(one)
    assert placed.lines == [("a:2",), ("b:2",)] and placed.x[0] != placed.x[1]


#===---- The story ---------------------------------------------------------------------------------===#

def chain(*edges, target: str) -> graph.FlowGraph:
    names = sorted({name for edge in edges for name in edge[:2]} | {target})
    return graph.of("london", {"target": [target], "nodes": [{"feature": name, "label": {"11/res/1": "London"}.get(name)} for name in names],
                               "edges": [{"from": a, "to": b, "similarity": s, "effect": e} for a, b, s, e in edges]})


LONDON = chain(("10/mlp/7", "10/res/4", 0.41, 0.3), ("10/res/4", "11/res/1", 0.44, None), ("10/res/4", "11/res/9", 0.38, None),
               ("11/att/5", "11/res/1", 0.35, None), ("11/res/1", "12/res/2", 0.8, 0.7), ("10/res/6", "11/res/1", 0.4, None),
               ("11/res/9", "13/res/8", 0.6, None), target="11/res/1")


def known(feature: str, promotes: list[str], peaks: list[str], density: float) -> dict:
    return {"feature": feature, "density": density, "promotes": [{"token": f" {word}", "logit": 1.0} for word in promotes],
            "contexts": [{"document": 0, "position": 3, "tokens": [" the", f" {word}", "."], "activations": [0.5, 4.0, 0.0]}
                         for word in peaks]}


def test_a_story_says_where_a_target_comes_from_and_where_it_goes():
    text = " ".join(story.as_text(LONDON, {}).split())
    for sentence in ("8 features of layers 10 to 13, 7 edges.", "The target is London (11/res/1), a feature of the residual stream of layer 11.",
                     "Followed back along the most similar features, its line begins with 10/res/4, which emerges in layer 10, out of the "
                     "MLP (10/mlp/7, 0.41, effect 0.30).",
                     "From there it goes on through the target (0.44) to 12/res/2 (0.80, effect 0.70).",
                     "On the way attention of layer 11 (11/att/5, 0.35) writes to it.",
                     "It changes most between 10/res/4 and the target (similarity 0.44).",
                     "It ends in layer 12 as 12/res/2: no feature of layer 13 is similar enough.",
                     "London (11/res/1) also takes up 10/res/6 (0.40).",
                     "10/res/4 splits in layer 11, into London (11/res/1) (0.44) and 11/res/9 (0.38).",
                     "Steering its early features takes along what else they mean. 10/res/4 also leads to 11/res/9."):
        assert sentence in text, sentence
    assert "drift" not in text


def test_a_story_says_what_early_features_mean_besides():
    rows = [known("10/res/4", ["London", "fashion"], ["show", "London"], 0.02), known("11/res/1", ["London"], ["London", "Thames"], 0.01),
            known("12/res/2", ["London", "UK"], ["England", "Thames"], 0.004)]
    text = " ".join(story.as_text(LONDON, {row["feature"]: row for row in rows}).split())
    for sentence in ("Its contexts drift. 10/res/4 fires most on “show”, “London”; 12/res/2 on “England”, “Thames”.",
                     "They change most between 10/res/4 and London (11/res/1), which share 33% of the tokens at which they peak.",
                     "The first fires on 2.00% of all tokens, the last on 0.40%.",
                     "10/res/4 also fires on “show”, promotes “fashion” and leads to 11/res/9."):
        assert sentence in text, sentence


@pytest.mark.parametrize("edges, target, sentence", [
    ([], "3/res/1", "It comes from nowhere in layer 3"),
    ([("3/res/1", "4/res/1", 0.9, None)], "4/res/1", "begins with 3/res/1, which is there in layer 3 already, where the graph begins."),
    ([("3/res/1", "4/res/1", 0.9, None)], "3/res/1", "It goes on to 4/res/1 (0.90)."),
    ([("4/mlp/1", "4/res/1", 0.3, None), ("4/res/1", "5/res/1", 0.9, None)], "4/mlp/1",
     "It has nothing before it in the graph. It goes on through 4/res/1 (0.30) to 5/res/1 (0.90). It changes most between"),
    ([("3/res/1", "4/res/1", 0.9, None)], "4/res/1", "The graph ends with it in layer 4."),
    ([("3/res/1", "4/res/1", 0.9, None)], "3/res/1", "In layer 4, where the graph ends, it is still there as 4/res/1."),
    ([("4/mlp/1", "4/res/1", 0.3, None), ("4/res/2", "5/res/1", 0.9, None)], "4/mlp/1", "a feature of the MLP of layer 4")])
def test_stories_of_small_graphs(edges, target, sentence):
    assert sentence in " ".join(story.as_text(chain(*edges, target=target), {}).split())


def test_a_graph_without_a_target_is_told_by_its_ends():
    """A difference may take targets away."""
    names = ["3/res/1", "4/res/1", "4/att/7", "5/res/2"]
    text = " ".join(story.as_text(graph.of("less", {"target": [], "nodes": [{"feature": name} for name in names], "edges": [
        {"from": "3/res/1", "to": "4/res/1", "similarity": 0.9}, {"from": "4/res/1", "to": "5/res/2", "similarity": 0.8}]}), {}).split())
    assert text.startswith("less ==== 4 features of layers 3 to 5, 2 edges. It has no target. Joined with nothing: 4/att/7. A line ends in "
                           "5/res/2, a feature of the residual stream of layer 5, and begins with 3/res/1. From there it goes on through "
                           "4/res/1 (0.90) to 5/res/2 (0.80).")
    assert "nowhere" not in text and "similar enough" not in text


def test_a_story_names_a_module_once():
    text = " ".join(story.as_text(chain(*((f"4/{site}/{index}", "4/res/1", 0.5 - index / 20, None) for site in ("mlp", "att")
                                          for index in range(1, 3)), target="4/res/1"), {}).split())
    assert "It emerges in layer 4, out of the MLP (4/mlp/1, 0.45; 4/mlp/2, 0.40) and attention (4/att/1, 0.45; 4/att/2, 0.40)." in text


def test_a_story_leaves_pieces_of_characters_out():
    assert about.fires_on(known("1/res/2", [], ["\ufffd", "war"], 0.1)) == ["war"]
    assert about.promotes(known("1/res/2", ["\ufffd\ufffd", "song"], [], 0.1)) == ["song"]


def test_a_story_is_printed(tmp_path, capsys):
    data, features = hostile_graph()
    arguments = as_files(tmp_path, {"faith": data, "second": PAIR}, features)
    assert main(["picture", *arguments, "--story"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("faith\n=====\n") and "\nsecond\n======\n" in text
    assert all(character == "\n" or character.isprintable() for character in text)


@pytest.mark.parametrize("data", [
    {"target": ["3/res/1"], "nodes": [{"feature": "3/res/1", "label": None}], "edges": []},
    {"target": [], "nodes": [{"feature": "3/res/1"}, {"feature": "4/res/1"}],
     "edges": [{"from": "3/res/1", "to": "4/res/1", "similarity": -2.5, "effect": None}]},
    {"target": ["3/mlp/1", "3/mlp/2"], "nodes": [{"feature": f"3/{site}/{index}"} for site in ("mlp", "att") for index in (1, 2)],
     "edges": [{"from": f"3/att/{index}", "to": f"3/mlp/{index}", "similarity": 0.5, "effect": 0.0} for index in (1, 2)]},
], ids=["one node", "no target", "edges within a layer's modules"])
def test_pages_of_odd_graphs_work(browser, tmp_path, data):
    command.write(as_files(tmp_path, {"odd": data})[0], tmp_path / "page.html")
    browser.open(tmp_path / "page.html")
    browser.run("document.querySelector('.n').focus()")
    for key in ("ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "Enter", "Escape"):
        browser.key(key)
    browser.run("cut_ = document.getElementById('cut'); cut_.value = cut_.max; cut_.dispatchEvent(new Event('input'))")
    assert not browser.errors and browser.run("document.querySelectorAll('.nodes > .n:not(.cut)').length") == len(data["nodes"])
    seen = browser.run(OVERLAPS)
    assert (seen["overlaps"], seen["outside"], seen["numbers"]) == (0, 0, 0)
