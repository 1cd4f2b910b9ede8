"""Several processes on one training: who this one is, and what they agree on. `torchrun` starts them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Processes:
    """This process among those that train together.

    Attributes:
        rank: its number; 0 writes the files.
        count: how many there are; 1 where nobody started more.
        local_rank: its number on this machine, and that of its GPU.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def any(self, flag: bool) -> bool:
        """Whether `flag` is set in any process: so that all stop at the same step."""
        if self.count == 1:
            return flag
        import torch
        import torch.distributed as dist

        flags = torch.tensor([int(flag)])  # on the CPU, so that no GPU is waited for
        dist.all_reduce(flags, dist.ReduceOp.MAX)
        return bool(flags.item())

    def mean(self, values: Tensor) -> Tensor:
        """The mean of each value over all processes."""
        if self.count > 1:
            import torch.distributed as dist

            dist.all_reduce(values)
        return values / self.count

    def gather(self, value: Any) -> list[Any]:
        """The value of every process, by rank."""
        values: list[Any] = [value] * self.count
        if self.count > 1:
            import torch.distributed as dist

            dist.all_gather_object(values, value)
        return values

    def first(self, value: Any) -> Any:
        """The value that process 0 has."""
        values = [value]
        if self.count > 1:
            import torch.distributed as dist

            dist.broadcast_object_list(values, 0)
        return values[0]


ALONE = Processes()


def started() -> Processes:
    """Who this process is, from the variables that `torchrun` sets; alone where they are not set."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return ALONE
    return Processes(*(int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")))
