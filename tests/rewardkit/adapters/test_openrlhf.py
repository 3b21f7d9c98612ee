"""Specification of the adapter for OpenRLHF: the documented call, and its own executor where it is installed."""

from __future__ import annotations

import asyncio
import logging
import pickle
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from rewardkit import (
    BoxedAccuracy,
    ColumnError,
    GroupLength,
    RewardError,
    boxed_accuracy,
    exact_match,
    route,
    schedule,
    soft_format,
)
from rewardkit.adapters import to_openrlhf
from rewardkit.contract import GROUND_TRUTH_KEYS

from . import golden

CHAT = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
STACK = 2.0 * boxed_accuracy + 0.5 * soft_format


def count_texts(completions: list[str], prompts: list[str], **columns: Any) -> list[float]:
    return [float(len(completion)) for completion in completions]


class TestRewardFunc:
    def test_gives_floats_for_one_query_as_openrlhf_passes_them(self) -> None:
        assert to_openrlhf(STACK)([r"1+1? \boxed{2}"], ["1+1?"], ["2"]) == {
            "rewards": 2.0,
            "scores": 2.0,
            "extra_logs": {
                "rewards/boxed_accuracy": 1.0,
                "rewards/boxed_accuracy/scored": 1.0,
                "rewards/soft_format": 0.0,
                "rewards/soft_format/scored": 1.0,
            },
        }

    def test_gives_lists_for_several(self) -> None:
        result = to_openrlhf(STACK)([r"a\boxed{2}", r"b\boxed{3}"], ["a", "b"], ["2", "2"])
        assert result["rewards"] == [2.0, 0.0]
        assert result["extra_logs"]["rewards/boxed_accuracy"] == [1.0, 0.0]

    def test_gives_tensors_where_a_maker_of_tensors_is_passed(self) -> None:
        import torch

        result = to_openrlhf(STACK, tensor=torch.tensor)([r"a\boxed{2}"], ["a"], ["2"])
        assert result["rewards"].item() == 2.0
        assert result["scores"].shape == (1,)
        assert pickle.loads(pickle.dumps(to_openrlhf(STACK, tensor=torch.tensor)))([r"a"], ["a"], ["2"])

    def test_scores_are_those_of_the_component_that_is_named(self) -> None:
        reward_func = to_openrlhf(STACK, scores="boxed_accuracy")
        assert reward_func([r"a\boxed{2}"], ["a"], ["2"])["scores"] == 1.0
        with pytest.raises(RewardError, match="boxed_accuracy did not score it"):
            reward_func([r"a\boxed{2}"], ["a"], [None])
        with pytest.raises(ValueError, match="scores='x' is no component of the stack; it has boxed_accuracy, soft_f"):
            to_openrlhf(STACK, scores="x")

    def test_a_row_that_is_not_scored_is_an_error_unless_a_number_is_chosen(self) -> None:
        with pytest.raises(RewardError, match=r"did not score query 0 .*not_scored="):
            to_openrlhf(boxed_accuracy)(["a"], ["a"], [None])
        result = to_openrlhf(boxed_accuracy, not_scored=-1.0)(["a"], ["a"], [None])
        assert result == {"rewards": -1.0, "scores": -1.0, "extra_logs": {"scored": 0.0}}

    def test_a_component_that_does_not_score_is_told_from_a_zero(self) -> None:
        logs = to_openrlhf(STACK)(["a"], ["a"], [None])["extra_logs"]
        assert logs["rewards/boxed_accuracy"] == logs["rewards/boxed_accuracy/scored"] == 0.0

    def test_prompts_labels_and_other_columns_reach_the_stack(self) -> None:
        seen: dict[str, Any] = {}

        def spy(completions: Any, prompts: Any, **columns: Any) -> list[float]:
            seen.update(columns, prompts=prompts, completions=completions)
            return [0.0]

        to_openrlhf(spy, answer_key="gold")(["ab"], ["a"], ["2"], images=[None])
        assert seen == {"completions": ["b"], "prompts": ["a"], "gold": ["2"], "images": [None]}

    @pytest.mark.parametrize("name", GROUND_TRUTH_KEYS)
    def test_the_label_comes_before_any_other_reference(self, name: str) -> None:
        reward_func = to_openrlhf(boxed_accuracy)
        assert reward_func([r"a\boxed{2}"], ["a"], ["2"], **{name: ["3"]})["rewards"] == 1.0
        several = reward_func([r"a\boxed{2}"] * 2, ["a"] * 2, ["2", "3"], **{name: ["3", "2"]})
        assert several["rewards"] == [1.0, 0.0]

    def test_a_reward_that_names_another_column_reads_that_one(self) -> None:
        named = to_openrlhf(BoxedAccuracy(answer_key="answer", name="second") + 10 * boxed_accuracy)
        assert named([r"a\boxed{3}"], ["a"], ["2"], answer=["3"])["rewards"] == 1.0

    def test_the_label_stays_the_reference_of_the_rows_that_a_gate_lets_through(self) -> None:
        chosen = to_openrlhf(route("kind", {"a": boxed_accuracy, "b": exact_match}))
        rows = {"kind": ["a", "b", "a"], "answer": ["9"] * 3}
        result = chosen([r"q\boxed{2}", "q3", r"q\boxed{3}"], ["q"] * 3, ["2", "3", "4"], **rows)
        assert result["rewards"] == [1.0, 1.0, 0.0]

    def test_failures_are_logged_as_errors_before_openrlhf_drops_them(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.ERROR), pytest.raises(ColumnError):
            to_openrlhf(boxed_accuracy, answer_key="gold")(["ab"], ["x"], ["2"])
        (record,) = caplog.records
        assert record.levelno == logging.ERROR
        assert "reward of 1 queries failed; OpenRLHF goes on without it" in record.message

    def test_a_reward_that_compares_a_group_is_refused(self) -> None:
        with pytest.raises(ColumnError, match="scores one completion at a time"):
            to_openrlhf(STACK + GroupLength())(["ab"], ["a"], ["2"])

    def test_a_schedule_is_refused(self) -> None:
        with pytest.raises(ValueError, match="OpenRLHF does not tell rewards the training step"):
            to_openrlhf(schedule.linear(1, 0, steps=9) * soft_format)

    def test_it_pickles_and_compares(self) -> None:
        reward_func = to_openrlhf(STACK, strip=["</s>"])
        assert pickle.loads(pickle.dumps(reward_func)) == reward_func != to_openrlhf(STACK)


