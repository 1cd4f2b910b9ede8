"""Shards as tar files: the same images, read by others, looked after like folders."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.checks.verify import verify
from jobs.dataset import tars
from jobs.stores.publish import prune
from jobs.stores.store import LocalStore
from tests.conftest import fails_in_one_line, run
from tests.jobs.conftest import SEED, batch, decoded, differing, rows_of, succeeds
from tests.jobs.object_server import ObjectServer

OPTIONS = ("--shard-size", "100", "--format", "tar")


@pytest.fixture(scope="module")
def tarred(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    """The images of `finished` in tar files; tests must not change it."""
    out = tmp_path_factory.mktemp("tarred") / "run"
    succeeds(run(*batch(model, out, 130, *OPTIONS)))
    return out


@pytest.fixture
def copied(tarred: Path, tmp_path: Path) -> Path:
    """A copy of it, for a test to change."""
    return shutil.copytree(tarred, tmp_path / "run")


def test_images_are_those_of_folders(tarred: Path, finished: Path) -> None:
    rows = rows_of(tarred)
    assert [row.file_name for row in rows] == [f"{i // 100:05d}.tar/{i:08d}.png" for i in range(130)]
    assert [row.sha256 for row in rows] == [row.sha256 for row in rows_of(finished)]
    for row, other in zip(rows, rows_of(finished), strict=True):
        assert tars.read_file(LocalStore(tarred), row.file_name) == (finished / other.file_name).read_bytes()
    assert (tarred / "contact_sheet.png").read_bytes() == (finished / "contact_sheet.png").read_bytes()
    assert sorted(path.name for path in tarred.glob("0*")) == ["00000.tar", "00001.tar"]


def test_headers_tell_of_nothing_but_name_and_size(tarred: Path) -> None:
    with tarfile.open(tarred / "00001.tar") as tar:
        members = tar.getmembers()
    assert [member.name for member in members] == [f"{index:08d}.png" for index in range(100, 130)]
    assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode, m.type) for m in members} == {
        (0, 0, 0, "", "", 0o644, tarfile.REGTYPE)
    }
    assert tars.unpack((tarred / "00001.tar").read_bytes()[:5000]).keys() < {member.name for member in members}


def test_webdataset_reads_it(tarred: Path, finished: Path) -> None:
    webdataset = pytest.importorskip("webdataset", reason="in the extra test")
    dataset = webdataset.WebDataset(str(tarred / "{00000..00001}.tar"), shardshuffle=False)
    found = {sample["__key__"]: sample["png"] for sample in dataset}
    assert list(found) == [f"{index:08d}" for index in range(130)]
    for row in rows_of(finished):
        assert (decoded(found[Path(row.file_name).stem]) == decoded((finished / row.file_name).read_bytes())).all()


def test_it_is_extended_and_goes_on_without_being_told_the_format(copied: Path, model: Path, tmp_path: Path) -> None:
    succeeds(run(*batch(model, copied, 250)))
    succeeds(run(*batch(model, tmp_path / "whole", 250, *OPTIONS, "--workers", "1", "--batch-size", "7")))
    assert differing(copied, tmp_path / "whole") == []


def test_run_that_was_cut_off_is_finished(copied: Path, tarred: Path, model: Path) -> None:
    (copied / "_manifests" / "00001.csv").unlink()
    (copied / "00001.tar").write_bytes(b"half")
    (copied / "run.json").write_text((copied / "run.json").read_text().replace("complete", "running"))
    succeeds(run(*batch(model, copied, 130)))
    assert differing(copied, tarred) == []


def test_formats_do_not_mix_and_folders_keep_their_fingerprint(tarred: Path, finished: Path, model: Path) -> None:
    fails_in_one_line(run(*batch(model, tarred, 130, "--format", "png")), 78, "format was tar")
    fails_in_one_line(run(*batch(model, finished, 130, "--format", "tar")), 78, "format was png and is tar")
    assert "format" not in json.loads((finished / "run.json").read_text())["fingerprint"]


def broken_member(out: Path) -> None:
    """One byte of image 105."""
    content = bytearray((out / "00001.tar").read_bytes())
    content[content.index(b"00000105.png") + 700] ^= 1
    (out / "00001.tar").write_bytes(content)


def cut_off(out: Path) -> None:
    content = (out / "00000.tar").read_bytes()
    (out / "00000.tar").write_bytes(content[: len(content) // 2])


def gone(out: Path) -> None:
    (out / "00001.tar").unlink()


def no_manifest(out: Path) -> None:
    (out / "_manifests" / "00000.csv").unlink()
    (out / "_quality" / "00000.csv").unlink()


def header(size: bytes) -> Callable[[Path], None]:
    """A size of the member in the middle that leads elsewhere, with the right checksum."""

    def damage(out: Path) -> None:
        content = bytearray((out / "00001.tar").read_bytes())
        start = content.index(b"00000105.png")
        content[start + 124 : start + 136] = size
        content[start + 148 : start + 156] = b" " * 8
        content[start + 148 : start + 156] = b"%06o\0 " % sum(content[start : start + 512])
        (out / "00001.tar").write_bytes(content)

    return damage


def more(out: Path) -> None:
    """A member that no row names."""
    with tarfile.open(out / "00001.tar", "a") as tar:
        tar.add(out / "run.json", "more.png")


def padded(out: Path) -> None:
    with (out / "00001.tar").open("ab") as file:
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
    found = {fault.file_name.partition("/")[0] for fault in verify(copied)}
    assert found & {"00000.tar", "00001.tar", "_manifests"}
    result = run("gan-batch", "verify", copied)
    assert result.returncode == 76
    succeeds(run("gan-batch", "verify", copied, "--repair", "--model", model))
    assert differing(copied, tarred) == []


def test_image_is_made_again(tarred: Path, model: Path, tmp_path: Path) -> None:
    succeeds(run("gan-batch", "regen", tarred, "--index", "105", "--model", model, "--to", tmp_path / "one.png"))
    assert (tmp_path / "one.png").read_bytes() == tars.read_file(LocalStore(tarred), "00001.tar/00000105.png")


def test_old_run_is_removed_whole(copied: Path, tarred: Path) -> None:
    shutil.copytree(tarred, copied.parent / "newer")
    assert prune(copied.parent / "newer", 1, None) == [copied]
    assert not copied.exists()


def test_object_store_has_the_same(tarred: Path, model: Path, server: ObjectServer, tmp_path: Path) -> None:
    command = ["gan-batch", "--model", model, "--count", "130", "--seed", str(SEED), "--device", "cpu", *OPTIONS]
    succeeds(run(*command, "--out", "s3://bucket/tarred"))
    from jobs.stores.store import open_store

    store = open_store("s3://bucket/tarred")
    for name in ("00000.tar", "00001.tar", "manifest.csv", "contact_sheet.png"):
        assert store.read(name) == (tarred / name).read_bytes()
    assert tars.read_file(store, "00001.tar/00000105.png") == tars.read_file(
        LocalStore(tarred), "00001.tar/00000105.png"
    )
    assert list(verify("s3://bucket/tarred")) == []
    succeeds(run(*command, "--out", "s3://bucket/tarred", "--count", "145"))  # the last tar is replaced
    assert list(verify("s3://bucket/tarred")) == []
