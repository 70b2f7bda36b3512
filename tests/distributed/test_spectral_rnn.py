"""Two gloo processes on the CPU against one process on all the data."""

import pytest
import torch
from support.polynomial_nets import answers, random_net, random_series
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_neuro.spectral_rnn import SpectralInit, SpectralRNNModule
from lightning_neuro.spectral_rnn.torch import PolynomialRNN

X = random_series(40, 50)
DATA = TensorDataset(
    *(torch.as_tensor(values, dtype=torch.float32) for values in (X, answers(random_net(0), X, noise=0.1)))
)


class Kept(SpectralRNNModule):
    """Keeps the weights it started from, and how far the ranks are apart, in buffers that travel back to the test."""

    def __init__(self, **options) -> None:
        super().__init__(PolynomialRNN(6, 2, 3), learning_rate=1e-3, **options)
        self.register_buffer("start", torch.zeros(len(self.weights())))
        self.register_buffer("spread", torch.tensor(-1.0))

    def weights(self) -> Tensor:
        return nn.utils.parameters_to_vector(self.model.parameters()).detach()

    def on_train_start(self) -> None:
        weights = self.weights()
        self.start.copy_(weights)
        if self.trainer.world_size > 1:
            low, high = weights.clone(), weights.clone()
            torch.distributed.all_reduce(low, torch.distributed.ReduceOp.MIN)
            torch.distributed.all_reduce(high, torch.distributed.ReduceOp.MAX)
            self.spread.copy_((high - low).max())


@pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no")
def test_two_ranks_write_the_weights_of_one(make_trainer):
    starts = []
    for options in ({"strategy": "ddp_fork", "devices": 2}, {}):
        torch.manual_seed(0)
        module = Kept(spectral=SpectralInit(score="iid"))
        make_trainer(**options).fit(module, DataLoader(DATA, batch_size=8))
        starts.append(module.start)
        if options:
            assert module.spread.item() == 0.0
    torch.testing.assert_close(*starts, rtol=1e-5, atol=1e-5)
