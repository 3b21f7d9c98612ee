"""Specification of the adapter for verifiers: its documented calls, and its own code where it is installed."""

from __future__ import annotations

import asyncio
import logging
import pickle
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rewardkit import GroupLength, RewardError, boxed_accuracy, reward, schedule, soft_format
from rewardkit.adapters import to_verifiers, to_verifiers_task
from rewardkit.adapters.verifiers import FAILED

from . import golden

STACK = 2.0 * boxed_accuracy + 0.5 * soft_format
RIGHT = r"It is \boxed{2}."


class Typed:
    """A message as verifiers' newer versions give it."""

    def __init__(self, role: str, content: str) -> None:
        self.role, self.content = role, content

    def model_dump(self) -> dict[str, Any]:
        return {"role": self.role, "content": self.content}


def call(function: Callable[..., Any], **objects: Any) -> Any:
    """Call as a rubric does: everything by name, awaited where it is to be awaited."""
    result = function(**{"prompt": "1+1?", "completion": RIGHT, "answer": "2", "info": {}, "task": None, **objects})
    return asyncio.run(result) if asyncio.iscoroutine(result) else result


class TestRubricFunctions:
    def test_the_total_has_the_weight_one_and_the_components_are_metrics(self) -> None:
        funcs, weights = to_verifiers(STACK)
        assert [func.__name__ for func in funcs] == [
            "combined",
            "boxed_accuracy",
            "boxed_accuracy/scored",
            "soft_format",
            "soft_format/scored",
            FAILED,
        ]
        assert weights == [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]

    def test_the_metrics_read_what_the_total_left_in_the_state(self) -> None:
        (total, *metrics), _ = to_verifiers(STACK)
        state: dict[str, Any] = {}
        assert call(total, state=state) == 2.0
        assert [metric(state=state) for metric in metrics] == [1.0, 1.0, 0.0, 1.0, 0.0]

    def test_a_component_that_does_not_score_is_told_from_a_zero(self) -> None:
        (total, value, scored, *_), _ = to_verifiers(STACK)
        state: dict[str, Any] = {}
        assert call(total, state=state, answer=None) == 0.0
        assert (value(state=state), scored(state=state)) == (0.0, 0.0)

    def test_the_row_and_its_info_are_columns(self) -> None:
        seen: dict[str, Any] = {}

        def spy(completions: Any, prompts: Any, **columns: Any) -> list[float]:
            seen.update(columns, prompts=prompts)
            return [0.0]

        (total, *_), _ = to_verifiers(spy, answer_key="gold")
        call(total, state={}, info={"source": "a", "level": 1}, level=2, parser=object())
        assert seen == {"prompts": ["1+1?"], "gold": ["2"], "source": ["a"], "level": [2]}

    def test_an_empty_answer_is_none_at_all(self) -> None:
        (total, *_), _ = to_verifiers(boxed_accuracy)
        assert call(total, state={}, answer="", info={"solution": "2"}) == 1.0
        with pytest.raises(ValueError, match="no ground truth"):
            call(total, state={}, answer="")

    @pytest.mark.parametrize("name", ["ground_truth", "solution"])
    def test_the_answer_comes_before_any_other_reference(self, name: str) -> None:
        (total, *_), _ = to_verifiers(boxed_accuracy)
        assert call(total, state={}, answer="2", info={name: "3"}) == 1.0
        (group, *_), _ = to_verifiers(boxed_accuracy, group=True)
        states, infos = [{"input": {}} for _ in range(2)], [{name: "3"}] * 2
        given = {"prompts": ["a"] * 2, "completions": [RIGHT] * 2, "answers": ["2", "4"], "infos": infos}
        assert asyncio.run(group(**given, states=states, tasks=[None] * 2, parser=None)) == [1.0, 0.0]

    def test_typed_messages_are_read(self) -> None:
        (total, *_), _ = to_verifiers(boxed_accuracy)
        completion = [Typed("assistant", RIGHT), Typed("tool", r"\boxed{7}")]
        assert call(total, state={}, completion=completion, prompt=[Typed("user", "1+1?")]) == 1.0

    def test_a_failure_is_logged_and_counted(self, caplog: pytest.LogCaptureFixture) -> None:
        (total, *metrics), _ = to_verifiers(boxed_accuracy)
        state: dict[str, Any] = {}
        with caplog.at_level(logging.ERROR), pytest.raises(RewardError, match="did not score rollout 0"):
            call(total, state=state, answer=None)
        assert f"boxed_accuracy failed; verifiers gives 0.0 for it, see the metric {FAILED}" in caplog.text
        assert metrics[-1](state=state) == 1.0

    def test_a_number_can_stand_for_not_scored(self) -> None:
        (total, *metrics), _ = to_verifiers(boxed_accuracy, not_scored=-1.0)
        state: dict[str, Any] = {}
        assert call(total, state=state, answer=None) == -1.0
        assert metrics[-1](state=state) == 0.0

    def test_a_group_is_scored_in_one_call(self) -> None:
        (total, *metrics), _ = to_verifiers(GroupLength(unit="words"), group=True)
        states = [{"input": {"prompt": "a", "level": 1}} for _ in range(2)]
        completions = [r"\boxed{2}", r"well, \boxed{2}"]
        given = {"prompts": ["a"] * 2, "completions": completions, "answers": ["2"] * 2, "infos": [{}] * 2}
        assert asyncio.run(total(**given, states=states, tasks=[None] * 2, parser=None)) == [0.5, -0.5]
        assert [metrics[-1](state=state) for state in states] == [0.0, 0.0]

    def test_a_reward_that_compares_a_group_is_refused_rollout_by_rollout(self) -> None:
        (total, *_), _ = to_verifiers(GroupLength())
        with pytest.raises(ValueError, match="scores one completion at a time"):
            call(total, state={})

    def test_a_schedule_is_refused(self) -> None:
        for adapter in (to_verifiers, to_verifiers_task):
            with pytest.raises(ValueError, match="verifiers does not tell rewards the training step"):
                adapter(schedule.linear(1, 0, steps=9) * soft_format)

    def test_the_functions_pickle(self) -> None:
        funcs, _ = to_verifiers(STACK)
        assert pickle.loads(pickle.dumps(funcs)) == funcs


