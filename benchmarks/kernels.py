# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Times the kernel of a site against other ways to compute the same edit, and prints a Markdown table.

k features of a JumpReLU dictionary are read and scaled, and the difference is added along
their decoder rows: x + (r f - f) W_dec, f = jumprelu(x W_enc + b_enc). Contestants, all in one process and in turns:

    kernel    weir.edit
    compiled  torch.compile of the formula (with --compile; needs a C++ compiler)
    eager     the formula, a call at a time
    saelens   encode, edit and decode with the error term, all F features (with --features)
    bytes     the time in which the machine reads as many bytes as the kernel does: a product of a matrix that
              is as large with a vector, the fastest of the same turns

A turn runs a contestant for at least --turn seconds, and the fastest turn counts: other work on the machine
makes turns slower and never faster.

    OMP_NUM_THREADS=1 python benchmarks/kernels.py --widths 576 2304 --features-read 1 8 64 --tokens 1 16 512
"""

import argparse
import re
import subprocess
import tempfile
import time
from pathlib import Path

import torch
import weir
from weir import kernels

SITE = """
flow.dictionary @d of @sae at <0/res> reads <0/res> features {features} width {d} activation <jumprelu>
steer.plan @a []
fx.program @main(%x: !x = #fx.input<user_input>, %plan: tensor<?xi64> = #fx.input<user_input>) {{
  %p = steer.in_plans %plan [0] : tensor<?xi64>
  %y = steer.patch %x at <0/res> {{
  ^bb0(%h: !x):
    %f = steer.read %h of @d [{rows}] activation <jumprelu> size {features} : !x
    %v = steer.scale_by %f [0.5] : !f
    %c = steer.delta %f to %v where %p : tensor<?x1x1xi1> : !f
    %w = steer.write %h, %c along [#flow.rows<decoder of @d[{rows}]>] : !x, !f
    steer.yield %w : !x
  }} : !x
  fx.return %y : !x as [#fx.output<user_output>]
}}
"""


def kernel(d: int, k: int, dtype: str, folder: Path) -> tuple[str, str]:
    """Compiles and loads the kernel of a site: its name, and the lines of IR that call it."""
    text = f"!x = tensor<?x?x{d}x{dtype}>\n!f = tensor<?x?x{k}xf32>\n" + SITE.format(
        d=d, features=max(k, 2), rows=", ".join(map(str, range(k))))
    name = folder / f"site-{d}-{k}-{dtype}"
    name.with_suffix(".mlir").write_text(text)
    lowered = subprocess.run([weir.tool("weir-opt"), name.with_suffix(".mlir"),
                              "--pass-pipeline=builtin.module(weir-lower{lower=kernel})", "--mlir-print-op-generic"],
                             check=True, capture_output=True, text=True).stdout
    name.with_suffix(".lowered.mlir").write_text(lowered)
    subprocess.run([weir.tool("weir-codegen"), name.with_suffix(".lowered.mlir"), "-o", name.with_suffix(".so")], check=True)
    kernels.load(name.with_suffix(".so"))
    return re.search(r'edit_[0-9a-f]{16}', lowered).group(), lowered


def timed(run, seconds: float) -> float:
    """Seconds of one call, over as many as fit."""
    count, start = 0, time.perf_counter()
    while True:
        run()
        count += 1
        if (passed := time.perf_counter() - start) >= seconds:
            return passed / count


def measure(d, k, tokens, dtype, arguments, folder):
    kind = {"f32": torch.float32, "bf16": torch.bfloat16}[dtype]
    random = torch.Generator().manual_seed(1)
    x = torch.randn(1, tokens, d, generator=random).to(kind)
    encoder, decoder = (torch.randn(k, d, generator=random) / d**0.5 for _ in range(2))
    bias, threshold = torch.randn(k, generator=random), torch.rand(k, generator=random)
    name, lowered = kernel(d, k, dtype, folder)
    plan = torch.zeros(1, dtype=torch.int64)
    by_role = {"encoder of": encoder, "encoder_bias of": bias, "threshold of": threshold, "decoder of": decoder}
    numbers, integers = torch.tensor([0.5]), torch.tensor([0])
    constants = [numbers, integers]
    for recipe in re.findall(r"#flow\.rows<(\w+ of) ", "\n".join(
            line for line in lowered.splitlines() if '"fx.constant"' in line)):
        constants.append(by_role[recipe])

    def formula(x, plan):
        z = torch.nn.functional.linear(x.float(), encoder, bias)
        f = torch.relu(torch.where(z > threshold, z, 0.0))
        c = torch.where((plan == 0)[:, None, None], 0.5 * f - f, 0.0)
        return (x.float() + c @ decoder).to(x.dtype)

    contestants = {"kernel": lambda: torch.ops.weir.edit(x, [plan], constants, name), "eager": lambda: formula(x, plan)}
    if arguments.compile:
        compiled = torch.compile(formula, dynamic=False)
        contestants["compiled"] = lambda: compiled(x, plan)
    if arguments.features:
        F = arguments.features
        w_enc, w_dec = torch.randn(d, F, generator=random) / d**0.5, torch.randn(F, d, generator=random) / d**0.5
        b_enc, theta = torch.zeros(F), torch.rand(F, generator=random)

        def whole():
            wide = x.float()
            z = wide @ w_enc + b_enc
            f = torch.relu(z) * (z > theta)
            error = wide - f @ w_dec
            f[..., :k] *= 0.5
            return (f @ w_dec + error).to(x.dtype)

        contestants["saelens"] = whole
    bytes_ = 4 * (2 * k * d + 2 * k) + 2 * x.nbytes
    matrix = torch.randn(max(1, bytes_ // 4 // 1024), 1024)
    vector = torch.randn(1024)
    contestants["bytes"] = lambda: torch.mv(matrix, vector)
    with torch.inference_mode():
        torch.testing.assert_close(contestants["kernel"]().float(), formula(x, plan).float(),
                                   rtol=2e-2 if dtype == "bf16" else 1e-4, atol=2e-2 if dtype == "bf16" else 1e-4)
        best = dict.fromkeys(contestants, float("inf"))
        for run in contestants.values():
            run()
        for _ in range(arguments.turns):
            for which, run in contestants.items():
                best[which] = min(best[which], timed(run, arguments.turn))
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=int, nargs="+", default=[576])
    parser.add_argument("--features-read", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--tokens", type=int, nargs="+", default=[1, 16, 512])
    parser.add_argument("--dtypes", nargs="+", default=["f32"], choices=["f32", "bf16"])
    parser.add_argument("--features", type=int, default=0, help="features of the whole dictionary, for saelens")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--turn", type=float, default=0.05, help="seconds")
    arguments = parser.parse_args()
    kernels.register()
    names = ["kernel", "eager", *(["compiled"] if arguments.compile else []), *(["saelens"] if arguments.features else []),
             "bytes"]
    print(f"torch {torch.__version__}, {torch.get_num_threads()} thread(s); microseconds a call\n")
    print("| d | k | tokens | type | " + " | ".join(names) + " | others / kernel | bytes / kernel |")
    print("|" + "---|" * (6 + len(names)))
    with tempfile.TemporaryDirectory() as folder:
        for dtype in arguments.dtypes:
            for d in arguments.widths:
                for k in arguments.features_read:
                    for tokens in arguments.tokens:
                        best = measure(d, k, tokens, dtype, arguments, Path(folder))
                        rest = min(best[name] for name in names if name not in ("kernel", "bytes", "saelens"))
                        print(f"| {d} | {k} | {tokens} | {dtype} | " + " | ".join(f"{best[name] * 1e6:.1f}" for name in names)
                              + f" | {rest / best['kernel']:.2f} | {best['bytes'] / best['kernel']:.2f} |", flush=True)


if __name__ == "__main__":
    main()
