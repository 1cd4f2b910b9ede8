"""ONNX Runtime's execution providers, and how CUDA is set up: the exporter must check what the job will run."""

import os

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
DRIVER_FILES = ("/dev/nvidiactl", "/dev/dxg", "/dev/nvhost-gpu")
"""Where NVIDIA's driver runs one of these is there: on Linux, WSL, Jetson."""
BY_DEVICE = {"cuda": CUDA, "cpu": CPU}
DEVICES = ("auto", *BY_DEVICE)
"""What `--device` may be."""


def cuda_options(precision: str) -> dict[str, str]:
    """Settings of CUDA for a file of `float32` or `fp16` weights.

    Algorithms by heuristic, not by timing: a restart must pick the same kernels and give the same bytes. No TF32, which
    would take digits from float32; the setting is not for float16.
    """
    options = {"cudnn_conv_algo_search": "HEURISTIC"}
    return options if precision == "fp16" else {**options, "use_tf32": "0"}


def may_have_gpu() -> bool:
    """Whether CUDA is worth a try. To try it costs 200 MB and half a second where there is no GPU."""
    return any(map(os.path.exists, DRIVER_FILES))
