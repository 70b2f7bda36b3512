import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Text
from torch import Tensor

from lightning_neuro.safe_mutation.acting import Actions


def silence(size: int) -> Tensor:
    raise AssertionError("nothing was to be drawn")


def test_finite_choices_take_the_largest_output_from_where_they_start() -> None:
    actions = Actions(Discrete(3, start=5), "auto")(torch.tensor([[0.0, 2.0, 1.0], [9.0, 2.0, 1.0]]), silence)
    assert actions.tolist() == [6, 5]
    parts = Actions(MultiDiscrete([2, 3], start=[0, 10]), "argmax")(torch.tensor([[1.0, 2.0, 5.0, 4.0, 3.0]]), silence)
    assert parts.tolist() == [[1, 10]]
    bits = Actions(MultiBinary(3), "auto")(torch.tensor([[-1.0, 0.5, 0.0]]), silence)
    assert bits.tolist() == [[0, 1, 0]]


@pytest.mark.parametrize("space", [Discrete(2), MultiDiscrete([2, 3]), MultiBinary(4), Box(-1, 1, (2, 3), np.float32)])
def test_actions_lie_in_the_space(space: Discrete) -> None:
    actions = Actions(space, "auto")
    outputs = 3 * torch.randn(20, actions.size, generator=torch.Generator().manual_seed(0))
    for action in actions(outputs, silence):
        assert space.contains(action if space.shape else np.int64(action))


def test_sampled_choices_follow_the_softmax() -> None:
    generator = torch.Generator().manual_seed(3)
    logits = torch.tensor([0.0, 1.0, -1.0])

    def gumbel(size: int) -> Tensor:
        return -torch.rand(4000, size, generator=generator).log().neg().log()

    drawn = Actions(Discrete(3), "sample")(logits.expand(4000, 3), gumbel)
    share = np.bincount(drawn, minlength=3) / 4000
    # The standard deviation of a share is at most 0.008.
    np.testing.assert_allclose(share, logits.softmax(0).numpy(), atol=0.03)


def test_a_box_is_filled_by_tanh_clipped_or_neither() -> None:
    space = Box(np.array([-1.0, 0.0], np.float32), np.array([1.0, 10.0], np.float32))
    outputs = torch.tensor([[0.0, 0.0], [50.0, -50.0]])
    np.testing.assert_allclose(Actions(space, "tanh")(outputs, silence), [[0.0, 5.0], [1.0, 0.0]])
    np.testing.assert_allclose(Actions(space, "auto")(outputs, silence), [[0.0, 0.0], [1.0, 0.0]])
    np.testing.assert_allclose(Actions(space, "identity")(outputs, silence), outputs)


def test_the_users_own_function_gets_all_outputs() -> None:
    actions = Actions(Discrete(4), lambda outputs: outputs.sum(1) % 4)(torch.tensor([[3.0, 4.0], [0.0, 1.0]]), silence)
    assert actions.tolist() == [3, 1]
    assert actions.dtype == np.int64


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"action for Discrete\(2\) must be one of 'auto', 'argmax', 'sample'"):
        Actions(Discrete(2), "tanh")
    with pytest.raises(ValueError, match="must be one of 'auto', 'identity', got 'tanh'"):
        Actions(Box(-np.inf, np.inf, (1,)), "tanh")
    with pytest.raises(ValueError, match=r"have no rule\. Give action a function"):
        Actions(Text(3), "auto")
    with pytest.raises(ValueError, match=r"must have 3 output\(s\) for actions of Discrete\(3\), got 2"):
        Actions(Discrete(3), "auto")(torch.zeros(1, 2), silence)
