# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The cache of `weirc match`: shared, killed, damaged, full and cleaned up; and matching in parts."""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import subprocess
import time

import matches
import pytest
from engines import TOOLS
from matches import FLOW, PARTS, PERMUTATION, Case, cache_command
from safetensors.numpy import load_file

# Ends of pairs: 5 + 2 by top_k, 2 permutations, and 2 compositions.
PAIRS = len(FLOW) + len(PARTS) + len(PERMUTATION)
RESULTS = PAIRS + 2


@pytest.fixture
def case(tmp_path):
    return Case(tmp_path)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """(a case that takes a while, its matches): to be interrupted."""
    case = Case(tmp_path_factory.mktemp("large"), features=600)
    expected = case.export("expected.safetensors")
    return case, expected


def start(case: Case, *arguments) -> subprocess.Popen:
    return subprocess.Popen(case.command(*arguments), env=matches.environment(), text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def leftovers(case: Case) -> list:
    """Files among the entries that are none."""
    return [path for path in (case.cache / "v1").rglob("*") if path.is_file() and path not in case.entries()
            or path.name.startswith(".")]


def damage(path):
    content = bytearray(path.read_bytes())
    content[-3] ^= 0x10
    path.write_bytes(content)


def test_two_at_once_compute_each_match_once(large):
    case, expected = large
    case.forget()
    runs = [start(case, "--json", "--export", case.folder / f"{number}.safetensors") for number in range(2)]
    reports = [json.loads(each.communicate(timeout=300)[0]) for each in runs]
    assert [each.returncode for each in runs] == [0, 0]
    for name in ("0.safetensors", "1.safetensors"):
        assert matches.same(load_file(case.folder / name), expected)
    computed = [tuple(entry[key] for key in ("matching", "source", "target"))
                for report in reports for entry in report["matches"] if not entry["cached"]]
    assert len(computed) == len(set(computed)) == RESULTS
    assert leftovers(case) == []


def test_killed_and_run_again(large):
    case, expected = large
    case.forget()
    began = time.monotonic()
    case.run("--part-rows", 100)
    whole = time.monotonic() - began
    draw = random.Random(1)
    killed = 0
    for attempt in range(4):
        case.forget()
        # Twice in a row: the second goes on where the first was.
        for _ in range(2):
            run = start(case, "--part-rows", 100)
            time.sleep(draw.uniform(0, whole))
            run.kill()
            run.communicate()
            killed += run.returncode < 0
        # Every entry that is there is whole.
        if case.cache.exists():
            cache_command(case, "verify")
        assert matches.same(case.export(f"after-{attempt}.safetensors"), expected)
    assert killed > 0


def test_a_killed_run_leaves_parts_that_are_used(large):
    case, expected = large
    case.forget()
    run = start(case, "--part-rows", 20)
    # Until some parts are there; then the run ends.
    deadline = time.monotonic() + 120
    while run.poll() is None and len(case.entries()) < 8:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    run.kill()
    run.communicate()
    before = {path: path.stat().st_ino for path in case.entries()}
    assert before
    assert matches.same(case.export("after.safetensors"), expected)
    # What was there was not written again.
    assert all(path.stat().st_ino == inode for path, inode in before.items() if path.exists())


def test_a_flipped_byte_is_found_and_mended(case):
    expected = case.export("expected.safetensors")
    for path in case.entries()[::4]:
        damage(path)
        verify = cache_command(case, "verify", code=2)
        assert str(path) in verify.stdout and "1 damaged; --remove removes them" in verify.stdout
        report = json.loads(cache_command(case, "verify", "--json", code=2).stdout)
        assert [row["key"] for row in report["damaged"]] == [path.stem] and report["entries"] == RESULTS
        listed = json.loads(cache_command(case, "ls", "--json").stdout)
        assert [row["key"] for row in listed["entries"] if row["about"] == "(damaged)"] == [path.stem]

        report = case.match("--export", case.folder / "again.safetensors")
        warnings = [message for message in report["diagnostics"] if message["severity"] == "warning"]
        assert len(warnings) == 1 and str(path) in warnings[0]["message"]
        assert warnings[0]["line"] in (case.line("flow:"), case.line("parts:"), case.line("permutation:"))
        assert [entry["key"] for entry in report["matches"] if not entry["cached"]] == [f"sha256:{path.stem}"]
        assert matches.same(load_file(case.folder / "again.safetensors"), expected)
        assert "0 damaged" in cache_command(case, "verify").stdout


def test_verify_can_remove(case):
    case.run()
    damage(case.entries()[0])
    case.entries()[1].write_bytes(b"")
    assert cache_command(case, "verify", "--remove", code=2).stdout.count("(removed)") == 2
    assert len(case.entries()) == RESULTS - 2
    assert f"{RESULTS - 2} entries, 0 damaged" in cache_command(case, "verify").stdout


def test_an_entry_that_is_no_file_is_made_anew(case):
    expected = case.export("expected.safetensors")
    first, second, third = case.entries()[:3]
    for path in (first, second, third):
        path.unlink()
    first.mkdir()
    (first / "note").write_text("a note")
    os.mkfifo(second)
    third.symlink_to("/dev/zero")
    report = case.match("--export", case.folder / "again.safetensors")
    assert matches.same(load_file(case.folder / "again.safetensors"), expected)
    assert {entry["key"] for entry in report["matches"] if not entry["cached"]} == {
        f"sha256:{path.stem}" for path in (first, second, third)}
    assert sum(path.is_file() and not path.is_symlink() for path in case.entries()) == RESULTS
    assert [path.read_text() for path in first.parent.rglob("note")] == ["a note"]


def test_an_export_replaces_only_an_older_export(case):
    weights = case.weights_file("res.0")
    table = case.folder / "mine.csv"
    table.write_text("name,value\n")
    for path in (weights, table):
        before = path.read_bytes()
        done = case.run("--export", path, code=1)
        assert "is no export of matches and is not replaced" in done.stderr and str(path) in done.stderr
        assert path.read_bytes() == before
    assert not case.entries()
    for name in ("m.csv", "m.safetensors"):
        (case.folder / name).touch()
        case.run("--export", case.folder / name)
        first = (case.folder / name).read_bytes()
        case.run("--export", case.folder / name)
        assert (case.folder / name).read_bytes() == first


def test_a_signal_leaves_no_temporary(large):
    case, _ = large
    case.forget()
    for number in (signal.SIGTERM, signal.SIGINT):
        run = start(case, "--part-rows", 20)
        while run.poll() is None and len(case.entries()) < 4:
            time.sleep(0.002)
        run.send_signal(number)
        run.communicate()
        assert run.returncode == -number and leftovers(case) == []


def test_a_full_disk(case):
    # A limit on the size of files stands for it: 1 block of 1024 bytes.
    command = "trap '' XFSZ; ulimit -f 1; exec " + shlex.join(case.command())
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=matches.environment())
    assert done.returncode == 2, done.stderr
    assert "cannot write to the cache" in done.stderr and "File too large" in done.stderr
    assert f"spec.yaml:{case.line('flow:')}:" in done.stderr
    assert leftovers(case) == []
    for path in case.entries():
        assert path.stat().st_size <= 1024
    cache_command(case, "verify")
    case.run()
    # An export that does not fit leaves none, and not half of one.
    command = "trap '' XFSZ; ulimit -f 1; exec " + shlex.join(case.command("--export", case.folder / "m.csv"))
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=matches.environment())
    assert done.returncode == 2 and "m.csv" in done.stderr, done.stderr
    assert not [path for path in case.folder.iterdir() if "m" in path.name and path.suffix == ".csv"]


