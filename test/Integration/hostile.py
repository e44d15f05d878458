# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A folder of inputs with things around them that nobody may touch, and damaged copies of the inputs.

The damages are of two kinds: those any file can have (cut short, noise, a pipe in its place, …), and those that
ask a reader to do something: code in an archive's guards, a pickle, an operator that makes a file. What they would
do is to make the file `Place.marker`, which is harmless; whoever finds it knows that they were obeyed.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import shutil
import stat
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

Damage = Callable[[Path, "Place"], None]


class Place:
    """A folder `work` with inputs; `home` and `scratch` for what tools keep for themselves; `elsewhere`, which links
    in `work` lead to."""

    def __init__(self, root: Path):
        self.root = root
        self.work, self.home, self.scratch, self.elsewhere = (root / name for name in ("work", "home", "scratch", "elsewhere"))
        self.marker = root / "marker"
        for folder in (self.work, self.home, self.scratch, self.elsewhere / "deep"):
            folder.mkdir(parents=True)
        self._surround()

    def _surround(self):
        """Things that look like what Weir writes, and are not."""
        (self.elsewhere / "letter.txt").write_text("not yours")
        (self.elsewhere / "deep" / "manifest.json").write_text('{"name": "a web page"}')
        (self.elsewhere / "program.pt2").write_bytes(b"another's program")
        (self.work / "notes.txt").write_text("mine")
        (self.work / "site").mkdir()
        (self.work / "site" / "manifest.json").write_text('{"short_name": "page", "start_url": "/"}')
        (self.work / "site" / "index.html").write_text("<p>mine</p>")
        (self.work / "link").symlink_to(self.elsewhere)
        (self.work / "letter").symlink_to(self.elsewhere / "letter.txt")
        # Nobody said that this one is to run.
        (self.work / "program.aot.pt2").write_bytes(b"a package that nobody named")

    def snapshot(self) -> dict[str, tuple]:
        """Kind, permissions and content of everything in `work` and `elsewhere`, by path."""
        seen = {}
        for top in (self.work, self.elsewhere):
            for folder, folders, files in os.walk(top):
                for name in [*folders, *files]:
                    path = Path(folder, name)
                    status = path.lstat()
                    content: bytes | str | None = None
                    if stat.S_ISLNK(status.st_mode):
                        content = os.readlink(path)
                    elif stat.S_ISREG(status.st_mode):
                        # A file that is only large on paper is told by its size and times.
                        content = path.read_bytes() if status.st_size < 1 << 26 else str((status.st_size, status.st_mtime_ns))
                    seen[str(path.relative_to(self.root))] = (stat.S_IFMT(status.st_mode), status.st_mode & 0o777, content)
        return seen


def remove(path: Path):
    """Whatever is there, and never what a link leads to."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


#
# What any file can be
#


def _cut(path: Path, place: Place):
    path.write_bytes(path.read_bytes()[:path.stat().st_size // 2])


def _empty(path: Path, place: Place):
    path.write_bytes(b"")


def _flipped(path: Path, place: Place):
    data, choose = bytearray(path.read_bytes()), random.Random(path.name)
    for _ in range(max(1, len(data) // 4096)):
        data[choose.randrange(len(data))] ^= 1 << choose.randrange(8)
    path.write_bytes(data)


def _noise(path: Path, place: Place):
    path.write_bytes(random.Random(0).randbytes(3000))


def _pipe(path: Path, place: Place):
    path.unlink()
    os.mkfifo(path)


def _device(path: Path, place: Place):
    path.unlink()
    path.symlink_to("/dev/zero")


def _folder(path: Path, place: Place):
    path.unlink()
    path.symlink_to(place.elsewhere)


def _circle(path: Path, place: Place):
    path.unlink()
    path.symlink_to(path.name)


def _vast(path: Path, place: Place):
    """A terabyte of zeros that takes no room on the disk."""
    os.truncate(path, 1 << 40)


ANY_FILE: dict[str, Damage] = {damage.__name__[1:]: damage
                               for damage in (_cut, _empty, _flipped, _noise, _pipe, _device, _folder, _circle, _vast)}

#
# What asks a reader to do something
#


class Touch:
    """Unpickled, it makes the file `path`."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def _records(path: Path) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        return [(entry.filename, archive.read(entry)) for entry in archive.infolist()]


