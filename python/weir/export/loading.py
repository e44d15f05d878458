# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Loading a model whole or not at all, and the text model of one that also sees or hears.

transformers fills what a checkpoint lacks with random numbers and drops what it does not know, with a report that
nobody has to read. The export's own check would compare with the same ruined model, so here that is an error.
"""

from __future__ import annotations

import re

import torch

from ..errors import first_line
from .errors import ExportError, UnsupportedModel

# Tensors of older checkpoints that say nothing the configuration does not say, with the reason.
_HARMLESS = (
    (r"(^|\.)rotary_emb\.inv_freq$", "frequencies, computed from the configuration"),
    (r"(^|\.)position_ids$", "0, 1, 2, …"),
    (r"(^|\.)(attn|attention)\.masked_bias$", "what stood for minus infinity in a mask"),
    (r"(^|\.)h\.\d+\.attn\.bias$", "the causal mask of GPT-2, GPT-J and GPT-Neo"),
    (r"(^|\.)layers\.\d+\.attention\.bias$", "the causal mask of GPT-NeoX"),
)
_harmless = re.compile("|".join(f"(?:{pattern})" for pattern, _ in _HARMLESS))


def _some(names) -> str:
    names = sorted(names)
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def require_whole(name: str, info: dict):
    """Raises ExportError if a model's loading `info` (transformers' output_loading_info) names a tensor that is
    missing, left over or of another shape."""
    found = []
    mismatched = {key: (tuple(there), tuple(here)) for key, there, here in info["mismatched_keys"]}
    if missing := set(info["missing_keys"]) - set(mismatched):
        found.append(f"it lacks {_some(missing)}")
    if left := {key for key in info["unexpected_keys"] if not _harmless.search(key)}:
        found.append(f"the model has no place for {_some(left)}")
    if mismatched:
        found.append("of another shape are " + _some(f"{key} ({list(there)}, the model has {list(here)})"
                                                     for key, (there, here) in mismatched.items()))
    found += [first_line(message) for message in info["error_msgs"]]
    if found:
        raise ExportError(f"the weights of {name} are not those that its configuration describes: {'; '.join(found)}")


def load(name: str, model_class, location: str, dtype: torch.dtype, **arguments):
    """The model at `location` in evaluation mode, weights of `dtype`. Raises ExportError; no code that
    comes with the model runs."""
    try:
        model, info = model_class.from_pretrained(
            location, dtype=dtype, local_files_only=True, trust_remote_code=False, output_loading_info=True,
            ignore_mismatched_sizes=True, **arguments)
    except Exception as error:  # a damaged file can raise anything in the readers below
        raise ExportError(f"cannot load the model {name}: {first_line(error)}") from error
    require_whole(name, info)
    return model.eval()


def is_text(config) -> bool:
    """Is this the configuration of a text model, and not of a larger one with a text model inside?"""
    return config.get_text_config(decoder=True) is config or config.is_encoder_decoder


def _text_class(config):
    """transformers' class for the text model of a larger one, with logits."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

    text = config.get_text_config(decoder=True)
    try:
        result = MODEL_FOR_CAUSAL_LM_MAPPING[type(text)]
    except KeyError:
        result = None
    if result is None or result.config_class is not type(text):
        raise UnsupportedModel(f"models of type '{config.model_type}' hold a text model of type '{text.model_type}', which "
                               "transformers cannot run by itself")
    return result


def whole_class(config):
    """transformers' class for a model of text and more. Raises UnsupportedModel if there is none, or if its
    text model cannot be taken out."""
    from transformers.models.auto import modeling_auto

    _text_class(config)
    for mapping in ("MODEL_FOR_MULTIMODAL_LM_MAPPING", "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING", "MODEL_FOR_CAUSAL_LM_MAPPING"):
        try:
            return getattr(modeling_auto, mapping)[type(config)]
        except (KeyError, AttributeError):
            continue
    raise UnsupportedModel(f"transformers has no class for models of type '{config.model_type}' that gives logits")


def text_model(whole):
    """The text model inside `whole`, a transformers model of text and more: its own modules under the names
    that its family has alone (model.layers.0…, lm_head). Raises UnsupportedModel if it cannot be taken out."""
    model_class = _text_class(whole.config)
    kind = f"models of type '{whole.config.model_type}'"
    decoder, head = whole.get_decoder(), whole.get_output_embeddings()
    if decoder is None or head is None:
        raise UnsupportedModel(f"the text model of {kind} cannot be taken out")
    with torch.device("meta"):  # all of its weights are those of `whole`
        result = model_class(decoder.config)
    mine = getattr(result, result.base_model_prefix)
    if type(mine) is not type(decoder):
        raise UnsupportedModel(f"the text model of {kind} is a {type(decoder).__name__}, not a {type(mine).__name__}")
    setattr(result, result.base_model_prefix, decoder)
    result.set_output_embeddings(head)
    result.config = decoder.config
    result.generation_config = whole.generation_config
    left = [key for key, tensor in (*result.named_parameters(), *result.named_buffers()) if tensor.is_meta]
    if left:
        raise UnsupportedModel(f"the text model of {kind} lacks {_some(left)}")
    return result.eval()


def other_tokens(config) -> list[int]:
    """The ids that stand for images and sounds in a configuration of text and more."""
    return [value for key, value in config.to_dict().items()
            if isinstance(value, int) and re.fullmatch(r"\w*(image|video|audio|vision|boi|eoi)\w*_(id|index)", key)]
