"""A genome: the trainable weights of a module as one flat vector."""

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter


class Genome:
    """How the trainable weights of a module lie in one vector `theta (d,)`.

    The order is that of `module.parameters()`, each flattened as it is read, last dimension first. Parameters that do
    not require a gradient, and buffers, stay out: all individuals share them. Tied parameters count once. Only the
    order is kept, not the module: one genome serves every copy of it.

    Args:
        module: what is to be evolved.

    Raises:
        TypeError: `module` is not a module, or its trainable weights are not real floating point of one dtype.
        ValueError: nothing is trainable, or weights are not initialised yet (lazy layers).

    >>> genome = Genome(nn.Linear(3, 2))
    >>> genome.names, genome.shapes, genome.size
    (('weight', 'bias'), (torch.Size([2, 3]), torch.Size([2])), 8)
    """

    def __init__(self, module: nn.Module) -> None:
        _check_module(module)
        trainable = [(name, parameter) for name, parameter in module.named_parameters() if parameter.requires_grad]
        if not trainable:
            raise ValueError(
                f"Genome: {type(module).__name__} has no parameter with requires_grad, so there is nothing to "
                "evolve. Call requires_grad_() on the layers that should change."
            )
        _check_dtypes(trainable)
        self.names: tuple[str, ...] = tuple(name for name, _ in trainable)
        self.shapes: tuple[torch.Size, ...] = tuple(parameter.shape for _, parameter in trainable)
        self._sizes = [parameter.numel() for _, parameter in trainable]
        self.size: int = sum(self._sizes)

    def vector(self, module: nn.Module) -> Tensor:
        """Return a copy of the module's weights, `(d,)`, without gradient.

        >>> layer = nn.Linear(1, 1)
        >>> Genome(layer).vector(layer).tolist() == [layer.weight.item(), layer.bias.item()]
        True
        """
        return torch.cat([module.get_parameter(name).detach().reshape(-1) for name in self.names])

    def tensors(self, vectors: Tensor) -> dict[str, Tensor]:
        """Return the weights by name as views of stacked vectors.

        Args:
            vectors: `(..., d)`, for instance a population `(P, d)`.

        Returns:
            One tensor `(..., *shape)` for each name.

        Raises:
            ValueError: the last dimension is not `d`.

        >>> parts = Genome(nn.Linear(3, 2)).tensors(torch.zeros(250, 8))
        >>> {name: tuple(part.shape) for name, part in parts.items()}
        {'weight': (250, 2, 3), 'bias': (250, 2)}
        """
        if vectors.ndim == 0 or vectors.shape[-1] != self.size:
            raise ValueError(f"Genome: expected vectors (..., {self.size}), got shape {tuple(vectors.shape)}.")
        parts = vectors.split(self._sizes, dim=-1)
        lead = vectors.shape[:-1]
        return {
            name: part.unflatten(-1, shape) if shape else part.reshape(lead)
            for name, part, shape in zip(self.names, parts, self.shapes, strict=True)
        }

    def write_(self, module: nn.Module, vector: Tensor) -> None:
        """Copy a vector `(d,)` into the module's weights, in place; dtype and device stay the module's.

        >>> layer = nn.Linear(1, 1)
        >>> Genome(layer).write_(layer, torch.tensor([2.0, 3.0]))
        >>> layer(torch.ones(1)).item()
        5.0
        """
        if vector.ndim != 1:
            raise ValueError(f"Genome: expected one vector ({self.size},), got shape {tuple(vector.shape)}.")
        with torch.no_grad():
            for name, weights in self.tensors(vector).items():
                module.get_parameter(name).copy_(weights)


def _check_module(module: nn.Module) -> None:
    if not isinstance(module, nn.Module):
        raise TypeError(f"Genome: expected a torch.nn.Module, got {module!r} ({type(module).__name__}).")
    lazy = [name for name, parameter in module.named_parameters() if isinstance(parameter, UninitializedParameter)]
    lazy += [name for name, buffer in module.named_buffers() if isinstance(buffer, UninitializedBuffer)]
    if lazy:
        raise ValueError(
            f"Genome: {', '.join(lazy)} of {type(module).__name__} have no shape yet (lazy layers). "
            "Pass one batch of observations through the module first."
        )


def _check_dtypes(trainable: list[tuple[str, nn.Parameter]]) -> None:
    dtypes = {parameter.dtype: name for name, parameter in trainable}
    if len(dtypes) > 1 or not all(dtype.is_floating_point for dtype in dtypes):
        got = ", ".join(f"{name}: {dtype}" for dtype, name in dtypes.items())
        raise TypeError(
            f"Genome: expected trainable weights of one real floating dtype, got {got}. "
            "Convert the module with .float(), or freeze the others with requires_grad_(False)."
        )
