# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Fixed specs on tiny models: what must be equal to the bit, every token scope while decoding, and
AOTInductor packages of specs that use every action."""

from __future__ import annotations

import families
import hooks
import numpy
import pytest
import random_dictionaries
import specs
import torch
from engines import Built
from models import TOLERANCE, Tally, apart
from safetensors.torch import save_file
from test_equivalence_tiny import SAME_PROGRAM
from weir.export.program import Program

# AOTInductor fuses operators and reorders sums.
AOT_TOLERANCE = 1e-3

every_family = pytest.mark.parametrize("family", families.CONFIGS)

# Every action, schedule, kind of condition and scope; `mid` where a model has it.
EVERYTHING = """
weir: 1
model: {program: tiny.pt2}
dictionaries:
  sae: {format: sae_lens, path: "sae/{site}.{layer}", sites: [head, att, mlp, res], layers: 0..2}
  free: {format: directions, path: "free/{site}.{layer}.npy", sites: [mlp, res], layers: 0..1}
features:
  some: [sae:1/res/3, sae:1/res/8, sae:2/mlp/2]
knobs:
  mood: {default: 1, range: [-4, 4]}
  force: {default: 0.5}
policies:
  push: {on: sae:2/res/5, do: add, strength: {value: 1.5, schedule: exponential, rate: -0.3, times: mood}, layers: cumulative}
  slope: {on: [free:0/res/1, free:1/mlp/2], do: add, strength: {value: 1, schedule: linear, last: -1}, normalize: true, layers: 0..2}
  bell: {on: sae:0/head/3, do: add, strength: {value: 2, schedule: gaussian, center: 1, width: 1}, layers: 0..2, norm: preserve}
  pin: {on: [sae:1/res/1, free:1/res/0], do: set, value: 2, times: force, tokens: {skip_first: 2}}
  flip: {on: {features: some}, do: scale, factor: -1.5, when: {any: [{feature: sae:1/att/4, above: 0.1}, {feature: sae:0/res/1, above: 0.2, below: 3}]}}
  bound: {on: {site: sae:0/att}, do: clamp, min: 0.25, max: 1, only_active: true}
  cap: {on: [sae:2/mlp/1, sae:2/mlp/7], do: clamp, max: 0.5, norm: preserve, tokens: generated}
  silence: {on: {antagonists: sae:2/res/9, count: 3}, do: ablate, tokens: prompt}
  move: {on: [sae:1/mlp/0, sae:1/mlp/5], to: [sae:1/mlp/9, sae:1/mlp/11], do: transfer, when: {all: [{feature: free:0/mlp/0, above: -5}, {feature: sae:1/head/2, below: 2}]}}
  later: {on: [sae:0/res/10, sae:0/res/11], to: [sae:2/att/1, sae:2/att/2], do: transfer, tokens: {positions: [1, 3, 4, 9, 12]}}
  remove: {on: [free:1/res/2, free:1/res/3, sae:1/res/20], do: project_out}
  clear: {on: [sae:1/res/21, sae:1/res/22], do: project_out, tokens: {from: 3, to: 14}}
  watch: {on: [sae:1/res/1, free:1/res/4, sae:0/mlp/2], do: record, tokens: {skip_first: 1}}
  behind: {on: [sae:1/res/1, free:1/res/4, sae:2/mlp/7], do: record, after: true, when: {feature: sae:1/res/1, below: 3}}
  flips: {gate: flip, do: record, tokens: {from: 1}}
  think: {on: sae:2/res/12, do: add, strength: 2, times: mood, tokens: {between: [61, [52, 84]], decay: {half: 4}}}
  weigh: {on: sae:0/res/12, do: scale, factor: 3, tokens: {after: 80, ramp: {over: 4}}}
  say: {on: sae:0/mlp/3, do: set, value: 2, tokens: {part: sampled, until: 62, ramp: {over: 3}}}