class TestTheCompletionOfAQuery:
    @pytest.mark.parametrize(
        ("query", "prompt", "completion"),
        [
            (CHAT + "Yes<|im_end|>", CHAT, "Yes"),
            ("Hi Hi", "Hi ", "Hi"),
            ("Hi", "Hi", ""),
            ("Hi Yes</s></s>", "Hi ", "Yes"),
            ("Hi Yes</s>\n", "Hi ", "Yes"),
            ("Yes", "", "Yes"),
            ("Hi </s>Yes", "Hi ", "</s>Yes"),
        ],
    )
    def test_is_what_follows_the_prompt_without_the_end_tokens(self, query: str, prompt: str, completion: str) -> None:
        assert to_openrlhf(exact_match)([query], [prompt], [completion or "x"])["rewards"] == float(bool(completion))

    @pytest.mark.parametrize(
        ("end", "left"),
        [
            ("<|im_end|>\n", ""),
            ("<|im_end|>\n<|endoftext|>\n", ""),
            ("\n<|im_end|>\n", "\n"),
            ("\n", "\n"),
            ("<|im_end|>\n!", "<|im_end|>\n!"),
        ],
    )
    def test_the_line_break_that_a_template_puts_behind_an_end_token_goes_with_it(self, end: str, left: str) -> None:
        seen: list[str] = []

        def spy(completions: Any, **columns: Any) -> list[float]:
            seen.extend(completions)
            return [0.0]

        to_openrlhf(spy)([f"a b{end}"], ["a"], ["2"])
        assert seen == [f" b{left}"]

    def test_a_million_spaces_and_end_tokens_are_taken_off(self) -> None:
        query = "a" + "</s> \n" * 150_000 + " " * 500_000 + "</s>"
        assert to_openrlhf(count_texts)([query], ["a"], ["2"])["rewards"] == 0.0

    def test_the_end_tokens_are_those_that_are_given(self) -> None:
        assert to_openrlhf(count_texts, strip=["!"])(["ab!!"], ["a"], ["2"])["rewards"] == 1.0
        assert to_openrlhf(count_texts, strip=[])(["ab</s>"], ["a"], ["2"])["rewards"] == 5.0
        with pytest.raises(ValueError, match="strip has an empty string"):
            to_openrlhf(count_texts, strip=[""])

    def test_a_query_without_its_prompt_is_an_error_that_names_the_row(self) -> None:
        with pytest.raises(ColumnError, match=r"query 1 does not begin with its prompt \(str 'bc' and str 'x'\)"):
            to_openrlhf(count_texts)(["ab", "bc"], ["a", "x"], ["2", "2"])

    def test_a_function_can_find_it_where_the_prompt_is_not_the_beginning(self) -> None:
        reward_func = to_openrlhf(count_texts, completion_of=after_the_turn)
        assert reward_func(["cut|assistant|abc</s>"], ["a long prompt|assistant|"], ["2"])["rewards"] == 3.0

    def test_a_million_end_tokens_are_taken_off(self) -> None:
        assert to_openrlhf(count_texts)(["a" + "</s>" * 250_000], ["a"], ["2"])["rewards"] == 0.0

    def test_columns_of_another_length_are_refused(self) -> None:
        with pytest.raises(ColumnError, match="prompts has 1 rows for 2 completions"):
            to_openrlhf(STACK)(["a", "b"], ["a"], ["2", "2"])


