"""The comparison for a person: the table, the page that holds its pictures, and JSON."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image

from gan.eval_cli import quality_command
from gan.evaluation.comparison import Quality, Sets, Sources, compare
from gan.evaluation.copying import Pair
from gan.evaluation.panels import panels
from gan.evaluation.report import report_page
from gan.evaluation.summary import quality_json, table
from gan.evaluation.verdict import distrust, findings
from gan.photos.read import ImageSet
from models.flags import in_flags
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
    drawn = len(panels(quality, sets))
    assert len(parsed.sources) == 2 + drawn + 16 + 1
    assert all(source.startswith("data:image/png;base64,") for source in parsed.sources)
    assert "<script" not in text
    assert "http" not in text
    assert json.dumps(evil)[1:-1] not in text
    grid = Image.open(io.BytesIO(base64.b64decode(parsed.sources[0].split(",")[1])))
    assert (grid.mode, grid.size) == ("L", (2 + 4 * 66, 2 + 8 * 66))
    assert np.array_equal(np.asarray(grid)[2:66, 2:66], fakes.images[0, 0].numpy())  # the very pixels: one scale
    pair = Image.open(io.BytesIO(base64.b64decode(parsed.sources[2 + drawn].split(",")[1])))
    assert np.array_equal(np.asarray(pair)[2:66, 68:132], pairs[0].train[0].numpy())


def test_page_of_colour_images_without_training_images() -> None:
    colour = torch.cat([plates(20, seed).images for seed in (3, 4, 5)], dim=1)[..., ::2, ::2]
    sets = Sets(of(colour), of(colour.flip(0)))
    quality, pairs = compare(sets, Sources("real", "fake"), SMALL, 0)
    text = report_page(quality, sets, pairs)
    assert "needs the photos that were trained on (<code>train</code>)" in text
    picture = re.search('base64,([^"]+)', text)
    assert picture is not None
    assert Image.open(io.BytesIO(base64.b64decode(picture[1]))).mode == "RGB"


def test_page_says_first_what_to_distrust_then_shows_images_then_figures(fresh: tuple[Quality, list[Pair]]) -> None:
    quality = dataclasses.replace(fresh[0], identical=3)
    text = report_page(quality, Sets(plates(60, 1), plates(80, 3)), [])
    asked = "3 images are real photos", "Generated images</h2>", "What the lines are like</h2>", "KID × 1000</th>"
    places = [text.index(part) for part in asked]
    assert places == sorted(places)


def test_photos_beside_photos_are_told_nothing(fresh: tuple[Quality, list[Pair]]) -> None:
    assert findings(fresh[0]) == []
    assert distrust(fresh[0]) == "Nothing measured here sets these images apart from the photos."


def faulty(quality: Quality, fault: str) -> Quality:
    """The comparison with one fault."""
    lines = quality.lines
    if fault == "kind":
        return dataclasses.replace(quality, lines=dataclasses.replace(lines, missing=("dark lines",)))
    if fault == "soft":
        return dataclasses.replace(quality, lines=dataclasses.replace(lines, apart=("softer edges",)))
    if fault == "patch":
        rough = dataclasses.replace(quality.spots.rough, images=0.1, photos=0.02, errors=9.0, errors_floor=2.0)
        return dataclasses.replace(quality, spots=dataclasses.replace(quality.spots, rough=rough))
    return dataclasses.replace(
        quality,
        **{
            "photos": {"identical": 1},
            "copies": {"copying_verdict": "suspected"},
            "coverage": {"coverage": 0.3, "coverage_floor": 0.95},
            "precision": {"precision": 0.3, "precision_floor": 0.95},
            "variety": {"ms_ssim": quality.ms_ssim_real + 0.2},
            "look": {"kid_x1000_interval": (50.0, 60.0), "kid_x1000_floor_interval": (-3.0, 9.0)},
        }[fault],
    )


@pytest.mark.parametrize(
    "fault", ["kind", "soft", "patch", "photos", "copies", "coverage", "precision", "variety", "look"]
)
def test_verdict_never_says_all_is_well_over_a_fault(fresh: tuple[Quality, list[Pair]], fault: str) -> None:
    quality = faulty(fresh[0], fault)
    assert len(findings(quality)) == 1
    assert distrust(quality).startswith("Distrust ")


def test_verdict_says_that_copies_were_not_looked_for(fresh: tuple[Quality, list[Pair]]) -> None:
    unasked = dataclasses.replace(fresh[0], copying=None)
    assert "not looked for: that needs `train`" in distrust(unasked)
    assert "not looked for: that needs --train" in in_flags(table(unasked), quality_command)


def test_json_reads_back_as_the_same_numbers(fresh: tuple[Quality, list[Pair]]) -> None:
    values = json.loads(quality_json(fresh[0]))
    assert values["kid_x1000"] == fresh[0].kid_x1000
    assert values["copying"]["verdict"] == "none found"
    assert len(values["spectrum_fake_db"]) == 32
