# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The flow graphs of a spec, as `weirc graph` builds, draws and tells them."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy

from .compiler import weirc


@dataclass(frozen=True)
class Graph:
    """A graph of N features and E edges, which lead from what a model computes earlier to what it computes later.

    features      N texts such as "11/res/743", or "sae:11/res/743" where there are several dictionaries, by layer
    labels        N names, None for a feature without one
    targets       positions of the features that the graph is about, int64
    sources, ends positions of the two ends of each edge, int64 [E]
    similarities  float64 [E]
    effects       float64 [E]: the causal effect, NaN where it was not measured
    """

    features: list[str]
    labels: list[str | None]
    targets: numpy.ndarray
    sources: numpy.ndarray
    ends: numpy.ndarray
    similarities: numpy.ndarray
    effects: numpy.ndarray


def _graph(data: dict) -> Graph:
    features = [node["feature"] for node in data["nodes"]]
    position = {feature: number for number, feature in enumerate(features)}

    def positions(names) -> numpy.ndarray:
        return numpy.array([position[name] for name in names], numpy.int64)

    edges = data["edges"]
    # None becomes NaN.
    return Graph(features, [node["label"] for node in data["nodes"]], positions(data["target"]),
                 positions(edge["from"] for edge in edges), positions(edge["to"] for edge in edges),
                 numpy.array([edge["similarity"] for edge in edges], numpy.float64),
                 numpy.array([edge["effect"] for edge in edges], numpy.float64))


def graph(spec: str | os.PathLike, name: str | None = None, **options) -> dict[str, Graph]:
    """Builds the graphs that `spec` declares, or the one called `name`, and returns them by name.

    `options` are those of `weirc graph --help`: model="a.pt2", cache="folder", threads=2, output="graphs.dot", …; with
    text="text.jsonl" graphs that name no text have the effects that `weirc validate` measured on this one.
    Raises CompileError with all messages when the spec, the model or a dictionary is refused.
    """
    names = [] if name is None else [name]
    return {each: _graph(data) for each, data in weirc("graph", os.fspath(spec), *names, shows_progress=True, **options)["graphs"].items()}


def picture(spec: str | os.PathLike, output: str | os.PathLike, name: str | None = None, **options) -> dict[str, Graph]:
    """Writes the graphs that `spec` declares, or the one called `name`, into a file (`weirc graph -o`), and returns them.

    output   .html: a page of all graphs that loads nothing; .svg: a picture of one; .dot, .json, .graphml: for other
             programs. It appears whole or not at all, and a file that is there is replaced only if it is one of these
    options  those of `weirc graph --help`: for .html and .svg also what the features mean, text="text.jsonl" (with
             max_tokens=4096), or features="features.json" of what `weirc features --json` has printed

    Raises CompileError with all messages, among them those about Graphviz, which draws pages and pictures.
    """
    return graph(spec, name, output=output, **options)


@dataclass(frozen=True)
class Story:
    """A graph told as text: where its targets come from, change and go to.

    graph       what it is about
    paragraphs  texts without line breaks
    text        the same with the graph's name above, in lines of at most 100 characters, as `weirc graph --story` prints it
    """

    graph: Graph
    paragraphs: list[str]
    text: str


def story(spec: str | os.PathLike, name: str | None = None, *, text: str | os.PathLike | None = None,
          features: str | os.PathLike | None = None, max_tokens: int | None = None, **options) -> dict[str, Story]:
    """Tells the graphs that `spec` declares, or the one called `name`, and returns their stories by name.

    text, features, max_tokens  what the features mean, as in `picture`; 16,384 tokens of a text unless said, 0 for all. With
                                a text also the effects that `weirc validate` measured on it
    options                     those of `weirc graph --help`: model="a.pt2", cache="folder", …

    Raises CompileError with weirc's messages, WeirError for a text or a file that cannot be read.
    """
    from .errors import WeirError
    from .meaning import windows
    from .pictures import about, command, story as telling
    from .pictures import graph as read

    if text is not None and features is not None:
        raise WeirError("give one of text and features")
    found = weirc("graph", os.fspath(spec), *([] if name is None else [name]), text=text, shows_progress=True, **options)["graphs"]
    drawn = {each: read.of(each, data) for each, data in found.items()}
    known = {} if features is None else about.read(features)
    if text is not None:
        known = command.describe(list(drawn.values()), spec, text, model=options.get("model"), cache=options.get("cache"),
                                 max_tokens=windows.MAX_TOKENS if max_tokens is None else max_tokens or None)
    return {each: Story(_graph(found[each]), telling.paragraphs(one, known), telling.as_text(one, known)) for each, one in drawn.items()}
