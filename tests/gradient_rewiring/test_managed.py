import pytest
from torch import nn
from torch.nn.utils import prune

from lightning_neuro.gradient_rewiring.managed import by_pattern, find_managed


def managed(net: nn.Module, **options) -> list[str]:
    return [c.name for c in find_managed("Example", net, **options) if not c.reason]


def net() -> nn.Sequential:
    return nn.Sequential(
        nn.Embedding(5, 4),
        nn.Linear(4, 3),
        nn.LayerNorm(3),
        nn.Linear(3, 2),
        nn.ConvTranspose2d(2, 2, 3),
        nn.LSTM(2, 2),
    )


def test_layers_yes_everything_else_no_with_its_reason():
    reasons = {c.name: c.reason for c in find_managed("Example", net())}
    assert [name for name, reason in reasons.items() if not reason] == ["1.weight", "3.weight", "4.weight"]
    assert reasons["0.weight"] == "embedding"
    assert reasons["2.weight"] == "normalisation"
    assert reasons["5.weight_ih_l0"] == "no synapse"
    assert reasons["5.bias_hh_l0"] == reasons["1.bias"] == "bias"


def test_selection_narrows_by_name_type_and_predicate():
    assert managed(net(), select="3") == ["3.weight"]
    assert managed(net(), select=nn.Linear, exclude="1") == ["3.weight"]
    assert managed(net(), exclude=nn.ConvTranspose2d) == ["1.weight", "3.weight"]
    assert managed(net(), select=lambda name, tensor: tensor.ndim == 4) == ["4.weight"]
    frozen = net()
    frozen[1].weight.requires_grad_(False)
    assert {c.name: c.reason for c in find_managed("Example", frozen)}["1.weight"] == "not trained"


def test_tied_weights_are_named_and_may_be_excluded():
    tied = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Linear(3, 3), "c": nn.Linear(3, 3)})
    tied["b"].weight = tied["a"].weight
    with pytest.raises(ValueError, match=r"Example: 'a\.weight' and 'b\.weight' are one tied weight"):
        managed(tied)
    assert managed(tied, exclude="a.weight") == ["c.weight"]


@pytest.mark.parametrize("how", ["weight_norm", "prune", "parametrize"])
def test_computed_weights_are_refused_unless_excluded(how):
    layers = net()
    if how == "weight_norm":
        nn.utils.parametrizations.weight_norm(layers[1])
    elif how == "prune":
        prune.l1_unstructured(layers[1], "weight", 0.5)
    else:
        nn.utils.parametrize.register_parametrization(layers[1], "weight", nn.Identity())
    with pytest.raises(ValueError, match=r"Example: '1\.weight' is computed from other parameters already"):
        managed(layers)
    for exclude in ("1", "1.weight", lambda name, tensor: name.startswith("1.")):
        assert "1.weight" not in managed(layers, exclude=exclude)
    assert managed(layers, exclude="1.weight") == ["3.weight", "4.weight"]
    assert managed(layers, exclude=nn.Linear) == ["4.weight"]
    assert managed(layers, select="3") == ["3.weight"]
    assert managed(layers, select=nn.ConvTranspose2d) == ["4.weight"]


def test_instance_norms_are_norms():
    layers = nn.Sequential(nn.Conv1d(2, 3, 1), nn.InstanceNorm1d(3, affine=True))
    assert {c.name: c.reason for c in find_managed("Example", layers)}["1.weight"] == "normalisation"


def test_targets_by_pattern_first_match_wins():
    assert by_pattern("Example", "sparsity", {"*.weight": 0.5, "a": 0.9}, ["a.weight"]) == {"a.weight": 0.5}
