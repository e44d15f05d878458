# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What is installed is what was pinned, nothing of anything else runs, and users get what they need.

Packages here are our own, from a folder that pip takes for its index; what must not run writes a
file that the tests look for.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import families
import gguf_files
import pytest
import sentencepiece

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / "python"


@pytest.fixture(scope="module")
def lock():
    """python/lock.py, which is a script."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(PYTHON)
        spec = importlib.util.spec_from_file_location("weir_lock", PYTHON / "lock.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module


#===---- The lists ----------------------------------------------------------------------------------===#

def test_locks_hold_what_the_lists_name_with_hashes(lock):
    for name, below in lock.LISTS.items():
        lines = [line for line in (PYTHON / f"{name}.lock").read_text().splitlines() if not line.startswith("#")]
        for line in lines:
            assert re.fullmatch(r"[a-z0-9-]+==[\w.+]+ --hash=sha256:[0-9a-f]{64}", line), line
        pins = lock.read_lock(name)
        assert len(pins) == len(lines), f"{name}.lock names a package twice"
        for other in below:
            assert not pins.keys() & lock.read_lock(other).keys(), f"{name}.lock repeats {other}.lock"
        for other in below:
            pins |= lock.read_lock(other)
        for requirement, _ in lock.read_list(name):
            package, version = requirement.split("==")
            assert pins.get(lock.canonical(package)) == version, f"run python/lock.py: {requirement}"


def test_this_environment_is_the_locked_one(lock):
    for name in ("requirements", "requirements-ray", "requirements-test"):
        for package, version in lock.read_lock(name).items():
            assert importlib.metadata.version(package) == version, package


#===---- An index of our own ------------------------------------------------------------------------===#

def wheel(folder: Path, name: str, version: str = "1.0", requires: str = "", marker: Path | None = None) -> Path:
    """A wheel with a module; with `marker`, each start of Python where it is installed writes that file."""
    info = f"{name}-{version}.dist-info"
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", "")
        if marker:
            archive.writestr(f"{name}.pth", f"import pathlib; pathlib.Path({str(marker)!r}).touch()\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
                         + (f"Requires-Dist: {requires}\n" if requires else ""))
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


def sdist(folder: Path, name: str, marker: Path, version: str = "1.0") -> Path:
    """A source package with src/a.h and src/deep/b.h that writes `marker` when it is built or asked
    for its name."""
    path = folder / f"{name}-{version}.tar.gz"
    files = {"setup.py": f"import pathlib; pathlib.Path({str(marker)!r}).touch()\n"
                         f"import setuptools; setuptools.setup(name={name!r}, version={version!r})\n",
             "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
             "src/a.h": "a", "src/deep/b.h": "b", "srcs/c.h": "c"}
    with tarfile.open(path, "w:gz") as archive:
        for inner, text in files.items():
            member = tarfile.TarInfo(f"{name}-{version}/{inner}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def index(tmp_path, monkeypatch) -> Path:
    """The folder that pip looks into, and nowhere else."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def project(tmp_path) -> Path:
    """A project of which ./bootstrap installs no Debian package and what a test says of Python's."""
    folder = tmp_path / "project"
    (folder / "python").mkdir(parents=True)
    shutil.copy(ROOT / "bootstrap", folder)
    shutil.copy(PYTHON / "fetch_sdist.py", folder / "python")
    (folder / "packages.txt").write_text("# none\n")
    (folder / "third_party.txt").write_text("# none\n")
    # As ./bootstrap makes it, but in less time.
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / ".venv"], check=True)
    site = next((folder / ".venv" / "lib").glob("python*")) / "site-packages"
    shutil.copytree(Path(importlib.util.find_spec("pip").origin).parent, site / "pip")
    pip = folder / ".venv" / "bin" / "pip"
    pip.write_text(f"#!{folder}/.venv/bin/python\nimport sys\nfrom pip._internal.cli.main import main\nsys.exit(main())\n")
    pip.chmod(0o755)
    return folder


