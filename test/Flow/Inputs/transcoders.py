# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Small transcoders of several formats: transcoders.py FOLDER. Width 4, 6 features, layers 0 to 2."""

import json
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

LAYERS, FEATURES, WIDTH = 3, 6, 4
folder = Path(sys.argv[1])
random = np.random.default_rng(0)


def numbers(*shape):
    return random.standard_normal(shape).astype(np.float32)


def write(path, tensors):
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)


for layer in range(LAYERS):
    write(folder / f"clt/W_enc_{layer}.safetensors", {
        f"W_enc_{layer}": numbers(FEATURES, WIDTH), f"b_enc_{layer}": numbers(FEATURES), f"b_dec_{layer}": numbers(WIDTH)})
    write(folder / f"clt/W_dec_{layer}.safetensors", {f"W_dec_{layer}": numbers(FEATURES, LAYERS - layer, WIDTH)})
    write(folder / f"layer_{layer}.safetensors", {
        "W_enc": numbers(FEATURES, WIDTH), "W_dec": numbers(FEATURES, WIDTH), "b_enc": numbers(FEATURES), "b_dec": numbers(WIDTH)})
    hook = ["mlp.hook_in", "hook_resid_mid", "ln2.hook_normalized"][layer]
    write(folder / f"sae/{layer}/sae_weights.safetensors", {
        "W_enc": numbers(WIDTH, FEATURES), "W_dec": numbers(FEATURES, WIDTH), "b_enc": numbers(FEATURES), "b_dec": numbers(WIDTH)})
    (folder / f"sae/{layer}/cfg.json").write_text(json.dumps({
        "architecture": "transcoder", "d_in": WIDTH, "d_out": WIDTH, "d_sae": FEATURES, "apply_b_dec_to_input": False,
        "metadata": {"hook_name": f"blocks.{layer}.{hook}", "hook_name_out": f"blocks.{layer}.hook_mlp_out"}}))
    write(folder / f"auto/{layer}/sae_weights.safetensors", {
        "W_enc": numbers(WIDTH, FEATURES), "W_dec": numbers(FEATURES, WIDTH), "b_enc": numbers(FEATURES), "b_dec": numbers(WIDTH)})
    (folder / f"auto/{layer}/cfg.json").write_text(json.dumps({"architecture": "standard"}))
(folder / "clt/config.yaml").write_text('feature_input_hook: "hook_resid_mid"\nfeature_output_hook: "hook_mlp_out"\n')
write(folder / "crosscoder/model.safetensors", {
    "encoder.weight": numbers(2, WIDTH, FEATURES), "encoder.bias": numbers(FEATURES),
    "decoder.weight": numbers(2, FEATURES, WIDTH), "decoder.bias": numbers(2, WIDTH)})
