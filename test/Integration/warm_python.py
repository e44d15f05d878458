# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A Python that has imported PyTorch already, for tests that call `python -m weir` by the dozen.

Importing it takes longer than most of these commands do. Here a server imports it once; `WarmPython.path` is an
executable that is called like an interpreter (`WEIR_PYTHON=…`) and has the server fork: a process of its own with the
caller's arguments, folder, environment, open files, limits and signals. Anything but `-m weir`, and an environment in
which the imports would have done something else, gets the interpreter itself.

What is imported beforehand is not seen to be imported where it must be: tests of that start real interpreters.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import importlib
import marshal
import os
import resource
import selectors
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

# What packages read while they are imported, by how names begin.
READ_BY_TORCH = ("TORCH", "PYTORCH", "LD_", "OMP_", "MKL_", "KMP_", "OPENBLAS_", "CUDA", "CXX", "CC", "PYTHONHASHSEED", "PYTHONHOME",
                 "PYTHONWARNINGS", "PYTHONOPTIMIZE", "PYTHONDEVMODE", "PYTHONUTF8", "LC_", "LANG", "ASAN_", "MALLOC_")
READ_BY_TRANSFORMERS = ("HOME", "HF_", "HUGGINGFACE", "TRANSFORMERS_", "XDG_", "USE_", "SAFETENSORS_", "TQDM_")

# Of these, what is read when it is used, and what `python -m weir` sets itself: in the tests' process, too, once one has
# called its main.
LATE = ("TORCHINDUCTOR_CACHE_DIR", "TQDM_DISABLE")

# Without site and packages: it starts in a hundredth of a second.
CLIENT = """\
#!{python} -IS
import marshal, os, signal, socket, struct, sys

PYTHON, ADDRESS, PREFIXES, LATE, SAME = {python!r}, {address!r}, {prefixes!r}, {late!r}, {same!r}


def interpreter():
    os.execv(PYTHON, [PYTHON, *sys.argv[1:]])


words = sys.argv[1:]
safe = words[:1] == ["-P"]
words = words[safe:]
if words[:2] != ["-m", "weir"] or SAME != {{name: value for name, value in os.environ.items()
                                           if name.startswith(PREFIXES) and name not in LATE}}:
    interpreter()
server = socket.socket(socket.AF_UNIX)
try:
    server.connect(ADDRESS)
except OSError:
    interpreter()
files = []
for name in os.listdir("/proc/self/fd"):
    try:
        os.fstat(int(name))
    except OSError:
        continue
    if int(name) != server.fileno():
        files.append(int(name))
limits = []
import resource
for name in dir(resource):
    if name.startswith("RLIMIT_"):
        limits.append((getattr(resource, name), resource.getrlimit(getattr(resource, name))))
umask = os.umask(0o77)
os.umask(umask)
ignored = [int(number) for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGTERM)
           if signal.getsignal(number) == signal.SIG_IGN and number != signal.SIGPIPE]
request = marshal.dumps((words[2:], safe, os.getcwd(), dict(os.environ), files, limits, umask, ignored))
socket.send_fds(server, [struct.pack("q", len(request))], files)
server.sendall(request)


def forward(number, frame):
    server.sendall(bytes([number]))


for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    if number not in ignored:
        signal.signal(number, forward)
answer = server.recv(8, socket.MSG_WAITALL)
if len(answer) < 8:
    sys.exit("the server of warm interpreters ended")
(status,) = struct.unpack("q", answer)
if status < 0:
    signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
os._exit(status)
"""


