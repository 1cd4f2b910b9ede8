"""Files of other kinds, and weights that are cut off, are named for what they are."""

from __future__ import annotations

import io
import json
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.gan.networks.conftest import refusal
from tests.gan.networks.made import State


def zip_of(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, "content")
    return buffer.getvalue()


def npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, weight=np.ones(3))
    return buffer.getvalue()


def tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("weights.pth"))
    return buffer.getvalue()


KINDS: dict[str, tuple[bytes, str]] = {
    "a page": (b"\xef\xbb\xbf\n <!DOCTYPE html>\n<html><body>Sign in</body></html>", "a web page (HTML)"),
    "an error of a store": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "XML"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "git lfs pull"),
    "NumPy": (b"\x93NUMPY\x01\0" + bytes(80), "a NumPy array"),
    "NumPy's zip": (npz(), "NumPy arrays (.npz)"),
    "Keras": (zip_of("config.json", "model.weights.h5"), "a model of Keras"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(80), "HDF5"),
    "ONNX": (b"\x08\x0a\x12\x07pytorch" + bytes(80), "an ONNX file: it is exported already"),
    "SavedModel": (b"\x08\x01\x12\x80" + bytes(80), "TensorFlow"),
    "TensorFlow's index": (bytes(40) + struct.pack("<Q", 0xDB4775248B80FB57), "a checkpoint of TensorFlow"),
    "gzip": (b"\x1f\x8b\x08" + bytes(80), "unpack it first"),
    "tar": (tar(), "a tar archive: unpack it first"),
    "a zip with weights": (zip_of("README", "out/netG.pth"), "with out/netG.pth in it: unpack it first"),
    "a zip": (zip_of("letter.doc"), "a zip archive of other things (letter.doc)"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(80), "a picture"),
    "text": (b"main.0.weight 0.1 0.2 0.3\n" * 10, "text, not weights"),
    "JSON": (json.dumps({"main.0.weight": [0.1]}).encode(), "text, not weights"),
    "nothing": (b"", "empty"),
    "a pickle": (pickle.dumps({"main.0.weight": [0.5]}, protocol=4), "not one of torch.save"),
    "a pickle of NumPy's": (pickle.dumps({"weight": np.ones(2)}, protocol=2), "numpy"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_another_kind_is_named_for_what_it_is(tmp_path: Path, kind: str) -> None:
    content, words = KINDS[kind]
    (tmp_path / "generator_model.pth").write_bytes(content)
    message = refusal(tmp_path / "generator_model.pth")
    assert words in message
    assert "generator_model.pth" in message


def test_a_file_that_is_cut_off_is_said_to_be(tmp_path: Path, state: State) -> None:
    torch.save(state, tmp_path / "model.pth")
    (tmp_path / "model.pth").write_bytes((tmp_path / "model.pth").read_bytes()[:-300])
    assert "cut off" in refusal(tmp_path / "model.pth")
