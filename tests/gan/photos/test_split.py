"""Photos to train on and photos kept back: what stays together, how many, and what lands on disk."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gan.photos import split_folder as module
from gan.photos.find import Photo
from gan.photos.series import BLOCK, blocks, natural, runs
from gan.photos.split import default_share, split, units_of
from gan.photos.split_folder import write_split
from models.errors import CommandError, ExitCode
from tests.conftest import write_photos

Tree = Callable[..., dict[str, bytes]]
FIRST, SECOND = ["scratch_000.png"], ["scratch_001.png"]


def numbers(*ranges: range, prefix: str = "scratch_") -> list[str]:
    """Names with these numbers."""
    return [f"{prefix}{number}.png" for several in ranges for number in several]


def random_case(seed: int) -> tuple[list[str], list[list[str]], float]:
    """Names in several series with holes, groups of near-duplicates among them, and a share."""
    random = np.random.default_rng(seed)
    names = [
        f"{folder}/{number}.png"
        for folder in ("a", "b/c", "d")[: random.integers(1, 4)]
        for number in np.flatnonzero(random.random(random.integers(30, 200)) < random.uniform(0.3, 1))
    ]
    groups = [
        [str(name) for name in random.choice(names, random.integers(2, 5), replace=False)]
        for _ in range(random.integers(0, 9))
    ]
    return names, groups, float(random.uniform(0.1, 0.5))


# The rule


@pytest.mark.parametrize("seed", range(60))
def test_every_photo_is_on_one_side_and_no_group_and_no_unit_is_divided(seed: int) -> None:
    names, groups, share = random_case(seed)
    train, validation = split(names, groups, share, seed)
    assert sorted(train + validation) == sorted(names)
    together = [*groups, *units_of(names, groups, share * len(names) / 2)]
    assert [unit for unit in together if set(unit) & set(train) and set(unit) & set(validation)] == []


@pytest.mark.parametrize("seed", range(60))
def test_as_many_are_kept_back_as_is_wished_to_within_the_largest_unit(seed: int) -> None:
    names, groups, share = random_case(seed)
    largest = max(map(len, units_of(names, groups, share * len(names) / 2)))
    validation = split(names, groups, share, seed)[1]
    assert 0 < len(validation) < len(names)
    assert abs(len(validation) - share * len(names)) <= largest


@pytest.mark.parametrize("seed", range(10))
def test_the_same_photos_are_divided_alike_in_whatever_order_they_come(seed: int) -> None:
    names, groups, share = random_case(seed)
    random = np.random.default_rng(seed)
    shuffled = [names[index] for index in random.permutation(len(names))]
    others = [groups[index][::-1] for index in random.permutation(len(groups))]
    assert split(shuffled, others, share, 3) == split(names, groups, share, 3)


def test_another_seed_keeps_others_back() -> None:
    names = numbers(range(240))
    assert len({tuple(split(names, [], 0.25, seed)[1]) for seed in range(20)}) >= 4


def test_what_is_kept_back_is_spread_evenly_over_the_order() -> None:
    validation = split(numbers(range(400)), [], 0.25)[1]
    quarters = np.histogram([int(name[8:-4]) for name in validation], bins=4, range=(0, 400))[0]
    assert all(20 <= count <= 30 for count in quarters)


def test_both_sides_come_in_natural_order() -> None:
    train, validation = split(reversed(numbers(range(50))), [], 0.3)
    assert (train, validation) == (sorted(train, key=natural), sorted(validation, key=natural))


@pytest.mark.parametrize(("count", "expected"), [(30, 10), (99, 33), (180, 60), (235, 60), (240, 60), (1000, 250)])
def test_a_quarter_is_kept_back_but_sixty_where_a_third_allows_it(count: int, expected: int) -> None:
    assert round(default_share(count) * count) == expected


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, 2.0, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        split(numbers(range(50)), [], share)


def test_photos_that_all_belong_together_cannot_be_divided() -> None:
    names = numbers(range(50))
    with pytest.raises(ValueError, match="belong together"):
        split(names, [names], 0.25)


def test_a_name_that_is_there_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        split(["a.png", "b.png", "a.png"], [], 0.5)


def test_a_group_of_strangers_is_refused() -> None:
    with pytest.raises(ValueError, match=r"z\.png"):
        split(numbers(range(50)), [["z.png", "scratch_1.png"]], 0.25)


def test_two_photos_are_one_and_one() -> None:
    assert [len(side) for side in split(["a1.png", "a2.png"], [], 0.5)] == [1, 1]


# Neighbours


def test_numbers_are_ordered_as_numbers_and_folder_by_folder() -> None:
    names = ["a/b10.png", "a/b9.png", "a/b9_2.png", "b1.png", "a/c/1.png", "a1.png", "²5.png"]
    ordered = sorted(names, key=natural)
    assert ordered.index("a/b9.png") < ordered.index("a/b9_2.png") < ordered.index("a/b10.png")


@pytest.mark.parametrize(("count", "sizes"), [(9, [9]), (14, [14]), (16, [8, 8]), (25, [12, 13]), (40, [10] * 4)])
def test_a_run_is_cut_into_blocks_of_about_ten(count: int, sizes: list[int]) -> None:
    assert [len(block) for block in blocks(numbers(range(count)))] == sizes


def test_a_leap_of_the_numbers_begins_another_run() -> None:
    assert list(map(len, runs(numbers(range(1, 6), range(100, 104))))) == [5, 4]


def test_a_photo_that_was_taken_out_does_not_end_a_run() -> None:
    assert len(runs(numbers(range(1, 6), range(8, 14)))) == 1


def test_a_leap_is_measured_by_the_usual_step() -> None:
    assert len(runs(numbers(range(0, 5000, 50)))) == 1


def test_another_folder_or_another_prefix_begins_another_run() -> None:
    names = [*numbers(range(5)), *numbers(range(5, 9), prefix="b/scratch_"), *numbers(range(9, 12), prefix="dent_")]
    assert sorted(map(len, runs(names))) == [3, 4, 5]


def test_names_without_a_number_are_one_run_by_name() -> None:
    assert runs(["c.png", "a.png", "b.png"]) == [["a.png", "b.png", "c.png"]]


def test_series_that_count_on_together_are_one() -> None:
    tile, other = ([f"exp{light}_num_{start + 15 * light}.png" for light in range(1, 7)] for start in (0, 5000))
    assert runs([*tile, *other]) == [tile, other]


def test_series_that_count_for_themselves_stay_apart() -> None:
    assert len(runs([f"part{part}_{number}.png" for part in (1, 2) for number in range(5)])) == 2


def test_days_are_no_series_that_count_on_together() -> None:
    assert len(runs(["20241122_101010.png", "20241122_101020.png", "20241123_101015.png"])) == 2


def test_numbers_of_any_length_are_read() -> None:
    assert len(runs([f"{10**30 + number}.png" for number in range(20)])) == 1


def test_blocks_that_a_group_joins_stay_together() -> None:
    names = numbers(range(100))
    units = units_of(names, [[names[0], names[99]]], 50)
    assert sorted(map(len, units)) == [BLOCK] * 8 + [2 * BLOCK]


def test_blocks_give_way_where_groups_would_join_all_of_them() -> None:
    names = numbers(range(100))
    chain = [[names[index], names[index + 10]] for index in range(0, 90, 9)]
    assert max(map(len, units_of(names, chain, 100))) > 50, "blocks of ten must be joined to one unit here"
    assert max(map(len, units_of(names, chain, 12))) <= 12
    assert len(split(names, chain, 0.25)[1]) in range(15, 36)


# On disk


def test_photos_are_put_below_train_and_validation_under_their_names(tmp_path: Path, tree: Tree) -> None:
    data = write_photos(tmp_path / "data" / "x", 6).parent
    before = tree(data)
    names = sorted(before)
    write_split(data, tmp_path / "out", names[:4], names[4:])
    assert tree(tmp_path / "out" / "train") == {name: before[name] for name in names[:4]}
    assert tree(tmp_path / "out" / "validation") == {name: before[name] for name in names[4:]}
    assert tree(data) == before


def test_on_one_disk_files_are_linked_and_not_copied(tmp_path: Path) -> None:
    data = write_photos(tmp_path / "data", 2)
    write_split(data, tmp_path / "out", FIRST, SECOND)
    assert (tmp_path / "out" / "train" / FIRST[0]).samefile(data / FIRST[0])


def test_where_no_link_can_be_made_files_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    data = write_photos(tmp_path / "data", 2)
    monkeypatch.setattr(os, "link", refuse)
    write_split(data, tmp_path / "out", FIRST, SECOND)
    copy = tmp_path / "out" / "train" / FIRST[0]
    assert (copy.read_bytes(), copy.stat().st_nlink) == ((data / FIRST[0]).read_bytes(), 1)


def test_of_a_link_the_photo_itself_is_taken(tmp_path: Path) -> None:
    data = write_photos(tmp_path / "data", 1)
    (data / "link.png").symlink_to(FIRST[0])
    write_split(data, tmp_path / "out", FIRST, ["link.png"])
    linked = tmp_path / "out" / "validation" / "link.png"
    assert (linked.is_symlink(), linked.samefile(data / FIRST[0])) == (False, True)


def test_photos_of_a_zip_are_written_as_files_below_the_folder_whatever_their_names(tmp_path: Path, tree: Tree) -> None:
    photos = tree(write_photos(tmp_path / "data", 2))
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        for name, content in photos.items():
            archive.writestr(f"../x/{name}", content)
    write_split(tmp_path / "data.zip", tmp_path / "out", ["x/scratch_000.png"], ["x/scratch_001.png"])
    written = tree(tmp_path / "out")
    del written["split.json"]
    assert written == {
        "train/x/scratch_000.png": photos[FIRST[0]],
        "validation/x/scratch_001.png": photos[SECOND[0]],
    }


def test_the_split_says_of_every_photo_its_part_its_sha256_and_what_it_was_kept_together_with(tmp_path: Path) -> None:
    data = write_photos(tmp_path / "data", 3)
    write_split(data, tmp_path / "out", [*FIRST, *SECOND], ["scratch_002.png"], [[*FIRST, *SECOND]])
    rows = json.loads((tmp_path / "out" / "split.json").read_text())["photos"]
    assert rows == {
        name: {"part": part, "sha256": hashlib.sha256((data / name).read_bytes()).hexdigest(), "group": group}
        for name, part, group in (
            (FIRST[0], "train", FIRST[0]), (SECOND[0], "train", FIRST[0]),
            ("scratch_002.png", "validation", "scratch_002.png"),
        )
    }  # fmt: skip


@pytest.mark.parametrize("name", ["a.png/b.png", "a.png/b/c.png"])
def test_a_name_in_a_zip_that_is_also_a_folder_is_65(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        for member in ("a.png", name, "c.png"):
            archive.writestr(member, b"a photo")
    with pytest.raises(CommandError, match=f"{name} cannot be a file") as refused:
        write_split(tmp_path / "data.zip", tmp_path / "out", ["a.png", name], ["c.png"])
    assert (refused.value.exit_code, (tmp_path / "out").exists()) == (ExitCode.BAD_DATA, False)


def test_an_empty_folder_may_be_there(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    write_split(write_photos(tmp_path / "data", 2), tmp_path / "out", FIRST, SECOND)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["split.json", "train", "validation"]


TAKEN: dict[str, Callable[[Path], object]] = {
    "a folder with something in it": lambda out: (out / "a").mkdir(parents=True),
    "a file": Path.touch,
    "a link to nowhere": lambda out: out.symlink_to("x"),
}


@pytest.mark.parametrize("what", TAKEN)
def test_a_place_that_is_taken_is_73_and_left_as_it_is(tmp_path: Path, what: str) -> None:
    data = write_photos(tmp_path / "data", 2)
    TAKEN[what](tmp_path / "out")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(CommandError, match="not an empty folder") as refused:
        write_split(data, tmp_path / "out", FIRST, SECOND)
    assert (refused.value.exit_code, sorted(tmp_path.rglob("*"))) == (ExitCode.CANNOT_WRITE, before)


def test_a_place_that_cannot_be_written_is_73(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CommandError) as refused:
        write_split(write_photos(tmp_path / "data", 2), tmp_path / "file" / "out", FIRST, SECOND)
    assert refused.value.exit_code is ExitCode.CANNOT_WRITE


@pytest.mark.parametrize("place", ["", "split", "a/b"])
def test_a_place_among_the_photos_is_2(tmp_path: Path, place: str) -> None:
    data = write_photos(tmp_path / "data", 2)
    with pytest.raises(CommandError, match="lies in") as refused:
        write_split(data, data / place, FIRST, SECOND)
    assert (refused.value.exit_code, len(list(data.iterdir()))) == (ExitCode.USAGE, 2)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_split_that_is_cut_off_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    data = write_photos(tmp_path / "data", 3)
    place = module._place

    def fail_at_the_last(photo: Photo, target: Path) -> None:
        if photo.name == "scratch_002.png":
            raise error
        place(photo, target)

    monkeypatch.setattr(module, "_place", fail_at_the_last)
    with pytest.raises((CommandError, KeyboardInterrupt)):
        write_split(data, tmp_path / "out", [*FIRST, "scratch_002.png"], SECOND)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_what_a_killed_run_left_is_no_hindrance(tmp_path: Path) -> None:
    data = write_photos(tmp_path / "data", 2)
    write_photos(tmp_path / ".out.tmp" / "train", 1, seed=3)
    write_split(data, tmp_path / "out", FIRST, SECOND)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "out"]
    assert (tmp_path / "out" / "train" / FIRST[0]).samefile(data / FIRST[0])


def test_a_photo_that_is_gone_meanwhile_is_66_and_named(tmp_path: Path) -> None:
    data = write_photos(tmp_path / "data", 2)
    with pytest.raises(CommandError, match=r"gone\.png") as refused:
        write_split(data, tmp_path / "out", [*FIRST, "gone.png"], SECOND)
    assert (refused.value.exit_code, (tmp_path / "out").exists()) == (ExitCode.NO_INPUT, False)
