"""gan-train's step against the loop that everybody writes, interleaved in one process run.

python benchmarks/train.py [--batch-sizes 16,32,64] [--steps 24] [--rounds 3] [--workers 2] [--photos 300]

(a) the plain loop: PyTorch's DCGAN example with the same two networks. Each photo is decoded and resized every time it
    is shown, by a DataLoader with two workers; float32, default memory format, binary cross-entropy, the losses read
    with `.item()` at every step
(b) (a) with the photos in memory, decoded once, and the losses read every 50 steps
(c) (b) with both networks in channels_last
(d) (c) with autocast to bfloat16
(e) gan-train --recipe dcgan: the same calculation in float32
(f) gan-train --recipe dcgan --precision bfloat16
(g) gan-train --recipe small-data. A step of it does more than one of (a): the photos pass the discriminator once more
    for the generator's loss, every 8th step has a gradient penalty; augmentation and the average come on top

Rates are real images shown a second, the best of the rounds. The DataLoader starts its workers anew in every epoch, as
it does unless told otherwise: few photos are short epochs. Reading all photos once, as gan-train does at its start, is
printed by itself. On CUDA where there is one.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from gan.config import RECIPES, TrainConfig
from gan.networks.dcgan import DCGAN
from gan.networks.discriminator import Discriminator
from gan.networks.stages import initialise
from gan.photos.read import load_images
from gan.training.run import USUAL
from gan.training.trainer import Trainer

SIZE, PHOTO_SIDE, Z_DIM = 128, 200, 100
WARM_UP = 3
"""Steps before the clock starts: memory is taken, kernels are chosen, workers are started."""
PENALTY_INTERVAL = TrainConfig().penalty_interval
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(frozen=True)
class Photos:
    """The same photos on disk and in memory.

    Attributes:
        folder: with one folder in it, as ImageFolder wants it.
        images: uint8 `[N, 1, S, S]`.
        workers: processes that decode, 0 for none.
    """

    folder: Path
    images: Tensor
    workers: int


def write_photos(folder: Path, count: int) -> None:
    """`count` gray JPEG photos of grain with some scratches."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(count):
        plate = random.normal(random.uniform(70, 150), 12, (PHOTO_SIDE, PHOTO_SIDE))
        for _ in range(random.integers(1, 4)):
            column = random.integers(4, PHOTO_SIDE - 4)
            plate[:, column - 1 : column + 2] += random.uniform(40, 110)
        Image.fromarray(plate.clip(0, 255).astype(np.uint8)).save(folder / f"{number:04d}.jpg", quality=95)


def from_disk(photos: Photos, batch_size: int) -> Iterator[Tensor]:
    """Endless batches as the example reads them."""
    steps = [
        transforms.Grayscale(),
        transforms.Resize(SIZE),
        transforms.CenterCrop(SIZE),
        transforms.ToTensor(),
        transforms.Normalize(0.5, 0.5),
    ]
    data = ImageFolder(str(photos.folder), transform=transforms.Compose(steps))
    loader = DataLoader(data, batch_size=batch_size, shuffle=True, num_workers=photos.workers)
    while True:
        for images, _ in loader:
            yield images.to(DEVICE)


def from_memory(photos: Photos, batch_size: int) -> Iterator[Tensor]:
    """Endless batches of photos that were decoded once."""
    images = photos.images.to(DEVICE)
    while True:
        for chosen in torch.randperm(len(images), device=DEVICE).split(batch_size):
            yield images[chosen].float() / 127.5 - 1


