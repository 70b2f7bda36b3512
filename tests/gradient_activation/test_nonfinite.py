import copy
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lightning_neuro.gradient_activation.nonfinite import NonfiniteGuard, any_nonfinite, zero_nonfinite_

values = st.lists(st.floats(width=32), min_size=0, max_size=8).map(torch.tensor)


@given(tensors=st.lists(values, max_size=4))
def test_any_nonfinite_equals_an_element_wise_look(tensors):
    expected = any(not math.isfinite(value) for tensor in tensors for value in tensor.tolist())
    assert any_nonfinite(tensors).item() == expected


@given(tensor=values)
def test_zero_nonfinite_changes_only_what_is_not_finite(tensor):
    expected = [value if math.isfinite(value) else 0.0 for value in tensor.tolist()]
    zero_nonfinite_([tensor])
    assert tensor.tolist() == expected


def test_sparse_and_complex_gradients_are_looked_into():
    sparse = torch.sparse_coo_tensor([[0, 0]], [math.inf, 1.0], (3,), check_invariants=True)
    assert any_nonfinite([sparse])
    assert any_nonfinite([torch.tensor([complex(0, math.nan)])])
    z = torch.tensor([complex(2, math.nan)])
    zero_nonfinite_([z])
    assert z.item() == 2 + 0j


def test_finite_numbers_whose_sum_overflows_are_finite():
    assert not any_nonfinite([torch.full((4,), 3e38), torch.full((2,), -3e38)])


def bad() -> list[Tensor]:
    return [torch.tensor([1.0, math.nan])]


def test_guard_carries_out_each_policy():
    assert not NonfiniteGuard("Example", "skip").check_(bad(), 0)
    assert NonfiniteGuard("Example", "skip").check_([torch.ones(2)], 0)
    assert NonfiniteGuard("Example", "ignore").check_(bad(), 0)
    gradients = bad()
    assert NonfiniteGuard("Example", "zero").check_(gradients, 0)
    assert gradients[0].tolist() == [1.0, 0.0]
    with pytest.raises(FloatingPointError, match=r"Example: a gradient holds NaN or infinity at optimizer step 7"):
        NonfiniteGuard("Example", "raise").check_(bad(), 7)
    assert NonfiniteGuard("Example", "raise").check_([], 7)
    with pytest.raises(ValueError, match="on_nonfinite must be one of 'raise', 'skip', 'zero', 'ignore', got 'stop'"):
        NonfiniteGuard("Example", "stop")


class _Event:
    """Stands for a CUDA event that has happened."""

    def synchronize(self) -> None:
        """Nothing to wait for."""


def test_a_flag_that_arrives_late_is_read_and_never_copied():
    guard = NonfiniteGuard("Example", "raise")
    guard._pending = (3, torch.tensor(True), _Event())
    assert copy.deepcopy(guard)._pending is None
    with pytest.raises(FloatingPointError, match="optimizer step 3"):
        guard.flush()
    guard.flush()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda_the_flag_is_read_one_step_late():
    guard = NonfiniteGuard("Example", "raise")
    assert guard.check_([g.cuda() for g in bad()], 0)
    with pytest.raises(FloatingPointError, match="optimizer step 0"):
        guard.check_([torch.ones(2, device="cuda")], 1)


def test_zero_reaches_into_sparse_gradients_that_are_not_summed_yet():
    sparse = torch.sparse_coo_tensor([[0, 2, 2]], [math.inf, 1.0, 1.0], (3,), check_invariants=True)
    zero_nonfinite_([sparse])
    assert sparse.to_dense().tolist() == [0.0, 0.0, 2.0]
