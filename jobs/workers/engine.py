"""How images are made: where the workers are, how many, and what each may have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jobs.workers.crew import Order, Pool
from jobs.workers.machine import available_cores, first_workers
from models.providers import CPU, CUDA

BATCH_SIZE = {CPU: 50, CUDA: 250}
"""Both divide the default shard size, so no batch is smaller than the others."""
_MOST_PIXELS = {CPU: 2**20, CUDA: 5 * 2**20}
"""Of a batch, where it is not told how large. A network may have 64 maps of an image's size, which are 256 bytes a
pixel, and a few such at once."""
CHOSEN = 8
"""Images that a worker is told of at once where there is a wish, and each takes many candidates: so one hears of them,
and no worker waits long for another."""


@dataclass(frozen=True)
class Engine:
    """Where the workers of a run are.

    Attributes:
        name: `local`, processes on this machine, or `ray`, actors on a Ray cluster.
        ray_address: of a running cluster: `auto`, `host:port` or `ray://host:port`; None starts one on this machine
            that ends with the run.
        gpus_per_worker: with Ray, which may be a part of one; None: 1 where the cluster has GPUs and they may be used.
        shard_timeout: seconds after which a worker that is silent is killed and replaced: a shard with Ray or in tar
            files, a batch else; None: 600, and 1 for each image.
    """

    name: str = "local"
    ray_address: str | None = None
    gpus_per_worker: float | None = None
    shard_timeout: float | None = None

    def __post_init__(self) -> None:
        if self.name not in ("local", "ray"):
            raise ValueError(f"there is no engine {self.name!r}")
        if self.name == "local" and (self.ray_address is not None or self.gpus_per_worker is not None):
            raise ValueError("ray_address and gpus_per_worker are of the engine ray")
        share = self.gpus_per_worker or 0
        if share != round(share, 4) or (share > 1 and share % 1):
            raise ValueError(f"{share:g} GPUs a worker: Ray divides one in steps of 0.0001, and gives several whole")


LOCAL = Engine()


def images_a_batch(provider: str, width: int, height: int) -> int:
    """How many go through the model at once where nobody says it: fewer large ones, whose maps take memory."""
    return max(1, min(BATCH_SIZE[provider], _MOST_PIXELS[provider] // (width * height)))


@dataclass(frozen=True)
class Work:
    """How a run is made; none of it changes an image.

    Attributes:
        device: `auto`, `cuda` or `cpu`; `auto` keeps to what a run began with.
        workers: processes; None: as many as this process has cores, on CUDA at most 6.
        batch_size: images a batch; None: `images_a_batch`, which are 50 on the CPU and 250 on CUDA up to 128×128.
        max_seconds: from the call on; no new shard is begun after that. None: no limit.
        engine: where the workers are.
    """

    device: str = "auto"
    workers: int | None = None
    batch_size: int | None = None
    max_seconds: float | None = None
    engine: Engine = LOCAL

    def batch(self, provider: str, width: int, height: int) -> int:
        """Images of this size a batch on this provider."""
        return self.batch_size or images_a_batch(provider, width, height)

    def piece(self, shard_size: int, *, is_whole: bool, chosen: bool = False) -> int:
        """Images that a worker is told of at once, as far as that is known before a worker is there.

        Args:
            shard_size: of the run.
            is_whole: whether its shards are written whole.
            chosen: whether there is a wish.
        """
        if is_whole or self.engine.name == "ray":
            return shard_size
        batch = self.batch_size or BATCH_SIZE[CPU]
        return min(batch, CHOSEN) if chosen else batch

    def open(self, order: Order, most: int, check: Callable[[], None]) -> Pool:
        """Start the workers, no more than `most`; `check` is called often, and what it raises ends the work."""
        if self.engine.name == "local":
            from jobs.workers.pool import WorkerPool

            return WorkerPool(order, min(self.workers or first_workers(order.device), most), check)
        from jobs.workers.ray_engine import RayPool  # here, since only some have Ray

        engine = self.engine
        return RayPool(order, engine.ray_address, engine.gpus_per_worker, self.workers, most, available_cores(), check)

    def grow(self, pool: Pool, provider: str, most: int) -> None:
        """Start the other workers, now that it is known what the first one got."""
        if provider == CPU:
            pool.grow(min(self.workers or available_cores(), most))
