# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""AOTInductor packages of exported programs."""

from __future__ import annotations

import json
import subprocess
import sys

import families
import numpy
import pytest
import quantised_models
import torch
import weir
from weir import archives, aot
from weir.__main__ import main
from weir.export import archive as writer
from weir.export import export

ROWS = 2  # the number that programs are traced with: it must not become the only one


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    # Windows, softcapping and shared heads in one model.
    return export(families.model("gemma2"), tmp_path_factory.mktemp("aot") / "gemma2.pt2", name="tiny-gemma2",
                  max_batch=ROWS, max_length=families.MAX_LENGTH)


@torch.no_grad()
def test_a_package_takes_its_weights_from_the_archive_and_any_batch_and_length(archive):
    assert main(["aot", str(archive)]) == 0
    path = archive.with_name("gemma2.aot.pt2")
    exported = torch.export.load(archive)
    tensors = {**exported.state_dict, **exported.constants}
    runner = torch._inductor.aoti_load_package(str(path))
    names = runner.get_constant_fqns()
    assert set(names) <= set(tensors) and "kv_cache.key_2" in names
    runner.load_constants({name: tensors[name].detach().clone() for name in names}, check_full_update=True, user_managed=True)
    eager = exported.module()
    tokens = torch.randint(0, families.VOCABULARY, (ROWS, 20), generator=torch.Generator().manual_seed(0))
    positions = torch.arange(20).repeat(ROWS, 1)
    positions[1, 9:] = -1
    want = eager(tokens, positions)
    got = runner(tokens, positions)
    for row, length in enumerate((20, 9)):
        torch.testing.assert_close(got[row, :length], want[row, :length], rtol=0, atol=5e-5)
    assert got.isfinite().all()
    for at in range(20):
        one = runner(tokens[:1, at : at + 1], positions[:1, at : at + 1])
        torch.testing.assert_close(one[0, 0], want[0, at], rtol=0, atol=5e-5)
    with pytest.raises(RuntimeError):
        runner(tokens[:1, :1], torch.tensor([[families.MAX_LENGTH]]))


def test_blocks_of_a_gguf_file_stay_blocks(tmp_path):
    """A package calls Weir's operators, which weir-run has, on the archive's bytes: also those that weirc build joins."""
    plain = quantised_models.exported("llama")
    passes = "builtin.module(fx.program(fx-join-linears))"
    joined = subprocess.run([weir.tool("weir-opt"), "-", f"--pass-pipeline={passes}"], check=True, capture_output=True,
                            input=subprocess.run([weir.tool("weir-translate"), "--import-pt2", plain],
                                                 check=True, capture_output=True).stdout).stdout
    assert joined.count(b"@weir.quantized_linears.default") == 6
    subprocess.run([weir.tool("weir-translate"), "--export-pt2", "--archive", plain, "-o",
                    tmp_path / "native.pt2"], check=True, input=joined)
    said = []
    package = aot.package(tmp_path / "native.pt2", progress=said.append)
    assert sum("compared with the reference engine" in line for line in said) == 4
    ids = numpy.random.default_rng(0).integers(0, families.VOCABULARY, (families.MAX_BATCH, 20))
    ids[1, 9:] = -1
    numpy.save(tmp_path / "ids.npy", ids)
    for engine in ("aot", "reference"):
        subprocess.run([weir.tool("weir-run"), tmp_path / "native.pt2", "--engine", engine, "--ids", tmp_path / "ids.npy",
                        "--prefill", "12", "--logits", tmp_path / f"{engine}.npy"], check=True)
    got, want = (numpy.load(tmp_path / f"{engine}.npy")[ids >= 0] for engine in ("aot", "reference"))
    assert package.exists() and abs(got - want).max() <= 5e-5 * abs(want).max()


class Package:
    """Stands in for a package: the program, until it is asked for what it gets wrong."""

    def __init__(self, program, wrong=lambda logits: logits):
        self.module, self.wrong, self.sizes = program.module(), wrong, []

    def get_constant_fqns(self):
        return []

    def load_constants(self, constants, **options):
        assert constants == {}

    def __call__(self, ids, positions):
        self.sizes.append(tuple(ids.shape))
        return self.wrong(self.module(ids, positions).clone())


