# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""python -m weir picture, which weirc graph calls for what it does not write itself."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Callable

from ..errors import WeirError
from ..files import open_regular, replacing, same_file
from ..meaning import windows
from . import about as features
from . import drawing, graph, layout, page, story
from .about import visible

KINDS = (".html", ".svg")


def write(source: str | Path, output: str | Path, name: str | None = None, about: str | Path | dict[str, dict] | None = None,
          progress: Callable[[str], None] = lambda line: None):
    """Draws the graphs of a JSON file.

    source  what `weirc graph --json` prints
    output  .html: a page of all graphs; .svg: one picture of one graph; replaced if it is one, or empty
    name    the only graph that is wanted
    about   what `weirc features --json` prints, of the graphs' features: a file, or by feature

    The file appears whole or not at all. Raises WeirError for what cannot be read, has no such graph, or without Graphviz.
    """
    check_output(output, source, None if isinstance(about, dict) else about)
    graphs = select(graph.read(source), name)
    if Path(output).suffix == ".svg" and len(graphs) > 1:
        raise WeirError(f"{output}: a picture has one graph; name one of {', '.join(visible(one.name) for one in graphs)}")
    known = about if isinstance(about, dict) else {} if about is None else features.read(about)
    text = render(graphs, Path(output).suffix, known, progress)
    with replacing(Path(output)) as stream:
        stream.write(text.encode("utf-8"))


def check_output(output: str | Path, *inputs: str | Path | None):
    """Raises WeirError for what is no picture by its name, an input, or somebody else's file."""
    output = Path(output)
    if output.suffix not in KINDS:
        raise WeirError(f"{output}: pictures are {' and '.join(KINDS)}")
    for one in inputs:
        if one is not None and same_file(one, output):
            raise WeirError(f"{output} is an input, which would be replaced")
    if not output.is_file() or not output.stat().st_size:
        return
    with open_regular(output) as stream:
        if drawing.MARK.encode() not in stream.read(400):
            raise WeirError(f"{output} is there and no picture of Weir's: remove it, or choose another name")


def select(graphs: list[graph.FlowGraph], name: str | None) -> list[graph.FlowGraph]:
    """All, or the one of that name."""
    found = [one for one in graphs if name in (None, one.name)]
    if not found:
        names = [visible(one.name) for one in graphs]
        raise WeirError(f"there is no graph {name!r}; there {'is' if len(names) == 1 else 'are'} {', '.join(names)}")
    return found


def describe(graphs: list[graph.FlowGraph], spec: str | Path, text: str | Path, **options) -> dict[str, dict]:
    """What is known of the features of graphs, on a text; `options` as those of weir.features."""
    from ..meaning import command as meaning
    from ..meaning import report

    names = list(dict.fromkeys(feature.name for one in graphs for feature in one.features))
    found = report.features(spec, text, features=names, **options)
    if found.tokens < found.text_tokens:
        print(f"{text}: {meaning.said_of(found.tokens, found.text_tokens)}", file=sys.stderr)
    return {row["feature"]: row for row in found.to_json()["features"]}


def render(graphs: list[graph.FlowGraph], kind: str, about: dict[str, dict], progress=lambda line: None) -> str:
    """The text of a file with the ending `kind`."""
    layouts = []
    for one in graphs:
        progress(f"laying out {one.name}: {len(one)} features, {len(one.source)} edges")
        layouts.append(layout.place(one, about))
    if kind == ".svg":
        return drawing.standalone(graphs[0], layouts[0], about)
    return page.page(graphs, layouts, about)


def add(commands, say: Callable[[str], None], progress: Callable[[], Callable[[str], None]]):
    """Adds the command."""
    command = commands.add_parser(
        "picture",
        help="draw flow graphs as a page (.html) or a picture (.svg), or tell them",
        description="Draws the graphs that weirc graph --json prints: as one HTML file that loads nothing, as SVG, or as text. "
        "Graphviz lays them out.")
    command.add_argument("graphs", metavar="GRAPHS", help="what weirc graph --json prints, a file")
    where = command.add_mutually_exclusive_group(required=True)
    where.add_argument("-o", "--output", metavar="FILE", help="the file to write: .html or .svg")
    where.add_argument("--story", action="store_true", help="print the stories of the graphs")
    command.add_argument("--graph", metavar="NAME", help="this one only")
    known = command.add_argument_group("what features mean", "Contexts, promoted tokens and densities, for the page and the story: "
                                       "out of a file, or of a text that runs through the model.")
    known.add_argument("--features", metavar="FILE", help="what weirc features --json prints")
    known.add_argument("--text", metavar="FILE", help="a text, as for weirc features; with --spec")
    known.add_argument("--spec", metavar="SPEC", help="the spec that the graphs are of")
    known.add_argument("--model", metavar="FILE", help="the exported model, instead of the one that the spec names")
    known.add_argument("--cache", metavar="FOLDER", help="folder of computed matches")
    known.add_argument("--max-tokens", type=int, metavar="N", help="stop after so many tokens of the text; 0 for all (default: "
                       f"{windows.MAX_TOKENS})")
    command.set_defaults(run=lambda arguments: _run(arguments, say, progress()), parser=command)


def _run(arguments, say, progress) -> int:
    if arguments.text and (arguments.features or not arguments.spec):
        arguments.parser.error("--text needs --spec, and goes without --features")
    if arguments.output:
        check_output(arguments.output, arguments.graphs, arguments.features, arguments.text, arguments.spec)
    known = {} if arguments.features is None else features.read(arguments.features)
    if arguments.text:
        known = describe(select(graph.read(arguments.graphs), arguments.graph), arguments.spec, arguments.text, model=arguments.model,
                         cache=arguments.cache, progress=progress,
                         max_tokens=windows.MAX_TOKENS if arguments.max_tokens is None else arguments.max_tokens or None)
    if arguments.story:
        say("\n".join(story.as_text(one, known) for one in select(graph.read(arguments.graphs), arguments.graph)).rstrip("\n"))
        return 0
    write(arguments.graphs, arguments.output, arguments.graph, known, progress)
    return 0
