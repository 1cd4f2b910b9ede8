"""Turn a folder of images into a generator.

from gan import ImageSet, TrainConfig, load_images, train
"""

from gan.config import RECIPES, TrainConfig
from gan.dataset import ImageSet, load_images
from gan.networks import Discriminator, Generator
from gan.training import train

__all__ = ["RECIPES", "Discriminator", "Generator", "ImageSet", "TrainConfig", "load_images", "train"]
