"""Gradient activation functions: odd, increasing maps that enlarge small gradients and bound large ones.

Symbols, here and in the paper (arXiv 2107.04228): `gradient` g, `alpha` and `beta` as in G(g) = alpha * f(beta * g),
slope at zero k = alpha * beta, `crossover` the size x* at which G(x*) = x*.

The forms of atan, tanh, log and the adaptive atan are those of the authors' published optimizers; the paper's own
text could not be read, so the conditions that `validate` checks are derived from those forms.
"""

import math
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from scipy.optimize import brentq
from torch import Tensor

from lightning_neuro.common import checks
from lightning_neuro.gradient_activation import in_place
from lightning_neuro.gradient_activation.storage import stored

ActivationFunction: TypeAlias = str | Callable[[Tensor, float, float], Tensor]


def atan(gradient: Tensor, alpha: float | Tensor = 0.1, beta: float | Tensor = 20.0) -> Tensor:
    """Arctangent form, `alpha * atan(beta * g)`: within `alpha * pi / 2` of zero.

    Args:
        gradient: any shape, real.
        alpha: scale of the output, greater than 0; a number or a tensor that broadcasts.
        beta: scale of the input, greater than 0; likewise.

    >>> round(atan(torch.tensor(0.05), alpha=0.1, beta=20.0).item(), 6)
    0.07854
    """
    _check_scales("atan", alpha=alpha, beta=beta)
    return alpha * torch.atan(beta * gradient)


def tanh(gradient: Tensor, alpha: float | Tensor = 0.1, beta: float | Tensor = 20.0) -> Tensor:
    """Hyperbolic tangent form, `alpha * tanh(beta * g)`: within `alpha` of zero; arguments as for `atan`.

    >>> round(tanh(torch.tensor(0.05), alpha=0.1, beta=20.0).item(), 6)
    0.076159
    """
    _check_scales("tanh", alpha=alpha, beta=beta)
    return alpha * torch.tanh(beta * gradient)


def log(gradient: Tensor, alpha: float | Tensor = 0.1, beta: float | Tensor = 20.0) -> Tensor:
    """Logarithmic form, `alpha * sign(g) * log(1 + beta * |g|)`: grows without bound, slowly; arguments as for `atan`.

    >>> round(log(torch.tensor(-0.05), alpha=0.1, beta=20.0).item(), 6)
    -0.069315
    """
    _check_scales("log", alpha=alpha, beta=beta)
    return alpha * torch.sign(gradient) * torch.log1p(beta * gradient.abs())


def atan_adaptive(gradient: Tensor, gamma: float, shrink: float, *, largest: Tensor | None = None) -> Tensor:
    """Adaptive arctangent form, `a * atan(gamma * g / a)` with `a = 2 * max|g| / (pi * shrink)` over the tensor.

    Differs from the authors' code, which takes `max(g)`: a tensor whose largest entry is zero turns into NaN there.

    Args:
        gradient: any shape, real.
        gamma: slope at zero, greater than 0.
        shrink: the result stays within `max|g| / shrink` of zero.
        largest: scalar to use instead of `max|g|`, for instance that of the whole tensor where `gradient` is a shard.

    >>> atan_adaptive(torch.tensor([0.0, 0.0]), gamma=2.0, shrink=10.0)
    tensor([0., 0.])
    >>> round(atan_adaptive(torch.tensor([0.01, 1.0]), gamma=2.0, shrink=10.0)[0].item(), 6)
    0.019378
    """
    _check_scales("atan_adaptive", gamma=gamma, shrink=shrink)
    if largest is None:
        largest = gradient.abs().amax() if gradient.numel() else gradient.new_zeros(())
    scale = in_place.adaptive_scale(largest, 1 / shrink)
    return scale * torch.atan(gamma / scale * gradient)


def identity(gradient: Tensor, alpha: float | Tensor = 1.0, beta: float | Tensor = 1.0) -> Tensor:
    """Return the gradient itself: the control.

    >>> identity(torch.tensor(0.05)).item() == torch.tensor(0.05).item()
    True
    """
    return gradient


def _check_scales(owner: str, **scales: float | Tensor) -> None:
    for name, value in scales.items():
        if isinstance(value, float | int):  # tensors are not looked at, which would wait for their device
            checks.number(owner, name, value, above=0)


