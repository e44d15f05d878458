# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""python -m weir features, which weirc features calls."""

from __future__ import annotations

import argparse
import json
from typing import Callable

from ..compiler import CompileError
from ..pictures.about import short, visible
from . import report, theme, windows


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError
    return number


_count.__name__ = "number"  # argparse: "invalid number value: '-1'"


def add(commands, say: Callable[[str], None], progress: Callable[[], Callable[[str], None]]):
    """Adds the command. `say` prints a result, `progress` makes what prints steps."""
    command = commands.add_parser(
        "features",
        help="say what features mean: where they fire on a text, which tokens they promote",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Runs a text through the model once and prints of each feature: how many of the tokens it fires at, the "
        "contexts in\nwhich it fires most, the tokens of which its decoder row raises the logits most (through the model's own "
        "final norm and\nunembedding), and the features near it. The features are those that the spec's lists, policies and graphs "
        "select.",
        epilog="examples:\n"
        "  weirc features spec.yaml --text heldout.jsonl\n"
        "  weirc features spec.yaml --text heldout.jsonl --feature 11/res/743 --json")
    command.add_argument("spec", metavar="SPEC", help="the spec, a YAML file")
    command.add_argument("--text", required=True, metavar="FILE", help="a text: .txt; .jsonl, a document a line under the key "
                         "\"text\"; or .npy, token ids")
    command.add_argument("--feature", action="append", default=[], metavar="FEATURE",
                         help="this feature, such as 11/res/743, instead of the spec's; may be repeated")
    command.add_argument("--site", action="append", default=[], metavar="SITE",
                         help="all features at a site, such as 11/res, instead of the spec's; may be repeated")
    command.add_argument("--model", metavar="FILE", help="the exported model (.pt2), instead of the one that the spec names")
    command.add_argument("--cache", metavar="FOLDER", help="folder of computed matches (default: $WEIR_CACHE, or ~/.cache/weir)")
    for name, default, what in (("contexts", report.CONTEXTS, "contexts of each feature"),
                                ("around", report.AROUND, "tokens of a context before its strongest one, and behind it"),
                                ("promotes", report.PROMOTES, "tokens that each feature promotes"),
                                ("neighbours", report.NEIGHBOURS, "features of the same dictionary with the largest cosine"),
                                ("skip-first", windows.SKIP_FIRST, "positions at the beginning of a window that do not count, where "
                                 "many models have an attention sink")):
        command.add_argument(f"--{name}", type=_count, default=default, metavar="N", help=f"{what} (default: %(default)s)")
    command.add_argument("--context", type=_count, metavar="N", help="positions of a window of the text (default: "
                         f"{windows.CONTEXT}, or what the model holds)")
    command.add_argument("--bos", action="store_true", help="begin each window with the model's beginning-of-sequence token")
    command.add_argument("--max-tokens", type=_count, default=windows.MAX_TOKENS, metavar="N", help="stop after so many tokens; 0 for "
                         "the whole text (default: %(default)s)")
    command.add_argument("--json", action="store_true", help="print everything as JSON, which python -m weir picture --features reads")
    themes = command.add_argument_group("themes", "With --theme the command looks for the features of a theme among all of the "
                                        "residual stream, or of --site.")
    themes.add_argument("--theme", metavar="WORDS|FILE", help="words, such as 'war, battle': the theme is where they stand in the "
                        "text; or a file of texts about the theme, which are compared with the text")
    themes.add_argument("-o", "--output", metavar="SPEC", help="write a spec with these features, their graph, and a policy over it")
    themes.add_argument("--name", default="theme", metavar="NAME", help="what they are called in it (default: %(default)s)")
    themes.add_argument("--count", type=_count, default=theme.COUNT, metavar="N", help="features at most (default: %(default)s)")
    themes.add_argument("--near", type=_count, default=theme.NEAR, metavar="N",
                        help="tokens before and behind a word that are of the theme, too (default: %(default)s)")
    themes.add_argument("--dose", type=float, default=theme.DOSE, metavar="D", help="of what is added to see how a feature moves "
                        "the theme's words: a share of the residual stream's median norm (default: %(default)s)")
    command.set_defaults(run=lambda arguments: _run(arguments, say, progress()), parser=command)


