# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A Hugging Face folder with a plan inside its weights."""

from __future__ import annotations

import copy
import json
import os
import shutil
import tempfile
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from ..errors import WeirError, first_line
from ..export import loading
from ..files import read_text
from . import whole
from .job import Change, Job, Refused, within

_INDEX = "model.safetensors.index.json"
_SINGLE = "model.safetensors"
# Weights in other forms, which would still be the unsteered model.
_OTHER_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".h5", ".msgpack", ".onnx", ".gguf", ".ot", ".index.json")


def _empty(config):
    """The model of a configuration without memory for its weights."""
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(copy.deepcopy(config))


def _name_in(model, module) -> str | None:
    return next((name for name, each in model.named_modules() if each is module), None)


class Family:
    """What a model's configuration can say about biases and tied embeddings, found by building empty models."""

    def __init__(self, config):
        self.config = copy.deepcopy(config)
        self.parameters = set(_empty(self.config).state_dict())
        self.changed: dict = {}  # keys of the configuration

    def announce(self, changes: list[Change]):
        """Sets the flags under which the model has the biases that are new."""
        wanted = {change.bias_name: change for change in changes
                  if change.bias is not None and change.bias_name not in self.parameters}
        if not wanted:
            return
        flags = [key for key, value in self.config.to_dict().items() if "bias" in key and value is False]
        needed = set()
        for flag in flags:
            if self._with([flag]) & wanted.keys():
                needed.add(flag)
        there = self._with(sorted(needed))
        for name in sorted(wanted.keys() - there):
            raise Refused(f"the configuration of the family '{self.config.model_type}' cannot say that {name} is there, and a "
                          "tensor that it does not announce is dropped in silence", name)
        for flag in sorted(needed):
            setattr(self.config, flag, True)
            self.changed[flag] = True
        self.parameters = there

    def _with(self, flags) -> set[str]:
        config = copy.deepcopy(self.config)
        for flag in flags:
            setattr(config, flag, True)
        try:
            return set(_empty(config).state_dict())
        except Exception:  # not a flag that this model has on its own
            return set(self.parameters)

    def untie(self, changes: list[Change]) -> tuple[str, str] | None:
        """If a table changes that the output projection is tied to: the names of the two, which are no longer."""
        if not getattr(self.config, "tie_word_embeddings", False):
            return None
        model = _empty(self.config)
        table, head = _name_in(model, model.get_input_embeddings()), _name_in(model, model.get_output_embeddings())
        for change in changes:
            if change.table and change.left is not None and change.module == table:
                if head is None:
                    raise Refused("the model has no output projection of its own that the old embeddings could stay in",
                                  change.weight_name)
                self.config.tie_word_embeddings = False
                self.changed["tie_word_embeddings"] = False
                return f"{table}.weight", f"{head}.weight"
        return None


class Weights:
    """The .safetensors files of a folder."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.files: dict[str, str] = {}  # tensor -> file
        self.index = None
        if (folder / _INDEX).is_file():
            self.index = json.loads(read_text(folder / _INDEX))
            self.files = dict(self.index["weight_map"])
        elif (folder / _SINGLE).is_file():
            with safe_open(folder / _SINGLE, "pt") as stored:
                self.files = dict.fromkeys(stored.keys(), _SINGLE)
        else:
            raise WeirError(f"{folder} has no {_SINGLE} and no {_INDEX}; save the model in this format first "
                            "(transformers: save_pretrained)")
        for name in set(self.files.values()):
            if Path(name).name != name:
                raise WeirError(f"{folder / _INDEX}: {name} is no file of this folder")

    def find(self, name: str, prefix: str) -> str:
        """What a parameter is called in the files, where the model's own prefix may be left out."""
        for candidate in (name, name.removeprefix(f"{prefix}."), f"{prefix}.{name}"):
            if candidate in self.files:
                return candidate
        raise Refused(f"{self.folder} has no tensor {name}: its files hold the model's weights in another form", name)

    def read(self, name: str) -> torch.Tensor:
        with safe_open(self.folder / self.files[name], "pt") as stored:
            return stored.get_tensor(name)


