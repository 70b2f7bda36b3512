"""Files that hold only the weights that are there, readable with `torch.load(weights_only=True)`."""

from collections.abc import Mapping
from os import PathLike
from typing import IO, Any, TypeAlias, TypeVar

import torch
from torch import Tensor, nn

from lightning_neuro.gradient_rewiring.sparse_layers import SparseConv2d, SparseLinear, SparseWeight, compress, expand

FORMAT = "lightning_neuro sparse 1"
LARGEST_DENSITY = 0.4
M = TypeVar("M", bound=nn.Module)
Path: TypeAlias = str | PathLike[str] | IO[bytes]


def save_sparse(model: nn.Module, path: Path) -> None:
    """Write a net, dense or exported, with its sparse weights in compressed rows of 32-bit indices.

    Tensors with more than 40 % of their elements are written as they are.

    Args:
        model: any module.
        path: a path or a file open for writing.

    >>> import io
    >>> net, file = nn.Linear(4, 4), io.BytesIO()
    >>> _ = net.weight.data.fill_diagonal_(0.5).tril_().triu_()
    >>> save_sparse(net, file)
    >>> _ = file.seek(0)
    >>> sorted(torch.load(file, weights_only=True)["tensors"]["weight"])
    ['col', 'crow', 'shape', 'values']
    """
    tensors = {name: _packed(tensor) for name, tensor in _dense_state(model).items()}
    torch.save({"format": FORMAT, "tensors": tensors}, path)


def load_sparse(path: Path, model: M) -> M:
    """Read a file of `save_sparse` into a net, dense or exported, and return it.

    Args:
        path: a path or a file open for reading.
        model: of the same architecture as the one saved.

    Raises:
        ValueError: the file is another kind, or of another model; nothing has changed then.

    >>> import io
    >>> net, file = nn.Linear(4, 4), io.BytesIO()
    >>> save_sparse(net, file)
    >>> _ = file.seek(0)
    >>> torch.equal(load_sparse(file, nn.Linear(4, 4)).weight, net.weight)
    True
    """
    content = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"load_sparse: expected a file of save_sparse, got another kind of file: {path}.")
    tensors = {name: _unpacked(packed) for name, packed in content["tensors"].items()}
    _check_same(_dense_state(model), tensors)
    with torch.no_grad():
        weights = _sparse_weights(model)
        for name, weight in weights.items():
            fresh = SparseWeight(tensors.pop(name).to(weight.values))
            weight.crow, weight.col = fresh.crow.to(weight.crow.device), fresh.col.to(weight.col.device)
            weight.values = fresh.values
        model.load_state_dict(tensors, strict=False)
    return model


def _sparse_weights(model: nn.Module) -> dict[str, SparseWeight]:
    return {
        f"{name}.weight" if name else "weight": module.weight
        for name, module in model.named_modules()
        if isinstance(module, SparseLinear | SparseConv2d)
    }


def _dense_state(model: nn.Module) -> dict[str, Tensor]:
    """Return the state of a net as if nothing in it had been exported."""
    sparse = _sparse_weights(model)
    parts = {f"{name}.{part}" for name in sparse for part in ("crow", "col", "values")}
    state = {name: tensor for name, tensor in model.state_dict().items() if name not in parts}
    return state | {name: weight.to_dense() for name, weight in sparse.items()}


def _packed(tensor: Tensor) -> Tensor | dict[str, Any]:
    if tensor.ndim < 2 or not tensor.is_floating_point() or not tensor.numel() > 0:
        return tensor
    if int(tensor.count_nonzero()) > LARGEST_DENSITY * tensor.numel():
        return tensor
    crow, col, values = compress(tensor)
    return {"shape": list(tensor.shape), "crow": crow, "col": col, "values": values}


def _unpacked(packed: Tensor | Mapping[str, Any]) -> Tensor:
    if isinstance(packed, Tensor):
        return packed
    return expand(packed["crow"], packed["col"], packed["values"], tuple(packed["shape"]))


def _check_same(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    wanted = {name: tuple(tensor.shape) for name, tensor in expected.items()}
    got = {name: tuple(tensor.shape) for name, tensor in found.items()}
    wrong = sorted(name for name in wanted.keys() | got.keys() if wanted.get(name) != got.get(name))
    if wrong:
        told = ", ".join(
            f"{name!r}: {got.get(name, 'nothing')} for {wanted.get(name, 'nothing')}" for name in wrong[:5]
        )
        raise ValueError(
            f"load_sparse: the file belongs to another model (file for model: {told}). Build the model that was saved."
        )
