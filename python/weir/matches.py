# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Matching the features of a spec's dictionaries: on this machine, or on the machines of a Ray cluster."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from . import compiler
from .errors import WeirError

ENGINES = ("local", "ray")


@dataclass(frozen=True)
class Matching:
    """What `weirc match` is asked for. The paths are absolute, so that they mean the same in every process."""

    spec: Path
    model: Path | None = None
    cache: Path | None = None  # weirc's own default if None
    threads: int | None = None  # of one call of weirc
    part_rows: int | None = None

    @classmethod
    def of(cls, spec, model=None, cache=None, threads=None, part_rows=None) -> Matching:
        def absolute(path):
            return None if path is None else Path(os.path.abspath(path))

        return cls(absolute(spec), absolute(model), absolute(cache), threads, part_rows)

    def _options(self, **more) -> dict:
        return {"model": self.model, "cache": self.cache, "threads": self.threads, "part_rows": self.part_rows} | more

    def parts(self) -> dict:
        """{"cache": folder, "parts": [{"name", "key", "done"}, …]}: what can be computed by itself.

        Reads all dictionaries. Raises CompileError as `weirc match` would fail.
        """
        return compiler.weirc("match", self.spec, parts=True, **self._options())

    def part_command(self, name: str, cache: str, threads: int) -> list[str]:
        """The command that computes one part into the folder `cache`, with its messages as JSON."""
        options = self._options(part=name, cache=cache, threads=threads, json=True)
        return [str(compiler.tool("weirc")), "match", str(self.spec), *compiler.flags(options)]

    def report(self, export: Iterable = ()) -> dict:
        """Computes what is not in the cache and returns the report."""
        return compiler.weirc("match", self.spec, *self._exports(export), **self._options())

    def print_report(self, export: Iterable = ()) -> int:
        """As `report`, but weirc prints the table, and on a terminal its progress. Returns its exit status."""
        command = [compiler.tool("weirc"), "match", self.spec, *self._exports(export), *compiler.flags(self._options())]
        sys.stdout.flush()
        status = subprocess.run(command).returncode
        if status < 0:
            raise compiler.CompileError(f"weirc was killed by signal {-status}", [])
        return status

    @staticmethod
    def _exports(paths: Iterable) -> list[str]:
        return [word for path in paths for word in ("--export", os.path.abspath(path))]


def prepare(matching: Matching, engine: str, address: str | None, workers: int | None,
            progress: Callable[[str], None]):
    """Computes the parts that are not in the cache yet where `engine` does this elsewhere than in weirc."""
    if engine not in ENGINES:
        raise WeirError(f"there is no engine {engine!r}; there are {', '.join(ENGINES)}")
    if engine == "ray":
        from . import cluster

        cluster.compute(matching, address=address, workers=workers, progress=progress)
    elif address is not None or workers is not None:
        raise WeirError("an address and a number of workers belong to the engine ray")


def match(spec: str | os.PathLike, *, engine: str = "local", address: str | None = None, workers: int | None = None,
          model: str | os.PathLike | None = None, cache: str | os.PathLike | None = None, threads: int | None = None,
          part_rows: int | None = None, export: Iterable[str | os.PathLike] = (),
          progress: Callable[[str], None] = lambda line: None) -> dict:
    """Matches the features of a spec (`weirc match`) and returns the report that weirc prints with --json.

    engine     "local": one process; "ray": the parts are tasks of a Ray cluster, see docs/matching-cluster.md
    address    of the cluster, such as "auto" or "10.0.0.1:6379"; $RAY_ADDRESS if None, and if that is not set
               a cluster on this machine, which ends with the call. A program that is connected to a cluster
               already (ray.init) uses that one
    workers    parts that are computed at the same time; as many as the cluster has room for if None
    model      the exported model (.pt2), instead of the one that the spec names
    cache      folder of computed matches, which all machines must share; $WEIR_CACHE or ~/.cache/weir if None
    threads    threads of each process: with "local" all cores if None, with "ray" 1
    part_rows  features that are matched and kept together
    export     files to write the matches into: .safetensors or .csv
    progress   called with a line about what is done

    Raises CompileError with weirc's messages when the spec, a dictionary or a part is refused, and WeirError
    when the cluster cannot be used. Parts that were finished stay in the cache and are not computed again.
    """
    matching = Matching.of(spec, model, cache, threads, part_rows)
    prepare(matching, engine, address, workers, progress)
    return matching.report([export] if isinstance(export, (str, os.PathLike)) else export)
