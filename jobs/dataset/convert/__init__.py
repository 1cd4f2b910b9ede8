"""A run as the data set of a trainer: its layout, its labels, and real photos beside it where there are any."""

NAMES = ("imagefolder", "yolo-classify", "yolo-detect", "yolo-segment", "coco", "voc", "mvtec-ad", "hf")
"""Of the layouts; here, as all below, so that no `--help` waits for NumPy."""
FILL, KEEP = "fill", "keep"
HOLES = (FILL, KEEP)
"""What becomes of a hole in a defect."""
CLASS_NAME = "defect"
"""The class of what has none."""
MIN_AREA = 4
"""Pixels of the smallest spot of a mask that counts as a defect."""
SIMPLIFY = 0.0
"""Pixels by which an outline may differ from the true one."""
