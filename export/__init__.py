"""Turn a trained generator into an ONNX file, and prove that they agree.

from export import export_file
"""

from typing import TYPE_CHECKING

from models.lazy import lazy_names

__all__ = [
    "ParityError",
    "ParityReport",
    "ParityRow",
    "check_parity",
    "export_file",
    "export_onnx",
    "export_torch",
    "make_page",
    "verify_file",
]

if TYPE_CHECKING:
    from export.exporting import export_file
    from export.onnx_exporter import export_onnx
    from export.page import make_page
    from export.parity import ParityError, ParityReport, ParityRow, check_parity
    from export.torch_exporter import export_torch
    from export.verify import verify_file
else:
    __getattr__ = lazy_names(
        {
            "export_file": "export.exporting",
            "export_onnx": "export.onnx_exporter",
            "export_torch": "export.torch_exporter",
            "make_page": "export.page",
            "verify_file": "export.verify",
            "ParityError": "export.parity",
            "ParityReport": "export.parity",
            "ParityRow": "export.parity",
            "check_parity": "export.parity",
        }
    )
