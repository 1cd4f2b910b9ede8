"""Turn an ONNX file into a dataset on disk. Needs no PyTorch.

from jobs import run_batch
"""

from jobs.local import RunResult, run_batch

__all__ = ["RunResult", "run_batch"]
