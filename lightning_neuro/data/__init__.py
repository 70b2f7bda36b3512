"""Data modules for images, series, events and speech that are on disk or embedded; nothing is downloaded."""

from lightning_neuro.data.binned_events import BinnedEvents
from lightning_neuro.data.choose import image_data
from lightning_neuro.data.cifar10 import Cifar10Data
from lightning_neuro.data.digits import DigitsData
from lightning_neuro.data.errors import DataFormatError, DataNotFoundError
from lightning_neuro.data.folder_data import FolderDataModule
from lightning_neuro.data.idx_images import IdxImageData
from lightning_neuro.data.images import ImageDataModule
from lightning_neuro.data.japanese_vowels import JapaneseVowelsData
from lightning_neuro.data.labelled_data import LabelledDataModule
from lightning_neuro.data.labelled_images import LabelledImages
from lightning_neuro.data.labelled_series import LabelledSeries, PaddedSeries
from lightning_neuro.data.nmnist import NMNISTData
from lightning_neuro.data.ntidigits import NTidigitsData
from lightning_neuro.data.resumable_loader import ResumableLoader
from lightning_neuro.data.santa_fe import SantaFeData
from lightning_neuro.data.shd import SHDData
from lightning_neuro.data.speech import SpeechDataModule
from lightning_neuro.data.spike_trains import SpikeTrainDataModule
from lightning_neuro.data.spoken_letters import SpokenLettersData
from lightning_neuro.data.ti46 import TI46Data

__all__ = [
    "BinnedEvents",
    "Cifar10Data",
    "DataFormatError",
    "DataNotFoundError",
    "DigitsData",
    "FolderDataModule",
    "IdxImageData",
    "ImageDataModule",
    "JapaneseVowelsData",
    "LabelledDataModule",
    "LabelledImages",
    "LabelledSeries",
    "NMNISTData",
    "NTidigitsData",
    "PaddedSeries",
    "ResumableLoader",
    "SHDData",
    "SantaFeData",
    "SpeechDataModule",
    "SpikeTrainDataModule",
    "SpokenLettersData",
    "TI46Data",
    "image_data",
]
