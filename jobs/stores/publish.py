"""The link to the latest run, which others follow."""

from __future__ import annotations

import os
from pathlib import Path

from models.errors import CommandError, ExitCode
from models.files import sync_folder
from models.log import log


def check(out: Path | str, link: Path | None, keep: int | None) -> None:
    """Refuse what could not be done, before the work.

    Raises:
        CommandError: 2 where `out` is in an object store, 73 where the link could not be made.
    """
    if isinstance(out, Path):
        if link is not None:
            check_link(link, out)
    elif link is not None or keep is not None:
        raise CommandError(
            ExitCode.USAGE,
            f"{out}: an object store has no links and no folders beside each other, so `latest` and `keep` have no "
            "meaning there",
        )


def check_link(link: Path, out: Path) -> None:
    """Refuse a link that could not be made, before the work.

    Raises:
        CommandError: 73 where something else has its name, or its folder cannot be made.
    """
    if os.path.lexists(link) and not link.is_symlink():
        raise CommandError(ExitCode.CANNOT_WRITE, f"cannot make the link {link}: it is there and no symbolic link")
    folder, here = os.path.realpath(link.parent), os.path.realpath(out)
    if link.absolute() in (out.absolute(), *out.absolute().parents) or os.path.join(folder, link.name) == here:
        raise CommandError(ExitCode.CANNOT_WRITE, f"cannot make the link {link}: the run's own folder is there")
    above = next(path for path in (Path(folder), *Path(folder).parents) if path.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise CommandError(ExitCode.CANNOT_WRITE, f"cannot make the link {link}: {above} is no folder to write to")


def points_to(link: Path, out: Path) -> bool:
    """Whether `link` leads to `out`."""
    return link.is_symlink() and os.path.realpath(link) == os.path.realpath(out)


def point(link: Path, out: Path) -> None:
    """Let `link` lead to `out`; at every moment it leads to the old run or to the new one."""
    link.parent.mkdir(parents=True, exist_ok=True)
    temporary = link.with_name(f".{link.name}.{os.getpid()}.tmp")  # other runs may share the link
    temporary.unlink(missing_ok=True)
    os.symlink(os.path.relpath(os.path.realpath(out), os.path.realpath(link.parent)), temporary)
    try:
        os.replace(temporary, link)
    except OSError:
        temporary.unlink()
        raise
    sync_folder(link.parent)
    log.info("%s leads to %s", link, out)
