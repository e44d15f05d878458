# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Dictionaries of features for the reference of the tests: read with safetensors alone, in f64.

Formulas are written as their authors write them (encode everything, decode everything), not in the
form that Weir brings all formats to. test_hooks.py holds them against sae-lens.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import gguf
import numpy
import torch
from safetensors.torch import load_file

# How far a pre-activation of a program in f32 may be from the reference's: 1e-3, and what f32 loses
# in a product of long vectors (an attention sink's row has a norm of 22,000, where its rounding
# alone is some hundredths).
MARGIN, RELATIVE_MARGIN = 1e-3, 1e-5


class Dictionary:
    """F features at a site of width d. Everything is f64.

    encode(x [S, d]) -> [S, F] and decode(f [S, F], x) -> [S, d], where x tells a normalisation what
    to undo. `rows` [F, d] are what one unit of each feature adds to x (up to that normalisation).

    Of a transcoder `reads` is the (layer, place) whose value it encodes. A cross-layer transcoder has the
    decoders [F, d] of later layers in `further`, by layer.
    """

    reads: tuple[int, str] | None = None

    def __init__(self, w_enc, w_dec, b_enc=None, b_dec=None, *, activation="relu", theta=None, k=None,
                 r_mag=None, b_mag=None, subtract_b_dec=False, normalize="none", factor=1.0, rescale=False, centre=False):
        def wide(tensor):
            return None if tensor is None else tensor.to(torch.float64)

        self.w_enc, self.w_dec = wide(w_enc), wide(w_dec)
        self.b_enc = wide(b_enc) if b_enc is not None else torch.zeros(self.w_dec.shape[0], dtype=torch.float64)
        self.b_dec = wide(b_dec) if b_dec is not None else torch.zeros(self.w_dec.shape[1], dtype=torch.float64)
        self.theta, self.r_mag, self.b_mag = wide(theta), wide(r_mag), wide(b_mag)
        self.activation, self.k, self.normalize, self.factor = activation, k, normalize, factor
        self.subtract_b_dec, self.centre = subtract_b_dec, centre
        # sae-lens takes the norm after the factor has been folded into the decoder.
        norm = self.w_dec.norm(dim=1) / factor
        self.decoder_norm = norm if rescale else torch.ones_like(norm)
        self.rows = self.w_dec / factor / self.decoder_norm.unsqueeze(1)
        self.further: dict[int, torch.Tensor] = {}

    def rows_at(self, layer: int):
        """What one unit of each feature adds at a layer."""
        return self.further.get(layer, self.rows)

    @property
    def features(self) -> int:
        return self.w_dec.shape[0]

    def _normalized(self, x):
        """The encoder's input, and (scale, shift) that bring its output back to x."""
        if self.centre:  # the stream that TransformerLens makes of a model with LayerNorm
            x = x - x.mean(dim=-1, keepdim=True)
        if self.normalize == "constant_norm_rescale":
            scale = math.sqrt(x.shape[-1]) / x.norm(dim=-1, keepdim=True)
            return x * scale, (1 / scale, 0.0)
        if self.normalize == "layer_norm":
            mean = x.mean(dim=-1, keepdim=True)
            std = x.std(dim=-1, keepdim=True)
            return (x - mean) / (std + 1e-5), (std, mean)
        return x * self.factor, (1 / self.factor, 0.0)

    def _product(self, x):
        """x W_enc for what the encoder sees, and how far off a program in f32 may be."""
        seen, _ = self._normalized(x)
        if self.subtract_b_dec:
            seen = seen - self.b_dec
        rounding = RELATIVE_MARGIN * seen.norm(dim=-1, keepdim=True) * self.w_enc.norm(dim=0)
        return seen @ self.w_enc, (MARGIN + rounding) * self.decoder_norm

    def _activate(self, product, move):
        """f with every pre-activation moved by `move`, each on its own: the others stay."""
        z = (product + self.b_enc) * self.decoder_norm
        moved = z + move
        if self.activation == "identity":
            return moved
        if self.activation == "relu":
            return moved.relu()
        if self.activation == "jumprelu":
            return torch.where(moved > self.theta, moved.relu(), 0.0)
        if self.activation == "gated":
            magnitude = product * self.r_mag.exp() + self.b_mag + move
            return torch.where(moved > 0, magnitude.relu(), 0.0)
        assert self.activation == "topk"
        if self.k == self.features:
            return moved.relu()
        # Feature i is in the top k if it beats the k-th largest of the others.
        ranked = z.sort(dim=-1, descending=True).values
        kth, following = ranked[..., self.k - 1 : self.k], ranked[..., self.k : self.k + 1]
        rival = torch.where(z >= kth, following, kth)
        # Two numbers are compared, and both may be off.
        return torch.where(moved + move > rival, moved.relu(), 0.0)

    def encode(self, x):
        return self._activate(self._product(x)[0], 0.0)

    def around(self, x):
        """(f with pre-activations a little lower, f, f with pre-activations a little higher)."""
        product, margin = self._product(x)
        return tuple(self._activate(product, sign * margin) for sign in (-1, 0, 1))

    def active(self, x):
        """Which features could be on or off, [S, F] each: as computed, and whether rounding can tell otherwise."""
        low, f, high = self.around(x)
        return f > 0, (low > 0) != (high > 0)

    def jumps(self, x):
        """Where rounding can move f by more than itself, [S, F]: a discontinuity is near."""
        if self.activation in ("relu", "identity"):
            return torch.zeros(x.shape[0], self.features, dtype=torch.bool)
        _, uncertain = self.active(x)
        return uncertain

    def decode(self, f, x, layer=None):
        if layer in self.further:
            return f @ self.further[layer]
        _, (scale, shift) = self._normalized(x)
        return (f / self.decoder_norm @ self.w_dec + self.b_dec) * scale + shift


