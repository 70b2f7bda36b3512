import numpy as np
import pytest
import torch
from support.polynomial_nets import answers, random_net, random_series
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_neuro._lightning import Callback, LightningModule, MisconfigurationException
from lightning_neuro.spectral_rnn import SpectralInit, SpectralRNNModule
from lightning_neuro.spectral_rnn.bidirectional import BidirectionalModel
from lightning_neuro.spectral_rnn.model import LINEAR
from lightning_neuro.spectral_rnn.torch import BidirectionalPolynomialRNN, PolynomialRNN

# Most runs here have nothing to validate on.
pytestmark = pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no")

NET = random_net(0)
X = random_series(60, 50)
Y = answers(NET, X, noise=0.1)


def loader(x=X, y=Y, *more, shuffle=False, batch_size=16):
    tensors = [torch.as_tensor(values, dtype=torch.float32) for values in (x, y)]
    return DataLoader(TensorDataset(*tensors, *more), batch_size=batch_size, shuffle=shuffle)


class Order(Callback):
    """Keeps the order in which training saw the data."""

    def __init__(self):
        self.seen = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.seen.append(batch[0].sum().item())


class TwoParts(LightningModule):
    """A user's own module: a recurrent layer and what reads it."""

    def __init__(self, rnn, readout):
        super().__init__()
        self.recurrent, self.head, self.other = rnn, readout, nn.Linear(3, 1)

    def training_step(self, batch, batch_idx):
        x, y = batch[:2]
        return nn.functional.mse_loss(self.head(self.recurrent(x)[0]), y)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)


def test_a_polynomial_net_starts_from_the_solution(make_trainer):
    start = SpectralInit()
    module = SpectralRNNModule(PolynomialRNN(6, 2, 3), spectral=start, learning_rate=1e-5)
    trainer = make_trainer()
    trainer.fit(module, loader(), loader())
    assert start.errors["before"] > 0.5
    noise = 0.01 / (Y.var(axis=(0, 1)).mean())
    assert start.errors["after"] < 1.3 * noise
    assert start.diagnostics.n_steps == 3000
    assert trainer.callback_metrics["val_loss"] < 0.013
    assert start.diagnostics.singular_values[1] > 3 * start.diagnostics.singular_values[2]


def test_an_outlier_among_the_targets_is_cut(make_trainer):
    y = Y.copy()
    y[3, 20, 1] = 1e6
    net = PolynomialRNN(6, 2, 3)
    module = SpectralRNNModule(net, spectral=SpectralInit(y_clip=0.999, refine=0), learning_rate=1e-9)
    make_trainer().fit(module, loader(X, y), loader())
    (weights,) = [each.detach().double().numpy() for each in net.parameters() if each.shape == NET.input_weights.shape]
    cosines = weights @ NET.input_weights.T
    cosines /= np.linalg.norm(weights, axis=1)[:, None] * np.linalg.norm(NET.input_weights, axis=1)
    assert np.abs(cosines).max(axis=1).min() > 0.95


def test_from_the_start_training_is_ahead_of_random_weights(make_trainer):
    losses = []
    for start in (SpectralInit(refine=0), None):
        torch.manual_seed(1)
        trainer = make_trainer(max_epochs=5)
        trainer.fit(SpectralRNNModule(PolynomialRNN(6, 2, 3), spectral=start), loader(), loader())
        losses.append(trainer.callback_metrics["val_loss"].item())
    assert 2 * losses[0] < losses[1]


@pytest.mark.parametrize("nonlinearity", ["relu", "tanh"])
def test_a_plain_rnn_takes_a_linear_solution_and_keeps_its_parameters(make_trainer, nonlinearity):
    net = random_net(0, coeffs=LINEAR, coupling=0.6)
    data = loader(X, answers(net, X, noise=0.1))
    module = TwoParts(nn.RNN(6, 8, nonlinearity=nonlinearity, batch_first=True), nn.Linear(8, 3))
    before = [id(parameter) for parameter in module.parameters()]
    start = SpectralInit(readout="head")
    make_trainer(callbacks=[start]).fit(module, data)
    assert start.errors["after"] < 0.1 < start.errors["before"]
    assert [id(parameter) for parameter in module.parameters()] == before


def test_a_plain_rnn_can_imitate_a_quadratic_solution(make_trainer):
    torch.manual_seed(0)
    start = SpectralInit(readout="head", approximate=True, units=2)
    module = TwoParts(nn.RNN(6, 32, batch_first=True), nn.Linear(32, 3))
    make_trainer(callbacks=[start]).fit(module, loader())
    assert start.errors["after"] < 0.6 < start.errors["before"]


def test_both_directions(make_trainer):
    halves = [random_net(k, outputs=5, offset=False) for k in (0, 100)]
    y = np.stack(BidirectionalModel(*halves).predict_all(list(X)))
    start = SpectralInit()
    module = SpectralRNNModule(BidirectionalPolynomialRNN(6, 2, 5), spectral=start, learning_rate=1e-6)
    make_trainer().fit(module, loader(X, y))
    assert start.errors["after"] < 0.05


