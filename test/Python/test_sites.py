# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The values at the sites that are found in a graph, against what hooks see in the Hugging Face model."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import families
import pytest
import torch
from weir.compiler import tool

LENGTH = 20

# For each family: the blocks, and for each site a module below the block and which side of it the
# value is on. What is said here is about transformers' code, not about graphs.
_llama = ("model.layers", {
    "res": ("", "output"), "att": ("self_attn", "output"), "mlp": ("mlp", "output"),
    "mid": ("post_attention_layernorm", "input"), "head": ("self_attn.o_proj", "input"),
    "neuron": ("mlp.down_proj", "input"), "mlp_in": ("mlp", "input")})
_gemma = ("model.layers", {
    **_llama[1], "att": ("post_attention_layernorm", "output"), "mlp": ("post_feedforward_layernorm", "output"),
    "mid": ("pre_feedforward_layernorm", "input")})
_gpt2 = ("transformer.h", {
    "res": ("", "output"), "att": ("attn", "output"), "mlp": ("mlp", "output"), "mid": ("ln_2", "input"),
    "head": ("attn.c_proj", "input"), "neuron": ("mlp.c_proj", "input"),
    "mlp_in": ("mlp", "input")})
_neox = ("gpt_neox.layers", {
    "res": ("", "output"), "att": ("attention", "output"), "mlp": ("mlp", "output"),
    "mid": ("post_attention_layernorm", "input"), "head": ("attention.dense", "input"),
    "neuron": ("mlp.dense_4h_to_h", "input"), "mlp_in": ("mlp", "input")})
_parallel = (_neox[0], {kind: place for kind, place in _neox[1].items() if kind != "mid"})
PLACES = {"llama": _llama, "llama-tied": _llama, "mistral": _llama, "qwen2": _llama, "qwen2-sliding": _llama,
          "qwen3": _llama, "gemma2": _gemma, "gemma3": _gemma, "gpt2": _gpt2, "gpt-neox": _parallel,
          "gpt-neox-sequential": _neox}


# Families without an entry. Where a residual is multiplied the site is what is added, after the factor: it is
# made in the block itself, so the factor is said here.
_moe = (_llama[0], {kind: place for kind, place in _llama[1].items() if kind != "neuron"})
_side_by_side = (_llama[0], {kind: place for kind, place in _llama[1].items() if kind != "mid"})
_after = (_llama[0], {**_llama[1], "att": ("post_attention_layernorm", "output"), "mlp": ("post_feedforward_layernorm", "output"),
                      "mid": ("mlp", "input")})
UNNAMED_PLACES = {
    "cohere": _side_by_side, "granite": _llama, "mixtral": _moe, "nemotron": _llama, "olmo2": _after, "phi3": _llama,
    "qwen2-moe": _moe, "smollm3": _llama, "stablelm": _llama,
    "starcoder2": (_llama[0], {**_llama[1], "neuron": ("mlp.c_proj", "input")})}
FACTORS = {("granite", "att"): 0.22, ("granite", "mlp"): 0.22}
# The weights of the neurons that are found: a fused gate is a weight that has both.
WEIGHTS = {"mixtral": set(), "qwen2-moe": set(), "nemotron": {"up", "down"}, "starcoder2": {"up", "down"}, "phi3": {"down"}}


def tensor_of(value):
    return value[0] if isinstance(value, tuple) else value


def seen_by_hooks(family: str, dtype: torch.dtype, tokens: torch.Tensor) -> dict[tuple[str, int], torch.Tensor]:
    model = families.model(family, dtype)
    model.set_attn_implementation("eager")
    blocks, places = (PLACES | UNNAMED_PLACES)[family]
    seen = {}
    for layer, block in enumerate(model.get_submodule(blocks)):
        for kind, (path, side) in places.items():
            module = block.get_submodule(path) if path else block
            key = (kind, layer)
            if side == "output":
                module.register_forward_hook(
                    lambda module, args, output, key=key: seen.__setitem__(key, tensor_of(output).clone()))
            else:
                module.register_forward_pre_hook(lambda module, args, key=key: seen.__setitem__(key, args[0].clone()))
        if layer == 0:  # the residual stream that the first block is given
            block.register_forward_pre_hook(lambda module, args: seen.__setitem__(("emb", 0), args[0].clone()))
    with torch.no_grad():
        model(tokens, attention_mask=torch.ones_like(tokens), use_cache=False)
    return {(kind, layer): value * FACTORS.get((family, kind), 1) for (kind, layer), value in seen.items()}


