"""The comparison for a person: the table, the page that holds its pictures, and JSON."""

from __future__ import annotations

import base64
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import torch
from PIL import Image

from gan.evaluation.comparison import Quality, Sets, Sources, compare
from gan.evaluation.copying import Pair
from gan.evaluation.report import report_page
from gan.evaluation.summary import quality_json, table
from gan.photos.read import ImageSet
from tests.gan.evaluation.conftest import SMALL, of, plates


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
    quality, pairs = compare(sets, Sources("real", evil, "train", notes=(evil,)), SMALL, 0)
    text = report_page(quality, sets, pairs)
    parsed = Page()
    parsed.feed(text)
    assert parsed.open == []
    assert len(parsed.sources) == 2 + 16 + 1
    assert all(source.startswith("data:image/png;base64,") for source in parsed.sources)
    assert "<script" not in text
    assert "http" not in text
    assert json.dumps(evil)[1:-1] not in text
    grid = Image.open(io.BytesIO(base64.b64decode(parsed.sources[0].split(",")[1])))
    assert (grid.mode, grid.size) == ("L", (2 + 8 * 66, 2 + 4 * 66))
    assert np.array_equal(np.asarray(grid)[2:66, 2:66], fakes.images[0, 0].numpy())  # the very pixels: one scale
    pair = Image.open(io.BytesIO(base64.b64decode(parsed.sources[2].split(",")[1])))
    assert np.array_equal(np.asarray(pair)[2:66, 68:132], pairs[0].train[0].numpy())


def test_page_of_colour_images_without_training_images() -> None:
    colour = torch.cat([plates(20, seed).images for seed in (3, 4, 5)], dim=1)[..., ::2, ::2]
    sets = Sets(of(colour), of(colour.flip(0)))
    quality, pairs = compare(sets, Sources("real", "fake"), SMALL, 0)
    text = report_page(quality, sets, pairs)
    assert "needs the photos that were trained on (<code>--train</code>)" in text
    picture = re.search('base64,([^"]+)', text)
    assert picture is not None
    assert Image.open(io.BytesIO(base64.b64decode(picture[1]))).mode == "RGB"


def test_json_reads_back_as_the_same_numbers(fresh: tuple[Quality, list[Pair]]) -> None:
    values = json.loads(quality_json(fresh[0]))
    assert values["kid_x1000"] == fresh[0].kid_x1000
    assert values["copying"]["verdict"] == "none found"
    assert len(values["spectrum_fake_db"]) == 32
