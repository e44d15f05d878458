# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Kernels outside of Weir's programs: in a module of one's own under torch.compile, torch.export and AOTInductor, and in C
without PyTorch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import weir
from engines import ROOT, TOOLS, Built
from test_equivalence_fixed import written
from torch.profiler import ProfilerActivity, profile
from weir import kernels, site_list

LIBRARIES = TOOLS.parent / "lib"

# Every kind of input: plans, knobs, places in the text, and the prompt's length; what is recorded is read by the kernel.
SPEC = """
weir: 1
model: {program: tiny.pt2}
dictionaries:
  sae: {format: sae_lens, path: "sae/{site}.{layer}", sites: [head, att, mlp, res], layers: 0..2}
knobs:
  mood: {default: 1, range: [-4, 4]}
  force: {default: 0.5}
policies:
  push: {on: sae:2/res/5, do: add, strength: {value: 1.5, times: mood}}
  bell: {on: sae:0/head/3, do: add, strength: 2, layers: 0..2, norm: preserve}
  pin: {on: [sae:1/res/1, sae:1/res/2], do: set, value: 2, times: force, tokens: {skip_first: 2}}
  flip: {on: [sae:1/mlp/3, sae:1/mlp/8], do: scale, factor: -1.5, when: {feature: sae:1/mlp/4, above: 0.1}}
  bound: {on: {site: sae:0/att}, do: clamp, min: 0.25, max: 1, only_active: true}
  cap: {on: [sae:2/mlp/1, sae:2/mlp/7], do: clamp, max: 0.5, tokens: generated}
  silence: {on: {antagonists: sae:2/res/9, count: 3}, do: ablate, tokens: prompt}
  clear: {on: [sae:1/res/21, sae:1/res/22], do: project_out, tokens: {from: 3, to: 14}}
  later: {on: [sae:0/res/10, sae:0/res/11], do: ablate, tokens: {positions: [1, 3, 4, 9, 12]}}
  watch: {on: [sae:1/res/1, sae:0/mlp/2], do: record, tokens: {skip_first: 1}}
  behind: {on: [sae:1/res/5, sae:2/mlp/7], do: record, after: true}
plans:
  first: [push, pin, bound, later, watch]
  second: [watch, flip, cap, silence, clear, behind]
  third: [clear, bell, pin]
  plain: []
"""


@pytest.fixture(scope="module")
def program(tiny, tmp_path_factory) -> Built:
    model = tiny("llama")
    path = written(SPEC, model, tmp_path_factory.mktemp("elsewhere"))
    built = Built(path, model.archive, path.parent / "program", lower="kernel")
    kernels.load(built.folder / "kernels.so", sha256=built.manifest["kernels"]["sha256"])
    return built


@pytest.fixture(scope="module")
def calls(program) -> list[site_list.Call]:
    found, others = site_list.calls(program.folder)
    assert len(found) >= 5 and any(call.reads for call in found) and any("knobs" in call.inputs for call in found)
    assert all("PyTorch" in why for why in others.values())
    return found


def inputs_of(calls, batch: int, sequence: int) -> dict[str, torch.Tensor]:
    """Inputs for all calls, by name; what one reads for another is random."""
    random = torch.Generator().manual_seed(7)
    given = {"plan": torch.randint(-1, 4, (batch,), generator=random),
             "knobs": torch.rand(batch, 2, generator=random) * 2,
             "positions": torch.arange(sequence).expand(batch, sequence).clone(),
             "prompt_length": torch.randint(0, sequence + 1, (batch,), generator=random)}
    for call in calls:
        for name, columns in zip(call.reads, call.columns):
            given[name] = torch.randn(batch, sequence, columns, generator=random)
    return given


def value(batch: int, sequence: int) -> torch.Tensor:
    return torch.randn(batch, sequence, 32, generator=torch.Generator().manual_seed(8))


