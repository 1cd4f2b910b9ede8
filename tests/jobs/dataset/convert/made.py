"""Small complete runs with labels and masks, and real photos, as the product writes them; the command that converts."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jobs.dataset import manifest
from jobs.dataset.formats import format_of
from jobs.dataset.layout import MANIFESTS, manifest_name
from jobs.dataset.png import MASK_ENCODER, encode, encode_masks
from jobs.dataset.shard import Shard
from jobs.dataset.state import COMPLETE, RunState
from jobs.stores.local_store import LocalStore
from models.mix import Mix

SIDE, SHARD = 48, 20
FINGERPRINT = {
    "model_sha256": "0" * 64, "seed": 1, "latent_scheme": "x", "z_dim": 2, "width": SIDE, "height": SIDE, "channels": 1,
    "shard_size": SHARD, "encoder": "x", "provider": "x", "onnxruntime": "x", "layout": 2,
}  # fmt: skip
CLASSES = ("scratch", "dent")


def mask_of(index: int) -> NDArray[np.bool_]:
    """A mask: bool `[48, 48]`; every tenth is empty, every seventh has a hole, and the others a speck of 1 pixel."""
    mask = np.zeros((SIDE, SIDE), np.bool_)
    if index % 10 == 9:
        return mask
    random = np.random.default_rng(index)
    top, left = random.integers(2, 14, 2)
    mask[top : top + 12, left : left + 9] = True
    if index % 7 == 0:
        mask[top + 4 : top + 7, left + 3 : left + 6] = False
    mask[30:45, 40] = index % 3 == 0  # a second defect, one pixel wide
    mask[46, 2] = True
    return mask


def image_of(index: int) -> NDArray[np.uint8]:
    """A picture that shows the defect: uint8 `[48, 48]`."""
    random = np.random.default_rng(1000 + index)
    return (random.normal(90, 12, (SIDE, SIDE)) + 90 * mask_of(index)).clip(0, 255).astype(np.uint8)


def write_run(
    out: Path, count: int = 50, *, format: str = "png", labels: bool = True, masks: bool = True, state: str = COMPLETE,
    mix: Mix | None = None,
) -> Path:  # fmt: skip
    """A run of `count` images in shards of 20; image *i* is of class *i* mod 2 where no mix says otherwise."""
    store = LocalStore(out)
    store.prepare()
    fingerprint = FINGERPRINT | ({"format": format} if format != "png" else {}) | ({"mix": str(mix)} if mix else {})
    fingerprint |= {"masks": MASK_ENCODER} if masks else {}
    names = mix.names if mix else CLASSES
    shapes = format_of(fingerprint)
    of_masks = shapes.of_masks()
    store.make_folder(MANIFESTS)
    for number, start in enumerate(range(0, count, SHARD)):
        shard = Shard(number, start, min(start + SHARD, count))
        indices = range(shard.start, shard.stop)
        images = dict(zip(indices, encode(np.stack([image_of(i) for i in indices])[..., None]), strict=True))
        pixels = np.stack([mask_of(i) for i in indices]).astype(np.uint8) * 255
        covers = dict(zip(indices, encode_masks(pixels), strict=True))
        for kind, files in ((shapes, images), *([(of_masks, covers)] if masks else [])):
            store.make_folder(kind.root)
            kind.begin(store, shard)
            kind.write(store, shard, [(kind.image(i, number), files[i]) for i in indices])
        rows = []
        for i in indices:
            row = manifest.Row(i, shapes.image(i, number), 1, sha256(images[i]), SIDE, SIDE, "L", len(images[i]))
            if labels:
                row.label_id = mix.label(i) if mix else i % 2
                row.label = names[row.label_id]
            if masks:
                row.mask_file_name, row.mask_sha256 = of_masks.image(i, number), sha256(covers[i])
            rows.append(row)
        store.write(manifest_name(number), manifest.to_csv(rows))
    RunState(state, count, fingerprint).write(store)
    return out


def write_real(folder: Path, per_class: int = 24, classes: tuple[str, ...] = CLASSES) -> Path:
    """`folder/photos/CLASS/*` and `folder/masks/CLASS/*_mask.png`, each photo of a place of its own."""
    for number, name in enumerate(classes):
        (folder / "photos" / name).mkdir(parents=True)
        (folder / "masks" / name).mkdir(parents=True)
        for index in range(per_class):
            seed = 500 * (number + 1) + 10 * index  # never one without a defect
            coarse = np.random.default_rng(seed).normal(120, 25, (24, 24)).clip(0, 255).astype(np.uint8)
            Image.fromarray(coarse).resize((96, 96), Image.Resampling.NEAREST).save(
                folder / "photos" / name / f"p{index * 100:05d}.png"
            )
            mask = Image.fromarray(mask_of(seed)).resize((96, 96), Image.Resampling.NEAREST)
            mask.save(folder / "masks" / name / f"p{index * 100:05d}_mask.png")
    return folder


def write_split(folder: Path, photos: Path, held_back: int) -> Path:
    """A `split.json` that keeps back every so many-th photo, as `gan-eval data` writes it."""
    rows = {}
    for place, path in enumerate(sorted(photos.rglob("*.*"))):
        name = path.relative_to(photos).as_posix()
        part = "validation" if place % held_back == 0 else "train"
        rows[name] = {"part": part, "sha256": sha256(path.read_bytes()), "group": name}
    (folder / "split.json").write_text(json.dumps({"photos": rows}))
    return folder / "split.json"


def command(run: Path, to: str, out: Path, *options: str | Path) -> list[str]:
    """The command that converts a run."""
    return ["gan-batch", "convert", *map(str, (run, "--to", to, "--out", out, *options))]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def tree(folder: Path) -> dict[str, bytes]:
    """All files below a folder but the lock."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }
