"""A generator that can put its content at any pixel, with grain of its own in every image.

Transposed convolutions on a fixed grid draw what they have learned at the places of that grid. Here every doubling of
the size is followed by a low-pass filter, which takes away the images of the grid (Karras et al., "Alias-Free
Generative Adversarial Networks", NeurIPS 2021, section 2), and by a crop at an offset of 0 or 1 that the sign of a
latent chooses: offsets of 16, 8, 4, 2 and 1 pixels of the image together, so that what is drawn at one place can stand
at each, exactly and on every runtime. Whether it lies or stands is the work of `turn.py`; how it slants, and how far
apart things stand, that of `bend.py`. Noise behind every doubling is what grain is made of (Karras et al., "A
Style-Based Generator Architecture", CVPR 2019, section 3.2), and noise on the image itself, as wide in each direction
as is learned and as strong in each region as the network wants it.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from gan import sizes
from gan.config import TrainConfig
from gan.networks import stages
from gan.networks.bend import Bend
from gan.networks.blobs import Blobs
from gan.networks.colours import axes, weights
from gan.networks.generator import Generator
from gan.networks.grain import EAGER, GRAIN_BITS, REACH, bell, coloured, coloured_crops, crops
from gan.networks.shift_layers import SMOOTH, Filtered, Marker, Stage, draw_filter, line_of
from gan.networks.turn import LYING, WAYS, Turn, ways_of
from models.info import IMAGES, MASKS
from models.latents import CONTENT, KIND, LABEL, NOISE, SHIFT, Input

CELL = sizes.SIDES.step
"""Pixels of the image between two places of the first map."""
FACTORS = (8, 6, 4, 2, 1)
"""Channels of the maps, in widths, from the first to that of half the image's size."""
SHIFT_BITS = 10
"""Latents whose signs choose an offset: two, down and right, for each of 16, 8, 4, 2 and 1 pixels."""
KINDS = 6
"""Latents of the content whose signs the network sees besides: photos come in kinds with nothing between them, and what
follows a latent steadily would show all that is between."""
LEAST_CONTENT = KINDS
_MARGIN = 4
"""Rows and columns beyond the image's that its last map has for the offsets of 2 and 1 pixels."""
_GATED, _REFINED, _PAINTED = 3, 1, 2
_MIXED = 192
"""What the latents are mixed to before the first map: else what lies and what stands would come independently."""
_CLASS = 32
"""Numbers that tell a class to all that sees the latents: a quarter of what it sees."""
_LAST_GRAIN = 0.02
"""Strength of the noise in the image to begin with."""
_REGION = 9
"""Places of the last map across over which its strength is averaged, as scratches would be drawn of sand else."""
_MOST_GRAIN = 3.0
"""How many times as strong as usual, or as weak, the noise of a region may be. Without a bound it was faint on plates
and loud in wide scratches, which it filled with a weave."""


