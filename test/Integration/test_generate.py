# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Texts: program.generate against weir-run, and both against transformers."""

from __future__ import annotations

import json
import os
import pty
import subprocess

import families
import letters
import numpy
import pytest
import torch
import weir
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some


@pytest.fixture(scope="module")
def model():
    return letters.model()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("generate")
    numpy.save(folder / "rows.npy", torch.randn(2, 32, generator=torch.Generator().manual_seed(1)).numpy())
    (folder / "spec.yaml").write_text("""
weir: 1
model: {program: absent.pt2}
dictionaries:
  rows: {format: directions, path: rows.npy, sites: [res], layers: 1}
knobs:
  force: {default: 1.0, range: [0, 8]}
policies:
  push: {on: {features: [1/res/1]}, do: add, strength: {value: 6, times: force}, tokens: {skip_first: 1}}
  watch: {on: {features: [1/res/0, 1/res/1]}, do: record}
plans:
  pushed: [push, watch]
  watched: [watch]
""")
    weir.compile(folder / "spec.yaml", folder / "steered", model=letters.exported())
    return folder


@pytest.fixture(scope="module")
def program(folder):
    return weir.load(folder / "steered")


def weir_run(folder, rows: list[dict], *options, records=None, program="steered") -> list[dict]:
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    done = subprocess.run([weir.tool("weir-run"), folder / program, "--prompts", folder / "rows.jsonl", "--json", "--threads", "1",
                           *map(str, options), *(["--record", records] if records else [])], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["rows"]


row = some.fixed_dictionaries(
    {"prompt": some.text("the ain é\n", min_size=1, max_size=12), "plan": some.sampled_from(["none", "pushed", "watched"]),
     "knobs": some.sampled_from([{}, {"force": 2}, {"force": 0.5}])},
    optional={"temperature": some.sampled_from([0, 0.7, 1.5]), "top_p": some.sampled_from([0.5, 0.9]),
              "top_k": some.integers(0, 20), "repetition_penalty": some.sampled_from([0.8, 1.3]),
              "frequency_penalty": some.sampled_from([-0.5, 0.7, 2]), "seed": some.integers(0, 2**64 - 1)})


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(some.lists(row, min_size=1, max_size=5), some.sampled_from([[], ["e"], ["th", "\n", "é"]]), some.integers(1, 30))
def test_the_same_tokens_as_weir_run(folder, program, rows, stop, count):
    want = weir_run(folder, rows, "-n", count, *(f"--stop={text}" for text in stop), "--seed", 5)
    columns = {key: [row.get(key, default) for row in rows] for key, default in (
        ("plan", None), ("knobs", {}), ("temperature", 0), ("top_p", 1), ("top_k", 0), ("repetition_penalty", 1),
        ("frequency_penalty", 0))}
    seeds = [row.get("seed", 5 + index) for index, row in enumerate(rows)]
    got = program.generate([row["prompt"] for row in rows], stop=stop, max_new_tokens=count, seed=seeds, **columns)
    for one, other in zip(got, want, strict=True):
        assert one.tokens == other["tokens"] and one.text == other["text"] and one.finish == other["finish"]
        assert len(one.prompt) == other["prompt_tokens"] and one.plan == other["plan"]
        assert one.seed == other["seed"] and one.knobs == other["knobs"]


@pytest.fixture(scope="module")
def talker(folder):
    weir.compile(folder / "spec.yaml", folder / "talker", model=letters.talking())
    return weir.load(folder / "talker")


def test_chats_are_those_of_weir_run(folder, talker):
    question, answer = {"role": "user", "content": "the in"}, {"role": "assistant", "content": "an"}
    chats = [[question], [question, answer, {"role": "user", "content": "é"}], [{"role": "user", "content": ""}]]
    want = weir_run(folder, [{"messages": chat} for chat in chats], "-n", 8, program="talker")
    for got in (talker.generate(chats, max_new_tokens=8), [talker.generate(chat, max_new_tokens=8)[0] for chat in chats]):
        assert [row.tokens for row in got] == [row["tokens"] for row in want]
        assert [len(row.prompt) for row in got] == [row["prompt_tokens"] for row in want]
    # The template has written <bos>, once; and texts and ids may stand beside chats.
    assert talker.apply_chat_template([question]) == "<bos>uthe in<eos>a"
    mixed = talker.generate(["the", chats[0], [5, 6]], max_new_tokens=8, plan=["pushed", None, "watched"])
    assert mixed[1].prompt == got[0].prompt and mixed[1].prompt.count(1) == 1
    assert mixed[1].tokens == talker.generate(chats[0], plan=None, max_new_tokens=8)[0].tokens
    # What goes on with an answer, and tools.
    (row,) = weir_run(folder, [{"messages": [question, answer]}], "-n", 4, "--continue", program="talker")
    assert talker.generate([question, answer], continue_final_message=True, max_new_tokens=4)[0].tokens == row["tokens"]
    (row,) = weir_run(folder, [{"messages": [question], "tools": [{"name": "th"}]}], "-n", 4, program="talker")
    assert talker.generate([question], tools=[{"name": "th"}], max_new_tokens=4)[0].tokens == row["tokens"]
    assert talker.apply_chat_template([question], chat_template="tool_use", tools=[{"name": "th"}]) == "ththe in"


@pytest.mark.parametrize("prompts, options, reason", [
    ([[{"content": "a"}]], {}, 'row 0: a message is a mapping with "role" and "content"'),
    (["the", [{"role": "user"}]], {}, 'row 1: a message has "role" and "content"'),
    ([[{"role": "user", "content": 3}]], {}, 'row 0: the "content" of a message is a text or a list of parts, not 3'),
    ([[{"role": "user", "content": "a"}]], {"chat_template": "long"}, "the model has no chat template 'long'; choose one"),
    ([[{"role": "user", "content": "a"}]], {"continue_final_message": True}, "row 0: continue_final_message goes on with an assistant's"),
    ([[{"role": "user", "content": "a"}]], {"chat_template": "tool_use"}, "row 0: "),
    ([[{"role": "user", "content": "a", "more": {1}}]], {}, "a chat holds what JSON has not"),
    (["the"], {"tools": []}, "tools, chat_template and continue_final_message are of chats"),
])
def test_mistakes_in_chats_are_told(talker, prompts, options, reason):
    with pytest.raises(weir.WeirError) as error:
        talker.generate(prompts, max_new_tokens=1, **options)
    assert reason in str(error.value)


def test_a_model_without_a_chat_template_says_so(program):
    with pytest.raises(weir.WeirError, match="the model has no chat template: give texts or ids"):
        program.generate([{"role": "user", "content": "a"}])


def test_records_are_those_of_weir_run(folder, program):
    prompts = ["the", "a thin\n", "in", "é"]
    weir_run(folder, [{"prompt": prompt, "plan": "pushed"} for prompt in prompts], "-n", 6, records=folder / "records.npz")
    want = numpy.load(folder / "records.npz")
    got = program.generate(prompts, plan="pushed", max_new_tokens=6, record=True)
    for index, row in enumerate(got):
        tokens = row.prompt + row.tokens
        assert want["input_ids"][index, :len(tokens)].tolist() == tokens
        assert row.records["watch.res.1"].shape == (len(tokens), 2)
        assert numpy.array_equal(want["watch.res.1"][index, :len(tokens)], row.records["watch.res.1"].numpy())
    assert got[0].records["watch.res.1"].any() and not program.generate("a", max_new_tokens=1)[0].records
    with pytest.warns(weir.errors.WeirWarning, match="no row follows a plan that records"):
        assert not program.generate("a", plan=None, record=True, max_new_tokens=1)[0].records["watch.res.1"].any()


@torch.no_grad()
def test_unsteered_texts_are_those_of_transformers(model, program):
    tokenizer = letters.tokenizer()
    for options in ({}, {"repetition_penalty": 1.2}):
        for prompt in ("the", "an in\n"):
            given = tokenizer(prompt, return_tensors="pt", return_token_type_ids=False)
            want = model.generate(**given, do_sample=False, max_new_tokens=12, pad_token_id=0, **options)[0].tolist()
            got = program.generate(prompt, plan=None, max_new_tokens=12, **options)[0]
            assert got.prompt + got.tokens == want
            assert got.text == tokenizer.decode(got.tokens, skip_special_tokens=True) == str(got)


def test_a_stop_string_ends_a_text_and_is_left_out(folder, program):
    options = dict(plan=None, max_new_tokens=20, ignore_eos=True, temperature=1)
    for seed in range(100):
        whole = program.generate("the", seed=seed, **options)[0]
        stops = [whole.text[at:at + 2] for at in range(2, 12) if whole.text[at:at + 2].isascii()
                 and whole.text.index(whole.text[at:at + 2]) == at and whole.text[at:at + 2].isprintable()]
        if stops:
            break
    stop = stops[0]
    cut = program.generate("the", seed=seed, stop=stop, **options)[0]
    assert cut.text == whole.text[:whole.text.index(stop)] and cut.finish == "stop"
    assert cut.tokens == whole.tokens[:len(cut.tokens)] and len(cut.tokens) < 20
    # On a terminal text is shown as it comes, but nothing of the stop string.
    command = [str(weir.tool("weir-run")), str(folder / "steered"), "-p", "the", "--plan", "none", "-n", "20", "--ignore-eos", "-q",
               "--temperature", "1", "--seed", str(seed), "--threads", "1"]
    for options, want in ((["--stop", stop], cut.text), ([], whole.text), (["--stop", stop, "--stop", "never"], cut.text)):
        assert shown(command + options) == want.replace("\n", "\r\n") + "\r\n"


def shown(command: list[str]) -> str:
    """What a command writes to a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, stdout=theirs, stderr=subprocess.PIPE)
    os.close(theirs)
    said = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:
            break
        if not part:
            break
        said += part
    os.close(ours)
    assert process.wait() == 0, process.stderr.read()
    process.stderr.close()
    return said.decode()


def test_text_or_ids(program):
    ids = program.encode("the in")
    assert ids == letters.tokenizer()("the in")["input_ids"] and program.decode(ids) == "the in"
    assert program.tokenizer.get_vocab_size() == letters.VOCABULARY
    want = program(torch.tensor([ids]), plan="pushed").logits
    for same in ("the in", ["the in"], ids, [ids], torch.tensor(ids), numpy.array([ids])):
        assert torch.equal(program(same, plan="pushed").logits, want)
    padded = program(torch.tensor([ids, [*ids[:2], *[-1] * (len(ids) - 2)]]))
    assert padded.ids[1].tolist() == [*ids[:2], *[-1] * (len(ids) - 2)]


def test_more_rows_than_the_batch_are_split(program):
    texts = ["the", "a", "in an\n", "é", "thin", "er", "t"]
    plans = ["pushed", None, "watched", "pushed", None, "pushed", "pushed"]
    whole = program(texts, plan=plans)
    assert whole.logits.shape[0] == whole.records["watch.res.1"].shape[0] == 7
    for index, text in enumerate(texts):
        alone = program(text, plan=plans[index])
        length = alone.ids.shape[1]
        torch.testing.assert_close(whole.logits[index, :length], alone.logits[0], rtol=0, atol=1e-4)
        if plans[index]:
            torch.testing.assert_close(whole.feature("1/res/1")[index, :length], alone.records["watch.res.1"][0, :, 1], rtol=0, atol=1e-4)
    program(texts)
    with pytest.raises(weir.WeirError, match="more rows than the program keeps, so no text can go on"):
        program(torch.tensor([[5]]), torch.tensor([[3]]), prompt_length=4)
    program(texts[:3])
    program(torch.tensor([[5]]), torch.tensor([[2]]), prompt_length=2)


@torch.no_grad()
def test_losses_are_those_of_transformers(model, program):
    tokenizer = letters.tokenizer()
    texts = ["the in an", "a thin\né", "er", "tttt"]
    got = program.loss(texts, plan=None)
    for index, text in enumerate(texts):
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        assert abs(got[index].item() - model(ids, labels=ids).loss.item()) < 1e-4
    ids = [tokenizer(text)["input_ids"] for text in texts]
    assert torch.equal(program.loss(ids, plan=None), got)
    # Of the tokens behind the prompt, which the program has to be told: there it steers.
    starts = [3, 2, 1, 2]
    got = program.loss(texts, plan="pushed", knobs={"force": 2}, prompt_length=starts)
    for index, (row, start) in enumerate(zip(ids, starts)):
        logits = program(row, plan="pushed", knobs={"force": 2}, prompt_length=start).logits[0]
        want = torch.nn.functional.cross_entropy(logits[start - 1:-1], torch.tensor(row[start:]))
        assert abs(got[index].item() - want.item()) < 1e-4
    assert (program.loss(texts, plan="pushed") - program.loss(texts, plan=None)).abs()[[0, 1, 3]].min() > 1e-3
    for arguments, reason in ((dict(texts=[[5]]), "row 0 has no token to predict: it has 1; a loss needs two"),
                              (dict(texts=["the"], prompt_length=3), "it has 2, of which 3 are prompt")):
        with pytest.raises(weir.WeirError, match=reason):
            program.loss(**arguments)


def test_what_a_program_and_an_output_say(program):
    assert repr(program).splitlines() == [
        "<weir.Program tiny-letters (llama, f32): 3 layers, 267 tokens in the vocabulary, up to 3 rows of 40 at once",
        "  plans: pushed, watched", "  knobs: force = 1 (0..8)", "  records: watch.res.1 (1/res/0, 1/res/1)>"]
    output = program(["the", "a"])
    assert repr(output) == "<weir.Output: logits of 2 rows of 2 tokens, 267 each, watch.res.1 (2 features)>"
    assert output.feature("1/res/0", "watch.res.1").shape == (2, 2)
    with pytest.raises(weir.WeirError, match="no record has 1/res/7; they have 1/res/0, 1/res/1"):
        output.feature("1/res/7")


@pytest.mark.parametrize("call, reason", [
    (lambda p: p([[5, 267]]), "row 0: token 267 is outside the vocabulary of 267"),
    (lambda p: p(torch.tensor([[5], [-2]])), "row 1: token -2 is outside"),
    (lambda p: p(torch.tensor([[300]]), torch.tensor([[0]])), "row 0: token 300 is outside"),
    (lambda p: p(5), "5 is no batch; give a text, token ids, or a list of these"),
    (lambda p: p(b"the"), "is no batch"),
    (lambda p: p(None), "None is no batch"),
    (lambda p: p([]), "there is no row"),
    (lambda p: p(["the", []]), "row 1 has no token"),
    (lambda p: p([1.5]), "row 0 holds 1.5; rows are texts, or lists of token ids"),
    (lambda p: p([["the"]]), "row 0 holds 'the'"),
    (lambda p: p(["the", 5]), "row 1 is 5"),
    (lambda p: p(torch.tensor([[1.0]]), torch.tensor([[0]])), "input_ids are torch.float32; they must be integers"),
    (lambda p: p("e" * 60), "room for 40 tokens"),
    (lambda p: p.generate("e" * 60), "row 0 has 61 tokens; the program has room for 40, and at least one"),
    (lambda p: p.generate("e", max_new_tokens=0), "max_new_tokens is 0"),
    (lambda p: p.generate("e", stop=[""]), "a stop string is ''"),
    (lambda p: p.generate(["e", "e"], temperature=[1]), "1 values of temperature for 2 rows"),
    (lambda p: p.generate("e", top_p=2), "top_p is 2"),
    (lambda p: p.generate("e", plan="pull"), "there is no plan 'pull'"),
])
def test_mistakes_are_told_in_words(program, call, reason):
    with pytest.raises(weir.WeirError, match=reason):
        call(program)


def test_a_program_without_tokenizer_takes_ids_only():
    program = weir.load(families.exported("llama"))
    for call in (lambda: program("the"), lambda: program.generate([5], stop="x"), lambda: program.tokenizer):
        with pytest.raises(weir.WeirError, match="the program has no tokenizer: give token ids"):
            call()
    made = program.generate([5, 6], max_new_tokens=3)[0]
    assert made.text is None and str(made) == str(made.tokens) and len(made.tokens) == 3
