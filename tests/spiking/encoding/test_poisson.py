import copy
import io
import math

import pytest
import torch

from lightning_neuro.spiking.encoding import PoissonEncoder


def saved_and_loaded(state):
    stream = io.BytesIO()
    torch.save(state, stream)
    stream.seek(0)
    return torch.load(stream, weights_only=True)


def test_rates_are_those_asked_for():
    rates = torch.tensor([0.0, 0.1, 0.5, 1.0])
    spikes = PoissonEncoder(2001, max_rate=0.4)(rates.expand(50, 4))[1:].double()
    total = 2000 * 50
    for found, p in zip(spikes.mean((0, 1)).tolist(), (0.4 * rates).tolist(), strict=True):
        assert found == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / total))


def test_steps_and_samples_are_independent():
    spikes = PoissonEncoder(4001, max_rate=0.5)(torch.ones(2, 2))[1:].double().flatten(1)
    tolerance = 4 / math.sqrt(4000)
    assert (torch.corrcoef(spikes.T) - torch.eye(4)).abs().max() < tolerance
    assert torch.corrcoef(torch.stack([spikes[1:, 0], spikes[:-1, 0]]))[0, 1].abs() < tolerance
    counts = spikes.reshape(40, 100, 4).sum(1)  # of a binomial: variance 100 * 0.25
    assert counts.var().item() == pytest.approx(25, rel=4 * math.sqrt(2 / 160))


def test_default_is_the_published_rate():
    assert PoissonEncoder(3).max_rate == pytest.approx(0.1818, abs=5e-5)


@pytest.mark.parametrize("first_step", [0, 1, 4])
def test_first_step(first_step):
    spikes = PoissonEncoder(4, max_rate=1.0, first_step=first_step)(torch.ones(1, 2, 3))
    assert spikes.shape == (4, 1, 2, 3)
    assert spikes.dtype == torch.bool
    assert not spikes[:first_step].any()
    assert spikes[first_step:].all()


def test_redraws_each_call_from_its_seed_alone():
    x = torch.full((3, 5), 0.5)
    first, same, other = (PoissonEncoder(20, max_rate=1.0, seed=seed) for seed in (1, 1, 2))
    a, b = first(x), first(x)
    torch.manual_seed(7)
    before = torch.get_rng_state()
    assert torch.equal(same(x), a)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(a, b)
    assert not torch.equal(other(x), a)


def test_resumes_to_the_bit():
    x = torch.full((3, 5), 0.5)
    encoder = PoissonEncoder(20, seed=3)
    encoder(x)
    state = saved_and_loaded(encoder.state_dict())
    copied = copy.deepcopy(encoder)
    expected = [encoder(x), encoder(x)]
    resumed = PoissonEncoder(20, seed=99)
    resumed.load_state_dict(state)
    for each in (resumed, copied):
        assert all(torch.equal(each(x), spikes) for spikes in expected)
    unused = PoissonEncoder(20, seed=99)
    unused.load_state_dict(saved_and_loaded(state))
    fresh = PoissonEncoder(20, seed=5)
    fresh.load_state_dict(unused.state_dict())  # a state that was handed on before it was used
    assert torch.equal(fresh(x), expected[0])


def test_fixed_spikes_follow_the_index_alone():
    x = torch.full((4, 6), 0.5)
    encoder = PoissonEncoder(30, max_rate=1.0, fixed=True)
    spikes = encoder(x, torch.tensor([5, 0, 7, 5]))
    assert torch.equal(spikes[:, 0], spikes[:, 3])
    assert not torch.equal(spikes[:, 0], spikes[:, 1])
    again = PoissonEncoder(30, max_rate=1.0, fixed=True)(x[:2], torch.tensor([7, 0]))
    assert torch.equal(again, spikes[:, [2, 1]])
    other = PoissonEncoder(30, max_rate=1.0, fixed=True, seed=1)(x[:1], torch.tensor([5]))
    assert not torch.equal(other[:, 0], spikes[:, 0])
    assert encoder(x[:0], torch.zeros(0, dtype=torch.long)).shape == (30, 0, 6)


def test_fixed_spikes_have_the_rate_over_samples():
    x = torch.full((500, 1), 0.3)
    spikes = PoissonEncoder(21, max_rate=1.0, fixed=True)(x, torch.arange(500))[1:].double()
    assert spikes.mean().item() == pytest.approx(0.3, abs=4 * math.sqrt(0.21 / 10_000))
    assert spikes[0].mean().item() == pytest.approx(0.3, abs=4 * math.sqrt(0.21 / 500))


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (torch.zeros(2, 2, dtype=torch.uint8), TypeError, "x must be a floating-point tensor, got torch.uint8"),
        ([[0.5]], TypeError, "x must be a floating-point tensor, got list"),
        (torch.tensor([[0.0, 255.0]]), ValueError, "x must lie between 0 and 1, got 0 to 255"),
        (torch.tensor([[-0.1]]), ValueError, "x must lie between 0 and 1, got -0.1"),
        (torch.tensor([[torch.nan]]), ValueError, "x must be finite"),
        (torch.tensor(0.5), ValueError, r"x must have shape \(B, ...\), got \(\)"),
    ],
)
def test_bad_input_is_named(x, error, message):
    with pytest.raises(error, match=f"PoissonEncoder: {message}"):
        PoissonEncoder(3)(x)


@pytest.mark.parametrize(
    ("fixed", "index", "error", "message"),
    [
        (True, None, ValueError, "fixed=True needs the index"),
        (False, torch.tensor([0, 1]), ValueError, "index is for fixed=True only"),
        (True, torch.tensor([0.0, 1.0]), TypeError, "index must be a tensor of integers, got torch.float32"),
        (True, [0, 1], TypeError, "index must be a tensor of integers, got <class 'list'>"),
        (True, torch.tensor([0]), ValueError, "index must hold one number of at least 0 for each of the 2 samples"),
        (True, torch.tensor([0, -1]), ValueError, "index must hold one number of at least 0 for each of the 2 samples"),
    ],
)
def test_bad_indices_are_named(fixed, index, error, message):
    with pytest.raises(error, match=f"PoissonEncoder: {message}"):
        PoissonEncoder(3, fixed=fixed)(torch.zeros(2, 4), index)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_steps": 0}, "num_steps must be at least 1, got 0"),
        ({"num_steps": 3, "max_rate": 0}, "max_rate must be greater than 0 and at most 1, got 0"),
        ({"num_steps": 3, "first_step": 4}, "first_step must be at least 0 and at most 3, got 4"),
        ({"num_steps": 3, "seed": -1}, "seed must be at least 0, got -1"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=f"PoissonEncoder: {message}"):
        PoissonEncoder(**options)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_a_gpu():
    x = torch.full((2, 3), 0.5, device="cuda")
    encoder = PoissonEncoder(9)
    encoder(x)
    state = saved_and_loaded(encoder.state_dict())
    expected = encoder(x)
    resumed = PoissonEncoder(9)
    resumed.load_state_dict(state)
    assert torch.equal(resumed(x), expected)
    assert expected.device.type == "cuda"
    index = torch.arange(2)
    fixed = PoissonEncoder(9, fixed=True)
    assert torch.equal(fixed(x, index.cuda()).cpu(), fixed(x.cpu(), index))
