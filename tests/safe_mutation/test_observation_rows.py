import numpy as np

from lightning_neuro.safe_mutation.observation_rows import map_arrays, rows_equal


def test_every_array_is_mapped_in_its_place() -> None:
    nested = {"a": (np.zeros(2), {"b": [1, 2, 3]})}
    assert map_arrays(len, nested) == {"a": (2, {"b": 3})}


def test_rows_are_compared_in_every_part() -> None:
    first = {"a": np.array([[1.0], [np.nan]]), "b": (np.array([3, 4]),)}
    other = {"a": np.array([[np.nan], [1.0]]), "b": (np.array([4, 5]),)}
    assert rows_equal(first, 1, other, 0)
    assert not rows_equal(first, 0, other, 1)
