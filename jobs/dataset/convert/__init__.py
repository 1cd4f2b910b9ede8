"""A run as the data set of a trainer: its layout, its labels, and real photos beside it where there are any."""

NAMES = ("imagefolder", "yolo-classify", "yolo-detect", "yolo-segment", "coco", "voc", "mvtec-ad", "hf")
"""Of the layouts; here, so that no `--help` waits for NumPy."""
FILL, KEEP = "fill", "keep"
HOLES = (FILL, KEEP)
"""What becomes of a hole in a defect."""
