# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a GGUF file says and transformers' reader passes over.

transformers (5.23) builds a model from a GGUF file but reads neither how the rotary embedding is scaled
(`<architecture>.rope.scaling.*`, the tensor rope_freqs.weight) nor some numbers of the architecture, and it
leaves out tensors that its model has no place for. A model without them still talks, only otherwise. Here they
are applied, or the file is refused.

What the keys mean is taken from llama.cpp (llama-model.cpp, load_hparams; ggml's ggml_rope_ext).
"""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path

import numpy
import torch

from ..errors import first_line
from . import gguf_types
from .errors import ExportError, UnsupportedModel

_FACTORS = "rope_freqs.weight"
_LONG, _SHORT = "rope_factors_long.weight", "rope_factors_short.weight"

# Keys below the architecture's name, and where transformers' configurations keep the number.
_NUMBERS = {
    "attn_logit_softcapping": ("attn_logit_softcapping",),
    "final_logit_softcapping": ("final_logit_softcapping",),
    "attention.key_length": ("head_dim",),
    "attention.layer_norm_epsilon": ("layer_norm_eps", "norm_eps", "norm_epsilon", "layer_norm_epsilon"),
    "attention.layer_norm_rms_epsilon": ("rms_norm_eps", "norm_eps"),
    "attention.clamp_kqv": ("clip_qkv",),
    "attention.scale": ("attention_multiplier",),
    "embedding_scale": ("embedding_multiplier",),
    "residual_scale": ("residual_multiplier",),
    "logit_scale": ("logit_scale",),
    "expert_feed_forward_length": ("moe_intermediate_size",),
    "expert_shared_feed_forward_length": ("shared_expert_intermediate_size",),
}

# The layers of the 27B models, whose attention is scaled by the hidden size and not by the heads' own.
_LARGEST = {"gemma2": 46, "gemma3": 62}


class GGUFFile:
    """The metadata and the list of tensors of one file. Raises ExportError where they cannot be read."""

    def __init__(self, path: Path):
        self.path = path

    @cached_property
    def _header(self):
        from transformers.integrations.gguf import GgufHeader, read_gguf_metadata

        gguf_types.install()
        try:
            metadata, _ = read_gguf_metadata(str(self.path))
            header = GgufHeader.from_file(str(self.path))
            return metadata, {info.name: info for info in header.tensors}, header
        except Exception as error:  # a damaged file can raise anything there
            raise ExportError(f"cannot load the model {self.path.stem}: {first_line(error)}") from error

    @property
    def architecture(self) -> str:
        return self._header[0]["general.architecture"]

    def get(self, key: str, default=None):
        """The value of a key: a number, a string or a list of numbers; of a list of strings its length."""
        return self._header[0].get(key, default)

    def own(self, key: str, default=None):
        """The value of a key below the architecture's name."""
        return self.get(f"{self.architecture}.{key}", default)

    def keys_below(self, prefix: str) -> dict:
        """The keys that begin with the architecture's name and `prefix`, without them."""
        start = f"{self.architecture}.{prefix}"
        return {key.removeprefix(start): value for key, value in self._header[0].items() if key.startswith(start)}

    def vector(self, name: str) -> torch.Tensor | None:
        """A tensor of f32 as a vector of f64, None if the file has none of that name."""
        _, tensors, header = self._header
        info = tensors.get(name)
        if info is None:
            return None
        start = header.data_start + info.offset
        data = numpy.memmap(self.path, mode="r", dtype=numpy.uint8)[start : start + info.nbytes]
        if info.ggml_type != 0 or len(data) != info.nbytes:
            raise ExportError(f"cannot load the model {self.path.stem}: {name} is not a whole tensor of f32")
        return torch.from_numpy(data.copy().view("<f4").astype(numpy.float64))

    @property
    def _is_read_by_rule(self) -> bool:
        """Does transformers have a list of everything that this architecture's files hold?"""
        from transformers.integrations.gguf import GGUF_CONFIG_ARCHS

        return self.architecture in GGUF_CONFIG_ARCHS

    def complete(self, config):
        """Writes into `config`, in place, what the file says about the model and transformers left out."""
        if (parts := self.get("split.count", 1)) > 1:
            raise UnsupportedModel(f"{self.path.name} is one of {parts} files of a model; merge them first (llama-gguf-split --merge)")
        if not self._is_read_by_rule:
            self._numbers(config)
            self._rotated_part(config)
        if self.architecture in _LARGEST:
            # No key: llama.cpp goes by the number of layers, and transformers takes 256 for all.
            by_width = config.num_hidden_layers == _LARGEST[self.architecture]
            config.query_pre_attn_scalar = config.hidden_size // config.num_attention_heads if by_width else config.head_dim
        self._scaling(config)
        return config

    def _numbers(self, config):
        from transformers.integrations.ggml import GGUF_CONFIG_MAPPING

        read = GGUF_CONFIG_MAPPING.get(self.architecture, {})
        for key, names in _NUMBERS.items():
            value = self.own(key)
            if value is None or read.get(key) is not None:
                continue
            name = next((name for name in names if hasattr(config, name)), None)
            if name == "head_dim" or name is None and key == "attention.key_length":
                heads = config.hidden_size // config.num_attention_heads
                if value == (getattr(config, "head_dim", None) or heads):
                    continue
            if name is None:
                raise UnsupportedModel(f"{self.path.name} says {self.architecture}.{key} = {value}, for which "
                                       f"transformers' {type(config).__name__} has no place")
            if getattr(config, name) != value:
                setattr(config, name, value)

    def _rotated_part(self, config):
        """A key gives the number of dimensions that are rotated, a configuration their part of a head's."""
        dimensions, rope = self.own("rope.dimension_count"), getattr(config, "rope_parameters", None)
        if dimensions is None or not rope or "rope_theta" not in rope:
            return
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        if rope.get("partial_rotary_factor", 1.0) != dimensions / width:
            config.rope_parameters = {**rope, "partial_rotary_factor": dimensions / width}

    def _scaling(self, config):
        """Sets config.rope_parameters to what `<architecture>.rope.scaling.*` says."""
        given = self.keys_below("rope.scaling.")
        given.pop("finetuned", None)  # says that the weights were trained with it, nothing more
        kind = given.pop("type", None)
        factor = given.pop("factor", self.own("rope.scale_linear")) or 1.0
        original = given.pop("original_context_length", None)
        magnitude = given.pop("attn_factor", 1.0)
        short, long = self.vector(_SHORT), self.vector(_LONG)

        def refuse(why: str):
            raise UnsupportedModel(f"{self.path.name} scales its rotary embedding in a way that cannot be exported: {why}")

        if short is not None or long is not None:
            if short is None or long is None:
                refuse(f"of {_SHORT} and {_LONG} there is only one")
            if original is None:
                refuse(f"there are {_SHORT} and {_LONG}, but no {self.architecture}.rope.scaling.original_context_length")
            kind, wanted = "longrope", {"rope_type": "longrope", "short_factor": short.tolist(), "long_factor": long.tolist(),
                                        "original_max_position_embeddings": original, "attention_factor": magnitude}
            config.original_max_position_embeddings = original
        elif kind in (None, "linear"):  # llama.cpp: linear where no type is given
            wanted = {"rope_type": "linear", "factor": factor} if factor != 1.0 else None
            if magnitude != 1.0:
                refuse(f"{self.architecture}.rope.scaling.attn_factor = {magnitude} without yarn")
        elif kind == "none":
            wanted = None
        elif kind == "yarn":
            if given.pop("yarn_ext_factor", 1.0) != 1.0:
                refuse(f"{self.architecture}.rope.scaling.yarn_ext_factor is not 1")
            if given.pop("yarn_attn_factor", 1.0) != 1.0 or given.pop("yarn_log_multiplier", 0.0) != 0.0:
                refuse(f"{self.architecture}.rope.scaling.yarn_attn_factor or .yarn_log_multiplier")
            wanted = {"rope_type": "yarn", "factor": factor,
                      "original_max_position_embeddings": original or self.own("context_length"),
                      "attention_factor": magnitude * (0.1 * math.log(factor) + 1.0 if factor > 1.0 else 1.0),
                      "beta_fast": given.pop("yarn_beta_fast", 32.0), "beta_slow": given.pop("yarn_beta_slow", 1.0)}
        else:
            refuse(f"the type '{kind}' is not known")
        if given and wanted is not None:
            refuse(f"{self.architecture}.rope.scaling.{min(given)} is not known")
        if wanted is None:
            return
        rope = getattr(config, "rope_parameters", None)
        if not rope:
            refuse(f"transformers' {type(config).__name__} has no rotary embedding")
        if "rope_theta" in rope:
            kept = {key: rope[key] for key in ("rope_theta", "partial_rotary_factor") if key in rope}
            config.rope_parameters = {**kept, **wanted}
        elif self.architecture == "gemma3" and kind in (None, "linear") and "full_attention" in rope:
            # llama.cpp scales the layers that see everything and leaves those with a window alone.
            config.rope_parameters = {**rope, "full_attention": {**rope["full_attention"], **wanted}}
        else:
            refuse(f"the layers of {self.architecture} have rotary embeddings of several kinds")

    def finish(self, model):
        """Applies what the file says about frequencies to the loaded `model`, in place, and raises
        UnsupportedModel if the file has tensors that the model has no place for."""
        if not self._is_read_by_rule:
            self._refuse_unread(model)
        factors = self.vector(_FACTORS)
        if factors is None or bool((factors == 1).all()):
            return
        rotary = [module for module in model.modules() if "inv_freq" in module._buffers]
        if not rotary or any(module.inv_freq.numel() != factors.numel() for module in rotary):
            raise UnsupportedModel(f"{self.path.name} holds {_FACTORS}, {factors.numel()} factors of frequencies that the "
                                   f"rotary embedding of {type(model).__name__} has no place for")
        for module in rotary:
            for name in ("inv_freq", "original_inv_freq"):
                if isinstance(frequencies := getattr(module, name, None), torch.Tensor):
                    frequencies.copy_((frequencies.double() / factors).to(frequencies.dtype))

    def _refuse_unread(self, model):
        from transformers.modeling_gguf_pytorch_utils import TENSOR_PROCESSORS, TensorProcessor, get_gguf_hf_weights_map

        processor = TENSOR_PROCESSORS.get(self.architecture, TensorProcessor)(config=model.config.to_dict())
        read = get_gguf_hf_weights_map(model, processor)
        unread = sorted(set(self._header[1]) - set(read) - {_FACTORS, _LONG, _SHORT})
        if unread:
            some = ", ".join(unread[:4]) + (f" and {len(unread) - 4} more" if len(unread) > 4 else "")
            raise UnsupportedModel(f"{self.path.name} holds tensors that transformers' {type(model).__name__} has no place "
                                   f"for: {some}")
