"""The comparison as a whole, with a small feature network: copies, noise, floors, and pictures."""

from __future__ import annotations

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from gan import evaluate
from gan.evaluation.features import FeatureNetwork
from gan.evaluation.metrics import density_coverage
from gan.evaluation.quality import MIRRORS, Pair, Quality, Sets, ideal_coverage, measure
from gan.evaluation.report import page, table, to_json
from gan.photos.read import ImageSet
from models.errors import CommandError, ExitCode
from tests.conftest import scratch, surface, write_photos

SMALL = FeatureNetwork("small", lambda images: adaptive_avg_pool2d(images[:, :1], 8).flatten(1))
"""64 means of places: in its eyes an image and its mirror image differ."""
NAMES = ("real", "fake", "train")


def plates(count: int, seed: int) -> ImageSet:
    random = np.random.default_rng(seed)
    images = np.stack([scratch(random, 64, 64) for _ in range(count)])
    return ImageSet(torch.from_numpy(images)[:, None], [f"{seed}-{number}.png" for number in range(count)])


def of(images: Tensor, name: str = "fake") -> ImageSet:
    return ImageSet(images, [f"{name}-{number}.png" for number in range(len(images))])


def compare(fake: ImageSet, train: ImageSet | None = None) -> tuple[Quality, list[Pair]]:
    return measure(Sets(plates(60, 1), fake, train), SMALL, 0, NAMES)


@pytest.fixture(scope="module")
def train() -> ImageSet:
    return plates(60, 2)


@pytest.fixture(scope="module")
def fresh(train: ImageSet) -> tuple[Quality, list[Pair]]:
    """Of fakes that are photos of the same source, which neither set holds."""
    return compare(plates(80, 3), train)


def test_fresh_photos_score_about_as_the_floor_and_are_no_copies(fresh: tuple[Quality, list[Pair]]) -> None:
    found, pairs = fresh
    assert (found.n_real, found.n_fake, found.n_train, found.image_size, found.channels) == (60, 80, 60, 64, 1)
    assert found.floor_of == "--train against REAL"
    assert found.kid_x1000_interval[0] < 0 < found.kid_x1000_interval[1]
    assert found.density == pytest.approx(1, abs=0.4)
    assert found.coverage == pytest.approx(found.coverage_ideal, abs=0.1)
    assert found.ms_ssim == pytest.approx(found.ms_ssim_real, abs=0.05)
    assert found.spectrum_distance_db < 2
    assert len(found.spectrum_real_db) == len(found.spectrum_fake_db) == 32
    assert found.copying is not None
    assert found.copying.verdict == found.copying_verdict == "none found"
    assert len(pairs) == 16
    assert [pair.distance for pair in pairs] == sorted(pair.distance for pair in pairs)


