"""What is applied to which parameter group at which step: the settings that callback and optimizer wrapper share."""

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from lightning_neuro.common import checks
from lightning_neuro.gradient_activation import functional
from lightning_neuro.gradient_activation.functional import ActivationFunction

GROUP_KEYS = ("gradient_activation", "gradient_activation_alpha", "gradient_activation_beta")


@dataclass(frozen=True)
class Activation:
    """A gradient activation function with its numbers and its schedule; checked, without state.

    Args:
        owner: class name that opens the error messages.
        function: a name of `functional.FUNCTIONS` or a callable `(gradient, alpha, beta) -> Tensor`.
        alpha: scale of the output, greater than 0.
        beta: scale of the input, greater than 0.
        warmup_steps: optimizer steps over which the strength grows linearly from 0 to 1.
        schedule: strength in [0, 1] as a function of the optimizer step, counted from 0; instead of `warmup_steps`.

    Raises:
        TypeError, ValueError: an argument is of the wrong type or outside its range, or a callable is no gradient
            activation function.

    >>> Activation("Example", warmup_steps=4).strength(1)
    0.25
    """

    owner: str
    function: ActivationFunction = "atan"
    alpha: float = 0.1
    beta: float = 20.0
    warmup_steps: int = 0
    schedule: Callable[[int], float] | None = None
    _validated: set[int] = field(default_factory=set, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_function(self.owner, self.function, self.alpha, self.beta)
        checks.integer(self.owner, "warmup_steps", self.warmup_steps, at_least=0)
        if self.schedule is not None and not callable(self.schedule):
            raise TypeError(f"{self.owner}: schedule must be a function of the step, got {self.schedule!r}.")
        if self.schedule is not None and self.warmup_steps:
            raise ValueError(f"{self.owner}: give warmup_steps or schedule, not both.")

    def strength(self, step: int) -> float:
        """Return how far gradients are moved towards their activated value at this optimizer step, from 0.

        Raises:
            ValueError: the schedule returns a number outside [0, 1].
        """
        if self.schedule is not None:
            return checks.number(self.owner, f"schedule({step})", self.schedule(step), at_least=0, at_most=1)
        return min(1.0, step / self.warmup_steps) if self.warmup_steps else 1.0

    def for_group(self, group: dict[str, Any]) -> tuple[ActivationFunction, float, float]:
        """Return function, alpha and beta for a parameter group, whose own entries, `GROUP_KEYS`, win.

        Raises:
            TypeError, ValueError: the group's entries are not valid.

        >>> Activation("Example").for_group({"params": [], "gradient_activation_beta": 5.0})
        ('atan', 0.1, 5.0)
        """
        if not any(key in group for key in GROUP_KEYS):
            return self.function, self.alpha, self.beta
        function, alpha, beta = (
            group.get(key, default)
            for key, default in zip(GROUP_KEYS, (self.function, self.alpha, self.beta), strict=True)
        )
        function = "identity" if function is None else function
        checks.number(self.owner, GROUP_KEYS[1], alpha, above=0)
        checks.number(self.owner, GROUP_KEYS[2], beta, above=0)
        functional.resolve(function)
        if callable(function) and id(function) not in self._validated:
            functional.validate(function, alpha, beta)
            self._validated.add(id(function))
        return function, alpha, beta

    def acts_on(self, group: dict[str, Any], step: int) -> bool:
        """Tell whether anything at all is changed in a parameter group at this step."""
        return self.strength(step) > 0 and self.for_group(group)[0] != "identity"

    def apply_(self, groups: Iterable[tuple[dict[str, Any], list[Tensor]]], step: int) -> None:
        """Activate gradients in place, each list with the settings of its parameter group."""
        strength = self.strength(step)
        for group, gradients in groups:
            functional.activate_(gradients, *self.for_group(group), strength=strength)


def check_function(owner: str, function: ActivationFunction, alpha: float, beta: float) -> None:
    """Check a function and its numbers; warn where it enlarges nothing.

    Raises:
        TypeError, ValueError: see `Activation`.
    """
    checks.number(owner, "alpha", alpha, above=0)
    checks.number(owner, "beta", beta, above=0)
    if callable(function):
        functional.validate(function, alpha, beta)
        return
    checks.choice(owner, "function", function, functional.FUNCTIONS)
    if function != "identity" and alpha * beta <= 1:
        warnings.warn(
            f"{owner}: alpha * beta is {alpha * beta:g}, at most 1, so no gradient is enlarged, only compressed. "
            "Raise alpha or beta if small gradients should grow.",
            stacklevel=5,
        )
