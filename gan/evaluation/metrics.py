"""How alike two sets of images are, in numbers that hold for hundreds of images."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

NEIGHBOURS = 5
"""k of precision, density and coverage."""
BLOCK = 1024
_SSIM_KERNEL, _SSIM_SIGMA = 11, 1.5
_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_ROUNDING_NOISE = 1 / 12
"""Variance that rounding to whole numbers adds; it keeps the logarithm of an even plate's spectrum finite."""


def kid(real: Tensor, fake: Tensor) -> float:
    """Kernel Inception Distance: the unbiased squared MMD of two sets of features, over all pairs.

    Bińkowski et al., "Demystifying MMD GANs", ICLR 2018: kernel (x·y/D + 1)³. Its mean does not depend on the number
    of images, as that of FID does, and is 0 for two sets of one distribution, so about half of such values are
    negative. The usual mean over random subsets estimates the same with more noise.

    Args:
        real: `[N, D]`, N ≥ 2.
        fake: `[M, D]`, M ≥ 2.

    Raises:
        ValueError: too few features, or of another shape.
    """
    real, fake = _checked(real, fake, 2)
    n, m = len(real), len(fake)
    within_real = (_kernel_sum(real, real) - _self_kernel(real).sum()) / (n * (n - 1))
    within_fake = (_kernel_sum(fake, fake) - _self_kernel(fake).sum()) / (m * (m - 1))
    return float(within_real + within_fake - 2 * _kernel_sum(real, fake) / (n * m))


def kid_interval(
    real: Tensor, fake: Tensor, resamples: int = 1000, seed: int = 0, level: float = 0.95
) -> tuple[float, float]:
    """Where `kid` would lie for other images of the same two sources: a percentile bootstrap over images.

    Both sets are drawn anew with replacement. An image that is drawn twice would be compared with itself, and
    k(x, x) is the largest of all: such pairs are left out of the sums and of their number, so that the resampled
    values scatter about `kid` and not above it.

    Args:
        real: `[N, D]`, N ≥ 10.
        fake: `[M, D]`, M ≥ 10.
        resamples: how many times both sets are drawn.
        seed: of the draws.
        level: the share of resampled values that lie between the two ends.

    Raises:
        ValueError: too few features, or of another shape.
    """
    real, fake = _checked(real, fake, 10)
    generator = torch.Generator().manual_seed(seed)
    times_real = _times_drawn(len(real), resamples, generator)
    times_fake = _times_drawn(len(fake), resamples, generator)
    across = _weighted_kernel_sum(real, times_real, fake, times_fake) / (len(real) * len(fake))
    values = _within(real, times_real) + _within(fake, times_fake) - 2 * across
    tail = (1 - level) / 2
    low, high = values.quantile(torch.tensor([tail, 1 - tail], dtype=torch.float64)).tolist()
    return low, high


class Manifold(NamedTuple):
    """How fakes lie among real images, see `manifold`."""

    precision: float
    density: float
    coverage: float


def manifold(real: Tensor, fake: Tensor, k: int = NEIGHBOURS) -> Manifold:
    """What share of the fakes lies among the real images, how deep, and what share of these has a fake nearby.

    Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative Models", ICML 2020. Around each real image
    lies a ball up to its k-th nearest other real image. Precision: the share of fakes in any ball (Kynkäänniemi et al.,
    "Improved Precision and Recall Metric", NeurIPS 2019, section 2). Density: in how many balls a fake lies, over k, a
    mean; it is about 1 for fakes like the real ones and may exceed 1. Coverage: the share of balls that hold a fake; it
    grows with the number of fakes, so only values of equal numbers compare. A set against itself has 1 of each exactly.

    Args:
        real: `[N, D]`, N > k.
        fake: `[M, D]`.

    Raises:
        ValueError: too few features, or of another shape.
    """
    real, fake = _checked(real, fake, 1)
    if len(real) <= k:
        raise ValueError(f"need more than {k} real images, got {len(real)}")
    radii = torch.cat([distances(rows, real).kthvalue(k + 1, dim=1).values for rows in torch.split(real, BLOCK)])
    among, inside, held = 0.0, 0.0, torch.zeros(len(real), dtype=torch.bool)
    for rows in torch.split(fake, BLOCK):
        in_ball = distances(rows, real) < radii
        among += float(in_ball.any(dim=1).sum())
        inside += float(in_ball.sum())
        held |= in_ball.any(dim=0)
    return Manifold(among / len(fake), inside / (k * len(fake)), float(held.double().mean()))


def ideal_coverage(real: int, fake: int, k: int = NEIGHBOURS) -> float:
    """The coverage that as many fakes of the very distribution of the real images have on average.

    A ball stays empty where, of the `real - 1 + fake` images around its centre, the nearest k are all real.
    """
    empty = 1.0
    for index in range(k):
        empty *= (real - 1 - index) / (real - 1 + fake - index)
    return 1 - empty