@dataclass(frozen=True)
class _Form:
    """One named function: how to evaluate it, how to apply it to a list, and its bound in units of `alpha`."""

    evaluate: Callable[[Tensor, float, float], Tensor]
    apply_: Callable[[list[Tensor], float, float], None]
    bound: float


_FORMS = {
    "atan": _Form(atan, in_place.atan_, math.pi / 2),
    "tanh": _Form(tanh, in_place.tanh_, 1.0),
    "log": _Form(log, in_place.log_, math.inf),
    # Its alpha is the bound as a fraction of max|g|, and alpha * beta the slope at zero, as for the others.
    "atan_adaptive": _Form(
        lambda gradient, alpha, beta: atan_adaptive(gradient, gamma=alpha * beta, shrink=1 / alpha),
        in_place.atan_adaptive_,
        1.0,
    ),
    "identity": _Form(identity, in_place.identity_, math.inf),
}
FUNCTIONS = tuple(_FORMS)


def resolve(function: ActivationFunction) -> Callable[[Tensor, float, float], Tensor]:
    """Return the callable `(gradient, alpha, beta) -> Tensor` behind a name; a callable is its own.

    Raises:
        ValueError: the name is not one of `FUNCTIONS`.

    >>> resolve("tanh") is tanh
    True
    """
    if callable(function):
        return function
    return _FORMS[checks.choice("gradient_activation", "function", function, FUNCTIONS)].evaluate


def name_of(function: ActivationFunction) -> str:
    """Return a name for messages and state keys, the same in every process.

    >>> name_of("atan"), name_of(tanh)
    ('atan', 'tanh')
    """
    if isinstance(function, str):
        return function
    return getattr(function, "__qualname__", getattr(function, "__name__", type(function).__qualname__))


@torch.no_grad()
def activate_(
    tensors: Iterable[Tensor | None],
    function: ActivationFunction = "atan",
    alpha: float = 0.1,
    beta: float = 20.0,
    *,
    strength: float = 1.0,
) -> None:
    """Replace every tensor g by `(1 - strength) * g + strength * G(g)`, in place.

    Args:
        tensors: gradients, any shapes, devices and floating or complex types; `None` is passed over. Of a sparse
            tensor the stored values are activated, summed per index first; of a complex one both parts; of a
            `DTensor` the local shard.
        function: one of `FUNCTIONS`, or a callable `(gradient, alpha, beta) -> Tensor`.
        alpha: scale of the output, greater than 0.
        beta: scale of the input, greater than 0.
        strength: 0 leaves the gradients, 1 activates them fully.

    Raises:
        ValueError: unknown name.

    >>> g = torch.tensor([0.05, -1.0])
    >>> activate_([g], "tanh", 0.1, 20.0)
    >>> g
    tensor([ 0.0762, -0.1000])
    """
    if strength == 0 or function == "identity":
        return
    evaluate = resolve(function)
    groups: dict[tuple[torch.device, torch.dtype], list[Tensor]] = {}
    for tensor in tensors:
        if tensor is not None:
            dense = stored(tensor)
            groups.setdefault((dense.device, dense.dtype), []).append(dense)
    for dense_tensors in groups.values():
        if strength < 1:
            for tensor in dense_tensors:
                tensor.lerp_(evaluate(tensor.clone(), alpha, beta), strength)  # a callable may work in place
        elif isinstance(function, str):
            _FORMS[function].apply_(dense_tensors, alpha, beta)
        else:
            for tensor in dense_tensors:
                tensor.copy_(function(tensor, alpha, beta))


def crossover(function: ActivationFunction = "atan", alpha: float = 0.1, beta: float = 20.0) -> float:
    """Return the size x* below which G enlarges and above which it shrinks; 0.0 where it never enlarges.

    For `"atan_adaptive"` it is a fraction of the tensor's max|g|.

    >>> round(crossover("atan", 0.1, 20.0), 4), crossover("atan", 0.7, 0.7), crossover("identity")
    (0.1166, 0.0, 0.0)
    """
    if function == "atan_adaptive":
        return crossover("atan", alpha * 2 / math.pi, beta * math.pi / 2)
    evaluate = resolve(function)

    def excess(x: float) -> float:
        return evaluate(torch.tensor(x, dtype=torch.float64), alpha, beta).item() - x

    low, high = 1e-9 / beta, 1.0 / beta
    if excess(low) <= 0:
        return 0.0
    while excess(high) > 0:
        high *= 2
        if high > 1e300:
            return math.inf
    return float(brentq(excess, low, high, xtol=1e-300, rtol=1e-13))


