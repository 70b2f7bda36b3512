"""Metrics of spike trains, time first: `(T, B, ...)`.

All keep counts that add up over batches and processes. A spike is any value other than 0, so graded spikes count as
one each. The batch size of `(T, B, ...)` is `B`: log with `self.log(name, metric, batch_size=spikes.shape[1])`, because
Lightning takes the first axis for it. Further keyword arguments go to `torchmetrics.Metric`.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from lightning_neuro.common import checks
from lightning_neuro.spiking.neuron_counts import NeuronCounts, check_time_first


def fan_out(layer: nn.Module, input_shape: tuple[int, ...]) -> Tensor:
    """Count the synapses that each input of a layer reaches; weights that are exactly 0 do not count.

    Borders, strides, padding and groups of a convolution are counted as they are.

    Args:
        layer: a linear or convolution layer, anything that is linear in a parameter `weight`; it may be pruned with
            `torch.nn.utils.prune`.
        input_shape: shape of one sample, without time and batch.

    Returns:
        Counts, integer, of shape `input_shape`.

    Raises:
        TypeError: `layer` has no parameter `weight`, or computes it (`weight_norm`, `parametrize`).

    >>> layer = nn.Linear(3, 5)
    >>> with torch.no_grad():
    ...     layer.weight[0] = 0
    >>> fan_out(layer, (3,))
    tensor([4, 4, 4])
    >>> fan_out(nn.Conv1d(1, 2, kernel_size=3, padding=1), (1, 4))
    tensor([[4, 6, 6, 4]])
    """
    # A layer of ones where synapses are: the derivative of its summed output is the count per input.
    with torch.inference_mode(False), torch.enable_grad():
        ones = _ones_where_synapses_are(layer)
        like = next(iter(ones.values()))
        x = torch.zeros(1, *input_shape, dtype=like.dtype, device=like.device, requires_grad=True)
        (count,) = torch.autograd.grad(torch.func.functional_call(layer, ones, x).sum(), x)
    return count[0].round().long()


def _ones_where_synapses_are(layer: nn.Module) -> dict[str, Tensor]:
    """Return what to put in place of a layer's tensors."""
    own = dict(layer.named_parameters(recurse=False)) | dict(layer.named_buffers(recurse=False))
    if "weight" in own:
        weight = own["weight"].detach()
        return {"weight": (weight != 0).to(weight.dtype)}
    if "weight_orig" in own and "weight_mask" in own:
        weight = own["weight_orig"].detach()
        left = (weight * own["weight_mask"] != 0).to(weight.dtype)
        return {"weight_orig": left, "weight_mask": torch.ones_like(left)}
    computed = ", which computes its weight from others. Remove that first" if hasattr(layer, "weight") else ""
    raise TypeError(
        f"fan_out: expected a layer with a parameter 'weight', pruned or not, got {type(layer).__name__}{computed}."
    )


