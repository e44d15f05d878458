# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Flow graphs as weirc writes them, drawn at random, and what is known of their features."""

from __future__ import annotations

import random

WORDS = "war battle army soldier peace song music piano river church god of and to in law court price market".split()


def random_graph(nodes: int, width: int = 1, layers=range(9, 17), seed: int = 0, sites=("res", "mlp", "att"),
                 effects: bool = True) -> dict:
    """A graph of about so many nodes in which each residual feature has `width` features of each module, and of the layer
    before it."""
    draw = random.Random(seed)
    layers = list(layers)
    each = max(1, nodes // (len(layers) * len(sites) - len(sites) + 1))
    found = {(layer, site): draw.sample(range(30000), each) for layer in layers for site in sites
             if site == "res" or layer > layers[0]}
    edges = {}
    for layer in layers[1:]:
        for index, feature in enumerate(found[layer, "res"]):
            for site in sites:
                before = layer - 1 if site == "res" else layer
                for other in {found[before, site][index], *draw.choices(found[before, site], k=width - 1)}:
                    edges[f"{before}/{site}/{other}", f"{layer}/res/{feature}"] = None
    return {"target": [f"{layers[-1]}/res/{found[layers[-1], 'res'][0]}"],
            "nodes": [{"feature": f"{layer}/{site}/{feature}", "label": draw.choice([None, None, draw.choice(WORDS)])}
                      for (layer, site), features in found.items() for feature in features],
            "edges": [{"from": source, "to": destination, "similarity": round(draw.uniform(0.15, 0.95), 3),
                       "effect": round(draw.uniform(-0.2, 1), 2) if effects and draw.random() < 0.7 else None}
                      for source, destination in edges]}


def random_about(graph: dict, seed: int = 0) -> dict:
    """As weirc features prints it: what the features of a graph promote, and where they fire."""
    draw = random.Random(seed)
    rows = []
    for node in graph["nodes"]:
        own = draw.sample(WORDS, 4)
        contexts = []
        for number in range(3):
            tokens = [" " + draw.choice(WORDS) for _ in range(21)]
            activations = [round(draw.uniform(1, 12), 2) if draw.random() < 0.2 else 0.0 for _ in tokens]
            tokens[14], activations[14] = " " + own[number], round(draw.uniform(12, 20), 2)
            contexts.append({"document": number, "source": draw.choice([None, "Henry V"]), "position": 100 + number,
                             "tokens": tokens, "activations": activations})
        rows.append({"feature": node["feature"], "label": node["label"], "density": draw.uniform(0.0005, 0.03),
                     "mean": draw.uniform(2, 6), "largest": 20.1, "contexts": contexts,
                     "promotes": [{"token": " " + word, "logit": draw.uniform(2, 12)} for word in own],
                     "neighbours": [{"feature": other["feature"], "similarity": draw.uniform(0.2, 0.9)}
                                    for other in draw.sample(graph["nodes"], min(3, len(graph["nodes"])))]})
    return {"features": rows}