class ShiftGenerator(Generator):
    """Latents to images; at 128: z → (8w,5,5) → (6w,9,9) → (4w,17,17) → (2w,33,33) → (w,66,66) → (C,132,132) → crop.

    A latent is made of `content`, the latents of the shift, and those of the grain, in this order. The network sees the
    first two, so that it can learn defects that do stand at certain places, but not what lays an image on its side.
    What sees the latents sees numbers of the class beside them: the mixed layer, the gates, which are gains of each
    map's channels, and the bends.

    Args:
        z_dim: latent dimension, with the `SHIFT_BITS` and `GRAIN_BITS`.
        channels: image channels, 1 or 3.
        width: channels of the last hidden map.
        height: of the images in pixels, a multiple of 32; so `wide`.
        wide: see `height`.
        classes: that an input `label` tells apart; 0: no such input.
        masks: make a mask of the defect with each image, from its maps.
        blobs: with masks, paint defects as blobs into the last two maps.
        turns: of `turn.WAYS`, those in which the first latents turn images over.

    Raises:
        ValueError: a `z_dim` too small for all parts, or a size that is no multiple of 32.
    """

    architecture = "shift"
    noise: Tensor
    class_strength: Tensor
    folded: Tensor | None

    def __init__(
        self,
        z_dim: int = 128,
        channels: int = 1,
        width: int = 32,
        height: int = 128,
        wide: int = 128,
        classes: int = 0,
        masks: bool = False,
        blobs: bool = True,
        turns: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.content = z_dim - SHIFT_BITS - GRAIN_BITS
        if self.content < LEAST_CONTENT:
            raise ValueError(f"a shift generator needs `z_dim` of {z_dim - self.content + LEAST_CONTENT} at least")
        if height < CELL or wide < CELL or height % CELL or wide % CELL:
            raise ValueError(f"a shift generator makes images whose sides are multiples of {CELL}, not {wide}×{height}")
        self.z_dim, self.channels, self.height, self.width = z_dim, channels, height, wide
        widths = [width * factor for factor in FACTORS]
        self.turn = Turn(turns)
        seen = self.content + SHIFT_BITS + KINDS - 2 * self.turn.hidden
        self.embed = nn.Embedding(classes, _CLASS) if classes else None
        if self.embed is not None:
            self.register_buffer("class_strength", torch.ones(()))
            seen += _CLASS
        self.mixed = nn.Linear(seen, _MIXED)
        self.first = nn.ConvTranspose2d(_MIXED, widths[0], (height // CELL + 1, wide // CELL + 1), bias=False)
        self.first_norm = nn.BatchNorm2d(widths[0])
        self.stages = nn.ModuleList(
            Stage(before, after, seen, number < 3, number < _GATED, number == _REFINED)
            for number, (before, after) in enumerate(itertools.pairwise(widths))
        )
        # At each place of the last map four pixels of the image, and how strong their grain is.
        self.last = nn.Conv2d(widths[-1], 4 * channels + 1, 3, padding=1, padding_mode="reflect")
        # Of brightness and tints it makes red, green and blue, too.
        self.smooth = nn.Conv2d(channels, channels, 5, padding=2, padding_mode="reflect", bias=False)
        self.smooth.requires_grad_(False)
        self.bend = Bend(seen)
        self.blobs = Blobs(seen, widths[_PAINTED + 1 :]) if masks and blobs else None
        self.marker = Marker(widths[-2], widths[-1]) if masks else None
        self.grain_gain = nn.Parameter(torch.zeros(channels))
        self.grain_width = nn.Parameter(torch.zeros(2))  # down and across
        self.register_buffer("noise", torch.zeros(REACH + height + _MARGIN, REACH + wide + _MARGIN))
        self.register_buffer("folded", None)  # white noise and coloured, where nothing will change any more

    @property
    def inputs(self) -> dict[str, Input]:
        """A latent, and where there are classes a label."""
        latent = {"z": Input("float32", (self.z_dim,))}
        return latent if self.embed is None else {**latent, LABEL: Input("int64", (), self.embed.num_embeddings)}

    @property
    def parts(self) -> dict[str, int]:
        """Kind and content, which the network sees; the shift, which it sees besides; and the noise."""
        parts = {KIND: KINDS, CONTENT: self.content - KINDS, SHIFT: SHIFT_BITS, NOISE: GRAIN_BITS}
        return {name: length for name, length in parts.items() if length}

    @property
    def outputs(self) -> tuple[str, ...]:
        """Images, and where it makes them masks."""
        return (IMAGES,) if self.marker is None else (IMAGES, MASKS)

    def phase_in(self, strength: float) -> None:
        """Multiply what tells the class by this, from 0 to 1."""
        if self.embed is not None:
            self.class_strength.fill_(strength)

    def lay(self, share: float) -> None:
        """Draw so many images lying, 0 to 1, where `turns` has it."""
        self.turn.lay(share)

    @property
    def summary(self) -> str:
        """The architecture with its widths, for people."""
        widths = [self.first.out_channels, *(stage.up.out_channels for stage in self._doublings())]
        return f"{self.architecture}, widths {' '.join(map(str, widths))}"

    def forward(
        self, z: Tensor, label: Tensor | None = None, grain: Tensor | None = None, clear: Tensor | None = None
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Images for latents.

        Args:
            z: float `[N, z_dim]`, standard normal.
            label: int64 `[N]`, 0 to `classes - 1`, where there are classes.
            grain: noise to use in the place of the crops of the bank, float `[N, 1, height + 4, width + 4]`, standard
                normal: in training it is new each time, so that the bank is not learned by heart.
            clear: bool `[N]`, in training: images to draw without blobs.

        Returns:
            float `[N, channels, height, width]` in [-1, 1]; with masks a tuple of these and of `[N, 1, height, width]`
            in [-1, 1], above 0 where the defect is.

        Raises:
            ValueError: latents of another shape; labels missing, or where there are no classes.
        """
        if tuple(z.shape[1:]) != (self.z_dim,):
            raise ValueError(f"expected latents [N, {self.z_dim}], got {list(z.shape)}")
        # "..." and not ":", here and in the layers: of ":" the exporter traces a slice of the batch, for nothing.
        up = z[..., self.content :] > 0
        kind = torch.where(z[..., :KINDS] > 0, 1.0, -1.0).to(z.dtype)
        hidden = self.turn.hidden
        told = z[..., hidden : self.content + SHIFT_BITS], kind[..., hidden:]
        seen = self._with_class(torch.cat(told, dim=1), label)
        if grain is None:
            grain, texture = self._crops(up[..., SHIFT_BITS:])
        else:
            texture = coloured(grain, self._taps())
        mixed = F.leaky_relu(self.mixed(seen), 0.2)
        x = F.leaky_relu(self.first_norm(self._first_map(mixed)), 0.2)
        blobs = None if self.blobs is None else self.blobs(seen, grain, clear)
        before = x
        for number, stage in enumerate(self._doublings()):
            before, x = x, stage(x, seen, up[..., 2 * number], up[..., 2 * number + 1], grain)
            if self.blobs is not None and blobs is not None and number >= _PAINTED:
                x = self.blobs.painted(x, blobs, number - _PAINTED)
        marks = () if self.marker is None else (self.marker(before, x),)
        x = self.last(x)
        strength = F.avg_pool2d(F.pad(x[..., -1:, :, :], (_REGION // 2,) * 4, mode="reflect"), _REGION, 1)
        strength = torch.exp(math.log(_MOST_GRAIN) * torch.tanh(strength))
        # Else the four pixels of each place would weave a lattice of two pixels.
        x = self.smooth(F.pixel_shuffle(x[..., :-1, :, :], 2))
        x = torch.cat([x, F.pixel_shuffle(strength.expand(-1, 4, -1, -1), 2), *marks], dim=1)
        x = self.turn(x, z[..., : len(WAYS)])
        down, right = (2 * up[..., 6 + way].long() + up[..., 8 + way] for way in (0, 1))
        x = self.bend(x, seen, down, right, self.height, self.width)
        drawn, strength, marked = torch.split(x, [self.channels, 1, len(marks)], dim=1)
        images = torch.tanh(drawn + strength * texture[..., : self.height, : self.width])
        return (images, torch.tanh(marked)) if marks else images

    def _first_map(self, mixed: Tensor) -> Tensor:
        """What `first` makes of one place, as a product of matrices, at which runtimes are quicker."""
        x = (mixed @ self.first.weight.flatten(1)).reshape(-1, *self.first.weight.shape[1:])
        return x if self.first.bias is None else x + self.first.bias[:, None, None]

    def _doublings(self) -> list[Stage]:
        return [stage for stage in self.stages if isinstance(stage, Stage)]

    def _with_class(self, seen: Tensor, label: Tensor | None) -> Tensor:
        if (label is None) != (self.embed is None):
            raise ValueError("it has classes: give labels [N]" if label is None else "it has no classes to label")
        if self.embed is None or label is None:
            return seen
        return torch.cat([seen, self.embed(label) * self.class_strength], dim=1)

    def _taps(self) -> Tensor:
        """What colours the image's own noise, `[channels, 1, taps, taps]`."""
        return self.grain_gain[:, None, None, None] * bell(self.grain_width)

    def _crops(self, up: Tensor) -> tuple[Tensor, Tensor]:
        """White noise and the image's own, `[N, …, height + 4, width + 4]`, that bool `[N, GRAIN_BITS]` choose."""
        size = (self.height + _MARGIN, self.width + _MARGIN)
        if self.folded is None:
            return coloured_crops(self.noise, self._taps(), up, *size)
        both = crops(self.folded, up, *size)
        return both[..., :1, :, :], both[..., 1:, :, :]

    def initialise(self, random: torch.Generator) -> None:
        """Draw the weights, and the bank of noise."""
        stages.initialise(self, random)
        nn.init.normal_(self.first.weight, 0.0, 0.05, generator=random)
        nn.init.kaiming_normal_(self.mixed.weight, 0.2, generator=random)
        nn.init.zeros_(self.mixed.bias)
        nn.init.constant_(self.grain_gain, _LAST_GRAIN)
        nn.init.constant_(self.grain_width, -1 / EAGER)
        draw_filter(self.smooth, SMOOTH, (axes(self.channels) * weights(self.channels)[:, None]).t()[..., None, None])
        for stage in self._doublings():
            stage.initialise(random)
        self.bend.initialise(random)
        self.noise.normal_(generator=random)
        if self.embed is not None:
            nn.init.normal_(self.embed.weight, generator=random)
        if self.marker is not None:
            self.marker.initialise(random)
        if self.blobs is not None:
            self.blobs.initialise(random)

    def with_marker(self, random: torch.Generator) -> tuple[Self, nn.Module]:
        """A copy that makes masks, and what decides them."""
        made = copy.deepcopy(self)
        made.marker = Marker(self.last.in_channels * FACTORS[-2], self.last.in_channels)
        made.marker.initialise(random)
        return made, made.marker

    def draw(
        self, count: int, random: torch.Generator, labels: Tensor | None = None, clear: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Random inputs of `count` images to train with, noise for their grain, and which have no blobs."""
        size = (count, 1, self.height + _MARGIN, self.width + _MARGIN)
        drawn = super().draw(count, random, labels)
        drawn["grain"] = torch.randn(size, generator=random, device=random.device)
        return drawn if clear is None or self.blobs is None else {**drawn, "clear": clear}

    def for_export(self) -> Self:
        """A copy in eval mode and float64 with batch norm folded into the convolutions before it, the bank done, and
        how much classes count in their numbers.
        """
        folded = copy.deepcopy(self).eval().double()
        if folded.embed is not None:
            with torch.no_grad():
                folded.embed.weight.mul_(folded.class_strength)
            folded.phase_in(1.0)
        folded.first = fuse_conv_bn_eval(folded.first, folded.first_norm, transpose=True)
        folded.first_norm = nn.Identity()  # type: ignore[assignment]  # what it did is in `first`
        for number, stage in enumerate(folded._doublings()):
            stage.fold(*(((side // CELL) << number) + 1 for side in (folded.height, folded.width)))
        line = line_of(folded.smooth)
        if line is not None:
            filtered = Filtered(line, folded.height + _MARGIN, folded.width + _MARGIN)
            folded.smooth = filtered  # type: ignore[assignment]  # it does what the convolution did
        white = folded.noise[None, None]
        both = torch.cat([white, coloured(white, folded._taps())], dim=1)
        folded.folded = both[0].permute(1, 2, 0).detach().contiguous()
        return folded

    @classmethod
    def of(cls, config: TrainConfig) -> Self:
        """A new one of the sizes in `config`."""
        wide, height = config.size
        classes, turns = len(config.class_names), ways_of(config.flip, config.transpose == "on")
        return cls(config.z_dim, config.channels, config.g_width, height, wide, classes, config.masks, turns=turns)

    @classmethod
    def shaped_like(cls, state: Mapping[Any, Any], **unseen: Any) -> Self:
        """The generator that the names and shapes in `state` describe, on the meta device: it takes no memory.

        Raises:
            ValueError: the state is not that of a shift generator.
        """
        try:
            seen, first = (state[f"{name}.weight"].shape for name in ("mixed", "first"))
            channels = len(state["grain_gain"])
            turns = [way for way in WAYS if f"turn.{way}" in state]
            if state["smooth.weight"].shape[1] != channels or "turn.transposed" in state:
                raise KeyError  # it drew red, green and blue each by itself, or saw what lies
            seen_too = KINDS - 2 * (LYING in turns)
            classes, told = state["embed.weight"].shape if "embed.weight" in state else (0, 0)
            height, wide = ((n - 1) * CELL for n in first[2:])
            sizes_of = (seen[1] - told - seen_too + GRAIN_BITS, channels, first[1] // FACTORS[0], height, wide, classes)
            with torch.device("meta"):
                masks, blobs = "marker.fine.weight" in state, "blobs.places.weight" in state
                generator = cls(*sizes_of, masks, blobs, turns)
        except (KeyError, AttributeError, IndexError, TypeError, RuntimeError):
            earlier = {"mixed.weight", "first.weight"} <= state.keys()
            which = "of this version: train it anew; its ONNX file runs as before" if earlier else "either"
            raise ValueError(f"not a shift generator {which}") from None
        stages.check_shapes(generator, state, f"a {generator.width}×{generator.height} shift generator")
        return generator
