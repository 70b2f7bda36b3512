"""Deep R and soft Deep R on any torch optimizer, without Lightning."""

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lightning_neuro.common import checks
from lightning_neuro.gradient_rewiring import deep
from lightning_neuro.gradient_rewiring.admission import PerTensor, per_tensor
from lightning_neuro.gradient_rewiring.draws import Draws
from lightning_neuro.gradient_rewiring.functional import ZeroSign
from lightning_neuro.gradient_rewiring.projection import OnNonfinite, Projection


class DeepR(Projection):
    """Deep R: connections walk at random along the gradient, those that cross 0 go, and as many others come.

    The hard form keeps exactly `round((1 - sparsity) * n)` connections in every tensor of n, from a random choice at
    the start; reborn ones begin near 0 with the sign that they always had. The soft form lets every synapse walk
    above a floor that balances it near the sparsity.

    Args:
        optimizer: any elementwise torch optimizer; `LBFGS` is refused.
        named_parameters: pairs of a name and a weight that the optimizer trains, or a mapping.
        l1: strength of the penalty that pulls connections to 0, at least 0.
        temperature: of the noise, at least 0, whose scale per step is `sqrt(2 * lr * temperature)`.
        sparsity: from 0 to below 1, one for all or one by name; 1 too where `published`.
        soft: the soft form.
        published: as in the class that the authors of Grad R released, which scales by Adam's bias-corrected learning
            rate, begins with all connections, and in its hard form revives weights that its next step sets to 0
            again. For comparison only.
        zero_sign: what a weight that starts at 0 becomes; always `"dead"` where `published`.
        freeze_after: optimizer steps after which connections stay and only their weights learn; None for never.
        on_nonfinite: for NaN and infinite gradients: `"raise"`, `"skip"` the step, or `"ignore"`.
        seed: of signs, noise and choices.
        draws: builds the source of random numbers from seed, name and step.
        owner: opens the messages; None for the name of the class.

    Raises:
        TypeError, ValueError: as for `Rewiring`.

    Source: arXiv 1711.05136, algorithms 1 and 2.

    >>> weight = nn.Parameter(torch.linspace(-1, 1, 20))
    >>> optimizer = torch.optim.SGD([weight], lr=0.1)
    >>> rewiring = DeepR(optimizer, [("w", weight)], l1=1e-3, temperature=1e-3, sparsity=0.75)
    >>> weight.grad = torch.ones(20)
    >>> optimizer.step()
    >>> rewiring.connectivity()
    {'w': 0.25, 'total': 0.25}
    """

    def __init__(
        self,
        optimizer: Optimizer,
        named_parameters: Iterable[tuple[str, nn.Parameter]] | Mapping[str, nn.Parameter],
        *,
        l1: float,
        temperature: float,
        sparsity: PerTensor = 0.9,
        soft: bool = False,
        published: bool = False,
        zero_sign: ZeroSign = "random",
        freeze_after: int | None = None,
        on_nonfinite: OnNonfinite = "raise",
        seed: int = 0,
        draws: Callable[[int, str, int], Draws] = Draws,
        owner: str | None = None,
    ) -> None:
        signs: ZeroSign = "dead" if published else zero_sign
        super().__init__(
            optimizer,
            named_parameters,
            zero_sign=signs,
            on_nonfinite=on_nonfinite,
            seed=seed,
            freeze_after=freeze_after,
            owner=owner,
        )
        owner = self.owner
        self.l1 = checks.number(owner, "l1", l1, at_least=0)
        self.temperature = checks.number(owner, "temperature", temperature, at_least=0)
        limits: dict[str, float] = {"at_least": 0, "at_most": 1} if published else {"at_least": 0, "below": 1}
        self.sparsity = {
            name: checks.number(owner, "sparsity", value, **limits)
            for name, value in per_tensor(owner, "sparsity", sparsity, self.weights).items()
        }
        self.soft, self.published, self.draws = soft, published, draws
        self._attach()
        if not soft and not published:
            self._thin_out()

    @torch.no_grad()
    def _thin_out(self) -> None:
        """Begin with a random choice of connections."""
        for name, theta in self.theta.items():
            chosen = self.draws(self.seed, f"{name} start", 0).choose(theta > 0, self._wanted(name))
            kept = torch.zeros_like(theta, memory_format=torch.contiguous_format).view(-1)
            kept[chosen] = theta.flatten()[chosen]
            theta.copy_(kept.view(theta.shape))
            self._regrow_(name, self.draws(self.seed, f"{name} fill", 0))
            self._show_(name)
        self._look()

    def _wanted(self, name: str) -> int:
        return deep.connections(self.sparsity[name], self.theta[name].numel())

    def _update_(self, names: list[str]) -> None:
        if self.frozen:
            self._fine_tune_(names)
            return
        groups = self._groups()
        for name in names:
            group = groups[id(self.weights[name])]
            step = self._rate(name, group, corrected=self.published)
            draws = self.draws(self.seed, name, self.steps)
            self._walk_(name, step, draws)
            if self.published and not self.soft:
                self._revive_as_published_(name, draws, group.get("eps", deep.BIRTH))

    def _walk_(self, name: str, step: float, draws: Draws) -> None:
        theta, sign, weight = self.theta[name], self.sign[name], self.weights[name]
        shrink, spread = step * self.l1, deep.noise_scale(step, self.temperature)
        if self.soft:
            floor = deep.soft_floor(self.temperature, self.l1, self.sparsity[name])
            theta.copy_(deep.soft_walk(theta, sign, weight, shrink, spread, self._noise(draws, theta, sign), floor))
        elif self.published:
            theta.copy_(deep.hard_walk(theta, sign, weight, shrink, spread, self._noise(draws, theta, sign)))
        else:
            self._walk_connections_(name, shrink, spread, draws)
            self._regrow_(name, draws)
        self._show_(name)

    def _noise(self, draws: Draws, theta: Tensor, sign: Tensor) -> Tensor:
        # The published noise falls on the weight, and its sign matters only where draws are replayed.
        return draws.normal(theta) * sign if self.published else draws.normal(theta)

    def _walk_connections_(self, name: str, shrink: float, spread: float, draws: Draws) -> None:
        """Walk where there is a connection; elsewhere nothing is drawn or moved, and theta is 0."""
        theta, weight = self.theta[name], self.weights[name]
        linked = (theta > 0).nonzero(as_tuple=True)
        before, sign, reached = theta[linked], self.sign[name][linked], weight.detach()[linked]
        moved = deep.hard_walk(before, sign, reached, shrink, spread, draws.normal(before))
        moved[moved.to(weight.dtype) == 0] = 0  # too weak for the weight's type to show
        theta[linked] = moved

    def _regrow_(self, name: str, draws: Draws) -> None:
        theta = self.theta[name]
        lost = self._wanted(name) - int((theta > 0).sum())
        if lost > 0:
            places = draws.choose((theta <= 0) & (self.sign[name] != 0), lost)
            theta[torch.unravel_index(places, theta.shape)] = deep.birth(self.weights[name].dtype)

    def _revive_as_published_(self, name: str, draws: Draws, birth: float) -> None:
        """Write a small positive weight over dormant ones and leave theta, so that the next step undoes it."""
        weight: Tensor = self.weights[name]
        dormant = weight == 0
        sparsity = int(dormant.sum()) / weight.numel()
        if sparsity > self.sparsity[name]:
            chosen = draws.bernoulli((sparsity - self.sparsity[name]) / sparsity, weight) & dormant
            weight.masked_fill_(chosen, birth)

    def differing(self) -> list[str]:
        """Return the names of weights that are not `sign * max(theta, 0)`; none where the published class revives."""
        return [] if self.published and not self.soft else super().differing()
