"""Specification of rewardkit.audit.weighing: the rule by which something is a finding, on made-up numbers."""

from __future__ import annotations

import pytest

from rewardkit import Outcome
from rewardkit.audit.attack_report import ExploitResult
from rewardkit.audit.exploits import Empty, Exploit, PaddedRight
from rewardkit.audit.weighing import Honest, Rule, Tried, explained, weigh, weigh_wrong

RULE = Rule(tolerance=0.02, exact=1e-9, min_share=0.05, blind=False)


def scored(value: float | None) -> Outcome:
    return Outcome(value, "scored" if value is not None else "not_scored")


def honest(row: int, right: float = 1.0, wrong: float = 0.0, empty: float = 0.0) -> Honest:
    outcomes = (scored(right), scored(wrong), scored(empty))
    return Honest(row, "?", (f"gold {row}",), "right", "wrong", outcomes)


def tried(h: Honest, value: float | None, text: str = "text", variant: int = 0, raised: str = "") -> Tried:
    return Tried(text, variant, h, scored(value), *h.outcomes[:2], raised=raised)


def result(*values: float | None, exploit: Exploit | None = None, rule: Rule = RULE) -> ExploitResult:
    """One completion per row, each row with a right answer of 1.0 and a wrong one of 0.0."""
    rows = [tried(honest(row), value) for row, value in enumerate(values)]
    return weigh(exploit or Empty(), rows, rule, "stack")


@pytest.mark.parametrize(
    ("values", "level", "beats_wrong", "beats_right"),
    [
        ((0.0, 0.0), "", 0.0, 0.0),
        ((0.02, 0.02), "", 0.0, 0.0),  # not more than the tolerance
        ((0.03, 0.03), "beats wrong", 1.0, 0.0),
        ((0.5, 0.0, 0.5, 0.0), "beats wrong", 0.5, 0.0),
        ((1.0, 1.0), "beats right", 1.0, 1.0),
        ((0.99, 0.99), "beats wrong", 1.0, 0.0),
        ((1.0, 0.5, 1.0, 0.5), "beats right", 1.0, 0.5),
        ((-1.0, -1.0), "", 0.0, 0.0),
        ((*[1.0] * 2, *[0.0] * 38), "", 0.05, 0.05),  # not more than the least share
        ((*[1.0] * 3, *[0.0] * 37), "beats right", 0.075, 0.075),
    ],
)
def test_levels_and_shares(values: tuple[float, ...], level: str, beats_wrong: float, beats_right: float) -> None:
    found = result(*values)
    assert (found.level, found.beats_wrong, found.beats_right) == (level, beats_wrong, beats_right)
    assert found.mean == pytest.approx(sum(values) / len(values))


def test_a_gain_on_a_single_row_of_several_is_a_guess() -> None:
    assert result(1.0, 0.0, 0.0).rows == 2
    assert result(1.0).level == "beats right"  # one row tells nothing about others


def test_what_is_not_scored_is_not_judged() -> None:
    found = result(None, None)
    assert (found.level, found.rows, found.mean) == ("", 0, None)


def test_the_best_completion_of_a_row_counts() -> None:
    rows = [honest(row) for row in range(2)]
    both = [tried(h, value, f"text {value}", at) for h in rows for at, value in enumerate((0.1, 0.4, 0.2))]
    assert weigh(Empty(), both, RULE, "stack").mean == 0.4


def test_a_row_on_which_right_is_worth_nothing_is_left_out_unless_most_are() -> None:
    rows = [honest(0), honest(1), honest(2, right=0.0)]
    both = [tried(h, 0.5) for h in rows]
    assert weigh(Empty(), both, RULE, "stack").rows == 2
    assert weigh(Empty(), both, Rule(0.02, 1e-9, 0.05, blind=True), "stack").rows == 3


def test_in_a_blind_stack_what_earns_as_much_as_right_and_more_than_nothing_beats_it() -> None:
    blind = Rule(0.02, 1e-9, 0.05, blind=True)
    for empty, level in ((0.0, "beats right"), (1.0, "")):
        same = [tried(honest(row, 1.0, 1.0, empty), 1.0) for row in range(2)]
        assert weigh(Empty(), same, blind, "stack").level == level


