"""Spike-train level postsynaptic potentials (S-PSP), exactly and without a loop over time.

`e_{i|j}` sums, over the firing times of neuron i, the membrane response to the spikes of j since i was last reset.
With the free trace Q of j (see `simulate.trace`) and coefficients A of i it is `e_{i|j} = sum_t A_i[t] Q_j[t]`, so all
sums over synapses become matrix products. A derivation of ours, equal to a simulation of every pair of trains.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from lightning_neuro.st_rsbp.exactness import exact
from lightning_neuro.st_rsbp.simulate import Neuron, chunk_elements, trace


def decay_powers(tau_m: float, steps: int) -> Tensor:
    """Return `(1 - 1/tau_m)^k` for k below `steps`, in double precision: what is left of a membrane after k steps."""
    return torch.full((steps,), 1 - 1 / tau_m, dtype=torch.float64).pow(torch.arange(steps))


@exact
def reset_coefficients(spikes: Tensor, tau_m: float, refractory: int, dtype: torch.dtype | None = None) -> Tensor:
    """Return A: 1 at each spike, less what the reset at the spike before it took away.

    A spike at f that is followed by one at g holds the membrane at 0 until `r = min(f + refractory, g)`, which
    subtracts `(1 - 1/tau_m)^(g - r) Q[r]` from the membrane at g. At most two entries per spike differ from 0.

    Args:
        spikes: bool `(T, B, N)` of the postsynaptic neurons.
        tau_m: membrane time constant, steps.
        refractory: steps in which the membrane is held at 0.
        dtype: of the result; torch's default type if None.

    Returns:
        `(T, B, N)`.

    >>> two = torch.tensor([0, 1, 0, 0, 1]).bool().reshape(5, 1, 1)
    >>> reset_coefficients(two, tau_m=4.0, refractory=1, dtype=torch.float64).flatten().tolist()
    [0.0, 1.0, -0.5625, 0.0, 1.0]
    """
    coefficients = spikes.to(dtype or torch.get_default_dtype())
    sample, index, time = spikes.permute(1, 2, 0).nonzero(as_tuple=True)
    follows = (sample[1:] == sample[:-1]) & (index[1:] == index[:-1])
    sample, index, first, following = sample[1:][follows], index[1:][follows], time[:-1][follows], time[1:][follows]
    reset = torch.minimum(first + refractory, following)
    powers = decay_powers(tau_m, len(spikes)).to(coefficients)
    # No two resets share a place, so that plain indexing subtracts each of them, deterministically on a GPU too.
    coefficients[reset, sample, index] -= powers[following - reset]
    return coefficients


@exact
def weighed(spikes: Tensor, gains: Tensor, neuron: Neuron) -> Tensor:
    """Return A times `gains` `(B, N)`, `(T, B, N)`; see `kernels.weighed`."""
    return reset_coefficients(spikes, neuron.tau_m, neuron.refractory, gains.dtype).mul_(gains)


@exact
def weight_gradient(spikes: Tensor, gains: Tensor, pre: Tensor, traces: Callable[[], Tensor], neuron: Neuron) -> Tensor:
    """Return `sum_b gains[b, i] e[b, i, j]`, `(N, M)`; see `kernels.weight_gradient`."""
    made = traces()
    return weight_gradient_from(weighed(spikes, gains, neuron), made)


@exact
def propagated(spikes: Tensor, gains: Tensor, weight: Tensor, traces: Tensor, neuron: Neuron) -> Tensor:
    """Return `sum_i gains[b, i] weight[i, j] e[b, i, j]`, `(B, M)`; see `kernels.propagated`."""
    return propagated_from(weighed(spikes, gains, neuron), weight, traces)


@exact
def pairwise(spikes: Tensor, traces: Tensor, neuron: Neuron, out: Tensor | None = None) -> Tensor:
    """Return e, `(B, N, M)`; see `kernels.pairwise`."""
    return pairwise_from(reset_coefficients(spikes, neuron.tau_m, neuron.refractory, traces.dtype), traces, out)


@exact
def weight_gradient_from(coefficients: Tensor, traces: Tensor) -> Tensor:
    """Sum `coefficients` `(T, B, N)` times `traces` `(T, B, M)` over time and batch: `(N, M)`."""
    return coefficients.flatten(0, 1).T @ traces.flatten(0, 1)


@exact
def propagated_from(coefficients: Tensor, weight: Tensor, traces: Tensor) -> Tensor:
    """Sum `(coefficients @ weight) * traces` over time, an eighth of the steps at a time: `(B, M)`.

    On a GPU as many steps as `chunk_elements` allows, since there each launch costs as much as a small product.
    """
    total = torch.zeros_like(traces[0])
    allowed = chunk_elements(traces.device) // max(1, traces[:1].numel()) if traces.is_cuda else 0
    piece = max(1, len(traces) // 8, allowed)
    for start in range(0, len(traces), piece):
        some = slice(start, start + piece)
        total += (coefficients[some] @ weight).mul_(traces[some]).sum(0)
    return total


@exact
def pairwise_from(coefficients: Tensor, traces: Tensor, out: Tensor | None = None) -> Tensor:
    """Sum `coefficients` times `traces` over time alone: `(B, N, M)`."""
    return torch.bmm(coefficients.permute(1, 2, 0), traces.transpose(0, 1), out=out)


def spike_train_potential(pre: Tensor, post: Tensor, *, tau_m: float, tau_s: float, refractory: int) -> Tensor:
    """Return the S-PSP of every pair of a presynaptic and a postsynaptic train.

    `e_{i|j}` = sum over the spikes of i of the membrane, just before the spike, of a neuron that hears j alone with
    weight 1 and is reset whenever i fires. For a neuron simulated by this package,
    `sum_j w_ij e_{i|j}` is the sum of its membrane over its own spikes, before reset.

    Args:
        pre: `(T, B, M)`, bool or zeros and ones.
        post: `(T, B, N)`, likewise.
        tau_m: membrane time constant, steps.
        tau_s: synapse time constant, steps.
        refractory: steps after a spike in which the membrane is held at 0.

    Returns:
        `(B, N, M)`, in the floating type of `pre`, or torch's default type.

    Raises:
        TypeError: a train is not a tensor.
        ValueError: shapes that do not fit, something else than zeros and ones, or a constant out of range.

    Source: the S-PSP of ST-RSBP (Zhang and Li, 2019); the form as one product is ours.

    >>> pre = torch.tensor([1, 0, 0, 0, 0, 0]).bool().reshape(6, 1, 1)
    >>> post = torch.tensor([0, 0, 1, 0, 0, 1]).bool().reshape(6, 1, 1)
    >>> spike_train_potential(pre, post, tau_m=4.0, tau_s=2.0, refractory=1).item()
    0.703125
    """
    neuron = Neuron(tau_m=tau_m, tau_s=tau_s, refractory=refractory)
    binary = [_binary(name, train) for name, train in (("pre", pre), ("post", post))]
    if pre.shape[:2] != post.shape[:2]:
        raise ValueError(
            "spike_train_potential: pre and post must agree in steps and batch, "
            f"got {tuple(pre.shape)} and {tuple(post.shape)}. Both are time-first, (T, B, neurons)."
        )
    dtype = pre.dtype if pre.is_floating_point() else torch.get_default_dtype()
    return pairwise(binary[1], trace(binary[0], tau_m, tau_s, dtype), neuron)


def _binary(name: str, train: Tensor) -> Tensor:
    if not isinstance(train, Tensor):
        raise TypeError(f"spike_train_potential: {name} must be a tensor, got {type(train).__name__}.")
    if train.dim() != 3:
        raise ValueError(
            f"spike_train_potential: {name} must have shape (T, B, neurons), got {tuple(train.shape)}. "
            "Add the missing dimensions with unsqueeze."
        )
    if train.dtype != torch.bool and not bool(((train == 0) | (train == 1)).all()):
        raise ValueError(
            f"spike_train_potential: {name} must hold only 0 and 1, got values from {float(train.min()):g} to "
            f"{float(train.max()):g}. Encode rates or currents as spikes first."
        )
    return train.bool()