plans:
  first: [push, pin, bound, move, remove, watch, behind, think]
  second: [watch, slope, flip, cap, silence, later, clear, behind, flips, weigh]
  third: [clear, bell, remove, flip, say]
  plain: []
"""
BATCH = dict(plans=["first", "second", "third"], prompt_lengths=[4, 9, 1],
             knobs=[{"mood": -1.5, "force": 1.0}, {}, {"mood": 0.5, "force": -2.0}])


# Every format that has a library of its own, with every action that reads and writes.
EVERY_FORMAT = """
weir: 1
model: {program: tiny.pt2}
dictionaries:
  transcoder: {format: sae_lens, path: "transcoder/{layer}", sites: [mlp], layers: 0..2}
  sparsify: {format: sparsify, path: "sparsify/layers.{layer}.mlp", sites: [mlp], layers: 0..2}
  dictionary_learning: {format: dictionary_learning, path: "learnt/{layer}", sites: [res], layers: 0..2}
  circuit_tracer: {format: circuit_tracer, path: "plt/layer_{layer}.safetensors", sites: [mlp], layers: 0..2, reads: att}
  cross_layer: {format: circuit_tracer, path: clt, sites: [mlp], layers: 0..2, reads: mlp_in}
  control_vector: {format: directions, path: vector.gguf, sites: [res], layers: 1..2}
  crosscoder: {format: crosscoder, path: cc, sites: [res], layers: 0..2}
knobs: {mood: {default: 1}}
policies:
  off: {on: ["transcoder:0/mlp/3", "cross_layer:0/mlp/4", "cross_layer:1/mlp/5"], do: ablate}
  more: {on: ["sparsify:1/mlp/3", "sparsify:1/mlp/4", "cross_layer:0/mlp/6"], do: scale, factor: 3, norm: preserve}
  pin: {on: ["dictionary_learning:1/res/2", "circuit_tracer:2/mlp/9", "cross_layer:1/mlp/7"], do: set, value: 1.5, times: mood}
  cap: {on: {site: "circuit_tracer:1/mlp"}, do: clamp, max: 0.5, only_active: true}
  push: {on: ["control_vector:2/res/0"], do: add, strength: 2, layers: cumulative}
  across: {on: ["cross_layer:0/mlp/1", "cross_layer:1/mlp/1"], do: add, strength: {value: 2, schedule: linear, last: -1}, normalize: true}
  move: {on: ["cross_layer:0/mlp/8"], to: ["cross_layer:1/mlp/9"], do: transfer, tokens: {skip_first: 1}}
  together: {on: ["crosscoder:0/res/3", "crosscoder:2/res/3", "crosscoder:1/res/9"], do: add, strength: 1.5, times: mood}
  away: {on: ["cross_layer:1/mlp/10", "cross_layer:1/mlp/11", "transcoder:1/mlp/5", "crosscoder:1/res/4"], do: project_out}
  when: {on: "dictionary_learning:2/res/6", do: ablate, when: {feature: "cross_layer:1/mlp/2", above: 0}}
  watch: {on: ["cross_layer:0/mlp/4", "transcoder:2/mlp/0", "control_vector:1/res/0"], do: record}
plans:
  first: [off, more, push, watch]
  second: [pin, across, move, when, watch, together]
  third: [away, cap, watch]
"""


# Graphs in every place: walks in all directions, algebra, a path, parts, weights, antagonists and conditions.
GRAPHS = """
weir: 1
model: {program: tiny.pt2}
dictionaries:
  sae: {format: sae_lens, path: "sae/{site}.{layer}", sites: [att, mlp, res], layers: 0..2}
matches:
  flow: {method: top_k, k: 3}
  chain: {method: permutation, sites: [res], similarity: cosine}
graphs:
  faith: {from: 2/res/5, match: flow, width: 2, keep: {res: 0.05, mlp: 0.1}}
  doubt: {from: [1/res/3, {graph: faith, layers: 1, sites: [res]}], match: flow, direction: both}
  either: {union: [faith, doubt, line]}
  line: {from: 1/res/8, match: chain, direction: both}
  only: {difference: [either, line]}
  way: {path: [2/res/1, 0/res/4], match: flow}
