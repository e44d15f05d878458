# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Chat templates: which of a tokenizer's `weir-run` renders as transformers does.

A fixed set of chats is rendered twice: by transformers, whose engine is Python's jinja2, and by
`weirc chat`, whose engine is the one of `weir-run`. A template goes into the archive if all texts are
equal. Where one refuses a chat, the other has to.
"""

from __future__ import annotations

import warnings
from typing import Iterator

from ..chats import rendered
from ..compiler import tool
from ..errors import WeirError, WeirWarning

_SYSTEM = {"role": "system", "content": "Be kind."}
_QUESTION = {"role": "user", "content": "Name a river."}
_ANSWER = {"role": "assistant", "content": "The Elbe."}
_CALL = {"role": "assistant", "content": "", "tool_calls": [
    {"id": "abcdef123", "type": "function", "function": {"name": "weather", "arguments": {"city": "Köln", "days": 2}}}]}
_TOOLS = [{"type": "function", "function": {
    "name": "weather", "description": "Wetter für eine Stadt",
    "parameters": {"type": "object", "required": ["city"], "properties": {
        "city": {"type": "string", "description": "Where?"}, "days": {"type": "integer", "default": 3},
        "units": {"type": "string", "enum": ["c", "f"]},
        "place": {"type": "object", "properties": {"lat": {"type": "number"}, "tags": {"type": "array", "items": {"type": "string"}}}}}}}}]

# What is asked -> messages and, if there are any, tools.
CHATS = {
    "a question": ([_QUESTION], None),
    "a system message": ([_SYSTEM, _QUESTION], None),
    "several turns": ([_QUESTION, _ANSWER, {"role": "user", "content": "Another."}], None),
    "several turns with a system message": ([_SYSTEM, _QUESTION, _ANSWER, _QUESTION, _ANSWER], None),
    "characters beyond ASCII, blanks and lines": (
        [{"role": "system", "content": "東京"}, {"role": "user", "content": "  Größe 🙂\n\n  ‘é’ <&> \"q\" \t"}], None),
    "empty texts": ([{"role": "system", "content": ""}, {"role": "user", "content": ""}], None),
    "an answer first": ([_ANSWER, _QUESTION], None),
    "two questions in a row": ([_QUESTION, _QUESTION], None),
    "a role that is not known": ([_QUESTION, {"role": "nobody", "content": "x"}], None),
    "an answer with its reasoning": (
        [_QUESTION, {"role": "assistant", "reasoning_content": "Rivers …", "content": "The Elbe."}, _QUESTION], None),
    "an answer with its reasoning in tags": (
        [_QUESTION, {"role": "assistant", "content": "<think>\nRivers\n</think>\n\nThe Elbe."}, _QUESTION], None),
    "a list of text parts": ([{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": " b"}]}], None),
    "tools": ([_SYSTEM, _QUESTION], _TOOLS),
    "a call of a tool and its answer": (
        [_QUESTION, _CALL, {"role": "tool", "name": "weather", "tool_call_id": "abcdef123", "content": "{\"sun\": 1}"}, _QUESTION],
        _TOOLS),
}

# How a chat ends: keyword arguments of apply_chat_template.
ENDS = ({"add_generation_prompt": False}, {"add_generation_prompt": True}, {"continue_final_message": True})


def jobs() -> Iterator[tuple[str, list, list | None, dict]]:
    """What is compared: its name in words, messages, tools and how the chat ends."""
    for name, (messages, tools) in CHATS.items():
        for end in ENDS:
            if "continue_final_message" in end and messages[-1]["role"] != "assistant":
                continue
            (how, on), = end.items()
            words = {"continue_final_message": ", continued"}.get(how, ", to be answered" if on else "")
            yield name + words, messages, tools, end


def expected(tokenizer, source: str, messages: list, tools: list | None, end: dict) -> tuple[str | None, str]:
    """transformers' text, or None and why there is none."""
    try:
        return tokenizer.apply_chat_template(messages, tools=tools, chat_template=source, tokenize=False, **end), ""
    except Exception as error:  # whatever a template makes jinja2 or Python raise
        return None, f"{type(error).__name__}: {error}"


def _shown(text: str | None, why: str, at: int) -> str:
    return f"refuses ({why.strip()[:200]})" if text is None else f"writes {text[max(at - 10, 0):at + 40]!r}"


def difference(tokenizer, source: str) -> str | None:
    """Where Weir renders `source` otherwise than transformers, in words; None if nowhere."""
    cases = list(jobs())
    requests = [{"template": source, "messages": messages, "tools": tools, "variables": dict(tokenizer.special_tokens_map), **end}
                for _, messages, tools, end in cases]
    found = None
    for _ in range(3):  # a template may write the time, and the clock may have gone on
        wants = [expected(tokenizer, source, messages, tools, end) for _, messages, tools, end in cases]
        found = None
        for (name, *_), want, got in zip(cases, wants, rendered(requests)):
            if want[0] == got[0]:
                continue
            pair = (want[0] or "", got[0] or "")
            at = next((i for i, (a, b) in enumerate(zip(*pair)) if a != b), min(map(len, pair)))
            found = f"{name}: transformers {_shown(*want, at)}, weir-run {_shown(*got, at)}"
            break
        if found is None:
            return None
    return found


def available() -> bool:
    """Whether weirc is there to compare with."""
    try:
        tool("weirc")
    except WeirError:
        return False
    return True


def templates(tokenizer) -> dict[str, str]:
    """The tokenizer's chat templates by name that Weir renders as transformers does; "default" is the one
    without a name. A warning names each that is left out, and says what to do."""
    given = tokenizer.chat_template
    if not given:
        return {}
    if not isinstance(given, dict):
        given = {"default": given}
    if not available():
        warnings.warn("the chat template is left out, since weirc is not built to compare it with: "
                      "export again after ./bootstrap build", WeirWarning)
        return {}
    kept = {}
    for name, source in given.items():
        where = difference(tokenizer, source)
        if where is None:
            kept[name] = source
        else:
            called = "the chat template" if len(given) == 1 else f"the chat template {name!r}"
            warnings.warn(f"{called} is left out, since weir-run renders it otherwise than transformers. {where}. "
                          "Give the tokenizer a template that both render alike and export again "
                          "(docs/chat-templates.md says what is not supported)", WeirWarning)
    return kept
