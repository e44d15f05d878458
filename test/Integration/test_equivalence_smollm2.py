# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""SmolLM2 with its real dictionaries: compiled programs against hooks, in weir-run, in Python and as an
AOTInductor package."""

from __future__ import annotations

import copy
import json
import zipfile
from types import SimpleNamespace

import engines
import hooks
import hypothesis
import models
import pytest
import specs
import torch
from conftest import EFFORT
from engines import Built
from models import Tally, apart
from test_equivalence_fixed import AOT_TOLERANCE
from test_equivalence_tiny import check_against_hooks, check_decoding, check_runners_agree, references
from tokenizers import Tokenizer
from weir.export import cached

FOLDER = engines.ROOT / "examples" / "smollm2"
DICTIONARIES = {"sae": {"format": "sae_lens", "path": str(FOLDER / "dictionaries" / "{site}.{layer}"),
                        "sites": ["att", "mlp", "res"], "layers": "9..16"}}
TEXTS = ("The general ordered his soldiers to hold the bridge until the war was over, and the army marched on.",
         "Melt the butter in a pan, add the onions and garlic, and cook the soup slowly until it tastes sweet.",
         "She has been playing the piano since she was six; her band recorded its first song last summer.",
         "def add(a, b):\n    return a + b\n\nprint(add(2, 3))  # the sum of two integers is 5")

# Every action, on features that are active in the texts or were seen to steer.
EVERYTHING = """
weir: 1
model: {program: smollm2.pt2}
dictionaries:
  sae: {format: sae_lens, path: "%s/dictionaries/{site}.{layer}", sites: [res, mlp, att], layers: 9..16}
knobs:
  mood: {default: 1, range: [-4, 4]}
policies:
  push: {on: 11/res/558, do: add, strength: {value: 45, times: mood}, tokens: {skip_first: 1}}
  music: {on: [12/res/999, 13/res/525, 14/res/944], do: add, strength: {value: 12, schedule: exponential}, layers: cumulative, norm: preserve}
  pin: {on: [10/res/811, 10/res/812], do: set, value: 20, tokens: generated}
  flip: {on: [11/res/743, 12/res/1438], do: scale, factor: -1}
  bound: {on: [13/res/1103, 13/mlp/7], do: clamp, min: 2, max: 8, when: {any: [{feature: 11/res/743, above: 0.5}, {feature: 12/att/3, above: 1}]}}
  silence: {on: {antagonists: 14/res/839, count: 4}, do: ablate, only_active: true}
  move: {on: [9/res/138, 9/mlp/5], to: [10/res/1061, 12/res/20], do: transfer}
  remove: {on: [15/res/1268, 15/res/408, 15/res/9], do: project_out, tokens: {skip_first: 1}}
  watch: {on: [11/res/743, 11/res/558, 16/att/1, 9/mlp/5], do: record}
plans:
  first: [push, flip, pin, watch]
  second: [music, bound, remove, watch]
  third: [silence, move, push]