def test_a_cache_that_cannot_be_made(case):
    (case.folder / "file").write_text("")
    done = matches.run(case.command()[:3] + ["--cache", str(case.folder / "file")], 2)
    assert "cannot make the cache" in done.stderr and "Not a directory" in done.stderr
    done = matches.run([str(TOOLS / "weirc"), "cache", "ls", "--cache", str(case.folder / "file")], 2)
    assert "cannot make the cache" in done.stderr


def test_parts_in_any_order_by_other_processes(large):
    case, expected = large
    case.forget()
    listed = case.run("--parts", "--part-rows", 300).stdout.split("\n")[:-1]
    # 600 features in two parts; the permutations in one.
    assert len(listed) == 2 * (len(FLOW) + len(PARTS)) + len(PERMUTATION)
    assert "flow/sae.res.1/sae.res.0/300..599" in listed and "permutation/sae.res.0/sae.res.1/0..599" in listed
    names = list(listed)
    random.Random(2).shuffle(names)
    while names:
        runs = [start(case, "--part", names.pop(), "--part-rows", 300) for _ in range(min(2, len(names)))]
        for each in runs:
            said = each.communicate(timeout=300)
            assert each.returncode == 0, said
    report = case.match("--parts", "--part-rows", 300)
    assert [part["name"] for part in report["parts"]] == listed and all(part["done"] for part in report["parts"])
    assert {part["key"] for part in report["parts"]} == {path.stem for path in case.entries()}

    # Nothing is left to be computed but to put the parts together.
    before = {path: path.stat().st_ino for path in case.entries()}
    tensors = case.folder / "parts.safetensors"
    case.run("--part-rows", 300, "--export", tensors)
    assert matches.same(load_file(tensors), expected)
    assert all(path.stat().st_ino == inode for path, inode in before.items() if path.exists())
    assert len(case.entries()) == RESULTS
    # A part of a whole that is there is done, and not made again.
    assert all(part["done"] for part in case.match("--parts", "--part-rows", 300)["parts"])
    case.run("--part", listed[0], "--part-rows", 300)
    assert len(case.entries()) == RESULTS


