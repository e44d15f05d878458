# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Transcoders and other formats against the libraries that own them.

Each library writes a dictionary and encodes and decodes in f64 (sparsify, dictionary_learning,
circuit-tracer: see format_libraries.py; sae-lens; gguf, which llama.cpp publishes). What they give is
compared with what Weir reads, as in test_dictionaries.py.
"""

from __future__ import annotations

import json
import subprocess

import format_libraries
import numpy as np
import pytest
import torch
from test_dictionaries import FEATURES, WIDTH, Effective, close, config, inputs, randomize, refusal

TOOLS = format_libraries.BUILD / "bin"


def compare(effective, encode, decode, x):
    """Encoding, decoding, and the effect of an edit. `encode` and `decode` take and give f64 tensors."""
    with torch.no_grad():
        f = encode(torch.from_numpy(x))
        change = torch.from_numpy(np.random.default_rng(9).standard_normal(f.shape)) * f.abs().max()
        plain, edited = decode(f), decode(f + change)
    active = (f != 0).double().mean().item()
    assert 0.02 < active < 0.98, "the comparison would see one branch only"
    close(effective.encode(x), f.numpy())
    close(f.numpy() @ effective.decoder + effective.decoder_bias, plain.numpy())
    close(change.numpy() @ effective.decoder, (edited - plain).numpy())


# --- sae_lens ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["Transcoder", "SkipTranscoder", "JumpReLUTranscoder", "JumpReLUSkipTranscoder"])
def test_sae_lens_transcoders(tmp_path, kind):
    import sae_lens

    sae = randomize(getattr(sae_lens, kind)(config(
        getattr(sae_lens, kind + "Config"), d_out=WIDTH, apply_b_dec_to_input=False,
        metadata=sae_lens.saes.sae.SAEMetadata(hook_name="blocks.3.hook_resid_mid", hook_name_out="blocks.3.hook_mlp_out"))))
    sae.save_model(tmp_path / "sae")
    effective = Effective("sae_lens", tmp_path / "sae", tmp_path / "out", arguments=["--reads"])
    assert effective.info["hook_name"] == "blocks.3.hook_resid_mid"
    assert effective.info["output_hook_name"] == "blocks.3.hook_mlp_out"
    reference = sae_lens.SAE.load_from_disk(tmp_path / "sae", dtype="float64")
    compare(effective, reference.encode, reference.decode, inputs())


def test_sae_lens_transcoders_of_other_widths(tmp_path):
    import sae_lens

    sae = randomize(sae_lens.Transcoder(config(sae_lens.TranscoderConfig, d_out=WIDTH + 8, apply_b_dec_to_input=False)))
    sae.save_model(tmp_path / "sae")
    effective = Effective("sae_lens", tmp_path / "sae", tmp_path / "out")
    assert effective.decoder.shape == (FEATURES, WIDTH + 8) and effective.encoder_weight is None


# --- sparsify ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("transcode, skip", [(False, False), (True, False), (True, True)])
def test_sparsify(tmp_path, transcode, skip):
    format_libraries.folder()
    configs, coders = (format_libraries.module(f"sparsify.{name}") for name in ("config", "sparse_coder"))
    coder = randomize(coders.SparseCoder(WIDTH, configs.SparseCoderConfig(
        num_latents=FEATURES, k=7, transcode=transcode, skip_connection=skip)))
    folder = tmp_path / ("layers.3.mlp" if transcode else "layers.3")
    coder.save_to_disk(folder)
    effective = Effective("sparsify", folder, tmp_path / "out", arguments=["--reads"])
    assert (effective.info["activation"], effective.info["top_k"]) == ("topk", 7)
    assert effective.info["hook_name"] == ("layers.3.mlp.input" if transcode else "layers.3")
    reference = coders.SparseCoder.load_from_disk(folder).double()

    def encode(x):
        top = reference.encode(x)
        return torch.zeros(len(x), FEATURES, dtype=torch.float64).scatter(1, top.top_indices, top.top_acts)

    def decode(f):  # all features, the few that it keeps in training included
        return reference.decode(f, torch.arange(FEATURES).expand(f.shape))

    compare(effective, encode, decode, inputs())


def test_sparsify_groupmax_is_refused(tmp_path):
    configs, coders = (format_libraries.module(f"sparsify.{name}") for name in ("config", "sparse_coder"))
    coder = coders.SparseCoder(WIDTH, configs.SparseCoderConfig(num_latents=FEATURES, k=6, activation="groupmax"))
    coder.save_to_disk(tmp_path / "layers.3")
    assert "'groupmax', which is not supported" in refusal("sparsify", tmp_path / "layers.3")


# --- dictionary_learning ----------------------------------------------------------------------------


def dictionary_learning(kind):
    """A class, as it is made and as it is trained: its own initialisation leaves strides behind."""
    places = {"AutoEncoderTopK": "trainers.top_k", "BatchTopKSAE": "trainers.batch_top_k",
              "MatryoshkaBatchTopKSAE": "trainers.matryoshka_batch_top_k"}
    owner = getattr(format_libraries.module(f"dictionary_learning.{places.get(kind, 'dictionary')}"), kind)
    more = {"AutoEncoderTopK": [7], "BatchTopKSAE": [7], "MatryoshkaBatchTopKSAE": [7, [20, FEATURES - 20]]}
    return owner, owner(WIDTH, FEATURES, *more.get(kind, []))


@pytest.mark.parametrize("saved", ["state_dict", "plain"])
@pytest.mark.parametrize("kind", ["AutoEncoder", "AutoEncoderNew", "GatedAutoEncoder", "JumpReluAutoEncoder", "AutoEncoderTopK",
                                  "BatchTopKSAE", "MatryoshkaBatchTopKSAE"])
def test_dictionary_learning(tmp_path, kind, saved):
    owner, coder = dictionary_learning(kind)
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in coder.named_parameters():
            # In place, so that the strides stay what the class makes them.
            parameter.normal_(0, 0.5)
            if name == "threshold":
                parameter.uniform_(0.5, 3)
            elif "dec" in name and parameter.ndim == 2:
                parameter.mul_(2)
    if kind != "JumpReluAutoEncoder" and hasattr(coder, "threshold"):
        coder.threshold.fill_(1.5)
    state = coder.state_dict()
    (tmp_path / "ae").mkdir()
    # Its trainers save a plain mapping, its tests a module's own.
    torch.save(state if saved == "state_dict" else {name: tensor.cpu() for name, tensor in state.items()}, tmp_path / "ae/ae.pt")
    (tmp_path / "ae/config.json").write_text(json.dumps({"trainer": {
        "dict_class": kind, "activation_dim": WIDTH, "dict_size": FEATURES, "layer": 5,
        "submodule_name": "resid_post_layer_5", **({"k": 7} if hasattr(coder, "k") else {})}, "buffer": {}}))
    effective = Effective("dictionary_learning", tmp_path / "ae", tmp_path / "out")
    assert effective.info["hook_name"] == "resid_post_layer_5" and effective.info["reads_site"]
    reference = owner.from_pretrained(tmp_path / "ae/ae.pt").double()
    compare(effective, reference.encode, reference.decode, inputs())


def test_of_a_pickle_nothing_is_run(tmp_path):
    """A harmless call: it would make a file."""
    class Call:
        def __reduce__(self):
            return (tmp_path.__class__.touch, (tmp_path / "was-run",))

    torch.save({"encoder.weight": Call()}, tmp_path / "ae.pt")
    (tmp_path / "config.json").write_text(json.dumps({"trainer": {"dict_class": "AutoEncoder"}}))
    assert "nothing of the file was run" in refusal("dictionary_learning", tmp_path)
    assert not (tmp_path / "was-run").exists()


# --- circuit-tracer ---------------------------------------------------------------------------------


@pytest.mark.parametrize("skip", [False, True], ids=["plain", "skip"])
@pytest.mark.parametrize("jumprelu", [False, True], ids=["relu", "jumprelu"])
def test_circuit_tracer_per_layer(tmp_path, jumprelu, skip):
    format_libraries.folder()
    single = format_libraries.module("circuit_tracer.transcoder.single_layer_transcoder")
    act = single.JumpReLU(torch.rand(FEATURES) * 3) if jumprelu else torch.nn.functional.relu
    coder = single.SingleLayerTranscoder(WIDTH, FEATURES, act, 4, skip_connection=skip, dtype=torch.float32, device=torch.device("cpu"))
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in coder.named_parameters():
            if "threshold" not in name:
                parameter.normal_(0, 0.5)
    path = tmp_path / "layer_4.safetensors"
    coder.to_safetensors(str(path))
    (tmp_path / "config.yaml").write_text(
        'model_name: "x"\nmodel_kind: transcoder_set\nfeature_input_hook: "mlp.hook_in"\nfeature_output_hook: "mlp.hook_out"\n')
    effective = Effective("circuit_tracer", path, tmp_path / "out", arguments=["--layer", "4", "--reads"])
    assert effective.info["hook_name"] == "blocks.4.mlp.hook_in"
    assert effective.info["output_hook_name"] == "blocks.4.mlp.hook_out"
    reference = single.load_relu_transcoder(str(path), 4, device=torch.device("cpu"), dtype=torch.float64,
                                            lazy_encoder=False, lazy_decoder=False)
    x = inputs()
    zero = torch.zeros(1, WIDTH, dtype=torch.float64)
    compare(effective, reference.encode, lambda f: reference.decode(f, zero), x)


@pytest.mark.parametrize("jumprelu", [False, True], ids=["relu", "jumprelu"])
def test_circuit_tracer_across_layers(tmp_path, jumprelu):
    """What changed features of all layers write at each layer."""
    layers = 3
    across = format_libraries.module("circuit_tracer.transcoder.cross_layer_transcoder")
    coder = across.CrossLayerTranscoder(layers, FEATURES, WIDTH, "jump_relu" if jumprelu else "relu", lazy_decoder=False,
                                        dtype=torch.float32, device=torch.device("cpu"))
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in coder.named_parameters():
            parameter.uniform_(0, 3) if "threshold" in name else parameter.normal_(0, 0.5)
    coder.to_safetensors(str(tmp_path / "clt"))
    reference = across.load_clt(str(tmp_path / "clt"), device=torch.device("cpu"), dtype=torch.float64, lazy_decoder=False)
    x = np.stack([inputs() * (layer + 1) for layer in range(layers)])
    with torch.no_grad():
        f = reference.encode(torch.from_numpy(x))
        change = torch.from_numpy(np.random.default_rng(9).standard_normal(f.shape)) * f.abs().max()
        plain, edited = reference.decode(f), reference.decode(f + change)
    wrote = np.zeros_like(x)
    for layer in range(layers):
        for target in range(layer, layers):
            effective = Effective("circuit_tracer", tmp_path / "clt", tmp_path / f"out{layer}{target}",
                                  arguments=["--layer", layer, "--target", target, "--reads"])
            assert effective.info["last_target"] == layers - 1
            close(effective.encode(x[layer]), f[layer].numpy())
            wrote[target] += change[layer].numpy() @ effective.decoder
    close(wrote, (edited - plain).numpy())


# --- control vectors --------------------------------------------------------------------------------


def test_control_vectors(tmp_path):
    """Every layer's direction, as repeng writes and reads it."""
    import gguf

    rng = np.random.default_rng(1)
    directions = {layer: rng.standard_normal(WIDTH).astype(np.float32) for layer in (1, 2, 11)}
    path = tmp_path / "vector.gguf"
    writer = gguf.GGUFWriter(path, "controlvector")
    writer.add_string("controlvector.model_hint", "llama")
    writer.add_uint32("controlvector.layer_count", len(directions))
    for layer, direction in directions.items():
        writer.add_tensor(f"direction.{layer}", direction)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    for layer, direction in directions.items():
        effective = Effective("directions", path, tmp_path / str(layer), arguments=["--layer", layer])
        assert np.array_equal(effective.decoder, direction[None].astype(np.float64))
    assert "which layer is meant is not said" in refusal("directions", path)

    other = tmp_path / "model.gguf"
    writer = gguf.GGUFWriter(other, "llama")
    writer.add_tensor("direction.1", directions[1])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert "is no control vector: its general.architecture is 'llama'" in refusal("directions", other)


