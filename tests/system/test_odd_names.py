"""Names that no encoding decodes, and locales other than UTF-8: every command works there, and none calls it a bug."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, TINY, clean_environment

ODD = b"d\xe9fauts \xe2\x82\xac"
"""Latin-1 and UTF-8 in one name."""
PROGRAM = """
import importlib, os, sys, warnings
from models import console
from models.log import log
from tests.conftest import COMMANDS

def call(code, program, *arguments):
    log.handlers = []
    cli = importlib.import_module(COMMANDS[program]).cli
    try:
        console.run(cli, program, arguments)
    except SystemExit as end:
        if end.code != code:
            print("UNEXPECTED", end.code, program, *arguments, flush=True)

warnings.simplefilter("ignore")  # torch.onnx warns its own developers
os.chdir(sys.argv[1])
odd = os.listdir()[0]
stray = os.fsdecode(b"str\\xe9y")
photos, model, made = f"{odd}/photos", f"{odd}/m/generator.onnx", f"{odd}/run"
for program in COMMANDS:
    call(0, program, "--help")
    call(2, program, f"--{odd}")
call(66, "gan-train", f"{odd}/none")
call(66, "gan-batch", "status", f"{odd}/none")
call(66, "gan-export", "info", f"{odd}/none.onnx")
if sys.argv[2] == "all":
    call(0, "gan-eval", "data", photos, "--json", "--sheet", f"{odd}/sheet.png")
    call(65, "gan-train", photos, "--out", f"{odd}/m", *sys.argv[3:])
    call(0, "gan-train", photos, "--skip-bad-files", "--out", f"{odd}/m", *sys.argv[3:])
    call(0, "gan-export", "onnx", f"{odd}/m/generator_model.pth", "--batch-check", "2")
    call(0, "gan-export", "verify", model)
    call(0, "gan-export", "info", model)
    options = ["--model", model, "--device", "cpu", "--quality-gate", "warn", "--workers", "1"]
    call(0, "gan-batch", "--count", "2", "--out", made, "--metrics-file", f"{odd}/a.prom", *options)
    call(78, "gan-batch", "--count", "2", "--out", made, "--seed", "1", *options)
    call(0, "gan-batch", "status", made)
    open(f"{made}/{stray}", "w").close()
    call(76, "gan-batch", "verify", made)
    call(0, "gan-eval", "quality", photos, f"{odd}/m/generator_model.pth", "--count", "10", "--skip-bad-files",
         "--features", f"{odd}/pools.pt", "--out", f"{odd}/quality")
"""
C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def latin1(folder: Path) -> dict[str, str]:
    """The environment of a German of the nineties."""
    if shutil.which("localedef") is None:
        pytest.skip("there is no localedef to make a locale with")
    made = subprocess.run(
        ["localedef", "-i", "de_DE", "-f", "ISO-8859-1", folder / "de_DE.ISO-8859-1"], capture_output=True
    )
    if made.returncode > 1:  # 1 is of warnings
        pytest.skip("localedef has no German")
    return {"LOCPATH": str(folder), "LC_ALL": "de_DE.ISO-8859-1"}


@pytest.mark.parametrize(
    ("locale", "what"),
    [
        pytest.param("C", "few", id="C"),
        pytest.param("C.UTF-8", "all", id="UTF-8"),
        pytest.param("Latin-1", "few", id="Latin-1"),
        pytest.param("Latin-1", "all", id="Latin-1, all", marks=pytest.mark.long),
    ],
)
def test_no_command_calls_a_name_or_a_locale_a_bug(
    locale: str, what: str, photos: Path, pools: Path, tmp_path: Path
) -> None:
    environment = {"C": C_LOCALE, "C.UTF-8": {"LC_ALL": "C.UTF-8"}}.get(locale) or latin1(tmp_path)
    odd = os.fsencode(tmp_path / "work") + b"/" + ODD
    shutil.copytree(os.fsencode(photos), odd + b"/photos")
    os.rename(odd + b"/photos/scratch_003.png", odd + b"/photos/scr\xe9tch \xe2\x82\xac.png")
    shutil.copy(pools, odd + b"/pools.pt")
    with open(odd + b"/photos/broken\xe9.png", "wb") as file:
        file.write(b"no photo")
    options = ["--recipe", "dcgan", "--epochs", "1", "--device", "cpu", "--image-size", "32", *TINY]
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, tmp_path / "work", what, *options],
        cwd=ROOT, env=clean_environment(OMP_NUM_THREADS="1", **environment), capture_output=True, timeout=300,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert b"UNEXPECTED" not in result.stdout, result.stderr
    assert b"bug:" not in result.stderr
    assert os.listdir(os.fsencode(tmp_path / "work")) == [ODD], "something was written below another name"
