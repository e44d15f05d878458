# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Directions that tell two kinds of texts apart, for dictionaries of the format `directions`.

The values come out of a program that records them (`value: 13/res` in a spec), at all sites in one pass.
"""

from __future__ import annotations

import json
import math
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Sequence

from .compiler import compile, weirc
from .errors import WeirError
from .files import json_of_line, read_text, replacing, same_file
from .programs import load

if TYPE_CHECKING:
    import numpy

METHODS = ("mean", "pca", "probe")
TOKENS = ("last", "mean")
SITES = ("res", "mlp", "att", "mid", "head")
PENALTY = 0.01
_MARK = "weir.direction"


@dataclass(frozen=True)
class Direction:
    """What was found at one site.

    site     such as "13/res"
    vector   [d] float32. Its length is how far the positive texts' mean lies from the negative one's along it, so
             that adding it once leads from the one to the other
    apart    the part of all texts that lies on its own side of the middle between the two means
    """

    site: str
    vector: "numpy.ndarray"
    apart: float


def texts_of(path: str | Path) -> list[str]:
    """The texts of a file: a line each, or for .jsonl the key "text" or "prompt" of each line's object. Empty lines are
    left out. Raises WeirError for a file without a text, and for a line that is no such object."""
    path = Path(path)
    texts = []
    for number, line in enumerate(read_text(path).removeprefix("\ufeff").split("\n"), 1):
        line = line.removesuffix("\r")
        if not line.strip():
            continue
        if path.suffix != ".jsonl":
            texts.append(line)
            continue
        row = json_of_line(line, f"{path}: line {number}")
        found = [row[key] for key in ("text", "prompt") if isinstance(row, dict) and key in row]
        if len(found) != 1 or not isinstance(found[0], str):
            raise WeirError(f'{path}: line {number}: an object with "text" is expected')
        texts.append(found[0])
    if not texts:
        raise WeirError(f"{path}: there is no text")
    return texts


def sites_of(names: Sequence[str], layers: int) -> list[str]:
    """["9..11/res", "mlp"] -> ["9/res", "10/res", "11/res", "0/mlp", …], each once. Raises WeirError for what is no
    site of a model of so many layers."""
    result = {}
    for name in names:
        match = re.fullmatch(rf"(?:(\d+)(?:\.\.(\d+))?/)?({'|'.join(SITES)})", name)
        if not match:
            raise WeirError(f"{name!r} is no site; sites are such as 13/res, 9..16/res, or res for all layers, of "
                            f"{', '.join(SITES)}")
        first = int(match[1]) if match[1] else 0
        last = int(match[2] or match[1]) if match[1] else layers - 1
        if first > last or last >= layers:
            raise WeirError(f"there is no {name}; the model's layers are 0 to {layers - 1}")
        result.update(dict.fromkeys(f"{layer}/{match[3]}" for layer in range(first, last + 1)))
    return list(result)


def layers_of(model: str | Path) -> int:
    """How many layers an exported model has."""
    vetted = weirc("vet", os.fspath(model), no_verify=True)
    info = json.loads(vetted["extra"].get("weir.json", "{}"))
    if not isinstance(info, dict) or not isinstance(info.get("layers"), int):
        raise WeirError(f"{model} does not say how many layers it has: export it again")
    return info["layers"]


#===---- Values ------------------------------------------------------------------------------------===#

def _recording(model: Path, sites: list[str], folder: str):
    """A program that records the values of the sites, and the name of each one's record."""
    spec = Path(folder, "spec.yaml")
    names = {site: f"value_{site.replace('/', '_')}" for site in sites}
    spec.write_text(json.dumps({
        "weir": 1, "model": {"program": str(model.resolve())},
        "policies": {name: {"value": site, "do": "record"} for site, name in names.items()},
        "plans": {"record": list(names.values())}}))
    compile(spec, Path(folder, "program"))
    # It was written a moment ago.
    program = load(Path(folder, "program"), verify=False)
    by_policy = {name.split(".")[0]: name for name in program.records}
    return program, {site: by_policy[name] for site, name in names.items()}


def positions_of(is_added: Sequence[int], tokens: str) -> list[int]:
    """Which positions of a text count, for `tokens` "last" or "mean".

    Those that the tokenizer has put around the text do not. Neither does the first position where there are others:
    many models keep there, whatever the token is, a value many times as long as all others (an attention sink).
    """
    own = [at for at, added in enumerate(is_added) if not added]
    own = [at for at in own if at > 0] or own
    return own[-1:] if tokens == "last" else own