class FiringRate(Metric):
    """Mean number of spikes per neuron and step.

    >>> metric = FiringRate()
    >>> metric.update(torch.tensor([[[1.0, 0.0]], [[1.0, 1.0]]]))
    >>> metric.compute()
    tensor(0.7500)
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False
    spikes: Tensor
    places: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("spikes", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("places", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, spikes: Tensor) -> None:
        """Add spikes `(T, B, ...)`."""
        check_time_first(self, spikes)
        self.spikes += spikes.count_nonzero()
        self.places += spikes.numel()

    def compute(self) -> Tensor:
        """Return spikes per neuron and step, 0 to 1."""
        return self.spikes / self.places


class DeadNeurons(NeuronCounts):
    """Fraction of neurons that never fired, over everything seen.

    >>> metric = DeadNeurons()
    >>> metric.update(torch.tensor([[[1.0, 0.0, 0.0, 0.0]], [[0.0, 0.0, 0.0, 1.0]]]))
    >>> metric.compute()
    tensor(0.5000)
    """

    def compute(self) -> Tensor:
        """Return the fraction, 0 to 1; NaN if nothing was seen."""
        return (self.spikes == 0).float().mean()


class SaturatedNeurons(NeuronCounts):
    """Fraction of neurons that fired in more than `rate` of all steps, over everything seen.

    Args:
        rate: spikes per step above which a neuron says nothing any more; at least 0, below 1.

    >>> metric = SaturatedNeurons(rate=0.9)
    >>> metric.update(torch.tensor([[[1.0, 0.0, 0.0, 1.0]], [[0.0, 0.0, 0.0, 1.0]]]))
    >>> metric.compute()
    tensor(0.2500)
    """

    def __init__(self, rate: float = 0.9, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = checks.number("SaturatedNeurons", "rate", rate, at_least=0, below=1)

    def compute(self) -> Tensor:
        """Return the fraction, 0 to 1; NaN if nothing was seen."""
        return (self.spikes > self.rate * self.steps).float().mean()


class SynapticOperations(Metric):
    """Synaptic operations per sample: each spike costs one operation at each synapse it reaches.

    Args:
        fan_out: synapses per neuron, one number, or a tensor in the shape of the neurons as `fan_out(layer, shape)`
            counts it from the following layer's weights.

    >>> metric = SynapticOperations(fan_out(nn.Linear(2, 10), (2,)))
    >>> metric.update(torch.tensor([[[1.0, 0.0], [1.0, 1.0]]]))
    >>> metric.compute()
    tensor(15.)
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    operations: Tensor
    samples: Tensor
    fan_out: Tensor

    def __init__(self, fan_out: int | Tensor, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(fan_out, Tensor):
            fan_out = torch.tensor(checks.integer("SynapticOperations", "fan_out", fan_out, at_least=0))
        if fan_out.is_floating_point() or (fan_out < 0).any():
            raise ValueError(f"SynapticOperations: fan_out must be counts, integers of at least 0, got {fan_out!r}.")
        self.register_buffer("fan_out", fan_out, persistent=False)
        self.add_state("operations", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("samples", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, spikes: Tensor) -> None:
        """Add spikes `(T, B, ...)` of the layer whose synapses are counted.

        Raises:
            ValueError: the neurons' shape is not that of `fan_out`, or time or batch is missing.
        """
        check_time_first(self, spikes)
        counts = spikes.count_nonzero(dim=(0, 1))
        if self.fan_out.dim() and self.fan_out.shape != counts.shape:
            raise ValueError(
                f"SynapticOperations: expected neurons of shape {tuple(self.fan_out.shape)}, that of fan_out, got "
                f"{tuple(counts.shape)}. Give the spikes that enter the layer whose fan_out was counted."
            )
        self.operations += (counts * self.fan_out).sum()
        self.samples += spikes.shape[1]

    def compute(self) -> Tensor:
        """Return operations per sample."""
        return self.operations / self.samples


class SpikeCountAccuracy(Metric):
    """Fraction of samples whose target class spiked most often.

    Where `m` classes share the highest count and the target is one of them, the sample counts `1 / m`: what drawing one
    of them would give on average. So a silent network of `K` classes scores `1 / K`, whatever the order of classes.

    >>> metric = SpikeCountAccuracy()
    >>> metric.update(torch.tensor([[[1.0, 0.0], [1.0, 1.0]]]), torch.tensor([0, 1]))
    >>> metric.compute()
    tensor(0.7500)
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    correct: Tensor
    samples: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("correct", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("samples", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, spikes: Tensor, targets: Tensor) -> None:
        """Add output spikes `(T, B, K)` and class numbers `(B,)`.

        Raises:
            ValueError: the shapes do not fit, or a target is not one of the classes 0 to K - 1.
        """
        if spikes.dim() != 3 or targets.shape != spikes.shape[1:2]:
            raise ValueError(
                "SpikeCountAccuracy: expected spikes (T, B, K) and targets (B,), got "
                f"{tuple(spikes.shape)} and {tuple(targets.shape)}. Time comes first."
            )
        wrong = targets[(targets < 0) | (targets >= spikes.shape[2])]
        if len(wrong):
            raise ValueError(
                f"SpikeCountAccuracy: targets must be at least 0 and less than {spikes.shape[2]}, the number of "
                f"classes in spikes, got {wrong[0].item()}. Give the last layer a neuron per class."
            )
        counts = spikes.count_nonzero(dim=0)
        best = counts == counts.amax(dim=1, keepdim=True)
        hit = best.gather(1, targets[:, None].long())[:, 0]
        self.correct += (hit / best.sum(dim=1)).sum()
        self.samples += len(targets)

    def compute(self) -> Tensor:
        """Return the accuracy, 0 to 1."""
        return self.correct / self.samples
