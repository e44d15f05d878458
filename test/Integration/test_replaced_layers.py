# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Layers that policies replace (`do: substitute`), against hooks; what a fixed program has left of them; SmolLM2 with its
real dictionaries. Random specs draw all forms as well (specs.py)."""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path

import hooks
import numpy
import pytest
import random_dictionaries
import specs
import torch
import weir
from engines import TOOLS, Built
from models import Tally, apart
from test_equivalence_smollm2 import FOLDER, smollm2  # noqa: F401
from test_equivalence_tiny import SAME_PROGRAM, check_against_hooks, check_decoding, check_rows_alone, references

# Every form, over one layer and over two, at all tokens and at some; edits before, behind and at what is replaced.
SPEC = """\
weir: 1
model: {program: model.pt2}
dictionaries:
  sae: {format: gemma_scope, path: "sae/{layer}", sites: [res], layers: 0..2}
  any: {format: sae_lens, path: "any/{layer}", sites: [res], layers: 0..2}
  mlp: {format: sae_lens, path: "mlp/{layer}", sites: [mlp], layers: 0..2}
matches:
  plain: {dictionary: sae, method: permutation}
  folded: {dictionary: sae, method: permutation, fold: threshold}
  norms: {dictionary: sae, method: permutation, fold: decoder_norm, similarity: cosine}
policies:
  one: {do: substitute, layers: 1, match: plain}
  last: {do: substitute, layers: 2, match: folded}
  two: {do: substitute, layers: 1..2, match: folded}
  best: {do: substitute, layers: 1..2, match: plain, form: quantile, quantile: 0.6}
  own: {do: substitute, layers: 2, match: norms, form: quantile, quantile: 0}
  drop: {do: substitute, layers: 1..2, form: drop}
  current: {do: substitute, layers: 1, form: encode_decode_current, dictionary: any}
  previous: {do: substitute, layers: 2, form: encode_decode_previous, dictionary: any}
  coded: {do: substitute, layers: 1..2, form: encode_decode_current, dictionary: any}
  late: {do: substitute, layers: 1, match: plain, tokens: generated, when: {feature: any:0/res/3, below: 5}}
  before: {on: sae:0/res/4, do: add, strength: 2}
  here: {on: sae:1/res/5, do: add, strength: 2, norm: preserve}
  quiet: {on: [sae:2/res/1, any:2/res/2], do: ablate}
  behind: {on: mlp:2/mlp/2, do: scale, factor: 2}
  watch: {on: [sae:1/res/1, sae:1/res/2], do: record}
  after: {on: sae:2/res/1, do: record, after: true}
  raw: {value: 2/res, do: record}
  acts: {gate: late, do: record}
plans:
  one: [one, before, here, watch, behind]
  last: [last, watch, here, after]
  two: [two, before, quiet, after, raw]
  best: [before, best, raw]
  own: [own]
  drop: [drop, before, after]
  current: [current, here, behind, before]
  previous: [here, previous, quiet]
  coded: [coded, quiet]
  late: [late, here, watch, acts]
  both: [one, previous]
  plain: []