def values(model: str | Path, texts: Sequence[str], sites: Sequence[str], tokens: str = "last",
           progress: Callable[[str], None] = lambda line: None) -> dict[str, "numpy.ndarray"]:
    """What the sites of a model have for each text: by site [n, d] float64.

    model   the exported program (.pt2)
    sites   such as ["13/res"]
    tokens  "last": the value at the last token; "mean": the mean over all, as `positions_of` has them

    Raises WeirError for a model without a tokenizer, and for a text that has no token or more than the program holds.
    """
    import numpy
    import torch

    if tokens not in TOKENS:
        raise WeirError(f"tokens are {' or '.join(TOKENS)}, not {tokens!r}")
    with tempfile.TemporaryDirectory(prefix="weir-") as folder:
        progress(f"compiling a program that records {len(sites)} sites")
        program, names = _recording(Path(model), list(sites), folder)
    if not program.has_tokenizer:
        raise WeirError(f"{model}: the model has no tokenizer, and a direction is one of texts: export the model with its tokenizer")
    rows, counted = [], []
    for text in texts:
        encoded = program.tokenizer.encode(text)
        own = positions_of(encoded.special_tokens_mask, tokens)
        if not own:
            raise WeirError(f"the text {text!r} has no token")
        if len(encoded.ids) > program.info["max_length"]:
            raise WeirError(f"the text {text[:40]!r}… has {len(encoded.ids)} tokens; the program has room for "
                            f"{program.info['max_length']}: export it with a larger --max-length")
        rows.append(encoded.ids)
        counted.append(own)
    found = {site: [] for site in sites}
    batch = program.info["max_batch"]
    for first in range(0, len(rows), batch):
        progress(f"reading texts {first + 1} to {min(first + batch, len(rows))} of {len(rows)}")
        output = program(rows[first:first + batch], plan="record")
        for row, columns in enumerate(counted[first:first + batch]):
            for site, name in names.items():
                found[site].append(output.records[name][row, columns].to(torch.float64).mean(0).numpy())
    return {site: numpy.stack(parts) for site, parts in found.items()}


#===---- Methods -----------------------------------------------------------------------------------===#

def _first_component(points: "numpy.ndarray") -> "numpy.ndarray":
    """The unit vector along which points [n, d] are largest in the mean square."""
    import numpy

    return numpy.linalg.svd(points, full_matrices=False)[2][0]


def _probe(points: "numpy.ndarray", labels: "numpy.ndarray", penalty: float) -> "numpy.ndarray":
    """The w of the w and b with the smallest mean of log(1 + exp(-y (w x + b))) plus penalty / 2 |w|², for labels y of 1
    and -1; of points [n, d] that are scaled to the root mean square length 1. By Newton's method, in the space that the
    points span."""
    import numpy

    _, sizes, basis = numpy.linalg.svd(points, full_matrices=False)
    basis = basis[sizes > sizes[0] * 1e-10]
    inside = points @ basis.T
    inside /= math.sqrt((inside ** 2).sum(1).mean())
    inside = numpy.concatenate([inside, numpy.ones((len(inside), 1))], 1)
    penalties = numpy.full(inside.shape[1], penalty)
    penalties[-1] = 0  # b is free

    def cost(weights):
        return numpy.logaddexp(0, -labels * (inside @ weights)).mean() + (penalties * weights ** 2).sum() / 2

    weights = numpy.zeros(inside.shape[1])
    for _ in range(200):
        chance = numpy.exp(-numpy.logaddexp(0, labels * (inside @ weights)))  # of the wrong label
        slope = -(labels * chance) @ inside / len(inside) + penalties * weights
        if numpy.abs(slope).max() < 1e-12:
            break
        curve = (inside.T * (chance * (1 - chance))) @ inside / len(inside) + numpy.diag(penalties)
        curve += 1e-12 * numpy.eye(len(weights))
        step, now = numpy.linalg.solve(curve, slope), cost(weights)
        share = 1.0
        while share > 1e-10 and cost(weights - share * step) > now - 1e-4 * share * (slope @ step):
            share /= 2
        weights = weights - share * step
    return basis.T @ weights[:-1]


