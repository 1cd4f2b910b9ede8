"""Runtimes other than the one that made the file: each loads it, and gives its golden images.

Each runs where it is installed, which `make test` sees to.
"""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator
from torch import nn

import models
from export.onnx_exporter import export_onnx
from export.replay import GatherElements
from gan.networks.dcgan import DCGAN
from models.golden import GOLDEN_COUNT, Golden, mask_differences
from models.latents import Input, inputs
from tests.conftest import ROOT
from tests.export.conftest import change, info_of
from tests.export.masked import masked
from tests.export.pages import WEB

pytestmark = pytest.mark.filterwarnings("ignore")  # torch.onnx warns its own developers

Outputs = list[NDArray[Any]]
"""`images`, `pixels` and, of a file that has them, `masks`."""
Job = tuple[Path, NDArray[np.float32]]
"""A file, and the latents to run through it."""
OTHER_BATCHES = (1, 3)
SMALL = {"gray": (1, 18), "colour": (3, 21)}
"""Name: channels and opset."""
OWN = (*SMALL, "masked")
"""The files that are made here."""
OLDEST = ROOT / ".venv-oldest"


def names_of(path: Path) -> list[str]:
    """Of a file's outputs."""
    return info_of(path).outputs


def reference_evaluator(jobs: Sequence[Job]) -> list[Outputs]:
    """ONNX's own definition of its operators, in NumPy and plain Python: slow, so it gets small images only.

    Its GatherElements takes no more than 64 places, which is no definition.
    """
    evaluators = [(ReferenceEvaluator(str(model), new_ops=[GatherElements]), model, z) for model, z in jobs]
    return [list(evaluator.run(names_of(model), {"z": z})) for evaluator, model, z in evaluators]


def openvino(jobs: Sequence[Job]) -> list[Outputs]:
    """OpenVINO's CPU plugin, told to compute in float32.

    By default it computes convolutions in bfloat16 where the processor has instructions for that, whatever the file
    says. Transposed convolutions are spared (measured, 2026.4), but the same generator written as `Conv` and
    `DepthToSpace` is then off by 1.3e-2 and 3 steps of its pixels, a thousand times the tolerance.
    `EXECUTION_MODE_HINT` `ACCURACY` gives the same as this hint, which says what is wanted.
    """
    core = pytest.importorskip("openvino", reason="OpenVINO is not installed (extra `runtimes`)").Core()

    def run(model: Path, z: NDArray[np.float32]) -> Outputs:
        found = core.compile_model(str(model), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})({"z": z})
        return [found[name] for name in names_of(model)]

    return [run(model, z) for model, z in jobs]


def onnxruntime_web(jobs: Sequence[Job]) -> list[Outputs]:
    """The WebAssembly that runs in browsers, here in Node."""
    node = shutil.which("node")
    if node is None or not (WEB / "node_modules").is_dir():
        pytest.skip("onnxruntime-web is not installed (Node.js and npm, then `make test`)")
    return in_another_process([node, WEB / "run.mjs"], jobs)


def oldest_onnxruntime(jobs: Sequence[Job]) -> list[Outputs]:
    """The oldest ONNX Runtime that is claimed to run our files, in an environment of its own."""
    python = OLDEST / "bin" / "python"
    if not list(OLDEST.glob("lib/*/site-packages/onnxruntime")):
        pytest.skip("no ONNX Runtime in .venv-oldest (`make test` installs it; it knows Python up to 3.13)")
    program = """
import json, sys
import numpy, onnxruntime
shapes = []
for model, name, z_dim in json.load(sys.stdin):
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    z = numpy.fromfile(name + ".z", "float32").reshape(-1, z_dim)
    names = [output.name for output in session.get_outputs()]
    outputs = dict(zip(names, session.run(names, {"z": z})))
    for output, values in outputs.items():
        values.tofile(name + "." + output)
    shapes.append({output: values.shape for output, values in outputs.items()})
print(json.dumps(shapes))
"""
    return in_another_process([python, "-c", program], jobs)


def in_another_process(command: Sequence[str | Path], jobs: Sequence[Job]) -> list[Outputs]:
    """Hand over jobs as web/run.mjs describes it; all to one process, since starting it is what takes the time."""
    with tempfile.TemporaryDirectory() as folder:
        listed = []
        for number, (model, z) in enumerate(jobs):
            z.tofile(f"{folder}/{number}.z")
            listed.append((str(model), f"{folder}/{number}", z.shape[1]))
        result = subprocess.run(command, input=json.dumps(listed), capture_output=True, text=True, timeout=120)
        assert result.returncode == 0, result.stderr

        def read(number: int, output: str, shape: Sequence[int]) -> NDArray[Any]:
            dtype = np.float32 if output == "images" else np.uint8
            return np.fromfile(f"{folder}/{number}.{output}", dtype).reshape(shape)

        return [
            [read(number, output, shapes[output]) for output in names_of(jobs[number][0])]
            for number, shapes in enumerate(json.loads(result.stdout))
        ]


