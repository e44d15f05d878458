# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A plugin of pytest for run_all.py: which tests take how long of the processor, with what they start and with
their fixtures. Unlike how long they take, that does not depend on what else the machine does."""

import collections
import os
from collections.abc import Callable

import pytest

SHOWN = 15
spent_before = pytest.StashKey[float]()
spent_in: dict[str, float] = {}
# What servers have taken that are not waited for yet.
others: list[Callable[[], float]] = []


def spent() -> float:
    """Seconds of this process and of those that it waited for."""
    return sum(os.times()[:4]) + sum(other() for other in others)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item):
    item.stash[spent_before] = spent()
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item):
    try:
        return (yield)
    finally:
        # The report of this phase takes it along to the process that collects them.
        item.user_properties.append(("processor", spent() - item.stash[spent_before]))


def pytest_runtest_logreport(report):
    if report.when == "teardown":
        spent_in[report.nodeid] = dict(report.user_properties).get("processor", 0.0)


def pytest_terminal_summary(terminalreporter):
    if not spent_in:
        return
    files = collections.Counter()
    for name, seconds in spent_in.items():
        files[name.split("::")[0]] += seconds
    for title, seconds in ("tests", collections.Counter(spent_in)), ("files", files):
        terminalreporter.section(f"{title} that take most of the processor")
        for name, taken in seconds.most_common(SHOWN):
            terminalreporter.line(f"{taken:8.1f}s {name}")
    terminalreporter.line(f"{sum(spent_in.values()):8.1f}s in all")
