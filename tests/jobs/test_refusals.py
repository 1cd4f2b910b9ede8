"""A run on this machine that is refused: another run in its place, too many images, what cannot be asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs import OnDisk, Publishing, Work, run_batch
from jobs.dataset import manifest
from jobs.stores.local_store import LocalStore
from models.errors import CommandError, ExitCode
from tests.conftest import fails_in_one_line, run_in_process
from tests.jobs.conftest import assert_whole_shards, batch, differing, stamps, succeeds

pytestmark = pytest.mark.usefixtures("workers_here")


@pytest.mark.parametrize(
    ("field", "options"),
    [("seed was 5 and is 6", ["--seed", "6"]), ("shard_size was 100 and is 50", ["--shard-size", "50"])],
)
def test_other_run_in_the_folder_is_refused_by_field(field: str, options: list[str], copied: Path, model: Path) -> None:
    before = stamps(copied)
    fails_in_one_line(
        run_in_process(*batch(model, copied, 130, "--shard-size", "100", *options)), 78, str(copied), field
    )
    assert stamps(copied) == before


def test_other_model_in_the_folder_is_refused(copied: Path, colour_model: Path) -> None:
    before = stamps(copied)
    result = run_in_process(*batch(colour_model, copied, 130, "--shard-size", "100"))
    fails_in_one_line(result, 78, str(copied), "model_sha256", "channels")
    assert stamps(copied) == before


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"state": "complete"}', b"\xff\xfe"])
def test_damaged_run_json_is_refused(content: bytes, copied: Path, model: Path) -> None:
    (copied / "run.json").write_bytes(content)
    before = stamps(copied)
    fails_in_one_line(run_in_process(*batch(model, copied, 130, "--shard-size", "100")), 65, str(copied / "run.json"))
    assert stamps(copied) == before


def test_folder_with_other_files_is_refused_and_left_as_it_is(model: Path, tmp_path: Path) -> None:
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "beach.jpg").write_bytes(b"sand")
    fails_in_one_line(run_in_process(*batch(model, tmp_path / "holiday", 10)), 73, "holiday", "beach.jpg")
    assert [path.name for path in (tmp_path / "holiday").iterdir()] == ["beach.jpg"]
    assert (tmp_path / "holiday" / "beach.jpg").read_bytes() == b"sand"


def test_empty_folder_is_welcome(model: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    succeeds(run_in_process(*batch(model, tmp_path / "run", 2)))


def test_python_caller_gets_the_error_with_its_code(copied: Path, model: Path) -> None:
    with pytest.raises(CommandError) as error:
        run_batch(model, copied, 130, seed=6, on_disk=OnDisk(100), work=Work("cpu"))
    assert error.value.exit_code == ExitCode.OTHER_RUN


@pytest.mark.parametrize("wrong", [{}, {"count": 5, "append": 5}, {"count": 0}, {"append": -1}], ids=str)
def test_python_caller_must_say_one_sensible_number(wrong: dict[str, int], model: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="count"):
        run_batch(model, tmp_path / "run", **wrong)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "wrong", [lambda: OnDisk(format="zip"), lambda: OnDisk(manifest="json"), lambda: Publishing(keep=0)]
)
def test_python_caller_cannot_ask_for_what_there_is_not(wrong: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"format|keep"):
        wrong()


def test_place_where_an_image_cannot_be_written_is_named_and_its_shard_is_not_committed(
    model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    command = batch(model, out, 50, "--shard-size", "10", "--batch-size", "4", "--workers", "1")
    succeeds(run_in_process(*batch(model, out, 10, "--shard-size", "10")))
    (out / "images" / "00002" / "00000027.png").mkdir(parents=True)
    fails_in_one_line(run_in_process(*command), 73, "images/00002/00000027.png")
    assert manifest.committed(LocalStore(out), 10).keys() <= {0, 1}
    assert_whole_shards(out)
    (out / "images" / "00002" / "00000027.png").rmdir()
    succeeds(run_in_process(*command))
    succeeds(run_in_process(*batch(model, tmp_path / "undisturbed", 50, "--shard-size", "10")))
    assert differing(out, tmp_path / "undisturbed") == []


# Any number of images


@pytest.mark.parametrize("count", [10**11, 10**25])
def test_count_that_no_disk_holds_is_refused_before_anything_is_made(count: int, model: Path, tmp_path: Path) -> None:
    result = run_in_process(*batch(model, tmp_path / "run", count, "--shard-size", "1"))
    fails_in_one_line(result, 74, f"{count} images need about")
    assert [path.name for path in (tmp_path / "run").iterdir()] == [".lock"]


@pytest.mark.parametrize("state", ["running", "complete"])
def test_run_that_names_a_billion_images_is_told_of_at_once(state: str, copied: Path, model: Path) -> None:
    content = json.loads((copied / "run.json").read_text()) | {"state": state, "count": 10**9}
    (copied / "run.json").write_text(json.dumps(content))
    assert "count: 1000000000\ncommitted: 130\n" in run_in_process("gan-batch", "status", copied).stdout
    fails_in_one_line(run_in_process("gan-batch", "finish", copied), 66, "9999999 of 10000000 shards", "1, 2, 3, 4, 5")
    fails_in_one_line(run_in_process(*batch(model, copied, 10**9)), 74, "999999870 images need about")
    assert run_in_process("gan-batch", "verify", copied).returncode == 76
    if state == "complete":
        repair = run_in_process("gan-batch", "verify", copied, "--repair", "--model", model)
        fails_in_one_line(repair, 74, "999999870 images need about")


# A run that began on another device


@pytest.mark.usefixtures("without_cuda")
@pytest.mark.parametrize(("device", "code"), [("auto", 69), ("cuda", 69), ("cpu", 78)])
def test_run_that_began_on_cuda_does_not_go_on_without_it(device: str, code: int, copied: Path, model: Path) -> None:
    state = (copied / "run.json").read_text()
    (copied / "run.json").write_text(state.replace("CPUExecutionProvider", "CUDAExecutionProvider"))
    before = stamps(copied)
    result = run_in_process("gan-batch", "--model", model, "--out", copied, "--count", "200", "--device", device)
    fails_in_one_line(result, code, "CUDA")
    assert stamps(copied) == before
