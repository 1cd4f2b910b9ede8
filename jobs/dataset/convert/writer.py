"""The folder of a data set on disk: claimed by one conversion, filled file by file, finished when all is there.

A conversion is a function of what it is made from. So a folder that a kill left behind is filled up by doing all of it
again, and what is there already and right is not written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jobs.dataset.convert.sample import Content
from models.errors import CommandError, ExitCode
from models.files import LOCK, lock_folder, sync_filesystem, temporary_name, write_atomically, write_file, write_probe

RECORD = "conversion.json"
"""To which conversion a folder belongs, and whether it is complete."""
RUNNING, COMPLETE = "running", "complete"


class DatasetFolder:
    """A folder to convert into.

    Args:
        root: it; there may be nothing, an empty folder, or one of the same conversion.
        made_from: all that decides what is in it.
        copy: whether files are copied where a link would do.
    """

    def __init__(self, root: Path, made_from: Mapping[str, Any], copy: bool) -> None:
        self.root = root
        self._made_from = dict(made_from)
        self._copy = copy
        self._names: set[str] = set()
        self._folders: set[Path] = set()
        self._lock = -1
        self.said: dict[str, Any] = {}
        """What people should know of it, once it is complete."""

    def claim(self) -> bool:
        """Take the folder for this conversion.

        Returns:
            Whether there is something left to do.

        Raises:
            CommandError: 73 where something else lies there or nothing can be written, 65 where its record is damaged,
                75 where another process holds it, 78 where it belongs to another conversion.
        """
        self.root = self.root.absolute()
        if self._state() == COMPLETE:
            return False
        write_probe(self.root)
        self._lock = lock_folder(self.root, "gan-batch")
        if self._state() == COMPLETE:  # another process was quicker
            return False
        self._record(RUNNING)
        return True

    def close(self) -> None:
        """Give it back."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def put(self, name: str, content: Content) -> None:
        """A file, which becomes a hard link where that can be and is wanted."""
        path = self._place(name)
        checked = content.read()  # also where a link will do: none of it is left unchecked
        if content.path is None or self._copy or not _link(content.path, path):
            self._write(path, checked)

    def write(self, name: str, content: bytes) -> None:
        """A file with this content."""
        self._write(self._place(name), content)

    def finish(self, said: Mapping[str, Any]) -> None:
        """Make everything last, and say that it is complete.

        Args:
            said: what people should know of it.

        Raises:
            CommandError: 73 where a file lies there that is none of this conversion's.
        """
        for folder, _, files in os.walk(self.root):
            for file in files:
                name = Path(folder, file).relative_to(self.root).as_posix()
                if name not in self._names and name not in (RECORD, LOCK):
                    raise CommandError(
                        ExitCode.CANNOT_WRITE,
                        f"{self.root / name} is not of this conversion, and a loader would find it: remove it, and run "
                        "the same command again",
                    )
        sync_filesystem(self.root)
        self.said = dict(said)
        self._record(COMPLETE)

    def _state(self) -> str | None:
        """What its record says; None where it is empty or not there."""
        record = self.root / RECORD
        if not record.is_file():
            if self.root.is_symlink() or (self.root.exists() and not self.root.is_dir()):
                raise CommandError(ExitCode.CANNOT_WRITE, f"{self.root} is there and no folder: name another")
            left = {LOCK, temporary_name(record).name}  # by a kill before the record was there
            strange = sorted(set(os.listdir(self.root)) - left) if self.root.exists() else []
            if strange:
                raise CommandError(
                    ExitCode.CANNOT_WRITE,
                    f"{self.root} holds something else, such as {strange[0]!r}: name an empty folder or a new one",
                )
            return None
        try:
            found = json.loads(record.read_bytes())
            state, theirs, self.said = str(found["state"]), dict(found["made_from"]), dict(found["said"])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise CommandError(
                ExitCode.BAD_DATA, f"{record} is damaged, so it cannot be told what lies there: name another folder"
            ) from None
        ours = json.loads(json.dumps(self._made_from))
        if differing := [name for name in sorted(theirs | ours) if theirs.get(name) != ours.get(name)]:
            raise CommandError(
                ExitCode.OTHER_RUN,
                f"{self.root} was converted from something else or in another way ({', '.join(differing)} differ): "
                "name another folder",
            )
        return state

    def _record(self, state: str) -> None:
        content = {"state": state, "said": self.said, "made_from": self._made_from}
        data = (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
        write_atomically(self.root / RECORD, lambda path: write_file(path, [data]))

    def _place(self, name: str) -> Path:
        if name in self._names:
            raise ValueError(f"{name} is written twice")
        self._names.add(name)
        path = self.root / name
        if path.parent not in self._folders:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._folders.add(path.parent)
        return path

    def _write(self, path: Path, content: bytes) -> None:
        try:
            if path.read_bytes() == content:
                return
        except FileNotFoundError:
            pass
        temporary = temporary_name(path)
        temporary.unlink(missing_ok=True)  # a kill may have left it a link to an image of the run
        write_file(temporary, [content])
        os.replace(temporary, path)


def _link(source: Path, path: Path) -> bool:
    """Let `path` be a hard link to the file `source`; where that cannot be, it is left alone."""
    source = source.resolve()  # of a link the file itself
    temporary = temporary_name(path)
    try:
        if path.exists() and path.samefile(source):
            return True
        temporary.unlink(missing_ok=True)
        os.link(source, temporary)
        os.replace(temporary, path)
    except OSError:  # another disk, a file system without links, a file of another user; or it is not there
        return False
    return True
