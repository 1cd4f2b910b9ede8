"""Layouts of `yolo detect` and `yolo segment`: `images/` beside `labels/`, one text file an image."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import ClassVar

from jobs.dataset.convert.layout import DatasetLayout
from jobs.dataset.convert.sample import TEST, VAL, Sample
from jobs.dataset.convert.shapes import Shape


class YoloDetect(DatasetLayout):
    """A row a defect: class, and centre, width and height of its box as shares of the image.

    Trainers find the labels of `images/train/a.png` in `labels/train/a.txt`, and take an image without that file for
    one without a defect. So each image has its file, empty where there is no defect.
    """

    needs_val: ClassVar[bool] = True

    def place(self, sample: Sample, part: str) -> bool:
        rows = [self._row(shape, sample) for shape in self.shapes(sample)]
        self.folder.put(f"images/{part}/{sample.name}", sample.image)
        self.folder.write(f"labels/{part}/{sample.stem}.txt", "".join(f"{row}\n" for row in rows).encode())
        return True

    def finish(self, parts: Sequence[str]) -> None:
        lines = ["# Paths are relative to this file."]
        lines += [f"train: images/train\nval: images/{VAL}"]
        lines += [f"test: images/{TEST}"] if TEST in parts else []
        lines += ["names:", *(f"  {number}: {json.dumps(name)}" for number, name in enumerate(self.classes))]
        self.folder.write("data.yaml", "".join(f"{line}\n" for line in lines).encode())

    def _row(self, shape: Shape, sample: Sample) -> str:
        x, y = (shape.left + shape.right) / 2, (shape.top + shape.bottom) / 2
        width, height = shape.right - shape.left, shape.bottom - shape.top
        numbers = x / sample.width, y / sample.height, width / sample.width, height / sample.height
        return " ".join([str(sample.label), *(f"{number:.6f}" for number in numbers)])


class YoloSegment(YoloDetect):
    """A row a defect: class, and the corners of its outline as shares of the image.

    A row of four numbers would be read as a box. An outline has six at least, and boxes are not written beside them:
    trainers take the box from the outline.
    """

    def _row(self, shape: Shape, sample: Sample) -> str:
        corners = shape.one_outline() / (sample.width, sample.height)
        return " ".join([str(sample.label), *(f"{number:.6f}" for number in corners.ravel())])