def plain(
    photos: Photos, batch_size: int, in_memory: bool = False, channels_last: bool = False, bfloat16: bool = False
) -> Callable[[], int]:
    """(a) to (d): a function that makes one step and returns how many real images it showed."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    random = torch.Generator().manual_seed(0)
    g, d = DCGAN(Z_DIM), Discriminator()
    for network in (g, d):
        initialise(network, random)
        network.to(DEVICE, memory_format=layout)
    g_optimiser, d_optimiser = (torch.optim.Adam(net.parameters(), lr=0.0002, betas=(0.5, 0.999)) for net in (g, d))
    criterion = nn.BCEWithLogitsLoss()
    batches = (from_memory if in_memory else from_disk)(photos, batch_size)
    steps_between_reads = USUAL.stats_every if in_memory else 1
    done = 0

    def autocast() -> torch.autocast:
        return torch.autocast(DEVICE.type, torch.bfloat16, enabled=bfloat16)

    def step() -> int:
        nonlocal done
        real = next(batches).contiguous(memory_format=layout)
        ones, zeros = torch.ones(len(real), device=DEVICE), torch.zeros(len(real), device=DEVICE)

        d.zero_grad()
        with autocast():
            d_loss_real = criterion(d(real), ones)
        d_loss_real.backward()
        with autocast():
            fake = g(torch.randn(len(real), Z_DIM, 1, 1, device=DEVICE))
            d_loss_fake = criterion(d(fake.detach()), zeros)
        d_loss_fake.backward()
        d_optimiser.step()

        g.zero_grad()
        with autocast():
            g_loss = criterion(d(fake), ones)
        g_loss.backward()
        g_optimiser.step()

        done += 1
        if done % steps_between_reads == 0:
            for loss in (d_loss_real, d_loss_fake, g_loss):
                loss.item()
        return len(real)

    return step


def trainer(photos: Photos, batch_size: int, recipe: str, **options: object) -> Callable[[], int]:
    """(e) to (g): a function that makes one step of gan-train and returns how many real images it showed."""
    config = TrainConfig(**{**RECIPES[recipe], "batch_size": batch_size, **options})
    run = Trainer(photos.images, config, DEVICE)

    def step() -> int:
        scalars = run.train_step()
        if run.step % USUAL.stats_every == 0:
            torch.stack(list(scalars.values())).tolist()
        return run.images_per_step

    return step


def rate(step: Callable[[], int], steps: int) -> float:
    """Real images a second over `steps` steps after the first ones."""
    for _ in range(WARM_UP):
        step()
    wait()
    start = time.perf_counter()
    shown = sum(step() for _ in range(steps))
    wait()
    return shown / (time.perf_counter() - start)


def wait() -> None:
    """For a GPU that is still at work."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


LOOPS: dict[str, Callable[[Photos, int], Callable[[], int]]] = {
    "(a) plain loop": plain,
    "(b) (a) + photos in memory": lambda photos, size: plain(photos, size, in_memory=True),
    "(c) (b) + channels_last": lambda photos, size: plain(photos, size, in_memory=True, channels_last=True),
    "(d) (c) + bfloat16": lambda photos, size: plain(photos, size, True, True, bfloat16=True),
    "(e) dcgan": lambda photos, size: trainer(photos, size, "dcgan"),
    "(f) dcgan in bfloat16": lambda photos, size: trainer(photos, size, "dcgan", precision="bfloat16"),
    "(g) small-data": lambda photos, size: trainer(photos, size, "small-data"),
}


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description="gan-train's step against the plain loop.")
    parser.add_argument("--batch-sizes", default="16,32,64", help="separated by commas")
    parser.add_argument("--steps", type=int, help="a measurement; default 24, on CUDA 200")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2, help="of (a)'s DataLoader")
    parser.add_argument("--photos", type=int, default=300)
    given = parser.parse_args()
    given.steps = given.steps or (200 if DEVICE.type == "cuda" else PENALTY_INTERVAL * 3)
    if given.steps % PENALTY_INTERVAL:
        parser.error(f"--steps has to be a multiple of {PENALTY_INTERVAL}, so that each penalty has its steps")
    given.batch_sizes = [int(size) for size in given.batch_sizes.split(",")]
    return given


def main() -> None:
    """Print the best of the rounds as a table, a column a batch size."""
    given = arguments()
    best: dict[tuple[str, int], float] = {}
    with tempfile.TemporaryDirectory() as folder:
        write_photos(Path(folder, "photos"), given.photos)
        start = time.perf_counter()
        images = load_images(Path(folder), 1, SIZE).images
        read_s = time.perf_counter() - start
        photos = Photos(Path(folder), images, given.workers)
        for turn in range(given.rounds):
            for size in given.batch_sizes:
                for name, make in LOOPS.items():
                    now = rate(make(photos, size), given.steps)
                    best[name, size] = max(now, best.get((name, size), 0.0))
                    print(f"round {turn + 1}, batches of {size}: {name} {now:.1f} images/s", file=sys.stderr)
    where = torch.cuda.get_device_name() if DEVICE.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"{where}; {given.photos} photos of {PHOTO_SIDE}×{PHOTO_SIDE}, {SIZE}×{SIZE} gray; {given.workers} workers")
    print(f"best of {given.rounds} rounds of {given.steps} steps; reading all photos once: {read_s:.2f} s")
    print(f"{'images/s, × (a)':<28}" + "".join(f"{f'batches of {size}':>20}" for size in given.batch_sizes))
    plain_name = next(iter(LOOPS))
    for name in LOOPS:
        cells = [f"{best[name, size]:.1f}  {best[name, size] / best[plain_name, size]:.2f} ×"
                 for size in given.batch_sizes]  # fmt: skip
        print(f"{name:<28}" + "".join(f"{cell:>20}" for cell in cells))


if __name__ == "__main__":
    main()
