# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A kernel's numbers are the same on every processor, in any block of tokens: the variants that this machine can run,
called as weir_kernels.h says, without PyTorch's dispatcher."""

from __future__ import annotations

import ctypes
import platform
import re
import subprocess

import engines
import pytest
import torch

WIDTH, FEATURES = 90, 11  # not of whole vectors, nor of whole groups of rows
LISTED = ", ".join(map(str, range(FEATURES)))
SITE = f"""
flow.dictionary @d of @sae at <0/res> reads <0/res> features {FEATURES} width {WIDTH} activation <relu>{{normalization}}
steer.plan @a []
!x = tensor<?x?x{WIDTH}xf32>
!f = tensor<?x?x{FEATURES}xf32>
fx.program @main(%x: !x = #fx.input<user_input>, %plan: tensor<?xi64> = #fx.input<user_input>) {{{{
  %p = steer.in_plans %plan [0] : tensor<?xi64>
  %y = steer.patch %x at <0/res> {{{{
  ^bb0(%h: !x):
    %f = steer.read %h of @d [{LISTED}] activation <relu>{{normalization}} size {FEATURES} : !x
    %v = steer.scale_by %f [-1.5] : !f
    %c = steer.delta %f to %v where %p : tensor<?x1x1xi1> : !f
    %w = steer.write %h, %c along [#flow.rows<decoder of @d[{LISTED}]>] : !x, !f
    steer.yield %w : !x
  }}}} : !x
  fx.return %y : !x as [#fx.output<user_output>]
}}}}
"""
FUNCTION = ctypes.CFUNCTYPE(None, ctypes.POINTER(ctypes.c_int64), ctypes.c_int64, ctypes.c_int64)


class Variant(ctypes.Structure):
    _fields_ = [("features", ctypes.c_int64), ("function", FUNCTION)]


class Kernel(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("num_arguments", ctypes.c_int64), ("arguments", ctypes.c_void_p),
                ("num_variants", ctypes.c_int64), ("variants", ctypes.POINTER(Variant))]


class Table(ctypes.Structure):
    _fields_ = [("version", ctypes.c_int64), ("architecture", ctypes.c_int64), ("num_kernels", ctypes.c_int64),
                ("kernels", ctypes.POINTER(Kernel))]


def variants() -> list[str]:
    if platform.machine() == "aarch64":
        return ["neon"]
    flags = re.search(r"^flags\s*:(.*)$", open("/proc/cpuinfo").read(), re.MULTILINE).group(1).split()
    return [name for name, needs in (("v3", {"avx2", "fma", "bmi2"}), ("v4", {"avx512f", "avx512vl", "avx512dq", "avx512bw"}))
            if needs <= set(flags)]


@pytest.fixture(scope="module", params=["", " normalization <layer_norm>"], ids=["as it is", "normalised"])
def functions(request, tmp_path_factory):
    """The function of each variant, what it computes in f64, and its constants."""
    folder = tmp_path_factory.mktemp("variants")
    (folder / "site.mlir").write_text(SITE.format(normalization=request.param))
    lowered = subprocess.run([engines.TOOLS / "weir-opt", folder / "site.mlir", "--mlir-print-op-generic",
                              "--pass-pipeline=builtin.module(weir-lower{lower=kernel})"],
                             check=True, capture_output=True, text=True).stdout
    (folder / "kernel.mlir").write_text(lowered)
    random = torch.Generator().manual_seed(3)
    rows = {"encoder": torch.randn(FEATURES, WIDTH, generator=random) / WIDTH**0.5,
            "encoder_bias": torch.randn(FEATURES, generator=random),
            "decoder": torch.randn(FEATURES, WIDTH, generator=random) / WIDTH**0.5}
    recipes = dict(re.findall(r'(%\d+) = "fx\.constant"\(\) <{value = #flow\.rows<(\w+) of ', lowered))
    dense = dict(re.findall(r'(%\d+) = "fx\.constant"\(\) <{value = dense<([^>]*)> : tensor', lowered))
    count = dict(re.findall(r'(%\d+) = "fx\.constant"\(\) <{value = dense<[^>]*> : tensor<(\d+)x', lowered))
    constants = []
    for each in re.search(r'"fx\.call"\(([^)]*)\)', lowered).group(1).split(", ")[2:]:
        if each in recipes:
            constants.append(rows[recipes[each]])
        else:
            kind = torch.float32 if "." in dense[each] else torch.int64
            constants.append(torch.full((int(count[each]),), float(dense[each])).to(kind))

    def formula(x, plan):
        x = x.double()
        read = (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-5) if request.param else x
        f = torch.relu(read @ rows["encoder"].double().T + rows["encoder_bias"].double())
        c = torch.where((plan == 0)[:, None, None], -2.5 * f, 0.0)
        return x + c @ rows["decoder"].double()

    found = {}
    for name in variants():
        subprocess.run([engines.TOOLS / "weir-codegen", folder / "kernel.mlir", "--variant", name, "-o",
                        folder / f"{name}.so"], check=True)
        table = Table.in_dll(ctypes.CDLL(str(folder / f"{name}.so")), "weir_kernel_table")
        assert table.num_kernels == 1 and table.kernels[0].num_variants == 1
        found[name] = table.kernels[0].variants[0].function
    if not found:
        pytest.skip("no variant runs on this processor")
    return found, formula, constants


def call(function, x, plan, constants, pieces):
    """Runs a kernel on parts of the tokens."""
    y = torch.full_like(x, float("nan"))
    words = []
    for tensor in (x, plan, y, *constants):
        words += [tensor.data_ptr(), tensor.data_ptr(), 0, *tensor.shape,
                  *(0 if size == 1 else stride for size, stride in zip(tensor.shape, tensor.stride()))]
        if tensor.dim() and tensor.shape[-1] == 1 and tensor is not plan:
            words[-1] = 1
    array = (ctypes.c_int64 * len(words))(*words)
    for begin, end in pieces:
        function(array, begin, end)
    return y


@pytest.mark.parametrize("batch, sequence", [(1, 1), (1, 2), (1, 3), (2, 5), (5, 11), (1, 64), (7, 24)])
def test_processors_and_blocks_give_the_same_bits(functions, batch, sequence):
    found, formula, constants = functions
    random = torch.Generator().manual_seed(batch * 100 + sequence)
    x = torch.randn(batch, sequence, WIDTH, generator=random)
    plan = torch.randint(-1, 1, (batch,), generator=random)
    plan[0] = 0
    tokens = batch * sequence
    splits = [[(0, tokens)], [(i, i + 1) for i in range(tokens)],
              [(i, min(i + 5, tokens)) for i in range(0, tokens, 5)]]
    results = [call(function, x, plan, constants, pieces) for function in found.values() for pieces in splits]
    for other in results[1:]:
        assert torch.equal(other, results[0])
    torch.testing.assert_close(results[0].double(), formula(x, plan), rtol=1e-5, atol=2e-5)
    assert torch.equal(results[0][plan < 0], x[plan < 0])
