# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiling a spec with weirc and running the program: with weir-run, and in Python."""

from __future__ import annotations

import functools
import json
import os
import subprocess
from pathlib import Path

import hooks
import numpy
import torch
from weir import kernels

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(os.environ.get("WEIR_BUILD", ROOT / "build")).resolve() / "bin"


def call(tool: str, *arguments, spec: Path | None = None) -> str:
    """Runs a tool; a failure shows what it said and the spec."""
    done = subprocess.run([TOOLS / tool, *map(str, arguments)], capture_output=True, text=True)
    said = f"{tool} ended with {done.returncode}:\n{done.stderr}\n{spec.read_text() if spec else ''}"
    assert done.returncode == 0, said
    return done.stdout


# What patches become where a test does not say it: WEIR_LOWER=kernel runs all equivalence tests on kernels.
LOWER = os.environ.get("WEIR_LOWER", "aten")


def measured(model: Path) -> Path:
    """The cache of what is measured on texts, which lasts as long as the tests; models stay longer."""
    return Path(os.environ.get("WEIR_CACHE", Path(model).parent)) / "measured"


class Built:
    """A compiled spec. Batches are specs.Batch."""

    def __init__(self, spec: Path, model: Path, folder: Path, engine: str = "reference", stats: bool = False,
                 fixed: str | None = None, knobs: dict[str, float] | None = None,
                 lower: str | None = None):
        """`fixed`: the plan that is compiled in, with these values of knobs."""
        self.spec, self.folder = spec, folder
        lower = lower or LOWER
        # What was measured on a text for a model is found again; what random dictionaries match is of no use later.
        call("weirc", "build", spec, "--model", model, "-o", folder, "--engine", engine, *(["--stats"] if stats else []),
             *(["--fixed", fixed] if fixed else []), *(f"--knob={name}={value}" for name, value in (knobs or {}).items()),
             "--cache", folder.parent / "cache" if "matches:" in spec.read_text() else measured(model),
             *(["--lower", lower] if lower != "aten" else []), spec=spec)
        self.manifest = json.loads((folder / "manifest.json").read_text())
        self.plans = [plan["name"] if isinstance(plan, dict) else plan for plan in self.manifest["plans"]]
        self.knobs = {knob["name"]: knob["default"] for knob in self.manifest["knobs"]}
        parse = hooks.Spec(spec, None).parse
        self.columns = [[(record["policy"], feature if feature.startswith("gate:") or "[" in feature else parse(feature))
                         for feature in record["features"]] for record in self.manifest["records"]]
        self.counts = self.manifest.get("counts", [])
        self._runs = {}  # what weir-run gave, by what it was given

    def _by_feature(self, records, row: int) -> dict:
        """One row's records [S] by (policy, feature), as the reference has them."""
        return {column: torch.as_tensor(record[row, :, index])
                for record, columns in zip(records, self.columns) for index, column in enumerate(columns)}

    def _edited(self, outputs, row: int) -> dict:
        """Which tokens [S] of a row are edited, by policy and site."""
        return {(policy, (count["layer"], count["site"])): outputs[count["output"]][row, :, column] != 0
                for count in self.counts for column, policy in enumerate(count["policies"])}

    def run(self, batch, engine: str = "reference", prefill: int | None = None):
        """weir-run on a batch whose rows have the same knobs: (logits [b, S, V], records of each row). With
        `prefill`, that many tokens go in at once and the others one by one. What one check has run is there for the
        next: each run is a process that starts anew, so the same again gives the same."""
        assert all(knobs == batch.knobs[0] for knobs in batch.knobs)
        ids = self._beside("ids.npy")
        numpy.save(ids, batch.padded().numpy())
        key = repr((batch, engine, prefill))
        if key not in self._runs:
            self._runs[key] = self._run(batch, ids, engine, prefill)
        *result, self.stats = self._runs[key]
        return tuple(result)

    def _beside(self, name: str) -> Path:
        return self.folder.with_name(f"{self.folder.name}-{name}")

    def _run(self, batch, ids: Path, engine: str, prefill: int | None):
        """(logits, records of each row, counts of edited tokens or None)."""
        logits, records = self._beside("logits.npy"), self._beside("records.npz")
        said = call("weir-run", self.folder, "--ids", ids, "--engine", engine, "--threads", 1, "--logits", logits,
             "--prompt-length", ",".join(map(str, batch.prompt_lengths)),
             "--plan", ",".join(plan or "none" for plan in batch.plans),
             *(f"--knob={name}={value}" for name, value in batch.knobs[0].items() if name in self.knobs),
             *(("--record", records) if self.columns else ()), *(("--prefill", prefill) if prefill else ()),
             *(("--stats", "--json") if self.counts else ()), spec=self.spec)
        arrays = numpy.load(records) if self.columns else {}
        read = [arrays[record["name"]] for record in self.manifest["records"]]
        return (torch.from_numpy(numpy.load(logits)), [self._by_feature(read, row) for row in range(len(batch.ids))],
                json.loads(said)["stats"]["edited"] if self.counts else None)

    @functools.cached_property
    def module(self):
        """The program in Python."""
        if "kernels" in self.manifest:
            kernels.load(self.folder / "kernels.so", sha256=self.manifest["kernels"]["sha256"])
        return torch.export.load(self.folder / "program.pt2").module()

    def settings(self, batch) -> list[torch.Tensor]:
        """The inputs of a program that follow input_ids and positions."""
        plans = [-1 if plan is None else self.plans.index(plan) for plan in batch.plans]
        settings = {"prompt_length": torch.tensor(batch.prompt_lengths), "plan": torch.tensor(plans)}
        settings = [value for name, value in settings.items() if name in self.manifest["inputs"]]
        if self.knobs:
            settings.append(torch.tensor([[knobs.get(name, default) for name, default in self.knobs.items()]
                                          for knobs in batch.knobs], dtype=torch.float32))
        return settings

    @torch.no_grad()
    def run_in_python(self, batch, start: int = 0, stop: int | None = None):
        """The program in Python on tokens start..stop of each row, the ones before being in its cache already.
        Each row may have knobs of its own. Returns as `run`."""
        ids = batch.padded()[:, start:stop]
        positions = torch.where(ids < 0, -1, torch.arange(start, start + ids.shape[1]))
        outputs = self.module(ids.clamp(min=0), positions, *self.settings(batch))
        outputs = outputs if isinstance(outputs, (tuple, list)) else [outputs]
        self.edited = [self._edited(outputs, row) for row in range(len(batch.ids))]
        records = [outputs[record["output"]] for record in self.manifest["records"]]
        return outputs[0], [self._by_feature(records, row) for row in range(len(batch.ids))]
