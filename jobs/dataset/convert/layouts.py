"""The layouts by name."""

from __future__ import annotations

from jobs.dataset.convert.by_class import HuggingFace, ImageFolder, YoloClassify
from jobs.dataset.convert.coco import Coco
from jobs.dataset.convert.layout import DatasetLayout
from jobs.dataset.convert.mvtec import MvtecAd
from jobs.dataset.convert.voc import PascalVoc
from jobs.dataset.convert.yolo import YoloDetect, YoloSegment

MVTEC = "mvtec-ad"
LAYOUTS: dict[str, type[DatasetLayout]] = {
    "imagefolder": ImageFolder,
    "yolo-classify": YoloClassify,
    "yolo-detect": YoloDetect,
    "yolo-segment": YoloSegment,
    "coco": Coco,
    "voc": PascalVoc,
    MVTEC: MvtecAd,
    "hf": HuggingFace,
}
