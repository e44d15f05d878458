# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What features mean: where they fire on a text, which tokens they promote, how often they fire, and which others are near."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Sequence

from .. import compiler
from ..errors import WeirError
from . import windows as texts
from .checkpoints import Checkpoint
from .lens import Lens
from .recording import Recorder, record
from .specs import Spec, entries, scalar

if TYPE_CHECKING:
    import numpy
    from ..programs import Program

CONTEXTS, AROUND, PROMOTES, NEIGHBOURS = 5, 10, 10, 5


@dataclass(frozen=True)
class Context:
    """Where a feature fires.

    document, source  which document of the text, from 0, and what the file says of where it is from
    position          of the token where it fires most, in the document
    tokens            the texts of the tokens around it, put together a part of the document
    activations       [tokens] float32
    """

    document: int
    source: str | None
    position: int
    tokens: list[str]
    activations: "numpy.ndarray"


@dataclass(frozen=True)
class Neighbour:
    """Another feature: by "cosine", a near one of the same dictionary; by "MATCH, before" or "MATCH, behind", the most similar
    one of an earlier or a later site that a match of the spec has for it."""

    feature: str
    similarity: float
    by: str


@dataclass(frozen=True)
class FeatureReport:
    """Of k features of a spec, on n tokens of a text.

    features    [k] names
    labels      [k] names that the spec gives them, or None
    tokens      n, the tokens that count
    text_tokens  how many the whole text has; more than n where `max_tokens` ended it
    density     [k] float64, the part of the tokens at which a feature fires
    mean        [k] float64, its mean where it does; 0 where it never does
    largest     [k] float32
    promotes    [k, p] int64, the tokens of which its decoder row raises the logits most; -1 for features that do not write
                into the residual stream
    logits      [k, p] float32, through the model's own final norm and unembedding; NaN there
    promoted    [k] lists of the texts of these tokens
    contexts    [k] lists, the strongest first, at most one a window
    neighbours  [k] lists
    """

    features: list[str]
    labels: list[str | None]
    tokens: int
    text_tokens: int
    density: "numpy.ndarray"
    mean: "numpy.ndarray"
    largest: "numpy.ndarray"
    promotes: "numpy.ndarray"
    logits: "numpy.ndarray"
    promoted: list[list[str]]
    contexts: list[list[Context]]
    neighbours: list[list[Neighbour]]

    def to_json(self) -> dict:
        """As `weirc features --json` prints it."""
        rows = []
        for number, feature in enumerate(self.features):
            rows.append({
                "feature": feature, "label": self.labels[number], "density": float(self.density[number]),
                "mean": float(self.mean[number]), "largest": float(self.largest[number]),
                "promotes": [{"id": int(token), "token": text, "logit": float(logit)} for token, text, logit in
                             zip(self.promotes[number], self.promoted[number], self.logits[number]) if token >= 0],
                "contexts": [{"document": context.document, "source": context.source, "position": context.position,
                              "tokens": context.tokens, "activations": [float(value) for value in context.activations]}
                             for context in self.contexts[number]],
                "neighbours": [{"feature": one.feature, "similarity": one.similarity, "by": one.by}
                               for one in self.neighbours[number]]})
        return {"weir": 1, "tokens": self.tokens, "text_tokens": self.text_tokens, "features": rows}


#===---- Over a text -------------------------------------------------------------------------------===#

