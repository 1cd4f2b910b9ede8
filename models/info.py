"""What a generator file says of itself: written into the ONNX file by the exporter, read by the job."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any

from models.golden import Golden, InfoError
from models.latents import LABEL, LATENT, Input
from models.mix import names_fault

SCHEMA_VERSION = 4
"""4 names the outputs, where the others had `images` and `pixels` alone; 3 names the inputs, where 1 and 2 had `z`
alone and told its length; 2 added precision and class names."""
IMAGES, PIXELS, MASKS = "images", "pixels", "masks"
OUTPUTS = ((IMAGES, PIXELS), (IMAGES, PIXELS, MASKS))
"""What a file may give."""
_PREFIX = "gan."
PRECISIONS = ("float32", "fp16")
_KINDS = {
    "architecture": str,
    "precision": str,
    "class_names": list,
    "inputs": dict,
    "parts": dict,
    "outputs": list,
    "weights_sha256": str,
    "assumed": dict,
    "training": dict,
    "versions": dict,
    "parity": dict,
    "golden": dict,
}
LARGEST = 65536
"""Of any size in the metadata; a larger number is damage."""


@dataclasses.dataclass(frozen=True)
class GeneratorInfo:
    """Metadata of one generator.

    Attributes:
        architecture: for people; nothing depends on it.
        precision: of the weights and of what is computed with them, one of `PRECISIONS`.
        class_names: of what the images show, in the order of their labels; empty for a generator without labels.
        inputs: what the generator is given, by name; `z` is there always.
        outputs: what it gives, one of `OUTPUTS`.
        channels, height, width: sizes of an image.
        weights_sha256: of the trained weights, whatever file they come in.
        assumed: what the images depend on and the weights do not show: `gan.networks.generator.Generator.unseen`.
        training: options, data summary and length of the training, and figures of the images; empty where unknown.
        versions: of the packages that made the file.
        parity: what was compared with PyTorch in float64, tolerances, largest differences: `export.ParityReport`.
        golden: see `models.golden.Golden`.
        schema_version: of this description.
        parts: that `z` is made of, in order, by names of `models.latents`, and their lengths; empty where the file does
            not say, as of older programs.
    """

    architecture: str
    precision: str
    class_names: list[str]
    inputs: dict[str, Input]
    outputs: list[str]
    channels: int
    height: int
    width: int
    weights_sha256: str
    assumed: dict[str, Any]
    training: dict[str, Any]
    versions: dict[str, str]
    parity: dict[str, Any]
    golden: dict[str, Any]
    schema_version: int = SCHEMA_VERSION
    parts: dict[str, int] = dataclasses.field(default_factory=dict)

    @property
    def faults(self) -> tuple[str, ...] | None:
        """Why no detector should be trained with its images, as `gan-train` found; None where it was not asked."""
        figures = self.training.get("figures")
        found = figures.get("faults") if isinstance(figures, dict) else None
        return tuple(map(str, found)) if isinstance(found, list) else None

    @property
    def z_dim(self) -> int:
        """Length of a latent."""
        return self.inputs[LATENT].shape[0]

    @property
    def has_masks(self) -> bool:
        """Whether it gives a mask with each image."""
        return MASKS in self.outputs

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of what its labels tell apart, in their order; empty for a generator without labels."""
        return tuple(self.class_names) if LABEL in self.inputs else ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it, with all that the file says."""
        inputs = {name: {"dtype": needed.dtype, "shape": list(needed.shape)} for name, needed in self.inputs.items()}
        return {**dataclasses.asdict(self), "inputs": inputs}  # how many labels there are the names of the classes tell

    def to_metadata(self) -> dict[str, str]:
        """As ONNX `metadata_props`: one JSON value a field, keys begin with `gan.`."""
        fields = self.to_dict()
        ordered = ("inputs", "parts")
        return {_PREFIX + name: json.dumps(value, sort_keys=name not in ordered) for name, value in fields.items()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> GeneratorInfo:
        """The inverse of `to_metadata`, of this schema or an earlier one; properties without our prefix are left alone.

        Raises:
            InfoError: a field is missing or damaged, or the schema is a later one's.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        found = {key[len(_PREFIX) :]: value for key, value in metadata.items() if key.startswith(_PREFIX)}
        if not found:
            raise InfoError("it holds no metadata of gan-export: export the trained model with `gan-export onnx`")
        try:
            values = {name: json.loads(value) for name, value in found.items() if name in {*names, "z_dim"}}
        except (ValueError, RecursionError):
            raise InfoError("its metadata is damaged: export the trained model again") from None
        version = values.get("schema_version")
        if type(version) is not int or not 1 <= version <= SCHEMA_VERSION:
            raise InfoError(f"its metadata has schema version {version}, this program reads 1 to {SCHEMA_VERSION}")
        z_dim = values.pop("z_dim", None)
        values.setdefault("parts", {})
        if version < 4:
            values = {"outputs": list(OUTPUTS[0]), **values}
        if version < 3:
            values = {"inputs": {LATENT: {"dtype": "float32", "shape": [z_dim]}}, "assumed": {}, **values}
        if version < 2:
            values = {"precision": "float32", "class_names": [], **values}
        missing = sorted(names - values.keys())
        if missing:
            raise InfoError(f"its metadata lacks {', '.join(missing)}: export the trained model again")
        for name, kind in _KINDS.items():
            if not isinstance(values[name], kind):
                raise InfoError(f"its metadata is damaged, {name} is {values[name]!r}: export the trained model again")
        if values["precision"] not in PRECISIONS:
            raise InfoError(f"its precision is {values['precision']!r}, this program knows {', '.join(PRECISIONS)}")
        for name in ("channels", "height", "width"):
            if not _is_size(values[name]):
                raise InfoError(f"its metadata is damaged, {name} is {values[name]!r}: export the trained model again")
        info = cls(**{**values, "inputs": _inputs(values["inputs"], values["class_names"])})
        if info.parts and not (all(map(_is_size, info.parts.values())) and sum(info.parts.values()) == info.z_dim):
            raise InfoError(f"its metadata is damaged, parts is {info.parts!r}: export the trained model again")
        if tuple(info.outputs) not in OUTPUTS:
            raise InfoError(f"its outputs are {info.outputs!r}, which this program does not know: install a later one")
        golden = Golden.from_dict(info.golden)
        shape = golden.pixels.shape[1:]
        if shape != (info.height, info.width, info.channels):
            raise InfoError(f"its metadata is damaged, its golden images are {shape}: export the trained model again")
        if (golden.masks is not None) != info.has_masks:
            raise InfoError(f"its metadata is damaged, {MASKS} are an output or golden alone: export the model again")
        return info


