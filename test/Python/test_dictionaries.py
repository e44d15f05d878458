# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Effective rows of dictionaries against sae-lens and against plain formulas.

`weir-dictionary-dump` (built with the unit tests, in the folder that the variable
WEIR_BUILD names, `build` by default) writes the rows that the compiler works with.
Here they encode and decode in f64, and so does the reference: what is left is the
rounding of the effective rows to f32, once an element. A folded bias
b - <b_dec, w> is a difference of numbers that may be larger than itself, so the
tolerance of 1e-5 is relative to the largest value of the array compared: some
hundred units in the last place of f32, far below what a wrong formula does.
"""

import json
import math
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "smollm2" / "dictionaries"
DUMP = Path(os.environ.get("WEIR_BUILD", ROOT / "build")).resolve() / "test/Unit/weir-dictionary-dump"
TOLERANCE = 1e-5
WIDTH, FEATURES = 24, 60


def run(*arguments):
    return subprocess.run([str(DUMP), *map(str, arguments)], capture_output=True, text=True)


def refusal(form, path):
    result = run(form, path)
    assert result.returncode == 1, result.stdout
    return result.stderr


class Effective:
    """A dictionary as Weir reads it."""

    def __init__(self, form, path, out, features=None, arguments=()):
        out.mkdir(parents=True, exist_ok=True)
        chosen = [*arguments] if features is None else ["--features", ",".join(map(str, features)), *arguments]
        result = run(form, path, "--out", out, "--hash", *chosen)
        assert result.returncode == 0, result.stderr
        self.info = json.loads(result.stdout)
        for name in ("encoder_weight", "encoder_bias", "decoder", "decoder_bias", "threshold",
                     "magnitude_scale", "magnitude_bias"):
            file = out / f"{name}.npy"
            array = np.load(file) if file.exists() else None
            assert array is None or array.dtype == np.float32
            setattr(self, name, None if array is None else array.astype(np.float64))
        if self.encoder_weight is not None:
            assert (self.threshold is not None) == (self.info["activation"] == "jumprelu")
            assert (self.magnitude_scale is not None) == (self.info["activation"] == "gated")

    def normalized(self, x):
        """The encoder's input, and what brings an edit back to the scale of x."""
        kind = self.info["normalization"]
        if kind == "constant_norm":
            factor = np.linalg.norm(x, axis=1, keepdims=True) / math.sqrt(x.shape[1])
            return x / factor, factor
        if kind == "layer_norm":
            std = x.std(axis=1, ddof=1, keepdims=True)
            return (x - x.mean(axis=1, keepdims=True)) / (std + 1e-5), std
        assert kind == "none"
        return x, np.ones((len(x), 1))

    def encode(self, x):
        x = self.normalized(x)[0]
        product = x @ self.encoder_weight.T
        z = product + self.encoder_bias
        activation = self.info["activation"]
        if activation == "identity":
            return z
        if activation == "relu":
            return np.maximum(z, 0)
        if activation == "jumprelu":
            return np.where(z > self.threshold, z, 0)
        if activation == "gated":
            magnitude = product * self.magnitude_scale + self.magnitude_bias
            return np.where(z > 0, np.maximum(magnitude, 0), 0)
        assert activation == "topk"
        kept = np.argsort(-z, axis=1, kind="stable")[:, : self.info["top_k"]]
        f = np.zeros_like(z)
        np.put_along_axis(f, kept, np.maximum(np.take_along_axis(z, kept, 1), 0), 1)
        return f

    def edit(self, x, change):
        """What adding `change` to the activations adds to x."""
        return self.normalized(x)[1] * (change @ self.decoder)

    def reconstruct(self, x):
        back = self.normalized(x)[1] * (self.encode(x) @ self.decoder + self.decoder_bias)
        if self.info["normalization"] == "layer_norm":
            back += x.mean(axis=1, keepdims=True)
        return back


def close(ours, reference):
    reference = np.asarray(reference)
    assert ours.shape == reference.shape
    assert np.isfinite(reference).all()
    error = np.abs(ours - reference).max()
    assert error <= TOLERANCE * np.abs(reference).max(), error


