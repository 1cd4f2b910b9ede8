"""Turn a folder of images into a generator.

from gan import TrainConfig, load_images, train
"""

from typing import TYPE_CHECKING

from models.lazy import lazy_names

__all__ = [
    "DCGAN",
    "RECIPES",
    "CommonShape",
    "Course",
    "Discriminator",
    "Generator",
    "ImageSet",
    "Quality",
    "Robustness",
    "TrainConfig",
    "TrainedGenerator",
    "Validation",
    "Which",
    "attributes",
    "evaluate",
    "examine_detector",
    "load_features",
    "load_generator",
    "load_images",
    "plan",
    "read_training",
    "report",
    "status",
    "train",
]

if TYPE_CHECKING:
    from gan.config import RECIPES, Course, TrainConfig
    from gan.evaluation.attributes import attributes
    from gan.evaluation.comparison import Quality
    from gan.evaluation.evaluate import evaluate
    from gan.evaluation.features import load_features
    from gan.evaluation.generators import TrainedGenerator
    from gan.evaluation.refusals import CommonShape
    from gan.networks.dcgan import DCGAN
    from gan.networks.discriminator import Discriminator
    from gan.networks.generator import Generator
    from gan.networks.reader import load_generator, read_training
    from gan.photos.read import ImageSet, load_images
    from gan.photos.which import Which
    from gan.robustness.result import Robustness
    from gan.robustness.robustness import examine_detector
    from gan.training.report import report
    from gan.training.run import plan, train
    from gan.training.status import status
    from gan.training.validation import Validation
else:
    __getattr__ = lazy_names(
        {
            "RECIPES": "gan.config",
            "TrainConfig": "gan.config",
            "ImageSet": "gan.photos.read",
            "load_images": "gan.photos.read",
            "DCGAN": "gan.networks.dcgan",
            "Discriminator": "gan.networks.discriminator",
            "Generator": "gan.networks.generator",
            "load_features": "gan.evaluation.features",
            "Quality": "gan.evaluation.comparison",
            "attributes": "gan.evaluation.attributes",
            "evaluate": "gan.evaluation.evaluate",
            "TrainedGenerator": "gan.evaluation.generators",
            "Robustness": "gan.robustness.result",
            "examine_detector": "gan.robustness.robustness",
            "CommonShape": "gan.evaluation.refusals",
            "load_generator": "gan.networks.reader",
            "read_training": "gan.networks.reader",
            "Course": "gan.config",
            "plan": "gan.training.run",
            "train": "gan.training.run",
            "report": "gan.training.report",
            "status": "gan.training.status",
            "Which": "gan.photos.which",
            "Validation": "gan.training.validation",
        }
    )
