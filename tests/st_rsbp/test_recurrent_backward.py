import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_neuro.st_rsbp import GradientRule, spike_train_potential
from lightning_neuro.st_rsbp.activity import Activity
from lightning_neuro.st_rsbp.recurrent_backward import adjoint, coupling_
from lightning_neuro.st_rsbp.simulate import Neuron
from lightning_neuro.st_rsbp.solve import solve_adjoint

NEURON = Neuron(threshold=4.0, tau_m=16.0, tau_s=4.0, refractory=1)


class SmoothModel:
    """Counts that obey `nu o = sum w e(x, o) + sum v e(o, o)` with the smooth e(n, o) = n o / (o + k)."""

    def __init__(self, inputs=12, neurons=10, outputs=4):
        generator = torch.Generator().manual_seed(3)
        self.k, self.nu = 6.0, 8.0
        self.x = 5 + 10 * torch.rand(inputs, generator=generator, dtype=torch.float64)
        self.w = 4 * torch.rand(neurons, inputs, generator=generator, dtype=torch.float64) - 0.7
        self.v = 2 * torch.rand(neurons, neurons, generator=generator, dtype=torch.float64) - 1
        self.u = torch.rand(outputs, neurons, generator=generator, dtype=torch.float64)
        self.wanted = 10 * torch.rand(outputs, generator=generator, dtype=torch.float64)

    def share(self, o):
        return o / (o + self.k)

    def counts(self, x, w, v):
        o = torch.full((len(w),), 10.0, dtype=torch.float64)
        for _ in range(20):
            drive = w @ x + v @ o
            residual = self.nu * o - self.share(o) * drive
            slope = self.k / (o + self.k).square()
            jacobian = torch.diag(self.nu - slope * drive) - self.share(o)[:, None] * v
            o = o - torch.linalg.solve(jacobian, residual)
        assert residual.abs().max() < 1e-10
        assert o.min() > 0
        return o

    def loss(self, x, w, v):
        """An output read linearly, so that all of the error comes from the recurrent layer."""
        return 0.5 * (self.u @ self.counts(x, w, v) - self.wanted).square().sum()

    def gradients(self, self_term=True, dense=False):
        o = self.counts(self.x, self.w, self.v)
        delta = self.u.T @ (self.u @ o - self.wanted)
        diagonal = 1 - self.k / (o + self.k).square() * (self.w @ self.x + self.v @ o) / self.nu
        pairs = self.share(o)[:, None] * o[None]
        theta = coupling_(
            pairs[None].clone(), self.v, o[None], threshold=self.nu, silent_ratio=0.5, self_term=self_term
        )
        y, given_up = solve_adjoint(theta, diagonal[None], delta[None] / self.nu)
        y = delta / self.nu / diagonal if dense else y[0]
        assert not given_up.any()
        scaled = y * self.share(o)
        return scaled[:, None] * self.x, scaled[:, None] * o, scaled @ self.w

    def differences(self, h=1e-5):
        answers = []
        for place in (1, 2, 0):
            arguments = [self.x, self.w, self.v]
            result = torch.zeros_like(arguments[place])
            for index in range(result.numel()):
                sides = []
                for sign in (1, -1):
                    moved = [argument.clone() for argument in arguments]
                    moved[place].view(-1)[index] += sign * h
                    sides.append(self.loss(*moved))
                result.view(-1)[index] = (sides[0] - sides[1]) / (2 * h)
            answers.append(result)
        return answers


def relative(found, expected):
    return ((found - expected).norm() / expected.norm()).item()


def test_i06_adjoint_equals_finite_differences_of_the_count_model():
    model = SmoothModel()
    expected = model.differences()
    for found, wanted in zip(model.gradients(), expected, strict=True):
        assert relative(found, wanted) < 1e-6
    assert relative(model.gradients(self_term=False)[0], expected[0]) > 1e-3
    assert relative(model.gradients(dense=True)[0], expected[0]) > 1e-2


def test_i06_without_recurrence_the_adjoint_is_the_diagonal_rule():
    diagonal, right = torch.rand(3, 5) + 0.1, torch.randn(3, 5)
    y, given_up = solve_adjoint(torch.zeros(3, 5, 5), diagonal, right)
    torch.testing.assert_close(y, right / diagonal)
    assert not given_up.any()


def random_activity(seed, batch=5, neurons=7, steps=60, rate=0.1):
    generator = torch.Generator().manual_seed(seed)
    spikes = torch.rand(steps, batch, neurons, generator=generator) < rate
    spikes[:, 0, :2] = False
    return Activity(spikes, torch.float64), generator


@settings(max_examples=15)
@given(
    st.integers(0, 1000),
    st.booleans(),
    st.sampled_from([0.0, 0.5]),
    st.sampled_from([1, 1000, 1 << 28]),
    st.sampled_from(["auto", "reference"]),
)
def test_i07_adjoint_equals_the_materialised_system_in_any_pieces(seed, self_term, silent_ratio, solve_bytes, backend):
    post, generator = random_activity(seed)
    post.backend = backend
    weight, diagonal, error, phi = (
        torch.rand(*shape, generator=generator, dtype=torch.float64) + low
        for shape, low in [((7, 7), -0.5), ((5, 7), 0.2), ((5, 7), -0.5), ((5, 7, 3), 0)]
    )
    rule = GradientRule(
        recurrent_silent_ratio=silent_ratio, self_term=self_term, solve_bytes=solve_bytes, amplification_limit=None
    )
    y, given_up = adjoint(post, NEURON, weight, diagonal, error, rule)
    assert not given_up
    trains = post.spikes.transpose(0, 1)
    for b in range(5):
        theta = slow_coupling(trains[b], weight, silent_ratio, self_term)
        inverse = torch.linalg.inv(torch.diag(diagonal[b]) - theta)
        expected = error[b] @ (inverse @ phi[b])
        torch.testing.assert_close(y[b] @ phi[b], expected, rtol=1e-9, atol=1e-11)


def slow_coupling(trains, weight, silent_ratio, self_term):
    e = spike_train_potential(trains[:, None].double(), trains[:, None], tau_m=16.0, tau_s=4.0, refractory=1)[0]
    counts = trains.sum(0).tolist()
    theta = torch.zeros_like(weight)
    for i, post in enumerate(counts):
        for p, pre in enumerate(counts):
            ratio = e[i, p] / pre if pre and post else silent_ratio
            theta[i, p] = weight[i, p] * ratio / NEURON.threshold
    return theta if self_term else theta - torch.diag(theta.diag())
