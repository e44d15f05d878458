# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Running a compiled program in Python, its plans and knobs by name."""

from __future__ import annotations

import functools
import hashlib
import json
import numbers
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Iterable, Mapping, Sequence

from . import chats, generation
from .errors import WeirError, first_line
from .files import open_regular, read_text
from .generation import Generated
from .sampling import Sampling
from .stats import EditStats, Records

if TYPE_CHECKING:
    import tokenizers
    import torch

    from . import archives

UNSTEERED = "none"


class _FirstPlan:
    """What a row follows if nobody says which plan: the program's first one, as in weir-run. A program was built to be
    steered, and one that is not would say nothing of it."""

    def __repr__(self):
        return "<the program's first plan>"


FIRST_PLAN = _FirstPlan()
_INPUTS = ["input_ids", "positions", "prompt_length", "plan", "knobs"]
# What the manifest and the program's own record both say.
_RECORD = "weir.steering.json"
_STEERING = ("weir", "spec", "model", "dictionaries", "sites", "plans", "knobs", "inputs", "outputs", "records",
             "policies", "counts", "fixed")


@dataclass(frozen=True, repr=False)
class Output:
    """What a program says of a batch.

    logits    [b, S, V] float32
    records   by name, what record policies wrote: each [b, S, features] float32
    ids       [b, S] int64, the tokens; -1 at padding, where logits and records mean nothing
    features  by a record's name, what its columns are
    """

    logits: "torch.Tensor"
    records: dict[str, "torch.Tensor"]
    ids: "torch.Tensor"
    features: dict[str, list[str]]

    def feature(self, name: str, record: str | None = None) -> "torch.Tensor":
        """[b, S]: a recorded feature, such as "12/res/411". `record` says which, where several have it.

        Raises WeirError where none has it, or several.
        """
        found = [key for key, names in self.features.items() if name in names and record in (None, key)]
        if len(found) != 1:
            known = sorted({feature for names in self.features.values() for feature in names})
            raise WeirError(f"{name} is in the records {', '.join(found)}: name one of them" if found else
                            f"no record has {name}; they have {_shortened(known) or 'nothing'}")
        return self.records[found[0]][..., self.features[found[0]].index(name)]

    def __repr__(self):
        rows, length, vocabulary = self.logits.shape
        recorded = "".join(f", {name} ({_count(len(self.features[name]), 'feature')})" for name in self.records)
        return f"<weir.Output: logits of {_count(rows, 'row')} of {_count(length, 'token')}, {vocabulary} each{recorded}>"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _shortened(names: list[str], most: int = 8) -> str:
    return ", ".join([*names[:most], *(["…"] if len(names) > most else [])])


