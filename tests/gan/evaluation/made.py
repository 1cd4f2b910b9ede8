"""Folders of even plates, image i of gray value i, as gan-batch leaves them: written by hand, as documented."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

from PIL import Image

HEADER = "index,file_name,seed,sha256,width,height,mode,bytes\n"
SHARD = 10


def png(value: int, size: tuple[int, int] = (32, 32), mode: str = "L") -> bytes:
    """A PNG of one gray value."""
    file = io.BytesIO()
    Image.new("L", size, value).convert(mode).save(file, "png")
    return file.getvalue()


def write(folder: Path, files: dict[str, bytes]) -> Path:
    """Files by name."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def write_plates(folder: Path, count: int, size: tuple[int, int] = (32, 32), mode: str = "L") -> Path:
    """Images alone, without anything that tells of a run."""
    names = {f"{number // SHARD:05d}/{number:08d}.png": number for number in range(count)}
    return write(folder, {name: png(number, size, mode) for name, number in names.items()})


def write_run(
    folder: Path, count: int, images: str = "", tarred: bool = False, parquet: bool = False, model: str = ""
) -> Path:
    """A finished run with a contact sheet, a sheet of offenders and masks, all of which are white.

    Args:
        folder: of the run.
        count: images, 10 a shard.
        images: the folder of the images in it, such as `images/`.
        tarred: whether a shard is a tar file.
        parquet: whether the manifest is a set of Parquet files, which are no real ones here.
        model: sha256 of the ONNX file.
    """
    files = {"contact_sheet.png": png(255), "quality_offenders.png": png(255), "masks/00000/00000000.png": png(255)}
    whole = HEADER
    for start in range(0, count, SHARD):
        shard = f"{images}{start // SHARD:05d}"
        members = {f"{index:08d}.png": png(index) for index in range(start, min(start + SHARD, count))}
        if tarred:
            content = io.BytesIO()
            with tarfile.open(fileobj=content, mode="w", format=tarfile.USTAR_FORMAT) as tar:
                for name, member in members.items():
                    entry = tarfile.TarInfo(name)
                    entry.size = len(member)
                    tar.addfile(entry, io.BytesIO(member))
            files[f"{shard}.tar"] = content.getvalue()
        else:
            files |= {f"{shard}/{name}": member for name, member in members.items()}
        base = f"{shard}.tar" if tarred else shard
        rows = "".join(f"{int(name[:8])},{base}/{name},7,,32,32,L,{len(member)}\n" for name, member in members.items())
        files[f"_manifests/{start // SHARD:05d}.csv"] = (HEADER + rows).encode()
        whole += rows
    state = {"state": "complete", "count": count, "fingerprint": {"model_sha256": model, "seed": 7}}
    files["run.json"] = json.dumps(state).encode()
    files["manifest.parquet/part-00000.parquet" if parquet else "manifest.csv"] = b"" if parquet else whole.encode()
    return write(folder, files)