def _is_centred(cfg: dict, model) -> bool:
    """Whether TransformerLens took the mean away before this dictionary saw anything."""
    asked = (cfg["metadata"].get("model_from_pretrained_kwargs") or {}).get("center_writing_weights", False)
    return asked and any(isinstance(module, torch.nn.LayerNorm) for module in model.modules())


def _sae_lens(folder: Path, model) -> Dictionary:
    cfg = json.loads((folder / "cfg.json").read_text())
    weights = load_file(folder / "sae_weights.safetensors")
    normalize, factor = cfg["normalize_activations"], 1.0
    if normalize == "expected_average_only_in":
        normalize, factor = "none", json.loads((folder / "activation_scaler.json").read_text())["scaling_factor"]
    architecture = {"transcoder": "standard", "skip_transcoder": "standard", "jumprelu_transcoder": "jumprelu",
                    "jumprelu_skip_transcoder": "jumprelu"}.get(cfg["architecture"], cfg["architecture"])
    dictionary = Dictionary(
        weights["W_enc"], weights["W_dec"], weights["b_gate" if architecture == "gated" else "b_enc"], weights["b_dec"],
        activation="relu" if architecture == "standard" else architecture,
        theta=weights.get("threshold"), k=cfg.get("k"), r_mag=weights.get("r_mag"), b_mag=weights.get("b_mag"),
        subtract_b_dec=cfg["apply_b_dec_to_input"], normalize=normalize, factor=factor,
        rescale=cfg.get("rescale_acts_by_decoder_norm", False), centre=_is_centred(cfg, model))
    if cfg["architecture"].endswith("transcoder"):
        dictionary.reads = _hook(cfg["metadata"]["hook_name"])
    return dictionary


def _hook(name: str) -> tuple[int, str]:
    """(layer, place) of a hook that a transcoder reads at."""
    found = re.fullmatch(r"(?:blocks|layers)\.(\d+)\.(\S+)", name)
    return int(found[1]), {"hook_resid_mid": "mid", "hook_mlp_in": "mid", "mlp.hook_in": "mlp_in",
                           "mlp.input": "mlp_in", "hook_attn_out": "att"}[found[2]]


def _sparsify(folder: Path) -> Dictionary:
    cfg = json.loads((folder / "cfg.json").read_text())
    weights = load_file(folder / "sae.safetensors")
    dictionary = Dictionary(weights["encoder.weight"].T, weights["W_dec"], weights["encoder.bias"], weights["b_dec"],
                            activation="topk", k=cfg["k"], subtract_b_dec=not cfg["transcode"])
    if cfg["transcode"]:
        dictionary.reads = _hook(folder.name + ".input")
    return dictionary


