# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The operators of libweir_kernels.so that a server on the CPU has at its sites, without a server: what kernels do of
flattened tokens of many requests is what the site table's operations do, and what they are told wrong is refused."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import logging
import subprocess
from types import SimpleNamespace

import families
import hooks
import numpy
import pytest
import specs
import torch
from engines import ROOT, Built
from safetensors.torch import save_file
from weir.sites import Edits, History, Rows, SiteTable, SiteTableError
from weir_vllm import models, native, patches
from weir_vllm.runtime import Runtime, Scheduled
from weir_vllm.settings import Folder, SettingsError

SPEC = """
weir: 1
model: {program: tiny.pt2}
dictionaries:
  sae: {format: sae_lens, path: "sae/{site}.{layer}", sites: [res, mlp, att], layers: 0..2}
knobs:
  faith: {default: 1, range: [0, 4]}
policies:
  late: {on: [1/res/4, 1/res/6], do: set, value: 2, tokens: generated, times: faith}
  early: {on: [0/mlp/4], do: add, strength: 3, tokens: prompt}
  gone: {on: [2/res/3, 2/res/5], do: project_out}
  held: {on: [2/mlp/1], do: set, value: 2, when: {feature: 0/mlp/3, below: 0.5}}
  behind: {on: [0/att/2], do: add, strength: 6, tokens: {after: 5}}
  watch: {on: [1/res/4], do: record}
plans:
  late: [late, watch]
  early: [early, late]
  gone: [gone, early]
  held: [held, gone, behind]
"""
HEADERS = ROOT / "include/weir/Kernels"
BY_KERNELS = {("mlp", 0), ("res", 1), ("res", 2)}


@pytest.fixture(scope="module")
def built(tiny, tmp_path_factory):
    """The folders on kernels, by the type of the model."""
    folder = tmp_path_factory.mktemp("native")
    spec = specs.Case("llama", 3, hooks.read(SPEC), ()).write(folder, tiny("llama").sizes)
    return functools.cache(lambda dtype: Built(spec, families.exported("llama", dtype), folder / dtype, lower="kernel").folder)


@pytest.fixture(scope="module")
def folder(built):
    models.register()
    assert native.is_there()
    return Folder.open("", str(built("f32")))


@pytest.fixture(scope="module")
def folders(folder, built):
    return {torch.float32: folder, torch.bfloat16: Folder.open("", str(built("bf16")))}


IDS = numpy.array([3, 5, 9, 5, 7, 11, 13, 17, 19, 23])
# Requests of one step: (plan, tokens, the first of them, tokens of the prompt).
STEP = [("late", 3, 0, 5), (None, 2, 4, 4), ("gone", 1, 7, 3), ("early", 4, 0, 9), ("held", 5, 2, 4), ("late", 1, 8, 6)]
TOKENS = sum(count for _, count, _, _ in STEP)


def scheduled(folder: Folder, step=STEP) -> list[Scheduled]:
    plans = {plan.name: plan.index for plan in folder.table.plans}
    return [Scheduled(None if plan is None else {"table": folder.identity, "plan": plans[plan], "knobs": [2.5]}, count, first,
                      length, lambda end=first + count: numpy.resize(IDS, end)) for plan, count, first, length in step]


def values_of(folder: Folder, dtype=torch.float32) -> dict:
    """Of each site a value, and for a sum the other part of it, larger as it is in a model. Three rows of padding follow."""
    generator = torch.Generator().manual_seed(2)
    return {site: [(torch.randn(TOKENS + 3, folder.table.widths[site], generator=generator) * size).to(dtype)
                   for size in (1, 4)] for site in folder.table.sites}


def expected(folder: Folder, values: dict) -> dict:
    """By the table's operations, each token a row of its own."""
    found = {site: [] for site in folder.table.sites}
    edits = Edits(folder.table, count=True)
    edited = dict.fromkeys(folder.table.sites, 0)
    at = 0
    for each in scheduled(folder):
        own = slice(at, at + each.count)
        at += each.count
        plan = torch.full((each.count,), each.said["plan"] if each.said else -1)
        end = each.first + each.count
        step = edits.begin(Rows(plan, torch.full((each.count, 1), 2.5), torch.arange(each.first, end).unsqueeze(1),
                                torch.full((each.count,), each.prompt_length),
                                History(torch.tensor(IDS[:end]).expand(each.count, -1))))
        for site in folder.table.sites:
            # What the model computes of its own: a sum in its type.
            x = sum(part[own] for part in values[site]).float()
            after = step.wide(site, x.unsqueeze(1))
            found[site].append(x if after is None else after.squeeze(1))
            if site in step.edited:
                edited[site] += int(step.edited[site].sum())
    return {site: torch.cat(parts) for site, parts in found.items()}, edited


