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

from ..errors import WeirError
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


def fires_on(known: dict) -> list[str]:
    """The tokens at which a feature is most active in its contexts, without the spaces around them: each once, those of most
    contexts first, then those of the strongest."""
    counts: dict[str, list] = {}
    for context in known.get("contexts") or []:
        activations = context["activations"]
        if activations and max(activations) > 0:
            token = context["tokens"][activations.index(max(activations))].strip()
            if token:
                counts.setdefault(token.casefold(), [0, token])[0] += 1
    return [token for _, token in sorted(counts.values(), key=lambda one: -one[0])]


def promotes(known: dict) -> list[str]:
    """The tokens that it promotes, without the spaces around them, each once."""
    result: dict[str, str] = {}
    for one in known.get("promotes") or []:
        if token := one["token"].strip():
            result.setdefault(token.casefold(), token)
    return list(result.values())


def _require(condition: bool, where: str, what: str):
    if not condition:
        raise WeirError(f"{where}: {what}")


def _is_number(value) -> bool:
    return not isinstance(value, bool) and isinstance(value, (int, float)) and math.isfinite(value)


def _check(row, where: str):
    _require(isinstance(row, dict) and isinstance(row.get("feature"), str), where, '"feature" is missing')
    for key in ("density", "mean", "largest"):
        _require(row.get(key) is None or _is_number(row[key]), where, f"{key} is no number")
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
    for one in row.get("neighbours", []):
        _require(isinstance(one.get("feature"), str) and _is_number(one.get("similarity")), where,
                 "neighbours has an entry without feature and similarity")


def loads(text: str, what: str) -> dict[str, dict]:
    """By a feature's name, what the JSON text says of it. Raises WeirError for what has another form."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WeirError(f"{what} is not valid JSON: {error}") from error
    rows = data.get("features") if isinstance(data, dict) else None
    if not isinstance(rows, list):
        raise WeirError(f'{what} has no "features": it is no output of weirc features --json')
    for index, row in enumerate(rows):
        _check(row, f"{what}: features[{index}]")
    return {row["feature"]: row for row in rows}


def read(path: str | Path) -> dict[str, dict]:
    return loads(read_text(path, limit=1 << 30), str(path))