""" % FOLDER
LAST = 16  # the last layer of the dictionaries


@pytest.fixture(scope="module")
def smollm2():
    archive = cached("smollm2")
    model = models.smollm2()
    model.set_attn_implementation("eager")
    with zipfile.ZipFile(archive) as records:
        (name,) = (name for name in records.namelist() if name.endswith("/extra/tokenizer.json"))
        tokenizer = Tokenizer.from_str(records.read(name).decode())
    return SimpleNamespace(model=model, archive=archive, texts=[tokenizer.encode(text).ids for text in TEXTS])


@pytest.fixture(scope="module")
def compiled(smollm2, tmp_path_factory):
    folder = tmp_path_factory.mktemp("smollm2")
    path = folder / "spec.yaml"
    path.write_text(EVERYTHING)
    return hooks.Reference(path, smollm2.model), Built(path, smollm2.archive, folder / "program")


@pytest.fixture
def package(smollm2, tmp_path, warm_python):
    """EVERYTHING as a package of the layers up to the last that it reads or edits: those behind are more of the same
    code. Before a package is kept it is compared at the greatest length, so that is a short one."""
    config = copy.deepcopy(smollm2.model.config)
    config.num_hidden_layers = LAST + 1
    model = type(smollm2.model)(config).eval()
    assert not model.load_state_dict(smollm2.model.state_dict(), strict=False).missing_keys
    model.set_attn_implementation("eager")
    archive = cached(model, name="smollm2-first", max_batch=3, max_length=64)
    path = tmp_path / "spec.yaml"
    path.write_text(EVERYTHING)
    return hooks.Reference(path, model), Built(path, archive, tmp_path / "program", "aot")


@pytest.fixture(scope="module")
def batch(smollm2):
    ids = [smollm2.texts[0][:22], smollm2.texts[2], smollm2.texts[1][:13]]
    return specs.Batch(ids, ["first", "second", "third"], [9, len(ids[1]), 5], [{"mood": 1.5}] * 3)


def test_everything(compiled, batch):
    (reference, program), tally = compiled, Tally()
    case = specs.Case("smollm2", 0, reference.spec.data, (batch, batch))
    check_against_hooks(program, reference, case, tally)
    check_runners_agree(program, case)
    check_decoding(program, reference, case)
    tally.assert_enough()


def test_aot(package, batch):
    (reference, program), tally = package, Tally()
    logits, records = program.run(batch, engine="aot")
    for row, want in enumerate(references(reference, batch)):
        tally.compare(logits[row], records[row], want, AOT_TOLERANCE)
    tally.assert_enough()


def test_a_row_without_steering_is_the_model_to_the_bit(compiled, batch, smollm2):
    _, program = compiled
    batch = specs.Batch(batch.ids, [None, "first", None], batch.prompt_lengths, batch.knobs)
    tokens = batch.padded()
    positions = torch.where(tokens < 0, -1, torch.arange(tokens.shape[1]))
    with torch.no_grad():
        want = torch.export.load(smollm2.archive).module()(tokens.clamp(min=0), positions)
    got, _ = program.run(batch)
    for row in (0, 2):
        assert torch.equal(got[row, : len(batch.ids[row])], want[row, : len(batch.ids[row])])
    assert apart(got[1, 1:], want[1, 1:]) > 0.01


def test_generated_text_is_what_the_logits_of_the_whole_text_say(compiled, smollm2, tmp_path):
    """weir-run generates with its cache under a scope that begins at the prompt's end; every token is
    the largest logit of the reference, up to ties in f32, and records line up."""
    reference, program = compiled
    prompts = [{"prompt": TEXTS[0][:40], "plan": "first", "knobs": {"mood": 1.5}},
               {"prompt": TEXTS[1][:25], "plan": "second"}, {"prompt": TEXTS[3][:18], "plan": "none"}]
    (tmp_path / "prompts.jsonl").write_text("\n".join(map(json.dumps, prompts)))
    records = tmp_path / "records.npz"
    said = json.loads(engines.call("weir-run", program.folder, "--prompts", tmp_path / "prompts.jsonl", "--json", "-n", 12,
                                   "--engine", "reference", "--threads", 1, "--ignore-eos", "--record", records))
    arrays = hooks.dictionaries.numpy.load(records)
    for row, (prompt, answer) in enumerate(zip(prompts, said["rows"])):
        length = int(arrays["prompt_length"][row])
        ids = [int(token) for token in arrays["input_ids"][row] if token >= 0]
        assert ids[length:] == answer["tokens"] and len(answer["tokens"]) == 12
        plan = None if prompt["plan"] == "none" else prompt["plan"]
        want = reference.run(ids, plan, length, prompt.get("knobs"))
        assert want.doubtful > length, "nothing of the answer can be compared"
        for at in range(length, min(want.doubtful, len(ids))):
            logits = want.logits[at - 1]
            assert logits.max() - logits[ids[at]] <= 2e-4 * logits.abs().max()
        for (policy, feature), values in want.records.items():
            (name, column), = [(record["name"], columns.index((policy, feature)))
                               for record, columns in zip(program.manifest["records"], program.columns)
                               if (policy, feature) in columns]
            # The last token was never fed back.
            stop = min(want.doubtful, len(ids) - 1)
            got = torch.from_numpy(arrays[name][row, :stop, column])
            torch.testing.assert_close(got, values[:stop].float(), rtol=1e-3, atol=1e-3 * values.abs().max().item() + 1e-3)


@pytest.fixture(scope="module")
def pools(smollm2):
    """Features that are active somewhere in the texts, by (layer, kind)."""
    spec = SimpleNamespace(seen={})
    wanted = [(layer, kind) for layer in range(9, 17) for kind in ("att", "mlp", "res")]

    def look(layer, kind, x):
        dictionary = hooks.dictionaries.load("sae_lens", FOLDER / "dictionaries" / f"{kind}.{layer}", None)
        active = (dictionary.encode(x[0, 1:].double()) > 0).sum(0)
        spec.seen.setdefault((layer, kind), set()).update(active.argsort(descending=True)[:12].tolist())
        return x

    for ids in smollm2.texts:
        with torch.no_grad(), hooks.hooked(smollm2.model, smollm2.model.config, wanted, look):
            smollm2.model(torch.tensor([ids]), use_cache=False)
    return {at: sorted(features) for at, features in spec.seen.items()}


def test_random_specs(smollm2, pools, tmp_path_factory):
    shape = specs.Shape("smollm2", ("att", "mlp", "res"), layers=30, collections=DICTIONARIES, pools=pools, strength=15.0,
                        rows=3, longest=24, texts=tuple(smollm2.texts))
    tally = Tally()

    @hypothesis.settings(max_examples=3 * EFFORT, phases=[hypothesis.Phase.generate])  # shrinking would take hours
    @hypothesis.given(specs.cases(shape))
    def check(case):
        folder = tmp_path_factory.mktemp("random")
        path = case.write(folder, {})
        spec = hooks.Spec(path, smollm2.model)
        path.write_text(specs.text({**spec.data, "plans": specs.without_conflicts(spec)}))
        reference, program = hooks.Reference(path, smollm2.model), Built(path, smollm2.archive, folder / "program")
        try:
            check_against_hooks(program, reference, case, tally)
        except AssertionError as error:
            error.add_note(specs.text(reference.spec.data))
            raise
        finally:
            (folder / "program" / "program.pt2").unlink()

    check()
    tally.assert_enough()
