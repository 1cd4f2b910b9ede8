"""A page shown from this machine to this machine, until it is stopped."""

from __future__ import annotations

import functools
import os
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from models.errors import CommandError, ExitCode
from models.log import log
from models.stopping import Stop

HOST = "127.0.0.1"


class _Handler(SimpleHTTPRequestHandler):
    """Files of the page; what a browser keeps of them it asks for again."""

    def guess_type(self, path: str | os.PathLike[str]) -> str:
        """Scripts are scripts, whatever the system's table says of them."""
        return "text/javascript" if os.fspath(path).endswith(".js") else super().guess_type(path)

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def log_message(self, format: str, *values: Any) -> None:
        log.debug(format, *values)


def serve(folder: Path, port: int) -> None:
    """Serve a page on the loopback address, until a signal ends it.

    Args:
        folder: with the page.
        port: to listen at; 0: any that is free.

    Raises:
        CommandError: 73 `port` cannot be listened at; 130 after Ctrl-C, 143 after SIGTERM.
    """
    try:
        server = ThreadingHTTPServer((HOST, port), functools.partial(_Handler, directory=str(folder)))
    except OSError as error:
        raise CommandError(
            ExitCode.CANNOT_WRITE, f"cannot listen at `port` {port} of {HOST}: {error.strerror}; take another"
        ) from None
    with server, Stop() as stop:
        working = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        working.start()
        log.info("open http://%s:%d/ in a browser; Ctrl-C ends it", HOST, server.server_address[1])
        while not stop:
            working.join(0.1)
        server.shutdown()
        raise stop.error(f"{folder} stays as it is")