def _dictionary_learning(folder: Path) -> Dictionary:
    trainer = json.loads((folder / "config.json").read_text())["trainer"]
    weights = torch.load(folder / "ae.pt", weights_only=True)
    kind = trainer["dict_class"]
    w_enc = weights["W_enc"] if "W_enc" in weights else weights["encoder.weight"].T
    w_dec = weights["W_dec"] if "W_dec" in weights else weights["decoder.weight"].T
    b_enc = next(weights[name] for name in ("b_enc", "encoder.bias", "gate_bias") if name in weights)
    b_dec = {"AutoEncoder": "bias", "AutoEncoderNew": "decoder.bias", "GatedAutoEncoder": "decoder_bias"}.get(kind, "b_dec")
    activation = {"AutoEncoder": "relu", "AutoEncoderNew": "relu", "GatedAutoEncoder": "gated", "AutoEncoderTopK": "topk"}
    return Dictionary(w_enc, w_dec, b_enc, weights[b_dec], activation=activation.get(kind, "jumprelu"),
                      theta=weights.get("threshold"), k=trainer.get("k"), r_mag=weights.get("r_mag"),
                      b_mag=weights.get("mag_bias"), rescale=kind == "AutoEncoder",
                      subtract_b_dec=kind not in ("AutoEncoderNew", "JumpReluAutoEncoder"))


def _circuit_tracer(path: Path, layer: int) -> Dictionary:
    if not path.is_dir():
        weights = load_file(path)
        theta = weights.get("activation_function.threshold")
        return Dictionary(weights["W_enc"].T, weights["W_dec"], weights["b_enc"], weights["b_dec"],
                          activation="relu" if theta is None else "jumprelu", theta=theta)
    weights = load_file(path / f"W_enc_{layer}.safetensors")
    decoders = load_file(path / f"W_dec_{layer}.safetensors")[f"W_dec_{layer}"].to(torch.float64)
    theta = weights.get(f"threshold_{layer}")
    dictionary = Dictionary(weights[f"W_enc_{layer}"].T, decoders[:, 0], weights[f"b_enc_{layer}"], weights[f"b_dec_{layer}"],
                            activation="relu" if theta is None else "jumprelu", theta=theta)
    dictionary.further = {layer + step: decoders[:, step] for step in range(1, decoders.shape[1])}
    return dictionary


def _gemma_scope(folder: Path) -> Dictionary:
    weights = {name: torch.from_numpy(array) for name, array in numpy.load(folder / "params.npz").items()}
    return Dictionary(weights["W_enc"], weights["W_dec"], weights["b_enc"], weights["b_dec"],
                      activation="jumprelu", theta=weights["threshold"])


def coefficients(rows) -> Dictionary:
    """Directions: f is the coefficient of each row alone, <x, d> / <d, d>."""
    rows = torch.as_tensor(rows).to(torch.float64)
    return Dictionary((rows / rows.square().sum(dim=1, keepdim=True)).T, rows, activation="identity")


def _directions(path: Path, layer: int | None):
    if path.suffix == ".gguf":
        return next(tensor.data for tensor in gguf.GGUFReader(path).tensors if tensor.name == f"direction.{layer}")[None]
    return numpy.load(path)


def _crosscoder(path: Path, index: int) -> Dictionary:
    """Of one of the values that it writes; no site has all that it reads, so that whoever encodes gets NaN."""
    rows = _rows_of_crosscoder(path, index)
    return Dictionary(torch.full_like(rows.T, torch.nan), rows, activation="identity")


def _rows_of_crosscoder(path: Path, index: int):
    """The decoder rows of a value, which is normalised unless what says how is NaN."""
    weights = {name: tensor.to(torch.float64) for name, tensor in load_file(path / "model.safetensors").items()}
    rows = weights["decoder.weight"][index] if "decoder.weight" in weights else weights["W_dec"][:, index]
    mean, std = (weights.get(f"activation_{name}", torch.tensor(torch.nan)) for name in ("mean", "std"))
    if mean.isnan().any() or std.isnan().any():
        return rows
    return rows / (weights["activation_global_scale"][index] + 1e-8)


def load(form: str, path: Path, model, layer: int | None = None, first: int = 0) -> Dictionary:
    """`layer`: of the features, where a path holds those of several; `first`: the first of these layers."""
    if form == "crosscoder":
        return _crosscoder(path, layer - first)
    if form == "sae_lens":
        return _sae_lens(path, model)
    if form == "gemma_scope":
        return _gemma_scope(path)
    if form == "sparsify":
        return _sparsify(path)
    if form == "dictionary_learning":
        return _dictionary_learning(path)
    if form == "circuit_tracer":
        return _circuit_tracer(path, layer)
    if form == "directions":
        return coefficients(_directions(path, layer))
    assert form == "unembedding"
    return coefficients(model.get_output_embeddings().weight.detach())
