#!/usr/bin/env bash
# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# sae-lens 6.54.12 opens a dictionary that an older version of it saved with the
# activation tanh-relu, f = tanh(relu(z)), and computes f = relu(z). There is no
# error and no warning: the class of the architecture "standard" has one
# activation, and a key that the class does not have is dropped. With "topk" in
# the same key the architecture does change.
#
# Seen with sae-lens 6.54.12, torch 2.13.0, Python 3.11:
#   tanh-relu: largest activation 14.88, StandardSAE
#   topk:      TopKSAE
# A tanh is at most 1. Why it matters here: a reader of such files has to refuse
# them, or to know the version that wrote them (sae_lens_version) before it
# ignores the key as sae-lens does.
#
# Exits with 0 if the behaviour is still the one above.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3.11 -m venv venv
venv/bin/pip install -q --disable-pip-version-check torch==2.13.0 sae-lens==6.54.12
HF_HUB_OFFLINE=1 venv/bin/python -W ignore - <<'PYTHON'
import json
from pathlib import Path

import torch
from sae_lens import SAE, StandardSAE, StandardSAEConfig

torch.manual_seed(0)
x = 5 * torch.randn(4, 8)
opened = {}
for name, more in (("tanh-relu", {}), ("topk", {"activation_fn_kwargs": {"k": 3}})):
    folder = Path(name)
    StandardSAE(StandardSAEConfig(d_in=8, d_sae=16)).save_model(folder)
    (folder / "cfg.json").write_text(json.dumps({
        "d_in": 8, "d_sae": 16, "dtype": "torch.float32", "device": "cpu", "model_name": "gpt2-small",
        "hook_point": "blocks.8.hook_resid_pre", "hook_point_layer": 8, "normalize_activations": "none",
        "activation_fn_str": name, **more}))
    opened[name] = SAE.load_from_disk(folder)
with torch.no_grad():
    f = opened["tanh-relu"].encode(x)
    z = (x - opened["tanh-relu"].b_dec) @ opened["tanh-relu"].W_enc + opened["tanh-relu"].b_enc
print(f"tanh-relu: largest activation {f.max():.2f}, {type(opened['tanh-relu']).__name__}")
print(f"topk: {type(opened['topk']).__name__}")
assert f.max() > 1.5 and torch.allclose(f, z.relu())
assert type(opened["topk"]).__name__ == "TopKSAE"
PYTHON
echo "as described"
