# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Texts cut into windows of tokens, as weirc's matching by activations does it (include/weir/Runtime/TokenWindows.h)."""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Sequence

from ..errors import WeirError
from ..files import json_of_line, open_regular, read_text

if TYPE_CHECKING:
    import numpy
    from ..programs import Program

CONTEXT = 128
SKIP_FIRST = 1
# Tokens of a text that are read unless more are asked for: contexts of what fires once in a thousand tokens, in a minute.
MAX_TOKENS = 16384


class Document:
    """ids     [n] int64, without the tokens that a tokenizer puts around a text
    source  what the file says of where it is from, or None
    text, ends  the text, and where in it each token ends; None for a document that was given as ids
    """

    def __init__(self, ids, source: str | None = None, text: str | None = None, ends=None):
        self.ids, self.source, self.text, self.ends = ids, source, text, ends

    def tokens(self, first: int, last: int, program: "Program") -> list[str]:
        """The texts of the tokens from `first` to `last`, which put together are a part of the document."""
        if self.text is None:
            return [token_text(program, int(token)) for token in self.ids[first:last]]
        starts = [int(self.ends[at - 1]) if at else 0 for at in range(first, last)]
        return [self.text[start:int(end)] for start, end in zip(starts, self.ends[first:last])]


def token_text(program: "Program", token: int) -> str:
    """What a token adds to a text, with the space before it. Of a program without a tokenizer, its id."""
    if not program.has_tokenizer:
        return f" {token}"
    tokenizer = program.tokenizer
    before = _reference(program)
    behind = tokenizer.decode([*before, token], skip_special_tokens=False)
    start = tokenizer.decode(before, skip_special_tokens=False)
    return behind[len(start):] if behind.startswith(start) else tokenizer.decode([token], skip_special_tokens=False)


def _reference(program: "Program") -> list[int]:
    """A token before others: what a tokenizer drops at the beginning of a text, it keeps behind it."""
    if not hasattr(program, "_weir_reference"):
        ids = program.tokenizer.encode("a", add_special_tokens=False).ids
        program._weir_reference = ids[-1:]
    return program._weir_reference


@dataclass(frozen=True)
class Window:
    """Tokens `begin` to `begin + length` of a document; `bos` positions stand before them."""

    document: int
    begin: int
    length: int
    bos: int

    def __len__(self) -> int:
        return self.length + self.bos


@dataclass(frozen=True)
class Windows:
    """Documents and their windows, in order. `skip` positions at the beginning of each window do not count."""

    documents: list[Document]
    windows: list[Window]
    skip: int
    bos: int | None
    whole: int  # tokens that would count without a limit

    @property
    def counted(self) -> int:
        """Tokens that count."""
        return sum(len(window) - self.skip for window in self.windows)

    @functools.cached_property
    def digest(self) -> str:
        """What tells them from others: their ids, and what counts."""
        state = hashlib.sha256(json.dumps([self.skip, self.bos]).encode())
        for window in self.windows:
            state.update(json.dumps(self.ids(window)).encode())
        return state.hexdigest()

    def ids(self, window: Window) -> list[int]:
        own = self.documents[window.document].ids[window.begin:window.begin + window.length].tolist()
        return ([self.bos] if window.bos else []) + own


def _encode(program: "Program", text: str, where: str, source: str | None = None) -> Document:
    import numpy

    if not program.has_tokenizer:
        raise WeirError(f"{where}: the program has no tokenizer to read text with: give token ids, in an .npy")
    encoded = program.tokenizer.encode(text, add_special_tokens=False)
    ids = numpy.array(encoded.ids, dtype=numpy.int64)
    if len(ids) and (ids.min() < 0 or ids.max() >= program.info["vocab_size"]):
        raise WeirError(f"{where}: the tokenizer gives ids outside of the vocabulary of {program.info['vocab_size']}")
    ends = numpy.maximum.accumulate(numpy.array([end for _, end in encoded.offsets], dtype=numpy.int64)) if len(ids) else ids
    return Document(ids, source, text, ends)


