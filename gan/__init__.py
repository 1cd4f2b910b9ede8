"""Turn a folder of images into a generator.

from gan import TrainConfig, load_images, train
"""

from typing import TYPE_CHECKING

from models.lazy import lazy_names

__all__ = [
    "RECIPES",
    "Course",
    "Discriminator",
    "Generator",
    "ImageSet",
    "Quality",
    "TrainConfig",
    "Validation",
    "evaluate",
    "load_features",
    "load_generator",
    "load_images",
    "read_training",
    "train",
]

if TYPE_CHECKING:
    from gan.checkpoint import load_generator, read_training
    from gan.config import RECIPES, TrainConfig
    from gan.dataset import ImageSet, load_images
    from gan.features import load_features
    from gan.networks import Discriminator, Generator
    from gan.quality import Quality, evaluate
    from gan.training import Course, train
    from gan.validation import Validation
else:
    __getattr__ = lazy_names(
        {
            "RECIPES": "gan.config",
            "TrainConfig": "gan.config",
            "ImageSet": "gan.dataset",
            "load_images": "gan.dataset",
            "Discriminator": "gan.networks",
            "Generator": "gan.networks",
            "load_features": "gan.features",
            "Quality": "gan.quality",
            "evaluate": "gan.quality",
            "load_generator": "gan.checkpoint",
            "read_training": "gan.checkpoint",
            "Course": "gan.training",
            "train": "gan.training",
            "Validation": "gan.validation",
        }
    )
