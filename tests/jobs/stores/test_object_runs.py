"""`gan-batch` with an object store in the place of a folder: runs, kills, two at once, faults, secrets."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from jobs.dataset import manifest
from models.files import LOCK
from tests.conftest import fails_in_one_line, run, run_in_process
from tests.jobs.conftest import SEED, VOLATILE, batch, rows_of, start, succeeds, workers_of
from tests.jobs.object_server import BUCKET, SECRET, ObjectServer, client, copy, cut, error, tree
from tests.jobs.small_models import write_model

FEW, TWO_SHARDS = 26, ("--shard-size", "20")
COUNT, MANY_SHARDS = 160, ("--shard-size", "10", "--batch-size", "5", "--workers", "2")
QUICK = "from jobs.stores import lease; lease.TTL_SECONDS = 1.5; from jobs.cli import main; main()"
"""`gan-batch` whose leases are good for a tenth of the time."""


@pytest.fixture
def url(server: ObjectServer, tmp_path: Path) -> str:
    """Where nothing is yet."""
    return f"s3://{BUCKET}/{tmp_path.name}"


@pytest.fixture(scope="module")
def finished(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two shards in a folder, that was left alone; tests must not change it."""
    out = tmp_path_factory.mktemp("finished") / "run"
    succeeds(run_in_process(*batch(model, out, FEW, *TWO_SHARDS)))
    return out


@pytest.fixture(scope="module")
def stored(object_server: ObjectServer, model: Path) -> str:
    """The run of `finished` in the store; tests must not change it."""
    url = f"s3://{BUCKET}/finished"
    succeeds(made(model, url, FEW, *TWO_SHARDS, **object_server.environment))
    return url


@pytest.fixture
def broken(stored: str, url: str, server: ObjectServer) -> str:
    """A copy of it to do what one likes with."""
    return copy(stored, url)


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


def command(model: Path, url: str, count: int, *options: str) -> list[str]:
    """`batch`, with short leases."""
    return [sys.executable, "-c", QUICK, *batch(model, Path("any"), count, *options, "--out", url)[1:]]


