import pytest
import torch
from torch import nn

from lightning_neuro.safe_mutation.policy_checks import refuse_dependent_individuals

MODAL = [
    nn.BatchNorm1d(2),
    nn.BatchNorm2d(2),
    nn.SyncBatchNorm(2),
    nn.InstanceNorm2d(2, track_running_stats=True),
    nn.Dropout(0.1),
    nn.Dropout2d(0.1),
    nn.AlphaDropout(0.1),
    nn.GRU(2, 2, 2, dropout=0.1),
    nn.MultiheadAttention(2, 1, dropout=0.1),
    nn.RReLU(),
]


@pytest.mark.parametrize("layer", MODAL, ids=lambda layer: type(layer).__name__)
def test_layers_in_training_mode_are_refused_by_name_and_welcome_in_evaluation(layer):
    policy = nn.Sequential(nn.Linear(2, 2), nn.Sequential(layer.train()))
    with pytest.raises(ValueError, match=rf"layer 1\.0 \({type(layer).__name__}\) is in training mode.*policy.eval\("):
        refuse_dependent_individuals(policy)
    refuse_dependent_individuals(policy.eval())


@pytest.mark.parametrize("layer", [nn.Dropout(0.0), nn.LayerNorm(2), nn.GroupNorm(1, 2), nn.InstanceNorm1d(2)])
def test_layers_without_randomness_or_batch_statistics_are_welcome_in_training(layer):
    refuse_dependent_individuals(nn.Sequential(nn.Linear(2, 2), layer))


def test_batch_norm_without_running_statistics_is_refused_in_any_mode():
    policy = nn.BatchNorm1d(2, track_running_stats=False).eval()
    mixed = policy(torch.tensor([[0.0, 0.0], [1.0, 1.0]]))
    assert not torch.allclose(mixed[1], policy(torch.tensor([[5.0, 5.0], [1.0, 1.0]]))[1])
    with pytest.raises(ValueError, match=r"layer policy \(BatchNorm1d\) has no running statistics"):
        refuse_dependent_individuals(policy)
