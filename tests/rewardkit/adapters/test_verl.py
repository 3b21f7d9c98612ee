"""Specification of the adapter for verl: the documented call, and verl's own managers where it is installed."""

from __future__ import annotations

import asyncio
import inspect
import logging
import pickle
from pathlib import Path
from typing import Any

import pytest

from rewardkit import (
    ColumnError,
    GroupLength,
    Keywords,
    RewardError,
    boxed_accuracy,
    numeric_accuracy,
    route,
    schedule,
    soft_format,
)
from rewardkit.adapters import to_verl

from . import golden

DOUBTS = Keywords(words=("wait",), value=0.25, name="doubts")
STACK = boxed_accuracy + 0.5 * soft_format
RIGHT, WRONG = r"It is \boxed{2}.", r"It is \boxed{3}."


class TestComputeScore:
    def test_gives_the_total_and_every_component(self) -> None:
        assert to_verl(STACK)("math", RIGHT, "2") == {
            "score": 1.0,
            "rewards/boxed_accuracy": 1.0,
            "rewards/soft_format": 0.0,
        }

    def test_acc_repeats_the_component_that_is_the_accuracy(self) -> None:
        assert to_verl(STACK, acc="boxed_accuracy")("math", RIGHT, "2")["acc"] == 1.0
        assert to_verl(boxed_accuracy, acc="boxed_accuracy")("math", WRONG, "2") == {"score": 0.0, "acc": 0.0}
        with pytest.raises(ValueError, match="acc='accuracy' is no component of the stack; it has combined, boxed_acc"):
            to_verl(STACK, acc="accuracy")

    def test_the_keys_are_the_same_whatever_a_gate_or_a_route_hides(self) -> None:
        stack = (
            route("data_source", {"math": STACK.gate(DOUBTS, at_least=0.0), "trivia": DOUBTS}) + 0.5 * numeric_accuracy
        )
        compute_score = to_verl(stack.gate(soft_format))
        tagged = "<think>so</think><answer>2</answer>"
        rows = [compute_score(kind, text, "2") for kind in ("math", "trivia") for text in (tagged, "2", "")]
        assert {tuple(row) for row in rows} == {tuple(rows[0])}
        assert set(rows[0]) == {
            "score",
            "rewards/route",
            "rewards/route/math",
            "rewards/route/math/boxed_accuracy",
            "rewards/route/math/soft_format",
            "rewards/route/math/gate:doubts",
            "rewards/route/trivia",
            "rewards/numeric_accuracy",
            "rewards/gate:soft_format",
        }
        assert rows[0]["rewards/route/trivia"] is None
        assert rows[0]["rewards/route/math"] == 0.5

    def test_extra_info_and_settings_reach_the_stack_as_columns(self) -> None:
        seen: dict[str, Any] = {}

        def spy(completions: Any, **columns: Any) -> list[float]:
            seen.update(columns)
            return [1.0]

        to_verl(spy, answer_key="solution")("math", "x", "2", {"index": 7, "answer": "so it is 2"}, tries=3)
        assert seen["index"] == [7]
        assert seen["answer"] == ["so it is 2"]
        assert seen["solution"] == ["2"]
        assert seen["data_source"] == ["math"]
        assert seen["tries"] == 3

    def test_verls_ground_truth_comes_before_an_answer_in_extra_info(self) -> None:
        assert to_verl(boxed_accuracy)("math", RIGHT, "2", {"answer": "3"})["score"] == 1.0

    def test_it_does_under_another_name_too(self) -> None:
        score = to_verl(boxed_accuracy, answer_key="label")
        row = ("d", r"\boxed{2}", "2", {"ground_truth": "3", "answer": "4"})
        assert score(*row)["score"] == score.batch(*([value] for value in row))[0]["score"] == 1.0

    def test_a_row_that_is_not_scored_is_an_error_unless_a_number_is_chosen(self) -> None:
        with pytest.raises(RewardError, match=r"did not score the row of 'math' .*choose one with not_scored="):
            to_verl(boxed_accuracy)("math", RIGHT, None)
        chosen = to_verl(boxed_accuracy, not_scored=-1.0)
        assert chosen("math", RIGHT, None) == {"score": -1.0, "scored": 0.0}
        assert chosen("math", RIGHT, "2") == {"score": 1.0, "scored": 1.0}

    def test_a_component_that_does_not_score_is_none(self) -> None:
        row = to_verl(STACK)("math", RIGHT, None)
        assert row == {"score": 0.0, "rewards/boxed_accuracy": None, "rewards/soft_format": 0.0}

    def test_what_the_stack_raises_is_raised(self) -> None:
        with pytest.raises(ColumnError, match="expected the column 'gold'"):
            to_verl(boxed_accuracy.__class__(answer_key="gold"))("math", RIGHT, "2")

    def test_a_reward_that_compares_a_group_is_refused_row_by_row(self) -> None:
        with pytest.raises(ColumnError, match="scores one completion at a time"):
            to_verl(STACK + GroupLength(num_generations=1))("math", RIGHT, "2")

    def test_a_schedule_is_refused_because_verl_does_not_tell_the_step(self) -> None:
        with pytest.raises(ValueError, match="scheduled weight, but verl does not tell rewards the training step"):
            to_verl((boxed_accuracy + schedule.linear(1, 0, steps=9) * soft_format).clip(0, 1))

    def test_it_pickles_and_compares(self) -> None:
        compute_score = to_verl(STACK, acc="boxed_accuracy")
        compute_score("math", RIGHT, "2")
        assert pickle.loads(pickle.dumps(compute_score)) == compute_score != to_verl(STACK)

    def test_the_coroutine_function_gives_the_same(self) -> None:
        compute_score = to_verl(STACK)
        assert inspect.iscoroutinefunction(compute_score.aio)
        assert asyncio.run(compute_score.aio("math", RIGHT, "2")) == compute_score("math", RIGHT, "2")


