# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs lit, GoogleTest and pytest and adds up their counts.

The last line is `N passed, N failed`; the exit code is 0 only if nothing failed
and every runner ran something. After each runner stands what it took of the
processor, with all that it started.
"""

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def processor_time() -> float:
    """Seconds of all processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def heading(text: str) -> None:
    print(f"\n== {text}", flush=True)


def environment(build: Path) -> dict[str, str]:
    env = dict(os.environ)
    env["WEIR_BUILD"] = str(build)
    env["PATH"] = os.pathsep.join(
        [str(build / "bin"), str(Path(sys.executable).parent), env["PATH"]])
    env["PYTHONPATH"] = os.pathsep.join([str(ROOT / "python"), str(ROOT / "test")])
    # Results that depend on the number of threads are told apart from bugs by
    # running on one.
    env.setdefault("OMP_NUM_THREADS", "1")
    return env


def run_lit(build: Path, env: dict[str, str]) -> tuple[int, int]:
    heading("lit")
    report = build / "test" / "lit.json"
    report.unlink(missing_ok=True)
    subprocess.run(
        [sys.executable, "-c", "from lit.main import main; main()", "-q",
         "--time-tests", "-j2",
         f"--output={report}", str(build / "test")],
        env=env, check=False)
    if not report.exists():
        return 0, 1
    codes = [test["code"] for test in json.loads(report.read_text())["tests"]]
    passed = sum(code == "PASS" for code in codes)
    return passed, len(codes) - passed


def run_unittest(binary: Path, env: dict[str, str]) -> tuple[int, int]:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        done = subprocess.run(
            [binary, f"--gtest_output=json:{report}", "--gtest_brief=1"],
            env=env, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        counts = json.loads(report.read_text()) if report.exists() else None
    bad = counts["failures"] + counts.get("errors", 0) if counts else 1
    # A test that was skipped has shown nothing.
    skipped = [test["name"] for suite in counts["testsuites"] for test in suite["testsuite"]
               if test["result"] == "SKIPPED"] if counts else []
    # A crash after the report was written counts as well.
    if done.returncode != 0 and bad == 0:
        bad = 1
    if bad or skipped:
        print(done.stdout, f"{binary.name} ended with {done.returncode}", *skipped, sep="\n", flush=True)
    bad += len(skipped)
    return (counts["tests"] if counts else bad) - bad, bad


def run_unittests(build: Path, env: dict[str, str]) -> tuple[int, int]:
    heading("GoogleTest")
    # Tools that tests call lie beside them.
    binaries = sorted((build / "test" / "Unit").glob("*Tests"))
    with ThreadPoolExecutor(2) as pool:
        counts = list(pool.map(lambda binary: run_unittest(binary, env), binaries))
    return sum(good for good, _ in counts), sum(bad for _, bad in counts)


def _call_pytest(report: Path, env: dict[str, str], folders: list[str]) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x" if env.get("WEIR_FAIL_FAST")
         else "--maxfail=50", f"--junitxml={report}", "-p", "no:cacheprovider",
         # A module's fixtures are built once. A third process works while others wait for
         # the disk: programs of half a gigabyte are written to it for good.
         "-n", "3", "--dist", "loadfile", "--no-loadscope-reorder", "-p", "long_first", "-p", "folders_of_fixtures", "-p", "processor_time", "--durations=15", *folders],
        cwd=ROOT, env=env, check=False)


def run_pytest(build: Path, env: dict[str, str],
               folders: list[str]) -> tuple[int, int]:
    heading("pytest")
    report = build / "test" / "pytest.xml"
    report.unlink(missing_ok=True)
    # Inductor finds out once what the processor and its compiler can do, and compiles its headers once; commands of
    # Weir do so each time, since folders that others may write to are not to be trusted.
    with tempfile.TemporaryDirectory(prefix="weir-inductor-") as inductor:
        done = _call_pytest(report, {"TORCHINDUCTOR_CACHE_DIR": inductor, **env}, folders)
    if not report.exists():
        return 0, 1
    suite = ElementTree.parse(report).getroot().find("testsuite")
    bad = int(suite.get("failures")) + int(suite.get("errors"))
    skipped = int(suite.get("skipped"))
    # A skipped test has shown nothing.
    bad += skipped
    if done.returncode not in (0, 1):
        bad = max(bad, 1)
    return int(suite.get("tests")) - bad, bad


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, default=ROOT / "build")
    parser.add_argument("--only", choices=["lit", "unit", "pytest"],
                        action="append", help="run these runners only")
    args = parser.parse_args()
    # A shell lets what it starts in the background ignore SIGINT, and so would
    # the commands whose end by a signal is tested.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    build = args.build.resolve()
    env = environment(build)
    runners = {
        "lit": lambda: run_lit(build, env),
        "unit": lambda: run_unittests(build, env),
        "pytest": lambda: run_pytest(build, env, ["test/Python",
                                                  "test/Integration"]),
    }
    passed = failed = 0
    for name, runner in runners.items():
        if args.only and name not in args.only:
            continue
        before = processor_time()
        good, bad = runner()
        if good + bad == 0:
            print(f"{name} ran no test")
            bad = 1
        print(f"{name}: {good} passed, {bad} failed, {processor_time() - before:.0f} s of the processor", flush=True)
        passed += good
        failed += bad
    print(f"\n{processor_time():.0f} s of the processor in all")
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
