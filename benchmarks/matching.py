# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Times exact matching against other ways to get it, and prints Markdown tables.

Every turn of a contestant is a process of its own, which makes the inputs, warms
up on a small problem, and reports its time and how much memory it took on top of
the inputs. Contestants take turns, and the best turn of each counts: that of the
least time of the processor, which is what is compared, as other work on the machine
disturbs it less than the clock; with several threads the clock counts. The products
that the machine can do in f32, bf16 and int8 are measured in between, so that
figures from different machines can be compared.

Everybody starts from the rows [F, d] in f32 of norm 1: who wants a matrix of costs
makes it within its time, by torch. Faiss, lapjv and lapx come with
python/requirements-benchmarks.lock; those that are missing are named and left out.

    python benchmarks/matching.py --threads 1 --repeats 2
"""

import argparse
import ctypes
import importlib.util
import json
import os
import subprocess
import sys
import time

BLOCK = 1024
PROBLEMS = ("planted", "uniform", "clustered")
MODULES = {"faiss": "faiss", "lapjv": "lapjv", "lapx": "lap", "scipy": "scipy"}
TOP_ONE = ("weir", "weir, f32 screen", "faiss", "torch", "numpy")
ASSIGNMENT = ("weir", "lapjv", "lapx", "scipy")
PEAKS = ("product in f32", "product in bf16", "product in int8")


def rows(count, width, rng):
    import numpy as np

    made = rng.standard_normal((count, width), dtype=np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def unit(made):
    import numpy as np

    return made / np.linalg.norm(made, axis=1, keepdims=True)


def problem(kind, count, width):
    """Rows of norm 1: a permutation with noise, unrelated rows, or rows around F / 64 centres."""
    import numpy as np

    rng = np.random.default_rng(2)
    a = rows(count, width, rng)
    if kind == "planted":
        noisy = a + np.float32(0.5 / width**0.5) * rng.standard_normal(a.shape, dtype=np.float32)
        return a, unit(noisy[rng.permutation(count)])
    if kind == "uniform":
        return a, rows(count, width, rng)
    centres = rows(max(1, count // 64), width, rng)
    return tuple(unit(centres[rng.integers(0, len(centres), count)] + np.float32(0.7) * rows(count, width, rng))
                 for _ in range(2))


def top_one(who, a, b):
    import torch

    from weir import matching

    if who.startswith("weir"):
        return matching.top_k(a, b, screen="f32" if "f32" in who else "auto").indices[:, 0]
    if who == "faiss":
        import faiss

        faiss.omp_set_num_threads(torch.get_num_threads())
        index = faiss.IndexFlatIP(a.shape[1])
        index.add(b)
        return index.search(a, 1)[1][:, 0]
    if who == "torch":
        ta, tb = torch.from_numpy(a), torch.from_numpy(b)
        return torch.cat([(ta[i : i + BLOCK] @ tb.T).max(dim=1).indices for i in range(0, len(a), BLOCK)]).numpy()
    import numpy as np

    return np.concatenate([(a[i : i + BLOCK] @ b.T).argmax(axis=1) for i in range(0, len(a), BLOCK)])


def assignment(who, a, b):
    import numpy as np
    import torch

    if who == "weir":
        from weir import matching

        found = matching.permutation(a, b, "cosine")
        certificate = found.certificate
        return found.permutation, {"rounds": found.rounds, "pairs": found.arcs, "priced": found.priced_rows,
                                   "gap": certificate.gap, "worst": certificate.worst_reduced_cost}
    cost = torch.from_numpy(a) @ torch.from_numpy(b).T
    cost = cost.neg_().numpy()
    if who == "lapjv":
        import lapjv

        return lapjv.lapjv(cost)[0], {}
    if who == "lapx":
        import lap

        return lap.lapjv(cost, return_cost=False)[0], {}
    from scipy.optimize import linear_sum_assignment

    return linear_sum_assignment(cost)[1].astype(np.int64), {}


def product(who, width):
    """Gigaoperations a second of one product that fits no cache but the last."""
    import torch

    kind = {"f32": torch.float32, "bf16": torch.bfloat16, "int8": torch.int8}[who.split()[-1]]
    timer = time.process_time if torch.get_num_threads() == 1 else time.perf_counter

    def best(size, turns):
        a, b = ((100 * torch.randn(size, width)).clamp(-127, 127).to(kind) for _ in range(2))
        seconds = float("inf")
        for _ in range(turns):
            start = timer()
            torch._int_mm(a, b.T) if kind == torch.int8 else a @ b.T
            seconds = min(seconds, timer() - start)
        return 2e-9 * size * size * width / seconds

    small = best(512, 2)
    # What the processor has no instructions for is a plain loop in PyTorch, and takes minutes.
    return small if small < 4 else best(4096, 4)


def memory(what):
    """VmRSS, what the process holds now, or VmHWM, the most it held since `forget`; in MiB."""
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(what + ":")) / 1024


def forget():
    # What the allocator keeps would hide what is taken next.
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def child(case):
    """One turn, told and answered in JSON."""
    import numpy as np
    import torch

    torch.set_num_threads(case["threads"])
    who, count, width = case["who"], case["features"], case["width"]
    if case["task"] == "product":
        return {"rate": product(who, width)}
    run = top_one if case["task"] == "top-1" else assignment
    run(who, *problem("uniform", 600, width))
    a, b = problem(case["kind"], count, width)
    forget()
    before = memory("VmRSS")
    start, busy = time.perf_counter(), time.process_time()
    found = run(who, a, b)
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    match, numbers = found if isinstance(found, tuple) else (found, {})
    total = float(np.einsum("ij,ij->i", a, b[match], dtype=np.float64).sum())
    return {"clock": seconds, "seconds": busy if case["threads"] == 1 else seconds, "memory": memory("VmHWM") - before, "peak": memory("VmHWM"), "total": total, **numbers}


def turn(case, limit):
    environment = dict(os.environ, OMP_NUM_THREADS=str(case["threads"]), MKL_NUM_THREADS=str(case["threads"]),
                       OPENBLAS_NUM_THREADS=str(case["threads"]))
    try:
        done = subprocess.run([sys.executable, __file__, "--case", json.dumps(case)], capture_output=True, text=True,
                              timeout=limit, env=environment)
    except subprocess.TimeoutExpired:
        return None
    if done.returncode:
        sys.exit(f"{case}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def race(case, contestants, options):
    """The best turn of each contestant, and the best rates of the products."""
    best, rates = {}, dict.fromkeys(PEAKS, 0.0)
    for _ in range(options.repeats):
        for who in PEAKS if case["task"] == "top-1" else ():
            made = turn(dict(case, task="product", who=who), options.limit)
            rates[who] = max(rates[who], made["rate"])
        for who in contestants:
            if best.get(who, {}) is None:
                continue  # too slow once
            made = turn(dict(case, who=who), options.limit)
            if made is None or who not in best or made["seconds"] < best[who]["seconds"]:
                best[who] = made
    return best, rates


def present(names):
    return [name for name in names
            if name.split(",")[0] not in MODULES or importlib.util.find_spec(MODULES[name.split(",")[0]])]


def line(who, made, best, work=None):
    if made is None:
        return f"| {who} | over the limit | | | |" + (" |" if work else "")
    first = best["weir"]
    cells = [who, f"{made['seconds']:.2f}", f"{made['clock']:.2f}", f"{made['seconds'] / first['seconds']:.2f}", f"{made['memory']:.0f}"]
    if work:
        cells.append(f"{work / made['seconds']:.0f}")
    else:
        # Above 0: pairs that are more alike in total than ours, which cannot be.
        cells.append(f"{made['total'] - first['total']:+.1e}")
    return "| " + " | ".join(cells) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", type=int, nargs="*", default=[16384], help="rows for top-1")
    parser.add_argument("--width", type=int, nargs="*", default=[576, 2304], help="widths for top-1")
    parser.add_argument("--assignment-features", type=int, nargs="*", default=[16384])
    parser.add_argument("--assignment-width", type=int, default=576)
    parser.add_argument("--top-one-problems", nargs="*", default=["uniform"], choices=PROBLEMS, help="of the top-1")
    parser.add_argument("--problems", nargs="*", default=list(PROBLEMS), choices=PROBLEMS, help="of the assignment")
    parser.add_argument("--alone", type=int, nargs="*", default=[], help="rows at which only Weir is timed, at the assignment width")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--assignment-repeats", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--limit", type=float, default=900, help="seconds a turn may take")
    parser.add_argument("--without", nargs="*", default=[], help="contestants to leave out")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(child(json.loads(options.case))))
        return
    missing = [name for name in MODULES if not importlib.util.find_spec(MODULES[name])]
    if missing:
        print(f"Not installed, left out: {', '.join(missing)} (python/requirements-benchmarks.lock).\n")
    import numpy as np
    import torch

    print(f"{options.threads} thread(s), torch {torch.__version__}, NumPy {np.__version__}", flush=True)
    base = {"threads": options.threads}
    contestants = [who for who in present(TOP_ONE) if who not in options.without]
    sizes = [(count, contestants) for count in options.features] + [(count, ["weir"]) for count in options.alone]
    for width in options.width:
        for count, taking_part in sizes:
            if taking_part == ["weir"] and width != options.assignment_width:
                continue
            for kind in options.top_one_problems:
                best, rates = race(dict(base, task="top-1", features=count, width=width, kind=kind), taking_part, options)
                print(f"\nExact top-1 of {count} x {count}, d = {width}, {kind}; products alone: "
                      + ", ".join(f"{who.split()[-1]} {rate:.0f} Gop/s" for who, rate in rates.items())
                      + "\n\n| | seconds | by the clock | / Weir | MiB | Gop/s |\n|---|---|---|---|---|---|")
                for who, made in best.items():
                    print(line(who, made, best, 2e-9 * count * count * width), flush=True)
    options.repeats = options.assignment_repeats
    contestants = [who for who in present(ASSIGNMENT) if who not in options.without]
    sizes = [(count, contestants) for count in options.assignment_features]
    for count, taking_part in sizes + [(count, ["weir"]) for count in options.alone]:
        for kind in options.problems:
            best, _ = race(dict(base, task="assignment", features=count, width=options.assignment_width, kind=kind),
                           taking_part, options)
            ours = best["weir"]
            if ours is None:
                print(f"\nAssignment of {count}, {kind}: over the limit", flush=True)
                continue
            print(f"\nAssignment of {count}, d = {options.assignment_width}, {kind}: {ours['rounds']} rounds, "
                  f"{ours['pairs'] / count:.1f} pairs a row, {ours['priced']} rows priced, gap {ours['gap']:.1e}, worst "
                  f"reduced cost {ours['worst']:.1e}\n\n| | seconds | by the clock | / Weir | MiB | more similar by |\n"
                  "|---|---|---|---|---|---|")
            for who, made in best.items():
                print(line(who, made, best), flush=True)


if __name__ == "__main__":
    main()