def with_sites_as_outputs(source: Path, folder: Path) -> tuple[Path, list[tuple[str, int]]]:
    """The program with every site that was found as an output more."""
    subprocess.run([tool("weir-translate"), "--import-pt2", source, "-o", folder / "a.mlir"], check=True)
    subprocess.run([tool("weir-opt"), "--fx-find-sites", folder / "a.mlir", "-o", folder / "b.mlir"], check=True)
    text = (folder / "b.mlir").read_text()
    found = re.findall(r"(%\d+) = fx.site (\d+)/(\w+) of %\S+ : (.*)\n", text)
    end = re.search(r"    fx.return (%\w+) : (.*) as \[#fx.output<user_output, role = #fx.logits>\]\n", text)
    values = [end[1], *(name for name, _, _, _ in found)]
    kinds = [end[2], *(kind for _, _, _, kind in found)]
    text = (text[:end.start()] + f"    fx.return {', '.join(values)} : {', '.join(kinds)} as "
            f"[{', '.join(['#fx.output<user_output>'] * len(values))}]\n" + text[end.end():])
    (folder / "c.mlir").write_text(text)
    subprocess.run([tool("weir-translate"), "--export-pt2", folder / "c.mlir", "--archive", source, "-o",
                    folder / "sites.pt2"], check=True)
    return folder / "sites.pt2", [(kind, int(layer)) for _, layer, kind, _ in found]


def distance(got: torch.Tensor, want: torch.Tensor) -> float:
    """Root mean square of the difference, relative to what is wanted."""
    got, want = got.double(), want.double().reshape(got.shape)
    return ((got - want).square().mean() / want.square().mean()).sqrt().item()


def test_a_family_without_an_entry_is_exported_and_its_weights_are_found(tmp_path):
    for family in UNNAMED_PLACES:
        source = Path(families.exported(family))
        subprocess.run([tool("weir-translate"), "--import-pt2", source, "-o", tmp_path / "a.mlir"], check=True)
        subprocess.run([tool("weir-opt"), "--fx-find-sites", tmp_path / "a.mlir", "-o", tmp_path / "b.mlir"], check=True)
        layers = re.search(r"weights = #fx.weights<.*?layers = \[(.*?)\]", (tmp_path / "b.mlir").read_text())[1]
        found = set(re.findall(r"(up|gate|down) = ", layers))
        assert found == WEIGHTS.get(family, {"up", "gate", "down"}), family


def test_a_family_whose_sites_cannot_be_found_is_refused_with_the_reason(tmp_path):
    """OPT flattens the residual stream within its blocks."""
    subprocess.run([tool("weir-translate"), "--import-pt2", families.exported("opt"), "-o", tmp_path / "a.mlir"], check=True)
    done = subprocess.run([tool("weir-opt"), "--fx-find-sites=sites=res=model.decoder.layers.{layer}", tmp_path / "a.mlir"],
                          capture_output=True, text=True)
    assert done.returncode != 0
    assert "module 'model.decoder.layers.0' goes on with 'aten.view.default'" in done.stderr


@pytest.mark.parametrize("family, dtype", families.CASES + [(family, "f32") for family in UNNAMED_PLACES])
def test_values_at_sites(family, dtype, tmp_path):
    path, found = with_sites_as_outputs(Path(families.exported(family, dtype)), tmp_path)
    tokens = torch.randint(3, families.VOCABULARY, (2, LENGTH), generator=torch.Generator().manual_seed(4))
    positions = torch.arange(LENGTH).expand(2, LENGTH).contiguous()
    torch_dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[dtype]
    want = seen_by_hooks(family, torch_dtype, tokens)
    assert sorted(found) == sorted(want)
    with torch.no_grad():
        _, *values = torch.export.load(path).module()(tokens, positions)
    for key, value in zip(found, values):
        assert value.dtype == torch_dtype, key
        # The cache and the mask make other kernels run; a site one step away is off by far more.
        limit = 1e-5 if dtype == "f32" else 0.05
        own = distance(value, want[key])
        assert own <= limit, key
        # So that the comparison means something, no other site of that width may fit as well.
        places = {**(PLACES | UNNAMED_PLACES)[family][1], "emb": ("", "input")}
        for other, unlike in want.items():
            # Where no norm comes before the MLP, its input is the stream itself.
            same = other[1] == key[1] and places[other[0]] == places[key[0]]
            if other != key and not same and unlike.numel() == value.numel():
                assert distance(value, unlike) > max(limit, 2 * own), (key, other)