class TestTaskReward:
    def score(self, stack: Any, text: str = RIGHT, answer: Any = "2", **settings: Any) -> dict[str, float]:
        data = SimpleNamespace(idx=3, model_dump=lambda: {"idx": 3, "prompt": "1+1?", "answer": answer})
        trace = SimpleNamespace(assistant_messages=[Typed("assistant", text)])
        return asyncio.run(to_verifiers_task(stack, **settings)(task=data, trace=trace))

    def test_gives_each_components_contribution(self) -> None:
        assert self.score(STACK) == {"boxed_accuracy": 2.0, "soft_format": 0.0}

    def test_what_a_clip_takes_is_a_contribution_too(self) -> None:
        taken = self.score(STACK.clip(0.0, 1.5).named("total"))
        assert taken == {"total": -0.5, "boxed_accuracy": 2.0, "soft_format": 0.0}

    def test_a_component_that_does_not_score_is_absent(self) -> None:
        assert self.score(STACK, answer=None) == {"soft_format": 0.0}

    def test_a_trace_that_is_not_scored_is_an_error_unless_a_number_is_chosen(self) -> None:
        with pytest.raises(RewardError, match=r"did not score the trace of task 3 .*not_scored="):
            self.score(boxed_accuracy, answer=None)
        assert self.score(boxed_accuracy, answer=None, not_scored=0.0) == {"boxed_accuracy": 0.0}


@reward
async def patient(completion: str) -> float:
    await asyncio.sleep(0)
    return 0.25


