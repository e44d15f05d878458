# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What different plans in a batch cost: 256 rows of a token each follow 1 to 256 of 256 plans, each of which reads,
scales and writes 8 features of its own at a site. The kernel and aten, in turns, and the time in which the machine
reads as many bytes as the plans touch, from where they lie in the caches.

    OMP_NUM_THREADS=1 python benchmarks/kernels/plans.py --widths 576 2304
"""

import argparse
import tempfile
from pathlib import Path

import torch
from compiled import compiled, in_turns, line, table
from torch.nn import functional
from weir import kernels

SITE = """
flow.dictionary @d of @sae at <0/res> reads <0/res> features {features} width {d} activation <relu>
{declared}
!x = tensor<?x?x{d}xf32>
!f = tensor<?x?x{k}xf32>
fx.program @main(%x: !x = #fx.input<user_input>, %plan: tensor<?xi64> = #fx.input<user_input>) {{
  %slot = steer.slot %plan in [{slots}] : tensor<?xi64>
  %i = steer.lookup %slot : tensor<?xi64> in dense<{indices}> : tensor<{count}x{k}xi64>
  %s = steer.lookup %slot : tensor<?xi64> in dense<{factors}> : tensor<{count}x{k}xf32>
  %g = steer.lookup %slot : tensor<?xi64> in dense<{gates}> : tensor<{count}x1xi1>
  %y = steer.patch %x at <0/res> {{
  ^bb0(%h: !x):
    %f = steer.row_read %h at %i of @d [{rows}] activation <relu> size {features} : !x, tensor<?x1x{k}xi64>
    %v = steer.row_scale %f by %s : !f, tensor<?x1x{k}xf32>
    %c = steer.delta %f to %v where %g : tensor<?x1x1xi1> : !f
    %w = steer.row_write %h, %c at %i along [#flow.rows<decoder of @d[{rows}]>] : !x, !f, tensor<?x1x{k}xi64>
    steer.yield %w : !x
  }} : !x
  fx.return %y : !x as [#fx.output<user_output>]
}}
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=int, nargs="+", default=[576])
    parser.add_argument("--plans", type=int, nargs="+", default=[1, 2, 4, 16, 64, 256])
    parser.add_argument("--features", type=int, default=8, help="of a plan")
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--turn", type=float, default=0.02, help="seconds")
    arguments = parser.parse_args()
    kernels.register()
    k, batch, most = arguments.features, arguments.rows, max(arguments.plans)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} thread(s); microseconds a call\n")
    table(["d", "plans", "kernel", "aten", "of one plan's time", "bytes touched", "aten / kernel"])
    for d in arguments.widths:
        random = torch.Generator().manual_seed(1)
        features = most * k
        encoder, decoder = (torch.randn(features, d, generator=random) / d**0.5 for _ in range(2))
        bias = torch.randn(features, generator=random)
        chosen = torch.randperm(features, generator=random).reshape(most, k)
        factors = torch.randn(most, k, generator=random)
        stored = {"encoder": encoder, "encoder_bias": bias, "decoder": decoder}

        def stack(rows, first):
            return [first, *rows.tolist()]

        with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
            site = compiled(SITE.format(
                features=features, d=d, k=k, count=most + 1, declared="\n".join(f"steer.plan @p{i} []" for i in range(most)),
                slots=", ".join(str(i + 1) for i in range(most)), indices=stack(chosen, [0] * k),
                factors=stack(factors, [0.0] * k), gates=str([[i > 0] for i in range(most + 1)]).lower(),
                rows=", ".join(map(str, range(features)))), Path(folder), lambda part, rows: stored[part][rows])
            x = torch.randn(batch, 1, d, generator=random)

            def aten(x, plan):
                index = chosen[plan]
                f = torch.relu((functional.embedding(index, encoder) @ x.mT).squeeze(-1) + bias[index])
                c = f * factors[plan] - f
                return x + c[:, None] @ functional.embedding(index, decoder)

            contestants = {}
            for plans in arguments.plans:
                plan = torch.arange(batch) % plans
                contestants["kernel", plans] = lambda plan=plan: site(x, [plan])
                contestants["aten", plans] = lambda plan=plan: aten(x, plan)
                torch.testing.assert_close(contestants["kernel", plans](), contestants["aten", plans](), rtol=1e-4, atol=1e-4)
            best = in_turns(contestants, arguments.turns, arguments.turn)
            for plans in arguments.plans:
                ours, theirs = best["kernel", plans], best["aten", plans]
                line([d, plans, f"{ours * 1e6:.1f}", f"{theirs * 1e6:.1f}", f"{ours / best['kernel', arguments.plans[0]]:.2f}",
                      f"{plans * k * d * 8:,}", f"{theirs / ours:.1f}"])


if __name__ == "__main__":
    main()
