# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Makes requirements*.lock from requirements*.txt: all packages, with their hashes.

usage: .venv/bin/python python/lock.py [--upgrade] [LIST...]

A list is `requirements.txt` or one on top of it; all of them unless some are
named. Versions that a lock has already are kept, if the list still allows them;
--upgrade takes the newest. The hash of a file is what the package index that pip
is configured with says of it, or of the file itself where pip has it from a
folder (--find-links), so look at the difference before it is committed. pip
resolves on its own platform: run it with CPython 3.11 on Linux x86_64.

Comments that mean something here, at the end of a line of a list:
  # alone     without what the package asks for
  # source    the package is published as sources only (every other one has to
              have a wheel: installing a wheel runs nothing of it)
A line `# without NAME…` names packages that are asked for and left out.
"""

import argparse
import hashlib
import json
import platform
import re
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from pathlib import Path

import fetch_sdist

FOLDER = Path(__file__).resolve().parent
# Each list with those that it is installed on top of.
LISTS = {
    "requirements": [],
    "requirements-ray": ["requirements"],
    "requirements-test": ["requirements", "requirements-ray"],
    "requirements-benchmarks": ["requirements"],
    "requirements-formats": ["requirements", "requirements-ray", "requirements-test"],
    "requirements-serving": [],
    "requirements-doors": ["requirements", "requirements-ray", "requirements-test"],
    "requirements-gemma": [],
}


def canonical(name: str) -> str:
    """A package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_list(name: str) -> list[tuple[str, set[str]]]:
    """The lines of a list: NAME==VERSION and the comments that mean something."""
    lines = []
    for line in (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        requirement, _, comment = line.partition("#")
        if requirement := requirement.strip():
            marks = {mark.strip() for mark in comment.split(",")} & {"alone", "source"}
            lines.append((requirement, marks))
    return lines


def left_out(name: str) -> set[str]:
    """What a list says is to be left out."""
    text = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    return {canonical(package) for line in re.findall(r"^# without (.+)$", text, re.MULTILINE) for package in line.split()}


def read_lock(name: str) -> dict[str, str]:
    """The versions in a lock, by canonical name; empty if there is no such lock yet."""
    path = FOLDER / f"{name}.lock"
    if not path.exists():
        return {}
    pins = re.findall(r"^([\w.-]+)==(\S+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {canonical(package): version for package, version in pins}


def resolve(requirements: list[str], constraints: dict[str, str], options: list[str]) -> dict[str, tuple[str, str]]:
    """What pip would install: version and SHA-256, by canonical name."""
    with tempfile.TemporaryDirectory() as scratch:
        limits, report = Path(scratch) / "constraints.txt", Path(scratch) / "report.json"
        limits.write_text("".join(f"{name}=={version}\n" for name, version in constraints.items()))
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--dry-run",
             "--ignore-installed", "--only-binary", ":all:", "--report", report, "--constraint", limits,
             *options, *requirements], check=True)
        packages = json.loads(report.read_text())["install"]
    return {canonical(package["metadata"]["name"]):
            (package["metadata"]["version"],
             digest(package["download_info"]["url"],
                    package["download_info"]["archive_info"].get("hashes", {}).get("sha256")))
            for package in packages}


def digest(url: str, said: str | None) -> str:
    """The SHA-256 that the index says of a file, or that of a file on this machine."""
    parts = urllib.parse.urlsplit(url)
    if said is None and parts.scheme == "file":
        return hashlib.sha256(Path(urllib.request.url2pathname(parts.path)).read_bytes()).hexdigest()
    if said is None:
        raise SystemExit(f"lock.py: the index says no SHA-256 of {url}")
    return said


def source(requirement: str) -> dict[str, tuple[str, str]]:
    """The same for a source package, of which nothing is run."""
    name, _, version = requirement.partition("==")
    with fetch_sdist.source_of(requirement) as (_, link):
        said = link.hash if link.hash_name == "sha256" else None
        return {canonical(name): (version, digest(link.url_without_fragment, said))}


def lock(name: str, upgrade: bool) -> None:
    below = {}
    for other in LISTS[name]:
        below |= read_lock(other)
    lines = read_list(name)
    named = {canonical(requirement.partition("==")[0]) for requirement, _ in lines}
    constraints = ({} if upgrade else read_lock(name)) | below
    constraints = {package: version for package, version in constraints.items() if package not in named}

    found = {}
    if whole := [requirement for requirement, marks in lines if not marks]:
        found |= resolve(whole, constraints, [])
    if alone := [requirement for requirement, marks in lines if marks == {"alone"}]:
        found |= resolve(alone, constraints, ["--no-deps"])
    for requirement, marks in lines:
        if "source" in marks:
            found |= source(requirement)

    found = {package: found[package] for package in found.keys() - left_out(name)}
    if lost := named - found.keys():
        raise SystemExit(f"lock.py: pip found no {', '.join(sorted(lost))}")
    text = (f"# Made by python/lock.py from {name}.txt, for CPython 3.11 on Linux x86_64"
            + (f"; goes on top of {' and '.join(f'{other}.lock' for other in LISTS[name])}" if below else "")
            + ".\n# Install it without resolving anything: pip install --require-hashes --no-deps -r …\n")
    for package, (version, digest) in sorted(found.items()):
        if below.get(package, version) != version:
            raise SystemExit(f"lock.py: {name}.txt asks for {package} {version}, below it is {below[package]}")
        if package not in below:
            text += f"{package}=={version} --hash=sha256:{digest}\n"
    (FOLDER / f"{name}.lock").write_text(text, encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that the lists allow")
    parser.add_argument("lists", nargs="*", metavar="LIST", help="requirements, requirements-test, …")
    arguments = parser.parse_args()
    if sys.version_info[:2] != (3, 11) or platform.machine() != "x86_64" or sys.platform != "linux":
        parser.error("run it with CPython 3.11 on Linux x86_64, for which the locks are")
    names = [Path(name).stem for name in arguments.lists] or list(LISTS)
    if unknown := [name for name in names if name not in LISTS]:
        parser.error(f"no such list: {', '.join(unknown)} (there are {', '.join(LISTS)})")
    for name in names:
        print(f"{name}.lock", flush=True)
        lock(name, arguments.upgrade)
    return 0


if __name__ == "__main__":
    sys.exit(main())