def alpha_beta(function: str, slope: float, bound: float) -> tuple[float, float]:
    """Return `(alpha, beta)` such that a named G has this slope at zero and this bound.

    Args:
        function: `"atan"`, `"tanh"` or `"atan_adaptive"` (for which the bound is a fraction of the tensor's max|g|).
        slope: factor by which the smallest gradients are enlarged, greater than 0.
        bound: largest size of the result, greater than 0.

    Raises:
        ValueError: a number is not positive, or the function has no bound.

    >>> alpha, beta = alpha_beta("atan", slope=2.0, bound=0.1 * math.pi / 2)
    >>> round(alpha, 12), round(beta, 12)
    (0.1, 20.0)
    """
    slope = checks.number("from_slope_and_bound", "slope", slope, above=0)
    bound = checks.number("from_slope_and_bound", "bound", bound, above=0)
    bounded = [name for name, form in _FORMS.items() if math.isfinite(form.bound)]
    alpha = bound / _FORMS[checks.choice("from_slope_and_bound", "function", function, bounded)].bound
    return alpha, slope / alpha


def validate(function: ActivationFunction, alpha: float = 0.1, beta: float = 20.0) -> None:
    """Check on a logarithmic grid that a function is a gradient activation function.

    It must be odd, strictly increasing until its rounding or saturation hides it, concave for positive gradients,
    and bounded or slower than linear. A slope at zero of at most 1, which enlarges nothing, is only warned of.

    Args:
        function: a name or a callable `(gradient, alpha, beta) -> Tensor` of the same shape.
        alpha: handed to the function.
        beta: handed to the function.

    Raises:
        TypeError: it cannot be called so, or does not return a tensor of the same shape.
        ValueError: it breaks a condition; the message names which, and where.

    >>> validate(lambda g, alpha, beta: g.sign() * g.abs().sqrt())
    >>> validate(lambda g, alpha, beta: g.abs())
    Traceback (most recent call last):
    ValueError: gradient_activation: function <lambda> must be odd, G(-x) = -G(x), and is not at x = 1e-10.
    """
    name = name_of(function)
    evaluate = resolve(function)
    if function == "identity":
        return
    x = torch.logspace(-10, 10, 401, dtype=torch.float64)
    try:
        y = evaluate(torch.cat([-x.flip(0), x.new_zeros(1), x]), alpha, beta)
    except TypeError as error:
        raise TypeError(
            f"gradient_activation: function {name} must be callable as function(gradient, alpha, beta): {error}"
        ) from error
    if not isinstance(y, Tensor) or y.shape != (803,):
        raise TypeError(f"gradient_activation: function {name} must return a tensor of the shape it is given.")
    negative, zero, positive = y[:401].flip(0), y[401], y[402:]
    _require(name, "odd, G(-x) = -G(x),", x, torch.isclose(negative, -positive, rtol=1e-9, atol=0.0))
    _require(name, "zero at zero", x[:1] * 0, zero.reshape(1) == 0)
    slopes = torch.diff(positive) / torch.diff(x)
    saturated = positive[1:] >= positive[-1] * (1 - 1e-9)
    _require(name, "increasing", x[1:], (slopes > 0) | (saturated & (slopes >= 0)))
    _require(name, "concave for x >= 0", x[2:], torch.diff(slopes) <= 1e-9 * slopes[:-1] + 1e-15)
    _require(name, "bounded or slower than linear", x[-1:], slopes[-1:] <= 0.5 * slopes[300])
    if (slope := (positive[0] / x[0]).item()) <= 1:
        warnings.warn(
            f"gradient_activation: function {name} has slope {slope:g} at zero: it enlarges no gradient. "
            "Raise alpha * beta above 1 if small gradients should grow.",
            stacklevel=2,
        )


def _require(name: str, condition: str, x: Tensor, holds: Tensor) -> None:
    if not bool(holds.all()):
        where = x[int((~holds).nonzero()[0])].item()
        raise ValueError(f"gradient_activation: function {name} must be {condition} and is not at x = {where:g}.")