class Program:
    """A program with its manifest.

    plans    names, in the order of their indices
    knobs    name -> {"default", "min", "max"}
    records  name -> the features it holds, in the order of its columns; "gate:NAME" for the gate of a policy
    fixed    of a program with one plan compiled in for every row (`weirc build --fixed`), the knobs that the plan uses
             and the values that they were fixed at; None of all others
    stats    how many tokens were edited, if the program was built to count them
    info     extra/weir.json: sizes, largest batch and length, token ids, chat template

    Wherever a method takes rows, they are texts, or token ids in lists or a tensor; one text and one list of ids are one
    row. More rows than the program's batch go through it one batch after another.

    Keys and values of earlier tokens are kept inside, a row of the cache for each row of a batch: a
    text begins at position 0 and goes on where it stopped.
    """

    def __init__(self, module, manifest: dict, info: dict, tokenizer: bytes | None = None, tokenizer_config: bytes | None = None):
        self.module, self.manifest, self.info = module, manifest, info
        self._tokenizer_json, self._tokenizer_config = tokenizer, tokenizer_config
        self._in_cache = True  # what goes on with a text finds it there
        self.plans: list[str] = manifest.get("plans", [])
        self.knobs: dict[str, dict] = {knob["name"]: {key: knob[key] for key in ("default", "min", "max")}
                                       for knob in manifest.get("knobs", [])}
        self.fixed: dict[str, float] | None = None if manifest.get("fixed") is None else \
            {knob["name"]: knob["value"] for knob in manifest["fixed"].get("knobs", [])}
        self.stats = EditStats(manifest)
        self.module = self.stats.watching(module)
        self.records: dict[str, list[str]] = {record["name"]: record["features"] for record in manifest.get("records", [])}

    def __repr__(self):
        info = self.info
        sizes = [f"{info[key]} {what}" for key, what in (("layers", "layers"), ("vocab_size", "tokens in the vocabulary"))
                 if key in info]
        kind = ", ".join(str(info[key]) for key in ("family", "dtype", "arithmetic") if key in info)
        lines = [f"<weir.Program {info.get('model', 'without a name')}{f' ({kind})' if kind else ''}: "
                 + ", ".join([*sizes, f"up to {_count(info['max_batch'], 'row')} of {info['max_length']} at once"]),
                 f"  plans: {_shortened(self.plans) or 'none, it is not steered'}"]
        if self.fixed is not None:
            lines[-1] += ", compiled in for every row" + "".join(f", {name} = {value:g}"
                                                                for name, value in self.fixed.items())
        if self.knobs:
            lines.append("  knobs: " + _shortened([f"{name} = {knob['default']:g} ({knob['min']:g}..{knob['max']:g})"
                                                   for name, knob in self.knobs.items()]))
        if self.records:
            lines.append("  records: " + _shortened([f"{name} ({_shortened(features, 4)})"
                                                     for name, features in self.records.items()]))
        return "\n".join(lines) + ">"

    @property
    def has_tokenizer(self) -> bool:
        return self._tokenizer_json is not None

    @functools.cached_property
    def tokenizer(self) -> "tokenizers.Tokenizer":
        """The model's tokenizer, of Hugging Face's library `tokenizers`. Raises WeirError if the program has none."""
        import tokenizers

        if self._tokenizer_json is None:
            raise WeirError("the program has no tokenizer: give token ids")
        try:
            return tokenizers.Tokenizer.from_str(self._tokenizer_json.decode("utf-8"))
        except Exception as error:  # what the library raises has no type of its own
            raise WeirError(f"the program's tokenizer cannot be read: {first_line(error)}") from error

    @functools.cached_property
    def tokenizer_config(self) -> dict:
        """What came with the tokenizer: names of special tokens. Empty if nothing did."""
        try:
            config = json.loads(self._tokenizer_config or "{}")
        except ValueError as error:
            raise WeirError(f"the program's tokenizer_config.json is not valid JSON: {error}") from error
        return config if isinstance(config, dict) else {}

    def encode(self, text: str) -> list[int]:
        """The ids of a text, with those that the tokenizer puts around it, as weir-run has them."""
        return self.tokenizer.encode(text).ids

    def apply_chat_template(self, chat: Sequence[Mapping], *, tools=None, chat_template: str | None = None,
                            continue_final_message: bool = False) -> str:
        """The prompt that a chat becomes, as `weir-run` has it: a list of messages, each with "role" and "content", as
        transformers takes them. It holds the special tokens as text.

        tools                   functions that the model may call: a list of JSON schemas, or None
        chat_template           the name of one of several templates
        continue_final_message  go on with the last message, an assistant's; else the model is asked for an answer
        """
        if not chats.is_chat(chat):
            raise WeirError(f"{chat!r} is no chat; give a list of messages")
        return chats.texts(self, {0: chat}, tools=tools, template=chat_template, continued=continue_final_message)[0]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, without special tokens."""
        return self.tokenizer.decode(list(ids))

    def plan_name(self, index: int) -> str:
        return UNSTEERED if index < 0 else self.plans[index]

    def _row(self, row, index: int) -> list[int]:
        """One row: a text, or ids."""
        if isinstance(row, str):
            ids = self.encode(row)
            if not ids:
                raise WeirError(f"row {index}, {row!r}, has no token")
            return ids
        ids = list(row)
        for token in ids:
            if isinstance(token, bool) or not isinstance(token, numbers.Integral):
                raise WeirError(f"row {index} holds {token!r}; rows are texts, or lists of token ids")
        if not ids:
            raise WeirError(f"row {index} has no token")
        self._check_ids(ids, index)
        return [int(token) for token in ids]

    def _check_ids(self, ids, index: int):
        vocabulary = self.info.get("vocab_size")
        for token in ids:
            if token < 0 or (vocabulary is not None and token >= vocabulary):
                raise WeirError(f"row {index}: token {token} is outside the vocabulary of {vocabulary}")

    def _rows(self, rows) -> list[list[int]]:
        """Rows as lists of ids."""
        if hasattr(rows, "tolist"):  # a tensor, or an array
            rows = self._without_padding(rows.tolist())
        if isinstance(rows, (str, bytes)) or not isinstance(rows, Iterable):
            if not isinstance(rows, str):
                raise WeirError(f"{rows!r} is no batch; give a text, token ids, or a list of these")
            rows = [rows]
        rows = list(rows)
        if rows and all(isinstance(token, numbers.Number) for token in rows):
            rows = [rows]
        if not rows:
            raise WeirError("there is no row")
        for index, row in enumerate(rows):
            if isinstance(row, bytes) or not isinstance(row, Iterable):
                raise WeirError(f"row {index} is {row!r}; rows are texts, or lists of token ids")
        return [self._row(row.tolist() if hasattr(row, "tolist") else row, index) for index, row in enumerate(rows)]

    def _chats(self, prompts, tools, template: str | None, continued: bool):
        """The prompts with chats as their tokens. A template writes the special tokens itself."""
        rows = [prompts] if chats.is_chat(prompts) else prompts
        found = {}
        if isinstance(rows, Iterable) and not isinstance(rows, (str, bytes)) and not hasattr(rows, "tolist"):
            rows = list(rows)
            found = {index: row for index, row in enumerate(rows) if chats.is_chat(row)}
        if not found:
            if tools is not None or template or continued:
                raise WeirError("tools, chat_template and continue_final_message are of chats: give lists of messages")
            return rows
        for index, text in chats.texts(self, found, tools=tools, template=template, continued=continued).items():
            rows[index] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return rows

    @staticmethod
    def _without_padding(rows):
        """Rows of a tensor without the -1 at their ends."""
        if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
            return rows
        return [row[:row.index(-1)] if -1 in row and set(row[row.index(-1):]) == {-1} else row for row in rows]

    def _each(self, value, rows: int, what: str) -> list:
        """`value` for every row: itself, or one element for each."""
        if isinstance(value, Sequence) and not isinstance(value, str):
            if len(value) != rows:
                raise WeirError(f"{len(value)} {what} for {rows} rows")
            return list(value)
        return [value] * rows

    def _plan(self, name: str | int | None) -> int:
        if self.fixed is not None:
            if name is FIRST_PLAN or name == self.plans[0] or (name == 0 and not isinstance(name, (bool, float))):
                return 0
            raise WeirError(f"the plan {self.plans[0]!r} is compiled in for every row, so that none can follow {name!r}; build "
                            "the spec without --fixed for that")
        if name is FIRST_PLAN:
            return 0 if self.plans else -1
        if name is None or name == UNSTEERED or name == -1:
            return -1
        if name in self.plans:
            return self.plans.index(name)
        if isinstance(name, int) and 0 <= name < len(self.plans):
            return name
        raise WeirError(f"there is no plan {name!r}; the program has {', '.join([*self.plans, UNSTEERED])}")

    def _knobs(self, values: Mapping[str, float] | None) -> list[float]:
        values = dict(values or {})
        row = []
        for name, knob in self.knobs.items():
            value = float(values.pop(name, knob["default"]))
            if not knob["min"] <= value <= knob["max"]:
                raise WeirError(f"knob {name} is {value:g}, outside of {knob['min']:g}..{knob['max']:g}")
            row.append(value)
        for name in values:
            if self.fixed and name in self.fixed:
                raise WeirError(f"knob {name} is compiled in as {self.fixed[name]:g}; build the spec with another value, or "
                                "without --fixed")
        if values:
            raise WeirError(f"there is no knob {next(iter(values))!r}; the program has {', '.join(self.knobs) or 'none'}")
        return row

    def _tokens(self, inputs, positions):
        """Tensors [b, S] int64 of ids and positions; without positions rows are texts from their start."""
        import torch

        if positions is None or not isinstance(inputs, torch.Tensor):
            given = self._rows(inputs)
            longest = max(map(len, given))
            inputs = torch.tensor([[*row, *[0] * (longest - len(row))] for row in given])
            if positions is None:
                positions = torch.tensor([[*range(len(row)), *[-1] * (longest - len(row))] for row in given])
        input_ids, positions = inputs, torch.as_tensor(positions)
        if input_ids.dim() != 2 or input_ids.shape != positions.shape or 0 in input_ids.shape:
            raise WeirError(f"input_ids {list(input_ids.shape)} and positions {list(positions.shape)} must be [b, S], the same")
        for name, tensor in (("input_ids", input_ids), ("positions", positions)):
            if tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool:
                raise WeirError(f"{name} are {tensor.dtype}; they must be integers")
        rows, length = input_ids.shape
        if positions.min() < -1:
            raise WeirError(f"a position is {positions.min()}; positions begin at 0, and -1 is padding")
        for row in range(rows):
            self._check_ids(input_ids[row][positions[row] >= 0].tolist(), row)
        if (positions[:, 0] > 0).any():
            if rows > self.info["max_batch"]:
                raise WeirError(f"{rows} rows that go on with texts; the program keeps {self.info['max_batch']}")
            if not self._in_cache:
                raise WeirError("the batch before this one had more rows than the program keeps, so no text can go on: begin "
                                "it at position 0")
        if length > self.info["max_length"] or positions.max() >= self.info["max_length"]:
            raise WeirError(f"the program has room for {self.info['max_length']} tokens a row")
        return input_ids.long(), positions.long()

    def _run(self, input_ids, positions, lengths: list[int], plans: list[int], columns: list[list[float]]) -> tuple:
        """All outputs of one pass over at most one batch."""
        import torch

        takes = self.manifest["inputs"]
        inputs = [input_ids, positions]
        if "prompt_length" in takes:
            inputs.append(torch.tensor(lengths))
        if "plan" in takes:
            inputs.append(torch.tensor(plans))
        if "knobs" in takes:
            inputs.append(torch.tensor(columns, dtype=torch.float32))
        with torch.no_grad():
            outputs = self.module(*inputs)
        return (outputs,) if isinstance(outputs, torch.Tensor) else tuple(outputs)

    def __call__(self, input_ids, positions=None, *, plan=FIRST_PLAN, knobs=None, prompt_length=None) -> Output:
        """One forward pass over b rows; more than the program's batch are several.

        input_ids      texts, lists of ids (shorter ones are padded on the right), or [b, S] int64, -1 for padding
        positions      [b, S] int64, -1 for padding; by default every row starts at 0
        plan           a plan's name or index, None or "none" for no steering, or a list of b of these; if it is not
                       given, the program's first plan, as in weir-run
        knobs          {name: value}, defaults for the rest; or a list of b of these
        prompt_length  tokens of each row that are prompt: a number or a list of b. By default the
                       tokens given here, which holds for a prompt that is passed whole; a pass that
                       goes on with a text has to say it.
        """
        import torch

        input_ids, positions = self._tokens(input_ids, positions)
        rows, lengths = input_ids.shape[0], [0] * input_ids.shape[0]
        plans = [self._plan(name) for name in self._each(plan, rows, "plans")]
        columns = [self._knobs(values) for values in self._each(knobs, rows, "sets of knobs")]
        if "prompt_length" in self.manifest["inputs"]:
            if prompt_length is None:
                if (positions[:, 0] > 0).any():
                    raise WeirError("prompt_length is needed where a row does not start at position 0")
                prompt_length = (positions >= 0).sum(1).tolist()
            lengths = self._each(prompt_length, rows, "prompt lengths")
            for length in lengths:
                if isinstance(length, bool) or not isinstance(length, numbers.Integral) or not 0 <= length <= self.info["max_length"]:
                    raise WeirError(f"prompt_length is {length!r}; it is a number of tokens up to {self.info['max_length']}")
        batch = self.info["max_batch"]
        self._in_cache = rows <= batch
        parts = [slice(first, first + batch) for first in range(0, rows, batch)]
        passes = [self._run(input_ids[part], positions[part], lengths[part], plans[part], columns[part]) for part in parts]
        # Without a copy where there is one pass.
        outputs = passes[0] if len(passes) == 1 else [torch.cat(pieces) for pieces in zip(*passes)]
        records = {record["name"]: outputs[record["output"]] for record in self.manifest.get("records", [])}
        records = Records(records, self.manifest, plans)
        return Output(outputs[0], records, input_ids.masked_fill(positions < 0, -1), self.records)

    def generate(self, prompts, *, plan=FIRST_PLAN, knobs=None, max_new_tokens: int = 128, temperature=0.0, top_p=1.0, top_k=0,
                 repetition_penalty=1.0, frequency_penalty=0.0, stop: str | Sequence[str] = (), seed=0,
                 ignore_eos: bool = False, record: bool = False, on_token=None, tools=None, chat_template: str | None = None,
                 continue_final_message: bool = False) -> list[Generated]:
        """Goes on with prompts, as `weir-run` does: the same tokens for the same options and seed, as far as the logits
        are the same. Gives a Generated for each row, whose `str` is its text.

        prompts             texts, ids or chats: lists of messages, each with "role" and "content"
        plan, knobs         as in a forward pass
        max_new_tokens      at most so many
        temperature, top_p, top_k, repetition_penalty, frequency_penalty
                            see weir.sampling.Sampling; each is a number or a list with one for each row
        stop                texts that end a row where they come; they are left out of its text
        seed                row r uses seed + r; or a list of seeds
        ignore_eos          do not stop at an end-of-sequence token
        record              keep the records, prompt and new tokens
        on_token            called with a row and its new token, as soon as it is known
        tools, chat_template, continue_final_message
                            of chats: see apply_chat_template
        """
        rows = self._rows(self._chats(prompts, tools, chat_template, continue_final_message))
        count = len(rows)
        plans = [self._plan(name) for name in self._each(plan, count, "plans")]
        columns = [self._knobs(values) for values in self._each(knobs, count, "sets of knobs")]
        if isinstance(seed, numbers.Integral) and not isinstance(seed, bool):
            seed = [int(seed) + row for row in range(count)]
        given = dict(temperature=temperature, top_p=top_p, top_k=top_k, repetition_penalty=repetition_penalty,
                     frequency_penalty=frequency_penalty, seed=seed)
        by_row = {name: self._each(value, count, f"values of {name}") for name, value in given.items()}
        options = [Sampling(**{name: values[row] for name, values in by_row.items()}) for row in range(count)]
        self._in_cache = False
        return generation.generate(self, rows, plans, columns, options, max_new_tokens=max_new_tokens, stop=stop,
                                   ignore_eos=ignore_eos, record=record, on_token=on_token)

    def loss(self, texts, *, plan=FIRST_PLAN, knobs=None, prompt_length=None) -> "torch.Tensor":
        """[b] float64: for each row the mean of -log p(token | tokens before it), in nats, over all tokens but the first.
        With `prompt_length`, a number or a list of b, over those behind the prompt; the program is told as well.
        """
        return generation.loss(self, self._rows(texts), plan, knobs, prompt_length)


def _lies_in(path: Path, folder: Path) -> bool:
    """Whether a path leads into the folder, links followed; one that leads in a circle leads nowhere."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _once(pairs: list[tuple[str, object]]) -> dict:
    """A JSON object; one that has a key twice says two things."""
    if len(result := dict(pairs)) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return result


