#!/usr/bin/env bash
# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# On a machine with a GPU, PyTorch (2.11 or newer, with the Triton that comes with it) and nothing else: checks the Triton
# kernels of steered sites against the formula, and prints their time over what their bytes take. Ends after 8 minutes at most.
#
#   benchmarks/device.sh [PYTHON]
set -euo pipefail
python=${1:-python3}
here=$(cd "$(dirname "$0")" && pwd)
if ! "$python" -c 'import torch, triton, sys; sys.exit(not torch.cuda.is_available())'; then
  echo "device.sh: $python has no PyTorch with Triton and a GPU" >&2
  exit 1
fi
exec timeout 470 "$python" "$here/device.py"
