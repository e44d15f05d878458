# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A plugin of pytest for run_all.py: a fixture's folder goes when the fixture goes. pytest keeps them to its end (and
those of the last three runs), and programs of half a gigabyte fill a disk. Where a test failed meanwhile it stays."""

import shutil

import pytest

made: list[list] = []
folders_of: dict[object, tuple[int, list]] = {}


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    factory = config._tmp_path_factory
    make = factory.mktemp

    def mktemp(*args, **options):
        folder = make(*args, **options)
        if made:
            made[-1].append(folder)
        return folder

    factory.mktemp = mktemp


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef, request):
    """The innermost fixture that is being set up owns what is made meanwhile."""
    _, folders = folders_of.setdefault(fixturedef, (request.session.testsfailed, []))
    made.append(folders)
    try:
        return (yield)
    finally:
        made.pop()


def pytest_fixture_post_finalizer(fixturedef, request):
    failed_before, folders = folders_of.pop(fixturedef, (0, []))
    if request.session.testsfailed == failed_before:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