def _no_number(text: str):
    raise ValueError(f"{text} is no number of JSON")


def _manifest(folder: Path) -> dict:
    """The manifest of a compiled program, with what is used of it here checked."""
    path = folder / "manifest.json"
    if not path.exists():
        raise WeirError(f"{folder} has no manifest.json: not the output of weirc build")
    try:
        manifest = json.loads(read_text(path), object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise WeirError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("weir") != 1:
        raise WeirError(f"{path} is of a version this package does not know")
    for key in ("program", "aot", "kernels", "spec"):
        file = manifest.get(key)
        if file is None and key != "program":
            continue
        if not isinstance(file, dict) or not isinstance(file.get("path"), str) or not file["path"].isprintable() \
                or not file["path"]:
            raise WeirError(f"{path}: {key} names no file")
        if os.path.isabs(file["path"]) or ".." in Path(file["path"]).parts or not _lies_in(folder / file["path"], folder):
            raise WeirError(f"{path}: {key} is {file['path']!r}, which lies outside of the folder")
    if not isinstance(manifest.get("report") or {}, dict):
        raise WeirError(f"{path}: report must be an object")
    for key in ("plans", "knobs", "records", "sites", "dictionaries", "outputs"):
        if not isinstance(manifest.get(key, []), list):
            raise WeirError(f"{path}: {key} must be a list")
    if manifest.get("inputs") not in _known_inputs(manifest):
        raise WeirError(f"{path}: the inputs are {manifest.get('inputs')}")
    if not _is_fixed_right(manifest):
        raise WeirError(f"{path}: fixed does not say which plan and knobs were compiled in")
    return manifest


def _expected(folder: Path, manifest: dict) -> dict:
    """What the manifest of a compiled program says of its archive, for archives.load."""
    named = manifest["program"]
    if not re.fullmatch("[0-9a-f]{64}", str(named.get("sha256"))):
        raise WeirError(f"{folder}: the manifest has no SHA-256 of the program, 64 lower-case hexadecimal digits")
    return {"sha256": named["sha256"], "size": named.get("bytes")}


def _known_inputs(manifest: dict) -> tuple:
    """What a program with this manifest may take."""
    return (_INPUTS[:2], _INPUTS[:3]) if manifest.get("fixed") else (_INPUTS[:2], _INPUTS[:4], _INPUTS)


def _is_fixed_right(manifest: dict) -> bool:
    """Whether a manifest that says that a plan was compiled in says which."""
    fixed = manifest.get("fixed")
    if fixed is None:
        return True
    knobs = fixed.get("knobs") if isinstance(fixed, dict) else None
    return isinstance(knobs, list) and len(manifest.get("plans", [])) == 1 and not manifest.get("knobs") and all(
        isinstance(knob, dict) and isinstance(knob.get("name"), str)
        and isinstance(knob.get("value"), numbers.Real) for knob in knobs)


def _verify_spec(folder: Path, manifest: dict):
    """Compares the copy of the spec with its hash. It may be missing, but not be another one."""
    spec = manifest.get("spec")
    if spec is None:
        return
    path = folder / spec["path"]
    if not os.path.lexists(path):
        return
    with open_regular(path, 64 << 20) as stream:
        digest = hashlib.sha256(stream.read()).hexdigest()
    if digest != spec.get("sha256"):
        raise WeirError(f"{path}: its SHA-256 is {digest}, the manifest says {spec.get('sha256')}")


def _difference(manifest, record, where: str) -> str | None:
    """The first place where two JSON values differ, and what both say."""
    if isinstance(manifest, dict) and isinstance(record, dict):
        for key in sorted(manifest.keys() | record.keys()):
            inner = f"{where}.{key}" if where else key
            if key not in manifest or key not in record:
                return f'"{inner}" is only in the {"manifest" if key in manifest else "program"}'
            if found := _difference(manifest[key], record[key], inner):
                return found
        return None
    if isinstance(manifest, list) and isinstance(record, list):
        for index, (one, other) in enumerate(zip(manifest, record)):
            if found := _difference(one, other, f"{where}[{index}]"):
                return found
        if len(manifest) != len(record):
            return f'"{where}" has {len(manifest)} entries in the manifest and {len(record)} in the program'
        return None
    if manifest == record and isinstance(manifest, bool) == isinstance(record, bool):
        return None
    return f'"{where}" is {json.dumps(manifest)} in the manifest and {json.dumps(record)} in the program'


def _agreed(manifest: dict | None, record: str, archive: str | Path) -> dict:
    """What is steered says so itself; a manifest may only repeat it. `record` is the text of the program's own
    record, empty if it has none, and `manifest` None for a program without one."""
    if not record:
        if manifest is None:
            return {"weir": 1, "inputs": _INPUTS[:2]}
        if len(manifest["inputs"]) > 2 or manifest.get("fixed"):
            raise WeirError(f"{archive}: the program has no record of what was steered (extra/{_RECORD}); build it again")
        return manifest
    try:
        own = json.loads(record)
    except ValueError as error:
        raise WeirError(f"{archive}: extra/{_RECORD} is not valid JSON: {error}") from error
    if not isinstance(own, dict) or own.get("weir") != 1 or not _is_fixed_right(own) or own.get("inputs") not in (
            _known_inputs(own) if own.get("fixed") else (_INPUTS[:4], _INPUTS)):
        raise WeirError(f"{archive}: extra/{_RECORD} is of a version this package does not know")
    if manifest is None:
        return own
    said, has = ({key: values.get(key) or [] for key in _STEERING} for values in (manifest, own))
    if found := _difference(said, has, ""):
        raise WeirError(f"the manifest does not fit its program, {archive}: {found}")
    return manifest


def steering_of(opened: archives.Opened, archive: str | Path) -> dict:
    """What a program says that was steered in it: plans, knobs, records and so on, in the form of the manifest; nothing but
    its inputs where nothing was. Errors: WeirError where its record is none."""
    return _agreed(None, opened.extra.get(_RECORD, ""), archive)


def load(path: str | Path, *, verify: bool = True, allow_operators: Sequence[str] = ()) -> Program:
    """Opens the folder that `weirc build` wrote, or an archive (.pt2): one that was only exported, or one from such a
    folder, which tells its plans, knobs and records itself.

    verify           compare the program with the hash in its manifest, or an archive without one with its own checksums
    allow_operators  operators such as "aten.fft_rfft.default" that the program may call although the catalogue lacks
                     them: nobody checks what they do (docs/running.md)

    Nothing of an archive runs while it is opened, whoever wrote it. A folder may hold kernels, which are native code
    and are loaded if they have the hash that its manifest says; see docs/untrusted.md.
    """
    from . import archives

    path = Path(path)
    manifest = None
    if path.is_dir():
        manifest = _manifest(path)
        if verify:
            _verify_spec(path, manifest)
        archive = path / manifest["program"]["path"]
        if not archive.is_file():
            raise WeirError(f"{archive}: no such file")
    elif path.is_file():
        archive = path
    else:
        raise WeirError(f"{path}: no such file or folder")
    expected = _expected(path, manifest) if verify and manifest is not None else {}
    if manifest is not None and manifest.get("kernels") is not None:
        from . import kernels

        # Native code is loaded with its hash only, whatever else is not compared.
        kernels.load(path / manifest["kernels"]["path"], sha256=str(manifest["kernels"].get("sha256")))
    opened = archives.load(archive, **expected, verify=verify, allow_operators=allow_operators,
                           kernels=manifest is not None and manifest.get("kernels") is not None)
    exported, info = opened.program, opened.info
    if info is None:
        raise WeirError(f"{archive} has no extra/weir.json: not the output of python -m weir export or of weirc build")
    manifest = _agreed(manifest, opened.extra.get(_RECORD, ""), archive)
    takes = list(exported.graph_signature.user_inputs)
    if takes != manifest["inputs"]:
        raise WeirError(f"{archive} takes {', '.join(takes)}; {', '.join(manifest['inputs'])} was expected")
    return Program(exported.module(), manifest, info, opened.texts.get("tokenizer.json"),
                   opened.texts.get("tokenizer_config.json"))