def compare(effective, sae, x, scale=1.0, unit=1.0):
    """Encoding, reconstruction and the effect of an edit. `scale`: the reference
    expects its input times this; `unit`: its activations are ours times this."""
    reference = sae.to(dtype=torch.float64)
    given = torch.from_numpy(x * scale)
    with torch.no_grad():
        f = reference.encode(given)
        rebuilt = reference.decode(f)
        reference.encode(given)  # the factor of the normalisation is kept for one decode
        change = torch.from_numpy(np.random.default_rng(9).standard_normal(f.shape)) * f.abs().max()
        edited = reference.decode(f + change)
    active = (f != 0).double().mean().item()
    assert 0.02 < active < 0.98, "the comparison would see one branch only"
    close(effective.encode(x) * unit, f.numpy())
    close(effective.reconstruct(x), rebuilt.numpy() / scale)
    close(effective.edit(x, change.numpy() / unit), (edited - rebuilt).numpy() / scale)


def inputs(rows=40, width=WIDTH):
    rng = np.random.default_rng(3)
    return rng.standard_normal((rows, width)) * rng.uniform(0.3, 4, (rows, 1)) + 0.7


def randomize(sae, seed=0):
    """Numbers that give every setting something to do."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sae.named_parameters():
            parameter.normal_(0, 0.5)
            if name == "threshold":
                parameter.uniform_(-0.5, 3)
            elif name == "W_dec":
                parameter.mul_(torch.rand(len(parameter), 1) * 3 + 0.1)
    return sae


def config(kind, **settings):
    return kind(d_in=WIDTH, d_sae=FEATURES, **settings)


NORMALIZATIONS = ["none", "constant_norm_rescale", "layer_norm"]


def inference_kinds():
    from sae_lens import (
        GatedSAE, GatedSAEConfig, JumpReLUSAE, JumpReLUSAEConfig, StandardSAE, StandardSAEConfig,
        TopKSAE, TopKSAEConfig,
    )

    return {
        "standard": (StandardSAE, StandardSAEConfig, {}),
        "jumprelu": (JumpReLUSAE, JumpReLUSAEConfig, {}),
        "gated": (GatedSAE, GatedSAEConfig, {}),
        "topk": (TopKSAE, TopKSAEConfig, {"k": 7}),
        "topk_by_norm": (TopKSAE, TopKSAEConfig, {"k": 7, "rescale_acts_by_decoder_norm": True}),
    }


@pytest.mark.parametrize("applied", [True, False], ids=["b_dec", "no_b_dec"])
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("kind", ["standard", "jumprelu", "gated", "topk", "topk_by_norm"])
def test_sae_lens(tmp_path, kind, normalization, applied):
    from sae_lens import SAE

    model, settings, more = inference_kinds()[kind]
    sae = randomize(model(config(settings, apply_b_dec_to_input=applied,
                                 normalize_activations=normalization, **more)))
    sae.save_model(tmp_path / "sae")
    effective = Effective("sae_lens", tmp_path / "sae", tmp_path / "out")
    assert (effective.info["features"], effective.info["width"]) == (FEATURES, WIDTH)
    compare(effective, SAE.load_from_disk(tmp_path / "sae"), inputs())


@pytest.mark.parametrize("applied", [True, False], ids=["b_dec", "no_b_dec"])
@pytest.mark.parametrize("kind", ["standard", "jumprelu", "gated", "topk", "topk_by_norm"])
def test_sae_lens_average_norm(tmp_path, kind, applied):
    """The factor next to a checkpoint, against sae-lens with it folded in and with
    its input scaled by hand."""
    from sae_lens import SAE
    from sae_lens.training.activation_scaler import ActivationScaler

    model, settings, more = inference_kinds()[kind]
    sae = randomize(model(config(settings, apply_b_dec_to_input=applied,
                                 normalize_activations="expected_average_only_in", **more)))
    sae.save_model(tmp_path / "sae")
    assert "activation_scaler.json" in refusal("sae_lens", tmp_path / "sae")
    ActivationScaler(scaling_factor=0.37).save(str(tmp_path / "sae" / "activation_scaler.json"))
    effective = Effective("sae_lens", tmp_path / "sae", tmp_path / "out")
    # Activations that carry the decoder's norm carry the factor too once it is folded.
    unit = 0.37 if kind == "topk_by_norm" else 1.0
    compare(effective, SAE.load_from_disk(tmp_path / "sae"), inputs(), scale=0.37, unit=unit)
    folded = SAE.load_from_disk(tmp_path / "sae")
    folded.fold_activation_norm_scaling_factor(0.37)
    compare(effective, folded, inputs())


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16"])
def test_sae_lens_element_types(tmp_path, dtype):
    from sae_lens import SAE, JumpReLUSAE, JumpReLUSAEConfig

    sae = randomize(JumpReLUSAE(config(JumpReLUSAEConfig, dtype=dtype)))
    sae.save_model(tmp_path / "sae")
    compare(Effective("sae_lens", tmp_path / "sae", tmp_path / "out"),
            SAE.load_from_disk(tmp_path / "sae", dtype="float64"), inputs())


def training_kinds():
    from sae_lens import (
        BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig, MatryoshkaBatchTopKTrainingSAE,
        MatryoshkaBatchTopKTrainingSAEConfig,
    )

    return {
        "batchtopk": (BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig, {}),
        "matryoshka_batchtopk": (MatryoshkaBatchTopKTrainingSAE, MatryoshkaBatchTopKTrainingSAEConfig,
                                 {"matryoshka_widths": [20, FEATURES]}),
    }


@pytest.mark.parametrize("scale", [None, 2.7], ids=["plain", "average"])
@pytest.mark.parametrize("by_norm", [True, False], ids=["by_norm", "plain_norm"])
@pytest.mark.parametrize("kind", ["batchtopk", "matryoshka_batchtopk"])
def test_sae_lens_batchtopk(tmp_path, kind, by_norm, scale):
    """A checkpoint reads as what sae-lens exports it to; so does the export."""
    from sae_lens import SAE
    from sae_lens.training.activation_scaler import ActivationScaler

    model, settings, more = training_kinds()[kind]
    sae = randomize(model(config(
        settings, k=6.5, rescale_acts_by_decoder_norm=by_norm,
        normalize_activations="expected_average_only_in" if scale else "none", **more)))
    sae.topk_threshold.fill_(1.3)
    sae.save_model(tmp_path / "checkpoint")
    if scale:
        ActivationScaler(scaling_factor=scale).save(str(tmp_path / "checkpoint/activation_scaler.json"))
        sae.fold_activation_norm_scaling_factor(scale)
    sae.save_inference_model(tmp_path / "exported")
    exported = SAE.load_from_disk(tmp_path / "exported")
    for name in ("checkpoint", "exported"):
        compare(Effective("sae_lens", tmp_path / name, tmp_path / f"out-{name}"), exported, inputs())


def rewrite(path, change):
    settings = json.loads((path / "cfg.json").read_text())
    change(settings)
    (path / "cfg.json").write_text(json.dumps(settings))


@pytest.mark.parametrize("kind", ["standard", "jumprelu", "gated", "topk"])
def test_sae_lens_old_configurations(tmp_path, kind):
    """cfg.json as versions 2 to 5 wrote it."""
    from sae_lens import SAE

    model, settings, more = inference_kinds()[kind]
    sae = randomize(model(config(settings, **more)))
    sae.save_model(tmp_path / "sae")
    old = {
        "d_in": WIDTH, "d_sae": FEATURES, "dtype": "torch.float32", "device": "cpu",
        "model_name": "gpt2-small", "hook_point": "blocks.0.hook_resid_pre", "hook_point_layer": 0,
        "hook_point_head_index": None, "activation_fn_str": "relu", "normalize_activations": False,
        "finetuning_scaling_factor": False, "context_size": 128, "prepend_bos": True,
    }
    if kind == "topk":
        old |= {"activation_fn_str": "topk", "activation_fn_kwargs": {"k": 7}}
    elif kind != "standard":
        old |= {"architecture": kind}
    (tmp_path / "sae/cfg.json").write_text(json.dumps(old))
    effective = Effective("sae_lens", tmp_path / "sae", tmp_path / "out")
    assert effective.info["hook_name"] == "blocks.0.hook_resid_pre"
    compare(effective, SAE.load_from_disk(tmp_path / "sae"), inputs())


@pytest.mark.parametrize("key, value", [
    ("activation_fn", "tanh-relu"), ("activation_fn_str", "topk"), ("rescale_acts_by_decoder_norm", True)])
def test_sae_lens_keys_that_are_left_over(tmp_path, key, value):
    """sae-lens 6 ignores what its class of this architecture does not have."""
    from sae_lens import SAE, StandardSAE, StandardSAEConfig

    randomize(StandardSAE(config(StandardSAEConfig))).save_model(tmp_path / "sae")
    rewrite(tmp_path / "sae", lambda settings: settings.update({key: value}))
    compare(Effective("sae_lens", tmp_path / "sae", tmp_path / "out"), SAE.load_from_disk(tmp_path / "sae"), inputs())


def test_sae_lens_a_zero_decoder_row(tmp_path):
    """Its feature is never active; the other features are as they were."""
    from sae_lens import SAE, TopKSAE, TopKSAEConfig

    sae = randomize(TopKSAE(config(TopKSAEConfig, k=7, rescale_acts_by_decoder_norm=True)))
    with torch.no_grad():
        sae.W_dec[5] = 0
    sae.save_model(tmp_path / "sae")
    effective = Effective("sae_lens", tmp_path / "sae", tmp_path / "out")
    x = inputs()
    f = SAE.load_from_disk(tmp_path / "sae", dtype="float64").encode(torch.from_numpy(x))
    close(effective.encode(x), f.detach().numpy())
    assert "the decoder row of feature 5 is zero" in run("sae_lens", tmp_path / "sae", "--out", tmp_path / "out",
                                                         "--features", "5").stderr


def test_sae_lens_hook_z_is_the_joined_heads(tmp_path):
    from sae_lens import SAE, StandardSAE, StandardSAEConfig
    from sae_lens.saes.sae import SAEMetadata

    sae = randomize(StandardSAE(config(
        StandardSAEConfig, reshape_activations="hook_z",
        metadata=SAEMetadata(hook_name="blocks.1.attn.hook_z"))))
    sae.save_model(tmp_path / "sae")
    effective = Effective("sae_lens", tmp_path / "sae", tmp_path / "out")
    assert effective.info["hook_name"] == "blocks.1.attn.hook_z"
    x = inputs()
    reference = SAE.load_from_disk(tmp_path / "sae", dtype="float64")
    with torch.no_grad():
        f = reference.encode(torch.from_numpy(x).reshape(len(x), 4, WIDTH // 4))
    close(effective.encode(x), f.numpy())


def test_sae_lens_refuses_what_it_would_get_wrong(tmp_path):
    from sae_lens import AbsTopKSAE, AbsTopKSAEConfig, StandardSAE, StandardSAEConfig

    AbsTopKSAE(config(AbsTopKSAEConfig, k=5)).save_model(tmp_path / "abs")
    assert "known are standard, jumprelu, topk, batchtopk" in refusal("sae_lens", tmp_path / "abs")

    folder = tmp_path / "standard"
    StandardSAE(config(StandardSAEConfig)).save_model(folder)
    for key, value, said in (
        ("normalize_activations", "covariance_whitening", "covariance_whitening"),
        ("reshape_activations", "rows", "supported are none and hook_z"),
        ("hook_head_index", 3, "single attention head"),
        ("d_sae", FEATURES + 1, f"W_enc is [{WIDTH}, {FEATURES}]"),
    ):
        copy = tmp_path / key
        shutil.copytree(folder, copy)
        rewrite(copy, lambda settings: settings.update({key: value}))
        assert said in refusal("sae_lens", copy)


@pytest.mark.parametrize("layer", range(9, 17))
@pytest.mark.parametrize("site", ["res", "mlp", "att"])
def test_example_dictionaries(tmp_path, site, layer):
    """The files users get, on inputs of the scale that they were trained at."""
    from sae_lens import SAE

    path = EXAMPLES / f"{site}.{layer}"
    effective = Effective("sae_lens", path, tmp_path)
    reference = SAE.load_from_disk(path, dtype="float64")
    scale = json.loads((path / "cfg.json").read_text())["metadata"]["rms_scale"]
    rng = np.random.default_rng(layer)
    x = reference.b_dec.detach().numpy() + 2 * scale * rng.standard_normal((32, 576))
    compare(effective, reference, x)

    some = [5, 0, 1000, 5, 731]
    part = Effective("sae_lens", path, tmp_path / "some", some)
    for name in ("encoder_weight", "encoder_bias", "threshold", "decoder"):
        assert (getattr(part, name) == getattr(effective, name)[some]).all()


def test_antagonists_of_an_example():
    from safetensors.numpy import load_file

    path = EXAMPLES / "res.12"
    rows = load_file(path / "sae_weights.safetensors")["W_dec"].astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = rows @ rows[1438]
    expected = np.argsort(cosines, kind="stable")[:8]
    found = json.loads(run("sae_lens", path, "--antagonists", "1438,8").stdout)["antagonists"]
    assert [feature for feature, _ in found] == expected.tolist()
    np.testing.assert_allclose([cosine for _, cosine in found], cosines[expected], rtol=1e-12)


def test_hash_is_of_the_content(tmp_path):
    shutil.copytree(EXAMPLES / "att.9", tmp_path / "copy")
    first = Effective("sae_lens", EXAMPLES / "att.9", tmp_path / "a").info["hash"]
    assert Effective("sae_lens", tmp_path / "copy", tmp_path / "b").info["hash"] == first
    weights = tmp_path / "copy" / "sae_weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert Effective("sae_lens", tmp_path / "copy", tmp_path / "c").info["hash"] != first


# ---- Gemma Scope, Gemma Scope 2, Llama Scope: files in the documented layouts, plain
# formulas, and the converters of sae-lens with their downloads answered from disk.


def gemma_weights(seed=0, width=WIDTH):
    rng = np.random.default_rng(seed)
    weights = {
        "W_enc": rng.standard_normal((width, FEATURES)) / 2,
        "W_dec": rng.standard_normal((FEATURES, width)) / 2,
        "b_enc": rng.standard_normal(FEATURES),
        "b_dec": rng.standard_normal(width),
        "threshold": rng.uniform(0, 3, FEATURES),
    }
    return {name: array.astype(np.float32) for name, array in weights.items()}


def jumprelu(w, x):
    z = x @ w["W_enc"].astype(np.float64) + w["b_enc"]
    return np.where(z > w["threshold"], np.maximum(z, 0), 0)


def from_converted(settings, state):
    """What SAE.from_pretrained does with a converter's answer."""
    from sae_lens import SAE
    from sae_lens.loading.pretrained_sae_loaders import handle_config_defaulting

    settings = handle_config_defaulting(settings)
    sae = SAE.from_dict(settings)
    sae.load_state_dict(state)
    return sae


