"""What exceptions say, in one line."""

from __future__ import annotations

import pytest

from models.errors import first_line


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
