# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The wheel of ./bootstrap wheel, in a virtual environment of its own on a machine without LLVM: the beginning of the
tutorial works with it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import families
import pytest
import weir
import weir.export
from engines import ROOT, TOOLS
from test_install import environment
from test_tutorial import PAGE, blocks, commands, matches

SYSTEM = re.compile(r"(linux-vdso|ld-linux.*|libc|libm|libdl|libpthread|librt|libstdc\+\+|libgcc_s)\.so.*")


def run(*command, **options) -> str:
    done = subprocess.run([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    run("ninja", "-C", TOOLS.parent, "weir-codegen-static")
    made = run(sys.executable, ROOT / "python" / "make_wheel.py", TOOLS.parent, tmp_path_factory.mktemp("wheel"))
    return Path(made.splitlines()[-1])


@pytest.fixture(scope="module")
def prefix(wheel, tmp_path_factory) -> Path:
    """An environment with what the wheel asks for, by links: pip finds it installed, and only the wheel is installed."""
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    packages, = folder.glob("lib/python*/site-packages")
    for entry in Path(sys.prefix).glob("lib/python*/site-packages/*"):
        if entry.name.partition(".")[0] != "weir":
            (packages / entry.name).symlink_to(entry)
    run(sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "install", "--no-index", "--disable-pip-version-check",
        wheel, env=environment(PATH=os.environ["PATH"]))
    return folder


@pytest.fixture(scope="module")
def hidden(prefix):
    """A function that runs a shell's command where LLVM, MLIR, lld, the build and the libraries that the wheel carries
    are not. Fails where nothing can be mounted: what ran beside LLVM would show nothing."""
    # Not those that every command of the system is linked to.
    carried = [path.name for path in (prefix / "lib" / "weir").iterdir() if path.name.startswith(("libre2", "libicu", "libyaml"))]
    gone = {path.resolve() for name in ["libLLVM*.so*", "libMLIR*.so*", *carried]
            for path in Path("/usr/lib/x86_64-linux-gnu").glob(name)}
    gone |= {Path(found).resolve() for name in ("ld.lld-22", "ld.lld") if (found := shutil.which(name, path="/usr/bin:/bin"))}
    assert carried
    mounts = [f"mount --bind /dev/null {path}" for path in sorted(gone)]
    mounts += [f"mount -t tmpfs none {folder}" for folder in ("/usr/lib/llvm-22", TOOLS) if Path(folder).is_dir()]
    wrapped = next((["unshare", *how, "sh", "-ec"] for how in (["-m"], ["-r", "-m"])
                    if subprocess.run(["unshare", *how, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True).returncode == 0),
                   None)
    if wrapped is None:
        pytest.fail("LLVM cannot be hidden from the wheel: unshare may not mount here, neither as it is nor with user namespaces "
                    "(unshare -r -m). Run it as root, in a container with CAP_SYS_ADMIN, or with kernel.unprivileged_userns_clone=1")

    def call(command: str, cwd: Path, **variables) -> str:
        env = environment(PATH=f"{prefix / 'bin'}:/usr/bin:/bin", **variables)
        return run(*wrapped, "\n".join([*mounts, command]), cwd=cwd, env=env)

    return call


def test_it_is_small_and_says_where_it_runs(wheel):
    assert wheel.stat().st_size < 120 << 20
    assert re.fullmatch(r"weir-[\d.]+-cp311-none-manylinux_2_\d+_x86_64\.whl", wheel.name)
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(name for name in names if name.endswith("/METADATA"))).decode()
    assert "Requires-Dist: torch==2.13.0\n" in metadata
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if "__pycache__" in name or name.endswith(".a")]


def test_every_library_is_the_wheels_or_everybodys(prefix):
    for path in [*(prefix / "bin").glob("weir*"), *prefix.glob("lib/*.so"), *prefix.glob("lib/weir/*")]:
        # LibTorch has libraries of its own, beside it.
        for name, where in re.findall(r"^\s*(\S+) => (.*?)(?: \(0x|$)", run("ldd", path), re.M):
            if path.parent == prefix / "lib" / "weir" and not SYSTEM.fullmatch(name):
                where = str(prefix / "lib" / "weir" / name)  # found by the path of who loads it
                assert Path(where).exists(), (path, name)
            assert SYSTEM.fullmatch(name) or Path(os.path.abspath(where)).is_relative_to(prefix) or "/torch/lib/" in where, \
                f"{path.name} takes {name} from {where}"


def test_the_tutorial_begins_without_llvm(prefix, hidden, tmp_path):
    ran = 0
    for language, text in blocks(PAGE.read_text().split("\n## What it costs")[0]):
        if language == "yaml":
            (tmp_path / re.match(r"# (\S+)\n", text)[1]).write_text(text)
            continue
        for command, expected in commands(text):
            if command.startswith("ln -s"):  # they lie in the sources
                (tmp_path / "dictionaries").symlink_to(ROOT / "examples" / "smollm2" / "dictionaries")
                continue
            if "weir export" in command:  # of a model that takes less time; the other one has been exported before
                families.model("llama").save_pretrained(tmp_path / "model")
                hidden("python -m weir export model -o tiny.pt2", tmp_path)
                (tmp_path / "smollm2.pt2").symlink_to(weir.export.cached("smollm2"))
            else:
                printed = hidden(command, tmp_path)
                assert matches(expected, printed), f"$ {command}\nexpected:\n{expected}\nprinted:\n{printed}"
            ran += 1
    assert ran >= 8
    said = hidden("""python -P -c '
import weir, weir.matching, numpy
program = weir.load("music")
print(weir.tool("weirc"), program.plans)
a = numpy.eye(3, dtype=numpy.float32)
print(weir.matching.top_k(a, a[::-1]).indices.ravel().tolist())'""", tmp_path)
    assert said.splitlines() == [f"{prefix / 'bin' / 'weirc'} ['music']", "[2, 1, 0]"]
    # Kernels are compiled without LLVM's libraries; what links them is lld's.
    assert "weir-codegen" in hidden("weir-codegen --version", tmp_path)
    hidden("! ld.lld-22 --version && ! ld.lld --version", tmp_path)
    assert "install lld-22, or build with --lower=aten" in hidden("! weirc build music.yaml -o kernels --lower kernel", tmp_path)
