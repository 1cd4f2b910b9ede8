"""Ways to damage a finished run, each with what `verify` must say of it and what a repair may touch.

The run is that of the fixture `finished`: 130 images in shards of 100.
"""

from __future__ import annotations

import hashlib
import io
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from jobs.checks.verify import verify
from jobs.dataset import manifest
from jobs.dataset.manifest import Row
from jobs.stores.local_store import LocalStore

BROKEN = "images/00000/00000007.png"
"""The image that is damaged where it is one image."""
INDEX = 7
TABLES = {"_manifests/00000.csv", "_quality/00000.csv", "manifest.csv"}
"""What may be written again where a row of the first shard is wrong."""


@dataclass(frozen=True)
class Damage:
    """One way.

    Attributes:
        do: damages the run in a folder.
        fault: what `verify` must call it.
        file_name: and where.
        touched: what a repair may write again.
    """

    do: Callable[[Path], object]
    fault: str
    file_name: str
    touched: frozenset[str]

    def __str__(self) -> str:
        return getattr(self.do, "__name__", "").replace("_", " ")


def faults(out: Path) -> list[tuple[str, str]]:
    """What `verify` says of a run: the faults and where they are."""
    return [(fault.fault, fault.file_name) for fault in verify(out)]


def replace_rows(out: Path, shard: int, change: Callable[[list[Row]], list[Row]]) -> None:
    """Change the rows of a shard, in its manifest and in the run's, so that the two agree."""
    path = out / "_manifests" / f"{shard:05d}.csv"
    old = manifest.from_csv(path.read_bytes())
    new = change(list(old))
    path.write_bytes(manifest.to_csv(new))
    whole = (out / "manifest.csv").read_bytes()
    assert whole.count(manifest.lines(old)) == 1
    (out / "manifest.csv").write_bytes(whole.replace(manifest.lines(old), manifest.lines(new)))


def change_row(out: Path, index: int = INDEX, **fields: object) -> None:
    """Let the row of one image say something else."""
    replace_rows(
        out, index // 100, lambda rows: [Row(**{**vars(row), **fields}) if row.index == index else row for row in rows]
    )


def put(out: Path, name: str, content: bytes) -> None:
    """Replace an image, and let its row agree."""
    (out / name).write_bytes(content)
    change_row(out, int(Path(name).stem), sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))


def other_image(size: int = 128, mode: str = "L", seed: int = 0) -> bytes:
    """A valid PNG that is none of the run's."""
    channels = {"L": (), "RGB": (3,)}[mode]
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, *channels), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def delete_an_image(out: Path) -> None:
    (out / BROKEN).unlink()


def cut_an_image_off(out: Path) -> None:
    (out / BROKEN).write_bytes((out / BROKEN).read_bytes()[:-100])


def empty_an_image(out: Path) -> None:
    (out / BROKEN).write_bytes(b"")


