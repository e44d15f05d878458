# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The parts of a match as tasks of a Ray cluster.

A part is a pair of layers, or a block of rows of one. Its result lies in the cache under the hash of what
it is made from, and appears there whole or not at all. So the tasks return nothing but weirc's messages, as
bytes: nothing that a worker sends is unpickled here. A part whose worker is lost is started once more, and a
run that was killed goes on with what is missing.
"""

from __future__ import annotations

import collections
import contextlib
import ipaddress
import json
import os
import secrets
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from . import cluster_task, compiler
from .compiler import CompileError
from .errors import WeirError, first_line
from .files import read_text

if TYPE_CHECKING:
    from .matches import Matching

# Times that a part is started again after its worker was lost, with its machine or without. A part that
# takes every worker with it, for memory perhaps, must not be tried forever.
LOST_WORKERS = 5
# Seconds that a file of another machine may take to be seen through a network file system.
VISIBLE_WITHIN = 60.0
# Seconds in which a cluster must take a connection.
CONNECTED_WITHIN = 10.0
# Seconds without news after which the machines of the cluster are looked at.
PATIENCE = 5.0

# Ray reads these when it is imported, and hands them to the processes that it starts.
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0"}
_LOCAL = {
    # Nothing listens on another interface than the loopback one: on other systems than Linux Ray does this
    # by itself, and the variable is its switch for that.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # The priority that weirc has without Ray, instead of 15 steps below.
    "RAY_worker_niceness": "0",
}


def _authentication() -> dict[str, str]:
    """A token for one cluster, which only its processes know: without it others on this machine could start
    tasks. Ray's own would lie in the user's home, for all clusters."""
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


@contextlib.contextmanager
def _environment(values: dict[str, str]):
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _import_ray():
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise WeirError(f"the engine ray needs Ray ({error}), which is not installed by default: run "
                        "./bootstrap ray, or elsewhere pip install ray") from error
    return ray


#===---- Connections -------------------------------------------------------------------------------===#

@contextlib.contextmanager
def connection(address: str | None, workers: int, threads: int, progress: Callable[[str], None]):
    """Ray, connected: to the cluster of this program, to the one at `address`, or to a new one; and whether
    it was connected before."""
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    if address.startswith("ray://"):
        raise WeirError(f"{address}: Ray's client unpickles what the cluster sends; give HOST:PORT, on a machine that "
                        "reaches the cluster's")
    with _environment(_QUIET | (_LOCAL | _authentication() if address == "local" else {})):
        ray = _import_ray()
        if ray.is_initialized():
            if ray.util.client.ray.is_connected():
                raise WeirError("this program is connected by Ray's client, which unpickles what the cluster sends: "
                                "connect it with ray.init(address=\"HOST:PORT\")")
            yield ray, True
            return
        quiet = dict(log_to_driver=False, logging_level="ERROR")
        try:
            if address == "local":
                progress(f"starting Ray with {workers} workers on this machine")
                with _local(ray, workers * threads, quiet):
                    yield ray, False
                return
            progress(f"connecting to the Ray cluster at {address}")
            _check_answers(address)
            try:
                ray.init(address=address, **quiet)
            except (ConnectionError, RuntimeError, ValueError, TimeoutError, ray.exceptions.RayError) as error:
                raise WeirError(f"no Ray cluster answers at {address}: {first_line(error)}") from error
            yield ray, False
        finally:
            ray.shutdown()


def _check_answers(address: str):
    """Raises WeirError if nobody listens at HOST:PORT, which Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if "/" in host or not host or not port.isdecimal():
        return  # "auto": Ray looks for it
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECTED_WITHIN).close()
    except (OSError, OverflowError) as error:
        raise WeirError(f"no Ray cluster answers at {address}: {error}") from error


