# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The command, the archive it writes, its errors, and the cache of exported programs."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import warnings
import zipfile
from pathlib import Path

import families
import pytest
import safetensors.torch
import torch
import weir.export
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    BloomConfig,
    FalconConfig,
    Gemma3Config,
    GptOssConfig,
    LlamaConfig,
    LlavaConfig,
    MambaConfig,
    PreTrainedTokenizerFast,
    Qwen2VLConfig,
)
from weir.__main__ import main
from weir.compiler import tool
from weir.errors import WeirWarning
from weir.export import check, graph, program

SMALL = dict(max_batch=2, max_length=16)
SMALL_OPTIONS = ["--max-batch", "2", "--max-length", "16"]
TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    """A Llama of the tests as a Hugging Face folder, with a tokenizer of 131 words."""
    path = tmp_path_factory.mktemp("hub") / "tiny-llama"
    families.model("llama").save_pretrained(path)
    words = {f"w{index}": index for index in range(families.VOCABULARY)}
    backend = Tokenizer(models.WordLevel(words, unk_token="w0"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="w0", bos_token="w1", eos_token="w2")
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(path)
    return path


def with_rope(model, rope: dict):
    """The same weights with another rotary embedding."""
    config = copy.deepcopy(model.config)
    config.rope_parameters = {**config.rope_parameters, **rope}
    result = AutoModelForCausalLM.from_config(config).eval()
    result.load_state_dict(model.state_dict())
    return result


def record(path: Path, name: str) -> str:
    with zipfile.ZipFile(path) as archive:
        return archive.read(f"archive/extra/{name}").decode()


def entries(path: Path) -> set[str]:
    return {entry.name for entry in path.iterdir()}


def test_a_folder_becomes_an_archive_that_agrees_with_the_model(folder, tmp_path, capsys):
    out = tmp_path / "model.pt2"
    assert main(["export", str(folder), "-o", str(out), *SMALL_OPTIONS]) == 0
    assert capsys.readouterr() == ("", f"loading tiny-llama\nwrote {out}: tiny-llama (llama, 3 layers, f32), 2 rows of 16 "
                                   "positions\n"), "what a log needs, where no terminal listens"
    assert entries(tmp_path) == {"model.pt2"}
    tokens = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        got = torch.export.load(out).module()(tokens, torch.arange(4).unsqueeze(0))
        want = AutoModelForCausalLM.from_pretrained(folder)(tokens).logits
    torch.testing.assert_close(got, want, rtol=0, atol=5e-5)


def test_the_archive_says_what_a_runner_needs(folder, tmp_path):
    out = weir.export.export(folder, tmp_path / "model.pt2", **SMALL)
    assert json.loads(record(out, "weir.json")) == {
        "weir": 1, "model": "tiny-llama", "family": "llama", "hidden_size": 32, "layers": 3, "heads": 4, "head_dim": 8,
        "vocab_size": families.VOCABULARY, "max_batch": 2, "max_length": 16, "dtype": "f32", "bos": 1, "eos": [2],
        "chat_template": TEMPLATE}
    assert Tokenizer.from_str(record(out, "tokenizer.json")).encode("w5 w77 no").ids == [5, 77, 0]
    assert json.loads(record(out, "tokenizer_config.json"))["eos_token"] == "w2"
    extra = {"weir.json": ""}
    torch.export.load(out, extra_files=extra)
    assert json.loads(extra["weir.json"])["weir"] == 1


def test_a_model_without_a_tokenizer_is_exported_without_one(tmp_path):
    families.model("llama").save_pretrained(tmp_path / "bare")
    out = weir.export.export(tmp_path / "bare", tmp_path / "model.pt2", **SMALL)
    with zipfile.ZipFile(out) as archive:
        assert [name for name in archive.namelist() if "/extra/" in name] == ["archive/extra/weir.json"]
    about = json.loads(record(out, "weir.json"))
    assert about["chat_template"] is None and about["bos"] == 1 and about["eos"] == [2]


def test_two_exports_are_equal_byte_by_byte(folder, tmp_path):
    first = weir.export.export(folder, tmp_path / "one.pt2", **SMALL)
    second = weir.export.export(folder, tmp_path / "deeper" / "two.pt2", **SMALL)
    assert first.read_bytes() == second.read_bytes()


def test_bf16_weights_are_stored_as_bf16(folder, tmp_path):
    out = weir.export.export(folder, tmp_path / "model.pt2", dtype="bf16", **SMALL)
    exported = torch.export.load(out)
    assert {tensor.dtype for tensor in exported.state_dict.values()} == {torch.bfloat16}
    assert json.loads(record(out, "weir.json"))["dtype"] == "bf16"


def test_a_batch_of_one_row_is_fixed(folder, tmp_path):
    out = weir.export.export(folder, tmp_path / "model.pt2", max_batch=1, max_length=16)
    exported = torch.export.load(out)
    assert [(r.lower, r.upper) for r in exported.range_constraints.values()] == [(1, 16)]
    assert next(node for node in exported.graph.nodes if node.name == "input_ids").meta["val"].shape[0] == 1


def test_a_model_in_memory_is_left_as_it_was(tmp_path):
    model = families.model("llama")
    before, attention = copy.deepcopy(model.state_dict()), model.config._attn_implementation
    tokens = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        want = model(tokens).logits
        weir.export.export(model, tmp_path / "model.pt2", dtype="bf16", **SMALL)
        weir.export.export(model, tmp_path / "model.pt2", **SMALL)
        assert torch.equal(model(tokens).logits, want)
    assert model.config._attn_implementation == attention
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def fails(capsys, *arguments: str) -> str:
    """Runs the command, expects status 1 and one line of error, and returns it."""
    capsys.readouterr()  # what making the model said
    assert main(["export", *arguments]) == 1
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if not line.startswith("loading ")]
    assert out == "" and lines[0].startswith("error: ") and len(lines) == 1
    return lines[0]