def made(model: Path, url: str, count: int, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What `command` does, in this process."""
    with mock.patch("jobs.stores.lease.TTL_SECONDS", 1.5):
        return run_in_process(*batch(model, Path("any"), count, *options, "--out", url), **environment)


def like(url: str, folder: Path) -> None:
    """Assert that a place holds what a folder holds, byte for byte."""
    there, here = tree(url), {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*")}
    assert LOCK not in there, "the lease was not given back"
    for name in (*VOLATILE, LOCK):
        here.pop(name, None)
    assert {name: there.get(name) for name in here} == here
    assert there.keys() - here.keys() == set(VOLATILE)


def wait_until(true: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    while not true() and process.poll() is None:
        time.sleep(0.005)


def shards_of(server: ObjectServer, number: int) -> Callable[[], bool]:
    return lambda: server.number("PUT", "/_manifests/") >= number


# One run


def test_run_is_that_of_a_folder_byte_for_byte(stored: str, server: ObjectServer, finished: Path) -> None:
    like(stored, finished)
    lines = tree(stored)["log.jsonl"].decode().splitlines()
    assert [line.split('"event": "')[1].split('"')[0] for line in lines] == ["start", "shard", "shard", "complete"]


def test_complete_run_is_left_alone(stored: str, server: ObjectServer, model: Path) -> None:
    result = made(model, stored, FEW, *TWO_SHARDS)
    succeeds(result)
    assert f"is complete: {FEW} images" in result.stderr
    assert {path.rpartition("/")[2] for method, path in server.asked if method == "PUT"} == {LOCK}


def test_run_is_extended(broken: str, model: Path, tmp_path: Path) -> None:
    before = tree(broken)
    succeeds(made(model, broken, 42))
    succeeds(run_in_process(*batch(model, tmp_path / "run", 42, *TWO_SHARDS)))
    like(broken, tmp_path / "run")
    after = tree(broken)
    assert all(after[name] == content for name, content in before.items() if name.startswith("images/00000/"))


def test_run_of_other_options_is_refused(stored: str, server: ObjectServer, model: Path) -> None:
    fails_in_one_line(made(model, stored, FEW, "--seed", "6"), 78, "seed was 5 and is 6")


def test_status_verify_and_regen_take_a_url(
    stored: str, server: ObjectServer, model: Path, finished: Path, tmp_path: Path
) -> None:
    result = run_in_process("gan-batch", "status", f"{stored}/")
    assert result.returncode == 0, result.stderr
    assert f"state: complete\nat_work: false\ncount: {FEW}\ncommitted: {FEW}\n" in result.stdout
    succeeds(run_in_process("gan-batch", "verify", stored))
    succeeds(run_in_process("gan-batch", "regen", stored, "--index", "7", "--model", model, "--to", tmp_path / "7.png"))
    assert (tmp_path / "7.png").read_bytes() == (finished / "images/00000/00000007.png").read_bytes()
    fails_in_one_line(run_in_process("gan-batch", "status", f"{stored}-none"), 66, f"{stored}-none")


def test_repair_makes_again_what_is_broken(broken: str, model: Path, finished: Path) -> None:
    prefix, store = broken.removeprefix(f"s3://{BUCKET}/"), client()
    store.put(f"{prefix}/images/00000/00000003.png", b"no image")
    store.put(f"{prefix}/images/00000/00000999.png", b"a stray")
    store.delete([f"{prefix}/images/00001/00000022.png", f"{prefix}/_manifests/00001.csv", f"{prefix}/manifest.csv"])
    found = run_in_process("gan-batch", "verify", broken)
    assert found.returncode == 76
    assert [line.split(",")[0] for line in found.stdout.splitlines()] == [
        "fault", "size", "stray", "no manifest", "bad manifest",
    ]  # fmt: skip
    succeeds(run_in_process("gan-batch", "verify", broken, "--repair", "--model", model))
    like(broken, finished)


def test_parts_and_finish_make_the_same_run(url: str, server: ObjectServer, model: Path, finished: Path) -> None:
    parts = [start(command(model, url, FEW, *TWO_SHARDS, "--part", f"{n}/2")) for n in (1, 2)]
    assert [part.wait() for part in parts] == [0, 0], [part.communicate() for part in parts]
    succeeds(run_in_process("gan-batch", "finish", url))
    there = tree(url)
    assert {name for name in there if "-of-" in name} == {
        f"{x}-{n}-of-2.{y}" for n in (1, 2) for x, y in (("log", "jsonl"), ("stats", "json"))
    }
    for path in finished.rglob("*.*"):
        name = path.relative_to(finished).as_posix()
        assert name in (*VOLATILE, LOCK) or there[name] == path.read_bytes()


def test_date_and_metrics_are_as_with_a_folder(url: str, server: ObjectServer, model: Path, tmp_path: Path) -> None:
    metrics = tmp_path / "gan.prom"
    succeeds(made(model, f"{url}/{{date}}", 3, "--metrics-file", str(metrics)))
    day = time.strftime("%Y-%m-%d")
    assert f"{day}/run.json" in tree(url)
    assert f'out="{url}/{day}"' in metrics.read_text()
    assert "gan_batch_images_committed 3.0" in metrics.read_text()


@pytest.mark.parametrize("option", [("--latest", "latest"), ("--keep", "3")])
def test_latest_and_keep_have_no_meaning(option: tuple[str, str], url: str, model: Path) -> None:
    fails_in_one_line(made(model, url, 3, *option), 2, "--latest and --keep have no meaning there")


def test_file_url_is_a_folder(model: Path, tmp_path: Path) -> None:
    succeeds(made(model, f"file://{tmp_path}/run", 3))
    succeeds(run_in_process("gan-batch", "verify", f"file://{tmp_path}/run"))
    assert (tmp_path / "run/manifest.csv").is_file()


# Classes of a run in a store


@pytest.fixture(scope="module")
def with_classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("classes") / "model.onnx", classes=("crack", "dent"), faults=[])


@pytest.fixture(scope="module")
def labelled(object_server: ObjectServer, with_classes: Path) -> str:
    """A run of 20 cracks and 6 dents in two shards; tests must not change it."""
    url = f"s3://{BUCKET}/labelled"
    mix = ("--mix", "crack=10,dent=3")
    succeeds(made(with_classes, url, FEW, *TWO_SHARDS, *mix, **object_server.environment))
    return url


def asking(model: Path, out: Path | str, *options: str) -> subprocess.CompletedProcess[str]:
    """A run whose classes depend on what is counted."""
    return run_in_process("gan-batch", "--model", model, "--out", out, "--device", "cpu", "--workers", "1", *options)


def test_fill_brings_the_classes_of_a_stored_run_to_equal_numbers(
    labelled: str, server: ObjectServer, with_classes: Path, tmp_path: Path
) -> None:
    before = tree(labelled)
    server.asked.clear()
    succeeds(asking(with_classes, tmp_path / "run", "--fill", f"{labelled}/"))
    assert [row.label for row in rows_of(tmp_path / "run")] == ["dent"] * 14
    assert server.number("GET", "/_manifests/00001.csv") <= 2, "counted once, after a look at its end"
    assert tree(labelled) == before


def test_like_takes_the_proportions_of_a_stored_run(
    labelled: str, server: ObjectServer, with_classes: Path, tmp_path: Path
) -> None:
    succeeds(asking(with_classes, tmp_path / "run", "--count", "3", "--mix", f"like:{labelled}"))
    assert '"mix": "crack=10,dent=3"' in (tmp_path / "run" / "run.json").read_text()


@pytest.mark.parametrize(
    ("place", "code", "said"),
    [
        ("{labelled}-none", 66, "no run of gan-batch"),
        ("s3://no-such-bucket/run", 73, "no such bucket"),
        ("{stored}", 2, "has no classes"),
        ("s3://", 2, "no bucket"),
    ],
)
@pytest.mark.parametrize("ask", [["--fill"], ["--count", "3", "--mix"]], ids=str)
def test_stored_run_that_cannot_be_counted_is_told_of(
    ask: list[str], place: str, code: int, said: str, labelled: str, stored: str, server: ObjectServer,
    with_classes: Path, tmp_path: Path,
) -> None:  # fmt: skip
    url = place.format(labelled=labelled, stored=stored)
    options = [*ask, url if ask == ["--fill"] else f"like:{url}"]
    fails_in_one_line(asking(with_classes, tmp_path / "run", *options), code, said)
    assert not (tmp_path / "run").exists()


def test_store_that_does_not_answer_while_it_is_counted_is_told_of(
    labelled: str, server: ObjectServer, with_classes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.stores.object_client.PATIENCE_SECONDS", 1)
    server.fault = lambda environ, respond: (
        error(respond, "503 Slow Down", "SlowDown") if "_manifests" in environ["PATH_INFO"] else None
    )
    result = asking(with_classes, tmp_path / "run", "--fill", labelled)
    fails_in_one_line(result, 74, labelled, "(503", "run the same command again")


# Cut off, and two at once


def killed(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_killed_run_is_finished_by_the_next(
    long_command: list[str], url: str, server: ObjectServer, undisturbed: Path
) -> None:
    process = start(long_command)
    wait_until(shards_of(server, 3), process)
    killed(process)
    before = {name: content for name, content in tree(url).items() if name.startswith("_manifests/")}
    assert 3 <= len(before) < 16
    assert_whole(url)
    server.asked.clear()
    succeeds(run(*long_command))
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
    second = run(*long_command)
    other = run(*command(model, url, COUNT, "--seed", "6"))
    server.fault = None
    _, stderr = first.communicate()
    fails_in_one_line(second, 75, f"another gan-batch is writing to {url}")
    fails_in_one_line(other, 75, url)
    assert first.returncode == 0, stderr
    like(url, undisturbed)


def test_of_two_different_runs_at_once_one_is_made(url: str, server: ObjectServer, model: Path, finished: Path) -> None:
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


def test_profile_is_read_by_boto3(
    stored: str, server: ObjectServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    (tmp_path / "credentials").write_text(f"[factory]\naws_access_key_id = AK\naws_secret_access_key = {SECRET}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_PROFILE", "factory")
    assert run("gan-batch", "status", stored).returncode == 0
    fails_in_one_line(run("gan-batch", "status", stored, AWS_PROFILE="other"), 2, "AWS_PROFILE", "other")


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
