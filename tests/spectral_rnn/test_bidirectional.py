import numpy as np
import pytest

from lightning_neuro.spectral_rnn import bidirectional as b
from lightning_neuro.spectral_rnn.alarms import MemorylessNeuronWarning
from lightning_neuro.spectral_rnn.model import PolynomialModel


def random_model(seed):
    rng = np.random.default_rng(seed)
    halves = [
        PolynomialModel(*(0.2 * rng.standard_normal(shape) for shape in ((2, 4), (2, 2), (2, 3)))) for _ in range(2)
    ]
    return b.BidirectionalModel(*halves, offset=rng.standard_normal(3))


def test_it_is_the_sum_of_both_readings():
    model = random_model(0)
    x = np.random.default_rng(1).standard_normal((9, 4))
    h, k = np.zeros(2), np.zeros(2)
    onward, back = [], []
    for row in x:
        h = (model.forward.input_weights @ row + model.forward.recurrent_weights @ h) ** 2
        onward.append(model.forward.output_weights.T @ h)
    for row in x[::-1]:
        k = (model.backward.input_weights @ row + model.backward.recurrent_weights @ k) ** 2
        back.append(model.backward.output_weights.T @ k)
    np.testing.assert_allclose(model.predict(x), np.array(onward) + back[::-1] + model.offset)


def test_time_reversed_data_swap_the_directions():
    model = random_model(2)
    x = np.random.default_rng(1).standard_normal((9, 4))
    swapped = b.BidirectionalModel(model.backward, model.forward, model.offset)
    np.testing.assert_allclose(swapped.predict(x[::-1])[::-1], model.predict(x))


def test_directions_of_exact_contractions_are_found_in_any_order():
    rng = np.random.default_rng(3)
    u, v = rng.standard_normal((2, 3, 3))
    past, future = np.zeros((2, 6, 6))
    past[:3, :3], future[3:, 3:] = u, v
    shuffle = rng.permutation(6)
    found = b.split_directions(past[np.ix_(shuffle, shuffle)], future[np.ix_(shuffle, shuffle)])
    assert sorted(shuffle[found.forward]) == [0, 1, 2]
    assert sorted(shuffle[found.backward]) == [3, 4, 5]
    swapped = b.split_directions(future[np.ix_(shuffle, shuffle)], past[np.ix_(shuffle, shuffle)])
    np.testing.assert_array_equal(swapped.forward, found.backward)
    network = b.assemble(np.eye(6)[shuffle], past[np.ix_(shuffle, shuffle)], future, np.ones((6, 2)), found)
    order = shuffle[found.forward]
    np.testing.assert_array_equal(network.forward.recurrent_weights, u[np.ix_(order, order)])


def test_a_neuron_without_memory_is_told_and_an_odd_number_refused():
    with pytest.warns(MemorylessNeuronWarning, match=r"neurons \[1\] have no recurrent weight"):
        b.split_directions(np.diag([0.3, 0.01]), np.zeros((2, 2)))
    with pytest.raises(ValueError, match="even number of neurons, got 3"):
        b.split_directions(np.zeros((3, 3)), np.zeros((3, 3)))