def test_errors_name_what_is_wrong(folder, tmp_path, capsys):
    out = ["-o", str(tmp_path / "model.pt2")]
    assert "no such file or folder" in fails(capsys, str(tmp_path / "absent"), *out)
    assert "no such file or folder" in fails(capsys, "absent.gguf", *out)
    assert "local Hugging Face cache" in fails(capsys, "nobody/no-such-model", *out)
    (tmp_path / "empty").mkdir()
    assert "no config.json" in fails(capsys, str(tmp_path / "empty"), *out)
    (tmp_path / "empty" / "config.json").write_text("{")
    assert "not valid JSON" in fails(capsys, str(tmp_path / "empty"), *out)
    (tmp_path / "text").write_text("not a model")
    assert "not GGUF" in fails(capsys, str(tmp_path / "text"), *out)
    (tmp_path / "cut.gguf").write_bytes(b"GGUF\x03")
    assert "cannot load the model cut" in fails(capsys, str(tmp_path / "cut.gguf"), *out)
    assert "64 positions" in fails(capsys, str(folder), *out, "--max-length", "65")
    assert "at least 2" in fails(capsys, str(folder), *out, "--max-length", "1")
    assert "at least 1" in fails(capsys, str(folder), *out, "--max-batch", "0")
    assert "text" in fails(capsys, str(folder), "-o", str(tmp_path / "text" / "model.pt2"), *SMALL_OPTIONS)
    assert entries(tmp_path) == {"empty", "text", "cut.gguf"}


def changed(folder: Path, to: Path, tensors=None, **config) -> Path:
    """A copy of a folder with other entries of its configuration, and with `tensors` applied to the weights."""
    shutil.copytree(folder, to)
    if config:
        there = json.loads((to / "config.json").read_text())
        (to / "config.json").write_text(json.dumps(there | config))
    if tensors:
        weights = safetensors.torch.load_file(to / "model.safetensors")
        tensors(weights)
        safetensors.torch.save_file(weights, to / "model.safetensors", metadata={"format": "pt"})
    return to


@pytest.mark.parametrize("tensors, config, reason", [
    (lambda weights: weights.pop("model.layers.2.mlp.down_proj.weight"), {}, "it lacks model.layers.2.mlp.down_proj.weight"),
    (lambda weights: weights.pop("lm_head.weight"), {}, "it lacks lm_head.weight"),
    (None, {"num_hidden_layers": 2},
     "the model has no place for model.layers.2.input_layernorm.weight, model.layers.2.mlp.down_proj.weight, .* and 5 more"),
    (None, {"num_hidden_layers": 4}, "it lacks model.layers.3.input_layernorm.weight, .* and 5 more"),
    (lambda weights: weights.update({"model.layers.0.mlp.up_proj.bias": torch.ones(48)}), {},
     "the model has no place for model.layers.0.mlp.up_proj.bias"),
    (lambda weights: weights.update({"model.norm.weight": torch.ones(31)}), {},
     r"of another shape are model.norm.weight \(\[31\], the model has \[32\]\)"),
    (lambda weights: weights.update({"model.norm.weight": torch.full((32,), torch.nan)}), {}, "logits that are not finite"),
], ids=["a tensor less", "no lm_head", "layers left over", "layers missing", "a bias more", "another shape", "not finite"])
def test_a_checkpoint_that_is_not_what_its_configuration_says_is_refused(tensors, config, reason, folder, tmp_path, capsys):
    mine = changed(folder, tmp_path / "mine", tensors, **config)
    error = fails(capsys, str(mine), "-o", str(tmp_path / "model.pt2"), *SMALL_OPTIONS)
    assert re.search(reason, error), error
    assert entries(tmp_path) == {"mine"}


