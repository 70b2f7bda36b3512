import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_neuro.safe_mutation.tasks.walls import ray_lengths, squared_distances, wall_rows

coordinates = st.floats(0, 50)
segments = st.tuples(coordinates, coordinates, coordinates, coordinates).filter(lambda w: math.dist(w[:2], w[2:]) > 0.1)
points = st.tuples(coordinates, coordinates)


def nearest_of_many(point, wall, pieces=4000):
    x1, y1, x2, y2 = wall
    places = ((x1 + (x2 - x1) * k / pieces, y1 + (y2 - y1) * k / pieces) for k in range(pieces + 1))
    return min(math.dist(point, place) for place in places)


@given(segments, points)
def test_distance_is_the_least_to_any_place_on_the_wall(wall, point):
    squared = squared_distances(torch.tensor([point], dtype=torch.float64), wall_rows((wall,), torch.float64))
    assert squared.sqrt().item() == pytest.approx(nearest_of_many(point, wall), abs=0.02)


@given(segments, points, st.floats(0, 2 * math.pi))
def test_a_ray_that_reports_a_wall_ends_on_it_and_meets_nothing_before(wall, point, angle):
    direction = math.cos(angle), math.sin(angle)
    length = ray_lengths(
        torch.tensor([point], dtype=torch.float64),
        torch.tensor([[direction]], dtype=torch.float64),
        wall_rows((wall,), torch.float64),
        reach=100.0,
    ).item()
    x1, y1, x2, y2 = wall
    sides = [direction[0] * (y - point[1]) - direction[1] * (x - point[0]) for x, y in ((x1, y1), (x2, y2))]
    if length < 100:
        end = torch.tensor([[point[k] + length * direction[k] for k in (0, 1)]], dtype=torch.float64)
        assert squared_distances(end, wall_rows((wall,), torch.float64)).item() < 1e-9
    elif sides[0] * sides[1] < -1e-6:  # the wall crosses the line of the ray: it must lie behind, or out of reach
        share = sides[0] / (sides[0] - sides[1])
        met = x1 + share * (x2 - x1), y1 + share * (y2 - y1)
        forward = sum((met[k] - point[k]) * direction[k] for k in (0, 1))
        assert forward <= 1e-6 or forward >= 100 - 1e-6


def test_parallel_walls_and_mere_ends_are_not_met():
    walls = wall_rows(((1, 0, 5, 0), (3, 0, 3, 4)), torch.float64)
    ray = torch.tensor([[[1.0, 0.0]]], dtype=torch.float64)
    assert ray_lengths(torch.zeros(1, 2, dtype=torch.float64), ray, walls, reach=10.0).item() == 10.0
