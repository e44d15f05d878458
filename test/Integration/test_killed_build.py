# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A build that is killed leaves the artefact before it or its own, whole, at whatever moment that is."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import engines
import families
import numpy
import pytest

SPEC = """
weir: 1
model: {{program: {program}}}
dictionaries:
  rows: {{format: directions, path: rows.npy, sites: [res], layers: 1}}
policies:
  push: {{on: 1/res/2, do: add, strength: {strength}}}
"""


def content(artefact: Path) -> dict[str, str]:
    """The hash of every file. They are the ones that the manifest tells. The report has times in it."""
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in artefact.iterdir()}
    manifest = json.loads((artefact / "manifest.json").read_text())
    for entry in manifest.values():
        if isinstance(entry, dict) and "sha256" in entry:
            assert hashes[entry["path"]] == entry["sha256"]
    del hashes["report.md"]
    return hashes


class Builds:
    """Two specs, the artefacts they give, and how long a build takes."""

    def __init__(self, folder: Path):
        self.folder, self.out = folder, folder / "out"
        self.program = Path(families.exported("llama"))
        numpy.save(folder / "rows.npy", numpy.random.default_rng(0).normal(size=(3, 32)).astype("f4"))
        self.specs, self.artefacts = [], []
        for strength in (1, 2):
            # One name, or the artefacts would differ in it.
            self.specs.append(folder / str(strength) / "spec.yaml")
            self.specs[-1].parent.mkdir()
            (self.specs[-1].parent / "rows.npy").symlink_to(folder / "rows.npy")
            self.specs[-1].write_text(SPEC.format(program=self.program, strength=strength))
            whole = folder / f"whole-{strength}"
            begin = time.monotonic()
            engines.call("weirc", "build", self.specs[-1], "-o", whole, "--engine", "reference")
            self.seconds = time.monotonic() - begin
            self.artefacts.append(content(whole))
        assert self.artefacts[0]["program.pt2"] != self.artefacts[1]["program.pt2"]

    def build(self, which: int):
        engines.call("weirc", "build", self.specs[which], "-o", self.out, "--engine", "reference")

    def start(self, which: int) -> subprocess.Popen:
        return subprocess.Popen([engines.TOOLS / "weirc", "build", self.specs[which], "-o", self.out, "--engine", "reference"],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def written(self) -> int:
        """Bytes in scratch folders."""
        total = 0
        try:
            for path in self.folder.glob("out.weir-part-*/*"):
                total += 1 + path.stat().st_size
        except FileNotFoundError:
            pass  # a name that is gone already
        return total

    def left(self) -> list[Path]:
        """What lies beside the artefact, which nobody takes for one."""
        return list(self.folder.glob("out.*"))


@pytest.fixture(scope="module")
def builds(tmp_path_factory):
    return Builds(tmp_path_factory.mktemp("killed"))


def test_killed_while_writing(builds):
    """Killed when as many bytes are in its scratch folder, from none to all."""
    size, killed = builds.program.stat().st_size, 0
    for wanted in (1, size // 4, size // 2, size, size + 200):
        builds.build(0)
        assert not builds.left(), "what a killed build left goes away with the next one"
        build = builds.start(1)
        while build.poll() is None and builds.written() < wanted:
            pass
        build.kill()
        if build.wait() == -signal.SIGKILL:
            killed += 1
            assert content(builds.out) in builds.artefacts
        else:
            assert content(builds.out) == builds.artefacts[1]
    assert killed >= 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_leaves_nothing_behind(builds, number):
    """Ended by the signal, as without a handler, with the artefact before it and no scratch folder."""
    builds.build(0)
    size, ended = builds.program.stat().st_size, 0
    for wanted in (1, size // 2):
        build = builds.start(1)
        while build.poll() is None and builds.written() < wanted:
            pass
        build.send_signal(number)
        if build.wait() == -number:
            ended += 1
            assert content(builds.out) in builds.artefacts
        assert not builds.left()
    assert ended


def test_a_model_that_is_cut_while_it_is_read_is_named(builds):
    """weirc has the model mapped, weir-run the program."""
    model = builds.folder / "model.pt2"
    shutil.copy(builds.program, model)
    build = subprocess.Popen([engines.TOOLS / "weirc", "build", builds.specs[0], "--model", model, "-o", builds.folder / "cut"],
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    cut_when_mapped(build, model)
    said = build.communicate()[1]
    assert build.returncode == 2 and "error: " in said and ("cut short" in said or str(model) in said), said
    assert not list(builds.folder.glob("cut*"))

    builds.build(0)
    program = builds.out / "program.pt2"
    numpy.save(builds.folder / "ids.npy", numpy.ones((1, 4), "i8"))
    run = subprocess.Popen([engines.TOOLS / "weir-run", builds.out, "--ids", builds.folder / "ids.npy", "--logits",
                            builds.folder / "logits.npy"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    cut_when_mapped(run, program)
    said = run.communicate()[1]
    assert run.returncode in (1, 2) and "error: " in said and str(program) in said, said
    assert not list(builds.folder.glob("*logits.npy*"))
    shutil.rmtree(builds.out)


def cut_when_mapped(process: subprocess.Popen, path: Path):
    """Takes all but a few bytes from a file as soon as a process has it mapped."""
    while process.poll() is None:
        try:
            mapped = str(path) in Path(f"/proc/{process.pid}/maps").read_text()
        except OSError:
            break
        if mapped:
            os.truncate(path, 100)
            return
    raise AssertionError(f"never mapped: {process.communicate()[1]}")


def test_a_folder_that_holds_something_else_is_left_alone(builds):
    """A note beside an artefact, one that is put there in the middle of a build, and a folder behind a link."""
    def refused(out: Path) -> str:
        done = subprocess.run([engines.TOOLS / "weirc", "build", builds.specs[1], "-o", out], capture_output=True, text=True)
        assert done.returncode == 2
        return done.stderr

    builds.build(0)
    note = builds.out / "note.txt"
    note.write_text("a note")
    assert "holds 'note.txt', which is no part of the artefact there" in refused(builds.out)
    (builds.folder / "link").symlink_to("out")
    assert "note.txt" in refused(builds.folder / "link")
    assert note.read_text() == "a note"
    note.unlink()
    assert content(builds.out) == builds.artefacts[0]

    build = builds.start(1)
    while build.poll() is None and not builds.written():
        pass
    note.write_text("a note")
    assert build.wait() in (0, 2)
    if build.returncode == 2:
        note.unlink()
        assert content(builds.out) == builds.artefacts[0] and not builds.left()
    else:
        assert [path.read_text() for path in builds.folder.glob("out*/note.txt")] == ["a note"]

    for path in builds.folder.glob("out*"):
        shutil.rmtree(path)
    builds.build(0)
    engines.call("weirc", "build", builds.specs[1], "-o", builds.folder / "link")
    assert (builds.folder / "link").is_symlink() and content(builds.out) == builds.artefacts[1]
    (builds.folder / "link").unlink()


def test_the_model_is_not_replaced_by_what_is_made_of_it(builds):
    builds.build(0)
    model = builds.out / "program.pt2"
    shutil.copy(builds.program, model)
    done = subprocess.run([engines.TOOLS / "weirc", "build", builds.specs[1], "--model", model, "-o", builds.out],
                          capture_output=True, text=True)
    assert done.returncode == 2 and "is a part of the artefact that would be replaced" in done.stderr, done.stderr
    assert model.read_bytes() == builds.program.read_bytes() and not builds.left()


def test_killed_at_any_time(builds):
    """What stays is what was there, or the new one."""
    choose = random.Random(0)
    builds.build(0)
    before, killed = builds.artefacts[0], 0
    for attempt in range(1, 11):
        build = builds.start(attempt % 2)
        try:
            build.wait(builds.seconds * choose.uniform(0.3, 1.1))
        except subprocess.TimeoutExpired:
            build.kill()
            build.wait()
        now, own = content(builds.out), builds.artefacts[attempt % 2]
        if build.returncode == -signal.SIGKILL:
            killed += 1
            assert now in (before, own)
        else:
            assert build.returncode == 0 and now == own
        before = now
    assert killed >= 3
    builds.build(0)
    assert content(builds.out) == builds.artefacts[0] and not builds.left()


def test_a_build_that_goes_on_is_left_alone(builds):
    """Two builds with one target at the same time: neither takes the other's scratch folder for an abandoned one."""
    running = [builds.start(0), builds.start(1)]
    assert [build.wait(60) for build in running] == [0, 0]
    assert content(builds.out) in builds.artefacts and not builds.left()
