# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Files that appear whole or not at all: what is replaced, what stays, and what goes after a signal."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from weir.__main__ import main
from weir.files import replacing

WRITER = """
import os, sys
from pathlib import Path
from weir import __main__
from weir.files import replacing

def run(arguments):
    with replacing(Path(sys.argv[1])) as stream:
        stream.write(b"half")
        stream.flush()
        os.kill(os.getpid(), int(sys.argv[2]))
    return 0

class Parser:
    def parse_args(self, argv):
        import argparse
        return argparse.Namespace(run=run)

__main__._parser = Parser
sys.exit(__main__.main())
"""


def killed(path, number: int) -> int:
    """The return code of a process that gets a signal while it writes `path`."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([sys.executable, "-c", WRITER, str(path), str(int(number))], env=environment).returncode


def names(folder) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def write(path, content: bytes = b"new"):
    with replacing(path) as stream:
        stream.write(content)


def test_a_signal_leaves_nothing_and_the_next_run_removes_what_sigkill_left(tmp_path):
    path = tmp_path / "50% [a].pt2"
    path.write_bytes(b"old")
    assert killed(path, signal.SIGTERM) == 128 + signal.SIGTERM and names(tmp_path) == {path.name}
    assert killed(path, signal.SIGINT) == 130 and names(tmp_path) == {path.name}
    assert killed(path, signal.SIGKILL) == -signal.SIGKILL and len(names(tmp_path)) == 2
    # None of ours, or somebody is writing it.
    mark = f".{path.name}.weir-part-"
    others = {f"{mark}0123456.pt2", f"{mark}0123456x.pt2", f"{mark}01234567.txt", ".a.pt2.weir-part-01234567.pt2"}
    for name in others:
        (tmp_path / name).write_text("a note")
    (tmp_path / f"{mark}00000001.pt2").symlink_to("nowhere")
    (tmp_path / f"{mark}00000002.pt2").mkdir()
    busy = tmp_path / f"{mark}00000003.pt2"
    with open(busy, "w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        write(path)
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == {path.name, *others, *(f"{mark}0000000{number}.pt2" for number in (1, 2, 3))}
    write(path, b"newer")
    assert path.read_bytes() == b"newer" and not busy.exists()


def test_an_error_leaves_the_old_file(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(ValueError), replacing(path) as stream:
        stream.write(b"half")
        raise ValueError
    assert path.read_bytes() == b"old" and names(tmp_path) == {"a"}


def test_links_stay_and_what_is_no_file_is_refused(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "real").chmod(0o640)
    (tmp_path / "link").symlink_to("real")
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_bytes() == b"new"
    assert (tmp_path / "real").stat().st_mode & 0o777 == 0o640
    (tmp_path / "nowhere").symlink_to("absent")
    with pytest.raises(OSError, match="leads nowhere"):
        write(tmp_path / "nowhere")
    (tmp_path / "folder").mkdir()
    (tmp_path / "device").symlink_to("/dev/null")
    for name in ("folder", "device"):
        with pytest.raises(OSError, match="not a regular file"):
            write(tmp_path / name)
    assert names(tmp_path) == {"real", "link", "nowhere", "folder", "device"}


def test_an_error_names_what_was_asked_for(tmp_path, capsys):
    with pytest.raises(OSError) as caught:
        write(Path("/proc/weir.pt2"))
    assert caught.value.filename == "/proc/weir.pt2"
    # What a tool says is not told as an error of an error.
    model, texts = tmp_path / "none.pt2", tmp_path / "texts.txt"
    model.write_text("no archive")
    texts.write_text("a text\n")
    assert main(["direction", str(model), "--positive", str(texts), "--negative", str(texts), "--site", "1/res", "-o",
                 str(tmp_path / "out.safetensors")]) == 1
    assert capsys.readouterr().err.startswith(f"error: {model}: ") and not (tmp_path / "out.safetensors").exists()


def test_an_output_that_is_the_input_is_refused(tmp_path, capsys):
    for command in ("export", "aot"):
        path = tmp_path / "model.gguf"
        path.write_bytes(b"an input")
        (tmp_path / "link").unlink(missing_ok=True)
        (tmp_path / "link").symlink_to("model.gguf")
        assert main([command, str(path), "-o", str(tmp_path / "link")]) == 1
        assert "itself, which would be replaced" in capsys.readouterr().err
        assert path.read_bytes() == b"an input"


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [["--help"], ["export", "--help"]])
def test_a_full_standard_output_has_status_2(arguments, unbuffered):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": unbuffered}
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "weir", *arguments], stdout=full, stderr=subprocess.PIPE, text=True,
                              env=environment)
    assert done.returncode == 2
    assert done.stderr == "error: cannot write to standard output: No space left on device\n"


def closed(descriptor: int, *arguments) -> subprocess.CompletedProcess:
    """python -m weir, begun with a standard descriptor that is closed."""
    return subprocess.run(["sh", "-c", f'exec "$@" {descriptor}>&-', "sh", sys.executable, "-m", "weir", *map(str, arguments)],
                          capture_output=True, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})


def test_a_standard_output_that_is_closed_has_status_2(tmp_path):
    done = closed(1, "--version")
    assert (done.returncode, done.stderr) == (2, "error: cannot write to standard output: Bad file descriptor\n")
    done = closed(1, "sites", tmp_path)  # which has nothing to write there
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "no manifest.json" in done.stderr


def test_what_a_closed_standard_error_is_to_say_goes_nowhere(tmp_path):
    done = closed(2, "sites", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
    assert closed(2, "nonsense").returncode == 2


def test_bad_usage_has_its_status_where_standard_error_is_full():
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "weir", "nonsense"], stderr=full, stdout=subprocess.PIPE, text=True,
                              env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert (done.returncode, done.stdout) == (2, "")
