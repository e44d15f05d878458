# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What is known of features, out of the JSON that `weirc features --json` prints:

    {"features": [{"feature": FEATURE, "label": null, "density": 0.012, "mean": 3.1, "largest": 18.2,
                   "promotes": [{"token": " war", "logit": 9.1}, …],
                   "contexts": [{"document": 3, "source": null, "position": 117, "tokens": [" the", …],
                                 "activations": [0.0, …]}, …],
                   "neighbours": [{"feature": FEATURE, "similarity": 0.54}, …]}, …]}
"""

from __future__ import annotations

import json
import math
import unicodedata
from pathlib import Path

from ..errors import InputError
from ..files import read_text


def visible(text: str) -> str:
    """A text in which control characters can be seen, and nothing turns the direction of writing around."""
    if text.isprintable():
        return text
    shown = []
    for character in text:
        kind = unicodedata.category(character)
        if character == "\n":
            shown.append("↵")
        elif character == "\t":
            shown.append("⇥")
        elif kind == "Cc":
            shown.append(chr(0x2400 + ord(character)) if ord(character) < 0x20 else "\ufffd")
        elif kind in ("Cs", "Cn") or (kind == "Cf" and character not in "\u200c\u200d"):
            shown.append("\ufffd")
        elif kind in ("Zl", "Zp"):
            shown.append("↵")
        else:
            shown.append(character)
    return "".join(shown)


def short(text: str, most: int) -> str:
    """At most so many characters, the last one an ellipsis where there are more."""
    return text if len(text) <= most else text[:most - 1] + "…"


def _word(token: str) -> str:
    """Without the spaces around it; nothing for a piece of a character."""
    word = token.strip()
    return word if word.strip("\ufffd") else ""


def fires_on(known: dict) -> list[str]:
    """The tokens at which a feature is most active in its contexts, without the spaces around them: each once, those of most
    contexts first, then those of the strongest."""
    counts: dict[str, list] = {}
    for context in known.get("contexts") or []:
        activations = context["activations"]
        if activations and max(activations) > 0:
            token = _word(context["tokens"][activations.index(max(activations))])
            if token:
                counts.setdefault(token.casefold(), [0, token])[0] += 1
    return [token for _, token in sorted(counts.values(), key=lambda one: -one[0])]


def promotes(known: dict) -> list[str]:
    """The tokens that it promotes, without the spaces around them, each once."""
    result: dict[str, str] = {}
    for one in known.get("promotes") or []:
        if token := _word(one["token"]):
            result.setdefault(token.casefold(), token)
    return list(result.values())


def _require(condition: bool, where: str, what: str):
    if not condition:
        raise InputError(f"{where}: {what}")


def _is_number(value) -> bool:
    try:
        return not isinstance(value, bool) and isinstance(value, (int, float)) and math.isfinite(value)
    except OverflowError:  # an integer that no float holds
        return False


def no_number(text: str):
    """For NaN and Infinity, which are no JSON."""
    raise ValueError(f"{text} is no number of JSON")


def object_of(pairs: list[tuple[str, object]]) -> dict:
    """An object of JSON whose keys are there once."""
    made = dict(pairs)
    if len(made) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {short(repr(twice), 60)} is there twice in one object")
    return made


def _check(row, where: str):
    _require(isinstance(row, dict) and isinstance(row.get("feature"), str), where, '"feature" is missing')
    for key in ("density", "mean", "largest"):
        _require(row.get(key) is None or _is_number(row[key]), where, f"{key} is no number")
    _require(0 <= (row.get("density") or 0) <= 1, where, "density is no share of tokens")
    _require(row.get("label") is None or isinstance(row["label"], str), where, "label is no text")
    for key in ("promotes", "contexts", "neighbours"):
        _require(isinstance(row.get(key, []), list) and all(isinstance(one, dict) for one in row.get(key, [])),
                 where, f"{key} must be a list of objects")
    for one in row.get("promotes", []):
        _require(isinstance(one.get("token"), str) and _is_number(one.get("logit")), where,
                 "promotes has an entry without token and logit")
    for one in row.get("contexts", []):
        tokens, activations = one.get("tokens"), one.get("activations")
        _require(isinstance(tokens, list) and isinstance(activations, list) and len(tokens) == len(activations)
                 and all(isinstance(token, str) for token in tokens) and all(map(_is_number, activations)),
                 where, "contexts has an entry without as many tokens as activations")
        _require(one.get("source") is None or isinstance(one["source"], str), where, "contexts has a source that is no text")
        _require(all(isinstance(one.get(key, 0), int) for key in ("document", "position")), where,
                 "contexts has a document or a position that is no number")
    for one in row.get("neighbours", []):
        _require(isinstance(one.get("feature"), str) and _is_number(one.get("similarity")), where,
                 "neighbours has an entry without feature and similarity")
        _require(isinstance(one.get("by", ""), str), where, "neighbours has a 'by' that is no text")


def loads(text: str, what: str) -> dict[str, dict]:
    """By a feature's name, what the JSON text says of it. Raises InputError for what has another form."""
    try:
        data = json.loads(text, parse_constant=no_number, object_pairs_hook=object_of)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{what} is not valid JSON: {error}") from error
    rows = data.get("features") if isinstance(data, dict) else None
    if not isinstance(rows, list):
        raise InputError(f'{what} has no "features": it is no output of weirc features --json')
    found = {}
    for index, row in enumerate(rows):
        where = f"{what}: features[{index}]"
        _check(row, where)
        _require(row["feature"] not in found, where, f"{short(visible(row['feature']), 60)} is there twice")
        found[row["feature"]] = row
    return found


def read(path: str | Path) -> dict[str, dict]:
    return loads(read_text(path, limit=1 << 30), str(path))
