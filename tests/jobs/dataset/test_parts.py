"""A run made in parts, by processes that know nothing of each other, and its end."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs import OnDisk, Part, Publishing, Work, finish, run_batch
from jobs.checks.verify import verify
from jobs.dataset import layout, manifest
from jobs.stores.local_store import LocalStore
from models.errors import CommandError, ExitCode
from tests.conftest import fails_in_one_line, run, run_in_process
from tests.jobs.conftest import SEED, batch, differing, kill_at, stamps, start, succeeds, temporaries, wait_for
from tests.jobs.small_models import write_model

COUNT, SHARD, OF = 95, 10, 3
"""Ten shards, of which the last one is half full; the first part has four, the others three."""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "model.onnx")


@pytest.fixture(scope="module")
def whole(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run made at once; tests must not change it."""
    out = tmp_path_factory.mktemp("whole") / "run"
    succeeds(run_in_process(*batch(small, out, COUNT, "--shard-size", str(SHARD))))
    return out


@pytest.fixture(scope="module")
def parted(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All parts of it, not finished; tests must not change it."""
    out = tmp_path_factory.mktemp("parted") / "run"
    for number in range(1, OF + 1):
        succeeds(run(*part(small, out, number)))
    return out


@pytest.fixture
def copied(parted: Path, tmp_path: Path) -> Path:
    return shutil.copytree(parted, tmp_path / "run")


def part(model: Path, out: Path, number: int, *options: str) -> list[str]:
    return batch(model, out, COUNT, "--shard-size", str(SHARD), "--part", f"{number}/{OF}", *options)


def shards_of(out: Path) -> set[int]:
    return set(manifest.committed(LocalStore(out), SHARD))


def state(out: Path) -> str:
    return str(json.loads((out / "run.json").read_text())["state"])


def of_parts(out: Path) -> list[str]:
    return sorted(path.name for path in out.iterdir() if layout.PART_FILE.fullmatch(path.name))


def refused(call: Callable[[], object]) -> CommandError:
    with pytest.raises(CommandError) as error:
        call()
    return error.value


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
    succeeds(run(*part(small, out, 2)))
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
    succeeds(run(*part(small, copied, 2)))
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
    fails_in_one_line(run(*part(small, out, 2, "--max-seconds", "0")), 3, "10 of 30 images")
    assert shards_of(out) == {1}
    assert run(*part(small, out, 2, "--max-seconds", "0")).returncode == 3
    succeeds(run(*part(small, out, 2)))
    assert shards_of(out) == {1, 4, 7}


def test_python_caller_gets_the_images_of_the_part(small: Path, tmp_path: Path) -> None:
    one = run_batch(small, tmp_path / "run", COUNT, seed=SEED, part=Part(1, 3), on_disk=OnDisk(SHARD), work=Work("cpu"))
    assert (one.count, one.made) == (35, 35)
    for option in ({"latest": tmp_path / "link"}, {"keep": 2}):
        with pytest.raises(ValueError, match="part"):
            run_batch(small, tmp_path / "run", COUNT, part=Part(1, 3), publishing=Publishing(**option))


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
        succeeds(run(*part(small, out, number)))
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
    succeeds(run(*part(small, out, 1)))
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
    succeeds(run(*part(small, out, 2)))
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
    fails_in_one_line(run(*part(small, copied, 1, *options)), 78, str(copied), *words)
    assert stamps(copied) == before


def test_part_by_another_model_is_refused(copied: Path, tmp_path: Path) -> None:
    other = write_model(tmp_path / "other.onnx", seed=1)
    fails_in_one_line(run(*part(other, copied, 1)), 78, "model_sha256")


def test_part_after_midnight_has_the_seed_of_those_before(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, today in ((1, "20261122"), (2, "20261123")):
        monkeypatch.setattr(time, "strftime", lambda *arguments, today=today: today)
        made = run_batch(small, tmp_path / "run", 40, part=Part(number, 2), on_disk=OnDisk(10), work=Work("cpu"))
        assert made.seed == 20261122


def test_run_that_is_being_removed_takes_no_part(small: Path, copied: Path) -> None:
    (copied / "run.json").write_text((copied / "run.json").read_text().replace('"running"', '"being removed"'))
    fails_in_one_line(run(*part(small, copied, 1)), 78, "being removed")


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
        fails_in_one_line(run(*part(small, copied, 1)), 75, str(copied))
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


# The end


def test_finish_names_the_missing_shards_and_the_parts_that_make_them(copied: Path) -> None:
    for shard in (1, 5, 7):
        (copied / "_manifests" / f"{shard:05d}.csv").unlink()
    before = stamps(copied)
    fails_in_one_line(run_in_process("gan-batch", "finish", copied), 66, "3 of 10 shards", "1, 5, 7", "--part 2/3, 3/3")
    assert stamps(copied) == before


def test_finish_names_the_first_few_of_many(copied: Path) -> None:
    shutil.rmtree(copied / "_manifests")
    fails_in_one_line(run_in_process("gan-batch", "finish", copied), 66, "10 of 10 shards", "0, 1, 2, 3, 4 and 5 more")


def test_finish_counts_a_shard_that_is_half_there_as_missing(copied: Path) -> None:
    path = copied / "_manifests" / "00003.csv"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:6]))
    fails_in_one_line(run_in_process("gan-batch", "finish", copied), 66, "1 of 10 shards", "3;", "--part 1/3")


def test_what_finish_says_of_a_run_without_parts_helps(small: Path, whole: Path, tmp_path: Path) -> None:
    out = shutil.copytree(whole, tmp_path / "run")
    (out / "_manifests" / "00004.csv").unlink()
    result = run_in_process("gan-batch", "finish", out)
    fails_in_one_line(result, 66, "1 of 10 shards")
    (what_to_do,) = re.findall("`(.+?)`", result.stderr)
    succeeds(run(*what_to_do.split(), "--model", small))
    assert differing(out, whole) == []


def test_lost_shard_of_a_run_that_has_ended_is_made_by_the_whole_run(small: Path, copied: Path, whole: Path) -> None:
    succeeds(run_in_process("gan-batch", "finish", copied))
    (copied / "_manifests" / "00004.csv").unlink()
    before = stamps(copied)
    fails_in_one_line(run(*part(small, copied, 2)), 76, "part 2/3", "without --part")
    result = run_in_process("gan-batch", "finish", copied)
    fails_in_one_line(result, 66, "1 of 10 shards")
    (copied / ".lock-2-of-3").unlink()
    assert stamps(copied) == before
    (what_to_do,) = re.findall("`(.+?)`", result.stderr)
    succeeds(run(*what_to_do.split(), "--model", small))
    assert differing(copied, whole, without=["log.jsonl", "stats.json", *of_parts(copied)]) == []


def test_finish_of_a_complete_run_touches_nothing(whole: Path) -> None:
    before = stamps(whole)
    result = run_in_process("gan-batch", "finish", whole)
    succeeds(result)
    assert f"complete: {COUNT} images" in result.stderr
    assert stamps(whole) == before


def test_finish_where_no_run_is_makes_nothing(tmp_path: Path) -> None:
    fails_in_one_line(run_in_process("gan-batch", "finish", tmp_path), 66, "no run of gan-batch")
    assert list(tmp_path.iterdir()) == []


def test_finish_loads_no_session(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.checks.repair.session_of", lambda *arguments: pytest.fail("it loaded the model"))
    result = finish(copied)
    assert (result.count, result.made, result.seed) == (COUNT, 0, SEED)
    assert state(copied) == "complete"


def test_lost_measures_need_the_model_only_where_an_image_is_suspect(tmp_path: Path) -> None:
    steep = write_model(tmp_path / "steep.onnx", gain=6.0)  # many values are black or white
    out = tmp_path / "run"
    succeeds(run_in_process(*batch(steep, out, 20, "--shard-size", "10", "--part", "1/1")))
    measures = (out / "_quality" / "00001.csv").read_bytes()
    (out / "_quality" / "00001.csv").unlink()
    error = refused(lambda: finish(out))
    assert (error.exit_code, "`model`" in str(error)) == (ExitCode.OTHER_RUN, True)
    other = write_model(tmp_path / "other.onnx")
    assert refused(lambda: finish(out, other)).exit_code is ExitCode.OTHER_RUN
    succeeds(run_in_process("gan-batch", "finish", out, "--model", steep, "--quality-gate", "warn"))
    assert state(out) == "complete"
    assert len(measures.splitlines()) == 11


def test_gate_judges_at_the_end_and_warn_accepts_it_then(tmp_path: Path) -> None:
    gray = write_model(tmp_path / "gray.onnx", gain=0.0)
    out = tmp_path / "run"
    for number in (1, 2):
        succeeds(run_in_process(*batch(gray, out, 30, "--shard-size", "10", "--part", f"{number}/2")))
    metrics = tmp_path / "finish.prom"
    finishing = ["gan-batch", "finish", out, "--latest", tmp_path / "latest", "--metrics-file", metrics]
    fails_in_one_line(run(*finishing), 76, "constant")
    assert state(out) == "rejected by the quality gate"
    assert "gan_batch_last_exit_code 76.0" in metrics.read_text()
    assert not (tmp_path / "latest").exists()
    succeeds(run(*finishing, GAN_BATCH_QUALITY_GATE="warn"))
    assert os.readlink(tmp_path / "latest") == "run"
    assert "gan_batch_last_exit_code 0.0" in metrics.read_text()


def test_finished_run_and_all_that_its_parts_left_can_be_removed(copied: Path, whole: Path, tmp_path: Path) -> None:
    succeeds(run_in_process("gan-batch", "finish", copied))
    copied.rename(tmp_path / "2026-11-21")
    newer = shutil.copytree(whole, tmp_path / "2026-11-22")
    succeeds(run_in_process("gan-batch", "finish", newer, "--keep", "1"))
    assert [path.name for path in tmp_path.iterdir()] == ["2026-11-22"]


@pytest.mark.parametrize("limit", ["nan", "-1"])
def test_finish_refuses_a_limit_that_is_none(limit: str, whole: Path) -> None:
    fails_in_one_line(run_in_process("gan-batch", "finish", whole, f"--min-contrast={limit}"), 2, "--min-contrast")


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