@contextlib.contextmanager
def _local(ray, cores: int, options: dict):
    """A cluster of this machine and this call, with its logs and sockets in a folder that goes with it."""
    # Paths of sockets have at most 107 characters, of which Ray's names take about 65.
    parent = tempfile.gettempdir() if len(tempfile.gettempdir()) <= 24 else "/tmp"
    with tempfile.TemporaryDirectory(prefix="weir-", dir=parent, ignore_cleanup_errors=True) as folder:
        try:
            ray.init(address="local", num_cpus=cores, num_gpus=0, include_dashboard=False,
                     object_store_memory=80 << 20,  # the least that Ray takes; results do not go through it
                     _node_ip_address="127.0.0.1", _temp_dir=folder, **options)
        except (ConnectionError, RuntimeError, ValueError, OSError, ray.exceptions.RayError) as error:
            raise WeirError(f"Ray does not start on this machine: {first_line(error)}") from error
        try:
            if not all(ipaddress.ip_address(node["NodeManagerAddress"]).is_loopback for node in ray.nodes()):
                raise WeirError("Ray was imported before and would listen to the network: let Weir import it, "
                                "or start a cluster yourself and give its address")
            yield
        finally:
            ray.shutdown()


def _room(ray, threads: int) -> int:
    """Parts that fit on the machines of the cluster at the same time."""
    return sum(int(node["Resources"].get("CPU", 0)) // threads for node in ray.nodes() if node["Alive"])


#===---- The folder --------------------------------------------------------------------------------===#

def _identity(folder: Path) -> str:
    """What the cache's file `id` holds: a random name that tells this folder from all others."""
    path = folder / "id"
    if not path.exists():
        handle, name = tempfile.mkstemp(prefix=".id.", dir=folder)
        try:
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(16))
                os.fchmod(file.fileno(), 0o644)
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):  # another driver was faster, and its name holds
                os.link(name, path)
        finally:
            os.unlink(name)
    return read_text(path, limit=1 << 10)


def _check_visible(matching: Matching, computed: dict[str, tuple[str, str]]):
    """Raises WeirError if a part that a machine has computed, key -> (name, machine), is not in the cache here."""
    deadline = time.monotonic() + VISIBLE_WITHIN
    while True:
        listed = matching.parts()
        done = {part["key"] for part in listed["parts"] if part["done"]}
        missing = [value for key, value in computed.items() if key not in done]
        if not missing:
            return
        if time.monotonic() > deadline:
            name, machine = missing[0]
            raise WeirError(
                f"{machine} has computed {name}, but it is not in {listed['cache']} on this machine "
                f"({len(missing)} of {len(computed)} parts): the machines do not share this folder, or see other "
                "dictionaries")
        time.sleep(1.0)


#===---- Results -----------------------------------------------------------------------------------===#

# A part's messages are some lines. Python's own limits come later.
LARGEST_RESULT = 64 << 20


class _Lost(Exception):
    """Why there is no result."""


def _received(reference) -> bytes:
    """The bytes that a finished task returned. Not by ray.get, which unpickles what a worker says is a
    Python object, or an exception: what is no bytes is not looked at."""
    from ray._private.ray_constants import OBJECT_METADATA_TYPE_RAW
    from ray._private.worker import global_worker
    from ray.core.generated.common_pb2 import ErrorType

    (found,) = global_worker.core_worker.get_objects([reference], -1)
    data, kind = found[0], bytes(found[1] or b"").split(b",")[0]
    if kind == OBJECT_METADATA_TYPE_RAW:
        if data is not None and data.size > LARGEST_RESULT:
            raise _Lost(f"its worker returned {data.size} bytes")
        return b"" if data is None else data.to_pybytes()
    if kind.isdigit() and len(kind) <= 4 and int(kind) in ErrorType.values():
        raise _Lost(ErrorType.Name(int(kind)).lower().replace("_", " "))
    raise _Lost("its worker returned something else than bytes, which is not read")


def _parsed(data: bytes) -> dict:
    """What cluster_task.compute_part packed; raises _Lost for anything else."""
    try:
        result = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _Lost("its worker returned what is no result") from error
    texts = {"machine"} | ({"problem"} if isinstance(result, dict) and "problem" in result else {"stdout", "stderr"})
    if not isinstance(result, dict) or not all(isinstance(result.get(key), str) for key in texts) \
            or ("problem" not in result and type(result.get("status")) is not int):
        raise _Lost("its worker returned what is no result")
    return result


#===---- Parts -------------------------------------------------------------------------------------===#

