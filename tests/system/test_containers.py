"""Dockerfile, Dockerfile.cuda and compose.yaml: linters read them, and their steps and commands are run."""

from __future__ import annotations

import difflib
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import models
from tests.conftest import ROOT, SCRIPTS
from tests.system.conftest import lint
from tests.system.image import Box, build, is_in_context, stages, system, why_no_box

DOCKERFILES = [ROOT / "Dockerfile", ROOT / "Dockerfile.cuda"]
needs_box = pytest.mark.skipif(bool(why_no_box()), reason=str(why_no_box()))  # it says what the machine lacks


def yaml(name: str) -> list[dict[str, Any]]:
    """The documents of a file of the checkout."""
    reader = pytest.importorskip("yaml", reason="in the extra test")
    return list(reader.safe_load_all((ROOT / name).read_text()))


def compose() -> dict[str, Any]:
    return dict(yaml("compose.yaml")[0]["services"])


def nightly() -> dict[str, Any]:
    """The container of the CronJob."""
    _, job = yaml("deploy/kubernetes/nightly/cronjob.yaml")
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    return dict(container)


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_linter_finds_nothing_in_a_dockerfile(path: Path) -> None:
    result = lint("hadolint", path)
    assert (result.returncode, result.stdout) == (0, "")


def test_schema_of_compose_knows_all_that_the_file_says() -> None:
    result = lint("check-jsonschema", "--builtin-schema", "vendor.compose-spec", ROOT / "compose.yaml")
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_dockerfile_copies_what_is_there_and_ends_as_nobody_special(path: Path) -> None:
    first, last = stages(path)
    copied = [name for words in first.words_of("COPY") for name in words.split()[:-1]]
    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert {"gan", "export", "jobs", "models", "synthetic_defects.py"} <= set(copied)
    files = [name for name in copied if (ROOT / name).is_file()]
    assert [name for name in files if not is_in_context(name)] == []
    assert last.words_of("COPY") == ["--from=build /opt/gan-batch /opt/gan-batch"]
    assert last.words_of("USER") == ["10001:10001"]
    assert last.environment["ORT_DISABLE_TELEMETRY"] == "1"
    assert "torch" not in path.read_text().replace("PyTorch", "")


def test_photos_and_checkpoints_are_not_sent_to_whoever_builds() -> None:
    sent = ["models/steel_scratches_128.onnx", "models/info.py", "jobs/workers/pool.py", "LICENSE"]
    kept = [
        *("models/generator_model.pth", "models/generator.onnx", "models/samples/reals.png", "datasets/mine/a.png"),
        *(".git/config", "synthetic/run/images/00000/00000000.png", ".venv/bin/python", "jobs/__pycache__/a.pyc"),
        *("tests/conftest.py", ".env"),
    ]
    assert [name for name in sent if not is_in_context(name)] == []
    assert [name for name in kept if is_in_context(name)] == []


def test_images_differ_in_the_runtime_alone() -> None:
    def steps(path: Path) -> list[str]:
        text = "\n".join(line for line in path.read_text().splitlines() if not line.startswith("#"))
        return text.splitlines()

    changes = [line for line in difflib.ndiff(*map(steps, DOCKERFILES)) if line[0] in "-+"]
    assert all(re.search(r"sed -i 's/\^onnxruntime-gpu|LABEL|CUDA|cuda", line) for line in changes), changes
    assert stages(DOCKERFILES[1])[1].environment["GAN_BATCH_DEVICE"] == "cuda"


def test_compose_mounts_the_model_read_only_and_gives_nothing_else_away() -> None:
    services = compose()
    plain, cuda = services["gan-batch"], services["gan-batch-cuda"]
    assert {volume["target"]: volume.get("read_only", False) for volume in plain["volumes"]} == {
        "/data/models": True,
        "/data/synthetic": False,
    }
    assert (plain["read_only"], plain["network_mode"], plain["cap_drop"]) == (True, "none", ["ALL"])
    assert (cuda["extends"], cuda["build"]["dockerfile"]) == ({"service": "gan-batch"}, "Dockerfile.cuda")
    (device,) = cuda["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}


def furnished(folder: Path) -> tuple[Path, Path, Path]:
    """A folder to mount a box at, one with a model, and one for runs."""
    places = folder / "point", folder / "models", folder / "synthetic"
    for place in places:
        place.mkdir()
    shutil.copy(models.path(), places[1] / "generator.onnx")
    return places


def few(words: list[str]) -> list[str]:
    """A command of a file with few images."""
    assert "100000" in words
    return [word.replace("100000", "60") for word in words]


def is_whole(synthetic: Path) -> None:
    """Assert that the run is there, published, and that nothing else was written."""
    assert len(list((synthetic / "latest/images/00000").glob("*.png"))) == 60
    assert len(list(synthetic.iterdir())) == 2


@needs_box
def test_commands_run_without_a_home_or_a_name_where_nothing_else_can_be_written(tmp_path: Path) -> None:
    """That of compose.yaml, then that of the CronJob, which finds nothing to do. With the installation of this
    environment: what Dockerfile installs is a long test."""
    point, with_model, synthetic = furnished(tmp_path)
    last = stages(DOCKERFILES[0])[-1]
    prefix = {str(path): path for path in (ROOT, SCRIPTS.parent)}
    box = Box(
        point, {**system(), **prefix, "/data/models": with_model}, {"/data/synthetic": synthetic},
        folder=last.words_of("WORKDIR")[0],
    )  # fmt: skip
    environment = {**last.environment, "PATH": f"{SCRIPTS}:/usr/bin:/bin"}
    probe = 'for place in / /data /data/models "$0"; do touch "$place/here" 2>/dev/null && echo "$place"; done; id -u'
    result = box.run(["sh", "-c", probe, str(ROOT)], environment)
    assert result.stdout == "10001\n", result.stderr
    for command, said in (
        (compose()["gan-batch"]["command"], "60 of them made now"),
        (nightly()["args"], "is complete: 60 images"),
    ):
        result = box.run([*last.entrypoint, *few(command)], environment)
        assert (result.returncode, result.stdout) == (0, ""), result.stderr
        assert said in result.stderr
    is_whole(synthetic)


@pytest.mark.long
@needs_box
def test_steps_of_dockerfile_make_an_installation_that_runs_read_only(tmp_path: Path) -> None:
    """Needs the network, as a build does."""
    image = build(DOCKERFILES[0], tmp_path)
    assert oct((image / "data/synthetic").stat().st_mode)[-4:] == "1777"
    installed = {path.name.partition("-")[0] for path in image.glob("opt/gan-batch/lib/python*/site-packages/*-info")}
    assert {"onnxruntime", "synthetic_defects", "numpy"} <= installed
    assert installed & {"torch", "onnxruntime_gpu", "pip", "setuptools"} == set()
    _, with_model, synthetic = (tmp_path / name for name in ("", "models", "synthetic"))
    with_model.mkdir()
    synthetic.mkdir()
    shutil.copy(models.path(), with_model / "generator.onnx")
    last = stages(DOCKERFILES[0])[-1]
    box = Box(
        tmp_path / "point", {**system(), "/opt": image / "opt", "/data/models": with_model},
        {"/data/synthetic": synthetic}, folder="/data",
    )  # fmt: skip
    result = box.run([*last.entrypoint, *few(compose()["gan-batch"]["command"])], last.environment)
    assert (result.returncode, result.stdout) == (0, ""), result.stderr
    is_whole(synthetic)
    assert "Usage: gan-batch" in box.run([*last.entrypoint, "--help"], last.environment).stdout
