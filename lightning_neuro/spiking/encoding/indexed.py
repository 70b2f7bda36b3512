"""Samples that tell their place in the data set."""

from typing import Any

from torch.utils.data import Dataset

OWNER = "Indexed"


class Indexed(Dataset[tuple[Any, ...]]):
    """A data set whose samples `(x, y)` become `(x, y, index)`, whatever the order in which they are drawn.

    A loader then gives batches `(inputs, targets, index)`, as `PoissonEncoder(fixed=True)` and the boosting of samples
    need them.

    Args:
        dataset: anything with a length and samples by place; one that returns no tuple gives `(x, index)`.

    Raises:
        TypeError: `dataset` has no length or no samples by place.

    >>> import torch
    >>> from torch.utils.data import DataLoader, TensorDataset
    >>> samples = Indexed(TensorDataset(torch.tensor([0.5, 0.7]), torch.tensor([1, 0])))
    >>> next(iter(DataLoader(samples, batch_size=2)))
    [tensor([0.5000, 0.7000]), tensor([1, 0]), tensor([0, 1])]
    """

    def __init__(self, dataset: Any) -> None:
        if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
            raise TypeError(
                f"{OWNER}: dataset must have a length and samples by place, got {type(dataset).__name__}. A stream "
                "knows no places."
            )
        self.dataset = dataset

    def __len__(self) -> int:
        """Samples in the data set."""
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        """Return a sample and its place, counted from the front."""
        place = range(len(self))[index]
        sample = self.dataset[place]
        return (*sample, place) if isinstance(sample, tuple | list) else (sample, place)
