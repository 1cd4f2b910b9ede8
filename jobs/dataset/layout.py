"""What lies where in a run's folder, by name; names are relative to it and `/`-separated.

Where the images of a shard lie is the business of `jobs.dataset.formats`.
"""

from __future__ import annotations

import re

from jobs.stores.store import STATE as STATE
from models.files import LOCK, PART_LOCK

LAYOUT = 2
"""Of runs that are begun now: images below `IMAGES`. In layout 1 they lay beside run.json."""
MANIFEST, SHEET = "manifest.csv", "contact_sheet.png"
PARQUET = "manifest.parquet"
"""A folder of files, which a run can have in the place of `MANIFEST`."""
QUALITY, OFFENDERS = "quality.json", "quality_offenders.png"
STATS, LOG, REPORT = "stats.json", "log.jsonl", "report.html"
FILES = (MANIFEST, SHEET, QUALITY, OFFENDERS, STATS, LOG, REPORT, STATE, LOCK)
"""All files that lie directly in the folder, but for those of parts."""
PART_FILE = re.compile(rf"log-\d+-of-(\d+)\.jsonl|stats-\d+-of-(\d+)\.json|{PART_LOCK.pattern}")
"""What parts leave directly in the folder; the group that matches is the number of parts."""
IMAGES = "images"
"""Nothing else is below it, so that whatever loads a folder of images can load it."""
MASKS = "masks"
"""The masks of a generator that makes them, below it under the names that their images have below `IMAGES`."""
MANIFESTS = "_manifests"
"""A manifest a shard: its commit."""
MEASURES = "_quality"
"""What the quality gate knows of a shard's images."""
IMAGE = re.compile(r"\d{8,}\.png")
TABLE = re.compile(r"\d{5,}\.csv")
PARQUET_PART = re.compile(r"part-\d{5,}\.parquet")
TEMPORARY = re.compile(r"\.(\d{5,}\.(csv|tar)|part-\d{5,}\.parquet|\d{8,}\.png|[a-z_]+\.[a-z]+(\.[0-9a-f]{16})?)\.tmp")
"""What a kill can leave behind."""
OURS = re.compile(f"{IMAGE.pattern}|{TEMPORARY.pattern}")
"""What in a shard's folder is ours; the rest is the user's."""


def parquet_part(part: int) -> str:
    """A file of the run's manifest, where that is a set of Parquet files."""
    return f"{PARQUET}/part-{part:05d}.parquet"


def manifest_name(shard: int) -> str:
    """Where a shard's manifest lies."""
    return f"{MANIFESTS}/{shard:05d}.csv"


def measures_name(shard: int) -> str:
    """Where a shard's measures lie."""
    return f"{MEASURES}/{shard:05d}.csv"
