# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Specs as YAML that is read, changed and written again, every scalar as it stood there.

What a spec means is weirc's business: this takes one that weirc has checked, and looks at nothing but names.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import yaml

from .. import compiler
from ..errors import WeirError, first_line
from ..files import read_text

# Where a spec names files, by section: the keys, and whether they are at any depth.
_PATHS = {"model": {"program"}, "dictionaries": {"path"}, "matches": {"text"}, "features": {"attribution"},
          "graphs": {"attribution", "text"}, "policies": {"attribution", "text"}}
# Of the actions of policies, what has no features of interest.
_WITHOUT_FEATURES = {"substitute"}
_ORDER = ("weir", "model", "dictionaries", "matches", "graphs", "labels", "features", "knobs", "policies", "plans")
_TAG = "tag:yaml.org,2002:"
_PLAIN = re.compile(r"(?!(?:true|false|null)$)(?:[A-Za-z_][A-Za-z0-9_:/.-]*[A-Za-z0-9_]|[A-Za-z_]|[0-9]+(?:\.\.[0-9]+)?/[a-z]+(?:/[0-9]+)?)")


def node_of(value) -> yaml.Node:
    """A node of YAML for what JSON can hold. Lists of scalars, and mappings of them, are on one line."""
    if isinstance(value, yaml.Node):
        return value
    if isinstance(value, dict):
        pairs = [(node_of(key), node_of(one)) for key, one in value.items()]
        flat = bool(pairs) and all(isinstance(one, yaml.ScalarNode) for _, one in pairs)
        return yaml.MappingNode(_TAG + "map", pairs, flow_style=flat)
    if isinstance(value, (list, tuple)):
        nodes = [node_of(one) for one in value]
        return yaml.SequenceNode(_TAG + "seq", nodes, flow_style=all(isinstance(one, yaml.ScalarNode) for one in nodes))
    if isinstance(value, str):
        # Quotes are what makes a text of what would be a number or nothing.
        return yaml.ScalarNode(_TAG + "str", value, style=None if _PLAIN.fullmatch(value) else '"')
    return yaml.ScalarNode(_TAG + "str", json.dumps(value))


def entries(node: yaml.Node | None) -> dict[str, yaml.Node]:
    """The values of a mapping by its keys; nothing for another node."""
    if not isinstance(node, yaml.MappingNode):
        return {}
    return {key.value: value for key, value in node.value if isinstance(key, yaml.ScalarNode)}


def scalar(node: yaml.Node | None) -> str | None:
    return node.value if isinstance(node, yaml.ScalarNode) else None


class Spec:
    """A spec. `sections` are its nodes by their names; paths in them are absolute."""

    def __init__(self, path: str | os.PathLike):
        """Raises CompileError with weirc's messages for what it refuses."""
        self.path = Path(path)
        compiler.weirc("check", self.path)
        try:
            root = yaml.compose(read_text(self.path), Loader=yaml.BaseLoader)
        except yaml.YAMLError as error:
            raise WeirError(f"{path}: {first_line(error)}") from error
        self.sections = entries(root)
        base = Path(os.path.abspath(self.path)).parent
        seen: set[int] = set()
        for name, keys in _PATHS.items():
            self._anchor(self.sections.get(name), keys, base, seen)

    def _anchor(self, node: yaml.Node | None, keys: set[str], base: Path, seen: set[int]):
        """Makes paths absolute."""
        if node is None or id(node) in seen:
            return
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            for value in node.value:
                self._anchor(value, keys, base, seen)
        elif isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode) and key.value in keys and isinstance(value, yaml.ScalarNode):
                    if id(value) not in seen:
                        value.value = str(base / value.value)
                        seen.add(id(value))
                else:
                    self._anchor(value, keys, base, seen)

    def labels(self) -> dict[str, str]:
        """The names that the spec gives to features."""
        return {feature: name for feature, node in entries(self.sections.get("labels")).items() if (name := scalar(node))}

    def selections(self) -> list[yaml.Node]:
        """What selects features in it: the lists, the policies' and the graphs', as values of `on`."""
        found = [node_of({"features": name}) for name in entries(self.sections.get("features"))]
        found += [node_of({"graph": name}) for name in entries(self.sections.get("graphs"))]
        for policy in entries(self.sections.get("policies")).values():
            parts = entries(policy)
            if scalar(parts.get("do")) not in _WITHOUT_FEATURES:
                found += [parts[key] for key in ("on", "to") if key in parts]
        return found

    def dictionaries(self) -> dict[str, yaml.Node]:
        return entries(self.sections.get("dictionaries"))

    def matches(self) -> dict[str, str]:
        """The method of each match."""
        return {name: scalar(entries(node).get("method")) or "" for name, node in entries(self.sections.get("matches")).items()}

    def write(self, path: Path, keep: tuple[str, ...], **sections):
        """Writes a spec of the sections `keep`, as they are here, and of others, given as what JSON can hold or as nodes."""
        nodes = {"weir": node_of(1)} | {name: self.sections[name] for name in keep if name in self.sections}
        for name, value in sections.items():
            nodes[name] = node_of(value)
            # A section of several lines, whatever is in it.
            if isinstance(nodes[name], yaml.MappingNode):
                nodes[name].flow_style = False
        ordered = sorted(nodes, key=_ORDER.index)
        root = yaml.MappingNode(_TAG + "map", [(node_of(name), nodes[name]) for name in ordered], flow_style=False)
        Path(path).write_text(as_text(root), encoding="utf-8")


def as_text(node: yaml.Node) -> str:
    return yaml.serialize(node, Dumper=yaml.BaseDumper, allow_unicode=True, width=110)
