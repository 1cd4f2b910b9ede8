"""The page of `gan-export page` in a real browser, opened by a double click and from its server."""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from PIL import Image

import models
from models.latents import Input, inputs
from tests.browser import Browser, running
from tests.export.conftest import info_of, run_in_process
from tests.export.pages import runtime, served

HELD = [0, 3, 4, 5]
"""Latents that only steps change, of `pages.PARTS`."""
BIG_SEED = 2**64 - 1


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with running(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, page_folder: Path) -> Browser:
    """The page opened by a double click, once; each test finds image 0 of seed 1 and nothing ticked."""
    browser.look(1280, 800)
    address = (page_folder / "index.html").as_uri()
    if browser.evaluate("location.href") != address:
        opened(browser, address)
    browser.evaluate("document.querySelectorAll('[type=checkbox]').forEach((box) => { box.checked = false; })")
    show(browser, 1, 0)
    return browser


def opened(browser: Browser, address: str) -> Browser:
    browser.requests.clear()
    browser.complaints.clear()
    browser.open(address)
    settled(browser)
    browser.wait("!document.getElementById('walk').disabled")
    return browser


def settled(page: Browser) -> None:
    page.wait("['ready', 'failed'].includes(document.body.dataset.state)")
    assert page.evaluate("document.body.dataset.state") == "ready", page.evaluate("document.body.innerText")


def show(page: Browser, seed: int, index: int, label: int = 0) -> None:
    page.evaluate(f"""of('seed').value = '{seed}'; of('index').value = '{index}'; of('class').value = {label};
        of('class').dispatchEvent(new Event('change')); of('show').click()""")
    settled(page)


def put(page: Browser, control: str, value: float) -> None:
    """Move a slider as a hand does."""
    page.evaluate(f"of('{control}').value = {value}; of('{control}').dispatchEvent(new Event('input'))")
    settled(page)


def seen(page: Browser) -> NDArray[np.uint8]:
    """What the canvas shows: uint8 `[H, W, 3]`."""
    text = page.evaluate("""(() => { const { width, height } = of('image');
        const { data } = of('image').getContext('2d').getImageData(0, 0, width, height);
        return JSON.stringify([height, width, Array.from(data)]); })()""")
    height, width, values = json.loads(text)
    return np.array(values, np.uint8).reshape(height, width, 4)[..., :3]


def latent(page: Browser) -> NDArray[np.float32]:
    return np.array(page.evaluate("Array.from(now.inputs.z)"), np.float32)


def expected(file: Path, seed: int, index: int, label: int = 0) -> NDArray[np.uint8]:
    """What ONNX Runtime gives for image `index`: uint8 `[H, W, C]`."""
    needed = info_of(file).inputs
    feeds = inputs(seed, index, index + 1, needed, np.array([label]) if "label" in needed else None)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    pixels: NDArray[np.uint8] = session.run(["pixels"], feeds)[0][0]
    return pixels


def difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> int:
    return int(np.abs(one.astype(int) - other.astype(int)).max())


IMAGES = [(1, 0, 0), (1, 1023, 1), (1, 1024, 0), (20261122, 73121, 1), (BIG_SEED, 10**12, 0)]


def test_image_i_is_that_of_a_run_and_nothing_outside_is_asked(
    page: Browser, page_model: Path, page_folder: Path
) -> None:
    for seed, index, label in IMAGES:
        show(page, seed, index, label)
        assert difference(seen(page), expected(page_model, seed, index, label)) <= 1
        assert f"image {index} with seed {seed}" in page.evaluate("of('origin').textContent")
    assert (own := page_folder.as_uri() + "/") in page.requests[0]
    assert [each for each in page.requests if not each.startswith((own, "blob:"))] == []
    assert page.complaints == []


def test_served_page_asks_its_own_address_alone(browser: Browser, page_model: Path, page_folder: Path) -> None:
    with served(page_model, page_folder) as (_, address):
        opened(browser, address)
        assert difference(seen(browser), expected(page_model, 1, 0)) <= 1
        assert [each for each in browser.requests if not each.startswith((address, "blob:"))] == []
        with pytest.raises(AssertionError, match=r"Content Security Policy|Failed to fetch"):
            browser.evaluate("fetch('http://127.0.0.1:9/').then((found) => found.status)")  # even if a script wanted to


def test_wrong_numbers_are_told_and_change_nothing(page: Browser) -> None:
    before = seen(page)
    for seed, index in ((2**64, "0"), ("1e3", "0"), ("-1", "0"), ("1", "1.5"), ("1", "")):
        page.evaluate(f"of('seed').value = '{seed}'; of('index').value = '{index}'; of('show').click()")
        assert "a whole number from 0" in page.evaluate("of('status').textContent")
        assert page.evaluate("document.querySelectorAll('[aria-invalid=true]').length") == 1
    assert (seen(page) == before).all()


def test_sliders_and_walks_move_the_content_alone(page: Browser) -> None:
    first = latent(page)
    for number in range(page.evaluate("GENERATOR.directions.length")):
        put(page, f"slider-{number}", 2.5)
        assert page.evaluate(f"along(now.inputs.z, content, GENERATOR.directions[{number}].values)") == pytest.approx(
            2.5
        )
    moved = latent(page)
    assert (moved[HELD] == first[HELD]).all()
    assert (moved[1:3] != first[1:3]).all()
    assert "by hand" in page.evaluate("of('origin').textContent")


