# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""weir-lsp-server answers an editor: what is wrong with a file, and what an operation is."""

from __future__ import annotations

import json
import subprocess

import pytest
from engines import TOOLS

RIGHT = """\
flow.collection @sae <sae_lens> at "sae" sites [#fx.site_kind<res>] layers 1 to 1
%f = flow.select [#flow.feature<@sae:1/res/3>]
steer.policy @calm #steer.ablate on %f
steer.plan @a [@calm]
"""
WRONG = RIGHT.replace("#steer.ablate", "#steer.ablat")
UNVERIFIED = RIGHT.replace("[@calm]", "[@nobody]")


class Client:
    """The few messages of the language server protocol that an editor begins with."""

    def __init__(self):
        self.server = subprocess.Popen([TOOLS / "weir-lsp-server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       stderr=subprocess.DEVNULL)
        self.requests = 0

    def notify(self, method: str, params: dict, **more):
        body = json.dumps({"jsonrpc": "2.0", "method": method, "params": params, **more}).encode()
        self.server.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.server.stdin.flush()

    def read(self) -> dict:
        length = 0
        while header := self.server.stdout.readline().strip():
            name, _, value = header.partition(b":")
            if name == b"Content-Length":
                length = int(value)
        assert length, "the server has ended"
        return json.loads(self.server.stdout.read(length))

    def until(self, wanted) -> dict:
        while not wanted(message := self.read()):
            pass
        return message

    def request(self, method: str, params: dict):
        self.requests += 1
        number = self.requests
        self.notify(method, params, id=number)
        answer = self.until(lambda message: message.get("id") == number)
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, uri: str, text: str) -> list[dict]:
        """The diagnostics of a file."""
        self.notify("textDocument/didOpen", {"textDocument": {"uri": uri, "languageId": "mlir", "version": 1, "text": text}})
        said = self.until(lambda message: message.get("method") == "textDocument/publishDiagnostics" and
                          message["params"]["uri"] == uri)
        return said["params"]["diagnostics"]


@pytest.fixture(scope="module")
def client():
    client = Client()
    answer = client.request("initialize", {"processId": None, "rootUri": None, "capabilities": {}})
    assert answer["capabilities"]["hoverProvider"] and answer["capabilities"]["definitionProvider"]
    client.notify("initialized", {})
    yield client
    client.request("shutdown", {})
    client.notify("exit", {})
    assert client.server.wait(timeout=60) == 0


def test_diagnostics(client):
    assert client.open("test:///right.mlir", RIGHT) == []
    for name, text, line, message in (("wrong", WRONG, 2, "ablat"), ("unverified", UNVERIFIED, 3, "@nobody")):
        (said,) = client.open(f"test:///{name}.mlir", text)
        assert said["range"]["start"]["line"] == line and message in said["message"], said


def test_hover_and_definition(client):
    client.open("test:///hover.mlir", RIGHT)
    where = {"textDocument": {"uri": "test:///hover.mlir"}, "position": {"line": 2, "character": 6}}
    assert '"steer.policy"' in client.request("textDocument/hover", where)["contents"]["value"]
    # From %f in the policy to where it is made.
    where["position"] = {"line": 2, "character": RIGHT.splitlines()[2].index("%f")}
    (place,) = client.request("textDocument/definition", where)
    assert place["range"]["start"]["line"] == 1
