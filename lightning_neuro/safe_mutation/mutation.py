"""From parents and noise to children: pure functions.

    delta = magnitude * n,  n ~ N(0, 1)
    s     = sensitivity; 0 becomes 1, then anything below 0.01 becomes 0.01
    child = parent + clip(delta / s)

| here | paper | meaning |
|---|---|---|
| `params` | theta | parents, `(P, d)` |
| `delta` | delta | noise of the magnitude asked for, `(P, d)` |
| `sensitivity` | s | `(P, d)`, at least 0 |
| `floor` | - | smallest sensitivity divided by, so that no weight is amplified more than `1 / floor` times |

Rules and constants are those of the authors' published program; other values of `zero`, and `normalize`, are ours.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lightning_neuro.common import checks
from lightning_neuro.safe_mutation.population_checks import check_genomes
from lightning_neuro.safe_mutation.rescaling import rescale

ZeroRule = Literal["unit", "floor", "freeze"]
Normalize = Literal["std", "max"]
ZERO_RULES: tuple[ZeroRule, ...] = ("unit", "floor", "freeze")
NORMALIZATIONS: tuple[Normalize, ...] = ("std", "max")


@dataclass(frozen=True)
class Steps:
    """What is to be added to the parents, and what it took.

    Attributes:
        steps: `(P, d)`.
        zero_fraction: `(P,)`, weights of sensitivity exactly 0.
        floored_fraction: `(P,)`, weights whose sensitivity the floor has raised.
        clipped_fraction: `(P,)`, weights whose step the clip has cut.
    """

    steps: Tensor
    zero_fraction: Tensor
    floored_fraction: Tensor
    clipped_fraction: Tensor


def draw_noise(params: Tensor, generator: torch.Generator) -> Tensor:
    """Return standard normal noise like `params`: one block from the generator, so that every device gets the same.

    Args:
        params: `(P, d)`.
        generator: where the noise is drawn from.

    >>> draw_noise(torch.zeros(2, 3), torch.Generator().manual_seed(0)).shape
    torch.Size([2, 3])
    """
    noise = torch.randn(params.shape, generator=generator, dtype=params.dtype, device=generator.device)
    return noise.to(params.device)


def gaussian(params: Tensor, magnitude: float, generator: torch.Generator) -> Tensor:
    """Return children `parent + magnitude * n`: the control, with neither floor nor clip.

    Args:
        params: `(P, d)`.
        magnitude: standard deviation of each weight's step, at least 0; 0 returns the parents, bit by bit.
        generator: where the noise is drawn from.

    Raises:
        TypeError: no floating tensor.
        ValueError: wrong shape, or a negative magnitude.

    >>> gaussian(torch.ones(250, 8), 0.0, torch.Generator()).unique()
    tensor([1.])
    """
    check_genomes("gaussian", "params", params)
    magnitude = checks.number("gaussian", "magnitude", magnitude, at_least=0)
    return moved(params, magnitude * draw_noise(params, generator))


def scaled(
    params: Tensor,
    delta: Tensor,
    sensitivity: Tensor,
    *,
    floor: float = 0.01,
    zero: ZeroRule = "unit",
    clip: float | None = None,
    normalize: Normalize | None = None,
) -> Tensor:
    """Return children `parent + clip(delta / s)`, s the sensitivity after the zero rule and then the floor.

    Args:
        params: `(P, d)`.
        delta: noise of the magnitude asked for, `(P, d)`.
        sensitivity: `(P, d)`, at least 0; infinite where a weight must not move.
        floor: at least 0; sensitivities in between 0 and it are raised to it.
        zero: what a sensitivity of exactly 0 stands for: "unit", a plain step as with sensitivity 1, as the authors
            have it; "floor", the largest step; "freeze", none.
        clip: largest size of a weight's step; None: no limit.
        normalize: ours. "max" first divides the sensitivities of each parent by the largest, so that the magnitude
            is in units of the weights; "std" gives each parent's step the root mean square of its delta.

    Raises:
        TypeError: no floating tensors.
        ValueError: shapes differ, a sensitivity is negative or NaN, or an option is out of range.

    >>> delta, sensitivity = torch.full((1, 3), 0.5), torch.tensor([[50.0, 0.0, 1e-6]])
    >>> scaled(torch.zeros(1, 3), delta, sensitivity)
    tensor([[1.0000e-02, 5.0000e-01, 5.0000e+01]])
    """
    check_genomes("scaled", "params", params)
    check_genomes("scaled", "delta", delta, like=params)
    check_genomes("scaled", "sensitivity", sensitivity, like=params)
    check_scaling("scaled", floor, zero, clip, normalize)
    if not bool((sensitivity >= 0).all()):
        raise ValueError("scaled: sensitivity must be at least 0 everywhere, got a negative entry or NaN.")
    return moved(params, scaled_steps(delta, sensitivity, floor, zero, clip, normalize).steps)


def check_scaling(owner: str, floor: float, zero: str, clip: float | None, normalize: str | None) -> None:
    """Refuse options that `scaled` cannot follow.

    >>> check_scaling("scaled", 0.0, "floor", None, None)
    Traceback (most recent call last):
    ValueError: scaled: zero='floor' divides by the floor, which must be greater than 0, got 0.0.
    """
    checks.number(owner, "floor", floor, at_least=0)
    checks.choice(owner, "zero", zero, ZERO_RULES)
    if zero == "floor" and floor == 0:
        raise ValueError(f"{owner}: zero='floor' divides by the floor, which must be greater than 0, got {floor}.")
    if clip is not None:
        checks.number(owner, "clip", clip, above=0)
    if normalize is not None:
        checks.choice(owner, "normalize", normalize, NORMALIZATIONS)


def scaled_steps(
    delta: Tensor, sensitivity: Tensor, floor: float, zero: ZeroRule, clip: float | None, normalize: Normalize | None
) -> Steps:
    """Return the steps of `scaled`, with how many weights its rules have touched; arguments are not checked."""
    if normalize == "max":
        largest = torch.where(sensitivity.isfinite(), sensitivity, 0).amax(1, keepdim=True)
        sensitivity = sensitivity / torch.where(largest > 0, largest, 1)
    without = sensitivity == 0
    stands_for = {"unit": 1.0, "floor": floor, "freeze": torch.inf}[zero]
    divisor = torch.where(without, stands_for, sensitivity) if bool(without.any()) else sensitivity
    floored = divisor < floor
    steps = delta / divisor.clamp_min(floor)
    if normalize == "std":
        steps = steps * _ratio(_rms(delta), _rms(steps))
    clipped = steps.abs() > clip if clip is not None else torch.zeros_like(without)
    steps = steps.clamp(-clip, clip) if clip is not None else steps
    return Steps(steps, *(_fraction(mask, steps) for mask in (without, floored, clipped)))


def moved(params: Tensor, steps: Tensor) -> Tensor:
    """Return `params + steps`; weights whose step is 0 keep every bit, the sign of a zero included.

    Args:
        params: `(P, d)`.
        steps: `(P, d)`.

    >>> moved(torch.tensor([[-0.0]]), torch.tensor([[0.0]])).tolist()
    [[-0.0]]
    """
    still, children = steps == 0, params.detach() + steps
    return torch.where(still, params.detach(), children) if bool(still.any()) else children


def _rms(values: Tensor) -> Tensor:
    # Of values scaled to 1 at most: squares of large steps would overflow.
    largest = values.abs().amax(1, keepdim=True).clamp_min(torch.finfo(values.dtype).tiny)
    return largest * (values / largest).square().mean(1, keepdim=True).sqrt()


def _ratio(wanted: Tensor, found: Tensor) -> Tensor:
    return torch.where(found > 0, wanted / found, 1)


def _fraction(mask: Tensor, like: Tensor) -> Tensor:
    return mask.to(like.dtype).mean(1)


__all__ = ["Steps", "check_scaling", "draw_noise", "gaussian", "moved", "rescale", "scaled", "scaled_steps"]