@pytest.fixture
def offline(monkeypatch):
    """Answers sae-lens' downloads from a folder."""
    from sae_lens.loading import pretrained_sae_loaders as loaders

    def install(folder):
        def download(repo_id, filename, subfolder=None, force_download=False):
            return str(folder / Path(filename).name) if (folder / Path(filename).name).exists() else str(
                folder / "checkpoints" / Path(filename).name)

        def shapes(repo_id, filename):
            from safetensors.numpy import load_file

            return {name: list(array.shape)
                    for name, array in load_file(folder / Path(filename).name).items()}

        monkeypatch.setattr(loaders, "hf_hub_download", download)
        monkeypatch.setattr(loaders, "get_safetensors_tensor_shapes", shapes)
        return loaders

    return install


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed], ids=["stored", "deflated"])
def test_gemma_scope(tmp_path, offline, save):
    folder = tmp_path / "layer_12/width_16k/average_l0_71"
    folder.mkdir(parents=True)
    weights = gemma_weights()
    save(folder / "params.npz", **weights)
    effective = Effective("gemma_scope", folder, tmp_path / "out")
    x = inputs()
    f = jumprelu(weights, x)
    close(effective.encode(x), f)
    close(effective.reconstruct(x), f @ weights["W_dec"] + weights["b_dec"])

    settings, state, _ = offline(folder).gemma_2_sae_huggingface_loader(
        "google/gemma-scope-2b-pt-res", "layer_12/width_16k/average_l0_71",
        cfg_overrides={"d_in": WIDTH, "d_sae": FEATURES})
    compare(effective, from_converted(settings, state), x)


