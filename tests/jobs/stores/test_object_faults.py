"""What goes wrong with a run in an object store: kills, two at once, a store or credentials that fail, secrets."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.dataset import manifest
from models.files import LOCK
from tests.conftest import fails_in_one_line, run, run_in_process
from tests.jobs.conftest import SEED, batch, start, succeeds, workers_of
from tests.jobs.object_server import BUCKET, SECRET, ObjectServer, client, cut, error, tree
from tests.jobs.stores.stored import FEW, QUICK, TWO_SHARDS, command, like, made

COUNT, MANY_SHARDS = 160, ("--shard-size", "10", "--batch-size", "5", "--workers", "2")


@pytest.fixture(scope="module")
def undisturbed(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of many small shards in a folder, that was left alone."""
    out = tmp_path_factory.mktemp("small") / "run"
    succeeds(run_in_process(*batch(model, out, COUNT, *MANY_SHARDS)))
    return out


@pytest.fixture
def long_command(model: Path, url: str) -> list[str]:
    """The command of `undisturbed`, to a place of its own."""
    return command(model, url, COUNT, *MANY_SHARDS)


def wait_until(true: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    while not true() and process.poll() is None:
        time.sleep(0.005)


def shards_of(server: ObjectServer, number: int) -> Callable[[], bool]:
    return lambda: server.number("PUT", "/_manifests/") >= number


# Cut off, and two at once


def killed(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_killed_run_is_finished_by_the_next(
    long_command: list[str], url: str, server: ObjectServer, undisturbed: Path, model: Path
) -> None:
    process = start(long_command)
    wait_until(shards_of(server, 3), process)
    killed(process)
    before = {name: content for name, content in tree(url).items() if name.startswith("_manifests/")}
    assert 3 <= len(before) < COUNT // 10
    assert_whole(url)
    server.asked.clear()
    succeeds(made(model, url, COUNT, *MANY_SHARDS))
    like(url, undisturbed)
    assert not [path for method, path in server.asked if method == "PUT" and path.partition(f"{url[5:]}/")[2] in before]


def assert_whole(url: str) -> None:
    """Assert that every image that a committed manifest names is there."""
    import hashlib

    there = tree(url)
    for name, content in there.items():
        if name.startswith("_manifests/"):
            for row in manifest.from_csv(content):
                assert hashlib.sha256(there[row.file_name]).hexdigest() == row.sha256


def test_second_start_is_refused_and_does_not_disturb_the_first(
    long_command: list[str], url: str, server: ObjectServer, undisturbed: Path, model: Path
) -> None:
    first = start(long_command)
    wait_until(shards_of(server, 2), first)
    server.fault = lambda environ, respond: time.sleep(0.02)  # so that the second one meets it at work
    second = made(model, url, COUNT, *MANY_SHARDS)
    other = made(model, url, COUNT, "--seed", "6")
    server.fault = None
    _, stderr = first.communicate()
    fails_in_one_line(second, 75, f"another gan-batch is writing to {url}")
    fails_in_one_line(other, 75, url)
    assert first.returncode == 0, stderr
    like(url, undisturbed)


def test_of_two_different_runs_at_once_one_is_made(url: str, server: ObjectServer, model: Path) -> None:
    both = [
        start(batch(model, Path("any"), FEW, "--out", url, *TWO_SHARDS, "--seed", seed)) for seed in (str(SEED), "6")
    ]
    outputs = [each.communicate()[1] for each in both]
    codes = [each.returncode for each in both]
    assert sorted(codes)[0] == 0, outputs
    assert sorted(codes)[1] in (75, 78), outputs
    assert f'"seed": {(SEED, 6)[codes.index(0)]}' in tree(url)["run.json"].decode()
    succeeds(run_in_process("gan-batch", "verify", url))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_and_gives_the_lease_back(
    number: signal.Signals, long_command: list[str], url: str, server: ObjectServer
) -> None:
    process = start(long_command)
    wait_until(shards_of(server, 2), process)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert f"stopped by {number.name}" in stderr.splitlines()[-1]
    assert LOCK not in tree(url)
    assert b'"stopped"' in tree(url)["log.jsonl"]


# Faults


def test_store_that_is_down_for_a_while_and_cuts_uploads_is_waited_for(
    long_command: list[str], url: str, server: ObjectServer, undisturbed: Path
) -> None:
    random = np.random.default_rng(3)
    down = [float("inf"), 0.0]

    def faulty(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes] | None:
        if server.number("PUT", "/_manifests/") > 2:
            down[0] = min(down[0], time.monotonic())
        if down[0] < time.monotonic() < down[0] + 2:  # longer than a lease is good here
            return error(start_response, "503 Slow Down", "SlowDown")
        if environ["REQUEST_METHOD"] == "PUT" and random.random() < 0.03:
            return cut(environ)
        time.sleep(0.01 * (random.random() < 0.1))
        return None

    server.fault = faulty
    succeeds(run(*long_command))
    server.fault = None
    like(url, undisturbed)


@pytest.mark.parametrize("what", ["", ".png"])
def test_store_that_lets_nobody_write_is_told_of(what: str, url: str, server: ObjectServer, model: Path) -> None:
    def read_only(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes] | None:
        refused = environ["REQUEST_METHOD"] == "PUT" and environ["PATH_INFO"].endswith(what)
        return error(start_response, "403 Forbidden", "AccessDenied") if refused else None

    server.fault = read_only
    fails_in_one_line(made(model, url, 30), 73, url, "403 AccessDenied", "credentials")


def test_store_that_stays_down_is_told_of(url: str, server: ObjectServer, model: Path) -> None:
    server.fault = lambda environ, respond: error(respond, "503 Slow Down", "SlowDown")
    program = f"from jobs.stores import object_client; object_client.PATIENCE_SECONDS = 1; {QUICK}"
    result = run(sys.executable, "-c", program, *command(model, url, 30)[3:])
    fails_in_one_line(result, 74, url, "(503", "run the same command again")


def test_bucket_that_is_not_there_is_told_of(server: ObjectServer, model: Path) -> None:
    url = "s3://no-such-bucket/run"
    for result in (made(model, url, 3), run_in_process("gan-batch", "verify", url)):
        fails_in_one_line(result, 73, url, "no such bucket")


def test_missing_credentials_are_told_of(
    url: str, server: ObjectServer, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    server.fault = lambda environ, respond: (
        error(respond, "403 Forbidden", "No") if environ["PATH_INFO"].startswith("/latest") else None
    )
    fails_in_one_line(run(*command(model, url, 3)), 73, url, "no credentials: ", "AWS_ACCESS_KEY_ID")


def test_secrets_appear_nowhere(url: str, server: ObjectServer, model: Path, tmp_path: Path) -> None:
    process = start(
        command(model, url, 60, "--shard-size", "20", "--metrics-file", str(tmp_path / "gan.prom"), "--debug")
    )
    seen: set[bytes] = set()

    def told_of_processes() -> bool:
        for pid in (process.pid, *workers_of(process)):
            seen.add(Path(f"/proc/{pid}/cmdline").read_bytes())
        return server.number("PUT", "/_manifests/") > 0

    wait_until(told_of_processes, process)
    _, stderr = process.communicate()
    assert process.returncode == 0, stderr
    server.fault = lambda environ, respond: error(respond, "403 Forbidden", "SignatureDoesNotMatch")
    refused = run(*command(model, url, 90, "--debug"))
    server.fault = None
    assert refused.returncode == 73
    assert len(seen) >= 2
    written = [*tree(url).values(), *(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())]
    for text in (*seen, *written, stderr.encode(), refused.stderr.encode(), refused.stdout.encode()):
        assert SECRET.encode() not in text


@pytest.mark.long
def test_runs_killed_at_random_moments_end_as_if_nothing_had_happened(
    long_command: list[str], url: str, server: ObjectServer, undisturbed: Path
) -> None:
    random = np.random.default_rng(1)
    for _ in range(12):
        for _ in range(2):  # twice, so that the second one may be killed while it takes over the lease
            process, before = start(long_command), len(server.asked)
            moment = int(random.integers(1, 300))
            wait_until(lambda before=before, moment=moment: len(server.asked) - before >= moment, process)
            killed(process)
            assert_whole(url)
        succeeds(run(*long_command))
        like(url, undisturbed)
        client().delete([f"{url.removeprefix(f's3://{BUCKET}/')}/{name}" for name in tree(url)])
