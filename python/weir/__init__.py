# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Weir compiles intervention plans for language models.

    weir.export.export("smollm2", "smollm2.pt2")       a Hugging Face model becomes a program
    weir.compile("spec.yaml", "steered")               weirc puts the plans of a spec into it
    program = weir.load("steered")                     and this runs it
    weir.fold("spec.yaml", "folded", to="checkpoint")  a plan as weights, for other engines
    program.generate(["I think"], plan="default", knobs={"faith": 2})
    program("I think", plan="default").logits          one forward pass; also of token ids
    program.loss(["I think so."], plan="default")
    weir.attach(model, "steered", plan="default")      steers a live Hugging Face model
    weir.match("spec.yaml", engine="ray")              matches features across layers, on several machines
    weir.evaluate("spec.yaml", "held-out.jsonl")       what plans cost, how good dictionaries and matches are
    weir.sweep("spec.yaml", "faith=0:8:16", text="held-out.jsonl")  a plan under many values of a knob
    weir.features("spec.yaml", "text.jsonl")           what features mean: contexts, promoted tokens, neighbours
    weir.theme("spec.yaml", "text.jsonl", "war")       the features of a theme, and a spec that steers by them
    weir.graph("spec.yaml")                            how features flow across layers, as arrays
    weir.picture("spec.yaml", "graphs.html")           the same as a page, .svg, .dot, .json or .graphml
    weir.story("spec.yaml")                            the same told as text
    weir.validate("spec.yaml", "text.jsonl", sample=20)  sees which of these matches are causes

The compiler is weirc and the runner with tokenizer and sampling is weir-run; this package calls
them, or torch, and repeats neither.
"""

__version__ = "0.1.0"  # as in CMakeLists.txt

from .attachment import Attached, attach
from .compiler import CompileError, compile, tool
from .errors import WeirError
from .evaluation import Evaluation, Sweep, evaluate, sweep
from .folding import fold
from .graphs import Graph, Story, graph, picture, story
from .matches import match
from .generation import Generated
from .meaning.report import FeatureReport, features
from .meaning.theme import Theme, theme
from .programs import Output, Program, load
from .validation import Validation, validate

__all__ = ["Attached", "CompileError", "Evaluation", "FeatureReport", "Generated", "Graph", "Output", "Program", "Story", "Sweep", "Theme",
           "Validation", "WeirError", "attach", "compile", "evaluate", "features", "fold", "graph", "load", "match",
           "picture", "story", "sweep", "theme", "tool", "validate"]
