# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Matching on a Ray cluster: the results of one machine, each part computed once, whoever is killed."""

from __future__ import annotations

import concurrent.futures
import contextlib
import fcntl
import functools
import ipaddress
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import engines
import numpy
import psutil
import pytest
import random_dictionaries
import weir
from weir import __main__ as command_line
from weir import cluster, cluster_task, matches

PATIENCE = 300  # seconds; reached only when something is wrong

AGENTS = ("ray::DashboardA", "ray::RuntimeEnv")  # as the system abbreviates them

# A weirc that writes a line "PART PID" before it becomes the real one, and, before it merges the parts,
# the name, inode and time of every file of the cache.
RECORDING = """#!/bin/sh
part= merges=yes cache= last=
for word; do
  case $last in --part) part=$word merges= ;; --cache) cache=$word ;; esac
  case $word in --parts) merges= ;; esac
  last=$word
done
[ -z "$part" ] || echo "$part $$" >>{log}
[ -z "$merges" ] || find "$cache/v1" -type f -printf '%f %i %T@\\n' >{snapshot}
exec {weirc} "$@"
"""


@pytest.fixture(scope="module", autouse=True)
def workers():
    """A local cluster with two workers, to which this process is connected."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        with cluster.connection(None, workers=2, threads=1, progress=print) as (ray, _):
            yield ray


class Case:
    """A spec in a folder of its own, with 1,200 directions [64] for each of three layers: 6 parts."""

    rows = 600
    known: dict = {}  # results of one weirc, by spec; the dictionaries are always the same

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch):
        self.folder, self.cache, self.log, self.snapshot = (folder, folder / "cache", folder / "log", folder / "snapshot")
        random = numpy.random.default_rng(7)
        for layer in range(3):
            random_dictionaries.write_directions(self.dictionary(layer), random, 64, 1.0, 1200)
        self.write("flow: {method: top_k, k: 2}", "best: {method: permutation, weights: [decoder]}")
        tools = folder / "tools" / "bin"
        tools.mkdir(parents=True)
        self.weirc = tools / "weirc"
        names = dict(log=self.log, snapshot=self.snapshot, weirc=engines.TOOLS / "weirc")
        self.weirc.write_text(RECORDING.format(**{name: shlex.quote(str(path)) for name, path in names.items()}))
        self.weirc.chmod(0o755)
        patch.setenv("WEIR_BUILD", str(tools.parent))

    def dictionary(self, layer: int) -> Path:
        return self.folder / "dictionaries" / f"{layer}.npy"

    def write(self, *matches: str, dictionary='{format: directions, path: "dictionaries/{layer}.npy", sites: [res], layers: 0..2}'):
        lines = ["weir: 1", "model: {program: absent.pt2}", "dictionaries:", f"  sae: {dictionary}", "matches:",
                 *(f"  {match}" for match in matches), "policies:", "  one: {on: 0/res/1, do: add, strength: 1}"]
        self.spec = self.folder / "spec.yaml"
        self.spec.write_text("\n".join(lines) + "\n")

    def parts(self) -> dict[str, dict]:
        listed = weir.compiler.weirc("match", self.spec, parts=True, cache=self.cache, part_rows=self.rows)
        assert listed["cache"] == str(self.cache)
        return {part["name"]: part for part in listed["parts"]}

    def starts(self) -> list[str]:
        """The parts that were begun, in order."""
        return [line.split()[0] for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def process(self, part: str) -> psutil.Process:
        """weirc, as it computes `part`."""
        line = wait(lambda: next((line for line in self.log.read_text().splitlines() if line.startswith(f"{part} ")), None)
                    if self.log.exists() else None)
        return psutil.Process(int(line.split()[1]))

    def entries(self) -> dict[str, tuple[int, int]]:
        """File name -> inode and time of writing, to a microsecond, of what is in the cache."""
        found = ((path, path.stat()) for path in (self.cache / "v1").rglob("*.safetensors") if path.name[0] != ".")
        return {path.name: (info.st_ino, info.st_mtime_ns // 1000) for path, info in found}

    def merged(self) -> dict[str, tuple[int, int]]:
        """`entries` as they were when the driver began to put the parts together."""
        lines = (line.split() for line in self.snapshot.read_text().splitlines())
        return {name: (int(inode), int(float(seconds.partition(".")[0])) * 10**6 + int(seconds.partition(".")[2][:6]))
                for name, inode, seconds in lines}

    def arguments(self, *more) -> list[str]:
        return ["match", str(self.spec), "--engine", "ray", "--cache", str(self.cache), "--part-rows", str(self.rows),
                *map(str, more)]

    def match(self, **options) -> tuple[dict, bytes]:
        """The report and the exported matches, computed on the cluster."""
        report = weir.match(self.spec, engine="ray", cache=self.cache, part_rows=self.rows,
                            export=self.folder / "matches.safetensors", **options)
        return report, (self.folder / "matches.safetensors").read_bytes()

    def alone(self) -> tuple[dict, bytes]:
        """The same by one weirc, without anything that was computed before."""
        if (text := self.spec.read_text()) in self.known:
            return self.known[text]
        report = self.folder / "alone.safetensors"
        printed = engines.call("weirc", "match", self.spec, "--cache", self.folder / "alone", "--part-rows", self.rows,
                               "--threads", 1, "--json", "--export", report)
        return self.known.setdefault(text, (json.loads(printed), report.read_bytes()))

    @contextlib.contextmanager
    def held(self, part: str):
        """Whoever computes `part` gets no further than to its lock. Waits until all other parts are done; gives
        the process that stands there and the other parts' entries."""
        parts = self.parts()
        locks = self.cache / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        with open(locks / parts[part]["key"], "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)

            def others():
                process = self.process(part)
                entries = wait(lambda: entries if len(entries := self.entries()) == len(parts) - 1 else None)
                assert f"{parts[part]['key']}.safetensors" not in entries
                return process, entries

            yield others


@pytest.fixture
def case(tmp_path, monkeypatch):
    return Case(tmp_path, monkeypatch)


def wait(condition):
    """What `condition` returns as soon as that is something."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.02)
    return found


def is_gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE or not process.is_running()
    except psutil.NoSuchProcess:
        return True


def same(report: dict, alone: dict) -> bool:
    """Equal but for what tells where the results came from."""
    for entries in (report["matches"], alone["matches"]):
        for entry in entries:
            entry.pop("cached", None)
    return report == alone


def test_same_as_on_one_machine(case):
    lines = []
    report, matches = case.match(progress=lines.append)
    alone, expected = case.alone()
    assert matches == expected
    assert same(report, alone)
    assert sorted(case.starts()) == sorted(case.parts()) and len(case.starts()) == 6
    assert sum(" of 6 parts: " in line for line in lines) == 6

    again, matches = case.match()
    assert matches == expected and len(case.starts()) == 6  # none was computed again


def test_formats_folds_and_uneven_blocks(case):
    random = numpy.random.default_rng(11)
    for layer in range(3):
        random_dictionaries.write_sae(case.folder / f"sae{layer}", random, 16, 1.0, architecture="jumprelu", normalize="none")
    case.rows = 9  # 9 + 9 + 6 features
    case.write("flow: {method: top_k, k: 3, layers: 0..1}",
               "best: {method: permutation, fold: threshold, weights: [encoder, decoder, encoder_bias]}",
               dictionary='{format: sae_lens, path: "sae{layer}", sites: [res], layers: 0..2}')
    parts = case.parts()
    report, matches = case.match(workers=1)
    alone, expected = case.alone()
    assert matches == expected and same(report, alone)
    assert case.starts() == list(parts) and len(parts) == 5  # one worker: in order


def test_killed_worker(case):
    names = list(case.parts())
    victim = names[2]
    with concurrent.futures.ThreadPoolExecutor() as pool, case.held(victim) as others:
        matched = pool.submit(case.match)
        process, entries = others()
        worker = process.parent()
        assert worker.cmdline()[0].startswith("ray::") and process.status() != psutil.STATUS_ZOMBIE
        worker.kill()
        wait(lambda: is_gone(process))  # it held the worker's place, and would hold the part's
        # The part is begun again, and waits for the lock until the end of this block.
        wait(lambda: case.starts().count(victim) == 2)
        assert case.entries() == entries
        second = [int(line.split()[1]) for line in case.log.read_text().splitlines() if line.startswith(f"{victim} ")][1]
        assert psutil.Process(second).parent().pid != worker.pid and not matched.done()
    report, matches = matched.result(PATIENCE)
    assert sorted(case.starts()) == sorted([*names, victim])
    merged = case.merged()
    assert len(merged) == 6 and entries.items() <= merged.items()  # not one was written again
    alone, expected = case.alone()
    assert matches == expected and same(report, alone)


def listening(process: psutil.Process) -> set[str]:
    """Addresses that a process and those below it listen on."""
    addresses = set()
    for each in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            addresses |= {found.laddr.ip for found in each.net_connections("inet") if found.status == psutil.CONN_LISTEN}
    return addresses


def is_loopback(address: str) -> bool:
    address = ipaddress.ip_address(address)
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def test_killed_driver(case):
    names = list(case.parts())
    with case.held(names[2]) as others:
        driver = subprocess.Popen([sys.executable, "-m", "weir", *case.arguments("--workers", 2)],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            process, entries = others()
            family = psutil.Process(driver.pid).children(recursive=True)
            addresses = listening(psutil.Process(driver.pid))
            assert process in family and any("raylet" in each.name() for each in family)
            assert addresses and all(map(is_loopback, addresses)), addresses
        finally:
            driver.kill()
            said, _ = driver.communicate()
        assert said == ""  # in a pipe there is no progress
        # Ray's two agents end by themselves, when they have given up to report what they saw.
        wait(lambda: all(is_gone(each) or each.name().startswith(AGENTS) for each in family))
    assert case.entries() == entries

    report, matches = case.match()
    assert case.starts().count(names[2]) == 2 and len(case.starts()) == 7
    assert entries.items() <= case.merged().items()
    alone, expected = case.alone()
    assert matches == expected and same(report, alone)


def test_interrupted(case, workers):
    """A driver of its own on the cluster of this process; the cluster outlives it."""
    address = workers.get_runtime_context().gcs_address
    with case.held(list(case.parts())[-1]) as others:
        # As a terminal starts it: who runs the tests in the background of a script has interrupts ignored,
        # which Python leaves so.
        driver = subprocess.Popen([sys.executable, "-m", "weir", *case.arguments("--address", address)],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
                                  preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL))
        try:
            process, entries = others()
            os.killpg(driver.pid, signal.SIGINT)  # as a terminal does
            stdout, stderr = driver.communicate(timeout=PATIENCE)
        finally:
            driver.kill()
        # What Ray's own code logs of a task that is gone is its own, and depends on the moment.
        stderr = re.sub(r"^\[[-0-9]+ [:,0-9]+ E \d+ \d+\] task_manager\.cc:.*\n", "", stderr, flags=re.M)
        assert (driver.returncode, stdout, stderr) == (130, "", "")
        wait(lambda: is_gone(process))
    assert case.entries() == entries
    case.match()
    assert len(case.starts()) == 7


def spoil(dictionary: Path):
    """Makes one number of a dictionary NaN."""
    values = numpy.load(dictionary)
    values[5, 0] = numpy.nan
    numpy.save(dictionary, values)


def test_error_in_a_dictionary(case, capsys):
    """It is found before anything is computed."""
    spoil(case.dictionary(2))
    assert command_line.main(case.arguments()) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and not case.starts()
    assert printed.err == f"{case.spec}:6:3: error: {case.dictionary(2)}: 2[5, 0] is NaN\n"


def test_error_in_a_part(case, monkeypatch, capsys):
    """It is reported once, though several parts meet it; what was begun is finished and kept."""
    parts = case.parts()
    whole = case.dictionary(2).read_bytes()
    # After the parts were listed, and so after every dictionary was found to be whole.
    monkeypatch.setattr(command_line, "_progress", lambda stream: lambda line: (
        spoil(case.dictionary(2)) if line == "6 parts, 0 of them computed before" else None))
    assert command_line.main(case.arguments()) == 2
    printed = capsys.readouterr()
    message = f"{case.spec}:6:3: error: {case.dictionary(2)}: 2[5, 0] is NaN\n"
    assert printed.out == "" and printed.err.startswith(message) and printed.err.count(message) == 1
    entries = case.entries()
    assert f"note: {len(entries)} of 6 parts were computed; they are kept in {case.cache}" in printed.err
    done = [name for name, part in parts.items() if f"{part['key']}.safetensors" in entries]
    assert done[:2] == list(parts)[:2] and len(done) == len(entries)  # those before the first bad one, at least
    assert not any("sae.res.2" in name for name in done)

    case.dictionary(2).write_bytes(whole)
    _, matches = case.match()
    assert matches == case.alone()[1]
    assert all(case.starts().count(name) == 1 for name in done) and entries.items() <= case.merged().items()


def test_error_as_json(case, capsys):
    case.spec.write_text(case.spec.read_text().replace("top_k", "topk"))
    assert command_line.main(case.arguments("--json")) == 2
    printed = capsys.readouterr()
    result = json.loads(printed.out)
    assert printed.err == "" and result["ok"] is False
    assert [(found["line"], found["severity"]) for found in result["diagnostics"]] == [(6, "error")]


def test_error_in_the_spec(case, capsys):
    case.spec.write_text(case.spec.read_text().replace("top_k", "topk"))
    assert command_line.main(case.arguments()) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("unknown method 'topk'") == 1
    assert printed.err.startswith(f"{case.spec}:6:")
    assert not case.starts()


def test_crashing_weirc(case):
    """The part is not tried again, and the message says what happened."""
    text = case.weirc.read_text()
    case.weirc.write_text(text.replace("exec ", '[ -z "$part" ] || kill -SEGV $$\nexec '))
    with pytest.raises(weir.CompileError, match=r"error: flow/sae.res.1/sae.res.0/0..599 on .*weirc was killed by signal 11"):
        case.match()
    assert max(map(case.starts().count, case.starts())) == 1


def test_folder_that_is_not_shared(case, monkeypatch, tmp_path):
    # Seen before anything is computed: the worker finds another folder under the name.
    with monkeypatch.context() as patch:
        patch.setattr(cluster, "_identity", lambda folder: "0" * 32)
        case.cache.mkdir()
        (case.cache / "id").write_text("1" * 32)
        with pytest.raises(weir.CompileError, match="is not shared with .*: it is another folder there"):
            case.match()
        assert not case.starts()
    result = json.loads(cluster_task.compute_part(["/bin/true"], str(tmp_path / "nowhere"), "0" * 32, ""))
    assert "it cannot be read there" in result["problem"] and "status" not in result

    # Seen afterwards: the worker says that it is done, and nothing is here.
    monkeypatch.setattr(cluster, "VISIBLE_WITHIN", 0)
    text = case.weirc.read_text()
    case.weirc.write_text(text.replace("exec ", """[ -z "$part" ] || exec echo '{"ok": true, "diagnostics": []}'\nexec """))
    with pytest.raises(weir.WeirError, match=r"has computed flow/.* \(6 of 6 parts\): the machines do not share"):
        case.match()
    assert not case.snapshot.exists()  # it was not computed here in silence


def test_weirc_that_is_not_there(case, tmp_path):
    (tmp_path / "id").write_text("0" * 32)
    result = json.loads(cluster_task.compute_part([str(tmp_path / "weirc")], str(tmp_path), "0" * 32, ""))
    assert "it must be at the same path everywhere" in result["problem"]


def test_another_version_of_weirc(case, monkeypatch):
    """A worker says so before it computes anything."""
    part_command = matches.Matching.part_command

    def other(self, *arguments):
        _, *rest = part_command(self, *arguments)
        return ["/bin/true", *rest]

    monkeypatch.setattr(matches.Matching, "part_command", other)
    with pytest.raises(weir.CompileError, match="has another version of /bin/true: its SHA-256 is"):
        case.match()
    assert not case.starts()


@pytest.mark.parametrize("kind", ["object", "exception", "text", "list"])
def test_what_a_worker_sends_is_not_unpickled(case, monkeypatch, tmp_path, kind):
    """What is unpickled here makes a file. The classes travel to the worker by value."""
    mark = str(tmp_path / "it-ran")

    def compute_part(command, folder, identity, weirc):
        class Mark(Exception):
            def __reduce__(self):
                return open, (mark, "w")

        if kind == "exception":
            raise Mark
        return {"object": Mark(), "text": b"no JSON", "list": b"[]"}[kind]

    monkeypatch.setattr(cluster_task, "compute_part", compute_part)
    reason = {"object": "something else than bytes", "exception": "task execution exception"}.get(kind, "what is no result")
    with pytest.raises(weir.CompileError, match=f"Ray gave up flow/.*{reason}"):
        case.match()
    assert not os.path.exists(mark) and not case.starts()


def test_addresses_of_rays_client_are_refused(case):
    with pytest.raises(weir.WeirError, match="Ray's client unpickles"):
        case.match(address="ray://127.0.0.1:10001")


def test_a_cluster_of_its_own_has_a_token_of_its_own(workers):
    assert os.environ["RAY_AUTH_MODE"] == "token" and len(os.environ["RAY_AUTH_TOKEN"]) == 64


def test_more_threads_than_a_machine_has(case):
    with pytest.raises(weir.WeirError, match="no machine with 3 cores"):
        case.match(threads=3)
    assert not case.starts()


def test_without_ray(case, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(weir.WeirError, match="run ./bootstrap ray"):
        case.match()


@pytest.mark.parametrize("arguments", [["--workers", "0"], ["--engine", "local", "--workers", "2"], ["--threads", "-1"],
                                       ["--engine", "dask"]])
def test_wrong_usage(case, arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        command_line.main(case.arguments(*arguments))
    assert ended.value.code == 2 and "usage: python -m weir match" in capsys.readouterr().err


def test_no_cluster_at_the_address(case):
    done = subprocess.run([sys.executable, "-m", "weir", *case.arguments("--address", "127.0.0.1:1")], capture_output=True,
                          text=True, timeout=PATIENCE)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("error: no Ray cluster answers at 127.0.0.1:1: ") and done.stderr.count("\n") == 1
