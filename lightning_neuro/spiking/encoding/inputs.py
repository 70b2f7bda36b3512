"""What an encoder accepts, checked once where the user calls."""

from torch import Tensor


def real_tensor(owner: str, name: str, value: object, *, least_dims: int, shape: str) -> Tensor:
    """Return `value` if it is a finite floating-point tensor of at least `least_dims` dimensions.

    Args:
        owner: who asks; opens the message.
        name: the argument's name.
        value: what the user gave.
        least_dims: the fewest dimensions that make sense.
        shape: the expected shape in words, for the message.

    Raises:
        TypeError: not a floating-point tensor.
        ValueError: too few dimensions, or NaN or infinite values.

    >>> import torch
    >>> real_tensor("LatencyEncoder", "x", torch.zeros(3), least_dims=2, shape="(B, ...)")
    Traceback (most recent call last):
    ValueError: LatencyEncoder: x must have shape (B, ...), got (3,).
    """
    if not isinstance(value, Tensor) or not value.is_floating_point():
        got = f"{value.dtype}" if isinstance(value, Tensor) else type(value).__name__
        raise TypeError(f"{owner}: {name} must be a floating-point tensor, got {got}. Convert it with .float().")
    if value.dim() < least_dims:
        raise ValueError(f"{owner}: {name} must have shape {shape}, got {tuple(value.shape)}.")
    if not value.isfinite().all():
        raise ValueError(f"{owner}: {name} must be finite, got NaN or infinite values. Clean the data first.")
    return value


def unit_interval(owner: str, name: str, value: object) -> Tensor:
    """Return `value` if it is a floating-point tensor `(B, ...)` between 0 and 1.

    Raises:
        TypeError: not a floating-point tensor.
        ValueError: the wrong shape, or values outside of 0..1.

    >>> import torch
    >>> unit_interval("PoissonEncoder", "x", torch.tensor([[0.0, 255.0]]))
    Traceback (most recent call last):
    ValueError: PoissonEncoder: x must lie between 0 and 1, got 0 to 255. Scale it, for instance bytes by 1/255.
    """
    tensor = real_tensor(owner, name, value, least_dims=1, shape="(B, ...)")
    if tensor.numel():
        low, high = (bound.item() for bound in tensor.aminmax())
        if low < 0 or high > 1:
            raise ValueError(
                f"{owner}: {name} must lie between 0 and 1, got {low:g} to {high:g}. "
                "Scale it, for instance bytes by 1/255."
            )
    return tensor
