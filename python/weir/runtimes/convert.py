# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What python -m weir onnx, openvino and executorch do."""

from __future__ import annotations

import contextlib
import logging
import re
import tempfile
import warnings
from pathlib import Path
from typing import Callable, Sequence

import torch

from .. import archives, comparison, programs
from ..errors import WeirError, first_line
from ..folding import whole
from . import executorch_model
from .explicit_state import State, explicit

TARGETS = ("onnx", "openvino", "executorch")
INFO = "weir.json"
_PACKAGES = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "openvino": ("onnx", "onnxscript", "openvino"),
             "executorch": ("executorch", "torchao", "flatbuffers", "ruamel.yaml", "tabulate")}
# Relative errors are 1e-6 on tiny models; an operation that is left out is off by about 1.
_TOLERANCE = {torch.float32: 1e-3}
_INLINE = 1 << 30  # a protobuf holds 2 GiB: from here on weights are a file of their own


def _need(target: str):
    missing = []
    with executorch_model.quiet():
        for name in _PACKAGES[target]:
            try:
                __import__(name)
            except ImportError:
                missing.append(name)
    if missing:
        # ExecuTorch asks for much that is for other machines, and of which some is published as sources only.
        how = "--no-deps " if target == "executorch" else ""
        raise WeirError(f"this needs {' and '.join(missing)}: pip install {how}{' '.join(missing)} (docs/runtimes.md has the versions)")


def _archive(path: Path) -> tuple[Path, dict]:
    """The archive of a folder of weirc build, with the hash that its manifest says; a file is taken as it is."""
    if not path.is_dir():
        return path, {}
    manifest = programs._manifest(path)
    return path / manifest["program"]["path"], programs._expected(path, manifest)


@contextlib.contextmanager
def _opening(archive: Path, **options):
    with contextlib.ExitStack() as stack:
        try:
            opened = stack.enter_context(archives.opening(archive, **options))
        except WeirError as error:
            if "needs its kernels" in str(error):
                raise WeirError(f"{archive} calls kernels of Weir's, which other runtimes lack: build with --lower aten") from error
            raise
        yield opened


@contextlib.contextmanager
def _quiet():
    """PyTorch's exporter tells of packages that are not needed."""
    loggers = [logging.getLogger("torch.onnx"), logging.getLogger("onnxscript"), logging.getLogger("onnx_ir")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels):
                logger.setLevel(level)


def _onnx_model(program, states: list[State], outputs: list[str], path: Path):
    """The program as an ONNX model whose inputs and outputs have Weir's names."""
    with _quiet():
        try:
            made = torch.onnx.export(program, dynamo=True, verbose=False)
        except torch.onnx.errors.OnnxExporterError as error:
            cause: BaseException | None = error
            while cause is not None:
                if found := re.search(r"No ONNX function found for <OpOverload\(op='([\w.]+)'", str(cause)):
                    raise WeirError(f"{path} calls {found[1]}, which ONNX has no counterpart of") from error
                cause = cause.__cause__
            raise WeirError(f"{path} cannot be converted: {first_line(error)}") from error
        graph = made.model.graph
        for value, state in zip(graph.inputs[len(graph.inputs) - len(states):], states):
            value.name = state.name
        names = [*outputs, *(f"{state.name}.next" for state in states)]
        if len({id(value) for value in graph.outputs}) != len(names):
            raise WeirError(f"{path} gives one value under two names, which an ONNX model cannot")
        for value, name in zip(graph.outputs, names):
            value.name = name
        return made


class OnnxRunner:
    """A model.onnx in ONNX Runtime. Called with the program's inputs it gives its outputs, and keeps the states."""

    def __init__(self, path: Path, states: list[State]):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.names = [value.name for value in self.session.get_inputs()]
        self.states = [torch.zeros(state.shape, dtype=state.dtype).numpy() for state in states]

    def __call__(self, *inputs: torch.Tensor) -> list[torch.Tensor]:
        values = [*(value.contiguous().numpy() for value in inputs), *self.states]
        try:
            outputs = self.session.run(None, dict(zip(self.names, values, strict=True)))
        except Exception as error:  # its errors have no base of their own
            raise RuntimeError(first_line(error)) from error
        count = len(outputs) - len(self.states)
        self.states = outputs[count:]
        return [torch.from_numpy(value) for value in outputs]


class OpenVINORunner:
    """A model.xml in OpenVINO, on the processor and in f32; the states are the model's own."""

    def __init__(self, path: Path):
        import openvino

        self.request = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
        self.names = [value.get_any_name() for value in self.request.model_inputs]

    def __call__(self, *inputs: torch.Tensor) -> list[torch.Tensor]:
        values = [value.contiguous().numpy() for value in inputs]
        outputs = self.request.infer(dict(zip(self.names, values, strict=True)))
        return [torch.from_numpy(outputs[index].copy()) for index in range(len(self.request.model_outputs))]


def _guard_positions(model, outputs: list[str], max_length: int):
    """Logits and records of rows that have a position behind the caches become NaN. OpenVINO does not always look where it
    writes to: with one thread it has no error for that."""
    from openvino import opset13 as ops

    positions = model.input("positions")
    readers = positions.get_target_inputs()
    inside = ops.minimum(positions, ops.constant(max_length - 1, dtype=positions.get_element_type()))
    for reader in readers:
        reader.replace_source_output(inside.output(0))
    behind = ops.greater_equal(positions, ops.constant(max_length, dtype=positions.get_element_type()))
    behind = ops.reduce_logical_or(behind, ops.constant([1], dtype="int64"), keep_dims=True)
    for name in outputs:
        result = model.output(name).get_node()
        value = result.input(0).get_source_output()
        more = list(range(2, value.get_partial_shape().rank.get_length()))
        of_row = ops.unsqueeze(behind, ops.constant(more, dtype="int64")) if more else behind
        told = ops.select(of_row, ops.constant(float("nan"), dtype=value.get_element_type()), value)
        value.get_tensor().set_names(value.get_names() - {name})
        told.output(0).get_tensor().set_names({name})
        result.input(0).replace_source_output(told.output(0))


