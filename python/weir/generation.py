# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Texts and losses of a program: batches, the cache, what ends a text. In the steps of weir-run
(lib/Runtime/Generator.cpp), so that both give the same tokens."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Callable, Mapping

from . import sampling
from .errors import WeirError
from .stats import Records

if TYPE_CHECKING:
    import torch

# The prefill goes through the program in pieces whose logits stay below this.
_PREFILL_BYTES = 256 << 20


@dataclass(frozen=True)
class Generated:
    """What a row became.

    text     the new tokens as text, without special tokens and up to the stop string; None without a tokenizer
    tokens   all new tokens
    prompt   the tokens before them
    finish   why it ended: "eos", "stop", "max_new_tokens" or "max_length" (the program holds no more)
    plan     the plan that the row followed, "none" for none
    knobs    the values of all knobs
    seed     of its random numbers
    records  by name, of prompt and new tokens: [tokens, features] float32; empty unless they were asked for
    """

    text: str | None
    tokens: list[int]
    prompt: list[int]
    finish: str
    plan: str
    knobs: dict[str, float]
    seed: int
    records: dict[str, "torch.Tensor"] = field(default_factory=dict)

    def __str__(self):
        return self.text if self.text is not None else str(self.tokens)


@dataclass
class Row:
    """A row to generate: prompt, plan and knobs as the program takes them, and what it has become so far."""

    prompt: list[int]
    plan: int
    knobs: list[float]
    sampling: sampling.Sampling
    tokens: list[int] = field(default_factory=list)
    finish: str = ""
    fed: int = 0  # tokens in the cache
    records: dict[str, list] = field(default_factory=dict)

    def next_at(self) -> int:
        return len(self.prompt) + len(self.tokens)


def cut(text: str, stop: tuple[str, ...]) -> str | None:
    """The text before the stop string that is complete first, of several the longest; None if there is none."""
    found = [(at + len(one), at) for one, at in ((one, text.find(one)) for one in stop) if at >= 0]
    return text[:min(found)[1]] if found else None


