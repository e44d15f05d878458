# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Kernels as operators: what they give does not depend on how they are called. What they compute is in the equivalence
tests, all of which run on kernels with WEIR_LOWER=kernel, and some always (below)."""

from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess
import zipfile
from dataclasses import dataclass

import engines
import hooks
import numpy
import pytest
import specs
import torch
import weir
import weir.archives
from engines import Built
from models import Tally
from test_equivalence_fixed import BATCH, EVERYTHING, ids, written


@dataclass
class Site:
    """A call of a kernel in a program, with what it is called with there."""

    operator: torch._ops.OpOverload
    kernel: str
    constants: list[torch.Tensor]
    columns: list[int]
    width: int
    dtype: torch.dtype
    inputs: list  # of fake tensors
    x: torch.Tensor  # the same

    def arguments(self, batch: int, sequence: int, seed: int = 0):
        """A value [batch, sequence, width] and inputs for it, random; every plan and the lack of one occur."""
        random = torch.Generator().manual_seed(seed)
        sizes = {str(self.x.shape[0]): batch, str(self.x.shape[1]): sequence}

        def like(fake):
            shape = [size if isinstance(size, int) else sizes[str(size)] for size in fake.shape]
            if fake.dtype == torch.bool:
                return torch.rand(shape, generator=random) < 0.5
            if fake.dtype != torch.int64:
                return torch.randn(shape, generator=random).to(fake.dtype)
            if len(shape) == 2:
                return torch.arange(shape[1]).expand(shape).clone()
            return torch.randint(-1, 4, shape, generator=random)

        x = torch.randn(batch, sequence, self.width, generator=random).to(self.dtype)
        return x, [like(each) for each in self.inputs]

    def __call__(self, x, inputs):
        if self.columns:
            return list(self.operator(x, inputs, self.constants, self.columns, self.kernel))
        return [self.operator(x, inputs, self.constants, self.kernel)]


def sites(program: Built) -> list[Site]:
    module = program.module
    found = []
    for node in module.graph.nodes:
        if node.op != "call_function" or "weir.edit" not in str(node.target):
            continue
        x, inputs, constants, *rest = node.args or [node.kwargs[name] for name in ("x", "inputs", "constants")]
        rest = rest or [node.kwargs[name] for name in ("columns", "kernel") if name in node.kwargs]
        value = x.meta["val"]
        found.append(Site(node.target, rest[-1], [getattr(module, each.target) for each in constants],
                          list(rest[0]) if len(rest) > 1 else [], value.shape[-1], value.dtype,
                          [each.meta["val"] for each in inputs], value))
    return found


@pytest.fixture(scope="module")
def programs(tiny, tmp_path_factory):
    """Every action, scope and kind of condition, on kernels: the reference, and the program."""
    model = tiny("llama")
    path = written(EVERYTHING, model, tmp_path_factory.mktemp("kernels"))
    return hooks.Reference(path, model.model), Built(path, model.archive, path.parent / "program", lower="kernel")


@pytest.fixture(scope="module")
def edits(programs) -> list[Site]:
    found = sites(programs[1])
    assert len(found) > 5
    return found


def same(got, want):
    """To the bit, NaN included."""
    assert len(got) == len(want)
    for one, other in zip(got, want):
        assert one.dtype == other.dtype and one.shape == other.shape
        assert torch.equal(one.contiguous().view(torch.uint8), other.contiguous().view(torch.uint8))


def test_everything_is_what_hooks_give(programs):
    reference, program = programs
    tally = Tally()
    batch = specs.Batch(ids(20, 13, 17), **BATCH)
    logits, records = program.run_in_python(batch)
    for row, arguments in enumerate(zip(batch.ids, batch.plans, batch.prompt_lengths, batch.knobs)):
        tally.compare(logits[row], records[row], reference.run(*arguments))
    tally.assert_enough()


def test_every_edit_has_a_kernel(programs, tiny, tmp_path):
    done = subprocess.run([engines.TOOLS / "weirc", "build", programs[1].spec, "--model", tiny("llama").archive, "-o",
                           tmp_path / "program", "--lower=kernel", "--remarks"], capture_output=True, text=True)
    assert done.returncode == 0 and "is lowered to a kernel" in done.stderr
    assert "aten operators" not in done.stderr, done.stderr


def test_sizes_stay_symbols(programs):
    """An exporter that saw a size would fix it, for the batch as well."""
    assert programs[1].module  # the operators are there
    program = torch.export.load(programs[1].folder / "program.pt2").run_decompositions({})
    ids = next(node for node in program.graph.nodes if node.op == "placeholder" and node.name == "input_ids")
    assert not any(isinstance(size, int) for size in ids.meta["val"].shape)
    assert any("edit_and_read" in str(node.target) for node in program.graph.nodes)


def test_weir_run_gives_the_same(programs):
    _, program = programs
    batch = specs.Batch(ids(20, 13, 17), BATCH["plans"], BATCH["prompt_lengths"], [BATCH["knobs"][0]] * 3)
    (ours, _), (theirs, _) = program.run(batch), program.run_in_python(batch)
    for row, each in enumerate(batch.ids):
        assert torch.equal(ours[row, : len(each)], theirs[row, : len(each)])


def test_rows_without_a_plan_are_the_models_to_the_bit(edits):
    for site in edits:
        x, inputs = site.arguments(3, 5)
        inputs = [torch.full_like(each, -1) if each.dim() == 1 and each.dtype == torch.int64 and i == 0 else each
                  for i, each in enumerate(inputs)]
        if inputs and inputs[0].dtype == torch.int64 and inputs[0].dim() == 1:
            assert torch.equal(site(x, inputs)[0], x)


def part(tensors, rows: slice, tokens: slice, like: torch.Tensor):
    """The part of inputs that belongs to a part of a value [batch, sequence, d]."""
    def cut(each):
        if each.shape[0] == like.shape[0]:
            each = each[rows]
        if each.dim() > 1 and each.shape[1] == like.shape[1] and (each.dim() == 3 or each.dtype == torch.int64):
            each = each[:, tokens]
        return each

    return [cut(each) for each in tensors]


def test_a_token_alone_is_the_token_in_a_batch(edits):
    for site in edits:
        x, inputs = site.arguments(4, 7)
        whole = site(x, inputs)
        for row, token in ((0, 0), (3, 6), (2, 5)):
            rows, tokens = slice(row, row + 1), slice(token, token + 1)
            alone = site(x[rows, tokens], part(inputs, rows, tokens, x))
            same(alone, [each[rows, tokens] for each in whole])


def test_threads_do_not_matter(edits):
    before = torch.get_num_threads()
    try:
        for site in edits:
            x, inputs = site.arguments(16, 64)
            torch.set_num_threads(1)
            want = site(x, inputs)
            torch.set_num_threads(3)
            same(site(x, inputs), want)
    finally:
        torch.set_num_threads(before)


def test_strides_do_not_matter(edits):
    for site in edits:
        x, inputs = site.arguments(3, 5)
        want = site(x, inputs)
        wide = torch.zeros(3, 5, 2 * site.width + 1, dtype=x.dtype)
        wide[..., 1: site.width + 1] = x
        same(site(wide[..., 1: site.width + 1], inputs), want)  # no vector of it is aligned
        same(site(x.transpose(0, 1).contiguous().transpose(0, 1), inputs), want)
        same(site(x.transpose(1, 2).contiguous().transpose(1, 2), inputs), want)
        reversed_ = [each.flip(0).contiguous().flip(0) for each in inputs]
        same(site(x, reversed_), want)
        one = x[:, :1].expand(3, 5, site.width)
        same(site(one, inputs), site(one.contiguous(), inputs))


def test_no_tokens(edits):
    for site in edits:
        for sizes in ((0, 5), (3, 0)):
            x, inputs = site.arguments(*sizes)
            assert site(x, inputs)[0].shape == x.shape


def test_in_place(edits):
    for site in edits:
        if site.columns:
            continue
        x, inputs = site.arguments(3, 5)
        want = site(x, inputs)[0]
        torch.ops.weir.edit_(x, inputs, site.constants, site.kernel)
        same([x], [want])


def test_what_is_not_finite_stays_in_its_token(edits):
    for site in edits:
        x, inputs = site.arguments(2, 6)
        want = site(x, inputs)
        for number in (float("nan"), float("inf"), -float("inf")):
            broken = x.clone()
            broken[1, 2, site.width // 2] = number
            got = site(broken, inputs)
            others = torch.ones(2, 6, dtype=torch.bool)
            others[1, 2] = False
            same([each[others] for each in got], [each[others] for each in want])
            assert not got[0][1, 2].isfinite().all()


def test_operators_are_what_pytorch_expects(edits):
    seen = set()
    for site in edits:
        if site.operator in seen:
            continue
        seen.add(site.operator)
        x, inputs = site.arguments(2, 3)
        arguments = (x, inputs, site.constants, *([site.columns] if site.columns else []), site.kernel)
        torch.library.opcheck(site.operator, arguments,
                              test_utils=("test_schema", "test_faketensor", "test_aot_dispatch_dynamic"))


def test_constants_are_packed(programs, edits):
    """Aligned for vectors in a file that is mapped, in the order in which a kernel reads them, and each row once."""
    path = programs[1].folder / "program.pt2"
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if "/data/" in entry.filename and not entry.filename.endswith(".json"):
                name, extra = struct.unpack_from("<HH", content, entry.header_offset + 26)
                start = entry.header_offset + 30 + name + extra
                assert entry.compress_type == zipfile.ZIP_STORED and start % 64 == 0, entry.filename
    matrices = {}
    for site in edits:
        rows = [row.numpy().tobytes() for each in site.constants if each.dim() == 2 and each.dtype == torch.float32
                for row in each]
        assert len(rows) == len(set(rows)), "a site has a row twice"
        for each in site.constants:
            assert each.is_contiguous()
            if each.dim() == 2:
                matrices.setdefault(each.numpy().tobytes(), set()).add(id(each))
    assert len(matrices) > 10 and all(len(same) == 1 for same in matrices.values())


def test_bad_arguments_are_refused(edits):
    site = next(each for each in edits if not each.columns and each.inputs and each.constants)
    x, inputs = site.arguments(2, 3)
    call = torch.ops.weir.edit
    for arguments in ((x.double(), inputs, site.constants, site.kernel),
                      (x[..., :-1], inputs, site.constants, site.kernel),
                      (x[0], inputs, site.constants, site.kernel),
                      (x, inputs[:-1], site.constants, site.kernel),
                      (x, inputs + inputs[:1], site.constants, site.kernel),
                      (x, [each[:1] if each.dim() == 1 else each[..., :0] for each in inputs], site.constants[:-1],
                       site.kernel),
                      (x, inputs, [each[:-1] for each in site.constants], site.kernel),
                      (x, inputs, [each.to(torch.float64) for each in site.constants], site.kernel),
                      (x, inputs, site.constants, "edit_0000000000000000")):
        with pytest.raises(RuntimeError):
            call(*arguments)


def test_kernels_are_compiled_once(programs, tiny, tmp_path):
    """The cache is warm at the second build, and what it gives is the same file."""
    _, program = programs
    again = Built(program.spec, tiny("llama").archive, tmp_path / "program", lower="kernel")
    assert again.manifest["kernels"] == program.manifest["kernels"]


def test_each_kernel_is_compiled_once(tiny, tmp_path):
    """Programs share what they have in common, and what is taken from the cache is what would have been compiled."""
    cache, model = tmp_path / "cache", tiny("llama")

    def build(policies: list[str], cache) -> tuple[bytes, int]:
        spec = tmp_path / "spec.yaml"
        spec.write_text("weir: 1\nmodel: {program: tiny.pt2}\ndictionaries: {n: {format: neurons, sites: [mlp], layers: 0..2}}\n"
                        "policies:\n  " + "\n  ".join(f"p{i}: {{{policy}}}" for i, policy in enumerate(policies)) +
                        f"\nplans:\n  all: [{', '.join(f'p{i}' for i in range(len(policies)))}]\n")
        folder = tmp_path / "program"
        shutil.rmtree(folder, ignore_errors=True)
        engines.call("weirc", "build", spec, "--model", model.archive, "-o", folder, "--cache", cache, "--lower=kernel", spec=spec)
        assert sorted(path.name for path in folder.iterdir()) == [
            "kernels.so", "manifest.json", "program.pt2", "report.md", "sites.safetensors", "spec.yaml"]
        listed = json.loads(engines.call("weirc", "cache", "ls", "--cache", cache, "--json"))
        return (folder / "kernels.so").read_bytes(), sum(entry["about"] == "a kernel" for entry in listed["entries"])

    # The same shape at two layers; the same with another number; another shape; and the two together.
    same = ["on: n:0/mlp/3, do: scale, factor: 2", "on: n:1/mlp/5, do: scale, factor: 3"]
    first, count = build(same, cache)
    assert count == 1
    other = "on: [n:2/mlp/1, n:2/mlp/2], do: clamp, max: 1"
    assert build([same[0].replace("2", "-1")], cache) == (first, 1)
    assert build([other], cache)[1] == 2
    both, count = build([*same, other], cache)
    assert count == 2 and both == build([*same, other], tmp_path / "another")[0]


def test_other_kernels_than_the_manifests_are_refused(programs, tmp_path):
    _, program = programs
    shutil.copytree(program.folder, tmp_path / "program")
    kernels = tmp_path / "program" / "kernels.so"
    content = bytearray(kernels.read_bytes())
    content[-1] ^= 1
    kernels.write_bytes(content)
    with pytest.raises(weir.WeirError, match="SHA-256"):
        weir.load(tmp_path / "program")
    assert re.search("kernels.so: its SHA-256 is", refused(tmp_path / "program"))
    # Not comparing the program is no leave to load other code.
    with pytest.raises(weir.WeirError, match="SHA-256"):
        weir.load(tmp_path / "program", verify=False)
    assert re.search("kernels.so: its SHA-256 is", refused(tmp_path / "program", "--no-verify"))


def refused(program, *options) -> str:
    """What weir-run says of a program that it does not run."""
    done = subprocess.run([engines.TOOLS / "weir-run", program, "--prompt", "a", *options], capture_output=True, text=True)
    assert done.returncode == 1 and not done.stdout
    return done.stderr


@pytest.mark.parametrize("beside", [True, False])
def test_a_program_without_its_kernels_is_refused(programs, tmp_path, beside):
    """A .pt2 is data: what lies beside it is not loaded, whatever a manifest there says."""
    _, program = programs
    archive = program.folder / "program.pt2"
    if not beside:
        archive = shutil.copy(archive, tmp_path / "other.pt2")
    for load in (weir.load, weir.archives.load):
        with pytest.raises(weir.WeirError, match="needs its kernels, native code that is not in it"):
            load(archive)
    said = refused(archive)
    assert "calls weir.edit" in said and "native code that is not in it; give the whole folder" in said


def test_a_manifest_without_kernels_loads_none(programs, tmp_path):
    _, program = programs
    folder = shutil.copytree(program.folder, tmp_path / "program")
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["kernels"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(weir.WeirError, match="needs its kernels"):
        weir.load(folder)
    assert "native code that is not in it" in refused(folder)


def test_kernels_that_somebody_asks_for(programs, tmp_path):
    """--kernels is for a program without its folder: it gives what the folder gives."""
    _, program = programs
    archive = shutil.copy(program.folder / "program.pt2", tmp_path / "other.pt2")
    numpy.save(tmp_path / "ids.npy", numpy.array([[5, 9, 2, 7]]))
    logits = []
    for number, arguments in enumerate(([program.folder], [archive, "--kernels", program.folder / "kernels.so"])):
        logits.append(tmp_path / f"{number}.npy")
        engines.call("weir-run", *arguments, "--ids", tmp_path / "ids.npy", "--plan", "first", "--logits", logits[-1])
    assert logits[0].read_bytes() == logits[1].read_bytes()


def test_a_program_with_kernels_is_no_model(programs, tmp_path):
    _, program = programs
    archive = program.folder / "program.pt2"
    done = subprocess.run([engines.TOOLS / "weirc", "build", program.spec, "--model", archive, "-o", tmp_path / "again"],
                          capture_output=True, text=True)
    assert done.returncode == 2 and "start from the exported model" in done.stderr
    assert not (tmp_path / "again").exists()
