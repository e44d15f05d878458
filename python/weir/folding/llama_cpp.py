# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""GGUF files for llama.cpp: control vectors, and a model's own file with changed tensors."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy
import torch

from ..errors import WeirError, first_line
from ..files import replacing, same_file
from .job import Change, Job, Refused

# Biases that llama.cpp reads if they are there, although models of the architecture have none. Of others a tensor
# that it does not know is an error when the file is loaded.
_OPTIONAL_BIASES = {"llama": ("attn_output.bias", "ffn_down.bias")}
_TYPES = {"f32": gguf.GGMLQuantizationType.F32, "f16": gguf.GGMLQuantizationType.F16,
          "bf16": gguf.GGMLQuantizationType.BF16, "q8_0": gguf.GGMLQuantizationType.Q8_0}


_PLAN = "weir.plan"  # a key of every file that was made here


def _made_here(path: Path) -> bool:
    try:
        return path.stat().st_size == 0 or gguf.GGUFReader(path).get_field(_PLAN) is not None
    except (OSError, ValueError, IndexError):
        return False


def _write(job: Job, writer: gguf.GGUFWriter, tensors):
    """The file of a writer that knows what its tensors are; it has its name when it is whole."""
    if job.output.exists() and not _made_here(job.output):
        raise WeirError(f"{job.output} is there already and was not made by weirc fold; remove it, or choose another name")
    writer.add_string(_PLAN, job.plan)
    with replacing(job.output) as stream:
        writer.write_header_to_file(path=Path(f"/proc/self/fd/{stream.fileno()}"))
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for tensor in tensors:
            writer.write_tensor_data(tensor)
        writer.close()


def _architecture(job: Job) -> str:
    """What llama.cpp calls the model, for people who read the file; the name of transformers where the two are not
    known to be the same."""
    try:
        source = job.source()
    except WeirError:
        return job.family
    if source.gguf is None:
        return job.family
    field = gguf.GGUFReader(Path(source.location) / source.gguf).get_field("general.architecture")
    return field.contents() if field else job.family


def write_control_vector(job: Job) -> list[str]:
    if not job.directions:
        raise Refused("the plan adds nothing, and a control vector without a direction is none")
    writer = gguf.GGUFWriter(None, "controlvector")
    writer.add_string("controlvector.model_hint", _architecture(job))
    writer.add_uint32("controlvector.layer_count", len(job.directions))
    vectors = []
    for layer, direction in sorted(job.directions.items()):
        vectors.append(direction.float().numpy())
        writer.add_tensor_info(f"direction.{layer}", vectors[-1].shape, vectors[-1].dtype, vectors[-1].nbytes)
    _write(job, writer, vectors)
    return [str(job.output)]


class _Names:
    """What the tensors of transformers are called in a file."""

    def __init__(self, architecture: str, layers: int, present: set[str]):
        known = {name: arch for arch, name in gguf.MODEL_ARCH_NAMES.items()}
        if architecture not in known:
            raise WeirError(f"the gguf package does not know the architecture '{architecture}'")
        self.architecture, self.present = architecture, present
        self.map = gguf.get_tensor_name_map(known[architecture], layers)

    def find(self, change: Change) -> str:
        name = self.map.get_name(change.weight_name, try_suffixes=(".weight",))
        if name is None or name not in self.present:
            raise Refused(f"the file has no tensor for {change.weight_name}", change.weight_name)
        return name

    def bias(self, change: Change) -> str:
        name = self.find(change).removesuffix("weight") + "bias"
        if name not in self.present and not name.endswith(_OPTIONAL_BIASES.get(self.architecture, ())):
            raise Refused(f"llama.cpp knows no tensor {name} in models of the architecture '{self.architecture}', and "
                          "refuses a file that has it", change.bias_name)
        return name


def _quantized(change: Change, values: torch.Tensor, kind: str) -> tuple[numpy.ndarray, gguf.GGMLQuantizationType]:
    array = values.float().numpy()
    if kind == "q8_0" and array.shape[-1] % gguf.GGML_QUANT_SIZES[_TYPES[kind]][0]:
        kind = "f32"  # rows that are no whole blocks
    if kind == "f16" and numpy.abs(array).max() > numpy.finfo(numpy.float16).max:
        raise Refused(f"the new {change.weight_name} has numbers beyond f16; choose another --type", change.weight_name)
    return gguf.quants.quantize(array, _TYPES[kind]), _TYPES[kind]


def _copy_settings(reader: gguf.GGUFReader) -> gguf.GGUFWriter:
    field = reader.get_field("general.architecture")
    writer = gguf.GGUFWriter(None, field.contents())
    for name, each in reader.fields.items():
        if name.startswith("GGUF.") or name in ("general.architecture", _PLAN):
            continue
        kind = each.types[0]
        writer.add_key_value(name, each.contents(), kind, each.types[-1] if kind == gguf.GGUFValueType.ARRAY else None)
    if (alignment := reader.get_field("general.alignment")) is not None:
        writer.data_alignment = alignment.contents()
    return writer


def write_model(job: Job) -> list[str]:
    source = job.source()
    if source.gguf is None:
        raise WeirError(f"{source.name} is no GGUF file; name the model's with --source")
    path = Path(source.location) / source.gguf
    if same_file(path, job.output):
        raise WeirError(f"{path} is the file of the model itself, which stays as it is; choose another")
    try:
        reader = gguf.GGUFReader(path)
        architecture = reader.get_field("general.architecture").contents()
        layers = reader.get_field(f"{architecture}.block_count").contents()
    except (AttributeError, ValueError, IndexError, KeyError) as error:
        raise WeirError(f"{path} cannot be read: {first_line(error)}") from error
    if reader.endianess != gguf.GGUFEndian.LITTLE:
        raise WeirError(f"{path} is a file of big-endian numbers")
    if reader.get_field("split.count") is not None and reader.get_field("split.count").contents() > 1:
        raise WeirError(f"{path} is one of several files of a model; join them first (llama-gguf-split --merge)")
    stored = {tensor.name: tensor for tensor in reader.tensors}
    names = _Names(architecture, layers, set(stored))

    new: dict[str, tuple[numpy.ndarray, gguf.GGMLQuantizationType]] = {}
    kept: dict[str, gguf.gguf_reader.ReaderTensor] = {}  # under another name
    for change in job.changes:
        name = names.find(change)
        tensor = stored[name]
        old = torch.from_numpy(gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(numpy.float32))
        # Always a row for each output, and tables a row for each entry.
        in_out = change.table
        job.check(change, old, in_out)
        if change.left is not None:
            new[name] = _quantized(change, change.weight(old, in_out), job.tensor_type)
            if change.table and name == "token_embd.weight" and "output.weight" not in stored:
                kept["output.weight"] = tensor  # was the table as well
            elif change.shared:
                raise Refused(f"{change.weight_name} is used elsewhere as well, as it was", change.weight_name)
        if change.bias is not None:
            new[names.bias(change)] = change.bias.float().numpy(), _TYPES["f32"]

    writer = _copy_settings(reader)
    arrays = []

    def add(name, data, kind):
        # The shape of quantised data is in bytes, as the writer takes it.
        writer.add_tensor_info(name, data.shape, data.dtype, data.nbytes, raw_dtype=kind)
        arrays.append(data)

    for name, tensor in stored.items():
        add(name, *new.pop(name, (tensor.data, tensor.tensor_type)))
    for name, (data, kind) in new.items():
        add(name, data, kind)
    for name, tensor in kept.items():
        add(name, tensor.data, tensor.tensor_type)
    _write(job, writer, arrays)
    return [str(job.output)]
