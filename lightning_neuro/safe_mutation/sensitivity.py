"""How much the outputs of a policy depend on each of its weights: SM-G-SUM, SM-G-ABS and SM-G-SO.

| here | paper | meaning |
|---|---|---|
| `params` | theta | `(P, d)`, one flat genome a row, in the order of `policy.parameters()` |
| `states` | archive | `(B, *obs)` for all parents or `(P, B, *obs)`; recurrent `(T, B, *obs)` or `(P, T, B, *obs)` |
| J | gradient | `J[b, k, w]`, derivative of output k at state b by weight w |
| `direction` | delta | where a parent is about to be moved |

All are raw: no floor, no special rule for zero. They are in units of the output per unit of the weight (SO: the root of
that). Of a recurrent policy the last outputs of a sequence are differentiated through all its steps.

Paper: Lehman, Chen, Clune and Stanley, Safe Mutations for Deep and Recurrent Neural Networks through Output Gradients
(arXiv 1712.06563). The forms are those of the authors' published program; the paper's body could not be read.
"""

from collections.abc import Callable
from functools import reduce
from typing import Literal

import torch
from torch import Tensor, nn

from lightning_neuro.common import checks
from lightning_neuro.safe_mutation.budget import DEFAULT_BYTES, Cost, blocks, slices
from lightning_neuro.safe_mutation.gauss_newton import gauss_newton_product, has_forward_mode
from lightning_neuro.safe_mutation.jacobian import Block, magnitude, summed
from lightning_neuro.safe_mutation.linear_shortcut import linear_magnitude
from lightning_neuro.safe_mutation.linear_uses import linear_net
from lightning_neuro.safe_mutation.measured import measured
from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.population_checks import check_genomes, check_population
from lightning_neuro.safe_mutation.samples import as_ordinary

Reduction = Literal["mean", "reference"]
REDUCTIONS: tuple[Reduction, ...] = ("mean", "reference")
Kernel = Callable[[Block, slice, slice], Tensor]


def sm_g_sum(
    policy: nn.Module | BatchedPolicy,
    params: Tensor,
    states: Tensor,
    *,
    reduction: Reduction = "mean",
    valid: Tensor | None = None,
    max_bytes: int = DEFAULT_BYTES,
) -> Tensor:
    """Sensitivity by the summed gradient, `s_w = sqrt(sum_k (mean_b J_bkw)^2)`: opposite signs cancel.

    Args:
        policy: a module, or a `BatchedPolicy` that also says what is differentiated.
        params: `(P, d)`, finite.
        states: shared or one archive each; see the module's table.
        reduction: "mean" over states makes it independent of their number; "reference" sums them, as the authors do,
            and is B times larger.
        valid: bool `(P, B')`, which output rows count; None: all.
        max_bytes: about how much memory to work in; the result does not depend on it.

    Returns:
        `(P, d)`, at least 0.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: shapes do not fit, a genome is not finite, or the outputs carry no gradient.

    >>> sm_g_sum(nn.Linear(1, 1), torch.tensor([[1.0, 0.0]]), torch.tensor([[3.0], [-1.0]]))
    tensor([[1., 1.]])
    """
    task = _Task("sm_g_sum", policy, params, states, valid, reduction, mean=reduction == "mean")
    size = task.genome_bytes
    cost = Cost(parent=4 * size, output=size, sample=2 * task.footprint.saved)
    return task.norm(lambda block, outputs, parents: summed(task.policy, block, outputs), cost, max_bytes)


def sm_g_abs(
    policy: nn.Module | BatchedPolicy,
    params: Tensor,
    states: Tensor,
    *,
    reduction: Reduction = "mean",
    valid: Tensor | None = None,
    max_bytes: int = DEFAULT_BYTES,
) -> Tensor:
    """Sensitivity by the gradient's magnitude, `s_w = sqrt(sum_k (mean_b |J_bkw|)^2)`: nothing cancels.

    At least `sm_g_sum`, and equal to it where no sign changes. Networks that compute with their weights in linear
    and recurrent layers alone take a shortcut without a graph of the weights; the result is the same.

    Args:
        policy: a module, or a `BatchedPolicy` that also says what is differentiated.
        params: `(P, d)`, finite.
        states: shared or one archive each; see the module's table.
        reduction: "mean" and "reference" are the same here. The authors' illustrative program alone divides by the
            number of states once more.
        valid: bool `(P, B')`, which output rows count; None: all.
        max_bytes: about how much memory to work in; the result does not depend on it.

    Returns:
        `(P, d)`, at least 0.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: shapes do not fit, a genome is not finite, or the outputs carry no gradient.

    >>> sm_g_abs(nn.Linear(1, 1), torch.tensor([[1.0, 0.0]]), torch.tensor([[3.0], [-1.0]]))
    tensor([[2., 1.]])
    """
    task = _Task("sm_g_abs", policy, params, states, valid, reduction)
    size, saved = task.genome_bytes, task.footprint.saved
    net = linear_net(task.policy, task.params, task.samples) if task.footprint.steps == 1 else None
    if net is not None:
        products = 2 * net.product_size * task.params.element_size()
        cost = Cost(parent=2 * size, output=2 * size, sample=3 * saved + products)
        return task.norm(
            lambda block, outputs, parents: linear_magnitude(task.policy, block, outputs, net), cost, max_bytes
        )
    each = task.footprint.steps * (4 * size + saved)
    cost = Cost(parent=2 * size, output=2 * size, sample=saved, sample_output=each)
    return task.norm(lambda block, outputs, parents: magnitude(task.policy, block, outputs), cost, max_bytes)


