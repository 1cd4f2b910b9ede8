"""How far a run is, in a small file that is read without PyTorch: status.json."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any

from gan.training.folder import STATE
from models.errors import CommandError
from models.files import temporary_name, write_file


class TrainingState:
    """Keeps status.json of a run: what it is doing, how far it is, how it ended.

    It is renamed into its place, but not flushed to the disk: nothing depends on it.

    Args:
        out: the run's folder.
    """

    def __init__(self, out: Path, **values: Any) -> None:
        self._path = out / STATE
        self._values: dict[str, Any] = {"state": "running", "started": time.time(), "error": None, **values}

    def write(self, **values: Any) -> None:
        """Take over `values` and write the file.

        Raises:
            OSError: with the file's name.
        """
        self._values |= {**values, "written": time.time()}
        temporary = temporary_name(self._path)
        try:
            write_file(temporary, [(json.dumps(self._values, indent=2) + "\n").encode()])
            os.replace(temporary, self._path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise

    def failed(self, error: CommandError) -> None:
        """Note how the run ended, where that can be written at all."""
        with contextlib.suppress(OSError):
            self.write(state="ended", error={"exit_code": int(error.exit_code), "message": str(error)})


def read_state(out: Path) -> dict[str, Any]:
    """What status.json in a run's folder says; nothing where it is not there or damaged."""
    with contextlib.suppress(OSError, ValueError):
        values = json.loads((out / STATE).read_bytes())
        if isinstance(values, dict):
            return values
    return {}