class TestBatch:
    def test_gives_one_dict_per_row_with_the_same_keys(self) -> None:
        rows = to_verl(STACK).batch(["math"] * 2, [RIGHT, WRONG], ["2", None], [{"index": 1}, {}])
        assert [row["score"] for row in rows] == [1.0, 0.0]
        assert [row["rewards/boxed_accuracy"] for row in rows] == [1.0, None]

    def test_a_row_without_extra_info_has_none_in_those_columns(self) -> None:
        seen: dict[str, Any] = {}

        def spy(completions: Any, **columns: Any) -> list[float]:
            seen.update(columns)
            return [0.0] * len(completions)

        to_verl(spy).batch(["a"] * 3, ["x"] * 3, [1, 2, 3], [{"index": 1}, None, {"split": "b"}])
        assert seen["index"] == [1, None, None]
        assert seen["split"] == [None, None, "b"]

    def test_groups_are_told_by_num_generations(self) -> None:
        score = to_verl(GroupLength(num_generations=2, unit="words"))
        rows = score.batch(["m"] * 2, [r"\boxed{2}", r"well, \boxed{2}"], ["2", "2"])
        assert [row["score"] for row in rows] == [0.5, -0.5]

    def test_columns_of_another_length_are_refused(self) -> None:
        with pytest.raises(ColumnError, match="ground_truths has 1 rows for 2 completions"):
            to_verl(STACK).batch(["m"] * 2, [RIGHT, WRONG], ["2"])


class Letters:
    """As much of a tokenizer as the managers use."""

    eos_token = ""

    def decode(self, ids: Any, skip_special_tokens: bool = False) -> str:
        return "".join(chr(int(i)) for i in ids)


def proto(rows: list[tuple[str, str, Any]]) -> Any:
    """verl's batch: prompts padded left, responses right."""
    import numpy as np
    import torch
    from verl import DataProto

    width = max(len(text) for _, text, _ in rows) + 1
    asked = max(len(prompt) for prompt, _, _ in rows)
    letters = [[ord(c) for c in text] for _, text, _ in rows]
    responses = torch.tensor([ids + [0] * (width - len(ids)) for ids in letters])
    prompts = torch.tensor([[0] * (asked - len(p)) + [ord(c) for c in p] for p, _, _ in rows])
    mask = torch.cat([(prompts != 0).long(), (responses != 0).long()], dim=1)
    models = np.empty(len(rows), dtype=object)
    models[:] = [{"ground_truth": gold} for _, _, gold in rows]
    infos = np.empty(len(rows), dtype=object)
    infos[:] = [{"index": i} for i in range(len(rows))]
    return DataProto.from_dict(
        tensors={"prompts": prompts, "responses": responses, "attention_mask": mask},
        non_tensors={
            "data_source": np.array(["golden"] * len(rows), dtype=object),
            "reward_model": models,
            "extra_info": infos,
        },
    )


def golden_rows() -> list[tuple[str, str, Any]]:
    return list(zip(golden.prompts(), golden.texts(), golden.answers(), strict=True))


FILE = """
from tests.rewardkit.adapters import golden
from rewardkit.adapters import to_verl

compute_score = to_verl(golden.STACKS[{name!r}], not_scored=golden.NOT_SCORED)
compute_score_aio = compute_score.aio
"""


def config(folder: Path, name: str, manager: str = "naive", function: str = "compute_score") -> Any:
    from omegaconf import OmegaConf

    path = folder / "reward.py"
    path.write_text(FILE.format(name=name), encoding="utf-8")
    reward = {
        "custom_reward_function": {"path": str(path), "name": function, "reward_kwargs": {}},
        "reward_manager": {"source": "register", "name": manager},
        "num_workers": 1,
        "reward_kwargs": {"overlong_buffer_cfg": None, "max_resp_len": None},
    }
    return OmegaConf.create({"reward": reward, "trainer": {"experiment_name": "golden"}})


