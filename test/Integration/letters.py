# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A tiny model that reads and writes text: bytes, a few pairs of them, and three special tokens."""

from __future__ import annotations

import copy
import functools
from pathlib import Path

import families
import tokenizers
import torch
import transformers
from weir.export import cached

MERGES = [("t", "h"), ("th", "e"), ("Ġ", "t"), ("Ġ", "a"), ("i", "n"), ("a", "n"), ("e", "r"), ("Ġt", "h")]
SPECIAL = ["<pad>", "<bos>", "<eos>"]
VOCABULARY = len(SPECIAL) + 256 + len(MERGES)
MAX_BATCH, MAX_LENGTH, LAYERS, WIDTH = 3, 40, 3, 32


@functools.cache
def tokenizer() -> transformers.PreTrainedTokenizerFast:
    """<bos> goes before each text."""
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    tokens = [*SPECIAL, *alphabet, *("".join(pair) for pair in MERGES)]
    made = tokenizers.Tokenizer(tokenizers.models.BPE(vocab={token: index for index, token in enumerate(tokens)}, merges=MERGES))
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    made.post_processor = tokenizers.processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 1)])
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>")


def model():
    """A Llama with the same random weights each time, so large that texts are not all alike."""
    config = copy.deepcopy(families.CONFIGS["llama"])
    config.vocab_size = VOCABULARY
    torch.manual_seed(0)
    result = transformers.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in result.parameters():
            parameter.mul_(4)
    return result


def exported() -> Path:
    return cached(model(), name="tiny-letters", tokenizer=tokenizer(), max_batch=MAX_BATCH, max_length=MAX_LENGTH)


# The one without a name, and the one for chats with tools.
CHAT_TEMPLATES = {
    "default": "{{ bos_token }}{% for message in messages %}{{ message.role[0] }}{{ message.content }}"
               "{% if not loop.last or add_generation_prompt %}{{ eos_token }}{% endif %}{% endfor %}"
               "{% if add_generation_prompt %}a{% endif %}",
    "tool_use": "{{ tools[0].name }}{{ messages[0].content }}"}


def talking() -> Path:
    """The same model with chat templates."""
    talker = copy.deepcopy(tokenizer())
    talker.chat_template = CHAT_TEMPLATES
    return cached(model(), name="tiny-letters-chat", tokenizer=talker, max_batch=MAX_BATCH, max_length=MAX_LENGTH)
