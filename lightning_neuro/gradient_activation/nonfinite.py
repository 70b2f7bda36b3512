"""What to do when a gradient holds NaN or infinity, which a bounded activation function would hide."""

import math
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from lightning_neuro.common import checks
from lightning_neuro.gradient_activation.storage import stored

OnNonfinite: TypeAlias = Literal["raise", "skip", "zero", "ignore"]
POLICIES: tuple[OnNonfinite, ...] = ("raise", "skip", "zero", "ignore")


def any_nonfinite(tensors: Sequence[Tensor]) -> Tensor:
    """Return a boolean scalar: does any of these tensors hold NaN or infinity?

    One sum per tensor reads the memory once; only if these do not add up to a finite number, which finite numbers can
    fail to do by overflow too, is every element looked at.

    Args:
        tensors: any shapes; dense or sparse, real or complex.

    >>> any_nonfinite([torch.ones(3), torch.tensor([1.0, float("nan")])])
    tensor(True)
    >>> any_nonfinite([torch.full((3,), 3e38)])
    tensor(False)
    """
    dense = [stored(tensor) for tensor in tensors]
    if any(tensor.is_cuda for tensor in dense):  # to look at the sums would be to wait for the device
        return torch.stack([(~tensor.isfinite().all()).to(dense[0].device) for tensor in dense]).any()
    if math.isfinite(sum(tensor.sum().item() for tensor in dense)):
        return torch.tensor(False)
    return torch.tensor(any(not tensor.isfinite().all() for tensor in dense))


def zero_nonfinite_(tensors: Sequence[Tensor]) -> None:
    """Replace every NaN and infinity by zero, in place.

    >>> g = torch.tensor([1.0, float("inf")])
    >>> zero_nonfinite_([g])
    >>> g
    tensor([1., 0.])
    """
    for tensor in tensors:
        stored(tensor).nan_to_num_(nan=0.0, posinf=0.0, neginf=0.0)


class NonfiniteGuard:
    """Carries out a policy for non-finite gradients, step by step.

    On CUDA the policy `"raise"` reads its flag one step late, when it has long arrived, instead of making the
    processor wait for the device at every step; `"skip"` has to wait; `"zero"` and `"ignore"` never do.

    Args:
        owner: class name that opens the error message.
        policy: `"raise"` a `FloatingPointError`, `"skip"` the step, set the elements to `"zero"`, or `"ignore"` them.

    Raises:
        ValueError: the policy is another one.
    """

    def __init__(self, owner: str, policy: OnNonfinite) -> None:
        self.owner = owner
        self.policy = checks.choice(owner, "on_nonfinite", policy, POLICIES)
        self._pending: tuple[int, Tensor, torch.cuda.Event] | None = None

    def check_(self, gradients: Sequence[Tensor], step: int) -> bool:
        """Look at the gradients of a step before they are activated; return whether the step is to be taken.

        Raises:
            FloatingPointError: the policy is `"raise"` and an element is not finite.
        """
        if self.policy == "ignore" or not gradients:
            return True
        if self.policy == "zero":
            zero_nonfinite_(gradients)
            return True
        if self.policy == "raise" and gradients[0].is_cuda:
            self.flush()
            flag = any_nonfinite(gradients).to("cpu", non_blocking=True)
            event = torch.cuda.Event()
            event.record()
            self._pending = (step, flag, event)
            return True
        found = bool(any_nonfinite(gradients))
        if found and self.policy == "raise":
            self._raise(step)
        return not found

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pending": None}  # a flag in flight belongs to one device and one process

    def flush(self) -> None:
        """Read the flag that is still on its way from the device, if there is one.

        Raises:
            FloatingPointError: it says that an element was not finite.
        """
        if self._pending is not None:
            step, flag, event = self._pending
            self._pending = None
            event.synchronize()
            if bool(flag):
                self._raise(step)

    def _raise(self, step: int) -> None:
        raise FloatingPointError(
            f"{self.owner}: a gradient holds NaN or infinity at optimizer step {step}, which the activation would "
            "hide. Lower the learning rate, look for the cause with detect_anomaly, or pass on_nonfinite='skip' or "
            "'zero'."
        )
