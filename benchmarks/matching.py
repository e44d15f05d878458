# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Times exact matching against other ways to get it.

Contestants take turns, and the best turn of each counts. The products that the
machine can do in f32 and bf16 are measured in the same run, so that ratios can
be compared between machines. faiss and lapx take part if they are installed.

    python benchmarks/matching.py --features 16384 --width 576 2304 --repeats 2
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

from weir import matching


def turns(contestants: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    best = dict.fromkeys(contestants, float("inf"))
    for _ in range(repeats):
        for name, run in contestants.items():
            start = time.perf_counter()
            run()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def rows(count: int, width: int, rng: np.random.Generator) -> np.ndarray:
    made = rng.standard_normal((count, width), dtype=np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def top_one(count: int, width: int, repeats: int) -> None:
    rng = np.random.default_rng(1)
    a, b = rows(count, width, rng), rows(count, width, rng)
    ta, tb = torch.from_numpy(a), torch.from_numpy(b)
    block = 1024

    def torch_blocks() -> None:
        for i in range(0, count, block):
            (ta[i : i + block] @ tb.T).max(dim=1)

    def numpy_blocks() -> None:
        for i in range(0, count, block):
            (a[i : i + block] @ b.T).argmax(axis=1)

    found = matching.top_k(a, b)
    contestants: dict[str, Callable[[], object]] = {
        "weir, exact": lambda: matching.top_k(a, b),
        "weir, exact, f32 screen": lambda: matching.top_k(a, b, screen="f32"),
        "torch matmul + max": torch_blocks,
        "numpy matmul + argmax": numpy_blocks,
    }
    try:
        import faiss

        faiss.omp_set_num_threads(torch.get_num_threads())
        contestants["faiss knn"] = lambda: faiss.knn(a, b, 1, metric=faiss.METRIC_INNER_PRODUCT)
    except ImportError:
        pass
    ha, hb, out = ta.bfloat16(), tb.bfloat16(), torch.empty(min(4096, count), block)
    contestants["[f32 product of a block]"] = lambda: torch.mm(ta[:4096], tb[:block].T, out=out)
    half = torch.empty(min(4096, count), block, dtype=torch.bfloat16)
    contestants["[bf16 product of a block]"] = lambda: torch.mm(ha[:4096], hb[:block].T, out=half)
    times = turns(contestants, repeats)
    work = 2e-9 * count * count * width
    print(f"\ntop-1 of {count} x {count}, width {width}: {found.survivors / count:.2f} survivors a row ({found.screen})")
    for name, seconds in times.items():
        done = 2e-9 * min(4096, count) * block * width if name.startswith("[") else work
        print(f"  {name:28} {seconds:9.3f} s {done / seconds:8.0f} Gflop/s {seconds / times['weir, exact']:7.2f} x", flush=True)


def problems(count: int, width: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(2)
    a = rows(count, width, rng)
    planted = a + np.float32(0.5 / width**0.5) * rng.standard_normal(a.shape, dtype=np.float32)
    centres = rows(max(1, count // 64), width, rng)
    near, far = (
        centres[rng.integers(0, len(centres), count)] + np.float32(0.7) * rows(count, width, rng) for _ in range(2))
    return {"planted": (a, planted[rng.permutation(count)]), "uniform": (a, rows(count, width, rng)),
            "clustered": (near, far)}


def assignments(count: int, width: int, repeats: int, others: list[str]) -> None:
    for kind, (a, b) in problems(count, width).items():
        found = matching.permutation(a, b, "cosine")
        contestants: dict[str, Callable[[], object]] = {"weir, with the product": lambda a=a, b=b: matching.permutation(a, b, "cosine")}
        unit_a, unit_b = (torch.from_numpy(side / np.linalg.norm(side, axis=1, keepdims=True)) for side in (a, b))
        cost = -(unit_a @ unit_b.T).numpy()
        if "scipy" in others:
            from scipy.optimize import linear_sum_assignment

            contestants["scipy, without the product"] = lambda cost=cost: linear_sum_assignment(cost)
        if "lapx" in others:
            import lap

            contestants["lapx, without the product"] = lambda cost=cost: lap.lapjv(cost)
        times = turns(contestants, repeats)
        certificate = found.certificate
        print(f"\nassignment of {count}, width {width}, {kind}: {found.rounds} rounds, {found.arcs / count:.1f} pairs a row, "
              f"{found.priced_rows} rows priced, gap {certificate.gap:.1e}, worst reduced cost {certificate.worst_reduced_cost:.1e}")
        for name, seconds in times.items():
            print(f"  {name:28} {seconds:9.3f} s {seconds / times['weir, with the product']:7.2f} x", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", type=int, default=16384)
    parser.add_argument("--width", type=int, nargs="*", default=[576, 2304])
    parser.add_argument("--assignment-features", type=int, default=16384)
    parser.add_argument("--assignment-width", type=int, default=576)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--against", nargs="*", default=["scipy"], choices=["scipy", "lapx"])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{options.threads} thread(s), torch {torch.__version__}, numpy {np.__version__}")
    for width in options.width:
        top_one(options.features, width, options.repeats)
    if options.assignment_features:
        assignments(options.assignment_features, options.assignment_width, options.repeats, options.against)


if __name__ == "__main__":
    main()
