"""Turn an ONNX file into a dataset on disk. Needs no PyTorch.

from jobs import run_batch
from jobs.checks.verify import verify
"""

from typing import TYPE_CHECKING

from models.lazy import lazy_names

__all__ = ["Gate", "Part", "RunResult", "finish", "run_batch"]

if TYPE_CHECKING:
    from jobs.checks.quality import Gate
    from jobs.dataset.part import Part
    from jobs.finishing import finish
    from jobs.local import RunResult, run_batch
else:
    __getattr__ = lazy_names(
        {
            "finish": "jobs.finishing",
            "run_batch": "jobs.local",
            "Part": "jobs.dataset.part",
            "RunResult": "jobs.local",
            "Gate": "jobs.checks.quality",
        }
    )
