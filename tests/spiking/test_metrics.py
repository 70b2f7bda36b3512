import multiprocessing
import warnings
from datetime import timedelta

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import prune
from torch.nn.utils.parametrizations import weight_norm

from lightning_neuro.spiking.metrics import (
    DeadNeurons,
    FiringRate,
    SaturatedNeurons,
    SpikeCountAccuracy,
    SynapticOperations,
    fan_out,
)

MAKE = [
    FiringRate,
    DeadNeurons,
    lambda: SaturatedNeurons(rate=0.4),
    lambda: SynapticOperations(torch.arange(4)),
    SpikeCountAccuracy,
]


def trains(batch: int = 6, seed: int = 0, rate: float = 0.3) -> Tensor:
    spikes = torch.rand(10, batch, 4, generator=torch.Generator().manual_seed(seed)) < rate
    return spikes.float()


def halves() -> Tensor:
    """One neuron dead and one saturated in the first two samples, the other way round in the rest."""
    spikes = trains()
    spikes[:, :2, 0], spikes[:, 2:, 0] = 0, 1
    spikes[:, :2, 3], spikes[:, 2:, 3] = 1, 0
    return spikes


def arguments(metric: object, spikes: Tensor) -> tuple[Tensor, ...]:
    return (spikes, torch.arange(spikes.shape[1]) % 4) if isinstance(metric, SpikeCountAccuracy) else (spikes,)


@given(seed=st.integers(0, 1000), rate=st.floats(0, 1), batch=st.integers(1, 5))
def test_equals_counting_by_hand(seed, rate, batch):
    spikes = trains(batch, seed, rate)
    per_neuron = [sum(float(spikes[t, b, n]) for t in range(10) for b in range(batch)) for n in range(4)]
    expected = [
        sum(per_neuron) / (10 * batch * 4),
        sum(count == 0 for count in per_neuron) / 4,
        sum(count / (10 * batch) > 0.4 for count in per_neuron) / 4,
        sum(n * count for n, count in enumerate(per_neuron)) / batch,
    ]
    for make, value in zip(MAKE, expected, strict=False):
        metric = make()
        metric.update(spikes)
        assert metric.compute().item() == pytest.approx(value)


@pytest.mark.parametrize("make", MAKE)
def test_merged_halves_equal_the_whole(make):
    whole, left, right = make(), make(), make()
    spikes, *targets = arguments(whole, halves())
    whole.update(spikes, *targets)
    left.update(spikes[:, :2], *(target[:2] for target in targets))
    right.update(spikes[:, 2:], *(target[2:] for target in targets))
    left.merge_state(right)
    assert left.compute() == pytest.approx(whole.compute())


@pytest.mark.parametrize("make", MAKE)
def test_states_gathered_from_two_processes_equal_the_whole(make):
    whole, left, right = make(), make(), make()
    spikes, *targets = arguments(whole, halves())
    whole.update(spikes, *targets)
    left.update(spikes[:, :2], *(target[:2] for target in targets))
    right.update(spikes[:, 2:], *(target[2:] for target in targets))
    pairs = [(getattr(left, name), getattr(right, name)) for name in left._defaults]
    queue = iter(pairs)
    left.dist_sync_fn = lambda state, group: list(next(queue))
    left.distributed_available_fn = lambda: True
    assert left.compute() == pytest.approx(whole.compute())


@pytest.mark.parametrize("make", MAKE)
def test_reset_forgets(make):
    metric = make()
    metric.update(*arguments(metric, trains(rate=0.9)))
    metric.reset()
    metric.update(*arguments(metric, trains(seed=1)))
    fresh = make()
    fresh.update(*arguments(fresh, trains(seed=1)))
    assert metric.compute() == fresh.compute()


def test_a_neuron_that_fired_in_any_batch_is_alive():
    metric = DeadNeurons()
    for neuron in range(3):
        spikes = torch.zeros(5, 2, 4)
        spikes[0, 0, neuron] = 1
        metric.update(spikes)
    assert metric.compute() == 0.25


