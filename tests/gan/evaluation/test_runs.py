"""What gan-batch leaves, in every layout: the images in their order, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gan.evaluation.generators import TrainedGenerator
from gan.evaluation.images import read_made
from gan.evaluation.runs import image_names, photos_of
from models.errors import CommandError, ExitCode
from models.picks import spread
from tests.conftest import run
from tests.gan.evaluation.made import SHARD, png, write, write_plates, write_run
from tests.jobs.small_models import SIZE, write_model


def values(folder: Path, count: int = 1000) -> list[int]:
    """The gray values of the images that are read."""
    return read_made(folder, count, None, 32, "crop")[0].images[:, 0, 5, 5].tolist()


def refused(code: ExitCode, folder: Path, *words: str) -> None:
    with pytest.raises(CommandError) as caught:
        photos_of(folder, image_names(folder))
    assert caught.value.exit_code == code
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("images", ["", "images/"])
@pytest.mark.parametrize("tarred", [False, True])
@pytest.mark.parametrize("parquet", [False, True])
def test_run_gives_its_images_in_their_order_and_no_sheets_or_masks(
    tmp_path: Path, images: str, tarred: bool, parquet: bool
) -> None:
    write_run(tmp_path, 25, images, tarred, parquet)
    assert values(tmp_path) == list(range(25))
    assert values(tmp_path, 10) == [index * 25 // 10 for index in range(10)]


@pytest.mark.parametrize("tarred", [False, True])
def test_images_of_a_run_are_read_without_its_manifests(tmp_path: Path, tarred: bool) -> None:
    write_run(tmp_path / "run", 25, "images/", tarred)
    assert values(tmp_path / "run" / "images") == list(range(25))
    for path in [tmp_path / "run" / "run.json", tmp_path / "run" / "manifest.csv", *tmp_path.rglob("*.csv")]:
        path.unlink(missing_ok=True)
    (tmp_path / "run" / "_manifests").rmdir()
    (tmp_path / "run" / "masks").rename(tmp_path / "masks")  # no run tells that they are none
    assert values(tmp_path / "run") == list(range(25))


def test_one_tar_file_is_read_alone(tmp_path: Path) -> None:
    write_run(tmp_path, 25, "images/", tarred=True)
    assert values(tmp_path / "images" / "00001.tar") == list(range(10, 20))


def test_run_of_gan_batch_in_tar_files_with_a_parquet_manifest_is_read(exported: Path, tmp_path: Path) -> None:
    options = [
        "--count",
        "30",
        "--seed",
        "5",
        "--shard-size",
        "20",
        "--workers",
        "1",
        "--format",
        "tar",
        "--manifest",
        "parquet",
    ]
    out = tmp_path / "run"
    made = run("gan-batch", *options, "--model", exported, "--out", out, "--device", "cpu", "--quality-gate", "off")
    assert made.returncode == 0, made.stderr
    names = image_names(out)
    assert [name[-12:-4] for name in names] == [f"{index:08d}" for index in range(30)]
    images, _ = read_made(out, 30, None, None, "crop")
    assert images.images.shape == (30, 1, 128, 128)
    asked = TrainedGenerator.open(exported).images(30, 5)
    assert int((images.images.int() - asked.images.int()).abs().max()) <= 1


@pytest.mark.parametrize("tarred", [False, True])
@pytest.mark.parametrize("parquet", [False, True])
def test_masks_of_a_run_come_with_its_images(tmp_path: Path, tarred: bool, parquet: bool) -> None:
    model = write_model(tmp_path / "small.onnx", masks=0.7)
    layout = (["--format", "tar"] if tarred else []) + (["--manifest", "parquet"] if parquet else [])
    options = ["--count", "40", "--seed", "5", "--shard-size", "20", "--workers", "1", "--quality-gate", "off", *layout]
    made = run("gan-batch", *options, "--model", model, "--out", tmp_path / "run", "--device", "cpu")
    assert made.returncode == 0, made.stderr
    found, _ = read_made(tmp_path / "run", 30, None, SIZE, "crop")
    asked = TrainedGenerator.open(model).images(40, 5)
    assert found.masks is not None
    assert asked.masks is not None
    assert torch.equal(found.masks, asked.masks[spread(40, 30)])


def masked_run(folder: Path, masks: list[str]) -> Path:
    """A run whose manifest names these masks of its images, 0 first."""
    write_run(folder, len(masks))
    rows = "".join(f"{index},{index // SHARD:05d}/{index:08d}.png,{name}\n" for index, name in enumerate(masks))
    (folder / "manifest.csv").write_text("index,file_name,mask_file_name\n" + rows)
    for index in range(len(masks)):
        write(folder, {f"masks/00000/{index:08d}.png": png(255 * (index % 2))})
    return folder


def test_masks_that_a_manifest_lacks_or_names_elsewhere_are_refused(tmp_path: Path) -> None:
    names = [f"masks/00000/{index:08d}.png" for index in range(12)]
    found, _ = read_made(masked_run(tmp_path / "whole", names), 12, None, 32, "crop")
    assert found.masks is not None
    assert found.masks[:, 0, 5, 5].tolist() == [0, 255] * 6
    assert read_made(masked_run(tmp_path / "none", [""] * 12), 12, None, 32, "crop")[0].masks is None
    for name, wrong, words in (
        ("lacks", "", "00000003.png has no mask, and other images have"),
        ("gone", "masks/gone.png", "gone.png is in the manifest and not there"),
        ("elsewhere", "../a.png", "names '../a.png'"),
    ):
        run_of = masked_run(tmp_path / name, [*names[:3], wrong, *names[4:]])
        with pytest.raises(CommandError, match=words) as caught:
            read_made(run_of, 12, None, 32, "crop")
        assert caught.value.exit_code == ExitCode.BAD_DATA
    (tmp_path / "whole" / names[3]).write_text("no picture")
    with pytest.raises(CommandError, match=r"00000003.png cannot be read"):
        read_made(tmp_path / "whole", 12, None, 32, "crop")


@pytest.mark.parametrize("name", ["../other/a.png", "/etc/a.png", ""])
def test_manifest_cannot_name_files_elsewhere(tmp_path: Path, name: str) -> None:
    (tmp_path / "manifest.csv").write_text("index,file_name\n" + f"0,{name}\n" * 12)
    refused(ExitCode.BAD_DATA, tmp_path, "manifest.csv names")


def test_manifest_without_the_column_or_the_files_is_refused_with_65(tmp_path: Path) -> None:
    manifest = write_run(tmp_path, 12, tarred=True) / "manifest.csv"
    manifest.write_text("index,name\n0,a.png\n")
    refused(ExitCode.BAD_DATA, tmp_path, "no column file_name")
    for name in ("00000/gone.png", "00000.tar/gone.png"):
        manifest.write_text(f"index,file_name\n0,{name}\n")
        refused(ExitCode.BAD_DATA, tmp_path, "gone.png", "gan-batch verify")
    manifest.write_text("index,file_name\n0,00007.tar/00000000.png\n")
    refused(ExitCode.BAD_DATA, tmp_path, "00007.tar cannot be read")
    manifest.write_bytes(b"\xff\xfe\x00")
    refused(ExitCode.BAD_DATA, tmp_path, "cannot be read")


def test_tar_that_was_cut_off_is_refused_with_65(tmp_path: Path) -> None:
    tar = write_run(tmp_path, 12, tarred=True) / "00000.tar"
    tar.write_bytes(tar.read_bytes()[:700])
    refused(ExitCode.BAD_DATA, tmp_path, "00000.tar")


def test_unfinished_run_is_refused_with_66(tmp_path: Path) -> None:
    (write_run(tmp_path, 12) / "manifest.csv").unlink()
    refused(ExitCode.NO_INPUT, tmp_path, "unfinished run of gan-batch")


def test_folder_without_images_is_refused_with_66(tmp_path: Path) -> None:
    refused(ExitCode.NO_INPUT, tmp_path, "no images")
    assert len(image_names(write_plates(tmp_path, 3))) == 3
