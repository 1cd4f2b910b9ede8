"""What a generator file says of itself."""

from __future__ import annotations

import base64
import dataclasses
import json
import tracemalloc
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray

from models.info import SCHEMA_VERSION, GeneratorInfo, Golden, InfoError
from models.latents import Input


def outputs(seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """What a generator of 32×32 colour images would give for 16 latents."""
    random = np.random.default_rng(seed)
    images = random.uniform(-1, 1, (16, 3, 32, 32)).astype(np.float32)
    return images, np.rint((images + 1) * 127.5).astype(np.uint8).transpose(0, 2, 3, 1)


INFO = GeneratorInfo(
    architecture="DCGAN",
    precision="float32",
    class_names=[],
    inputs={"z": Input("float32", (100,)), "grain": Input("float32", (4, 8))},
    outputs=["images", "pixels"],
    channels=3,
    height=32,
    width=32,
    weights_sha256="ab" * 32,
    assumed={"bn_eps": 1e-5},
    training={"options": {"lr": 0.0002, "d_lr": None}, "kimg": 90.0},
    versions={"torch": "2.9"},
    parity={"batch_sizes": [1, 2, 64], "atol": 1e-5},
    golden=Golden.of(3, 1e-5, *outputs()).to_dict(),
)
FIELDS = [field.name for field in dataclasses.fields(GeneratorInfo)]


def through_json(golden: Golden) -> Golden:
    """`golden` as a file gives it back."""
    return Golden.from_dict(json.loads(json.dumps(golden.to_dict())))


def test_info_comes_back_from_metadata_as_it_went_in() -> None:
    assert GeneratorInfo.from_metadata(INFO.to_metadata()) == INFO


def test_metadata_are_text_to_text_as_onnx_stores_them() -> None:
    assert all(isinstance(part, str) for pair in INFO.to_metadata().items() for part in pair)


def test_every_metadata_key_carries_our_prefix() -> None:
    assert all(key.startswith("gan.") for key in INFO.to_metadata())


def test_metadata_of_others_are_left_alone() -> None:
    others = {"author": "somebody", "z_dim": "not ours", "gan.from_a_later_version": "1"}
    assert GeneratorInfo.from_metadata({**INFO.to_metadata(), **others}) == INFO


def test_a_file_without_our_metadata_is_told_to_be_exported() -> None:
    with pytest.raises(InfoError, match="gan-export onnx"):
        GeneratorInfo.from_metadata({"author": "somebody"})


def test_damaged_json_is_told_to_be_exported_again() -> None:
    with pytest.raises(InfoError, match=r"damaged.*export"):
        GeneratorInfo.from_metadata({**INFO.to_metadata(), "gan.training": '{"options": '})


def test_another_schema_version_is_named_with_the_one_that_is_read() -> None:
    later = {**INFO.to_metadata(), "gan.schema_version": str(SCHEMA_VERSION + 1)}
    with pytest.raises(InfoError, match=f"version {SCHEMA_VERSION + 1}.*reads 1 to {SCHEMA_VERSION}"):
        GeneratorInfo.from_metadata(later)


def labelled(names: list[str], high: int) -> GeneratorInfo:
    inputs = {**INFO.inputs, "label": Input("int64", (), high)}
    return dataclasses.replace(INFO, class_names=names, inputs=inputs)


def test_labels_come_back_as_many_as_there_are_names_of_classes() -> None:
    info = labelled(["scratch", "rolled in", "洞"], 3)
    assert GeneratorInfo.from_metadata(info.to_metadata()) == info
    assert json.loads(info.to_metadata()["gan.inputs"])["label"] == {"dtype": "int64", "shape": []}
    assert info.classes == ("scratch", "rolled in", "洞")


def test_names_of_classes_without_a_label_are_no_classes() -> None:
    info = dataclasses.replace(INFO, class_names=["scratch"])
    assert GeneratorInfo.from_metadata(info.to_metadata()).classes == ()


@pytest.mark.parametrize("names", [[], ["a", "a"], ["a", "b,c"], ["a", 3]])
def test_labels_whose_classes_have_no_usable_names_are_refused(names: list[str]) -> None:
    with pytest.raises(InfoError, match=r"class names.*export"):
        GeneratorInfo.from_metadata(labelled(names, 2).to_metadata())


def test_an_input_of_a_kind_that_is_not_drawn_is_named_with_what_to_do() -> None:
    later = {"z": {"dtype": "float32", "shape": [8]}, "place": {"dtype": "int64", "shape": []}}
    with pytest.raises(InfoError, match=r"input place is int64.*install a later one"):
        GeneratorInfo.from_metadata({**INFO.to_metadata(), "gan.inputs": json.dumps(later)})


def earlier(version: int) -> dict[str, str]:
    """The metadata of a file of an earlier schema."""
    gone = {1: ("inputs", "assumed", "precision", "class_names"), 2: ("inputs", "assumed")}[version]
    kept = {name: value for name, value in INFO.to_metadata().items() if name.removeprefix("gan.") not in gone}
    return {**kept, "gan.z_dim": "100", "gan.schema_version": str(version)}


@pytest.mark.parametrize("version", [1, 2])
def test_a_file_of_an_earlier_schema_has_one_input_of_its_latents_length(version: int) -> None:
    info = GeneratorInfo.from_metadata(earlier(version))
    assert (info.inputs, info.z_dim, info.assumed) == ({"z": Input("float32", (100,))}, 100, {})
    assert (info.precision, info.schema_version, info.golden) == ("float32", version, INFO.golden)


@pytest.mark.parametrize("z_dim", ["0", '"8"', "null", "1000000000"])
def test_a_latent_length_that_cannot_be_is_refused_in_an_earlier_schema_too(z_dim: str) -> None:
    with pytest.raises(InfoError, match="damaged"):
        GeneratorInfo.from_metadata({**earlier(2), "gan.z_dim": z_dim})


@pytest.mark.parametrize("version", ["0", "-1", "2.0", "true", '"2"', "null"])
def test_a_schema_version_that_cannot_be_is_refused(version: str) -> None:
    with pytest.raises(InfoError, match="schema version"):
        GeneratorInfo.from_metadata({**INFO.to_metadata(), "gan.schema_version": version})


@pytest.mark.parametrize("field", [name for name in FIELDS if name != "schema_version"])
def test_a_missing_field_is_named_with_what_to_do(field: str) -> None:
    metadata = INFO.to_metadata()
    del metadata[f"gan.{field}"]
    with pytest.raises(InfoError, match=f"{field}: export"):
        GeneratorInfo.from_metadata(metadata)


def test_golden_outputs_come_back_without_a_difference() -> None:
    images, pixels = outputs()
    assert through_json(Golden.of(7, 1e-4, images, pixels)).differences(images, pixels) == (0.0, 0)


def test_golden_seed_and_tolerance_come_back() -> None:
    golden = through_json(Golden.of(2**64 - 1, 1.5e-4, *outputs()))
    assert (golden.seed, golden.atol) == (2**64 - 1, 1.5e-4)


def test_differences_gives_the_largest_in_images() -> None:
    images, pixels = outputs()
    golden = through_json(Golden.of(0, 1e-4, images, pixels))
    changed = images.copy()
    changed[3, 1, 8, 16] += 0.25
    changed[4, 1, 8, 16] -= 0.125
    by_value, _ = golden.differences(changed, pixels)
    assert by_value == pytest.approx(0.25, abs=1e-6)


def test_differences_gives_the_largest_step_of_pixels_in_both_directions() -> None:
    images, pixels = outputs()
    pixels[0, 0, 0, 0], pixels[1, 1, 1, 1] = 10, 250
    golden = through_json(Golden.of(0, 1e-4, images, pixels))
    changed = pixels.copy()
    changed[0, 0, 0, 0], changed[1, 1, 1, 1] = 13, 5
    assert golden.differences(images, changed)[1] == 245


def test_a_difference_from_nan_is_within_no_tolerance() -> None:
    images, pixels = outputs()
    golden = through_json(Golden.of(0, 1e-4, images, pixels))
    by_value, _ = golden.differences(np.full_like(images, np.nan), pixels)
    assert not by_value <= golden.atol


def test_outputs_of_another_shape_are_refused() -> None:
    images, pixels = outputs()
    golden = Golden.of(0, 1e-4, images, pixels)
    with pytest.raises(InfoError, match="shape"):
        golden.differences(images[:, :1], pixels[..., :1])


@pytest.mark.parametrize("part", ["seed", "atol", "images", "images_shape", "pixels", "pixels_shape"])
def test_golden_images_that_lack_a_part_are_told_to_be_exported_again(part: str) -> None:
    values = Golden.of(0, 1e-4, *outputs()).to_dict()
    del values[part]
    with pytest.raises(InfoError, match="export"):
        Golden.from_dict(values)


@pytest.mark.parametrize("part", ["images", "pixels"])
def test_golden_images_cut_short_are_told_to_be_exported_again(part: str) -> None:
    values = Golden.of(0, 1e-4, *outputs()).to_dict()
    values[part] = values[part][: len(values[part]) // 2 // 4 * 4]
    with pytest.raises(InfoError, match="export"):
        Golden.from_dict(values)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("inputs", {"z": {"dtype": "float32", "shape": shape}}) for shape in ([0], ["8"], [10**9], [], [4, 4], 8)),
        ("inputs", {}),
        ("inputs", {"noise": {"dtype": "float32", "shape": [8]}}),
        ("inputs", {"z": [8]}),
        ("height", 64),
        ("channels", 1),
        ("width", None),
    ],
)
def test_sizes_that_cannot_be_are_refused(name: str, value: object) -> None:
    metadata = {**INFO.to_metadata(), f"gan.{name}": json.dumps(value)}
    with pytest.raises(InfoError, match="damaged"):
        GeneratorInfo.from_metadata(metadata)


@pytest.mark.parametrize(("name", "value"), [("seed", -1), ("seed", float("inf")), ("atol", float("inf"))])
def test_golden_values_that_would_check_nothing_are_refused(name: str, value: float) -> None:
    with pytest.raises(InfoError, match="golden"):
        Golden.from_dict({**INFO.golden, name: value})


@pytest.mark.parametrize("shape", [[16, 32, 32, 3], [1, 1, 1, -1]])
def test_golden_pixels_that_unpack_to_more_than_their_shape_are_not_unpacked(shape: list[int]) -> None:
    golden = Golden.of(3, 1e-5, *outputs()).to_dict()
    bomb = base64.b64encode(zlib.compress(bytes(200_000_000))).decode()
    tracemalloc.start()
    with pytest.raises(InfoError, match="golden"):
        Golden.from_dict({**golden, "pixels": bomb, "pixels_shape": shape})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000