def direction(positive: "numpy.ndarray", negative: "numpy.ndarray", method: str = "mean", *, pairs: bool = False,
              penalty: float = PENALTY) -> "numpy.ndarray":
    """From values of positive [p, d] and negative texts [n, d] to a direction [d] float64.

    mean   from the negative mean to the positive one
    pca    the first principal component: with `pairs` of the differences of each positive text and its negative one, not
           centred; else of all values about the middle of the two means
    probe  the normal of a logistic regression, penalised as `_probe` says, of all values about that middle; with `pairs`
           of each text about the middle of its pair

    The last two point from negative to positive, and are as long as the means are apart along them. Raises WeirError
    where the means are not apart.
    """
    import numpy

    if method not in METHODS:
        raise WeirError(f"there is no method {method!r}; methods are {', '.join(METHODS)}")
    positive, negative = numpy.asarray(positive, dtype=numpy.float64), numpy.asarray(negative, dtype=numpy.float64)
    if pairs and len(positive) != len(negative):
        raise WeirError(f"{len(positive)} positive texts and {len(negative)} negative ones make no pairs")
    difference = positive.mean(0) - negative.mean(0)
    middle = (positive + negative) / 2 if pairs else (positive.mean(0) + negative.mean(0)) / 2
    points = numpy.concatenate([positive - middle, negative - middle])
    size = numpy.sqrt((points ** 2).sum(1).mean())
    if not numpy.isfinite(size):
        raise WeirError("the values are not finite")
    vector = difference
    if method != "mean" and size > 0:
        if method == "pca":
            vector = _first_component(positive - negative if pairs else points)
        else:
            vector = _probe(points, numpy.repeat([1.0, -1.0], [len(positive), len(negative)]), penalty)
        norm = numpy.linalg.norm(vector)
        vector = vector / norm if norm > 0 else vector
        vector = vector * (vector @ difference)
    if not numpy.linalg.norm(vector) > 1e-6 * size:
        raise WeirError("the positive and the negative texts have the same mean there")
    return vector


def apart(vector: "numpy.ndarray", positive: "numpy.ndarray", negative: "numpy.ndarray") -> float:
    """The part of the values that lies on its own side of the middle between the means, along a direction."""
    middle = (positive.mean(0) + negative.mean(0)) / 2 @ vector
    return float(((positive @ vector > middle).sum() + (negative @ vector < middle).sum()) / (len(positive) + len(negative)))


def find(model: str | Path, positive: Sequence[str], negative: Sequence[str], sites: Sequence[str], method: str = "mean", *,
         tokens: str = "last", pairs: bool = False, penalty: float = PENALTY,
         progress: Callable[[str], None] = lambda line: None) -> list[Direction]:
    """The direction from the negative texts to the positive ones at each site, in one pass over the texts.

    Parameters as in `values` and `direction`.
    """
    import numpy

    if pairs and len(positive) != len(negative):
        raise WeirError(f"{len(positive)} positive texts and {len(negative)} negative ones make no pairs")
    seen = values(model, [*positive, *negative], sites, tokens, progress)
    result = []
    for site in sites:
        good, bad = seen[site][:len(positive)], seen[site][len(positive):]
        try:
            vector = direction(good, bad, method, pairs=pairs, penalty=penalty)
        except WeirError as error:
            raise WeirError(f"{site}: {error}") from error
        result.append(Direction(site, vector.astype(numpy.float32), apart(vector, good, bad)))
    return result


#===---- Files -------------------------------------------------------------------------------------===#

def path_for(pattern: str, site: str) -> Path:
    """`{site}` and `{layer}` in a path, as in a spec."""
    layer, kind = site.split("/")
    return Path(pattern.replace("{site}", kind).replace("{layer}", layer))


def _check_output(path: Path, inputs: Sequence[str | Path]):
    """What is there is replaced only if it is a direction, or empty."""
    if path.suffix != ".safetensors":
        raise WeirError(f"{path}: directions are written as .safetensors")
    for one in inputs:
        if same_file(path, one):
            raise WeirError(f"{path} is an input, which would be replaced")
    if not path.exists() or not path.stat().st_size:
        return
    import safetensors

    try:
        with safetensors.safe_open(path, "np") as file:
            mark = (file.metadata() or {}).get("format")
    except Exception:  # what the library raises has no type of its own
        mark = None
    if mark != _MARK:
        raise WeirError(f"{path} is there and no direction of Weir's: remove it, or choose another name")


def paths_for(pattern: str, sites: Sequence[str], inputs: Sequence[str | Path] = ()) -> list[Path]:
    """Where a pattern, such as "dirs/{site}.{layer}.safetensors", has each site's direction.

    Raises WeirError where two would have one path, or a path is an input or somebody else's file.
    """
    paths = []
    for site in sites:
        path = path_for(pattern, site)
        if path in paths:
            raise WeirError(f"{path} would be written for several sites: put {{layer}} and {{site}} into its name")
        _check_output(path, inputs)
        paths.append(path)
    return paths


def write(one: Direction, path: Path, about: dict[str, str]):
    """Writes a tensor `directions` [1, d] float32. `about` goes into the file's metadata."""
    import safetensors.numpy

    metadata = {"format": _MARK, "site": one.site, **about}
    with replacing(path) as stream:
        stream.write(safetensors.numpy.save({"directions": one.vector[None]}, metadata))
