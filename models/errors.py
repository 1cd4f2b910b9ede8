"""What goes wrong, in one line for a person and an exit code for a script."""

from __future__ import annotations

import enum
import errno


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

    def __init__(self, exit_code: ExitCode, message: str) -> None:
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