@pytest.fixture
def stands_in(monkeypatch):
    """Sets what stands in for the package that AOTInductor would make."""
    def use(package):
        monkeypatch.setattr(torch._inductor, "aoti_compile_and_package", lambda program, package_path, **options: None)
        monkeypatch.setattr(torch._inductor, "aoti_load_package", lambda stream: package)

    return use


def shifted(rows, length):
    def wrong(logits):
        if tuple(logits.shape[:2]) == (rows, length):
            logits[-1, length // 2 - 1] += 1
        return logits

    return wrong


@pytest.mark.parametrize("rows, length", [(1, 1), (1, families.MAX_LENGTH), (ROWS, 1), (ROWS, families.MAX_LENGTH)])
def test_a_package_that_is_wrong_somewhere_is_not_kept(archive, rows, length, tmp_path, stands_in, capsys):
    program = archives.load(archive).program
    stands_in(Package(program, shifted(rows, length)))
    output = tmp_path / "x.aot.pt2"
    output.write_text("an older one")
    assert main(["aot", str(archive), "-o", str(output)]) == 1
    assert f"on {rows} rows of {length} tokens it has a relative error of" in capsys.readouterr().err
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.aot.pt2"] and output.read_text() == "an older one"


def test_a_package_that_is_right_is_kept_and_was_asked_for_each_size(archive, tmp_path, stands_in, capsys):
    program, longest = archives.load(archive).program, families.MAX_LENGTH
    stands_in(good := Package(program))
    assert main(["aot", str(archive), "-o", str(tmp_path / "x.aot.pt2")]) == 0
    # After each text its last token alone, from the cache.
    assert good.sizes == [(1, 1), (1, longest), (1, 1), (ROWS, 1), (ROWS, longest), (ROWS, 1)]
    stands_in(Package(program, lambda logits: logits[:, :1]))
    assert main(["aot", str(archive), "-o", str(tmp_path / "x.aot.pt2")]) == 1
    assert "it has sizes" in capsys.readouterr().err


def test_a_package_that_forgets_what_came_before_is_not_kept(archive, tmp_path, stands_in):
    program = archives.load(archive).program
    class Forgetful(Package):
        def __call__(self, ids, positions):
            return super().__call__(ids, torch.where(positions < 0, -1, positions - positions[:, :1].clamp(min=0)))

    stands_in(Forgetful(program))
    with pytest.raises(weir.WeirError, match=f"on 1 rows of {families.MAX_LENGTH} tokens it has a relative error of"):
        aot.package(archive, tmp_path / "x.aot.pt2")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def other_reference(tmp_path_factory, monkeypatch):
    """Puts a script in weir-run's place; what the real one writes can be changed by it, or it ends with an error."""
    folder = tmp_path_factory.mktemp("build")
    (folder / "bin").mkdir()
    real = {name: weir.tool(name) for name in ("weirc", "weir-run")}
    (folder / "bin" / "weirc").symlink_to(real["weirc"])

    def use(script: str):
        (folder / "bin" / "weir-run").write_text(
            f"#!{sys.executable}\nimport subprocess, sys\nimport numpy\nreal = {str(real['weir-run'])!r}\n"
            "value = lambda option: sys.argv[sys.argv.index(option) + 1]\n" + script)
        (folder / "bin" / "weir-run").chmod(0o755)
        monkeypatch.setenv("WEIR_BUILD", str(folder))

    return use


def test_what_a_package_is_compared_with_is_weir_run(archive, tmp_path, stands_in, other_reference):
    stands_in(Package(archives.load(archive).program))
    other_reference("assert value('--engine') == 'reference'\n"
                    "subprocess.run([real, *sys.argv[1:]], check=True, close_fds=False)\n"
                    "numpy.save(value('--logits'), 1.01 * numpy.load(value('--logits')))\n")
    with pytest.raises(weir.WeirError, match=r"on 1 rows of 1 tokens it has a relative error of 0\.0099 .* not kept"):
        aot.package(archive, tmp_path / "x.aot.pt2")
    other_reference("sys.exit('weir-run: error: it cannot be run')\n")
    with pytest.raises(weir.WeirError, match="cannot be compared with the reference engine: weir-run: error: it cannot"):
        aot.package(archive, tmp_path / "x.aot.pt2")
    (weir.tool("weir-run")).unlink()
    with pytest.raises(weir.WeirError, match="no bin/weir-run"):
        aot.package(archive, tmp_path / "x.aot.pt2")
    assert not list(tmp_path.iterdir())


def test_where_memory_is_short_fewer_tokens_are_compared(archive, tmp_path, stands_in, other_reference):
    longest = families.MAX_LENGTH
    stands_in(good := Package(archives.load(archive).program))
    refuse = "if numpy.load(value('--ids')).size > {}: sys.exit(subprocess.run([real, *sys.argv[1:], '--max-memory', '1'], " \
             "close_fds=False).returncode)\nsys.exit(subprocess.run([real, *sys.argv[1:]], close_fds=False).returncode)\n"
    other_reference(refuse.format(longest))
    with pytest.warns(weir.errors.WeirWarning, match=f"on {ROWS} rows of {longest // 2} tokens only: for {longest} there"):
        aot.package(archive, tmp_path / "x.aot.pt2")
    assert good.sizes[-2:] == [(ROWS, longest // 2), (ROWS, 1)]
    other_reference(refuse.format(0))
    with pytest.raises(weir.WeirError, match="not enough memory to run 1 rows of 1 tokens"):
        aot.package(archive, tmp_path / "x.aot.pt2")


def test_a_program_that_was_traced_with_its_largest_batch_is_refused(tmp_path):
    batch, length = torch.export.Dim("batch", min=1, max=2), torch.export.Dim("length", min=1, max=8)
    long = dict(dtype=torch.long)
    exported = torch.export.export(
        Added(), (torch.zeros(2, 5, **long), torch.zeros(2, 5, **long)), dynamic_shapes=({0: batch, 1: length},) * 2)
    writer.write(exported, {"weir.json": json.dumps({"weir": 1})}, tmp_path / "x.pt2")
    with pytest.raises(weir.WeirError, match=r"largest size of input input_ids \[axis 0\], 2; .* export the model again"):
        aot.package(tmp_path / "x.pt2")
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.pt2"]


class Added(torch.nn.Module):
    def forward(self, input_ids, positions):
        return input_ids + positions


class ManyInputs(torch.nn.Module):
    def forward(self, input_ids, positions, plan, knobs):
        return input_ids * plan.unsqueeze(1) + positions * knobs.sum(1, keepdim=True)


def test_examples_fit_the_inputs_a_program_has_now():
    batch, length = torch.export.Dim("batch", min=1, max=3), torch.export.Dim("length", min=1, max=8)
    long = dict(dtype=torch.long)
    exported = torch.export.export(
        ManyInputs(), (torch.zeros(2, 5, **long), torch.zeros(2, 5, **long), torch.zeros(2, **long), torch.zeros(2, 3)),
        dynamic_shapes=({0: batch, 1: length}, {0: batch, 1: length}, {0: batch}, {0: batch}))
    exported.example_inputs = None
    got = aot.example_inputs(exported)
    assert [(tuple(value.shape), value.dtype) for value in got] == [
        ((2, 5), torch.int64), ((2, 5), torch.int64), ((2,), torch.int64), ((2, 3), torch.float32)]


def test_errors(tmp_path, capsys):
    (tmp_path / "text.pt2").write_text("not an archive")
    for path, reason in ((tmp_path / "absent.pt2", "no such file"), (tmp_path / "text.pt2", "cannot load")):
        assert main(["aot", str(path)]) == 1
        assert reason in capsys.readouterr().err
    assert {entry.name for entry in tmp_path.iterdir()} == {"text.pt2"}
