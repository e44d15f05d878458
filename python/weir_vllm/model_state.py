# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The second model runner of vLLM (V2), by its own hooks: an object that it calls the state of the model is told which
requests come and go, and asked before every forward pass. What runner V1 knows by itself (the parameters of its requests)
V2 forgets once they were added, so they are kept here.

A batch whose requests were not all told of, and a pass for which nobody was asked, is an error: its requests would not be
steered.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from .runtime import Runtime, Scheduled, said_by


@dataclass(frozen=True)
class Requested:
    """A request of the runner, from when it is added to when it is finished or preempted; it is added anew to resume."""

    slot: int  # its row in the runner's tables, which another request may get after it
    said: dict | None  # what it was resolved to
    prompt_length: int  # without what was answered before it was preempted


@functools.cache
def steered(state: type) -> type:
    """The class of a model's state that also tells a Runtime, its `weir`, what a step holds."""

    class Steered(state):
        weir: Runtime | None = None

        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.weir_requests: dict[str, Requested] = {}

        def add_request(self, req_index, new_req_data):
            out = super().add_request(req_index, new_req_data)
            self.weir_requests[new_req_data.req_id] = Requested(
                req_index, said_by(new_req_data.sampling_params), new_req_data.prompt_len)
            return out

        def remove_request(self, req_id):
            self.weir_requests.pop(req_id, None)
            return super().remove_request(req_id)

        def prepare_inputs(self, input_batch, req_states):
            out = super().prepare_inputs(input_batch, req_states)
            scheduled = scheduled_of(self.weir_requests, input_batch, req_states)
            if scheduled is None:
                self.weir.begin_dummy()
            else:
                self.weir.begin(scheduled)
            return out

        def prepare_dummy_inputs(self, num_reqs, num_tokens):
            self.weir.begin_dummy()  # of a graph that is captured: no token has a plan
            return super().prepare_dummy_inputs(num_reqs, num_tokens)

    Steered.__name__ = Steered.__qualname__ = f"Steered{state.__name__}"
    return Steered


def scheduled_of(requests: dict[str, Requested], batch, states) -> list[Scheduled] | None:
    """The tokens of a batch, by request in the batch's order; None of one without requests, with which the runner tries or
    warms up the model. Errors: RuntimeError for a request of the runner's that nobody told of."""
    known = [requests.get(request) for request in batch.req_ids]
    if not any(known) and not any(request in states.req_id_to_index for request in batch.req_ids):
        return None
    scheduled = []
    for index, (name, request) in enumerate(zip(batch.req_ids, known, strict=True)):
        slot = int(batch.idx_mapping_np[index])
        if request is None or request.slot != slot:
            raise RuntimeError(f"weir: vLLM runs the request {name}, of which it did not tell: it would not be steered; "
                               "report this")
        count, first = int(batch.num_scheduled_tokens[index]), int(batch.num_computed_tokens_np[index])
        scheduled.append(Scheduled(request.said, count, first, request.prompt_length,
                                   functools.partial(ids_of, states, slot, first + count)))
    return scheduled


def ids_of(states, slot: int, count: int) -> np.ndarray:
    """Where they are on a device, this waits for it: only plans ask that look for tokens."""
    return states.all_token_ids.gpu[slot, :count].cpu().numpy()


def state_class(old):
    """For what chooses a model's class of state."""
    def run(vllm_config, model):
        from .settings import Settings

        state = old(vllm_config, model)
        return state if Settings.of(vllm_config.additional_config) is None else steered(state)
    return run
