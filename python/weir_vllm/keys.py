# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Which blocks of the prefix cache a request may share.

Keys and values of a block depend on its tokens, on those before it, and on what was edited in it. vLLM's hash of a block
has the tokens and the hash of the block before; what is added here is what was edited: the content of the plan with the
values of its knobs, and which offsets of the block its scopes hold at (a share of an edit counts as what it is). So equal
plans share blocks whatever they are called, and a plan that edits generated tokens only shares its prompt with the
unsteered. One salt for a request is not enough: the next turn's prompt holds the last answer, whose blocks a plan for
generated tokens has edited and must not find again as a prompt.
"""

from __future__ import annotations

import hashlib

import numpy as np
from weir.sites import scope_holds

from .settings import RESERVED

NOWHERE = 1 << 40  # a position behind all


def find(first: bool, ids: np.ndarray, markers, start: int) -> np.ndarray:
    """The position of the first (or last) marker among each of the tokens from `start` on and those before it: NOWHERE,
    or -1, without one. `ids` are those of positions 0, 1, …"""
    found = np.isin(ids, markers)
    if first:
        at = int(found.argmax()) if found.any() else NOWHERE
        positions = np.arange(start, len(ids))
        return np.where(positions >= at, at, NOWHERE)
    last = np.maximum.accumulate(np.where(found, np.arange(len(ids)), -1))
    return last[start:]


def shares(scope: dict, ids: np.ndarray | None, start: int, stop: int, length: int) -> np.ndarray:
    """Which share of an edit each token from start to stop gets; 0 where the scope does not hold, else 1 if it has no
    ramp. `ids` are needed for scopes that look for markers."""
    positions = np.arange(start, stop)
    held = np.broadcast_to(scope_holds(scope, positions, length), positions.shape)
    markers = scope.get("markers", {})
    after = find(True, ids, markers["after"], start) if "after" in markers else None
    opened = find(False, ids, markers["opens"], start) if "opens" in markers else None
    if after is not None:
        held = held & (after < positions)
    if "until" in markers:
        held = held & (find(True, ids, markers["until"], start) > positions)
    if opened is not None:
        held = held & (opened < positions) & (opened > find(False, ids, markers["closes"], start))
    over, half = scope.get("over"), scope.get("half")
    if not over and not half:
        return held.astype(np.float64)
    since = positions - max(scope.get("from", 0), scope.get("skip_first", 0), min(scope.get("positions", [0])))
    if scope.get("set") in ("generated", "last", "sampled"):
        since = np.minimum(since, positions - length + int(scope["set"] != "generated"))
    for place in (after, opened):
        if place is not None:
            since = np.minimum(since, positions - place - 1)
    n = np.maximum(since, 0).astype(np.float64)
    share = np.minimum((n + 1) / over, 1.0) if over else np.ones_like(n)
    if half:
        share = share * np.exp2(-n / half)
    return np.where(held, share, 0.0)


def block_key(said: dict, ids, start: int, stop: int, length: int) -> str | None:
    """What the key of a block has more for a request that was resolved to `said`; None where nothing is edited in it."""
    scopes = said["scopes"]
    if any("markers" in scope for scope in scopes):
        ids = np.asarray(ids[:stop])
    parts = [shares(scope, ids, start, stop, length) for scope in scopes]
    if not any(part.any() for part in parts):
        return None
    edited = hashlib.sha256(np.stack(parts).tobytes()).hexdigest()[:32]
    return f"{said['key']}:{edited}"


def request_block_key(request, start: int, stop: int) -> str | None:
    """Of a request as vLLM's engine core has it."""
    said = (getattr(request.sampling_params, "extra_args", None) or {}).get(RESERVED)
    if not said:
        return None
    return block_key(said, request.all_token_ids, start, stop, request.num_prompt_tokens)
