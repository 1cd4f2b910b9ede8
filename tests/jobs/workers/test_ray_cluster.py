"""Ray started for one run, or joined: closed to others, nothing left behind, and every address that is none is told."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from jobs.dataset.layout import MANIFESTS
from tests.conftest import clean_environment, fails_in_one_line, run, run_in_process
from tests.jobs.conftest import LONG_RUN, assert_whole_shards, batch, wait_for
from tests.jobs.ray_nodes import start

pytest.importorskip("ray", reason="the extra `ray` is not installed")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "run"


def test_cluster_of_its_own_is_closed_to_others_and_leaves_nothing(model: Path, out: Path) -> None:
    process = start([*batch(model, out, 100_000, *LONG_RUN), "--engine", "ray"])
    wait_for(out / MANIFESTS / "00001.csv", process)
    family = session_of(process.pid)
    heard = [address for pid in family for address in listening(pid)]
    (head,) = (pid for pid in family if Path(f"/proc/{pid}/comm").read_text().startswith("gcs_server"))
    refused = stranger(listening(head)[0])
    secret = token_of(process.pid)
    arguments = b"".join(Path(f"/proc/{pid}/cmdline").read_bytes() for pid in family)
    os.killpg(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate()
    assert (process.returncode, stdout) == (130, ""), stderr
    assert len(heard) > 3
    assert {address.partition(":")[0] for address in heard} == {"127.0.0.1"}
    assert "Authentication" in refused
    assert len(secret) == 64
    assert secret.encode() not in arguments
    assert secret not in stderr
    assert session_of(process.pid) == []
    assert_whole_shards(out)


def session_of(leader: int) -> list[int]:
    """Processes of a session that live, and their children in sessions of their own."""
    found: dict[int, None] = {}
    grown = True
    stats = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, parent, _, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
        except OSError:  # it ended meanwhile
            continue
        if state != "Z":
            stats[int(folder.name)] = int(parent), int(session)
    while grown:
        more = [
            pid
            for pid, (parent, session) in stats.items()
            if pid not in found and (session == leader or parent in found)
        ]
        grown = bool(more)
        found |= dict.fromkeys(more)
    return list(found)


def listening(pid: int) -> list[str]:
    """The addresses and ports that a process listens on, for TCP."""
    try:
        links = [os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return []
    inodes = {link[8:-1] for link in links if link.startswith("socket:[")}
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                address, _, port = fields[1].partition(":")
                raw = bytes.fromhex(address)
                words = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
                mapped = words.removeprefix(bytes(10) + b"\xff\xff")
                name = ".".join(map(str, mapped)) if len(mapped) == 4 else words.hex()
                found.append(f"{name}:{int(port, 16)}")
    return found


def token_of(leader: int) -> str:
    """The token that the run's children have in their environment."""
    for pid in session_of(leader):
        for line in Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0"):
            if line.startswith("RAY_AUTH_TOKEN="):
                return line.partition("=")[2]
    return ""


def stranger(address: str) -> str:
    """What somebody without the token is told."""
    program = f"from ray._raylet import GcsClient; GcsClient(address={address!r})"
    result = subprocess.run([sys.executable, "-c", program], env=clean_environment(), capture_output=True, text=True)
    assert result.returncode != 0
    return result.stderr


def test_address_where_nothing_is_is_told_in_time(model: Path, out: Path) -> None:
    begun = time.monotonic()
    result = run(*batch(model, out, 10), "--engine", "ray", "--ray-address", "127.0.0.1:1")
    fails_in_one_line(result, 69, "127.0.0.1:1", "refused")
    assert time.monotonic() - begun < 20
    assert not out.exists()


def test_address_where_another_server_is_is_told_at_once(model: Path, out: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as other:
        threading.Thread(target=other.handle_request, daemon=True).start()
        address = f"127.0.0.1:{other.server_port}"
        result = run(*batch(model, out, 10), "--engine", "ray", "--ray-address", address)
    fails_in_one_line(result, 69, address, "no part of Ray")


@pytest.mark.long
def test_address_where_something_else_is_is_told_in_time(model: Path, out: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        fails_in_one_line(run(*batch(model, out, 10), "--engine", "ray", "--ray-address", address), 69, address)


@pytest.mark.parametrize("address", ["a..b:6379", "127.0.0.1:\u00b2"])
def test_address_that_cannot_be_is_refused(address: str, model: Path, out: Path) -> None:
    result = run(*batch(model, out, 10), "--engine", "ray", "--ray-address", address)
    assert result.returncode in (2, 69)
    fails_in_one_line(result, result.returncode, address)


@pytest.mark.parametrize("gpus", ["1.5", "0.00001"])
def test_gpus_that_cannot_be_are_refused(gpus: str, model: Path, out: Path) -> None:
    result = run_in_process(*batch(model, out, 10), "--engine", "ray", "--gpus-per-worker", gpus)
    fails_in_one_line(result, 2, "GPUs")


def test_gpus_that_are_not_there_are_told_of(model: Path, out: Path) -> None:
    result = run(*batch(model, out, 10), "--engine", "ray", "--gpus-per-worker", "1")
    fails_in_one_line(result, 69, "GPUs")


def test_stop_while_ray_starts_is_a_stop_and_nobody_else_enters_its_folder(model: Path, out: Path) -> None:
    process = start([*batch(model, out, 10), "--engine", "ray"])
    try:
        while not (found := list(Path("/tmp").glob(f"gan-ray-*/r/session_*_{process.pid}"))):
            assert process.poll() is None
            time.sleep(0.05)
        folder = found[0].parents[1]
        assert folder.stat().st_mode & 0o777 == 0o700
        process.send_signal(signal.SIGTERM)
        _, text = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, "SIGTERM" in text) == (143, True)
    assert not folder.exists()


@pytest.mark.parametrize("options", [["--ray-address", "auto"], ["--gpus-per-worker", "1"]])
def test_option_of_ray_without_ray_is_refused(options: list[str], model: Path, out: Path) -> None:
    fails_in_one_line(run_in_process(*batch(model, out, 10), *options), 2, options[0], "--engine ray")


def test_address_that_is_none_is_refused(model: Path, out: Path) -> None:
    result = run_in_process(*batch(model, out, 10), "--engine", "ray", "--ray-address", "here")
    fails_in_one_line(result, 2, "--ray-address here", "host:port")


def test_missing_package_is_named(model: Path, out: Path, tmp_path: Path) -> None:
    (tmp_path / "ray.py").write_text("raise ModuleNotFoundError('No module named ray', name='ray')\n")
    result = run(*batch(model, out, 10), "--engine", "ray", PYTHONPATH=str(tmp_path))
    fails_in_one_line(result, 2, "pip install '.[ray]'")
