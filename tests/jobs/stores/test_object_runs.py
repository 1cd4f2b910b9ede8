"""`gan-batch` with an object store in the place of a folder: what a run leaves there, and what may be asked of it."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from models.files import LOCK
from tests.conftest import fails_in_one_line, run, run_in_process
from tests.jobs.conftest import VOLATILE, batch, rows_of, start, succeeds
from tests.jobs.object_server import BUCKET, SECRET, ObjectServer, client, copy, error, tree
from tests.jobs.small_models import write_model
from tests.jobs.stores.stored import FEW, TWO_SHARDS, command, like, made

pytestmark = pytest.mark.usefixtures("workers_here")


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


def test_report_is_written_at_the_end_and_when_it_is_asked_for(url: str, server: ObjectServer, model: Path) -> None:
    succeeds(made(model, url, 20, "--report"))
    first = tree(url)["report.html"]
    assert b"20 images" in first
    assert b"data:image/png" in first
    succeeds(run_in_process("gan-batch", "report", url))
    assert b"20 images" in tree(url)["report.html"]
    succeeds(run_in_process("gan-batch", "verify", url))


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
