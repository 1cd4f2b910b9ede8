"""A headless Chromium, told what to do by its DevTools protocol over two pipes: no driver and no package is needed."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_OPTIONS = (
    "--headless=new", "--remote-debugging-pipe", "--no-first-run", "--no-default-browser-check", "--disable-gpu",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--no-sandbox",  # tests may run as root, whom the sandbox refuses
)  # fmt: skip
_PATIENCE = 60.0
"""Seconds: a page unpacks tens of megabytes, on a core that other tests use, too."""


def chromium() -> str:
    """The browser's program; the test is skipped where there is none."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    return found


class Browser:
    """One page of a browser that is running.

    Attributes:
        requests: addresses that the page asked for, in order.
        complaints: errors of the page and of the browser about it.
    """

    def __init__(self, told: int, heard: int) -> None:
        self._told, self._heard, self._number, self._buffer = told, heard, 0, b""
        self._events: list[dict[str, Any]] = []
        self._session = ""
        self.requests: list[str] = []
        self.complaints: list[str] = []
        target = self._send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._send(f"{domain}.enable")

    def open(self, address: str) -> None:
        """Go to an address, and wait for its files."""
        self._send("Page.navigate", url=address)
        self.wait("document.readyState === 'complete'")

    def evaluate(self, script: str) -> Any:
        """What an expression of JavaScript gives, awaited, as JSON has it."""
        found = self._send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, condition: str) -> None:
        """Until an expression is true."""
        end = time.monotonic() + _PATIENCE
        while not self.evaluate(condition):
            assert time.monotonic() < end, f"{condition} is not so: {self.complaints}"
            time.sleep(0.02)

    def press(self, key: str, code: int = 0, text: str = "") -> None:
        """A key of the keyboard, such as `Tab`, with the number that Windows has for it."""
        told: dict[str, Any] = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        if text:
            told["text"] = text
        self._send("Input.dispatchKeyEvent", type="keyDown", **told)
        self._send("Input.dispatchKeyEvent", type="keyUp", **{**told, "text": ""})

    def look(self, width: int, height: int, dark: bool = False) -> None:
        """Give the window a size, and the user a taste."""
        self._send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._send("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self, path: Path, whole: bool = False) -> None:
        """A PNG of what is seen, or of the whole page."""
        found = self._send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(found["data"]))

    def download_to(self, folder: Path) -> None:
        """Where files go that the page gives."""
        session, self._session = self._session, ""
        self._send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder), eventsEnabled=False)
        self._session = session

    def _send(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._told, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return dict(answer["result"])
            self._note(answer)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._heard], [], [], _PATIENCE)
            assert ready, "the browser does not answer"
            part = os.read(self._heard, 1 << 20)
            assert part, "the browser has ended"
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(line))

    def _note(self, event: dict[str, Any]) -> None:
        told = event.get("params", {})
        match event.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(told["request"]["url"])
            case "Runtime.exceptionThrown":
                self.complaints.append(str(told["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if told["type"] == "error":
                self.complaints.append(str([each.get("value") for each in told["args"]]))
            case "Log.entryAdded" if told["entry"]["level"] == "error":
                self.complaints.append(told["entry"]["text"])


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Browser]:
    """A browser whose own files lie in `folder`; it has ended afterwards, with all its processes."""
    program = chromium()
    (read, told), (heard, written) = map(_high, (os.pipe(), os.pipe()))
    silent = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
    pipes = [(os.POSIX_SPAWN_DUP2, read, 3), (os.POSIX_SPAWN_DUP2, written, 4)]
    process = os.posix_spawn(
        program, [program, *_OPTIONS, f"--user-data-dir={folder}"], {**os.environ, "HOME": str(folder)},
        file_actions=[*silent, *pipes], setsid=True,
    )  # fmt: skip
    os.close(read)
    os.close(written)
    try:
        yield Browser(told, heard)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process, signal.SIGKILL)  # it is the leader of a group of its own
        os.waitpid(process, 0)
        os.close(told)
        os.close(heard)


def _high(pipe: tuple[int, int]) -> tuple[int, ...]:
    """The same pipe by descriptors above those that the browser wants, 3 and 4."""
    ends = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in pipe)
    for end in pipe:
        os.close(end)
    return ends
