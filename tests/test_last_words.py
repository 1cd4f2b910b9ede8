"""A failure tells what the processes of its test said, whoever started them and whether they ended or not."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.conftest import ROOT, run

FAILING = """
import subprocess, sys

def test_first():
    subprocess.run([sys.executable, "-c", "import sys; sys.exit('of another test')"], capture_output=True)

def test_second():
    subprocess.run([sys.executable, "-c", "import sys; sys.exit('ended badly')"], stderr=subprocess.PIPE, text=True)
    living = "import sys, time; print('lives on', file=sys.stderr, flush=True); print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", living], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        try:
            assert False
        finally:
            process.kill()
"""


def test_last_words_of_all_processes_are_in_the_failure(tmp_path: Path) -> None:
    (tmp_path / "test_failing.py").write_text(FAILING)
    result = run(sys.executable, "-m", "pytest", "-p", "tests.last_words", tmp_path, cwd=ROOT)
    assert result.returncode == 1
    assert "ended with 1" in result.stdout
    assert "ended badly" in result.stdout
    assert "lives on" in result.stdout
    assert "of another test" not in result.stdout