def test_gemma_scope_as_some_releases_have_it(tmp_path, offline):
    """Matrices with names in lower case, and a factor of ones that an unused option left."""
    folder = tmp_path / "layer_12/width_16k/average_l0_71"
    folder.mkdir(parents=True)
    weights = gemma_weights()
    lower = {name.lower() if name.startswith("W_") else name: array for name, array in weights.items()}
    np.savez(folder / "params.npz", **lower, scaling_factor=np.ones(FEATURES, np.float32))
    effective = Effective("gemma_scope", folder, tmp_path / "out")
    close(effective.encode(x := inputs()), jumprelu(weights, x))
    settings, state, _ = offline(folder).gemma_2_sae_huggingface_loader(
        "google/gemma-scope-2b-pt-res", "layer_12/width_16k/average_l0_71",
        cfg_overrides={"d_in": WIDTH, "d_sae": FEATURES})
    compare(effective, from_converted(settings, state), x)


def test_gemma_scope_folders_that_are_not_sites(tmp_path):
    for name in ("embedding/width_4k/average_l0_6", "gemma-scope-2b-pt-transcoders/layer_1/width_16k/average_l0_9"):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        np.savez(folder / "params.npz", **gemma_weights())
    assert "not a site" in refusal("gemma_scope", tmp_path / "embedding/width_4k/average_l0_6")
    folder = tmp_path / "gemma-scope-2b-pt-transcoders/layer_1/width_16k/average_l0_9"
    assert not Effective("gemma_scope", folder, tmp_path / "out").info["reads_site"]