def after_the_turn(query: str, prompt: str) -> str:
    return query.rpartition("|assistant|")[2]


class Letters:
    """As much of a tokenizer as the executor uses; 0 ends a text."""

    def __call__(self, text: str, **settings: Any) -> Any:
        import torch

        return {"input_ids": torch.tensor([[ord(c) for c in text]])}

    def decode(self, ids: list[int], skip_special_tokens: bool) -> str:
        return "".join(chr(i) if i else "<|im_end|>" for i in ids)


class Engine:
    """Answers with a given text."""

    def __init__(self, text: str) -> None:
        self.ids = [*map(ord, text), 0]

    async def generate(self, ids: Any, params: Any, **settings: Any) -> Any:
        return SimpleNamespace(outputs=[SimpleNamespace(token_ids=self.ids, finish_reason="stop", logprobs=None)])


FILE = """
from tests.rewardkit.adapters import golden
from rewardkit.adapters import to_openrlhf

reward_func = to_openrlhf(golden.STACKS[{name!r}], not_scored=golden.NOT_SCORED)
"""


@pytest.mark.filterwarnings("ignore")
class TestInOpenRLHF:
    @pytest.fixture(autouse=True)
    def stubs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """OpenRLHF's code for rewards and experiences is real; the inference engine behind it is not."""
        pytest.importorskip("openrlhf", reason="needs OpenRLHF, which is installed apart from this project")
        for name in ("vllm", "openrlhf.trainer.ray", "openrlhf.trainer.ray.vllm_engine"):
            monkeypatch.setitem(sys.modules, name, MagicMock())

    def respond(self, path: Path, prompt: str, text: str, label: Any) -> dict[str, Any]:
        from openrlhf.utils.agent import SingleTurnAgentExecutor

        executor = SingleTurnAgentExecutor(str(path))
        params = SimpleNamespace(max_tokens=None, logprobs=None)
        arguments = (prompt, label, params, 4096, Letters(), Engine(text))
        return asyncio.run(executor.execute(*arguments))  # type: ignore[no-any-return]

    def experience(self, response: dict[str, Any]) -> Any:
        from openrlhf.trainer.ppo_utils.samples_generator import SamplesGenerator

        generator = SamplesGenerator.__new__(SamplesGenerator)
        return generator._process_response_into_experience(response, max_len=4096)

    @pytest.mark.parametrize("name", golden.STACKS)
    def test_the_golden_batch_earns_the_same(self, name: str, tmp_path: Path) -> None:
        from openrlhf.trainer.ppo_utils.experience import Experience

        path = tmp_path / "reward.py"
        path.write_text(FILE.format(name=name), encoding="utf-8")
        rows = zip(golden.prompts(), golden.texts(), golden.answers(), strict=True)
        experiences = [self.experience(self.respond(path, *row)) for row in rows]
        want = golden.as_numbers(golden.expected(golden.STACKS[name]))
        assert [tuple(e.rewards.shape) for e in experiences] == [(1,)] * len(want)
        assert [e.rewards.item() for e in experiences] == want
        assert [e.scores.item() for e in experiences] == want
        together = Experience.concat_experiences(experiences, pad_token_id=0)
        assert together.info["scored"].flatten().tolist() == [float(v != golden.NOT_SCORED) for v in want]

    def test_an_error_reaches_the_log_though_openrlhf_goes_on(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "reward.py"
        path.write_text(
            "from rewardkit import boxed_accuracy\nfrom rewardkit.adapters import to_openrlhf\n"
            "reward_func = to_openrlhf(boxed_accuracy)\n",
            encoding="utf-8",
        )
        with caplog.at_level(logging.ERROR):
            assert self.respond(path, "a", "b", None)["reward"] is None
        assert any("needs a number in every row" in (r.exc_text or "") for r in caplog.records)