def sm_g_so(
    policy: nn.Module | BatchedPolicy,
    params: Tensor,
    states: Tensor,
    *,
    direction: Tensor | None = None,
    seed: int = 0,
    reduction: Reduction = "mean",
    valid: Tensor | None = None,
    max_bytes: int = DEFAULT_BYTES,
) -> Tensor:
    """Sensitivity of second order, `s_w = sqrt(|(H u)_w|)` with `H u = (2 / B) sum_bk J_bk (J_bk . u)`.

    H is the Hessian of the mean squared output change, u the direction of the mutation at unit length. It is even in
    u, and near 0 by chance where a component of `H u` changes sign.

    Args:
        policy: a module, or a `BatchedPolicy` that also says what is differentiated.
        params: `(P, d)`, finite.
        states: shared or one archive each; see the module's table.
        direction: `(P, d)`, of any length but 0; None: normal noise drawn from `seed`.
        seed: used where there is no `direction`.
        reduction: "mean" and "reference" are the same here.
        valid: bool `(P, B')`, which output rows count; None: all.
        max_bytes: about how much memory to work in; the result does not depend on it.

    Returns:
        `(P, d)`, at least 0.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: shapes do not fit, a genome is not finite, a direction has no length, or the outputs carry no
            gradient.

    >>> parent, state, direction = torch.tensor([[1.0, 0.0]]), torch.tensor([[2.0]]), torch.tensor([[3.0, 4.0]])
    >>> sm_g_so(nn.Linear(1, 1), parent, state, direction=direction)
    tensor([[2.8284, 2.0000]])
    """
    task = _Task("sm_g_so", policy, params, states, valid, reduction)
    unit = _unit(task.params, direction, seed)
    forward = has_forward_mode(task.policy, task.params[0], task.samples.of_one(0))

    def product(block: Block, outputs: slice, parents: slice) -> Tensor:
        return gauss_newton_product(task.policy, block, unit[parents], forward=forward).unsqueeze(0)

    cost = Cost(parent=6 * task.genome_bytes, output=0, sample=(2 if forward else 5) * task.footprint.saved)
    return task.norm(product, cost, max_bytes, rows=1).sqrt_()


def _unit(params: Tensor, direction: Tensor | None, seed: int) -> Tensor:
    if direction is None:
        generator = torch.Generator().manual_seed(checks.integer("sm_g_so", "seed", seed))
        direction = torch.randn(params.shape, generator=generator, dtype=params.dtype).to(params.device)
    check_genomes("sm_g_so", "direction", direction, like=params)
    length = torch.linalg.vector_norm(direction, dim=1, keepdim=True)
    if not bool(((length > 0) & length.isfinite()).all()):
        raise ValueError("sm_g_so: direction must have a finite length above 0 in each row. Pass the noise itself.")
    return as_ordinary(direction) / length


class _Task:
    """One call of a sensitivity: checked arguments, and the walk over blocks of parents, outputs and samples."""

    def __init__(
        self,
        owner: str,
        policy: nn.Module | BatchedPolicy,
        params: Tensor,
        states: Tensor,
        valid: Tensor | None,
        reduction: Reduction,
        *,
        mean: bool = True,
    ) -> None:
        checks.choice(owner, "reduction", reduction, REDUCTIONS)
        self.owner = owner
        self.policy = BatchedPolicy.of(policy)
        check_population(owner, self.policy, params)
        with torch.inference_mode(False):
            self.params = as_ordinary(params)
            found = measured(owner, self.policy, self.params, states, valid, mean=mean)
        self.samples, self.weights, self.footprint = found.samples, found.weights, found.footprint

    @property
    def genome_bytes(self) -> int:
        return self.params.shape[1] * self.params.element_size()

    def norm(self, kernel: Kernel, cost: Cost, max_bytes: int, rows: int | None = None) -> Tensor:
        """Return the L2 norm over the kernel's rows, one for each output unless told, each summed over samples."""
        checks.integer(self.owner, "max_bytes", max_bytes, at_least=1)
        rows = self.footprint.outputs if rows is None else rows
        sizes = blocks(cost, len(self.params), self.samples.count, rows, max_bytes)
        with torch.inference_mode(False), torch.enable_grad():
            result = torch.empty_like(self.params)
            for parents in slices(len(self.params), sizes.parents):
                parts = (
                    part
                    for outputs in slices(rows, sizes.outputs)
                    for part in self._over_samples(kernel, parents, outputs, sizes.samples)
                )
                # Squares of small sensitivities would underflow to 0, which means something else.
                result[parents] = reduce(torch.hypot, parts, next(parts).abs())
        return result

    def _over_samples(self, kernel: Kernel, parents: slice, outputs: slice, size: int) -> Tensor:
        total: Tensor | float = 0.0
        for samples in slices(self.samples.count, size):
            states, weights = self.samples.block(parents, samples), self.weights[parents, :, samples]
            total = total + kernel(Block(self.params[parents], states, self.samples.in_dim, weights), outputs, parents)
        return total  # type: ignore[return-value]
