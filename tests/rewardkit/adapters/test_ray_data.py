"""Specification of scoring with Ray Data: each format of a batch, and Ray's own pipeline where it is installed."""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from rewardkit import boxed_accuracy, exact_match, soft_format
from rewardkit.adapters import ScoreBatches

from . import golden

STACK = boxed_accuracy + 0.5 * soft_format
ROWS = {"completion": [r"\boxed{2}", r"\boxed{3}"], "answer": [["2"], None]}


def test_a_mapping_of_arrays_stays_one() -> None:
    answers = np.empty(2, dtype=object)
    answers[:] = [np.array(["2", "3"]), None]
    scored = ScoreBatches(STACK)({"completion": np.array(ROWS["completion"]), "answer": answers})
    assert list(scored) == ["completion", "answer", "reward", "rewards/boxed_accuracy", "rewards/soft_format"]
    np.testing.assert_array_equal(scored["rewards/boxed_accuracy"], [1.0, np.nan])
    assert scored["reward"].dtype == np.float64


def test_a_data_frame_stays_one() -> None:
    frame = pd.DataFrame(ROWS, index=[7, 9])
    scored = ScoreBatches(STACK)(frame)
    assert list(frame.columns) == ["completion", "answer"]
    assert scored["reward"].tolist() == [1.0, 0.0]
    assert scored["rewards/boxed_accuracy"].isna().tolist() == [False, True]
    assert scored.index.tolist() == [7, 9]


def test_what_pandas_calls_missing_is_not_scored() -> None:
    frame = pd.DataFrame({"completion": ["a", "b", "c"], "answer": pd.Series(["a", pd.NA, np.nan], dtype=object)})
    assert ScoreBatches(exact_match)(frame)["reward"].isna().tolist() == [False, True, True]


def test_an_arrow_table_stays_one_with_nulls() -> None:
    scored = ScoreBatches(STACK)(pa.table(ROWS))
    assert scored.column("rewards/boxed_accuracy").to_pylist() == [1.0, None]
    assert scored.schema.field("reward").type == pa.float64()
    alone = ScoreBatches(boxed_accuracy)(pa.table({"completion": ["a"], "answer": pa.array([None], pa.string())}))
    assert alone.column("reward").to_pylist() == [None]
    assert alone.schema.field("reward").type == pa.float64()


def test_messages_within_arrays_are_read() -> None:
    completions = np.empty(1, dtype=object)
    completions[0] = np.array([{"role": "assistant", "content": r"\boxed{2}"}], dtype=object)
    scored = ScoreBatches(boxed_accuracy)({"completion": completions, "answer": np.array(["2"])})
    assert scored["reward"].tolist() == [1.0]


def test_the_columns_have_the_names_that_are_given() -> None:
    score = ScoreBatches(STACK, completions="output", total="score", prefix="score/")
    scored = score({"output": np.array([r"\boxed{2}"]), "answer": np.array(["2"])})
    assert [name for name in scored if name.startswith("score")] == list(score.scorer.names)


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(TypeError, match="a batch must be a mapping, a data frame or an Arrow table, got list"):
        ScoreBatches(STACK)([1])


def test_it_pickles() -> None:
    back = pickle.loads(pickle.dumps(ScoreBatches(STACK)))
    assert back.scorer == ScoreBatches(STACK).scorer


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """Ray on two workers that can import these tests."""
    reason = "needs ray[data], which is installed apart from this project"
    ray = pytest.importorskip("ray", reason=reason)
    pytest.importorskip("ray.data", reason=reason, exc_type=ImportError)
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH")]))
    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR}
    ray.init(num_cpus=2, runtime_env={"env_vars": {"PYTHONPATH": path}}, **quiet)
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield ray
    ray.shutdown()


@pytest.mark.filterwarnings("ignore")
class TestInRay:
    def rows(self, form: str) -> list[dict[str, Any]]:
        prompts, completions = (golden.prompts(), golden.texts()) if form == "standard" else golden.conversations()
        answers = [answer if isinstance(answer, list) or answer is None else [answer] for answer in golden.answers()]
        columns = zip(range(len(answers)), prompts, completions, answers, strict=True)
        return [{"row": i, "prompt": p, "completion": c, "answer": a} for i, p, c, a in columns]

    def values(self, scored: Any) -> list[float | None]:
        """By row, with NaN and null as None."""
        taken = sorted(scored.take_all(), key=lambda row: row["row"])
        assert len(taken) == len(golden.ROWS)
        return [None if row["reward"] is None or row["reward"] != row["reward"] else row["reward"] for row in taken]

    @pytest.mark.parametrize("name", golden.STACKS)
    @pytest.mark.parametrize("form", ["standard", "conversational"])
    @pytest.mark.parametrize("batch_format", ["numpy", "pandas", "pyarrow"])
    def test_tasks_give_the_golden_batch_the_same(self, ray: Any, name: str, form: str, batch_format: str) -> None:
        stack = golden.STACKS[name]
        data = ray.data.from_items(self.rows(form), override_num_blocks=1)
        scored = data.map_batches(ScoreBatches(stack), batch_format=batch_format, batch_size=5)
        assert self.values(scored) == golden.expected(stack)

    def test_actors_give_the_golden_batch_the_same(self, ray: Any) -> None:
        stack = golden.STACKS["sum"]
        data = ray.data.from_items(self.rows("standard"), override_num_blocks=1)
        scored = data.map_batches(
            ScoreBatches, fn_constructor_args=(stack,), batch_size=5, compute=ray.data.ActorPoolStrategy(size=1)
        )
        assert self.values(scored) == golden.expected(stack)
