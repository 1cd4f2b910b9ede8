"""The layout of MVTec AD: one category, whose training part has good parts only.

Format: the readme of MVTec AD (Bergmann et al., 2019), and what anomalib's data modules read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from jobs.dataset.convert.layout import DatasetLayout
from jobs.dataset.convert.sample import TEST, Sample

GOOD = "good"


class MvtecAd(DatasetLayout):
    """`train/good/`, `test/good/`, `test/CLASS/` and `ground_truth/CLASS/`, without folders below these.

    Readers pair the masks of a class with its images by the order of their names, so names sort alike with and without
    `_mask`. The label of a photo of a good part is the last one.
    """

    part_of_run: ClassVar[str] = TEST

    def place(self, sample: Sample, part: str) -> bool:
        name = self.classes[sample.label]
        if name != GOOD and (sample.mask is None or not sample.pixels().any()):
            self.dropped += 1  # no defect, and a place among them would say that it is one
            return False
        self.folder.put(f"{part}/{name}/{sample.name}", sample.image)
        if name != GOOD and sample.mask is not None:
            self.folder.put(f"ground_truth/{name}/{sample.stem}_mask.png", sample.mask)
        return True

    def finish(self, parts: Sequence[str]) -> None:
        pass