@pytest.mark.parametrize("mirror", MIRRORS)
def test_copies_of_training_images_are_found_in_every_orientation(train: ImageSet, mirror: str) -> None:
    noise = torch.randint(0, 3, train.images.shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    copies = (train.images.clamp(0, 250) + noise).flip(MIRRORS[mirror])
    found, pairs = compare(of(torch.cat([plates(60, 3).images, copies])), train)
    assert found.copying is not None
    assert (found.copying.verdict, found.copying.below_1st) == ("copies", pytest.approx(0.5, abs=0.05))
    assert found.copying_verdict == "copies"
    assert found.pixel_copying is not None
    assert found.pixel_copying.below_1st > 0.4
    for pair in pairs:
        assert pair.mirror == mirror
        assert int(pair.fake_name[5:-4]) - 60 == int(pair.train_name[2:-4])
        assert int((pair.fake.int() - pair.train.int()).abs().max()) <= 8  # shown as they match, side by side


def test_copies_that_features_take_for_others_are_found_by_pixels(train: ImageSet) -> None:
    grain = FeatureNetwork("grain", lambda images: adaptive_avg_pool2d(images[:, :1].diff().abs(), 8).flatten(1))
    noise = torch.randn(train.images.shape, generator=torch.Generator().manual_seed(1)) * 8
    noisy = (train.images.float() + noise).round().clamp(0, 255).to(torch.uint8)
    found, pairs = measure(Sets(plates(60, 1), of(noisy), train), grain, 0, NAMES)
    assert found.copying is not None
    assert (found.copying.verdict, found.copying_verdict) == ("none found", "copies")
    for pair in pairs:  # those that are nearest by pixels
        assert int(pair.fake_name[5:-4]) == int(pair.train_name[2:-4])


def test_noise_is_far_from_the_photos_and_no_copy(train: ImageSet) -> None:
    noise = torch.randint(256, (60, 1, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    found, _ = compare(of(noise), train)
    assert found.kid_x1000_interval[0] > found.kid_x1000_floor_interval[1]
    assert (found.density, found.coverage) == (0, 0)
    assert found.spectrum_distance_db > 5 * found.spectrum_floor_db
    assert found.copying is not None
    assert found.copying.verdict == "none found"


def test_one_image_again_and_again_has_no_diversity(train: ImageSet) -> None:
    found, _ = compare(of(plates(1, 3).images.expand(40, -1, -1, -1)), train)
    assert found.ms_ssim == pytest.approx(1)
    assert found.ms_ssim_real < 0.8
    assert found.coverage < 0.5


def test_without_training_images_the_floor_is_of_halves_and_copies_are_not_looked_for() -> None:
    found, pairs = compare(plates(40, 3))
    assert found.floor_of == "two random halves of REAL"
    assert (found.n_train, found.copying, found.copying_verdict, pairs) == (0, None, None, [])
    assert found.kid_x1000_floor_interval[0] < 0 < found.kid_x1000_floor_interval[1]


def test_same_images_and_seed_give_the_same_numbers(fresh: tuple[Quality, list[Pair]], train: ImageSet) -> None:
    assert compare(plates(80, 3), train)[0] == fresh[0]


def test_images_of_different_shapes_are_refused() -> None:
    small = of(torch.zeros(20, 1, 32, 32, dtype=torch.uint8))
    with pytest.raises(ValueError, match="different shapes"):
        compare(small)


def test_ideal_coverage_is_what_images_of_one_source_reach_on_average() -> None:
    generator = torch.Generator().manual_seed(1)
    covered = [
        density_coverage(torch.randn(30, 3, generator=generator), torch.randn(20, 3, generator=generator))[1]
        for _ in range(300)
    ]
    assert sum(covered) / 300 == pytest.approx(ideal_coverage(30, 20), abs=0.01)
    assert ideal_coverage(10**6, 10**6) == pytest.approx(1 - 1 / 2**5, abs=1e-4)


def test_table_has_every_number_beside_that_of_real_photos(fresh: tuple[Quality, list[Pair]]) -> None:
    lines = table(fresh[0]).splitlines()
    names = (
        "KID × 1000",
        "density",
        "coverage",
        "MS-SSIM",
        "spectrum",
        "train distance",
        "near",
        "very near",
        "pixel distance",
        "pixels very near",
        "copying",
    )
    for name in names:
        assert sum(line.startswith(f"{name}  ") for line in lines) == 1, name
    header = next(line for line in lines if "real photos" in line and "fakes  " in line)
    kid = next(line for line in lines if line.startswith("KID"))
    assert kid.index(f"{fresh[0].kid_x1000_floor:.1f} (") == header.index("real photos")
    assert "3 scales" in table(fresh[0])


class Page(HTMLParser):
    """Collects what a page asks for, and checks that what is opened is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.sources += [str(value) for name, value in attributes if name in {"src", "href", "xlink:href"}]
        if tag not in {"img", "meta", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_page_is_whole_holds_its_pictures_and_asks_for_nothing(train: ImageSet) -> None:
    evil = '"><script>alert(1)</script>.png'
    fakes = plates(40, 3)
    sets = Sets(plates(60, 1), ImageSet(fakes.images, [evil] * 40), train)
    quality, pairs = measure(sets, SMALL, 0, ("real", evil, "train"), (evil,))
    text = page(quality, sets, pairs)
    parsed = Page()
    parsed.feed(text)
    assert parsed.open == []
    assert len(parsed.sources) == 2 + 16
    assert all(source.startswith("data:image/png;base64,") for source in parsed.sources)
    assert "<script" not in text
    assert "http" not in text
    assert json.dumps(evil)[1:-1] not in text
    grid = Image.open(io.BytesIO(base64.b64decode(parsed.sources[0].split(",")[1])))
    assert (grid.mode, grid.size) == ("L", (2 + 8 * 66, 2 + 4 * 66))
    assert np.array_equal(np.asarray(grid)[2:66, 2:66], fakes.images[0, 0].numpy())  # the very pixels: one scale
    pair = Image.open(io.BytesIO(base64.b64decode(parsed.sources[2].split(",")[1])))
    assert np.array_equal(np.asarray(pair)[2:66, 68:132], pairs[0].train[0].numpy())


def test_page_of_colour_images_without_training_images(train: ImageSet) -> None:
    colour = torch.cat([plates(20, seed).images for seed in (3, 4, 5)], dim=1)
    sets = Sets(of(colour), of(colour.flip(0)))
    quality, pairs = measure(sets, SMALL, 0, ("real", "fake", None))
    text = page(quality, sets, pairs)
    assert "give <code>--train</code>" in text
    picture = re.search('base64,([^"]+)', text)
    assert picture is not None
    assert Image.open(io.BytesIO(base64.b64decode(picture[1]))).mode == "RGB"


def test_json_reads_back_as_the_same_numbers(fresh: tuple[Quality, list[Pair]]) -> None:
    values = json.loads(to_json(fresh[0]))
    assert values["kid_x1000"] == fresh[0].kid_x1000
    assert values["copying"]["verdict"] == "none found"
    assert len(values["spectrum_fake_db"]) == 32


class TestFolders:
    @pytest.fixture
    def folders(self, tmp_path: Path) -> tuple[Path, Path]:
        return write_photos(tmp_path / "real", 20, 1), write_photos(tmp_path / "fake", 10, 2)

    @pytest.fixture(autouse=True)
    def _small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("gan.evaluation.quality.load_features", lambda name, device: SMALL)

    def refused(self, code: ExitCode, words: str, real: Path, fake: Path, train: Path | None = None) -> None:
        with pytest.raises(CommandError, match=words) as caught:
            evaluate(real, fake, train=train, image_size=32)
        assert caught.value.exit_code == code

    def test_overlapping_folders_are_refused_with_2(self, folders: tuple[Path, Path], tmp_path: Path) -> None:
        real, fake = folders
        inside = write_photos(real / "inside", 10, 3)
        self.refused(ExitCode.USAGE, "REAL .* and FAKE", real, inside)
        self.refused(ExitCode.USAGE, "REAL .* and FAKE", inside, real)
        self.refused(ExitCode.USAGE, "REAL .* and --train", real, fake, real / ".." / "real")
        self.refused(ExitCode.USAGE, "--train .* and FAKE", real, fake, fake)

    def test_photos_that_were_trained_on_are_left_out_with_a_note(
        self, folders: tuple[Path, Path], tmp_path: Path
    ) -> None:
        real, fake = folders
        train = write_photos(tmp_path / "train", 12, 4)
        for path in sorted(real.iterdir())[:5]:
            (train / f"again_{path.name}").write_bytes(path.read_bytes())
        found = evaluate(real, fake, train=train, image_size=32)
        assert (found.n_real, found.n_train) == (15, 17)
        assert "5 photos of REAL are in --train, too, and were left out" in found.notes
        for path in sorted(real.iterdir())[5:11]:
            (train / f"again_{path.name}").write_bytes(path.read_bytes())
        self.refused(ExitCode.BAD_DATA, "9 photos .* 10 are needed that are not in --train", real, fake, train)

    def test_photos_that_look_like_training_photos_are_told_of(
        self, folders: tuple[Path, Path], tmp_path: Path
    ) -> None:
        real, fake = folders
        train = write_photos(tmp_path / "train", 12, 4)
        for seed in range(12):
            surface(seed).save(train / f"scratch_{seed:03d}.png")
        for seed in range(100, 120):
            surface(seed).save(real / f"scratch_{seed - 100:03d}.png")
        assert evaluate(real, fake, train=train).notes == ()
        surface(7).save(real / "saved_again.jpg", quality=50)
        (note,) = evaluate(real, fake, train=train).notes
        assert note.startswith("1 of 21 held-out photos look like ones trained on")
        assert "such as saved_again.jpg and scratch_007.png" in note

    def test_photos_in_the_place_of_fakes_are_told_of(self, folders: tuple[Path, Path]) -> None:
        real, fake = folders
        for path in sorted(real.iterdir())[:4]:
            (fake / f"again_{path.name}").write_bytes(path.read_bytes())
        assert evaluate(real, fake).notes == ("4 of 14 images of FAKE are photos of REAL, pixel by pixel",)

    def test_halves_need_twice_as_many_photos(self, folders: tuple[Path, Path]) -> None:
        real, fake = folders
        assert evaluate(real, fake, image_size=32).floor_of == "two random halves of REAL"
        next(real.iterdir()).unlink()
        self.refused(ExitCode.BAD_DATA, "19 photos .* 20 are needed without --train", real, fake)
