"""Data modules for images that are on disk or embedded in a package; nothing is downloaded."""

from lightning_neuro.data.choose import image_data
from lightning_neuro.data.cifar10 import Cifar10Data
from lightning_neuro.data.digits import DigitsData
from lightning_neuro.data.errors import DataFormatError, DataNotFoundError
from lightning_neuro.data.idx_images import IdxImageData
from lightning_neuro.data.images import ImageDataModule
from lightning_neuro.data.labelled_images import LabelledImages
from lightning_neuro.data.resumable_loader import ResumableLoader

__all__ = [
    "Cifar10Data",
    "DataFormatError",
    "DataNotFoundError",
    "DigitsData",
    "IdxImageData",
    "ImageDataModule",
    "LabelledImages",
    "ResumableLoader",
    "image_data",
]
