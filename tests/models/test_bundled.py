"""The generator that comes with the package, from the repository and installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest

import models
from models.golden import Golden
from models.info import GeneratorInfo
from models.latents import Input
from tests.conftest import ROOT, run

SCHEMA_2 = Path(__file__).with_name("data") / "schema_2.onnx"
"""The generator that came with the package before: a DCGAN, in a file that names no inputs."""


@pytest.fixture(scope="module")
def info() -> GeneratorInfo:
    """What the bundled file says of itself."""
    session = onnxruntime.InferenceSession(models.path(), providers=["CPUExecutionProvider"])
    return GeneratorInfo.from_metadata(session.get_modelmeta().custom_metadata_map)


def test_bundled_file_is_where_path_says() -> None:
    assert models.path().is_file()


def test_bundled_file_makes_gray_images_of_128_pixels(info: GeneratorInfo) -> None:
    assert (info.channels, info.height, info.width) == (1, 128, 128)


@pytest.mark.parametrize(("path", "schema", "z_dim"), [(models.path(), 4, 128), (SCHEMA_2, 2, 100)])
def test_files_of_this_and_an_earlier_schema_give_their_golden_images(path: Path, schema: int, z_dim: int) -> None:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    info = GeneratorInfo.from_metadata(session.get_modelmeta().custom_metadata_map)
    assert (info.schema_version, info.inputs) == (schema, {"z": Input("float32", (z_dim,))})
    golden = Golden.from_dict(info.golden)
    assert golden.fault(info.inputs, lambda inputs: session.run(["images", "pixels"], inputs)) == ""


def test_bundled_file_says_that_no_faults_were_found(info: GeneratorInfo) -> None:
    assert info.faults == ()


def test_bundled_file_says_how_it_was_trained(info: GeneratorInfo) -> None:
    assert info.training["kimg"] > 0


def test_bundled_file_carries_its_parity_with_pytorch(info: GeneratorInfo) -> None:
    assert info.parity


def test_model_card_lies_beside_the_bundled_file() -> None:
    assert models.path().with_name("MODEL_CARD.md").read_text().startswith("# ")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that `pip install --target` filled from a copy of what git knows of this repository."""
    copy, target = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("site")
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if not name.startswith("tests/") and (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    result = run(
        sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
        "--no-build-isolation", "--target", target, ".", cwd=copy,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return target


def test_installed_package_brings_the_bundled_file(installed: Path, tmp_path: Path) -> None:
    result = run(
        sys.executable, "-c", "import models; print(models.path())", cwd=tmp_path, PYTHONPATH=os.fspath(installed)
    )
    path = Path(result.stdout.strip())
    assert path.is_relative_to(installed), result.stderr
    assert path.read_bytes() == models.path().read_bytes()


def test_installed_package_brings_the_model_card(installed: Path) -> None:
    assert (installed / "models" / "MODEL_CARD.md").is_file()


def test_installed_gan_batch_works_from_any_folder(installed: Path, tmp_path: Path) -> None:
    result = run(
        installed / "bin" / "gan-batch", "--model", "bundled", "--count", "2", "--seed", "1", "--out", "night",
        cwd=tmp_path, PYTHONPATH=os.fspath(installed),
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert len(list((tmp_path / "night" / "images" / "00000").glob("*.png"))) == 2
