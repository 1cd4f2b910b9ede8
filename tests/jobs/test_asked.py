"""What is asked for: mixes as people write them, and folders that are counted."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from gan.photos.find import SUFFIXES as PHOTOS
from jobs.asked import Asked, shares_in
from jobs.dataset.state import RUNNING, RunState
from jobs.dataset.tally import SUFFIXES, tally
from models.errors import CommandError, ExitCode
from models.mix import MOST_PARTS, Mix

NAMES = ("inclusion", "rolled in", "scratch")


def mix(text: str) -> str:
    asked = Asked(count=10, mix=text)
    asked.check("s3://bucket/run")
    return str(asked.settle(NAMES, None)[0])


def refused(asked: Asked, names: tuple[str, ...] = NAMES) -> str:
    def settle() -> None:
        asked.check(Path("run"))
        asked.settle(names, None)

    with pytest.raises(CommandError) as error:
        settle()
    assert error.value.exit_code is ExitCode.USAGE
    return str(error.value)


def folder(path: Path, **counts: int) -> Path:
    for name, count in counts.items():
        (path / name).mkdir(parents=True)
        for number in range(count):
            (path / name / f"{number}.jpg").touch()
    return path


@pytest.mark.parametrize(
    ("text", "resolved"),
    [
        ("scratch=0.6,inclusion=0.4", "inclusion=2,rolled in=0,scratch=3"),
        ("scratch=3,inclusion=2", "inclusion=2,rolled in=0,scratch=3"),
        (" scratch = 60% , inclusion = 40.0% ", "inclusion=2,rolled in=0,scratch=3"),
        ("scratch=.25,rolled in=0.125,inclusion=0.625", "inclusion=5,rolled in=1,scratch=2"),
        ("scratch=1", "inclusion=0,rolled in=0,scratch=1"),
        ("scratch=1.0,inclusion=0", "inclusion=0,rolled in=0,scratch=1"),
        ("balanced", "inclusion=1,rolled in=1,scratch=1"),
        ("scratch=0.333,inclusion=0.333,rolled in=0.334", "inclusion=333,rolled in=334,scratch=333"),
        ("scratch=0.333,inclusion=0.333,rolled in=0.333", "inclusion=1,rolled in=1,scratch=1"),
        ("scratch=0.67,inclusion=0.17,rolled in=0.17", "inclusion=17,rolled in=17,scratch=67"),
        ("scratch=999999,inclusion=1", "inclusion=1,rolled in=0,scratch=999999"),
    ],
)
def test_shares_become_the_smallest_whole_ones(text: str, resolved: str) -> None:
    assert mix(text) == resolved


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("scrach=0.6,inclusion=0.4", "no class 'scrach', did you mean scratch?; it has inclusion, rolled in, scratch"),
        ("Scratch=1", "did you mean scratch?"),
        ("dent=1", "no class 'dent'; it has"),
        ("balnced", "did you mean balanced?"),
        ("lke:photos", "did you mean like?"),
        (" like: ", "names no folder"),
        ("scratch", "'scratch' is no share"),
        ("scratch=0.6,inclusion", "'inclusion' is no share"),
        ("scratch=0.6,,inclusion=0.4", "'' is no share"),
        ("=1", "is no share"),
        ("scratch=-1", "is no share"),
        ("scratch=1e9", "is no share"),
        ("scratch=nan", "is no share"),
        ("", "is no share"),
        ("scratch=0.6,inclusion=0.5", "add up to 1.1, not to 1"),
        ("scratch=60%,inclusion=60%", "add up to 1.2, not to 1"),
        ("scratch=0.3,inclusion=0.3,rolled in=0.3", "add up to 0.9, not to 1"),
        ("scratch=0.65,inclusion=0.36", "add up to 1.01, not to 1"),
        ("scratch=2,inclusion=0.5", "add up to 2.5, not to 1"),
        ("scratch=0.5,scratch=0.5", "named twice"),
        ("scratch=0,inclusion=0", "no class has a share"),
        ("scratch=0.1234567,inclusion=0.8765433", "fewer digits"),
    ],
)
def test_misspelt_or_impossible_mix_is_refused_with_what_was_meant(text: str, said: str) -> None:
    assert said in refused(Asked(count=10, mix=text))


def test_shares_are_exact() -> None:
    assert shares_in("a=0.1,b=0.2,c=0.7") == {"a": Fraction(1, 10), "b": Fraction(1, 5), "c": Fraction(7, 10)}


def test_mix_that_is_not_said_is_that_of_the_run() -> None:
    theirs = Mix(NAMES, (1, 2, 3))
    state = RunState(RUNNING, 10, {"mix": str(theirs)})
    assert Asked(count=10).settle(NAMES, state) == (theirs, 10)
    assert Asked(append=10).settle(NAMES, state) == (theirs, None)
    assert Asked(count=10, mix="balanced").settle(NAMES, state) == (Mix.balanced(NAMES), 10)
    assert Asked(count=10).settle(("other",), state) == (Mix.balanced(["other"]), 10)


def test_generator_without_classes_has_no_mix() -> None:
    assert Asked(count=10).settle((), None) == (None, 10)
    assert "the model has no classes" in refused(Asked(count=10, mix="balanced"), ())


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"count": 1, "append": 1},
        {"per_class": 0},
        {"count": 1, "fill": Path()},
        {"per_class": 1, "mix": "balanced"},
    ],
)
def test_one_number_is_needed(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"one of count|leave out mix"):
        Asked(**wrong)


# Folders


def test_like_takes_the_proportions_of_a_folder(tmp_path: Path) -> None:
    data = folder(tmp_path / "data", scratch=6, inclusion=4)
    assert mix(f"like:{data}") == "inclusion=2,rolled in=0,scratch=3"


def test_fill_lacks_what_the_largest_class_has_more(tmp_path: Path) -> None:
    data = folder(tmp_path / "data", scratch=6, inclusion=4)
    assert Asked(fill=data).settle(NAMES, None) == (Mix(NAMES, (1, 3, 0)), 8)


def test_fill_of_equal_classes_lacks_nothing(tmp_path: Path) -> None:
    data = folder(tmp_path / "data", **dict.fromkeys(NAMES, 2))
    assert Asked(fill=data).settle(NAMES, None)[1] == 0


@pytest.mark.parametrize("ask", ["mix", "fill"])
def test_folder_of_a_class_that_the_model_lacks_is_refused(ask: str, tmp_path: Path) -> None:
    data = folder(tmp_path / "data", scratches=6, inclusion=4)
    asked = Asked(fill=data) if ask == "fill" else Asked(count=1, mix=f"like:{data}")
    assert f"`{ask}`: {data} has 6 images of 'scratches'" in (said := refused(asked))
    assert "did you mean scratch?" in said


def test_run_inside_the_folder_that_is_counted_is_refused(tmp_path: Path) -> None:
    data = folder(tmp_path, scratch=1)
    with pytest.raises(CommandError, match="lies in"):
        Asked(fill=data).check(data / "made")
    Asked(fill=data).check(tmp_path.parent / "made")


def test_run_below_the_address_that_is_counted_is_refused() -> None:
    with pytest.raises(CommandError, match="lies in"):
        Asked(fill="s3://bucket/data/").check("s3://bucket/data/made")


@pytest.mark.parametrize(("fill", "said"), [("", "names no folder"), ("s3://", "no bucket"), ("ftp://a/b", "ftp://")])
def test_what_is_no_place_is_refused(fill: str, said: str) -> None:
    assert said in (message := refused(Asked(fill=fill)))
    assert message.startswith("`fill`")


@pytest.mark.parametrize(
    ("option", "ask"), [("fill", {"fill": Path("nowhere")}), ("mix", {"count": 1, "mix": "like:nowhere"})]
)
def test_folder_that_is_not_there_is_said_with_its_option(
    option: str, ask: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CommandError, match=f"`{option}`: no folder .*nowhere") as error:
        Asked(**ask).check(tmp_path / "out")
    assert error.value.exit_code is ExitCode.NO_INPUT


def test_large_folder_keeps_its_proportions_to_a_millionth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {"scratch": 7_000_001, "inclusion": 2_999_999, "rolled in": 1}
    monkeypatch.setattr("jobs.asked.tally", lambda path: counts)
    found, _ = Asked(count=1, mix=f"like:{tmp_path}").settle(NAMES, None)
    assert found is not None
    assert found.parts <= MOST_PARTS
    for share, name in zip(found.shares, found.names, strict=True):
        assert abs(share / found.parts - counts[name] / sum(counts.values())) < 2 / MOST_PARTS
    assert "fill" in refused_to_fill(tmp_path)


def refused_to_fill(data: Path) -> str:
    with pytest.raises(CommandError) as error:
        Asked(fill=data).settle(NAMES, None)
    return str(error.value)


def test_photos_are_what_training_takes_for_them() -> None:
    assert SUFFIXES == PHOTOS


def test_photo_and_its_mask_are_one_image(tmp_path: Path) -> None:
    (tmp_path / "crack" / "day 1").mkdir(parents=True)
    names = ["1.jpg", "1.png", "2.bmp", "2_mask.png", "3_mask.png", ".4.png", "notes.txt", "day 1/5.TIF", "day 1/1.png"]
    for name in names:
        (tmp_path / "crack" / name).touch()
    assert tally(tmp_path) == {"crack": 5}  # 1, 2, 3_mask, which is of no photo, 5 and another 1


def test_what_is_no_class_is_not_counted(tmp_path: Path) -> None:
    folder(tmp_path, scratch=2, empty=0)
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "1.png").touch()
    (tmp_path / "0.png").touch()
    assert tally(tmp_path) == {"scratch": 2}


@pytest.mark.parametrize("name", ["none", "file", "empty"])
def test_folder_without_classes_is_told_of(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    with pytest.raises(CommandError) as error:
        tally(tmp_path / name)
    assert error.value.exit_code is ExitCode.NO_INPUT


def test_run_without_classes_cannot_be_counted(finished: Path) -> None:
    with pytest.raises(CommandError, match="has no classes") as error:
        tally(finished)
    assert error.value.exit_code is ExitCode.USAGE
