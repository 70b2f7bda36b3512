import pytest
import torch

from lightning_neuro.gradient_activation.storage import stored


@pytest.mark.parametrize("uncoalesced", [True, False])
def test_stored_shares_memory_with_gradients_of_every_kind(uncoalesced):
    dense, z = torch.ones(2), torch.ones(2, dtype=torch.complex64)
    sparse = torch.sparse_coo_tensor([[1, 1]], [2.0, 3.0], (4,), check_invariants=True)
    sparse = sparse if uncoalesced else sparse.coalesce()
    for tensor in (dense, z, sparse):
        stored(tensor).mul_(10)
    assert dense.tolist() == [10.0, 10.0]
    assert z.tolist() == [10, 10]
    assert sparse.to_dense().tolist() == [0.0, 50.0, 0.0, 0.0]
