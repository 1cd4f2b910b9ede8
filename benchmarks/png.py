"""PNG encoders on generated images: images a CPU second and bytes an image, interleaved in one process.

python benchmarks/png.py
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import models
from jobs.dataset import png
from jobs.workers.session import GeneratorSession

COUNT, BATCH, ROUNDS = 500, 50, 5


def pillow(**options: int) -> Callable[[NDArray[np.uint8]], Iterable[bytes]]:
    """An encoder like `jobs.dataset.png.encode`, with Pillow's."""

    def encode(pixels: NDArray[np.uint8]) -> Iterable[bytes]:
        for image in pixels:
            buffer = io.BytesIO()
            Image.fromarray(image[:, :, 0]).save(buffer, "PNG", **options)
            yield buffer.getvalue()

    return encode


ENCODERS: dict[str, Callable[[NDArray[np.uint8]], Iterable[bytes]]] = {
    "Pillow, its default": pillow(),
    "Pillow, level 1": pillow(compress_level=1),
    "Pillow, Huffman only": pillow(compress_level=9, compress_type=2),
    "jobs.dataset.png": png.encode,
}


def main() -> None:
    """Print one line an encoder."""
    session = GeneratorSession(models.path(), "cpu")
    images = np.concatenate([session.pixels(session.inputs(1, i, i + BATCH), BATCH) for i in range(0, COUNT, BATCH)])
    seconds = dict.fromkeys(ENCODERS, float("inf"))
    size = dict.fromkeys(ENCODERS, 0)
    for _ in range(ROUNDS):
        for name, encode in ENCODERS.items():
            start = time.process_time()
            files = [file for i in range(0, COUNT, BATCH) for file in encode(images[i : i + BATCH])]
            seconds[name] = min(seconds[name], time.process_time() - start)
            size[name] = sum(map(len, files)) // COUNT
    base = seconds["Pillow, its default"]
    print(f"{'encoder':<22} {'images/CPU s':>12} {'ratio':>6} {'bytes':>7}")
    for name in ENCODERS:
        print(f"{name:<22} {COUNT / seconds[name]:>12.0f} {base / seconds[name]:>6.1f} {size[name]:>7}")


if __name__ == "__main__":
    main()
