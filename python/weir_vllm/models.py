# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Where the sites of a model are in vLLM's modules, and the operators that edit them.

A decoder layer of vLLM hands on (hidden, residual), whose sum is the residual stream: what is read there is the sum, and
what an edit changes is added to `hidden`. What attention and the MLP add is a value of its own, after the all-reduce of
tensor parallelism and so the same on every rank; inputs of a layer's last projections are not, and are refused there.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch

logger = logging.getLogger("vllm.weir")


class UnsupportedSite(ValueError):
    """A model or a site that the plugin does not know."""


@dataclass(frozen=True)
class Place:
    module: str  # below the decoder layer; "" is the layer
    side: str  # "output", "input", or "sum": of the two that the module takes, or that the layer gives
    is_sharded: bool = False


LLAMA = {
    "res": Place("", "sum"), "att": Place("self_attn", "output"), "mlp": Place("mlp", "output"),
    "mid": Place("post_attention_layernorm", "sum"), "mlp_in": Place("mlp", "input"),
    "head": Place("self_attn.o_proj", "input", is_sharded=True),
}
# These normalise what attention and MLP add.
GEMMA = LLAMA | {
    "att": Place("post_attention_layernorm", "output"), "mlp": Place("post_feedforward_layernorm", "output"),
    "mid": Place("pre_feedforward_layernorm", "sum"),
}
# By the class of the model in vLLM.
FAMILIES = {"LlamaForCausalLM": LLAMA, "MistralForCausalLM": LLAMA, "Qwen2ForCausalLM": LLAMA, "Qwen3ForCausalLM": LLAMA,
            "Gemma2ForCausalLM": GEMMA, "Gemma3ForCausalLM": GEMMA}


def places(model, sites, tensor_parallel: int = 1) -> list[tuple[torch.nn.Module, Place]]:
    """The module of each site (kind, layer). Errors: UnsupportedSite."""
    name = type(model).__name__
    family = FAMILIES.get(name)
    if family is None:
        raise UnsupportedSite(f"weir: models of vLLM's class {name} cannot be steered; {', '.join(FAMILIES)} can")
    layers = model.model.layers
    found = []
    for kind, layer in sites:
        place = family.get(kind)
        if place is None:
            raise UnsupportedSite(f"weir: the site {layer}/{kind} is not served; {', '.join(family)} are")
        if place.is_sharded and tensor_parallel > 1:
            raise UnsupportedSite(f"weir: the site {layer}/{kind} is split under tensor parallelism, so that no rank has it; "
                                  "serve it on one")
        if not 0 <= layer < len(layers):
            raise UnsupportedSite(f"weir: the site {layer}/{kind} is of no layer of this model, which has {len(layers)}")
        module = layers[layer]
        if place.module:
            try:
                module = module.get_submodule(place.module)
            except AttributeError:
                raise UnsupportedSite(f"weir: layer {layer} has no {place.module}, where the site {kind} should be") from None
        found.append((module, place))
    return found


def wrap(module: torch.nn.Module, place: Place, site: int, native: bool):
    """Puts the operator of a site (its number) behind or in front of a module; the `native` ones are those of
    libweir_kernels.so. What was put there before stays, nearer to the module, so sites go in by the order in which a model
    computes them, inputs last."""
    inner = module.forward
    edit, edit_sum = ((torch.ops.weir.serve_edit_, torch.ops.weir.serve_edit_sum_) if native else
                      (torch.ops.weir.vllm_edit_, torch.ops.weir.vllm_edit_sum_))
    if place.side == "sum" and place.module:
        def forward(hidden, residual=None, *args, **kwargs):
            if residual is None:
                raise RuntimeError("weir: a norm that should get the residual stream got none")
            edit_sum(hidden, residual, site)
            return inner(hidden, residual, *args, **kwargs)
    elif place.side == "sum":
        def forward(*args, **kwargs):
            hidden, residual = inner(*args, **kwargs)
            edit_sum(hidden, residual, site)
            return hidden, residual
    elif place.side == "input":
        def forward(value, *args, **kwargs):
            edit(value, site)
            return inner(value, *args, **kwargs)
    else:
        def forward(*args, **kwargs):
            value = inner(*args, **kwargs)
            edit(value, site)
            return value
    module.forward = forward


# The runtime whose model is running. A process may have several engines, one after the other.
class Active:
    runtime = None


def vllm_edit_(value: torch.Tensor, site: int) -> None:
    edit(value, None, site)


def vllm_edit_sum_(hidden: torch.Tensor, residual: torch.Tensor, site: int) -> None:
    edit(hidden, residual, site)


def edit(value: torch.Tensor, residual: torch.Tensor | None, site: int):
    if Active.runtime is None:
        return
    try:
        Active.runtime.edit(value, residual, site)
    except Exception:
        if Active.runtime.server is not None:  # native operators that handed it on give their own error only
            logger.exception("weir: a site could not be edited")
        raise


def _edit_fake(value: torch.Tensor, site: int) -> None:
    return None


def _edit_sum_fake(hidden: torch.Tensor, residual: torch.Tensor, site: int) -> None:
    return None


_library = None


def register():
    """Makes the operators torch.ops.weir.vllm_edit_ and vllm_edit_sum_, once."""
    global _library
    if _library is not None:
        return
    library = torch.library.Library("weir", "FRAGMENT")
    for schema, run, fake in (("vllm_edit_(Tensor(a!) value, int site) -> ()", vllm_edit_, _edit_fake),
                              ("vllm_edit_sum_(Tensor(a!) hidden, Tensor residual, int site) -> ()", vllm_edit_sum_,
                               _edit_sum_fake)):
        name = schema.partition("(")[0]
        library.define(schema)
        library.impl(name, run, "CompositeExplicitAutograd")
        library._register_fake(name, fake)
    _library = library
