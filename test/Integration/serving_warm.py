# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A Python of the serving environment that has imported vLLM already: it forks for each script that it is asked to run.

In: lines of JSON, {"script": path, "arguments": […], "said": path of a file for standard output and error}. Out: a line
for each, [exit code, seconds of the processor so far]. What is imported is vLLM as it is, without plugins: these are loaded by the
engines that scripts make."""

import atexit
import gc
import importlib
import json
import os
import runpy
import sys
import threading
import traceback

MODULES = ("vllm.v1.engine.llm_engine", "vllm.v1.engine.core", "vllm.v1.worker.cpu_worker", "vllm.v1.executor.multiproc_executor",
           "vllm.model_executor.models.llama", "numpy")


def run(script: str, arguments: list[str], said: str) -> int:
    """In a process of its own."""
    file = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for own, number in ((nothing, 0), (file, 1), (file, 2)):
        os.dup2(own, number)
    sys.argv, sys.path[0] = [script, *arguments], os.path.dirname(script)
    code = 0
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()  # an engine's processes end
    sys.stdout.flush()
    sys.stderr.flush()
    return code or 0


def main():
    gc.disable()
    from vllm import LLM  # noqa: F401

    for module in MODULES:
        importlib.import_module(module)
    assert len(os.listdir("/proc/self/task")) == 1, "a process with threads is not to be forked"
    gc.freeze()
    gc.enable()
    gc.set_threshold(10_000, 10, 10)
    for line in sys.stdin:
        asked = json.loads(line)
        process = os.fork()
        if not process:
            code = 1
            try:
                code = run(asked["script"], asked["arguments"], asked["said"])
            finally:
                os._exit(code)
        _, status = os.waitpid(process, 0)
        print(json.dumps([os.waitstatus_to_exitcode(status), sum(os.times()[:4])]), flush=True)


if __name__ == "__main__":
    main()
    os._exit(0)  # taking apart what was imported takes seconds
