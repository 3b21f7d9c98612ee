"""Specification of rewardkit.audit.scoring: a call as a trainer makes it, and errors told row by row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from rewardkit import AsyncReward, Batch, ColumnError, Outcome, Reward, group_length, numeric_accuracy
from rewardkit.audit import scoring
from rewardkit.audit.scoring import Scorer, Trial
from rewardkit.functions import Function
from rewardkit.truncated import Truncated

COLUMNS: dict[str, list[Any]] = {"answer": ["1", "two", "3"], "prompt": ["a", "b", "c"], "completion": ["x"] * 3}


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Picky(Reward):
    """Raises where the text is bad; notes the size of every call."""

    sizes: list[int]

    def outcomes(self, batch: Batch) -> list[Outcome]:
        self.sizes.append(len(batch))
        for row, text in enumerate(batch.texts):
            if text == "bad":
                raise ValueError(f"row {batch.row(row)} is bad")
        return [Outcome(1.0, "correct")] * len(batch)


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Down(AsyncReward):
    """A server that does not answer."""

    calls: list[int]

    async def outcomes_async(self, batch: Batch) -> list[Outcome]:
        self.calls.append(len(batch))
        raise ConnectionError("no route")


def test_an_error_belongs_to_its_row_and_the_others_are_scored() -> None:
    sizes: list[int] = []
    scorer = Scorer(Picky(sizes=sizes), {"answer": ["1"] * 100}, None)
    outcomes = scorer.score([Trial(row, "bad" if row in (17, 60) else "good") for row in range(100)])
    errors = {at: str(o) for at, o in enumerate(outcomes) if isinstance(o, Exception)}
    assert errors == {17: "row 17 is bad", 60: "row 60 is bad"}  # the row of the call, however it was halved
    assert all(o.value == 1.0 for o in outcomes if isinstance(o, Outcome))
    assert len(sizes) < 2 * 2 * 8 + 2  # halves only where something raised


def test_a_bad_reference_is_such_an_error() -> None:
    outcomes = Scorer(numeric_accuracy, COLUMNS, "prompt").score([Trial(row, "1") for row in range(3)])
    assert [type(o).__name__ for o in outcomes] == ["Outcome", "ColumnError", "Outcome"]


def test_a_server_that_is_down_is_not_asked_again_for_every_row() -> None:
    calls: list[int] = []
    with pytest.raises(ConnectionError):
        Scorer(Down(calls=calls), COLUMNS, None).score([Trial(0, "")] * 50)
    assert calls == [50]


def test_columns_of_the_trainer_are_not_taken_from_the_data_set() -> None:
    seen: dict[str, Any] = {}

    def look(completions: list[str], **columns: Any) -> list[float]:
        seen.update(columns, completions=completions)
        return [0.0] * len(completions)

    scorer = Scorer(Function(function=look), {**COLUMNS, "global_step": [9] * 3}, "prompt", step=5)
    scorer.score([Trial(2, "one two"), Trial(0, "one", cut=True)])
    assert seen["prompts"] == ["c", "a"]
    assert seen["answer"] == ["3", "1"]
    assert seen["global_step"] == 5
    assert seen["num_generations"] == 1
    assert seen["finish_reason"] == ["stop", "length"]
    assert seen["completion_ids"][0][:1] == seen["completion_ids"][1]  # the same piece, the same id
    assert "prompt" not in seen
    assert "completion" not in seen


def test_an_end_token_stands_where_nothing_was_cut() -> None:
    scorer = Scorer(Truncated(eos_token_ids=[2]), COLUMNS, None, end_tokens=(2,))
    outcomes = scorer.score([Trial(0, "all of it"), Trial(0, "some of", cut=True)])
    assert [o.value for o in outcomes if isinstance(o, Outcome)] == [0.0, -1.0]


def test_groups_stay_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "CHUNK_ROWS", 5)
    trials = [Trial(row, text) for row in (0, 2) for text in (r"\boxed{1}", r"It is \boxed{1}", r"\boxed{3}.")]
    scorer = Scorer(group_length, {"answer": ["1", "1", "3"]}, None, group=3)
    alone = [scorer.score(trials[:3]), scorer.score(trials[3:])]
    assert scorer.score(trials) == alone[0] + alone[1]


def test_no_call_is_larger_than_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "CHUNK_ROWS", 8)
    monkeypatch.setattr(scoring, "CHUNK_CHARACTERS", 100)
    for text, largest in (("x", 8), ("x" * 40, 2), ("x" * 500, 1)):
        sizes: list[int] = []
        assert len(Scorer(Picky(sizes=sizes), COLUMNS, None).score([Trial(0, text)] * 20)) == 20
        assert max(sizes) <= largest
        assert sum(sizes) == 20
    assert Scorer(Picky(sizes=[]), COLUMNS, None).score([]) == []


def test_a_missing_column_is_said_by_each_row() -> None:
    outcomes = Scorer(numeric_accuracy, {"question": ["?"] * 2}, None).score([Trial(0, ""), Trial(1, "")])
    assert all(isinstance(o, ColumnError) for o in outcomes)
