import pytest
import torch
from torch.utils.data import DataLoader

from lightning_neuro.data import LabelledImages
from lightning_neuro.data.labelled_images import WholeBatches, as_is


def make(flatten=False, count=10):
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, 3, 4, 5), dtype=torch.uint8, generator=generator)
    return LabelledImages(
        pixels, torch.arange(count), shift=[10.0, 20.0, 30.0], spread=[50.0, 60.0, 70.0], flatten=flatten
    )


def test_batch_is_a_slow_loop_over_pixels():
    images = make()
    found, labels = images.batch([7, 2])
    for row, index in enumerate([7, 2]):
        for channel in range(3):
            slow = (images.pixels[index, channel].double() - (10 + 10 * channel)) / (50 + 10 * channel)
            torch.testing.assert_close(found[row, channel].double(), slow)
    assert found.dtype == torch.float32
    assert labels.tolist() == [7, 2]


def test_plain_scaling_ends_at_exactly_one():
    pixels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    image, _ = LabelledImages(pixels, torch.tensor([0]), shift=[0.0], spread=[255.0])[0]
    assert torch.equal(image.flatten(), torch.arange(256) / 255)


@pytest.mark.parametrize("flatten", [False, True])
@pytest.mark.parametrize("workers", [0, 1])
def test_whole_batches_equal_stacked_samples(flatten, workers):
    images = make(flatten)
    plain = DataLoader(images, batch_size=4)
    whole = DataLoader(WholeBatches(images), batch_size=4, collate_fn=as_is, num_workers=workers)
    assert len(plain) == len(whole) == 3
    for (x, y), (fast_x, fast_y) in zip(plain, whole, strict=True):
        assert torch.equal(x, fast_x)
        assert torch.equal(y, fast_y)
        assert x.shape[1:] == ((60,) if flatten else (3, 4, 5))


def test_without_labels():
    view = WholeBatches(make(), with_labels=False)
    assert torch.equal(view[3], make()[3][0])
    assert torch.equal(view.__getitems__([3, 4]), make().batch([3, 4])[0])


def test_pixels_are_never_changed():
    images = make()
    before = images.pixels.clone()
    images.batch(range(10))
    images[0][0].zero_()
    assert torch.equal(images.pixels, before)


def test_a_part_gives_what_the_whole_gives_and_has_its_own_pixels():
    images = make(flatten=True)
    part = images.take(torch.tensor([7, 2]))
    for found, expected in zip(part.batch([0, 1]), images.batch([7, 2]), strict=True):
        assert torch.equal(found, expected)
    part.pixels.zero_()
    assert torch.equal(images.pixels, make().pixels)
    assert len(images.take(torch.tensor([], dtype=torch.long))) == 0