def rewrite(path: Path, change: Callable[[str, bytes], Iterator[tuple[str, bytes]]]):
    """Passes every record of an archive through `change`, which gives the ones that take its place."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        for name, data in _records(path):
            for new, content in change(name, data):
                # Records are mapped: their data begins at a multiple of 64.
                entry = zipfile.ZipInfo(new)
                gap = -(made.tell() + 30 + len(new.encode())) % 64
                entry.extra = b"FB" + max(0, gap - 4).to_bytes(2, "little") + b"Z" * (gap - 4) if gap >= 4 else b""
                archive.writestr(entry, content)
    path.write_bytes(made.getvalue())


def _program(change: Callable[[dict, Place], None]) -> Damage:
    """A damage of the graph's document."""

    def damage(path: Path, place: Place):
        def one(name: str, data: bytes):
            if name.endswith("models/model.json"):
                document = json.loads(data)
                change(document, place)
                data = json.dumps(document).encode()
            yield name, data

        rewrite(path, one)

    return damage


def _guards(document: dict, place: Place):
    document["guards_code"] = [f"__import__('pathlib').Path({str(place.marker)!r}).touch() or True"]


def _expression(document: dict, place: Place):
    """A symbolic size whose text is a call."""
    text = f"__import__('pathlib').Path({str(place.marker)!r}).touch() or 2"

    def replaced(value):
        if isinstance(value, dict):
            return {key: text if key == "expr_str" else replaced(part) for key, part in value.items()}
        return [replaced(part) for part in value] if isinstance(value, list) else value

    document["graph_module"]["graph"] = replaced(document["graph_module"]["graph"])


def _operator(document: dict, place: Place):
    """The first call makes a file, if its operator is called."""
    nodes = document["graph_module"]["graph"]["nodes"]
    node = next(node for node in nodes if node["target"].startswith("torch.ops.aten"))
    node["target"] = "torch.ops.aten.from_file.default"
    node["inputs"] = [{"name": "filename", "arg": {"as_string": str(place.marker)}, "kind": 1},
                      {"name": "shared", "arg": {"as_bool": True}, "kind": 1},
                      {"name": "size", "arg": {"as_int": 4}, "kind": 1}]


def _pickled_sample(path: Path, place: Place):
    def one(name: str, data: bytes):
        yield name, pickle.dumps(Touch(place.marker)) if "sample_inputs" in name and name.endswith(".pt") else data

    rewrite(path, one)


def _pickled_weight(path: Path, place: Place):
    chosen: list[str] = []

    def one(name: str, data: bytes):
        if name.endswith("weights_config.json"):
            document = json.loads(data)
            entry = next(iter(document["config"].values()))
            entry["use_pickle"] = True
            chosen.append(entry["path_name"])
            data = json.dumps(document).encode()
        yield name, data

    rewrite(path, one)

    def other(name: str, data: bytes):
        yield name, pickle.dumps(Touch(place.marker)) if name.endswith("/" + chosen[0]) else data

    rewrite(path, other)


def _outside(path: Path, place: Place):
    """Records that are named as files outside of the archive."""

    def one(name: str, data: bytes):
        yield name, data
        if name.endswith("models/model.json"):
            top = name.removesuffix("models/model.json")
            yield f"{top}../../marker", b"x"
            yield f"{top}extra/../../../marker", b"x"
            yield str(place.marker), b"x"

    rewrite(path, one)


ARCHIVE: dict[str, Damage] = {
    "guards": _program(_guards), "expression": _program(_expression), "operator": _program(_operator),
    "pickled_sample": _pickled_sample, "pickled_weight": _pickled_weight, "outside": _outside}


def _manifest(**files) -> Damage:
    """Files of the manifest lie where another's lie."""

    def damage(path: Path, place: Place):
        manifest = json.loads(path.read_text())
        for key, file in files.items():
            manifest[key] = {"path": file.format(elsewhere=place.elsewhere), "sha256": "0" * 64}
        path.write_text(json.dumps(manifest))

    return damage


MANIFEST: dict[str, Damage] = {
    "above": _manifest(program="../../elsewhere/program.pt2"),
    "absolute": _manifest(program="{elsewhere}/program.pt2"),
    "package": _manifest(aot="../program.aot.pt2"),
    "through_a_link": _manifest(spec="../letter"),
}


def _pickle(path: Path, place: Place):
    path.write_bytes(pickle.dumps(Touch(place.marker)))


def _objects(path: Path, place: Place):
    """An .npy file of pickled objects."""
    import numpy

    with path.open("wb") as stream:
        numpy.lib.format.write_array(stream, numpy.array([Touch(place.marker)], dtype=object), allow_pickle=True)


ARRAYS: dict[str, Damage] = {"pickle": _pickle, "objects": _objects}