@pytest.mark.filterwarnings("ignore")
class TestInARubric:
    """Through ``Rubric``, which verifiers has up to 0.3 (the versions before v1's tasks alone were left)."""

    @pytest.fixture
    def rubric(self) -> Any:
        vf = pytest.importorskip("verifiers", reason="needs verifiers < 0.4, installed apart from this project")
        if not hasattr(vf, "Rubric"):
            pytest.skip("this version of verifiers has no Rubric")
        return vf.Rubric

    def states(self, form: str) -> list[dict[str, Any]]:
        rows = (golden.prompts(), golden.texts()) if form == "standard" else golden.conversations()
        return [
            {"prompt": p, "completion": c, "answer": a, "trajectory": [], "input": {"prompt": p, "row": 1}, "info": {}}
            for p, c, a in zip(*rows, golden.answers(), strict=True)
        ]

    @pytest.mark.parametrize("name", golden.STACKS)
    @pytest.mark.parametrize("form", ["standard", "conversational"])
    def test_the_golden_batch_earns_the_same(self, rubric: Any, name: str, form: str) -> None:
        funcs, weights = to_verifiers(golden.STACKS[name], not_scored=golden.NOT_SCORED)
        made, states = rubric(funcs=funcs, weights=weights), self.states(form)

        async def run() -> None:
            for state in states:
                await made.score_rollout(state)

        asyncio.run(run())
        assert [state["reward"] for state in states] == golden.as_numbers(golden.expected(golden.STACKS[name]))
        assert {state["metrics"][FAILED] for state in states} == {0.0}

    @pytest.mark.parametrize("group", [False, True])
    def test_a_group_earns_the_same(self, rubric: Any, group: bool) -> None:
        stack = golden.STACKS["sum"] + patient
        funcs, weights = to_verifiers(stack, group=group)
        made, states = rubric(funcs=funcs, weights=weights), self.states("standard")
        asyncio.run(made.score_group(states))
        assert [state["reward"] for state in states] == golden.expected(stack)
        assert [state["metrics"]["patient"] for state in states] == [0.25] * len(states)

    def test_a_failure_is_seen_though_the_rubric_pays_zero(self, rubric: Any, caplog: pytest.LogCaptureFixture) -> None:
        funcs, weights = to_verifiers(boxed_accuracy)
        state = {"prompt": "a", "completion": "b", "answer": None, "trajectory": [], "info": {}}
        with caplog.at_level(logging.ERROR):
            asyncio.run(rubric(funcs=funcs, weights=weights).score_rollout(state))
        assert state["reward"] == 0.0
        assert state["metrics"][FAILED] == 1.0
        assert "boxed_accuracy failed; verifiers gives 0.0 for it" in caplog.text


FILE = """
from tests.rewardkit.adapters import golden
from rewardkit.adapters import to_verifiers_task

reward = to_verifiers_task(golden.STACKS[{name!r}], not_scored=golden.NOT_SCORED)
"""


@pytest.mark.filterwarnings("ignore")
class TestInATask:
    @pytest.fixture
    def v1(self) -> Any:
        reason = "needs verifiers >= 0.4, installed apart from this project"
        pytest.importorskip("verifiers", reason=reason)
        return pytest.importorskip("verifiers.v1", reason=reason, exc_type=ImportError)

    def trace(self, v1: Any, data: Any, text: str) -> Any:
        from verifiers.v1.graph import MessageNode

        messages = [(v1.UserMessage(content=data.prompt), False), (v1.AssistantMessage(content=text), True)]
        nodes = [
            MessageNode(message=message, sampled=sampled, parent=i - 1 if i else None)
            for i, (message, sampled) in enumerate(messages)
        ]
        info = v1.AgentInfo(config=v1.AgentConfig())
        return v1.Trace(task=v1.TraceTask(type="Task", data=data), agent=info, nodes=nodes)

    @pytest.mark.parametrize("name", golden.STACKS)
    def test_the_golden_batch_earns_the_same(self, v1: Any, name: str, tmp_path: Path) -> None:
        path = tmp_path / "golden_reward.py"
        path.write_text(FILE.format(name=name), encoding="utf-8")
        config = v1.TaskConfig(rewards={"golden": v1.RewardFunctionConfig(fn=f"{path}:reward")})

        async def run() -> list[float]:
            rewards = []
            for prompt, text, answer in golden.ROWS:
                data = v1.WireTaskData(prompt=prompt, answer=answer)
                trace = self.trace(v1, data, text)
                await v1.Task(data, config=config).score(trace)
                rewards.append(trace.reward)
            return rewards

        assert asyncio.run(run()) == golden.as_numbers(golden.expected(golden.STACKS[name]))

    def test_a_failure_ends_the_scoring_of_the_trace(self, v1: Any, tmp_path: Path) -> None:
        path = tmp_path / "failing_reward.py"
        path.write_text(
            "from rewardkit import boxed_accuracy\nfrom rewardkit.adapters import to_verifiers_task\n"
            "reward = to_verifiers_task(boxed_accuracy)\n",
            encoding="utf-8",
        )
        config = v1.TaskConfig(rewards={"golden": v1.RewardFunctionConfig(fn=f"{path}:reward")})
        data = v1.WireTaskData(prompt="a", answer=None)
        with pytest.raises(v1.TaskError, match="needs a number in every row"):
            asyncio.run(v1.Task(data, config=config).score(self.trace(v1, data, "b")))
