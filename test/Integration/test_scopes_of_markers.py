# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Scopes that begin and end at tokens of a row: markers as texts, markers that the model itself writes, and what
is wrong with a marker, which only the model knows. What each scope means is compared with hooks in
test_equivalence_fixed.py."""

from __future__ import annotations

import json
import subprocess
from types import SimpleNamespace

import engines
import families
import hooks
import letters
import numpy
import pytest
import torch
import weir

HEAD = """weir: 1
model: {program: absent.pt2}
dictionaries:
  rows: {format: directions, path: rows.npy, sites: [res], layers: 1}
policies:
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("markers")
    numpy.save(folder / "rows.npy", torch.randn(2, 32, generator=torch.Generator().manual_seed(1)).numpy())
    return folder


def steered(folder, name: str, policies: str, plans: str):
    """A spec for the model of letters: weir-run's and Python's program, and hooks."""
    spec = folder / f"{name}.yaml"
    spec.write_text(f"{HEAD}{policies}plans: {plans}\n")
    weir.compile(spec, folder / name, model=letters.exported())
    return SimpleNamespace(folder=folder / name, program=weir.load(folder / name),
                           reference=hooks.Reference(spec, letters.model(), letters.tokenizer()))


def generated(program, rows: list[dict], count: int):
    """What weir-run writes: (its rows, the arrays of its records)."""
    prompts, records = program.folder / "rows.jsonl", program.folder / "records.npz"
    prompts.write_text("\n".join(map(json.dumps, rows)))
    said = engines.call("weir-run", program.folder, "--prompts", prompts, "--json", "-n", count, "--threads", 1, "--ignore-eos",
                        "--record", records)
    return json.loads(said)["rows"], numpy.load(records)


def check(program, rows: list[dict], count: int) -> list[torch.Tensor]:
    """weir-run generates rows, more than the program holds at once, and Python gives the same; each token is one that
    hooks choose, and the gate was where they say. Returns where that is, by row."""
    answers, arrays = generated(program, rows, count)
    ours = program.program.generate([row["prompt"] for row in rows], plan=[row["plan"] for row in rows], max_new_tokens=count,
                                    ignore_eos=True)
    assert [row.tokens for row in ours] == [answer["tokens"] for answer in answers]
    acts = []
    for index, (row, answer) in enumerate(zip(rows, answers, strict=True)):
        length = int(arrays["prompt_length"][index])
        ids = [int(token) for token in arrays["input_ids"][index] if token >= 0]
        assert ids[length:] == answer["tokens"] and len(answer["tokens"]) == count
        plan = None if row["plan"] == "none" else row["plan"]
        want = program.reference.run(ids, plan, length)
        for at in range(length, len(ids)):
            assert want.logits[at - 1].max() - want.logits[at - 1, ids[at]] <= 2e-4 * want.logits[at - 1].abs().max()
        gate = torch.from_numpy(arrays["acts"][index, : len(ids) - 1, 0])
        expected = want.records.get(("acts", "gate:push"), torch.zeros(len(ids)))[: len(ids) - 1]
        assert torch.equal(gate, expected.float())
        acts.append(gate.bool())
    return acts


PUSH = "  push: {on: 1/res/0, do: add, strength: 9, tokens: %s}\n  acts: {gate: push, do: record}\n"


def test_texts_are_markers(folder):
    """Special tokens, a pair of letters, a line's end; an id; in prompts of several lengths, in more rows than a batch
    holds, so that a row of the cache has held other texts."""
    program = steered(folder, "texts", PUSH % '{between: ["(", [")", "\\n", <eos>]]}'
                      + "  other: {on: 1/res/1, do: add, strength: 5, tokens: {after: [the, 1], until: \" a\", ramp: {over: 3}}}\n",
                      "{first: [push, acts], second: [other]}")
    prompts = ["a (in) the (an\nin", "(", "an) (ether) in (the", "no", "((a)(b", "ain (\nan) (th"]
    rows = [{"prompt": text, "plan": plan} for text in prompts for plan in ("first", "none", "second")][:14]
    acts = check(program, rows, 6)
    letter = {character: letters.tokenizer().encode(character, add_special_tokens=False) for character in "()"}
    assert all(len(ids) == 1 for ids in letter.values())
    assert "".join(str(int(each)) for each in acts[0][:14]) == "00001000001000"  # <bos> a _ ( in ) _ the _ ( an \n in


def test_a_marker_that_the_model_writes(folder):
    """Nothing is edited until the model has written the marker, and then the text is another one."""
    rows = [{"prompt": text, "plan": "none"} for text in ("the ain", "an ether", "in", "that the in")]
    plain, _ = generated(steered(folder, "plain", PUSH % "{after: 0}", "{first: [push, acts]}"), rows, 14)
    marker = next(token for token in plain[0]["tokens"][2:9] if plain[0]["tokens"].index(token) >= 2)
    begins = plain[0]["tokens"].index(marker)
    program = steered(folder, "written", PUSH % f"{{part: generated, after: {marker}, decay: {{half: 8}}}}",
                      "{first: [push, acts]}")
    for row in rows:
        row["plan"] = "first"
    acts = check(program, rows, 14)
    answers, _ = generated(program, rows, 14)
    assert answers[0]["tokens"][: begins + 2] == plain[0]["tokens"][: begins + 2]
    assert answers[0]["tokens"] != plain[0]["tokens"], "the push changes nothing"
    assert acts[0].any() and int(acts[0].nonzero()[0]) > begins


ERRORS = {
    "several tokens": ("after: [a, bush]", "6:65", "'bush' is 4 tokens of the model, and a marker is one: give another text, or an id"),
    "no such token": ("until: 267", "6:61", "the model has no token 267: its tokens are 0 to 266"),
    "one token twice": ("between: [<eos>, 2]", "6:53", "a marker cannot open and close"),
    "one token that opens and ends": ("between: [<eos>, 5], until: 2", "6:53", "no token is behind a marker that opens and in front of all"),
}


@pytest.mark.parametrize("kind", ERRORS)
def test_what_is_no_marker_of_the_model(kind, folder):
    scope, place, message = ERRORS[kind]
    spec = folder / "wrong.yaml"
    spec.write_text(f"{HEAD}  push: {{on: 1/res/0, do: add, strength: 9, tokens: {{{scope}}}}}\n")
    done = subprocess.run([weir.tool("weirc"), "check", spec, "--model", letters.exported()], capture_output=True, text=True)
    assert done.returncode == 2 and f"wrong.yaml:{place}: error: {message}" in done.stderr, done.stderr


def test_a_model_without_a_tokenizer_has_ids(folder):
    spec = folder / "ids.yaml"
    for scope, fails in (('["<think>", 9]', True), ("[8, 9]", False)):
        spec.write_text(f"{HEAD}  push:\n    on: 1/res/0\n    do: add\n    strength: 9\n    tokens:\n      between: {scope}\n")
        done = subprocess.run([weir.tool("weirc"), "check", spec, "--model", families.exported("llama")],
                              capture_output=True, text=True)
        assert (done.returncode != 0) == fails, done.stderr
        assert fails == ("ids.yaml:11:17: error: cannot tell which token this is:" in done.stderr), done.stderr
        assert fails == ("without a tokenizer a marker is an id" in done.stderr)
