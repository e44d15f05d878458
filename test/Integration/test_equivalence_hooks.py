# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The reference itself: its dictionaries against sae-lens, its sites against the models' structure, its
formulas against numbers worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path

import dictionaries
import families
import format_libraries
import hooks
import numpy
import pytest
import random_dictionaries
import torch
from safetensors.torch import save_file

WIDTH, SIZE = 32, 1.7


def values(rows: int = 60) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(rows, WIDTH, generator=generator, dtype=torch.float64) * SIZE + 0.3


def sae_lens(folder, dictionary):
    """The folder as sae-lens loads it, in f64."""
    from sae_lens import SAE  # here, for not every process that collects tests runs these

    sae = SAE.load_from_disk(str(folder), device="cpu").to(dtype=torch.float64)
    if dictionary.factor != 1.0:
        sae.fold_activation_norm_scaling_factor(dictionary.factor)
    return sae


@pytest.fixture(params=[(architecture, normalize) for architecture in random_dictionaries.ARCHITECTURES
                        for normalize in dict.fromkeys(random_dictionaries.NORMALIZATIONS)], ids="-".join)
def layouts(request, tmp_path):
    """Several random folders of one architecture and normalisation, to meet every other setting too."""
    folders = [tmp_path / str(seed) for seed in range(4)]
    for seed, folder in enumerate(folders):
        random_dictionaries.write_sae(folder, numpy.random.default_rng(seed), WIDTH, SIZE,
                                      architecture=request.param[0], normalize=request.param[1])
    return folders