def test_a_part_that_does_not_exist(case):
    for name in ("nonsense", "flow/sae.res.1/sae.res.0/0..5", "flow/sae.res.1/sae.res.0/",
                 "flow/sae.res.0/sae.res.1/0..23", "../../x"):
        done = case.run("--part", name, code=2)
        assert f"no part '{name}'" in done.stderr and "weirc match --parts" in done.stderr
    assert case.entries() == []


def test_listing(case):
    case.cache.mkdir()
    assert cache_command(case, "ls").stdout.startswith("0 entries, 0 bytes")
    case.run()
    said = cache_command(case, "ls").stdout
    report = json.loads(cache_command(case, "ls", "--json").stdout)
    assert report["folder"] == str(case.cache)
    assert [row["key"] for row in report["entries"]] == [path.stem for path in case.entries()]
    assert report["bytes"] == sum(path.stat().st_size for path in case.entries())
    assert f"{RESULTS} entries, {report['bytes']} bytes in {case.cache}" in said
    abouts = [row["about"] for row in report["entries"]]
    assert "sae.res.1 -> sae.res.0 top_k k=2 similarity=cosine weights=decoder fold=none" in abouts
    assert all(about in said for about in abouts)


def test_collecting(case):
    case.run()
    entries = case.entries()
    now = time.time()
    for age, path in enumerate(entries):
        os.utime(path, (now - 3600 * age - 60,) * 2)
    kept = json.loads(cache_command(case, "gc", "--json").stdout)
    assert (kept["removed"], kept["kept"]) == (0, RESULTS)
    said = cache_command(case, "gc", "--unused-for", "5h").stdout
    assert said.startswith(f"removed {RESULTS - 5} entries")
    assert case.entries() == entries[:5]
    room = sum(path.stat().st_size for path in entries[:2])
    report = json.loads(cache_command(case, "gc", "--json", "--max-size", room).stdout)
    assert report["kept_bytes"] == room and report["kept"] == 2 and report["removed"] == 3
    assert case.entries() == entries[:2]
    cache_command(case, "gc", "--max-size", "0")
    assert case.entries() == [] and leftovers(case) == []
    case.run()
    assert len(case.entries()) == RESULTS


def test_collecting_needs_sizes_and_times(case):
    case.run()
    for option, texts, hint in (("--max-size", ("many", "-1", "10X", "1.5G", "99999999999T", "G"), "such as 10G"),
                                ("--unused-for", ("30", "soon", "-1d", "1w", "999999999999d", "d"), "such as 30d")):
        for text in texts:
            done = cache_command(case, "gc", f"{option}={text}", code=1)
            assert f"'{text}'" in done.stderr and hint in done.stderr
    assert len(case.entries()) == RESULTS


def test_commands(case):
    for arguments in ([], ["sweep"], ["gc", "--remove"]):
        done = subprocess.run([TOOLS / "weirc", "cache", *arguments], capture_output=True, text=True)
        assert done.returncode == 1 and done.stderr
