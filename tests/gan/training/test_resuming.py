"""A training run that goes on: from where, with what, and when not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gan.config import Course
from gan.networks.dcgan import DCGAN
from gan.photos.read import ImageSet
from gan.training import snapshots
from gan.training.folder import found
from gan.training.run import train
from gan.training.stats import read_stats
from models.errors import ExitCode
from tests.gan.conftest import same, tiny
from tests.gan.training.made import Tree, refused, weights

pytestmark = pytest.mark.usefixtures("nothing_drawn")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("recipe", ["dcgan", "small-data"])
def test_a_run_in_two_parts_leaves_what_one_run_leaves(
    plates: ImageSet, tmp_path: Path, recipe: str, precision: str
) -> None:
    config = tiny(recipe, precision=precision)
    train(plates, tmp_path / "whole", config)
    train(plates, tmp_path / "parts", config, course=Course(sample_epochs=1, keep_snapshots=2))
    found(tmp_path / "parts")[-1].unlink()  # as if it had been cut off after the first epoch
    train(plates, tmp_path / "parts", config, resume=True)
    whole, parts = (snapshots.newest_snapshot(tmp_path / name)[1] for name in ("whole", "parts"))
    assert same(parts, whole)
    assert same(weights(tmp_path / "parts"), weights(tmp_path / "whole"))


def test_statistics_of_a_run_cut_off_past_its_snapshot_have_no_row_twice(plates: ImageSet, tmp_path: Path) -> None:
    config = tiny(epochs=3)
    train(plates, tmp_path / "whole", config, course=Course(stats_every=1, sample_epochs=1))
    train(plates, tmp_path / "cut", config, course=Course(stats_every=1, sample_epochs=1))
    found(tmp_path / "cut")[-1].unlink()
    train(plates, tmp_path / "cut", config, course=Course(stats_every=1, sample_epochs=1), resume=True)
    assert read_stats(tmp_path / "cut" / "stats.jsonl") == read_stats(tmp_path / "whole" / "stats.jsonl")


def test_resuming_passes_over_a_truncated_snapshot(plates: ImageSet, tmp_path: Path) -> None:
    train(plates, tmp_path / "whole", tiny(epochs=3))
    train(plates, tmp_path / "cut", tiny(epochs=2), course=Course(sample_epochs=1))
    newest = found(tmp_path / "cut")[-1]
    newest.write_bytes(newest.read_bytes()[:5000])
    train(plates, tmp_path / "cut", tiny(epochs=3), resume=True)
    assert same(weights(tmp_path / "cut"), weights(tmp_path / "whole"))


def test_resuming_a_finished_run_leaves_its_generator_as_it_is(plates: ImageSet, tmp_path: Path) -> None:
    train(plates, tmp_path, tiny())
    before = weights(tmp_path)
    train(plates, tmp_path, tiny(), resume=True)
    assert same(weights(tmp_path), before)


@pytest.mark.parametrize("what", ["gone", "another"])
def test_resuming_a_finished_run_writes_a_generator_again_that_is_gone(
    plates: ImageSet, tmp_path: Path, what: str
) -> None:
    model = train(plates, tmp_path, tiny())
    before, options = weights(tmp_path), (tmp_path / "training_options.json").read_bytes()
    model.unlink()
    if what == "another":
        snapshots.save_weights(model, DCGAN(8, 1, 2))
    train(plates, tmp_path, tiny(), resume=True)
    assert same(weights(tmp_path), before)
    assert (tmp_path / "training_options.json").read_bytes() == options


def test_resuming_adds_to_the_log(plates: ImageSet, tmp_path: Path) -> None:
    train(plates, tmp_path, tiny(epochs=1))
    train(plates, tmp_path, tiny(epochs=2), resume=True)
    assert (tmp_path / "log.txt").read_text().count("24 images of 1 channels") == 2


@pytest.mark.parametrize(("option", "value"), [("lr", 0.5), ("seed", 3), ("g_width", 4), ("precision", "bfloat16")])
def test_resuming_with_another_option_is_78_and_names_it(
    plates: ImageSet, tmp_path: Path, option: str, value: object
) -> None:
    train(plates, tmp_path, tiny(epochs=1))
    error = refused(plates, tmp_path, tiny(epochs=2, **{option: value}), resume=True)
    assert (error.exit_code, f"{option} was " in str(error)) == (ExitCode.OTHER_RUN, True)


def test_resuming_with_other_images_is_78(plates: ImageSet, tmp_path: Path) -> None:
    train(plates, tmp_path, tiny(epochs=1))
    fewer = ImageSet(plates.images[:-1], plates.names[:-1])
    assert refused(fewer, tmp_path, tiny(epochs=2), resume=True).exit_code is ExitCode.OTHER_RUN


def test_a_refused_resumption_leaves_the_run_untouched(plates: ImageSet, tmp_path: Path, tree: Tree) -> None:
    train(plates, tmp_path, tiny(epochs=1))
    before = tree(tmp_path, ())
    refused(plates, tmp_path, tiny(epochs=2, lr=0.5), resume=True)
    assert tree(tmp_path, ()) == before


def test_resuming_where_nothing_is_makes_no_folder(plates: ImageSet, tmp_path: Path) -> None:
    assert refused(plates, tmp_path / "typo", tiny(), resume=True).exit_code is ExitCode.NO_INPUT
    assert not (tmp_path / "typo").exists()


def test_a_run_is_not_resumed_on_another_kind_of_device(plates: ImageSet, tmp_path: Path) -> None:
    path = train(plates, tmp_path, tiny(epochs=1)).with_name("network-snapshot-000003.pt")
    state = torch.load(path, weights_only=True)
    torch.save({**state, "device": "cuda"}, path)
    error = refused(plates, tmp_path, tiny(epochs=2), resume=True)
    assert error.exit_code is ExitCode.OTHER_RUN
    assert "`device=cuda`" in str(error)


def test_a_snapshot_with_parts_missing_is_65(plates: ImageSet, tmp_path: Path) -> None:
    path = train(plates, tmp_path, tiny(epochs=1)).with_name("network-snapshot-000003.pt")
    state = torch.load(path, weights_only=True)
    del state["g_optimiser"]
    torch.save(state, path)
    assert refused(plates, tmp_path, tiny(epochs=2), resume=True).exit_code is ExitCode.BAD_DATA