features:
  parts: [{graph: way}, 0/att/3]
knobs: {mood: {default: 1}}
policies:
  push: {on: {graph: either, sites: [res]}, do: add, strength: {value: 1, schedule: exponential, rate: -0.3, times: mood, weight: similarity}, layers: cumulative}
  bell: {on: [{graph: faith}, 0/res/9], do: add, strength: {value: 2, schedule: gaussian, center: 1, width: 1, weight: similarity}, normalize: true}
  slope: {on: {features: parts}, do: add, strength: {value: 1, schedule: linear, last: -1, weight: similarity}, layers: 0..2}
  plain: {on: {graph: doubt, steps: 1}, do: add, strength: {value: 0.5, weight: none}}
  less: {on: {antagonists: {graph: faith, sites: [res]}, count: 2}, do: scale, factor: 0.5}
  off: {on: {graph: faith, leaves: true}, do: ablate, when: {graph: faith, layers: 0..1, nodes: any, above: 0.3}}
  cap: {on: {graph: only, roots: true}, do: clamp, max: 0.5, tokens: {skip_first: 1}}
  away: {on: {graph: line}, do: project_out, when: {any: [{graph: way, layers: 0, nodes: all, below: 0.5}, {feature: 0/att/1, above: 0.1}]}}
  watch: {on: {graph: either}, do: record}
plans:
  first: [push, less, watch]
  second: [bell, off, away, watch]
  third: [slope, plain, cap]
"""

def ids(*lengths: int) -> list[list[int]]:
    random = numpy.random.default_rng(17)
    return [random.integers(3, families.VOCABULARY, length).tolist() for length in lengths]


def written(data: str, model, folder):
    case = specs.Case(model.family, 4, hooks.read(data), ())
    return case.write(folder, model.sizes)


def rows_equal(got, want, batch):
    return all(torch.equal(got[row, : len(each)], want[row, : len(each)]) for row, each in enumerate(batch.ids))


@pytest.fixture(scope="module")
def everything(tiny, tmp_path_factory):
    """EVERYTHING compiled for a family, once."""
    built = {}

    def make(family, engine="reference"):
        if (family, engine) not in built:
            model = tiny(family)
            path = written(EVERYTHING, model, tmp_path_factory.mktemp(family))
            built[family, engine] = (hooks.Reference(path, model.model),
                                     Built(path, model.archive, path.parent / "program", engine, stats=engine == "aot"))
        return built[family, engine]

    return make


@pytest.mark.parametrize("family", ["llama", "gemma2", "gpt2"])
def test_everything(family, everything):
    reference, program = everything(family)
    tally = Tally()
    batch = specs.Batch(ids(20, 13, 17), **BATCH)
    logits, records = program.run_in_python(batch)
    for row, arguments in enumerate(zip(batch.ids, batch.plans, batch.prompt_lengths, batch.knobs)):
        tally.compare(logits[row], records[row], reference.run(*arguments))
    tally.assert_enough()


@pytest.mark.parametrize("family", ["llama", "gemma2", "gpt2"])
def test_a_row_without_steering_is_the_model_to_the_bit(family, everything, tiny):
    _, program = everything(family)
    batch = specs.Batch(ids(20, 13, 17), [None, "first", "plain"], [20, 13, 5], [{"mood": 4.0}] * 3)
    tokens = batch.padded()
    positions = torch.where(tokens < 0, -1, torch.arange(tokens.shape[1]))
    want = torch.export.load(tiny(family).archive).module()(tokens.clamp(min=0), positions)
    for got in (program.run(batch)[0], program.run_in_python(batch)[0]):
        assert torch.equal(got[0], want[0])
        assert torch.equal(got[2, :17], want[2, :17])
        assert apart(got[1, :13], want[1, :13]) > 0.01, "the plan between them does nothing"


@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_tokens_out_of_scope_are_the_models_to_the_bit(family, tiny, tmp_path):
    """Edits with every gate off leave x as it is, so that the tokens before the first edited one do."""
    model = tiny(family)
    path = written("""