class Seen:
    """What is counted of k features over windows."""

    def __init__(self, count: int, contexts: int, around: int):
        import torch

        self.around = around
        self.fires = torch.zeros(count, dtype=torch.int64)
        self.total = torch.zeros(count, dtype=torch.float64)
        self.largest = torch.zeros(count, dtype=torch.float32)
        self.tokens = 0
        # Of the strongest windows so far, for each feature: its largest activation, and the number of the window and the
        # position in it; and the activations around there. [contexts, k, …]
        self.best = torch.zeros(contexts, count)
        self.where = torch.zeros(contexts, count, 2, dtype=torch.int64)
        self.near = torch.zeros(contexts, count, 2 * around + 1)

    @property
    def state(self) -> list:
        return [self.fires, self.total, self.largest, self.best, self.where, self.near]

    def add(self, first: int, seen, counted):
        """Activations [b, S, k] of the windows from number `first` on; `counted` [b, S]."""
        import torch

        fires = (seen > 0) & counted[..., None]
        self.fires += fires.sum((0, 1))
        self.total += torch.where(fires, seen, 0).sum((0, 1), dtype=torch.float64)
        self.tokens += int(counted.sum())
        masked = torch.where(counted[..., None], seen, 0)
        best, at = masked.max(1)  # [b, k]; the first of equal ones
        self.largest = torch.maximum(self.largest, best.max(0).values)
        if not len(self.best):
            return
        places = at[:, None] + torch.arange(-self.around, self.around + 1)[:, None]  # [b, around, k]
        near = torch.gather(masked, 1, places.clamp(0, seen.shape[1] - 1)).transpose(1, 2)
        numbers = torch.arange(first, first + len(seen))[:, None].expand_as(at)
        all_best = torch.cat([self.best, best])
        order = torch.sort(all_best, dim=0, descending=True, stable=True).indices[:len(self.best)]  # earlier ones stay before
        self.best = torch.gather(all_best, 0, order)
        where = torch.cat([self.where, torch.stack([numbers, at], -1)])
        self.where = torch.gather(where, 0, order[..., None].expand(-1, -1, 2))
        near = torch.cat([self.near, near])
        self.near = torch.gather(near, 0, order[..., None].expand(-1, -1, near.shape[-1]))

    def contexts(self, feature: int, cut: texts.Windows, program: "Program") -> list[Context]:
        result = []
        for rank in range(len(self.best)):
            if not self.best[rank, feature] > 0:
                break
            number, position = self.where[rank, feature].tolist()
            window = cut.windows[number]
            document = cut.documents[window.document]
            at = window.begin + position - window.bos
            first, last = max(window.begin, at - self.around), min(window.begin + window.length, at + self.around + 1)
            begin = first - at + self.around
            result.append(Context(window.document, document.source, at, document.tokens(first, last, program),
                                  self.near[rank, feature, begin:begin + last - first].numpy().copy()))
        return result


def over(recorder: Recorder, cut: texts.Windows, contexts: int, around: int, cache, progress: Callable[[str], None]) -> Seen:
    """Runs the windows through a recorder, or goes on where a run that was killed has been."""
    seen, done = Seen(len(recorder.features), contexts, around), 0
    kept = Checkpoint(cache, ["contexts", recorder.digest, cut.digest, contexts, around])
    if numbers := kept.load(seen.state):
        done, seen.tokens = numbers
        progress(f"going on behind {seen.tokens} of {cut.counted} tokens")
    for some, activations, counted in recorder.batches(cut, done):
        seen.add(done, activations, counted)
        done += len(some)
        progress(f"reading the text: {seen.tokens} of {cut.counted} tokens")
        kept.save(seen.state, [done, seen.tokens])
    kept.done()
    return seen


#===---- Rows of dictionaries ----------------------------------------------------------------------===#

def _place(feature: str) -> tuple[str, int]:
    """"sae:12/res/411" -> ("sae:12/res", 411)."""
    site, _, index = feature.rpartition("/")
    return site, int(index)


class Rows:
    """Decoder rows of the dictionaries that features are of, as weirc has them."""

    def __init__(self, spec: str | os.PathLike, features: Sequence[str], folder: str, **options):
        import safetensors.numpy

        self.sites = list(dict.fromkeys(_place(feature)[0] for feature in features))
        path = Path(folder, "rows.safetensors")
        rows = compiler.weirc("rows", os.fspath(spec), output=path, site=self.sites, model=options.get("model"))["rows"]
        tensors = safetensors.numpy.load_file(path)
        self.matrices = {site: tensors[row["tensor"]] for site, row in zip(self.sites, rows)}

    def of(self, feature: str) -> "numpy.ndarray":
        """[d] float32."""
        site, index = _place(feature)
        return self.matrices[site][index]

    def nearest(self, features: Sequence[str], count: int) -> dict[str, list[Neighbour]]:
        """Of each feature the `count` others of its dictionary with the largest cosine, those above zero."""
        import numpy

        from .. import matching

        result = {}
        for site, matrix in self.matrices.items():
            here = [feature for feature in features if _place(feature)[0] == site]
            indices = [_place(feature)[1] for feature in here]
            found = matching.top_k(numpy.ascontiguousarray(matrix[indices]), matrix, k=min(count + 1, len(matrix)), similarity="cosine")
            for row, (feature, index) in enumerate(zip(here, indices)):
                pairs = [(int(other), float(value)) for other, value in zip(found.indices[row], found.values[row])
                         if other != index and value > 0]
                result[feature] = [Neighbour(f"{site}/{other}", value, "cosine") for other, value in pairs[:count]]
        return result


