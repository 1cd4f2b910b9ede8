"""Which machine a run was made on, for people."""

from __future__ import annotations

import os
import platform
from typing import Any


def machine() -> dict[str, Any]:
    """What this machine is, as JSON takes it; no name of it and of nobody."""
    return {"processor": platform.machine(), "cores": os.cpu_count(), "system": platform.platform()}


def in_words(of: object) -> str:
    """The same in words; nothing where it is not known."""
    return f"{of.get('processor')}, {of.get('cores')} cores, {of.get('system')}" if isinstance(of, dict) else ""
