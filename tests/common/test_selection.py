import pytest
import torch
from torch import nn

from lightning_neuro.common.selection import (
    canonical_name,
    describe,
    name_matches,
    reusable,
    select_parameters,
    select_tensors,
)


def network() -> nn.Module:
    block = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    return nn.Sequential(block, nn.Conv1d(1, 2, 3), nn.Linear(3, 2, bias=False))


ALL = ["0.0.weight", "0.0.bias", "0.1.weight", "0.1.bias", "1.weight", "1.bias", "2.weight"]


@pytest.mark.parametrize(
    ("select", "exclude", "expected"),
    [
        (None, None, ALL),
        ("0.0", None, ["0.0.weight", "0.0.bias"]),
        ("0", None, ["0.0.weight", "0.0.bias", "0.1.weight", "0.1.bias"]),
        ("*.weight", "0", ["1.weight", "2.weight"]),
        (nn.Linear, None, ["0.0.weight", "0.0.bias", "2.weight"]),
        ([nn.Conv1d, "2.weight"], "bias", ["1.weight", "2.weight"]),
        (lambda name, p: p.ndim == 3, None, ["1.weight"]),
        (None, [nn.BatchNorm1d, "bias"], ["0.0.weight", "1.weight", "2.weight"]),
    ],
)
def test_parameters_are_selected_in_order(select, exclude, expected):
    assert list(select_parameters("Example", network(), select, exclude)) == expected


def test_names_are_matched_by_whole_parts():
    assert not name_matches("layer10.weight", "layer1")
    assert not name_matches("weights", "weight")
    assert name_matches("a.layer1.weight", "layer1.weight")
    assert name_matches("a.layer1.weight", "a.*.w?ight")


def test_tied_parameters_come_once_and_are_excluded_under_either_name():
    net = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    net[1].weight = net[0].weight
    assert list(select_parameters("Example", net)) == ["0.weight"]
    assert list(select_parameters("Example", net, select=[net[1].weight])) == ["0.weight"]


def test_compiled_modules_keep_their_names():
    net = nn.Sequential(nn.Linear(2, 2), torch.compile(nn.Linear(2, 2), backend="eager"))
    assert list(select_parameters("Example", net, "1.weight")) == ["1.weight"]
    assert canonical_name("_orig_mod.a._orig_mod.b") == "a.b"


def test_what_matches_nothing_is_named_with_a_hint():
    with pytest.raises(ValueError, match=r"Example: exclude '0.wheight' matches no parameter. Did you mean '.*weight'"):
        select_parameters("Example", network(), exclude="0.wheight")
    with pytest.raises(ValueError, match="select 'LSTM' matches no parameter"):
        select_parameters("Example", network(), nn.LSTM)
    with pytest.raises(ValueError, match=r"select 'tensor\(2,\)' matches no parameter"):
        select_parameters("Example", network(), torch.zeros(2))
    with pytest.raises(ValueError, match=r"select '.*<lambda>:\d+' matches no parameter"):
        select_parameters("Example", network(), lambda name, p: False)
    with pytest.raises(ValueError, match=r"no parameter is left of 7 with select=None, exclude='\*'"):
        select_parameters("Example", network(), exclude="*")
    with pytest.raises(ValueError, match="no parameter is left of 7 with select=None"):
        select_parameters("Example", network(), select=[])
    with pytest.raises(ValueError, match="There are no parameters"):
        select_parameters("Example", nn.ReLU(), "weight")


def test_other_criteria_are_refused():
    with pytest.raises(TypeError, match=r"select takes names, module types, parameters and predicates .* got 3"):
        select_parameters("Example", network(), [3])
    with pytest.raises(TypeError, match="cannot select by module type Linear here"):
        select_tensors("Example", [("a", torch.zeros(1))], nn.Linear)


def test_tensors_without_names_are_selected_by_identity():
    a, b = torch.zeros(1), torch.zeros(2)
    assert [t.shape[0] for t in select_tensors("Example", [(None, a), (None, b)], exclude=[a])] == [2]
    with pytest.raises(ValueError, match="cannot select 'a' by name"):
        select_tensors("Example", [(None, a)], "a")


def test_descriptions_are_the_same_in_every_process():
    assert describe(None) == ""
    assert describe([nn.Linear, "bias", torch.zeros(2, 3), name_matches]) == "Linear,bias,tensor(2, 3),name_matches"


def test_generators_are_kept_and_other_things_refused_at_once():
    net = network()
    kept = reusable("Example", "select", net[0].parameters())
    for _ in range(2):
        assert len(select_parameters("Example", net, kept)) == 4
    with pytest.raises(TypeError, match=r"Example: select takes names, .* got 3"):
        reusable("Example", "select", 3)
    with pytest.raises(TypeError, match=r"Example: exclude takes names, .* got 3"):
        reusable("Example", "exclude", ["bias", 3])
    with pytest.raises(TypeError, match=r"got a module: pass its parameters\(\)"):
        reusable("Example", "select", net)


def test_lambdas_of_two_lines_are_told_apart():
    first = describe(lambda name, p: True)
    second = describe(lambda name, p: True)
    assert first != second
