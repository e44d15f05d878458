# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Plans as weights (`weirc fold`): what other engines read gives the logits of the program with the plan."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
from pathlib import Path

import families
import format_libraries
import gguf
import gguf_files
import hooks
import llama_cpp
import numpy
import pytest
import torch
import weir
from engines import ROOT, call
from models import TOLERANCE, apart
from safetensors import safe_open
from weir.compiler import CompileError
from weir.folding import TARGETS

pytestmark = pytest.mark.usefixtures("warm_python")

PAGE = (ROOT / "docs" / "folding.md").read_text()
IDS = [[5, 9, 33, 7, 100, 23, 4, 88, 17, 60], [3, 64, 12, 90, 41, 8, 77, 2, 31, 19]]
# llama.cpp keeps keys and values in f16.
LLAMA_CPP = 5e-3
# What a plan has to change for a comparison to mean something.
LEAST = 0.02


def column(head: str) -> dict[str, str]:
    """What a column of the page's table says of each plan."""
    lines = re.search(r"\n(\| plan \|.*?)\n\n", PAGE, re.S)[1].splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    at = rows[0].index(head)
    return {row[0].strip("`"): row[at] for row in rows[2:]}


def table() -> dict[tuple[str, str], str]:
    """The table of the page: plan and door to what it says, of those doors that weirc fold opens."""
    return {(plan, door): said for door in TARGETS for plan, said in column(f"`{door}`").items()}


class Model:
    """A tiny model: in memory, exported, as a folder and, where there is such a thing, as a GGUF file; and the page's
    spec with directions that fit it."""

    def __init__(self, family: str, folder: Path, dtype: str = "f32", of: tuple | None = None):
        """`of`: another model of the family, and its archive."""
        self.family, self.folder, self.dtype = family, folder, dtype
        self.model, self.archive = of or (families.model(family, torch.bfloat16 if dtype == "bf16" else torch.float32),
                                          families.exported(family, dtype))
        self.source = folder / "model"
        self.model.save_pretrained(self.source, max_shard_size="20KB")
        (self.source / "tokenizer_config.json").write_text("{}")
        config = self.model.config
        width = config.hidden_size
        heads = config.num_attention_heads * (getattr(config, "head_dim", None) or width // config.num_attention_heads)
        random = numpy.random.default_rng(3)
        for site in ("res", "mid", "mlp", "att", "head"):
            for layer in range(3):
                size = heads if site == "head" else width
                numpy.save(folder / f"{site}.{layer}.npy", random.standard_normal((3, size)).astype(numpy.float32))
        text = next(block for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.S) if "policies:" in block)
        if getattr(config, "use_parallel_residual", False) or family == "cohere":
            text = text.replace("res, mid, mlp", "res, mlp")
        self.spec = folder / "spec.yaml"
        self.spec.write_text(text)

    @functools.cached_property
    def gguf(self) -> Path:
        return gguf_files.write(self.folder / "model.gguf", self.model, more={"tokenizer.ggml.model": "no_vocab"})

    def run(self, program: Path) -> torch.Tensor:
        """weir-run's logits of a folder with a program, or of the model."""
        ids, logits = self.folder / "ids.npy", self.folder / "logits.npy"
        numpy.save(ids, numpy.array(IDS))
        call("weir-run", program, "--ids", ids, "--logits", logits, "--threads", 1)
        return torch.from_numpy(numpy.load(logits))

    @functools.cached_property
    def plain(self) -> torch.Tensor:
        return self.run(self.archive)

    @functools.cache
    def want(self, plan: str) -> torch.Tensor:
        """The reference engine's logits of a plan, which differ from the model's."""
        program = self.folder / f"program-{plan}"
        weir.compile(self.spec, program, model=self.archive, fixed=plan)
        logits = self.run(program)
        assert apart(logits, self.plain) > LEAST
        return logits

    def output(self, plan: str, door: str) -> Path:
        return self.folder / (f"{plan}-{door}" + (".gguf" if door.startswith("gguf") else ""))

    def fold(self, plan: str, door: str, **options) -> Path:
        output = self.output(plan, door)
        source = self.gguf if door.startswith("gguf") and self.family in ("llama", "gemma3") else self.source
        result = weir.fold(self.spec, output, to=door, plan=plan, model=self.archive, source=source, **options)
        assert result["output"] == str(output) and (result["changed"] or door == "gguf-control")
        return output

    def through(self, door: str, output: Path) -> torch.Tensor:
        """Logits as the format's own reader has them."""
        return {"pt2": self.run, "checkpoint": transformers_logits, "lora": self.peft_logits,
                "gguf": llama_cpp_logits, "gguf-control": lambda file: llama_cpp_logits(self.gguf, file)}[door](output)

    def peft_logits(self, adapter: Path) -> torch.Tensor:
        format_libraries.folder(llama_cpp.LOCK)
        import copy
        import warnings

        import peft

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tied embeddings, and of Conv1D
            model = peft.PeftModel.from_pretrained(copy.deepcopy(self.model), adapter).eval()
        loaded = {name.replace(".default", "") for name, _ in model.named_parameters() if "lora_" in name}
        with safe_open(adapter / "adapter_model.safetensors", "pt") as stored:
            assert loaded == set(stored.keys())  # PEFT drops in silence what it has no place for
        with torch.no_grad():
            return model(torch.tensor(IDS)).logits.float()

    def check(self, plan: str, door: str, tolerance: float | None = None, **options) -> Path:
        output = self.fold(plan, door, **options)
        distance = apart(self.through(door, output), self.want(plan))
        assert distance <= (tolerance or (LLAMA_CPP if door.startswith("gguf") else TOLERANCE)), (plan, door, distance)
        return output

    def refused(self, plan: str, door: str, **options) -> str:
        """The errors of a fold, which leaves nothing behind; each stands at a policy of the plan, one a policy."""
        with pytest.raises(CompileError) as caught:
            self.fold(plan, door, **options)
        errors = [each for each in caught.value.diagnostics if each["severity"] == "error"]
        lines = [self.spec.read_text().splitlines()[error["line"] - 1] for error in errors]
        policies = re.search(rf"\n  {plan}: \[(.*)\]", self.spec.read_text())[1].split(", ")
        assert errors and all(error["file"] == str(self.spec) for error in errors)
        assert all(any(line.startswith(f"  {policy}: ") for policy in policies) for line in lines), lines
        assert len(set(lines)) == len(lines)
        assert not self.output(plan, door).exists()
        assert not [each for each in self.folder.iterdir() if "weir-part" in each.name]
        return "\n".join(error["message"] for error in errors)


