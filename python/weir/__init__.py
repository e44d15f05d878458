# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Weir compiles intervention plans for language models.

    weir.export.export("smollm2", "smollm2.pt2")       a Hugging Face model becomes a program
    weir.compile("spec.yaml", "steered")               weirc puts the plans of a spec into it
    program = weir.load("steered")                     and this runs it
    program.generate(["I think"], plan="default", knobs={"faith": 2})
    program("I think", plan="default").logits          one forward pass; also of token ids
    program.loss(["I think so."], plan="default")
    weir.match("spec.yaml", engine="ray")              matches features across layers, on several machines
    weir.validate("spec.yaml", "text.jsonl", sample=20)  sees which of these matches are causes

The compiler is weirc and the runner with tokenizer and sampling is weir-run; this package calls
them, or torch, and repeats neither.
"""

__version__ = "0.1.0"  # as in CMakeLists.txt

from .compiler import CompileError, compile, tool
from .errors import WeirError
from .matches import match
from .generation import Generated
from .programs import Output, Program, load
from .validation import Validation, validate

__all__ = ["CompileError", "Generated", "Output", "Program", "Validation", "WeirError", "compile", "load", "match", "tool",
           "validate"]