def test_gemma_scope_hostile_archives(tmp_path):
    folder = tmp_path / "sae"
    folder.mkdir()
    good = gemma_weights()
    for change, said in (
        ({"W_dec": good["W_dec"][:, :-1]},
         f"W_dec is [{FEATURES}, {WIDTH - 1}], but W_enc is [{WIDTH}, {FEATURES}]"),
        ({"W_enc": good["W_enc"].astype(np.int32)}, "W_enc is i32"),
        ({"threshold": good["threshold"][:3]}, "threshold is [3]"),
        ({"scaling_factor": np.full(FEATURES, 1.5, np.float32)}, "scaling_factor[0] is not 1"),
        ({"scaling_factors": np.ones(FEATURES, np.float32)}, "unexpected tensor 'scaling_factors'"),
        ({"W_enc": np.array([[object()]])}, ""),
    ):
        np.savez(folder / "params.npz", **{**good, **change})
        assert said in refusal("gemma_scope", folder)
    np.savez(folder / "params.npz", **{name: array for name, array in good.items() if name != "b_dec"})
    error = refusal("gemma_scope", folder)
    assert "b_dec" in error and "threshold" in error
    data = (folder / "params.npz").read_bytes()
    (folder / "params.npz").write_bytes(data[: len(data) // 2])
    refusal("gemma_scope", folder)


def write_gemma_scope_2(folder, hook_in, hook_out=None, skip=None):
    folder.mkdir(parents=True)
    weights = gemma_weights(1)
    tensors = {name.lower(): array for name, array in weights.items()}
    if skip is not None:
        tensors["affine_skip_connection"] = skip
    save_file(tensors, folder / "params.safetensors")
    settings = {"architecture": "jump_relu", "model_name": "google/gemma-3-1b-pt", "l0": 50,
                "width": FEATURES, "hf_hook_point_in": hook_in}
    if hook_out is not None:
        settings |= {"hf_hook_point_out": hook_out, "affine_connection": skip is not None}
    (folder / "config.json").write_text(json.dumps(settings))
    return weights


def test_gemma_scope_2(tmp_path, offline):
    name = "resid_post_all/layer_7_width_16k_l0_small"
    weights = write_gemma_scope_2(tmp_path / name, "model.layers.7.output")
    effective = Effective("gemma_scope_2", tmp_path / name, tmp_path / "out")
    assert effective.info["hook_name"] == "model.layers.7.output"
    x = inputs()
    f = jumprelu(weights, x)
    close(effective.encode(x), f)
    close(effective.reconstruct(x), f @ weights["W_dec"] + weights["b_dec"])

    settings, state, _ = offline(tmp_path / name).gemma_3_sae_huggingface_loader(
        "google/gemma-scope-2-1b-pt", name)
    compare(effective, from_converted(settings, state), x)


@pytest.mark.parametrize("name, skip", [
    ("resid_post/layer_7_width_16k_l0_medium", False), ("mlp_out_all/layer_7_width_16k_l0_small", False),
    ("attn_out_all/layer_7_width_16k_l0_small", False), ("transcoder_all/layer_7_width_16k_l0_small", False),
    ("transcoder_all/layer_7_width_16k_l0_small_affine", True)])
def test_gemma_scope_2_without_settings(tmp_path, name, skip):
    """The folder's name says what config.json would; so does sae-lens."""
    from sae_lens.loading.pretrained_sae_loaders import _infer_gemma_3_raw_cfg_dict

    write_gemma_scope_2(tmp_path / name, "", skip=np.zeros((WIDTH, WIDTH), np.float32) if skip else None)
    (tmp_path / name / "config.json").unlink()
    info = Effective("gemma_scope_2", tmp_path / name, tmp_path / "out").info
    wanted = _infer_gemma_3_raw_cfg_dict("google/gemma-scope-2-1b-pt", name)
    assert info["hook_name"] == wanted["hf_hook_point_in"]
    assert info["output_hook_name"] == wanted.get("hf_hook_point_out", "")
    assert info["reads_site"] == ("hf_hook_point_out" not in wanted)


def test_gemma_scope_2_transcoder(tmp_path):
    """It reads before its norm's weight, and its decoder rows do what they do in the transcoder."""
    name = "transcoder_all/layer_7_width_16k_l0_small_affine"
    skip = np.random.default_rng(5).standard_normal((WIDTH, WIDTH)).astype(np.float32)
    weights = write_gemma_scope_2(
        tmp_path / name, "model.layers.7.pre_feedforward_layernorm.output",
        "model.layers.7.post_feedforward_layernorm.output", skip)
    effective = Effective("gemma_scope_2", tmp_path / name, tmp_path / "out", arguments=["--reads"])
    assert not effective.info["reads_site"]
    x = inputs()
    f = jumprelu(weights, x)
    close(effective.encode(x), f)
    change = np.random.default_rng(6).standard_normal(f.shape)

    def out(f):
        return f @ weights["W_dec"].astype(np.float64) + weights["b_dec"] + x @ skip

    close(change @ effective.decoder, out(f + change) - out(f))


def write_llama_scope(folder, norms, decoder_norm=None, **settings):
    (folder / "checkpoints").mkdir(parents=True)
    rng = np.random.default_rng(2)
    weights = {
        "encoder.weight": rng.standard_normal((FEATURES, WIDTH)) / 2,
        "encoder.bias": rng.standard_normal(FEATURES),
        "decoder.weight": rng.standard_normal((WIDTH, FEATURES)) / 2,
        "decoder.bias": rng.standard_normal(WIDTH),
    }
    if decoder_norm is not None:
        weights["decoder.weight"] *= decoder_norm / np.linalg.norm(weights["decoder.weight"], axis=0)
    weights = {name: array.astype(np.float32) for name, array in weights.items()}
    save_file(weights, folder / "checkpoints/final.safetensors")
    settings = {
        "hook_point_in": "blocks.15.hook_resid_post", "hook_point_out": "blocks.15.hook_resid_post",
        "use_decoder_bias": True, "apply_decoder_bias_to_pre_encoder": False, "expansion_factor": 8,
        "d_model": WIDTH, "d_sae": FEATURES, "act_fn": "jumprelu", "jump_relu_threshold": 0.6,
        "norm_activation": "dataset-wise", "dataset_average_activation_norm": norms,
        "sparsity_include_decoder_norm": True, "use_glu_encoder": False, "top_k": 50,
    } | settings
    (folder / "hyperparams.json").write_text(json.dumps(settings))
    return {name: array.astype(np.float64) for name, array in weights.items()}


@pytest.mark.parametrize("by_norm", [True, False], ids=["by_norm", "plain_norm"])
@pytest.mark.parametrize("subtracted", [True, False], ids=["b_dec", "no_b_dec"])
@pytest.mark.parametrize("norms", [{"in": 7.5, "out": 7.5}, {"in": 7.5, "out": 3.25}],
                         ids=["one_norm", "two_norms"])
def test_llama_scope(tmp_path, norms, subtracted, by_norm):
    """Against the training-time form: x scaled on the way in, the reconstruction on
    the way out, the decoder's norm in the decision. The threshold of the file belongs
    to activations in the units of the unscaled input times the norm of the rows that
    write unscaled outputs."""
    weights = write_llama_scope(tmp_path / "sae", norms, apply_decoder_bias_to_pre_encoder=subtracted,
                                sparsity_include_decoder_norm=by_norm)
    effective = Effective("llama_scope", tmp_path / "sae", tmp_path / "out")
    s_in, s_out = (math.sqrt(WIDTH) / norms[key] for key in ("in", "out"))
    x = inputs()

    given = x * s_in
    if subtracted:  # a bias of the output's scale, brought to the input's
        given = given - weights["decoder.bias"] * s_in / s_out
    hidden = given @ weights["encoder.weight"].T + weights["encoder.bias"]
    norm = np.linalg.norm(weights["decoder.weight"], axis=0) * s_in / s_out if by_norm else 1.0
    decision = hidden / s_in * norm
    f = np.where(decision > 0.6, hidden, 0)
    rebuilt = (f @ weights["decoder.weight"].T + weights["decoder.bias"]) / s_out

    close(effective.encode(x), f / s_in * norm)
    close(effective.reconstruct(x), rebuilt)
    if by_norm:
        np.testing.assert_allclose(np.linalg.norm(effective.decoder, axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("by_norm", [True, False], ids=["by_norm", "plain_norm"])
def test_llama_scope_as_sae_lens_reads_it(tmp_path, offline, by_norm):
    """sae-lens keeps the factor of the input in f and leaves the norm of the decoder's
    rows out; with unit rows both give the same reconstructions."""
    write_llama_scope(tmp_path / "sae", {"in": 7.5, "out": 7.5}, decoder_norm=1,
                      sparsity_include_decoder_norm=by_norm)
    effective = Effective("llama_scope", tmp_path / "sae", tmp_path / "out")
    settings, state, _ = offline(tmp_path / "sae").llama_scope_sae_huggingface_loader(
        "fnlp/Llama3_1-8B-Base-LXR-8x", "Llama3_1-8B-Base-L15R-8x", cfg_overrides={"dtype": "float32"})
    scale = math.sqrt(WIDTH) / 7.5
    sae = from_converted(settings, state)
    sae.fold_activation_norm_scaling_factor(scale)
    sae = sae.to(dtype=torch.float64)
    x = inputs()
    with torch.no_grad():
        f = sae.encode(torch.from_numpy(x))
        rebuilt = sae.decode(f)
    assert 0.02 < (f > 0).double().mean() < 0.98
    close(effective.encode(x) * scale, f.numpy())
    close(effective.reconstruct(x), rebuilt.numpy())


def test_llama_scope_of_tokens(tmp_path):
    """norm_activation token-wise and TopK without a threshold."""
    weights = write_llama_scope(tmp_path / "sae", None, norm_activation="token-wise", act_fn="topk",
                                jump_relu_threshold=0.0, top_k=9, sparsity_include_decoder_norm=True)
    effective = Effective("llama_scope", tmp_path / "sae", tmp_path / "out")
    x = inputs()
    factor = math.sqrt(WIDTH) / np.linalg.norm(x, axis=1, keepdims=True)
    hidden = np.maximum(x * factor @ weights["encoder.weight"].T + weights["encoder.bias"], 0)
    decision = hidden * np.linalg.norm(weights["decoder.weight"], axis=0)
    last = np.sort(decision, axis=1)[:, [-9]]
    f = np.where(decision >= last, hidden, 0)
    close(effective.reconstruct(x), (f @ weights["decoder.weight"].T + weights["decoder.bias"]) / factor)


# ---- Directions


@pytest.mark.parametrize("shape", [(5, WIDTH), (WIDTH,)], ids=["rows", "one"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_directions_of_npy(tmp_path, shape, order):
    rows = np.random.default_rng(4).standard_normal(shape)
    np.save(tmp_path / "directions.npy", np.asarray(rows, dtype=np.float32, order=order))
    effective = Effective("directions", tmp_path / "directions.npy", tmp_path / "out")
    rows = rows.reshape(-1, WIDTH).astype(np.float32).astype(np.float64)
    assert effective.info["activation"] == "identity"
    close(effective.decoder, rows)
    x = inputs()
    close(effective.encode(x), x @ rows.T / (rows**2).sum(axis=1))
    # Setting one feature to 3 and reading it again gives 3.
    f = effective.encode(x)
    moved = x + (3 - f[:, [0]]) * rows[0]
    np.testing.assert_allclose(effective.encode(moved)[:, 0], 3, rtol=1e-6)


def test_directions_refuse_objects(tmp_path):
    np.save(tmp_path / "pickled.npy", np.array([{}, []], dtype=object))
    refusal("directions", tmp_path / "pickled.npy")
    (tmp_path / "text.npy").write_text("no array")
    refusal("directions", tmp_path / "text.npy")