def _write_files(weights: Weights, new: dict[str, torch.Tensor], to: Path) -> list[str]:
    """Files with the new tensors; those in which nothing changes are linked, or copied. Returns the linked ones."""
    place = dict(weights.files)
    touched = {place[name] for name in new if name in place} or {min(place.values())}
    for name in new:
        place.setdefault(name, min(touched))
    linked = []
    for file in sorted(set(place.values())):
        if file not in touched:
            source = os.path.realpath(weights.folder / file)
            try:
                os.link(source, to / file)
            except OSError:
                shutil.copyfile(source, to / file)
            linked.append(file)
            continue
        with safe_open(weights.folder / file, "pt") as stored:
            tensors = {name: new[name] if name in new else stored.get_tensor(name) for name in stored.keys()}
            tensors |= {name: tensor for name, tensor in new.items() if place[name] == file}
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, to / file,
                      metadata=stored.metadata() or {"format": "pt"})
    if weights.index is not None:
        size = sum(tensor.numel() * tensor.element_size() for name, tensor in new.items() if name not in weights.files)
        index = copy.deepcopy(weights.index)
        index["weight_map"] = dict(sorted(place.items()))
        if isinstance(index.get("metadata"), dict) and isinstance(index["metadata"].get("total_size"), int):
            index["metadata"]["total_size"] += size
        (to / _INDEX).write_text(json.dumps(index, indent=2) + "\n")
    return linked


def _write(job: Job, folder: Path, config) -> list[str]:
    family = Family(config)
    family.announce(job.changes)
    weights = Weights(folder)
    empty = _empty(family.config)
    prefix = empty.base_model_prefix
    new: dict[str, torch.Tensor] = {}
    if tied := family.untie(job.changes):
        table, head = tied
        stored = weights.find(table, prefix)
        # The files of a tied model may hold the head as well.
        new[head] = weights.read(head if head in weights.files else stored).clone()
    for change in job.changes:
        if change.shared and not (tied and change.table):
            raise Refused(f"{change.weight_name} is used elsewhere as well, as it was", change.weight_name)
        name = weights.find(change.weight_name, prefix)
        old = weights.read(name)
        job.check(change, old, change.in_out)
        if change.left is not None:
            new[name] = change.weight(old, change.in_out)
        if change.bias is not None:
            bias = weights.find(change.bias_name, prefix) if change.had_bias else name.removesuffix("weight") + "bias"
            new[bias] = within(change.bias.to(old.dtype), change.bias_name)
    # A flag brings biases that nothing is added to.
    for name, value in empty.state_dict().items():
        own = name.removeprefix(f"{prefix}.")
        if family.changed and name.endswith(".bias") and not {name, own} & (weights.files.keys() | new.keys()):
            like = weights.find(name.removesuffix("bias") + "weight", prefix)
            new[like.removesuffix("weight") + "bias"] = torch.zeros(value.shape, dtype=weights.read(like).dtype)

    about = {"weir": "fold", "to": job.to, "plan": job.plan}
    with whole.folder(job.output, folder, about) as to:
        _write_files(weights, new, to)
        settings = json.loads(read_text(folder / "config.json"))
        (to / "config.json").write_text(json.dumps({**settings, **family.changed}, indent=2) + "\n")
        for entry in sorted(folder.iterdir()):
            if entry.is_file() and entry.name not in ("config.json", whole.MARK) and not entry.name.endswith(_OTHER_WEIGHTS):
                shutil.copyfile(entry, to / entry.name)
        _check(empty, family, set(weights.files), to)
        return sorted(entry.name for entry in to.iterdir())


def _check(empty, family: Family, before: set[str], to: Path):
    """What the source's files hold is still there, and every bias that the configuration announces."""
    written = set(Weights(to).files)
    prefix = f"{empty.base_model_prefix}."
    missing = before - written
    if family.changed:
        missing |= {name for name, _ in empty.named_parameters()
                    if name.endswith(".bias") and not {name, name.removeprefix(prefix)} & written}
    if missing:
        raise WeirError(f"{min(missing)} would be missing in the new folder (a fault of weir)")


def check(job: Job, folder: Path, config):
    """Whether a folder has the weights that the program has, as far as something is folded into them."""
    weights, prefix = Weights(folder), _empty(config).base_model_prefix
    for change in job.changes:
        job.check(change, weights.read(weights.find(change.weight_name, prefix)), change.in_out)


def write(job: Job) -> list[str]:
    source = job.source()
    if source.gguf is None:
        if not loading.is_text(source.config):
            raise Refused(f"{source.name} is a model of text and more, whose folder holds the text model under other names")
        return _write(job, Path(source.location), source.config)
    # A GGUF file has no folder yet: transformers makes one.
    job.output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{job.output.name[:200]}.weir-part-", dir=job.output.parent) as scratch:
        try:
            model = source.model(job.dtype)
            model.config.dtype = job.dtype
            # transformers has dequantised what it read, and still calls the model quantised, which it does not save.
            model.hf_quantizer = None
            if hasattr(model.config, "quantization_config"):
                del model.config.quantization_config
            model.save_pretrained(scratch)
            if (tokenizer := source.tokenizer()) is not None:
                tokenizer.save_pretrained(scratch)
        except OSError as error:
            raise WeirError(f"{source.name}: {first_line(error)}") from error
        return _write(job, Path(scratch), model.config)
