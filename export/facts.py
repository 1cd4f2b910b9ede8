"""What an exported file says of itself, in lines for a person and as JSON."""

from __future__ import annotations

import hashlib
import textwrap
from pathlib import Path
from typing import Any

from export.parity import ParityReport
from export.reading import PROGRAM, load_onnx
from export.torch_exporter import ProgramFile
from models.errors import CommandError, ExitCode
from models.golden import GOLDEN_COUNT
from models.info import GeneratorInfo
from models.latents import LATENT, Input

_MANY = 16  # characters of a hash that tell files apart


def read_facts(path: Path) -> tuple[GeneratorInfo, dict[str, str]]:
    """The metadata of a file of `gan-export`, and what can be read off the file itself, for people.

    Raises:
        CommandError: 66 no such file, 65 not a file of gan-export.
    """
    if not path.is_file():
        raise CommandError(ExitCode.NO_INPUT, f"no file {path.absolute()}")
    if path.suffix == PROGRAM:
        info, form = ProgramFile(path).info, "torch.export"
    else:
        model, info = load_onnx(path)
        form = f"ONNX, opset {model.opset_import[0].version}, IR version {model.ir_version}"
    size = f"{path.stat().st_size / 1e6:.1f} MB"
    return info, {"form": form, "size": size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def as_json(info: GeneratorInfo, facts: dict[str, str]) -> dict[str, Any]:
    """All of it, but of the golden images only where they come from, and of photos no thumbnails."""
    values = info.to_dict()
    if isinstance(photos := info.training.get("photos"), dict):
        told = {
            part: {name: value for name, value in said.items() if name != "looks"}
            for part, said in photos.items()
            if isinstance(said, dict)
        }
        values["training"] = {**info.training, "photos": told}
    golden = {"count": GOLDEN_COUNT, "seed": info.golden["seed"], "atol": info.golden["atol"]}
    return {"file": facts, **values, "z_dim": info.z_dim, "golden": golden}


def as_page(path: Path, info: GeneratorInfo, facts: dict[str, str]) -> str:
    """All of it in lines.

    Raises:
        CommandError: 65 where what the file says of its training or of the comparisons is damaged.
    """
    try:
        return _page(path, info, facts)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise CommandError(
            ExitCode.BAD_DATA, f"{path}: its metadata is damaged: export the trained model again"
        ) from None


def _images(info: GeneratorInfo) -> str:
    """What its images are like, in words."""
    if info.faults is None:
        return "not measured"
    figures = info.training["figures"]
    kid = f"KID × 1000 {info.training['kid_x1000']:.1f}, " if "kid_x1000" in info.training else ""
    measured = f"{kid}diversity {figures['diversity']:g} of the photos', {figures['images']} looked at"
    return f"{measured}; {'faults: ' + '; '.join(info.faults) if info.faults else 'no faults found'}"


def _kind(needed: Input) -> str:
    return f"(one of {needed.high})" if needed.high else str(list(needed.shape))


def _page(path: Path, info: GeneratorInfo, facts: dict[str, str]) -> str:
    colour = {1: "gray", 3: "colour"}.get(info.channels, f"{info.channels}-channel")
    data, options = info.training.get("data", {}), info.training.get("options", {})
    others = {name: needed for name, needed in info.inputs.items() if name != LATENT}
    rows = [
        ("file", f"{path}, {facts['size']}, {facts['form']}"),
        ("sha256", facts["sha256"]),
        ("makes", f"{colour} images of {info.width}×{info.height} from latents of {info.z_dim}, in {info.precision}"),
        ("parts of z", ", ".join(f"{name} {length}" for name, length in info.parts.items())),
        ("outputs", ", ".join(info.outputs)),
        ("other inputs", ", ".join(f"{name} {_kind(kind)}" for name, kind in others.items())),
        ("network", f"{info.architecture}, weights sha256 {info.weights_sha256}"),
        ("settings", ", ".join(f"{name} {value}" for name, value in info.assumed.items())),
        ("classes", ", ".join(info.class_names)),
        ("made with", ", ".join(f"{name} {version}" for name, version in sorted(info.versions.items()))),
        ("trained on", f"{data['images']} images, sha256 {data['sha256'][:_MANY]}…" if data else "not known"),
        ("trained for", f"{info.training['kimg']:g} kimg, {info.training['step']:,} steps" if data else ""),
        ("images", _images(info)),
        ("options", ", ".join(f"{name} {value}" for name, value in options.items())),
        (
            "golden images",
            f"{GOLDEN_COUNT} of the trained network in float64 are inside; every runtime must give them within "
            f"{info.golden['atol']:.2e}, their pixels within 1 step"
            f"{', their masks exactly where rounding cannot decide' if info.has_masks else ''}",
        ),
    ]
    indent = " " * 15
    lines = [
        textwrap.fill(
            value,
            110,
            initial_indent=f"{name:<15}",
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,  # paths and hashes are copied
        )
        for name, value in rows
        if value
    ]
    return "\n".join([*lines, "", "compared when it was exported:", ParityReport.of(info.parity).table()])
