"""COCO's layout: `images/train/` and `annotations/instances_train.json`.

Format: cocodataset.org/#format-data.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from jobs.dataset.convert.layout import DatasetLayout
from jobs.dataset.convert.sample import Sample
from jobs.dataset.convert.shapes import Shape


class Coco(DatasetLayout):
    """Ids of images and of annotations are unique over all parts, so that parts can be put together; 0 is none of them,
    as some readers take it for nothing. A defect with a hole that is kept is written as run lengths, which can say it;
    all others as polygons."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._images: dict[str, list[str]] = {}
        self._annotations: dict[str, list[str]] = {}
        self._image_id = self._annotation_id = 0

    def place(self, sample: Sample, part: str) -> bool:
        self._image_id += 1
        images, annotations = self._images.setdefault(part, []), self._annotations.setdefault(part, [])
        self.folder.put(f"images/{part}/{sample.name}", sample.image)
        image = {"id": self._image_id, "file_name": sample.name, "width": sample.width, "height": sample.height}
        images.append(json.dumps(image))
        for shape in self.shapes(sample):
            self._annotation_id += 1
            annotations.append(json.dumps(self._annotation(shape, sample)))
        return True

    def finish(self, parts: Sequence[str]) -> None:
        categories = [
            json.dumps({"id": label + 1, "name": name, "supercategory": "defect"})
            for label, name in enumerate(self.classes)
        ]
        for part, images in self._images.items():
            lists = {"images": images, "annotations": self._annotations[part], "categories": categories}
            body = ",\n".join(f'"{name}": [\n{_joined(entries)}]' for name, entries in lists.items())
            self.folder.write(f"annotations/instances_{part}.json", f"{{\n{body}\n}}\n".encode())

    def _annotation(self, shape: Shape, sample: Sample) -> dict[str, Any]:
        polygon = [round(float(number), 2) for number in shape.outline.ravel()]
        return {
            "id": self._annotation_id,
            "image_id": self._image_id,
            "category_id": sample.label + 1,
            "bbox": [shape.left, shape.top, shape.right - shape.left, shape.bottom - shape.top],
            "area": shape.area,
            "iscrowd": 0,
            "segmentation": _run_lengths(shape, sample) if shape.holes else [polygon],
        }


def _run_lengths(shape: Shape, sample: Sample) -> dict[str, Any]:
    """Uncompressed: lengths of runs down the columns, the first one of what is outside."""
    whole = np.zeros((sample.height, sample.width), np.bool_)
    whole[shape.top : shape.bottom, shape.left : shape.right] = shape.mask
    flat = whole.ravel(order="F")
    changes = np.flatnonzero(np.diff(flat)) + 1
    edges = np.concatenate([[0], changes, [flat.size]])
    counts = np.diff(edges).tolist()
    return {"size": [sample.height, sample.width], "counts": [0, *counts] if flat[0] else counts}


def _joined(entries: Sequence[str]) -> str:
    return "".join(f"{entry}{',' * (place < len(entries))}\n" for place, entry in enumerate(entries, 1))
