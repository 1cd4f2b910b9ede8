"""Several processes on one training: who this one is, and what they agree on. `torchrun` starts them."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from models.errors import CommandError, ExitCode, first_line


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
        flags = torch.tensor([int(flag)])  # on the CPU, so that no GPU is waited for
        dist.all_reduce(flags, dist.ReduceOp.MAX)
        return bool(flags.item())

    def mean(self, values: Tensor) -> Tensor:
        """The mean of each value over all processes."""
        if self.count > 1:
            dist.all_reduce(values)
        return values / self.count

    def gather(self, value: Any) -> list[Any]:
        """The value of every process, by rank."""
        values: list[Any] = [value] * self.count
        if self.count > 1:
            dist.all_gather_object(values, value)
        return values

    def first(self, value: Any) -> Any:
        """The value that process 0 has."""
        values = [value]
        if self.count > 1:
            dist.broadcast_object_list(values, 0)
        return values[0]


ALONE = Processes()


def averaged(network: nn.Module, device: torch.device, processes: Processes) -> nn.Module:
    """`network` with its gradients averaged over all processes in the backward pass; itself where one is alone.

    Raises:
        CommandError: 70 another process has ended.
    """
    if processes.count == 1:
        return network
    try:  # they compare their parameters
        return DistributedDataParallel(network, device_ids=[device.index] if device.type == "cuda" else None)
    except RuntimeError as error:
        raise _lost(processes, error) from None


def started() -> Processes:
    """Who this process is, from the variables that `torchrun` sets; alone where they are not set."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return ALONE
    return Processes(*(int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")))


@contextlib.contextmanager
def joined(processes: Processes) -> Iterator[None]:
    """The processes' group while inside: gloo between CPUs, NCCL between GPUs.

    Raises:
        CommandError: 70 in the others where one of them has ended.
    """
    if processes.count == 1:
        yield
        return
    # Of 1×1 maps channels-last has two layouts of equal meaning; the copy it warns of is of a few numbers.
    warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    except RuntimeError as error:
        if processes.is_first:
            raise
        raise _lost(processes, error) from None
    finally:
        dist.destroy_process_group()


def _lost(processes: Processes, error: RuntimeError) -> CommandError:
    """What to end with where another process has ended: its own line says why."""
    return CommandError(
        ExitCode.DIVERGED, f"process {processes.rank} stopped, perhaps for what another one says: {first_line(error)}"
    )