@torch.no_grad()
def test_dictionaries_are_those_of_sae_lens(layouts):
    x = values()
    for folder in layouts:
        ours = dictionaries.load("sae_lens", folder, None)
        theirs = sae_lens(folder, ours)
        f = theirs.encode(x)
        assert 0.02 < (f > 0).double().mean() < 0.98
        torch.testing.assert_close(ours.encode(x), f, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(ours.decode(f, x), theirs.decode(f), rtol=1e-9, atol=1e-9)


def theirs(form: str, path, layer: int):
    """(encode, decode at a layer) of a dictionary of `FORMS` as the library that owns it loads it, in f64."""
    if form == "transcoder":
        from sae_lens import SAE

        sae = SAE.load_from_disk(str(path), device="cpu").to(dtype=torch.float64)
        return sae.encode, lambda f, at: sae.decode(f)
    if form == "sparsify":
        coder = format_libraries.module("sparsify.sparse_coder").SparseCoder.load_from_disk(path).double()

        def encode(x):
            top = coder.encode(x)
            return torch.zeros(len(x), coder.num_latents, dtype=x.dtype).scatter(1, top.top_indices, top.top_acts)

        return encode, lambda f, at: coder.decode(f, torch.arange(coder.num_latents).expand(f.shape))
    if form == "dictionary_learning":
        kind = json.loads((path / "config.json").read_text())["trainer"]["dict_class"]
        places = {"AutoEncoderTopK": "trainers.top_k", "BatchTopKSAE": "trainers.batch_top_k",
                  "MatryoshkaBatchTopKSAE": "trainers.matryoshka_batch_top_k"}
        owner = getattr(format_libraries.module(f"dictionary_learning.{places.get(kind, 'dictionary')}"), kind)
        coder = owner.from_pretrained(path / "ae.pt").double()
        return coder.encode, lambda f, at: coder.decode(f)
    if form == "circuit_tracer":
        single = format_libraries.module("circuit_tracer.transcoder.single_layer_transcoder")
        coder = single.load_relu_transcoder(str(path), layer, device=torch.device("cpu"), dtype=torch.float64, lazy_encoder=False,
                                            lazy_decoder=False)
        return coder.encode, lambda f, at: coder.decode(f)
    across = format_libraries.module("circuit_tracer.transcoder.cross_layer_transcoder")
    coder = across.load_clt(str(path), device=torch.device("cpu"), dtype=torch.float64, lazy_decoder=False)

    def decode(f, at):
        every = torch.zeros(coder.n_layers, *f.shape, dtype=f.dtype)
        every[layer] = f
        return coder.decode(every)[at]

    return lambda x: coder.encode_layer(x, layer), decode


@pytest.mark.parametrize("form", [name for name, form in random_dictionaries.FORMS.items() if not form.together])
@torch.no_grad()
def test_other_formats_are_those_of_their_libraries(form, tmp_path):
    x, kind = values(), random_dictionaries.FORMS[form]
    for seed in range(10):
        folder, random = tmp_path / str(seed), numpy.random.default_rng(seed)
        path, layers = folder / kind.path, [1]
        if form == "cross_layer":
            layers = range(3)
        for layer in layers:
            kind.write(Path(str(path).format(layer=layer)), random, WIDTH, SIZE, layer)
        for layer in layers:
            at = Path(str(path).format(layer=layer))
            ours = dictionaries.load(kind.format, at, None, layer)
            encode, decode = theirs(form, at, layer)
            f = encode(x)
            assert 0.02 < (f > 0).double().mean() < 0.98
            torch.testing.assert_close(ours.encode(x), f, rtol=1e-5, atol=1e-5)
            v = f * 2 + 1
            for target in (layer, *ours.further):
                torch.testing.assert_close(ours.decode(v, x, target) - ours.decode(f, x, target), decode(v, target) - decode(f, target),
                                           rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_edits_keep_the_error_and_touch_nothing_else(layouts):
    """The reconstruction with the error term, as people steer with sae-lens, is the delta form: what
    changes is a combination of the edited features' rows."""
    x = values()
    for folder in layouts:
        ours = dictionaries.load("sae_lens", folder, None)
        theirs = sae_lens(folder, ours)
        f = theirs.encode(x)
        v = f.clone()
        v[:, 5], v[:, 7] = 0.0, 2 * f[:, 7] + 1
        rebuilt = theirs.decode(f)
        theirs.encode(x)  # decoding forgets the factor of a normalisation
        theirs_edited = theirs.decode(v) + (x - rebuilt)
        ours_edited = x + ours.decode(v, x) - ours.decode(f, x)
        torch.testing.assert_close(ours_edited, theirs_edited, rtol=1e-9, atol=1e-9)
        scale = ours._normalized(x)[1][0] * ours.factor
        delta = (v - f)[:, [5, 7]] @ ours.rows[[5, 7]] * scale
        torch.testing.assert_close(ours_edited - x, delta, rtol=1e-9, atol=1e-9)


@torch.no_grad()
def test_what_is_near_a_jump_is_told(layouts):
    """Moving x by less than the margin changes which features are on only where `jumps` says so."""
    x = values(400)
    nudge = 1e-6 * torch.randn(x.shape, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
    for folder in layouts:
        ours = dictionaries.load("sae_lens", folder, None)
        if ours.activation == "relu":
            assert not ours.jumps(x).any()
            continue
        moved = (ours.encode(x) > 0) != (ours.encode(x + nudge) > 0)
        told = ours.jumps(x)
        assert not (moved & ~told).any()
        assert told.double().mean() < 0.05
    # A value that stands on a threshold.
    dictionary = dictionaries.Dictionary(torch.eye(2), torch.eye(2), activation="jumprelu", theta=torch.tensor([1.0, 1.0]))
    assert dictionary.jumps(torch.tensor([[1.0005, 1.1]], dtype=torch.float64)).tolist() == [[True, False]]


@pytest.mark.parametrize("family", families.CONFIGS)
@torch.no_grad()
def test_sites_are_what_the_residual_stream_is_the_sum_of(family, tiny):
    model, seen = tiny(family), {}
    wanted = [(layer, kind) for layer in range(3) for kind in model.kinds]

    def look(layer, kind, x):
        seen[layer, kind] = x.clone()
        return x

    tokens = torch.arange(3, 23).unsqueeze(0)
    with hooks.hooked(model.model, model.model.config, wanted, look):
        plain = model.model(tokens, use_cache=False).logits
    for layer in range(3):
        parts = seen[layer, "mlp"], seen[layer, "att"]
        after = seen[layer, "res"]
        if "mid" in model.kinds:
            torch.testing.assert_close(seen[layer, "mid"] + parts[0], after)
        if layer > 0:
            torch.testing.assert_close(seen[layer - 1, "res"] + parts[1] + parts[0], after)
        projection = dict(model.model.named_modules())[_projection(model.model, layer)]
        if not family.startswith("gemma"):
            torch.testing.assert_close(projection(seen[layer, "head"]), seen[layer, "att"])
    # What a hook returns is what the model goes on with, at every site and on both branches of `mid`.
    with hooks.hooked(model.model, model.model.config, wanted, lambda layer, kind, x: x * 1.0):
        assert torch.equal(model.model(tokens, use_cache=False).logits, plain)
    shift = torch.linspace(-1, 1, seen[1, "att"].shape[-1])
    moved = {}
    for kind in [kind for kind in model.kinds if kind != "head"]:
        with hooks.hooked(model.model, model.model.config, [(1, kind)], lambda layer, kind, x: x + shift):
            moved[kind] = model.model(tokens, use_cache=False).logits
    torch.testing.assert_close(moved["mlp"], moved["res"])
    if "mid" in moved:
        torch.testing.assert_close(moved["att"], moved["mid"])
        assert not torch.allclose(moved["mid"], moved["res"], atol=1e-3)
    else:
        torch.testing.assert_close(moved["att"], moved["res"])


def _projection(model, layer: int) -> str:
    blocks, kinds = hooks.SITES[model.config.model_type]
    return f"{blocks}.{layer}.{kinds['head'][0]}"


@pytest.mark.parametrize("tokens, want", [
    (None, "0123456789"), ("all", "0123456789"), ("prompt", "0123"), ("generated", "456789"), ("last", "3"),
    ({"positions": [8, 1]}, "18"), ({"from": 7}, "789"), ({"to": 2}, "012"), ({"from": 2, "to": 5}, "2345"),
    ({"skip_first": 6}, "6789"), ({"part": "prompt", "skip_first": 1}, "123"), ({"part": "generated", "to": 5}, "45"),
    ("sampled", "3456789"), ({"part": "sampled", "to": 5}, "345"),
    # Of the row a b x c a x b y b a: ids 1 2 7 3 1 7 2 8 2 1.
    ({"after": 7}, "3456789"), ({"after": [8, 3]}, "456789"), ({"after": 9}, ""), ({"after": 1}, "123456789"),
    ({"until": 7}, "01"), ({"until": [8, 3]}, "012"), ({"until": 9}, "0123456789"), ({"until": 1}, ""),
    ({"after": 2, "until": 8}, "23456"), ({"between": [7, 8]}, "346"), ({"between": [[7, 3], 2]}, "4"),
    ({"between": [2, 7]}, "79"), ({"between": [8, 9], "part": "prompt"}, ""), ({"after": 7, "part": "prompt"}, "3")])
def test_token_scopes(tokens, want):
    inside = hooks.scope_of(tokens, [1, 2, 7, 3, 1, 7, 2, 8, 2, 1], 4).inside
    assert "".join(str(int(position)) for position in inside.nonzero()) == want


@pytest.mark.parametrize("tokens, want", [
    ({"ramp": {"over": 4}}, [0.25, 0.5, 0.75, 1, 1, 1, 1, 1]),
    ({"decay": {"half": 2}}, [1, 0.5**0.5, 0.5, 0.5**1.5, 0.25, 0.5**2.5, 0.125, 0.5**3.5]),
    ({"part": "sampled", "ramp": {"over": 2}, "decay": {"half": 1}}, [0, 0, 0, 0.5, 0.5, 0.25, 0.125, 0.0625]),
    ({"part": "generated", "skip_first": 6, "decay": {"half": 1}}, [0, 0, 0, 0, 0, 0, 1, 0.5]),
    ({"positions": [5, 2], "decay": {"half": 1}}, [0, 0, 1, 0, 0, 0.125, 0, 0]),
    ({"after": 7, "ramp": {"over": 3}}, [0, 0, 0, 1 / 3, 2 / 3, 1, 1, 1]),
    ({"until": 7, "ramp": {"over": 4}}, [0.25, 0.5, 0, 0, 0, 0, 0, 0]),
    # Each span has a beginning of its own.
    ({"between": [7, 2], "decay": {"half": 1}}, [0, 0, 0, 1, 0.5, 0, 0, 0]),
    ({"between": [1, 7], "decay": {"half": 1}}, [0, 1, 0, 0, 0, 0, 0, 0])])
def test_shares_of_tokens(tokens, want):
    scope = hooks.scope_of(tokens, [1, 2, 7, 3, 1, 7, 2, 8], 4)
    numpy.testing.assert_allclose(scope.share.where(scope.inside, 0.0), want)


SCHEDULES = """
weir: 1
model: {program: a.pt2}
dictionaries:
  sae: {format: sae_lens, path: "{layer}", sites: [res], layers: 1..6}
policies:
  plain: {on: 4/res/1, do: add, strength: 3}
  linear: {on: 5/res/1, do: add, strength: {value: 9, schedule: linear}, layers: cumulative}
  alone: {on: 5/res/1, do: add, strength: {value: 9, schedule: linear}}
  decay: {on: [3/res/1, 5/res/1], do: add, strength: {value: 2, schedule: exponential, rate: -1}, layers: cumulative}
  bell: {on: 2/res/1, do: add, strength: {value: 2, schedule: gaussian, center: 3, width: 2}, layers: 1..5}
"""


def test_schedules(tmp_path):
    (tmp_path / "spec.yaml").write_text(SCHEDULES)
    spec = hooks.Spec(tmp_path / "spec.yaml", None)

    def strengths(policy):
        feature = spec.features(policy, "on")[-1]
        return [spec.strength(policy, layer) for layer in spec.written_layers(policy, feature)]

    assert strengths("plain") == [3] and strengths("alone") == [9]
    assert strengths("linear") == [9, 7, 5, 3, 1]
    numpy.testing.assert_allclose(strengths("decay"), [2, 0.73575888, 0.27067057, 0.09957414, 0.03663128], rtol=1e-6)
    numpy.testing.assert_allclose(strengths("bell"), [1.21306132, 1.76499381, 2, 1.76499381, 1.21306132], rtol=1e-6)


ACTIONS = """
weir: 1
model: {program: a.pt2}
dictionaries:
  d: {format: directions, path: "{site}.npy", sites: [res], layers: 1}
  two: {format: directions, path: "two.npy", sites: [res], layers: 1}
knobs: {k: {default: 2}}
policies:
  add: {on: d:1/res/0, do: add, strength: 3, times: k}
  unit: {on: d:1/res/1, do: add, strength: 3, normalize: true}
  set: {on: d:1/res/0, do: set, value: 3, times: k}
  scale: {on: d:1/res/0, do: scale, factor: -1}
  clamp: {on: [d:1/res/0, d:1/res/1], do: clamp, min: 0.5, max: 2}
  raise: {on: [d:1/res/0, d:1/res/1], do: clamp, min: 0.5, only_active: true}
  move: {on: d:1/res/0, to: d:1/res/1, do: transfer}
  remove: {on: [d:1/res/0, two:1/res/0], do: project_out}
  kept: {on: d:1/res/0, do: add, strength: 3, norm: preserve}
  less: {on: d:1/res/0, do: add, strength: 3, times: k, tokens: {ramp: {over: 4}}}
  nearer: {on: d:1/res/0, do: set, value: 3, times: k, tokens: {ramp: {over: 4}}}
  some: {on: d:1/res/0, to: d:1/res/1, do: transfer, tokens: {ramp: {over: 4}}}
plans: {add: [add], unit: [unit], set: [set], scale: [scale], clamp: [clamp], raise: [raise], move: [move],
        remove: [remove], kept: [kept], both: [set, add], order: [remove, add],
        less: [less], nearer: [nearer], some: [some]}
"""


@pytest.mark.parametrize("plan, want", [
    ("add", [7, -4, 5]), ("unit", [1, -1, 5]), ("set", [6, -4, 5]), ("scale", [-1, -4, 5]), ("clamp", [1, 1, 5]),
    ("raise", [1, -4, 5]), ("move", [0, -2, 5]), ("remove", [0, -4.5, 4.5]), ("both", [12, -4, 5]),
    ("order", [0, -4.5, 4.5]), ("less", [2.5, -4, 5]), ("nearer", [2.25, -4, 5]), ("some", [0.75, -3.5, 5])])
def test_actions_by_hand(plan, want, tmp_path):
    """x = (1, -4, 5) with rows (1, 0, 0) and (0, 2, 0), whose activations are 1 and -2."""
    (tmp_path / "spec.yaml").write_text(ACTIONS)
    numpy.save(tmp_path / "res.npy", numpy.array([[1.0, 0, 0], [0, 2, 0]]))
    numpy.save(tmp_path / "two.npy", numpy.array([[3.0, 1, 1]]))
    row = hooks._Row(hooks.Spec(tmp_path / "spec.yaml", None), plan, {}, 1, [3])
    got = row(1, "res", torch.tensor([[[1.0, -4, 5]]]))
    torch.testing.assert_close(got[0, 0], torch.tensor(want, dtype=torch.float32))


def test_norms_are_kept_after_everything(tmp_path):
    (tmp_path / "spec.yaml").write_text(ACTIONS)
    numpy.save(tmp_path / "res.npy", numpy.array([[1.0, 0, 0], [0, 2, 0]]))
    row = hooks._Row(hooks.Spec(tmp_path / "spec.yaml", None), "kept", {}, 1, [3])
    got = row(1, "res", torch.tensor([[[1.0, -4, 5]]]))[0, 0]
    torch.testing.assert_close(got, torch.tensor([4.0, -4, 5]) * 42**0.5 / 57**0.5)


CROSSCODER = """
weir: 1
model: {program: a.pt2}
dictionaries:
  d: {format: crosscoder, path: cc, sites: [res], layers: 6..7}
policies:
  both: {on: [d:6/res/1, d:7/res/1], do: add, strength: 2}
  early: {on: d:7/res/0, do: add, strength: 2, layers: cumulative}
  remove: {on: d:7/res/1, do: project_out}
plans: {both: [both], early: [early], remove: [remove]}
"""
# Two values of width 2, two features: rows [value, feature, width].
ROWS = [[[1.0, 0], [1, 2]], [[0, 1], [3, 4]]]


@pytest.mark.parametrize("stored, rows", [
    ("stacked", ROWS), ("modules", ROWS), ("not normalised", ROWS),
    ("normalised", [[[0.125, 0], [0.125, 0.25]], [[0, 2], [6, 8]]])])
def test_crosscoders_by_hand(stored, rows, tmp_path):
    """Rows of values that were multiplied by 8 and 0.5 are divided by them; x = (1, 1)."""
    decoder, names = torch.tensor(ROWS), ("W_enc", "b_enc", "W_dec", "b_dec")
    if stored == "stacked":
        decoder = decoder.transpose(0, 1).contiguous()
    else:
        names = "encoder.weight", "encoder.bias", "decoder.weight", "decoder.bias"
    tensors = dict(zip(names, (torch.ones(2, 2, 2), torch.ones(2), decoder, torch.tensor([[9.0, 9], [7, 7]]))))
    if stored.endswith("normalised"):
        mean = torch.tensor([[5.0, 5], [torch.nan if stored == "not normalised" else 5, 5]])
        tensors |= {"activation_mean": mean, "activation_std": torch.full((2, 2), 3.0), "activation_global_scale": torch.tensor([8, 0.5])}
    (tmp_path / "cc").mkdir()
    save_file(tensors, tmp_path / "cc/model.safetensors")
    (tmp_path / "spec.yaml").write_text(CROSSCODER)
    spec = hooks.Spec(tmp_path / "spec.yaml", None)

    def edited(plan, layer):
        return hooks._Row(spec, plan, {}, 1, [3])(layer, "res", torch.ones(1, 1, 2))[0, 0].tolist()

    for layer, of in (6, rows[0]), (7, rows[1]):
        assert edited("both", layer) == pytest.approx([1 + 2 * of[1][0], 1 + 2 * of[1][1]])
        assert edited("early", layer) == pytest.approx([1 + 2 * rows[1][0][0], 1 + 2 * rows[1][0][1]])
    assert edited("remove", 6) == [1, 1]
    assert edited("remove", 7) == pytest.approx([1 - 0.84, 1 - 1.12])  # (1, 1) has 1.4 of (0.6, 0.8)
    assert spec.of(spec.parse("7/res/0")).encode(torch.ones(1, 2, dtype=torch.float64)).isnan().all()