def install(project: Path) -> subprocess.CompletedProcess:
    return subprocess.run([project / "bootstrap", "install"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


#===---- ./bootstrap install ------------------------------------------------------------------------===#

def test_bootstrap_installs_what_is_pinned_and_says_little(index, project, tmp_path):
    marker = tmp_path / "ran"
    good, sources = wheel(index, "pinned"), sdist(index, "sources", marker)
    (project / "python" / "requirements.lock").write_text(f"pinned==1.0 --hash=sha256:{digest(good)}\n")
    (project / "third_party.txt").write_text(f"# ours\nsources==1.0 {digest(sources)} inner src\n")
    done = install(project)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [
        "Python packages to install into .venv: 1, pinned in python/requirements.lock",
        "Sources to unpack into third_party/: 1 packages"]
    assert (next((project / ".venv/lib").glob("python*")) / "site-packages/pinned.py").exists()
    taken = project / "third_party" / "inner"
    assert {str(path.relative_to(taken)): path.read_text() for path in taken.rglob("*.*")} == {
        "src/a.h": "a", "src/deep/b.h": "b"}
    assert not marker.exists(), "a source package was asked for its name"
    again = install(project)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


@pytest.mark.parametrize("offered", ["another wheel", "a source package"])
def test_bootstrap_installs_nothing_that_is_not_pinned(index, project, tmp_path, offered):
    marker = tmp_path / "ran"
    if offered == "another wheel":
        file, message = wheel(index, "pinned", marker=marker), "DO NOT MATCH THE HASHES"
        pin = "0" * 64
    else:
        file, message = sdist(index, "pinned", marker), "No matching distribution found for pinned==1.0"
        pin = digest(file)
    (project / "python" / "requirements.lock").write_text(f"pinned==1.0 --hash=sha256:{pin}\n")
    done = install(project)
    assert done.returncode == 1
    assert message in done.stderr and "installing Python packages failed" in done.stderr
    subprocess.run([project / ".venv/bin/python", "-c", ""], check=True)
    assert not marker.exists()
    assert not list((project / ".venv").rglob("pinned*")) and not (project / ".venv/.weir-stamp").exists()


def test_bootstrap_names_the_way_to_pytorch(index, project):
    (project / "python" / "requirements.lock").write_text(f"torch==2.13.0+cpu --hash=sha256:{'0' * 64}\n")
    done = install(project)
    assert done.returncode == 1 and "PIP_EXTRA_INDEX_URL" in done.stderr


#===---- Source packages ----------------------------------------------------------------------------===#

def fetch(requirement: str, wanted: str, folder: Path, *paths: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, PYTHON / "fetch_sdist.py", requirement, wanted, folder, *paths],
                          stderr=subprocess.PIPE, text=True)


def test_a_source_package_with_another_hash_is_not_opened(index, tmp_path):
    marker, out = tmp_path / "ran", tmp_path / "out"
    file = sdist(index, "sources", marker)
    done = fetch("sources==1.0", "0" * 64, out, "src")
    assert done.returncode == 1 and digest(file) in done.stderr and "nothing of it was opened" in done.stderr
    assert not out.exists() and not marker.exists()


@pytest.mark.parametrize("requirement, paths, message", [
    ("sources==2.0", ["src"], "sources==2.0: no source package of this version"),
    ("sources", ["src"], "not of the form NAME==VERSION"),
    ("sources==1.0", ["src", "lib"], "has no lib"),
])
def test_what_a_source_package_lacks_is_said(index, tmp_path, requirement, paths, message):
    file = sdist(index, "sources", tmp_path / "ran")
    done = fetch(requirement, digest(file), tmp_path / "out", *paths)
    assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("bad", ["link", "way out"])
def test_links_and_ways_out_of_a_source_package_are_refused(index, tmp_path, bad):
    path = index / "sources-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("sources-1.0/src/" + ("x" if bad == "link" else "../../../escaped"))
        if bad == "link":
            member.type, member.linkname = tarfile.SYMTYPE, "/"
        archive.addfile(member, io.BytesIO())
    done = fetch("sources==1.0", digest(path), tmp_path / "a" / "b" / "out", "src")
    assert done.returncode == 1 and "neither a file nor a folder" in done.stderr
    assert not [path for path in tmp_path.rglob("*") if path.name in ("escaped", "x")]


#===---- python/lock.py -----------------------------------------------------------------------------===#

def test_a_lock_is_made_from_a_list(lock, index, tmp_path, monkeypatch):
    marker = tmp_path / "ran"
    files = [wheel(index, "first", requires="second"), wheel(index, "second"), wheel(index, "second", "1.1"),
             wheel(index, "third", requires="nowhere"), sdist(index, "fourth", marker), wheel(index, "fifth", requires="first")]
    hashes = {file.name.split("-py3")[0].removesuffix(".tar.gz"): digest(file) for file in files}
    monkeypatch.setattr(lock, "FOLDER", tmp_path)
    monkeypatch.setattr(lock, "LISTS", {"requirements": [], "requirements-more": ["requirements"]})
    (tmp_path / "requirements.txt").write_text("first==1.0  # not alone\nthird==1.0  # alone\nfourth==1.0  # alone, source\n")
    (tmp_path / "requirements-more.txt").write_text("fifth==1.0\n")

    def pinned(name: str) -> list[str]:
        lock.lock(name, upgrade=False)
        return [line for line in (tmp_path / f"{name}.lock").read_text().splitlines() if not line.startswith("#")]

    def lines(*files: str) -> list[str]:
        return [f"{file.replace('-', '==')} --hash=sha256:{hashes[file]}" for file in files]

    assert pinned("requirements") == lines("first-1.0", "fourth-1.0", "second-1.1", "third-1.0")
    assert pinned("requirements-more") == lines("fifth-1.0"), "only what is not below"
    assert not marker.exists()
    (tmp_path / "requirements.lock").write_text("second==1.0 --hash=sha256:0\n")
    assert lines("second-1.0")[0] in pinned("requirements"), "a version that is there is kept"
    lock.lock("requirements", upgrade=True)
    assert lines("second-1.1")[0] in (tmp_path / "requirements.lock").read_text()


#===---- Without what the tests bring ---------------------------------------------------------------===#

@pytest.fixture(scope="module")
def users(lock, tmp_path_factory) -> Path:
    """A folder with the packages that ./bootstrap install brings, and no others."""
    folder = tmp_path_factory.mktemp("users")
    for package in lock.read_lock("requirements"):
        for file in importlib.metadata.files(package):
            top = folder / file.parts[0]
            if file.parts[0] != ".." and not top.exists() and Path(file.locate()).exists():
                top.symlink_to(Path(importlib.metadata.distribution(package).locate_file(file.parts[0])).resolve())
    return folder


# Imports what is imported late, asks for Ray, then exports the models that are named.
USER = """
import sys
from weir import __main__, aot, cluster, compiler, matching
from weir.errors import WeirError
try:
    cluster._import_ray()
except WeirError as error:
    print(error)
for model in sys.argv[1:]:
    if __main__.main(["export", model, "-o", model + ".pt2", "--max-batch", "2", "--max-length", "16"]):
        sys.exit(1)
"""


def test_users_can_export_and_are_told_how_to_get_ray(users, tmp_path):
    """A SentencePiece tokenizer and a GGUF file: transformers reads them with packages that it does not ask for."""
    model = tmp_path / "model"
    families.model("llama").save_pretrained(model)
    gguf_file = gguf_files.write(tmp_path / "model.gguf", families.model("llama"))
    text = tmp_path / "text"
    text.write_text("the river rises in the hills and it is said that nobody has seen its spring\n" * 20)
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(model / "tokenizer"), vocab_size=60, model_type="bpe", minloglevel=2)
    (model / "tokenizer_config.json").write_text('{"tokenizer_class": "LlamaTokenizer"}')
    # -S: without the packages of this environment.
    done = subprocess.run([sys.executable, "-S", "-c", USER, model, gguf_file], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, env=dict(os.environ, PYTHONPATH=os.pathsep.join([str(users), str(PYTHON)])))
    assert done.returncode == 0, done.stderr
    assert "run ./bootstrap ray" in done.stdout
    assert (tmp_path / "model.gguf.pt2").exists()
    with zipfile.ZipFile(tmp_path / "model.pt2") as archive:
        assert "archive/extra/tokenizer.json" in archive.namelist()
