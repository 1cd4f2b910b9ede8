"""The options of a run and the recipes."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from gan.config import CHOICES, ON_COLLAPSE, RECIPES, Course, TrainConfig


@pytest.mark.parametrize("recipe", RECIPES)
def test_options_come_back_from_json_as_they_went_in(recipe: str) -> None:
    config = TrainConfig(**{**RECIPES[recipe], "seed": 2**40, "d_lr": 0.0001})
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_an_option_of_another_version_is_not_swallowed() -> None:
    with pytest.raises(TypeError, match="from_the_future"):
        TrainConfig.from_dict({**TrainConfig().to_dict(), "from_the_future": 1})


def test_options_cannot_change_under_a_run() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrainConfig().lr = 1.0


def test_a_gradient_penalty_with_batch_norm_in_the_discriminator_is_refused() -> None:
    with pytest.raises(ValueError, match="`d_batch_norm=False`"):
        TrainConfig(r1_gamma=1.0, d_batch_norm=True)


def test_a_gradient_penalty_on_generated_images_with_batch_norm_is_refused_too() -> None:
    with pytest.raises(ValueError, match="`d_batch_norm=False`"):
        TrainConfig(r2_gamma=1.0, d_batch_norm=True)


def test_bands_that_are_not_standardized_are_refused() -> None:
    with pytest.raises(ValueError, match="`standardize=True`"):
        TrainConfig(bands=True)


@pytest.mark.parametrize("size", [0, 16, 100, 1024])
def test_a_size_that_no_network_is_made_for_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"`image_size` is {size}, not one of 32, 64, 128, 256, 512"):
        TrainConfig(image_size=size)


@pytest.mark.parametrize("option", CHOICES)
def test_a_word_that_means_nothing_is_refused_with_those_that_do(option: str) -> None:
    with pytest.raises(ValueError, match=f"`{option}` is 'nonsense', not one of {', '.join(CHOICES[option])}"):
        TrainConfig(**{option: "nonsense"})


def test_label_smoothing_without_the_loss_that_has_labels_is_refused() -> None:
    with pytest.raises(ValueError, match="`loss=bce`"):
        TrainConfig(label_smoothing=0.1, loss="relativistic")


@pytest.mark.parametrize("option", ["lr", "d_lr", "total_kimg"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_refused_and_named(option: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"`{option}` is {value}"):
        TrainConfig(**{option: value})


def test_a_rate_in_words_is_automatic_or_refused() -> None:
    assert TrainConfig(d_lr="auto", lr=0.001).for_photos(99).d_lr == 0.001
    assert TrainConfig(d_lr=0.003).for_photos(99).d_lr == 0.003
    with pytest.raises(ValueError, match="`d_lr` is 'fast': give a number, or auto"):
        TrainConfig(d_lr="fast")


@pytest.mark.parametrize(
    ("changes", "both_ways", "chosen"),
    [({}, True, "on"), ({}, False, "off"), ({"image_size": "64x32"}, True, "off"), ({"transpose": "on"}, False, "on")],
)
def test_what_lies_is_drawn_as_what_stands_where_photos_show_both(
    changes: dict[str, Any], both_ways: bool, chosen: str
) -> None:
    assert TrainConfig.of("shift", **changes).for_photos(200, both_ways).transpose == chosen


@pytest.mark.parametrize("changes", [{"recipe": "dcgan"}, {"recipe": "shift", "image_size": "64x32"}])
def test_a_generator_that_cannot_turn_what_it_draws_refuses_to(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="`transpose=on` needs square images"):
        TrainConfig.of(transpose="on", **changes)


WRONG_NUMBERS = [
    *(("batch_size", 1), ("batch_size", 65_537), ("epochs", 0), ("lr", 0.0), ("lr", -1.0), ("beta1", 1.0)),
    *(("label_smoothing", 1.5), ("seed", -1), ("seed", 2**63), ("channels", 2), ("penalty_interval", 0)),
    *(("ema_kimg", -1.0), ("lr_decay", 1.1), ("z_dim", 0)),
]


@pytest.mark.parametrize(("option", "value"), WRONG_NUMBERS)
def test_a_number_that_cannot_be_meant_is_refused_and_named(option: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"`{option}` is {value}"):
        TrainConfig(**{option: value})


@pytest.mark.parametrize(("option", "value"), [
    ("keep_snapshots", 0), ("validation_kimg", 0.0), ("patience_kimg", -1.0), ("stats_every", 0), ("sample_epochs", 0),
])  # fmt: skip
def test_a_course_that_cannot_be_meant_is_refused_and_named(option: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"`{option}` is {value}"):
        Course(**{option: value})


def test_what_to_do_about_collapse_is_one_of_a_few_words() -> None:
    with pytest.raises(ValueError, match=f"`on_collapse` is 'pray', not one of {', '.join(ON_COLLAPSE)}"):
        Course(on_collapse="pray")


def test_two_lengths_at_once_are_refused() -> None:
    with pytest.raises(ValueError, match="`epochs` and `total_kimg` exclude each other"):
        TrainConfig.of(epochs=3, total_kimg=5.0)


PAPER = {
    "lr": 0.0002,
    "d_lr": None,
    "beta1": 0.5,
    "beta2": 0.999,
    "batch_size": 64,
    "epochs": 250,
    "total_kimg": 0.0,
    "loss": "bce",
    "z_dim": 100,
    "d_batch_norm": True,
    "d_steps": 1,
    "precision": "float32",
    "flip": "none",
    "fit": "crop",
    "image_size": 128,
    "channels": 1,
}
"""Radford et al., ICLR 2016, section 4."""
EXTRAS = (
    "minibatch_stddev",
    "ema_kimg",
    "instance_noise",
    "grad_clip",
    "label_smoothing",
    "r1_gamma",
    "r2_gamma",
    "d_spectral_norm",
    "d_patches",
    "d_decoder",
    "bands",
    "standardize",
    "augment",
)


@pytest.mark.parametrize("option", PAPER)
def test_the_plain_recipe_has_the_papers_value(option: str) -> None:
    assert getattr(TrainConfig(**RECIPES["dcgan"]), option) == PAPER[option]


@pytest.mark.parametrize("option", EXTRAS)
def test_the_plain_recipe_goes_without_later_inventions(option: str) -> None:
    assert not getattr(TrainConfig(**RECIPES["dcgan"]), option)


def test_the_plain_recipe_saves_the_last_generator_and_not_an_average() -> None:
    assert not TrainConfig(**RECIPES["dcgan"]).uses_ema


def test_the_recipe_for_few_images_saves_an_average() -> None:
    assert TrainConfig(**RECIPES["small-data"]).uses_ema


@pytest.mark.parametrize("option", ["z_dim", "channels", "g_width", "image_size", "architecture"])
def test_recipes_differ_in_how_they_train_the_classic_generator(option: str) -> None:
    assert len({getattr(TrainConfig(**RECIPES[name]), option) for name in ("dcgan", "small-data")}) == 1
