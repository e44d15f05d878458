# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Times the kernel of a site against other ways to compute the same edit, and prints a Markdown table.

k features of a JumpReLU dictionary are read and scaled, and the difference is added along
their decoder rows: x + (r f - f) W_dec, f = jumprelu(x W_enc + b_enc). Contestants, all in one process and in turns:

    kernel    weir.edit
    compiled  torch.compile of the formula, for these sizes (needs a C++ compiler)
    eager     the formula, a call at a time
    saelens   encode, edit and decode with the error term, all F features (with --features): SAE Lens if it is
              installed, else its formula
    bytes     the time in which the machine reads as many bytes as the kernel does: a product of a matrix that
              is as large with a vector, the fastest of the same turns

and of the decoder's half alone, k rows of a dictionary for each token, of its own choice:

    rows      weir.edit with a table of plans: x + c W_dec[i]
    bag       x + torch.nn.functional.embedding_bag with per-sample weights

A turn runs a contestant for at least --turn seconds, and the fastest turn counts: other work on the machine
makes turns slower and never faster. With --cold a turn goes round as many copies of a site's rows as
do not fit the caches together, as a model's layers do not.

    OMP_NUM_THREADS=1 python benchmarks/kernels/sites.py --widths 576 2304 --features-read 1 8 64 --tokens 1 16 512
