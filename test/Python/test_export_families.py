# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Exported programs against the Hugging Face models they come from, for every family."""

from __future__ import annotations

import functools
import re

import families
import pytest
import torch

LENGTH = 20  # several times the sliding window
every_family = pytest.mark.parametrize("family", families.CONFIGS)


def ids(rows: int = 3, length: int = LENGTH) -> torch.Tensor:
    return torch.randint(3, families.VOCABULARY, (rows, length), generator=torch.Generator().manual_seed(2))


def positions(rows: int = 3, length: int = LENGTH, start: int = 0) -> torch.Tensor:
    return torch.arange(start, start + length).expand(rows, length).contiguous()


@torch.no_grad()
def logits(family: str, tokens: torch.Tensor, dtype=torch.float32) -> torch.Tensor:
    """What transformers itself says, without a cache and with its plain attention."""
    model = families.model(family, dtype)
    model.set_attn_implementation("eager")
    return model(tokens, attention_mask=torch.ones_like(tokens), use_cache=False).logits.float()


# Loading takes seconds, so tests share what was loaded.
@functools.cache
def load(family: str, dtype: str = "f32") -> torch.export.ExportedProgram:
    return torch.export.load(families.exported(family, dtype))


@functools.cache
def module(family: str, dtype: str = "f32"):
    return load(family, dtype).module()


def fresh(family: str, dtype: str = "f32"):
    """The program to run, its cache empty as after loading."""
    run = module(family, dtype)
    for name, buffer in run.named_buffers():
        if "kv_cache" in name:
            buffer.zero_()
    return run


def close(got, want):
    torch.testing.assert_close(got, want, rtol=0, atol=5e-5)


@every_family
@torch.no_grad()
def test_prefill_of_a_whole_batch(family):
    close(fresh(family)(ids(), positions()), logits(family, ids()))


@every_family
@torch.no_grad()
def test_token_by_token_in_a_batch_of_one(family):
    run, want = fresh(family), logits(family, ids(1))
    for at in range(LENGTH):
        close(run(ids(1)[:, at : at + 1], positions(1, 1, at)), want[:, at : at + 1])


@every_family
@torch.no_grad()
def test_prefill_in_pieces_then_decode_a_full_batch(family):
    run, want = fresh(family), logits(family, ids())
    for start, stop in ((0, 1), (1, 9), (9, 17), *((at, at + 1) for at in range(17, LENGTH))):
        close(run(ids()[:, start:stop], positions(3, stop - start, start)), want[:, start:stop])


@every_family
@torch.no_grad()
def test_ragged_rows_are_bit_equal_to_padded_rows_and_close_to_single_ones(family):
    run, tokens, lengths = fresh(family), ids(), (20, 7, 1)
    where = positions()
    for row, length in enumerate(lengths):
        where[row, length:] = -1
        tokens[row, length:] = row  # what stands under the padding must not matter
    got = run(tokens, where)
    assert got.isfinite().all(), "padding gave values that are not finite"
    for row, length in enumerate(lengths):
        close(got[row : row + 1, :length], logits(family, tokens[row : row + 1, :length]))
    other = tokens.masked_fill(where < 0, 99)
    again = run(other, where)
    for row, length in enumerate(lengths):
        assert torch.equal(again[row, :length], got[row, :length])
    # The rows go on at their own places, one of them resting.
    step = run(torch.tensor([[50], [51], [52]]), torch.tensor([[20], [-1], [1]]))
    for row in (0, 2):
        text = torch.cat([tokens[row, : lengths[row]], torch.tensor([50 + row])]).unsqueeze(0)
        close(step[row], logits(family, text)[0, -1:])


@every_family
@torch.no_grad()
def test_a_row_starts_afresh_at_position_0(family):
    run, want = fresh(family), logits(family, ids())
    run(ids().flip(1), positions())
    close(run(ids()[:, :6], positions(3, 6)), want[:, :6])


@every_family
@torch.no_grad()
def test_bf16_stays_near_f32(family):
    exported = load(family, "bf16")
    assert {tensor.dtype for tensor in exported.state_dict.values()} == {torch.bfloat16}
    got = fresh(family, "bf16")(ids(), positions())
    assert got.dtype == torch.float32
    want = logits(family, ids(), torch.bfloat16)
    reference = logits(family, ids())
    # Judged by what bf16 costs transformers itself.
    cost = (want - reference).norm() / reference.norm()
    assert (got - reference).norm() / reference.norm() < 1.5 * cost


