"""Layouts that tell the class of an image, and no place in it: a folder a class, or a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any, ClassVar

from jobs.dataset.convert.layout import DatasetLayout
from jobs.dataset.convert.sample import Sample


class ImageFolder(DatasetLayout):
    """`train/scratch/00000000.png`, as torchvision's `ImageFolder` and Hugging Face's `imagefolder` read it.

    No table lies beside the images: with a `metadata.csv` the latter would forget the classes.
    """

    needs_masks: ClassVar[bool] = False
    needs_every_class: ClassVar[bool] = True  # else the numbers of the classes differ from part to part

    def place(self, sample: Sample, part: str) -> bool:
        self.folder.put(f"{part}/{self.classes[sample.label]}/{sample.name}", sample.image)
        return True

    def finish(self, parts: Sequence[str]) -> None:
        pass


class YoloClassify(ImageFolder):
    """The same for `yolo classify`, which wants a part `val`."""

    needs_val: ClassVar[bool] = True


class HuggingFace(DatasetLayout):
    """Hugging Face's `imagefolder` with a `metadata.csv` a part: label, label_id and, where there are any, masks.

    Folder names would be dropped beside it, so the label is a column.
    """

    needs_masks: ClassVar[bool] = False
    masks_in_all: ClassVar[bool] = True  # they are a column

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._tables: dict[str, io.StringIO] = {}
        self._columns: list[str] = []
        """Of the first image: the tables of all parts have the same."""

    def place(self, sample: Sample, part: str) -> bool:
        row: dict[str, Any] = {"file_name": f"images/{sample.name}"}
        self.folder.put(f"{part}/{row['file_name']}", sample.image)
        if sample.mask is not None:
            row["mask_file_name"] = f"masks/{sample.stem}.png"
            self.folder.put(f"{part}/{row['mask_file_name']}", sample.mask)
        row |= {"label": self.classes[sample.label], "label_id": sample.label}
        self._columns = self._columns or list(row)
        is_new = part not in self._tables
        writer = csv.DictWriter(self._tables.setdefault(part, io.StringIO()), self._columns, lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerow(row)
        return True

    def finish(self, parts: Sequence[str]) -> None:
        for part, table in self._tables.items():
            self.folder.write(f"{part}/metadata.csv", table.getvalue().encode())