class WarmPython:
    """A server in a process of its own, which ends with `close`. `path` is the interpreter."""

    def __init__(self, folder: Path, *packages: str):
        prefixes = READ_BY_TORCH + (READ_BY_TRANSFORMERS if any("transformers" in package for package in packages) else ())
        same = {name: value for name, value in os.environ.items() if name.startswith(prefixes) and name not in LATE}
        # An address is short, a test's folder need not be.
        self._place = tempfile.TemporaryDirectory(prefix="weir-warm-", dir="/tmp")
        address = str(Path(self._place.name) / "socket")
        self._spent = Path(self._place.name) / "spent"
        self.path = folder / "python"
        self.path.write_text(CLIENT.format(python=sys.executable, address=address, prefixes=prefixes, late=LATE, same=same))
        self.path.chmod(0o755)
        self._server = subprocess.Popen([sys.executable, "-P", __file__, address, self._spent, *packages],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._server.stdout.readline() == b"ready\n"

    def spent(self) -> float:
        """Seconds of the processor of the processes so far; none once they are those of this process's children."""
        try:
            return float(self._spent.read_text())
        except (FileNotFoundError, ValueError):
            return 0.0

    def close(self):
        self._server.stdin.close()
        self._server.wait()
        self._server.stdout.close()
        self._place.cleanup()


@contextlib.contextmanager
def started(factory, config, *packages: str):
    """A WarmPython while tests use it. What it takes is counted with them (processor_time.py)."""
    warm = WarmPython(factory.mktemp("warm"), *packages)
    clock = config.pluginmanager.get_plugin("processor_time")
    if clock:
        clock.others.append(warm.spent)
    try:
        yield warm
    finally:
        warm.close()


#===---- The server --------------------------------------------------------------------------------===#

def _received(connection: socket.socket):
    size, files, _, _ = socket.recv_fds(connection, 8, 250)
    (left,) = struct.unpack("q", size)
    parts = []
    while left:
        part = connection.recv(min(left, 1 << 16))
        if not part:
            raise ConnectionError
        parts.append(part)
        left -= len(part)
    return marshal.loads(b"".join(parts)), files


def _become(request, files: list[int]):
    """What a new interpreter is in the beginning."""
    words, safe, folder, environment, numbers, limits, umask, ignored = request
    # Out of the way of the numbers that they get.
    free = max([*numbers, 2]) + 1
    own = [fcntl.fcntl(file, fcntl.F_DUPFD, free) for file in files]
    for file, number in zip(own, numbers):
        os.dup2(file, number, inheritable=True)
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in numbers:
            with contextlib.suppress(OSError):
                os.close(int(name))
    for number in (0, 1, 2):
        if number not in numbers:
            setattr(sys, ("stdin", "stdout", "stderr")[number], None)
    for name, number, mode in ("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w"):
        if number in numbers:
            terminal = os.isatty(number)
            setattr(sys, name, open(number, mode, closefd=False, encoding="utf-8", buffering=1 if terminal or number == 2 else -1,
                                    errors="backslashreplace" if number == 2 else "strict"))
    os.chdir(folder)
    os.umask(umask)
    for which, limit in limits:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(which, limit)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN if number in ignored
                      else signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    old = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:] = [entry for entry in sys.path if entry not in old]
    sys.path[:0] = [entry or folder for entry in environment.get("PYTHONPATH", "").split(os.pathsep)] \
        if environment.get("PYTHONPATH") else []
    if not safe:
        sys.path.insert(0, folder)
    sys.dont_write_bytecode = bool(environment.get("PYTHONDONTWRITEBYTECODE"))
    sys.pycache_prefix = environment.get("PYTHONPYCACHEPREFIX") or None
    sys.argv = ["-m", *words]
    tempfile.tempdir = None
    import random

    random.seed()
    importlib.invalidate_caches()


def _run() -> int:
    import atexit
    import runpy
    import threading
    import traceback

    code = 0
    try:
        runpy.run_module("weir", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
        if code is not None and not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
    except KeyboardInterrupt:
        traceback.print_exc()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        traceback.print_exc()
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            code = 120
    return (code or 0) & 0xFF


def serve(address: str, spent_file: str, packages: list[str]):
    os.environ.setdefault("TQDM_DISABLE", "1")  # as python -m weir has it before it imports anything
    gc.disable()
    for package in ("torch", "numpy", "safetensors.torch", "yaml", *packages):
        importlib.import_module(package)
    assert len(os.listdir("/proc/self/task")) == 1, "a process with threads is not to be forked"
    # Nobody looks for rubbish in what was imported, nor copies its pages for it.
    gc.freeze()
    gc.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(16)
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ, ("listener", None))
    selector.register(0, selectors.EVENT_READ, ("end", None))
    running: dict[int, tuple[socket.socket, int]] = {}  # by process
    spent = 0.0
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            what, process = key.data
            if what == "end":
                for process in running:
                    os.kill(process, signal.SIGKILL)
                    os.waitpid(process, 0)
                return
            if what == "listener":
                connection, _ = listener.accept()
                try:
                    request, files = _received(connection)
                except (OSError, struct.error):  # it was killed meanwhile
                    connection.close()
                    continue
                process = os.fork()
                if not process:
                    code = 1
                    try:
                        _become(request, files)
                        code = _run()
                    finally:
                        os._exit(code)
                for file in files:
                    os.close(file)
                handle = os.pidfd_open(process)
                running[process] = connection, handle
                selector.register(connection, selectors.EVENT_READ, ("caller", process))
                selector.register(handle, selectors.EVENT_READ, ("process", process))
            elif what == "caller" and process in running:
                try:
                    said = running[process][0].recv(16)
                except OSError:
                    said = b""
                for number in said or [signal.SIGKILL]:
                    os.kill(process, number)
                if not said:  # it was killed
                    selector.unregister(key.fileobj)
            elif what == "process" and process in running:
                connection, handle = running.pop(process)
                _, status, used = os.wait4(process, 0)
                spent += used.ru_utime + used.ru_stime
                Path(spent_file).write_text(str(spent))
                with contextlib.suppress(OSError):
                    connection.sendall(struct.pack("q", os.waitstatus_to_exitcode(status)))
                with contextlib.suppress(KeyError, ValueError):
                    selector.unregister(connection)
                selector.unregister(handle)
                connection.close()
                os.close(handle)


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], sys.argv[3:])
    os._exit(0)  # taking apart what was imported takes a second
