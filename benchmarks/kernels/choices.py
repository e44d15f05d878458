# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compares what --lower=auto chooses with what is really faster, over random sites.

A site draws its width, what it does (additions, edits of read features of any activation and normalisation,
projections, norms, tables of plans) and how many features. It is there four times, one after the other, each with
rows of its own, as sites of a model share what they ask of plans. Both lowerings run in turns, as TorchScript, whose
interpreter calls an operator at a time without Python. Prints each site with --verbose, where the choice is wrong
and by how much, and a summary for each number of tokens. With --fit it prints the measured times as JSON lines, for a
fit of the model's numbers.

    OMP_NUM_THREADS=1 python benchmarks/kernels/choices.py --sites 200
"""

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy
import torch
import weir
from compiled import in_turns
from weir import kernels

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test" / "Steer" / "Inputs"))
from executor import Executor  # noqa: E402  how the compiler's own tests run lowered programs

COPIES = 4
MARK = "\n// -----\n"
MODULE = "module @steer.kernels {\n"


class Rows:
    """Parts of a dictionary, of random numbers."""

    def __init__(self, seed: int, features: int, width: int):
        self.seed, self.features, self.width, self.known = seed, features, width, {}

    def part(self, part, features):
        if part not in self.known:
            draw = numpy.random.default_rng(self.seed + len(part))
            if part in ("encoder", "decoder", "unit_decoder"):
                self.known[part] = draw.standard_normal((self.features, self.width), dtype=numpy.float32) / self.width**0.5
            else:
                self.known[part] = numpy.abs(draw.standard_normal(self.features, dtype=numpy.float32))
        return self.known[part][features or slice(None)]


class Site:
    """A random site as the text of a program, and its dictionaries."""

    def __init__(self, seed: int):
        draw = random.Random(seed)
        self.seed, self.width = seed, draw.choice([64, 256, 576, 1024, 2304, 4096])
        self.kind = draw.choice(["additions", "edits", "edits", "edits", "project", "norm", "tables", "topk"])
        self.count = draw.choice([1, 1, 2, 4, 8, 16, 32, 64])
        self.features = max(self.count, 2)
        self.lines, self.before = [], []
        self.activation = draw.choice(["relu", "jumprelu", "gated", "identity"])
        normalization = draw.choice(["", "", "", " normalization <layer_norm>", " normalization <constant_norm>"])
        if self.kind == "topk":
            self.features = draw.choice([256, 1024, 2048, 4096])
            self.activation = f"topk, {min(32, self.features // 4)}"
        listed = ", ".join(str(i) for i in sorted(draw.sample(range(self.features), self.count)))
        self.declared = (f"flow.dictionary @d of @sae at <0/res> reads <0/res> features {self.features} "
                         f"width {self.width} activation <{self.activation}>{normalization}")
        k, gate = self.count, " where %g : tensor<?x1x1xi1>"
        if self.kind == "additions":
            k = min(k, 8)
            rows = listed.split(", ")[:k]
            for i in range(k):
                self.before.append(f"%s{i} = steer.strength {draw.uniform(1, 8):.3f}{gate}")
            self.lines.append(f"%w = steer.write %h, {', '.join(f'%s{i}' for i in range(k))} along ["
                              + ", ".join(f"#flow.rows<decoder of @d[{row}]>" for row in rows) + "] : !x, "
                              + ", ".join(["tensor<?x1x1xf32>"] * k))
            self.count = k
        elif self.kind in ("edits", "topk", "norm"):
            self.lines.append(f"%f = steer.read %h of @d [{listed}] activation <{self.activation}>{normalization} "
                              f"size {self.features} : !x")
            does = draw.choice(["scale_by %f [{0}]", "set_to %f [{0}]", "clamp_to %f min 0.5 max 4.0"])
            if does.startswith("set_to"):
                does = "set_to %f [{0}]"
            numbers = ", ".join([f"{draw.uniform(-1, 2):.3f}"] * k)
            self.lines.append(f"%v = steer.{does.format(numbers)} : !f")
            self.lines.append(f"%c = steer.delta %f to %v{gate} : !f")
            self.lines.append(f"%w = steer.write %h, %c along [#flow.rows<decoder of @d[{listed}]>] : !x, !f")
            if self.kind == "norm":
                self.lines[-1] = self.lines[-1].replace("%w =", "%u =")
                self.lines.append(f"%w = steer.rescale %u like %h{gate} : !x")
        elif self.kind == "project":
            self.lines.append(f"%w = steer.project %h out of [#flow.basis<#flow.rows<decoder of @d[{listed}]>>]{gate} : !x")
        else:
            plans = draw.choice([2, 8, 32])
            self.features = plans * k
            self.activation = draw.choice(["relu", "jumprelu"])
            rows = ", ".join(map(str, range(self.features)))
            self.declared = (f"flow.dictionary @d of @sae at <0/res> reads <0/res> features {max(self.features, 2)} "
                             f"width {self.width} activation <{self.activation}>\n"
                             + "\n".join(f"steer.plan @p{i} []" for i in range(plans)))
            places = [[0] * k] + [[p * k + i for i in range(k)] for p in range(plans)]
            scales = [[0.0] * k] + [[round(draw.uniform(-1, 2), 3) for _ in range(k)] for _ in range(plans)]
            self.before = [f"%slot = steer.slot %plan in [{', '.join(str(i + 1) for i in range(plans))}] : tensor<?xi64>",
                           f"%i = steer.lookup %slot : tensor<?xi64> in dense<{places}> : tensor<{plans + 1}x{k}xi64>",
                           f"%n = steer.lookup %slot : tensor<?xi64> in dense<{scales}> : tensor<{plans + 1}x{k}xf32>",
                           f"%g = steer.lookup %slot : tensor<?xi64> in dense<{[[i > 0] for i in range(plans + 1)]}> : "
                           f"tensor<{plans + 1}x1xi1>".replace("True", "true").replace("False", "false")]
            self.lines = [f"%f = steer.row_read %h at %i of @d [{rows}] activation <{self.activation}> size "
                          f"{max(self.features, 2)} : !x, tensor<?x1x{k}xi64>",
                          f"%v = steer.row_scale %f by %n : !f, tensor<?x1x{k}xf32>",
                          "%c = steer.delta %f to %v where %g : tensor<?x1x1xi1> : !f",
                          f"%w = steer.row_write %h, %c at %i along [#flow.rows<decoder of @d[{rows}]>] : !x, !f, "
                          f"tensor<?x1x{k}xi64>"]
            self.features = max(self.features, 2)
        if self.kind != "tables":
            self.declared += "\nsteer.plan @a []"
            self.before.insert(0, "%g = steer.in_plans %plan [0] : tensor<?xi64>")
        self.rows = Rows(seed, self.features, self.width)

    def text(self) -> str:
        declared, *plans = self.declared.split("\n")
        lines = [declared.replace("@d of", f"@d{i} of").replace("<0/res>", f"<{i}/res>") for i in range(COPIES)] + plans
        lines += [f"!x = tensor<?x?x{self.width}xf32>", f"!f = tensor<?x?x{self.count}xf32>",
                  "fx.program @main(%x: !x = #fx.input<user_input>, %plan: tensor<?xi64> = #fx.input<user_input>) {",
                  *self.before]
        for i in range(COPIES):
            lines += [f"%y{i} = steer.patch %{f'y{i - 1}' if i else 'x'} at <{i}/res> {{", "^bb0(%h: !x):",
                      *(line.replace("@d", f"@d{i}") for line in self.lines), "steer.yield %w : !x", "} : !x"]
        return "\n".join([*lines, f"fx.return %y{COPIES - 1} : !x as [#fx.output<user_output>]", "}"])

    def describe(self) -> str:
        return f"site {self.seed}: {self.kind}, d {self.width}, {self.count} of {self.features}, {self.activation}"


def lower(texts: list[str], how: str) -> list[str]:
    done = subprocess.run([weir.tool("weir-opt"), "--split-input-file", "--mlir-print-elementsattrs-with-hex-if-larger=-1",
                           f"--pass-pipeline=builtin.module(weir-lower{{lower={how}}})"],
                          input=MARK.join(texts), text=True, capture_output=True)
    if done.returncode:
        sys.exit(done.stderr[:4000])
    return done.stdout.split(MARK)


def load(texts: list[str], folder: Path) -> list[str]:
    """Loads the kernels of all programs, and gives the programs without them."""
    functions, programs = {}, []
    for text in texts:
        program, _, rest = text.partition(MODULE)
        programs.append(program)
        for function in re.findall(r"^    func\.func @.*?^    }$", rest, re.M | re.S):
            functions[re.search(r"@(\w+)", function).group(1)] = function
    aliases = sorted(set(re.findall(r"^#\w+ = strided.*$", "\n".join(texts), re.M)))
    (folder / "kernels.mlir").write_text("\n".join([*aliases, "module {", *functions.values(), "}"]))
    subprocess.run([weir.tool("weir-codegen"), folder / "kernels.mlir", "-o", folder / "kernels.so"], check=True)
    kernels.load(folder / "kernels.so")
    return programs


def script(text: str, rows: Rows, x: torch.Tensor, plan: torch.Tensor):
    """A program as TorchScript, and what it is called with: constants are inputs, as a runtime holds them."""
    executor = Executor(text, {f"d{i}": rows for i in range(COPIES)})
    executor.run({"x": x, "plan": plan})
    names = [found.group(1) for line in executor.lines if (found := re.match(r"\s*%(\w+) = fx\.constant ", line))]
    constants = [executor.values["%" + name].contiguous() for name in names]
    executor.lines = [line for line in executor.lines if " = fx.constant " not in line]
    # A stable operator takes the tensors out of its lists, so no two calls may share one: TorchScript merges equal lists.
    for number, line in enumerate(executor.lines):
        if "inputs: [%plan]" in line:
            names.append(f"plan{number}")
            constants.append(plan.clone())
            executor.lines[number] = line.replace("inputs: [%plan]", f"inputs: [%plan{number}]")

    def run(x, plan, *constants):
        return executor.run({"x": x, "plan": plan, **dict(zip(names, constants))})[0]

    return torch.jit.trace(run, (x, plan, *constants), check_trace=False), (x, plan, *constants)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sites", type=int, default=200)
    parser.add_argument("--kinds", nargs="+", help="only those")
    parser.add_argument("--first", type=int, default=0, help="the seed of the first site")
    parser.add_argument("--tokens", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--turn", type=float, default=0.004, help="seconds")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--fit", action="store_true")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch._C._jit_set_profiling_executor(False)
    torch._C._jit_set_texpr_fuser_enabled(False)
    kernels.register()
    sites = [Site(seed) for seed in range(arguments.first, arguments.first + arguments.sites)]
    sites = [site for site in sites if not arguments.kinds or site.kind in arguments.kinds]
    texts = [site.text() for site in sites]
    results = {tokens: [] for tokens in arguments.tokens}
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode(False), torch.no_grad():
        lowered = {"aten": lower(texts, "aten"), "kernel": load(lower(texts, "kernel"), Path(folder)),
                   "auto": lower(texts, "auto")}
        for number, site in enumerate(sites):
            choice = "kernel" if "weir.edit" in lowered["auto"][number] else "aten"
            if "weir.edit" not in lowered["kernel"][number]:
                continue
            for tokens in arguments.tokens:
                x, plan = torch.randn(1, tokens, site.width), torch.zeros(1, dtype=torch.int64)
                contestants, values = {}, []
                for how in ("aten", "kernel"):
                    traced, inputs = script(lowered[how][number], site.rows, x, plan)
                    values.append(traced(*inputs))
                    contestants[how] = lambda traced=traced, inputs=inputs: traced(*inputs)
                torch.testing.assert_close(*values, rtol=1e-3, atol=1e-2)
                best = in_turns(contestants, arguments.turns, arguments.turn)
                loss = best[choice] / min(best.values())
                results[tokens].append(loss)
                if arguments.fit:
                    print(json.dumps({"kind": site.kind, "d": site.width, "k": site.count, "F": site.features,
                                      "tokens": tokens, **best, "choice": choice}), flush=True)
                elif arguments.verbose or loss > 1:
                    print(f"{site.describe()}, {tokens} tokens: aten {best['aten'] * 1e6:.1f} us, kernel "
                          f"{best['kernel'] * 1e6:.1f} us, chosen {choice}" + ("" if loss == 1 else f", {loss:.2f} times the best"),
                          flush=True)
    for tokens, losses in results.items():
        right = sum(loss == 1 for loss in losses)
        near = sum(loss <= 1.1 for loss in losses)
        print(f"{tokens} tokens, {len(losses)} sites: {right} right, {near} within 10% of the best, "
              f"at worst {max(losses):.2f} times the best")


if __name__ == "__main__":
    main()
