"""Turn a trained generator into an ONNX file, and prove that they agree.

from export import export_onnx
"""

from export.onnx_exporter import export_onnx
from export.parity import ParityError, ParityReport, ParityRow, check_parity

__all__ = ["ParityError", "ParityReport", "ParityRow", "check_parity", "export_onnx"]
