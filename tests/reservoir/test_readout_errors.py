import math

import pytest
import torch
from torchmetrics import Accuracy, MeanSquaredError, R2Score

from lightning_neuro.reservoir.readout_errors import ReadoutErrors

OUTPUTS = torch.randn(3, 40, 2, generator=torch.Generator().manual_seed(0))
TARGETS = torch.randn(40, 2, generator=torch.Generator().manual_seed(1))
LABELS = torch.randint(2, (40,), generator=torch.Generator().manual_seed(2))


def measured(y, **options):
    errors = ReadoutErrors(2, 3, **options)
    for part in (slice(0, 13), slice(13, 13), slice(13, 40)):
        errors.update(OUTPUTS[:, part], y[part])
    return errors.compute()


def test_regression_agrees_with_torchmetrics():
    found = measured(TARGETS)
    for place, outputs in enumerate(OUTPUTS):
        assert found["loss"][place].item() == pytest.approx(MeanSquaredError()(outputs, TARGETS).item(), rel=1e-5)
        share = R2Score(multioutput="variance_weighted")(outputs, TARGETS).item()
        assert found["nrmse"][place].item() == pytest.approx(math.sqrt(1 - share), rel=1e-5)


def test_classification_agrees_with_torchmetrics():
    found = measured(LABELS, labels=True)
    for place, outputs in enumerate(OUTPUTS):
        rate = Accuracy("multiclass", num_classes=2)(outputs, LABELS)
        assert found["accuracy"][place].item() == pytest.approx(rate.item())
        rows = torch.nn.functional.one_hot(LABELS)
        assert found["loss"][place].item() == pytest.approx((outputs - rows).square().mean().item(), rel=1e-5)


def test_a_loss_can_be_given_and_counts_by_rows():
    errors = ReadoutErrors(2, labels=True)
    errors.update(OUTPUTS[:1, :10], LABELS[:10], torch.tensor([1.0]))
    errors.update(OUTPUTS[:1, :30], LABELS[:30], torch.tensor([5.0]))
    assert errors.compute()["loss"].item() == 4.0


def test_targets_that_do_not_vary_have_no_normalised_error():
    errors = ReadoutErrors(1)
    errors.update(torch.zeros(1, 5, 1), torch.full((5, 1), 0.3))
    assert errors.compute()["nrmse"].item() > 1e6
