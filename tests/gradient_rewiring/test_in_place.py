import math

import pytest
import torch

from lightning_neuro.gradient_rewiring import compiled, functional, in_place
from lightning_neuro.gradient_rewiring.in_place import Step, rewire_


def steps(dtype=torch.float32, shapes=((40, 30), (7,), (3, 4, 2, 2)), theta_type=None) -> list[Step]:
    generator = torch.Generator().manual_seed(3)
    made = []
    for index, shape in enumerate(shapes):
        theta = torch.randn(shape, generator=generator, dtype=theta_type or dtype)
        sign = torch.randint(-1, 2, shape, generator=generator).to(torch.int8)
        theta *= sign.abs()
        weight = functional.join(theta, sign).to(dtype)
        weight += (0.1 * torch.randn(shape, generator=generator)).to(dtype)
        made.append(Step(weight, theta, sign, 0.01 * index, -0.3, -1.5 if index == 1 else -math.inf))
    return made


def expected(each: Step):
    theta = functional.rewire(each.theta, each.sign, each.weight, each.drift, each.centre, each.floor)
    return theta, functional.join(theta, each.sign).to(each.weight.dtype)


def check(made: list[Step], run) -> None:
    wanted = [expected(each) for each in made]
    run(made)
    for each, (theta, weight) in zip(made, wanted, strict=True):
        assert torch.equal(each.theta, theta)
        assert torch.equal(each.weight, weight)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_compiled_pieces_and_multi_tensor_equal_the_reference_to_the_last_bit(dtype, monkeypatch):
    pytest.importorskip("numba")
    check(steps(dtype), rewire_)
    check(steps(dtype), in_place.multi_tensor_)
    monkeypatch.setattr(compiled, "kernel", lambda: None)
    monkeypatch.setattr(in_place, "PIECE", 64)
    check(steps(dtype), rewire_)


def test_chunks_of_a_device_hold_no_more_than_a_quarter_of_the_largest(monkeypatch):
    monkeypatch.setattr(in_place, "SMALLEST_CHUNK", 64)
    sizes = []

    def in_chunks(made) -> None:
        for chunk in in_place.chunks(made):
            sizes.append(sum(each.weight.numel() for each in chunk))
            in_place.multi_tensor_(chunk)

    check(steps(shapes=((40, 30), (7,), (3, 4, 2, 2), (9, 9))), in_chunks)
    assert sum(sizes) == 1200 + 7 + 48 + 81
    assert max(sizes) <= 300
    assert len(sizes) < 7


@pytest.mark.parametrize("run", [rewire_, in_place.multi_tensor_])
def test_half_precision_weights_with_theta_in_single(run):
    check(steps(torch.bfloat16, theta_type=torch.float32), run)


def test_without_numba_the_loop_declines(monkeypatch):
    monkeypatch.setattr(compiled, "kernel", lambda: None)
    each = steps()[1]
    assert not compiled.rewire_(each.weight, each.theta, each.sign, 0.1, 0.0, -1.0)


def test_several_threads_share_large_tensors(monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.setattr(compiled, "PIECE", 100)
    torch.set_num_threads(3)
    check(steps(), rewire_)


def test_views_that_skip_memory_are_rewired_as_well():
    [each] = steps(shapes=((6, 8),))
    wide = torch.zeros(6, 16)
    view = wide[:, ::2]
    view.copy_(each.weight)
    theta, weight = expected(each)
    rewire_([Step(view, each.theta, each.sign, each.drift, each.centre)])
    assert torch.equal(each.theta, theta)
    assert torch.equal(view, weight)
    assert (wide[:, 1::2] == 0).all()


def test_whoever_watches_a_weight_sees_that_it_has_changed():
    [each] = steps(shapes=((6, 8),))
    before = each.weight._version
    rewire_([each])
    assert each.weight._version > before
