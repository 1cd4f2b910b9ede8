"""Turn an ONNX file into a dataset on disk. Needs no PyTorch.

from jobs import run_batch
from jobs.checks.verify import verify
"""

from typing import TYPE_CHECKING

from models.lazy import lazy_names

__all__ = [
    "Engine",
    "Gate",
    "OnDisk",
    "Part",
    "Publishing",
    "RunResult",
    "Work",
    "convert",
    "finish",
    "make_images",
    "report",
    "run_batch",
]

if TYPE_CHECKING:
    from jobs.arrays import make_images
    from jobs.checks.gate import Gate
    from jobs.checks.report import report
    from jobs.dataset.convert.conversion import convert
    from jobs.dataset.part import Part
    from jobs.dataset.result import RunResult
    from jobs.ending import Publishing
    from jobs.finishing import finish
    from jobs.run import OnDisk, run_batch
    from jobs.workers.engine import Engine, Work
else:
    __getattr__ = lazy_names(
        {
            "convert": "jobs.dataset.convert.conversion",
            "finish": "jobs.finishing",
            "make_images": "jobs.arrays",
            "report": "jobs.checks.report",
            "run_batch": "jobs.run",
            "OnDisk": "jobs.run",
            "Part": "jobs.dataset.part",
            "Publishing": "jobs.ending",
            "RunResult": "jobs.dataset.result",
            "Engine": "jobs.workers.engine",
            "Work": "jobs.workers.engine",
            "Gate": "jobs.checks.gate",
        }
    )
