"""Lets file operations of a run fail, process by process, as its environment tells; see `tests.jobs.faults`.

Python imports this before anything else where this folder is on PYTHONPATH, so it is in the workers too. Nothing is
changed where `FAULTS_RUN` is not set.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

RUN, NOTES = os.environ.get("FAULTS_RUN"), os.environ.get("FAULTS_NOTES", "")
MODE, AT = os.environ.get("FAULTS_MODE", "trace"), float(os.environ.get("FAULTS_AT", "0"))
ERROR = getattr(errno, os.environ.get("FAULTS_ERROR", "ENOSPC"))
COUNTED = os.environ.get("FAULTS_COUNTED", "").split()
"""Operations that are counted; empty: all."""
NAME = os.environ.get("FAULTS_NAME", "")
IS_LOCAL_WORKER = "jobs.workers.worker" in sys.orig_argv
IS_WORKER = IS_LOCAL_WORKER or any(word.endswith("default_worker.py") for word in sys.orig_argv)  # the latter is Ray's
MAIN = int(sys.orig_argv[-1]) if IS_LOCAL_WORKER else os.getpid()

_open, _write, _close, _fsync = os.open, os.write, os.close, os.fsync


def note(text: str, counts: bool) -> int:
    """Add a line to the trace; returns the number of operations so far, over all processes of the run."""
    fd = _open(f"{NOTES}/count", os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        if counts:
            _write(fd, b".")
        number = os.fstat(fd).st_size
        trace = _open(f"{NOTES}/trace", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        _write(trace, f"{number}\t{'worker' if IS_WORKER else 'main'}\t{text}\n".encode())
        _close(trace)
        return number
    finally:
        _close(fd)


def ours(path: str) -> bool:
    """Whether `path` is the run's folder or lies in it."""
    return path == RUN or path.startswith(f"{RUN}/")


def of_descriptor(fd: int, *_: Any) -> str:
    """What an open file is called."""
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return ""


def of_path(path: Any, *_: Any) -> str:
    """What a path is called from the root."""
    return "" if isinstance(path, int) else os.path.abspath(os.fsdecode(path))


def kill(pid: int) -> None:
    """SIGKILL; does not return where it is this process."""
    os.kill(pid, signal.SIGKILL)
    if pid == os.getpid():
        time.sleep(60)


def hangs_so_far() -> int:
    """How many workers hung before this one, which is entered."""
    hung = [name for name in os.listdir(NOTES) if name.startswith("hung")]
    _close(_open(f"{NOTES}/hung{len(hung)}", os.O_CREAT | os.O_CLOEXEC))
    return len(hung)


def disturb(operation: str, path: str, number: int, real: Callable[..., Any], args: tuple[Any, ...]) -> bool:
    """Do to operation `number` what the mode says; returns whether it is to be done after all."""
    hit = number == AT
    if MODE == "kill" and hit:
        kill(os.getpid())
    elif MODE == "kill main" and hit:
        kill(MAIN)
    elif (MODE == "once" and hit) or (MODE == "from" and number >= AT):
        if operation == "close":
            real(*args)  # as Linux does: an error of close comes after it
        on_descriptor = operation in ("write", "fsync", "close", "syncfs")
        raise OSError(ERROR, os.strerror(ERROR), *(() if on_descriptor else (path,)))
    elif MODE == "short" and hit and operation == "write":
        return False
    elif MODE == "poison" and IS_WORKER and operation == "open" and path.endswith(NAME):
        kill(os.getpid())
    elif MODE == "raise" and IS_WORKER and operation == "open" and path.endswith(NAME):
        raise ValueError("thrown by a test")
    elif MODE == "hang" and IS_WORKER and operation == "open" and path.endswith(NAME) and hangs_so_far() < AT:
        time.sleep(600)
    elif MODE == "full" and IS_WORKER and operation == "write" and path.endswith(NAME):
        raise OSError(ERROR, os.strerror(ERROR))
    elif MODE == "slow flush" and operation == "syncfs":
        time.sleep(AT)
    return True


def wrapped(operation: str, real: Callable[..., Any], name_of: Callable[..., str]) -> Callable[..., Any]:
    """`real`, which notes when it begins and ends and may be disturbed, for what lies in the run's folder."""

    def call(*args: Any, **options: Any) -> Any:
        path = name_of(*args)
        if not ours(path):
            return real(*args, **options)
        counts = not COUNTED or operation in COUNTED
        what = f"{operation}\t{os.path.relpath(path, RUN)}"
        if operation == "replace":
            what = f"{operation}\t{os.path.relpath(os.path.abspath(args[1]), RUN)}"
        number = note(f"begins\t{what}", counts)
        if counts and not disturb(operation, path, number, real, args):
            return real(args[0], bytes(args[1][:1]))
        result = real(*args, **options)
        note(f"ended\t{what}", False)
        return result

    return call


def install() -> None:
    """Put the wrappers in place."""
    import models.files as files

    for operation in ("open", "replace", "unlink", "mkdir"):
        setattr(os, operation, wrapped(operation, getattr(os, operation), of_path))
    for operation in ("write", "fsync", "close"):
        setattr(os, operation, wrapped(operation, getattr(os, operation), of_descriptor))
    files._syncfs = wrapped("syncfs", files._syncfs, of_descriptor)


if RUN:
    if MODE == "die at start" and IS_WORKER:
        kill(os.getpid())
    install()
