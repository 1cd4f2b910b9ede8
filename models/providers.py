"""ONNX Runtime's execution providers, and how CUDA is set up: the exporter must check what the job will run."""

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
# Algorithms by heuristic, not by timing, and no TF32: a restart must pick the same kernels and give the same bytes.
CUDA_OPTIONS = {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"}