def test_graded_spikes_count_as_one():
    metric = FiringRate()
    metric.update(trains() * 2.5)
    assert metric.compute() == trains().mean()


def test_counts_stay_exact_where_float32_would_not():
    metric = FiringRate()
    metric.update(torch.ones(1, 1, 1))
    metric.spikes = metric.spikes + 2**24
    metric.places = metric.places + 2**24
    metric.update(torch.ones(1, 1, 1))
    assert metric.spikes.item() == 2**24 + 2


def test_convolutional_neurons():
    spikes = torch.zeros(3, 2, 4, 5, 5)
    spikes[:, :, 0] = 1
    for metric, expected in ((FiringRate(), 0.25), (DeadNeurons(), 0.75), (SaturatedNeurons(), 0.25)):
        metric.update(spikes)
        assert metric.compute() == expected


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Linear(3, 5), (3,)),
        (nn.Conv2d(2, 4, 3, stride=2, padding=1, groups=2), (2, 5, 4)),
        (nn.Conv1d(1, 2, 3, dilation=2), (1, 6)),
        (nn.ConvTranspose2d(2, 1, 2, stride=2), (2, 3, 3)),
    ],
)
def test_fan_out_equals_the_nonzeros_of_the_jacobian(layer, shape):
    layer.weight.data[layer.weight.abs() < 0.1] = 0
    jacobian = torch.autograd.functional.jacobian(lambda x: layer(x[None])[0].flatten(), torch.rand(shape))
    with torch.inference_mode():
        assert torch.equal(fan_out(layer, shape), (jacobian != 0).sum(0))


def test_fan_out_needs_a_weight():
    with pytest.raises(TypeError, match=r"fan_out: expected a layer with a parameter 'weight', .* got ReLU\."):
        fan_out(nn.ReLU(), (3,))
    with pytest.raises(TypeError, match=r"got ParametrizedLinear, which computes its weight from others"):
        fan_out(weight_norm(nn.Linear(3, 2)), (3,))


def test_synaptic_operations_of_a_layer():
    layer = nn.Linear(4, 7)
    metric = SynapticOperations(fan_out(layer, (4,)))
    metric.update(trains())
    assert metric.compute() == trains().sum() * 7 / 6
    plain = SynapticOperations(7)
    plain.update(trains())
    assert plain.compute() == metric.compute()
    assert not metric.state_dict()


def test_ties_count_by_their_share():
    metric = SpikeCountAccuracy()
    metric.update(torch.zeros(7, 5, 4), torch.tensor([0, 1, 2, 3, 0]))
    assert metric.compute() == 0.25
    metric.reset()
    spikes = torch.tensor([[[1.0, 1, 0], [1, 1, 0], [0, 0, 1]]])
    metric.update(spikes, torch.tensor([1, 2, 2]))
    assert metric.compute() == pytest.approx((0.5 + 0 + 1) / 3)


def test_accuracy_counts_samples_not_steps():
    metric = SpikeCountAccuracy()
    metric.update(nn.functional.one_hot(torch.tensor([0, 1, 2]), 3).float().expand(20, 3, 3), torch.tensor([0, 1, 1]))
    assert metric.samples == 3
    assert metric.compute() == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (
            lambda: FiringRate().update(torch.ones(3)),
            r"FiringRate: expected spikes \(T, B, ...\), time first, got \(3,\)",
        ),
        (
            lambda: SpikeCountAccuracy().update(torch.ones(20, 5, 4), torch.zeros(20)),
            r"expected spikes \(T, B, K\) and targets \(B,\), got \(20, 5, 4\) and \(20,\)",
        ),
        (lambda: SaturatedNeurons(rate=1.0), "SaturatedNeurons: rate must be at least 0 and less than 1, got 1.0"),
        (lambda: SynapticOperations(-1), "fan_out must be at least 0, got -1"),
        (lambda: SynapticOperations(torch.tensor([0.5])), "fan_out must be counts"),
        (
            lambda: SynapticOperations(torch.arange(3)).update(trains()),
            r"expected neurons of shape \(3,\), that of fan_out, got \(4,\)",
        ),
    ],
)
def test_refuses_by_name(act, message):
    with pytest.raises(ValueError, match=message):
        act()


