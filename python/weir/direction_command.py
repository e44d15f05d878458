# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""python -m weir direction, which weirc direction calls."""

from __future__ import annotations

import argparse
import json
from typing import Callable

from . import directions



def _penalty(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise ValueError
    return number


_penalty.__name__ = "positive number"  # argparse: "invalid positive number value: '0'"


def add(commands, say: Callable[[str], None], progress: Callable[[], Callable[[str], None]]):
    """Adds the command. `say` prints a result, `progress` makes what prints steps."""
    command = commands.add_parser(
        "direction",
        help="make directions out of two kinds of texts, for dictionaries of the format `directions`",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Reads the values that a model has at some sites for positive and for negative texts, all sites in one "
        "pass,\nand writes the direction from the negative ones to the positive ones at each: a file for `format: directions` "
        "in a\nspec. A direction is as long as the two kinds are apart along it, so that adding it once leads from the one "
        "to the\nother.\n\n"
        "Texts are the lines of a file, or of a .jsonl the key \"text\" of each line's object.",
        epilog="examples:\n"
        "  weirc direction smollm2.pt2 --positive glad.txt --negative sad.txt --site 13/res -o glad.safetensors\n"
        "  weirc direction smollm2.pt2 --positive glad.txt --negative sad.txt --site res --method pca --pairs \\\n"
        "      -o 'glad/{site}.{layer}.safetensors'")
    command.add_argument("model", metavar="MODEL", help="the exported model (.pt2)")
    command.add_argument("--positive", required=True, metavar="FILE", help="texts that have it")
    command.add_argument("--negative", required=True, metavar="FILE", help="texts that have it not, or its opposite")
    command.add_argument("--site", required=True, action="append", metavar="SITE",
                         help="13/res, 9..16/res, or res for all layers; may be repeated")
    command.add_argument("--method", choices=directions.METHODS, default=directions.METHODS[0],
                         help="mean: the difference of the means; pca: the first principal component; probe: a logistic "
                         "regression (default: %(default)s)")
    command.add_argument("--tokens", choices=directions.TOKENS, default=directions.TOKENS[0],
                         help="a text's value is that of its last token, or the mean over all but the first (default: %(default)s)")
    command.add_argument("--pairs", action="store_true",
                         help="line i of the one file belongs to line i of the other: pca and probe look at each text from "
                         "the middle of its pair")
    command.add_argument("--penalty", type=_penalty, default=directions.PENALTY, metavar="P",
                         help="of the probe: P / 2 times the square of its weights (default: %(default)s)")
    command.add_argument("-o", "--output", required=True, metavar="FILE",
                         help="the .safetensors to write; for several sites with {layer} and {site} in its name")
    command.add_argument("--json", action="store_true", help="print what was found as JSON")
    command.set_defaults(run=lambda arguments: _run(arguments, say, progress()))


def _run(arguments, say, progress) -> int:
    positive, negative = directions.texts_of(arguments.positive), directions.texts_of(arguments.negative)
    sites = directions.sites_of(arguments.site, directions.layers_of(arguments.model))
    # What cannot be written is known before the model runs.
    paths = directions.paths_for(arguments.output, sites, [arguments.model, arguments.positive, arguments.negative])
    found = directions.find(arguments.model, positive, negative, sites, arguments.method, tokens=arguments.tokens,
                            pairs=arguments.pairs, penalty=arguments.penalty, progress=progress)
    about = {"method": arguments.method, "tokens": arguments.tokens, "pairs": str(arguments.pairs).lower()}
    rows = []
    for one, path in zip(found, paths):
        directions.write(one, path, about)
        rows.append({"site": one.site, "path": str(path), "norm": float((one.vector.astype(float) ** 2).sum() ** 0.5),
                     "apart": one.apart})
    if arguments.json:
        say(json.dumps({"weir": 1, "directions": rows}, indent=2))
    else:
        say("\n".join([f"{'site':8} {'length':>10} {'apart':>7}  file",
                       *(f"{row['site']:8} {row['norm']:10.4g} {row['apart']:7.1%}  {row['path']}" for row in rows)]))
    return 0