class Own(torch.nn.Module):
    """A program of somebody else that calls kernels: functionally, with activations, and in place."""

    def __init__(self, edit: site_list.Call, read: site_list.Call):
        super().__init__()
        self.edit, self.read = edit, read
        for index, constant in enumerate(edit.constants.values()):
            self.register_buffer(f"edit_{index}", constant)
        for index, constant in enumerate(read.constants.values()):
            self.register_buffer(f"read_{index}", constant)

    def stored(self, name: str, call) -> list[torch.Tensor]:
        return [getattr(self, f"{name}_{index}") for index in range(len(call.constants))]

    def forward(self, x, *inputs):
        given = dict(zip(sorted(set(self.edit.inputs + self.read.inputs)), inputs))
        taken = [given[name] for name in self.edit.inputs]
        x = torch.ops.weir.edit(x * 2, taken, self.stored("edit", self.edit), self.edit.kernel)
        y, *read = torch.ops.weir.edit_and_read(x + 1, [given[name] for name in self.read.inputs],
                                                self.stored("read", self.read), self.read.columns, self.read.kernel)
        z = y.relu()
        torch.ops.weir.edit_(z, taken, self.stored("edit", self.edit), self.edit.kernel)
        return z + 1, read[0] * 2


@pytest.fixture(scope="module")
def own(calls):
    known = {"plan", "knobs", "positions", "prompt_length"}
    edit = next(call for call in calls if not call.reads and len(call.inputs) > 1 and set(call.inputs) <= known)
    read = next(call for call in calls if call.reads and set(call.inputs) <= known)
    names = sorted(set(edit.inputs + read.inputs))

    def arguments(batch, sequence):
        given = inputs_of(calls, batch, sequence)
        return (value(batch, sequence), *(given[name] for name in names))

    return Own(edit, read).eval(), arguments


def dynamic(module, example):
    batch, sequence = torch.export.Dim("batch", max=64), torch.export.Dim("sequence", max=64)
    names = sorted(set(module.edit.inputs + module.read.inputs))
    shapes = {"plan": {0: batch}, "knobs": {0: batch}, "positions": {0: batch, 1: sequence}, "prompt_length": {0: batch}}
    return {"x": {0: batch, 1: sequence}, "inputs": tuple(shapes[name] for name in names)}


SIZES = [(2, 3), (5, 1), (1, 7), (4, 16)]


def test_torch_compile(own):
    """Without a break in the graph, and with sizes that change."""
    module, arguments = own
    torch._dynamo.reset()
    with torch.no_grad():
        compiled = torch.compile(module, fullgraph=True, dynamic=True)
        for sizes in SIZES:
            for got, want in zip(compiled(*arguments(*sizes)), module(*arguments(*sizes))):
                assert torch.equal(got, want)
    torch._dynamo.reset()


@pytest.fixture(scope="module")
def exported(own):
    module, arguments = own
    return torch.export.export(module, arguments(3, 5), dynamic_shapes=dynamic(module, arguments(3, 5)))


def test_torch_export(own, exported, tmp_path):
    module, arguments = own
    torch.export.save(exported, tmp_path / "own.pt2")
    for each in (exported, exported.run_decompositions(), torch.export.load(tmp_path / "own.pt2")):
        for sizes in SIZES:
            for got, want in zip(each.module()(*arguments(*sizes)), module(*arguments(*sizes))):
                assert torch.equal(got, want)


def test_aot_inductor(own, exported, tmp_path):
    module, arguments = own
    with torch.no_grad():
        package = torch._inductor.aoti_compile_and_package(exported, package_path=str(tmp_path / "own.pt2"))
        compiled = torch._inductor.aoti_load_package(package)
        for sizes in SIZES:
            for got, want in zip(compiled(*arguments(*sizes)), module(*arguments(*sizes))):
                assert torch.equal(got, want)


def test_in_place_is_what_pytorch_expects(calls):
    given = inputs_of(calls, 2, 3)
    for call in calls[:3]:
        if not call.reads:
            torch.library.opcheck(torch.ops.weir.edit_.default,
                                  (value(2, 3), [given[name] for name in call.inputs], list(call.constants.values()), call.kernel),
                                  test_utils=("test_schema", "test_faketensor", "test_aot_dispatch_dynamic"))


def test_rows_that_share_memory_are_not_edited_in_place(calls):
    call = next(each for each in calls if not each.reads)
    given = inputs_of(calls, 2, 3)
    x = value(1, 1).expand(2, 3, 32)
    with pytest.raises(RuntimeError, match="share memory"):
        torch.ops.weir.edit_(x, [given[name] for name in call.inputs], list(call.constants.values()), call.kernel)


