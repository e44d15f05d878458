# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The Triton kernel of an edited site on a GPU: its numbers, and its time over what its bytes take.

    benchmarks/device.sh                       on a machine with a GPU, PyTorch and Triton
    python benchmarks/device.py --interpret    small sizes by Triton's interpreter, without a GPU: the check alone

The site sets k features of a JumpReLU dictionary to half of what they are, x + Σ (v - f) d, for tokens whose gate holds.
The bytes are those of the value, read and written, and of k encoder and k decoder rows, once each: no kernel can move
fewer. The bandwidth is that of a copy of 1 GiB on the same device, measured before. Beside it, PyTorch's operators one by
one.
"""

import argparse
import importlib.util
import os
import statistics
import sys
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--interpret", action="store_true", help="check small sizes by Triton's interpreter, without a GPU")
arguments = parser.parse_args()
if arguments.interpret:
    os.environ["TRITON_INTERPRET"] = "1"

import torch  # noqa: E402
from torch import fx  # noqa: E402

# The file itself: the package needs more than PyTorch.
_spec = importlib.util.spec_from_file_location(
    "triton_steps", Path(__file__).resolve().parent.parent / "python" / "weir" / "triton_steps.py")
triton_steps = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(triton_steps)
aten = torch.ops.aten


def site(width: int, features: int, dtype: torch.dtype, device: str):
    """The graph that weirc makes of such a site, and its constants."""
    random = torch.Generator().manual_seed(width + features)

    def rows(*shape):
        return torch.randn(shape, generator=random).to(device)

    constants = {"encoder": rows(features, width) / width**0.5, "bias": rows(features) / 10,
                 "threshold": rows(features).abs() / 10, "decoder": rows(features, width)}
    graph = fx.Graph()
    x, gate = graph.placeholder("x"), graph.placeholder("gate")

    def call(target, *args, **kwargs):
        return graph.call_function(target, args, kwargs)

    wide = call(aten.to.dtype, x, torch.float32) if dtype != torch.float32 else x
    z = call(aten.linear.default, wide, graph.get_attr("encoder"), graph.get_attr("bias"))
    f = call(aten.relu.default, call(aten.where.ScalarOther, call(aten.gt.Tensor, z, graph.get_attr("threshold")), z, 0.0))
    delta = call(aten.sub.Tensor, call(aten.mul.Tensor, f, 0.5), f)
    delta = call(aten.where.ScalarOther, gate, delta, 0.0)
    edit = call(aten.matmul.default, delta, graph.get_attr("decoder"))
    y = call(aten.add.Tensor, wide, edit)
    graph.output((call(aten.to.dtype, y, dtype) if dtype != torch.float32 else y,))
    return fx.GraphModule(constants, graph), constants


def formula(x, gate, constants):
    """In f64; and where a feature is so near to its threshold that rounding decides, tokens that say nothing."""
    wide = {name: tensor.double() for name, tensor in constants.items()}
    z = x.double() @ wide["encoder"].T + wide["bias"]
    near = ((z - wide["threshold"]).abs() < 1e-4).any(-1)
    f = torch.where(z > wide["threshold"], z, 0).clamp(min=0)
    return x.double() + torch.where(gate, -0.5 * f, 0) @ wide["decoder"], near


def seconds(run, least: float = 0.05) -> float:
    """The median of a call's time, by events of the device, cold caches included in none."""
    for _ in range(3):
        run()
    times = []
    while sum(times) < least or len(times) < 20:
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        run()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) / 1e3)
    return statistics.median(times)


def bandwidth() -> float:
    """Bytes a second of a copy, read and written."""
    source = torch.empty(1 << 28, dtype=torch.float32, device="cuda")
    target = torch.empty_like(source)
    return 2 * source.numel() * 4 / seconds(lambda: target.copy_(source), 0.2)


def main() -> int:
    device = "cpu" if arguments.interpret else "cuda"
    sizes = ((40,), (1, 3), (1, 4)) if arguments.interpret else ((576, 2304, 4096), (1, 8, 64), (1, 16, 512))
    speed = None
    if not arguments.interpret:
        speed = bandwidth()
        print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, a copy moves {speed / 1e9:.0f} GB/s")
        print(f"{'type':>9} {'d':>5} {'k':>3} {'tokens':>6} {'kernel us':>10} {'bytes us':>9} {'ratio':>6} {'operators us':>13} {'error':>8}")
    worst = 0
    for dtype in (torch.float32, torch.bfloat16):
        for width in sizes[0]:
            for features in sizes[1]:
                graph, constants = site(width, features, dtype, device)
                examples = {"x": torch.empty(2, 2, width, dtype=dtype), "gate": torch.empty(2, 2, 1, dtype=torch.bool)}
                kernel = triton_steps.TritonStep(graph, examples, [examples["x"]])
                for tokens in sizes[2]:
                    random = torch.Generator().manual_seed(tokens)
                    x = torch.randn(tokens, 1, width, generator=random).to(device, dtype)
                    gate = (torch.rand(tokens, 1, 1, generator=random) < 0.75).to(device)
                    got, = kernel(x, gate)
                    want, near = formula(x, gate, constants)
                    # Each of the width + k products and sums of f32 rounds once; bf16 rounds the result, and the interpreter
                    # cuts it off.
                    unit = 2**-24 * (width + features) ** 0.5 * 8 if dtype == torch.float32 else 2**-7 if arguments.interpret else 2**-8
                    error = ((got.double() - want).abs().amax(-1) / want.abs().amax(-1))[~near]
                    error = error.max().item() if error.numel() else 0.0
                    if not error <= unit:
                        print(f"wrong: {dtype} d {width} k {features} tokens {tokens}: {error:.1e} apart", file=sys.stderr)
                        return 1
                    worst = max(worst, error / unit)
                    if speed is None:
                        continue
                    moved = (2 * tokens * width * x.element_size() + 2 * features * width * 4) / speed
                    own, theirs = seconds(lambda: kernel(x, gate)), seconds(lambda: graph(x, gate))
                    print(f"{str(dtype).removeprefix('torch.'):>9} {width:>5} {features:>3} {tokens:>6} {own * 1e6:>10.1f} "
                          f"{moved * 1e6:>9.1f} {own / moved:>6.1f} {theirs * 1e6:>13.1f} {error:>8.1e}")
    print(f"all of them as the formula in f64, the worst at {worst:.2f} of its bound")
    return 0


if __name__ == "__main__":
    sys.exit(main())
