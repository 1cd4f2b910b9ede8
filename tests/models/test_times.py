"""When photos were taken: what names and EXIF tell, and what only looks like a time."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gan.photos.decode import decode
from models.split import split
from models.times import minutes_of, time_of

NEW_YEARS = datetime(2023, 12, 31, 23, 59, 58, tzinfo=UTC).timestamp()
SECONDS = int(NEW_YEARS)
TO_THE_SECOND = [
    "20231231_235958.png", "IMG_20231231_235958.jpg", "PXL_20231231_235958.MP.jpg", "20231231235958.png",
    "20231231T235958Z.png", "cam1-20231231-235958.png", "20231231_235958_cam1.png", "part_4711_20231231_235958.bmp",
    "2023-12-31 23-59-58.png", "2023-12-31_23-59-58_cam2.png", "2023-12-31T23:59:58Z.png", "2023_12_31_23_59_58.png",
    "2023.12.31 23.59.58.tif", "2023-12-31-235958.png", "2023-12-31_23h59m58s.png", "31.12.2023 23.59.58.tif",
    "31-12-2023_23-59-58.png", "231231_235958.png", "231231-235958.bmp", "Screenshot 2023-12-31 at 11.59.58 PM.png",
    "WhatsApp Image 2023-12-31 at 23.59.58.jpeg", "2023-12-31/235958_a.png", "2023-12-31/cam1/235958.png",
    "2023/12/31/23-59-58.png", "20231231/23-59-58.png",
    "23-59-58_2023-12-31.png", "23.59.58 31.12.2023.tif", "cam1_23h59m58s_31-Dec-2023_001.png",
    "11-59-58 PM 2023-12-31.png", "12-31-2023 23-59-58.png", "12-31-2023/cam1/235958.png", "23-59-58_12-31-2023.png",
    "31-Dec-2023 23-59-58.png", "31DEC2023_235958.png", "Dec-31-2023 235958.png", "2023-Dec-31/235958.png",
    "December 31, 2023 at 11.59.58 PM.png",
    f"{SECONDS}.png", f"frame_{SECONDS}.png", f"cam2/{SECONDS}_7.png",
]  # fmt: skip
FINER = [
    "PXL_20231231_235958123.jpg", "cam1_20231231235958123_0001.png", "2023-12-31 23-59-58.123.png",
    "2023-12-31T23:59:58,123.png", "Basler acA1920 (12345678)_20231231_235958123_0007.tiff", f"{SECONDS}123.jpg",
    f"{SECONDS}.123000.png", f"{SECONDS}123000.png", f"{SECONDS}123000000_left.png",
]  # fmt: skip
NO_TIME = [
    "scratch_000.png", "exp1_num_2610.jpg", "DSC_0123.JPG", "part_4711_20231231.png", "1000000123.png", "a/6104.png",
    "2023-12-31_001.png", "20231332_250000.png", "12345678901234.png", "20230231_101010.png", "20231231/img_000123.png",
    "235958_20231231.png", "01_02_03_20231231.png", "01-02-03_20231231.png",
    "7-01-02-03_2023-12-31.png", "1-marble-2023_235958.png", "31-Feb-2023_101010.png",
]  # fmt: skip


@pytest.mark.parametrize("name", TO_THE_SECOND)
def test_the_usual_forms_are_read(name: str) -> None:
    assert time_of(name) == NEW_YEARS


@pytest.mark.parametrize("name", FINER)
def test_parts_of_a_second_are_read(name: str) -> None:
    assert time_of(name) == pytest.approx(NEW_YEARS + 0.123, abs=1e-6)


@pytest.mark.parametrize("name", ["2023_12_31_23_59.png", "20231231_2359.png", "2023-12-31 23.59.png"])
def test_a_time_may_be_without_seconds(name: str) -> None:
    assert time_of(name) == NEW_YEARS - 58


@pytest.mark.parametrize("name", NO_TIME)
def test_other_numbers_are_no_times(name: str) -> None:
    assert time_of(name) is None


def test_numbers_that_only_begin_like_times_are_no_times(caplog: pytest.LogCaptureFixture) -> None:
    names = [f"20231231_{number:06d}.png" for number in range(40, 80)]
    assert time_of(names[0]) is not None, "the first ones must look like times"
    with caplog.at_level(logging.INFO, "gan"):
        assert minutes_of(names, {}) == {}
    assert "such as '20231231_000040.png', but such names count on: taken as numbers" in caplog.text


@pytest.mark.parametrize("numbers", [range(30, 61), range(61), [*range(0, 60), 67]])
def test_a_number_that_goes_on_beyond_59_tells_that_they_all_are_numbers(numbers: Iterable[int]) -> None:
    names = [f"20231231_{number:06d}.png" for number in numbers]
    assert minutes_of([*names, "20231231_000061.png"], {}) == {}


@pytest.mark.parametrize("day", ["20231231", "12-31-2023", "31-Dec-2023"])
def test_numbers_that_begin_with_one_are_no_times_even_where_they_end_before_59(day: str) -> None:
    names = [f"{day}_{number:06d}.png" for number in range(1, 40)]
    assert minutes_of(names, {}) == {}
    over_midnight = [*(f"20231230_2359{second}.png" for second in (57, 58, 59)), "20231231_000000.png", *names]
    assert day != "20231231" or minutes_of(over_midnight, {}).keys() == set(over_midnight)


def test_of_numbers_that_rarely_look_like_times_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    names = [f"20231231_{number:06d}.png" for number in range(100_000, 1_000_000, 1234)]
    with caplog.at_level(logging.INFO, "gan"):
        assert minutes_of(names, {}) == {}
    assert any(time_of(name) is not None for name in names)
    assert caplog.text == ""


def test_one_odd_name_costs_the_others_no_time() -> None:
    names = [f"20240131_13{minute:02d}{second:02d}.png" for minute in range(30) for second in (5, 25, 45)]
    assert minutes_of([*names, "20240131_136199.png"], {}).keys() == set(names)


def test_many_photos_a_minute_keep_their_times() -> None:
    names = [f"2024-01-31_{900 + number // 25:04d}_{number:03d}.png" for number in range(204)]
    times = minutes_of(names, {})
    assert times.keys() == set(names)
    train, kept_back = split(names, [], 0.25, times=times)
    assert not {name[:15] for name in train} & {name[:15] for name in kept_back}


def test_each_of_several_recordings_keeps_its_time() -> None:
    names = [f"20231231-2359{second} {number} f.png" for second in (10, 50) for number in range(100)]
    later = [f"20240101-120000 {number} f.png" for number in range(100)]
    assert minutes_of(names, {}) == {}, "all of one minute would be one group"
    assert minutes_of([*names, *later], {}).keys() == {*names, *later}


def test_an_unclear_day_is_read_as_the_others_are() -> None:
    clear, unclear = "02-13-2024 10-00-00.png", "02-12-2024 10-00-00.png"
    times = minutes_of([clear, unclear], {})
    assert times[clear] - times[unclear] == 24 * 3600
    assert minutes_of([unclear], {})[unclear] > times[clear], "by itself it is the 2nd of December"


def test_a_time_that_all_frames_of_a_recording_share_is_none_of_photos(caplog: pytest.LogCaptureFixture) -> None:
    frames = [f"20231231_235958_{number:04d}/frame.png" for number in range(2)]
    recording = [f"20231231-235958 {number} f.png" for number in range(100)]
    assert minutes_of(frames, {}).keys() == set(frames)
    with caplog.at_level(logging.INFO, "gan"):
        assert minutes_of(recording, {}) == {}
    assert "100 of 100 photos tell one time" in caplog.text
    assert minutes_of([*recording, "20240101-000000 0 f.png"], {}) == {}


def exif(tag: int, text: str) -> Image.Exif:
    made = Image.Exif()
    made[0x010F] = "a maker"  # without a tag of its own Pillow writes none of the details
    made.get_ifd(0x8769)[tag] = text
    return made


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("tag", [0x9003, 0x9004])
def test_exif_tells_the_time(tmp_path: Path, suffix: str, tag: int) -> None:
    text = "2023:12:31 23:59:58"
    options: dict[str, Any] = {"tiffinfo": {0x8769: {tag: text}}} if suffix == "tif" else {"exif": exif(tag, text)}
    Image.new("L", (40, 40), 90).save(tmp_path / f"a.{suffix}", **options)
    assert decode(tmp_path / f"a.{suffix}").taken == NEW_YEARS


@pytest.mark.parametrize("text", ["", "    :  :     :  :  ", "0000:00:00 00:00:00", "yesterday"])
def test_a_time_that_is_none_refuses_no_photo(tmp_path: Path, text: str) -> None:
    Image.new("L", (40, 40), 90).save(tmp_path / "a.jpg", exif=exif(0x9003, text))
    assert decode(tmp_path / "a.jpg").taken is None


def test_the_time_of_the_last_change_is_not_taken(tmp_path: Path) -> None:
    made = Image.Exif()
    made[0x0132] = "2023:12:31 23:59:58"
    Image.new("L", (40, 40), 90).save(tmp_path / "a.jpg", exif=made)
    assert decode(tmp_path / "a.jpg").taken is None


def test_a_name_tells_the_time_before_exif_does() -> None:
    assert minutes_of(["1700000000.png", "b.png", "c.png"], {"1700000000.png": 5.0, "b.png": 7.0}) == {
        "1700000000.png": 1.7e9,
        "b.png": 7.0,
    }
