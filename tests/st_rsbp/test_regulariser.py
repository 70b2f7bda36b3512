import math

import pytest
import torch

from lightning_neuro.st_rsbp import ExponentialRegulariser


def weights(*shapes):
    generator = torch.Generator().manual_seed(0)
    return [(4 * torch.randn(shape, generator=generator, dtype=torch.float64)).requires_grad_() for shape in shapes]


@pytest.mark.parametrize("shapes", [[(4, 6)], [(4, 6), (4, 4)], [(3, 2, 5, 5)]])
@pytest.mark.parametrize("masked", [False, True])
def test_i14_exact_form_equals_autograd_of_the_penalty(shapes, masked):
    regulariser, given = ExponentialRegulariser(10, 0.4), weights(*shapes)
    mask = torch.eye(4, dtype=torch.bool) if masked and len(shapes) == 2 else None
    if mask is not None:
        given[1] = (given[1].detach() * mask).requires_grad_()
    expected = torch.autograd.grad(regulariser.penalty(given, mask), given)
    for found, wanted in zip(regulariser.gradients([w.detach() for w in given], mask), expected, strict=True):
        torch.testing.assert_close(found, wanted)


def test_i14_penalty_and_reference_form_equal_their_formulas():
    (w,) = weights((2, 3))
    w = w.detach()
    reference = ExponentialRegulariser(10, 0.04, limit=8, form="reference")
    (found,) = reference.gradients([w])
    total = 0.0
    for i in range(2):
        q = sum((w[i, j].item() / 8) ** 2 for j in range(3)) / 4
        total += 10 * math.exp(0.04 * (q - 1))
        for j in range(3):
            assert found[i, j].item() == pytest.approx(10 * 0.04 * w[i, j].item() / 8 * math.exp(0.04 * (q - 1)))
    assert reference.penalty([w]).item() == pytest.approx(total)


def test_i14_reference_form_of_a_recurrent_layer_divides_by_all_its_synapses():
    w, v = (x.detach() for x in weights((2, 3), (2, 2)))
    mask = torch.tensor([[True, False], [True, True]])
    v = v * mask
    found = ExponentialRegulariser(10, 0.4, form="reference").gradients([w, v], mask)[1]
    q = ((w[1] / 8).square().sum() + (v[1] / 8).square().sum()).item() / (3 + 3 + 1)
    assert found[1, 0].item() == pytest.approx(10 * 0.4 * v[1, 0].item() / 8 * math.exp(0.4 * (q - 1)))
    assert found[0, 1] == 0


def test_constants_out_of_range_are_refused():
    with pytest.raises(ValueError, match="ExponentialRegulariser: limit must be greater than 0"):
        ExponentialRegulariser(limit=0)
    with pytest.raises(ValueError, match="form must be one of"):
        ExponentialRegulariser(form="approximate")
