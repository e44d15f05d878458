# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tiny models with random weights, one for every family of architectures that the tests cover.

Their sizes differ from each other wherever an architecture lets them (heads x head_dim is not the
hidden size, the window is shorter than the tests' texts), so that a mix-up shows.

    python test/Python/families.py [FAMILY ...]     exports them and prints the paths
"""

from __future__ import annotations

import copy

import torch
from transformers import (
    AutoModelForCausalLM,
    CohereConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoXConfig,
    GraniteConfig,
    LlamaConfig,
    MistralConfig,
    MixtralConfig,
    NemotronConfig,
    Olmo2Config,
    OPTConfig,
    Phi3Config,
    Qwen2Config,
    Qwen2MoeConfig,
    Qwen3Config,
    SmolLM3Config,
    StableLmConfig,
    Starcoder2Config,
)

VOCABULARY = 131
MAX_BATCH = 3
MAX_LENGTH = 24

_common = dict(vocab_size=VOCABULARY, bos_token_id=1, eos_token_id=2, pad_token_id=0, max_position_embeddings=64)
_shape = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
              num_key_value_heads=2, **_common)
_alternating = ["sliding_attention", "full_attention", "sliding_attention"]
_neox = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4, **_common)

CONFIGS = {
    "llama": LlamaConfig(**_shape),
    "llama-tied": LlamaConfig(**_shape, tie_word_embeddings=True, attention_bias=True, mlp_bias=True),
    "mistral": MistralConfig(**_shape, head_dim=16, sliding_window=5),
    "qwen2": Qwen2Config(**_shape),
    "qwen2-sliding": Qwen2Config(**_shape, use_sliding_window=True, sliding_window=5, max_window_layers=1),
    "qwen3": Qwen3Config(**_shape, head_dim=16),
    "gemma2": Gemma2Config(**_shape, head_dim=16, query_pre_attn_scalar=16, sliding_window=5,
                           attn_logit_softcapping=3.0, final_logit_softcapping=9.0, layer_types=_alternating),
    "gemma3": Gemma3TextConfig(**_shape, head_dim=16, query_pre_attn_scalar=16, sliding_window=5,
                               layer_types=_alternating),
    "gpt2": GPT2Config(n_embd=32, n_layer=3, n_head=4, n_inner=48, **_common),
    "gpt-neox": GPTNeoXConfig(**_neox, use_parallel_residual=True, rotary_pct=0.5),
    "gpt-neox-sequential": GPTNeoXConfig(**_neox, use_parallel_residual=False, rotary_pct=0.25),
}

# Families that neither the exporter nor the compiler names: what is true of them is found in the model.
UNNAMED = {
    "cohere": CohereConfig(**_shape),
    "granite": GraniteConfig(**_shape, residual_multiplier=0.22, embedding_multiplier=12.0, attention_multiplier=0.3,
                             logits_scaling=8.0),
    "mixtral": MixtralConfig(**_shape, num_local_experts=4, num_experts_per_tok=2),
    "nemotron": NemotronConfig(**_shape),
    "olmo2": Olmo2Config(**_shape),
    "opt": OPTConfig(hidden_size=32, ffn_dim=48, num_hidden_layers=3, num_attention_heads=4, word_embed_proj_dim=32, **_common),
    "phi3": Phi3Config(**_shape),
    "qwen2-moe": Qwen2MoeConfig(**_shape, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16,
                                shared_expert_intermediate_size=24),
    "smollm3": SmolLM3Config(**_shape),
    "stablelm": StableLmConfig(**_shape),
    "starcoder2": Starcoder2Config(**_shape),
}

# Families times dtypes for what takes seconds each. In bf16 programs differ by casts only; these
# families have all the places where they stand: around norms, soft caps and rotations.
CASES = [(family, "f32") for family in CONFIGS] + [(family, "bf16") for family in ("llama", "gemma2", "gpt-neox")]


def model(family: str, dtype: torch.dtype = torch.float32):
    """The model of `family` in evaluation mode; the same weights each time.

    Weights are larger than an initialisation's: with those, attention is nearly uniform and a wrong
    mask or position hardly moves the logits. Norms and biases are moved off 1 and 0 as well.
    """
    torch.manual_seed(0)
    result = AutoModelForCausalLM.from_config(copy.deepcopy((CONFIGS | UNNAMED)[family])).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in result.parameters():
            scale = 0.3 if parameter.dim() > 1 else 0.1
            parameter.add_(torch.randn(parameter.shape, generator=generator) * scale)
    return result.to(dtype)


def exported(family: str, dtype: str = "f32"):
    """The path of the exported program of `family` in the cache folder."""
    from weir.export import cached

    return cached(model(family), name=f"tiny-{family}", dtype=dtype, max_batch=MAX_BATCH, max_length=MAX_LENGTH)


if __name__ == "__main__":
    import sys

    for family in sys.argv[1:] or CONFIGS:
        print(exported(family))
