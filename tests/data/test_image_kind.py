import numpy as np
import torch

from lightning_neuro.data.image_kind import RawImages


def test_arrays_of_any_integer_become_tensors():
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 1, 2, 2)
    raw = RawImages.from_arrays(pixels, np.array([2, 0, 1], np.uint8))
    assert (raw.pixels.dtype, raw.labels.dtype) == (torch.uint8, torch.int64)
    assert raw.pixels.tolist() == pixels.tolist()
    assert raw.labels.tolist() == [2, 0, 1]


def test_taken_images_are_copies_in_the_order_asked_for():
    raw = RawImages.from_arrays(np.arange(3, dtype=np.uint8).reshape(3, 1, 1, 1), np.array([7, 8, 9]))
    taken = raw.take(torch.tensor([2, 0]))
    assert taken.pixels.flatten().tolist() == [2, 0]
    assert taken.labels.tolist() == [9, 7]
    taken.pixels.zero_()
    assert raw.pixels.flatten().tolist() == [0, 1, 2]
