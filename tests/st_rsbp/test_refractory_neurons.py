"""Neurons that rest, against snnTorch's own and against what a refractory time means."""

import copy
import pickle

import pytest
import snntorch
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_neuro.spiking.surrogate import ATan
from lightning_neuro.st_rsbp.refractory_neurons import RefractoryRSynaptic, RefractorySynaptic

STEPS = 40


def make(recurrent, refractory, **options):
    kind, extra = (RefractoryRSynaptic, {"linear_features": 3}) if recurrent else (RefractorySynaptic, {})
    return kind(0.7, 0.9, refractory=refractory, spike_grad=ATan(), init_hidden=True, **extra, **options)


def drive(scale=1.0, seed=0):
    return scale * torch.randn(STEPS, 2, 3, generator=torch.Generator().manual_seed(seed))


def run(neuron, inputs):
    return torch.stack([neuron(each) for each in inputs])


@pytest.mark.parametrize("recurrent", [False, True])
def test_one_step_is_snntorchs_own(recurrent):
    own = make(recurrent, 1)
    kind, extra = (snntorch.RSynaptic, {"linear_features": 3}) if recurrent else (snntorch.Synaptic, {})
    theirs = kind(0.7, 0.9, reset_mechanism="zero", spike_grad=ATan(), init_hidden=True, **extra)
    theirs.load_state_dict(own.state_dict())
    spikes = run(own, drive())
    assert spikes.any()
    assert torch.equal(spikes, run(theirs, drive()))


@given(refractory=st.integers(1, 6), seed=st.integers(0, 99), scale=st.floats(0.5, 20), recurrent=st.booleans())
def test_spikes_keep_their_distance(refractory, seed, scale, recurrent):
    with torch.no_grad():
        spikes = run(make(recurrent, refractory), drive(scale, seed)).bool()
    for lag in range(1, refractory + 1):
        assert not (spikes[lag:] & spikes[:-lag]).any()


def test_no_refractory_time_fires_in_every_step():
    neuron = make(True, 0)
    with torch.no_grad():
        assert run(neuron, torch.full((STEPS, 2, 3), 50.0)).all()


@pytest.mark.parametrize("refractory", [0, 3])
def test_gradients_pass_and_rest_holds_none(refractory):
    neuron, inputs = make(True, refractory), drive().requires_grad_()
    run(neuron, inputs).sum().backward()
    assert inputs.grad.count_nonzero()
    assert neuron.recurrent.weight.grad.count_nonzero()
    assert not neuron.rest.requires_grad


@pytest.mark.parametrize("recurrent", [False, True])
def test_copies_and_pickles(recurrent):
    neuron = make(recurrent, 2)
    with torch.no_grad():
        expected = run(neuron, drive())
        neuron.reset_mem()
        for copied in (copy.deepcopy(neuron), pickle.loads(pickle.dumps(neuron))):
            assert torch.equal(run(copied, drive()), expected)


def test_refractory_time_out_of_range():
    with pytest.raises(ValueError, match="RefractorySynaptic: refractory must be at least 1, got 0"):
        make(False, 0)
    with pytest.raises(ValueError, match="RefractoryRSynaptic: refractory must be at least 0, got -1"):
        make(True, -1)
    with pytest.raises(TypeError, match="RefractorySynaptic: refractory must be an integer"):
        make(False, 1.5)
