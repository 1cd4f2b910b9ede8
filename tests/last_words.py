"""Puts what the commands that a test started said on stderr into the report of its failure."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

_AT_MOST = 20_000
"""Characters of each: the end of it."""
_started: list[subprocess.Popen[Any]] = []
_said: dict[subprocess.Popen[Any], str | bytes] = {}
_begin, _communicate = subprocess.Popen.__init__, subprocess.Popen.communicate


def _init(self: subprocess.Popen[Any], *arguments: Any, **options: Any) -> None:
    _begin(self, *arguments, **options)
    _started.append(self)


def _listen(self: subprocess.Popen[Any], *arguments: Any, **options: Any) -> tuple[Any, Any]:
    try:
        out, err = _communicate(self, *arguments, **options)
    except subprocess.TimeoutExpired as error:
        _said[self] = error.stderr or b""
        raise
    _said[self] = err or b""
    return out, err


# Here and not in helpers of ours: a test that starts something in its own way, or calls code that does, is heard too.
# To a type checker a method is for good.
subprocess.Popen.__init__, subprocess.Popen.communicate = _init, _listen  # type: ignore[assignment,method-assign]


def _last_words(process: subprocess.Popen[Any]) -> str:
    """What a process said on stderr, as far as anybody can still know it."""
    said = _said.get(process, b"")
    if not said and process.stderr is not None and not process.stderr.closed:
        file = process.stderr.fileno()
        os.set_blocking(file, False)  # it may live, or somebody who holds its stderr
        try:
            said = os.read(file, 1 << 20)
        except BlockingIOError:
            said = b""
    return (said if isinstance(said, str) else said.decode(errors="replace"))[-_AT_MOST:]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Iterator[None]:
    """Forget the test before."""
    _started.clear()
    _said.clear()
    yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[pytest.TestReport]:
    """A section a process, in a report of a failure."""
    report: pytest.TestReport = yield
    if report.failed:
        for process in _started:
            words = process.args if isinstance(process.args, str | bytes) else shlex.join(map(str, process.args))
            code = process.poll()
            state = "runs" if code is None else f"ended with {code}"
            if said := _last_words(process):
                report.sections.append((f"stderr of a process that {state}: {str(words)[:300]}", said))
    return report
