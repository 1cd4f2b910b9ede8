"""The measures by themselves: against sums by hand, closed forms, and simulation."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from gan.evaluation import metrics
from gan.evaluation.metrics import (
    ideal_coverage,
    kid,
    kid_interval,
    manifold,
    mean_ms_ssim,
    ms_ssim,
    nearest,
    spectrum,
    spectrum_2d,
    spectrum_distance,
    ssim_scales,
)


def normal(count: int, width: int, seed: int) -> Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def uniform(low: float, high: float, count: int, seed: int) -> Tensor:
    return low + (high - low) * torch.rand(count, 1, generator=torch.Generator().manual_seed(seed))


def noise(count: int, size: int = 64, channels: int = 1, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (count, channels, size, size), dtype=torch.uint8, generator=generator)


def test_kid_is_the_sum_over_all_pairs_of_two_images() -> None:
    real, fake = normal(5, 3, 1), normal(4, 3, 2) + 0.5

    def mean(one: Tensor, other: Tensor, apart: bool) -> float:
        values = [
            (sum(float(a) * float(b) for a, b in zip(x, y, strict=True)) / 3 + 1) ** 3
            for i, x in enumerate(one)
            for j, y in enumerate(other)
            if not (apart and i == j)
        ]
        return sum(values) / len(values)

    by_hand = mean(real, real, True) + mean(fake, fake, True) - 2 * mean(real, fake, False)
    assert kid(real, fake) == pytest.approx(by_hand, rel=1e-12)


def test_kid_of_two_single_points_has_its_closed_form() -> None:
    real, fake = torch.full((3, 1), 2.0), torch.full((7, 1), -1.0)
    assert kid(real, fake) == pytest.approx((4 + 1) ** 3 + (1 + 1) ** 3 - 2 * (-2 + 1) ** 3, rel=1e-12)


def test_kid_is_that_of_torch_fidelity() -> None:
    theirs = pytest.importorskip("torch_fidelity.metric_kid", reason="in the extra inception")
    real, fake = normal(40, 64, 1).double(), normal(40, 64, 2).double() * 1.2 + 0.1
    found = theirs.kid_features_to_metric(real, fake, kid_subsets=1, kid_subset_size=40, rng_seed=0, verbose=False)
    assert kid(real, fake) == pytest.approx(found[theirs.KEY_METRIC_KID_MEAN], rel=1e-9)


def test_kid_of_a_set_against_itself_lies_below_0_by_what_the_diagonal_holds() -> None:
    x = normal(20, 6, 3).double()
    kernel = (x @ x.T / 6 + 1) ** 3
    diagonal = kernel.diagonal().mean()
    apart = (kernel.sum() - kernel.trace()) / (20 * 19)
    assert kid(x, x) == pytest.approx(float(2 / 20 * (apart - diagonal)), rel=1e-9)
    assert kid(x, x) < 0


def test_mean_kid_of_few_images_is_the_true_distance_of_their_sources() -> None:
    # With D = 1 the distance is (m₃ - m₃')² + 3 (m₂ - m₂')² + 3 (m₁ - m₁')² of the sources' moments m.
    true = (0 - 1 / 4) ** 2 + 3 * (1 / 3 - 1 / 3) ** 2 + 3 * (0 - 1 / 2) ** 2
    values = [kid(uniform(-1, 1, 5, 2 * seed), uniform(0, 1, 8, 2 * seed + 1)) for seed in range(2000)]
    error = torch.tensor(values).std() / math.sqrt(len(values))
    assert abs(torch.tensor(values).mean() - true) < 4 * error


def test_blocks_do_not_change_the_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = normal(23, 4, 1), normal(40, 4, 2)
    whole = kid(real, fake), kid_interval(real, fake, 50), manifold(real, fake), nearest(fake, real)
    monkeypatch.setattr(metrics, "BLOCK", 7)
    assert kid(real, fake) == pytest.approx(whole[0], rel=1e-12)
    assert kid_interval(real, fake, 50) == pytest.approx(whole[1], rel=1e-12)
    assert manifold(real, fake) == whole[2]
    assert all(map(torch.equal, nearest(fake, real), whole[3]))


def test_interval_holds_the_true_distance_as_often_as_it_says() -> None:
    true = (1 / 4) ** 2 + 3 * (1 / 2) ** 2
    held = 0
    for seed in range(200):
        low, high = kid_interval(uniform(-1, 1, 30, 2 * seed), uniform(0, 1, 60, 2 * seed + 1), 200, seed)
        held += low <= true <= high
    assert 0.90 <= held / 200 <= 0.99  # 0.95 ± 3 standard errors of 200 draws, less a little for 30 images


def test_interval_of_two_sets_of_one_source_holds_0_although_images_are_drawn_twice() -> None:
    inside = 0
    for seed in range(40):
        # An image is far more like itself than like another here: counted, such pairs would lift every value.
        low, high = kid_interval(normal(12, 50, 2 * seed), normal(12, 50, 2 * seed + 1), 200, seed)
        inside += low < 0 < high
    assert inside >= 36


def test_interval_shrinks_with_the_root_of_the_number_of_images() -> None:
    def width(count: int) -> float:
        low, high = kid_interval(uniform(-1, 1, count, 1), uniform(0, 1, count, 2))
        return high - low

    assert width(25) / width(400) == pytest.approx(4, rel=0.3)


def test_interval_is_the_same_for_the_same_seed_only() -> None:
    real, fake = normal(12, 4, 1), normal(15, 4, 2)
    assert kid_interval(real, fake, 100, 1) == kid_interval(real, fake, 100, 1) != kid_interval(real, fake, 100, 2)


@pytest.mark.parametrize("shapes", [((1, 3), (5, 3)), ((5, 3), (5, 4)), ((5,), (5,)), ((5, 0), (5, 0))])
def test_features_that_cannot_be_compared_are_refused(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match=r"need \[N, D\] and \[M, D\]"):
        kid(torch.zeros(shapes[0]), torch.zeros(shapes[1]))


def test_precision_density_and_coverage_of_a_set_against_itself_are_1() -> None:
    x = normal(50, 6, 1)
    assert manifold(x, x) == (1.0, 1.0, 1.0)


def test_precision_density_and_coverage_of_images_of_the_same_source_are_near_1() -> None:
    precision, density, coverage = manifold(normal(300, 4, 1), normal(300, 4, 2))
    assert density == pytest.approx(1, abs=0.1)
    assert precision > 0.9
    assert coverage == pytest.approx(1 - 1 / 2**5, abs=0.03)  # of as many fakes as reals, for many of both


def test_precision_density_and_coverage_of_fakes_far_away_are_0() -> None:
    assert manifold(normal(50, 4, 1), normal(70, 4, 2) + 100) == (0.0, 0.0, 0.0)


def test_one_image_again_and_again_has_density_but_no_coverage() -> None:
    real = normal(100, 4, 1)
    precision, density, coverage = manifold(real, real.mean(0).expand(100, -1))
    assert precision == 1
    assert density > 1
    assert coverage < 0.5


def test_density_needs_more_images_than_neighbours() -> None:
    with pytest.raises(ValueError, match="more than 5 real images"):
        manifold(normal(5, 4, 1), normal(5, 4, 2))


def test_nearest_of_a_copy_is_the_original_at_distance_0() -> None:
    x = normal(30, 8, 1) * 1000
    distance, index = nearest(x[[4, 17]], x)
    assert (distance.tolist(), index.tolist()) == ([0, 0], [4, 17])


@pytest.mark.parametrize(
    ("size", "scales"), [(10, 0), (11, 1), (22, 2), (64, 3), (128, 4), (175, 4), (176, 5), (999, 5)]
)
def test_ms_ssim_takes_as_many_scales_as_the_window_fits_into(size: int, scales: int) -> None:
    assert ssim_scales(size) == scales


def test_ms_ssim_of_equal_images_is_1() -> None:
    images = noise(3, 128, 3)
    assert ms_ssim(images, images).tolist() == pytest.approx([1, 1, 1], abs=1e-12)


def test_ms_ssim_is_the_product_over_scales_by_hand() -> None:
    x = noise(1, 22)
    y = (x * 0.5 + noise(1, 22, seed=1) * 0.5).to(torch.uint8)
    offset = torch.arange(11).double() - 5
    window = torch.exp(-(offset[:, None] ** 2 + offset**2) / (2 * 1.5**2)).flatten()
    window /= window.sum()

    def terms(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        a, b = (image.unfold(0, 11, 1).unfold(1, 11, 1).reshape(-1, 121) for image in (one, other))
        mean_a, mean_b = a @ window, b @ window
        spread_a, spread_b = a - mean_a[:, None], b - mean_b[:, None]
        together = (spread_a * spread_b) @ window
        contrast = (2 * together + 7.65**2) / (spread_a**2 @ window + spread_b**2 @ window + 7.65**2)
        return contrast, (2 * mean_a * mean_b + 2.55**2) / (mean_a**2 + mean_b**2 + 2.55**2)

    one, other = x[0, 0].double(), y[0, 0].double()
    half_one, half_other = (image.reshape(11, 2, 11, 2).mean((1, 3)) for image in (one, other))
    fine, _ = terms(one, other)
    coarse, luminance = terms(half_one, half_other)
    weights = torch.tensor([0.0448, 0.2856], dtype=torch.float64) / (0.0448 + 0.2856)
    expected = fine.mean() ** weights[0] * (coarse * luminance).mean() ** weights[1]
    assert 0.2 < expected < 0.95
    assert ms_ssim(x, y).item() == pytest.approx(expected.item(), rel=1e-9)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (noise(2, 10), noise(2, 10)),
        (noise(2), noise(3)),
        (noise(2).float(), noise(2).float()),
        (noise(2)[0], noise(2)[0]),
    ],
)
def test_ms_ssim_refuses_what_it_cannot_compare(x: Tensor, y: Tensor) -> None:
    with pytest.raises(ValueError, match="need uint8"):
        ms_ssim(x, y)


def test_diversity_is_1_for_one_image_again_and_again_and_low_for_noise() -> None:
    assert mean_ms_ssim(noise(1).expand(10, -1, -1, -1), 20) == pytest.approx(1, abs=1e-12)
    assert mean_ms_ssim(noise(20), 20) < 0.2


def test_diversity_compares_the_same_pairs_for_the_same_seed_and_never_an_image_with_itself() -> None:
    images = torch.stack([torch.full((1, 16, 16), 255 * row, dtype=torch.uint8) for row in range(2)])
    assert mean_ms_ssim(images, 30) < 0.01  # black against white, never white against white
    assert mean_ms_ssim(noise(20), 20, 1) == mean_ms_ssim(noise(20), 20, 1) != mean_ms_ssim(noise(20), 20, 2)


def test_spectrum_of_white_noise_is_flat_at_its_variance() -> None:
    curve = spectrum(noise(40))
    assert curve.shape == (32,)
    assert curve[4:].tolist() == pytest.approx([10 * math.log10((256**2 - 1) / 12)] * 28, abs=0.5)


@pytest.mark.parametrize("cycles", [3, 10, 31])
def test_spectrum_of_a_sinusoid_has_its_peak_at_its_frequency(cycles: int) -> None:
    wave = 128 + 100 * torch.sin(2 * torch.pi * cycles * torch.arange(64) / 64)
    curve = spectrum(wave.round().to(torch.uint8).expand(1, 1, 64, 64))
    assert curve.argmax() + 1 == cycles
    assert curve.max() - curve.sort().values[-2] > 20


@pytest.mark.parametrize("axis", [0, 1])
def test_spectrum_of_a_rectangle_counts_cycles_along_its_longer_side(axis: int) -> None:
    wave = 128 + 100 * torch.sin(2 * torch.pi * 12 * torch.arange(96) / 96)  # 8 cycles along the shorter side
    rows, columns = (wave[:64, None], wave[None])
    image = (rows if axis == 0 else columns).expand(64, 96).round().to(torch.uint8)
    curve = spectrum(image[None, None])
    assert curve.shape == (48,)
    assert curve.argmax() + 1 == 12
    assert spectrum(noise(40, 96)[:, :, :64])[4:].tolist() == pytest.approx(
        [10 * math.log10((256**2 - 1) / 12)] * 44, abs=0.5
    )


def test_twice_the_amplitude_is_6_db() -> None:
    quiet = noise(20) // 4
    assert spectrum_distance(spectrum(quiet), spectrum(quiet * 2)) == pytest.approx(20 * math.log10(2), abs=0.01)
    assert spectrum_distance(spectrum(quiet), spectrum(quiet)) == 0


def test_spectrum_of_an_even_plate_is_finite() -> None:
    assert spectrum(torch.full((2, 3, 64, 64), 7, dtype=torch.uint8)).tolist() == pytest.approx([-10.79] * 32, abs=0.01)


def test_ideal_coverage_is_what_images_of_one_source_reach_on_average() -> None:
    generator = torch.Generator().manual_seed(1)
    covered = [
        manifold(torch.randn(30, 3, generator=generator), torch.randn(20, 3, generator=generator)).coverage
        for _ in range(300)
    ]
    assert sum(covered) / 300 == pytest.approx(ideal_coverage(30, 20), abs=0.01)
    assert ideal_coverage(10**6, 10**6) == pytest.approx(1 - 1 / 2**5, abs=1e-4)


def test_a_grid_is_a_dot_in_the_spectrum_over_both_frequencies() -> None:
    grain = torch.randint(100, 140, (20, 1, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    plain = spectrum_2d(grain)
    grain[:, :, ::8] += 40  # rows, eight cycles an image
    lined = spectrum_2d(grain)
    raised = lined - plain
    assert raised[32 + 8, 32] > 20
    assert raised[32 - 8, 32] > 20
    assert raised[32, 32 + 8].abs() < 3
    assert raised[32 + 4, 32].abs() < 3
