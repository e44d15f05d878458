# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs the text of a lowered fx.program with PyTorch, one call a line."""

import re

import numpy
import torch

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16,
          "i64": torch.int64, "i1": torch.bool}
HEXADECIMAL = {"f32": numpy.float32, "i64": numpy.int64}

# What stands in dense elements beside numbers. Infinities are written as bits.
LITERALS = {"true": True, "false": False, "inf": float("inf")}


def orthonormal(rows):
    """An orthonormal basis of the rows' span, padded with zero rows."""
    _, values, vectors = numpy.linalg.svd(rows.astype(numpy.float64),
                                          full_matrices=False)
    vectors[values < 1e-5] = 0
    return numpy.vstack([vectors, numpy.zeros((len(rows) - len(vectors),
                                               rows.shape[1]))])


class Recipe:
    """Evaluates the attribute of an fx.constant on given dictionaries."""

    def __init__(self, text, dictionaries, element):
        self.text, self.at, self.dictionaries, self.element = text, 0, dictionaries, element

    def eat(self, pattern):
        match = re.compile(r"\s*" + pattern).match(self.text, self.at)
        assert match, f"expected {pattern} at: {self.text[self.at:]}"
        self.at = match.end()
        return match

    def peek(self, literal):
        return self.text[self.at:].lstrip().startswith(literal)

    def numbers(self):
        inner = self.eat(r"\[([^\]]*)\]").group(1)
        return [float(n) for n in inner.split(",") if n.strip()]

    def value(self):
        if self.peek("dense<"):
            body = self.eat(r"dense<(.*)>$").group(1)
            if body.startswith('"0x'):  # many numbers
                return numpy.frombuffer(bytes.fromhex(body[3:-1]), HEXADECIMAL[self.element])
            body = re.sub(r"0x([0-9A-F]{8})\b", lambda bits: repr(float(
                numpy.uint32(int(bits.group(1), 16)).view(numpy.float32))), body)
            return numpy.atleast_1d(numpy.array(eval(body, LITERALS)))
        name = self.eat(r"(?:#flow\.)?(\w+)<").group(1)
        if name == "rows":
            part, symbol = self.eat(r"(\w+) of @([\w.]+)").groups()
            features = [int(n) for n in self.numbers()]
            result = self.dictionaries[symbol].part(part, features)
        elif name == "sum":
            weights = numpy.array(self.numbers())
            self.eat(r"\*")
            result = weights[None, :] @ self.value()
        elif name == "basis":
            result = orthonormal(self.value())
        else:
            assert name == "concat", name
            self.eat(r"\[")
            parts = [self.value()]
            while self.peek(","):
                self.eat(",")
                parts.append(self.value())
            self.eat(r"\]")
            result = numpy.vstack(parts)
        self.eat(">")
        return result


def split(text):
    """Splits at commas outside of brackets."""
    parts, depth, start = [], 0, 0
    for i, c in enumerate(text):
        depth += (c in "([{<") - (c in ")]}>")
        if c == "," and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    return [part.strip() for part in parts + [text[start:]] if part.strip()]


class Executor:
    def __init__(self, text, dictionaries):
        self.lines = text[text.index("fx.program"):].splitlines()
        self.dictionaries = dictionaries
        self.values = {}

    def argument(self, text):
        if text.startswith("%"):
            return self.values[text]
        if text.startswith("["):
            return [self.argument(part) for part in split(text[1:-1])]
        if text in ("true", "false"):
            return text == "true"
        if text.startswith('"'):
            return text.strip('"')
        dtype = re.fullmatch(r"(?:(?:#fx\.)?dtype<)?(\w+)>?", text)
        if dtype and dtype.group(1) in DTYPES:
            return DTYPES[dtype.group(1)]
        return float(text) if re.search(r"[.eE]", text) else int(text)

    def call(self, target, arguments):
        op = torch.ops
        for part in target.split("."):
            op = getattr(op, part)
        named = {}
        for argument in split(arguments):
            name, value = re.match(r"\"?(\w+)\"?\s*[:=]\s*(.*)", argument).groups()
            named[name] = self.argument(value)
        return op(**named)

    def run(self, inputs):
        self.values = {"%" + name: value for name, value in inputs.items()}
        for line in self.lines:
            line = line.strip()
            constant = re.match(r"(%\w+) = fx\.constant (.*) (?:->|:) tensor<([\dx]+)x(\w+)>$",
                                line)
            call = re.match(r"(%\w+)(?::\d+)? = fx\.call (?:pure )?@([\w.]+)\((.*?)\)(?: \{(?:outputs|weir\.site).*\})? : \(",
                            line)
            if constant:
                shape = [int(n) for n in constant.group(3).split("x")]
                value = Recipe(constant.group(2), self.dictionaries, constant.group(4)).value()
                value = torch.tensor(value, dtype=DTYPES[constant.group(4)])
                # One number stands for elements that are all the same.
                self.values[constant.group(1)] = value.expand(shape) \
                    if value.numel() == 1 else value.reshape(shape)
            elif call:
                result = self.call(call.group(2), call.group(3))
                if isinstance(result, (tuple, list)):
                    for i, each in enumerate(result):
                        self.values[f"{call.group(1)}#{i}"] = each
                else:
                    self.values[call.group(1)] = result
                    self.checkType(line, result)
            elif line.startswith("fx.return"):
                names = line.removeprefix("fx.return").split(" : ")[0]
                return [self.values[name] for name in split(names)]
            else:
                assert not re.match(r"%[\w:]+ = ", line), f"not understood: {line}"
        raise AssertionError("the program has no return")

    def checkType(self, line, result):
        """The type that the compiler worked out is the one PyTorch makes."""
        sizes = re.search(r"-> tensor<((?:[\d?]+x)*)(\w+)", line)
        assert DTYPES[sizes.group(2)] == result.dtype, line
        expected = sizes.group(1).split("x")[:-1]
        assert len(expected) == result.dim(), line
        for size, real in zip(expected, result.shape):
            assert size == "?" or int(size) == real, (line, result.shape)
