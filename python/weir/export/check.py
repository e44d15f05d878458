# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The exported program must say what the Hugging Face model says: asked once at every export.

A family with a peculiarity that this exporter does not know fails here instead of steering wrong.
"""

from __future__ import annotations

import torch

from ..errors import first_line
from .errors import ExportError, UnsupportedModel

LENGTH = 12
# |program - model| / |model|, Euclidean norms over the vocabulary with the mean taken out. Summing in
# another order costs 1e-6 to 1e-4 in f32; bf16 keeps 8 bits.
TOLERANCE = {torch.float32: 2e-3, torch.bfloat16: 0.15}
# Where activations are rounded to bytes. Random tokens, of which a model knows nothing, move by up to 0.35 (SmolLM2 with
# weights of four bits); what is wrong moves by 1 and more.
ROUNDED = 0.7


def sample(vocabulary: int, length: int) -> torch.Tensor:
    """Random ids [2, length] int64, the same each time."""
    return torch.randint(0, vocabulary, (2, length), generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def reference(model, max_length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(ids [2, n] int64, the model's own logits [2, n, V] float32) with n = min(LENGTH, max_length)."""
    # Ids that the embedding has rows for; a pad token among them would draw a warning about masks.
    ids = sample(model.get_input_embeddings().weight.shape[0], min(LENGTH, max_length))
    mask = torch.ones_like(ids)
    want = _logits(model, ids, mask)
    if not want.isfinite().all():
        raise ExportError("the model itself gives logits that are not finite")
    return ids, want


def _logits(model, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    try:
        return model(input_ids=ids, attention_mask=mask, use_cache=False).logits.float()
    except Exception as error:  # modelling code can raise anything
        raise ExportError(f"the model itself does not run: {first_line(error)}") from error


@torch.no_grad()
def same_text(whole, text, not_text: list[int]):
    """Raises UnsupportedModel unless the text model `text` gives the logits for a text that `whole` gives, the
    model that it was taken from. not_text are ids that do not stand for text in `whole`."""
    ids = sample(text.get_input_embeddings().weight.shape[0], LENGTH)
    plain = min(set(range(len(not_text) + 1)) - set(not_text))
    ids[torch.isin(ids, torch.tensor(not_text, dtype=ids.dtype))] = plain
    mask = torch.ones_like(ids)
    error = relative_error(_logits(text, ids, mask), _logits(whole, ids, mask))
    if not error <= TOLERANCE[text.dtype]:
        raise UnsupportedModel(f"the text model does not say by itself what it says in {type(whole).__name__}: relative "
                               f"error {error:.2g} (allowed {TOLERANCE[text.dtype]:g})")


def relative_error(got: torch.Tensor, want: torch.Tensor) -> float:
    """The largest relative error of a position; got, want [..., V]."""
    want = want - want.mean(-1, keepdim=True)
    got = got - got.mean(-1, keepdim=True)
    return ((got - want).norm(dim=-1) / want.norm(dim=-1).clamp(min=1e-12)).max().item()


@torch.no_grad()
def compare(exported: torch.export.ExportedProgram, ids: torch.Tensor, want: torch.Tensor,
            max_batch: int, dtype: torch.dtype, tolerance: float | None = None) -> float:
    """Runs a prefill of ragged rows (padding on the right), then the rest token by token, and raises
    UnsupportedModel where the logits leave those of `reference`, by more than `tolerance` or what is usual for the
    type. Leaves the cache as it found it: zero. Returns the largest relative error of a position."""
    rows, length = min(2, max_batch), ids.shape[1]
    run = exported.module()
    prompts = [length // 2, max(1, length // 3)][:rows]
    positions = torch.arange(length // 2).expand(rows, -1).clone()
    for row, prompt in enumerate(prompts):
        positions[row, prompt:] = -1
    got = run(ids[:rows, : length // 2], positions)
    worst = max(relative_error(got[row, :prompt], want[row, :prompt]) for row, prompt in enumerate(prompts))
    stage = "prefill"
    if not got.isfinite().all():
        raise UnsupportedModel("the exported program gives logits that are not finite")
    for row in reversed(range(rows)):  # row 0 last: alone, so that a batch of one is run too
        for at in range(prompts[row], length if row == 0 else prompts[row] + 1):
            step = torch.full((row + 1, 1), -1)
            step[row] = at
            error = relative_error(run(ids[: row + 1, at : at + 1], step)[row, 0], want[row, at])
            if error > worst:
                worst, stage = error, "decode"
    for name, tensor in exported.constants.items():
        if name.startswith("kv_cache."):
            tensor.zero_()
    allowed = TOLERANCE[dtype] if tolerance is None else tolerance
    if not worst <= allowed:
        raise UnsupportedModel(f"the exported program does not agree with the model: relative error {worst:.2g} "
                               f"in {stage} (allowed {allowed:g})")
    return worst
