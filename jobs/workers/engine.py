"""Which engine makes the images: where its workers are, and what each may have."""

from __future__ import annotations

from dataclasses import dataclass


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
