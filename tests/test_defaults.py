"""A command does without its options what its library does without its arguments, and no default stands twice."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

import export.cli
import gan.cli
import gan.eval_cli
import jobs.cli
from export.onnx_exporter import export_onnx
from export.torch_exporter import export_torch
from gan.evaluation.attributes import attributes
from gan.evaluation.evaluate import evaluate
from gan.evaluation.refusals import CommonShape
from gan.masks_cli import masks_command
from gan.photos.which import Which
from gan.robustness.robustness import examine_detector
from gan.training.marking import learn_masks
from gan.training.run import train
from gan.usefulness.proof import usefulness
from jobs.checks.gate import Gate
from jobs.dataset.convert.conversion import convert
from jobs.dataset.convert.shapes import Shaping
from jobs.workers.engine import Engine, Work
from tests.conftest import ROOT

LIBRARY: list[tuple[click.Command, Callable[..., Any], set[str]]] = [
    (jobs.cli.cli, Gate, {"min_contrast", "max_clipped", "near_duplicate", "max_faulty", "max_near_duplicates"}),
    (jobs.cli.cli.commands["convert"], convert, {"class_name", "copy"}),
    (jobs.cli.cli.commands["convert"], Shaping, {"min_area", "holes", "simplify"}),
    (jobs.cli.cli, Work, {"device", "workers", "batch_size"}),
    (jobs.cli.cli, Engine, {"ray_address", "gpus_per_worker", "shard_timeout"}),
    (export.cli.cli.commands["onnx"], export_onnx, {"opset", "precision", "batch_check", "atol", "overwrite"}),
    (export.cli.cli.commands["torch"], export_torch, {"batch_check", "atol", "overwrite"}),
    (masks_command, learn_masks, {"device", "seed", "steps", "overwrite"}),
    (gan.eval_cli.cli.commands["quality"], evaluate, {"count", "seed", "features", "device"}),
    (gan.eval_cli.cli.commands["quality"], CommonShape, {"channels", "image_size", "fit"}),
    (gan.eval_cli.cli.commands["quality"], Which, {"skip_bad_files", "only", "without", "classes", "missing_masks"}),
    (gan.eval_cli.cli.commands["attributes"], attributes, {"count", "fit"}),
    (gan.eval_cli.cli.commands["robustness"], examine_detector, {"count", "fit", "changes"}),
    (gan.cli.cli, train, {"device", "features"}),
    (gan.cli.cli, Which, {"skip_bad_files", "only", "without", "classes", "missing_masks"}),
    *(
        (gan.eval_cli.cli.commands[name], Which, {"skip_bad_files", "only", "without", "missing_masks"})
        for name in ("attributes", "robustness", "usefulness")
    ),
    (gan.eval_cli.cli.commands["usefulness"], CommonShape, {"channels", "image_size", "fit"}),
    (gan.eval_cli.cli.commands["usefulness"], usefulness, {"detector", "metric", "subsets", "seeds", "batch_size"}),
]
"""A command, what it calls, and some of the names that both have: all that they share are compared."""
RENAMED = {"quality_gate": (jobs.cli.cli, Gate, "mode"), "engine": (jobs.cli.cli, Engine, "name")}
OPTION_FILES = [*ROOT.glob("*/*cli.py"), ROOT / "jobs" / "options.py", ROOT / "gan" / "pattern_options.py"]
WITHOUT_CHOICE = (None, False, 0, "", "auto", "local", "text")
"""What may be typed at an option: it says nothing, or lets the program choose."""


def usual(command: click.Command) -> dict[str, Any]:
    """What the command passes on where no option is given."""
    return command.make_context("it", [], resilient_parsing=True).params


@pytest.mark.parametrize(("command", "function", "some"), LIBRARY, ids=lambda value: getattr(value, "__name__", ""))
def test_command_and_library_have_the_same_defaults(
    command: click.Command, function: Callable[..., Any], some: set[str]
) -> None:
    theirs = {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is not parameter.empty
    }
    both = theirs.keys() & {each.name for each in command.params if isinstance(each, click.Option)}
    both -= {*RENAMED, "out"}  # gan-eval always writes a report
    assert some <= both
    assert {name: usual(command)[name] for name in both} == {name: theirs[name] for name in both}


@pytest.mark.parametrize("option", RENAMED)
def test_renamed_options_have_the_same_defaults(option: str) -> None:
    command, kind, name = RENAMED[option]
    assert usual(command)[option] == inspect.signature(kind).parameters[name].default


@pytest.mark.parametrize("path", OPTION_FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_default_of_the_library_is_typed_again_at_an_option(path: Path) -> None:
    typed = [
        node.value.value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.keyword) and node.arg == "default" and isinstance(node.value, ast.Constant)
    ]
    own = {"synthetic/{date}"} if path.parent.name == "jobs" else set()  # the library is always told where
    assert [value for value in typed if value not in WITHOUT_CHOICE and value not in own] == []


def test_an_option_file_is_found_for_each_command() -> None:
    assert {path.name for path in OPTION_FILES} >= {"cli.py", "eval_cli.py", "masks_cli.py", "options.py"}
