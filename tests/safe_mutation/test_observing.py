import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete, Tuple, flatten
from gymnasium.vector.utils import concatenate, create_empty_array

from lightning_neuro.safe_mutation.observing import observer

MIXED = Dict(
    near=Box(-1, 1, (2, 2), np.float32),
    kind=Discrete(3, start=1),
    pair=Tuple((MultiDiscrete([2, 2]), Box(0, 255, (2,), np.uint8))),
)


@pytest.mark.parametrize("space", [MIXED, Discrete(5), MultiDiscrete([2, 3]), MIXED["pair"]])
def test_other_spaces_are_flattened_one_by_one(space: Dict) -> None:
    space.seed(0)
    each = [space.sample() for _ in range(4)]
    batch = concatenate(space, each, create_empty_array(space, 4))
    seen = observer(space, None, torch.float64)(batch)
    torch.testing.assert_close(seen, torch.from_numpy(np.stack([flatten(space, one) for one in each])).double())


def test_boxes_keep_their_shape_and_images_their_bytes() -> None:
    numbers = observer(Box(0, 1, (2, 3), np.float64), None, torch.float32)(np.ones((4, 2, 3)))
    assert numbers.shape == (4, 2, 3)
    assert numbers.dtype == torch.float32
    whole = observer(Box(0, 9, (2,), np.int32), None, torch.float32)(np.ones((4, 2), np.int32))
    assert whole.dtype == torch.float32
    image = observer(Box(0, 255, (2, 2), np.uint8), None, torch.float32)(np.full((4, 2, 2), 255, np.uint8))
    assert image.dtype == torch.uint8


def test_what_is_seen_is_no_view_of_the_environments_memory() -> None:
    memory = np.ones((3, 2), np.float32)
    seen = observer(Box(0, 1, (2,), np.float32), None, torch.float32)(memory)
    memory[:] = 7
    assert (seen == 1).all()


def test_an_adapter_replaces_the_rules() -> None:
    observe = observer(MIXED, lambda observations: torch.from_numpy(observations["kind"]), torch.float32)
    assert observe({"kind": np.array([1, 3])}).tolist() == [1, 3]
    halves = observer(MIXED, lambda observations: observations["kind"] / 2, torch.float32)
    assert halves({"kind": np.array([1, 3])}).dtype == torch.float32
    with pytest.raises(TypeError, match=r"must return one array \(n, \*obs\), got dict of shapes {'kind': \(2,\)}"):
        observer(MIXED, lambda observations: observations, torch.float32)({"kind": np.array([1, 3])})
