# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""From matches to a graph, what in it is a cause, a plan over it and a page: a notebook as a script.

    python examples/smollm2/walkthrough.py [FOLDER]

Editors that know cells (`# %%`) run it piece by piece. Files go to FOLDER, or a new temporary one.
"""

# %% The model, exported once and found again, and a spec with a graph
import sys
import tempfile
from pathlib import Path

import weir
import weir.export

HERE = Path(__file__).resolve().parent
FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="weir-walkthrough-"))
SPEC, TEXT = HERE / "cuts.yaml", HERE / "text" / "heldout.jsonl"
MODEL = weir.export.cached("smollm2")

# %% Which features of neighbouring layers belong together: cosines of the pairs of the residual stream
for pair in weir.match(SPEC, model=MODEL)["matches"]:
    if pair["source"].startswith("res.") and pair["target"].startswith("res.") and pair["steps"] == 1:
        print(f"{pair['source']} -> {pair['target']}: {pair['cosines']['median']:.2f}")

# %% The graph around a feature about war, as arrays
war = weir.graph(SPEC, "papers", model=MODEL)["papers"]
for source, end, similarity in zip(war.sources, war.ends, war.similarities):
    print(f"{war.features[source]:>12} -> {war.features[end]:<12} {similarity:.2f}")

# %% Are its edges causes? What leads to a feature is taken away, and it is seen whether the feature goes out
checked = weir.validate(SPEC, TEXT, graph="papers", method="edges", model=MODEL, max_tokens=2000, occurrences=3)
measured = checked.edges.cases > 0
print(f"{measured.sum()} of {len(measured)} edges have a case, with a mean effect of {checked.edges.effect[measured].mean():.2f}")

# %% How strong? The graph promoted at two strengths, in one batch beside the plain model
swept = weir.sweep(SPEC, "much=0.3:0.4:2", plan="papers", model=MODEL, text=TEXT, max_tokens=100, prompt=["The house"],
                   max_new_tokens=16, words=(HERE / "war_words.txt").read_text().strip())
for value, change, texts in zip(swept.values, swept.change[0], swept.texts[0]):
    print(f"{value:.1f}: {change:+.2f} nats, The house{texts[0]!r}")

# %% A page and a story
weir.picture(SPEC, FOLDER / "war.html", "papers", model=MODEL)
print(weir.story(SPEC, "papers", model=MODEL)["papers"].text)
print(f"{FOLDER / 'war.html'} has the graph")
