"""Latents: a function of (seed, index) for good."""

from __future__ import annotations

import numpy as np
import pytest

from models.latents import BLOCK_SIZE, Candidates, Input, inputs, inputs_of, latent_block, latents

# A contract: datasets made years apart must hold the same images. Never change these numbers.
FIRST_VALUES = {
    (0, 0): (0.15975747, -0.96371937, -1.8000063),
    (0, 1): (0.5854919, 0.72997737, -0.20188832),
    (20261122, 0): (2.292253, 0.46065465, -0.16981432),
    (2**64 - 1, 7): (0.6797366, -0.27504796, -0.88995713),
}
FIRST_OF_ATTEMPTS = {
    (0, 0, 0): (0.15975747, -0.96371937, -1.8000063),
    (0, 0, 1): (0.8930487, -1.8419847, 0.23253907),
    (20261122, 0, 1): (-2.0892763, -0.82153356, 0.9384593),
    (2**64 - 1, 7, 1_000_000): (-0.15083982, 0.94355905, -0.50802404),
}
"""By seed, block and attempt."""
GRAIN = (0.19076996, 1.4145825, 1.2166251, -0.40497845, -1.2909969, 1.5170301, -0.05657414, 0.21035619)
"""The input "grain" of two values square, of images 0 and 1 of seed 0."""
LAST_VALUES = {
    (0, 0): (-2.2966278, -0.21646608),
    (2**64 - 1, 7): (-0.55432594, 0.80200034),
}


@pytest.mark.parametrize("seed_and_block", FIRST_VALUES)
def test_first_values_of_a_block_are_those_agreed_for_good(seed_and_block: tuple[int, int]) -> None:
    expected = np.array(FIRST_VALUES[seed_and_block], np.float32)
    np.testing.assert_array_equal(latent_block(*seed_and_block, 100)[0, :3], expected)


@pytest.mark.parametrize("seed_and_block", LAST_VALUES)
def test_last_values_of_a_block_are_those_agreed_for_good(seed_and_block: tuple[int, int]) -> None:
    expected = np.array(LAST_VALUES[seed_and_block], np.float32)
    np.testing.assert_array_equal(latent_block(*seed_and_block, 100)[-1, -2:], expected)


def test_a_block_is_numpys_frozen_stream_over_a_philox_keyed_by_seed_and_block() -> None:
    bits = np.random.Philox(key=np.array([77, 3], np.uint64))
    expected = np.random.RandomState(bits).standard_normal((1024, 16)).astype(np.float32)
    np.testing.assert_array_equal(latent_block(77, 3, 16), expected)


def test_block_can_be_had_without_the_ones_before_it() -> None:
    far = latents(5, 1000 * BLOCK_SIZE, 1001 * BLOCK_SIZE, 8)
    np.testing.assert_array_equal(far, latent_block(5, 1000, 8))


@pytest.mark.parametrize("start_and_stop", [(0, 1), (1000, 1024), (1023, 1025), (1024, 2048), (500, 3500)])
def test_a_slice_is_the_same_rows_of_the_blocks_in_a_row(start_and_stop: tuple[int, int]) -> None:
    start, stop = start_and_stop
    whole = np.concatenate([latent_block(9, block, 4) for block in range(4)])
    np.testing.assert_array_equal(latents(9, start, stop, 4), whole[start:stop])


def test_latents_are_float32() -> None:
    assert latents(1, 0, 3, 4).dtype == np.float32


def test_latents_are_standard_normal() -> None:
    z = latents(3, 0, 4 * BLOCK_SIZE, 100)
    assert abs(z.mean()) < 0.01
    assert abs(z.std() - 1) < 0.01


def test_neighbouring_seeds_and_blocks_share_no_latent() -> None:
    rows = np.concatenate([latent_block(seed, block, 4) for seed in (0, 1) for block in (0, 1)])
    assert len(np.unique(rows, axis=0)) == 4 * BLOCK_SIZE


def test_changing_what_was_returned_does_not_change_what_is_returned_next() -> None:
    before = latents(11, 0, 4, 4)
    kept = before.copy()
    before[:] = 0
    np.testing.assert_array_equal(latents(11, 0, 4, 4), kept)


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_outside_64_bits_is_refused(seed: int) -> None:
    with pytest.raises(ValueError, match="seed"):
        latents(seed, 0, 1, 4)


@pytest.mark.parametrize("start_and_stop", [(-1, 5), (5, 5), (6, 5)])
def test_a_range_that_holds_nothing_or_begins_below_zero_is_refused(start_and_stop: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="start < stop"):
        latents(0, *start_and_stop, 4)