# What the table says in f32 is rounded to a bf16 once: by 2**-9 of the number. As a pair, the new value less the second part
# is rounded, too, by 2**-9 of numbers up to 64.
TOLERANCES = {(torch.float32, True): (1e-5, 2e-5), (torch.float32, False): (1e-5, 2e-5),
              (torch.bfloat16, True): (2**-8, 0.125), (torch.bfloat16, False): (2**-8, 1e-4)}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["f32", "bf16"])
@pytest.mark.parametrize("pair", [True, False], ids=["pair", "alone"])
def test_kernels_do_what_the_table_says(folders, pair, dtype):
    folder, (rtol, atol) = folders[dtype], TOLERANCES[dtype, pair]
    runtime = Runtime([folder], 64, torch.device("cpu"), folder.table.sites, dtype)
    assert {(kind, int(layer)) for layer, kind in (site.split("/") for site in runtime.kernel_sites())} == BY_KERNELS
    values = values_of(folder, dtype)
    if not pair:
        values = {site: [a + b, torch.zeros_like(b)] for site, (a, b) in values.items()}
    want, edited = expected(folder, values)
    runtime.begin(scheduled(folder))
    for number, site in enumerate(folder.table.sites):
        hidden, residual = (part.clone() for part in values[site])
        if pair:
            torch.ops.weir.serve_edit_sum_(hidden, residual, number)
            assert residual.equal(values[site][1])
        else:
            torch.ops.weir.serve_edit_(hidden, number)
        assert hidden.abs().max() < 64
        got = hidden.float() + residual.float()
        torch.testing.assert_close(got[:TOKENS], want[site], rtol=rtol, atol=atol)
        before = sum(values[site]).float()
        unsteered = [row for row in range(TOKENS + 3) if row >= TOKENS or torch.equal(want[site][row], before[row])]
        assert len(unsteered) >= 5 and hidden[unsteered].equal(values[site][0][unsteered])
    counted = runtime.counted()
    assert counted == {f"{layer}/{kind}": edited[kind, layer] for kind, layer in folder.table.edited} and all(counted.values())
    # The next step has no plan, and nothing happens in it.
    runtime.begin([Scheduled(None, TOKENS, 0, 9, None)])
    for number, site in enumerate(folder.table.sites):
        hidden, residual = (part.clone() for part in values[site])
        torch.ops.weir.serve_edit_sum_(hidden, residual, number)
        assert hidden.equal(values[site][0])
    assert runtime.counted() == counted
    runtime.begin_dummy()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["f32", "bf16"])
def test_threads_change_no_bit(folders, dtype):
    """Of many tokens each thread does a part, and counts its own."""
    folder, count = folders[dtype], 640
    generator = torch.Generator().manual_seed(4)
    values = {site: [(torch.randn(count, folder.table.widths[site], generator=generator) * size).to(dtype) for size in (1, 4)]
              for site in folder.table.sites}
    step = [("late", 200, 0, 90), (None, 40, 0, 40), ("gone", 100, 3, 50), ("early", 150, 0, 120), ("held", 150, 2, 40)]
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            runtime = Runtime([folder], count, torch.device("cpu"), folder.table.sites, dtype)
            runtime.begin(scheduled(folder, step))
            after = {}
            for number, site in enumerate(folder.table.sites):
                hidden, residual = (part.clone() for part in values[site])
                torch.ops.weir.serve_edit_sum_(hidden, residual, number)
                after[site] = hidden
            found.append((after, runtime.counted()))
            runtime.begin_dummy()
    finally:
        torch.set_num_threads(before)
    (one, counted), (three, again) = found
    assert counted == again and all(counted.values())
    for site in folder.table.sites:
        assert one[site].equal(three[site])
        edited = (one[site] != values[site][0]).any(1)
        kind, layer = site
        if site in BY_KERNELS:
            assert counted[f"{layer}/{kind}"] >= edited.sum() > 100
        assert not edited[200:240].any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_values_of_another_type_are_not_for_kernels(folder, dtype):
    """Kernels are of the type that the folder was built for: a server in another one (any_dtype) has PyTorch's operators."""
    runtime = Runtime([folder], 64, torch.device("cpu"), folder.table.sites, dtype)
    assert not runtime.kernel_sites()
    values = values_of(folder, dtype)
    want, _ = expected(folder, values)
    runtime.begin(scheduled(folder))
    for number, site in enumerate(folder.table.sites):
        hidden, residual = values[site]
        torch.ops.weir.serve_edit_sum_(hidden, residual, number)
        torch.testing.assert_close((hidden.float() + residual.float())[:TOKENS], want[site], rtol=2e-2, atol=0.1)
    runtime.begin_dummy()