def check(path: str | Path):
    """Raises WeirError for a file that is not there, or no text by its name: before anything else is done."""
    if Path(path).suffix not in (".txt", ".jsonl", ".npy"):
        raise WeirError(f"{path}: text is read from .txt and .jsonl files, token ids from .npy files")
    open_regular(path).close()


def documents_of(path: str | Path, program: "Program") -> list[Document]:
    """The documents of a file: .txt is one, .jsonl has one a line (its key "text"; "source" if there is one), .npy has token
    ids, [n] or [documents, length] with -1 at the right. Raises WeirError that names file and line."""
    path = Path(path)
    check(path)
    if path.suffix == ".npy":
        return _documents_of_ids(path, program)
    text = read_text(path, limit=1 << 30)
    if path.suffix == ".txt":
        return [_encode(program, text, str(path))]
    result = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        row = json_of_line(line, where)
        if not isinstance(row, dict) or not isinstance(row.get("text"), str):
            raise WeirError(f'{where}: a line is an object with a string "text"')
        source = row.get("source")
        result.append(_encode(program, row["text"], where, source if isinstance(source, str) else None))
    return result


def _documents_of_ids(path: Path, program: "Program") -> list[Document]:
    import numpy

    with open_regular(path) as stream:
        try:
            array = numpy.load(stream, allow_pickle=False)
        except Exception as error:  # of many types, for files that are no arrays
            raise WeirError(f"{path}: {error}") from error
    if not isinstance(array, numpy.ndarray) or array.dtype not in (numpy.int64, numpy.int32) or array.ndim not in (1, 2):
        raise WeirError(f"{path}: token ids are an int64 or int32 array, [n] or [documents, length]")
    result = []
    for number, row in enumerate(numpy.atleast_2d(array).astype(numpy.int64)):
        length = len(row)
        while length and row[length - 1] == -1:
            length -= 1
        row = row[:length]
        if len(row) and (row.min() < 0 or row.max() >= program.info["vocab_size"]):
            raise WeirError(f"{path}: row {number}: an id is outside of the vocabulary of {program.info['vocab_size']}; padding "
                            "(-1) is allowed on the right only")
        result.append(Document(row))
    return result


def cut(documents: Sequence[Document], program: "Program", *, context: int | None = None, begin_with_bos: bool = False,
        skip_first: int = SKIP_FIRST, max_tokens: int | None = None, what: str = "the text") -> Windows:
    """Windows of at most `context` positions, each of one document; with `begin_with_bos` the model's first token before
    each. Those without a token that counts are left out. Raises WeirError if none is left, and for options out of range."""
    longest = program.info["max_length"]
    context = min(CONTEXT, longest) if context is None else context
    if not 1 <= context <= longest:
        raise WeirError(f"a context of {context} positions; the program holds 1 to {longest}")
    if not 0 <= skip_first < context:
        raise WeirError(f"skipping {skip_first} of {context} positions leaves none")
    if max_tokens is not None and max_tokens < 1:
        raise WeirError(f"at least one token is needed, not {max_tokens}")
    bos = program.info.get("bos") if begin_with_bos else None
    if begin_with_bos and bos is None:
        raise WeirError("the model has no beginning-of-sequence token to begin windows with")
    before = int(begin_with_bos)
    room = context - before
    if room < 1:
        raise WeirError("a window of one position has no room for more than the beginning-of-sequence token")
    windows, left, whole = [], max_tokens, 0
    for number, document in enumerate(documents):
        begin = 0
        while begin < len(document.ids):
            length = min(room, len(document.ids) - begin)
            counted = length + before - skip_first
            if counted <= 0:
                break
            whole += counted
            if left == 0:
                begin += length
                continue
            if left is not None and counted > left:
                cut_off = counted - left
                windows.append(Window(number, begin, length - cut_off, before))
                counted = left
            else:
                windows.append(Window(number, begin, length, before))
            begin += length
            left = None if left is None else left - counted
    if not windows:
        raise WeirError(f"{what}: there is no token that counts")
    return Windows(list(documents), windows, skip_first, bos, whole)
