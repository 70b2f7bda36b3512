import sys

import numpy as np
import pytest
import torch

from lightning_neuro.data import DigitsData

sklearn_datasets = pytest.importorskip("sklearn.datasets")


def loaded(**options):
    data = DigitsData(**options)
    data.prepare_data()
    data.setup()
    return data


def test_is_the_scikit_learn_set_split_by_the_stated_rule():
    data = loaded(val_size=0)
    source = sklearn_datasets.load_digits()
    seen = dict.fromkeys(range(10), 0)
    test = []
    for index, label in enumerate(source.target):  # every fifth of its class
        seen[label] += 1
        if seen[label] % 5 == 0:
            test.append(index)
    assert len(test) == len(data.test_set) == 355
    np.testing.assert_array_equal(data.test_set.pixels[:, 0].numpy(), source.images[test])
    assert data.test_set.labels.tolist() == source.target[test].tolist()
    rest = np.delete(np.arange(1797), test)
    assert data.train_set.labels.bincount().tolist() == np.bincount(source.target[rest]).tolist()
    assert data.train_set.pixels.sum().item() == source.images[rest].sum()


def test_test_part_does_not_depend_on_the_seed():
    assert torch.equal(loaded(seed=1).test_set.pixels, loaded(seed=2).test_set.pixels)


def test_normalisation_constants_are_those_of_the_training_part():
    x, _ = loaded(val_size=0).train_set.batch(range(1442))
    assert x.mean().item() == pytest.approx(0, abs=2e-4)
    assert x.std(correction=0).item() == pytest.approx(1, abs=2e-4)
    plain, _ = loaded(val_size=0, normalize=False).train_set.batch(range(1442))
    assert (plain.min().item(), plain.max().item()) == (0, 1)


def test_facts():
    data = DigitsData()
    assert (data.num_classes, data.image_shape, data.class_names[9]) == (10, (1, 8, 8), "9")


def test_without_scikit_learn_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ModuleNotFoundError, match=r"DigitsData: .* pip install lightning-neuro\[data\]"):
        DigitsData().prepare_data()
