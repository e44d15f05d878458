# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The features of a theme, and a spec that steers by them.

A feature is of a theme if it fires more where the theme is than elsewhere (the contrast), and if adding it makes the model
say the theme's words (the output score). Contexts alone do not tell which features steer: "SAEs Are Good for Steering - If
You Select the Right Features" (arXiv 2505.20063) finds that the output score does.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Sequence

from .. import compiler
from ..compiler import CompileError
from ..errors import WeirError
from ..files import replacing, same_file
from ..programs import load
from . import windows as texts
from .checkpoints import Checkpoint
from .recording import KEPT, Recorder, record
from .specs import Spec, entries

if TYPE_CHECKING:
    import numpy
    import torch
    from ..programs import Program

COUNT, DOSE, NEAR = 8, 0.4, 6
# A neutral beginning; the score is the mean over them.
PROMPTS = ("I think", "In my experience,", "Today we want to talk about", "The most important thing is")
_TOKENS = 12  # of a theme that is given as texts
_NORM_TOKENS = 2000  # that tell how long values are
_CANDIDATES = 4  # times as many features as are wanted get an output score
_KEEP = {"res": 0.5}  # below it "Analyze Feature Flow" takes a feature for another
_WRITTEN = ("model", "dictionaries", "matches")
_MARK = "# Features of a theme, found by weirc features --theme."


@dataclass(frozen=True)
class ThemeFeature:
    """contrast  how far its mean on the theme lies above its mean on the rest, in standard deviations over all tokens
    on, off   its mean on the theme, and on the rest
    output    how much adding it raises the logarithm of the probability of the theme's words, in nats
    strength  of the unit vector of its decoder row that was added
    """

    feature: str
    contrast: float
    on: float
    off: float
    output: float
    strength: float


@dataclass(frozen=True)
class Theme:
    """words     the texts of the tokens that stand for the theme
    tokens    tokens of the text that are of the theme, and that are not
    features  the chosen ones, the largest output score first
    tried     all that got an output score
    text_tokens  how many tokens the whole text has; more than were looked at where `max_tokens` ended it
    """

    words: list[str]
    tokens: tuple[int, int]
    features: list[ThemeFeature]
    tried: list[ThemeFeature]
    text_tokens: int

    def to_json(self) -> dict:
        return {"weir": 1, "theme": {"words": self.words, "tokens": {"theme": self.tokens[0], "rest": self.tokens[1]}},
                "text_tokens": self.text_tokens,
                "features": [vars(one) for one in self.features], "tried": [vars(one) for one in self.tried]}


#===---- Where the theme is ------------------------------------------------------------------------===#

def words_of(theme: str) -> list[str]:
    """"war, battle" -> ["war", "battle"]."""
    words = [word.strip() for word in re.split(r"[,\n]" if "," in theme else r"\s+", theme)]
    words = list(dict.fromkeys(word for word in words if word))
    if not words:
        raise WeirError("the theme has no word")
    return words


def _first_tokens(program: "Program", words: Sequence[str]) -> list[int]:
    """The tokens that words begin with, in the middle of a text and with a capital letter."""
    ids = []
    for word in words:
        for form in (f" {word}", f" {word[:1].upper()}{word[1:]}"):
            found = program.tokenizer.encode(form, add_special_tokens=False).ids
            # The first with a letter: some tokenizers have the space for itself.
            ids += [token for token in found if texts.token_text(program, token).strip()][:1]
    return list(dict.fromkeys(ids))


def _near_words(document: texts.Document, words: Sequence[str], near: int) -> "numpy.ndarray":
    """[n] bool: the tokens of a document that lie at most `near` tokens from one of the words."""
    import numpy

    result = numpy.zeros(len(document.ids), dtype=bool)
    if document.text is None:
        raise WeirError("words are looked for in texts; this one is of token ids. Give the theme as a file of texts")
    pattern = re.compile(r"(?<!\w)(?:" + "|".join(re.escape(word) for word in words) + r")(?!\w)", re.IGNORECASE)
    for match in pattern.finditer(document.text):
        # The tokens that hold the first and the last character.
        first = int(numpy.searchsorted(document.ends, match.start(), side="right"))
        last = int(numpy.searchsorted(document.ends, match.end() - 1, side="right"))
        result[max(0, first - near):last + near + 1] = True
    return result