@every_family
def test_inputs_outputs_weights_and_cache_have_the_agreed_names_and_shapes(family):
    exported, model = load(family), families.model(family)
    signature = exported.graph_signature
    assert list(signature.user_inputs) == ["input_ids", "positions"]
    assert len(signature.user_outputs) == 1
    nodes = {node.name: node for node in exported.graph.nodes}
    batch, length = (str(size) for size in nodes["input_ids"].meta["val"].shape)
    for name in ("input_ids", "positions"):
        value = nodes[name].meta["val"]
        assert value.dtype == torch.int64 and [str(size) for size in value.shape] == [batch, length]
    result = nodes[signature.user_outputs[0]].meta["val"]
    assert result.dtype == torch.float32
    assert [str(size) for size in result.shape] == [batch, length, str(families.VOCABULARY)]
    assert sorted((r.lower, r.upper) for r in exported.range_constraints.values()) == [
        (1, families.MAX_BATCH), (1, families.MAX_LENGTH)]
    assert set(exported.state_dict) == set(model.state_dict())
    config = families.CONFIGS[family]
    heads = getattr(config, "num_key_value_heads", config.num_attention_heads)
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    for layer in range(config.num_hidden_layers):
        for kind in ("key", "value"):
            buffer = exported.constants[f"kv_cache.{kind}_{layer}"]
            assert buffer.shape == (families.MAX_BATCH, families.MAX_LENGTH + 1, heads, width)
            assert not buffer.any()


@every_family
def test_the_module_stack_names_every_block_as_transformers_does(family):
    model = families.model(family)
    modules = dict(model.named_modules())
    seen = set()
    for node in load(family).graph.nodes:
        for path, _ in (node.meta.get("nn_module_stack") or {}).values():
            if not path.startswith("_empty"):
                assert path in modules
                seen.add(path)
    blocks = [name for name in modules if re.fullmatch(r"(\w+\.)+\d+", name)]
    assert len(blocks) == 3 and seen.issuperset(blocks)
    for block in blocks:
        inside = [name for name in modules if re.fullmatch(re.escape(block) + r"\.(self_attn|attn|attention|mlp)", name)]
        assert len(inside) == 2 and seen.issuperset(inside)


@every_family
def test_the_graph_holds_nothing_that_does_nothing(family):
    for node in load(family).graph.nodes:
        name = str(node.target)
        assert not name.startswith(("aten._assert", "aten.dropout", "aten.alias", "aten.repeat", "aten.type_as"))
        if name.startswith("aten.to."):
            assert node.args[0].meta["val"].dtype != node.meta["val"].dtype
        assert not node.meta.get("stack_trace"), "file names of the machine that exported"


@every_family
@torch.no_grad()
def test_the_spare_slot_is_never_read_and_other_rows_are_left_alone(family):
    run = fresh(family)
    cache = {name: buffer for name, buffer in run.named_buffers() if "kv_cache" in name}
    assert len(cache) == 6
    for buffer in cache.values():
        buffer[:, -1] = torch.nan
        buffer[2] = 7.0
    where = positions(2)
    where[1, 5:] = -1
    got = run(ids(2), where)
    close(got[0], logits(family, ids(1))[0])
    assert got.isfinite().all()
    for buffer in cache.values():
        assert (buffer[2] == 7.0).all()
        assert buffer[0, :LENGTH].any() and not buffer[1, 5:-1].any()


@torch.no_grad()
def test_a_position_past_the_cache_is_an_error():
    run = fresh("llama")
    run(ids(1, 1), torch.tensor([[families.MAX_LENGTH - 1]]))
    for position in (families.MAX_LENGTH, families.MAX_LENGTH + 1):
        with pytest.raises(IndexError):
            run(ids(1, 1), torch.tensor([[position]]))


@torch.no_grad()
def test_a_batch_or_text_larger_than_the_program_is_an_error():
    run = fresh("llama")
    for rows, length in ((families.MAX_BATCH + 1, 2), (1, families.MAX_LENGTH + 1)):
        with pytest.raises((RuntimeError, AssertionError)):
            run(ids(rows, length), positions(rows, length) % families.MAX_LENGTH)
