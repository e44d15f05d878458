# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`weirc evaluate` and `weirc sweep` from Python: their results as dataclasses with NumPy arrays. docs/evaluation.md
says what each number means."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import compiler

if TYPE_CHECKING:
    import numpy


def _number(value) -> float:
    return float("nan") if value is None else value


def _column(rows: list[dict], *keys: str) -> "numpy.ndarray":
    """float64 [rows]; NaN where there is no number."""
    import numpy

    def get(row):
        for key in keys:
            if row is None:
                break
            row = row[key]
        return _number(row)

    return numpy.array([get(row) for row in rows], numpy.float64)


def _table(rows: list[dict], labels: tuple[str, ...], numbers: dict[str, tuple[str, ...]]) -> dict:
    """Lists of the labels and arrays of the numbers, for a dataclass of columns."""
    return {label: [row[label] for row in rows] for label in labels} | {
        name: _column(rows, *keys) for name, keys in numbers.items()}


@dataclass(frozen=True)
class PlanLosses:
    """Columns, a row a plan; nats a token, float64. `change` is from the plain model; half widths of 95% intervals are
    NaN with one window."""

    plan: list[str]
    loss: "numpy.ndarray"
    loss_half_width: "numpy.ndarray"
    change: "numpy.ndarray"
    change_half_width: "numpy.ndarray"


@dataclass(frozen=True)
class DictionaryScores:
    """Columns, a row a dictionary. explained_variance is NaN for transcoders, l0 the mean number of active features."""

    dictionary: list[str]
    site: list[str]
    layer: "numpy.ndarray"
    features: "numpy.ndarray"
    silent: "numpy.ndarray"
    l0: "numpy.ndarray"
    explained_variance: "numpy.ndarray"


@dataclass(frozen=True)
class MatchScores:
    """Columns, a row a match or composition of `steps` matches: the mean cosine, and how often features are active with
    what they are matched with: P(match | feature), P(feature | match), Jaccard."""

    matching: list[str]
    source: list[str]
    target: list[str]
    steps: "numpy.ndarray"
    distance: "numpy.ndarray"
    cosine: "numpy.ndarray"
    given_feature: "numpy.ndarray"
    given_match: "numpy.ndarray"
    jaccard: "numpy.ndarray"


@dataclass(frozen=True)
class Decay:
    """Columns, a row for each match, site and distance in layers; see MatchScores."""

    matching: list[str]
    site: list[str]
    distance: "numpy.ndarray"
    cosine: "numpy.ndarray"
    given_feature: "numpy.ndarray"
    given_match: "numpy.ndarray"
    jaccard: "numpy.ndarray"


@dataclass(frozen=True)
class JudgedPair:
    matching: str
    source: str  # "11/res/743"
    target: str
    similarity: float
    verdict: str  # SAME, MAYBE or DIFFERENT
    source_label: str | None = None  # what the spec calls it
    target_label: str | None = None


@dataclass(frozen=True)
class Evaluation:
    """What `weirc evaluate` printed. loss: of the plain model, nats a token; predicted: tokens that it is the mean of."""

    loss: float
    loss_half_width: float
    windows: int
    tokens: int
    predicted: int
    plans: PlanLosses
    dictionaries: DictionaryScores
    matches: MatchScores
    decay: Decay
    judged: list[JudgedPair] = field(default_factory=list)


_ACTIVE = {name: ("active", name) for name in ("given_feature", "given_match", "jaccard")}


def evaluate(spec: str | os.PathLike, text: str | os.PathLike, **options) -> Evaluation:
    """Measures the plans, dictionaries and matches of a spec on a text (`weirc evaluate`).

    `options` are those of `weirc evaluate --help`: model="a.pt2", context=64, max_tokens=2000, plot="a.svg", …
    Raises CompileError with weirc's messages.
    """
    printed = compiler.weirc("evaluate", os.fspath(spec), text=os.fspath(text), shows_progress=True, **options)
    measured = printed["text"]
    return Evaluation(
        printed["plain"]["mean"], _number(printed["plain"]["half_width"]), measured["windows"], measured["tokens"],
        measured["predicted"],
        PlanLosses(**_table(printed["plans"], ("plan",), {
            f"{name}{suffix}": (name, key) for name in ("loss", "change")
            for suffix, key in (("", "mean"), ("_half_width", "half_width"))})),
        DictionaryScores(**_table(printed["dictionaries"], ("dictionary", "site"), {
            name: (name,) for name in ("layer", "features", "silent", "l0", "explained_variance")})),
        MatchScores(**_table(printed["matches"], ("matching", "source", "target"), {
            name: (name,) for name in ("steps", "distance", "cosine")} | _ACTIVE)),
        Decay(**_table(printed["decay"], ("matching", "site"), {
            name: (name,) for name in ("distance", "cosine")} | _ACTIVE)),
        [JudgedPair(**pair) for pair in printed["judged"]])


@dataclass(frozen=True)
class Form:
    """A way to spread a strength over layers: `yaml` has the keys of the policy that make it, empty for the one that is
    written; the budget is NaN where no forms were compared."""

    name: str
    yaml: str
    budget: float


@dataclass(frozen=True)
class Sweep:
    """What `weirc sweep` printed. Arrays are [forms, values], float64, NaN where a number was not measured; distinct is
    [forms, values, 3], of 1-, 2- and 3-grams. texts[form][value] are by prompt, then sample. `plain` has the same
    numbers of the unsteered model. best and best_of_all are (form, value) as indices, or None. feature is the one that rates
    texts, label what the spec calls it."""

    knob: str
    plan: str
    scored_by: str | None
    feature: str | None
    label: str | None
    forms: list[Form]
    values: "numpy.ndarray"
    loss: "numpy.ndarray"
    change: "numpy.ndarray"
    change_half_width: "numpy.ndarray"
    repetition: "numpy.ndarray"
    distinct: "numpy.ndarray"
    score: "numpy.ndarray"
    texts: list[list[list[str]]]
    prompts: list[str]
    plain: dict
    best: tuple[int, int] | None
    best_of_all: tuple[int, int] | None


def sweep(spec: str | os.PathLike, knob: str | list[str], **options) -> Sweep:
    """Measures a plan under many values of a knob, in one batch (`weirc sweep`).

    knob     "faith=0:8:16" is swept, "mood=2" is set; one of a list is swept
    options  those of `weirc sweep --help`: text="held-out.jsonl", prompt=["I think"], words="war,army",
             schedules="policy", plot=["a.svg"], write="best.yaml", …
    Raises CompileError with weirc's messages.
    """
    import numpy

    printed = compiler.weirc("sweep", os.fspath(spec), knob=knob, shows_progress=True, **options)
    points, forms = printed["points"], [Form(form["name"], form["yaml"], _number(form["budget"])) for form in printed["forms"]]
    count = len(points) // len(forms)

    def place(index):
        return None if index is None else divmod(index, count)

    def grid(*keys):
        return _column(points, *keys).reshape(len(forms), count)

    distinct = numpy.array([point["distinct"] or [numpy.nan] * 3 for point in points]).reshape(len(forms), count, 3)
    texts = [point["texts"] for point in points]
    return Sweep(printed["knob"], printed["plan"], printed["scored_by"], printed["feature"], printed["label"], forms,
                 numpy.array([point["value"] for point in points[:count]]), grid("loss", "mean"), grid("change", "mean"),
                 grid("change", "half_width"), grid("repetition"), distinct, grid("score"),
                 [texts[at:at + count] for at in range(0, len(texts), count)], printed["prompts"], printed["plain"],
                 place(printed["best"]), place(printed["best_of_all"]))