def _stateful(source: Path, states: list[State], outputs: list[str], max_length: int, to: Path):
    """The ONNX model with its states inside, as model.xml and model.bin."""
    import openvino
    from openvino._offline_transformations import apply_make_stateful_transformation

    try:
        model = openvino.convert_model(source)
        _guard_positions(model, outputs, max_length)
        apply_make_stateful_transformation(model, {state.name: f"{state.name}.next" for state in states})
        if [value.get_any_name() for value in model.outputs] != outputs:
            raise WeirError("OpenVINO's outputs are not the program's")
        openvino.save_model(model, to / "model.xml", compress_to_fp16=False)
    except RuntimeError as error:
        raise WeirError(f"OpenVINO cannot convert the program: {first_line(error)}") from error


def _convert(target: str, path: str | Path, output: str | Path, progress: Callable[[str], None],
             allow_operators: Sequence[str]) -> Path:
    _need(target)
    path, output = Path(path), Path(output)
    archive, expected = _archive(path)
    with _opening(archive, allow_operators=allow_operators, **expected) as opened:
        program, info = opened.program, opened.info or {}
        if not {"input_ids", "positions"} <= set(comparison.inputs_of(program)) or \
                not {"vocab_size", "max_batch", "max_length"} <= set(info):
            raise WeirError(f"{archive} is no program of python -m weir export or weirc build")
        narrow = {str(tensor.dtype).removeprefix("torch.") for tensor in {**program.state_dict, **program.constants}.values()
                  if tensor.is_floating_point() and tensor.dtype not in (torch.float32, torch.float64)}
        if narrow:
            raise WeirError(f"{archive} has numbers in {' and '.join(sorted(narrow))}, in which these runtimes multiply no "
                            "matrices on processors: export the model with --dtype f32")
        steering = programs.steering_of(opened, archive)
        about = {"weir": target, **{key: info[key] for key in ("max_batch", "max_length", "vocab_size")},
                 **{key: steering[key] for key in ("model", "plans", "knobs", "records", "fixed") if steering.get(key)}}
        with whole.folder(output, path, about, mark=INFO, maker=f"python -m weir {target}") as to, \
                tempfile.TemporaryDirectory(prefix="weir-", dir=to) as scratch:
            inputs = list(comparison.inputs_of(program))
            progress("turning caches into inputs and outputs")
            with _quiet():
                changed, states = explicit(program, executorch_model.DECOMPOSITIONS if target == "executorch" else None)
            outputs = steering.get("outputs", ["logits"])
            progress("converting")
            if target == "executorch":
                executorch_model.write(changed, to / "model.pte", archive)
                del changed
                runner = executorch_model.ExecuTorchRunner(to / "model.pte", states)
            else:
                made = _onnx_model(changed, states, outputs, archive)
                size = sum(tensor.numel() * tensor.element_size() for tensor in program.state_dict.values())
                place = to if target == "onnx" else Path(scratch)
                made.save(str(place / "model.onnx"), external_data=size > _INLINE)
                del made, changed
                if target == "openvino":
                    progress("making it stateful")
                    _stateful(place / "model.onnx", states, outputs, info["max_length"], to)
                    runner = OpenVINORunner(to / "model.xml")
                else:
                    runner = OnnxRunner(to / "model.onnx", states)
            comparison.compare(opened, runner, archive, progress, allow_operators, what=f"the {target} model",
                               tolerances=_TOLERANCE)
            for name, text in opened.texts.items():
                (to / name).write_bytes(text)
            about |= {"inputs": inputs, "outputs": outputs,
                      "state": [{"name": state.name, "shape": state.shape, "dtype": str(state.dtype).removeprefix("torch.")}
                                for state in states]}
        return output


def to_onnx(path: str | Path, output: str | Path, *, progress: Callable[[str], None] = lambda line: None,
            allow_operators: Sequence[str] = ()) -> Path:
    """Writes the folder `output` with model.onnx (and model.onnx.data from 1 GiB on), weir.json and the tokenizer's files.
    `path` is an archive or a folder of weirc build, in f32 and without kernels.

    The model has the program's inputs and outputs and, for each of the `state` of weir.json, an input NAME (zeros at first)
    and an output NAME.next, which is the input of the next pass.

    Raises WeirError for what cannot be converted, and if ONNX Runtime's logits are not the program's; nothing is
    written then.
    """
    return _convert("onnx", path, output, progress, allow_operators)


def to_openvino(path: str | Path, output: str | Path, *, progress: Callable[[str], None] = lambda line: None,
                allow_operators: Sequence[str] = ()) -> Path:
    """The same for OpenVINO: model.xml and model.bin, which keep the state themselves (reset_state of the request begins
    anew)."""
    return _convert("openvino", path, output, progress, allow_operators)


def to_executorch(path: str | Path, output: str | Path, *, progress: Callable[[str], None] = lambda line: None,
                  allow_operators: Sequence[str] = ()) -> Path:
    """The same for ExecuTorch: model.pte, whose method `forward` takes the inputs and then the `state` of weir.json, and
    gives the outputs and then the new states."""
    return _convert("executorch", path, output, progress, allow_operators)