RUNTIMES = (reference_evaluator, openvino, onnxruntime_web, oldest_onnxruntime)


@functools.cache
def golden_of(path: Path) -> tuple[Golden, dict[str, Input]]:
    """A file's golden images, and the inputs that they need."""
    return Golden.from_dict(info_of(path).golden), info_of(path).inputs


def latents_of(path: Path, batch: int) -> NDArray[np.float32]:
    """Latents of the file's golden images, which are 16; a larger or smaller batch begins like them."""
    golden, needed = golden_of(path)
    return inputs(golden.seed, 0, batch, needed)["z"]


def fault(path: Path, outputs: Outputs) -> str:
    """What is wrong with what a runtime gave for the golden latents; empty where nothing is."""
    golden, needed = golden_of(path)
    return golden.fault(needed, lambda _: outputs)


def one_weight_changed(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    weights.flat[0] += 0.1
    return weights


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two small generators, the first once more with a changed weight, one with masks, and the bundled one."""
    folder = tmp_path_factory.mktemp("files")
    files = {name: folder / f"{name}.onnx" for name in (*OWN, "changed")}
    random = torch.Generator().manual_seed(0)
    for name, (channels, opset) in SMALL.items():
        generator = DCGAN(z_dim=8, channels=channels, width=2, image_size=32)
        for parameter in generator.parameters():
            if parameter.dim() == 4:  # kernels; with their usual small values the images are one plain gray
                nn.init.normal_(parameter, 0.0, 0.3, generator=random)
        export_onnx(generator, files[name], opset=opset)
    export_onnx(masked(), files["masked"])
    model = onnx.load(files["gray"])
    change(model, next(tensor.name for tensor in model.graph.initializer if len(tensor.dims) == 4), one_weight_changed)
    onnx.save_model(model, files["changed"])
    return {**files, "bundled": models.path()}


@pytest.fixture(scope="module", params=RUNTIMES, ids=lambda runtime: runtime.__name__)
def outputs(request: pytest.FixtureRequest, files: dict[str, Path]) -> dict[tuple[str, int], Outputs]:
    """What one runtime gives, by file and batch size."""
    wanted = [(name, batch) for name in OWN for batch in (GOLDEN_COUNT, *OTHER_BATCHES)]
    wanted += [("changed", GOLDEN_COUNT)]
    if request.param is not reference_evaluator:
        wanted += [("bundled", GOLDEN_COUNT)]
    jobs = [(files[name], latents_of(files[name], batch)) for name, batch in wanted]
    return dict(zip(wanted, request.param(jobs), strict=True))


def test_runtime_gives_the_golden_images(files: dict[str, Path], outputs: dict[tuple[str, int], Outputs]) -> None:
    checked = [name for name, batch in outputs if batch == GOLDEN_COUNT and name != "changed"]
    assert {name: fault(files[name], outputs[name, GOLDEN_COUNT]) for name in checked} == dict.fromkeys(checked, "")


def test_runtime_agrees_with_onnxruntime_at_other_batch_sizes(
    files: dict[str, Path], outputs: dict[tuple[str, int], Outputs]
) -> None:
    for name, batch in ((name, batch) for name in OWN for batch in OTHER_BATCHES):
        session = onnxruntime.InferenceSession(files[name], providers=["CPUExecutionProvider"])
        golden = golden_of(files[name])[0]
        expected_images, expected_pixels = session.run(["images", "pixels"], {"z": latents_of(files[name], batch)})
        images, pixels, *masks = outputs[name, batch]
        assert (images.shape, pixels.shape) == (expected_images.shape, expected_pixels.shape)
        assert (images.dtype, pixels.dtype) == (np.float32, np.uint8)
        assert np.abs(images - expected_images).max() <= golden.atol
        assert np.abs(pixels.astype(int) - expected_pixels.astype(int)).max() <= 1
        assert len(masks) == (name == "masked")
        if golden.masks is not None:
            assert masks[0].dtype == np.uint8
            assert mask_differences(masks[0], golden.masks[:batch]) == 0


def test_one_changed_weight_is_noticed(files: dict[str, Path], outputs: dict[tuple[str, int], Outputs]) -> None:
    assert "differ" in fault(files["changed"], outputs["changed", GOLDEN_COUNT])


@pytest.mark.long
def test_reference_evaluator_gives_the_golden_images_of_the_bundled_file() -> None:
    path = models.path()
    (outputs,) = reference_evaluator([(path, latents_of(path, GOLDEN_COUNT))])
    assert fault(path, outputs) == ""