def scores_of(results: list[dict[str, Any]]) -> list[float | None]:
    return [None if r["reward_score"] == golden.NOT_SCORED else r["reward_score"] for r in results]


@pytest.mark.filterwarnings("ignore")
class TestInVerl:
    @pytest.fixture(autouse=True)
    def verl(self) -> Any:
        pytest.importorskip("ray", reason="needs verl and ray, which are installed apart from this project")
        return pytest.importorskip("verl", reason="needs verl, which is installed apart from this project")

    @pytest.mark.parametrize("name", golden.STACKS)
    @pytest.mark.parametrize("manager", ["naive", "dapo", "gdpo", "rate_limited"])
    @pytest.mark.parametrize("function", ["compute_score", "compute_score_aio"])
    def test_a_manager_that_its_config_names_gives_the_golden_scores(
        self, name: str, manager: str, function: str, tmp_path: Path
    ) -> None:
        from verl.trainer.ppo.reward import load_reward_manager

        async def run() -> list[dict[str, Any]]:
            made = load_reward_manager(config(tmp_path, name, manager, function), Letters())
            data = proto(golden_rows())
            return [await made.run_single(data[i : i + 1]) for i in range(len(data))]

        results = asyncio.run(run())
        assert scores_of(results) == golden.expected(golden.STACKS[name])
        assert {tuple(r["reward_extra_info"]) for r in results} == {tuple(results[0]["reward_extra_info"])}

    def test_the_manager_with_processes_gives_the_golden_scores(self, tmp_path: Path) -> None:
        import ray
        from verl.trainer.ppo.reward import load_reward_manager

        async def run() -> list[dict[str, Any]]:
            made = load_reward_manager(config(tmp_path, "sum", "remote"), Letters())
            data = proto(golden_rows())
            return [await made.run_single(data[i : i + 1]) for i in range(len(data))]

        root = str(Path(__file__).parents[3])
        ray.init(
            num_cpus=1,
            include_dashboard=False,
            logging_level=logging.ERROR,
            runtime_env={"env_vars": {"PYTHONPATH": root}},
        )
        try:
            assert scores_of(asyncio.run(run())) == golden.expected(golden.STACKS["sum"])
        finally:
            ray.shutdown()

    @pytest.mark.parametrize("name", golden.STACKS)
    def test_the_batch_manager_gives_the_golden_scores(self, name: str) -> None:
        from verl.workers.reward_manager.batch import BatchRewardManager

        compute_score = to_verl(golden.STACKS[name], not_scored=golden.NOT_SCORED)
        manager = BatchRewardManager(Letters(), num_examine=0, compute_score=compute_score.batch)
        rows = [row for row in golden_rows() if row[1]]  # this manager cannot place the score of an empty response
        data = proto(rows)
        result = manager(data, return_dict=True)
        want = [v for v, row in zip(golden.expected(golden.STACKS[name]), golden_rows(), strict=True) if row[1]]
        assert data.batch["acc"].tolist() == golden.as_numbers(want)
        assert result["reward_tensor"].sum(dim=1).tolist() == golden.as_numbers(want)
        assert all(len(values) == len(rows) for values in result["reward_extra_info"].values())

    def test_its_validation_averages_the_rows_that_a_component_scored(self) -> None:
        from verl.trainer.ppo.metric_utils import process_validation_metrics

        rows = to_verl(STACK, acc="boxed_accuracy").batch(
            ["m"] * 4, [RIGHT, RIGHT, WRONG, RIGHT], ["2", None, "2", "2"]
        )
        columns = {key: [row[key] for row in rows] for key in rows[0]}
        metrics = process_validation_metrics(["m"] * 4, ["a"] * 4, columns)["m"]
        assert metrics["acc"]["mean@3"] == pytest.approx(2 / 3)
        assert metrics["rewards/soft_format"]["mean@4"] == 0.0

    def test_a_failure_ends_the_run_of_the_default_manager(self, tmp_path: Path) -> None:
        from verl.trainer.ppo.reward import load_reward_manager

        async def run() -> Any:
            settings = config(tmp_path, "one reward")
            (tmp_path / "reward.py").write_text(
                "from rewardkit import boxed_accuracy\nfrom rewardkit.adapters import to_verl\n"
                "compute_score = to_verl(boxed_accuracy)\n",
                encoding="utf-8",
            )
            made = load_reward_manager(settings, Letters())
            return await made.run_single(proto([("a", RIGHT, None)]))

        with pytest.raises(RewardError, match="needs a number in every row"):
            asyncio.run(run())
