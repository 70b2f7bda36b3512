import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_neuro.st_rsbp import potential
from lightning_neuro.st_rsbp.potential import reset_coefficients, spike_train_potential
from lightning_neuro.st_rsbp.simulate import Neuron, spikes_from_current, trace, weighted_input

constants = st.fixed_dictionaries(
    {
        "tau_m": st.sampled_from([1.0, 2.5, 16.0, 64.0]),
        "tau_s": st.sampled_from([1.0, 3.0, 8.0]),
        "refractory": st.sampled_from([0, 1, 2, 4]),
    }
)
TAUS = {"tau_m": 16.0, "tau_s": 4.0, "refractory": 2}


def trains(seed, *rates, steps=30, batch=2, size=3):
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(steps, batch, size, generator=generator) < rate for rate in rates]


def literal(pre, post, tau_m, tau_s, refractory):
    """Simulate each pair of trains; spikes inside a refractory time count nothing and start it anew."""
    steps, batch, inputs = pre.shape
    e = torch.zeros(batch, post.shape[2], inputs, dtype=torch.float64)
    for b in range(batch):
        for i in range(post.shape[2]):
            for j in range(inputs):
                p = q = 0.0
                held = 0
                for t in range(steps):
                    p *= 1 - 1 / tau_s
                    p += float(pre[t - 1, b, j]) if t else 0.0
                    q = q * (1 - 1 / tau_m) + p / tau_s
                    if held:
                        q = 0.0
                        held -= 1
                    if post[t, b, i]:
                        e[b, i, j] += q
                        q = 0.0
                        held = refractory
    return e


@given(st.integers(0, 10**6), st.floats(0, 1), constants)
@settings(max_examples=30, deadline=None)
def test_i02_potential_equals_the_simulation_of_every_pair(seed, rate, taus):
    pre, post = trains(seed, 0.2, rate)
    e = spike_train_potential(pre.double(), post, **taus)
    torch.testing.assert_close(e, literal(pre, post, **taus), rtol=0, atol=1e-12)
    assert (e >= -1e-12).all()


def test_i02_silence_on_either_side_is_0():
    pre, post, never = trains(0, 0.5, 0.5, 0.0)
    assert spike_train_potential(pre, post, **TAUS).all()
    assert not spike_train_potential(never, post, **TAUS).any()
    assert not spike_train_potential(pre, never, **TAUS).any()


def test_i02_additive_in_the_presynaptic_train_and_not_in_the_postsynaptic_one():
    train, mask, other = trains(1, 0.5, 0.5, 0.5)
    train, other = train.double(), other.double()

    def pre(x):
        return spike_train_potential(x, other, **TAUS)

    def post(x):
        return spike_train_potential(other, x, **TAUS)

    torch.testing.assert_close(pre(train * mask) + pre(train * ~mask), pre(train), rtol=0, atol=1e-12)
    assert (post(train * mask) + post(train * ~mask) - post(train)).abs().max() > 0.1


@given(st.integers(0, 10**6), constants)
@settings(max_examples=25, deadline=None)
def test_i01_weighted_potentials_sum_to_the_membrane_before_reset(seed, taus):
    generator = torch.Generator().manual_seed(seed)
    (inputs,) = trains(seed, 0.3, steps=60, size=6)
    weight = torch.randn(4, 6, generator=generator, dtype=torch.float64) * 3
    recurrent = torch.randn(4, 4, generator=generator, dtype=torch.float64)
    neuron = Neuron(threshold=1.0, **taus)
    current = weighted_input(inputs, weight)
    spikes = spikes_from_current(current, neuron, recurrent)
    membrane = membrane_at_spikes(current, spikes, recurrent, neuron)
    forward = (weight * spike_train_potential(inputs.double(), spikes, **taus)).sum(2)
    backward = (recurrent * spike_train_potential(spikes.double(), spikes, **taus)).sum(2)
    torch.testing.assert_close(forward + backward, membrane, rtol=1e-12, atol=1e-11)
    assert (forward + backward >= (neuron.threshold - 1e-6) * spikes.sum(0)).all()


