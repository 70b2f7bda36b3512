"""Measures of information against ennemi (nearest neighbours), dit (tables of probabilities) and pyinform (symbols)."""

import dit
import ennemi
import numpy as np
import pyinform
import pytest

from lightning_neuro.reservoir.measures import active_information_storage, entropy, mutual_information, transfer_entropy
from lightning_neuro.reservoir.measures.information import discrete
from lightning_neuro.reservoir.measures.information.nearest_neighbour import ksg_information

RNG = np.random.default_rng(0)
BITS = RNG.integers(0, 2, (600, 2))
SYMBOLS = np.stack([BITS[:, 0], np.roll(BITS[:, 0] ^ BITS[:, 1], 1)], axis=1)  # the second hears the first, late


def driven(samples=1500):
    """A series and one that it drives, by a step."""
    source = RNG.standard_normal(samples)
    target = np.zeros(samples)
    for step in range(samples - 1):
        target[step + 1] = 0.4 * target[step] + np.tanh(source[step]) + 0.3 * RNG.standard_normal()
    return source, target


def shares(width):
    """A table of probabilities of three variables."""
    return np.random.default_rng(width).dirichlet(np.ones(2 * 3 * width)).reshape(2, 3, width)


def distribution(share):
    return dit.Distribution([tuple(map(str, place)) for place in np.ndindex(share.shape)], share.ravel())


@pytest.mark.parametrize("neighbours", [3, 4, 8])
def test_nearest_neighbours_equal_ennemis(neighbours):
    mixed = np.random.default_rng(3).standard_normal((2000, 3)) @ np.array([[1, 0.8, 0], [0, 1, 0.5], [0, 0, 1.0]])
    x, y, z = np.split(mixed, 3, axis=1)
    theirs = ennemi.estimate_mi(y[:, 0], x[:, 0], k=neighbours).item()
    assert ksg_information(x, y, neighbours=neighbours).mean() == pytest.approx(theirs, abs=0.01)
    theirs = ennemi.estimate_mi(y[:, 0], x[:, 0], cond=z[:, 0], k=neighbours).item()
    assert ksg_information(x, y, z, neighbours=neighbours).mean() == pytest.approx(theirs, abs=0.01)


def test_transfer_of_real_numbers_equals_ennemis():
    source, target = driven()
    theirs = ennemi.estimate_mi(target, source, lag=1, cond=target, cond_lag=1, k=4, preprocess=True).item()
    ours = float(transfer_entropy(source, target, estimator="ksg"))
    assert ours == pytest.approx(theirs, abs=0.02)
    assert ours > 0.5


def test_entropy_of_real_numbers_equals_ennemis():
    values = np.random.default_rng(1).standard_normal(3000)
    theirs = float(np.squeeze(ennemi.estimate_entropy(values, k=4)))
    assert float(entropy(values, estimator="ksg")) == pytest.approx(theirs, abs=0.02)


@pytest.mark.parametrize("width", [1, 2, 4])
def test_tables_equal_dit(width):
    share = shares(width)
    theirs = dit.multivariate.coinformation(distribution(share), [[0], [1]], [2])
    assert discrete.table_information(share) / np.log(2) == pytest.approx(theirs, abs=1e-9)


def test_an_exclusive_or_is_seen_only_with_its_second_input():
    share = np.zeros((2, 2, 2))  # x, x xor z, z
    for x, z in np.ndindex(2, 2):
        share[x, x ^ z, z] = 0.25
    known = distribution(share)
    for given in ([], [2]):
        theirs = dit.multivariate.coinformation(known, [[0], [1]], given)
        table = share if given else share.sum(axis=2)[..., None]
        assert discrete.table_information(table) / np.log(2) == pytest.approx(theirs, abs=1e-12)
        assert theirs == pytest.approx(len(given), abs=1e-12)


def test_a_noisy_channel_carries_what_dit_says():
    share = np.array([[0.45, 0.05], [0.05, 0.45]])
    ours = discrete.table_information(share[..., None]) / np.log(2)
    assert ours == pytest.approx(dit.multivariate.coinformation(distribution(share)), abs=1e-12)
    assert ours == pytest.approx(0.531, abs=1e-3)


def test_symbols_equal_pyinform():
    source, target = SYMBOLS.T
    assert float(transfer_entropy(source, target)) == pytest.approx(
        pyinform.transfer_entropy(source, target, k=1), abs=1e-6
    )
    storage = pyinform.active_info(target, k=2)
    assert float(active_information_storage(target, history=2)) == pytest.approx(storage, abs=1e-6)
    shared = pyinform.mutual_info(source[:-1], target[1:])
    assert float(mutual_information(source[:-1], target[1:])) == pytest.approx(shared, abs=1e-6)
