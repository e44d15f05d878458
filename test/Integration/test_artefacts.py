# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What an artefact says of itself, and that builder and runner take and refuse the same programs."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import families
import numpy
import pytest
import weir
from engines import TOOLS

SPEC = """
weir: 1
model: {program: absent.pt2}
dictionaries:
  rows: {format: directions, path: rows.npy, sites: [res], layers: 1}
knobs:
  faith: {default: 1.0, range: [0, 8]}
policies:
  push: {on: 1/res/2, do: add, strength: {value: 1.5, times: faith}}
  watch: {on: {features: [1/res/0, 1/res/1]}, do: record}
"""


def read(path: Path) -> dict[str, bytes]:
    """The records of an archive, without the folder that all are in."""
    with zipfile.ZipFile(path) as archive:
        return {name.split("/", 1)[1]: archive.read(name) for name in archive.namelist()}


def write(path: Path, records: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in records.items():
            archive.writestr("archive/" + name, content)
    return path


@pytest.fixture(scope="module")
def model() -> Path:
    return Path(families.exported("llama"))


@pytest.fixture(scope="module")
def spec(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("artefacts")
    numpy.save(folder / "rows.npy", numpy.random.default_rng(0).normal(size=(3, 32)).astype("f4"))
    numpy.save(folder / "ids.npy", numpy.array([[5, 6, 7]]))
    (folder / "spec.yaml").write_text(SPEC)
    return folder / "spec.yaml"


@pytest.fixture(scope="module")
def built(model, spec) -> Path:
    weir.compile(spec, spec.parent / "steered", model=model)
    return spec.parent / "steered"


@pytest.fixture
def artefact(built, tmp_path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "steered"))


def run(program: Path, spec: Path, *options) -> tuple[int, str]:
    done = subprocess.run([TOOLS / "weir-run", program, "--ids", spec.parent / "ids.npy", "--logits", spec.parent / "logits.npy",
                           *options], capture_output=True, text=True)
    return done.returncode, done.stderr


def test_the_manifest_names_every_file_and_the_program_says_the_same(built, model):
    manifest = json.loads((built / "manifest.json").read_text())
    named = {entry["path"] for entry in manifest.values() if isinstance(entry, dict) and "path" in entry}
    assert named | {"manifest.json"} == {path.name for path in built.iterdir()}
    record = json.loads(read(built / "program.pt2")["extra/weir.steering.json"])
    assert record == {key: value for key, value in manifest.items() if key not in ("program", "report", "table")}
    assert record["plans"] == ["default"] and record["outputs"] == ["logits", "watch.res.1"]
    assert manifest["spec"]["sha256"] == hashlib.sha256(SPEC.encode()).hexdigest()

    # The model's hash, from the archive by other means.
    records = read(model)
    config = json.loads(records["data/weights/model_weights_config.json"])["config"]
    lines = []
    for name, entry in sorted(config.items()):
        meta = entry["tensor_meta"]
        sizes, strides = ([size["as_int"] for size in meta[key]] for key in ("sizes", "strides"))
        payload = hashlib.sha256(records["data/weights/" + entry["path_name"]]).hexdigest()
        lines.append(f'{json.dumps(name)} {meta["dtype"]} {sizes} {strides} {meta["storage_offset"]["as_int"]} {payload}\n')
    info = json.loads(records["extra/weir.json"])
    assert manifest["model"] == {
        "name": info["model"], "family": "llama", "dtype": "f32", "weights": hashlib.sha256("".join(lines).encode()).hexdigest(),
        "graph": hashlib.sha256(records["models/model.json"]).hexdigest()}


def test_the_spec_is_compared_and_the_report_is_not(artefact, spec):
    (artefact / "report.md").write_text("notes")
    assert run(artefact, spec)[0] == 0
    (artefact / "spec.yaml").write_text(SPEC.replace("1.5", "2.5"))
    status, message = run(artefact, spec)
    assert status == 1 and "spec.yaml: its SHA-256 is" in message
    with pytest.raises(weir.WeirError, match="spec.yaml: its SHA-256 is"):
        weir.load(artefact)
    assert run(artefact, spec, "--no-verify")[0] == 0
    (artefact / "spec.yaml").unlink()
    assert run(artefact, spec)[0] == 0
    assert weir.load(artefact).plans == ["default"]


def test_a_steered_program_runs_without_its_folder(artefact, spec, tmp_path):
    assert run(artefact, spec)[0] == 0
    want = numpy.load(spec.parent / "logits.npy")
    alone = Path(shutil.move(artefact / "program.pt2", tmp_path / "alone.pt2"))
    assert run(alone, spec, "--plan", "default", "--knob", "faith=1") == (0, "")
    assert numpy.array_equal(numpy.load(spec.parent / "logits.npy"), want)
    assert run(alone, spec, "--plan", "none")[0] == 0
    assert not numpy.array_equal(numpy.load(spec.parent / "logits.npy"), want)


def test_other_weights_and_other_models_are_refused(built, model, spec, tmp_path):
    records = read(built / "program.pt2")
    name = "data/weights/weight_0"
    changed = bytearray(records[name])
    changed[0] ^= 1
    status, message = run(write(tmp_path / "weights.pt2", {**records, name: bytes(changed)}), spec)
    assert status == 1 and "the weights are not those of the model that was steered" in message
    info = {**json.loads(records["extra/weir.json"]), "dtype": "bf16"}
    status, message = run(write(tmp_path / "dtype.pt2", {**records, "extra/weir.json": json.dumps(info).encode()}), spec)
    assert status == 1 and "built for a model whose dtype is 'f32', this one's is 'bf16'" in message
    # The record alone makes no program steered.
    plain = {**read(model), "extra/weir.steering.json": records["extra/weir.steering.json"]}
    status, message = run(write(tmp_path / "plain.pt2", plain), spec)
    assert status == 1 and "the program takes input_ids, positions, the manifest says" in message
    with pytest.raises(weir.CompileError, match="steered before; start from the exported model"):
        weir.compile(spec, tmp_path / "again", model=built / "program.pt2")


@pytest.mark.parametrize("change, reason", [
    (dict(knobs=[]), "the program takes input_ids, positions, prompt_length, plan, knobs, the manifest says"),
    (dict(knobs=[{"name": name, "default": 1, "min": 0, "max": 8} for name in "ab"]), "the program takes 1 knobs, the manifest names 2"),
    (dict(outputs=["logits", "watch", "more"]), "the program gives 2 outputs, the manifest names 3: logits, watch, more"),
    (dict(outputs=["logits"], records=[]), "the program gives 2 outputs, the manifest names 1: logits"),
    (dict(records=[{"name": "watch", "output": 1, "features": ["1/res/0"]}]), "record 'watch' has 2 columns, the manifest names 1 features"),
])
def test_the_record_is_compared_with_the_program_around_it(built, spec, tmp_path, change, reason):
    records = read(built / "program.pt2")
    own = {**json.loads(records["extra/weir.steering.json"]), **change}
    if not own["knobs"]:
        own["inputs"] = own["inputs"][:-1]
    records["extra/weir.steering.json"] = json.dumps(own).encode()
    status, message = run(write(tmp_path / "steered.pt2", records), spec, "--no-verify")
    assert status == 1 and reason in message, message


def edit(change):
    """A change of the graph's document, given (document, graph, signature)."""
    def apply(records: dict[str, bytes]):
        document = json.loads(records["models/model.json"])
        module = document["graph_module"]
        change(document, module["graph"], module["signature"])
        records["models/model.json"] = json.dumps(document).encode()
    return apply


def info(**changes):
    def apply(records: dict[str, bytes]):
        records["extra/weir.json"] = json.dumps({**json.loads(records["extra/weir.json"]), **changes}).encode()
    return apply


def call(graph, target: str) -> dict:
    return next(node for node in graph["nodes"] if target in node["target"])


def rename(entry, name: str):
    entry["as_tensor"]["name"] = name


DAMAGES = {
    "nodes in another order": edit(lambda d, g, s: g["nodes"].reverse()),
    "an operator that is not there": edit(lambda d, g, s: call(g, "aten.mul").update(target="torch.ops.aten.no_such.default")),
    "an argument of another name": edit(lambda d, g, s: call(g, "aten.mul")["inputs"][0].update(name="other_self")),
    "an argument of another type": edit(lambda d, g, s: call(g, "aten.mul")["inputs"][1].update(arg={"as_string": "x"})),
    "a result of another kind": edit(lambda d, g, s: call(g, "aten.mul")["outputs"].append({"as_none": True})),
    "a node without metadata": edit(lambda d, g, s: g["nodes"][0].pop("metadata")),
    "a value that no table describes": edit(lambda d, g, s: g["tensor_values"].pop(call(g, "aten.mul")["outputs"][0]["as_tensor"]["name"])),
    "a dtype that is none": edit(lambda d, g, s: g["tensor_values"]["input_ids"].update(dtype=99)),
    "a stride too few": edit(lambda d, g, s: g["tensor_values"]["input_ids"]["strides"].pop()),
    "a device without a type": edit(lambda d, g, s: g["tensor_values"]["input_ids"].update(device={})),
    "another input in the signature": edit(lambda d, g, s: rename(s["input_specs"][-1]["user_input"]["arg"], "input_ids")),
    "another weight": edit(lambda d, g, s: s["input_specs"][0]["parameter"].update(parameter_name="no.such")),
    "inputs of another dtype": edit(lambda d, g, s: g["tensor_values"]["positions"].update(dtype=4)),
    "an output that is no value": edit(lambda d, g, s: rename(g["outputs"][-1], "no_such")),
    "an output of an unknown kind": edit(lambda d, g, s: s["output_specs"].__setitem__(-1, {"later": {}})),
    "an output that the signature does not name": edit(lambda d, g, s: rename(s["output_specs"][-1]["user_output"]["arg"], "input_ids")),
    "logits of another rank": edit(lambda d, g, s: g["tensor_values"][g["outputs"][-1]["as_tensor"]["name"]].update(
        sizes=[{"as_int": 3}], strides=[{"as_int": 1}])),
    "another vocabulary": info(vocab_size=7),
    "no extra/weir.json": lambda records: records.pop("extra/weir.json"),
    "a record of steering that is none": lambda records: records.update({"extra/weir.steering.json": b"{}"}),
}


def verdicts(program: Path, spec: Path) -> tuple[tuple[int, str], tuple[int, str]]:
    built = subprocess.run([TOOLS / "weirc", "check", spec, "--model", program], capture_output=True, text=True)
    return (built.returncode, built.stderr), run(program, spec)


def test_a_rewritten_program_is_taken_by_both(model, spec, tmp_path):
    assert [status for status, _ in verdicts(write(tmp_path / "same.pt2", read(model)), spec)] == [0, 0]


@pytest.mark.parametrize("damage", DAMAGES)
def test_builder_and_runner_refuse_the_same(model, spec, tmp_path, damage):
    records = read(model)
    DAMAGES[damage](records)
    (built, why), (ran, reason) = verdicts(write(tmp_path / "damaged.pt2", records), spec)
    assert (built, ran) == (2, 1), why + reason
    # For the same reason, in the same words.
    reason = reason.strip().split("damaged.pt2: ")[-1]
    assert reason and reason in why