def test_a_negative_block_is_refused() -> None:
    with pytest.raises(ValueError, match="block"):
        latent_block(0, -1, 4)


def test_latents_without_a_dimension_are_refused() -> None:
    with pytest.raises(ValueError, match="z_dim"):
        latents(0, 0, 1, 0)


# Named inputs


def test_z_is_the_plain_stream_whatever_else_there_is() -> None:
    named = inputs(7, 1000, 1030, {"z": Input("float32", (8,)), "grain": Input("float32", (3, 2))})
    assert list(named) == ["z", "grain"]
    np.testing.assert_array_equal(named["z"], latents(7, 1000, 1030, 8))
    assert (named["grain"].shape, named["grain"].dtype) == ((30, 3, 2), np.float32)


def test_another_input_has_a_stream_of_its_own_for_good() -> None:
    grain = {"grain": Input("float32", (2, 2))}
    expected = np.array(GRAIN, np.float32).reshape(2, 2, 2)
    np.testing.assert_array_equal(inputs(0, 0, 2, grain)["grain"], expected)
    others = {name: inputs(0, 0, 500, {name: Input("float32", (4,))})[name] for name in ("z", "grain", "wear")}
    assert len(np.unique(np.concatenate(list(others.values())).round(5), axis=0)) == 1500


def test_an_input_of_image_i_does_not_depend_on_where_the_batch_begins() -> None:
    grain = {"grain": Input("float32", (3,))}
    whole = inputs(9, 0, 2500, grain)["grain"]
    np.testing.assert_array_equal(inputs(9, 1020, 2100, grain)["grain"], whole[1020:2100])


def test_labels_take_turns_unless_they_are_given() -> None:
    needed = {"z": Input("float32", (8,)), "label": Input("int64", (), 3)}
    drawn = inputs(9, 4, 9, needed)
    assert (drawn["label"].tolist(), drawn["label"].dtype) == ([1, 2, 0, 1, 2], np.int64)
    given = np.array([2, 2, 0, 1, 2])
    named = inputs(9, 4, 9, needed, given)
    np.testing.assert_array_equal(named["label"], given)
    np.testing.assert_array_equal(named["z"], latents(9, 4, 9, 8))


# Attempts: what a run with a wish looks among


@pytest.mark.parametrize("place", FIRST_OF_ATTEMPTS)
def test_first_values_of_an_attempt_are_those_agreed_for_good(place: tuple[int, int, int]) -> None:
    seed, block, attempt = place
    expected = np.array(FIRST_OF_ATTEMPTS[place], np.float32)
    np.testing.assert_array_equal(latent_block(seed, block, 100, attempt=attempt)[0, :3], expected)


def test_first_attempt_is_the_plain_stream() -> None:
    for stream in (0, 12):
        np.testing.assert_array_equal(latent_block(7, 2, 8, stream), latent_block(7, 2, 8, stream, 0))


def test_attempts_streams_and_blocks_share_no_latent() -> None:
    places = [(block, stream, attempt) for block in (0, 1) for stream in (0, 1) for attempt in (0, 1, 2)]
    rows = np.concatenate([latent_block(7, block, 4, stream, attempt) for block, stream, attempt in places])
    assert len(np.unique(rows, axis=0)) == len(places) * BLOCK_SIZE


def test_candidate_has_the_row_of_its_image_in_its_attempt_of_each_input() -> None:
    needed = {"z": Input("float32", (8,)), "grain": Input("float32", (3, 2)), "label": Input("int64", (), 3)}
    images, attempts = np.array([1030, 5, 1030, 6, 5]), np.array([2, 1, 0, 1, 3])
    drawn = inputs_of(9, Candidates(images, attempts), needed)
    for place, (image, attempt) in enumerate(zip(images, attempts, strict=True)):
        own = latent_block(9, image // BLOCK_SIZE, 8, attempt=attempt)[image % BLOCK_SIZE]
        np.testing.assert_array_equal(drawn["z"][place], own)
    np.testing.assert_array_equal(drawn["grain"][2], inputs(9, 1030, 1031, needed)["grain"][0])
    assert drawn["grain"].shape == (5, 3, 2)
    assert drawn["label"].tolist() == (images % 3).tolist()


def test_a_negative_attempt_is_refused() -> None:
    with pytest.raises(ValueError, match="attempt"):
        latent_block(0, 0, 1, attempt=-1)
