"""Specification of scoring a data set with ``datasets.map``."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from rewardkit import ColumnError, GroupLength, boxed_accuracy, route, soft_format
from rewardkit.adapters import score_map

from . import golden

datasets = pytest.importorskip("datasets", reason="needs datasets (the extra `engine`)")

STACK = boxed_accuracy + 0.5 * soft_format
BATCHED = {"batched": True, "batch_size": 5}


def table(form: str = "standard") -> Any:
    prompts, completions = (golden.prompts(), golden.texts()) if form == "standard" else golden.conversations()
    answers = [answer if isinstance(answer, list) or answer is None else [answer] for answer in golden.answers()]
    return datasets.Dataset.from_dict({"prompt": prompts, "completion": completions, "answer": answers})


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    datasets.disable_progress_bars()


@pytest.mark.parametrize("name", golden.STACKS)
@pytest.mark.parametrize("form", ["standard", "conversational"])
def test_the_golden_batch_earns_the_same(name: str, form: str) -> None:
    scored = table(form).map(score_map(golden.STACKS[name]), **BATCHED)
    assert scored["reward"][:] == golden.expected(golden.STACKS[name])


def test_every_component_has_a_column_and_the_others_stay() -> None:
    scored = table().map(score_map(STACK), **BATCHED)
    components = ["rewards/boxed_accuracy", "rewards/soft_format"]
    assert scored.column_names == ["prompt", "completion", "answer", "reward", *components]
    assert scored["rewards/boxed_accuracy"][:] == golden.expected(boxed_accuracy)
    assert scored["rewards/soft_format"][:] == golden.expected(soft_format)


def test_two_processes_give_the_same() -> None:
    scored = table().map(score_map(golden.STACKS["sum"]), num_proc=2, **BATCHED)
    assert scored["reward"][:] == golden.expected(golden.STACKS["sum"])


def test_batches_of_nothing_but_nulls_may_come_first() -> None:
    score = score_map(boxed_accuracy)
    rows = table().select([6, 7, 0, 1])
    scored = rows.map(score, batched=True, batch_size=2, features=score.features(rows.features))
    assert scored["reward"][:] == [None, None, 1.0, 0.0]


def test_the_columns_have_the_names_that_are_given() -> None:
    score = score_map(STACK, completions="output", prompts="question", total="score", prefix="score/")
    assert score.names == ("score", "score/boxed_accuracy", "score/soft_format")
    assert score({"output": [r"\boxed{2}"], "question": ["1+1?"], "answer": ["2"]}) == {
        "score": [1.0],
        "score/boxed_accuracy": [1.0],
        "score/soft_format": [0.0],
    }


def test_prompts_tell_the_groups() -> None:
    batch = {"prompt": ["a", "a"], "completion": [r"\boxed{2}", r"well, \boxed{2}"], "answer": ["2", "2"]}
    assert score_map(GroupLength(unit="words"))(batch)["reward"] == [0.5, -0.5]


def test_a_component_that_a_route_did_not_take_is_null() -> None:
    score = score_map(route("kind", {"math": boxed_accuracy, "form": soft_format}))
    columns = score({"completion": [r"\boxed{2}", "x"], "answer": ["2", "2"], "kind": ["math", "form"]})
    assert columns == {"reward": [1.0, 0.0], "rewards/math": [1.0, None], "rewards/form": [None, 0.0]}


def test_a_missing_column_is_named() -> None:
    with pytest.raises(KeyError, match="no column 'completion' among text; name it with completions="):
        score_map(STACK)({"text": ["a"]})
    with pytest.raises(ColumnError, match="no ground truth"):
        score_map(STACK)({"completion": ["a"]})


def test_it_pickles_and_compares() -> None:
    assert pickle.loads(pickle.dumps(score_map(STACK))) == score_map(STACK) != score_map(soft_format)


@pytest.mark.parametrize("form", [None, "numpy"])
def test_a_narrow_reference_is_the_number_that_was_written(form: str | None) -> None:
    features = datasets.Features({"completion": datasets.Value("string"), "answer": datasets.Value("float32")})
    rows = datasets.Dataset.from_dict({"completion": [r"\boxed{0.1}"], "answer": [0.1]}, features=features)
    assert rows.with_format(form).map(score_map(boxed_accuracy), **BATCHED).with_format(None)["reward"][:] == [1.0]
