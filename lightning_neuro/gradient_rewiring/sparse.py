"""From a net with many zeros to one that is smaller and faster: export and a measured report."""

import copy
import io
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from lightning_neuro.common import checks
from lightning_neuro.gradient_rewiring import tables
from lightning_neuro.gradient_rewiring.sparse_file import save_sparse
from lightning_neuro.gradient_rewiring.sparse_layers import SparseConv2d, SparseLinear

ROUNDS = 20
M = TypeVar("M", bound=nn.Module)


def export_sparse(model: M, *, min_sparsity: float = 0.85, convolutions: bool = False) -> M:
    """Return a copy for inference whose sparse linear layers hold only the weights that are there.

    Denser layers stay as they are: in compressed rows they would be larger and slower.

    Args:
        model: any module; it is not changed.
        min_sparsity: fraction of zeros from which a layer is converted, from 0 to 1.
        convolutions: convert plain two-dimensional convolutions too, as products with unfolded patches; worth while
            at a few per cent of connections, and it takes memory for the patches.

    Raises:
        ValueError: `min_sparsity` is out of range, or no layer is sparse enough.

    >>> net = nn.Sequential(nn.Linear(40, 20))
    >>> with torch.no_grad():
    ...     _ = net[0].weight.mul_(torch.arange(800).view(20, 40) % 10 == 0)
    >>> export_sparse(net)
    Sequential(
      (0): SparseLinear(
        40, 20, connections=80
        (weight): SparseWeight()
      )
    )
    """
    least = checks.number("export_sparse", "min_sparsity", min_sparsity, at_least=0, at_most=1)
    exported = _copy(model)
    found = list(_convertible(exported, convolutions))
    layers = [layer for layer in found if _sparsity(layer) >= least]
    if not layers:
        told = ", ".join(f"{type(layer).__name__} {100 * _sparsity(layer):.1f} %" for layer in found) or "none"
        raise ValueError(
            f"export_sparse: no layer has at least {100 * least:g} % zeros (found: {told}). Train with "
            "GradientRewiring to a higher sparsity, or lower min_sparsity."
        )
    new: dict[nn.Module, nn.Module] = {
        layer: SparseLinear(layer) if isinstance(layer, nn.Linear) else SparseConv2d(layer) for layer in layers
    }
    return _replaced(exported, new).eval()


def densify(model: M) -> M:
    """Return a copy in which `export_sparse` is undone, for tools that know dense layers only, such as NIR exporters.

    Args:
        model: what `export_sparse` returned, or a net that holds it.

    >>> net = nn.Sequential(nn.Linear(2, 2, bias=False))
    >>> torch.equal(densify(export_sparse(net, min_sparsity=0))[0].weight, net[0].weight)
    True
    """
    dense = _copy(model)
    sparse = [child for child in dense.modules() if isinstance(child, SparseLinear | SparseConv2d)]
    return _replaced(dense, {child: child.to_dense() for child in sparse})


@dataclass(frozen=True)
class SparseReport:
    """What sparsity bought, measured.

    Args:
        dense_bytes: size of a file of the dense net.
        sparse_bytes: size of the file that `save_sparse` writes.
        dense_ms: median time of a forward pass of the dense net.
        sparse_ms: the same of the exported one.
        largest_difference: of their outputs.
    """

    dense_bytes: int
    sparse_bytes: int
    dense_ms: float
    sparse_ms: float
    largest_difference: float

    def __str__(self) -> str:
        size, speed = self.dense_bytes / self.sparse_bytes, self.dense_ms / self.sparse_ms
        rows = [
            ["file, bytes", f"{self.dense_bytes:,}", f"{self.sparse_bytes:,}", f"{size:.1f}x"],
            ["forward, ms", f"{self.dense_ms:.3f}", f"{self.sparse_ms:.3f}", f"{speed:.1f}x"],
        ]
        text = tables.plain("Dense against sparse", ["", "dense", "sparse", "gain"], rows)
        return f"{text}\nLargest difference of outputs: {self.largest_difference:.2g}"


@torch.no_grad()
def measure_sparse(dense: nn.Module, sparse: nn.Module, *inputs: Any, rounds: int = ROUNDS) -> SparseReport:
    """Run a net and its export in turns on the same inputs and compare time, outputs and files.

    Args:
        dense: the trained net.
        sparse: what `export_sparse` made of it.
        inputs: of one forward pass; anything that holds state between passes must reset it itself.
        rounds: how many passes of each.
    """
    rounds = checks.integer("measure_sparse", "rounds", rounds, at_least=1)
    dense = _copy(dense).eval()
    difference = max(
        float((a - b).abs().max()) for a, b in zip(_tensors(dense(*inputs)), _tensors(sparse(*inputs)), strict=True)
    )
    times: dict[str, list[float]] = {"dense": [], "sparse": []}
    for _ in range(rounds):
        times["dense"].append(_clock(lambda: dense(*inputs)))
        times["sparse"].append(_clock(lambda: sparse(*inputs)))
    file, small = io.BytesIO(), io.BytesIO()
    torch.save(dense.state_dict(), file)
    save_sparse(dense, small)
    return SparseReport(
        len(file.getvalue()), len(small.getvalue()), median(times["dense"]), median(times["sparse"]), difference
    )


def _convertible(model: nn.Module, convolutions: bool) -> Iterator[nn.Linear | nn.Conv2d]:
    for child in model.modules():
        if type(child) is nn.Linear or (type(child) is nn.Conv2d and convolutions and SparseConv2d.fits(child)):
            yield child


def _replaced(model: M, new: Mapping[nn.Module, nn.Module]) -> M:
    """Put other layers in the places of some, in every place where a layer is used, the model itself included."""
    for name, child in list(model.named_modules(remove_duplicate=False)):
        if name and child in new:
            parent, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(parent), leaf, new[child])
    return cast(M, new.get(model, model))


def _copy(model: M) -> M:
    """Copy a net without the graphs of hidden states and activations that a last batch has left, which cannot be."""
    left = [buffer for buffer in model.buffers() if buffer.grad_fn is not None]
    left += [value for each in model.modules() for value in vars(each).values() if _has_graph(value)]
    try:
        return copy.deepcopy(model, {id(tensor): tensor.detach().clone() for tensor in left})
    except RuntimeError as error:
        if "deepcopy" not in str(error):
            raise
        raise ValueError(
            f"export_sparse: {type(model).__name__} keeps tensors of its last forward pass, with their graph, in a "
            "list or another object, so it cannot be copied. Detach or delete them, and export again."
        ) from error


def _has_graph(value: object) -> bool:
    return isinstance(value, Tensor) and value.grad_fn is not None


def _sparsity(layer: nn.Linear | nn.Conv2d) -> float:
    return 1 - int(layer.weight.count_nonzero()) / layer.weight.numel()


def _tensors(output: Any) -> list[Tensor]:
    if isinstance(output, Tensor):
        return [output]
    return [tensor for part in output for tensor in _tensors(part)] if isinstance(output, tuple | list) else []


def _clock(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return 1e3 * (time.perf_counter() - start)
