"""Specification of the adapter for TRL, through its trainer."""

from __future__ import annotations

import asyncio
import inspect
import math
from pathlib import Path
from typing import Any

import pytest

from rewardkit import Keywords, LengthBand, Reward, combine, exact_match, reward, schedule, soft_format
from rewardkit.adapters import to_trl

from . import golden

LONG = LengthBand(steps={0: 0.0, 10: 0.25, 40: 0.5}, unit="characters", name="long")
THINKS = Keywords(words=("think", "step"), value=0.25, name="thinks")


@reward
async def patient(completion: str) -> float:
    await asyncio.sleep(0)
    return float(len(completion) % 4)


class TestFunctionsAndWeights:
    def test_a_weighted_sum_becomes_one_function_per_component(self) -> None:
        assert to_trl(2.0 * LONG + 0.5 * THINKS - soft_format) == ([LONG, THINKS, soft_format], [2.0, 0.5, -1.0])

    def test_a_single_reward_and_a_weighted_one_become_one_function(self) -> None:
        assert to_trl(LONG) == ([LONG], [1.0])
        assert to_trl(-0.5 * LONG) == ([LONG], [-0.5])
        assert to_trl((3 * LONG).named("x")) == ([LONG.named("x")], [3.0])

    @pytest.mark.parametrize(
        "stack",
        [
            (LONG + THINKS).clip(0.0, 0.5),
            combine(LONG, THINKS, clip=(0.0, 0.5)),
            (LONG + THINKS).gate(soft_format),
            LONG + schedule.linear(1.0, 0.0, steps=10) * THINKS,
            schedule.linear(1.0, 0.0, steps=10) * THINKS,
        ],
        ids=repr,
    )
    def test_anything_else_stays_one_function_of_weight_one(self, stack: Reward) -> None:
        assert to_trl(stack) == ([stack], [1.0])

    def test_an_asynchronous_component_is_awaited_and_keeps_its_name(self) -> None:
        (first, second), weights = to_trl(LONG + 0.5 * patient)
        assert first == LONG
        assert weights == [1.0, 0.5]
        assert second.__name__ == "patient"
        assert inspect.iscoroutinefunction(second)
        assert asyncio.run(second(completions=["abc"], prompts=[""])) == [3.0]

    def test_a_plain_function_is_checked_like_a_reward(self) -> None:
        def constant(completions: Any, **columns: Any) -> list[float]:
            return [float("nan") for _ in completions]

        (function,), weights = to_trl(constant)
        assert weights == [1.0]
        assert function.__name__ == "constant"
        with pytest.raises(ValueError, match="constant gave nan in row 0"):
            function(completions=["a"], prompts=["b"])


def grpo_trainer(stack: Reward, folder: Path, **settings: Any) -> Any:
    pytest.importorskip("trl", minversion="1.0", reason="needs TRL >= 1.0 (the extra `trl`)")
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    from recipes.embedded import POLICY_PATH, problems

    rows = [
        {"prompt": [{"role": "user", "content": row["question"]}], "answer": row["answer"]}
        for row in problems(4, seed=0, split="train")
    ]
    functions, weights = to_trl(stack)
    config = GRPOConfig(
        output_dir=str(folder),
        reward_weights=weights,
        per_device_train_batch_size=8,
        num_generations=4,
        max_completion_length=24,
        max_steps=1,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        use_cpu=True,
        bf16=False,
        disable_tqdm=True,
        **settings,
    )
    return GRPOTrainer(str(POLICY_PATH), functions, config, Dataset.from_list(rows))


def spy_on_rewards(trainer: Any, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the trainer asked rewards for."""
    calls: list[tuple[Any, ...]] = []
    inner = trainer._calculate_rewards

    def outer(*arguments: Any) -> Any:
        calls.append(arguments)
        return inner(*arguments)

    monkeypatch.setattr(trainer, "_calculate_rewards", outer)
    return calls


def mean(values: list[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known)


# TRL and what it builds on warn about themselves; the tests judge what they do.
@pytest.mark.filterwarnings("ignore")
class TestInTheTrainer:
    @pytest.mark.parametrize(
        "stack",
        [
            2.0 * LONG + 0.5 * THINKS - 0.25 * patient,
            (LONG + THINKS).clip(0.0, 0.5),
            (exact_match + 0.5 * patient).gate(LONG, at_least=0.25),
            LONG + schedule.linear(1.0, 0.5, steps=10) * THINKS,
        ],
        ids=repr,
    )
    def test_what_it_logs_is_what_the_stack_gives(
        self, stack: Reward, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trainer = grpo_trainer(stack, tmp_path)
        calls = spy_on_rewards(trainer, monkeypatch)
        trainer.train()
        (inputs, prompts, completions, ids), logged = calls[0], trainer.state.log_history[0]
        columns = {"answer": [row["answer"] for row in inputs], "completion_ids": ids, "global_step": 0}
        told: dict[str, float] = {}
        totals = stack(completions, prompts=prompts, log_metric=told.__setitem__, **columns)
        assert logged["reward"] == pytest.approx(mean(totals), abs=1e-6)
        means = {name: value for name, value in told.items() if name.endswith("/mean")}
        assert len(means) >= 2
        for name, value in means.items():
            assert logged[name] == pytest.approx(value, abs=1e-6), name

    @pytest.mark.parametrize("name", golden.STACKS)
    @pytest.mark.parametrize("form", ["standard", "conversational"])
    def test_the_golden_batch_earns_the_same(self, name: str, form: str, tmp_path: Path) -> None:
        stack = golden.STACKS[name]
        trainer = grpo_trainer(stack, tmp_path)
        prompts, completions = (golden.prompts(), golden.texts()) if form == "standard" else golden.conversations()
        inputs = [{"prompt": p, "answer": a} for p, a in zip(prompts, golden.answers(), strict=True)]
        per_function = trainer._calculate_rewards(inputs, prompts, completions, [[1]] * len(inputs))
        weighted = per_function * trainer.reward_weights
        totals = [
            None if all(math.isnan(value) for value in row) else sum(v for v in row if not math.isnan(v))
            for row in weighted.tolist()
        ]
        assert totals == golden.expected(stack)
