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
from rewardkit.adapters.tables import plain

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


PARTS = [{"role": "assistant", "content": [{"type": "text", "text": r"\boxed{2}"}]}]


@pytest.mark.parametrize("form", ["arrow", "pandas"])
def test_parts_of_messages_are_read_however_deep_their_arrays_are(form: str) -> None:
    table = pa.table({"completion": [PARTS], "answer": ["2"]})
    scored = ScoreBatches(boxed_accuracy)(table if form == "arrow" else table.to_pandas())
    assert list(scored["reward"].to_pylist() if form == "arrow" else scored["reward"]) == [1.0]


NARROW = [np.float16, np.float32]


@pytest.mark.parametrize("number", NARROW)
@pytest.mark.parametrize("form", ["numpy", "pandas", "pandas lists", "arrow", "arrow lists", "arrow records"])
def test_a_narrow_float_is_the_number_that_was_written(form: str, number: Any) -> None:
    values = np.array([0.1, 7.0], dtype=number)
    assert values.tolist()[0] != 0.1
    lists = pa.array([[value] for value in values], pa.list_(pa.from_numpy_dtype(number)))
    columns = {
        "numpy": values,
        "pandas": pd.Series(values),
        "pandas lists": lists.to_pandas(),
        "arrow": pa.chunked_array([values]),
        "arrow lists": pa.chunked_array([lists]),
        "arrow records": pa.chunked_array([pa.StructArray.from_arrays([pa.array(values)], ["value"])]),
    }
    column = columns[form]
    got = plain(column.to_pylist(), str(column.type)) if "arrow" in form else plain(column)
    wrapped = {"pandas lists": [[0.1], [7.0]], "arrow lists": [[0.1], [7.0]]}
    assert got == wrapped.get(form, [{"value": 0.1}, {"value": 7.0}] if form == "arrow records" else [0.1, 7.0])


def test_floats_of_the_usual_width_and_whole_numbers_are_as_they_are() -> None:
    exact = 0.1 + 0.2
    assert plain(np.array([exact])) == plain(pd.Series([exact])) == plain([exact], "double") == [exact]
    assert plain([{"a": exact, "b": 0.5}], "struct<a: double, b: float>") == [{"a": exact, "b": 0.5}]
    assert plain(np.array([16777216.0, 123456792.0], dtype=np.float32)) == [16777216.0, 123456792.0]
    assert plain(pd.Series([1.5, np.nan], dtype=np.float32)) == [1.5, None]
    assert plain(np.array([np.inf], dtype=np.float32)) == [np.inf]


def test_a_batch_with_a_narrow_reference_is_paid() -> None:
    table = pa.table({"completion": [r"\boxed{0.1}"], "answer": pa.array(np.array([0.1], dtype=np.float32))})
    arrays = {"completion": np.array([r"\boxed{0.1}"]), "answer": np.array([0.1], dtype=np.float32)}
    score = ScoreBatches(boxed_accuracy)
    assert score(table)["reward"].to_pylist() == score(table.to_pandas())["reward"].tolist() == [1.0]
    assert score(arrays)["reward"].tolist() == [1.0]


@pytest.mark.parametrize("form", ["numpy", "pandas", "arrow", "arrow batch"])
def test_columns_of_an_earlier_scoring_are_replaced(form: str) -> None:
    frame = pd.DataFrame({"reward": [9, 9], **ROWS})
    batches = {
        "numpy": {name: frame[name].to_numpy() for name in frame},
        "pandas": frame,
        "arrow": pa.table({"reward": [9, 9], **ROWS}),
        "arrow batch": pa.RecordBatch.from_pydict({"reward": [9, 9], **ROWS}),
    }
    scored = ScoreBatches(STACK)(batches[form])
    names = scored.column_names if "arrow" in form else list(scored)
    assert names == ["reward", "completion", "answer", "rewards/boxed_accuracy", "rewards/soft_format"]
    assert (scored["reward"].to_pylist() if "arrow" in form else list(scored["reward"])) == [1.0, 0.0]


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
