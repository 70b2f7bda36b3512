import pytest
import torch

from lightning_neuro.safe_mutation.evolution import Champion
from lightning_neuro.safe_mutation.stopping import Stopping


@pytest.mark.parametrize(
    ("target", "when_solved", "fitness", "solved", "reached"),
    [
        (None, True, 1e9, False, False),
        (2.0, True, 1.9, False, False),
        (2.0, False, 2.0, False, True),
        (None, True, 0.0, True, True),
        (None, False, 0.0, True, False),
    ],
)
def test_what_is_enough(target, when_solved, fitness, solved, reached):
    assert Stopping(target, when_solved).reached(Champion(torch.zeros(1), fitness, solved)) == reached


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="target_fitness must be finite, got nan"):
        Stopping(float("nan"))
    with pytest.raises(TypeError, match="stop_when_solved must be True or False"):
        Stopping(when_solved=1)
