import pytest
import torch

from lightning_neuro.gradient_activation import functional as gaf
from lightning_neuro.gradient_activation.activation import Activation


def test_strength_grows_linearly_and_stays_at_one():
    activation = Activation("Example", warmup_steps=4)
    assert [activation.strength(step) for step in range(6)] == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    assert Activation("Example").strength(0) == 1.0


def test_schedule_is_asked_with_the_step_and_checked():
    activation = Activation("Example", schedule=lambda step: step / 2)
    assert activation.strength(1) == 0.5
    with pytest.raises(ValueError, match=r"Example: schedule\(3\) must be at least 0 and at most 1, got 1.5"):
        activation.strength(3)


def test_group_entries_win_one_by_one():
    activation = Activation("Example", "atan", 0.1, 20.0)
    assert activation.for_group({"params": []}) == ("atan", 0.1, 20.0)
    assert activation.for_group({"gradient_activation": "tanh"}) == ("tanh", 0.1, 20.0)
    assert activation.for_group({"gradient_activation": None}) == ("identity", 0.1, 20.0)
    both = {"gradient_activation_alpha": 0.5, "gradient_activation_beta": 3.0}
    assert activation.for_group(both) == ("atan", 0.5, 3.0)
    with pytest.raises(ValueError, match="function must be one of"):
        activation.for_group({"gradient_activation": "relu"})
    with pytest.raises(ValueError, match="Example: gradient_activation_alpha must be greater than 0, got 0"):
        activation.for_group({"gradient_activation_alpha": 0})


def test_apply_uses_the_settings_of_each_group():
    first, second = torch.tensor([3.0, -0.01]), torch.tensor([3.0, -0.01])
    expected = [gaf.atan(first, 0.1, 20.0), gaf.tanh(second, 0.1, 5.0)]
    other = {"gradient_activation": "tanh", "gradient_activation_beta": 5.0}
    with pytest.warns(UserWarning, match="at most 1"):
        Activation("Example", beta=5.0)
    Activation("Example").apply_([({}, [first]), (other, [second])], step=0)
    torch.testing.assert_close([first, second], expected)
