"""A run made in parts, by processes that know nothing of each other."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs import OnDisk, Part, Publishing, Work, run_batch
from jobs.checks.verify import verify
from jobs.dataset import manifest
from jobs.stores.local_store import LocalStore
from models.errors import CommandError
from tests.conftest import fails_in_one_line, run, run_in_process
from tests.jobs.conftest import SEED, batch, differing, kill_at, stamps, start, succeeds, temporaries, wait_for
from tests.jobs.dataset.conftest import COUNT, OF, SHARD, of_parts, part, shards_of, state
from tests.jobs.small_models import write_model

pytestmark = pytest.mark.usefixtures("workers_here")

# Which part


@pytest.mark.parametrize("of", [1, 2, 3, 16])
def test_every_shard_is_in_one_part(of: int) -> None:
    parts = [Part(number, of) for number in range(1, of + 1)]
    for shard in range(40):
        assert [one for one in parts if one.has(shard)] == [Part.with_shard(shard, of)]


@pytest.mark.parametrize("count", [1, 10, 95, 100, 161])
def test_no_part_has_more_images_than_it_says(count: int) -> None:
    for number in range(1, 17):
        one = Part(number, 16)
        assert one.images(count, SHARD) == SHARD * sum(map(one.has, range(-(-count // SHARD))))


def test_part_is_written_as_it_is_read() -> None:
    assert Part.parse("3/16") == Part(3, 16)
    assert str(Part(3, 16)) == "3/16"
    assert Part(3, 16).file_name("log.jsonl") == "log-3-of-16.jsonl"


@pytest.mark.parametrize("text", ["0/16", "17/16", "3", "3/", "3/0", "-1/2", "1/2/3", "a/b", "03/16", "1.0/2", ""])
def test_what_is_no_part_is_a_usage_error(text: str, small: Path, tmp_path: Path) -> None:
    command = batch(small, tmp_path / "run", COUNT, f"--part={text}")
    fails_in_one_line(run_in_process(*command), 2, "--part", "3/16")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", [("--latest", "link"), ("--keep", "2")], ids=str)
def test_part_publishes_nothing(option: tuple[str, str], small: Path, tmp_path: Path) -> None:
    fails_in_one_line(run_in_process(*part(small, tmp_path / "run", 1, *option), cwd=tmp_path), 2, option[0], "--part")
    assert list(tmp_path.iterdir()) == []


def test_part_of_what_is_added_is_a_usage_error(small: Path, tmp_path: Path) -> None:
    command = ["gan-batch", "--append", "5", "--part", "1/2", "--model", str(small), "--out", str(tmp_path / "run")]
    fails_in_one_line(run_in_process(*command), 2, "--append", "--part")


@pytest.mark.parametrize("out", [[], ["--out", "run-{time}"]], ids=["by default", "named"])
def test_folder_of_parts_has_no_date_in_its_name(out: list[str], small: Path, tmp_path: Path) -> None:
    command = ["gan-batch", "--count", "5", "--part", "1/2", "--model", str(small), *out]
    fails_in_one_line(run_in_process(*command, cwd=tmp_path), 2, "--out", "{date}")


# What a part does


def test_part_makes_its_shards_and_nothing_else(small: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    succeeds(run_in_process(*part(small, out, 2)))
    names = {path.name for path in out.iterdir()}
    own = {"log-2-of-3.jsonl", "stats-2-of-3.json", ".lock-2-of-3"}
    assert names == {"images", "_manifests", "_quality", "run.json", ".lock", *own}
    assert sorted(path.name for path in (out / "images").iterdir()) == ["00001", "00004", "00007"]
    assert shards_of(out) == {1, 4, 7}
    assert state(out) == "running"
    assert json.loads((out / "stats-2-of-3.json").read_text())["images"] == 30
    different = differing(out, whole, without=sorted(own))
    assert {name for name in different if (out / name).exists()} == {"run.json"}


def test_part_tidies_nothing(small: Path, copied: Path) -> None:
    (copied / "_manifests" / "00001.csv").unlink()
    (copied / "images" / "00099").mkdir()
    for name in ("images/00099/00000990.png", ".manifest.csv.tmp"):
        (copied / name).write_bytes(b"of a process that was killed")
    succeeds(run_in_process(*part(small, copied, 2)))
    assert (copied / "images/00099/00000990.png").exists()
    assert (copied / ".manifest.csv.tmp").exists()


def test_part_that_has_all_its_shards_ends_with_0_and_touches_nothing(small: Path, copied: Path) -> None:
    before = stamps(copied)
    result = run(*part(small, copied, 3))
    succeeds(result)
    assert "part 3/3 has its 30 images, 0 of them made now" in result.stderr
    assert stamps(copied) == before


def test_part_without_a_shard_has_nothing_to_do(small: Path, tmp_path: Path) -> None:
    succeeds(run_in_process(*batch(small, tmp_path / "run", 5, "--part", "2/2")))
    assert shards_of(tmp_path / "run") == set()
    assert state(tmp_path / "run") == "running"


def test_part_stops_in_time_and_goes_on(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    fails_in_one_line(run_in_process(*part(small, out, 2, "--max-seconds", "0")), 3, "10 of 30 images")
    assert shards_of(out) == {1}
    assert run(*part(small, out, 2, "--max-seconds", "0")).returncode == 3
    succeeds(run_in_process(*part(small, out, 2)))
    assert shards_of(out) == {1, 4, 7}


def test_python_caller_gets_the_images_of_the_part(small: Path, tmp_path: Path) -> None:
    one = run_batch(small, tmp_path / "run", COUNT, seed=SEED, part=Part(1, 3), on_disk=OnDisk(SHARD), work=Work("cpu"))
    assert (one.count, one.made) == (35, 35)
    whole: list[dict[str, Any]] = [
        {"count": None, "append": 5},
        {"on_disk": OnDisk(manifest="csv")},
        {"publishing": Publishing(latest=tmp_path / "link")},
        {"publishing": Publishing(keep=2)},
    ]
    for option in whole:
        with pytest.raises(CommandError, match=r"is for a whole run, not for a `part`") as caught:
            run_batch(small, tmp_path / "run", **{"count": COUNT, "part": Part(1, 3), **option})
        assert caught.value.exit_code == 2


# All parts together


def test_parts_one_after_the_other_are_the_run_made_at_once(copied: Path, whole: Path) -> None:
    assert state(copied) == "running"
    result = run_in_process("gan-batch", "finish", copied)
    succeeds(result)
    assert f"{copied} is complete: {COUNT} images" in result.stderr
    logs = [name for name in of_parts(copied) if not name.startswith(".")]
    assert differing(copied, whole, without=["log.jsonl", "stats.json", *logs]) == []
    assert len(logs) == 2 * OF
    assert not list(copied.glob(".lock-*"))
    assert list(verify(copied)) == []


def test_parts_that_begin_at_once_are_the_run_made_at_once(small: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    processes = [start(part(small, out, number)) for number in range(1, OF + 1)]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    succeeds(run_in_process("gan-batch", "finish", out))
    assert differing(out, whole, without=["log.jsonl", "stats.json", *of_parts(out)]) == []


def test_part_that_was_killed_frees_its_lock_and_is_made_again(small: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = start(part(small, out, 2, "--batch-size", "1", "--workers", "1"))
    wait_for(out / "_manifests" / "00001.csv", process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    for number in (3, 2, 1):
        succeeds(run_in_process(*part(small, out, number)))
    succeeds(run_in_process("gan-batch", "finish", out))
    assert differing(out, whole, without=["log.jsonl", "stats.json", *of_parts(out)]) == []


@pytest.mark.parametrize(
    ("operation", "calls"),
    [("link", 0), ("unlink", 0), ("replace", 1), ("fsync", 1)],
    ids=str,
)
def test_part_killed_at_any_step_is_made_again(
    operation: str, calls: int, small: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    options = f"{COUNT}, seed={SEED}, part=Part(1, 3), on_disk=OnDisk({SHARD}), work=Work('cpu', workers=1)"
    call = f"run_batch(Path({str(small)!r}), Path({str(out)!r}), {options})"
    kill_at(operation, calls, "from jobs import OnDisk, Part, Work, run_batch", call)
    succeeds(run_in_process(*part(small, out, 1)))
    succeeds(run_in_process(*batch(small, out, COUNT, "--shard-size", str(SHARD))))
    assert temporaries(out) == []
    assert differing(out, whole, without=["log.jsonl", "stats.json", *of_parts(out)]) == []


@pytest.mark.parametrize("calls", range(3))
def test_finish_killed_at_any_step_is_done_again(calls: int, copied: Path, whole: Path) -> None:
    kill_at("replace", calls, "from jobs import finish", f"finish(Path({str(copied)!r}))")
    assert state(copied) == "running"
    succeeds(run_in_process("gan-batch", "finish", copied))
    assert temporaries(copied) == []
    assert differing(copied, whole, without=["log.jsonl", "stats.json", *of_parts(copied)]) == []


def test_whole_run_makes_what_parts_left_out(small: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    succeeds(run_in_process(*part(small, out, 2)))
    made = stamps(out / "images" / "00001")
    succeeds(run_in_process(*batch(small, out, COUNT, "--shard-size", str(SHARD))))
    assert stamps(out / "images" / "00001") == made
    assert differing(out, whole, without=["log.jsonl", "stats.json", *of_parts(out)]) == []
    assert list(verify(out)) == []


# Who is refused


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--count", "94"], ["95", "94", "--count"]),
        (["--seed", "6"], ["seed was 5 and is 6"]),
        (["--shard-size", "20"], ["shard_size was 10 and is 20"]),
    ],
    ids=str,
)
def test_part_of_another_run_is_refused(options: list[str], words: list[str], small: Path, copied: Path) -> None:
    before = stamps(copied)
    fails_in_one_line(run_in_process(*part(small, copied, 1, *options)), 78, str(copied), *words)
    assert stamps(copied) == before


def test_part_by_another_model_is_refused(copied: Path, tmp_path: Path) -> None:
    other = write_model(tmp_path / "other.onnx", seed=1)
    fails_in_one_line(run_in_process(*part(other, copied, 1)), 78, "model_sha256")


def test_part_after_midnight_has_the_seed_of_those_before(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, today in ((1, "20261122"), (2, "20261123")):
        monkeypatch.setattr(time, "strftime", lambda *arguments, today=today: today)
        made = run_batch(small, tmp_path / "run", 40, part=Part(number, 2), on_disk=OnDisk(10), work=Work("cpu"))
        assert made.seed == 20261122


def test_run_that_is_being_removed_takes_no_part(small: Path, copied: Path) -> None:
    (copied / "run.json").write_text((copied / "run.json").read_text().replace('"running"', '"being removed"'))
    fails_in_one_line(run_in_process(*part(small, copied, 1)), 78, "being removed")


@pytest.mark.parametrize(("held", "number", "code"), [("2-of-3", 2, 75), ("1-of-3", 2, 0), ("1-of-8", 2, 75)])
def test_part_beside_another_part(held: str, number: int, code: int, small: Path, copied: Path) -> None:
    holder = LocalStore(copied)
    holder.lock(held)
    try:
        assert run(*part(small, copied, number)).returncode == code
    finally:
        holder.close()
    assert run(*part(small, copied, number)).returncode == 0


def test_part_is_refused_while_the_whole_is_held(small: Path, copied: Path) -> None:
    holder = LocalStore(copied)
    holder.lock()
    try:
        fails_in_one_line(run_in_process(*part(small, copied, 1)), 75, str(copied))
    finally:
        holder.close()


@pytest.mark.parametrize("command", ["finish", "verify --repair", "whole"])
def test_who_needs_the_whole_is_refused_while_a_part_is_held(command: str, small: Path, copied: Path) -> None:
    (copied / "images" / "00000" / "00000000.png").unlink()  # something to repair
    commands = {
        "finish": ["gan-batch", "finish", str(copied)],
        "verify --repair": ["gan-batch", "verify", str(copied), "--repair", "--model", str(small)],
        "whole": batch(small, copied, COUNT, "--shard-size", str(SHARD)),
    }
    holder = LocalStore(copied)
    holder.lock("1-of-3")
    try:
        result = run_in_process(*commands[command])
        assert (result.returncode, "another gan-batch" in result.stderr) == (75, True)
        assert "at_work: true" in run_in_process("gan-batch", "status", copied).stdout
    finally:
        holder.close()


# What it costs


def test_part_reads_the_ends_of_its_own_manifests_only(copied: Path) -> None:
    seen: list[str] = []

    class Watched(LocalStore):
        def ends(self, folder: str, wanted: Callable[[str], object]):
            for name, end in super().ends(folder, wanted):
                seen.append(name)
                yield name, end

    done = manifest.committed(Watched(copied), SHARD, Part(2, 3))
    assert set(done) == {1, 4, 7}
    assert seen == ["00001.csv", "00004.csv", "00007.csv"]
