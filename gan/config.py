"""What a training run is: a frozen, serialisable set of options, the named recipes, and how a run is watched."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from gan import sizes
from gan.abilities import ABILITIES, Abilities
from gan.photos.fit import FITS

CHOICES = {
    "loss": ("bce", "hinge", "relativistic"),
    "fit": FITS,
    "flip": ("none", "horizontal", "vertical", "both"),
    "transpose": ("off", "on", "auto"),
    "precision": ("auto", "float32", "bfloat16"),
}
"""What the options that are words may be."""
POSITIVE = (
    *("z_dim", "g_width", "d_width", "epochs", "lr", "d_lr", "d_steps", "penalty_interval"),
    *("band_weight", "stats_every", "sample_epochs", "validation_kimg", "keep_snapshots"),
)
NOT_NEGATIVE = (
    *("total_kimg", "ema_kimg", "instance_noise", "grad_clip", "r1_gamma", "r2_gamma", "lr_decay", "label_smoothing"),
    *("beta1", "beta2", "seed", "patience_kimg", "feature_matching", "class_from", "class_to"),
)
AT_MOST_1 = ("lr_decay", "label_smoothing", "class_from", "class_to")
BELOW_1 = ("beta1", "beta2")
"""What the options that are numbers may be."""
IMAGE_SIZES = (32, 64, 128, 256, 512)
"""Sides of the squares that networks make which double their maps from 4×4 on; others have any of `sizes.SIDES`."""
NEED_BOTH = "need the two networks of `recipe=shift`"
"""What is said of classes, masks and sizes that other networks cannot have."""
MAX_BATCH = 65_536
AUTO = "auto"
FEW_PHOTOS = 100
"""The discriminator learns so few by heart sooner, and then teaches no more."""
DEFAULT_RECIPE = "shift"
ON_COLLAPSE = ("warn", "stop", "restart")
"""What a run may do when it has collapsed."""


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Everything that decides the result of a training run; the defaults of the fields are the plain paper recipe.

    `TrainConfig.of()` has those of the command.

    Radford et al., ICLR 2016, section 4: Adam, learning rate 0.0002, β1 0.5.
    """

    architecture: str = "dcgan"  # of the generator, a name in `gan.networks.architectures`
    image_size: int | str = 128  # in pixels: the side of a square, or width and height, such as "320x128"
    channels: int = 1  # of the images: 1 gray, 3 colour
    fit: str = "crop"  # how a photo of another shape gets that of the images
    z_dim: int = 100
    g_width: int = 32  # channels of the generator's last hidden stage
    d_width: int = 32  # channels of the discriminator's first stage
    d_batch_norm: bool = True
    d_spectral_norm: bool = False
    minibatch_stddev: bool = False
    d_patches: bool = False  # D scores patches too, not whole images alone
    d_decoder: bool = False  # D learns to redraw real images from its features
    d_two_part: bool = False  # one part of D sees detail, in patches alone, the other the whole, coarsely alone

    epochs: int = 250  # one epoch shows as many real images as there are
    total_kimg: float = 0.0  # thousands of real images to show; where not 0, instead of `epochs`
    batch_size: int = 64
    loss: str = "bce"
    lr: float = 0.0002  # of both networks
    d_lr: float | str | None = None  # of the discriminator, where it differs; "auto": see `for_photos`
    lr_decay: float = 0.0  # share of the run, at its end, over which the learning rates fall linearly to 0
    beta1: float = 0.5
    beta2: float = 0.999

    ema_kimg: float = 0.0  # half-life of the generator's average, thousands of real images; 0: no average
    d_steps: int = 1  # discriminator steps per generator step
    instance_noise: float = 0.0  # std at the start, falls linearly to 0 at the end; images are in [-1, 1]
    grad_clip: float = 0.0  # largest gradient norm of each network; 0: no clipping
    label_smoothing: float = 0.0  # the target of real images is 1 minus this ("bce" only)
    r1_gamma: float = 0.0  # weight of the gradient penalty on real images as D sees them; 0: none
    r2_gamma: float = 0.0  # the same on generated images
    penalty_interval: int = 8  # steps between two penalties, each with that many times the weight
    standardize: bool = False  # D sees images with the training set's mean taken off, divided by its std
    bands: bool = False  # each band of frequencies has its own mean and std there
    band_weight: float = 1.0  # of each finer band, times that of the next coarser one
    augment: bool = False  # brightness, contrast, translation on what D sees
    flip: str = "none"  # mirror the real images; a generator that can mirrors its own alike
    transpose: str = "off"  # the generator draws what lies as what stands; "auto": see `for_photos`
    feature_matching: float = 0.0  # pull towards the photos in a frozen network's eyes, times that of D; 0: none

    masks: bool = False  # the photos have masks of their defects, and the generator makes such with its images
    class_names: tuple[str, ...] = ()  # of what the photos show, in the order of their labels; none: no labels
    class_from: float = 0.0  # share of the run after which classes begin to count
    class_to: float = 0.0  # share of the run from which on they count in full

    precision: str = "float32"  # "bfloat16" is autocast; "auto" is that where the machine calculates in it
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise `ValueError` for values and combinations that cannot be meant."""
        _check_values(self)
        # A square by its side however it was told, so that the options of equal runs are equal.
        object.__setattr__(self, "image_size", _image_size(self))
        object.__setattr__(self, "class_names", tuple(self.class_names))  # JSON has a list
        if isinstance(self.d_lr, str) and self.d_lr != AUTO:
            raise ValueError(f"`d_lr` is {self.d_lr!r}: give a number, or {AUTO}")
        if self.channels not in (1, 3):
            raise ValueError(f"`channels` is {self.channels}, not 1 (gray) or 3 (colour)")
        if not 2 <= self.batch_size <= MAX_BATCH:
            raise ValueError(f"`batch_size` is {self.batch_size}, not from 2 to {MAX_BATCH}")
        if self.seed >= 2**63:
            raise ValueError(f"`seed` is {self.seed}, not from 0 to {2**63 - 1}")
        if (self.r1_gamma or self.r2_gamma) and self.d_batch_norm:
            raise ValueError("a gradient penalty needs a discriminator without batch norm: add `d_batch_norm=False`")
        if self.bands and not self.standardize:
            raise ValueError("`bands` are what is standardized: add `standardize=True`")
        if self.band_weight != 1 and not self.bands:
            raise ValueError("`band_weight` is for bands: add `bands=True`")
        extras = ("d_batch_norm", "d_spectral_norm", "d_patches", "d_decoder")
        if self.d_two_part and (wrong := [name for name in extras if getattr(self, name)]):
            raise ValueError(
                f"`d_two_part` is another discriminator, which has no `{wrong[0]}`: add `{wrong[0]}=False`"
            )
        if self.class_names and not self.can_have_classes:
            raise ValueError(f"`classes` {NEED_BOTH}")
        if self.masks and not self.can_have_masks:
            raise ValueError(f"`masks` {NEED_BOTH}")
        if self.transpose == "on" and not self.can_transpose:
            raise ValueError("`transpose=on` needs square images and the generator of `recipe=shift`")
        if self.class_from > self.class_to:
            raise ValueError(f"`class_from` is {self.class_from}, after `class_to`, which is {self.class_to}")
        if self.label_smoothing and self.loss != "bce":
            raise ValueError("`label_smoothing` belongs to the bce loss: add `loss=bce`")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the images in pixels."""
        return sizes.sides(self.image_size)

    @property
    def uses_ema(self) -> bool:
        """Whether the generator that is saved is an average."""
        return self.ema_kimg > 0

    @property
    def can_have_classes(self) -> bool:
        """Whether both networks can be told what an image shows."""
        return self._generator_can.labels and self.d_two_part

    @property
    def can_have_masks(self) -> bool:
        """Whether both networks know what a mask is."""
        return self._generator_can.masks and self.d_two_part

    @property
    def can_have_any_sides(self) -> bool:
        """Whether both networks know sides that are not those of a square in `IMAGE_SIZES`."""
        return self._generator_can.any_sides and self.d_two_part

    @property
    def can_transpose(self) -> bool:
        """Whether the generator can draw what lies as what stands."""
        width, height = self.size
        return self._generator_can.turns and width == height

    @property
    def _generator_can(self) -> Abilities:
        return ABILITIES.get(self.architecture, Abilities())

    @property
    def plain(self) -> bool:
        """Whether nothing is done against the discriminator learning few photos by heart."""
        return not (self.augment or self.penalised)

    @property
    def penalised(self) -> bool:
        """Whether the discriminator has a gradient penalty."""
        return self.r1_gamma > 0 or self.r2_gamma > 0

    def for_photos(self, count: int, both_ways: bool = False) -> TrainConfig:
        """The options in effect: an automatic `d_lr` is twice `lr`, or `lr` itself for less than a hundred photos; an
        automatic `transpose` is on where things lie in some photos and stand in others, and the generator can.
        """
        chosen: dict[str, Any] = {}
        if self.d_lr == AUTO:
            chosen["d_lr"] = self.lr if count < FEW_PHOTOS else 2 * self.lr
        if self.transpose == AUTO:
            chosen["transpose"] = "on" if both_ways and self.can_transpose else "off"
        return dataclasses.replace(self, **chosen)

    def to_dict(self) -> dict[str, Any]:
        """The options as JSON takes them."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainConfig:
        """The inverse of `to_dict`.

        Raises:
            TypeError: an option that this version does not know.
        """
        return cls(**values)

    @classmethod
    def of(cls, recipe: str = DEFAULT_RECIPE, **changes: Any) -> TrainConfig:
        """The options of a recipe, with `changes` in their place; `epochs` replace its `total_kimg`.

        Raises:
            KeyError: no such recipe.
            TypeError: no such option.
            ValueError: values and combinations that cannot be meant.
        """
        if changes.get("epochs") and changes.get("total_kimg"):
            raise ValueError("`epochs` and `total_kimg` exclude each other: both say how long to train")
        if "epochs" in changes:
            changes = {"total_kimg": 0.0, **changes}
        return cls(**{**RECIPES[recipe], **changes})


@dataclasses.dataclass(frozen=True)
class Course:
    """How a run is watched and kept; nothing here moves a weight.

    Attributes:
        stats_every: steps between two rows of statistics.
        sample_epochs: epochs between two sample grids, each with a snapshot.
        validation_kimg: thousands of images after which the next sample grid measures the KID: it takes as long as
            some hundred steps.
        keep_snapshots: how many of the newest snapshots stay.
        on_collapse: `warn`; `stop` with exit code 70; or `restart` with other random numbers, three times at most.
        patience_kimg: stop where the KID has not improved for that many thousand images; 0: never.
    """

    stats_every: int = 50
    sample_epochs: int = 10
    validation_kimg: float = 5.0
    keep_snapshots: int = 2
    on_collapse: str = "warn"
    patience_kimg: float = 0.0

    def __post_init__(self) -> None:
        """Raise `ValueError` for values that cannot be meant."""
        _check_values(self)


def _image_size(config: TrainConfig) -> int | str:
    """The size of the images as `sizes.told` tells it.

    Raises:
        ValueError: one that the networks cannot have.
    """
    size = config.image_size
    try:
        width, height = sizes.sides(size)
    except ValueError:
        width, height = 0, 0
    if not config.can_have_any_sides:
        if width != height or width not in IMAGE_SIZES:
            squares = ", ".join(map(str, IMAGE_SIZES))
            raise ValueError(f"`image_size` is {size}, not one of {squares}: others {NEED_BOTH}")
    elif width not in sizes.SIDES or height not in sizes.SIDES:
        raise ValueError(
            f"`image_size` is {size}: give 32, 64, 128 or another multiple of {sizes.SIDES.step} up to "
            f"{sizes.SIDES[-1]}, or width x height of such, as 320x128"
        )
    return sizes.told(width, height)


def _check_values(options: TrainConfig | Course) -> None:
    words = {**CHOICES, "on_collapse": ON_COLLAPSE}
    for field in dataclasses.fields(options):
        name, value = field.name, getattr(options, field.name)
        if name in words and value not in words[name]:
            raise ValueError(f"`{name}` is {value!r}, not one of {', '.join(words[name])}")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"`{name}` is {value}: give a finite number")
        if value is None or isinstance(value, str):
            continue
        if name in POSITIVE and value <= 0:
            raise ValueError(f"`{name}` is {value}: give one above 0")
        if name in NOT_NEGATIVE and value < 0:
            raise ValueError(f"`{name}` is {value}: give 0 or more")
        if (name in AT_MOST_1 and value > 1) or (name in BELOW_1 and value >= 1):
            raise ValueError(f"`{name}` is {value}: give {'less than' if name in BELOW_1 else 'at most'} 1")


RECIPES: dict[str, dict[str, Any]] = {
    "dcgan": {},
    "small-data": {
        "loss": "relativistic",
        "d_batch_norm": False,
        "minibatch_stddev": True,
        "r1_gamma": 3.0,
        "standardize": True,
        "augment": True,
        "ema_kimg": 2.0,
        "lr_decay": 0.5,
        "total_kimg": 90.0,
        "batch_size": 16,
        "flip": "both",
        "beta1": 0.0,
        "beta2": 0.99,
        "precision": "auto",
    },
}
RECIPES["shift"] = {
    **RECIPES["small-data"],
    "architecture": "shift",
    "total_kimg": 36.0,
    "z_dim": 128,
    "d_width": 16,
    "d_two_part": True,
    "bands": True,
    "band_weight": 0.6,
    "d_lr": AUTO,
    "transpose": AUTO,
    "feature_matching": 3.0,
}
"""Named sets of options: `shift` and `small-data` are for a few hundred images, `dcgan` is the plain paper recipe; the
generator of `shift` puts its content at any place, those of the others on a grid."""
