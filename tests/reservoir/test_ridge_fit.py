import copy
import pickle

import pytest
import torch
from torch import nn

from lightning_neuro.reservoir.ridge_fit import RidgeFit

X = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
Y = torch.randn(50, 2, generator=torch.Generator().manual_seed(1))


def fit(ridges=(1e-3, 1.0), epoch=0):
    found = RidgeFit("ReservoirModule", 4, 2, list(ridges))
    found.add(X[:20], Y[:20], epoch)
    found.add(X[20:], Y[20:], epoch)
    return found


def test_what_is_written_is_what_is_predicted():
    found, readout = fit(), nn.Linear(4, 2).double()
    found.solve(1)
    for place in range(2):
        found.chosen = place
        found.write_(readout)
        torch.testing.assert_close(readout(X.double()), found.predict(X)[place])
        torch.testing.assert_close(found.training_loss, (readout(X.double()) - Y).square().mean().detach())


def test_another_epoch_begins_anew_and_a_solution_lasts_until_then():
    found = fit()
    found.solve(1)
    first = found.solution
    found.solve(1)
    assert found.solution is first
    found.add(X[:20], Y[:20], 1)
    assert found.solution is None
    assert found.sums.rows.item() == 20


@pytest.mark.parametrize(
    ("errors", "chosen"),
    [
        ({"loss": [0.3, 0.1, 0.2]}, 1),
        ({"loss": [0.3, 0.1, 0.2], "accuracy": [0.9, 0.8, 0.9]}, 2),
        ({"loss": [torch.nan] * 3}, 0),
    ],
)
def test_the_best_in_validation_is_chosen(errors, chosen):
    found = fit((1.0, 2.0, 3.0))
    found.choose({name: torch.tensor(values) for name, values in errors.items()})
    assert found.chosen == chosen


def test_a_state_loads_and_goes_on(tmp_path):
    found, whole = RidgeFit("ReservoirModule", 4, 2, [1.0, 2.0]), fit((1.0, 2.0))
    begun = RidgeFit("ReservoirModule", 4, 2, [1.0, 2.0])
    begun.add(X[:20], Y[:20], 0)
    begun.chosen = 1
    torch.save(begun.state_dict(1, torch.device("cpu")), tmp_path / "state.pt")
    found.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    found.take_share(0, 1)
    found.add(X[20:], Y[20:], 0)
    assert found.chosen == 1
    assert all(torch.equal(one, other) for one, other in zip(found.sums, whole.sums, strict=True))


def test_sums_of_another_size_are_refused():
    found = RidgeFit("ReservoirModule", 5, 2, [1.0])
    found.load_state_dict(fit().state_dict(1, torch.device("cpu")))
    with pytest.raises(ValueError, match=r"expected sums `features` of shape \(5,\) in the checkpoint, got \(4,\)"):
        found.take_share(0, 1)


def test_nothing_can_be_read_before_it_is_solved():
    with pytest.raises(RuntimeError, match="is not solved yet"):
        fit().predict(X)
    with pytest.raises(ValueError, match="expected at least one target"):
        RidgeFit("ReservoirModule", 4, 2, [1.0]).solve(1)


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda found: pickle.loads(pickle.dumps(found))])
def test_copies_go_on(twin):
    found = fit()
    other = twin(found)
    found.solve(1)
    other.solve(1)
    assert torch.equal(found.solution.weights, other.solution.weights)
