import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from lightning_neuro.spectral_rnn.batches import LoaderSeries, as_outputs, unpack_batch


def test_batches_become_series_without_their_padding():
    x, y = torch.rand(5, 7, 2), torch.rand(5, 7, 3)
    lengths = torch.tensor([7, 3, 0, 5, 1])
    source = LoaderSeries(DataLoader(TensorDataset(x, y, lengths), batch_size=2), unpack_batch, 3)
    for _ in range(2):
        series = list(source)
        assert [len(one) for one in series] == lengths.tolist()
        np.testing.assert_array_equal(series[1].x, x[1, :3].double())
        assert series[0].x.dtype == np.float64


def test_small_data_are_kept_and_large_ones_read_again():
    class Counting(list):
        passes = 0

        def __iter__(self):
            self.passes += 1
            return super().__iter__()

    for keep, passes in ((2**20, 1), (10, 3)):
        loader = Counting([(torch.rand(2, 3, 1), torch.rand(2, 3, 1))])
        source = LoaderSeries(loader, unpack_batch, 1, keep_bytes=keep)
        assert [len(list(source)) for _ in range(3)] == [2, 2, 2]
        assert loader.passes == passes


def test_no_more_batches_than_asked_for():
    loader = [(torch.rand(2, 3, 1), torch.rand(2, 3, 1))] * 5
    assert len(list(LoaderSeries(loader, unpack_batch, 1, max_batches=2))) == 4


def test_labels_are_one_hot_and_ignored_ones_missing():
    found = as_outputs(torch.tensor([[0, 2, -100]]), 3)
    assert found[0, :2].tolist() == [[1, 0, 0], [0, 0, 1]]
    assert found[0, 2].isnan().all()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: unpack_batch(torch.zeros(2)), TypeError, r"expected batches \(x \(B, T, Dx\), y\).* Give `unpack`"),
        (lambda: as_outputs(torch.tensor([[3]]), 3), ValueError, "labels must be 0 to 2"),
        (lambda: as_outputs(torch.zeros(1, 1), 3), ValueError, r"expected targets \(B, T, 3\)"),
        (lambda: LoaderSeries(iter([]), unpack_batch, 1), TypeError, "ends after one pass"),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()
