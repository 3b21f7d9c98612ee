"""Specification of simulate: what a stack would have paid, and what each component makes of the advantage."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardkit import (
    ColumnError,
    Reward,
    RewardError,
    boxed_accuracy,
    combine,
    group_length,
    product,
    reward,
    schedule,
    soft_format,
)
from rewardkit.replay import Recorded, Rollouts, advantages, read_rollouts, simulate
from rewardkit.replay.scoring import CHUNK_ROWS, batch_of, chunks

A, B, C = Recorded(column="a"), Recorded(column="b"), Recorded(column="c")


def rollouts(*, group: int = 2, steps: Sequence[int] | None = None, **columns: Sequence[Any]) -> Rollouts:
    """Rows with these columns, in groups of this size."""
    count = len(next(iter(columns.values())))
    data = {"completion": ["x"] * count, "step": list(steps or [0] * count), **columns}
    return read_rollouts({name: list(values) for name, values in data.items()}, num_generations=group)


class TestTotals:
    def test_are_what_a_call_of_the_stack_gives(self) -> None:
        texts = [r"\boxed{2}", "2", "", "x" * 10_000]
        rows = [{"prompt": "p", "completion": text, "answer": "2"} for text in texts]
        stack = boxed_accuracy + 0.5 * soft_format
        assert simulate(stack, rows).totals == stack(texts, answer="2")

    def test_a_plain_function_is_a_stack(self) -> None:
        def letters(completions: Sequence[str], **columns: Any) -> list[float]:
            return [float(len(completion)) for completion in completions]

        done = simulate(letters, [{"prompt": "p", "completion": "abc"}])
        assert (done.name, done.totals) == ("letters", [3.0])

    def test_a_coroutine_is_a_stack(self) -> None:
        @reward
        async def letters(completion: str) -> float:
            return float(len(completion))

        assert simulate(letters, [{"prompt": "p", "completion": "abc"}]).totals == [3.0]

    def test_columns_and_prompts_arrive_as_a_trainer_passes_them(self) -> None:
        seen: dict[str, Any] = {}

        def spy(completions: Any, prompts: Any, **columns: Any) -> list[float]:
            seen.update(columns, completions=completions, prompts=prompts)
            return [0.0] * len(completions)

        message = [{"role": "assistant", "content": "a"}]
        rows = [{"step": 3, "prompt": "p", "completion": message, "answer": n, "num_generations": 9} for n in (1, 2)]
        simulate(spy, rows, num_generations=2)
        assert seen == {
            "completions": [message] * 2,
            "prompts": ["p", "p"],
            "answer": [1, 2],
            "num_generations": 2,
            "global_step": 3,
        }

    def test_a_scheduled_weight_is_that_of_the_step(self) -> None:
        fading = schedule.linear(1.0, 0.0, steps=10)
        data = rollouts(a=[1.0, 0.0] * 3, steps=[0, 0, 5, 5, 10, 10])
        assert simulate(fading * A, data).totals == [1.0, 0.0, 0.5, 0.0, 0.0, 0.0]

    def test_a_reward_of_the_group_sees_the_group(self) -> None:
        texts = ["2", "22", "2 2", "2"]
        rows = [{"completion": text, "a": 1.0} for text in texts]
        stack = group_length.__class__(correctness=A, unit="characters")
        assert simulate(stack, rows, num_generations=2).totals == [0.5, -0.5, -0.5, 0.5]

    def test_an_error_names_the_row_of_the_recording(self) -> None:
        values: list[float] = [0.0] * CHUNK_ROWS + [0.0, float("inf")]
        with pytest.raises(RewardError, match=f"row {CHUNK_ROWS + 1}"):
            simulate(A, rollouts(a=values))

    def test_a_missing_column_is_said(self) -> None:
        with pytest.raises(ColumnError, match="no ground truth: expected the column one of"):
            simulate(boxed_accuracy, rollouts(a=[1.0, 2.0]))

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"scale_rewards": "std"}, "scale_rewards must be one of 'group', 'batch', 'none', got 'std'"),
            ({"epsilon": -1.0}, "epsilon must be 0 or more, got -1.0"),
            ({"epsilon": math.nan}, "epsilon must be 0 or more, got nan"),
        ],
    )
    def test_wrong_settings_are_said(self, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            simulate(A, rollouts(a=[1.0, 2.0]), **arguments)


class TestChunks:
    def test_hold_whole_groups_of_one_size_and_step(self) -> None:
        prompts = [number for number in range(400) for _ in range(3 if number % 100 else 5)]
        rows = [{"prompt": str(p), "completion": "c", "step": p // 150} for p in prompts]
        data = read_rollouts(rows)
        calls = list(chunks(data))
        assert [group for call in calls for group in call] == list(data.groups)
        assert all(len({len(group) for group in call}) == 1 for call in calls)
        assert all(len({data.step[row] for group in call for row in group}) == 1 for call in calls)
        assert all(sum(map(len, call)) <= CHUNK_ROWS for call in calls)

    def test_a_group_larger_than_a_chunk_is_one_call(self) -> None:
        data = rollouts(a=[0.0] * 2 * CHUNK_ROWS, group=2 * CHUNK_ROWS)
        assert len(list(chunks(data))) == 1

    def test_rows_of_a_group_stand_together_however_they_were_recorded(self) -> None:
        rows = [{"prompt": "p", "completion": str(n), "uid": n % 2} for n in range(4)]
        data = read_rollouts(rows)
        batch = batch_of(data, data.groups)
        assert (list(batch.completions), batch.groups()) == (["0", "2", "1", "3"], [[0, 1], [2, 3]])
        assert [batch.row(index) for index in range(4)] == [0, 2, 1, 3]
        assert [batch.select([1, 2]).row(index) for index in range(2)] == [2, 1]


class TestAdvantages:
    @pytest.mark.parametrize("scale", ["group", "batch", "none"])
    def test_are_the_trainers(self, scale: str) -> None:
        values = [1.0, 0.0, None, 0.5, 2.0, 2.0, 1.0, None]
        done = simulate(A, rollouts(a=values, group=4), scale_rewards=scale)
        assert done.advantages == advantages(values, [[0, 1, 2, 3], [4, 5, 6, 7]], scale_rewards=scale)

    def test_of_the_scale_batch_take_each_step_for_itself(self) -> None:
        done = simulate(A, rollouts(a=[0.0, 1.0, 0.0, 10.0], steps=[1, 1, 2, 2]), scale_rewards="batch")
        assert done.advantages == simulate(A, done.rollouts).advantages

    def test_dead_groups_and_rows_not_scored_are_counted(self) -> None:
        done = simulate(A, rollouts(a=[1.0, 1.0, 0.0, 1.0, None, None, None, 1.0]))
        assert (done.dead, done.dead_groups, done.not_scored) == ([True, False, True, True], 0.75, 3)

    def test_groups_that_only_a_clip_makes_equal_are_counted(self) -> None:
        data = rollouts(a=[1.0, 2.0, 0.5, 0.6, 3.0, 3.0])
        done = simulate(A.clip(0, 1), data)
        assert (done.dead, done.dead_by_clip) == ([True, False, True], 1)

    def test_a_clip_of_one_of_several_components_counts_too(self) -> None:
        done = simulate(A.clip(0, 1) + B, rollouts(a=[1.0, 2.0], b=[0.1, 0.1]))
        assert (done.dead, done.dead_by_clip) == ([True], 1)

    def test_mean_and_deviation_are_those_of_the_scored_rows(self) -> None:
        done = simulate(A, rollouts(a=[1.0, 2.0, None, 6.0]))
        assert (done.mean, done.std) == (pytest.approx(3.0), pytest.approx(statistics.stdev([1, 2, 6])))
        nothing = simulate(A, rollouts(a=[None, None, 1.0, 1.0])).steps
        assert [(step.mean, step.std) for step in nothing] == [(1.0, 0.0)]


class TestShares:
    def test_by_hand(self) -> None:
        done = simulate(A + 0.5 * B, rollouts(a=[1.0, 0.0], b=[0.0, 1.0]), scale_rewards="none")
        assert done.parts == {"a": [0.5, -0.5], "b": [-0.25, 0.25]}
        assert done.shares == {"a": (0.5 * 0.25) / 0.25**2, "b": (-0.25 * 0.25) / 0.25**2}

    @pytest.mark.parametrize("scale", ["group", "batch", "none"])
    @given(
        rows=st.lists(st.tuples(*[st.one_of(st.none(), st.floats(-2, 2).map(lambda v: round(v, 2)))] * 3), min_size=4)
    )
    @settings(max_examples=30, deadline=None)
    def test_parts_add_up_to_the_advantages_and_shares_to_1(
        self, scale: str, rows: list[tuple[float | None, ...]]
    ) -> None:
        rows = rows[: len(rows) // 4 * 4]
        data = rollouts(a=[r[0] for r in rows], b=[r[1] for r in rows], c=[r[2] for r in rows], group=4)
        for stack in trees():
            done = simulate(stack, data, scale_rewards=scale)
            sums = [math.fsum(values) for values in zip(*done.parts.values(), strict=True)]
            assert sums == pytest.approx(done.advantages, abs=1e-9)
            if max(map(abs, done.advantages)) > 1e-6:
                assert math.fsum(share or 0.0 for share in done.shares.values()) == pytest.approx(1.0)

    def test_a_gate_and_a_factor_have_no_share_of_their_own(self) -> None:
        done = simulate(A.gate(B) + product(B, C), rollouts(a=[1.0, 0.5], b=[1.0, 0.0], c=[1.0, 1.0]))
        weights = {c.path: c.weight for c in done.components}
        assert weights["a/gate:b"] is None
        assert weights["product/b"] is None
        assert set(done.shares) == {"a", "product"}

    def test_what_a_clip_takes_is_the_part_of_the_clipped_sum(self) -> None:
        done = simulate((A + B).clip(0, 1), rollouts(a=[1.0, 0.0], b=[0.5, 0.0]), scale_rewards="none")
        assert done.shares == pytest.approx({"combined": -0.5, "a": 1.0, "b": 0.5})
        assert {c.path: c.clipped for c in done.components} == {"combined": 0.5, "a": 0.0, "b": 0.0}
        means = {c.path: (c.mean, c.contribution) for c in done.components}
        assert means["combined"] == (done.mean, -0.25)

    def test_components_carry_means_contributions_and_statuses(self) -> None:
        done = simulate(2.0 * A + B, rollouts(a=[1.0, None, 0.0, 0.0], b=[1.0] * 4))
        a, b = done.components
        assert (a.weight, a.mean, a.contribution, a.scored) == (2.0, pytest.approx(1 / 3), 0.5, 3)
        assert (a.varies, b.varies) == (0.5, 0.0)
        assert a.statuses == {"scored": 3, "not_scored": 1}

    def test_pairs_are_those_that_move_together_within_groups(self) -> None:
        data = rollouts(a=[1.0, 0.0, 5.0, 4.0], b=[0.0, 1.0, 0.0, 1.0], c=[2.0, 0.0, 9.0, 7.0])
        (repeat, first, second) = simulate(combine(A, B, C), data).pairs
        assert (repeat.first, repeat.second, repeat.correlation) == ("a", "b", pytest.approx(-1.0))
        assert {(p.first, p.second): round(p.correlation) for p in (first, second)} == {("a", "c"): 1, ("b", "c"): -1}
        assert repeat.kept == pytest.approx(0.0)

    def test_a_clip_is_not_said_to_cancel_what_it_clips(self) -> None:
        done = simulate((A + B).clip(0, 1), rollouts(a=[2.0, 0.0], b=[0.0, 0.1]))
        assert all("combined" not in pair[:2] for pair in done.pairs)


def trees() -> list[Reward]:
    return [
        A + 0.5 * B - C,
        (A + B).clip(-1, 1) + C,
        0.1 * (A + 0.3 * B).named("inner") + C.clip(0, 1),
        A.gate(B, at_least=0.0) + C.threshold(0.5),
    ]


class TestSteps:
    def test_every_step_has_its_own_numbers(self) -> None:
        done = simulate(A + B, rollouts(a=[1.0, 0.0, 0.0, 0.0], b=[0.0, 0.0, 1.0, None], steps=[1, 1, 4, 4]))
        first, second = done.steps
        assert (first.step, first.completions, first.groups, first.dead) == (1, 2, 1, 0)
        assert (first.mean, first.std) == (0.5, pytest.approx(math.sqrt(0.5)))
        assert (first.shares, second.shares) == ({"a": 1.0, "b": 0.0}, {"a": 0.0, "b": 1.0})
        assert second.step == 4

    def test_a_step_of_dead_groups_has_no_shares(self) -> None:
        done = simulate(A, rollouts(a=[1.0, 1.0, 0.0, 1.0], steps=[1, 1, 2, 2]))
        assert [step.shares for step in done.steps] == [{"a": None}, {"a": 1.0}]


class TestOutput:
    def test_why_says_a_row_in_words(self) -> None:
        done = simulate(A + 0.5 * B, rollouts(a=[1.0, 0.0], b=[0.0, 1.0]))
        assert done.why(1).startswith("Row 1 earned 0.5. a gave 0 (scored: as recorded).")
        for row in (-1, 2):
            with pytest.raises(IndexError, match=f"row {row} of a simulation of 2"):
                done.why(row)

    def test_the_summary_is_data_for_json(self) -> None:
        done = simulate((A + B).clip(0, 1), rollouts(a=[1.0, None, 0.0, 0.0], b=[1.0] * 4, steps=[1, 1, 2, 2]))
        summary = done.to_dict()
        assert json.loads(json.dumps(summary)) == summary
        assert (summary["completions"], summary["groups"], summary["dead_groups"]) == (4, 2, done.dead_groups)
        assert [c["path"] for c in summary["components"]] == [c.path for c in done.components]
        assert [step["step"] for step in summary["steps"]] == [1, 2]

    def test_every_row_is_a_dictionary(self) -> None:
        rows = simulate(A + 0.5 * B, rollouts(a=[1.0, 0.0], b=[0.0, 1.0]), scale_rewards="none").to_dicts()
        assert rows[1] == {
            "row": 1,
            "source": "data",
            "line": 2,
            "step": 0,
            "group": 0,
            "total": 0.5,
            "advantage": -0.25,
            "status": "scored",
            "contributions": {"a": 0.0, "b": 0.5},
        }

    @pytest.mark.parametrize("steps", [[1, 1, 1, 1], [1, 1, 2, 2]])
    @pytest.mark.parametrize("suffix", ["png", "svg"])
    def test_draws_a_picture(self, tmp_path: Path, steps: list[int], suffix: str) -> None:
        stack = A.named("_$hidden$_") + B
        path = tmp_path / f"shares.{suffix}"
        simulate(stack, rollouts(a=[1.0, 0.0, 1.0, 1.0], b=[0.0, 0.1, 0.0, 0.0], steps=steps)).plot(path)
        assert path.stat().st_size > 1000

    def test_a_hostile_completion_is_scored_like_any(self) -> None:
        texts = ["", "x" * 1_000_000, "\\boxed{9^{9^{9^9}}}", "\x1b[31m\x00\ud800"]
        rows = [{"prompt": "p", "completion": text, "answer": "2"} for text in texts]
        assert simulate(boxed_accuracy + soft_format, rows).totals == [0.0] * 4
