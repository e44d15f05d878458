# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A flow graph told: where its target emerges and out of what, where it splits, changes and ends, how its contexts drift on
the way, and what else its early features mean, which steering them takes along.

The terms are those of "Analyze Feature Flow to Enhance Interpretation and Steering" (arXiv 2502.03032): a feature comes
from the residual stream of the layer before, from its layer's MLP or attention, or from nowhere.
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass

from .about import fires_on, promotes, short, visible
from .graph import SITES, FlowGraph, decimals, reached

MOST_TARGETS = 6
_MOST_NAMED = 6
_WORDS = 5


@dataclass(frozen=True)
class Reference:
    """A feature that is spoken of."""

    node: int
    text: str


Paragraph = list["str | Reference"]


def _joined(parts: list, last: str = " and ", between: str = ", ") -> list:
    """Parts, each a text, a reference or a list of these, with commas between them."""
    result = []
    for index, part in enumerate(parts):
        if index:
            result.append(last if index == len(parts) - 1 else between)
        result += part if isinstance(part, list) else [part]
    return result


def _some(parts: list) -> list:
    """As `_joined`, of the first few."""
    if len(parts) <= _MOST_NAMED:
        return _joined(parts)
    return _joined([*parts[:_MOST_NAMED - 1], f"{len(parts) - _MOST_NAMED + 1} more"])


