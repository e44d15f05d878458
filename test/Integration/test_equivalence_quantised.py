# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Random specs on programs that keep the blocks of a GGUF file: against hooks on the model as transformers
dequantises it (see hooks.py)."""

from __future__ import annotations

import tempfile
from pathlib import Path

import hooks
import hypothesis
import pytest
import quantised_models
import specs
import torch
from conftest import EFFORT
from models import Tally, Tiny
from test_equivalence_tiny import check_against_hooks, check_decoding, check_rows_alone, check_runners_agree, prepared


class Quantised(Tiny):
    def _load(self, family: str):
        return quantised_models.load(quantised_models.file(family)), quantised_models.exported(family)


@pytest.mark.parametrize("family, lower", [("llama", "aten"), ("gemma3", "kernel")])
def test_random_specs(family, lower, monkeypatch):
    monkeypatch.setattr("engines.LOWER", lower)
    model, tally = Quantised(family), Tally()

    @hypothesis.settings(max_examples=3 * EFFORT)
    @hypothesis.given(specs.cases(specs.Shape(family, tuple(model.kinds))))
    def check(case):
        with tempfile.TemporaryDirectory() as folder:
            reference, program = prepared(case, model, Path(folder))
            try:
                check_against_hooks(program, reference, case, tally)
                check_runners_agree(program, case)
                check_rows_alone(program, reference, case)
                check_decoding(program, reference, case)
            except AssertionError as error:
                error.add_note(specs.text(reference.spec.data))
                raise

    check()
    tally.assert_enough()
