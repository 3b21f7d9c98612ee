"""Specification of the adapter for ms-swift: its documented call, and its own code where it is installed."""

from __future__ import annotations

import asyncio
import inspect
import math
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rewardkit import BoxedAccuracy, GroupLength, boxed_accuracy, reward, schedule, soft_format, soft_overlong
from rewardkit.adapters.swift import register, to_swift

from . import golden

STACK = 2.0 * boxed_accuracy + 0.5 * soft_format
RIGHT = r"It is \boxed{2}."


@reward
async def patient(completion: str) -> float:
    await asyncio.sleep(0)
    return 0.25


def conversation(prompt: str, completion: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": prompt}, {"role": "assistant", "content": completion}]


class TestClasses:
    def test_a_weighted_sum_becomes_one_class_per_component(self) -> None:
        classes, weights = to_swift(STACK)
        assert [made.__name__ for made in classes.values()] == list(classes) == ["boxed_accuracy", "soft_format"]
        assert weights == [2.0, 0.5]

    def test_with_a_name_it_is_one_class(self) -> None:
        classes, weights = to_swift(STACK, "mine")
        assert list(classes) == ["mine"]
        assert weights == [1.0]
        assert classes["mine"](args=None)([RIGHT], solution=["2"]) == [2.0]

    def test_anything_but_a_sum_is_one_class(self) -> None:
        assert list(to_swift(STACK.clip(0.0, 1.0)).classes) == ["combined"]

    def test_an_instance_takes_the_settings_and_the_columns(self) -> None:
        made = to_swift(boxed_accuracy).classes["boxed_accuracy"](args=SimpleNamespace(max_length=3), model=None)
        assert made([RIGHT, "2"], solution=["2", None], trainer_state=None, request_id=["a", "b"]) == [1.0, None]

    def test_prompts_and_token_ids_come_from_its_own_columns(self) -> None:
        seen: dict[str, Any] = {}

        def spy(completions: Any, prompts: Any, completion_ids: Any, **columns: Any) -> list[float]:
            seen.update(prompts=prompts, completion_ids=completion_ids)
            return [0.0] * len(completions)

        (made,) = to_swift(spy).classes.values()
        made()(
            ["b", "d"],
            messages=[conversation("a", "b"), conversation("c", "d")],
            response_token_ids=[[[1, 2], [3]], [4]],
        )
        assert seen["prompts"] == [[{"role": "user", "content": "a"}], [{"role": "user", "content": "c"}]]
        assert seen["completion_ids"] == [[1, 2, 3], [4]]

    def test_token_ids_that_are_not_there_are_missed_by_name(self) -> None:
        made = to_swift(soft_overlong).classes["soft_overlong"]()
        with pytest.raises(ValueError, match="no column 'completion_ids'"):
            made(["b"], messages=[conversation("a", "b")], response_token_ids=[[]])

    def test_groups_are_told_by_the_prompts(self) -> None:
        made = to_swift(GroupLength(unit="words")).classes["group_length"]()
        completions = [r"\boxed{2}", r"well, \boxed{2}"]
        messages = [conversation("1+1?", text) for text in completions]
        assert made(completions, messages=messages, solution=["2", "2"]) == [0.5, -0.5]

    def test_a_schedule_reads_the_state_of_the_trainer(self) -> None:
        (made,) = to_swift(schedule.linear(1.0, 0.0, steps=10) * boxed_accuracy).classes.values()
        assert made()([RIGHT], solution=["2"], trainer_state=SimpleNamespace(global_step=5)) == [0.5]

    def test_an_asynchronous_stack_has_a_coroutine_function(self) -> None:
        made = to_swift(patient).classes["patient"]()
        assert inspect.iscoroutinefunction(made.__call__)
        assert asyncio.run(made(["a"])) == [0.25]  # type: ignore[arg-type]

    def test_an_instance_pickles(self) -> None:
        made = to_swift(boxed_accuracy).classes["boxed_accuracy"](args=7)
        back = pickle.loads(pickle.dumps(made))
        assert type(back).__name__ == "boxed_accuracy"
        assert (back.reward, back.args) == (made.reward, 7)


PLUGIN = """
from tests.rewardkit.adapters import golden
from rewardkit.adapters.swift import register

register(golden.STACKS[{name!r}])
"""


@pytest.mark.filterwarnings("ignore")
class TestInSwift:
    @pytest.fixture
    def orms(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        """ms-swift's registry, put back afterwards."""
        pytest.importorskip("swift.rewards", reason="needs ms-swift, which is installed apart from this project")
        from swift.rewards import orms

        before = dict(orms)
        yield orms
        orms.clear()
        orms.update(before)

    @pytest.mark.parametrize("name", golden.STACKS)
    def test_a_plugin_gives_the_golden_batch_the_same(self, orms: Any, name: str, tmp_path: Path) -> None:
        import torch
        from swift.rl_core.data import GRPOSample
        from swift.rl_core.grpo_algorithm import score_completions
        from swift.rlhf_trainers.utils import make_reward_weights, resolve_reward_funcs
        from swift.utils import import_external_file

        path = tmp_path / "plugin.py"
        path.write_text(PLUGIN.format(name=name), encoding="utf-8")
        before = set(orms)
        import_external_file(str(path))
        names = [key for key in orms if key not in before]
        functions, logged = resolve_reward_funcs(names, args=SimpleNamespace())
        assert logged == names
        samples = [
            GRPOSample.from_row({"messages": conversation(row.prompt, row.completion), "solution": row.answer})
            for row in golden.ROWS
        ]
        per_function = score_completions(
            samples, functions, [None] * len(functions), use_gym_env=False, device=torch.device("cpu")
        )
        weights = make_reward_weights(to_swift(golden.STACKS[name]).weights, len(functions), torch.device("cpu"))
        totals = [
            None if all(math.isnan(v) for v in row) else sum(v for v in row if not math.isnan(v))
            for row in (per_function * weights).tolist()
        ]
        assert totals == golden.expected(golden.STACKS[name])

    def test_the_trainer_finds_and_names_what_was_registered(self, orms: Any) -> None:
        import torch
        from swift.rlhf_trainers.grpo_trainer import GRPOTrainer

        names, weights = register(STACK + patient)
        trainer = GRPOTrainer.__new__(GRPOTrainer)
        trainer.args = SimpleNamespace(reward_weights=weights)
        trainer.accelerator = SimpleNamespace(device=torch.device("cpu"))
        trainer.use_gym_env = False
        trainer._prepare_rewards(list(names))
        assert trainer.reward_func_names == ["boxed_accuracy", "soft_format", "patient"]
        assert trainer.reward_weights.tolist() == [2.0, 0.5, 1.0]

    def test_a_name_that_is_taken_is_refused_with_the_remedy(self, orms: Any) -> None:
        with pytest.raises(ValueError, match=r"has a reward 'accuracy' already \(swift.rewards.orm.MathAccuracy\)"):
            register(boxed_accuracy, "accuracy")
        register(boxed_accuracy)
        register(boxed_accuracy)
        with pytest.raises(ValueError, match=r"rename yours: reward.named"):
            register(BoxedAccuracy(answer_key="gold"))