def test_what_older_checkpoints_repeat_is_no_error(folder, tmp_path):
    mine = changed(folder, tmp_path / "mine", lambda weights: weights.update({
        "model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)}))
    out = weir.export.export(mine, tmp_path / "model.pt2", **SMALL)
    assert "mine" == json.loads(record(out, "weir.json"))["model"]
    assert set(torch.export.load(out).state_dict) == set(families.model("llama").state_dict())


def test_an_adapter_beside_a_model_is_refused(folder, tmp_path, capsys):
    mine = changed(folder, tmp_path / "mine")
    (mine / "adapter_config.json").write_text("{}")
    assert "merge" in fails(capsys, str(mine), "-o", str(tmp_path / "model.pt2"), *SMALL_OPTIONS)


_text = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             vocab_size=families.VOCABULARY, max_position_embeddings=64)
_vision = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2, image_size=16, patch_size=8)


def of_text_and_images(config, folder: Path):
    torch.manual_seed(0)
    model = AutoModelForImageTextToText.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.1)
    model.save_pretrained(folder)
    return model


@pytest.mark.parametrize("config, text", [
    (Gemma3Config(text_config=dict(**_text, head_dim=16, query_pre_attn_scalar=16, sliding_window=5,
                                   layer_types=["sliding_attention", "full_attention"]),
                  vision_config=_vision, mm_tokens_per_image=4, image_token_index=5, boi_token_index=6, eoi_token_index=7),
     "gemma3_text"),
    (LlavaConfig(text_config=dict(**_text, model_type="llama"), vision_config=dict(**_vision, model_type="clip_vision_model"),
                 image_token_index=5), "llama"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_of_a_model_of_text_and_images_the_text_model_is_exported(config, text, tmp_path, capsys):
    whole = of_text_and_images(config, tmp_path / "whole")
    tokens = torch.arange(20, 32).unsqueeze(0)
    with torch.no_grad():
        want = whole(input_ids=tokens, attention_mask=torch.ones_like(tokens)).logits
    for model in (tmp_path / "whole", whole):  # a folder, and a model in memory
        out = weir.export.export(model, tmp_path / "model.pt2", **SMALL)
        exported = torch.export.load(out)
        with torch.no_grad():
            got = exported.module()(tokens, torch.arange(12).unsqueeze(0))
        torch.testing.assert_close(got, want, rtol=0, atol=5e-5)
        assert "model.layers.1.mlp.down_proj.weight" in exported.state_dict
        assert json.loads(record(out, "weir.json"))["family"] == text
    # What the rest of the model lacks is no text model's fault, but the folder's.
    weights = safetensors.torch.load_file(tmp_path / "whole" / "model.safetensors")
    name = next(name for name in weights if "vision" in name)
    del weights[name]
    safetensors.torch.save_file(weights, tmp_path / "whole" / "model.safetensors", metadata={"format": "pt"})
    assert "it lacks " in fails(capsys, str(tmp_path / "whole"), "-o", str(tmp_path / "other.pt2"), *SMALL_OPTIONS)


def test_a_text_model_that_does_not_stand_alone_is_refused(tmp_path, capsys):
    of_text_and_images(Qwen2VLConfig(text_config=_text, vision_config=dict(depth=1, embed_dim=16, hidden_size=32, num_heads=2)),
                       tmp_path / "whole")
    error = fails(capsys, str(tmp_path / "whole"), "-o", str(tmp_path / "model.pt2"), *SMALL_OPTIONS)
    assert "models of type 'qwen2_vl' hold a text model of type 'qwen2_vl_text', which transformers cannot run by itself" in error


def test_a_length_is_by_default_no_more_than_the_positions(folder, tmp_path, cache):
    out = weir.export.export(folder, tmp_path / "model.pt2", max_batch=1)
    assert json.loads(record(out, "weir.json"))["max_length"] == 64
    assert "-n64-" in weir.export.cached(folder, max_batch=1).name


def test_a_fault_of_a_library_is_one_line(folder, tmp_path, capsys, monkeypatch):
    class Panic(BaseException):  # as those of Rust libraries: no Exception
        pass

    for kind in (IndexError, Panic, MemoryError):
        def broken(*arguments, kind=kind):
            raise kind("out of range\nsecond line")

        monkeypatch.setattr(graph, "trace", broken)
        error = fails(capsys, str(folder), "-o", str(tmp_path / "model.pt2"), *SMALL_OPTIONS)
        assert "memory" in error if kind is MemoryError else f"{kind.__name__}: out of range" in error


def test_a_warning_is_one_line_and_those_of_libraries_are_not_shown(folder, tmp_path, capsys, monkeypatch):
    def warned(*arguments, **options):
        warnings.warn("of a library")
        warnings.warn("of Weir", WeirWarning)
        raise weir.export.ExportError("so far")

    monkeypatch.setattr(weir.export, "export", warned)
    assert main(["export", str(folder), "-o", str(tmp_path / "model.pt2")]) == 1
    assert capsys.readouterr().err == "warning: of Weir\nerror: so far\n"


def test_the_version_is_that_of_the_project(capsys):
    with pytest.raises(SystemExit) as status:
        main(["--version"])
    assert status.value.code == 0
    project = re.search(r"project\(weir VERSION (\S+)", (Path(__file__).resolve().parents[2] / "CMakeLists.txt").read_text())
    assert capsys.readouterr().out == f"weir {project[1]}\n"
    for name in ("weirc", "weir-run", "weir-opt", "weir-translate", "weir-lsp-server"):
        done = subprocess.run([tool(name), "--version"], capture_output=True, text=True)
        assert done.returncode == 0 and re.match(re.escape(f"{name} {project[1]}") + r"( \(LLVM \S+\))?\n$", done.stdout), name


def test_a_damaged_folder_is_an_error(folder, tmp_path, capsys):
    for name, expected in (("model.safetensors", "cannot load the model"), ("tokenizer.json", "cannot load the tokenizer")):
        mine = tmp_path / name
        shutil.copytree(folder, mine)
        (mine / name).write_bytes((mine / name).read_bytes()[:100])
        assert expected in fails(capsys, str(mine), "-o", str(tmp_path / "model.pt2"), *SMALL_OPTIONS)


def test_a_name_is_found_in_the_local_hub_cache(folder, tmp_path, monkeypatch):
    repository = tmp_path / "models--somebody--tiny"
    shutil.copytree(folder, repository / "snapshots" / "0123")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0123")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.file_download.HF_HUB_CACHE", str(tmp_path), raising=False)
    out = weir.export.export("somebody/tiny", tmp_path / "model.pt2", **SMALL)
    assert json.loads(record(out, "weir.json"))["model"] == "somebody/tiny"


def test_bad_usage_has_status_2(folder, tmp_path, capsys):
    for arguments in ([], ["export"], ["export", str(folder)], ["export", str(folder), "-o", "x", "--dtype", "f16"],
                      ["export", str(folder), "-o", "x", "--cached"], ["exprot"]):
        with pytest.raises(SystemExit) as status:
            main(arguments)
        assert status.value.code == 2
        assert "usage: python -m weir" in capsys.readouterr().err


_tiny = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, vocab_size=64)


@pytest.mark.parametrize("config, reason", [
    (MambaConfig(**_tiny, state_size=8), "linear_attention"),
    (BloomConfig(hidden_size=32, n_layer=2, n_head=4, vocab_size=64), "no attention that keeps keys and values"),
    (GptOssConfig(**_tiny, intermediate_size=32, num_key_value_heads=2, head_dim=8, num_local_experts=4,
                  num_experts_per_tok=2), "sinks"),
    (LlamaConfig(**_tiny, intermediate_size=32, rope_parameters={
        "rope_type": "longrope", "rope_theta": 1e4, "factor": 4.0, "short_factor": [1.0] * 4, "long_factor": [2.0] * 4,
        "original_max_position_embeddings": 8}), "'longrope' change with the length of a text from 8 tokens on"),
    (FalconConfig(**_tiny), "FalconForCausalLM computes attention by itself"),
], ids=lambda value: getattr(value, "model_type", None))
def test_models_that_cannot_be_exported_are_refused(config, reason, tmp_path):
    model = AutoModelForCausalLM.from_config(config)
    with pytest.raises(weir.export.UnsupportedModel, match=reason):
        weir.export.export(model, tmp_path / "model.pt2", **SMALL)
    assert entries(tmp_path) == set()


@pytest.mark.parametrize("rope", [
    {"rope_type": "dynamic", "factor": 2.0},
    {"rope_type": "longrope", "factor": 4.0, "short_factor": [1.5] * 4, "long_factor": [3.0] * 4,
     "original_max_position_embeddings": 16},
], ids=lambda rope: rope["rope_type"])
def test_frequencies_that_change_only_for_longer_texts_are_exported(rope, tmp_path):
    model = with_rope(families.model("llama"), rope)
    tokens = torch.arange(3, 19).unsqueeze(0)
    with torch.no_grad():
        out = weir.export.export(model, tmp_path / "model.pt2", **SMALL)
        assert model.model.rotary_emb.rope_type == rope["rope_type"]
        want = model(tokens).logits
        assert rope["rope_type"] == "dynamic" or (want - families.model("llama")(tokens).logits).abs().max() > 0.1
        got = torch.export.load(out).module()(tokens, torch.arange(16).unsqueeze(0))
    torch.testing.assert_close(got, want, rtol=0, atol=5e-5)


def test_a_program_that_disagrees_with_its_model_is_not_written(tmp_path, monkeypatch):
    honest = program.Program._mask
    monkeypatch.setattr(program.Program, "_mask", lambda self, visible, window, groups:
                        honest(self, visible, None, groups))
    (tmp_path / "model.pt2").write_bytes(b"the one before")
    with pytest.raises(weir.export.UnsupportedModel, match="does not agree with the model"):
        weir.export.export(families.model("mistral"), tmp_path / "model.pt2", **SMALL)
    assert (tmp_path / "model.pt2").read_bytes() == b"the one before"
    assert entries(tmp_path) == {"model.pt2"}


@pytest.mark.parametrize("max_batch", [1, 2])
def test_the_check_sees_a_changed_weight_and_leaves_the_cache_empty(max_batch):
    model = families.model("llama")
    ids, want = check.reference(model, 16)
    exported = graph.trace(program.Program(model, max_batch, 16))
    assert check.compare(exported, ids, want, max_batch, torch.float32) < 1e-4
    assert not any(buffer.any() for name, buffer in exported.constants.items() if "kv_cache" in name)
    with torch.no_grad():
        exported.state_dict["model.layers.2.mlp.down_proj.weight"][3] += 0.2
    with pytest.raises(weir.export.UnsupportedModel, match="does not agree"):
        check.compare(exported, ids, want, max_batch, torch.float32)


def test_a_killed_export_leaves_the_archive_before(folder, tmp_path):
    out = tmp_path / "model.pt2"
    out.write_bytes(b"the one before")
    script = ("import os, sys, torch\n"
              "from weir.__main__ import main\n"
              "save = torch.export.save\n"
              "def killed(exported, stream, **options):\n"
              "    save(exported, stream, **options)\n"
              "    os.kill(os.getpid(), 9)\n"
              "torch.export.save = killed\n"
              "main(sys.argv[1:])\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script, "export", str(folder), "-o", str(out), *SMALL_OPTIONS], env=environment)
    assert done.returncode == -signal.SIGKILL
    assert out.read_bytes() == b"the one before"


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("WEIR_CACHE", str(tmp_path))
    return tmp_path / "models"


def test_the_cache_exports_once_and_again_only_when_something_changed(cache, folder, tmp_path, monkeypatch, capsys):
    mine = tmp_path / "mine"
    shutil.copytree(folder, mine)
    first = weir.export.cached(mine, **SMALL)
    written = first.stat().st_mtime_ns
    assert first.parent == cache
    assert weir.export.cached(mine, **SMALL) == first and first.stat().st_mtime_ns == written
    assert main(["export", str(mine), "--cached", *SMALL_OPTIONS]) == 0
    assert capsys.readouterr().out == f"{first}\n"
    other = weir.export.cached(mine, max_batch=2, max_length=17)
    assert other != first and first.is_file(), "other options, another file"
    os.utime(mine / "config.json", (time.time() + 5, time.time() + 5))
    second = weir.export.cached(mine, **SMALL)
    assert second != first and second.is_file() and not first.exists() and other.is_file()


def test_the_cache_tells_models_in_memory_apart(cache):
    one, two = families.model("llama"), families.model("llama")
    with torch.no_grad():
        two.lm_head.weight[0, 0] += 1
    paths = [weir.export.cached(model, name=name, **SMALL) for model, name in ((one, "one"), (two, "two"), (one, "one"))]
    assert paths[0] == paths[2] != paths[1]
    again = weir.export.cached(two, name="one", **SMALL)
    assert again != paths[0] and not paths[0].exists()
