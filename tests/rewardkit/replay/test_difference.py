"""Specification of diff: what a change of a stack changes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from rewardkit import ColumnError
from rewardkit.replay import Recorded, Rollouts, diff, read_rollouts

A, B = Recorded(column="a"), Recorded(column="b")


def rollouts(group: int = 2, **columns: Sequence[Any]) -> Rollouts:
    count = len(next(iter(columns.values())))
    data = {"completion": [f"text {row}" for row in range(count)], **columns}
    return read_rollouts({k: list(v) for k, v in data.items()}, num_generations=group)


DATA = rollouts(a=[1.0, 0.0, 1.0, 1.0, 0.0, 1.0], b=[0.0, 3.0, 0.0, 0.0, 0.0, 0.0])


def test_the_same_stack_changes_nothing() -> None:
    same = diff(A + B, A + B, DATA)
    assert (same.changed, same.best_changed, same.examples()) == ([], [], [])
    assert not any(same.sign_changes.values())
    assert same.totals == same.advantages == (1.0, pytest.approx(1.0))


def test_a_sum_in_another_order_is_rounding_and_no_change() -> None:
    data = rollouts(a=[0.1, 0.2, 0.3], b=[0.2, 0.1, 0.3], c=[0.3, 0.3, 0.3], group=3)
    c = Recorded(column="c")
    assert diff((A + B) + c, A + (B + c).named("rest"), data).changed == []
    assert not any(diff((A + B) + c, c + B + A, data).sign_changes.values())


def test_rewards_and_signs_that_change() -> None:
    change = diff(A, A + B, DATA)
    assert change.changed == [1]
    assert {kind: rows for kind, rows in change.sign_changes.items() if rows} == {"+ → −": [0], "− → +": [1]}
    assert change.best_changed == [0]


def test_a_group_that_comes_to_life_or_dies() -> None:
    data = rollouts(a=[1.0, 1.0], b=[0.0, 1.0])
    alive = diff(A, B, data)
    assert {kind: rows for kind, rows in alive.sign_changes.items() if rows} == {"0 → −": [0], "0 → +": [1]}
    dead = diff(B, A, data)
    assert {kind: rows for kind, rows in dead.sign_changes.items() if rows} == {"− → 0": [0], "+ → 0": [1]}
    assert alive.best_changed == dead.best_changed == []  # all were the best before, or are now


def test_a_row_that_only_one_stack_scores_changes() -> None:
    data = rollouts(a=[1.0, None, 0.0], b=[1.0, 1.0, 0.0], group=3)
    change = diff(A, B, data)
    assert change.changed == [1]
    assert change.totals[0] == pytest.approx(1.0)  # over the rows that both score
    assert change.examples()[0].old_total is None


def test_a_recorded_column_stands_for_the_old_stack() -> None:
    data = rollouts(a=[1.0, 0.0], reward=[1.0, 0.5])
    change = diff("reward", A, data)
    assert (change.old.totals, change.changed) == ([1.0, 0.5], [1])
    with pytest.raises(ColumnError, match="column 'score' is missing; the call has"):
        diff("score", A, data)


def test_components_are_held_against_each_other() -> None:
    change = diff(A + B, 2.0 * A, DATA)
    a, b = change.components
    assert (a.path.removesuffix(".raw"), a.old_contribution, a.new_contribution) == (
        "a",
        pytest.approx(4 / 6),
        pytest.approx(8 / 6),
    )
    assert (a.old_mean, a.change) == (a.new_mean, pytest.approx(4 / 6))
    assert (b.path, b.old_mean, b.new_mean, b.new_contribution, b.new_share) == ("b", 0.5, None, None, None)
    assert b.change == pytest.approx(-0.5)


def test_a_component_that_moves_within_the_tree_stays_one() -> None:
    change = diff(A + B, (A + B).named("both") + A.clip(0, 0.5).named("half"), DATA)
    paths = {c.path: (c.old_mean is not None, c.new_mean is not None) for c in change.components}
    assert paths["both/a"] == paths["both/b"] == (True, True)
    assert paths["half"] == (False, True)


def test_correlations_are_pearsons_and_spearmans() -> None:
    data = rollouts(a=[0.0, 1.0, 2.0, 3.0], b=[0.0, 1.0, 4.0, 9.0], group=4)
    pearson, spearman = diff(A, B, data).totals
    assert spearman == pytest.approx(1.0)
    assert pearson is not None
    assert 0.9 < pearson < 1.0
    assert diff(A, 0.0 * B, data).totals == (None, None)


def test_examples_show_signs_first_then_the_largest_changes_with_both_reasons() -> None:
    data = rollouts(a=[1.0, 0.0, 1.0, 0.0], b=[0.0, 3.0, 5.0, 0.0])
    second, first, third = diff(A, A + B, data).examples()
    assert [first.row, second.row, third.row] == [0, 1, 2]  # of two like moves, the one whose reward changes leads
    assert (second.source, second.line, second.step, second.completion) == ("data", 2, 0, "text 1")
    assert (second.old_total, second.new_total) == (0.0, 3.0)
    assert second.old_advantage < 0 < second.new_advantage
    assert second.old_why == "Row 1 earned 0. a gave 0 (scored: as recorded)."
    assert second.new_why == "Row 1 earned 3. a gave 0 (scored: as recorded). b gave 3 (scored: as recorded)."
    assert diff(A, A + B, data).examples(0) == []
    assert len(diff(A, A + B, data).examples(1)) == 1


def test_the_summary_is_data_for_json_and_every_row_a_dictionary() -> None:
    change = diff(A, A + B, DATA)
    summary = change.to_dict()
    assert json.loads(json.dumps(summary)) == summary
    assert (summary["changed"], summary["best_changed"]) == (1, 1)
    assert change.to_dicts()[1] == {
        "row": 1,
        "source": "data",
        "line": 2,
        "step": 0,
        "group": 0,
        "old_total": 0.0,
        "new_total": 3.0,
        "old_advantage": change.old.advantages[1],
        "new_advantage": change.new.advantages[1],
    }


def test_settings_hold_for_both_sides() -> None:
    rows = [{"prompt": "p", "completion": "c", "a": float(n), "b": 1.0} for n in range(4)]
    change = diff(A, B, rows, num_generations=2, scale_rewards="none", epsilon=0.0)
    assert change.old.rollouts is change.new.rollouts
    assert change.old.rollouts.groups == ((0, 1), (2, 3))
    assert change.old.advantages == [-0.5, 0.5, -0.5, 0.5]
