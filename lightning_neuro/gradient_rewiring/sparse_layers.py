"""Layers that hold only the weights that are there, for inference."""

import math
import warnings
from typing import TypeVar

import torch
from torch import Tensor, nn

Layer = TypeVar("Layer", nn.Linear, nn.Conv2d)
FEW_COLUMNS = 16


class SparseWeight(nn.Module):
    """A weight in compressed sparse rows with 32-bit indices.

    Args:
        weight: dense, `(out, in, ...)`; everything after the first dimension counts as columns.
    """

    crow: Tensor
    col: Tensor
    values: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.shape = tuple(weight.shape)
        for name, tensor in zip(("crow", "col", "values"), compress(weight), strict=True):
            self.register_buffer(name, tensor)

    def forward(self, columns: Tensor) -> Tensor:
        """Return `W @ columns` for columns `(in, N)`: `(out, N)`.

        In single precision on the CPU, each output is a weighted sum of rows of the columns, which torch does for
        embeddings in half the time of its sparse product, or less, unless the rows are very short.
        """
        with torch.autocast(columns.device.type, enabled=False):  # sparse products know single and double precision
            return self._product(columns).to(columns.dtype)

    def _product(self, columns: Tensor) -> Tensor:
        values = self.values.to(torch.promote_types(self.values.dtype, torch.float32))
        columns = columns.to(values.dtype)
        if columns.device.type == "cpu" and columns.dtype == torch.float32 and columns.shape[1] >= FEW_COLUMNS:
            rows = columns.contiguous()
            return nn.functional.embedding_bag(
                self.col, rows, self.crow, mode="sum", per_sample_weights=values, include_last_offset=True
            )
        size = (self.shape[0], math.prod(self.shape[1:]))
        return csr(self.crow, self.col, values, size) @ columns

    def to_dense(self) -> Tensor:
        """Return the dense weight."""
        return expand(self.crow, self.col, self.values, self.shape)


class SparseLinear(nn.Module):
    """A linear layer whose absent weights cost neither memory nor time: `y = x W^T + b`.

    Args:
        layer: the dense layer.

    >>> dense = nn.Linear(3, 2)
    >>> sparse = SparseLinear(dense)
    >>> torch.allclose(sparse(torch.ones(4, 3)), dense(torch.ones(4, 3)))
    True
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.weight = SparseWeight(layer.weight.detach())
        self.bias: Tensor | None
        self.register_buffer("bias", None if layer.bias is None else layer.bias.detach().clone())

    def forward(self, inputs: Tensor) -> Tensor:
        """Return `(..., out_features)` for inputs `(..., in_features)`."""
        columns = inputs.reshape(-1, self.in_features).T
        outputs = self.weight(columns).T
        if self.bias is not None:
            outputs = outputs + self.bias
        return outputs.reshape(*inputs.shape[:-1], self.out_features)

    def to_dense(self) -> nn.Linear:
        """Return the dense layer."""
        weight = self.weight.to_dense()
        layer = nn.Linear(self.in_features, self.out_features, self.bias is not None).to(weight)
        return _filled(layer, weight, self.bias)

    def extra_repr(self) -> str:
        """Return what `repr` shows."""
        return f"{self.in_features}, {self.out_features}, connections={len(self.weight.values)}"


class SparseConv2d(nn.Module):
    """A convolution as a sparse product with unfolded patches; pays at a few per cent of connections.

    Args:
        layer: the dense layer, with one group and zero padding.

    >>> dense = nn.Conv2d(2, 3, 3, padding=1)
    >>> image = torch.ones(1, 2, 5, 5)
    >>> torch.allclose(SparseConv2d(dense)(image), dense(image), atol=1e-6)
    True
    """

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__()
        self.settings = {
            "kernel_size": layer.kernel_size,
            "stride": layer.stride,
            "padding": layer.padding,
            "dilation": layer.dilation,
        }
        self.weight = SparseWeight(layer.weight.detach())
        self.bias: Tensor | None
        self.register_buffer("bias", None if layer.bias is None else layer.bias.detach().clone())

    @staticmethod
    def fits(layer: nn.Conv2d) -> bool:
        """Tell whether a convolution can be written so."""
        return layer.groups == 1 and layer.padding_mode == "zeros" and not isinstance(layer.padding, str)

    def forward(self, images: Tensor) -> Tensor:
        """Return `(B, out, H', W')` for images `(B, in, H, W)`, and without B for one image."""
        if images.ndim == 3:
            one: Tensor = self(images[None])
            return one[0]
        patches = nn.functional.unfold(images, **self.settings)  # type: ignore[arg-type]
        batch, rows, places = patches.shape
        outputs = self.weight(patches.transpose(0, 1).reshape(rows, -1)).view(-1, batch, places).transpose(0, 1)
        if self.bias is not None:
            outputs = outputs + self.bias[:, None]
        return outputs.reshape(batch, -1, *self._places(images))

    def _places(self, images: Tensor) -> list[int]:
        each = zip(images.shape[-2:], *self.settings.values(), strict=True)
        return [
            (size + 2 * pad - dilate * (kernel - 1) - 1) // stride + 1 for size, kernel, stride, pad, dilate in each
        ]

    def to_dense(self) -> nn.Conv2d:
        """Return the dense layer."""
        weight = self.weight.to_dense()
        out, into = weight.shape[:2]
        layer = nn.Conv2d(into, out, bias=self.bias is not None, **self.settings).to(weight)  # type: ignore[arg-type]
        return _filled(layer, weight, self.bias)


def compress(weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return row starts, columns and values of a weight, its later dimensions flattened into columns.

    >>> [part.tolist() for part in compress(torch.tensor([[0.0, 2.0], [0.0, 0.0], [3.0, 0.0]]))]
    [[0, 1, 1, 2], [1, 0], [2.0, 3.0]]
    """
    flat = weight.detach().flatten(1)
    rows, columns = flat.nonzero(as_tuple=True)
    starts = torch.zeros(len(flat) + 1, dtype=torch.int64, device=flat.device)
    starts[1:] = torch.bincount(rows, minlength=len(flat)).cumsum(0)
    return starts.int(), columns.int(), flat[rows, columns]


def expand(crow: Tensor, col: Tensor, values: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return the dense weight that `compress` has taken apart.

    >>> expand(*compress(torch.tensor([[0.0, 2.0], [3.0, 0.0]])), (2, 2)).tolist()
    [[0.0, 2.0], [3.0, 0.0]]
    """
    dense = values.new_zeros(shape)
    rows = torch.arange(shape[0], device=crow.device).repeat_interleave(crow.diff())
    dense.view(shape[0], -1)[rows, col.long()] = values
    return dense


def csr(crow: Tensor, col: Tensor, values: Tensor, size: tuple[int, int]) -> Tensor:
    """Return a tensor in torch's own layout, without its notice that the layout is young."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(crow, col, values, size, check_invariants=False)


def _filled(layer: Layer, weight: Tensor, bias: Tensor | None) -> Layer:
    with torch.no_grad():
        layer.weight.copy_(weight)
        if bias is not None and layer.bias is not None:
            layer.bias.copy_(bias)
    return layer
