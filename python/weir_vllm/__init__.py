# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Serves what `weirc build` wrote on vLLM, without a change of vLLM.

    python -m vllm.entrypoints.openai.api_server --model MODEL --additional-config '{"weir": {"folder": "steered"}}'
    LLM(MODEL, additional_config={"weir": {"folder": "steered"}})

A request names a plan: `"vllm_xargs": {"weir_plan": "food", "weir_knobs": "food=1.5"}` over HTTP,
`SamplingParams(extra_args={"weir_plan": "food"})` in Python. See docs/serving.md. vLLM finds `load` and `Routes` by
the entry points of this package.
"""

__version__ = "0.1.0"


def load():
    """Called by vLLM in each of its processes, more than once. Errors: a vLLM that has not what is changed, which then
    does not start: it would serve without steering."""
    from .patches import apply

    apply()


def Routes():
    """GET /v1/weir/plans, POST /v1/weir/reload and the metrics, where VLLM_PLUGINS names `weir`."""
    from .routes import WeirRoutes

    return WeirRoutes()
