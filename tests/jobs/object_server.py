"""A server that speaks S3 (moto's) on loopback, keeps a list of what it was asked, and fails as a test tells it to."""

from __future__ import annotations

import socket
import threading
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import obstore
from moto.server import create_backend_app
from obstore.store import S3Store
from werkzeug.serving import WSGIRequestHandler, make_server

BUCKET, SECRET = "bucket", "wJalrXUtnFEMIK7MDENGbPxRfiCYsecret"
Environ = dict[str, Any]
Answer = list[bytes]
Fault = Callable[[Environ, Callable[..., Any]], Answer | None]
"""Answers a request in the store's place, or with None leaves it to the store."""


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"  # connections stay open, as those of a real store

    def log(self, *arguments: object) -> None:
        pass


class ObjectServer:
    """The server; `asked` holds method and path of each request, `fault` may answer before the store does."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.fault: Fault | None = None
        self._app = create_backend_app("s3")
        self._one_at_a_time = threading.Lock()  # moto looks at a condition and writes in two steps
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=_Quiet)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        address = f"{self.environment['AWS_ENDPOINT_URL']}/{BUCKET}"
        urllib.request.urlopen(urllib.request.Request(address, method="PUT")).close()

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs to come here."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._server.server_port}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_METADATA_ENDPOINT": f"http://127.0.0.1:{self._server.server_port}",
        }

    def close(self) -> None:
        """Stop it."""
        self._server.shutdown()

    def number(self, method: str, part: str = "") -> int:
        """How often it was asked with this method for a path with `part` in it."""
        return sum(asked == method and part in path for asked, path in self.asked)

    def _answer(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.asked.append((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
        if self.fault is not None and (answer := self.fault(environ, start_response)) is not None:
            return answer
        return self.store_answer(environ, start_response)

    def store_answer(self, environ: Environ, start_response: Callable[..., Any]) -> Answer:
        """What the store does and says."""
        with self._one_at_a_time:
            return list(self._app(environ, start_response))


def error(start_response: Callable[..., Any], status: str, code: str) -> Answer:
    """The answer of a store that refuses or cannot."""
    body = f"<Error><Code>{code}</Code><Message>{SECRET} must not be repeated</Message></Error>".encode()
    start_response(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
    return [body]


def cut(environ: Environ) -> Answer:
    """Read half of what is sent, then hang up."""
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0) // 2)
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    return []


def client() -> S3Store:
    """The whole bucket."""
    return S3Store(BUCKET, client_options={"allow_http": True})


def tree(url: str) -> dict[str, bytes]:
    """What lies below a URL as {relative name: content}."""
    prefix, store = url.removeprefix(f"s3://{BUCKET}/"), client()
    return {path.removeprefix(f"{prefix}/"): store.get(path).bytes().to_bytes() for path in _paths(store, prefix)}


def copy(url: str, to: str) -> str:
    """Copy a run that tests must not change; returns `to`."""
    store, start = client(), len(url)
    for path in _paths(store, url.removeprefix(f"s3://{BUCKET}/")):
        obstore.copy(store, path, f"{to}{f's3://{BUCKET}/{path}'[start:]}".removeprefix(f"s3://{BUCKET}/"))
    return to


def _paths(store: S3Store, prefix: str) -> Iterator[str]:
    for some in store.list(prefix):
        yield from (meta["path"] for meta in some)
