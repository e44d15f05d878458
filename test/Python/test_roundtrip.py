# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Archives that go through the IR: the program that comes out is the one that went in, and a program
that got new inputs, outputs and constants is one that torch.export takes."""

from __future__ import annotations

import functools
import io
import json
import re
import subprocess
import zipfile
from pathlib import Path

import families
import pytest
import torch
from weir.compiler import tool

pytestmark = pytest.mark.usefixtures("no_gradients")


@pytest.fixture
def no_gradients():
    # Training programs write to their buffers, which autograd would refuse.
    with torch.no_grad():
        yield


def translate(*arguments) -> None:
    subprocess.run([tool("weir-translate"), *map(str, arguments)], check=True)


def records(path: Path) -> dict[str, bytes]:
    """The archive's records without the folder that holds them all and without the zip writer's own."""
    with zipfile.ZipFile(path) as archive:
        content = {name.split("/", 1)[1]: archive.read(name) for name in archive.namelist()}
    return {name: data for name, data in content.items() if not name.startswith(".data/")}


def round_trip(source: Path, folder: Path) -> Path:
    translate("--import-pt2", source, "-o", folder / "program.mlir")
    translate("--export-pt2", folder / "program.mlir", "--archive", source, "-o", folder / "out.pt2")
    return folder / "out.pt2"


def inputs(rows: int, length: int):
    tokens = torch.randint(3, families.VOCABULARY, (rows, length), generator=torch.Generator().manual_seed(3))
    return tokens, torch.arange(length).expand(rows, length).contiguous()


@pytest.mark.parametrize("family, dtype", families.CASES)
def test_untouched_archive_is_the_same_program(family, dtype, tmp_path):
    source = Path(families.exported(family, dtype))
    out = round_trip(source, tmp_path)
    before, after = records(source), records(out)
    assert before.keys() == after.keys()
    for name in before:
        if name.endswith(".json"):
            assert json.loads(before[name]) == json.loads(after[name]), name
        else:
            assert before[name] == after[name], name

    want, got = loaded(source), torch.export.load(out)
    assert [str(node) for node in want.graph.nodes] == [str(node) for node in got.graph.nodes]
    assert want.graph_signature == got.graph_signature
    assert want.range_constraints.keys() == got.range_constraints.keys()
    for rows, length in ((1, 1), (3, 7)):
        assert torch.equal(want.module()(*inputs(rows, length)), got.module()(*inputs(rows, length)))


def test_ir_survives_the_optimizer_and_bytecode(tmp_path):
    source = Path(families.exported("gemma3"))
    translate("--import-pt2", source, "-o", tmp_path / "a.mlir")
    # Everything in it is read, written for the next run, or a check: nothing may disappear.
    subprocess.run([tool("weir-opt"), "--cse", "--canonicalize", "--fx-find-sites", "--canonicalize", "--cse",
                    "--emit-bytecode", tmp_path / "a.mlir", "-o", tmp_path / "b.mlirbc"], check=True)
    # Marks of sites that nothing was done to leave nothing behind, stripped or not.
    translate("--export-pt2", tmp_path / "b.mlirbc", "--archive", source, "-o", tmp_path / "out.pt2")
    before, after = (json.loads(records(path)["models/model.json"]) for path in (source, tmp_path / "out.pt2"))
    assert before == after


def with_additions(source: Path, folder: Path) -> Path:
    """The program with inputs `prompt_length` and `plan`, and three outputs more:

    the logits times the row's plan; the first two logits times a column of constants; a choice
    between these and 0.5 by constant booleans.
    """
    translate("--import-pt2", source, "-o", folder / "a.mlir")
    text = (folder / "a.mlir").read_text()
    rows, both = "#fx.dims<s72 = 2>", "#fx.dims<s72 = 2, s18 = 3>"
    row, pair = f"tensor<?xi64, {rows}>", f"tensor<?x?x2xf32, {both}>"
    text = text.replace("role = positions>) attributes {", f"""role = positions>,
      %prompt_length: {row} = #fx.input<user_input>,
      %plan: {row} = #fx.input<user_input>) attributes {{""", 1)
    end = re.search(r"    fx.return (%\w+) : (.*) as \[#fx.output<user_output, role = #fx.logits>\]\n", text)
    logits, kind = end.groups()
    text = text[:end.start()] + f"""
    %column = fx.constant dense<[[1.0], [2.0]]> : tensor<2x1xf32>
    %choice = fx.constant dense<[true, false]> : tensor<2xi1>
    %b = fx.call pure @aten.sym_size.int(self: %plan, dim: 0) : ({row}) -> !fx.symint<s72 = 2>
    %f = fx.call pure @aten.to.dtype(self: %plan, dtype: dtype<f32>) : ({row}) -> tensor<?xf32, {rows}>
    %g = fx.call pure @aten.view.default(self: %f, size: [%b, 1, 1]) : (tensor<?xf32, {rows}>, !fx.symint<s72 = 2>) -> tensor<?x1x1xf32, {rows}>
    %h = fx.call pure @aten.mul.Tensor(self: {logits}, other: %g) : ({kind}, tensor<?x1x1xf32, {rows}>) -> {kind}
    %i = fx.call pure @aten.slice.Tensor(self: {logits}, dim: 2, start: 0, end: 2) : ({kind}) -> {pair}
    %j = fx.call pure @aten.matmul.default(self: %i, other: %column) : ({pair}, tensor<2x1xf32>) -> tensor<?x?x1xf32, {both}>
    %k = fx.call pure @aten.where.ScalarOther(condition: %choice, self: %i, other: 0.5) : (tensor<2xi1>, {pair}) -> {pair}
    fx.return {logits}, %h, %j, %k : {kind}, {kind}, tensor<?x?x1xf32, {both}>, {pair} as [{", ".join(["#fx.output<user_output>"] * 4)}]
""" + text[end.end():]
    (folder / "b.mlir").write_text(text)
    subprocess.run([tool("weir-opt"), "--cse", "--canonicalize", folder / "b.mlir", "-o", folder / "c.mlir"], check=True)
    translate("--export-pt2", folder / "c.mlir", "--archive", source, "-o", folder / "added.pt2")
    return folder / "added.pt2"


