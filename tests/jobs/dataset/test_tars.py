"""Shards as tar files: the same images, read by others, looked after like folders."""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.checks.verify import verify
from jobs.dataset import tars
from jobs.dataset.formats import Tars
from jobs.dataset.naming import siblings
from jobs.dataset.pruning import RunSeries, prune
from jobs.stores.local_store import LocalStore
from tests.conftest import fails_in_one_line, run_in_process
from tests.jobs.conftest import SEED, batch, decoded, differing, rows_of, succeeds
from tests.jobs.damage import change_row, other_image
from tests.jobs.object_server import ObjectServer

pytestmark = pytest.mark.usefixtures("workers_here")

IMAGES = Tars("images")
OPTIONS = ("--shard-size", "100", "--format", "tar")


@pytest.fixture(scope="module")
def tarred(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    """The images of `finished` in tar files; tests must not change it."""
    out = tmp_path_factory.mktemp("tarred") / "run"
    succeeds(run_in_process(*batch(model, out, 130, *OPTIONS)))
    return out


@pytest.fixture
def copied(tarred: Path, tmp_path: Path) -> Path:
    """A copy of it, for a test to change."""
    return shutil.copytree(tarred, tmp_path / "run")


def test_images_are_those_of_folders(tarred: Path, finished: Path) -> None:
    rows = rows_of(tarred)
    assert [row.file_name for row in rows] == [f"images/{i // 100:05d}.tar/{i:08d}.png" for i in range(130)]
    assert [row.sha256 for row in rows] == [row.sha256 for row in rows_of(finished)]
    for row, other in zip(rows, rows_of(finished), strict=True):
        assert IMAGES.read(LocalStore(tarred), row.file_name) == (finished / other.file_name).read_bytes()
    assert (tarred / "contact_sheet.png").read_bytes() == (finished / "contact_sheet.png").read_bytes()
    assert sorted(path.name for path in (tarred / "images").iterdir()) == ["00000.tar", "00001.tar"]


def test_headers_tell_of_nothing_but_name_and_size(tarred: Path) -> None:
    with tarfile.open(tarred / "images" / "00001.tar") as tar:
        members = tar.getmembers()
    assert [member.name for member in members] == [f"{index:08d}.png" for index in range(100, 130)]
    assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode, m.type) for m in members} == {
        (0, 0, 0, "", "", 0o644, tarfile.REGTYPE)
    }
    assert tars.unpack((tarred / "images" / "00001.tar").read_bytes()[:5000]).keys() < {
        member.name for member in members
    }


def test_webdataset_reads_it(tarred: Path, finished: Path) -> None:
    webdataset = pytest.importorskip("webdataset", reason="in the extra test")
    dataset = webdataset.WebDataset(str(tarred / "images" / "{00000..00001}.tar"), shardshuffle=False)
    found = {sample["__key__"]: sample["png"] for sample in dataset}
    assert list(found) == [f"{index:08d}" for index in range(130)]
    for row in rows_of(finished):
        assert (decoded(found[Path(row.file_name).stem]) == decoded((finished / row.file_name).read_bytes())).all()


def test_it_is_extended_and_goes_on_without_being_told_the_format(copied: Path, model: Path, tmp_path: Path) -> None:
    succeeds(run_in_process(*batch(model, copied, 250)))
    succeeds(run_in_process(*batch(model, tmp_path / "whole", 250, *OPTIONS, "--workers", "1", "--batch-size", "7")))
    assert differing(copied, tmp_path / "whole") == []


def test_run_that_was_cut_off_is_finished(copied: Path, tarred: Path, model: Path) -> None:
    (copied / "_manifests" / "00001.csv").unlink()
    for name in ("00001.tar", ".00001.tar.tmp"):
        (copied / "images" / name).write_bytes(b"half")
    (copied / "run.json").write_text((copied / "run.json").read_text().replace("complete", "running"))
    succeeds(run_in_process(*batch(model, copied, 130)))
    assert differing(copied, tarred) == []


def test_formats_do_not_mix_and_folders_keep_their_fingerprint(tarred: Path, finished: Path, model: Path) -> None:
    fails_in_one_line(run_in_process(*batch(model, tarred, 130, "--format", "png")), 78, "format was tar")
    fails_in_one_line(run_in_process(*batch(model, finished, 130, "--format", "tar")), 78, "format was png and is tar")
    assert "format" not in json.loads((finished / "run.json").read_text())["fingerprint"]


def broken_member(out: Path) -> None:
    """One byte of image 105."""
    content = bytearray((out / "images" / "00001.tar").read_bytes())
    content[content.index(b"00000105.png") + 700] ^= 1
    (out / "images" / "00001.tar").write_bytes(content)