"""
LAYERS = {"one": [1], "last": [2], "two": [1, 2], "best": [1, 2], "own": [2], "drop": [1, 2], "current": [1], "previous": [2],
          "coded": [1, 2], "late": [], "both": [1, 2]}


@pytest.fixture(scope="module")
def written(tiny, tmp_path_factory) -> Path:
    folder, random = tmp_path_factory.mktemp("replaced"), numpy.random.default_rng(14)
    sizes = tiny("llama").sizes
    for layer, (architecture, normalize) in enumerate((("topk", "none"), ("standard", "layer_norm"),
                                                       ("gated", "constant_norm_rescale"))):
        random_dictionaries.write_gemma_scope(folder / f"sae/{layer}", random, *sizes["res"])
        random_dictionaries.write_sae(folder / f"any/{layer}", random, *sizes["res"], architecture=architecture,
                                      normalize=normalize)
        random_dictionaries.write_sae(folder / f"mlp/{layer}", random, *sizes["mlp"], architecture="standard", normalize="none")
    (folder / "spec.yaml").write_text(SPEC)
    return folder / "spec.yaml"


@pytest.fixture(scope="module")
def compiled(written, tiny):
    return hooks.Reference(written, tiny("llama").model), Built(written, tiny("llama").archive, written.parent / "program")


def batch(*plans: str | None) -> specs.Batch:
    random = numpy.random.default_rng(3)
    lengths = [18, 11, 14][:len(plans)]
    ids = [random.integers(3, 131, length).tolist() for length in lengths]
    return specs.Batch(ids, list(plans), [7, 5, 14][:len(plans)], [{}] * len(plans))


@pytest.mark.parametrize("plans", [("one", "last", "two"), ("best", "own", "drop"), ("current", "previous", "late"),
                                   ("both", None, "coded")], ids=lambda plans: "-".join(map(str, plans)))
def test_every_form_is_what_hooks_do(compiled, plans):
    """Rows of one batch under different plans; prompt and then token by token as at once; a row as in its batch."""
    (reference, program), tally = compiled, Tally()
    case = specs.Case("llama", 0, reference.spec.data, (batch(*plans), batch(*plans)))
    check_against_hooks(program, reference, case, tally)
    check_decoding(program, reference, case)
    check_rows_alone(program, reference, case)
    tally.assert_enough()


def test_a_replaced_layer_is_another_one(compiled):
    """Each form gives other numbers than the model and than the other forms."""
    _, program = compiled
    logits = {}
    for plan in ("one", "last", "two", "best", "own", "drop", "current", "previous", "coded", "plain"):
        logits[plan] = program.run(batch(plan))[0][0]
    names = sorted(logits)
    for index, one in enumerate(names):
        for other in names[index + 1:]:
            assert apart(logits[one], logits[other]) > 1e-3, f"{one} and {other} are the same"


def test_replaced_tokens_are_counted(written, tiny):
    program = Built(written, tiny("llama").archive, written.parent / "counted", stats=True)
    rows = batch("one", "late", None)
    program.run(rows)
    counted = {(entry["policy"], entry["site"]): entry["rows"] for entry in program.stats}
    assert counted["one", "1/res"] == [18, 0, 0] and counted["here", "1/res"][0] == 18
    reference = hooks.Reference(written, tiny("llama").model)
    want = reference.run(rows.ids[1], "late", rows.prompt_lengths[1])
    assert counted["late", "1/res"] == [0, int(want.edited["late", (1, "res")].sum()), 0]


def names_in(archive: Path) -> set[str]:
    """All tensors of an archive."""
    with zipfile.ZipFile(archive) as records:
        return {name for record in records.namelist() if record.endswith("_config.json")
                for name in json.loads(records.read(record)).get("config", {})}


@pytest.mark.parametrize("plan", ["one", "two", "drop", "previous"])
def test_a_fixed_program_has_nothing_of_the_layer(written, tiny, compiled, plan):
    reference, ordinary = compiled
    model = tiny("llama").archive
    fixed = Built(written, model, written.parent / f"fixed-{plan}", fixed=plan)
    rows = batch(plan, plan, plan)
    (want, _), (got, records), tally = ordinary.run(rows), fixed.run(rows), Tally()
    (pieces, _) = fixed.run(rows, prefill=min(rows.prompt_lengths))
    for row, hooked in enumerate(references(reference, rows)):
        tally.compare(got[row], records[row], hooked)
        assert apart(got[row, :hooked.doubtful], want[row, :hooked.doubtful]) <= SAME_PROGRAM
        assert apart(pieces[row, :hooked.doubtful], got[row, :hooked.doubtful]) <= SAME_PROGRAM
    tally.assert_enough()
    # Weights and buffers, by the names that the model gives them.
    own, all_names = names_in(fixed.folder / "program.pt2"), names_in(model)
    of_layers = {name for name in all_names for layer in LAYERS[plan]
                 if f"layers.{layer}." in name or name.endswith((f"keys.{layer}", f"values.{layer}", f"key_{layer}",
                                                                 f"value_{layer}"))}
    assert of_layers and not of_layers & own
    assert all_names - own >= of_layers
    assert (fixed.folder / "program.pt2").stat().st_size < (ordinary.folder / "program.pt2").stat().st_size
    # The keys and values of a layer are buffers; none is left without its layer.
    buffers = {name for name in all_names if "layers." not in name and not name.startswith(("model.embed", "model.norm", "lm_head"))}
    assert len(buffers & own) < len(buffers)


def test_a_layer_that_some_tokens_need_stays(written, tiny, compiled):
    reference, _ = compiled
    fixed = Built(written, tiny("llama").archive, written.parent / "fixed-late", fixed="late")
    rows, tally = batch("late", "late", "late"), Tally()
    got, records = fixed.run(rows)
    for row, hooked in enumerate(references(reference, rows)):
        tally.compare(got[row], records[row], hooked)
    tally.assert_enough()
    assert any("layers.1." in name for name in names_in(fixed.folder / "program.pt2"))


def test_a_fixed_program_without_a_layer_runs_in_python_and_by_its_archive(written, tiny, tmp_path):
    # Kernels are not in an archive.
    fixed = Built(written, tiny("llama").archive, written.parent / "fixed-python", fixed="two", lower="aten")
    rows = batch("two")
    want, _ = fixed.run(rows)
    program = weir.load(fixed.folder)
    assert torch.equal(program(rows.ids).logits[0], want[0])
    archive = tmp_path / "program.pt2"
    archive.write_bytes((fixed.folder / "program.pt2").read_bytes())
    assert torch.equal(weir.load(archive)(rows.ids).logits[0], want[0])
    # What is left of the weights is still held against the record.
    done = subprocess.run([TOOLS / "weir-run", archive, "--ids", fixed.folder.with_name("fixed-python-ids.npy"), "--logits",
                           tmp_path / "logits.npy"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert numpy.array_equal(numpy.load(tmp_path / "logits.npy"), want.numpy())


@pytest.mark.parametrize("policies, plan, message", [
    ("inside: {on: mlp:1/mlp/0, do: ablate}", "[one, inside]", "'inside' edits 1/mlp, which is inside of layer 1: 'one' replaces it"),
    ("inside: {on: sae:1/res/0, do: record}", "[two, inside]", "'inside' reads 1/res, which is inside of layers 1 to 2"),
    ("inside: {on: sae:2/res/0, do: ablate, when: {feature: mlp:1/mlp/0, above: 0}}", "[inside, one]",
     "'inside' reads 1/mlp, which is inside of layer 1"),
    ("inside: {value: 1/att, do: record}", "[one, inside]", "'inside' reads 1/att, which is inside of layer 1"),
    ("inside: {on: sae:2/res/3, do: add, strength: 1, layers: cumulative}", "[two, inside]",
     "'inside' edits 1/res, which is inside of layers 1 to 2"),
    ("inside: {do: substitute, layers: 2, form: drop}", "[two, inside]", "the policies 'two' and 'inside' both replace layer 2"),
    ("inside: {do: substitute, layers: 1, form: drop, when: {feature: any:1/res/0, above: 0}}", "[inside]",
     "whether layer 1 is replaced can depend on what comes before it only, up to 0/res"),
    ("inside: {do: substitute, layers: 3, form: drop}", "[inside]", "the model has no site 3/res; its layers are 0 to 2"),
    ("inside: {do: substitute, layers: 2, match: normed}", "[inside]", "normalises what it reads"),
])
def test_what_has_no_meaning_is_an_error_at_its_line(written, tiny, policies, plan, message):
    text = SPEC[:SPEC.index("plans:")] + f"  {policies}\nplans:\n  wrong: {plan}\n"
    text = text.replace("policies:\n", "  normed: {dictionary: any, method: permutation}\npolicies:\n")
    path = written.with_name("wrong.yaml")
    path.write_text(text)
    line = 1 + text[:text.index("  inside: ")].count("\n")
    done = subprocess.run([TOOLS / "weirc", "build", path, "--model", tiny("llama").archive, "-o", written.with_name("wrong"),
                           "--cache", written.with_name("cache")], capture_output=True, text=True)
    assert done.returncode == 2 and f"wrong.yaml:{line}:" in done.stderr and message in done.stderr, done.stderr
    assert not written.with_name("wrong").exists()


# ---- SmolLM2 ----

REAL = """\
weir: 1
model: {program: smollm2.pt2}
dictionaries:
  sae: {format: sae_lens, path: "%s/dictionaries/{site}.{layer}", sites: [res], layers: 9..16}
