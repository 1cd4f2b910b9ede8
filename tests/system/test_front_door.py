"""Before a command begins: are its packages its own, is all that it needs installed, and which version is it?"""

from __future__ import annotations

import configparser
import importlib
import os
import shutil
import sys
from pathlib import Path
from subprocess import CompletedProcess

import click
import pytest
from click.testing import CliRunner

import models
import synthetic_defects
from tests.conftest import COMMANDS, ROOT, fails_in_one_line, run


def enter(command: str, *arguments: str | Path, before: Path) -> CompletedProcess[str]:
    """A command, where Python looks into the folder `before` first."""
    program = f"import sys, synthetic_defects as door; sys.argv[0] = {command!r}; door.{command.replace('-', '_')}()"
    path = os.pathsep.join([str(before), str(ROOT)])
    return run(sys.executable, "-P", "-c", program, *arguments, cwd=before, PYTHONPATH=path)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", ["models.py", "models/__init__.py"])
def test_file_with_the_name_of_our_package_is_named(command: str, name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("raise SystemExit('the wrong one ran')")
    fails_in_one_line(enter(command, "--help", before=tmp_path), 2, f"{tmp_path / name} is in the way", "Rename it")


@pytest.mark.parametrize(
    ("command", "package"), [("gan-batch", "jobs"), ("gan-train", "gan"), ("gan-eval", "gan"), ("gan-export", "export")]
)
def test_package_with_the_name_of_the_commands_own_is_named(command: str, package: str, tmp_path: Path) -> None:
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text("")
    fails_in_one_line(enter(command, "--help", before=tmp_path), 2, str(tmp_path / package / "__init__.py"))


@pytest.mark.parametrize("name", ["numpy", "torch", "click", "PIL", "onnxruntime", "random", "json"])
@pytest.mark.parametrize("content", ["", "raise RuntimeError('the wrong one ran')", "raise SystemExit(0)", "def ("])
def test_file_with_the_name_of_what_we_import_is_named(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / f"{name}.py").write_text(content)
    command = ["gan-train", "photos"] if name == "torch" else ["gan-batch", "--count", "1", "--model", "bundled"]
    result = enter(*command, before=tmp_path)
    fails_in_one_line(result, 2, f"{tmp_path / name}.py is in the way", "Rename it")
    assert "bug" not in result.stderr


@pytest.mark.parametrize("name", ["re", "types", "enum", "functools", "typing", "inspect", "keyword", "operator"])
@pytest.mark.parametrize("content", ["", "def ("])
def test_file_with_the_name_of_a_module_of_pythons_own_is_named(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / f"{name}.py").write_text(content)
    program = "import sys; sys.argv[0] = 'gan-batch'; import synthetic_defects as door; door.gan_batch()"
    packages = [str(tmp_path), str(ROOT), str(Path(click.__file__).parents[1])]
    # Without site: what that imports for an editable install, it imports before any code of ours.
    result = run(sys.executable, "-P", "-S", "-c", program, "--help", PYTHONPATH=os.pathsep.join(packages))
    fails_in_one_line(result, 2, f"{tmp_path / name}.py is in the way", "Rename it")


@pytest.mark.parametrize("name", ["numpy", "click", "PIL", "onnxruntime", "json"])
def test_folder_with_the_name_of_what_we_import_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("")
    result = enter("gan-batch", "--count", "1", "--model", "bundled", before=tmp_path)
    fails_in_one_line(result, 2, f"{tmp_path / name}/__init__.py is in the way")


def test_file_that_nothing_imports_is_not_blamed_for_another_error(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("")
    (tmp_path / "test").mkdir()
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['prometheus_client'] = None")
    result = enter("gan-batch", "status", tmp_path, "--debug", before=tmp_path)
    assert result.returncode == 66
    options = ["--count", "1", "--model", "bundled", "--metrics-file", str(tmp_path / "a.prom")]
    fails_in_one_line(enter("gan-batch", *options, before=tmp_path), 69, "prometheus_client, which is not installed")


def test_package_that_was_installed_into_a_folder_of_the_path_is_used(tmp_path: Path) -> None:
    (tmp_path / "click").symlink_to(Path(click.__file__).parent)
    (tmp_path / "click-8.dist-info").mkdir()
    assert enter("gan-batch", "--help", before=tmp_path).returncode == 0


def test_file_that_the_command_does_not_import_is_not_in_its_way(tmp_path: Path) -> None:
    (tmp_path / "gan.py").write_text("")
    (tmp_path / "jobs").mkdir()  # no package: Python goes on to ours
    result = enter("gan-batch", "--help", before=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")


def test_every_command_comes_through_the_front_door() -> None:
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    scripts = settings["options.entry_points"]["console_scripts"].split("\n")[1:]
    doors = {f"{command} = synthetic_defects:{command.replace('-', '_')}" for command in COMMANDS}
    assert set(scripts) == doors
    assert [door for door in doors if not hasattr(synthetic_defects, door.rpartition(":")[2])] == []


@pytest.mark.parametrize(
    "command", ["gan-train PHOTOS --out m", "gan-eval quality PHOTOS others", "gan-export onnx w.pth"]
)
def test_lean_install_says_what_to_install(command: str, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['torch'] = None")
    (tmp_path / "w.pth").touch()
    shutil.copytree(photos, tmp_path / "others")
    words = [str(photos) if word == "PHOTOS" else word for word in command.split()]
    result = run(*words, cwd=tmp_path, PYTHONPATH=str(tmp_path))
    fails_in_one_line(result, 69, "torch, which is not installed", "pip install .")
    assert "bug" not in result.stderr


def test_without_click_no_command_calls_it_a_bug(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['click'] = None")
    fails_in_one_line(enter("gan-batch", "--help", before=tmp_path), 69, "click", "pip install")


@pytest.mark.parametrize(("command", "module"), COMMANDS.items())
def test_version_is_that_of_the_package(command: str, module: str) -> None:
    cli = importlib.import_module(module).cli
    result = CliRunner().invoke(cli, ["--version"], prog_name=command)
    assert (result.exit_code, result.stdout) == (0, f"{command} {models.__version__}\n")
    assert "version = attr: models.__version__\n" in (ROOT / "setup.cfg").read_text(encoding="utf-8")


def test_variable_named_like_the_version_does_not_end_the_command(tmp_path: Path) -> None:
    fails_in_one_line(run("gan-batch", "status", tmp_path, GAN_BATCH_VERSION="1"), 66, str(tmp_path))
