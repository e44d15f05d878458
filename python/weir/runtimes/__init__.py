# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs for other runtimes: ONNX, OpenVINO, ExecuTorch.

    to_onnx("steered", "onnx")          model.onnx, whose caches are inputs and outputs
    to_openvino("steered", "openvino")  model.xml and model.bin, whose caches are its state
    to_executorch("steered", "pte")     model.pte, whose caches are inputs and outputs

Plans and knobs stay inputs; a program that one plan is compiled into (weirc build --fixed) has none of them. What is
written was run with its own runtime and compared with weir-run's reference engine first.
"""

from .convert import TARGETS, to_executorch, to_onnx, to_openvino

__all__ = ["TARGETS", "to_executorch", "to_onnx", "to_openvino"]
