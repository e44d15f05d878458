# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The embedded model, SmolLM2-135M-Instruct, with its real weights, against transformers."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import models
import numpy
import pytest
import torch
from gguf import GGUFReader
from gguf.quants import dequantize
from tokenizers import Tokenizer
from weir.export import cached, sources

TEXT = ("The harbour was quiet in the morning. Two boats came in with the tide, and the men on the quay counted "
        "37 crates of mackerel before the rain began; by noon there were 1024 on the list, and nobody knew why.")
CHAT = [{"role": "user", "content": "Name three rivers of Europe."}]


@pytest.fixture(scope="session")
def source():
    return sources.resolve("smollm2")


@pytest.fixture(scope="session")
def model():
    return models.smollm2()


@pytest.fixture(scope="session")
def archive() -> Path:
    return cached("smollm2")


@pytest.fixture(scope="session")
def program(archive):
    return torch.export.load(archive).module()


@pytest.fixture(scope="session")
def extra(archive) -> dict[str, str]:
    with zipfile.ZipFile(archive) as records:
        return {Path(name).name: records.read(name).decode() for name in records.namelist() if "/extra/" in name}


@pytest.fixture(scope="session")
def tokenizer(extra) -> Tokenizer:
    return Tokenizer.from_str(extra["tokenizer.json"])


@pytest.fixture(scope="session")
def ids(tokenizer) -> torch.Tensor:
    return torch.tensor([tokenizer.encode(TEXT).ids])


@pytest.fixture(scope="session")
def want(model, ids) -> torch.Tensor:
    with torch.no_grad():
        return model(ids, use_cache=False).logits


def close(got, want):
    # Logits reach 30; what transformers' own attention kernels differ by is 1e-4.
    torch.testing.assert_close(got, want, rtol=0, atol=5e-4)


@torch.no_grad()
def test_prefill(program, ids, want):
    length = ids.shape[1]
    close(program(ids, torch.arange(length).unsqueeze(0)), want)


@torch.no_grad()
def test_prefill_then_decode(program, ids, want):
    close(program(ids[:, :30], torch.arange(30).unsqueeze(0)), want[:, :30])
    for at in range(30, ids.shape[1]):
        close(program(ids[:, at : at + 1], torch.tensor([[at]])), want[:, at : at + 1])


@torch.no_grad()
def test_a_full_ragged_batch(program, ids, want):
    length, lengths = ids.shape[1], (ids.shape[1], 17, 1, 33)
    positions = torch.arange(length).repeat(4, 1)
    for row, stop in enumerate(lengths):
        positions[row, stop:] = -1
    got = program(ids.masked_fill(positions < 0, 0), positions)
    assert got.shape == (4, length, 49152) and got.isfinite().all()
    for row, stop in enumerate(lengths):
        close(got[row, :stop], want[0, :stop])


@torch.no_grad()
def test_greedy_answers_are_those_of_generate(program, model, source):
    tokenizer = source.tokenizer()
    prompt = tokenizer.apply_chat_template(CHAT, add_generation_prompt=True, return_tensors="pt", return_dict=True)["input_ids"]
    start = prompt.shape[1]
    expected = model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=32, do_sample=False)[0, start:]
    logits = program(prompt, torch.arange(start).unsqueeze(0))
    answer = []
    for at in range(start, start + len(expected)):
        answer.append(logits[0, -1].argmax().item())
        logits = program(torch.tensor([answer[-1:]]), torch.tensor([[at]]))
    assert answer == expected.tolist()
    assert "Danube" in tokenizer.decode(answer) or "Rhine" in tokenizer.decode(answer)


@torch.no_grad()
def test_bf16(ids, want):
    run = torch.export.load(cached("smollm2", dtype="bf16")).module()
    got = run(ids, torch.arange(ids.shape[1]).unsqueeze(0))
    assert got.dtype == torch.float32
    probability = torch.softmax(want, -1)
    divergence = (probability * (torch.log_softmax(want, -1) - torch.log_softmax(got, -1))).sum(-1)
    assert divergence.mean() < 0.01
    assert (got.argmax(-1) == want.argmax(-1)).float().mean() > 0.9


def test_weights_are_the_dequantised_ones(archive, source):
    weights = torch.export.load(archive).state_dict
    stored = {tensor.name: tensor for tensor in GGUFReader(Path(source.location) / source.gguf).tensors}
    for name, key in (("model.layers.29.mlp.down_proj.weight", "blk.29.ffn_down.weight"),
                      ("model.layers.7.self_attn.o_proj.weight", "blk.7.attn_output.weight"),
                      ("model.embed_tokens.weight", "token_embd.weight"),
                      ("model.norm.weight", "output_norm.weight")):
        expected = dequantize(stored[key].data, stored[key].tensor_type)
        numpy.testing.assert_array_equal(weights[name].detach().numpy(), expected.astype(numpy.float32))
    assert torch.equal(weights["lm_head.weight"], weights["model.embed_tokens.weight"])


def test_records(extra):
    about = json.loads(extra["weir.json"])
    template = about.pop("chat_template")
    assert "<|im_start|>" in template and "add_generation_prompt" in template
    assert about == {"weir": 1, "model": "smollm2", "family": "llama", "hidden_size": 576, "layers": 30, "heads": 9,
                     "head_dim": 64, "vocab_size": 49152, "max_batch": 4, "max_length": 512, "dtype": "f32", "bos": 1, "eos": [2]}
    assert json.loads(extra["tokenizer_config.json"])["eos_token"] == "<|im_end|>"


def test_the_tokenizer_splits_as_the_gguf_file_says(tokenizer):
    """tokenizer.ggml.pre is `smollm`: every digit is a token of its own, whatever stands before it."""
    for text in ("2024", "in  12 days", "x86_64", "    7\n  89", "3.14159"):
        tokens = tokenizer.encode(text).tokens
        assert all(len(token) == 1 for token in tokens if any(c.isdigit() for c in token)), tokens
    assert tokenizer.encode("   12").tokens == ["ĠĠĠ", "1", "2"]
    assert tokenizer.encode("<|im_start|>user\nHello there<|im_end|>\n").ids == [1, 4093, 198, 19556, 665, 2, 198]
    for text in (TEXT, "naïve façade — “quoted” 日本語 🙂\t\ttabs\n\n  and   spaces "):
        assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text
