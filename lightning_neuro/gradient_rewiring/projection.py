"""What Grad R and Deep R share: a hidden theta behind every weight, kept in step with an optimizer.

The optimizer trains the weights as ever. After each of its steps a hook reads where it has put them, moves theta
accordingly and writes the projected weights back in place. Before each step, and after a closure if there is one, a
second hook looks at the gradients and at whether somebody else has written to the weights.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lightning_neuro.common import checks
from lightning_neuro.gradient_rewiring import functional, statistics
from lightning_neuro.gradient_rewiring.admission import check_same_weights, checked_weights
from lightning_neuro.gradient_rewiring.draws import generator
from lightning_neuro.gradient_rewiring.functional import ZeroSign

OnNonfinite: TypeAlias = Literal["raise", "skip", "ignore"]


class Projection(ABC):
    """Keeps `weight = sign * max(theta, 0)` through the steps of an optimizer.

    Args:
        optimizer: any elementwise torch optimizer; `LBFGS` is refused.
        named_parameters: pairs of a name and a weight that the optimizer trains, or a mapping.
        zero_sign: as in `functional.split`.
        on_nonfinite: when a gradient that the optimizer is to use is NaN or infinite, `"raise"` a
            `FloatingPointError` before the step changes anything, `"skip"` the step for all parameters of the
            optimizer, or `"ignore"` it.
        seed: of random signs and whatever else is drawn.
        freeze_after: optimizer steps after which connections stay as they are; None for never.
        owner: opens the messages; None for the name of the class.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        named_parameters: Iterable[tuple[str, nn.Parameter]] | Mapping[str, nn.Parameter],
        *,
        zero_sign: ZeroSign,
        on_nonfinite: OnNonfinite,
        seed: int,
        freeze_after: int | None = None,
        owner: str | None = None,
    ) -> None:
        self.owner = owner = owner or type(self).__name__
        self.zero_sign: ZeroSign = checks.choice(owner, "zero_sign", zero_sign, ("random", "dead"))
        self.on_nonfinite: OnNonfinite = checks.choice(owner, "on_nonfinite", on_nonfinite, ("raise", "skip", "ignore"))
        self.seed = checks.integer(owner, "seed", seed, at_least=0)
        pairs = named_parameters.items() if isinstance(named_parameters, Mapping) else named_parameters
        self.freeze_after = (
            None if freeze_after is None else checks.integer(owner, "freeze_after", freeze_after, at_least=0)
        )
        self.optimizer = optimizer
        self.weights = checked_weights(owner, optimizer, list(pairs))
        self.theta: dict[str, Tensor] = {}
        self.sign: dict[str, Tensor] = {}
        self.steps = 0
        self.frozen = False
        self.resynchronised = 0
        self.unmoved = set(self.weights)
        self._seen: dict[str, tuple[int, int]] = {}
        self._handles: list[Any] = []

    def _attach(self) -> None:
        """Take the weights apart and begin to follow the optimizer; the last act of a constructor."""
        for name, weight in self.weights.items():
            self.theta[name], self.sign[name] = functional.split(weight, self.zero_sign, generator(self.seed, name))
        self._handles = [
            self.optimizer.register_step_pre_hook(self._before_step),
            self.optimizer.register_step_post_hook(self._after_step),
        ]
        self._look()

    @abstractmethod
    def _update_(self, names: list[str]) -> None:
        """Move theta and project the weights that the optimizer has just moved."""

    def remove(self) -> None:
        """Stop following the optimizer; weights, theta and signs stay as they are."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def freeze(self) -> None:
        """Keep the connections as they are from now on; weights go on learning."""
        self.frozen = True

    def connectivity(self) -> dict[str, float]:
        """Return the fraction of weights that are not 0, by name and in `"total"`."""
        return statistics.connectivity(self.weights)

    @torch.no_grad()
    def trim_(self, keep: Mapping[str, int]) -> None:
        """Leave only the strongest connections, as many per tensor as `keep` says; never adds one."""
        for name, count in keep.items():
            self.theta[name].copy_(functional.trim(self.theta[name], count))
            self._show_(name)
        self._look()

    @torch.no_grad()
    def resync(self, names: Iterable[str] | None = None) -> None:
        """Take weights that somebody else has set for the truth: adjust theta and signs to them.

        Called by itself before a step when a weight was written to in place; call it after writing through `.data`.

        Args:
            names: which; None for all.
        """
        for name in self.weights if names is None else names:
            weight = self.weights[name]
            theta, sign = (_like(tensor, weight) for tensor in (self.theta[name], self.sign[name]))
            self.theta[name], self.sign[name] = functional.adopt(theta, sign, weight)
            self.resynchronised += 1
        self._look()

    @torch.no_grad()
    def project_(self) -> None:
        """Bring weights that were averaged or swapped in back to the connections of theta, and theta to their size."""
        for name, weight in self.weights.items():
            connected = self.theta[name] > 0
            strength = (self.sign[name] * weight).to(self.theta[name].dtype)
            self.theta[name].copy_(strength.where(connected, self.theta[name]))
            self._show_(name)
        self._look()

    @torch.no_grad()
    def differing(self) -> list[str]:
        """Return the names of weights that are not `sign * max(theta, 0)`, element by element."""
        return [
            name
            for name, weight in self.weights.items()
            if not torch.equal(weight, functional.join(self.theta[name], self.sign[name]).to(weight.dtype))
        ]

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and builtin types only, so that `torch.load(weights_only=True)` reads them."""
        tensors = {name: {"theta": self.theta[name], "sign": self.sign[name]} for name in self.weights}
        return {"steps": self.steps, "frozen": self.frozen, "tensors": tensors}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state; where the weights are not those that belong to it, the weights win.

        Raises:
            ValueError: it belongs to other tensors; nothing has changed then.
        """
        self.check_state(state)
        for name, saved in state["tensors"].items():
            self.theta[name].copy_(saved["theta"])
            self.sign[name].copy_(saved["sign"])
        self.steps, self.frozen = int(state["steps"]), bool(state["frozen"])
        self.resync(self.differing())

    def check_state(self, state: Mapping[str, Any]) -> None:
        """Raise if a state belongs to other tensors.

        Raises:
            ValueError: it does.
        """
        found = {name: tuple(tensors["theta"].shape) for name, tensors in state["tensors"].items()}
        check_same_weights(self.owner, found, {name: tuple(weight.shape) for name, weight in self.weights.items()})

    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> tuple[Any, Any] | None:
        """Look before the step; with a closure, which computes the gradients, when it has done so."""
        closure = kwargs.get("closure") if "closure" in kwargs else (args[1] if len(args) > 1 else None)
        if closure is None:
            self._prepare()
            return None

        def watched() -> Any:
            loss = closure()
            self._prepare()
            return loss

        return (args, {**kwargs, "closure": watched}) if "closure" in kwargs else ((args[0], watched), kwargs)

    def _prepare(self) -> None:
        changed = [name for name, weight in self.weights.items() if self._seen[name] != _stamp(weight)]
        if changed:
            self.resync(changed)
        if self.on_nonfinite != "ignore" and getattr(self.optimizer, "found_inf", None) is None:
            self._check_gradients()
        self._freeze_when_due()

    def _freeze_when_due(self) -> None:
        if not self.frozen and self.freeze_after is not None and self.steps >= self.freeze_after:
            self.freeze()

    def _check_gradients(self) -> None:
        """Look at all gradients that the optimizer will use, so that what is said of this step holds for all of it."""
        every = [p for group in self.optimizer.param_groups for p in group["params"] if p.grad is not None]
        bad = [parameter for parameter in every if not _finite(parameter.grad)]
        if bad and self.on_nonfinite == "raise":
            names = {id(weight): repr(name) for name, weight in self.weights.items()}
            which = names.get(id(bad[0]), f"a parameter of shape {tuple(bad[0].shape)} that is not rewired")
            raise FloatingPointError(
                f"{self.owner}: the gradient of {which} holds NaN or infinity at optimizer step {self.steps}, which "
                "would stay in the weights for ever. This step has changed nothing. Lower the learning rate, look for "
                "the cause with detect_anomaly, or pass on_nonfinite='skip'."
            )
        if bad:
            self.optimizer.zero_grad(set_to_none=True)  # torch optimizers pass over parameters without gradient

    @torch.no_grad()
    def _after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        # A fused optimizer under a gradient scaler steps or does not on the device, and does not say.
        found_inf = getattr(self.optimizer, "found_inf", None)
        moved = [name for name, weight in self.weights.items() if weight.grad is not None]
        if moved and not (found_inf is not None and bool(found_inf)):
            self._update_(moved)
            self.unmoved.difference_update(moved)
            self.steps += 1
            self._freeze_when_due()
        self._look()

    def _fine_tune_(self, names: list[str]) -> None:
        for name in names:
            theta = functional.fine_tune(self.theta[name], self.sign[name], self.weights[name])
            self.theta[name].copy_(theta)
            self._show_(name)

    def _show_(self, name: str) -> None:
        self.weights[name].copy_(functional.join(self.theta[name], self.sign[name]))

    def _look(self) -> None:
        self._seen = {name: _stamp(weight) for name, weight in self.weights.items()}

    def _groups(self) -> dict[int, dict[str, Any]]:
        """Return each parameter's group; looked up anew, because loading a state replaces the groups."""
        return {id(p): group for group in self.optimizer.param_groups for p in group["params"]}

    def _rate(self, name: str, group: Mapping[str, Any], *, corrected: bool) -> float:
        """Return the learning rate, with Adam's correction of the first moment if it is asked for and there is one."""
        rate = float(group["lr"])
        step = self.optimizer.state[self.weights[name]].get("step")
        if not corrected or step is None or "betas" not in group:
            return rate
        return functional.bias_corrected(rate, float(group["betas"][0]), int(step))


def _finite(gradient: Tensor) -> bool:
    """Tell whether all elements are finite; one sum first, which overflows only rarely."""
    values = gradient.coalesce().values() if gradient.is_sparse else gradient
    return bool(values.sum().isfinite()) or bool(values.isfinite().all())


def _stamp(weight: Tensor) -> tuple[int, int]:
    return weight._version, weight.data_ptr()


def _like(tensor: Tensor, weight: Tensor) -> Tensor:
    """Return a tensor on the device and in the memory order of a weight."""
    if tensor.device == weight.device and tensor.stride() == weight.stride():
        return tensor
    return torch.empty_like(weight, dtype=tensor.dtype).copy_(tensor)
