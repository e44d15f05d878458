# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Small random dictionaries on disk, in every layout and activation that a site can be read with."""

from __future__ import annotations

import json
from pathlib import Path

import numpy
import torch
from safetensors.torch import save_file

ARCHITECTURES = ("standard", "jumprelu", "topk", "gated")
NORMALIZATIONS = ("none", "none", "expected_average_only_in", "constant_norm_rescale", "layer_norm")
FEATURES = 24


def _weights(random: numpy.random.Generator, width: int, size: float, normalize: str, features: int = FEATURES):
    """Weights for values of typical size `size`: pre-activations spread around 0 by about 1, and a
    feature's row, times a typical activation, is a fraction of a value."""
    def normal(*shape):
        return torch.from_numpy(random.standard_normal(shape).astype(numpy.float32))

    run_time = normalize in ("constant_norm_rescale", "layer_norm")
    factor = float(random.uniform(0.5, 2)) / size if normalize == "expected_average_only_in" else None
    scale = 1.0 if run_time else size * (factor or 1.0)  # of what the encoder sees
    w_dec = normal(features, width) * scale * 0.4 * torch.from_numpy(
        random.uniform(0.3, 1.5, (features, 1)).astype(numpy.float32))
    return {"W_enc": normal(width, features) / (scale * width**0.5), "W_dec": w_dec,
            "b_enc": normal(features) * 0.3, "b_dec": normal(width) * 0.3 * scale}, factor


def write_sae(folder: Path, random: numpy.random.Generator, width: int, size: float, *,
              architecture: str | None = None, normalize: str | None = None, features: int = FEATURES, metadata: dict | None = None):
    """A dictionary in the layout of sae-lens for values [.., width] of typical size `size`."""
    architecture = architecture or str(random.choice(ARCHITECTURES))
    normalize = normalize or str(random.choice(NORMALIZATIONS))
    weights, factor = _weights(random, width, size, normalize, features)
    cfg = {"architecture": architecture, "d_in": width, "d_sae": features, "dtype": "float32", "device": "cpu",
           "apply_b_dec_to_input": bool(random.integers(2)), "normalize_activations": normalize,
           "reshape_activations": "none", "metadata": metadata or {}}
    if architecture == "jumprelu":
        weights["threshold"] = torch.from_numpy(random.uniform(0.05, 1, features).astype(numpy.float32))
    if architecture == "topk":
        cfg |= {"k": int(random.integers(2, 9)), "rescale_acts_by_decoder_norm": bool(random.integers(2))}
        if cfg["rescale_acts_by_decoder_norm"]:
            # Its pre-activations are multiplied by the norm; keep them in proportion.
            norm = weights["W_dec"].norm(dim=1) / (factor or 1.0)
            weights["W_enc"] /= norm
            weights["b_enc"] /= norm
    if architecture == "gated":
        weights["b_gate"] = weights.pop("b_enc")
        for name in ("b_mag", "r_mag"):
            weights[name] = torch.from_numpy((random.standard_normal(features) * 0.3).astype(numpy.float32))
    folder.mkdir(parents=True)
    (folder / "cfg.json").write_text(json.dumps(cfg))
    save_file(weights, folder / "sae_weights.safetensors")
    if factor is not None:
        (folder / "activation_scaler.json").write_text(json.dumps({"scaling_factor": factor}))


def write_gemma_scope(folder: Path, random: numpy.random.Generator, width: int, size: float):
    weights, _ = _weights(random, width, size, "none")
    weights["threshold"] = torch.from_numpy(random.uniform(0.05, 1, FEATURES).astype(numpy.float32))
    folder.mkdir(parents=True)
    numpy.savez(folder / "params.npz", **{name: tensor.numpy() for name, tensor in weights.items()})


def write_directions(path: Path, random: numpy.random.Generator, width: int, size: float, count: int = 6):
    path.parent.mkdir(parents=True, exist_ok=True)
    numpy.save(path, (random.standard_normal((count, width)) * size * 0.4).astype(numpy.float32))


WRITERS = {"sae_lens": write_sae, "gemma_scope": write_gemma_scope, "directions": write_directions}
