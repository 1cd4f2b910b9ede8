"""gan-batch against the bare session and against the plain loop, interleaved in one process run.

python benchmarks/batch.py

(a) the bare session: the same batches from as many threads as cores, nothing encoded, nothing written
(c) gan-batch, whole: latents, images, PNG, files, sync, manifests
(d) the loop everybody writes: PyTorch, batches of 64, torchvision.utils.save_image for each image
"""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torchvision.utils import save_image

import models
from gan.networks import Generator
from jobs import run_batch
from jobs.local import BATCH_SIZE, available_cores
from jobs.session import GeneratorSession
from models.latents import latents

COUNT, PLAIN_COUNT, ROUNDS = 5000, 640, 3


def bare(session: GeneratorSession, count: int, batch: int) -> float:
    """Images a second."""
    z = latents(1, 0, batch, session.info.z_dim)
    start = time.monotonic()
    with ThreadPoolExecutor(available_cores()) as pool:
        list(pool.map(lambda _: session.pixels(z, batch), range(count // batch)))
    return count / (time.monotonic() - start)


def whole(model: Path, count: int) -> float:
    """Images a second, start-up included."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.monotonic()
        run_batch(model, Path(folder, "run"), count, seed=1, device="cpu")
        return count / (time.monotonic() - start)


@torch.no_grad()
def plain(generator: Generator, textures: torch.Tensor, count: int) -> float:
    """Images a second. What is saved are the bundled model's images, since an untrained one's are flat gray."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.monotonic()
        for first in range(0, count, 64):
            generator(torch.randn(64, generator.z_dim))
            for number, image in enumerate(textures, start=first):
                save_image(image, f"{folder}/{number:06d}.png", normalize=True, value_range=(-1, 1))
        return count / (time.monotonic() - start)


def main() -> None:
    """Print the best of the rounds and their ratios."""
    model = models.path()
    generator = Generator().eval()  # of the bundled one's size
    session = GeneratorSession(model, "cpu")
    pixels = session.pixels(latents(1, 0, 64, session.info.z_dim), 64)
    textures = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 127.5 - 1
    rates: dict[str, list[float]] = {"a": [], "c": [], "d": []}
    for _ in range(ROUNDS):
        rates["a"].append(bare(session, COUNT, BATCH_SIZE["cpu"]))
        rates["c"].append(whole(model, COUNT))
        rates["d"].append(plain(generator, textures, PLAIN_COUNT))
    best = {name: max(values) for name, values in rates.items()}
    print(f"(a) bare session {best['a']:.0f} images/s")
    print(f"(c) gan-batch    {best['c']:.0f} images/s, {best['c'] / best['a']:.2f} × (a)")
    print(f"(d) plain loop   {best['d']:.0f} images/s, (c) is {best['c'] / best['d']:.1f} × (d)")


if __name__ == "__main__":
    main()
