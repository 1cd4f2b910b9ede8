"""Which files become a session, on which device, and what it gives."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
import shutil
import sys
from collections import OrderedDict
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
from models import providers
from models.errors import CommandError, ExitCode
from models.latents import latents
from tests.conftest import fails_in_one_line, run
from tests.jobs.conftest import SEED, stamps


def refused(path: Path, code: ExitCode, device: str = "cpu") -> str:
    """Assert that `path` gives no session but `code`; returns the message."""
    with pytest.raises(CommandError) as error:
        GeneratorSession(path, device)
    assert error.value.exit_code == code, error.value
    return str(error.value)


@pytest.mark.usefixtures("without_cuda")
def test_auto_without_gpu_is_the_cpu_and_says_why(model: Path) -> None:
    session = GeneratorSession(model, "auto")
    assert session.provider == "CPUExecutionProvider"
    assert not session.on_gpu
    assert re.match("auto: .*(NVIDIA|GPU|CUDA)", session.reason)


def test_auto_without_a_driver_does_not_try_cuda(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "DRIVER_FILES", (str(tmp_path / "none"),))
    session = GeneratorSession(model, "auto")
    assert (session.provider, session.reason) == ("CPUExecutionProvider", "auto: no NVIDIA driver is there")


@pytest.mark.usefixtures("without_cuda")
def test_auto_with_a_driver_but_no_gpu_is_the_cpu_and_says_why(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "nvidiactl").touch()
    monkeypatch.setattr(providers, "DRIVER_FILES", (str(tmp_path / "nvidiactl"),))
    session = GeneratorSession(model, "auto")
    assert session.provider == "CPUExecutionProvider"
    assert re.match("auto: .*(GPU|CUDA)", session.reason)
    assert "no NVIDIA driver" not in session.reason
    assert capfd.readouterr() == ("", "")  # ONNX Runtime would print about libraries that it does not find


def test_cpu_that_was_asked_for_says_so(model: Path) -> None:
    assert GeneratorSession(model, "cpu").reason == "as asked"


@pytest.mark.usefixtures("without_cuda")
def test_cuda_without_gpu_is_refused(model: Path) -> None:
    assert "`device=cpu`" in refused(model, ExitCode.NO_DEVICE, "cuda")


@pytest.mark.usefixtures("without_cuda")
def test_run_that_asks_for_cuda_without_gpu_writes_nothing(model: Path, tmp_path: Path) -> None:
    command = ["gan-batch", "--model", model, "--count", "5", "--device", "cuda"]
    fails_in_one_line(run(*command, "--out", tmp_path / "there" / "run"), 69, "--device cpu")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("without_cuda")
def test_run_in_a_folder_that_asks_for_cuda_without_gpu_touches_nothing(
    model: Path, finished: Path, tmp_path: Path
) -> None:
    out = shutil.copytree(finished, tmp_path / "run")
    before = stamps(out)
    command = ["gan-batch", "--model", model, "--count", "500", "--device", "cuda"]
    fails_in_one_line(run(*command, "--out", out), 69, "--device cpu")
    assert stamps(out) == before


@pytest.mark.usefixtures("without_cuda")
def test_run_says_on_which_device_it_runs_and_why(model: Path, tmp_path: Path) -> None:
    command = ["gan-batch", "--model", model, "--count", "2", "--out", tmp_path / "run"]
    assert re.search(r"INFO device: CPU \(auto: .*(NVIDIA|GPU|CUDA).*\)\n", run(*command).stderr)
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert (log[0]["provider"], log[0]["reason"][:5]) == ("CPUExecutionProvider", "auto:")


def test_missing_file(tmp_path: Path) -> None:
    assert str(tmp_path / "none.onnx") in refused(tmp_path / "none.onnx", ExitCode.NO_INPUT)


def test_folder_instead_of_a_file(tmp_path: Path) -> None:
    refused(tmp_path, ExitCode.NO_INPUT)


@pytest.mark.parametrize("content", [b"", b"no model at all", b"\x08\x0a" * 100])
def test_file_that_is_not_onnx(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "generator.onnx"
    path.write_bytes(content)
    assert str(path) in refused(path, ExitCode.BAD_DATA)


def test_truncated_model(tmp_path: Path, model: Path) -> None:
    path = tmp_path / "generator.onnx"
    path.write_bytes(model.read_bytes()[: model.stat().st_size // 2])
    refused(path, ExitCode.BAD_DATA)


def test_model_of_another_exporter_is_told_to_use_ours(tmp_path: Path) -> None:
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["z"], ["images"])],
        "other",
        [value("z", onnx.TensorProto.FLOAT, ["batch", 8])],
        [value("images", onnx.TensorProto.FLOAT, ["batch", 8])],
    )
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    onnx.save_model(made, tmp_path / "other.onnx")
    assert "gan-export" in refused(tmp_path / "other.onnx", ExitCode.BAD_DATA)


def test_model_without_one_of_our_properties_is_refused(tmp_path: Path, model: Path) -> None:
    changed = onnx.load(model)
    (golden,) = [entry for entry in changed.metadata_props if entry.key == "gan.golden"]
    changed.metadata_props.remove(golden)
    onnx.save_model(changed, tmp_path / "changed.onnx")
    assert "golden" in refused(tmp_path / "changed.onnx", ExitCode.BAD_DATA)


@pytest.mark.parametrize("factor", [1.01, np.nan])
def test_weights_changed_after_export_fail_the_golden_check(tmp_path: Path, model: Path, factor: float) -> None:
    changed = onnx.load(model)
    (weights,) = [tensor for tensor in changed.graph.initializer if tensor.name == "main.6.weight"]
    values = onnx.numpy_helper.to_array(weights) * np.float32(factor)
    weights.CopyFrom(onnx.numpy_helper.from_array(values, weights.name))
    onnx.save_model(changed, tmp_path / "changed.onnx")
    assert "golden" in refused(tmp_path / "changed.onnx", ExitCode.CHECK_FAILED)


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


# Too little memory, and weights that are not exported


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


@pytest.mark.parametrize("name", ["generator_model.pth", "whole.pkl", "weights.safetensors"])
def test_weights_are_told_to_be_exported_first(tmp_path: Path, name: str) -> None:
    head = b'{"main.0.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    contents = {
        "generator_model.pth": b"PK\x03\x04" + bytes(100),
        "whole.pkl": pickle.dumps({"main.0.weight": [0.5]}, protocol=2),
        "weights.safetensors": len(head).to_bytes(8, "little") + head + bytes(4),
    }
    (tmp_path / name).write_bytes(contents[name])
    assert f"export it first, gan-export onnx {tmp_path / name}" in refused(tmp_path / name, ExitCode.BAD_DATA)


@pytest.mark.parametrize("protocol", [0, 1])
def test_pickles_of_old_protocols_are_told_to_be_exported_first(tmp_path: Path, protocol: int) -> None:
    for number, content in enumerate(({"main.0.weight": [0.5]}, [0.5], OrderedDict(weight=0.5))):
        path = tmp_path / f"{number}.bin"
        path.write_bytes(pickle.dumps(content, protocol=protocol))
        assert f"export it first, gan-export onnx {path}" in refused(path, ExitCode.BAD_DATA)


@pytest.mark.parametrize("suffix", [".pth", ".PT", ".ckpt", ".pkl"])
def test_unknown_content_under_a_name_of_weights_is_told_to_be_exported_first(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"of no known kind")
    message = refused(path, ExitCode.BAD_DATA)
    assert f"export it first, gan-export onnx {path}" in message
    assert "protobuf" not in message.lower()


@pytest.mark.parametrize("name", ["empty.pth", "empty.onnx"])
def test_empty_file_is_called_empty(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert refused(tmp_path / name, ExitCode.BAD_DATA).endswith(f"{name} is empty")
