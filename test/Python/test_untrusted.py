# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Archives of somebody else: nothing of them runs, whatever opens them. What would run is the making of a file."""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import zipfile
from pathlib import Path

import families
import numpy
import pytest
import torch
import weir
from weir import archives
from weir.__main__ import main

SPEC = """weir: 1
model: {program: x.pt2}
dictionaries: {rows: {format: directions, path: rows.npy, sites: [res], layers: 1}}
policies: {push: {on: {features: [1/res/0]}, do: add, strength: 1}}
"""
IDS = [[5, 6, 7]]


class Mark:
    """What is unpickled makes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def records(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def samples(content: dict[str, bytes]) -> io.BytesIO:
    return io.BytesIO(content["data/sample_inputs/model.pt"])


def rewrite(path: Path, edit) -> Path:
    """The tiny Llama in `path`, after edit(model, records)."""
    content = records(families.exported("llama"))
    model = json.loads(content["models/model.json"])
    edit(model, content)
    content["models/model.json"] = json.dumps(model).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in content.items():
            archive.writestr(f"archive/{name}", data)
    return path


@pytest.fixture
def hostile(tmp_path):
    """A path, and the file that appears if anything of the archive there runs."""
    mark = tmp_path / "it-ran"

    def edit(model, content):
        call = f"__import__('pathlib').Path({str(mark)!r}).touch()"
        model["guards_code"] = [f"{call} is None"]
        content["data/sample_inputs/model.pt"] = pickle.dumps(Mark(mark))
        content["data/weights/model.pt"] = content["data/constants/model.pt"] = pickle.dumps(Mark(mark))
        content["data/constants/opaque_obj_0"] = pickle.dumps(Mark(mark))
        content["data/aotinductor/model/model.wrapper.so"] = b"no library"
        model["graph_module"]["graph"]["nodes"][0]["metadata"]["source_fn_stack"] = "a,torch.os.getcwd"

    yield rewrite(tmp_path / "x.pt2", edit), mark
    assert not mark.exists()


def test_guards_pickles_and_libraries_of_an_archive_do_not_run(hostile):
    path, _ = hostile
    program = weir.load(path)
    assert torch.equal(program(IDS).logits, weir.load(families.exported("llama"))(IDS).logits)
    assert program.module.graph.find_nodes(op="call_module") == [], "there is no guard"
    with pytest.raises(Exception, match="shape"):
        program.module(torch.zeros(families.MAX_BATCH + 1, 1, dtype=torch.long),
                       torch.zeros(families.MAX_BATCH + 1, 1, dtype=torch.long))


def test_weirc_copies_no_code_into_what_it_builds(hostile, tmp_path):
    path, mark = hostile
    numpy.save(tmp_path / "rows.npy", numpy.ones((1, 32), numpy.float32))
    (tmp_path / "spec.yaml").write_text(SPEC)
    weir.compile(tmp_path / "spec.yaml", tmp_path / "built")
    content = records(tmp_path / "built" / "program.pt2")
    assert not any(str(mark).encode() in data for data in content.values())
    assert not [name for name in content if "aotinductor" in name or name.endswith("weights/model.pt") or "opaque" in name]
    # What is there, PyTorch's own loader reads without unpickling anything but tensors.
    args, kwargs = torch.load(samples(content), weights_only=True)
    assert kwargs == {} and [tuple(value.shape) for value in args] == [(2, 2), (2, 2), (2,), (2,)]
    assert not any(value.any() for value in args)
    steered = weir.load(tmp_path / "built")
    assert not torch.equal(steered(IDS, plan="default").logits, steered(IDS, plan=None).logits)


def test_an_export_has_no_guards():
    content = records(families.exported("llama"))
    assert json.loads(content["models/model.json"])["guards_code"] == []
    torch.load(samples(content), weights_only=True)


def graph(model):
    return model["graph_module"]["graph"]


def size(model):
    return next(size["as_expr"] for size in graph(model)["tensor_values"]["input_ids"]["sizes"] if "as_expr" in size)


def rename(model, old: str, new: str):
    text = json.dumps(model["graph_module"]).replace(f'"{old}"', json.dumps(new))
    model["graph_module"] = json.loads(text)


REFUSED = {
    "a size is an expression of Python": (
        lambda model, content: size(model).update(expr_str="print('it ran')"), "plain name or text"),
    "a size is a tower of powers": (
        lambda model, content: size(model).update(expr_str="Pow(Integer(9), Integer(999999999))"), "plain name or text"),
    "a node calls a function of Python": (
        lambda model, content: graph(model)["nodes"][0].update(target="torch.os.getcwd"), "node 0"),
    "a node calls what loads libraries": (
        lambda model, content: graph(model)["nodes"][0].update(target="torch.ops.load_library"), "node 0"),
    "the name of a value ends the line that it is pasted into": (
        lambda model, content: rename(model, "input_ids", "input_ids):\n    print('it ran')\n    pass #"), "plain name"),
    "a weight is pickled": (lambda model, content: pickled(content), "pickled"),
    "a class is to be imported for the inputs": (
        lambda model, content: model["graph_module"]["module_call_graph"][0]["signature"].update(
            in_spec=json.dumps([1, {"type": "collections.namedtuple", "context": '"os.system"', "children_spec": []}])),
        "calling convention"),
    "a graph has an object of a class of its own": (
        lambda model, content: graph(model)["custom_obj_values"].update(x={"name": "x", "class_fqn": "y"}), "custom objects"),
    "an unbacked size is counted up to": (
        lambda model, content: model["range_constraints"].update(u999999999999={"min_val": 0, "max_val": 1}), "no size"),
}


def pickled(content):
    name = "data/weights/model_weights_config.json"
    config = json.loads(content[name])
    next(iter(config["config"].values()))["use_pickle"] = True
    content[name] = json.dumps(config).encode()


@pytest.mark.parametrize("case", REFUSED)
def test_what_pytorch_would_take_for_code_is_refused(case, tmp_path, capsys):
    edit, reason = REFUSED[case]
    path = rewrite(tmp_path / "x.pt2", edit)
    with pytest.raises(weir.WeirError, match=reason) as error:
        weir.load(path)
    assert str(error.value).startswith(f"cannot load {path}: ") and "\n" not in str(error.value)
    if case == "a size is an expression of Python":
        assert main(["aot", str(path)]) == 1
        assert "plain name or text" in capsys.readouterr().err
        assert [entry.name for entry in tmp_path.iterdir()] == ["x.pt2"]


def test_damage_and_what_is_no_file(tmp_path):
    path = rewrite(tmp_path / "x.pt2", lambda model, content: None)
    data = bytearray(path.read_bytes())
    data[data.index(records(path)["data/weights/weight_3"])] ^= 1
    path.write_bytes(data)
    with pytest.raises(weir.WeirError, match="weight_3"):
        weir.load(path)
    weir.load(path, verify=False)
    os.mkfifo(tmp_path / "pipe.pt2")
    with pytest.raises(weir.WeirError, match="not a regular file"):
        archives.load(tmp_path / "pipe.pt2")
    path.write_bytes(b"")
    with pytest.raises(weir.WeirError, match="empty"):
        archives.load(path)


def test_the_file_may_change_while_the_program_is_used(tmp_path):
    path = rewrite(tmp_path / "x.pt2", lambda model, content: None)
    program = weir.load(path)
    want = program(IDS).logits
    path.write_bytes(b"gone")
    assert torch.equal(program(IDS).logits, want)


def test_a_package_that_happens_to_lie_there_is_not_loaded(tmp_path):
    path = rewrite(tmp_path / "x.pt2", lambda model, content: None)
    (tmp_path / "x.aot.pt2").write_bytes(b"native code of somebody")
    numpy.save(tmp_path / "ids.npy", numpy.array(IDS))

    def run(*options):
        return subprocess.run([weir.tool("weir-run"), path, "--ids", tmp_path / "ids.npy", "--logits", tmp_path / "y.npy", *options],
                              capture_output=True, text=True)

    done = run()
    assert done.returncode == 0 and (tmp_path / "y.npy").exists(), done.stderr
    done = run("--engine", "aot")
    assert done.returncode != 0 and "x.aot.pt2" in done.stderr
