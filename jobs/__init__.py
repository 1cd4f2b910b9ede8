"""Turn an ONNX file into a dataset on disk. Needs no PyTorch.

from jobs import run_batch
from jobs.verify import verify
"""

from typing import TYPE_CHECKING

from models.lazy import lazy_names

__all__ = ["Gate", "Part", "RunResult", "finish", "run_batch"]

if TYPE_CHECKING:
    from jobs.finishing import finish
    from jobs.local import RunResult, run_batch
    from jobs.part import Part
    from jobs.quality import Gate
else:
    __getattr__ = lazy_names(
        {
            "finish": "jobs.finishing",
            "run_batch": "jobs.local",
            "Part": "jobs.part",
            "RunResult": "jobs.local",
            "Gate": "jobs.quality",
        }
    )