def test_nothing_is_allocated_in_the_steady_state(calls):
    """But the new value, where it is asked for."""
    x, given = value(4, 16), inputs_of(calls, 4, 16)
    for call in calls:
        taken, constants = [given[name] for name in call.inputs], list(call.constants.values())

        def in_place():
            torch.ops.weir.edit_(x, taken, constants, call.kernel)

        def functional():
            call(x, given)

        sizes = x.numel() * 4 + sum(4 * 16 * columns * 4 for columns in call.columns)
        for run, expected in ((functional, sizes), (in_place, 0)):
            if run is in_place and call.reads:
                continue
            run()
            with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as watched:
                for _ in range(5):
                    run()
            allocated = sum(event.self_cpu_memory_usage for event in watched.key_averages()
                            if event.self_cpu_memory_usage > 0)
            rounded = (expected + 63 * (1 + len(call.columns))) * 5
            assert (allocated == 0) if not expected else (expected * 5 <= allocated <= rounded), call.place


def test_files_that_hold_no_kernels(program, tmp_path):
    whole = (program.folder / "kernels.so").read_bytes()
    (tmp_path / "text.so").write_text("no code")
    (tmp_path / "half.so").write_bytes(whole[: len(whole) // 3])
    for path, said in ((tmp_path / "text.so", "no shared object"), (tmp_path / "half.so", "cut off"),
                       (LIBRARIES / "libweir_kernels.so", "holds no kernels")):
        with pytest.raises(weir.WeirError, match=said):
            kernels.load(path)
    assert kernels.load(program.folder / "kernels.so") is None




MAPS = r"""
#include <stdio.h>
#include <stdlib.h>
/* What the process has mapped when it ends. */
__attribute__((destructor)) static void maps(void) {
  FILE *from = fopen("/proc/self/maps", "r"), *to = fopen(getenv("MAPS"), "w");
  for (int c; from && to && (c = fgetc(from)) != EOF;)
    fputc(c, to);
  if (to)
    fclose(to);
}
"""


@pytest.fixture(scope="module")
def steer(program, tmp_path_factory):
    """examples/c/steer.c as its head says, and the list of the program's sites."""
    folder = tmp_path_factory.mktemp("c")
    subprocess.run(["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-I", ROOT / "include",
                    ROOT / "examples" / "c" / "steer.c", "-L", LIBRARIES, "-lWeirKernels", "-lstdc++", "-ldl", "-lm",
                    "-o", folder / "steer"], check=True)
    (folder / "maps.c").write_text(MAPS)
    subprocess.run(["cc", "-shared", "-fPIC", folder / "maps.c", "-o", folder / "maps.so"], check=True)
    said = subprocess.run([sys.executable, "-m", "weir", "sites", program.folder], capture_output=True, text=True, check=True)
    (folder / "sites.txt").write_text(said.stdout)
    return folder


def in_c(steer: Path, program, call, x, given, *, sites: str = "sites.txt"):
    x.contiguous().numpy().tofile(steer / "x.raw")
    files = []
    for name in call.inputs:
        given[name].contiguous().numpy().tofile(steer / f"{name}.in")
        files.append(f"{name}={steer / name}.in")
    return subprocess.run([steer / "steer", program.folder, steer / sites, call.place, steer / "x.raw", steer / "y.raw",
                           *map(str, x.shape[:2]), *files], capture_output=True, text=True,
                          env={**os.environ, "LD_PRELOAD": str(steer / "maps.so"), "MAPS": str(steer / "maps.txt")})


def test_a_runtime_without_pytorch_gives_the_same(program, calls, steer):
    for batch, sequence in ((3, 5), (1, 1)):
        x, given = value(batch, sequence), inputs_of(calls, batch, sequence)
        for call in calls:
            want, *reads = call(x, given)
            done = in_c(steer, program, call, x, given)
            assert done.returncode == 0, done.stderr
            got = torch.frombuffer(bytearray((steer / "y.raw").read_bytes()), dtype=torch.float32)
            assert torch.equal(got.view_as(want), want), call.place
            for name, read in zip(call.reads, reads):
                got = torch.frombuffer(bytearray((steer / f"y.raw.{name}").read_bytes()), dtype=torch.float32)
                assert torch.equal(got.view_as(read), read), call.place
            mapped = (steer / "maps.txt").read_text()
            assert "kernels.so" in mapped and "program.pt2" in mapped
            assert not any(f"/lib{name}" in mapped for name in ("torch", "c10", "python", "LLVM", "MLIR", "weir"))


def test_lists_that_do_not_fit_are_refused_in_c(program, calls, steer):
    call = next(each for each in calls if each.constants and "plan" in each.inputs and not each.reads)
    x, given = value(2, 3), inputs_of(calls, 2, 3)
    whole = (steer / "sites.txt").read_text()
    begin = whole.index(f"site {call.place}\n")
    own_part = whole[begin:].split("\n\n")[0]
    constant = next(line for line in own_part.split("\n") if line.startswith("constant "))
    for change, said in ((lambda part: part.replace(constant, "constant 999999999999"), "outside of the program"),
                         (lambda part: part.replace(constant, "constant -64"), "outside of the program"),
                         (lambda part: part.replace("input plan\n", ""), "lies outside|another size|takes|no memory"),
                         (lambda part: part.replace(call.kernel, "edit_0"), "no kernel 'edit_0'"),
                         (lambda part: part + "\nconstant 64", "does not fit"),
                         (lambda part: part.replace(f"\n{constant}", "", 1), "takes|another"),
                         (lambda part: "", "not in the list")):
        (steer / "changed.txt").write_text(change(own_part) + "\n")
        done = in_c(steer, program, call, x, given, sites="changed.txt")
        assert done.returncode == 1 and done.stderr, said
    done = in_c(steer, program, call, x, {**given, "plan": given["plan"][:1]})
    assert done.returncode == 1 and "another size" in done.stderr


def test_lists_that_name_rows_outside_of_their_buffers(tiny, tmp_path):
    """Tables of plans are arguments, which anybody may pass: nothing outside of a buffer is read."""
    policies = "".join(f"""
  a{plan}: {{on: [sae:1/res/{plan}, sae:1/res/{plan + 9}], do: scale, factor: {plan}, times: {('mood', 'force')[plan % 2]}, tokens: {{from: {plan}}}}}
  b{plan}: {{on: sae:1/res/{plan + 3}, do: add, strength: {plan + 1}}}
  c{plan}: {{on: [sae:2/mlp/{plan}, sae:2/mlp/{plan + 5}], do: clamp, min: {plan}, max: {plan + 2}}}
  d{plan}: {{on: [sae:1/mlp/{plan}, sae:1/mlp/{plan + 5}], do: project_out}}""" for plan in range(8))
    plans = "".join(f"\n  p{plan}: [a{plan}, b{plan}, c{plan}, d{plan}]" for plan in range(8))
    model = tiny("llama")
    path = written(f"{SPEC.split('policies:')[0]}policies:{policies}\nplans:{plans}\n", model, tmp_path)
    # Compiled anew: what is kept elsewhere may be older than the compiler.
    subprocess.run([TOOLS / "weirc", "build", path, "--model", model.archive, "-o", tmp_path / "program", "--lower=kernel",
                    "--cache", tmp_path / "cache"], check=True, capture_output=True)
    kernels.load(tmp_path / "program" / "kernels.so")
    calls, _ = site_list.calls(tmp_path / "program")
    x, given, lists = value(4, 3), inputs_of([], 4, 3) | {"plan": torch.tensor([0, 3, -1, 7])}, 0
    for call in calls:
        before = call(x, given)[0]
        for name, constant in call.constants.items():
            if constant.dtype != torch.int64:
                continue
            lists += 1
            for number in (2**40, -1, -2**40, constant.numel() + 100_000, 2**63 - 1):
                hostile = dict(call.constants) | {name: torch.full_like(constant, number)}
                result = torch.ops.weir.edit(x, [given[each] for each in call.inputs], list(hostile.values()), call.kernel)
                assert torch.equal(result[2], x[2]), "a row without a plan stays what it is"
        assert torch.equal(call(x, given)[0], before)
    assert lists >= 3
