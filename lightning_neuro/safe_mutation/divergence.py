"""How far the outputs of children are from those of their parents."""

import torch
from torch import Tensor

from lightning_neuro.safe_mutation.budget import DEFAULT_BYTES, Cost, blocks, slices
from lightning_neuro.safe_mutation.measured import measured
from lightning_neuro.safe_mutation.population import BatchedPolicy


class Divergence:
    """Measures children against their parents on fixed states.

    `D = mean_bk (f_k(x_b; child) - f_k(x_b; parent))^2`, in squared units of the output: the divergence of SM-R.

    Args:
        owner: who asks; opens the messages.
        policy: the population's one module.
        params: the parents, `(P, d)`.
        states: shared or one archive each.
        valid: bool `(P, B')`, which output rows count; None: all.
        max_bytes: about how much memory to work in.
    """

    def __init__(
        self,
        owner: str,
        policy: BatchedPolicy,
        params: Tensor,
        states: Tensor,
        valid: Tensor | None = None,
        max_bytes: int = DEFAULT_BYTES,
    ) -> None:
        with torch.inference_mode(False):
            found = measured(owner, policy, params, states, valid, gradient=False)
        self._samples = found.samples
        self._weights = found.weights.flatten(1)
        cost = Cost(parent=0, output=0, sample=found.footprint.saved)
        self._size = blocks(cost, len(params), found.samples.count, 1, max_bytes).parents
        self._policy = policy
        self._before = self._outputs(params)

    def of(self, children: Tensor) -> Tensor:
        """Return D of each child, `(P,)`; NaN or infinity where its outputs are not finite."""
        change = (self._outputs(children) - self._before).to(self._weights).square().mean(-1)
        return torch.where(self._weights > 0, self._weights * change, 0).sum(1)

    def _outputs(self, params: Tensor) -> Tensor:
        everyone = slice(0, self._samples.count)
        return torch.cat(
            [
                self._policy.outputs(params[parents], self._samples.block(parents, everyone))
                for parents in slices(len(params), self._size)
            ]
        )