class _Story:
    def __init__(self, graph: FlowGraph, about: dict[str, dict]):
        self.graph, self.about = graph, about
        self.is_residual = [feature.site == "res" for feature in graph.features]

    def of(self, node: int) -> Reference:
        name = self.graph.features[node].name
        label = self.graph.labels[node] or self.about.get(name, {}).get("label")
        return Reference(node, f"{short(visible(label), 30)} ({name})" if label else name)

    def layer(self, node: int) -> int:
        return self.graph.features[node].layer

    def numbers(self, edge: int) -> str:
        effect = self.graph.effect[edge]
        return decimals(self.graph.similarity[edge]) + ("" if math.isnan(effect) else f", effect {decimals(effect)}")

    def sources(self, node: int, residual: bool) -> list[int]:
        """Edges to the node from residual features, or from modules."""
        return [edge for edge in self.graph.inward[node] if self.is_residual[int(self.graph.source[edge])] == residual]

    def followers(self, node: int) -> list[int]:
        return [edge for edge in self.graph.outward[node] if self.is_residual[int(self.graph.destination[edge])]]

    def chain(self, target: int) -> tuple[list[int], list[int]]:
        """The most similar residual features before the target and behind it: edges, in the order of the layers."""
        before, node, seen = [], target, {target}
        while edges := [edge for edge in self.sources(node, True) if int(self.graph.source[edge]) not in seen]:
            before.append(edges[0])
            node = int(self.graph.source[edges[0]])
            seen.add(node)
        behind, node = [], target
        while edges := [edge for edge in self.followers(node) if int(self.graph.destination[edge]) not in seen]:
            behind.append(edges[0])
            node = int(self.graph.destination[edges[0]])
            seen.add(node)
        return before[::-1], behind

    #===---- Sentences -----------------------------------------------------------------------------===#

    @staticmethod
    def module_name(site: str) -> str:
        return {"mlp": "the MLP", "att": "attention", "mid": "what attention leaves", "head": "a head"}.get(site, site)

    def modules(self, edges: list[int], with_layer: bool = True) -> tuple[list, bool]:
        """What features of modules write, a module once, and whether that is more than one thing."""
        named = edges if len(edges) <= _MOST_NAMED else edges[:_MOST_NAMED - 1]
        groups: dict[tuple, list[list]] = {}
        for edge in named:
            source = int(self.graph.source[edge])
            groups.setdefault((self.graph.features[source].site, self.layer(source)), []).append([self.of(source), f", {self.numbers(edge)}"])
        parts = [[f"{self.module_name(site)}{f' of layer {layer}' if with_layer else ''} (", *_joined(some, "; ", "; "), ")"]
                 for (site, layer), some in groups.items()]
        if len(named) < len(edges):
            parts.append([f"{len(edges) - len(named)} more"])
        return _joined(parts), len(parts) > 1

    def emergence(self, first: int, target: int) -> Paragraph:
        """Where the line of features that ends in the target, or goes on from it, begins."""
        layer = self.layer(first)
        modules = self.sources(first, False)
        it = ["It"] if first == target else ["Followed back along the most similar features, its line begins with ", self.of(first), ", which"]
        if modules:
            return [*it, f" emerges in layer {layer}, out of ", *self.modules(modules, with_layer=False)[0], ". "]
        if layer == self.graph.layers[0] and len(self.graph.layers) > 1 and self.is_residual[first]:
            return [*it, f" is there in layer {layer} already, where the graph begins. "]
        if not self.is_residual[first]:
            return [*it, " has nothing before it in the graph. "]
        return [*it, f" comes from nowhere in layer {layer}: no feature of the layer before, of its MLP or of its attention is "
                "similar enough. "]

    def way(self, chain: list[int], target: int) -> Paragraph:
        if not chain:
            return []
        first = int(self.graph.source[chain[0]])

        def called(node: int) -> "str | Reference":
            return Reference(node, "the target") if node == target and node != first and target in self.graph.target else self.of(node)

        steps = [[called(int(self.graph.destination[edge])), f" ({self.numbers(edge)})"] for edge in chain]
        result: Paragraph = ["It goes on " if first == target else "From there it goes on "]
        if len(steps) > 1:
            result += ["through ", *_joined(steps[:-1]), " "]
        result += ["to ", *steps[-1], ". "]
        line = {first, *(int(self.graph.destination[edge]) for edge in chain)}
        joining = [one for edge in chain for one in self.sources(int(self.graph.destination[edge]), False)
                   if int(self.graph.source[one]) not in line]
        joining.sort(key=lambda edge: -self.graph.similarity[edge])
        if joining:
            writers, several = self.modules(joining)
            result += ["On the way ", *writers, " write" if several else " writes", " to it. "]
        weakest = min(chain, key=lambda edge: self.graph.similarity[edge])
        if len(chain) > 1:
            result += ["It changes most between ", called(int(self.graph.source[weakest])), " and ",
                       called(int(self.graph.destination[weakest])), f" (similarity {decimals(self.graph.similarity[weakest])}). "]
        return result

    def meetings(self, nodes: list[int]) -> Paragraph:
        """Where lines of residual features come together, and where they part."""
        result: Paragraph = []
        meeting = [node for node in nodes if len(self.sources(node, True)) > 1]
        parting = [node for node in nodes if len(self.followers(node)) > 1]
        for node in meeting[:_MOST_NAMED]:
            result += [self.of(node), " also takes up ",
                       *_some([[self.of(int(self.graph.source[edge])), f" ({self.numbers(edge)})"]
                               for edge in self.sources(node, True)[1:]]), ". "]
        for node in parting[:_MOST_NAMED]:
            edges = self.followers(node)
            result += [self.of(node), f" splits in layer {self.layer(int(self.graph.destination[edges[0]]))}, into ",
                       *_some([[self.of(int(self.graph.destination[edge])), f" ({self.numbers(edge)})"] for edge in edges]), ". "]
        return result

    def end(self, last: int, target: int) -> Paragraph:
        layer = self.layer(last)
        if layer < self.graph.layers[-1]:
            return [f"It ends in layer {layer}", *([] if last == target else [" as ", self.of(last)]),
                    f": no feature of layer {layer + 1} is similar enough."]
        if last == target:
            return [f"The graph ends with it in layer {layer}."]
        return [f"In layer {layer}, where the graph ends, it is still there as ", self.of(last), "."]

    #===---- What features mean --------------------------------------------------------------------===#

    def known(self, node: int) -> dict:
        return self.about.get(self.graph.features[node].name, {})

    def fires_on(self, node: int) -> list[str]:
        return fires_on(self.known(node))

    def promotes(self, node: int) -> list[str]:
        return promotes(self.known(node))

    @staticmethod
    def quoted(words: list[str]) -> str:
        return ", ".join(f"“{short(visible(word), 24)}”" for word in words[:_WORDS])

    def drift(self, line: list[int]) -> Paragraph:
        told = [node for node in line if self.fires_on(node)]
        if len(told) < 2:
            return []
        first, last = told[0], told[-1]
        result: Paragraph = ["Its contexts drift. ", self.of(first), f" fires most on {self.quoted(self.fires_on(first))}; ",
                             self.of(last), f" on {self.quoted(self.fires_on(last))}. "]
        shares = []
        for one, other in zip(told, told[1:]):
            mine, theirs = ({word.casefold() for word in self.fires_on(node)} for node in (one, other))
            shares.append((len(mine & theirs) / len(mine | theirs), one, other))
        share, one, other = min(shares)
        common = f"{share:.0%} of the tokens at which they peak" if share else "none of the tokens at which they peak"
        if len(told) == 2:
            result.append(f"They share {common}. ")
        else:
            result += ["They change most between ", self.of(one), " and ", self.of(other), f", which share {common}. "]
        dense = [self.known(node).get("density") for node in (first, last)]
        if None not in dense and dense[0] and dense[1]:
            result.append(f"The first fires on {dense[0]:.2%} of all tokens, the last on {dense[1]:.2%}. ")
        return result

    def other_meanings(self, target: int, line: list[int]) -> Paragraph:
        own = {word.casefold() for word in [*self.promotes(target), *self.fires_on(target)]}
        early = sorted(reached(self.graph, [target], backward=True, forward=False) - {target},
                       key=lambda node: (self.layer(node), not self.is_residual[node], self.graph.features[node].index))
        result: Paragraph = []
        told = 0
        lineage = reached(self.graph, [target], backward=True, forward=True)
        for node in early:
            if not self.is_residual[node] or told == _MOST_NAMED:
                continue
            fires, raises = ([word for word in words if word.casefold() not in own] for words in (self.fires_on(node), self.promotes(node)))
            strangers = [self.of(int(self.graph.destination[edge])) for edge in self.followers(node)
                         if int(self.graph.destination[edge]) not in lineage]
            does = [*([f"fires on {self.quoted(fires)}"] if fires else []), *([f"promotes {self.quoted(raises)}"] if raises else []),
                    *([["leads to ", *_some(strangers)]] if strangers else [])]
            if does:
                told += 1
                result += [self.of(node), " also ", *_joined(does), ". "]
        return ["Steering its early features takes along what else they mean. ", *result] if result else []

    def target(self, target: int) -> list[Paragraph]:
        before, behind = self.chain(target)
        line = [*(int(self.graph.source[edge]) for edge in before), target, *(int(self.graph.destination[edge]) for edge in behind)]
        feature = self.graph.features[target]
        is_target = target in self.graph.target
        opening: Paragraph = ["The target is " if is_target else "A line ends in ", self.of(target),
                              f", a feature of the {SITES.get(feature.site, feature.site)} of layer {feature.layer}"]
        if is_target:
            opening += [". ", *self.emergence(line[0], target), *self.way([*before, *behind], target), *self.end(line[-1], target)]
        else:  # where it comes from may have been taken away
            opening += [", and begins with ", self.of(line[0]), ". ", *self.way(before, target)]
        paragraphs = [opening, self.meetings(line), self.drift(line), self.other_meanings(target, line)]
        return [paragraph for paragraph in paragraphs if paragraph]