def in_residual_basis(feature: str) -> bool:
    """Whether what a feature writes is a vector of the residual stream."""
    return not _place(feature)[0].endswith("/head")


def _matched(spec: Spec, path: Path, features: Sequence[str], folder: str, options: dict) -> dict[str, list[Neighbour]]:
    """Of each feature the most similar one before it and the most similar one behind it, along each match of the spec."""
    result: dict[str, list[Neighbour]] = {feature: [] for feature in features}
    methods = spec.matches()
    if not methods:
        return result
    import numpy
    import safetensors.numpy

    export = Path(folder, "matches.safetensors")
    compiler.weirc("match", os.fspath(path), export=export, **options)
    tensors = safetensors.numpy.load_file(export)
    several = len(spec.dictionaries()) > 1
    best: dict[tuple[str, str, str], Neighbour] = {}
    for name in sorted(tensors):
        match, source, target, part = name.split("/")
        (kind, layer), (other_kind, other_layer) = source.split("."), target.split(".")
        # Neighbouring layers; others are composed of these.
        if part != "indices" or abs(int(layer) - int(other_layer)) > 1:
            continue
        dictionary = scalar(entries(entries(spec.sections["matches"])[match]).get("dictionary")) or next(iter(spec.dictionaries()))
        before = f"{dictionary}:" if several else ""
        here, there = f"{before}{layer}/{kind}", f"{before}{other_layer}/{other_kind}"
        indices, values = tensors[name], tensors[name.removesuffix("indices") + "values"]
        # From a feature to those before it, but for permutations, which lead on.
        away, back = ("before", "behind") if methods[match] == "top_k" else ("behind", "before")
        for feature in features:
            site, index = _place(feature)
            found = []
            if site == here and index < len(indices):
                found += [(away, f"{there}/{other}", value) for other, value in zip(indices[index], values[index]) if other >= 0]
            if site == there:
                found += [(back, f"{here}/{row}", values[row, rank]) for row, rank in numpy.argwhere(indices == index)]
            for way, other, value in found:
                key = feature, match, way
                if key not in best or value > best[key].similarity:
                    best[key] = Neighbour(other, float(value), f"{match}, {way}")
    for (feature, _, _), neighbour in sorted(best.items()):
        result[feature].append(neighbour)
    return result


#===---- The report --------------------------------------------------------------------------------===#