@functools.cache
def loaded(path: Path):
    return torch.export.load(path)


def check_additions(run, source: Path, exact: bool = True) -> None:
    for rows, length in ((3, 5), (1, 1)):
        tokens, positions = inputs(rows, length)
        plan = torch.arange(rows) - 1
        want = loaded(source).module()(tokens, positions)
        logits, scaled, product, chosen = run(tokens, positions, torch.full((rows,), length), plan)
        near = dict(rtol=0, atol=0) if exact else dict(rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(logits, want, **near)
        torch.testing.assert_close(scaled, want * plan[:, None, None], **near)
        torch.testing.assert_close(product, want[..., :1] + 2 * want[..., 1:2], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(chosen[..., 0], want[..., 0], **near)
        assert (chosen[..., 1] == 0.5).all()


@pytest.mark.parametrize("family", ["llama", "gemma2", "gpt-neox"])
def test_added_inputs_outputs_and_constants(family, tmp_path):
    source = Path(families.exported(family))
    path = with_additions(source, tmp_path)
    program = torch.export.load(path)
    assert program.graph_signature.user_inputs == ("input_ids", "positions", "prompt_length", "plan")
    assert len(program.graph_signature.user_outputs) == 4
    check_additions(program.module(), source)
    # The new inputs share the batch with the old ones, and that is checked.
    tokens, positions = inputs(3, 5)
    with pytest.raises(AssertionError, match="prompt_length"):
        program.module()(tokens, positions, torch.zeros(2, dtype=torch.long), torch.zeros(3, dtype=torch.long))


def test_added_program_is_one_that_pytorch_goes_on_with(tmp_path):
    source = Path(families.exported("llama"))
    program = torch.export.load(with_additions(source, tmp_path))
    check_additions(torch.export.unflatten(program), source)
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    check_additions(torch.export.load(buffer).module(), source)
    check_additions(program.run_decompositions().module(), source, exact=False)


def test_added_program_goes_through_the_ir_again(tmp_path):
    source = Path(families.exported("llama"))
    path = with_additions(source, tmp_path)
    again = tmp_path / "again"
    again.mkdir()
    before, after = (records(name)["models/model.json"] for name in (path, round_trip(path, again)))
    assert json.loads(before) == json.loads(after)


def test_sample_inputs_are_plain_tensors_that_fit(tmp_path):
    source = Path(families.exported("llama"))
    path = with_additions(source, tmp_path)

    def samples(archive: Path):
        # Loaded without running code from the file.
        positional, keywords = torch.load(io.BytesIO(records(archive)["data/sample_inputs/model.pt"]), weights_only=True)
        assert keywords == {}
        return positional

    (tokens, _), new = samples(source), samples(path)
    rows = tokens.shape[0]
    assert [(value.dtype, tuple(value.shape)) for value in new] == [
        (torch.long, tuple(tokens.shape))] * 2 + [(torch.long, (rows,))] * 2
    program = torch.export.load(path)
    positional, keywords = program.example_inputs
    assert len(program.module()(*positional, **keywords)) == 4
