# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Only regular files are read, and none above its limit."""

import json
import os

import pytest

import weir
from weir.errors import WeirError
from weir.export.sources import resolve
from weir.files import open_regular, read_text


def test_what_is_no_regular_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero", tmp_path):
        with pytest.raises(WeirError, match="not a regular file"):
            open_regular(path)
    with pytest.raises(WeirError, match="absent: No such file"):
        read_text(tmp_path / "absent")
    with pytest.raises(WeirError, match="null"):
        read_text("a\0b")


def test_the_limit_comes_before_reading(tmp_path):
    (tmp_path / "huge").touch()
    os.truncate(tmp_path / "huge", 1 << 42)
    with pytest.raises(WeirError, match="4398046511104 bytes, more than"):
        read_text(tmp_path / "huge")
    (tmp_path / "text").write_bytes(b"\xff")
    with pytest.raises(WeirError, match="text: .*utf-8"):
        read_text(tmp_path / "text")
    (tmp_path / "text").write_text("ä")
    assert read_text(tmp_path / "text", 2) == "ä"


def test_pipes_in_what_commands_are_given(tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    assert resolve(str(model)).location == str(model.resolve())
    os.mkfifo(model / "model.safetensors")
    with pytest.raises(WeirError, match="model.safetensors: not a regular file"):
        resolve(str(model))
    (model / "config.json").unlink()
    os.mkfifo(model / "config.json")
    with pytest.raises(WeirError):
        resolve(str(model))

    program = tmp_path / "program"
    program.mkdir()
    os.mkfifo(program / "manifest.json")
    with pytest.raises(WeirError, match="manifest.json: not a regular file"):
        weir.load(program)
    (program / "manifest.json").unlink()
    # Deeper than Python's parser goes.
    (program / "manifest.json").write_text("[" * 100000)
    with pytest.raises(WeirError, match="not valid JSON"):
        weir.load(program)
    (program / "manifest.json").write_text(json.dumps({
        "weir": 1, "inputs": ["input_ids", "positions"], "program": {"path": "program.pt2", "sha256": "0" * 64}}))
    os.mkfifo(program / "program.pt2")
    with pytest.raises(WeirError, match="program.pt2"):
        weir.load(program)
