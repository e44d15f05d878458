# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Chats: what a program's template makes of messages, by `weirc chat`, whose engine is that of weir-run."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .compiler import tool
from .errors import WeirError

if TYPE_CHECKING:
    from .programs import Program

_NAMELESS = "default"
_WITH_TOOLS = "tool_use"


def is_chat(row) -> bool:
    """Whether a row is a chat: a list of messages."""
    return isinstance(row, Sequence) and not isinstance(row, (str, bytes)) and bool(row) \
        and all(isinstance(message, Mapping) for message in row)


def rendered(requests: list[dict]) -> list[tuple[str | None, str]]:
    """Texts of `weirc chat` requests, or None and why there is none. Raises WeirError if weirc is not built, or
    fails."""
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    done = subprocess.run([tool("weirc"), "chat"], input=lines, capture_output=True, text=True, encoding="utf-8")
    results = [json.loads(line) for line in done.stdout.split("\n") if line]
    if done.returncode != 0 or len(results) != len(requests):
        raise WeirError(f"weirc chat ended with status {done.returncode} {done.stderr.strip()[-500:]}")
    return [(result.get("text"), result.get("error", "")) for result in results]


def _check(messages: Sequence, row: int):
    """What weir-run asks of messages."""
    for message in messages:
        if not isinstance(message.get("role"), str):
            raise WeirError(f'row {row}: a message is a mapping with "role" and "content", not {message!r}')
        if "content" not in message and len(message) == 1:
            raise WeirError(f'row {row}: a message has "role" and "content"')
        content = message.get("content")
        if content is not None and not isinstance(content, (str, Sequence)):
            raise WeirError(f'row {row}: the "content" of a message is a text or a list of parts, not {content!r}')


def _template(program: "Program", name: str | None, with_tools: bool) -> str:
    """The template of a name; without one, that which weir-run takes."""
    templates = program.info.get("chat_templates") or {}
    if not templates:
        raise WeirError("the model has no chat template: give texts or ids")
    chosen = name or (_WITH_TOOLS if with_tools and _WITH_TOOLS in templates else _NAMELESS)
    if chosen not in templates:
        raise WeirError(f"the model has no chat template {chosen!r}; choose one with chat_template: {', '.join(sorted(templates))}"
                        if name else "the model has no chat template that is taken without a name; choose one with "
                        f"chat_template: {', '.join(sorted(templates))}")
    return templates[chosen]


def _special_tokens(program: "Program") -> dict[str, str]:
    """What templates see by name, such as bos_token."""
    tokens = {}
    for key, value in program.tokenizer_config.items():
        value = value.get("content") if isinstance(value, dict) else value
        if key.endswith("_token") and isinstance(value, str):
            tokens[key] = value
    return tokens


def texts(program: "Program", chats: dict[int, Sequence], *, tools=None, template: str | None = None,
          continued: bool = False) -> dict[int, str]:
    """The prompt of each chat, by its row. They hold the special tokens as text."""
    variables, requests = _special_tokens(program), []
    for row, messages in chats.items():
        _check(messages, row)
        if continued and messages[-1]["role"] != "assistant":
            raise WeirError(f"row {row}: continue_final_message goes on with an assistant's message, which has to be the last one")
        request = {"template": _template(program, template, tools is not None), "messages": [dict(message) for message in messages],
                   "variables": variables, ("continue_final_message" if continued else "add_generation_prompt"): True}
        if tools is not None:
            request["tools"] = list(tools)
        requests.append(request)
    try:
        found = rendered(requests)
    except (TypeError, ValueError) as error:  # of json.dumps
        raise WeirError(f"a chat holds what JSON has not: {error}") from error
    for row, (text, why) in zip(chats, found):
        if text is None:
            raise WeirError(f"row {row}: {why}")
    return {row: text for row, (text, _) in zip(chats, found)}