def flip_a_byte(out: Path) -> None:
    content = bytearray((out / BROKEN).read_bytes())
    content[len(content) // 2] ^= 1
    (out / BROKEN).write_bytes(content)


def put_another_image_there(out: Path) -> None:
    (out / BROKEN).write_bytes(other_image())


def put_another_image_of_equal_size_there(out: Path) -> None:
    size = (out / BROKEN).stat().st_size
    content = other_image(seed=1, size=32)
    (out / BROKEN).write_bytes(content + bytes(size - len(content)))


def delete_the_last_image(out: Path) -> None:
    (out / "images/00001/00000129.png").unlink()


def give_a_row_another_hash(out: Path) -> None:
    change_row(out, sha256="0" * 64)


def give_a_row_the_hash_of_another_image(out: Path) -> None:
    rows = manifest.read_shard(LocalStore(out), 0)
    change_row(out, sha256=rows[INDEX + 1].sha256, bytes=rows[INDEX].bytes)


def write_a_hash_in_capitals(out: Path) -> None:
    change_row(out, sha256=manifest.read_shard(LocalStore(out), 0)[INDEX].sha256.upper())


def give_a_row_another_file_name(out: Path) -> None:
    change_row(out, file_name="images/00000/00000099.png")


def let_a_row_point_out_of_the_run(out: Path) -> None:
    change_row(out, file_name="../00000007.png")


def give_a_row_another_seed(out: Path) -> None:
    change_row(out, seed=6)


def give_a_row_another_width(out: Path) -> None:
    change_row(out, width=129)


def give_a_row_another_height(out: Path) -> None:
    change_row(out, height=1)


def give_a_row_another_mode(out: Path) -> None:
    change_row(out, mode="RGB")


def give_a_row_another_size(out: Path) -> None:
    change_row(out, bytes=(out / BROKEN).stat().st_size + 1)


def lose_a_row(out: Path) -> None:
    replace_rows(out, 0, lambda rows: rows[:50] + rows[51:])


def lose_the_last_row(out: Path) -> None:
    replace_rows(out, 0, lambda rows: rows[:-1])


def lose_the_last_row_of_the_run(out: Path) -> None:
    replace_rows(out, 1, lambda rows: rows[:-1])


def repeat_a_row(out: Path) -> None:
    replace_rows(out, 0, lambda rows: [*rows[:51], *rows[50:]])


def swap_two_rows(out: Path) -> None:
    replace_rows(out, 0, lambda rows: [rows[1], rows[0], *rows[2:]])


def delete_a_shards_manifest(out: Path) -> None:
    (out / "_manifests/00000.csv").unlink()


def cut_a_shards_manifest_off(out: Path) -> None:
    path = out / "_manifests/00000.csv"
    path.write_bytes(path.read_bytes()[:-30])


def empty_a_shards_manifest(out: Path) -> None:
    (out / "_manifests/00000.csv").write_bytes(b"")


def put_another_shards_rows_there(out: Path) -> None:
    shutil.copyfile(out / "_manifests/00001.csv", out / "_manifests/00000.csv")


def write_noise_to_a_shards_manifest(out: Path) -> None:
    (out / "_manifests/00000.csv").write_bytes(np.random.default_rng(0).bytes(5000))


def edit_the_manifest(out: Path) -> None:
    path = out / "manifest.csv"
    path.write_bytes(path.read_bytes().replace(b"\n7,", b"\n8,"))


def add_a_row_to_the_manifest(out: Path) -> None:
    path = out / "manifest.csv"
    path.write_bytes(path.read_bytes() + path.read_bytes().splitlines(keepends=True)[-1])


def cut_the_manifest_off(out: Path) -> None:
    path = out / "manifest.csv"
    path.write_bytes(path.read_bytes()[:-1])


def delete_the_manifest(out: Path) -> None:
    (out / "manifest.csv").unlink()


def delete_the_contact_sheet(out: Path) -> None:
    (out / "contact_sheet.png").unlink()


def _leave(name: str, words: str) -> Damage:
    def leave(out: Path) -> None:
        (out / name).write_bytes(b"left by a kill")

    leave.__name__ = words
    return Damage(leave, "stray", name, frozenset())


_IMAGE = frozenset({BROKEN})
_ROW = frozenset(TABLES)
_RUN = frozenset({"manifest.csv"})
REPAIRABLE = [
    Damage(delete_an_image, "missing", BROKEN, _IMAGE),
    Damage(delete_the_last_image, "missing", "images/00001/00000129.png", frozenset({"images/00001/00000129.png"})),
    Damage(cut_an_image_off, "size", BROKEN, _IMAGE),
    Damage(empty_an_image, "size", BROKEN, _IMAGE),
    Damage(flip_a_byte, "hash", BROKEN, _IMAGE),
    Damage(put_another_image_there, "size", BROKEN, _IMAGE),
    Damage(put_another_image_of_equal_size_there, "hash", BROKEN, _IMAGE),
    Damage(give_a_row_another_hash, "hash", BROKEN, _ROW),
    Damage(give_a_row_the_hash_of_another_image, "hash", BROKEN, _ROW),
    Damage(write_a_hash_in_capitals, "hash", BROKEN, _ROW),
    Damage(give_a_row_another_file_name, "bad row", BROKEN, _ROW),
    Damage(let_a_row_point_out_of_the_run, "bad row", BROKEN, _ROW),
    Damage(give_a_row_another_seed, "bad row", BROKEN, _ROW),
    Damage(give_a_row_another_width, "bad row", BROKEN, _ROW),
    Damage(give_a_row_another_height, "bad row", BROKEN, _ROW),
    Damage(give_a_row_another_mode, "bad row", BROKEN, _ROW),
    Damage(give_a_row_another_size, "size", BROKEN, _ROW),
    Damage(lose_a_row, "bad manifest", "_manifests/00000.csv", _ROW),
    Damage(lose_the_last_row, "bad manifest", "_manifests/00000.csv", _ROW),
    Damage(
        lose_the_last_row_of_the_run,
        "bad manifest",
        "_manifests/00001.csv",
        frozenset({"_manifests/00001.csv", "_quality/00001.csv", "manifest.csv"}),
    ),
    Damage(repeat_a_row, "bad manifest", "_manifests/00000.csv", _ROW),
    Damage(swap_two_rows, "bad manifest", "_manifests/00000.csv", _ROW),
    Damage(delete_a_shards_manifest, "no manifest", "_manifests/00000.csv", _ROW),
    Damage(cut_a_shards_manifest_off, "bad manifest", "_manifests/00000.csv", _ROW),
    Damage(empty_a_shards_manifest, "bad manifest", "_manifests/00000.csv", _ROW),
    Damage(put_another_shards_rows_there, "bad manifest", "_manifests/00000.csv", _ROW),
    Damage(write_noise_to_a_shards_manifest, "bad manifest", "_manifests/00000.csv", _ROW),
    Damage(edit_the_manifest, "bad row", "manifest.csv", _RUN),
    Damage(add_a_row_to_the_manifest, "bad manifest", "manifest.csv", _RUN),
    Damage(cut_the_manifest_off, "bad row", "manifest.csv", _RUN),
    Damage(delete_the_manifest, "bad manifest", "manifest.csv", _RUN),
    Damage(delete_the_contact_sheet, "missing", "contact_sheet.png", frozenset({"contact_sheet.png"})),
    _leave("images/00000/.00000007.png.tmp", "leave a temporary image"),
    _leave("_manifests/.00001.csv.tmp", "leave a temporary manifest of a shard"),
    _leave("_quality/.00001.csv.tmp", "leave temporary measures"),
    _leave(".manifest.csv.tmp", "leave a temporary manifest"),
    _leave(".run.json.tmp", "leave a temporary state"),
    _leave("images/00001/00000130.png", "leave an image beyond the count"),
]
USERS_FILES = [
    "notes.txt",
    "00007",
    "images/notes.txt",
    "images/00007",
    "images/00000/notes.txt",
    "images/00000/7.png",
    "_manifests/notes.txt",
    "_quality/notes.txt",
]
"""Files that gan-batch has no name for."""
UNREADABLE = {
    "an empty file": b"",
    "no image": b"this is no PNG",
    "half an image": other_image()[:5000],
    "an image of another size": other_image(size=64),
    "an image in colour": other_image(mode="RGB"),
}
