"""Specification of the findings: each planted fault is said, and a sound stack is left alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from rewardkit import Reward, boxed_accuracy, reward
from rewardkit.replay import Recorded, Simulation, read_rollouts, simulate

A, B = Recorded(column="a"), Recorded(column="b")


def simulated(stack: Reward, group: int = 2, **columns: Sequence[Any]) -> Simulation:
    count = len(next(iter(columns.values())))
    data = {"completion": ["x"] * count, **columns}
    return simulate(stack, read_rollouts({k: list(v) for k, v in data.items()}, num_generations=group))


def said(simulation: Simulation, severity: str) -> list[str]:
    return [finding.sentence for finding in simulation.findings if finding.severity == severity]


def test_a_sound_stack_has_none() -> None:
    a, b = [1.0, 0.0, 0.0, 1.0, 1.0, 0.0], [1.0, 1.0, 0.0, 0.0, 0.5, 1.0]
    assert simulated(A + B, group=6, a=a, b=b).findings == ()


def test_nothing_is_scored() -> None:
    done = simulated(A + B, a=[None, None], b=[None, None])
    assert said(done, "error") == ["100.0% of the completions are not scored and teach nothing"]


@pytest.mark.parametrize(("missing", "severity"), [(2, "warning"), (1, "note")])
def test_some_are_not_scored(missing: int, severity: str) -> None:
    values = [None] * missing + [float(n) for n in range(20 - missing)]
    assert f"{missing / 20:.1%} of the completions are not scored and teach nothing" in said(
        simulated(A, group=20, a=values), severity
    )


@pytest.mark.parametrize(
    ("values", "severity", "counts"),
    [
        ([1.0] * 4, "error", "2 of 2"),
        ([1.0, 1.0, 0.0, 1.0], "warning", "1 of 2"),
        ([1.0, 1.0, 0.0, 1.0, 0.0, 1.0], "note", "1 of 3"),
    ],
)
def test_dead_groups(values: list[float], severity: str, counts: str) -> None:
    assert f"{counts} groups are dead: all their rewards are equal" in said(simulated(A, a=values), severity)


def test_groups_that_clips_kill_and_a_clip_that_binds_often() -> None:
    done = simulated((A + B).clip(0, 1), a=[1.0, 2.0, 0.0, 0.5], b=[0.0, 0.0, 0.1, 0.0])
    assert "1 groups are dead only because clips make them equal" in said(done, "warning")
    assert "a clip of combined binds in 25.0% of the completions" in said(done, "warning")


def test_a_clip_that_binds_rarely_is_a_note() -> None:
    values = [float(n) for n in range(20)]
    assert "a clip of a binds in 5.0% of the completions" in said(simulated(A.clip(0, 18), group=20, a=values), "note")


def test_a_component_that_is_the_same_everywhere_or_within_groups_or_scores_nothing() -> None:
    values = [1.0, 0.0, 0.0, 1.0]
    assert "b gives 0.3 everywhere: it moves no advantage" in said(simulated(A + B, a=values, b=[0.3] * 4), "warning")
    within = simulated(A + B, a=values, b=[0.3, 0.3, 0.9, 0.9])
    assert "b never varies within a group: it moves no advantage" in said(within, "warning")
    assert "b scores no completion" in said(simulated(A + B, a=values, b=[None] * 4), "warning")


def test_a_gate_that_is_always_open_or_shut() -> None:
    done = simulated(A.gate(B), a=[1.0, 0.0], b=[1.0, 1.0])
    assert "gate:b gives 1 everywhere: it tells no completion from another" in said(done, "warning")


def test_components_that_repeat_or_cancel_one_another() -> None:
    repeat = simulated(A + B, group=4, a=[1.0, 0.0, 1.0, 0.0], b=[0.5, 0.0, 0.5, 0.0])
    assert said(repeat, "warning") == ["a and b repeat one another (correlation 1.00 within groups)"]
    cancel = simulated(A - 0.5 * B, group=4, a=[1.0, 0.0, 1.0, 0.0], b=[1.0, 0.0, 1.0, 0.0])
    assert "a and b cancel one another (correlation -1.00 within groups; 20.0% of their variance is left)" in said(
        cancel, "warning"
    )
    assert "b works against the total: its share of the variance is -100.0%" in said(cancel, "warning")


def test_components_that_hardly_teach_or_decide_alone() -> None:
    done = simulated(A + 0.001 * B, group=4, a=[1.0, 0.0, 1.0, 0.0], b=[1.0, 1.0, 0.0, 0.0])
    assert "b hardly teaches: its share of the variance is 0.0%" in said(done, "note")
    assert "a decides almost alone: its share of the variance is 100.0%" in said(done, "note")


def test_failures_of_a_component_are_said_by_their_status() -> None:
    @reward(on_error="none")
    def fragile(completion: str) -> float:
        raise KeyError("no")

    with pytest.warns(RuntimeWarning, match="fragile"):
        done = simulated(A + fragile, a=[1.0, 0.0])
    assert "fragile could not judge some completions: 2 × error" in said(done, "warning")


def test_references_that_cannot_be_read_are_said() -> None:
    done = simulated(A + boxed_accuracy, a=[1.0, 0.0], completion=[r"\boxed{2}"] * 2, answer=["@#!"] * 2)
    assert "boxed_accuracy could not judge some completions: 2 × unparseable_ground_truth" in said(done, "warning")


def test_groups_of_one() -> None:
    done = simulated(A, group=1, a=[1.0, 0.0])
    assert "every group has one completion, so every advantage is 0; say num_generations=" in said(done, "error")


def test_rows_kept_aside_and_notes_of_the_recording() -> None:
    rows = [{"prompt": prompt, "completion": "c", "a": n} for n, prompt in enumerate("ppqqq")]
    done = simulate(A, [{"prompt": "p"}, *rows])
    assert (
        said(done, "warning")[0]
        == "1 rows were kept aside, the first in data, line 1: no completion: the row has prompt"
    )
    assert any(sentence.startswith("the groups differ in size") for sentence in said(done, "note"))


def test_the_worst_come_first() -> None:
    done = simulated(A + B, a=[1.0, 1.0], b=[0.0, 0.0])
    order = [finding.severity for finding in done.findings]
    assert order == sorted(order, key=("error", "warning", "note").index)
    assert order[0] == "error"