def tell(graph: FlowGraph, about: dict[str, dict]) -> list[Paragraph]:
    """The story, by paragraphs of texts and references to features. `about` as about.py reads it; without it, it is told what
    the graph alone says."""
    story = _Story(graph, about)
    layers = graph.layers
    where = f"layer {layers[0]}" if len(layers) == 1 else f"layers {layers[0]} to {layers[-1]}"
    edges = len(graph.source)
    begin: Paragraph = [f"{len(graph)} feature{'' if len(graph) == 1 else 's'} of {where}, {edges} edge{'' if edges == 1 else 's'}."]
    told = graph.target
    if not told:
        # Such as a difference, which took its targets away.
        begin.append(" It has no target.")
        told = [node for node, out in enumerate(graph.outward) if not out and story.sources(node, True)]
        alone = [node for node, out in enumerate(graph.outward) if not out and not graph.inward[node]]
        if alone:
            begin += [" Joined with nothing: ", *_some([story.of(node) for node in alone]), "."]
    paragraphs = [begin]
    for target in told[:MOST_TARGETS]:
        paragraphs += story.target(target)
    if len(told) > MOST_TARGETS:
        paragraphs.append([f"Of {len(told)} {'targets' if graph.target else 'ends'} these were the first {MOST_TARGETS}."])
    return paragraphs


def paragraphs(graph: FlowGraph, about: dict[str, dict]) -> list[str]:
    """The story as texts."""
    return ["".join(part if isinstance(part, str) else part.text for part in paragraph).strip() for paragraph in tell(graph, about)]


def as_text(graph: FlowGraph, about: dict[str, dict], width: int = 100) -> str:
    """The story as lines of at most `width` characters, with the graph's name above."""
    name = visible(graph.name)
    filled = (textwrap.fill(text, width, break_long_words=False) for text in paragraphs(graph, about))
    return "\n\n".join([f"{name}\n{'=' * len(name)}", *filled]) + "\n"
