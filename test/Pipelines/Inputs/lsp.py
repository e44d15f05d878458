# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Asks the language server to show a file of bytecode or MLIR as text; prints its answers."""

import json
import subprocess
import sys


def message(**content) -> bytes:
    text = json.dumps({"jsonrpc": "2.0", **content}).encode()
    return b"Content-Length: %d\r\n\r\n%s" % (len(text), text)


requests = [
    message(id=0, method="initialize", params={"processId": 1, "rootUri": "test:///", "capabilities": {}}),
    message(id=1, method="mlir/convertFromBytecode", params={"uri": f"file://{sys.argv[1]}"}),
    message(id=2, method="shutdown"),
    message(method="exit"),
]
print(subprocess.run(["weir-lsp-server"], input=b"".join(requests), stdout=subprocess.PIPE, timeout=60, check=True).stdout.decode())
