# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The models that the equivalence tests steer, and how far numbers may be apart."""

from __future__ import annotations

import families
import hooks
import torch
from transformers import AutoModelForCausalLM
from weir.export import gguf_reading, sources

# A row's logits may differ by this part of the largest of them. Relative to the row's largest and
# not to each logit: a logit is a sum whose rounding is that of its terms, so one that is near zero
# has no digits to compare. f32 has a unit of 6e-8; some tens of products in a row, with other
# orders of summation (transformers' attention masks instead of a cache, edits as whole
# reconstructions in f64 instead of differences), leave about 1e-5. A wrong formula costs 1e-2.
TOLERANCE = 2e-4


def apart(got: torch.Tensor, want: torch.Tensor) -> float:
    """max |got - want| / max |want|."""
    assert got.shape == want.shape and got.isfinite().all()
    return ((got - want).abs().max() / want.abs().max()).item() if want.numel() else 0.0


def smollm2():
    """SmolLM2 as transformers reads it from its GGUF file, f32."""
    source = sources.resolve("smollm2")
    with gguf_reading.once():
        return AutoModelForCausalLM.from_pretrained(source.location, gguf_file=source.gguf, dtype=torch.float32).eval()


class Tiny:
    """The tiny model of a family as transformers runs it, and its exported program."""

    def __init__(self, family: str):
        self.family = family
        self.model, self.archive = self._load(family)
        self.model.set_attn_implementation("eager")
        self.kinds = hooks.sites_of(self.model.config)
        self.sizes = {}  # kind of site -> (width, typical size of a number)
        ids = torch.randint(3, families.VOCABULARY, (4, 20), generator=torch.Generator().manual_seed(5))

        def measure(layer, kind, x):
            width, size = self.sizes.get(kind, (x.shape[-1], 0.0))
            self.sizes[kind] = width, max(size, x.square().mean().sqrt().item())
            return x

        wanted = [(layer, kind) for layer in range(3) for kind in (*self.kinds, "mlp_in")]
        with torch.no_grad(), hooks.hooked(self.model, self.model.config, wanted, measure):
            self.model(ids, use_cache=False)

    def _load(self, family: str):
        return families.model(family), families.exported(family)


class Tally:
    """Counts the tokens that were compared. Where rounding decides which branch is taken, tokens from
    there on are not (see hooks.py); this must not hide what the test is about."""

    def __init__(self):
        self.tokens = self.compared = 0

    def compare(self, got: torch.Tensor, records: dict, want: hooks.Result, tolerance: float = TOLERANCE):
        """One row of a program's output, as long as the row or padded, with the reference."""
        length = want.doubtful
        self.tokens += want.logits.shape[0]
        self.compared += length
        distance = apart(got[:length], want.logits[:length])
        assert distance <= tolerance, f"logits are {distance:.2e} apart"
        for column, values in want.records.items():
            size = max(values.abs().max().item(), 1.0)
            distance = (records[column][:length] - values[:length]).abs().max().item() / size if length else 0.0
            assert distance <= tolerance, f"the record of {column} is {distance:.2e} apart"
        for column in records.keys() - want.records.keys():
            assert not records[column].any(), f"the record of {column} is not zero in a row without it"

    def assert_enough(self):
        assert self.compared >= self.tokens * 2 / 3, f"only {self.compared} of {self.tokens} tokens were compared"
