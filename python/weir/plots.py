# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Plots of what `weirc evaluate` and `weirc sweep` print with --json (`python -m weir plot`)."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from pathlib import Path

from .errors import WeirError
from .files import read_text, replacing

# weirc looks for it before it replaces a file (lib/Driver/ResultFiles.cpp).
MARK = "weir plot"
FORMATS = (".svg", ".png")
# A line is told by its marker as well as by its colour.
_MARKERS = "osD^vPX*"


def _library():
    try:
        import matplotlib
    except ImportError as error:
        raise WeirError("plots need matplotlib: pip install matplotlib, or run ./bootstrap install") from error
    matplotlib.use("agg")
    import matplotlib.pyplot as pyplot

    pyplot.rcParams.update({"svg.hashsalt": MARK, "svg.fonttype": "none", "font.size": 9, "axes.grid": True,
                            "grid.alpha": 0.3, "axes.spines.top": False, "axes.spines.right": False})
    return pyplot


def _panels(pyplot, titles: list[str]):
    """A figure with a panel for each title, at most three beside each other."""
    columns = min(3, len(titles))
    rows = -(-len(titles) // columns)
    figure, axes = pyplot.subplots(rows, columns, figsize=(4.2 * columns, 3.2 * rows), squeeze=False, layout="constrained")
    for panel in axes.flat[len(titles):]:
        panel.set_visible(False)
    for panel, title in zip(axes.flat, titles):
        panel.set_title(title)
    return figure, list(axes.flat[:len(titles)])


def _lines(panel, lines: dict[str, tuple[list, list]], width: float = 1, legend: bool = True):
    """{label: (x, y)}, with a legend where there are several."""
    for index, (label, (x, y)) in enumerate(lines.items()):
        panel.plot(x, y, marker=_MARKERS[index % len(_MARKERS)], markersize=4, linewidth=width, label=label)
    if legend and len(lines) > 1:
        panel.legend(frameon=False, fontsize=7)


def _grouped(rows: Iterable[dict], keys: tuple[str, ...], x: str, y) -> dict[str, tuple[list, list]]:
    lines: dict[str, tuple[list, list]] = {}
    for row in rows:
        value = y(row)
        if value is None:
            continue
        xs, ys = lines.setdefault(" ".join(str(row[key]) for key in keys), ([], []))
        xs.append(row[x])
        ys.append(value)
    return lines


def evaluation(results: dict):
    """Loss by plan, explained variance and L0 by layer, matches over distance: what there is of them. Returns a figure of
    matplotlib."""
    pyplot = _library()
    plans, dictionaries, decay = results["plans"], results["dictionaries"], results["decay"]
    titles = (["change of the loss"] * bool(plans) + ["explained variance", "active features a token"] * bool(dictionaries) +
              ["cosine over distance", "matching score over distance"] * bool(decay))
    figure, panels = _panels(pyplot, titles or ["loss"])
    panels = iter(panels)
    if not titles:
        panel = next(panels)
        panel.bar(["plain"], [results["plain"]["mean"]])
        panel.set_ylabel("nats a token")
    if plans:
        panel = next(panels)
        panel.barh([plan["plan"] for plan in plans], [plan["change"]["mean"] for plan in plans],
                   xerr=[plan["change"]["half_width"] or 0 for plan in plans], color="0.6", ecolor="black")
        panel.invert_yaxis()
        panel.set_xlabel("nats a token, 95% interval")
    if dictionaries:
        for measure in ("explained_variance", "l0"):
            panel = next(panels)
            _lines(panel, _grouped(dictionaries, ("dictionary", "site"), "layer", lambda row: row[measure]))
            panel.set_xlabel("layer")
    if decay:
        for label, y in (("mean cosine of decoder rows", lambda row: row["cosine"]),
                         ("P(match active | feature active)", lambda row: row["active"]["given_feature"])):
            panel = next(panels)
            _lines(panel, _grouped(decay, ("matching", "site"), "distance", y))
            panel.set_xlabel("layers apart")
            panel.set_ylabel(label)
            panel.set_ylim(bottom=0)
    return figure


def sweep(results: dict):
    """Loss, repetition and score over the knob's values, and the score against the loss, as far as they were measured.
    Returns a figure of matplotlib."""
    pyplot = _library()
    points, plain = results["points"], results["plain"]
    measures = []
    if plain["change"] is not None:
        measures.append(("change of the loss, nats a token", lambda row: row["change"]["mean"]))
    if plain["repetition"] is not None:
        measures.append(("repetition", lambda row: row["repetition"]))
    if plain["score"] is not None:
        measures.append((f"score by {results['scored_by']}", lambda row: row["score"]))
    both = plain["change"] is not None and plain["score"] is not None
    figure, panels = _panels(pyplot, [""] * (len(measures) + both))
    for panel, (label, y) in zip(panels, measures):
        _lines(panel, _grouped(points, ("form",), "value", y), legend=panel is panels[0])
        panel.axhline(y(plain), color="0.5", linestyle=":", linewidth=1)
        panel.set_xlabel(results["knob"])
        panel.set_ylabel(label)
    if both:
        panel = panels[-1]
        lines: dict[str, tuple[list, list]] = {}
        for row in points:
            xs, ys = lines.setdefault(row["form"], ([], []))
            xs.append(row["change"]["mean"])
            ys.append(row["score"])
        # In the order of the knob's values, which may go forth and back.
        _lines(panel, lines, width=0.4, legend=False)
        panel.set_xlabel("change of the loss, nats a token")
        panel.set_ylabel(f"score by {results['scored_by']}")
        if results["best"] is not None:
            best = points[results["best"]]
            panel.annotate("best", (best["change"]["mean"], best["score"]), textcoords="offset points", xytext=(6, 6))
    return figure


KINDS = {"evaluate": evaluation, "sweep": sweep}


def write(figure, path: str | Path):
    """Writes a figure of matplotlib to an .svg or .png file; the same figure gives the same bytes. Raises WeirError for
    another ending."""
    path = Path(path)
    if path.suffix not in FORMATS:
        raise WeirError(f"{path}: a plot's name ends in {' or '.join(FORMATS)}")
    metadata = {"Creator": MARK, "Date": None} if path.suffix == ".svg" else {"Software": MARK}
    drawn = io.BytesIO()
    figure.savefig(drawn, format=path.suffix[1:], dpi=150, metadata=metadata)
    with replacing(path) as stream:
        stream.write(drawn.getvalue())


def plot(kind: str, results: str | Path, outputs: Iterable[str | Path]):
    """Draws the results in a JSON file into each of the files."""
    try:
        figure = KINDS[kind](json.loads(read_text(results)))
    except (ValueError, KeyError, TypeError) as error:
        raise WeirError(f"{results}: these are no results of weirc {kind} --json: {error!r}") from error
    for output in outputs:
        write(figure, output)


def add(commands):
    """Adds `python -m weir plot`."""
    command = commands.add_parser(
        "plot", help="draw what weirc evaluate or weirc sweep printed with --json",
        description="Draws the JSON of weirc evaluate or weirc sweep with matplotlib. weirc calls this for --plot.")
    command.add_argument("kind", choices=KINDS, help="which of them printed it")
    command.add_argument("results", metavar="FILE", help="the JSON")
    command.add_argument("outputs", metavar="OUTPUT", nargs="+", help="what to draw: .svg or .png")

    def run(arguments) -> int:
        plot(arguments.kind, arguments.results, arguments.outputs)
        return 0

    command.set_defaults(run=run)