def _telling_tokens(program: "Program", theme: Sequence[texts.Document], rest: Sequence[texts.Document], count: int) -> list[int]:
    """Tokens that are much more frequent in texts of the theme than in others: the largest share of the theme's tokens times
    the logarithm of how much more frequent they are. Only whole words of letters."""
    import numpy

    size = program.info["vocab_size"]
    here, there = (numpy.bincount(numpy.concatenate([document.ids for document in some]), minlength=size) for some in (theme, rest))
    shares = here / here.sum(), (there + 1) / (there.sum() + size)
    telling = numpy.zeros(size)
    more = (here > 1) & (shares[0] > shares[1])
    telling[more] = shares[0][more] * numpy.log(shares[0][more] / shares[1][more])
    result = []
    for token in numpy.argsort(-telling, kind="stable"):
        if not telling[token] > 0 or len(result) == count:
            break
        text = texts.token_text(program, int(token))
        if re.fullmatch(r"\s?[^\W\d_]{3,}", text):
            result.append(int(token))
    return result


class _Sums:
    """Of k features, sums over tokens of the theme and over others."""

    def __init__(self, count: int):
        import torch

        self.sums = torch.zeros(2, count, dtype=torch.float64)
        self.squares = torch.zeros(count, dtype=torch.float64)
        self.tokens = [0, 0]
        self.whole = 0  # tokens of the texts, those beyond a limit included

    @property
    def state(self) -> list["torch.Tensor"]:
        return [self.sums, self.squares]

    def add(self, seen: "torch.Tensor", counted: "torch.Tensor", of_theme: "torch.Tensor"):
        for which, chosen in enumerate((counted & of_theme, counted & ~of_theme)):
            some = seen[chosen].double()
            self.sums[which] += some.sum(0)
            self.squares += (some ** 2).sum(0)
            self.tokens[which] += len(some)

    def contrast(self):
        """(contrast, mean on the theme, mean on the rest), each [k]."""
        import numpy

        on, off = (self.sums[which].numpy() / self.tokens[which] for which in (0, 1))
        total = sum(self.tokens)
        mean = self.sums.sum(0).numpy() / total
        deviation = numpy.sqrt(numpy.maximum(self.squares.numpy() / total - mean ** 2, 0))
        return numpy.where(deviation > 0, (on - off) / numpy.where(deviation > 0, deviation, 1), 0), on, off


def _contrasts(recorder: Recorder, theme: str | os.PathLike, text: str | os.PathLike, near: int, cutting: dict, cache, progress):
    """(sums, the ids of the theme's words)."""
    import torch

    program = recorder.program
    rest = texts.documents_of(text, program)
    is_file = os.path.isfile(theme)
    if is_file:
        about = texts.documents_of(theme, program)
        words = _telling_tokens(program, about, rest, _TOKENS)
        if not words:
            raise WeirError(f"{theme}: no word is more frequent there than in {text}")
        marks = [torch.ones(len(document.ids), dtype=torch.bool) for document in about]
        marks += [torch.zeros(len(document.ids), dtype=torch.bool) for document in rest]
        groups = [texts.cut(about, program, what=str(theme), **cutting), texts.cut(rest, program, what=str(text), **cutting)]
    else:
        wanted = words_of(str(theme))
        words = _first_tokens(program, wanted)
        marks = [torch.from_numpy(_near_words(document, wanted, near)) for document in rest]
        groups = [texts.cut(rest, program, what=str(text), **cutting)]
    sums, at, total = _Sums(len(recorder.features)), 0, sum(group.counted for group in groups)
    sums.whole = sum(group.whole for group in groups)
    marked = hashlib.sha256(b"".join(mark.numpy().tobytes() for mark in marks)).hexdigest()
    kept = Checkpoint(cache, ["theme", recorder.digest, marked, *(group.digest for group in groups)])
    group_done, windows_done = 0, 0
    if numbers := kept.load(sums.state):
        group_done, windows_done, *sums.tokens = numbers
    for number, group in enumerate(groups):
        done = 0 if number > group_done else windows_done if number == group_done else len(group.windows)
        for some, seen, counted in recorder.batches(group, done):
            of_theme = torch.zeros_like(counted)
            for row, window in enumerate(some):
                of_theme[row, window.bos:len(window)] = marks[at + window.document][window.begin:window.begin + window.length]
            sums.add(seen, counted, of_theme)
            done += len(some)
            progress(f"reading the text: {sum(sums.tokens)} of {total} tokens")
            kept.save(sums.state, [number, done, *sums.tokens])
        at += len(group.documents)
    kept.done()
    for which, what in enumerate(("the theme", "the rest")):
        if not sums.tokens[which]:
            some = "" if is_file or which else f": none of {', '.join(words_of(str(theme)))}"
            cut_short = f"; only the first {sum(sums.tokens)} of {sums.whole} tokens were read (--max-tokens)"
            raise WeirError(f"{text} has no token of {what}{some}{cut_short if sum(sums.tokens) < sums.whole else ''}")
    return sums, words


