import pytest

from lightning_neuro.st_rsbp import GradientRule

ROW = [0.0, 0.0, 0.0, 0.5, 0.0]


def test_presets_are_the_two_revisions_of_the_authors():
    october, may = GradientRule.published("2019-10"), GradientRule.published("2019-05", table=[ROW])
    assert (october.silent_ratio, may.silent_ratio) == (0.5, 0.0)
    assert (october.silent_ratio_between, may.silent_ratio_between) == (0.5, 0.0)
    assert (october.post_derivative, may.post_derivative) == ("auto", "table")
    for rule in (october, may):
        assert (rule.kind, rule.gain_floor, rule.with_self_term, rule.lateral_treatment) == (
            "published",
            None,
            False,
            "factor",
        )


def test_what_is_left_open_is_decided_by_kind_and_what_is_given_stays():
    rule = GradientRule()
    assert (rule.with_self_term, rule.lateral_treatment, rule.silent_ratio_between) == (True, "recurrent", 0.0)
    given = GradientRule(self_term=False, lateral="ignore", recurrent_silent_ratio=0.25)
    assert (given.with_self_term, given.lateral_treatment, given.silent_ratio_between) == (False, "ignore", 0.25)


def test_rules_compare_and_hash_by_value():
    assert GradientRule(post_derivative="table", table=[ROW]) == GradientRule(post_derivative="table", table=(ROW,))
    assert len({GradientRule(post_derivative="table", table=[ROW]), GradientRule(), GradientRule()}) == 2


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"kind": "exact"}, ValueError, "kind must be one of"),
        ({"post_derivative": "quartic"}, ValueError, "post_derivative must be one of"),
        ({"silent_ratio": 1.5}, ValueError, "silent_ratio must be at least 0 and at most 1"),
        ({"recurrent_silent_ratio": -1}, ValueError, "recurrent_silent_ratio must be"),
        ({"gain_floor": 0}, ValueError, "gain_floor must be greater than 0"),
        ({"amplification_limit": 0.5}, ValueError, "amplification_limit must be at least 1"),
        ({"lateral": "off"}, ValueError, "lateral must be one of"),
        ({"solve_bytes": 0}, ValueError, "solve_bytes must be at least 1"),
        ({"seed": 1.5}, TypeError, "seed must be an integer"),
        ({"post_derivative": "table"}, ValueError, "no table"),
        ({"table": [ROW]}, ValueError, "Give both or neither"),
        ({"post_derivative": "table", "table": [[1.0]]}, ValueError, "K x 5"),
    ],
)
def test_impossible_rules_are_refused(arguments, error, message):
    with pytest.raises(error, match=f"GradientRule: .*{message}"):
        GradientRule(**arguments)


def test_unknown_revisions_are_refused():
    with pytest.raises(ValueError, match="revision must be one of"):
        GradientRule.published("2020-01")
