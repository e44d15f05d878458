# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Settings and fixtures of the tests against references."""

from __future__ import annotations

import functools
import gc
import os
import zlib

import hypothesis
import models
import pytest
# Before anything imports distutils from Python's library: Inductor imports setuptools, which insists on its own.
import setuptools  # noqa: F401
import torch
import warm_python as warm
import weir.export
from weir import deserializing

# On the real model vLLM takes minutes: only where it is asked for.
collect_ignore = [] if os.environ.get("WEIR_SERVING_SMOLLM2") else ["test_serving_smollm2.py"]

# The same examples in every run, so that a failure is the change's and not the draw's. A larger
# WEIR_EXAMPLES, such as 20, multiplies their number and draws anew each time.
EFFORT = int(os.environ.get("WEIR_EXAMPLES", "1"))
hypothesis.settings.register_profile(
    "equivalence", derandomize=EFFORT == 1, deadline=None, database=None, print_blob=True, report_multiple_bugs=False,
    suppress_health_check=list(hypothesis.HealthCheck))
hypothesis.settings.load_profile("equivalence")


def seeded(name: str):
    """Other examples for each parameter of a test: by themselves they would be the same for all, since the function is."""
    return hypothesis.seed(zlib.crc32(name.encode())) if EFFORT == 1 else lambda test: test


def pytest_collection_finish():
    """Of all that was imported, and of graphs of programs, nothing is rubbish: looking for it among them took a tenth of the
    time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


@pytest.fixture(scope="session", autouse=True)
def programs_are_read_once():
    """Tests have PyTorch load hundreds of programs."""
    with deserializing.once():
        yield


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Sums in another order are other sums."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Matches and graphs of dictionaries that a test made are of no use to anybody else. Exports are: all processes
    share them, and they are named after all that they depend on."""
    with pytest.MonkeyPatch.context() as patch:
        if "WEIR_CACHE" not in os.environ:
            folder = tmp_path_factory.mktemp("matches")
            exports = weir.export.cache_folder()
            exports.mkdir(parents=True, exist_ok=True)
            (folder / "models").symlink_to(exports)
            patch.setenv("WEIR_CACHE", str(folder))
        yield


@pytest.fixture(scope="session")
def tiny():
    """A function from a family's name to its tiny model, exported."""
    return functools.cache(lambda family: models.Tiny(family))


@pytest.fixture(scope="session")
def warm_interpreter(tmp_path_factory, request):
    """An interpreter that has PyTorch and transformers imported already."""
    with warm.started(tmp_path_factory, request.config, "transformers.modeling_utils", "torch.export") as python:
        yield python


@pytest.fixture(scope="module")
def warm_python(warm_interpreter):
    """It is that of weirc."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEIR_PYTHON", str(warm_interpreter.path))
        yield warm_interpreter
