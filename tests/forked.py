"""Workers of the runs that tests make in their own process: copies of it.

A new Python that loads NumPy and ONNX Runtime takes half a second of processor time, a copy hundredths. All else is as
`jobs.workers.pool` has it: a process and a session of its own, the same messages, the same deaths.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any, NoReturn
from unittest import mock

import pytest

from models.log import log


class Forked:
    """What the pool uses of `subprocess.Popen`."""

    def __init__(self, command: Sequence[str], *, pass_fds: Sequence[int], **_: Any) -> None:
        import jobs.workers.worker  # noqa: F401  # here, so that no copy has to

        (fd,) = pass_fds
        self.args, self.stderr, self.returncode = command, None, None
        self.pid = os.fork()
        if self.pid == 0:
            _work(fd, command[-2:])

    def kill(self) -> None:
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode


def _work(fd: int, arguments: Sequence[str]) -> NoReturn:
    """Be a worker: with nothing open but its connection and stderr, and deaf to what this process listens to."""
    code = 1
    try:
        gc.freeze()
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        os.closerange(3, fd)
        os.closerange(fd + 1, os.sysconf("SC_OPEN_MAX"))
        sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115  # as long as the process
        log.handlers = []
        for number in signal.valid_signals():
            if callable(signal.getsignal(number)):
                signal.signal(number, signal.SIG_DFL)
        from jobs.workers import worker

        sys.argv = ["worker", *arguments]
        worker.main()
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _start(command: Sequence[str], **options: Any) -> Any:
    # The threads of obstore do not come along.
    return (subprocess.Popen if "AWS_ENDPOINT_URL" in os.environ else Forked)(command, **options)


@contextlib.contextmanager
def forked_workers() -> Iterator[None]:
    """Have the pool start its workers so."""
    with mock.patch("jobs.workers.pool.subprocess", SimpleNamespace(Popen=_start, DEVNULL=subprocess.DEVNULL)):
        yield


@pytest.fixture(scope="session", autouse=True)
def _forked_workers() -> Iterator[None]:
    """For all tests but those that take `real_workers`."""
    with forked_workers():
        yield


@pytest.fixture
def real_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers as a user has them."""
    monkeypatch.setattr("jobs.workers.pool.subprocess", subprocess)
