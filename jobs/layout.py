"""What lies where in a run's folder, by name; names are relative to it and `/`-separated."""

from __future__ import annotations

import re

from models.files import LOCK

STATE = "run.json"
MANIFEST, SHEET = "manifest.csv", "contact_sheet.png"
QUALITY, OFFENDERS = "quality.json", "quality_offenders.png"
STATS, LOG = "stats.json", "log.jsonl"
FILES = (MANIFEST, SHEET, QUALITY, OFFENDERS, STATS, LOG, STATE, LOCK)
"""All files that lie directly in the folder."""
MANIFESTS = "_manifests"
"""A manifest a shard: its commit."""
MEASURES = "_quality"
"""What the quality gate knows of a shard's images."""
IMAGE = re.compile(r"\d{8,}\.png")
TABLE = re.compile(r"\d{5,}\.csv")
SHARD = re.compile(r"\d{5,}")
TEMPORARY = re.compile(r"\.(\d{5,}\.csv|\d{8,}\.png|[a-z_]+\.[a-z]+)\.tmp")
"""What a kill can leave behind."""
OURS = re.compile(f"{IMAGE.pattern}|{TEMPORARY.pattern}")
"""What in a shard's folder is ours; the rest is the user's."""


def shard_folder(shard: int) -> str:
    """Where the images of a shard lie."""
    return f"{shard:05d}"


def image_name(index: int, shard: int) -> str:
    """Where image `index` of shard number `shard` lies."""
    return f"{shard_folder(shard)}/{index:08d}.png"


def manifest_name(shard: int) -> str:
    """Where a shard's manifest lies."""
    return f"{MANIFESTS}/{shard:05d}.csv"


def measures_name(shard: int) -> str:
    """Where a shard's measures lie."""
    return f"{MEASURES}/{shard:05d}.csv"
