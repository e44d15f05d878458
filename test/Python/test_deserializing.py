# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs that PyTorch reads with less work are those that it reads by itself."""

from __future__ import annotations

import inspect
import typing
from concurrent.futures import ThreadPoolExecutor

import families
import pytest
import torch
import weir
from torch._export.serde import serialize
from weir import deserializing


@pytest.fixture
def pytorch_as_it_is(monkeypatch):
    """Other tests have programs read with less work for as long as they last."""
    reader = serialize.GraphModuleDeserializer
    monkeypatch.setattr(serialize, "typing", typing)
    monkeypatch.setattr(reader, "_parse_sym_expr", inspect.unwrap(reader._parse_sym_expr))
    monkeypatch.setattr(deserializing, "_depth", 0)


def described(program) -> list[str]:
    """All that a reader makes of the file: nodes with the sizes and strides of their tensors, and what is known of sizes."""
    values = [node.meta.get("val") for node in program.graph.nodes]
    tensors = [value for value in values if isinstance(value, torch.Tensor)]
    sizes = [size for value in tensors for size in value.shape if isinstance(size, torch.SymInt)]
    known = sizes[0].node.shape_env
    return [str(program.graph), str(program.graph_signature), str(program.range_constraints), str(program.module_call_graph),
            *(f"{value.dtype} {value.shape} {value.stride()}" if isinstance(value, torch.Tensor) else str(value) for value in values),
            str(known.var_to_range), str(known.backed_var_to_val), str(sorted(map(str, known.var_to_stack)))]


@pytest.mark.parametrize("family", ["gemma2", "gpt-neox"])
def test_a_program_is_the_same(family, pytorch_as_it_is):
    path = families.exported(family)
    plain = described(torch.export.load(path))
    with deserializing.once():
        assert serialize.typing is not typing
        with deserializing.once():
            assert described(torch.export.load(path)) == plain
        assert serialize.typing is not typing
    assert serialize.typing is typing and not hasattr(serialize.GraphModuleDeserializer._parse_sym_expr, "__wrapped__")
    assert len(plain) > 200


def test_sizes_are_those_of_their_program(pytorch_as_it_is):
    """Two programs, one after the other and again, whose symbols have the same names."""
    paths = [families.exported(family) for family in ("llama", "gpt2")]
    plain = [described(torch.export.load(path)) for path in paths]
    with deserializing.once():
        assert [described(torch.export.load(path)) for path in paths + paths] == plain + plain


def test_threads_open_programs_one_after_the_other():
    """PyTorch's reader fails where it is called while it reads."""
    path = families.exported("llama")
    with ThreadPoolExecutor(4) as threads:
        programs = list(threads.map(lambda _: weir.load(path), range(4)))
    first, *others = (program([[3, 9, 27]]).logits for program in programs)
    assert all(torch.equal(first, other) for other in others)
