"""What is refused before an export begins; without PyTorch, which takes seconds to load."""

from __future__ import annotations

from pathlib import Path

from models.errors import CommandError, ExitCode


def refuse_missing(path: Path) -> None:
    """Refuse a file that is not there.

    Raises:
        CommandError: 66.
    """
    if not path.exists():
        maker = {".pth": "gan-train makes one, or ", ".pkl": ""}.get(path.suffix, "gan-export makes one, or ")
        raise CommandError(ExitCode.NO_INPUT, f"no file {path.absolute()}: {maker}name another")


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Refuse a place that is taken, unless what is there may be replaced.

    Raises:
        CommandError: 73.
    """
    if path.exists() and not overwrite:
        raise CommandError(
            ExitCode.CANNOT_WRITE, f"{path} exists: add `overwrite=True` to replace it, or take another `out`"
        )