def test_a_site_that_is_not_passed_is_an_error(folder):
    """A graph that lost an operator would leave requests unsteered in silence."""
    runtime = Runtime([folder], 64, torch.device("cpu"), folder.table.sites, torch.float32)
    values = values_of(folder)
    for lost in BY_KERNELS - {("mlp", 0)}:  # which the condition of another needs
        runtime.begin(scheduled(folder))
        for number, site in enumerate(folder.table.sites):
            if site != lost:
                torch.ops.weir.serve_edit_sum_(*(part.clone() for part in values[site]), number)
        with pytest.raises(RuntimeError, match=f"did not pass the site {lost[1]}/{lost[0]}"):
            runtime.begin_dummy()
        runtime.begin_dummy()


@pytest.mark.parametrize("change, said", [
    (lambda kernel: kernel.pop("inputs"), "'inputs'"), (lambda kernel: kernel.update(inputs=["mood"]), "mood"),
    (lambda kernel: kernel.update(inputs=3), "lists"), (lambda kernel: kernel.update(reads=[-1]), "-1"),
    (lambda kernel: kernel.update(constants=[{"tensor": "none"}]), "none"), (lambda kernel: kernel.update(name=None), "a name")])
def test_tables_that_name_kernels_wrongly(folder, tmp_path, change, said):
    """A server that is told to read such a folder answers, and goes on."""
    table = SiteTable.open(folder.path)
    change(next(site["kernel"] for site in table.document["sites"] if "kernel" in site))
    save_file(table.tensors, tmp_path / "sites.safetensors", metadata={"weir": json.dumps(table.document)})
    with pytest.raises(SiteTableError) as error:
        SiteTable.open(tmp_path).kernels()
    assert str(tmp_path) in str(error.value) and "is damaged" in str(error.value) and said in str(error.value)
    with pytest.raises(SettingsError, match="is damaged"):
        native.kernels_of(Folder.open("", str(tmp_path)), torch.float32)
    worker = SimpleNamespace(model_runner=SimpleNamespace(
        weir=Runtime([folder], 64, torch.device("cpu"), folder.table.sites, torch.float32)))
    assert "is damaged" in patches.reload_tables(worker, [["", str(tmp_path)]])
    assert patches.reload_tables(worker, [["", folder.path]]) == ""


def test_kernels_of_another_processor_and_kernels_that_are_wrong(folder, tmp_path, caplog):
    """The first are left out, with a warning; a path that speaks of processors makes no such ones of others."""
    place = tmp_path / "another processor"
    place.mkdir()
    (place / "kernels.c").write_text('#include "weir_kernels.h"\nconst weir_kernels weir_kernel_table = '
                                     "{.version = WEIR_KERNELS_VERSION, .architecture = 99};\n")
    file = place / "kernels.so"
    subprocess.run(["cc", "-shared", "-fPIC", f"-I{HEADERS}", place / "kernels.c", "-o", file], check=True)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    with caplog.at_level(logging.WARNING, "vllm.weir"):
        assert native.kernels_of(dataclasses.replace(folder, kernels=(file, digest)), torch.float32) == {}
    assert "holds kernels of another processor; sites are edited by PyTorch" in caplog.text
    with pytest.raises(SettingsError, match="its SHA-256 is"):
        native.kernels_of(dataclasses.replace(folder, kernels=(file, "0" * 64)), torch.float32)
    file.write_bytes(b"none")
    with pytest.raises(SettingsError, match="is no shared object"):
        native.kernels_of(dataclasses.replace(folder, kernels=(file, hashlib.sha256(b"none").hexdigest())), torch.float32)