matches:
  permutation: {dictionary: sae, method: permutation, fold: threshold}
policies:
  pruned: {do: substitute, layers: 13, match: permutation, tokens: {skip_first: 1}}
  better: {do: substitute, layers: 13, match: permutation, form: quantile, quantile: 0.5, tokens: {skip_first: 1}}
  dropped: {do: substitute, layers: 13, form: drop}
plans:
  pruned: [pruned]
  better: [better]
  dropped: [dropped]
""" % FOLDER


@pytest.fixture(scope="module")
def real(smollm2, tmp_path_factory):  # noqa: F811
    folder = tmp_path_factory.mktemp("real")
    path = folder / "spec.yaml"
    path.write_text(REAL)
    return hooks.Reference(path, smollm2.model), Built(path, smollm2.archive, folder / "program")


def test_smollm2_with_a_layer_replaced(real, smollm2):  # noqa: F811
    (reference, program), tally = real, Tally()
    ids = [smollm2.texts[0][:16], smollm2.texts[1][:13], smollm2.texts[2][:12]]
    rows = specs.Batch(ids, ["pruned", "better", "dropped"], [9, 5, 6], [{}] * 3)
    case = specs.Case("smollm2", 0, reference.spec.data, (rows, rows))
    check_against_hooks(program, reference, case, tally)
    check_decoding(program, reference, case)
    tally.assert_enough()


def test_smollm2_without_a_layer_is_smaller_by_its_share(real, smollm2, tmp_path):  # noqa: F811
    reference, program = real
    fixed = Built(reference.spec.folder / "spec.yaml", smollm2.archive, tmp_path / "fixed", fixed="dropped")
    # 3.54 million parameters of f32 of 134.5 million, and keys and values of 192 numbers each.
    saved = (program.folder / "program.pt2").stat().st_size - (fixed.folder / "program.pt2").stat().st_size
    assert saved > 4 * (576 * 576 * 2 + 576 * 192 * 2 + 3 * 576 * 1536)
    rows = specs.Batch([smollm2.texts[0][:12]], ["dropped"], [6], [{}])
    assert apart(fixed.run(rows)[0], program.run(rows)[0]) <= SAME_PROGRAM
