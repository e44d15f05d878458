# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""python -m weir picture, which weirc graph calls for what it does not write itself."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

from ..errors import WeirError
from ..files import replacing, same_file
from . import about as features
from . import drawing, graph, layout, page, story

KINDS = (".html", ".svg", ".txt")


def write(source: str | Path, output: str | Path, name: str | None = None, about: str | Path | None = None,
          progress: Callable[[str], None] = lambda line: None):
    """Draws the graphs of a JSON file.

    source  what `weirc graph --json` prints
    output  .html: a page of all graphs; .svg: one picture of one graph; .txt: the stories of all graphs
    name    the only graph that is wanted
    about   what `weirc features --json` prints, of the graphs' features

    The file appears whole or not at all. Raises WeirError for what cannot be read, has no such graph, or without Graphviz.
    """
    output = Path(output)
    if output.suffix not in KINDS:
        raise WeirError(f"{output}: pictures are {', '.join(KINDS)}")
    for one in (source, about):
        if one is not None and same_file(one, output):
            raise WeirError(f"{output} is an input, which would be replaced")
    graphs = graph.read(source)
    if name is not None:
        graphs = [one for one in graphs if one.name == name] or _missing(name, graphs)
    if output.suffix == ".svg" and len(graphs) > 1:
        raise WeirError(f"{output}: a picture has one graph; name one of {', '.join(one.name for one in graphs)}")
    known = {} if about is None else features.read(about)
    text = render(graphs, output.suffix, known, progress)
    with replacing(output) as stream:
        stream.write(text.encode("utf-8"))


def render(graphs: list[graph.FlowGraph], kind: str, about: dict[str, dict], progress=lambda line: None) -> str:
    """The text of a file with the ending `kind`."""
    if kind == ".txt":
        return "\n".join(story.as_text(one, about) for one in graphs)
    layouts = []
    for one in graphs:
        progress(f"laying out {one.name}: {len(one)} features, {len(one.source)} edges")
        layouts.append(layout.place(one, about))
    if kind == ".svg":
        return drawing.standalone(graphs[0], layouts[0], about)
    return page.page(graphs, layouts, about)


def _missing(name: str, graphs):
    raise WeirError(f"there is no graph {name!r}; there are {', '.join(one.name for one in graphs)}")


def add(commands, progress: Callable[[], Callable[[str], None]]):
    """Adds the command."""
    command = commands.add_parser(
        "picture",
        help="draw flow graphs as a page (.html) or a picture (.svg), or tell them (.txt)",
        description="Draws the graphs that weirc graph --json prints: as one HTML file that loads nothing, as SVG, or as text. "
        "Graphviz lays them out.")
    command.add_argument("graphs", metavar="GRAPHS", help="what weirc graph --json prints, a file")
    command.add_argument("-o", "--output", required=True, metavar="FILE", help="the file to write: .html, .svg or .txt")
    command.add_argument("--graph", metavar="NAME", help="draw this one only")
    command.add_argument("--features", metavar="FILE", help="what weirc features --json prints: contexts, promoted tokens "
                         "and densities, which the page shows")

    def run(arguments) -> int:
        write(arguments.graphs, arguments.output, arguments.graph, arguments.features, progress())
        return 0

    command.set_defaults(run=run)