#===---- What adding a feature does ----------------------------------------------------------------===#

def _site(feature: str) -> tuple[str, int, str]:
    """(dictionary, layer, site)."""
    dictionary, _, rest = feature.rpartition(":")
    layer, site, _ = rest.split("/")
    return dictionary, int(layer), site


def _norms(recorder: Recorder, layers: Sequence[int], text, cutting: dict) -> dict[int, float]:
    """The median norm of the residual stream behind each layer, over the first tokens of a text that count."""
    import torch

    program = recorder.program
    some = texts.cut(texts.documents_of(text, program), program, what=str(text), **{**cutting, "max_tokens": min(
        cutting.get("max_tokens") or _NORM_TOKENS, _NORM_TOKENS)})
    names = [recorder.values[f"{layer}/res"] for layer in layers]
    module = recorder.outputs(names)
    norms = [[] for _ in layers]
    rows = program.info["max_batch"]
    for first in range(0, len(some.windows), rows):
        part = some.windows[first:first + rows]
        for found, values in zip(norms, recorder.run(module, [some.ids(window) for window in part])):
            for row, window in zip(values, part):
                found.append(row[some.skip:len(window)].norm(dim=-1))
    return {layer: float(torch.cat(found).median()) for layer, found in zip(layers, norms)}


def _output_scores(spec: Spec, candidates: Sequence[str], strengths: Sequence[float], words: Sequence[int], folder: Path,
                   options: dict, progress) -> list[float]:
    """For each candidate how much the logarithm of the words' probability after the prompts rises when it is added to all
    their tokens but the first; the mean over the prompts. Rows of a batch follow one plan each."""
    import torch

    names = [f"add_{number}" for number in range(len(candidates))]
    policies = {name: {"on": [feature], "do": "add", "strength": strength, "normalize": True, "tokens": {"skip_first": 1}}
                for name, feature, strength in zip(names, candidates, strengths)}
    path = folder / "output.yaml"
    spec.write(path, KEPT, policies=policies, plans={name: [name] for name in names})
    progress(f"compiling a program that adds each of {len(names)} features")
    compiler.compile(path, folder / "output", **options)
    program = load(folder / "output", verify=False)
    rows = [(prompt, plan) for plan in [None, *names] for prompt in PROMPTS]
    encoded = [program.encode(prompt) for prompt in PROMPTS]
    scores, step = {}, program.info["max_batch"]
    ids = torch.tensor(list(words))
    for first in range(0, len(rows), step):
        progress(f"output scores: {first} of {len(rows)}")
        some = rows[first:first + step]
        given = [encoded[PROMPTS.index(prompt)] for prompt, _ in some]
        logits = program(given, plan=[plan for _, plan in some]).logits
        for row, (prompt, plan) in enumerate(some):
            last = logits[row, len(given[row]) - 1].double().log_softmax(-1)
            scores[prompt, plan] = float(last[ids].logsumexp(0))
    return [sum(scores[prompt, name] - scores[prompt, None] for prompt in PROMPTS) / len(PROMPTS) for name in names]


#===---- The whole ---------------------------------------------------------------------------------===#

