"""What goes wrong, in one line for a person and an exit code for a script."""

from __future__ import annotations

import difflib
import enum
import errno
import re
import resource
from collections.abc import Sequence
from pathlib import Path


class ExitCode(enum.IntEnum):
    """The commands' exit codes; 65 to 78 carry the meanings of BSD's sysexits.h where it has one."""

    BUG = 1
    USAGE = 2
    STOPPED = 3
    BAD_DATA = 65
    NO_INPUT = 66
    NO_DEVICE = 69
    DIVERGED = 70
    CANNOT_WRITE = 73
    IO_ERROR = 74
    LOCKED = 75
    CHECK_FAILED = 76
    OTHER_RUN = 78
    INTERRUPTED = 130
    TERMINATED = 143


class CommandError(Exception):
    """Something the user can act on: one line that names the file or option, and an exit code."""

    def __init__(self, exit_code: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code


_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG}

_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST}

_DENIED |= {errno.ENAMETOOLONG, errno.ELOOP, errno.ENOENT}


def writing_error(error: OSError) -> CommandError:
    """The `CommandError` for an `OSError` met while writing: full or broken is 74, not allowed is 73."""
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in _FULL:
        return CommandError(
            ExitCode.IO_ERROR,
            f"{where}{error.strerror}; free some space and run the same command again to continue",
        )
    code = ExitCode.CANNOT_WRITE if error.errno in _DENIED else ExitCode.IO_ERROR
    return CommandError(code, f"cannot write {where}{error.strerror or error}")


def first_line(error: BaseException) -> str:
    """The first line of what an exception says, at most 200 characters that a terminal can show; else its kind."""
    said = str(error).strip().splitlines() or [type(error).__name__]
    return "".join(character if character.isprintable() else " " for character in said[0][:200]).strip()


def did_you_mean(name: str, names: Sequence[str]) -> str:
    """The end of a line about a name that is none of these: the one that is most like it; empty where none is."""
    by_small = {known.casefold(): known for known in names}
    close = difflib.get_close_matches(name.casefold(), by_small, 1)
    return f", did you mean {by_small[close[0]]}?" if close else ""


_NO_MEMORY = re.compile(
    r"not enough memory|out of memory|can't allocate memory|Unable to allocate|Failed to allocate memory|_ALLOC_FAILED"
    r"|bad_alloc|bad allocation|Cannot allocate memory|smaller than requested bytes"
)
"""How PyTorch, CUDA, cuDNN, NumPy and ONNX Runtime say it."""
_WANTED = re.compile(r"(?:allocate|of size|requested bytes of) ([\d.]+) ?([KMGTPE]?)")
_SCALE = " KMGTPE"


def memory_error(error: BaseException, remedy: str = "") -> CommandError | None:
    """The `CommandError` (69) for an error of any library that says that memory ran out; None for all others.

    Args:
        error: what was raised.
        remedy: what to do about it, the end of the sentence.
    """
    said = str(error)
    # The classes are known by name, since whoever has no PyTorch must be able to ask as well.
    known = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    known = known or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
    if not known and (isinstance(error, OSError | CommandError) or not _NO_MEMORY.search(said)):
        return memory_error(error.__cause__, remedy) if error.__cause__ else None  # an exporter's wrap what they met
    wanted = _WANTED.search(said)
    needed = "more was asked for than there is"
    if wanted:
        needed = f"{size(float(wanted[1]) * 1024 ** _SCALE.index(wanted[2] or ' '))} were asked for at once"
    there = _on_gpu(said) or f"{size(free_memory())} are free"
    return CommandError(
        ExitCode.NO_DEVICE,
        f"not enough memory: {needed}, {there}{f'; {remedy}' if remedy else ''}",
    )


def free_memory() -> float:
    """Bytes that this process may still take: of the machine, of its control group, of its own limit."""
    free = [float("inf")]
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            free.append(int(line.split()[1]) * 1024)
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        numbers = [_lines(f"/sys/fs/cgroup/{name}") for name in (limit, used)]
        if all(numbers) and all(lines[0].isdigit() for lines in numbers):
            free.append(int(numbers[0][0]) - int(numbers[1][0]))
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    pages = _lines("/proc/self/statm")
    if soft != resource.RLIM_INFINITY and pages:
        free.append(soft - int(pages[0].split()[0]) * resource.getpagesize())
    return max(0.0, min(free))


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def _on_gpu(said: str) -> str:
    """What PyTorch says of a GPU's memory, in short; empty where it is not about one."""
    found = re.search(r"total capacity of ([\d.]+ \w+) of which ([\d.]+ \w+) is free", said)
    return f"{found[2]} of {found[1]} are free on the GPU" if found else ""


def size(count: float) -> str:
    """Bytes for a person."""
    step = 0
    while count >= 1024 and step < len(_SCALE) - 1:
        count, step = count / 1024, step + 1
    return f"{count:.3g} {_SCALE[step]}iB" if step else f"{count:.0f} bytes"


def command_error(error: BaseException) -> CommandError:
    """What a command ends with after `error`, whatever it is: a line and an exit code."""
    if isinstance(error, CommandError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return CommandError(ExitCode.INTERRUPTED, "stopped by SIGINT")
    out_of_memory = memory_error(error)
    if isinstance(error, OSError) and not out_of_memory:
        return writing_error(error)
    return out_of_memory or CommandError(ExitCode.BUG, f"bug: {type(error).__name__}: {first_line(error)}")