# --- attribution graphs -----------------------------------------------------------------------------


def test_attribution_graph(tmp_path):
    """A graph as circuit-tracer writes it, with pinned nodes of every kind."""
    models = format_libraries.module("circuit_tracer.frontend.graph_models")
    nodes = [models.Node.feature_node(1, 3, 4), models.Node.feature_node(0, 5, 2), models.Node.error_node(1, 2),
             models.Node.token_node(2, 77), models.Node.logit_node(5, 12, "a", 2)]
    pinned = [node.node_id for node in nodes]
    graph = models.Model(
        metadata=models.Metadata(slug="s", scan="x", transcoder_list=[], prompt_tokens=["a"], prompt="a"),
        qParams=models.QParams(pinnedIds=pinned, supernodes=[], linkType="both", clickedId="", sg_pos=""),
        nodes=nodes, links=[{"source": pinned[0], "target": pinned[-1], "weight": 0.5}])
    (tmp_path / "graph.json").write_text(graph.model_dump_json(indent=2))
    (tmp_path / "spec.yaml").write_text("""weir: 1
model: {}
dictionaries:
  clt: {format: circuit_tracer, path: clt, sites: [mlp], layers: 0..1, reads: mid}
policies:
  all: {on: {attribution: graph.json}, do: ablate}
  one: {on: "clt:1/mlp/4", do: scale, factor: 2}
  other: {on: "clt:0/mlp/2", do: scale, factor: 2}
""")
    result = subprocess.run([TOOLS / "weirc", "check", tmp_path / "spec.yaml"], capture_output=True, text=True)
    # The conflicts show which features they are.
    assert "pins 3 nodes that are no features" in result.stderr, result.stderr
    for name, feature in (("one", "1/mlp/4"), ("other", "0/mlp/2")):
        assert f"the policies 'all' (ablate) and '{name}' (scale) both say what the feature {feature} becomes" in result.stderr
