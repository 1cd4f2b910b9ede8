"""What a generator file says of itself."""

from __future__ import annotations

import dataclasses
import json

import pytest

from models.golden import Golden, InfoError
from models.info import SCHEMA_VERSION, GeneratorInfo
from models.latents import Input
from tests.models.made import floats, outputs

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
WITH_MASKS = dataclasses.replace(
    INFO, outputs=["images", "pixels", "masks"], golden=Golden.of(3, 1e-5, *outputs(), floats()).to_dict()
)
FIELDS = [field.name for field in dataclasses.fields(GeneratorInfo)]


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
    since = {"outputs": 4, "inputs": 3, "assumed": 3, "precision": 2, "class_names": 2}
    fields = {name.removeprefix("gan."): value for name, value in INFO.to_metadata().items()}
    kept = {f"gan.{name}": value for name, value in fields.items() if since.get(name, 1) <= version}
    z_dim = {"gan.z_dim": "100"} if version < 3 else {}
    return {**kept, **z_dim, "gan.schema_version": str(version)}


@pytest.mark.parametrize("version", [1, 2])
def test_a_file_of_an_earlier_schema_has_one_input_of_its_latents_length(version: int) -> None:
    info = GeneratorInfo.from_metadata(earlier(version))
    assert (info.inputs, info.z_dim, info.assumed) == ({"z": Input("float32", (100,))}, 100, {})
    assert (info.precision, info.schema_version, info.golden) == ("float32", version, INFO.golden)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_file_of_an_earlier_schema_gives_images_and_pixels_alone(version: int) -> None:
    info = GeneratorInfo.from_metadata(earlier(version))
    assert (info.outputs, info.has_masks, info.schema_version) == (["images", "pixels"], False, version)
    assert len(info.inputs) == (2 if version == 3 else 1)


def test_a_file_with_masks_says_so() -> None:
    info = GeneratorInfo.from_metadata(WITH_MASKS.to_metadata())
    assert info == WITH_MASKS
    assert info.has_masks


@pytest.mark.parametrize("outputs", [[], ["images"], ["pixels", "images"], ["images", "pixels", "depth"], [["images"]]])
def test_outputs_that_are_not_known_are_named_with_what_to_do(outputs: list[str]) -> None:
    with pytest.raises(InfoError, match=r"outputs are .*install a later one"):
        GeneratorInfo.from_metadata({**INFO.to_metadata(), "gan.outputs": json.dumps(outputs)})


@pytest.mark.parametrize(("info", "other"), [(INFO, WITH_MASKS), (WITH_MASKS, INFO)])
def test_masks_that_are_an_output_or_golden_alone_are_refused(info: GeneratorInfo, other: GeneratorInfo) -> None:
    with pytest.raises(InfoError, match=r"masks.*export"):
        GeneratorInfo.from_metadata(dataclasses.replace(info, golden=other.golden).to_metadata())


@pytest.mark.parametrize("z_dim", ["0", '"8"', "null", "1000000000"])
def test_a_latent_length_that_cannot_be_is_refused_in_an_earlier_schema_too(z_dim: str) -> None:
    with pytest.raises(InfoError, match="damaged"):
        GeneratorInfo.from_metadata({**earlier(2), "gan.z_dim": z_dim})


@pytest.mark.parametrize("version", ["0", "-1", "2.0", "true", '"2"', "null"])
def test_a_schema_version_that_cannot_be_is_refused(version: str) -> None:
    with pytest.raises(InfoError, match="schema version"):
        GeneratorInfo.from_metadata({**INFO.to_metadata(), "gan.schema_version": version})


@pytest.mark.parametrize("field", [name for name in FIELDS if name not in ("schema_version", "parts")])
def test_a_missing_field_is_named_with_what_to_do(field: str) -> None:
    metadata = INFO.to_metadata()
    del metadata[f"gan.{field}"]
    with pytest.raises(InfoError, match=f"{field}: export"):
        GeneratorInfo.from_metadata(metadata)


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


def test_parts_of_z_are_read_in_their_order_and_older_files_name_none() -> None:
    parts = {"kind": 1, "content": INFO.z_dim - 3, "shift": 2}
    metadata = dataclasses.replace(INFO, parts=parts).to_metadata()
    assert list(GeneratorInfo.from_metadata(metadata).parts.items()) == list(parts.items())
    del metadata["gan.parts"]
    assert GeneratorInfo.from_metadata(metadata).parts == {}
    for wrong in ('{"content": 1e9}', '{"content": 0}', '{"content": "7"}', "[]", f'{{"content": {INFO.z_dim + 1}}}'):
        with pytest.raises(InfoError, match="parts"):
            GeneratorInfo.from_metadata({**metadata, "gan.parts": wrong})
