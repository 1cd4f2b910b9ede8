"""What exceptions say, in one line."""

from __future__ import annotations

import errno
import os

import pytest

from models.errors import CommandError, ExitCode, command_error, first_line, memory_error, writing_error


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("\n  no such thing \nat a.cpp:12\n"), "no such thing"),
        (MemoryError(), "MemoryError"),
        (RuntimeError("a\x1b[2Jb"), "a [2Jb"),
        (RuntimeError("x" * 999), "x" * 200),
    ],
)
def test_first_line_of_an_exception_fits_a_terminal(error: Exception, line: str) -> None:
    assert first_line(error) == line


class OutOfMemoryError(RuntimeError):
    """Named as PyTorch names its own."""


NO_MEMORY = [
    (
        RuntimeError("[…] can't allocate memory: you tried to allocate 4503599627370496 bytes. Error code 12"),
        "4 PiB were asked for at once",
    ),
    (MemoryError("Unable to allocate 8.00 PiB for an array with shape (1125899906842624,)"), "8 PiB"),
    (MemoryError(), "more was asked for"),
    (OSError(errno.ENOMEM, "Cannot allocate memory"), "more was asked for"),
    (Exception("[ONNXRuntimeError] : 6 : Failed to allocate memory for requested buffer of size 1048576"), "1 MiB"),
    (
        RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : … Add node. Status Message: std::bad_alloc"),
        "more was",
    ),
    (RuntimeError("Available memory of 1024 is smaller than requested bytes of 2147483648"), "2 GiB"),
    (
        OutOfMemoryError(
            "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.15 GiB of which 1.50 GiB "
            "is free."
        ),
        "2 GiB were asked for at once, 1.50 GiB of 79.15 GiB are free on the GPU",
    ),
]


@pytest.mark.parametrize(("error", "words"), NO_MEMORY)
def test_too_little_memory_is_69_with_what_was_asked_for_and_what_is_free(error: Exception, words: str) -> None:
    for found in (memory_error(error, "take less"), command_error(error)):
        assert found is not None
        assert (found.exit_code, words in str(found), "free" in str(found)) == (ExitCode.NO_DEVICE, True, True)
    assert str(memory_error(error, "take less")).endswith("; take less")


def test_too_little_memory_is_found_below_what_an_exporter_makes_of_it() -> None:
    try:
        raise RuntimeError("Failed to export the model") from MemoryError("Unable to allocate 1.00 TiB for an array")
    except RuntimeError as error:
        found = memory_error(error)
    assert found is not None
    assert "1 TiB were asked for" in str(found)


@pytest.mark.parametrize("error", [RuntimeError("sizes do not match"), ValueError(), OSError(errno.ENOSPC, "full")])
def test_other_errors_are_not_taken_for_too_little_memory(error: Exception) -> None:
    assert memory_error(error) is None


@pytest.mark.parametrize(("error", "code"), [
    (CommandError(ExitCode.LOCKED, "held"), 75), (KeyboardInterrupt(), 130), (OSError(errno.ENOSPC, "full"), 74),
    (PermissionError(errno.EACCES, "no"), 73), (ZeroDivisionError("x"), 1),
])  # fmt: skip
def test_every_error_has_its_exit_code(error: BaseException, code: int) -> None:
    assert command_error(error).exit_code == code


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_full_or_broken_disk_is_74(number: int) -> None:
    assert writing_error(OSError(number, os.strerror(number))).exit_code is ExitCode.IO_ERROR


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOTDIR])
def test_a_place_that_is_not_to_be_written_is_73(number: int) -> None:
    assert writing_error(OSError(number, os.strerror(number))).exit_code is ExitCode.CANNOT_WRITE