weir: 1
model: {program: tiny.pt2}
dictionaries:
  sae: {format: sae_lens, path: "sae/{site}.{layer}", sites: [head, att, mlp, res], layers: 0..2}
policies:
  several: {on: [1/res/3, 1/res/4, 0/mlp/1], do: set, value: 2, tokens: generated, norm: preserve}
  push: {on: [0/res/3, 1/att/4], do: add, strength: 2, tokens: {from: 7}}
  clear: {on: [1/head/3, 1/res/4], do: project_out, tokens: {from: 9}}
  one: {on: 2/mlp/3, do: ablate, tokens: {skip_first: 11}}
""", model, tmp_path)
    program = Built(path, model.archive, tmp_path / "program")
    batch = specs.Batch(ids(20, 20), ["default"] * 2, [7, 12], [{}] * 2)
    tokens = batch.padded()
    want = torch.export.load(model.archive).module()(tokens, torch.arange(20).expand(2, 20).contiguous())
    got, _ = program.run(batch)
    assert torch.equal(got[:, :7], want[:, :7])
    assert (got[:, 7:] != want[:, 7:]).any(dim=2).all()


@pytest.mark.parametrize("family", ["gpt2", "gpt-neox", "llama"])
@pytest.mark.parametrize("normalize", ["none", "layer_norm"])
def test_a_dictionary_of_transformer_lens_centred_stream(family, normalize, tiny, tmp_path):
    """Of models with LayerNorm it reads x - mean(x), of others x as it is. Read, edited and as a condition."""
    model = tiny(family)
    random = numpy.random.default_rng(8)
    for layer in range(3):
        for kind in ("mlp", "res"):
            width, size = model.sizes[kind]
            random_dictionaries.write_sae(
                tmp_path / f"sae/{kind}.{layer}", random, width, size, normalize=normalize,
                metadata={"hook_name": f"blocks.{layer}.hook_{'resid_post' if kind == 'res' else 'mlp_out'}",
                          "model_from_pretrained_kwargs": {"center_writing_weights": True, "fold_ln": True}})
    path = tmp_path / "spec.yaml"
    path.write_text("""
weir: 1
model: {program: tiny.pt2}
dictionaries:
  sae: {format: sae_lens, path: "sae/{site}.{layer}", sites: [mlp, res], layers: 0..2}
policies:
  several: {on: [0/res/3, 1/res/4, 1/mlp/1], do: scale, factor: -2}
  gated: {on: 2/res/5, do: set, value: 2, when: {feature: 1/res/7, above: 0.1}}
  watch: {on: [0/res/1, 1/mlp/2, 2/res/3], do: record}
