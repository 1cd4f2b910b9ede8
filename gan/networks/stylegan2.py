"""The generator of StyleGAN2, read from snapshots of stylegan2-ada-pytorch and stylegan3; it is not trained here.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020, sections 2 and 4.1 and figure 7;
Karras et al., "Training Generative Adversarial Networks with Limited Data", NeurIPS 2020. All of it is computed in one
precision: what the snapshots' own program computes in float16 here is float32.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from gan.config import TrainConfig
from gan.networks import stages
from gan.networks.generator import Generator
from gan.networks.persistent import PickledNetwork
from gan.networks.stylegan2_layers import (
    ACTIVATIONS,
    Dense,
    Shortcut,
    StyledBlock,
    StyledConvolution,
    StyleMapping,
    ToImage,
)
from models.latents import LABEL, Input

NOISES = ("const", "none")
"""The noise that the snapshot holds, the same in every image; or none."""
_FIRST, _LEAST, _LARGEST = 4, 16, 4096
"""Sides of the first map, and of the images."""
_SETTINGS = {
    "mapping_activation": r"mapping\.fc\d+\.activation",
    "mapping_rate": r"mapping\.fc\d+\.bias_gain",
    "layer_activation": r"synthesis\.b\d+\.conv[01]\.activation",
    "clamp": r"synthesis\.b\d+\.(?:conv[01]|torgb)\.conv_clamp",
}
"""What a snapshot tells of each of its layers, in the same words."""


class StyleGAN2(Generator):
    """Latents to images: a mapping to a style vector, and blocks from a learned map of 4×4 on that it steers.

    Args:
        z_dim: latent dimension.
        style: length of the style vector.
        widths: channels of the blocks' maps, from 4×4 on; each next one has twice the side.
        channels: of an image, 1 to 4.
        mapping: widths of the mapping's layers; the last one is `style`.
        classes: that an input `label` tells apart; 0: no such input.
        embedded: numbers that tell a class to the mapping.
        form: `skip`, an image of each block and their sum; `resnet`, blocks with a shortcut; `orig`, neither.
        noisy: whether there is noise behind the convolutions.
        averaged: whether the average style vector is known.
        taps: of the filter that follows a doubling, an even number.
        mapping_activation, layer_activation: names in `stylegan2_layers.ACTIVATIONS`.
        mapping_rate: of learning in the mapping, times that elsewhere.
        clamp: what no value of a map exceeds; None: no limit.
        noise: one of `NOISES`.
        truncation_psi: how far a style vector is from the average one, times as far as it would be.

    Raises:
        ValueError: sizes or settings that it cannot have.
    """

    architecture = "stylegan2"
    UNSEEN = frozenset({*_SETTINGS, "noise", "truncation_psi"})

    def __init__(
        self,
        z_dim: int,
        style: int,
        widths: Sequence[int],
        channels: int,
        mapping: Sequence[int],
        classes: int = 0,
        embedded: int = 0,
        form: str = "skip",
        noisy: bool = True,
        averaged: bool = True,
        taps: int = 4,
        *,
        mapping_activation: str = "lrelu",
        mapping_rate: float = 0.01,
        layer_activation: str = "lrelu",
        clamp: float | None = 256.0,
        noise: str = "const",
        truncation_psi: float = 1.0,
    ) -> None:
        super().__init__()
        self.z_dim, self.channels, self.label_count, self.form = z_dim, channels, classes, form
        self.height = self.width = _FIRST << (len(widths) - 1)
        self.settings: dict[str, Any] = {
            "mapping_activation": mapping_activation,
            "mapping_rate": mapping_rate,
            "layer_activation": layer_activation,
            "clamp": clamp,
            "noise": noise,
            "truncation_psi": truncation_psi,
        }
        self._check(averaged, taps)
        self.mapping = StyleMapping(
            z_dim, mapping, classes, embedded, averaged, mapping_activation, mapping_rate, truncation_psi
        )
        self.synthesis = nn.ModuleDict()
        for number, width in enumerate(widths):
            side = _FIRST << number
            image = channels if side == self.width or form == "skip" else 0
            self.synthesis[f"b{side}"] = StyledBlock(
                widths[number - 1] if number else 0, width, side, style, image, form == "resnet",
                taps, noisy, noise == "none", layer_activation, clamp,
            )  # fmt: skip

    def _check(self, averaged: bool, taps: int) -> None:
        """Refuse what it cannot be, whoever says it: a snapshot, the metadata of a file, or a caller."""
        if not (_LEAST <= self.height <= _LARGEST and 1 <= self.channels <= 4 and self.z_dim > 0):
            raise ValueError(
                f"a StyleGAN2 generator of {self.channels} channels and {self.height}×{self.height} from latents of "
                f"{self.z_dim}: 1 to 4 channels and {_LEAST}×{_LEAST} to {_LARGEST}×{_LARGEST} are read"
            )
        if taps < 2 or taps % 2:
            raise ValueError(f"a StyleGAN2 generator with a filter of {taps} taps: an even number of them is read")
        for name, value in self.settings.items():
            if name == "noise":
                known, words = value in NOISES, f"one of {', '.join(NOISES)}"
            elif name.endswith("activation"):
                known, words = isinstance(value, str) and value in ACTIVATIONS, f"one of {', '.join(ACTIVATIONS)}"
            else:
                known, words = _is_number(value), "a number"
                known = (known and (value > 0 or name == "truncation_psi")) or (name == "clamp" and value is None)
            if not known:
                raise ValueError(f"{name} is {value!r}, not {words}")
        if self.settings["truncation_psi"] != 1 and not averaged:
            raise ValueError("it holds no average style vector (w_avg), so truncation_psi can only be 1")

    @property
    def inputs(self) -> dict[str, Input]:
        """A latent, and where there are classes a label."""
        latent = {"z": Input("float32", (self.z_dim,))}
        return {**latent, LABEL: Input("int64", (), self.label_count)} if self.label_count else latent

    @property
    def class_names(self) -> list[str]:
        """The numbers of the labels: snapshots name no classes."""
        return [str(label) for label in range(self.label_count)]

    @property
    def summary(self) -> str:
        """The architecture with its form and widths, for people."""
        widths = (str(block.outputs) for block in self._blocks().values())
        return f"{self.architecture}, {self.form}, widths {' '.join(widths)}"

    @property
    def unseen(self) -> dict[str, Any]:
        """Activations and limits, the noise and the truncation."""
        return dict(self.settings)

    def _blocks(self) -> dict[str, StyledBlock]:
        return {name: block for name, block in self.synthesis.items() if isinstance(block, StyledBlock)}

    def forward(self, z: Tensor, label: Tensor | None = None, noise: Mapping[str, Tensor] | None = None) -> Tensor:
        """Images for latents.

        Args:
            z: float `[N, z_dim]`, standard normal.
            label: int64 `[N]`, 0 to `classes - 1`, where there are classes.
            noise: in the place of the snapshot's, as `fresh_noise` draws it.

        Returns:
            float `[N, channels, height, width]`, clipped to [-1, 1].

        Raises:
            ValueError: latents of another shape; labels missing, or where there are no classes.
        """
        if tuple(z.shape[1:]) != (self.z_dim,):
            raise ValueError(f"expected latents [N, {self.z_dim}], got {list(z.shape)}")
        if (label is None) != (self.label_count == 0):
            raise ValueError("it has classes: give labels [N]" if label is None else "it has no classes to label")
        style = self.mapping(z, label)
        maps: Tensor | None = None
        image: Tensor | None = None
        for name, block in self._blocks().items():
            own = {layer.removeprefix(f"{name}."): values for layer, values in (noise or {}).items()}
            maps, image = block(maps, image, style, own)
        assert image is not None  # of the last block
        return image.clamp(-1, 1)

    def fresh_noise(self, count: int, random: torch.Generator) -> dict[str, Tensor]:
        """Noise of its own for each of `count` images: float `[count, 1, side, side]` by layer, such as `b8.conv0`."""
        return {
            name: torch.randn((count, 1, layer.side, layer.side), generator=random, device=random.device)
            for name, layer in self.synthesis.named_modules()
            if isinstance(layer, StyledConvolution)
        }

    def initialise(self, random: torch.Generator) -> None:
        """It is not trained here.

        Raises:
            ValueError: always.
        """
        raise ValueError(_NOT_TRAINED)

    @classmethod
    def of(cls, config: TrainConfig) -> Self:
        """It is not trained here.

        Raises:
            ValueError: always.
        """
        raise ValueError(_NOT_TRAINED)

    def for_export(self) -> Self:
        """A copy in eval mode and float64 with the constants of its layers put into their weights."""
        folded = copy.deepcopy(self).eval().double()
        for module in list(folded.modules())[::-1]:  # a layer before the matrix in it
            if isinstance(module, ToImage | StyledConvolution | Shortcut):
                module.fold()
        for module in folded.mapping.modules():
            if isinstance(module, Dense):
                module.fold()
        return folded

    @classmethod
    def shaped_like(cls, state: Mapping[Any, Any], **unseen: Any) -> Self:
        """The generator that the names and shapes in `state` describe, on the meta device: it takes no memory.

        Raises:
            ValueError: the state is not that of a StyleGAN2 generator, or `unseen` holds what it cannot have.
        """
        sides = [_FIRST]
        while f"synthesis.b{2 * sides[-1]}.conv1.weight" in state and sides[-1] < _LARGEST:
            sides.append(2 * sides[-1])
        depth = sum(re.fullmatch(r"mapping\.fc\d+\.weight", str(name)) is not None for name in state)
        try:
            mapping = [state[f"mapping.fc{number}.weight"].shape[0] for number in range(depth)]
            classes, embedded = 0, 0
            if "mapping.embed.weight" in state:
                embedded, classes = state["mapping.embed.weight"].shape
            form = "skip" if "synthesis.b4.torgb.weight" in state else "orig"
            described = {
                "z_dim": state["mapping.fc0.weight"].shape[1] - embedded,
                "style": mapping[-1],
                "widths": [state[f"synthesis.b{side}.conv1.weight"].shape[0] for side in sides],
                "channels": state[f"synthesis.b{sides[-1]}.torgb.weight"].shape[0],
                "mapping": mapping,
                "classes": classes,
                "embedded": embedded,
                "form": "resnet" if "synthesis.b8.skip.weight" in state else form,
                "noisy": "synthesis.b4.conv1.noise_const" in state,
                "averaged": "mapping.w_avg" in state,
                "taps": state["synthesis.b4.resample_filter"].shape[0],
            }
        except KeyError as error:
            raise ValueError(f"not a StyleGAN2 generator either, without {error}") from None
        except (AttributeError, IndexError, ValueError):
            raise ValueError("not a StyleGAN2 generator either: its weights have other dimensions") from None
        try:
            with torch.device("meta"):
                generator = cls(**described, **unseen)
        except RuntimeError as error:  # more elements than can be counted
            raise ValueError(f"not a StyleGAN2 generator: {error}") from None
        stages.check_shapes(generator, state, f"a {generator.width}×{generator.height} StyleGAN2 generator")
        return generator


_NOT_TRAINED = "a StyleGAN2 generator is read from snapshots, and is not trained here"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _ENDLESS


_ENDLESS = 1e30
"""No number in a snapshot is as large; `math.isfinite` fails for whole ones that are much larger."""


def of_snapshot(network: PickledNetwork) -> dict[str, Any]:
    """What a network of a snapshot tells of `StyleGAN2.unseen`.

    Raises:
        ValueError: it is not a generator that is read here.
    """
    if "synthesis.input.weight" in network:
        first = next((tensor for name, tensor in network.items() if re.search(r"\.L0_.*\d\.weight$", name)), None)
        letter = "t" if first is None or first.shape[-1] > 1 else "r"
        raise ValueError(
            f"it is a stylegan3-{letter} generator, which is not read; generators of stylegan2-ada-pytorch are, and of "
            "stylegan3 those of its config stylegan2"
        )
    told: dict[str, Any] = {}
    for setting, pattern in _SETTINGS.items():
        said = {value for name, value in network.settings.items() if re.fullmatch(pattern, name)}
        if len(said) != 1:
            raise ValueError(
                f"a {network.kind} with {len(said)} values for {setting}, which no StyleGAN2 generator has"
            )
        (told[setting],) = said
    StyleGAN2.shaped_like(network, **told)
    return told
