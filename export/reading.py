"""An exported file as it is read; without PyTorch, which takes seconds to load."""

from __future__ import annotations

from pathlib import Path

import onnx

from models.errors import CommandError, ExitCode, memory_error
from models.golden import InfoError
from models.info import GeneratorInfo

PROGRAM = ".pt2"
"""How the name of a program of `torch.export` ends; all others are ONNX files."""


def load_onnx(path: Path) -> tuple[onnx.ModelProto, GeneratorInfo]:
    """An ONNX file with its metadata; weights in other files are not read.

    Raises:
        CommandError: 65 no ONNX file, or none of gan-export.
    """
    try:
        model = onnx.load(str(path), load_external_data=False)
        return model, GeneratorInfo.from_metadata({entry.key: entry.value for entry in model.metadata_props})
    except InfoError as error:
        raise CommandError(ExitCode.BAD_DATA, f"{path}: {error}") from None
    except AttributeError:  # something else has the name of onnx: that says nothing about the file
        raise
    except Exception as error:  # protobuf's own, which onnx does not name
        raise memory_error(error) or CommandError(ExitCode.BAD_DATA, f"{path} is not an ONNX file") from None
