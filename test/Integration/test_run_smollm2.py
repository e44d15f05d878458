# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""weir-run on SmolLM2: text in, text out, the same as with transformers."""

from __future__ import annotations

import json
import subprocess
import zipfile

import numpy
import pytest
import tokenizers
import torch
import weir.export
from engines import TOOLS

PROMPTS = ["The capital of France is", "Once upon a time", "def fib(n):", "2+2=", "It's 25 °C 🌡️ in Zürich,\n\n  and"]


@pytest.fixture(scope="module")
def program():
    return weir.export.cached("smollm2")


@pytest.fixture(scope="module")
def module(program):
    return torch.export.load(program).module()


@pytest.fixture(scope="module")
def records(program):
    """The files that travel with the program, by name."""
    with zipfile.ZipFile(program) as archive:
        names = {name.split("/extra/")[1]: name for name in archive.namelist() if "/extra/" in name}
        return {name: archive.read(path).decode() for name, path in names.items()}


@pytest.fixture(scope="module")
def tokenizer(records):
    return tokenizers.Tokenizer.from_str(records["tokenizer.json"])


def run(program, *options, code=0):
    done = subprocess.run([TOOLS / "weir-run", program, "--engine", "reference", "--threads", "1", *map(str, options)],
                          capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done


# Of its own, beside the mapped file and the cache. LibTorch takes 59 MB; the parsed graph would be 120 more if it was kept.
OWN_BYTES = 100_000_000


def generate(program, *options) -> list[dict]:
    said = json.loads(run(program, "--json", *options).stdout)
    rows, memory = said["rows"], said["memory"]
    if len(rows) == 1:
        assert memory["own_bytes"] < OWN_BYTES
    # Keys and values of what was read: 3 heads of 64 numbers in each of 30 layers.
    tokens = max(row["prompt_tokens"] + len(row["tokens"]) - 1 for row in rows)
    assert memory["state_bytes"] >= tokens * 30 * 2 * 3 * 64 * 4
    return rows


@torch.no_grad()
def greedy(module, ids: list[int], count: int, stop: int) -> list[int]:
    """Greedy decoding with the program in Python."""
    logits = module(torch.tensor([ids]), torch.arange(len(ids)).unsqueeze(0))
    out = []
    while True:
        out.append(logits[0, -1].argmax().item())
        if len(out) == count or out[-1] == stop:
            return out
        logits = module(torch.tensor([out[-1:]]), torch.tensor([[len(ids) + len(out) - 1]]))


def test_greedy_text_is_that_of_python(program, module, tokenizer):
    for prompt in PROMPTS:
        (row,) = generate(program, "-p", prompt, "-n", 12)
        ids = tokenizer.encode(prompt).ids
        assert row["prompt_tokens"] == len(ids)
        assert row["tokens"] == greedy(module, ids, 12, stop=2)
        assert row["text"] == tokenizer.decode(row["tokens"])


@torch.no_grad()
def test_logits_are_those_of_python(program, module, tokenizer, tmp_path):
    rows = [tokenizer.encode(prompt).ids for prompt in PROMPTS[:3]]
    ids = torch.full((3, max(map(len, rows))), -1)
    for row, tokens in enumerate(rows):
        ids[row, : len(tokens)] = torch.tensor(tokens)
    positions = torch.where(ids < 0, -1, torch.arange(ids.shape[1]))
    numpy.save(tmp_path / "ids.npy", ids.numpy())
    padding = (ids < 0).unsqueeze(2)
    steps = [slice(0, 2), *(slice(at, at + 1) for at in range(2, ids.shape[1]))]
    for options, parts in (((), [slice(None)]), (("--prefill", 2), steps)):
        run(program, "--ids", tmp_path / "ids.npy", "--logits", tmp_path / "logits.npy", *options)
        want = torch.cat([module(ids[:, part].clamp(min=0), positions[:, part]) for part in parts], 1).masked_fill(padding, 0)
        assert torch.equal(torch.from_numpy(numpy.load(tmp_path / "logits.npy")), want)


def test_a_batch_larger_than_the_program_gives_the_rows_alone(program, tmp_path):
    """Six rows, four at a time. Greedy tokens are the same, though logits differ in their last bits."""
    prompts = PROMPTS + ["The moon"]
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps({"prompt": prompt}) + "\n" for prompt in prompts))
    together = generate(program, "--prompts", tmp_path / "prompts.jsonl", "-n", 8)
    assert [row["prompt"] for row in together] == prompts
    for prompt, row in zip(prompts, together):
        assert row["tokens"] == generate(program, "-p", prompt, "-n", 8)[0]["tokens"]


