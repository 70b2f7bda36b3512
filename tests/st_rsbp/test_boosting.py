import math

import pytest
import torch

from lightning_neuro.st_rsbp import Boosting
from lightning_neuro.st_rsbp.boosting import boosted


def test_weights_grow_as_by_hand():
    weights = torch.tensor([1.0, 2.0, 1.0, 1.0], dtype=torch.float64)
    correct = torch.tensor([False, True, False, True])
    found = boosted(weights, torch.tensor([0, 0, 2, 2]), correct)
    assert found.tolist() == pytest.approx([math.exp(1 / 3 / 20), 2, math.exp(1 / 2 / 20), 1])


def test_an_epoch_changes_wrong_samples_alone_and_only_those_seen():
    boosting = Boosting(5)
    boosting.record(torch.tensor([4, 1]), torch.tensor([1, 1]), torch.tensor([1, 0]))
    boosting.record(torch.tensor([0]), torch.tensor([0]), torch.tensor([0]))
    boosting.end_epoch()
    expected = [1, math.exp(0.5 / 20), 1, 1, 1]
    assert boosting.weights(torch.arange(5)).tolist() == pytest.approx(expected)
    boosting.end_epoch()
    assert boosting.weights(torch.arange(5)).tolist() == pytest.approx(expected)


def test_state_survives_in_the_middle_of_an_epoch():
    first, second = Boosting(3), Boosting(3)
    first.record(torch.tensor([0, 1]), torch.tensor([0, 0]), torch.tensor([1, 0]))
    second.load_state_dict(first.state_dict())
    for boosting in (first, second):
        boosting.record(torch.tensor([2]), torch.tensor([0]), torch.tensor([2]))
        boosting.end_epoch()
    assert torch.equal(first.weights(torch.arange(3)), second.weights(torch.arange(3)))
    with pytest.raises(ValueError, match="holds 3 samples, this data set 4"):
        Boosting(4).load_state_dict(first.state_dict())


@pytest.mark.parametrize(
    ("indices", "error", "told"),
    [
        ([0, -1], ValueError, "from 0 to 2, got -1 to 0"),
        ([0, 3], ValueError, "from 0 to 2, got 0 to 3"),
        ([0.0, 1.0], TypeError, "must be integers, got torch.float32"),
        ([True, False], TypeError, "must be integers, got torch.bool"),
    ],
)
def test_indices_outside_are_refused(indices, error, told):
    boosting, given = Boosting(3), torch.tensor(indices)
    with pytest.raises(error, match=told):
        boosting.weights(given)
    with pytest.raises(error, match=told):
        boosting.record(given, torch.tensor([0, 0]), torch.tensor([1, 1]))
    boosting.end_epoch()
    assert boosting.weights(torch.arange(3)).tolist() == [1, 1, 1]
