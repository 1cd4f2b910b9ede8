"""A Ray cluster to work on: one that runs, or one that is started on this machine and ends with the work.

Ray runs what anybody sends it. One that is started here listens on the loopback interface only, asks everybody for a
random token, and keeps its sockets and logs in a folder that only this user may enter.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import os
import re
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from typing import Any

from jobs.extras import extra
from jobs.stores.threads import DaemonPool
from models.errors import CommandError, ExitCode, first_line
from models.log import log

_OBJECT_STORE_BYTES = 100_000_000
"""Little more than Ray's least: what goes through it are the model and lines of manifests."""
_CONNECT_SECONDS, _JOIN_SECONDS, _START_SECONDS = 5.0, 45.0, 300.0
"""For a socket, for a cluster that runs, for one that is started here."""
_SETTINGS = b"\0\0\0\4\0\0\0\0\0"
"""A frame of HTTP/2 with which either side begins (RFC 9113, sections 3.4 and 4.1); this one changes nothing."""
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _SETTINGS
"""What a client says first: Ray's parts talk by gRPC, which is HTTP/2."""


@contextlib.contextmanager
def cluster(address: str | None, cores: int, object_bytes: int) -> Iterator[Any]:
    """Be a client of a cluster within the block; gives the module `ray`.

    A cluster that is started here is gone after the block, one that is joined runs on.

    Args:
        address: of a running one: `auto`, `host:port` or `ray://host:port`; None to start one.
        cores: of one that is started, for workers.
        object_bytes: that its object store must hold at least.

    Raises:
        CommandError: 2 where Ray is not installed, 69 where no cluster is at `address`, or none can be started.
    """
    if address is None:
        _protect()
    else:
        _probe(address)
    with extra("ray", "ray", "`engine=ray` needs"):
        ray: Any = importlib.import_module("ray")
    if address is None and not ray.util.get_node_ip_address().startswith("127."):
        raise CommandError(ExitCode.NO_DEVICE, "Ray was imported before, so that it would listen on all interfaces")
    with contextlib.ExitStack() as after:
        settings: dict[str, Any] = {"address": address}
        if address is None:
            # Sockets lie in it, whose paths must be short. Ray lets everybody into its own folder, so that is inside.
            folder = tempfile.mkdtemp(prefix="gan-ray-", dir="/tmp")
            after.callback(shutil.rmtree, folder, ignore_errors=True)
            settings = {
                "address": "local",
                "num_cpus": cores,
                "object_store_memory": _OBJECT_STORE_BYTES + 2 * object_bytes,
                "include_dashboard": False,
                "_node_ip_address": "127.0.0.1",
                "_temp_dir": f"{folder}/r",
            }
        _connect(ray, address, settings)
        after.callback(ray.shutdown)
        yield ray


def _connect(ray: Any, address: str | None, settings: dict[str, Any]) -> None:
    """Connect to a cluster, or start one, and leave nothing of it where that fails.

    In another thread: Ray has no limit of time there, and in the main thread it takes over signals.
    """
    # Ray prints what its raylets report to stdout, with `log_to_driver` or without. A module's names have no types.
    importlib.import_module("ray._private.worker")._worker_logs_enabled = False  # type: ignore[attr-defined]
    patience = _JOIN_SECONDS if address else _START_SECONDS
    connected = DaemonPool(1).submit(partial(ray.init, **settings, log_to_driver=False, logging_level="ERROR"))
    try:
        with _silence():
            connected.result(patience)
    except Exception as error:  # Ray raises what its parts raise
        if not connected.done():
            atexit.unregister(ray.shutdown)  # which would wait for the same
            what = f"nothing at {address} answers as Ray does" if address else "Ray does not start"
            raise CommandError(ExitCode.NO_DEVICE, f"{what} within {patience:.0f} s") from None
        ray.shutdown()
        reason = first_line(error)
        if any("AuthenticationError" in f"{type(cause).__name__} {cause}" for cause in _causes(error)):
            reason = "it asks for a token, see RAY_AUTH_MODE and RAY_AUTH_TOKEN_PATH in Ray's documentation"
        what = f"no Ray cluster to join at {address}" if address else "Ray does not start"
        raise CommandError(ExitCode.NO_DEVICE, f"{what}: {reason}") from error
    if address:
        log.info("Ray cluster: %s", address)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Nothing on stderr: a client that is refused a cluster says so every second, by its C++ part."""
    sys.stderr.flush()
    ours, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(ours, 2)
        os.close(ours)
        os.close(nothing)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error:
        yield error
        error = error.__cause__ or error.__context__


def _protect() -> None:
    """Set what Ray reads when it is imported. It stays set: Ray reads a token once for all in a process."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_AUTH_MODE"] = "token"
    if "RAY_AUTH_TOKEN_PATH" not in os.environ:
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    # Named after the systems on which it is the default: without it, Ray takes 127.0.0.1 for a slip and listens to all.
    if "ray" not in sys.modules:
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"


def _probe(address: str) -> None:
    """Refuse an address where nothing listens, or what cannot be Ray: it would look for it for long, and it says so on
    stderr for as long as this process lives.

    Raises:
        CommandError: 2 where it is no address, 69 where nothing answers.
    """
    if address == "auto":
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not re.fullmatch("[0-9]{1,5}", port):
        raise CommandError(ExitCode.USAGE, f"`ray_address={address}`: give auto, host:port or ray://host:port")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS) as connection:
            if os.environ.get("RAY_USE_TLS", "").lower() in ("", "0", "false"):
                _greet(connection, address)
    except (OSError, OverflowError, UnicodeError) as error:
        raise CommandError(ExitCode.NO_DEVICE, f"no Ray cluster to join at {address}: {error}") from None


def _greet(connection: socket.socket, address: str) -> None:
    """Begin as gRPC does, and hear whether the other side does, too.

    Raises:
        CommandError: 69 where it does not.
    """
    connection.settimeout(_JOIN_SECONDS)
    connection.sendall(_PREFACE)
    try:
        with connection.makefile("rb") as answers:
            said = answers.read(len(_SETTINGS))
    except TimeoutError:
        said = b""
    if said[3:4] != _SETTINGS[3:4]:
        raise CommandError(ExitCode.NO_DEVICE, f"no Ray cluster to join at {address}: what is there is no part of Ray")