def test_padding_counts_for_nothing(make_trainer):
    lengths = torch.randint(20, 51, (60,), generator=torch.Generator().manual_seed(0))
    x, y = X.copy(), Y.copy()
    for row, length in enumerate(lengths.tolist()):
        x[row, length:], y[row, length:] = 1e3, -1e3
    start = SpectralInit()
    module = SpectralRNNModule(PolynomialRNN(6, 2, 3, max_abs_state=100.0), spectral=start, learning_rate=1e-5)
    trainer = make_trainer()
    trainer.fit(module, loader(x, y, lengths), loader(x, y, lengths))
    assert start.diagnostics.n_steps == int(lengths.sum())
    assert trainer.callback_metrics["val_loss"] < 0.02


def test_labels_of_each_step_are_learned_and_measured(make_trainer):
    labels = (Y - Y.mean(axis=(0, 1))).argmax(-1)
    labels[:, :5] = -100
    data = DataLoader(TensorDataset(torch.as_tensor(X).float(), torch.as_tensor(labels)), batch_size=16)
    module = SpectralRNNModule(PolynomialRNN(6, 2, 3, max_abs_state=100.0), "cross_entropy", spectral=SpectralInit())
    trainer = make_trainer(max_epochs=3)
    trainer.fit(module, data, data)
    assert trainer.callback_metrics["val_accuracy"] > 0.6
    assert trainer.predict(module, data)[0].shape == (16, 50)


def test_the_order_of_training_and_global_random_state_stay(make_trainer):
    orders = []
    for start in (None, SpectralInit()):
        torch.manual_seed(7)
        order = Order()
        module = SpectralRNNModule(PolynomialRNN(6, 2, 3), spectral=start)
        make_trainer(callbacks=[order], max_epochs=2).fit(module, loader(shuffle=True))
        orders.append(order.seen)
    assert orders[0] == orders[1]


def test_a_resumed_run_is_left_alone_and_equals_one_that_never_stopped(make_trainer, tmp_path):
    def run(epochs, checkpoint=None):
        torch.manual_seed(3)
        start = SpectralInit()
        module = SpectralRNNModule(PolynomialRNN(6, 2, 3), spectral=start)
        trainer = make_trainer(max_epochs=epochs)
        trainer.fit(module, loader(), ckpt_path=checkpoint, weights_only=True)
        return trainer, module, start

    _, whole, _ = run(3)
    trainer, _, _ = run(1)
    trainer.save_checkpoint(tmp_path / "one.ckpt")
    _, resumed, start = run(3, tmp_path / "one.ckpt")
    assert start.errors == {}
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)


def test_it_logs_what_it_found(make_trainer, tmp_path):
    from lightning_neuro._lightning import ROOT

    loggers = pytest.importorskip(f"{ROOT}.loggers")
    logger = loggers.CSVLogger(tmp_path)
    module = SpectralRNNModule(PolynomialRNN(6, 2, 3), spectral=SpectralInit())
    make_trainer(logger=logger).fit(module, loader())
    written = next(tmp_path.rglob("metrics.csv")).read_text()
    assert "spectral/error_after" in written
    assert "spectral/singular_value_0" in written


class Empty(LightningModule):
    def __init__(self, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)

    def training_step(self, batch, batch_idx):
        raise AssertionError("training must not begin")

    def configure_optimizers(self):
        return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)


@pytest.mark.parametrize(
    ("parts", "options", "message"),
    [
        ({"one": nn.Linear(6, 3)}, {}, "expected one part of type PolynomialRNN, .*got none"),
        (
            {"one": PolynomialRNN(6, 2, 3), "two": PolynomialRNN(6, 2, 3)},
            {},
            r"got \['one', 'two'\].* Say which by rnn=",
        ),
        ({"one": PolynomialRNN(6, 2, 3)}, {"rnn": "two"}, "rnn must name a part of type"),
        ({"one": PolynomialRNN(6, 2, 3, (1.0, 1.0, 1.0))}, {}, "spectral learning knows coeffs"),
        ({"one": nn.RNN(6, 4)}, {}, "expected one part of type Linear, got none"),
        ({"one": nn.RNN(6, 4), "two": nn.Linear(4, 3)}, {"approximate": True}, "batch_first=True, got False"),
        ({"one": PolynomialRNN(6, 2, 4)}, {}, r"expected targets \(B, T, 4\)"),
    ],
)
def test_nets_it_cannot_start_are_refused_before_training(make_trainer, parts, options, message):
    with pytest.raises(ValueError, match=message):
        make_trainer(callbacks=[SpectralInit(**options)]).fit(Empty(**parts), loader())


def test_data_that_pass_once_are_refused(make_trainer):
    class Once:
        def __iter__(self):
            return self

        def __next__(self):
            raise StopIteration

    module = SpectralRNNModule(PolynomialRNN(6, 2, 3), spectral=SpectralInit())
    with pytest.raises(TypeError, match="ends after one pass"):
        make_trainer().fit(module, Once())


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"loss": "mae"}, ValueError, "loss must be one of 'mse', 'cross_entropy', got 'mae'"),
        ({"learning_rate": 0.0}, ValueError, "learning_rate must be greater than 0"),
        ({"gradient_norm": -1.0}, ValueError, "gradient_norm must be greater than 0"),
    ],
)
def test_arguments_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        SpectralRNNModule(PolynomialRNN(6, 2, 3), **options)