""")
    reference, program, tally = hooks.Reference(path, model.model), Built(path, model.archive, tmp_path / "program"), Tally()
    batch = specs.Batch(ids(20, 13), ["default"] * 2, [4, 9], [{}] * 2)
    logits, records = program.run_in_python(batch)
    for row, arguments in enumerate(zip(batch.ids, batch.plans, batch.prompt_lengths, batch.knobs)):
        tally.compare(logits[row], records[row], reference.run(*arguments))
    tally.assert_enough()


@every_family
@torch.no_grad()
def test_one_addition_is_a_hook_to_the_bit(family, tiny, tmp_path):
    """x + s d at each kind of site against a hook on the exported module itself, run eagerly: the
    operators are the same, and so is the arithmetic."""
    model = tiny(family)
    policies = {kind: {"on": f"1/{kind}/3", "do": "add", "strength": 1.25} for kind in model.kinds}
    data = {"weir": 1, "model": {"program": "tiny.pt2"},
            "dictionaries": {"sae": {"format": "sae_lens", "path": "sae/{site}.{layer}", "sites": list(model.kinds),
                                     "layers": "1..1"}},
            "policies": policies, "plans": {kind: [kind] for kind in model.kinds}}
    path = specs.Case(family, 6, data, ()).write(tmp_path, {
        kind: size for kind, size in model.sizes.items()})
    program = Built(path, model.archive, tmp_path / "program")
    spec = hooks.Spec(path, model.model)
    module = Program(families.model(family), families.MAX_BATCH, families.MAX_LENGTH)
    tokens = torch.tensor(ids(20))
    positions = torch.arange(20).unsqueeze(0)
    unsteered = module(tokens, positions)
    for kind in model.kinds:
        row = spec.dictionary("sae", 1, kind).rows[3].float()
        with hooks.hooked(module, model.model.config, [(1, kind)], lambda layer, kind, x: x + 1.25 * row):
            want = module(tokens, positions)
        got, _ = program.run_in_python(specs.Batch(tokens.tolist(), [kind], [20], [{}]))
        assert torch.equal(got, want), f"{kind}: {apart(got, want):.1e} apart"
        assert apart(got, unsteered) > 0.01


SCOPES = ["all", "prompt", "generated", "last", {"part": "prompt", "skip_first": 2}, {"positions": [0, 4, 5, 6, 11]},
          {"from": 5}, {"to": 7}, {"from": 4, "to": 9}, {"part": "generated", "from": 8}, {"skip_first": 6},
          {"part": "last", "from": 3}]
# Rows of the batch, one after the other, have these scopes: markers are tokens of them, in the prompt and behind it.
MARKED = ["sampled", {"part": "sampled", "ramp": {"over": 3}}, {"part": "generated", "decay": {"half": 2}},
          {"after": 5}, {"until": [6, 7]}, {"between": [8, 9]},
          {"after": [5, 6], "ramp": {"over": 4}}, {"after": 9, "part": "prompt"}, {"between": [8, [6, 9]], "decay": {"half": 1.5}},
          {"after": 5, "until": 7}, {"from": 2, "until": 5, "decay": {"half": 3}}, {"between": [9, 8], "skip_first": 4}]
MARKERS = [[4, 5, 9, 5, 8, 6, 9, 7, 3, 8, 6, 6, 4, 9, 7, 5], [8, 6, 9, 3, 8, 8, 4, 5, 9, 6, 6, 3], [9, 8, 3, 4, 9, 8, 6, 8, 8, 3, 9, 5, 4, 8]]


@pytest.mark.parametrize("family, scopes", [("llama", [*SCOPES, *MARKED]), ("gemma2", SCOPES), ("gpt2", MARKED)])
def test_every_token_scope_while_decoding(family, scopes, tiny, tmp_path):
    """Prefill and decoding, a full pass and the reference agree on which tokens are edited. The rows of the cache
    have held other texts by then."""
    model = tiny(family)
    data = {"weir": 1, "model": {"program": "tiny.pt2"},
            "dictionaries": {"sae": {"format": "sae_lens", "path": "sae/{site}.{layer}", "sites": ["mlp", "res"],
                                     "layers": "0..2"}},
            "policies": {}, "plans": {}}
    for index, scope in enumerate(scopes):
        # There is no share of a record.
        whole = {key: scope[key] for key in scope if key not in ("ramp", "decay")} or "all" if isinstance(scope, dict) else scope
        data["policies"] |= {
            f"add{index}": {"on": "1/res/3", "do": "add", "strength": 1.5, "tokens": scope},
            f"pin{index}": {"on": ["1/mlp/1", "1/mlp/2"], "do": "set", "value": 1, "tokens": scope},
            f"watch{index}": {"on": "2/res/1", "do": "record", "tokens": whole}}
        data["plans"][f"plan{index}"] = [f"add{index}", f"pin{index}", f"watch{index}"]
    path = specs.Case(family, 9, data, ()).write(tmp_path, model.sizes)
    program, reference, tally = Built(path, model.archive, tmp_path / "program"), hooks.Reference(path, model.model), Tally()
    for index in range(0, len(scopes), 3):
        plans = [f"plan{index + row}" for row in range(3)]
        batch = specs.Batch(MARKERS, plans, [6, 8, 3], [{}] * 3)
        # Other texts of these tokens, longer ones: what they leave in the cache is nobody's.
        before = specs.Batch(numpy.random.default_rng(index).integers(4, 10, (3, 20)).tolist(), plans, [2, 9, 20], [{}] * 3)
        program.run_in_python(before)
        whole, records = program.run_in_python(batch)
        program.run_in_python(before)
        pieces = [program.run_in_python(batch, *step) for step in ((0, 3), *((at, at + 1) for at in range(3, 16)))]
        for row, plan in enumerate(plans):
            want = reference.run(batch.ids[row], plan, batch.prompt_lengths[row])
            tally.compare(whole[row], records[row], want)
            decoded = torch.cat([logits[row] for logits, _ in pieces])
            decoded_records = {column: torch.cat([step[row][column] for _, step in pieces]) for column in records[row]}
            tally.compare(decoded, decoded_records, want)
            assert apart(decoded[: want.doubtful], whole[row, : want.doubtful]) <= SAME_PROGRAM
    tally.assert_enough()


@pytest.mark.usefixtures("warm_python")
def test_aot_on_a_tiny_model(everything):
    """A package of everything at once, against the graph walk; and against hooks."""
    reference, program = everything("llama", "aot")
    tally = Tally()
    for plans in (BATCH["plans"], ["plain", None, "first"]):
        batch = specs.Batch(ids(20, 13, 17), plans, BATCH["prompt_lengths"], [{"mood": -1.5, "force": 1.0}] * 3)
        logits, records = program.run(batch, engine="aot")
        counted = program.stats
        walked, _ = program.run(batch)
        assert [entry["site"] for entry in counted] == [entry["site"] for entry in program.stats]
        assert any(entry["tokens"] for entry in counted)
        for row, arguments in enumerate(zip(batch.ids, batch.plans, batch.prompt_lengths, batch.knobs)):
            want = reference.run(*arguments)
            tally.compare(logits[row], records[row], want, AOT_TOLERANCE)
            assert apart(logits[row, : want.doubtful], walked[row, : want.doubtful]) <= AOT_TOLERANCE
            if want.doubtful == len(batch.ids[row]):  # no branch of this row is near to another
                assert [entry["rows"][row] for entry in counted] == [entry["rows"][row] for entry in program.stats]
    tally.assert_enough()


@pytest.mark.parametrize("family", ["llama", "gemma2", "gpt2", "gpt-neox"])
def test_every_format(family, tiny, tmp_path):
    """Transcoders that read elsewhere, one that writes at several layers, and other tools' files."""
    model, tally = tiny(family), Tally()
    path = written(EVERY_FORMAT, model, tmp_path)
    reference, program = hooks.Reference(path, model.model), Built(path, model.archive, tmp_path / "program")
    texts = ids(16, 11, 18, 9, 12, 15)
    for texts in (texts[:3], texts[3:]):
        batch = specs.Batch(texts, BATCH["plans"], BATCH["prompt_lengths"], [{"mood": -1.5}, {}, {"mood": 2.0}])
        logits, records = program.run_in_python(batch)
        for row, plan in enumerate(batch.plans):
            want = reference.run(batch.ids[row], plan, batch.prompt_lengths[row], batch.knobs[row])
            assert want.records and apart(want.logits, reference.run(batch.ids[row], None).logits) > 1e-2
            tally.compare(logits[row], records[row], want)
    tally.assert_enough()