def theme(spec: str | os.PathLike, text: str | os.PathLike, about: str | os.PathLike, *, count: int = COUNT, dose: float = DOSE,
          near: int = NEAR, sites: Sequence[str] = (), model: str | os.PathLike | None = None,
          cache: str | os.PathLike | None = None, context: int | None = None, begin_with_bos: bool = False,
          skip_first: int = texts.SKIP_FIRST, max_tokens: int | None = texts.MAX_TOKENS, output: str | os.PathLike | None = None,
          name: str = "theme", progress: Callable[[str], None] = lambda line: None) -> Theme:
    """The features of a spec's dictionaries that a theme is made of, on a text.

    about   words, with commas or spaces between them: the theme is where one of them stands, and up to `near` tokens around
            it; or a file of texts about the theme, which are compared with `text`
    count   how many features are wanted at most; four times as many with the largest contrast get an output score
    dose    of what is added for that score: a share of the median norm of the residual stream at the feature's layer
    sites   such as ["11/res"]: the dictionaries that are searched; all of the residual stream if not given
    output  a spec to write: the features as a list, their graph where the spec has a match to make one of, and one policy
            over it, with a knob
    name    what these are called in it

    The rest as for `features`. Raises CompileError and WeirError as that does, and WeirError for a theme that the text does
    not have and for a model without a tokenizer.
    """
    if not 1 <= count <= 256:
        raise WeirError(f"{count} features; a theme has 1 to 256")
    if not (math.isfinite(dose) and 0 < dose <= 10):
        raise WeirError(f"a dose of {dose}; it is above 0 and at most 10")
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,60}", name):
        raise WeirError(f"{name!r} is no name for features of a spec")
    if output is not None:
        _check_output(Path(output), [spec, text, about])
    texts.check(text)
    parsed = Spec(spec)
    searched = list(sites) or _residual_sites(parsed)
    options = {"model": model and os.path.abspath(model), "cache": cache}
    cutting = dict(context=context, begin_with_bos=begin_with_bos, skip_first=skip_first, max_tokens=max_tokens)
    with tempfile.TemporaryDirectory(prefix="weir-") as folder:
        places = [Path(folder, part) for part in ("search", "scores")]
        for place in places:
            place.mkdir()
        layers = sorted({_site(f"{site}/0")[1] for site in searched})
        recorder = record(parsed, places[0], sites=searched, values=[f"{layer}/res" for layer in layers], progress=progress, **options)
        if not recorder.program.has_tokenizer:
            raise WeirError("a theme needs a model with a tokenizer: its features are scored by words behind prompts, which are "
                            "texts. Without --theme, weirc features reads token ids")
        sums, words = _contrasts(recorder, about, text, near, cutting, cache, progress)
        contrast, on, off = sums.contrast()
        best = sorted((number for number in range(len(contrast)) if contrast[number] > 0),
                      key=lambda number: (-contrast[number], number))[:_CANDIDATES * count]
        if not best:
            raise WeirError("no feature fires more on the theme than on the rest")
        candidates = [recorder.features[number] for number in best]
        norms = _norms(recorder, layers, text, cutting)
        strengths = [round(dose * norms[_site(feature)[1]], 4) for feature in candidates]
        scores = _output_scores(parsed, candidates, strengths, words, places[1], options, progress)
        spoken = [texts.token_text(recorder.program, token) for token in words]
    tried = [ThemeFeature(feature, float(contrast[number]), float(on[number]), float(off[number]), score, strength)
             for feature, number, score, strength in zip(candidates, best, scores, strengths)]
    tried.sort(key=lambda one: -one.output)
    chosen = [one for one in tried if one.output > 0][:count]
    if not chosen:
        raise WeirError("adding none of the features that fire on the theme makes its words more likely")
    result = Theme(spoken, (sums.tokens[0], sums.tokens[1]), chosen, tried, sums.whole)
    if output is not None:
        progress(f"writing {output}")
        write_spec(parsed, result, Path(output), name, options)
    return result


def _residual_sites(spec: Spec) -> list[str]:
    """The residual stream's dictionaries of a spec, or all if there are none."""
    found = []
    several = len(spec.dictionaries()) > 1
    for name, node in spec.dictionaries().items():
        parts = entries(node)
        layers, sites = parts.get("layers"), parts.get("sites")
        kinds = [one.value for one in sites.value] if hasattr(sites, "value") and isinstance(sites.value, list) else ["res"]
        first, _, last = layers.value.partition("..") if layers is not None else ("", "", "")
        if not first.strip().isdigit():
            raise WeirError(f"the dictionaries {name} name no layers: say by --site where to look")
        for kind in ["res"] if "res" in kinds else kinds:
            found += [f"{name}:{layer}/{kind}" if several else f"{layer}/{kind}" for layer in range(int(first), int(last or first) + 1)]
    if not found:
        raise WeirError(f"{spec.path} has no dictionaries to look in")
    return found


