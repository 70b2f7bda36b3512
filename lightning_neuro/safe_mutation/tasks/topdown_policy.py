"""A convolutional recurrent policy for images seen from above."""

import torch
from torch import Tensor, nn

from lightning_neuro.common import checks


class TopdownPolicy(nn.Module):
    """One convolution that looks at a cell at a time, one linear layer, a GRU cell, and scores of four moves.

    Args:
        image_size: V, pixels per side of an image.
        pixels_per_cell: pixels per side of a cell; kernel and stride of the convolution.
        filters: of the convolution.
        hidden: units of the GRU cell.

    Raises:
        TypeError: a number is not an integer.
        ValueError: a number is less than 1, or the image does not hold whole cells.

    >>> scores, state = TopdownPolicy(15, 3)(torch.zeros(8, 3, 15, 15, dtype=torch.uint8))
    >>> scores.shape, state.shape
    (torch.Size([8, 4]), torch.Size([8, 16]))
    """

    def __init__(self, image_size: int, pixels_per_cell: int, filters: int = 4, hidden: int = 16) -> None:
        super().__init__()
        named = {"image_size": image_size, "pixels_per_cell": pixels_per_cell, "filters": filters, "hidden": hidden}
        for name, value in named.items():
            checks.integer("TopdownPolicy", name, value, at_least=1)
        if image_size % pixels_per_cell:
            raise ValueError(
                f"TopdownPolicy: image_size must be a multiple of pixels_per_cell, {pixels_per_cell}, got {image_size}."
            )
        cells = (image_size // pixels_per_cell) ** 2
        self.look = nn.Conv2d(3, filters, pixels_per_cell, stride=pixels_per_cell)
        self.combine = nn.Linear(filters * cells, hidden)
        self.remember = nn.GRUCell(hidden, hidden)
        self.decide = nn.Linear(hidden, 4)

    def forward(self, images: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return scores `(B, 4)` and the next state for bytes `(B, 3, V, V)`."""
        seen = torch.tanh(self.look(images.to(self.look.weight.dtype) / 255))
        combined = torch.tanh(self.combine(seen.flatten(1)))
        state = self.remember(combined, state)
        return self.decide(state), state
