#!/usr/bin/env bash
# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# repeng 0.4.0 steers one row, and cannot steer two in a plain forward pass on
# transformers 5.23.0: it takes the shape of its mask of padding from
# `position_ids`, which transformers makes itself as [1, T] for a batch of any
# size and hands to every layer. The error is a RuntimeError from within the
# layer, about a shape. A batch is steered once the caller passes positions of
# shape [B, T], and then as each row alone.
#
# Seen with repeng 0.4.0, transformers 5.23.0, torch 2.13.0, numpy 1.26.4,
# Python 3.11:
#   one row:              steered, changed by 0.5
#   two rows:             RuntimeError: shape '[2, 7, 1]' is invalid for input of size 7
#   two rows, positions:  steered, as each row alone
# Why it matters here: a comparison of speeds that hands repeng a batch, as other
# ways of steering are measured, ends in an error that looks like the caller's.
#
# Exits with 0 if the behaviour is still the one above.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3.11 -m venv venv
venv/bin/pip install -q --disable-pip-version-check torch==2.13.0 numpy==1.26.4 transformers==5.23.0 repeng==0.4.0
HF_HUB_OFFLINE=1 venv/bin/python -W ignore - <<'PYTHON'
import numpy
import torch
from repeng import ControlModel, ControlVector
from transformers import LlamaConfig, LlamaForCausalLM

torch.manual_seed(0)
model = LlamaForCausalLM(LlamaConfig(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
                                     num_key_value_heads=2, vocab_size=50)).eval()
ids = torch.randint(0, 50, (2, 7))
direction = numpy.random.default_rng(0).standard_normal(32).astype(numpy.float32)
with torch.no_grad():
    plain = model(ids).logits
    control = ControlModel(model, [1])
    control.set_control(ControlVector("llama", {1: direction}), 1.0)
    rows = [model(ids[row:row + 1]).logits[0] for row in range(2)]
    print(f"one row: steered, changed by {(rows[0] - plain[0]).abs().max():.1f}")
    try:
        model(ids)
        raise SystemExit("two rows: no error")
    except RuntimeError as error:
        print(f"two rows: RuntimeError: {error}")
        assert "is invalid for input of size 7" in str(error)
    both = model(ids, position_ids=torch.arange(7).expand(2, -1)).logits
assert (rows[0] - plain[0]).abs().max() > 0.1
assert torch.allclose(both, torch.stack(rows), atol=1e-5)
print("two rows, positions: steered, as each row alone")
PYTHON
echo "as described"
