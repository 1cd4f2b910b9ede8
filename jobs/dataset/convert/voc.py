"""Pascal VOC's layout, below `VOCdevkit/VOC2007`: boxes in XML.

Format: the VOC2007 development kit's annotation guide. Readers have the year in the path, and 2007 is the one with
a part `test`.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import partial
from typing import Any
from xml.etree import ElementTree

from jobs.dataset.convert.layout import DatasetLayout
from jobs.dataset.convert.sample import TRAIN, VAL, Content, Sample
from jobs.dataset.convert.shapes import Shape

ROOT = "VOCdevkit/VOC2007"
QUALITY = 95
"""Of the JPEG files: at it the grain of a texture stays."""


class PascalVoc(DatasetLayout):
    """Readers look for `JPEGImages/NAME.jpg`, whatever the XML says. So images are JPEG files, and no others called so.

    Boxes count pixels from 1, and both ends are in them.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._sets: dict[str, list[str]] = {}

    def place(self, sample: Sample, part: str) -> bool:
        shapes = self.shapes(sample)
        is_jpeg = sample.name.lower().endswith((".jpg", ".jpeg")) and sample.image.path is not None
        image = sample.image if is_jpeg else Content(partial(_as_jpeg, sample))
        self.folder.put(f"{ROOT}/JPEGImages/{sample.stem}.jpg", image)
        self.folder.write(f"{ROOT}/Annotations/{sample.stem}.xml", self._xml(sample, shapes))
        self._sets.setdefault(part, []).append(sample.stem)
        return True

    def finish(self, parts: Sequence[str]) -> None:
        both = [*self._sets.get(TRAIN, []), *self._sets.get(VAL, [])]
        for name, stems in {**self._sets, "trainval": both}.items():
            self.folder.write(f"{ROOT}/ImageSets/Main/{name}.txt", "".join(f"{stem}\n" for stem in stems).encode())

    def _xml(self, sample: Sample, shapes: Sequence[Shape]) -> bytes:
        name = self.classes[sample.label]
        root = ElementTree.Element("annotation")
        _add(root, folder="VOC2007", filename=f"{sample.stem}.jpg")
        source = ElementTree.SubElement(root, "source")
        _add(source, database="photos" if sample.real else "gan-batch")
        size = ElementTree.SubElement(root, "size")
        _add(size, width=sample.width, height=sample.height, depth=1 if sample.gray else 3)
        _add(root, segmented=0)
        for shape in shapes:
            thing = ElementTree.SubElement(root, "object")
            _add(thing, name=name, pose="Unspecified", truncated=0, difficult=0)
            box = ElementTree.SubElement(thing, "bndbox")
            _add(box, xmin=shape.left + 1, ymin=shape.top + 1, xmax=shape.right, ymax=shape.bottom)
        ElementTree.indent(root)
        text: bytes = ElementTree.tostring(root, encoding="utf-8")
        return text + b"\n"


def _add(element: ElementTree.Element, **texts: object) -> None:
    for name, text in texts.items():
        ElementTree.SubElement(element, name).text = str(text)


def _as_jpeg(sample: Sample) -> bytes:
    from PIL import Image

    content = io.BytesIO()
    with Image.open(io.BytesIO(sample.image.read())) as image:
        plain = image.convert("L" if sample.gray else "RGB")  # without transparency, as who reads a PNG file in colour
        plain.save(content, "JPEG", quality=QUALITY, subsampling=0)
    return content.getvalue()
