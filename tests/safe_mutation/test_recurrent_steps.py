import pytest
import torch

from lightning_neuro.safe_mutation.recurrent_steps import (
    FEW_COLUMNS,
    CellWeights,
    gru_cell,
    lstm_cell,
    product,
    relu_cell,
    scan,
    tanh_cell,
)

ONE = torch.ones(1, 1, dtype=torch.float64)


def weights(gates):
    """Weights of one unit: input 0.5, hidden 0.25, biases 0.1 and 0.2 in every gate."""
    column, row = torch.ones(gates, 1, dtype=torch.float64), torch.ones(gates, dtype=torch.float64)
    return CellWeights(0.5 * column, 0.25 * column, 0.1 * row, 0.2 * row)


# With x = 1 and h = 1 every gate gets 0.5 + 0.25 + 0.3 = 1.05; the candidate of a GRU 0.6 + 0.45 sigmoid(1.05).
@pytest.mark.parametrize(
    ("cell", "gates", "state", "expected"),
    [
        (tanh_cell, 1, (ONE,), [0.7818063576]),
        (relu_cell, 1, (ONE,), [1.05]),
        (lstm_cell, 4, (ONE, ONE), [0.6420765644, 1.3199174249]),
        (gru_cell, 3, (ONE,), [0.930566908]),
    ],
)
@pytest.mark.parametrize("states", [1, FEW_COLUMNS])
def test_one_step_in_numbers(cell, gates, state, expected, states):
    inputs = [ONE.expand(1, states)] * 2
    result = cell(inputs, weights(gates))(1, tuple(part.expand(1, states) for part in state))
    for part, number in zip(result, expected, strict=True):
        torch.testing.assert_close(part, torch.full((1, states), number, dtype=torch.float64), rtol=0, atol=1e-9)


@pytest.mark.parametrize("states", [0, 1, FEW_COLUMNS - 1, FEW_COLUMNS])
def test_product_is_a_product_for_any_number_of_columns(states):
    weight, units = torch.randn(4, 3), torch.randn(3, states)
    torch.testing.assert_close(product(weight, units), weight @ units)


@pytest.mark.parametrize(("reverse", "visited", "outputs"), [(False, "012", [0, 1, 3]), (True, "210", [3, 3, 2])])
def test_scan_visits_steps_in_order_and_returns_them_in_that_of_the_inputs(reverse, visited, outputs):
    seen = []

    def add(now, state):
        seen.append(now)
        return (state[0] + now,)

    result, final = scan(add, (torch.tensor(0),), 3, reverse)
    assert "".join(map(str, seen)) == visited
    assert [part.item() for part in result] == outputs
    assert final[0].item() == 3