class Generator:
    """Generates batches of rows.

    eos       tokens after which a row is done
    stop      texts after which a row is done
    record    keep the program's records; the last token of a row is then fed as well
    on_token  is called with a row's index and each new token
    """

    def __init__(self, program, max_new_tokens: int, eos: list[int], stop: tuple[str, ...], record: bool,
                 on_token: Callable[[int, int], None] | None):
        self.program, self.max_new_tokens, self.eos, self.stop = program, max_new_tokens, eos, stop
        self.record, self.on_token = record, on_token
        self.most = program.info["max_length"]

    def run(self, rows: list[Row]):
        batch = self.program.info["max_batch"]
        for first in range(0, len(rows), batch):
            self._batch(rows[first:first + batch], first)

    def _batch(self, rows: list[Row], first: int):
        longest = max(len(row.prompt) for row in rows)
        piece = max(1, _PREFILL_BYTES // 4 // self.program.info["vocab_size"] // len(rows))
        for start in range(0, longest, piece):
            self._feed(rows, [row.prompt[start:start + piece] for row in rows], min(piece, longest - start), first)
        while active := [index for index, row in enumerate(rows) if not self._is_drained(row)]:
            # Rows behind the last active one are left out; a finished row in between is padding.
            fed = rows[:active[-1] + 1]
            self._feed(fed, [[] if self._is_drained(row) else row.tokens[-1:] for row in fed], 1, first)

    def _is_drained(self, row: Row) -> bool:
        return bool(row.finish) and (not self.record or row.fed >= self.most or row.fed == row.next_at())

    def _feed(self, rows: list[Row], tokens: list[list[int]], length: int, first: int):
        """One pass: the next tokens of each row, padded to `length`."""
        import torch

        ids = torch.zeros(len(rows), length, dtype=torch.long)
        positions = torch.full((len(rows), length), -1)
        for at, (row, new) in enumerate(zip(rows, tokens)):
            ids[at, :len(new)] = torch.tensor(new, dtype=torch.long)
            positions[at, :len(new)] = torch.arange(row.fed, row.fed + len(new))
        outputs = self.program._run(ids, positions, [len(row.prompt) for row in rows], [row.plan for row in rows],
                                    [row.knobs for row in rows])
        for at, (row, new) in enumerate(zip(rows, tokens)):
            row.fed += len(new)
            if self.record and new:
                for record in self.program.manifest.get("records", []):
                    row.records.setdefault(record["name"], []).append(outputs[record["output"]][at, :len(new)].clone())
            if not new or row.finish or row.fed != row.next_at():
                continue
            try:
                token = sampling.choose(outputs[0][at, len(new) - 1].numpy(), row.sampling, row.prompt, row.tokens)
            except WeirError as error:
                raise WeirError(f"row {first + at}, token {len(row.tokens)}: {error}") from error
            row.tokens.append(token)
            if self.on_token:
                self.on_token(first + at, token)
            row.finish = self._finish(row)

    def _finish(self, row: Row) -> str:
        """Why the row ends with its last token, empty if it goes on."""
        if row.tokens[-1] in self.eos:
            return "eos"
        if self.stop and cut(self.program.decode(row.tokens), self.stop) is not None:
            return "stop"
        if len(row.tokens) >= self.max_new_tokens:
            return "max_new_tokens"
        return "max_length" if row.fed >= self.most else ""


def stop_strings(program, stop: str | list[str]) -> tuple[str, ...]:
    stop = (stop,) if isinstance(stop, str) else tuple(stop)
    for text in stop:
        if not isinstance(text, str) or not text:
            raise WeirError(f"a stop string is {text!r}; it is a text of at least one character")
    if stop:
        program.tokenizer  # needed to find them; says so if there is none
    return stop


def generate(program, prompts: list[list[int]], plans: list[int], columns: list[list[float]],
             options: list[sampling.Sampling], *, max_new_tokens: int, stop, ignore_eos: bool, record: bool,
             on_token) -> list[Generated]:
    """See Program.generate; its arguments by rows."""
    import torch

    if isinstance(max_new_tokens, bool) or not isinstance(max_new_tokens, int) or max_new_tokens < 1:
        raise WeirError(f"max_new_tokens is {max_new_tokens!r}; at least one new token has to be asked for")
    stop = stop_strings(program, stop)
    most = program.info["max_length"]
    for index, prompt in enumerate(prompts):
        if len(prompt) >= most:
            raise WeirError(f"row {index} has {len(prompt)} tokens; the program has room for {most}, and at least one is "
                            "generated")
    rows = [Row(*parts) for parts in zip(prompts, plans, columns, options)]
    Generator(program, max_new_tokens, [] if ignore_eos else program.info.get("eos") or [], stop, record, on_token).run(rows)
    result = []
    for row in rows:
        text = program.decode(row.tokens) if program.has_tokenizer else None
        if text is not None and (shorter := cut(text, stop)) is not None:
            text = shorter
        result.append(Generated(text, row.tokens, row.prompt, row.finish, program.plan_name(row.plan),
                                dict(zip(program.knobs, row.knobs)), row.sampling.seed,
                                Records({name: torch.cat(parts) for name, parts in row.records.items()},
                                        program.manifest, [row.plan])))
    return result


def loss(program, rows: list[list[int]], plan, knobs: Mapping | list | None, prompt_length) -> "torch.Tensor":
    """See Program.loss; its texts as tokens."""
    import torch

    starts = program._each(prompt_length, len(rows), "prompt lengths")
    for index, (row, start) in enumerate(zip(rows, starts)):
        if len(row) <= max(1, start or 0):
            raise WeirError(f"row {index} has no token to predict: it has {len(row)}" +
                            (f", of which {start} are prompt" if start else "; a loss needs two"))
    plans, columns = program._each(plan, len(rows), "plans"), program._each(knobs, len(rows), "sets of knobs")
    batch, losses = program.info["max_batch"], []
    for first in range(0, len(rows), batch):
        part = slice(first, first + batch)
        output = program(rows[part], plan=plans[part], knobs=columns[part],
                         prompt_length=None if prompt_length is None else starts[part])
        for row, start, logits in zip(rows[part], starts[part], output.logits):
            at = max(1, start or 0)
            scores = logits[at - 1:len(row) - 1].double().log_softmax(-1)
            losses.append(-scores.gather(-1, torch.tensor(row[at:]).unsqueeze(-1)).mean())
    return torch.stack(losses)
