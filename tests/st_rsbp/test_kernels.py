import pytest
import torch

from lightning_neuro.st_rsbp import compiled, kernels, simulate
from lightning_neuro.st_rsbp.simulate import Neuron

NEURON = Neuron(threshold=2.0)
BACKENDS = ["reference", pytest.param("compiled", marks=pytest.mark.skipif(not compiled.loops(), reason="needs numba"))]


@pytest.fixture
def drawn():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(20, 3, 6, generator=generator) < 0.3
    shapes = {"weight": (4, 6), "recurrent": (4, 4), "gains": (3, 4)}
    return inputs, {name: torch.randn(s, generator=generator, dtype=torch.float64) for name, s in shapes.items()}


def results(inputs, given, **options):
    weight, recurrent, gains = given["weight"], given["recurrent"], given["gains"]
    spikes, traces = kernels.dense_forward(inputs, weight, NEURON, recurrent, **options)
    current = simulate.weighted_input(inputs, weight)
    incoming = kernels.input_trace(inputs, 64.0, 8.0, weight.dtype, **options)
    return [
        spikes,
        traces,
        *kernels.current_forward(current, NEURON, recurrent, **options),
        incoming,
        kernels.weight_gradient(spikes, gains, inputs, lambda: incoming, NEURON, **options),
        kernels.counts(inputs, weight.dtype, **options),
        kernels.weighed(spikes, gains, NEURON, **options),
        kernels.propagated(spikes, gains, weight, incoming, NEURON, **options),
        kernels.pairwise(spikes, incoming, NEURON, **options),
    ]


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_backend_gives_the_same(backend, drawn):
    by_name, chosen = results(*drawn, backend=backend), results(*drawn)
    assert by_name[0].any()
    for one, other in zip(by_name, chosen, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_layouts_do_not_matter(backend, drawn):
    inputs, given = drawn
    batch_first = inputs.transpose(0, 1).contiguous().transpose(0, 1)
    transposed = {name: each.T.contiguous().T for name, each in given.items()}
    for one, other in zip(
        results(batch_first, transposed, backend=backend), results(inputs, given, backend=backend), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_i13_no_graph_and_full_precision_under_autocast(backend, drawn):
    inputs, given = drawn
    given = {name: each.float().requires_grad_() for name, each in given.items()}
    plain = results(inputs, given, backend=backend)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        automatic = results(inputs, given, backend=backend)
    for one, other in zip(automatic, plain, strict=True):
        assert torch.equal(one, other)
        assert not one.requires_grad
        assert one.dtype in (torch.bool, torch.float32)


@pytest.mark.parametrize("backend", BACKENDS)
def test_without_trace(backend, drawn):
    inputs, given = drawn
    spikes, none = kernels.dense_forward(inputs, given["weight"], NEURON, with_trace=False, backend=backend)
    assert none is None
    assert torch.equal(spikes, kernels.dense_forward(inputs, given["weight"], NEURON, backend=backend)[0])


@pytest.mark.parametrize("backend", BACKENDS)
def test_potentials_go_where_asked(backend, drawn):
    inputs, _ = drawn
    out = torch.full((3, 6, 6), torch.nan)
    traces = kernels.input_trace(inputs, 64.0, 8.0, torch.float32)
    assert kernels.pairwise(inputs, traces, NEURON, out, backend=backend) is out
    assert out.isfinite().all()


def test_numba_is_asked_for_by_name_where_it_is_not(drawn, monkeypatch):
    monkeypatch.setattr(compiled, "loops", lambda: None)
    with pytest.raises(
        ValueError, match=r"input_trace: backend 'compiled' must have numba .* on cpu without.* lightning-neuro\[fast\]"
    ):
        kernels.input_trace(drawn[0], 64.0, 8.0, torch.float32, backend="compiled")
    assert results(*drawn)[0].any()


def test_an_unknown_backend_is_refused(drawn):
    with pytest.raises(ValueError, match=r"input_trace: backend must be one of .*'compiled', got 'c'"):
        kernels.input_trace(drawn[0], 64.0, 8.0, torch.float32, backend="c")


BOOL, REAL, DOUBLE = torch.ones(5, 2, 3).bool(), torch.ones(5, 2, 3), torch.ones(5, 2, 3).double()
WRONG = [
    (TypeError, "inputs must be bool, got torch.float32", "dense_forward", (REAL, torch.ones(4, 3), NEURON)),
    (ValueError, "inputs must have shape", "dense_forward", (BOOL[0], torch.ones(4, 3), NEURON)),
    (ValueError, r"weight must have shape \(4, 3\)", "dense_forward", (BOOL, torch.ones(4, 2), NEURON)),
    (TypeError, "weight must be torch.float32 or", "dense_forward", (BOOL, torch.ones(4, 3).half(), NEURON)),
    (ValueError, "recurrent must have shape", "dense_forward", (BOOL, torch.ones(4, 3), NEURON, torch.ones(4, 3))),
    (TypeError, "recurrent must be torch.float64", "current_forward", (DOUBLE, NEURON, torch.ones(3, 3))),
    (ValueError, "current must have shape", "current_forward", (REAL[0], NEURON)),
    (TypeError, "current must be", "current_forward", (BOOL, NEURON)),
    (TypeError, "spikes must be bool", "input_trace", (REAL, 64.0, 8.0, torch.float32)),
    (ValueError, "pre must have 5 steps and 2", "weight_gradient", (BOOL, REAL[0], BOOL[1:], lambda: REAL, NEURON)),
    (TypeError, "pre must be bool", "weight_gradient", (BOOL, REAL[0], REAL, lambda: REAL, NEURON)),
    (ValueError, "gains must have shape", "weight_gradient", (BOOL, REAL[0].T, BOOL, lambda: REAL, NEURON)),
    (ValueError, "traces must have shape", "weight_gradient", (BOOL, REAL[0], BOOL, lambda: REAL[1:], NEURON)),
    (TypeError, "traces must be torch.float32", "weight_gradient", (BOOL, REAL[0], BOOL, lambda: DOUBLE, NEURON)),
    (TypeError, "spikes must be bool", "counts", (REAL, torch.float32)),
    (ValueError, "error must have shape", "adjoint", (BOOL, torch.ones(3, 3), REAL[0], REAL[0].T, NEURON)),
    (TypeError, "diagonal must be torch.float32", "adjoint", (BOOL, torch.ones(3, 3), DOUBLE[0], REAL[0], NEURON)),
    (ValueError, "weight must have shape", "adjoint", (BOOL, torch.ones(3, 2), REAL[0], REAL[0], NEURON)),
    (ValueError, "weight must have shape", "propagated", (BOOL, torch.ones(2, 3), torch.ones(3, 2), REAL, NEURON)),
    (ValueError, "out must have shape", "pairwise", (BOOL, REAL, NEURON, torch.ones(3, 3))),
    (TypeError, "out must be torch.float32", "pairwise", (BOOL, REAL, NEURON, torch.ones(2, 3, 3).double())),
]


OPTIONS = {"adjoint": {"silent_ratio": 0.0, "self_term": True}}


@pytest.mark.parametrize(("error", "message", "name", "arguments"), WRONG)
def test_what_does_not_fit_is_refused_by_name(error, message, name, arguments):
    with pytest.raises(error, match=f"{name}: {message}"):
        getattr(kernels, name)(*arguments, **OPTIONS.get(name, {}))