def features(spec: str | os.PathLike, text: str | os.PathLike, *, features: Sequence[str] = (), sites: Sequence[str] = (),
             model: str | os.PathLike | None = None, cache: str | os.PathLike | None = None, contexts: int = CONTEXTS,
             around: int = AROUND, promotes: int = PROMOTES, neighbours: int = NEIGHBOURS, context: int | None = None,
             begin_with_bos: bool = False, skip_first: int = texts.SKIP_FIRST, max_tokens: int | None = texts.MAX_TOKENS,
             progress: Callable[[str], None] = lambda line: None) -> FeatureReport:
    """What features of a spec mean, on a text.

    text        .txt, one document; .jsonl, one a line under the key "text"; .npy, token ids
    features    such as ["11/res/743"]; all that the spec's lists, policies and graphs select if neither these nor
                `sites` are given
    sites       such as ["11/res"]: all features of these dictionaries
    model       the exported model, instead of the one that the spec names
    cache       of matches; $WEIR_CACHE or ~/.cache/weir if None
    contexts    how many a feature has, of `around` tokens before the strongest one and as many behind it
    promotes    how many promoted tokens, neighbours how many near features of the same dictionary
    context     positions of a window of the text, 128 or what the model holds if None; each begins with the model's first
                token if `begin_with_bos`. The first `skip_first` positions of a window do not count: they are attention
                sinks in many models, where anything may fire
    max_tokens  stop after so many; None for the whole text

    Raises CompileError with weirc's messages for a spec that is wrong, and WeirError for a text that has no token.
    """
    for name, value in (("contexts", contexts), ("around", around), ("promotes", promotes), ("neighbours", neighbours)):
        if not 0 <= value <= 1000:
            raise WeirError(f"{name} is {value}; it is 0 to 1000")
    texts.check(text)
    parsed = Spec(spec)
    selections = [] if features or sites else parsed.selections()
    if not (features or sites or selections):
        raise WeirError(f"{spec} selects no features: name some")
    options = {"model": model and os.path.abspath(model), "cache": cache}
    with tempfile.TemporaryDirectory(prefix="weir-") as folder:
        layer = _last_layer(parsed, model)
        recorder = record(parsed, Path(folder), features=features, selections=selections, sites=sites,
                          values=[f"{layer}/res"] if promotes else [], model=model, cache=cache, progress=progress)
        cut = texts.cut(texts.documents_of(text, recorder.program), recorder.program, context=context,
                        begin_with_bos=begin_with_bos, skip_first=skip_first, max_tokens=max_tokens, what=str(text))
        seen = over(recorder, cut, contexts, around, cache, progress)
        return _report(parsed, recorder, cut, seen, promotes, neighbours, Path(folder, "record.yaml"), options, progress)


def _last_layer(spec: Spec, model) -> int:
    from .. import directions
    path = model or scalar(entries(spec.sections.get("model")).get("program"))
    if not path:
        # weirc says what is missing.
        compiler.weirc("explain", spec.path)
        raise WeirError(f"{spec.path} names no model")
    return directions.layers_of(path) - 1


def promoted(recorder: Recorder, rows: Rows, features: Sequence[str], count: int):
    """(tokens [k, p] int64, logits [k, p] float32, their texts) by the logit lens."""
    import numpy

    tokens = numpy.full((len(features), count), -1, dtype=numpy.int64)
    logits = numpy.full((len(features), count), numpy.nan, dtype=numpy.float32)
    written = [number for number, feature in enumerate(features) if in_residual_basis(feature)]
    if count and written:
        found = Lens(recorder).top(numpy.stack([rows.of(features[number]) for number in written]), count)
        tokens[written, :found[0].shape[1]], logits[written, :found[1].shape[1]] = found
    known = {token: texts.token_text(recorder.program, token) for token in numpy.unique(tokens).tolist() if token >= 0}
    return tokens, logits, [[known[token] for token in row if token >= 0] for row in tokens.tolist()]


def _report(spec: Spec, recorder: Recorder, cut: texts.Windows, seen: Seen, promotes: int, neighbours: int, path: Path,
            options: dict, progress) -> FeatureReport:
    import numpy

    names = recorder.features
    progress("reading dictionaries")
    rows = Rows(path, names, str(path.parent), **options) if promotes or neighbours else None
    progress("promoted tokens")
    tokens, logits, words = promoted(recorder, rows, names, promotes)
    progress("neighbours")
    near = rows.nearest(names, neighbours) if neighbours else {name: [] for name in names}
    matched = _matched(spec, path, names, str(path.parent), options)
    labels = spec.labels()
    fires = seen.fires.numpy()
    return FeatureReport(
        features=names, labels=[labels.get(name) for name in names], tokens=seen.tokens, text_tokens=cut.whole, density=fires / seen.tokens,
        mean=numpy.where(fires > 0, seen.total.numpy() / numpy.maximum(fires, 1), 0.0), largest=seen.largest.numpy(),
        promotes=tokens, logits=logits, promoted=words,
        contexts=[seen.contexts(number, cut, recorder.program) for number in range(len(names))],
        neighbours=[near[name] + matched[name] for name in names])
