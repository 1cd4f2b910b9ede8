"""`--engine ray` against `--engine local`, one worker each, in rounds that take turns.

python benchmarks/engines.py

Images/s are those of the work itself, as stats.json tells; what a run takes besides, to start and to end, is apart.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

import models

COMMAND = Path(sysconfig.get_path("scripts"), "gan-batch")
ENGINES = ("local", "ray")


def measure(engine: str, folder: Path, count: int) -> tuple[float, float]:
    """One run: images/s, and the seconds that it took besides."""
    command = [COMMAND, "--model", models.path(), "--count", count, "--seed", 1, "--device", "cpu", "--workers", 1]
    start = time.monotonic()
    result = subprocess.run(
        [str(part) for part in (*command, "--engine", engine, "--out", folder)], stderr=subprocess.PIPE, text=True
    )
    wall = time.monotonic() - start
    if result.returncode:
        sys.exit(result.stderr)
    stats = json.loads((folder / "stats.json").read_text())
    return stats["images_per_second"], wall - stats["seconds"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5000, help="images a run")
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    rates: dict[str, list[float]] = {engine: [] for engine in ENGINES}
    besides: dict[str, list[float]] = {engine: [] for engine in ENGINES}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.rounds):
            for engine in ENGINES if number % 2 else ENGINES[::-1]:
                rate, seconds = measure(engine, Path(folder, f"{engine}-{number}"), options.count)
                rates[engine].append(rate)
                besides[engine].append(seconds)
                print(f"round {number} {engine:6} {rate:6.0f} images/s, {seconds:5.1f} s besides", flush=True)
    for engine in ENGINES:
        print(
            f"{engine:6} {statistics.median(rates[engine]):6.0f} images/s, "
            f"{statistics.median(besides[engine]):5.1f} s besides (medians)"
        )
    ratios = [ray / local for local, ray in zip(rates["local"], rates["ray"], strict=True)]
    print(
        f"ray / local by round: {', '.join(f'{ratio:.2f}' for ratio in ratios)}; median {statistics.median(ratios):.2f}"
    )


if __name__ == "__main__":
    main()
