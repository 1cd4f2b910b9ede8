"""How processes train together: one group, and gradients averaged over all of them."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from gan.training.processes import Processes
from models.errors import CommandError, ExitCode, first_line, memory_error


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
        if processes.is_first or memory_error(error):
            raise
        raise _lost(processes, error) from None
    finally:
        dist.destroy_process_group()


def _lost(processes: Processes, error: RuntimeError) -> CommandError:
    """What to end with where another process has ended: its own line says why."""
    return CommandError(
        ExitCode.DIVERGED, f"process {processes.rank} stopped, perhaps for what another one says: {first_line(error)}"
    )