def test_walk_does_not_jump_and_ends_where_it_is_told_to(page: Browser, page_model: Path) -> None:
    show(page, 1, 5, 0)
    page.evaluate("of('from').click()")
    start = latent(page)
    show(page, 1, 8, 1)
    page.evaluate("of('to').click()")
    end = latent(page)
    frames = []
    for step in range(21):
        put(page, "walk", step / 20)
        assert (latent(page)[HELD] == start[HELD]).all()
        frames.append(seen(page))
    assert difference(frames[0], expected(page_model, 1, 5, 0)) <= 1
    whole = difference(frames[0], frames[-1])
    assert max(difference(one, other) for one, other in itertools.pairwise(frames)) < whole / 4
    assert latent(page)[1:3] == pytest.approx(end[1:3], abs=1e-6)
    page.evaluate("of('jump').click()")
    put(page, "walk", 1)
    assert difference(seen(page), expected(page_model, 1, 8, 1)) <= 1
    assert "image 8 with seed 1" in page.evaluate("of('origin').textContent")


def test_steps_change_their_part_and_random_keeps_what_is_held(page: Browser) -> None:
    before = latent(page)
    page.evaluate("document.querySelector('[aria-label=\"Kind: one step on\"]').click()")
    settled(page)
    assert (np.flatnonzero(latent(page) != before) == [0]).all()
    page.evaluate("document.querySelector('[aria-label=\"Right: one step on\"]').click()")
    settled(page)
    assert (np.flatnonzero(latent(page) != before) == [0, 4]).all()
    page.evaluate("of('new-grain').click()")
    settled(page)
    before = latent(page)
    page.evaluate("of('hold-kind').click(); of('hold-shift').click(); of('random').click()")
    settled(page)
    assert (np.flatnonzero(latent(page) != before) == [1, 2, 5]).all()
    page.evaluate("of('hold-kind').click(); of('hold-shift').click(); of('random').click()")
    settled(page)
    index = int(page.evaluate("of('index').value"))
    assert (latent(page) == inputs(1, index, index + 1, {"z": Input("float32", (6,))})["z"][0]).all()


def test_downloads_are_the_image_and_its_mask(page: Browser, page_model: Path, tmp_path: Path) -> None:
    page.download_to(tmp_path)
    show(page, 7, 3, 1)
    page.evaluate("of('download').click(); of('download-mask').click()")
    names = {"7-00000003.png", "7-00000003_mask.png"}
    end = time.monotonic() + 30
    while {path.name for path in tmp_path.iterdir()} != names and time.monotonic() < end:
        time.sleep(0.05)
    with Image.open(tmp_path / "7-00000003.png") as file:
        assert difference(np.asarray(file.convert("RGB")), expected(page_model, 7, 3, 1)) <= 1
    with Image.open(tmp_path / "7-00000003_mask.png") as file:
        assert set(np.unique(np.asarray(file.convert("L")))) == {0, 255}


def test_keyboard_reaches_every_control_and_moves_a_slider(page: Browser) -> None:
    page.evaluate("document.activeElement.blur()")
    reached = []
    for _ in range(60):
        page.press("Tab", 9)
        name = page.evaluate("document.activeElement.id || document.activeElement.ariaLabel || ''")
        if name and name in reached:
            break
        reached.append(name)
    controls = page.evaluate("""[...document.querySelectorAll('button, input, select')]
        .filter((each) => !each.disabled && each.checkVisibility()).map((each) => each.id || each.ariaLabel)""")
    assert [each for each in controls if each not in reached] == []
    unnamed = page.evaluate("""[...document.querySelectorAll('input, select')].filter((each) => each.checkVisibility()
        && !each.labels.length && !each.ariaLabel && !each.getAttribute('aria-label')).map((each) => each.id)""")
    assert unnamed == []
    page.evaluate("of('slider-0').focus()")
    before = page.evaluate("Number(of('slider-0').value)")
    page.press("ArrowRight", 39)
    settled(page)
    assert page.evaluate("Number(of('slider-0').value)") == pytest.approx(before + 0.05)
    page.evaluate("of('index').focus(); of('index').select()")
    page.press("9", 57, "9")
    page.press("Enter", 13, "\r")
    settled(page)
    assert "image 9 with" in page.evaluate("of('origin').textContent")


@pytest.mark.parametrize("dark", [False, True])
def test_page_fits_a_telephone_and_a_desk(page: Browser, dark: bool) -> None:
    page.look(390, 844, dark)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("of('image').getBoundingClientRect().bottom") < 844 / 2
    page.look(1280, 800, dark)
    assert page.evaluate("document.documentElement.scrollHeight") <= 800
    ink, ground = (
        np.mean(list(map(int, re.findall(r"\d+", page.evaluate(f"getComputedStyle(document.body).{of}"))))[:3])
        for of in ("color", "backgroundColor")
    )
    assert abs(ink - ground) > 150
    assert (ink > ground) == dark


@pytest.mark.long
def test_64_images_of_the_bundled_generator(browser: Browser, tmp_path: Path) -> None:
    out = tmp_path / "page"
    result = run_in_process("page", models.path(), "--out", out, "--runtime", runtime())
    assert result.returncode == 0, result.stderr
    page = opened(browser, (out / "index.html").as_uri())
    for index in range(64):
        show(page, 20261122, index)
        assert difference(seen(page), expected(models.path(), 20261122, index)) <= 1