def _is_size(value: object) -> bool:
    return type(value) is int and 1 <= value <= LARGEST


def _inputs(values: dict[str, Any], class_names: list[Any]) -> dict[str, Input]:
    """The named inputs that the metadata tell of; how many labels there are is how many names of classes.

    Raises:
        InfoError: they are damaged, or of a kind that this version does not draw.
    """
    found: dict[str, Input] = {}
    for name, value in values.items():
        match value:
            case {"dtype": "float32", "shape": [*sizes]} if all(map(_is_size, sizes)) and math.prod(sizes) <= LARGEST:
                found[name] = Input("float32", tuple(sizes))
            case {"dtype": "int64", "shape": []} if name == LABEL:
                if fault := names_fault(class_names):
                    raise InfoError(f"its class names cannot be used, {fault}: export the trained model again")
                found[name] = Input("int64", (), len(class_names))
            case {"dtype": str(dtype), "shape": [*_]} if dtype != "float32":
                raise InfoError(f"its input {name} is {dtype}, which this program does not draw: install a later one")
            case _:
                raise InfoError(f"its metadata is damaged, inputs is {values!r}: export the trained model again")
    if len(found.get(LATENT, Input("", ())).shape) != 1:
        raise InfoError(f"its metadata is damaged, inputs is {values!r}: export the trained model again")
    return found
