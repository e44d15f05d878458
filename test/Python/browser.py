# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A headless Chromium, driven by the DevTools protocol over two pipes: no port, no driver program, no network."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

PROGRAMS = ("chromium-headless-shell", "chromium", "google-chrome")
KEYS = {"Enter": 13, "Escape": 27, " ": 32, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Tab": 9}


def _above_nine(descriptor: int) -> int:
    """The same file under a number that is not wanted for anything else."""
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(descriptor)
    return moved


class Browser:
    """One page. `errors` has what its console says of errors, refused resources included; `requests` has what it asked for."""

    def __init__(self, seconds: float = 60):
        program = next(filter(None, map(shutil.which, PROGRAMS)), None)
        assert program, f"one of {', '.join(PROGRAMS)} is needed (packages-test.txt)"
        self.folder = tempfile.TemporaryDirectory(prefix="weir-browser-", ignore_cleanup_errors=True)
        self.seconds, self.count, self.buffer = seconds, 0, b""
        self.errors: list[str] = []
        self.requests: list[str] = []
        here_read, there_write = map(_above_nine, os.pipe())
        there_read, here_write = map(_above_nine, os.pipe())
        # The protocol's pipes are 3 and 4 in the child.
        command = ["bash", "-c", f'exec "$@" 3<&{there_read} 4>&{there_write} {there_read}<&- {there_write}>&-', "bash", program,
                   "--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                   "--no-first-run", "--disable-extensions", "--disable-background-networking", "--disable-component-update",
                   "--hide-scrollbars", "--force-device-scale-factor=1", f"--user-data-dir={self.folder.name}", "about:blank"]
        self.process = subprocess.Popen(command, pass_fds=(there_read, there_write), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        env={**os.environ, "HOME": self.folder.name})
        os.close(there_read)
        os.close(there_write)
        self.reader, self.writer = here_read, here_write
        target = next(one for one in self._wait_for_target() if one["type"] == "page")
        self.session = None
        self.session = self.send("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def _wait_for_target(self):
        self.session = None
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            found = self.send("Target.getTargets")["targetInfos"]
            if any(one["type"] == "page" for one in found):
                return found
            time.sleep(0.05)
        raise AssertionError("Chromium opened no page")

    def send(self, method: str, **parameters) -> dict:
        self.count += 1
        message = {"id": self.count, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.writer, data):]
        number = self.count
        while True:
            answer = self._read()
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def _read(self) -> dict:
        end = time.monotonic() + self.seconds
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.reader], [], [], max(0, end - time.monotonic()))
            assert ready, "Chromium does not answer"
            part = os.read(self.reader, 1 << 20)
            assert part, f"Chromium ended with {self.process.wait()}"
            self.buffer += part
        line, self.buffer = self.buffer.split(b"\0", 1)
        message = json.loads(line)
        method, values = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            details = values["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Log.entryAdded" and values["entry"]["level"] == "error":
            self.errors.append(values["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(values["request"]["url"])
        elif method == "Page.javascriptDialogOpening":
            self.errors.append(f"dialog: {values['message']}")
            self.count += 1
            os.write(self.writer, json.dumps({"id": self.count, "method": "Page.handleJavaScriptDialog",
                                              "params": {"accept": True}, "sessionId": self.session}).encode() + b"\0")
        return message

    def open(self, path: Path, width: int = 1280, height: int = 860, scheme: str = "light"):
        self.errors.clear()
        self.requests.clear()
        self.look(width, height, scheme)
        self.send("Page.navigate", url=Path(path).resolve().as_uri())
        end = time.monotonic() + self.seconds
        while self.run("document.readyState") != "complete":
            assert time.monotonic() < end, "the page does not load"
            time.sleep(0.02)

    def look(self, width: int, height: int, scheme: str = "light", media: str = ""):
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.send("Emulation.setEmulatedMedia", media=media, features=[{"name": "prefers-color-scheme", "value": scheme}])

    def run(self, code: str):
        """The value of an expression in the page; an exception in it is an AssertionError."""
        result = self.send("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"].get("exception", {}).get("description")
        return result["result"].get("value")

    def mouse(self, x: float, y: float, click: bool = False):
        self.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased") if click else ():
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def key(self, key: str):
        code = KEYS.get(key, 0)
        text = {"Enter": "\r", " ": " "}.get(key, key if len(key) == 1 else "")
        for kind in ("keyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code,
                      **({"text": text} if text and kind == "keyDown" else {}))

    def type(self, text: str):
        self.send("Input.insertText", text=text)

    def picture(self, path: Path):
        Path(path).write_bytes(base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"]))

    def pdf(self) -> bytes:
        return base64.b64decode(self.send("Page.printToPDF", printBackground=True)["data"])

    def close(self):
        with contextlib.suppress(OSError):
            os.close(self.writer)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.reader)
        self.folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