def cut_off(out: Path) -> None:
    content = (out / "images" / "00000.tar").read_bytes()
    (out / "images" / "00000.tar").write_bytes(content[: len(content) // 2])


def gone(out: Path) -> None:
    (out / "images" / "00001.tar").unlink()


def no_manifest(out: Path) -> None:
    (out / "_manifests" / "00000.csv").unlink()
    (out / "_quality" / "00000.csv").unlink()


def header(size: bytes) -> Callable[[Path], None]:
    """A size of the member in the middle that leads elsewhere, with the right checksum."""

    def damage(out: Path) -> None:
        content = bytearray((out / "images" / "00001.tar").read_bytes())
        start = content.index(b"00000105.png")
        content[start + 124 : start + 136] = size
        content[start + 148 : start + 156] = b" " * 8
        content[start + 148 : start + 156] = b"%06o\0 " % sum(content[start : start + 512])
        (out / "images" / "00001.tar").write_bytes(content)

    return damage


def more(out: Path) -> None:
    """A member that no row names."""
    with tarfile.open(out / "images" / "00001.tar", "a") as tar:
        tar.add(out / "run.json", "more.png")


def padded(out: Path) -> None:
    with (out / "images" / "00001.tar").open("ab") as file:
        file.write(bytes(512))


@pytest.mark.parametrize(
    "damage",
    [
        *(broken_member, cut_off, gone, no_manifest, more, padded),
        *map(header, (b"\xff" * 10 + b"\xf0\x00", b"\x80\0\0\0" + b"\xff" * 8, b"77777777777\0")),
    ],
)
def test_damage_is_found_and_repaired(damage: object, copied: Path, tarred: Path, model: Path) -> None:
    assert list(verify(copied)) == []
    damage(copied)
    found = {fault.file_name[: len("images/00000.tar")] for fault in verify(copied)}
    assert found & {"images/00000.tar", "images/00001.tar", "_manifests/00000"}
    result = run_in_process("gan-batch", "verify", copied)
    assert result.returncode == 76
    succeeds(run_in_process("gan-batch", "verify", copied, "--repair", "--model", model))
    assert differing(copied, tarred) == []


@pytest.mark.parametrize("spoilt", [b"no image", other_image(seed=3)], ids=["broken", "changed"])
def test_image_that_another_machine_made_outlives_the_repair_of_its_tar(
    spoilt: bytes, copied: Path, model: Path
) -> None:
    path, theirs = copied / "images" / "00001.tar", other_image(seed=2)
    files = tars.unpack(path.read_bytes()) | {"00000103.png": theirs}
    path.write_bytes(tars.pack(files.items()))
    change_row(copied, 103, sha256=hashlib.sha256(theirs).hexdigest(), bytes=len(theirs))
    whole = path.read_bytes()
    path.write_bytes(tars.pack((files | {"00000105.png": spoilt}).items()))
    assert {fault.index for fault in verify(copied)} == {105}
    succeeds(run_in_process("gan-batch", "verify", copied, "--repair", "--model", model))
    assert path.read_bytes() == whole
    path.write_bytes(tars.pack((files | {"00000103.png": spoilt}).items()))
    damaged = path.read_bytes()
    result = run_in_process("gan-batch", "verify", copied, "--repair", "--model", model)
    assert result.returncode == 76
    assert "00000103.png does not come out here as its row says" in result.stderr
    assert path.read_bytes() == damaged


def test_image_is_made_again(tarred: Path, model: Path, tmp_path: Path) -> None:
    succeeds(
        run_in_process("gan-batch", "regen", tarred, "--index", "105", "--model", model, "--to", tmp_path / "one.png")
    )
    assert (tmp_path / "one.png").read_bytes() == IMAGES.read(LocalStore(tarred), "images/00001.tar/00000105.png")


def test_old_run_is_removed_whole(tarred: Path, tmp_path: Path) -> None:
    old, new = (shutil.copytree(tarred, tmp_path / name) for name in ("2026-11-21", "2026-11-22"))
    names = siblings(new)
    assert names is not None
    assert prune(new, 1, None, RunSeries(names, "generator.onnx")) == [old]
    assert not old.exists()


def test_object_store_has_the_same(tarred: Path, model: Path, server: ObjectServer, tmp_path: Path) -> None:
    command = ["gan-batch", "--model", model, "--count", "130", "--seed", str(SEED), "--device", "cpu", *OPTIONS]
    succeeds(run_in_process(*command, "--out", "s3://bucket/tarred"))
    from jobs.stores.opening import open_store

    store = open_store("s3://bucket/tarred")
    for name in ("images/00000.tar", "images/00001.tar", "manifest.csv", "contact_sheet.png"):
        assert store.read(name) == (tarred / name).read_bytes()
    assert IMAGES.read(store, "images/00001.tar/00000105.png") == IMAGES.read(
        LocalStore(tarred), "images/00001.tar/00000105.png"
    )
    assert list(verify("s3://bucket/tarred")) == []
    succeeds(run_in_process(*command, "--out", "s3://bucket/tarred", "--count", "145"))  # the last tar is replaced
    assert list(verify("s3://bucket/tarred")) == []
