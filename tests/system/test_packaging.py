"""The wheel and the source distribution: what is in them, and that pip, uv and pipx install them."""

from __future__ import annotations

import configparser
import email
import email.message
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import models
from tests.conftest import COMMANDS, ROOT, SCRIPTS, clean_environment, run

MODEL_FILES = {f"models/{name}" for name in ("steel_scratches_128.onnx", "steel_scratches_128.png", "MODEL_CARD.md")}


def test_wheel_holds_every_package_and_nothing_else(wheel: Path) -> None:
    tops = [module.partition(".")[0] for module in COMMANDS.values()]
    modules = {path for top in {*tops, "models"} for path in (ROOT / top).rglob("*.py")}
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert {name for name in names if name.endswith(".py")} == {
        "synthetic_defects.py", *(path.relative_to(ROOT).as_posix() for path in modules)
    }  # fmt: skip
    data = {name for name in names if not name.endswith((".py", "/py.typed"))}
    page = {path.relative_to(ROOT).as_posix() for path in (ROOT / "export/browser").iterdir()}
    assert "export/browser/index.html" in page
    assert data == MODEL_FILES | page


def test_wheel_says_licence_and_version_and_names_no_place_that_is_not_there(wheel: Path) -> None:
    told = metadata(wheel)
    assert (told["License-Expression"], told["Version"]) == ("Apache-2.0", models.__version__)
    assert told.get_all("License-File") == ["LICENSE"]
    assert told.get_all("Project-URL") is None
    with zipfile.ZipFile(wheel) as archive:
        (licence,) = (name for name in archive.namelist() if name.endswith("licenses/LICENSE"))
        assert archive.read(licence) == (ROOT / "LICENSE").read_bytes()


def metadata(wheel: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(archive.read(name))


def test_source_distribution_holds_what_is_read_and_built_from_and_no_tests(distributions: Path) -> None:
    (path,) = distributions.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
    folders = {"docs": "*.md", "deploy": "**/*", "notebooks": "*.ipynb"}
    read = {
        found.relative_to(ROOT).as_posix()
        for folder, pattern in folders.items()
        for found in (ROOT / folder).glob(pattern)
        if found.is_file()
    }
    built_from = {"requirements-batch.txt", "constraints.txt", "Dockerfile", "Dockerfile.cuda", ".dockerignore"}
    assert read | built_from | MODEL_FILES | {"README.md", "CHANGELOG.md", "LICENSE", "compose.yaml"} <= names
    assert {name for name in names if name.startswith(("tests/", "benchmarks/", "."))} == {".dockerignore"}
    kinds = {Path(name).suffix for name in names}
    assert kinds & {".pth", ".pt", ".zip", ".jpg", ".bmp", ".pyc"} == set()
    assert {name for name in names if name.endswith((".onnx", ".png"))} == {
        name for name in MODEL_FILES if not name.endswith(".md")
    }


# What installs them


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Empty packages with the names and versions of all that is needed, so that gigabytes need not be loaded.

    Each tool resolves and installs them as it would the real ones.
    """
    folder = tmp_path_factory.mktemp("stand-ins")
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    for line in config["options"]["install_requires"].split():
        name, version = re.split(">=", line)
        stem = f"{name.replace('-', '_')}-{version}"
        with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as archive:
            info = f"{stem}.dist-info"
            archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            files = "".join(f"{info}/{file},,\n" for file in ("METADATA", "WHEEL", "RECORD"))
            archive.writestr(f"{info}/RECORD", files)
    return folder


def with_pip(package: Path, stand_ins: Path, home: Path) -> Path:
    call(home, sys.executable, "-m", "venv", "--without-pip", home / "venv")
    call(
        home, sys.executable, "-m", "pip", "--python", home / "venv/bin/python", "install", "--no-index",
        "--no-build-isolation", "--find-links", stand_ins, package,
    )  # fmt: skip
    return home / "venv/bin"


def with_uv(package: Path, stand_ins: Path, home: Path) -> Path:
    uv = tool("uv")
    call(
        home, uv, "tool", "install", "--offline", "--no-index", "--no-config", "--python", sys.executable,
        "--find-links", stand_ins, package,
    )  # fmt: skip
    return home / "bin"


def with_pipx(package: Path, stand_ins: Path, home: Path) -> Path:
    arguments = f"--no-index --find-links={stand_ins}"
    call(home, tool("pipx"), "install", "--python", sys.executable, f"--pip-args={arguments}", package)
    return home / "bin"


def tool(name: str) -> Path:
    found = SCRIPTS / name
    return found if found.exists() else pytest.skip(f"there is no {name}: it comes with the extra test")


def call(home: Path, *command: str | Path) -> None:
    """Run an installer that has a home of its own and settings of nobody."""
    places = {
        "HOME": home, "UV_TOOL_DIR": home / "tools", "UV_TOOL_BIN_DIR": home / "bin", "UV_CACHE_DIR": home / "cache",
        "PIPX_HOME": home / "pipx", "PIPX_BIN_DIR": home / "bin", "PIPX_MAN_DIR": home / "man",
        "PIP_CONFIG_FILE": Path(os.devnull),
    }  # fmt: skip
    result = run(*command, cwd=home, **{name: str(place) for name, place in places.items()})
    assert result.returncode == 0, result.stderr


@pytest.mark.long
@pytest.mark.parametrize("install", [with_pip, with_uv, with_pipx])
def test_commands_work_wherever_the_wheel_is_installed(
    install: Callable[[Path, Path, Path], Path], wheel: Path, stand_ins: Path, tmp_path: Path
) -> None:
    commands = install(wheel, stand_ins, tmp_path)
    python = (commands / "gan-batch").read_text().splitlines()[0].removeprefix("#!").split()[0]  # pipx adds an option
    (site,) = (Path(python).parents[1] / "lib").glob("*/site-packages")
    # What the stand-ins stand for is borrowed from the environment of the tests.
    (site / "borrowed.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    for command in COMMANDS:
        result = run(commands / command, "--version", cwd=tmp_path)
        assert (result.returncode, models.__version__ in result.stdout) == (0, True), result.stderr
    result = run(commands / "gan-batch", "--model", "bundled", "--count", "8", "--out", "run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    found = subprocess.run(
        [python, "-c", "import models; print(models.__file__)"], cwd=tmp_path, env=clean_environment(),
        capture_output=True, text=True,
    )  # fmt: skip
    assert Path(found.stdout).is_relative_to(site)
