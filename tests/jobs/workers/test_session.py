"""What a session gives and tells, in fixed batches too, and where there is too little memory."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from jobs.dataset import png
from jobs.workers.session import BoundRun, GeneratorSession
from models.errors import CommandError, ExitCode
from models.latents import latents
from tests.conftest import run
from tests.jobs.conftest import SEED
from tests.jobs.workers.conftest import refused


def test_sha256_is_of_the_file_and_not_of_its_name(tmp_path: Path, model: Path) -> None:
    copy = shutil.copy(model, tmp_path / "other name.onnx")
    assert GeneratorSession(Path(copy), "cpu").model_sha256 == GeneratorSession(model, "cpu").model_sha256


def test_threads_share_a_session_and_get_equal_results(model: Path) -> None:
    session = GeneratorSession(model, "cpu")
    batches = [{"z": latents(1, start, start + 16, 8)} for start in range(0, 640, 16)]
    alone = [session.pixels(z, 16) for z in batches]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda z: session.pixels(z, 16), batches))
    assert len({image.tobytes() for image in alone}) == len(batches)
    np.testing.assert_array_equal(together, alone)


def test_colour_model_gives_three_channels(colour_model: Path) -> None:
    session = GeneratorSession(colour_model, "cpu")
    assert session.pixels(session.inputs(1, 0, 3), 16).shape == (3, 128, 128, 3)


# Fixed batches


def bound_run(session: GeneratorSession, batch_size: int) -> BoundRun:
    """Of the same ONNX Runtime session, on the CPU."""
    return BoundRun(session._session, session.info, batch_size, "cpu")


@pytest.mark.parametrize("size", [1, 7, 50])
def test_bound_run_gives_the_pixels_of_a_plain_one_again_and_again(model: Path, size: int) -> None:
    session = GeneratorSession(model, "cpu")
    bound = bound_run(session, size)
    batches = [{"z": latents(1, start, start + size, 8)} for start in range(0, 4 * size, size)]
    for z in [*batches, *reversed(batches)]:
        (found,) = bound(z)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, session.pixels(z, size))
    assert len({session.pixels(z, size).tobytes() for z in batches}) == len(batches)  # else nothing here could fail


def test_copy_of_what_a_bound_run_gave_outlives_the_next_run(model: Path) -> None:
    session = GeneratorSession(model, "cpu")
    bound = bound_run(session, 10)
    one, other = {"z": latents(1, 0, 10, 8)}, {"z": latents(1, 10, 20, 8)}
    kept = bound(one)[0].copy()
    assert (bound(other)[0] != kept).any()
    np.testing.assert_array_equal(kept, session.pixels(one, 10))


@pytest.mark.parametrize("view", [lambda z: z[::-1], lambda z: np.asfortranarray(z), lambda z: z[:, ::-1]])
def test_bound_run_takes_latents_that_are_not_contiguous(
    model: Path, view: Callable[[NDArray[np.float32]], NDArray[np.float32]]
) -> None:
    session = GeneratorSession(model, "cpu")
    z = view(latents(1, 0, 10, 8))
    (found,) = bound_run(session, 10)({"z": z})
    np.testing.assert_array_equal(found, session.pixels({"z": np.ascontiguousarray(z)}, 10))


def test_bound_run_gives_the_masks_of_a_plain_one(masked_model: Path) -> None:
    session = GeneratorSession(masked_model, "cpu")
    inputs = session.inputs(1, 0, 10)
    for found, expected in zip(bound_run(session, 10)(inputs), session.run(inputs, 10), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_bound_run_of_a_colour_model_gives_three_channels(colour_model: Path) -> None:
    session = GeneratorSession(colour_model, "cpu")
    z = session.inputs(1, 0, 4)
    np.testing.assert_array_equal(bound_run(session, 4)(z)[0], session.pixels(z, 4))


# What else a session tells


@pytest.fixture
def sick_model(model: Path, tmp_path: Path) -> tuple[Path, float]:
    """A model that gives one NaN in an image where the first value of its latent is above a limit, and the limit.

    The limit is above all that the golden images are made from, so they come out as they should.
    """
    changed = onnx.load(model)
    golden = json.loads(next(entry.value for entry in changed.metadata_props if entry.key == "gan.golden"))
    limit = float(latents(golden["seed"], 0, 16, 8)[:, 0].max())
    (last,) = [node for node in changed.graph.node if "images" in node.output]
    last.output[0] = "healthy"
    place = list(changed.graph.node).index(last) + 1
    pixel = np.zeros((1, 1, 128, 128), bool)
    pixel[0, 0, 77, 5] = True
    constants = {"zero": [0], "limit": np.float32([limit]), "nan": np.float32([np.nan]), "to": [-1, 1, 1, 1]}
    constants["pixel"] = pixel
    for name, value in constants.items():
        changed.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value), f"sick.{name}"))
    node = onnx.helper.make_node
    nodes = [
        node("Gather", ["z", "sick.zero"], ["sick.first"], axis=1),
        node("Greater", ["sick.first", "sick.limit"], ["sick.flat"]),
        node("Reshape", ["sick.flat", "sick.to"], ["sick.image"]),
        node("And", ["sick.image", "sick.pixel"], ["sick.where"]),
        node("Where", ["sick.where", "sick.nan", "healthy"], ["images"]),
    ]
    for offset, new in enumerate(nodes):
        changed.graph.node.insert(place + offset, new)
    onnx.checker.check_model(changed)
    onnx.save_model(changed, tmp_path / "sick.onnx")
    return tmp_path / "sick.onnx", limit


def test_finite_tells_which_images_are_numbers(sick_model: tuple[Path, float]) -> None:
    path, limit = sick_model
    z = latents(1, 0, 200, 8)
    healthy = z[:, 0] <= limit
    assert 0 < np.count_nonzero(~healthy) < 100  # else nothing here could fail
    np.testing.assert_array_equal(GeneratorSession(path, "cpu").finite({"z": z}), healthy)


def test_all_images_of_a_healthy_model_are_finite(model: Path) -> None:
    assert GeneratorSession(model, "cpu").finite({"z": latents(1, 0, 30, 8)}).tolist() == [True] * 30


@pytest.mark.parametrize(("name", "z_dim", "channels"), [("model", 8, 1), ("colour_model", 8, 3)])
def test_facts_are_those_of_the_file_and_the_session(
    name: str, z_dim: int, channels: int, request: pytest.FixtureRequest
) -> None:
    path: Path = request.getfixturevalue(name)
    session = GeneratorSession(path, "cpu")
    found = dict(vars(session.facts))
    made = [len(content) for content in png.encode(session.pixels({"z": latents(SEED, 0, 50, z_dim)}, 50))]
    assert found.pop("image_bytes") == pytest.approx(np.mean(made), rel=0.2)
    assert found == {
        "model_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "faults": None,
        "class_names": (),
        "mask_bytes": None,
        "z_dim": z_dim,
        "width": 128,
        "height": 128,
        "channels": channels,
        "provider": "CPUExecutionProvider",
        "reason": "as asked",
        "onnxruntime": onnxruntime.__version__,
    }


def test_facts_reach_another_process_as_they_are(model: Path) -> None:
    facts = GeneratorSession(model, "cpu").facts
    assert pickle.loads(pickle.dumps(facts)) == facts


# Too little memory


@pytest.mark.parametrize(
    "said",
    [
        "[ONNXRuntimeError] : 6 : Failed to allocate memory for requested buffer of size 17179869184",
        "[ONNXRuntimeError] : 1 : FAIL : std::bad_alloc",
        "CUDA failure 2: out of memory",
    ],
)
def test_too_little_memory_is_69_and_not_a_bad_model(model: Path, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(said)

    session = GeneratorSession(model, "cpu")
    monkeypatch.setattr(session, "_session", SimpleNamespace(run=fail))
    with pytest.raises(CommandError, match=r"not enough memory: .* free; a smaller `batch_size`") as error:
        session.pixels(session.inputs(1, 0, 3), 3)
    assert error.value.exit_code is ExitCode.NO_DEVICE
    monkeypatch.setattr(onnxruntime, "InferenceSession", fail)
    assert "not enough memory" in refused(model, ExitCode.NO_DEVICE)


def test_a_process_that_may_have_little_memory_ends_with_69(model: Path) -> None:
    """As `ulimit -v` and a container's limit do it, with the batch that takes too much."""
    program = f"""
import resource
from pathlib import Path
from jobs.workers.session import GeneratorSession
from models.errors import CommandError
session = GeneratorSession(Path({str(model)!r}), "cpu")
inputs = session.inputs(1, 0, 3000)
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + 100_000_000, resource.RLIM_INFINITY))
try:
    session.pixels(inputs, 3000)
except CommandError as error:
    print(int(error.exit_code), error)
"""
    result = run(sys.executable, "-c", program)
    assert re.match(r"69 not enough memory: .* MiB are free; a smaller `batch_size`", result.stdout), result
