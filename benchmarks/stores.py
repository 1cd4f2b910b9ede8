"""Many small PNG files into a folder and over loopback HTTP: images/s and processor seconds of the client.

python benchmarks/stores.py

The server is a sink that reads each PUT, says yes and keeps nothing, in a process of its own: a real store in Python
(moto) would be what is measured, not its clients. It waits `--delay` ms before it answers,
as a store in the same data centre would. Where s3fs is installed, its rows are printed, too; it wants other versions
of botocore than moto does, so give it an environment of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

COUNT, SIZE = 2000, 10_000
THREADS = (1, 8, 32)
Images = list[tuple[str, bytes]]
_LENGTH = b"content-length:"
_ANSWER = b'HTTP/1.1 200 OK\r\nETag: "0"\r\nContent-Length: 0\r\n\r\n'


class Sink(asyncio.Protocol):
    """Reads requests one after the other, and answers each with 200."""

    def __init__(self, delay: float) -> None:
        self._delay, self._buffer, self._left = delay, bytearray(), -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            if self._left < 0:
                head, end, _ = bytes(self._buffer).partition(b"\r\n\r\n")
                if not end:
                    return
                del self._buffer[: len(head) + 4]
                lines = head.lower().splitlines()
                if b"expect: 100-continue" in lines:  # botocore sends no body before
                    self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                self._left = next((int(line[len(_LENGTH) :]) for line in lines if line.startswith(_LENGTH)), 0)
            if len(self._buffer) < self._left:
                return
            del self._buffer[: self._left]
            self._left = -1
            asyncio.get_running_loop().call_later(self._delay, self._transport.write, _ANSWER)


def serve(port: Connection, delay: float) -> None:
    """Be the sink until killed; sends its port."""

    async def forever() -> None:
        server = await asyncio.get_running_loop().create_server(lambda: Sink(delay), "127.0.0.1", 0)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(forever())


def folder(images: Images) -> None:
    """`LocalStore`: files in a folder, flushed once."""
    from jobs.stores.local_store import LocalStore

    with tempfile.TemporaryDirectory() as path:
        store = LocalStore(Path(path))
        for name, content in images:
            store.write(name, content)
        store.flush()


def obstore_sync(threads: int) -> Callable[[Images], None]:
    """obstore's blocking call, in a pool of threads."""

    def put(images: Images) -> None:
        from jobs.stores.object_client import connect

        client = connect("s3://bucket/run")
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda image: client.put(*image, use_multipart=False), images))

    return put


def obstore_async(at_once: int) -> Callable[[Images], None]:
    """obstore's coroutine, in one event loop."""

    def put(images: Images) -> None:
        from jobs.stores.object_client import connect

        client = connect("s3://bucket/run")

        async def all_of_them() -> None:
            waiting = iter(images)

            async def some() -> None:
                for name, content in waiting:
                    await client.put_async(name, content, use_multipart=False)

            await asyncio.gather(*(some() for _ in range(at_once)))

        asyncio.run(all_of_them())

    return put


def object_store(images: Images) -> None:
    """`ObjectStore`, as a worker uses it: batches of 50, each settled."""
    from jobs.stores.object_store import ObjectStore

    store = ObjectStore("s3://bucket/run")
    for start in range(0, len(images), 50):
        for name, content in images[start : start + 50]:
            store.write(name, content)
        store.settle()


def s3fs_pipe(images: Images) -> None:
    """s3fs, one file after the other."""
    files = _s3fs()
    for name, content in images:
        files.pipe_file(f"bucket/run/{name}", content)


def s3fs_many(at_once: int) -> Callable[[Images], None]:
    """s3fs, all files in one call."""
    return lambda images: _s3fs().pipe({f"bucket/run/{name}": content for name, content in images}, batch_size=at_once)


def _s3fs():
    import s3fs

    return s3fs.S3FileSystem(
        key="key", secret="secret", endpoint_url=os.environ["AWS_ENDPOINT_URL"], skip_instance_cache=True
    )


def rows() -> dict[str, Callable[[Images], None]]:
    """What is measured, by name."""
    ways: dict[str, Callable[[Images], None]] = {"a folder (LocalStore)": folder}
    ways |= {f"obstore, {n} threads": obstore_sync(n) for n in THREADS}
    ways |= {f"obstore, async, {n} at once": obstore_async(n) for n in (8, 32)}
    ways["ObjectStore, batches of 50"] = object_store
    ways["s3fs, one by one"] = s3fs_pipe
    ways |= {f"s3fs, {n} at once": s3fs_many(n) for n in (8, 32)}
    return ways


def main() -> None:
    """Print one line a way to write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--delay", type=float, default=10.0, help="of each answer, in ms")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(theirs, arguments.delay / 1000), daemon=True)
    server.start()
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{ours.recv()}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
    }
    images = [(f"{index:08d}.png", os.urandom(SIZE)) for index in range(COUNT)]
    best: dict[str, tuple[float, float]] = {}
    for _ in range(arguments.rounds):
        for name, put in rows().items():
            start, used = time.perf_counter(), time.process_time()
            try:
                put(images)
            except ModuleNotFoundError:  # obstore and s3fs need not be in one environment
                continue
            measured = time.perf_counter() - start, time.process_time() - used
            best[name] = min(best.get(name, measured), measured)
    print(f"{COUNT} images of {SIZE} bytes, answers after {arguments.delay:g} ms")
    print(f"{'way':<28} {'images/s':>9} {'CPU s':>6} {'images/CPU s':>13}")
    for name, (seconds, used) in best.items():
        print(f"{name:<28} {COUNT / seconds:9.0f} {used:6.2f} {COUNT / used:13.0f}")
    server.terminate()


if __name__ == "__main__":
    main()