def _find_theme(arguments, progress):
    return theme.theme(
        arguments.spec, arguments.text, arguments.theme, count=arguments.count, dose=arguments.dose, near=arguments.near,
        sites=arguments.site, model=arguments.model, cache=arguments.cache, context=arguments.context,
        begin_with_bos=arguments.bos, skip_first=arguments.skip_first, max_tokens=arguments.max_tokens or None,
        output=arguments.output, name=arguments.name, progress=progress)


def theme_table(found: theme.Theme) -> str:
    """What a person reads."""
    chosen = {one.feature for one in found.features}
    return "\n".join([
        said_of(sum(found.tokens), found.text_tokens),
        f"theme: {found.tokens[0]} of these; its words: " + " ".join(visible(word).strip() for word in found.words),
        "", f"  {'feature':18} {'contrast':>9} {'on theme':>9} {'on rest':>9} {'output':>8}",
        *(f"{'*' if one.feature in chosen else ' '} {one.feature:18} {one.contrast:9.2f} {one.on:9.3g} {one.off:9.3g} {one.output:8.2f}"
          for one in found.tried),
        "", "contrast in standard deviations; output: how much adding it raises the words' log probability; * chosen"])


def _find_features(arguments, progress):
    return report.features(
        arguments.spec, arguments.text, features=arguments.feature, sites=arguments.site, model=arguments.model,
        cache=arguments.cache, contexts=arguments.contexts, around=arguments.around, promotes=arguments.promotes,
        neighbours=arguments.neighbours, context=arguments.context, begin_with_bos=arguments.bos,
        skip_first=arguments.skip_first, max_tokens=arguments.max_tokens or None, progress=progress)


def _run(arguments, say, progress) -> int:
    if arguments.theme is not None and arguments.feature:
        arguments.parser.error("--feature and --theme exclude each other")
    if arguments.theme is None and arguments.output is not None:
        arguments.parser.error("-o belongs to --theme")
    find, as_table = (_find_features, table) if arguments.theme is None else (_find_theme, theme_table)
    try:
        found = find(arguments, progress)
    except CompileError as error:
        return _refused(error, arguments.json, say)
    say(json.dumps(found.to_json(), indent=1) if arguments.json else as_table(found))
    return 0


def _refused(error: CompileError, as_json: bool, say) -> int:
    import sys

    if as_json and error.diagnostics:
        say(json.dumps({"ok": False, "diagnostics": error.diagnostics}, indent=2))
    else:
        print(error, file=sys.stderr)
    return 2


def said_of(tokens: int, whole: int) -> str:
    """How much of a text was read."""
    if tokens == whole:
        return f"on {tokens} tokens"
    return f"on the first {tokens} of {whole} tokens (--max-tokens {tokens}; 0 for all)"


def table(found: report.FeatureReport) -> str:
    """What a person reads."""
    lines = [said_of(found.tokens, found.text_tokens)]
    for number, feature in enumerate(found.features):
        label = found.labels[number]
        lines += ["", feature + (f"  {visible(label)}" if label else ""),
                  f"  fires at {found.density[number]:.3%} of the tokens" + (
                      f", {found.mean[number]:.3g} in the mean where it does, {found.largest[number]:.3g} at most"
                      if found.density[number] else "")]
        if found.promoted[number]:
            lines.append("  promotes  " + "  ".join(visible(word) if word.strip() else repr(word) for word in found.promoted[number]))
        for context in found.contexts[number]:
            lines.append(f"  {context.activations.max():7.3g}  {_marked(context)}")
        for one in found.neighbours[number]:
            lines.append(f"  near      {one.feature}  {one.similarity:.2f}  ({one.by})")
    return "\n".join(lines)


def _marked(context: report.Context) -> str:
    """A context with its strongest token in brackets, on one line."""
    peak = int(context.activations.argmax())
    words = [visible(token) for token in context.tokens]
    mark = words[peak]
    start = len(mark) - len(mark.lstrip()) if mark.strip() else 0
    words[peak] = f"{mark[:start]}[{mark[start:]}]"
    return short("".join(words).strip(), 140)