def distances(x: Tensor, y: Tensor) -> Tensor:
    """Euclidean distances `[N, M]` of all rows, without the matrix product that makes those of equal rows inexact."""
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")


def nearest(x: Tensor, to: Tensor) -> tuple[Tensor, Tensor]:
    """For each row of `x` `[N, D]` the distance to the nearest row of `to` `[M, D]`, float64, and its index."""
    found = [distances(rows, to.double()).min(dim=1) for rows in torch.split(x.double(), BLOCK)]
    return torch.cat([block.values for block in found]), torch.cat([block.indices for block in found])


def ssim_scales(size: int) -> int:
    """Scales of MS-SSIM that images have room for, `size` being the shorter side: the smallest must hold the window.

    It has 11 pixels. Wang et al. used five scales, which take 176; 128 have room for four. 0: not even for one.
    """
    return sum(size // 2**scale >= _SSIM_KERNEL for scale in range(len(_SSIM_WEIGHTS)))


def ms_ssim(x: Tensor, y: Tensor) -> Tensor:
    """Multi-scale structural similarity of pairs: 1 for equal images, about 0 for images that share nothing.

    Wang et al., "Multiscale structural similarity for image quality assessment", Asilomar 2003, with a Gaussian window
    of 11 pixels, negative terms taken as 0, and the weights of the scales that fit (`ssim_scales`) brought to sum 1.

    Args:
        x: uint8 `[P, C, H, W]`.
        y: of the same shape.

    Returns:
        float64 `[P]` in [0, 1].

    Raises:
        ValueError: other types or shapes, or images smaller than the window.
    """
    scales = ssim_scales(min(x.shape[-2:])) if x.ndim == 4 else 0
    if x.dtype != torch.uint8 or y.dtype != torch.uint8 or x.shape != y.shape or not scales:
        raise ValueError(
            f"need uint8 [P, C, H, W] twice, sides of {_SSIM_KERNEL} at least, got {list(x.shape)} and {list(y.shape)}"
        )
    pairs, channels = x.shape[:2]
    weights = torch.tensor(_SSIM_WEIGHTS[:scales], dtype=torch.float64)
    result = torch.ones(pairs, dtype=torch.float64)
    # every channel is an image of its own to the window
    first, second = (images.double().reshape(-1, 1, *images.shape[2:]) for images in (x, y))
    for scale, weight in enumerate(weights / weights.sum()):
        contrast, luminance = _ssim_terms(first, second)
        term = contrast if scale < scales - 1 else contrast * luminance
        result *= term.reshape(pairs, channels, -1).mean((1, 2)).clamp_min(0) ** weight
        first, second = avg_pool2d(first, 2), avg_pool2d(second, 2)
    return result


def mean_ms_ssim(images: Tensor, pairs: int = 500, seed: int = 0) -> float:
    """Mean MS-SSIM of random pairs of different images: lower is more varied, 1 is one image again and again.

    Odena et al., "Conditional Image Synthesis with Auxiliary Classifier GANs", ICML 2017, section 4.2. The number says
    little without that of real images beside it.

    Args:
        images: uint8 `[N, C, H, W]`, N ≥ 2.
        pairs: how many are drawn.
        seed: of the draws: the same seed and N give the same pairs.
    """
    generator = torch.Generator().manual_seed(seed)
    first = torch.randint(len(images), (pairs,), generator=generator)
    step = torch.randint(1, len(images), (pairs,), generator=generator)
    # Of few images the same pairs come again and again, either way round.
    drawn = torch.stack([first, (first + step) % len(images)]).sort(dim=0).values
    different, times = torch.unique(drawn, return_counts=True, dim=1)
    alike = torch.cat([ms_ssim(images[one], images[other]) for one, other in torch.split(different, 10, dim=1)])
    return float((alike * times).sum() / pairs)


def spectrum(images: Tensor) -> Tensor:
    """Mean power at each number of cycles per image, in dB: of each image over all directions, then of all images.

    Durall et al., "Watch your Up-Convolution", CVPR 2020: up-convolutions leave too much or too little of the high
    frequencies. White noise of variance v is flat at 10·log10(v + 1/12).

    Args:
        images: uint8 `[N, C, H, W]`.

    Returns:
        float64 `[S // 2]`: 1 to S // 2 cycles along S, the longer side.
    """
    size = max(images.shape[2:])
    down, right = (torch.fft.fftfreq(side, 1 / size, dtype=torch.float64) for side in images.shape[2:])
    ring = torch.hypot(down[:, None], right[None]).round().long().flatten()
    count = torch.bincount(ring)
    curves = []
    for batch in torch.split(images, 100):
        power = _power(batch).flatten(1)
        mean = torch.zeros(len(batch), len(count), dtype=torch.float64).index_add_(1, ring, power) / count
        curves.append(10 * (mean[:, 1 : size // 2 + 1] + _ROUNDING_NOISE).log10())
    return torch.cat(curves).mean(0)


def spectrum_2d(images: Tensor) -> Tensor:
    """Mean power at each frequency and direction, in dB; a generator's grid shows as dots, which no photo has.

    Args:
        images: uint8 `[N, C, H, W]`.

    Returns:
        float64 `[H, W]`, the constant in the middle.
    """
    power = torch.stack([_power(batch).sum(0) for batch in torch.split(images, 100)]).sum(0) / len(images)
    centred: Tensor = torch.fft.fftshift(10 * (power + _ROUNDING_NOISE).log10())
    return centred


def spectrum_distance(one: Tensor, other: Tensor) -> float:
    """Root mean square difference of two curves of `spectrum`, in dB: 3 dB is twice or half the power."""
    return float((one - other).square().mean().sqrt())


def _power(images: Tensor) -> Tensor:
    """Power of each image at each frequency, without its mean: float64 `[N, H, W]`, the mean over channels."""
    floats = images.double()
    spectra = torch.fft.fft2(floats - floats.mean((2, 3), keepdim=True))
    power: Tensor = spectra.abs().square().mean(1) / images[0, 0].numel()
    return power


def _checked(real: Tensor, fake: Tensor, least: int) -> tuple[Tensor, Tensor]:
    """Both in float64: float32 would lose the small difference of large cubes; raises as the callers say."""
    shapes = real.ndim == fake.ndim == 2 and real.shape[1] == fake.shape[1] > 0
    if not shapes or min(len(real), len(fake)) < least:
        raise ValueError(
            f"need [N, D] and [M, D], N and M at least {least}, got {list(real.shape)} and {list(fake.shape)}"
        )
    return real.double(), fake.double()


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _self_kernel(x: Tensor) -> Tensor:
    return (x.square().sum(1) / x.shape[1] + 1) ** 3


def _kernel_sum(x: Tensor, y: Tensor) -> Tensor:
    """Over blocks of rows: tens of thousands of images need no matrix of all pairs."""
    return torch.stack([_kernel(rows, y).sum() for rows in torch.split(x, BLOCK)]).sum()


def _times_drawn(count: int, resamples: int, generator: torch.Generator) -> Tensor:
    """How often each of `count` images is in each of the resamples of as many: float64 `[resamples, count]`."""
    drawn = torch.randint(count, (resamples, count), generator=generator)
    ones = torch.ones(1, dtype=torch.float64).expand(resamples, count)
    return torch.zeros(resamples, count, dtype=torch.float64).scatter_add_(1, drawn, ones)


def _weighted_kernel_sum(x: Tensor, times_x: Tensor, y: Tensor, times_y: Tensor) -> Tensor:
    """The kernel's sum over the pairs of each resample, `[resamples]`."""
    blocks = zip(torch.split(x, BLOCK), torch.split(times_x, BLOCK, dim=1), strict=True)
    return torch.stack([(times @ _kernel(rows, y) * times_y).sum(1) for rows, times in blocks]).sum(0)


def _within(x: Tensor, times: Tensor) -> Tensor:
    """The kernel's mean over the pairs of two different images in each resample of one set, `[resamples]`."""
    twice = times.square()
    return (_weighted_kernel_sum(x, times, x, times) - twice @ _self_kernel(x)) / (len(x) ** 2 - twice.sum(1))


def _ssim_terms(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """SSIM's contrast-structure and luminance terms at each place: of float64 `[N, 1, H, W]` in [0, 255]."""
    down, across = (_windows(side) for side in x.shape[2:])

    def blur(images: Tensor) -> Tensor:
        return down @ images @ across.T

    mean_x, mean_y, both = blur(x), blur(y), blur(x * y)
    variances = blur(x * x + y * y) - (mean_x.square() + mean_y.square())
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    contrast = (2 * (both - mean_x * mean_y) + c2) / (variances + c2)
    return contrast, (2 * mean_x * mean_y + c1) / (mean_x.square() + mean_y.square() + c1)


def _windows(side: int) -> Tensor:
    """SSIM's window at each place where it fits, float64 `[places, side]`.

    A product with it is what a convolution gives, which of float64 takes four times as long at 256 pixels.
    """
    offset = torch.arange(_SSIM_KERNEL, dtype=torch.float64) - _SSIM_KERNEL // 2
    window = (-offset.square() / (2 * _SSIM_SIGMA**2)).exp()
    rows = torch.zeros(side - _SSIM_KERNEL + 1, side, dtype=torch.float64)
    for place, weight in enumerate(window / window.sum()):
        rows.diagonal(place).fill_(weight)
    return rows
