"""How many images go through the model at once where nobody says it."""

from __future__ import annotations

import pytest

from jobs.workers.engine import Work, images_a_batch
from models.providers import CPU, CUDA


@pytest.mark.parametrize(
    ("width", "height", "on_cpu", "on_cuda"),
    [
        (32, 32, 50, 250),
        (128, 128, 50, 250),
        (320, 96, 34, 170),
        (256, 256, 16, 80),
        (512, 512, 4, 20),
        (4096, 4096, 1, 1),
    ],
)
def test_large_images_go_in_small_batches(width: int, height: int, on_cpu: int, on_cuda: int) -> None:
    assert [images_a_batch(provider, width, height) for provider in (CPU, CUDA)] == [on_cpu, on_cuda]
    assert Work().batch(CPU, width, height) == on_cpu
    assert Work(batch_size=7).batch(CPU, width, height) == 7