def test_refuses_other_neurons_than_before():
    metric = DeadNeurons()
    metric.update(trains())
    with pytest.raises(ValueError, match=r"DeadNeurons: expected neurons of shape \(4,\) as before, got \(3,\)"):
        metric.update(trains()[..., :3])


def test_refuses_other_neurons_than_before_in_any_way():
    message = r"expected neurons of shape \(5,\) as before, got \(1,\)"
    for metric in (DeadNeurons(), SaturatedNeurons()):
        metric(torch.ones(2, 3, 5))
        with pytest.raises(ValueError, match=message):
            metric(torch.ones(2, 3, 1))
        other = type(metric)()
        other.update(torch.ones(2, 3, 1))
        with pytest.raises(ValueError, match=message):
            metric.merge_state(other)
        assert metric.spikes.tolist() == [6] * 5
    with pytest.raises(ValueError, match="DeadNeurons: expected a metric of the same class to merge, got FiringRate"):
        DeadNeurons().merge_state(FiringRate())


def test_calling_gives_the_batch_and_keeps_the_whole():
    metric, whole, spikes = DeadNeurons(), DeadNeurons(), halves()
    assert [metric(spikes[:, :2]), metric(spikes[:, 2:])] == [0.25, 0.25]
    whole.update(spikes)
    assert metric.compute() == whole.compute() == 0
    assert DeadNeurons().merge_state(metric) is None


def _on_rank(rank: int, folder: str) -> None:
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2, timeout=timedelta(seconds=20)
    )
    spikes = halves()
    found: dict[str, object] = {}
    for name, make in (("dead", DeadNeurons), ("saturated", lambda: SaturatedNeurons(rate=0.4))):
        one, both, apart, turned = make(), make(), make(), make()
        if rank:
            one.update(spikes)
        both.update(spikes[:, 2:] if rank else spikes[:, :2])
        apart.update(torch.ones(1, 1, 5 - rank))
        turned.update(torch.ones(1, 1, *((2, 3) if rank else (3, 2))))
        with warnings.catch_warnings(action="ignore"):  # of computing before any update
            found[name] = [one.compute().item(), both.compute().item()]
        found[f"{name} {one.spikes.shape[0]}"] = one.steps.item()  # as before the gathering
        for metric in (apart, turned):
            with pytest.raises(ValueError, match="same shape in all processes"):
                metric.compute()
    torch.save(found, f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.filterwarnings("ignore:.*os.fork")
def test_processes_without_a_batch_and_with_other_neurons(tmp_path):
    ranks = [multiprocessing.get_context("fork").Process(target=_on_rank, args=(r, str(tmp_path))) for r in range(2)]
    for each in ranks:
        each.start()
    for each in ranks:
        each.join(timeout=40)
        assert each.exitcode == 0
    whole = [DeadNeurons(), SaturatedNeurons(rate=0.4)]
    for metric in whole:
        metric.update(halves())
    expected = {"dead": [whole[0].compute().item()] * 2, "saturated": [whole[1].compute().item()] * 2}
    for rank, (size, steps) in enumerate([(0, 0), (4, 60)]):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert found == {**expected, f"dead {size}": steps, f"saturated {size}": steps}


def test_fan_out_of_a_pruned_layer_counts_what_is_left():
    layer = nn.Linear(3, 4)
    prune.random_unstructured(layer, "weight", amount=5)
    assert fan_out(layer, (3,)).tolist() == layer.weight_mask.sum(0).tolist()


@pytest.mark.parametrize("targets", [[0, 4], [-1, 0]])
def test_refuses_targets_that_are_no_class(targets):
    wrong = next(target for target in targets if target)
    message = f"targets must be at least 0 and less than 4, the number of classes in spikes, got {wrong}"
    with pytest.raises(ValueError, match=message):
        SpikeCountAccuracy().update(trains(2), torch.tensor(targets))
