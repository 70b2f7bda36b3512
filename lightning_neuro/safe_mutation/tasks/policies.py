"""Feed-forward policies of any depth."""

import itertools
from typing import Literal

from torch import Tensor, nn

from lightning_neuro.common import checks

ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU}
OUTPUTS: dict[str, type[nn.Module]] = {"identity": nn.Identity, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}


class DeepPolicy(nn.Module):
    """One layer from the inputs, `layers` hidden layers of `hidden` units, and one to the outputs.

    Weights start as `N(0, 2 / (fan_in + fan_out))` (variance), biases as torch starts them.

    Args:
        inputs: size of an observation.
        outputs: number of outputs.
        hidden: units per layer.
        layers: layers from `hidden` to `hidden` units, so that `layers + 2` have weights.
        activation: after every layer but the last.
        output: after the last layer.

    Raises:
        TypeError: a size is not an integer.
        ValueError: a size is too small, or a name is unknown.

    >>> sum(weights.numel() for weights in DeepPolicy(11, 2).parameters())
    1652
    >>> sum(weights.numel() for weights in DeepPolicy(11, 2, hidden=125, layers=64).parameters())
    1009752
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        hidden: int = 15,
        layers: int = 6,
        activation: Literal["tanh", "relu"] = "tanh",
        output: Literal["identity", "sigmoid", "tanh"] = "sigmoid",
    ) -> None:
        super().__init__()
        for name, size in (("inputs", inputs), ("outputs", outputs), ("hidden", hidden)):
            checks.integer("DeepPolicy", name, size, at_least=1)
        checks.integer("DeepPolicy", "layers", layers, at_least=0)
        between = ACTIVATIONS[checks.choice("DeepPolicy", "activation", activation, list(ACTIVATIONS))]
        after = OUTPUTS[checks.choice("DeepPolicy", "output", output, list(OUTPUTS))]
        sizes = [inputs, *[hidden] * (layers + 1)]
        parts = [part for pair in itertools.pairwise(sizes) for part in (nn.Linear(*pair), between())]
        self.layers = nn.Sequential(*parts, nn.Linear(hidden, outputs), after())
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw fresh weights and biases."""
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                layer.reset_parameters()
                nn.init.xavier_normal_(layer.weight)

    def forward(self, observations: Tensor) -> Tensor:
        """Return `(B, outputs)` for observations `(B, inputs)`."""
        result: Tensor = self.layers(observations)
        return result
