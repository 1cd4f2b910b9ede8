"""A worker: a process with a session of its own that makes the pieces it is told of.

`jobs.workers.pool` starts it as `python -m jobs.workers.worker FD PARENT`; FD is a socket to talk over,
PARENT the process to die with.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from multiprocessing.connection import Connection

from jobs.stores.opening import open_store
from jobs.workers.crew import Failed, Order
from jobs.workers.piece import write_images
from jobs.workers.session import GeneratorSession

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Work until the other end of the connection is closed."""
    connection, parent = Connection(int(sys.argv[1])), int(sys.argv[2])
    _die_with(parent)
    try:
        _work(connection)
    except (EOFError, ConnectionError):
        pass
    except Exception as error:
        connection.send(Failed.of(error))


def _work(connection: Connection) -> None:
    order: Order = connection.recv()
    session = GeneratorSession(order.model, order.device)
    connection.send(session.facts)
    store = open_store(order.out)
    while True:
        piece, batch_size, mix = connection.recv()
        written = write_images(piece, session, store, order.seed, batch_size, order.format, mix, order.wish)
        connection.send(written.done(piece))


def _die_with(parent: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was gone before it could be told of
        sys.exit(1)


if __name__ == "__main__":
    main()