def test_what_the_operators_refuse(folder):
    ops, (kernel, *_) = torch.ops.weir, folder.table.kernels().values()
    server = ops.serve_new(2)
    table = ops.serve_table(server)
    constants = list(kernel.constants)
    for wrong in ((99, 0, table, kernel.name, [0], [], constants), (server, 2, table, kernel.name, [0], [], constants),
                  (server, 0, 7, kernel.name, [0], [], constants), (server, 0, table, "edit_none", [0], [], constants),
                  (server, 0, table, kernel.name, [9] * len(kernel.inputs), list(kernel.reads), constants),
                  (server, 0, table, kernel.name, [], [], [])):
        with pytest.raises(RuntimeError, match="weir: "):
            ops.serve_kernel(*wrong)
    ops.serve_kernel(server, 0, table, kernel.name, [native.INPUTS.index(name) for name in kernel.inputs], list(kernel.reads),
                     constants)

    def steer(rows):
        count = len(rows)
        ops.serve_steer(server, table, torch.tensor(rows), torch.zeros(count, dtype=torch.int64), torch.ones(count, 1),
                        torch.zeros(count, 1, dtype=torch.int64), torch.ones(count, dtype=torch.int64))

    for rows in ([2, 1], [1, 1], [-1]):
        with pytest.raises(RuntimeError, match="not in their order"):
            steer(rows)
    ops.serve_step(server, [])
    steer([0, 4])
    width = next(iter(folder.table.widths.values()))
    good = torch.zeros(5, width)
    ops.serve_edit_sum_(good.clone(), good, 0)
    for value, residual in ((torch.zeros(4, width), torch.zeros(4, width)), (torch.zeros(5, width + 1), torch.zeros(5, width + 1)),
                            (good, torch.zeros(4, width)), (good, good.bfloat16()), (good.double(), good.double()),
                            (torch.zeros(width, 5).T, good), (good.bfloat16(), good.bfloat16())):
        with pytest.raises(RuntimeError, match="weir: "):
            ops.serve_edit_sum_(value, residual, 0)
    with pytest.raises(RuntimeError, match="there is no site 2"):
        ops.serve_edit_(good, 2)
    ops.serve_edit_(good, 1)  # nothing is done there
    with pytest.raises(RuntimeError, match="there is no site 5"):
        ops.serve_step(server, [5])
    ops.serve_off()
    ops.serve_edit_(good, 2)  # of a model without plans


def test_operators_stay_in_compiled_graphs(folder):
    """Their effect on a value is seen, whatever surrounds them; sizes are free."""
    runtime = Runtime([folder], 64, torch.device("cpu"), folder.table.sites, torch.float32)
    number = folder.table.sites.index(("res", 1))
    values = values_of(folder)["res", 1]

    def layer(hidden, residual):
        hidden = hidden * 2
        torch.ops.weir.serve_edit_sum_(hidden, residual, number)
        return hidden + 1, residual

    compiled = torch.compile(layer, fullgraph=True, dynamic=True, backend="aot_eager")
    for steps in ([("late", 3, 6, 5)], [("late", 2, 6, 5), (None, 2, 0, 4)]):
        runtime.begin(scheduled(folder, steps))
        count = sum(step[1] for step in steps)
        want, _ = layer(values[0][:count], values[1][:count])
        got, _ = compiled(values[0][:count], values[1][:count])
        assert got.equal(want) and not got.equal(values[0][:count] * 2 + 1)
        with pytest.raises(RuntimeError, match="did not pass"):  # the other sites
            runtime.begin_dummy()


def test_sites_that_no_model_of_vllm_has():
    """By name; and under tensor parallelism those of which no rank has the whole value."""
    layer = torch.nn.Module()
    layer.self_attn = torch.nn.Module()
    layer.self_attn.o_proj = layer.mlp = torch.nn.Module()
    model = type("LlamaForCausalLM", (torch.nn.Module,), {})()
    model.model = torch.nn.Module()
    model.model.layers = torch.nn.ModuleList([layer])
    assert len(models.places(model, [("res", 0), ("head", 0), ("mlp", 0)])) == 3
    for site, ranks, said in ((("head", 0), 2, "0/head is split under tensor parallelism"), (("neurons", 0), 1, "0/neurons is not served"),
                              (("res", 1), 1, "1/res is of no layer"), (("mid", 0), 1, "has no post_attention_layernorm")):
        with pytest.raises(models.UnsupportedSite, match=said):
            models.places(model, [site], ranks)
    with pytest.raises(models.UnsupportedSite, match="GPT2LMHeadModel cannot be steered; LlamaForCausalLM"):
        models.places(type("GPT2LMHeadModel", (torch.nn.Module,), {})(), [("res", 0)])