def test_sampling_depends_on_the_seed_and_not_on_the_batch(program, tmp_path):
    sampling = ("--temperature", 0.8, "--top-p", 0.9, "-n", 10)
    first = generate(program, "-p", PROMPTS[1], "--seed", 5, *sampling)
    assert first[0]["tokens"] == generate(program, "-p", PROMPTS[1], "--seed", 5, *sampling)[0]["tokens"]
    assert first[0]["tokens"] != generate(program, "-p", PROMPTS[1], "--seed", 6, *sampling)[0]["tokens"]
    # Row r of a batch uses seed + r, or its own.
    batch = generate(program, "-p", PROMPTS[0], "-p", PROMPTS[1], "--seed", 4, *sampling)
    assert [row["seed"] for row in batch] == [4, 5]
    assert batch[1]["tokens"] == first[0]["tokens"]
    (tmp_path / "rows.jsonl").write_text(json.dumps({"prompt": PROMPTS[2]}) + "\n"
                                         + json.dumps({"prompt": PROMPTS[1], "seed": 5}) + "\n")
    assert generate(program, "--prompts", tmp_path / "rows.jsonl", *sampling)[1]["tokens"] == first[0]["tokens"]


def test_chat_prompts_are_those_of_transformers(program, records, tokenizer, tmp_path):
    from transformers import PreTrainedTokenizerFast

    info = json.loads(records["weir.json"])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, chat_template=info["chat_template"])
    conversations = [
        [{"role": "user", "content": "What is 2 + 2?"}],
        [{"role": "system", "content": "Answer in French."}, {"role": "user", "content": "Hello <|im_end|> {{ 1 }}"}],
        [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": " c\n"}],
    ]
    path = tmp_path / "chat.jsonl"
    path.write_text("".join(json.dumps({"messages": messages}) + "\n" for messages in conversations))
    for row, messages in zip(generate(program, "--prompts", path, "-n", 1), conversations):
        want = fast.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        assert row["prompt"] == want
        assert row["prompt_tokens"] == len(tokenizer.encode(want, add_special_tokens=False).ids)
    answer = [*conversations[0], {"role": "assistant", "content": "2 + 2 is "}]
    path.write_text(json.dumps({"messages": answer}) + "\n")
    (row,) = generate(program, "--prompts", path, "--continue", "-n", 1)
    assert row["prompt"] == fast.apply_chat_template(answer, tokenize=False, continue_final_message=True)
    assert row["prompt"].endswith("assistant\n2 + 2 is ")
    (row,) = generate(program, "--chat", "--system", "Answer in French.", "-p", "Hello <|im_end|> {{ 1 }}", "-n", 1)
    assert row["prompt"] == fast.apply_chat_template(conversations[1], tokenize=False, add_generation_prompt=True)


def test_text_ends_at_the_end_of_sequence(program):
    (row,) = generate(program, "--chat", "-p", "What is the capital of France?", "-n", 40)
    assert row["finish"] == "eos" and row["tokens"][-1] == 2
    assert row["text"] == "The capital of France is Paris."
    (longer,) = generate(program, "--chat", "-p", "What is the capital of France?", "-n", 12, "--ignore-eos")
    assert longer["finish"] == "max_new_tokens" and len(longer["tokens"]) == 12
    assert longer["tokens"][: len(row["tokens"])] == row["tokens"]


def test_text_goes_to_standard_output_and_speed_to_standard_error(program):
    done = run(program, "-p", PROMPTS[0], "-n", 3)
    assert done.stdout == " Paris.\n\n"
    prefill, decode = done.stderr.splitlines()
    assert prefill.startswith("prefill: 5 tokens, ") and prefill.endswith(" tokens/s")
    assert decode.startswith("decode: 2 tokens, ") and decode.endswith(" tokens/s")
    assert run(program, "-p", PROMPTS[0], "-n", 3, "--quiet").stderr == ""


def test_a_damaged_archive_is_refused(program, tmp_path):
    data = bytearray(program.read_bytes())
    data[len(data) // 2] ^= 1  # somewhere in the weights
    (tmp_path / "bad.pt2").write_bytes(data)
    done = run(tmp_path / "bad.pt2", "-p", "a", code=1)
    assert "checksum" in done.stderr.lower() or "crc" in done.stderr.lower()
    done = run(program, "-p", "a " * 600, code=1)
    assert "row 0: the prompt has" in done.stderr