def transformers_logits(folder: Path) -> torch.Tensor:
    from transformers import AutoModelForCausalLM

    model, told = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True, local_files_only=True)
    assert not any(told[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), told
    with torch.no_grad():
        return model.eval()(torch.tensor(IDS)).logits.float()


def llama_cpp_logits(file: Path, vector: Path | None = None) -> torch.Tensor:
    return torch.stack([torch.from_numpy(llama_cpp.logits(file, row, vector)) for row in IDS])


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return functools.cache(lambda family, dtype="f32": Model(family, tmp_path_factory.mktemp(family), dtype))


def test_every_plan_through_every_door(models):
    """The table of docs/folding.md, row by row, with numbers wherever it says exact."""
    llama = models("llama")
    said = table()
    plans = re.findall(r"^  (\w+): \[", llama.spec.read_text().split("\nplans:")[1], re.M)
    assert {plan for plan, _ in said} == set(plans)
    for (plan, door), what in said.items():
        if what == "exact":
            llama.check(plan, door)
        else:
            assert what == "refused"
            llama.refused(plan, door)


def test_the_reason_is_the_policys_own(models):
    """One error for each policy that does not fold, and none that follows from another."""
    llama = models("llama")
    assert "another policy's projection of the stream follows at every layer" in llama.refused("two_out", "checkpoint")
    for door in ("checkpoint", "pt2"):
        assert llama.refused("noted", door) == ("policy 'noted' cannot be folded into weights: a folded model has no output for "
                                                "what is recorded")


def test_what_is_wrong_on_the_command_line_is_not_the_specs(models, tmp_path):
    """Without a place in the spec, and with the names that there are."""
    llama = models("llama")
    several = "push, first, slope"

    def said(**options) -> str:
        with pytest.raises(CompileError) as caught:
            weir.fold(llama.spec, tmp_path / "out", model=llama.archive, **({"to": "pt2"} | options))
        assert not any("line" in error for error in caught.value.diagnostics)
        return str(caught.value)

    assert f"--plan is needed where the spec has several plans: it has {several}" in said()
    assert f"--plan: there is no plan 'none'; the spec has {several}" in said(plan="none")
    assert "--knob: there is no knob 'dail'; the spec has dial" in said(plan="dialled", knob="dail=2")
    assert "--to: there is no 'lorra'; did you mean 'lora'?" in said(to="lorra", plan="push")
    assert "--type: there is no 'q4'; there is 'f32', 'f16', 'bf16' or 'q8_0'" in said(to="gguf", type="q4", plan="push")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("family", ["llama-tied", "gpt2", "gpt-neox", "granite"])
def test_additions_and_projections_of_other_families(models, family):
    """Tied embeddings, Conv1D, parallel blocks, factors: what is exact for all of them."""
    model = models(family)
    for door in ("pt2", "checkpoint"):
        model.check("both", door)
    model.check("mlp_out", "lora")
    if family == "granite":
        model.check("stream_out", "lora")
    else:  # their biases change as well
        assert "a table of embeddings" in model.refused("stream_out", "lora")


@pytest.mark.parametrize("family", ["mistral", "qwen2", "qwen3", "phi3"])
def test_biases_that_a_family_has_no_word_for(models, family):
    model = models(family)
    message = model.refused("push", "checkpoint")
    assert f"the configuration of the family '{model.model.config.model_type}' cannot say that" in message
    assert "down_proj.bias is there" in message
    model.check("push", "pt2")
    model.check("stream_out", "checkpoint")
    if family == "qwen3":
        folded = model.check("head_push", "checkpoint")
        assert json.loads((folded / "config.json").read_text())["attention_bias"] is True
    else:
        assert "o_proj.bias is there" in model.refused("head_push", "checkpoint")


@pytest.mark.parametrize("family", ["gemma2", "gemma3", "olmo2"])
def test_a_norm_behind_a_half_is_not_linear(models, family):
    model = models(family)
    for plan in ("push", "mlp_push", "att_push", "mlp_out", "stream_out"):
        message = model.refused(plan, "checkpoint")
        assert "which is no linear map of a stored weight" in message and "norm" in message
    for plan in ("head_push", "head_out"):
        model.check(plan, "checkpoint")


def test_narrow_weights_are_rounded_once(models):
    model = models("llama", "bf16")
    for plan in ("both", "push"):
        folded = model.fold(plan, "checkpoint")
        # Two engines round at other places already where nothing is steered.
        noise = apart(transformers_logits(model.source), model.plain)
        assert apart(transformers_logits(folded), model.want(plan)) <= 2 * noise < apart(model.want(plan), model.plain) / 4
        with safe_open(folded / "model-00001-of-00001.safetensors" if (folded / "model-00001-of-00001.safetensors").exists()
                       else next(folded.glob("*.safetensors")), "pt") as stored:
            assert all(stored.get_tensor(name).dtype == torch.bfloat16 for name in stored.keys())


def test_a_knob_with_one_value(models):
    llama = models("llama")
    output = llama.fold("dialled", "checkpoint", knob="dial=2")
    program = llama.folder / "program-dialled-2"
    weir.compile(llama.spec, program, model=llama.archive, fixed="dialled", knob="dial=2")
    assert apart(transformers_logits(output), llama.run(program)) <= TOLERANCE
    assert apart(llama.run(program), llama.want("dialled")) > LEAST


def test_a_program_has_no_operation_more(models):
    """And other weights: the model's calls, one by one."""
    llama = models("llama")

    def calls(archive):
        program = torch.export.load(archive)
        return [node.target for node in program.graph.nodes if node.op == "call_function"]

    for plan in ("both", "head_push"):
        assert calls(llama.fold(plan, "pt2") / "program.pt2") == calls(llama.archive)
    manifest = json.loads((llama.output("both", "pt2") / "manifest.json").read_text())
    assert {"site": "emb", "layer": 0} in [{"site": site["site"], "layer": site["layer"]} for site in manifest["sites"]]


def test_all_of_a_stream_against_hooks(models):
    """`layers: all` means every value of the residual stream, the embeddings included."""
    for family in ("llama", "gpt2", "gpt-neox", "gemma2"):
        model = models(family)
        reference = hooks.Reference(model.spec, model.model)
        want = torch.stack([reference.run(row, "stream_out", prompt_length=4).logits for row in IDS])
        assert apart(model.want("stream_out"), want.float()) <= TOLERANCE


def test_what_is_in_a_folder(models):
    """Flags and zeros, links where nothing changes, the head untied; the source as it was."""
    llama = models("llama")
    before = {each.name: (each.stat().st_mtime_ns, each.read_bytes()) for each in llama.source.iterdir()}
    folded = llama.fold("push", "checkpoint")
    assert {each.name: (each.stat().st_mtime_ns, each.read_bytes()) for each in llama.source.iterdir()} == before
    old, new = (json.loads((each / "config.json").read_text()) for each in (llama.source, folded))
    assert new == {**old, "mlp_bias": True}
    index = json.loads((folded / "model.safetensors.index.json").read_text())["weight_map"]
    was = json.loads((llama.source / "model.safetensors.index.json").read_text())["weight_map"]
    assert {name for name in index if name not in was} == {f"model.layers.{layer}.mlp.{part}_proj.bias" for layer in range(3)
                                                           for part in ("gate", "up", "down")}

    def read(folder, names, name):
        with safe_open(folder / names[name], "pt") as stored:
            return stored.get_tensor(name)

    for name in was:
        assert torch.equal(read(folded, index, name), read(llama.source, was, name))
    for name in index.keys() - was.keys():
        assert read(folded, index, name).any() == (name == "model.layers.1.mlp.down_proj.bias")
    linked = [name for name in set(was.values()) if os.path.samefile(folded / name, llama.source / name)]
    assert linked and set(was.values()) - set(linked)
    assert (folded / "generation_config.json").exists() and (folded / "tokenizer_config.json").exists()

    tied = models("llama-tied")
    folded = tied.fold("stream_out", "checkpoint")
    assert json.loads((folded / "config.json").read_text())["tie_word_embeddings"] is False
    # Everything else of the model's configuration stays.
    assert json.loads((folded / "config.json").read_text()).keys() >= json.loads((tied.source / "config.json").read_text()).keys()


def test_other_blocks_of_a_file_stay(models, tmp_path):
    """Quantised tensors that nothing is folded into are the bytes that they were."""
    llama = models("llama")
    quantized = tmp_path / "q8.gguf"
    _quantize(llama.gguf, quantized)
    program = tmp_path / "q8.pt2"
    weir.export.export(str(quantized), program, max_batch=3, max_length=24)
    folded = tmp_path / "folded.gguf"
    weir.fold(llama.spec, folded, to="gguf", plan="mlp_out", model=program, source=quantized)
    old, new = ({tensor.name: tensor for tensor in gguf.GGUFReader(file).tensors} for file in (quantized, folded))
    assert old.keys() == new.keys()
    for name, tensor in old.items():
        if name == "blk.1.ffn_down.weight":
            assert new[name].tensor_type == gguf.GGMLQuantizationType.F32
            continue
        assert new[name].tensor_type == tensor.tensor_type and numpy.array_equal(new[name].data, tensor.data), name
    steered = tmp_path / "steered"
    weir.compile(llama.spec, steered, model=program, fixed="mlp_out")
    # llama.cpp rounds what Q8_0 is multiplied with.
    noise, want = apart(llama_cpp_logits(quantized), llama.run(program)), llama.run(steered)
    assert apart(llama_cpp_logits(folded), want) <= 2 * noise < apart(want, llama.run(program)) / 2
    keys = [{name: field.contents() for name, field in gguf.GGUFReader(file).fields.items() if "." in name and "GGUF" not in name}
            for file in (quantized, folded)]
    assert {**keys[0], "weir.plan": "mlp_out"} == keys[1]


def _quantize(source: Path, target: Path):
    """A copy whose matrices are Q8_0 where their rows are whole blocks."""
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(str(target), "llama")
    for name, field in reader.fields.items():
        if not name.startswith("GGUF.") and name != "general.architecture":
            writer.add_key_value(name, field.contents(), field.types[0])
    for tensor in reader.tensors:
        if len(tensor.shape) == 2 and tensor.shape[0] % 32 == 0:
            data = gguf.quants.quantize(tensor.data, gguf.GGMLQuantizationType.Q8_0)
            writer.add_tensor(tensor.name, data, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        else:
            writer.add_tensor(tensor.name, tensor.data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_where_outputs_go(models, tmp_path):
    """Whole or not at all, over an earlier fold only, and never over the model."""
    llama = models("llama")

    def fold(output, door="checkpoint", **options):
        return weir.fold(llama.spec, output, to=door, **{"plan": "push", "model": llama.archive, "source": llama.source, **options})

    def error(*arguments, **options) -> str:
        with pytest.raises(CompileError) as caught:
            fold(*arguments, **options)
        return str(caught.value)

    assert "which stays as it is" in error(llama.source)
    assert "which stays as it is" in error(llama.source / "inside")
    assert "which stays as it is" in error(llama.gguf, "gguf", source=llama.gguf)
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    assert "remove it, or choose another name" in error(other)
    assert [each.name for each in other.iterdir()] == ["notes.txt"]
    # Again, over what was folded before.
    output = tmp_path / "output"
    fold(output)
    first = transformers_logits(output)
    fold(output, plan="att_push")
    assert apart(first, transformers_logits(output)) > LEAST
    (output / "notes.txt").write_text("mine")
    assert "remove it, or choose another name" in error(output)
    vector = tmp_path / "vector.gguf"
    fold(vector, "gguf-control")
    fold(vector, "gguf-control", plan="mlp_push")
    vector.write_bytes(b"mine")
    assert "was not made by weirc fold" in error(vector, "gguf-control") and vector.read_bytes() == b"mine"
    # Another model's files.
    changed = tmp_path / "changed"
    shutil.copytree(llama.source, changed)
    copy = families.model("llama")
    with torch.no_grad():
        copy.model.layers[1].mlp.down_proj.weight[0, 0] += 0.01
    copy.save_pretrained(changed, max_shard_size="20KB")
    assert "has other numbers than the program's" in error(tmp_path / "none", source=changed)
    assert "has other numbers than the program's" in error(tmp_path / "none", "lora", source=changed)
    assert "--plan is needed where the spec has several plans: it has push, first" in error(tmp_path / "none", plan=None)
    assert "there is no plan 'pusch'" in error(tmp_path / "none", plan="pusch")
    assert "no such file or folder" in error(tmp_path / "none", source=tmp_path / "missing")
    assert "is no GGUF file" in error(tmp_path / "none.gguf", "gguf")
    assert not (tmp_path / "none").exists() and not (tmp_path / "none.gguf").exists()
    assert not [each for each in tmp_path.iterdir() if "weir-" in each.name]


SMOLLM2 = """
weir: 1
model: {}
dictionaries:
  sae: {format: sae_lens, path: "DICTIONARIES/{site}.{layer}", sites: [res, mlp, att], layers: 9..16}
policies:
  food: {on: 11/res/558, do: add, strength: 45}
  without: {on: [12/res/411, 14/res/53], do: project_out, layers: all}
plans:
  default: [food, without]
  food: [food]
"""


def test_smollm2(tmp_path):
    """The real model, from its GGUF file: as a checkpoint made from it, and as the file itself with quantised blocks."""
    from transformers import AutoModelForCausalLM
    from weir.export import cached, sources

    archive, source = cached("smollm2"), sources.resolve("smollm2")
    spec, ids = tmp_path / "spec.yaml", [504, 3691, 335, 260, 6798, 282, 260, 905, 314, 253, 1165, 3525]
    spec.write_text(SMOLLM2.replace("DICTIONARIES", str(ROOT / "examples" / "smollm2" / "dictionaries")))
    numpy.save(tmp_path / "ids.npy", numpy.array([ids]))

    def run(program) -> torch.Tensor:
        call("weir-run", program, "--ids", tmp_path / "ids.npy", "--logits", tmp_path / "logits.npy", "--threads", 1)
        return torch.from_numpy(numpy.load(tmp_path / "logits.npy"))[0]

    plain = run(archive)
    weir.compile(spec, tmp_path / "program", model=archive, fixed="default")
    want = run(tmp_path / "program")
    shutil.rmtree(tmp_path / "program")  # half a gigabyte, as is all of the following
    assert apart(want, plain) > LEAST
    checkpoint = tmp_path / "checkpoint"
    weir.fold(spec, checkpoint, to="checkpoint", plan="default", model=archive)
    model = AutoModelForCausalLM.from_pretrained(checkpoint)
    with torch.no_grad():
        assert apart(model(torch.tensor([ids])).logits[0], want) <= TOLERANCE
    assert (checkpoint / "tokenizer.json").exists()
    shutil.rmtree(checkpoint)
    # llama.cpp rounds what quantised weights are multiplied with: by as much as in the model itself.
    file = tmp_path / "folded.gguf"
    weir.fold(spec, file, to="gguf", plan="default", model=archive)
    noise = apart(torch.from_numpy(llama_cpp.logits(Path(source.location) / source.gguf, ids)), plain)
    got = torch.from_numpy(llama_cpp.logits(file, ids))
    assert apart(got, want) <= 2 * noise < apart(want, plain) / 2
    file.unlink()
    weir.fold(spec, tmp_path / "food.gguf", to="gguf-control", plan="food", model=archive)
    weir.compile(spec, tmp_path / "food", model=archive, fixed="food")
    got = torch.from_numpy(llama_cpp.logits(Path(source.location) / source.gguf, ids, tmp_path / "food.gguf"))
    assert apart(got, run(tmp_path / "food")) <= 2 * noise
