import math

import pytest
import torch
from torch import nn

from lightning_neuro.safe_mutation.tasks.policies import DeepPolicy


def size(policy):
    return sum(weights.numel() for weights in policy.parameters())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [((11, 2), 1652), ((11, 2, 125, 64), 1_009_752), ((4, 2, 15, 16), 3947), ((3, 1, 5, 0), 3 * 5 + 5 + 5 + 1)],
)
def test_gold_parameter_counts(arguments, expected):
    assert size(DeepPolicy(*arguments)) == expected


def test_fresh_weights_have_the_published_spread_and_biases_that_of_torch():
    torch.manual_seed(0)
    policy = DeepPolicy(200, 2, hidden=100, layers=20)
    first, *between = (layer for layer in policy.layers if isinstance(layer, nn.Linear))
    assert first.weight.std().item() == pytest.approx(math.sqrt(2 / 300), rel=0.02)
    inner = torch.stack([layer.weight for layer in between[:-1]])
    assert inner.std().item() == pytest.approx(math.sqrt(2 / 200), rel=0.01)
    assert inner.abs().max() > 4 * math.sqrt(2 / 200)  # normal, not uniform
    biases = torch.cat([layer.bias for layer in between[:-1]])
    assert biases.abs().max().item() == pytest.approx(0.1, rel=0.01)
    assert biases.std().item() == pytest.approx(0.1 / math.sqrt(3), rel=0.05)


def test_reset_draws_anew():
    policy = DeepPolicy(3, 2)
    before = [weights.clone() for weights in policy.parameters()]
    policy.reset_parameters()
    assert all((weights != old).any() for weights, old in zip(policy.parameters(), before, strict=True))


@pytest.mark.parametrize(
    ("activation", "output", "expected"),
    [
        ("relu", "identity", lambda h: torch.relu(h)),
        ("tanh", "sigmoid", lambda h: torch.sigmoid(torch.tanh(h))),
        ("relu", "tanh", lambda h: torch.tanh(torch.relu(h))),
    ],
)
def test_activations_stand_where_they_should(activation, output, expected):
    policy = DeepPolicy(1, 1, hidden=1, layers=0, activation=activation, output=output)
    with torch.no_grad():
        for weights in policy.parameters():
            weights.fill_(float(weights.ndim == 2))
    inputs = torch.linspace(-3, 3, 13)[:, None]
    torch.testing.assert_close(policy(inputs), expected(inputs))


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"inputs": 0}, ValueError, "inputs must be at least 1, got 0"),
        ({"layers": -1}, ValueError, "layers must be at least 0, got -1"),
        ({"hidden": 2.5}, TypeError, "hidden must be an integer"),
        ({"activation": "gelu"}, ValueError, "activation must be one of 'tanh', 'relu', got 'gelu'"),
        ({"output": "softmax"}, ValueError, "output must be one of"),
    ],
)
def test_wrong_arguments_are_refused(changes, error, words):
    with pytest.raises(error, match=f"DeepPolicy: {words}"):
        DeepPolicy(**{"inputs": 2, "outputs": 1} | changes)
