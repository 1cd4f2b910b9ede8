"""The lease that keeps a second writer away from a place in an object store."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.stores import lease
from jobs.stores.lease import Lease
from jobs.stores.object_store import ObjectStore
from models.errors import CommandError, ExitCode
from tests.conftest import ROOT
from tests.jobs.object_server import BUCKET, ObjectServer, client, error, tree

TTL = 0.6
HOLD = f"""
import sys
from jobs.stores import lease
lease.TTL_SECONDS = {TTL}
lease.Lease(sys.argv[1], ".lock").take()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def url(server: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where nothing is yet; leases are good for `TTL` seconds."""
    monkeypatch.setattr(lease, "TTL_SECONDS", TTL)
    return f"s3://{BUCKET}/{tmp_path.name}"


@pytest.fixture
def taken(url: str) -> Iterator[Lease]:
    """A lease that this process holds."""
    made = Lease(url, ".lock")
    made.take()
    yield made
    made.release()


@pytest.fixture
def holder(url: str) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the lease."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, url], cwd=ROOT, env=os.environ.copy(), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.communicate()


def is_refused(call: Callable[[], object], word: str = "another gan-batch") -> None:
    with pytest.raises(CommandError, match=word) as refused:
        call()
    assert refused.value.exit_code is ExitCode.LOCKED


def test_lease_is_refused_while_another_process_renews_it(url: str, holder: subprocess.Popen[bytes]) -> None:
    for _ in range(2):
        is_refused(ObjectStore(url).lock, f"another gan-batch is writing to {url}")
    assert ObjectStore(url).is_locked()


def test_lease_of_a_killed_process_is_taken_over(url: str, holder: subprocess.Popen[bytes]) -> None:
    holder.kill()
    holder.wait()
    store, start = ObjectStore(url), time.monotonic()
    store.lock()
    assert time.monotonic() - start > TTL
    is_refused(ObjectStore(url).lock)
    store.close()


def test_of_several_that_find_a_dead_lease_one_takes_it(url: str, holder: subprocess.Popen[bytes]) -> None:
    holder.kill()
    others = [
        subprocess.Popen([sys.executable, "-c", HOLD, url], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    outputs = [other.stdout.readline() for other in others if other.stdout]
    assert sorted(outputs) == [b"", b"", b"", b"held\n"]
    for other in others:
        other.kill()
        other.communicate()


@pytest.mark.parametrize("fault", ["slow", "down"])
def test_store_that_does_not_answer_for_a_while_is_waited_for_by_who_looks_at_a_lease(
    fault: str, url: str, server: ObjectServer, holder: subprocess.Popen[bytes]
) -> None:
    end = time.monotonic() + 3 * TTL

    def faulty(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes] | None:
        if environ["REQUEST_METHOD"] != "HEAD" or time.monotonic() > end:  # the holder writes, and does not look
            return None
        if fault == "down":
            return error(start_response, "503 Slow Down", "SlowDown")
        time.sleep(TTL)
        return None

    server.fault = faulty
    is_refused(ObjectStore(url).lock)


def test_look_that_was_answered_late_does_not_make_a_lease_dead(url: str, server: ObjectServer) -> None:
    """Its holder renews it just after a look, whose answer comes when a lease is old enough to be dead."""
    lock = f"{url.removeprefix(f's3://{BUCKET}/')}/.lock"
    client().put(lock, b"another 0")
    looks: list[float] = []

    def faulty(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes] | None:
        if environ["REQUEST_METHOD"] != "HEAD":
            return None
        looks.append(time.monotonic())
        answer = server.store_answer(environ, start_response)
        if len(looks) == 2:
            client().put(lock, b"another 1")
            time.sleep(1.2 * TTL)
        return answer

    server.fault = faulty
    is_refused(ObjectStore(url).lock)


def test_close_gives_the_lease_back_at_once_and_lets_nobody_wait(url: str) -> None:
    for _ in range(3):
        store, start = ObjectStore(url), time.monotonic()
        store.lock()
        store.lock()
        assert list(tree(url)) == [".lock"]
        store.close()
        assert time.monotonic() - start < TTL
        assert tree(url) == {}


def test_who_holds_it_apart_from_close_keeps_it(url: str) -> None:
    store = ObjectStore(url)
    store.lock()
    let_go = store.hold()
    store.close()
    is_refused(ObjectStore(url).lock)
    let_go()
    assert tree(url) == {}


def test_lease_holds_a_random_name_and_nothing_of_the_machine(taken: Lease, url: str) -> None:
    first = tree(url)[".lock"].split()
    other = Lease(f"{url}-beside", ".lock")
    other.take()
    second = tree(f"{url}-beside")[".lock"].split()
    other.release()
    assert len(first) == len(second) == 2
    assert first[0] != second[0]
    assert len(first[0]) == 32


def test_an_outage_longer_than_the_lease_is_waited_for(taken: Lease, server: ObjectServer) -> None:
    end = time.monotonic() + 2.5 * TTL
    server.fault = lambda environ, respond: (
        error(respond, "503 Slow Down", "SlowDown") if time.monotonic() < end else None
    )
    time.sleep(1.5 * TTL)
    assert not taken.is_good
    taken.check()
    assert time.monotonic() > end
    assert taken.is_good


def test_a_lease_that_cannot_be_renewed_for_long_is_lost(
    taken: Lease, server: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "PATIENCE_SECONDS", 1)
    server.fault = lambda environ, respond: error(respond, "503 Slow Down", "SlowDown")
    time.sleep(1.2 * TTL)
    is_refused(taken.check, "could not be renewed")


def test_who_was_stopped_and_finds_another_holder_commits_no_more(url: str, holder: subprocess.Popen[bytes]) -> None:
    program = f"""
import sys
from jobs.stores import lease
lease.TTL_SECONDS = {TTL}
from jobs.stores.object_store import ObjectStore
store = ObjectStore(sys.argv[1])
store.lock()
print("held", flush=True)
sys.stdin.read()
try:
    store.commit({{"_manifests/00000.csv": b"late"}})
finally:
    store.close()
"""
    holder.kill()
    first = subprocess.Popen(
        [sys.executable, "-c", program, url], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    assert first.stdout is not None
    assert first.stdout.readline() == b"held\n"
    first.send_signal(signal.SIGSTOP)
    second = ObjectStore(url)
    second.lock()
    first.send_signal(signal.SIGCONT)
    _, stderr = first.communicate(b"", timeout=20)
    assert first.returncode == 1
    assert f"another gan-batch has begun to write to {url}" in stderr.decode()
    assert list(tree(url)) == [".lock"], "it removed the other's lease, or wrote"
    second.commit({"_manifests/00000.csv": b"ours"})
    second.close()
    assert tree(url) == {"_manifests/00000.csv": b"ours"}


def test_take_whose_answer_was_lost_is_our_own(url: str, server: ObjectServer) -> None:
    lost: list[bool] = []

    def lose_the_first(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes] | None:
        if environ["REQUEST_METHOD"] != "PUT" or lost:
            return None
        lost.append(True)
        server.store_answer(environ, lambda *ignored: None)
        return error(start_response, "500 Internal Server Error", "InternalError")

    server.fault = lose_the_first
    store = ObjectStore(url)
    store.lock()
    assert lost
    store.close()
    assert tree(url) == {}


# Parts


def test_parts_are_beside_each_other_but_not_beside_the_whole(url: str) -> None:
    parts = [ObjectStore(url) for _ in range(3)]
    for number, part in enumerate(parts, 1):
        part.lock(f"{number}-of-3")
    assert parts[0].is_locked()
    is_refused(lambda: ObjectStore(url).lock("2-of-3"))
    is_refused(lambda: ObjectStore(url).lock("2-of-4"))
    is_refused(ObjectStore(url).lock)
    for part in parts:
        part.close()
    whole = ObjectStore(url)
    whole.lock()
    is_refused(lambda: ObjectStore(url).lock("1-of-3"))
    whole.close()
    assert tree(url) == {}


def test_whole_takes_the_place_of_dead_parts(url: str) -> None:
    program = HOLD.replace('".lock"', '".lock-1-of-3"')
    process = subprocess.Popen(
        [sys.executable, "-c", program, url], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    is_refused(ObjectStore(url).lock)
    process.kill()
    process.communicate()
    store = ObjectStore(url)
    store.lock()
    assert list(tree(url)) == [".lock"]
    store.close()


# Stores that know no conditions


@pytest.mark.parametrize("header", ["HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH"])
def test_store_that_ignores_conditions_is_warned_of(
    url: str, header: str, server: ObjectServer, caplog: pytest.LogCaptureFixture
) -> None:
    def without(environ: dict[str, Any], start_response: Callable[..., Any]) -> None:
        environ.pop(header, None)

    server.fault = without
    goes_on_with_a_warning(url, caplog)


def test_store_that_knows_no_conditions_is_warned_of(
    url: str, server: ObjectServer, caplog: pytest.LogCaptureFixture
) -> None:
    def unknown(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes] | None:
        conditional = {"HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH"} & environ.keys()
        return error(start_response, "501 Not Implemented", "NotImplemented") if conditional else None

    server.fault = unknown
    goes_on_with_a_warning(url, caplog)


def test_conditions_that_are_switched_off_are_warned_of(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AWS_CONDITIONAL_PUT", "disabled")
    goes_on_with_a_warning(url, caplog)


def goes_on_with_a_warning(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING", "gan")
    store = ObjectStore(url)
    store.lock()
    assert "start one at a time" in caplog.text
    assert store.create("run.json", b"{}")
    assert not store.create("run.json", b"[]")
    store.replace("run.json", b"new")
    store.commit({"_manifests/00000.csv": b""})
    store.close()
    assert tree(url) == {"run.json": b"new", "_manifests/00000.csv": b""}
