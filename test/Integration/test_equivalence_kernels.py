# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A part of the equivalence tests on kernels, in every run: two families, tables, a fixed plan, bf16
and replaced layers. With WEIR_LOWER=kernel all of these tests run so, on every family."""

from __future__ import annotations

import engines
import hooks
import pytest
import specs
import test_equivalence_bf16
import test_equivalence_tables
import test_equivalence_tiny
import test_fixed_programs
import test_replaced_layers
from engines import Built
from models import Tally
from test_replaced_layers import written  # noqa: F401


@pytest.fixture(autouse=True)
def on_kernels(monkeypatch):
    monkeypatch.setattr(engines, "LOWER", "kernel")


@pytest.mark.parametrize("family", ["gpt2", "gemma3"])
def test_random_specs(family, tiny):
    test_equivalence_tiny.test_random_specs(family, tiny)


def test_many_plans(tiny):
    test_equivalence_tables.test_random_specs_with_many_plans("llama", tiny)


def test_one_plan_fixed(tiny):
    test_fixed_programs.test_random_specs_with_one_plan_fixed("gpt2", tiny)


@pytest.mark.parametrize("family", ["llama", "gemma2"])
def test_bf16(family, tiny, tmp_path):
    test_equivalence_bf16.test_tiny(family, tiny, tmp_path)


def test_replaced_layers_and_edits(written, tiny, tmp_path):  # noqa: F811
    """What stands between sites stays on aten; the edits around it are kernels."""
    reference = hooks.Reference(written, tiny("llama").model)
    program, tally = Built(written, tiny("llama").archive, tmp_path / "program"), Tally()
    assert "kernels" in program.manifest
    for plans in (("one", "last", "two"), ("best", "late", None)):
        batch = test_replaced_layers.batch(*plans)
        case = specs.Case("llama", 0, reference.spec.data, (batch, batch))
        test_equivalence_tiny.check_against_hooks(program, reference, case, tally)
    tally.assert_enough()
