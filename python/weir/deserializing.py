# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Keeps PyTorch's reader of exported programs (2.13) from doing the same work again and again.

For every tensor of a graph it asks Python anew what types the fields of its classes have, and has SymPy parse each of
its sizes, of which a program has a dozen: over half of what loading a program took.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import types
import typing

_lock = threading.Lock()
_depth = 0


def _typing() -> types.SimpleNamespace:
    """The module `typing`, which remembers the answers of get_type_hints. Classes, and their module's names, are those of
    PyTorch and stay."""
    hints = functools.cache(lambda cls, module: typing.get_type_hints(cls, globalns=_modules[module]))
    _modules: dict[int, dict] = {}

    def get_type_hints(cls, globalns):
        _modules[id(globalns)] = globalns
        return hints(cls, id(globalns))

    return types.SimpleNamespace(**vars(typing) | {"get_type_hints": get_type_hints})


def _parsing_once(parse):
    """GraphModuleDeserializer._parse_sym_expr: what it does beside its result, it does for the first of equal calls. A
    program's symbols have a ShapeEnv of their own, and ranges that are told before they are used."""

    @functools.wraps(parse)
    def parsed(self, expression, hint=None):
        if not isinstance(expression, str):
            return parse(self, expression, hint)
        if self.__dict__.get("_weir_of") is not self.shape_env:
            self._weir_of, self._weir_known = self.shape_env, {}
        known, key = self._weir_known, (expression, type(hint), hint)
        if key not in known:
            known[key] = parse(self, expression, hint)
        return known[key]

    return parsed


@contextlib.contextmanager
def once():
    """While it lasts (the outermost, where they are nested), types are looked up once, and each size of a program is parsed
    once. The programs that are read are the same."""
    global _depth
    from torch._export.serde import serialize

    reader = serialize.GraphModuleDeserializer
    with _lock:
        _depth += 1
        if _depth == 1:
            once.before = serialize.typing, reader._parse_sym_expr
            serialize.typing, reader._parse_sym_expr = _typing(), _parsing_once(reader._parse_sym_expr)
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if not _depth:
                serialize.typing, reader._parse_sym_expr = once.before