"""

import argparse
import itertools
import tempfile
from pathlib import Path

import torch
from compiled import compiled, in_turns, line, table
from torch.nn import functional
from weir import kernels

TYPES = {"f32": torch.float32, "bf16": torch.bfloat16}
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
ROWS = """
flow.dictionary @d of @sae at <0/res> reads <0/res> features {features} width {d} activation <relu>
{plans}
!x = tensor<?x?x{d}x{dtype}>
fx.program @main(%x: !x = #fx.input<user_input>, %plan: tensor<?xi64> = #fx.input<user_input>) {{
  %slot = steer.slot %plan in [{slots}] : tensor<?xi64>
  %i = steer.lookup %slot : tensor<?xi64> in dense<{indices}> : tensor<{count}x{k}xi64>
  %c = steer.lookup %slot : tensor<?xi64> in dense<{numbers}> : tensor<{count}x{k}xf32>
  %y = steer.patch %x at <0/res> {{
  ^bb0(%h: !x):
    %w = steer.row_write %h, %c at %i along [#flow.rows<decoder of @d[{rows}]>] : !x, tensor<?x1x{k}xf32>, tensor<?x1x{k}xi64>
    steer.yield %w : !x
  }} : !x
  fx.return %y : !x as [#fx.output<user_output>]
}}
"""
CACHES = 64 << 20


def edits(d, k, tokens, dtype, arguments, folder) -> dict:
    """Contestants that read, edit and write."""
    random = torch.Generator().manual_seed(1)
    x = torch.randn(1, tokens, d, generator=random).to(TYPES[dtype])
    numbers = {"encoder_bias": torch.randn(k, generator=random), "threshold": torch.rand(k, generator=random)}
    bytes_ = 4 * (2 * k * d + 2 * k) + 2 * x.nbytes
    copies = max(1, CACHES // bytes_) if arguments.cold else 1
    encoders, decoders = (torch.randn(copies, k, d, generator=random) / d**0.5 for _ in range(2))
    features = max(k, 2)
    stored = {**numbers, "encoder": encoders[0], "decoder": decoders[0]}
    site = compiled(f"!x = tensor<?x?x{d}x{dtype}>\n!f = tensor<?x?x{k}xf32>\n" + SITE.format(
        d=d, features=features, rows=", ".join(map(str, range(k)))), folder, lambda part, _: stored[part])
    plan = torch.zeros(1, dtype=torch.int64)
    # The same call with the rows of each copy.
    copied = {all_.data_ptr(): all_ for all_ in (encoders, decoders)}
    calls = [[copied[each.data_ptr()][copy] if each.data_ptr() in copied else each for each in site.constants]
             for copy in range(copies)]

    def formula(x, plan, encoder, decoder):
        z = functional.linear(x.float(), encoder, numbers["encoder_bias"])
        f = torch.relu(torch.where(z > numbers["threshold"], z, 0.0))
        c = torch.where((plan == 0)[:, None, None], 0.5 * f - f, 0.0)
        return (x.float() + c @ decoder).to(x.dtype)

    def around(run):
        turn = itertools.cycle(range(copies))
        return lambda: run(next(turn))

    kernel = around(lambda copy: torch.ops.weir.edit(x, [plan], calls[copy], site.kernel))
    contestants = {"kernel": kernel, "eager": around(lambda copy: formula(x, plan, encoders[copy], decoders[copy]))}
    torch.testing.assert_close(kernel().float(), formula(x, plan, encoders[0], decoders[0]).float(),
                               rtol=2e-2 if dtype == "bf16" else 1e-4, atol=2e-2 if dtype == "bf16" else 1e-4)
    if arguments.compile:
        torch._dynamo.reset()
        fused = torch.compile(formula, dynamic=False)
        contestants["compiled"] = around(lambda copy: fused(x, plan, encoders[copy], decoders[copy]))
    for features in arguments.features:
        contestants[f"saelens {features}"] = whole(x, d, features, k, random)
    lines = max(1, bytes_ // 4 // 1024)
    matrix, vector = torch.randn(copies, lines, 1024), torch.randn(1024)
    contestants["bytes"] = around(lambda copy: torch.mv(matrix[copy], vector))
    contestants["bytes"].count = matrix[0].nbytes
    return contestants


def whole(x, d, features, k, random):
    """A whole dictionary, k of its features edited, and its error kept."""
    wide = x.float()
    try:
        from sae_lens import JumpReLUSAE, JumpReLUSAEConfig
    except ImportError:
        w_enc, w_dec = torch.randn(d, features, generator=random) / d**0.5, torch.randn(features, d, generator=random) / d**0.5
        b_enc, theta = torch.zeros(features), torch.rand(features, generator=random)

        def encode(x):
            z = x @ w_enc + b_enc
            return torch.relu(z) * (z > theta)

        def decode(f):
            return f @ w_dec
    else:
        sae = JumpReLUSAE(JumpReLUSAEConfig(d_in=d, d_sae=features, apply_b_dec_to_input=False))
        sae.threshold.data.uniform_()
        encode, decode = sae.encode, sae.decode

    def run():
        f = encode(wide)
        error = wide - decode(f)
        f[..., :k] *= 0.5
        return (decode(f) + error).to(x.dtype)

    return run


def halves(d, k, tokens, dtype, features, folder) -> dict:
    """Contestants that add k rows for each token."""
    random = torch.Generator().manual_seed(2)
    x = torch.randn(tokens, 1, d, generator=random).to(TYPES[dtype])
    weights = torch.randn(features, d, generator=random) / d**0.5
    count = min(tokens, 64)
    plan = torch.arange(tokens) % count
    chosen = torch.stack([torch.randperm(features, generator=random)[:k] for _ in range(count)])
    factors = torch.randn(count, k, generator=random)
    listed, place = torch.unique(chosen, return_inverse=True)
    def stack(rows):
        return [rows[0].tolist(), *rows.tolist()]
    site = compiled(ROWS.format(
        features=features, d=d, dtype=dtype, k=k, count=count + 1, plans="\n".join(f"steer.plan @p{i} []" for i in range(count)),
        slots=", ".join(str(1 + i) for i in range(count)), indices=stack(place), numbers=stack(factors),
        rows=", ".join(map(str, listed.tolist()))), folder, lambda part, rows: weights[rows])
    index, scale = chosen[plan], factors[plan]

    def bag():
        return (x.float() + functional.embedding_bag(index, weights, mode="sum", per_sample_weights=scale)[:, None]).to(x.dtype)

    contestants = {"rows": lambda: site(x, [plan]), "bag": bag}
    torch.testing.assert_close(contestants["rows"]().float(), bag().float(), rtol=2e-2 if dtype == "bf16" else 1e-4,
                               atol=2e-2 if dtype == "bf16" else 1e-4)
    return contestants


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=int, nargs="+", default=[576])
    parser.add_argument("--features-read", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--tokens", type=int, nargs="+", default=[1, 16, 512])
    parser.add_argument("--dtypes", nargs="+", default=["f32"], choices=list(TYPES))
    parser.add_argument("--features", type=int, nargs="+", default=[], help="features of whole dictionaries, for saelens")
    parser.add_argument("--no-compile", dest="compile", action="store_false")
    parser.add_argument("--cold", action="store_true", help="rows that no cache holds")
    parser.add_argument("--rows", type=int, default=0, help="the decoder's half, of a dictionary of that many features")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--turn", type=float, default=0.05, help="seconds")
    arguments = parser.parse_args()
    kernels.register()
    if arguments.rows:
        names = ["rows", "bag"]
    else:
        names = ["kernel", "eager", *(["compiled"] if arguments.compile else []),
                 *(f"saelens {features}" for features in arguments.features), "bytes"]
    others = [name for name in names[1:] if name != "bytes"]
    print(f"torch {torch.__version__}, {torch.get_num_threads()} thread(s); microseconds a call, and how many times "
          f"as long as {names[0]} others take; bytes / kernel is the share of the bandwidth\n")
    table(["d", "k", "tokens", "type", *names, *(f"{name} / {names[0]}" for name in others),
           *(["bytes / kernel", "GB/s of bytes"] if "bytes" in names else [])])
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        for dtype, d, k, tokens in itertools.product(arguments.dtypes, arguments.widths, arguments.features_read,
                                                     arguments.tokens):
            contestants = (halves(d, k, tokens, dtype, arguments.rows, Path(folder)) if arguments.rows
                           else edits(d, k, tokens, dtype, arguments, Path(folder)))
            best = in_turns(contestants, arguments.turns, arguments.turn)
            shares = [f"{best[name] / best[names[0]]:.2f}" for name in [*others, *(["bytes"] if "bytes" in names else [])]]
            if "bytes" in names:
                shares.append(f"{contestants['bytes'].count / best['bytes'] / 1e9:.1f}")
            line([d, k, tokens, dtype, *(f"{best[name] * 1e6:.1f}" for name in names), *shares])


if __name__ == "__main__":
    main()