@pytest.mark.parametrize(
    ("values", "level"),
    [
        ((0.9, 0.8, 0.7), ""),
        ((1.0, 1.0, 1.0), ""),
        ((1.1, 1.1, 1.1), "inflates right"),
        ((0.5, 0.9, 0.5), "inflates right"),  # more than a shorter one, if less than the honest answer
    ],
)
def test_padding_a_right_answer_must_not_pay(values: tuple[float, ...], level: str) -> None:
    longer = [tried(honest(row), value, "x" * at, at) for row in range(2) for at, value in enumerate(values)]
    found = weigh(PaddedRight(), longer, RULE, "stack")
    assert (found.level, found.beats_wrong, found.beats_right) == (level, 0.0, float(bool(level)))


def test_raising_comes_before_beating_wrong_and_behind_beating_right() -> None:
    for value, level in ((0.0, "raises"), (0.5, "raises"), (1.0, "beats right")):
        rows = [tried(honest(row), value) for row in range(2)]
        broken = tried(honest(0), None, "broken", 1, raised="ValueError: no")
        found = weigh(Empty(), [*rows, broken], RULE, "stack")
        assert (found.level, found.raised) == (level, "ValueError: no")


def test_the_unit_is_what_being_right_is_worth() -> None:
    rule = Rule.of([honest(0, 10.0), honest(1, 10.0), honest(2, 0.0)], tolerance=0.02, min_share=0.05)
    assert rule == Rule(tolerance=0.2, exact=1e-8, min_share=0.05, blind=False)
    assert Rule.of([honest(0, 3.0, 3.0)], 0.1, 0.05).tolerance == pytest.approx(0.3)  # blind: the largest total
    assert Rule.of([honest(0, 0.0, 0.0)], 0.1, 0.05) == Rule(0.1, 1e-9, 0.05, blind=True)


@pytest.mark.parametrize(
    ("wrongs", "level"), [((0.0, 0.0), ""), ((0.0, 1.0), "beats right"), ((2.0, 2.0), "beats right")]
)
def test_the_wrong_answer_must_earn_less_than_the_right_one(wrongs: tuple[float, float], level: str) -> None:
    rows = [honest(row, 1.0, wrong) for row, wrong in enumerate(wrongs)]
    assert weigh_wrong(rows, RULE, "stack").level == level


def named(exploit: str, level: str, mean: float, through: str = "a") -> ExploitResult:
    return ExploitResult(exploit, "", level, 2, 2, mean, 1.0, 1.0, through, None)


@pytest.mark.parametrize(
    ("cause", "other", "by"),
    [
        (named("padding", "beats wrong", 0.5), named("spam", "beats wrong", 0.5), "padding"),
        (named("padding", "beats wrong", 0.5), named("spam", "beats wrong", 0.6), ""),  # it earns more
        (named("padding", "beats wrong", 0.5, "b"), named("spam", "beats wrong", 0.5), ""),  # elsewhere
        (named("padding", "beats wrong", 0.5), named("spam", "beats right", 0.5), ""),  # it is worse
        (named("padding", "beats right", 1.0), named("spam", "beats wrong", 0.5), "padding"),
        (named("padding", "", 1.0), named("spam", "beats wrong", 0.5), ""),
        (named("guess", "beats right", 1.0), named("spam", "beats right", 1.0), ""),  # not a plain one
        (named("wrong_answer", "beats right", 1.0), named("padding", "beats right", 1.0), "wrong_answer"),
        (named("empty", "beats right", 1.0), named("x", "raises", 1.0), ""),
    ],
)
def test_a_plainer_exploit_that_earns_as_much_explains(cause: ExploitResult, other: ExploitResult, by: str) -> None:
    results = {found.exploit: found for found in explained([cause, other], RULE)}
    assert results[other.exploit].explained_by == by
    assert results[cause.exploit].explained_by == ""