@pytest.mark.parametrize("options", [{"max_batches": 0}, {"epsilon": 0.0}, {"units": 0}, {"refine": -1}])
def test_arguments_of_the_start_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        SpectralInit(**options)


@pytest.mark.filterwarnings("ignore:You passed .* but AMP with fp16")
@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed", "64-true"])  # on a CPU Lightning makes 16 to bf16
def test_it_starts_and_trains_in_any_precision(make_trainer, precision):
    start = SpectralInit(refine=2)
    module = SpectralRNNModule(PolynomialRNN(6, 2, 3), spectral=start, learning_rate=1e-5)
    trainer = make_trainer(precision=precision)
    x, y = (torch.as_tensor(values, dtype=torch.get_default_dtype()) for values in (X, Y))
    if precision == "64-true":
        x, y = x.double(), y.double()
    trainer.fit(module, DataLoader(TensorDataset(x, y), batch_size=16))
    assert start.errors["after"] < 0.01
    assert trainer.callback_metrics["train_loss"] < 0.02
    assert module.model.readout.weight.dtype == (torch.float64 if precision == "64-true" else torch.float32)


def test_adam_in_half_precision_is_refused_and_other_optimizers_are_not(make_trainer):
    x, y = (torch.as_tensor(values).half() for values in (X[:16], Y[:16]))
    data = DataLoader(TensorDataset(x, y), batch_size=16)
    with pytest.raises(MisconfigurationException, match=r"SpectralRNNModule: Adam cannot train weights in float16"):
        make_trainer(precision="16-true").fit(SpectralRNNModule(PolynomialRNN(6, 2, 3)), data)
    found = torch.optim.Adam([weight := nn.Parameter(torch.ones(2, dtype=torch.float16))])
    weight.grad = torch.tensor([1e-6, 0.0], dtype=torch.float16)
    found.step()
    assert weight.isnan().any()  # which is why

    class Plain(SpectralRNNModule):
        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=1e-3)

    module = Plain(PolynomialRNN(6, 2, 3))
    make_trainer(precision="16-true").fit(module, data)
    assert all(parameter.isfinite().all() for parameter in module.parameters())


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # from the compiler itself
@pytest.mark.parametrize("part", ["module", "net", "in place"])
def test_compiled_nets_start_and_train(make_trainer, part):
    start, net = SpectralInit(refine=2), PolynomialRNN(6, 2, 3)
    if part == "net":
        net = torch.compile(net, backend="eager")
    module = SpectralRNNModule(net, spectral=start, learning_rate=1e-5)
    if part == "in place":
        module.compile(backend="eager")
    trainer = make_trainer()
    short = loader(X[:, :40].reshape(-1, 8, 6), Y[:, :40].reshape(-1, 8, 3), batch_size=100)  # steps are unrolled
    trainer.fit(torch.compile(module, backend="eager") if part == "module" else module, short)
    assert start.errors["after"] < 0.3
    assert trainer.callback_metrics["train_loss"] < 0.5


@pytest.mark.parametrize("way", ["accumulated", "clipped"])
def test_accumulation_and_clipping_act_on_the_gradients_of_the_mean(make_trainer, way):
    def weights(batch_size, clip=None, **options):
        torch.manual_seed(0)
        module = SpectralRNNModule(PolynomialRNN(6, 2, 3), learning_rate=1e-3, gradient_norm=clip)
        make_trainer(**options).fit(module, loader(X[:32], Y[:32], batch_size=batch_size))
        return nn.utils.parameters_to_vector(module.parameters()).detach()

    plain = weights(16)
    if way == "accumulated":
        torch.testing.assert_close(weights(8, accumulate_grad_batches=2), plain, rtol=1e-4, atol=1e-5)
        return
    by_argument, by_trainer = weights(16, clip=1e-6), weights(16, gradient_clip_val=1e-6)
    assert torch.equal(by_argument, by_trainer)
    assert not torch.equal(by_argument, plain)


class TwoOptimizers(LightningModule):
    """A user's own module that steps two optimizers by hand."""

    def __init__(self):
        super().__init__()
        self.net, self.automatic_optimization = PolynomialRNN(6, 2, 3), False

    def training_step(self, batch, batch_idx):
        loss = nn.functional.mse_loss(self.net(batch[0])[0], batch[1])
        self.manual_backward(loss)
        for optimizer in self.optimizers():
            optimizer.step()
            optimizer.zero_grad()
        self.log("train_loss", loss)

    def configure_optimizers(self):
        return [torch.optim.SGD(part.parameters(), 1e-5) for part in (self.net.cell, self.net.readout)]


def test_several_optimizers_go_on_from_the_start(make_trainer):
    start = SpectralInit(refine=2)
    trainer = make_trainer(callbacks=[start])
    trainer.fit(TwoOptimizers(), loader())
    assert start.errors["after"] < 0.01
    assert trainer.callback_metrics["train_loss"] < 0.02