@torch.no_grad()
def test_a_crosscoder_adds_what_its_decoder_would(tiny, tmp_path):
    """x + 1.5 (decode(f + e) - decode(f)) at both layers of a feature e, by the formula of the crosscoder's library:
    decode(f) at a layer is (f W + b) / (scale + 1e-8) + mean, of the values as they are where nothing is normalised."""
    model, generator = tiny("llama"), torch.Generator().manual_seed(6)
    width, size = model.sizes["res"]

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    w_enc, w_dec, bias, mean = normal(2, width, 7), normal(2, 7, width) * size, normal(2, width), normal(2, width)
    scale, nothing = torch.tensor([0.5, 3.0]), torch.full((2, width), torch.nan)
    modules = {"encoder.weight": w_enc, "encoder.bias": normal(7), "decoder.weight": w_dec, "decoder.bias": bias}
    layouts = {
        "stacked": {"W_enc": w_enc, "b_enc": normal(7), "W_dec": w_dec.transpose(0, 1).contiguous(), "b_dec": bias},
        "plain": {**modules, "activation_mean": nothing, "activation_std": nothing.clone(), "activation_global_scale": torch.ones(2)},
        "normalised": {**modules, "activation_mean": mean, "activation_std": normal(2, width).abs(),
                       "activation_global_scale": scale}}
    data = {"weir": 1, "model": {"program": "tiny.pt2"}, "dictionaries": {}, "policies": {}}
    for name, tensors in layouts.items():
        (tmp_path / name).mkdir()
        save_file(tensors, tmp_path / name / "model.safetensors")
        data["dictionaries"][name] = {"format": "crosscoder", "path": name, "sites": ["res"], "layers": "1..2"}
        data["policies"][name] = {"on": [f"{name}:1/res/5", f"{name}:2/res/5"], "do": "add", "strength": 1.5}
    data["plans"] = {name: [name] for name in layouts}
    path = tmp_path / "spec.yaml"
    path.write_text(specs.text(data))
    program = Built(path, model.archive, tmp_path / "program")
    text = ids(20)[0]
    got, _ = program.run_in_python(specs.Batch([text] * 3, list(layouts), [20] * 3, [{}] * 3))

    def run(name=None):
        def decoded(f, layer):
            x = f @ w_dec[layer].double() + bias[layer].double()
            return x / (scale[layer].double() + 1e-8) + mean[layer].double() if name == "normalised" else x

        def add(layer, kind, x):
            f = torch.linspace(0, 2, 7, dtype=torch.float64)
            more = f.clone()
            more[5] += 1
            return x + 1.5 * (decoded(more, layer - 1) - decoded(f, layer - 1)).float()

        with hooks.hooked(model.model, model.model.config, [(1, "res"), (2, "res")] if name else [], add):
            return model.model(torch.tensor([text]), use_cache=False).logits[0]

    unsteered = run()
    for row, name in enumerate(layouts):
        want = run(name)
        assert apart(want, unsteered) > 0.01
        assert apart(got[row], want) <= TOLERANCE, f"{name}: {apart(got[row], want):.1e} apart"
    assert torch.equal(got[0], got[1]), "one crosscoder in two layouts"
    assert apart(got[2], got[1]) > 0.01


def test_policies_on_graphs(tiny, tmp_path):
    model = tiny("llama")
    path = written(GRAPHS, model, tmp_path)
    reference, program = hooks.Reference(path, model.model), Built(path, model.archive, tmp_path / "program")
    tally = Tally()
    batch = specs.Batch(ids(9, 14, 5), **{**BATCH, "knobs": [{"mood": -1.5}, {}, {"mood": 0.5}]})
    logits, records = program.run_in_python(batch)
    for row, values in enumerate(zip(batch.ids, batch.plans, batch.prompt_lengths, batch.knobs)):
        tally.compare(logits[row], records[row], reference.run(*values))
    tally.assert_enough()
    # Each weight is less than 1 but those of targets, and every policy has several features.
    spec = reference.spec
    assert all(len(spec.features(name, "on")) > 1 for name in spec.policies if name != "off")
    assert any(0 < spec.weight("push", feature) < 0.9 for feature in spec.features("push", "on"))
