# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Small random dictionaries on disk, in every layout and activation that a site can be read with."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy
import torch
from safetensors.torch import load_file, save_file

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


def write_transcoder(folder: Path, random: numpy.random.Generator, width: int, size: float, layer: int):
    """sae_lens' transcoders, with a skip or without: they read the MLP's input and write its output."""
    weights, _ = _weights(random, width, size, "none")
    weights["W_dec"] *= 0.5
    architecture = str(random.choice(["transcoder", "skip_transcoder", "jumprelu_transcoder", "jumprelu_skip_transcoder"]))
    if architecture.startswith("jumprelu"):
        weights["threshold"] = torch.from_numpy(random.uniform(0.05, 1, FEATURES).astype(numpy.float32))
    if "skip" in architecture:
        weights["W_skip"] = torch.from_numpy(random.standard_normal((width, width)).astype(numpy.float32))
    folder.mkdir(parents=True)
    save_file(weights, folder / "sae_weights.safetensors")
    (folder / "cfg.json").write_text(json.dumps({
        "architecture": architecture, "d_in": width, "d_out": width, "d_sae": FEATURES, "dtype": "float32", "device": "cpu",
        "apply_b_dec_to_input": False,
        "normalize_activations": "none", "reshape_activations": "none",
        "metadata": {"hook_name": f"blocks.{layer}.mlp.hook_in", "hook_name_out": f"blocks.{layer}.hook_mlp_out"}}))


def write_sparsify(folder: Path, random: numpy.random.Generator, width: int, size: float, layer: int):
    """EleutherAI's: an autoencoder of the MLP's output, or a transcoder of the MLP."""
    weights, _ = _weights(random, width, size, "none")
    transcode, skip = bool(random.integers(2)), bool(random.integers(2))
    stored = {"encoder.weight": weights["W_enc"].T.contiguous(), "encoder.bias": weights["b_enc"],
              "W_dec": weights["W_dec"], "b_dec": weights["b_dec"]}
    if skip:
        stored["W_skip"] = torch.from_numpy(random.standard_normal((width, width)).astype(numpy.float32))
    folder.mkdir(parents=True)
    save_file(stored, folder / "sae.safetensors")
    (folder / "cfg.json").write_text(json.dumps({
        "activation": "topk", "expansion_factor": 1, "normalize_decoder": False, "num_latents": FEATURES,
        "k": int(random.integers(2, 9)), "multi_topk": False, "skip_connection": skip, "transcode": transcode, "d_in": width}))