class _Run:
    """The parts of one call that are still to be computed, and what became of them."""

    def __init__(self, matching: Matching, parts: list[dict], folder: Path, threads: int,
                 progress: Callable[[str], None]):
        self.matching, self.folder, self.threads, self.progress = matching, folder, threads, progress
        self.identity = _identity(folder)
        self.weirc = cluster_task.hash_of(compiler.tool("weirc"))
        self.waiting = collections.deque(parts)
        self.running: dict = {}  # Ray's reference -> part
        self.total = len(parts)
        self.computed: dict[str, tuple[str, str]] = {}  # key -> name, machine
        self.diagnostics: list[dict] = []

    def _fail(self, *diagnostics: dict):
        """Keeps messages; the same one from many parts, such as one about a dictionary, once."""
        self.diagnostics += [found for found in diagnostics if found not in self.diagnostics]

    def _take(self, part: dict, result: dict):
        name, machine = part["name"], result["machine"]
        if "problem" in result:
            self._fail({"severity": "error", "message": result["problem"]})
            return
        try:
            compiler.result(result["status"], result["stdout"], result["stderr"])
        except CompileError as error:
            text = f"{name} on {machine}: {error}"
            if result["status"] == -9:
                text += ", which the system does when memory runs out"
            self._fail(*(error.diagnostics or [{"severity": "error", "message": text}]))
            return
        self.computed[part["key"]] = (name, machine)
        self.progress(f"{len(self.computed)} of {self.total} parts: {name} on {machine}")

    def run(self, ray, workers: int | None):
        """Computes all parts, at most `workers` at a time. After an error no other part is started; those
        that were are waited for, and what they compute is kept."""
        # weirc's errors are returned, not raised: only what loses a worker is tried again.
        task = ray.remote(num_cpus=self.threads, max_retries=LOST_WORKERS, retry_exceptions=False)(
            cluster_task.compute_part)
        while self.waiting or self.running:
            # Some more than fit, so that no worker waits for the driver, and a cluster that grows by
            # demand sees some.
            limit = min(workers or sys.maxsize, 2 * self._room(ray))
            while self.waiting and not self.diagnostics and len(self.running) < limit:
                part = self.waiting.popleft()
                command = self.matching.part_command(part["name"], str(self.folder), self.threads)
                self.running[task.remote(command, str(self.folder), self.identity, self.weirc)] = part
            if not self.running:
                break
            ready, _ = ray.wait(list(self.running), timeout=PATIENCE)
            for reference in ready:
                part = self.running.pop(reference)
                try:
                    self._take(part, _parsed(_received(reference)))
                except (_Lost, ray.exceptions.RayError) as error:
                    self._fail({"severity": "error", "message": f"Ray gave up {part['name']}: {first_line(error)}"})
        if self.diagnostics:
            text = compiler.message(self.diagnostics)
            raise CompileError(f"{text}\nnote: {len(self.computed)} of {self.total} parts were computed; they are "
                               f"kept in {self.folder}", self.diagnostics)

    def _room(self, ray) -> int:
        room = _room(ray, self.threads)
        if not room:
            # Ray would wait for such a machine without end.
            raise WeirError(f"the cluster has no machine with {self.threads} cores, which a part needs"
                            + (f" ({len(self.computed)} of {self.total} parts were computed)" if self.computed else ""))
        return room


def compute(matching: Matching, *, address: str | None = None, workers: int | None = None,
            progress: Callable[[str], None] = lambda line: None):
    """Computes the parts of a match that are not in the cache, each as a task of a Ray cluster.

    Arguments and errors are those of weir.match. An interrupt cancels what is running.
    """
    for number, what in ((workers, "workers"), (matching.threads, "threads")):
        if number is not None and number < 1:
            raise WeirError(f"{number} {what}: with the engine ray there must be 1 or more")
    listed = matching.parts()  # before a cluster is started: most errors are found here
    parts = [part for part in listed["parts"] if not part["done"]]
    progress(f"{len(listed['parts'])} parts, {len(listed['parts']) - len(parts)} of them computed before")
    if not parts:
        return
    threads = matching.threads or 1
    run = _Run(matching, parts, Path(listed["cache"]), threads, progress)
    local = workers or max(1, min(len(parts), len(os.sched_getaffinity(0)) // threads))
    with connection(address, local, threads, progress) as (ray, connected):
        ray.cloudpickle.register_pickle_by_value(cluster_task)
        try:
            run.run(ray, workers)
        finally:
            # A connection that the program goes on using; of any other, the end takes the tasks with it.
            # Not by force: this has been seen to end the driver (Ray 2.60, "task that was not pending").
            if connected:
                for reference in run.running:
                    ray.cancel(reference)
    progress("looking for the results")
    _check_visible(matching, run.computed)
