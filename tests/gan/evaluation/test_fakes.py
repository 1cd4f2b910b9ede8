"""Generated images as they are found: folders, runs of gan-batch, trained generators, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan.evaluation.fakes import read_fakes
from gan.networks.dcgan import Generator
from gan.networks.pixels import to_pixels
from gan.training.snapshots import save
from models.errors import CommandError, ExitCode
from models.latents import latents


def write(folder: Path, count: int, size: tuple[int, int] = (32, 32), mode: str = "L") -> Path:
    """Even plates: image i has the gray value i."""
    for number in range(count):
        path = folder / f"{number // 10:05d}" / f"{number:08d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", size, number).convert(mode).save(path)
    return folder


def refused(code: ExitCode, fake: Path, *words: str, channels: int | None = None, size: int | None = 32) -> None:
    with pytest.raises(CommandError) as caught:
        read_fakes(fake, 20, 0, channels, size)
    assert caught.value.exit_code == code
    for word in words:
        assert word in str(caught.value)


def test_folder_gives_images_evenly_spaced_in_their_order(tmp_path: Path) -> None:
    found, notes = read_fakes(write(tmp_path, 35), 10, 0, None, 32)
    assert found.images.shape == (10, 1, 32, 32)
    assert found.images[:, 0, 5, 5].tolist() == [0, 3, 7, 10, 14, 17, 21, 24, 28, 31]
    assert found.names[:2] == ["00000/00000000.png", "00000/00000003.png"]
    assert notes == ()


def test_folder_with_fewer_images_gives_all(tmp_path: Path) -> None:
    assert read_fakes(write(tmp_path, 12), 1000, 0, None, 32)[0].images[:, 0, 0, 0].tolist() == list(range(12))


def test_run_of_gan_batch_gives_what_its_manifest_lists_and_no_contact_sheet(tmp_path: Path) -> None:
    write(tmp_path, 15)
    Image.new("L", (500, 300)).save(tmp_path / "contact_sheet.png")
    lines = [f"{number},00000/{number:08d}.png,7,,32,32,L,99" for number in range(10)]
    (tmp_path / "manifest.csv").write_text(
        "\n".join(["index,file_name,seed,sha256,width,height,mode,bytes", *lines, ""])
    )
    assert read_fakes(tmp_path, 20, 0, None, 32)[0].names == [f"00000/{number:08d}.png" for number in range(10)]


@pytest.mark.parametrize("name", ["../other/a.png", "/etc/a.png", ""])
def test_manifest_cannot_name_files_elsewhere(tmp_path: Path, name: str) -> None:
    write(tmp_path, 12)
    (tmp_path / "manifest.csv").write_text("index,file_name\n" + f"0,{name}\n" * 12)
    refused(ExitCode.BAD_DATA, tmp_path, "manifest.csv names")


def test_manifest_without_the_column_or_the_files_is_refused_with_65(tmp_path: Path) -> None:
    write(tmp_path, 12)
    (tmp_path / "manifest.csv").write_text("index,name\n0,a.png\n")
    refused(ExitCode.BAD_DATA, tmp_path, "no column file_name")
    (tmp_path / "manifest.csv").write_text("index,file_name\n" + "0,00000/gone.png\n" * 12)
    refused(ExitCode.BAD_DATA, tmp_path, "gone.png", "gan-batch verify")
    (tmp_path / "manifest.csv").write_bytes(b"\xff\xfe\x00")
    refused(ExitCode.BAD_DATA, tmp_path, "cannot be read")


def test_unfinished_run_is_refused_with_66(tmp_path: Path) -> None:
    write(tmp_path, 12)
    (tmp_path / "_manifests").mkdir()
    refused(ExitCode.NO_INPUT, tmp_path, "unfinished run of gan-batch")


def test_colour_is_taken_from_the_files_unless_asked_otherwise(tmp_path: Path) -> None:
    write(tmp_path, 12, mode="RGB")
    assert read_fakes(tmp_path, 20, 0, None, 32)[0].images.shape == (12, 3, 32, 32)
    assert read_fakes(tmp_path, 20, 0, 1, 32)[0].images.shape == (12, 1, 32, 32)


def test_larger_images_are_brought_to_the_size_with_a_note_and_smaller_ones_are_refused(tmp_path: Path) -> None:
    write(tmp_path, 12, (48, 40))
    found, notes = read_fakes(tmp_path, 20, 0, None, 32)
    assert found.images.shape == (12, 1, 32, 32)
    assert notes == ("the fakes are 48×40 and were brought to 32×32",)
    refused(ExitCode.BAD_DATA, tmp_path, "48×40", "--image-size 40", size=None)


def test_images_of_several_sizes_are_refused_with_65(tmp_path: Path) -> None:
    write(tmp_path, 12)
    Image.new("L", (64, 64)).save(tmp_path / "large.png")
    refused(ExitCode.BAD_DATA, tmp_path, "2 sizes", "32×32 and 64×64")


def test_few_damaged_or_no_images_are_refused(tmp_path: Path) -> None:
    refused(ExitCode.BAD_DATA, write(tmp_path / "few", 9), "9 images", "at least 10")
    (tmp_path / "empty").mkdir()
    refused(ExitCode.NO_INPUT, tmp_path / "empty", "no images")
    write(tmp_path / "damaged", 12)
    (tmp_path / "damaged" / "zz.png").write_text("no image")
    refused(ExitCode.BAD_DATA, tmp_path / "damaged", "zz.png", "cannot be read")
    whole = (tmp_path / "damaged" / "00000" / "00000000.png").read_bytes()
    (tmp_path / "damaged" / "zz.png").write_bytes(whole[:-30])
    refused(ExitCode.BAD_DATA, tmp_path / "damaged", "zz.png")


def test_generator_gives_the_images_that_gan_batch_would_make_of_its_latents(tmp_path: Path) -> None:
    torch.manual_seed(1)
    generator = Generator(8, 3, 2).eval()
    save(tmp_path / "generator_model.pth", generator.state_dict())
    found, _ = read_fakes(tmp_path / "generator_model.pth", 60, 5, None, None)
    with torch.no_grad():
        expected = to_pixels(generator(torch.from_numpy(latents(5, 0, 60, 8)))).permute(0, 3, 1, 2)
    assert found.images.shape == (60, 3, 128, 128)
    assert found.names[59] == "image 59 of seed 5"
    assert int((found.images.int() - expected.int()).abs().max()) <= 1
    refused(ExitCode.USAGE, tmp_path / "generator_model.pth", "--channels 1", channels=1, size=None)
    refused(ExitCode.USAGE, tmp_path / "generator_model.pth", "--image-size 64", size=64)


def test_onnx_file_is_refused_with_the_command_that_makes_its_images(tmp_path: Path) -> None:
    model = tmp_path / "generator.onnx"
    model.write_bytes(b"")
    refused(ExitCode.USAGE, model, f"gan-batch --count 20 --model {model} --out fakes")


def test_what_is_no_model_or_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.pth").write_text("no model")
    refused(ExitCode.BAD_DATA, tmp_path / "text.pth", "text.pth")
    refused(ExitCode.NO_INPUT, tmp_path / "nowhere", "nowhere")


def test_sixteen_bit_images_are_gray(tmp_path: Path) -> None:
    for number in range(12):
        Image.fromarray(np.full((32, 32), 257 * number, np.uint16)).save(tmp_path / f"{number:02d}.png")
    assert read_fakes(tmp_path, 20, 0, None, 32)[0].images[:, 0, 0, 0].tolist() == list(range(12))