def write_dictionary_learning(folder: Path, random: numpy.random.Generator, width: int, size: float, layer: int):
    """One of the classes of dictionary_learning, with the strides that its initialisation leaves."""
    weights, _ = _weights(random, width, size, "none")
    kind = str(random.choice(["AutoEncoder", "AutoEncoderNew", "GatedAutoEncoder", "JumpReluAutoEncoder", "AutoEncoderTopK",
                              "BatchTopKSAE", "MatryoshkaBatchTopKSAE"]))
    trainer = {"dict_class": kind, "activation_dim": width, "dict_size": FEATURES, "submodule_name": f"resid_post_layer_{layer}"}
    linear = {"encoder.weight": weights["W_enc"].T, "decoder.weight": weights["W_dec"].T.contiguous()}
    one = torch.tensor(0.3)
    if kind == "AutoEncoder":
        norm = weights["W_dec"].norm(dim=1)  # which features are multiplied by
        linear["encoder.weight"] = linear["encoder.weight"] / norm.unsqueeze(1)
        state = linear | {"bias": weights["b_dec"], "encoder.bias": weights["b_enc"] / norm}
    elif kind == "AutoEncoderNew":
        state = linear | {"decoder.bias": weights["b_dec"], "encoder.bias": weights["b_enc"]}
    elif kind == "GatedAutoEncoder":
        more = torch.from_numpy((random.standard_normal((2, FEATURES)) * 0.3).astype(numpy.float32))
        state = linear | {"decoder_bias": weights["b_dec"], "gate_bias": weights["b_enc"], "r_mag": more[0], "mag_bias": more[1]}
    elif kind == "JumpReluAutoEncoder":
        state = weights | {"threshold": torch.from_numpy(random.uniform(0.05, 1, FEATURES).astype(numpy.float32))}
    elif kind == "MatryoshkaBatchTopKSAE":
        trainer["k"] = 5
        state = weights | {"k": torch.tensor(5, dtype=torch.int), "threshold": one,
                           "group_sizes": torch.tensor([FEATURES // 2, FEATURES - FEATURES // 2])}
    else:
        trainer["k"] = 5
        state = linear | {"encoder.bias": weights["b_enc"], "b_dec": weights["b_dec"], "k": torch.tensor(5, dtype=torch.int),
                          "threshold": one}
    folder.mkdir(parents=True)
    torch.save(state, folder / "ae.pt")
    (folder / "config.json").write_text(json.dumps({"trainer": trainer}))


def _circuit_tracer_weights(random, width: int, size: float, targets: int, jumps: bool):
    weights, _ = _weights(random, width, size, "none")
    decoders = torch.from_numpy(random.standard_normal((FEATURES, targets, width)).astype(numpy.float32)) * size * 0.2
    weights["W_enc"] = weights["W_enc"].T.contiguous()
    theta = torch.from_numpy(random.uniform(0.05, 1, FEATURES).astype(numpy.float32)) if jumps else None
    return weights, decoders, theta


def write_circuit_tracer(path: Path, random: numpy.random.Generator, width: int, size: float, layer: int):
    """A per-layer transcoder. Where it reads, the spec says."""
    weights, decoders, theta = _circuit_tracer_weights(random, width, size, 1, bool(random.integers(2)))
    weights["W_dec"] = decoders[:, 0].contiguous()
    if theta is not None:
        weights["activation_function.threshold"] = theta
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, path)


def write_cross_layer(folder: Path, random: numpy.random.Generator, width: int, size: float, layer: int, layers: int = 3):
    """One layer of a cross-layer transcoder, which writes at all later ones."""
    # All layers have thresholds, or none.
    jumps = bool(random.integers(2)) if not folder.exists() else any(
        "threshold" in name for path in folder.glob("W_enc_*") for name in load_file(path))
    weights, decoders, theta = _circuit_tracer_weights(random, width, size, layers - layer, jumps)
    stored = {f"{name}_{layer}": weights[name] for name in ("W_enc", "b_enc", "b_dec")}
    if theta is not None:
        stored[f"threshold_{layer}"] = theta
    folder.mkdir(parents=True, exist_ok=True)
    save_file(stored, folder / f"W_enc_{layer}.safetensors")
    save_file({f"W_dec_{layer}": decoders.contiguous()}, folder / f"W_dec_{layer}.safetensors")


def write_control_vector(path: Path, random: numpy.random.Generator, width: int, size: float, layers):
    """A GGUF file with a direction for each layer, as repeng writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(path, "controlvector")
    writer.add_string("controlvector.model_hint", "llama")
    writer.add_uint32("controlvector.layer_count", len(layers))
    for layer in layers:
        writer.add_tensor(f"direction.{layer}", (random.standard_normal(width) * size * 0.4).astype(numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_crosscoder(folder: Path, random: numpy.random.Generator, width: int, size: float, layers):
    """One crosscoder of the values of all layers, in either layout, its values normalised or not."""
    def normal(*shape):
        return torch.from_numpy(random.standard_normal(shape).astype(numpy.float32))

    count = len(layers)
    decoder, bias = normal(count, FEATURES, width) * size * 0.4, normal(count, width)
    encoder = normal(count, width, FEATURES) / (size * width ** 0.5)
    folder.mkdir(parents=True, exist_ok=True)
    if random.integers(2):
        stored = {"W_enc": encoder, "b_enc": normal(FEATURES), "W_dec": decoder.transpose(0, 1).contiguous(), "b_dec": bias}
    else:
        nothing = torch.full((count, width), torch.nan)
        stored = {"encoder.weight": encoder, "encoder.bias": normal(FEATURES), "decoder.weight": decoder, "decoder.bias": bias,
                  "activation_mean": nothing, "activation_std": nothing.clone(), "activation_global_scale": torch.ones(count)}
        if random.integers(2):
            scale = torch.from_numpy(random.uniform(0.2, 3, count).astype(numpy.float32))
            stored |= {"activation_mean": normal(count, width), "activation_std": normal(count, width).abs(),
                       "activation_global_scale": scale, "decoder.weight": decoder * scale[:, None, None]}
    save_file(stored, folder / "model.safetensors")


WRITERS = {"sae_lens": write_sae, "gemma_scope": write_gemma_scope, "directions": write_directions}


@dataclass(frozen=True)
class Form:
    """A kind of dictionaries at one kind of site: what a spec says of it, and what writes one."""

    format: str
    path: str  # with {layer} where each layer has its own
    site: str
    write: Callable
    reads: tuple[str, ...] = ()  # places that the spec may name
    size_of: str = ""  # the place whose size the encoder is made for, if it is not the site
    features: int = FEATURES
    together: bool = False  # what is written at once is of all layers
    decodes_only: bool = False  # nothing can be read: rows can be added and taken out


FORMS = {
    "transcoder": Form("sae_lens", "{layer}", "mlp", write_transcoder, size_of="mlp_in"),
    "sparsify": Form("sparsify", "layers.{layer}.mlp", "mlp", write_sparsify),
    "dictionary_learning": Form("dictionary_learning", "{layer}", "res", write_dictionary_learning),
    "circuit_tracer": Form("circuit_tracer", "layer_{layer}.safetensors", "mlp", write_circuit_tracer, ("mlp_in", "mid", "att")),
    "cross_layer": Form("circuit_tracer", "clt", "mlp", write_cross_layer, ("mlp_in", "mid", "att")),
    "control_vector": Form("directions", "vector.gguf", "res", write_control_vector, features=1, together=True),
    "crosscoder": Form("crosscoder", "cc", "res", write_crosscoder, together=True, decodes_only=True),
}
