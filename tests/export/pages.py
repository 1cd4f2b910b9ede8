"""The page of a small generator with classes, masks and parts, the runtime that it needs, and its server."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT, SCRIPTS, clean_environment

WEB = ROOT / "tests" / "export" / "web"
PACKAGE = WEB / "node_modules" / "onnxruntime-web"
PARTS = {"kind": 1, "content": 2, "shift": 2, "noise": 1}
CLASSES = ["inclusion", "scratch"]


def runtime() -> Path:
    """The runtime's folder; skips the test where it is not installed."""
    if not PACKAGE.is_dir():
        pytest.skip("onnxruntime-web is not installed (Node.js and npm, then `make test`)")
    return PACKAGE


@contextlib.contextmanager
def served(file: Path, out: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`gan-export page --serve` in a process of its own, and its address."""
    command = [SCRIPTS / "gan-export", "page", file, "--out", out, "--serve", "--port", "0"]
    with subprocess.Popen(
        [str(part) for part in command], env=clean_environment(), stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            said = []
            for line in process.stderr:
                said.append(line)
                if found := re.search(r"http://\S+", line):
                    yield process, found[0]
                    return
            raise AssertionError(said)
        finally:
            process.kill()