def _check_output(path: Path, inputs):
    for one in inputs:
        if same_file(path, one):
            raise WeirError(f"{path} is an input, which would be replaced")
    if path.exists() and path.stat().st_size and not path.read_text("utf-8", "replace").startswith(_MARK):
        raise WeirError(f"{path} is there and was not written by weirc features --theme: remove it, or choose another name")


def _weights(graph: dict) -> dict[str, float]:
    """Of each node the largest product of similarities on a path between it and a target, as `weight: similarity` has it."""
    weights = dict.fromkeys(graph["target"], 1.0)
    links: dict[str, list[tuple[str, float]]] = {}
    for edge in graph["edges"]:
        for one, other in ((edge["from"], edge["to"]), (edge["to"], edge["from"])):
            links.setdefault(one, []).append((other, edge["similarity"]))
    queue = list(weights)
    while queue:
        node = queue.pop()
        for other, similarity in links.get(node, ()):
            if weights[node] * similarity > weights.get(other, 0.0) + 1e-12:
                weights[other] = weights[node] * similarity
                queue.append(other)
    return weights


def write_spec(spec: Spec, found: Theme, output: Path, name: str, options: dict) -> None:
    """A spec with the features, the graph of what leads to them, and one policy over it, whose strength at 1 adds up to the
    mean of the features' doses. Without a match to follow, or where it leads nowhere, the policy is over the features."""
    dose = sum(one.strength for one in found.features) / len(found.features)
    chosen = [one.feature for one in found.features]
    sections: dict = {"knobs": {name: {"default": 1, "range": [0, 4]}}, "features": {name: chosen}, "plans": {name: [name]}}
    if labels := {feature: label for feature, label in spec.labels().items() if feature in set(chosen)}:
        sections["labels"] = labels

    def policy(on: dict, strength: dict, weights: float) -> dict:
        # Features of a theme point much the same way, so that what they add adds up.
        return {name: {"on": on, "do": "add", "normalize": True, "tokens": {"skip_first": 1},
                       "strength": {"value": round(dose / weights, 2), "times": name, **strength}}}

    alone = policy({"features": name}, {}, len(chosen))
    with tempfile.TemporaryDirectory(prefix="weir-") as folder:
        path = Path(folder, "spec.yaml")
        match = next((match for match, method in spec.matches().items() if method == "top_k"), None)
        why = "the spec has no top_k match to follow" if match is None else None
        if match is not None:
            graphs = {name: {"from": {"features": name}, "match": match, "keep": _KEEP}}
            spec.write(path, _WRITTEN, graphs=graphs, policies=alone, **sections)
            try:
                graph = compiler.weirc("graph", path, name, **options)["graphs"][name]
            except CompileError as error:
                why = next((one["message"] for one in error.diagnostics), str(error))
        if why is None:
            residual = {node["feature"] for node in graph["nodes"] if _site(node["feature"])[2] == "res"}
            total = sum(weight for feature, weight in _weights(graph).items() if feature in residual)
            spec.write(path, _WRITTEN, graphs=graphs, policies=policy({"graph": name, "sites": ["res"]}, {"weight": "similarity"}, total),
                       **sections)
        else:
            spec.write(path, _WRITTEN, policies=alone, **sections)
        # What is written compiles.
        compiler.weirc("check", path)
        body = path.read_text("utf-8")
    lines = [_MARK, f"# The theme's words: {' '.join(repr(word) for word in found.words)}",
             *([] if why is None else [f"# Without a graph: {' '.join(why.split())}"]), "# feature, contrast, output score:"]
    lines += [f"#   {one.feature}  {one.contrast:.2f}  {one.output:.2f}" for one in found.features]
    with replacing(output) as stream:
        stream.write(("\n".join(lines) + "\n" + body).encode("utf-8"))