def membrane_at_spikes(current, spikes, recurrent, neuron):
    """Sum of the membrane over a neuron's spikes, with the spikes given: no threshold, and a counter for the hold."""
    arriving = current.clone()
    arriving[1:] += spikes[:-1].double() @ recurrent.T
    membrane, synapse, total = (torch.zeros_like(current[0]) for _ in range(3))
    held = torch.zeros_like(spikes[0], dtype=torch.long)
    for t in range(len(current)):
        synapse = synapse * (1 - 1 / neuron.tau_s) + arriving[t]
        membrane = membrane * (1 - 1 / neuron.tau_m) + synapse / neuron.tau_s
        membrane[held > 0] = 0
        held = (held - 1).clamp(min=0)
        total += membrane * spikes[t]
        membrane[spikes[t]] = 0
        held[spikes[t]] = neuron.refractory
    return total


@given(st.integers(0, 10**6), st.floats(0, 1), constants)
@settings(max_examples=20, deadline=None)
def test_at_most_two_coefficients_per_spike(seed, rate, taus):
    (post,) = trains(seed, rate)
    coefficients = reset_coefficients(post, taus["tau_m"], taus["refractory"], torch.float64)
    assert ((coefficients != 0).sum(0) <= 2 * post.sum(0)).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_i03_products_equal_the_sums_over_the_potential_itself(dtype):
    generator = torch.Generator().manual_seed(2)
    pre, post = trains(2, 0.3, 0.3, batch=4, size=5)
    gains, weight = (torch.randn(shape, generator=generator, dtype=dtype) for shape in ((4, 5), (5, 5)))
    neuron, traces = Neuron(**TAUS), trace(pre, TAUS["tau_m"], TAUS["tau_s"], dtype)
    e = literal(pre, post, **TAUS).to(dtype)
    close = {"rtol": 1e-4, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 1e-12, "atol": 1e-12}
    torch.testing.assert_close(potential.pairwise(post, traces, neuron), e, **close)
    torch.testing.assert_close(
        potential.weight_gradient(post, gains, pre, lambda: traces, neuron),
        torch.einsum("bi,bij->ij", gains, e),
        **close,
    )
    torch.testing.assert_close(
        potential.propagated(post, gains, weight, traces, neuron),
        torch.einsum("bi,ij,bij->bj", gains, weight, e),
        **close,
    )


def test_the_type_of_the_result_follows_the_presynaptic_train():
    pre, post = trains(3, 0.3, 0.3)
    for train, dtype in ((pre, torch.float32), (pre.long(), torch.float32), (pre.double(), torch.float64)):
        assert spike_train_potential(train, post, **TAUS).dtype == dtype


def test_i13_no_autograd_graph():
    pre, post = trains(4, 0.3, 0.3)
    assert not spike_train_potential(pre.float().requires_grad_(), post, **TAUS).requires_grad


@pytest.mark.parametrize(
    ("pre", "post", "message"),
    [
        (torch.ones(5, 2), torch.ones(5, 1, 2), r"pre must have shape \(T, B, neurons\), got \(5, 2\)"),
        (torch.ones(5, 1, 2), torch.ones(1, 5, 2), "pre and post must agree in steps and batch"),
        (torch.full((5, 1, 2), 0.5), torch.ones(5, 1, 2), "pre must hold only 0 and 1, got values from 0.5 to 0.5"),
        (torch.ones(5, 1, 2), torch.full((5, 1, 2), torch.nan), "post must hold only 0 and 1"),
    ],
)
def test_other_than_spike_trains_is_refused(pre, post, message):
    with pytest.raises(ValueError, match=message):
        spike_train_potential(pre, post, **TAUS)


def test_a_list_is_refused():
    with pytest.raises(TypeError, match="pre must be a tensor, got list"):
        spike_train_potential([[1]], torch.ones(5, 1, 2), **TAUS)
