"""Layouts that tell the class of an image, and no place in it: a folder a class, or a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, ClassVar

from jobs.dataset.convert.layout import DatasetLayout
from jobs.dataset.convert.sample import Sample


class ImageFolder(DatasetLayout):
    """`train/scratch/00000000.png`, as torchvision's `ImageFolder` and Hugging Face's `imagefolder` read it.

    No table lies beside the images: with one, such as `metadata.csv`, the latter would forget the classes.
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
    """Hugging Face's `imagefolder` with a `metadata.jsonl` a part: label, label_id and, where there are any, masks.

    Folder names would be dropped beside it, so the label is a column. It is no CSV file, whose readers guess what a
    column holds: of the classes 007 and NA they would make 7 and nothing, and fail where another part has others.
    """

    needs_masks: ClassVar[bool] = False
    masks_in_all: ClassVar[bool] = True  # they are a column

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._tables: dict[str, list[str]] = {}

    def place(self, sample: Sample, part: str) -> bool:
        row: dict[str, Any] = {"file_name": f"images/{sample.name}"}
        self.folder.put(f"{part}/{row['file_name']}", sample.image)
        if sample.mask is not None:
            row["mask_file_name"] = f"masks/{sample.stem}.png"
            self.folder.put(f"{part}/{row['mask_file_name']}", sample.mask)
        row |= {"label": self.classes[sample.label], "label_id": sample.label}
        self._tables.setdefault(part, []).append(json.dumps(row, ensure_ascii=False))
        return True

    def finish(self, parts: Sequence[str]) -> None:
        for part, rows in self._tables.items():
            self.folder.write(f"{part}/metadata.jsonl", "".join(f"{row}\n" for row in rows).encode())
