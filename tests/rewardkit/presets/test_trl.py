"""Specification of presets.trl: the rewards of TRL, value for value, checked by running TRL's."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from rewardkit import Batch, ColumnError, CosineLength, RepetitionPenalty, Reward, SoftOverlong
from rewardkit.presets import (
    TrlAccuracy,
    TrlReasoningAccuracy,
    trl,
    trl_accuracy,
    trl_cosine_scaled,
    trl_reasoning_accuracy,
    trl_repetition_penalty,
    trl_soft_overlong,
    trl_think_format,
)

from . import originals
from .corpus import answered, documents, messages

PAIRS = answered()
DOCUMENTS = documents(3000)
REASONING = [
    "", r"\boxed{18}", r"<think>\boxed{18}", r"<think>\boxed{17}</think>\boxed{18}", r"\boxed{18}</think>\boxed{17}",
    r"</think>\boxed{18}</think>", r"</think>\boxed{17}</think>\boxed{18}", r"<reasoning></reasoning>\boxed{18}",
    r"</reasoning>\boxed{18}</think>\boxed{17}", r"</think>\boxed{18}</reasoning>\boxed{17}", "</think>18",
]  # fmt: skip
COSINE = [(1000,), (97, -1.0, -0.5, 0.5, 1.0), (50, -0.7, 0.0, 0.3, 1.9)]
NGRAMS = [(3, -1.0), (1, -0.3), (2, -2.5), (7, 0.0)]
OVERLONG = [(20480, 4096), (100, 20), (100, 100), (30, 0)]


def token_rows() -> list[list[int]]:
    rng = random.Random(1)
    return [[rng.randrange(4) for _ in range(length)] for length in [*range(0, 130, 3), 500, 2000]]


def differing(inputs: Sequence[Any], ours: list[float | None], theirs: list[float | None]) -> list[Any]:
    return [given for given, mine, original in zip(inputs, ours, theirs, strict=True) if mine != original]


def batch_of(completions: list[str], truths: list[str | None]) -> Batch:
    return Batch.of(completions, {"solution": truths})


@pytest.fixture(scope="module")
def original() -> Any:
    asked = {"pairs": PAIRS, "reasoning": REASONING, "documents": DOCUMENTS, "ids": token_rows()}
    return originals.run(originals.TRL, {**asked, "cosine": COSINE, "ngrams": NGRAMS, "overlong": OVERLONG})


class TestEqualsTrl:
    def test_in_accuracy_on_every_answer_beside_every_reference(self, original: Any) -> None:
        texts, truths = zip(*PAIRS, strict=True)
        values = trl_accuracy(messages(texts), solution=list(truths))
        assert [
            pair for pair, ours, theirs in zip(PAIRS, values, original["accuracy"], strict=True) if ours != theirs
        ] == []
        assert {value: values.count(value) > 20 for value in (0.0, 1.0, None)} == {0.0: True, 1.0: True, None: True}

    def test_in_accuracy_behind_the_reasoning(self, original: Any) -> None:
        assert trl_reasoning_accuracy(messages(REASONING), solution="$18$") == original["reasoning"]
        two = TrlReasoningAccuracy(reasoning_delimiters=["</reasoning>", "</think>"])
        assert two(messages(REASONING), solution="$18$") == original["delimiters"]
        assert {0.0, 1.0} == set(original["reasoning"]) == set(original["delimiters"])

    def test_in_the_think_format_of_thousands_of_documents(self, original: Any) -> None:
        values = trl_think_format(messages(DOCUMENTS))
        assert [
            d for d, ours, theirs in zip(DOCUMENTS, values, original["think_format"], strict=True) if ours != theirs
        ] == []
        assert min(values.count(0.0), values.count(1.0)) > 100

    @pytest.mark.parametrize("number", range(len(COSINE)))
    def test_in_the_cosine(self, original: Any, number: int) -> None:
        names = ("max_length", "min_value_wrong", "max_value_wrong", "min_value_correct", "max_value_correct")
        given = dict(zip(names, COSINE[number], strict=False))
        reward = CosineLength(correctness=trl_accuracy, unit="tokens", **given)  # type: ignore[arg-type]
        rows = token_rows()
        values = reward(
            messages([r"\boxed{18}", r"\boxed{7}", ""] * len(rows)),
            solution=["18", "$18$", "eighteen"] * len(rows),
            completion_ids=[row for row in rows for _ in range(3)],
        )
        assert values == original["cosine"][number]
        assert number or reward.named("cosine_scaled_reward") == trl_cosine_scaled

    @pytest.mark.parametrize("number", range(len(NGRAMS)))
    def test_in_the_repetition_penalty(self, original: Any, number: int) -> None:
        size, limit = NGRAMS[number]
        reward = RepetitionPenalty(ngram_size=size, max_penalty=limit, unit="tokens")
        rows = token_rows()
        assert reward([""] * len(rows), completion_ids=rows) == original["repetition"][number]
        assert number or reward.named("repetition_penalty_reward") == trl_repetition_penalty

    @pytest.mark.parametrize("number", range(len(OVERLONG)))
    def test_in_the_overlong_punishment(self, original: Any, number: int) -> None:
        length, cache = OVERLONG[number]
        reward = SoftOverlong(max_length=length, cache=cache)
        rows = token_rows()
        assert reward([""] * len(rows), completion_ids=rows) == original["overlong"][number]
        assert number or reward.named("soft_overlong_punishment_reward") == trl_soft_overlong


class TestStack:
    def test_adds_accuracy_and_think_format(self) -> None:
        right = r"<think>6 * 3</think> \boxed{18}"
        completions = [right, right.replace("18", "7"), right[7:], "18", ""]
        assert trl(completions, solution="18") == [2.0, 1.0, 1.0, 0.0, 0.0]

    def test_leaves_out_the_accuracy_beside_a_reference_that_cannot_be_read(self) -> None:
        assert trl(["<think></think>", "no"], solution="eighteen") == [1.0, 0.0]

    def test_logs_by_the_names_of_the_originals(self) -> None:
        assert [member.__name__ for member in trl.members] == ["accuracy_reward", "think_format_reward"]
        assert trl.weights == (1.0, 1.0)
        assert trl_reasoning_accuracy.__name__ == "reasoning_accuracy_reward"
        assert trl_cosine_scaled.__name__ == "cosine_scaled_reward"
        assert trl_repetition_penalty.__name__ == "repetition_penalty_reward"
        assert trl_soft_overlong.__name__ == "soft_overlong_punishment_reward"


class TestQuirks:
    @pytest.mark.parametrize(
        ("completion", "truth", "value"),
        [
            (r"\boxed{3}", r"3\sqrt{13}", 1.0),  # a fragment of a bare reference is paid
            (r"\boxed{3\sqrt{13}}", r"3\sqrt{13}", 0.0),  # and the reference itself is not
            (r"\boxed{3\sqrt{13}}", r"$3\sqrt{13}$", 1.0),
            (r"\boxed{17} or \boxed{18}", "18", 0.0),  # the set of both
            (r"\boxed{1}, \boxed{2}", r"$\{1,2\}$", 1.0),  # which is a hedge that pays beside a set
            ("18", "18", 0.0),
            (r"\boxed{10\text{ cm}}", r"\boxed{10\text{ m}}", 1.0),
            (r"\boxed{18}", "eighteen", None),
            (r"\boxed{18}", "", None),
            (r"\boxed{18}", None, None),
        ],
    )
    def test_of_the_accuracy(self, completion: str, truth: str | None, value: float | None) -> None:
        assert trl_accuracy([completion], solution=[truth]) == [value]

    @pytest.mark.parametrize(
        ("completion", "value"),
        [
            ("<think></think>", 1.0),
            ("<think></think></think></think>", 1.0),
            ("<think>6 * 3</think>\nanything\n<answer>", 1.0),
            ("\n<think>6 * 3</think>", 0.0),
            ("6 * 3</think>18", 0.0),  # what is left where the template wrote the opening tag
            ("<think><think></think>", 0.0),
            ("<think></think><think>", 0.0),
        ],
    )
    def test_of_the_think_format(self, completion: str, value: float) -> None:
        assert trl_think_format([completion]) == [value]

    def test_the_reasoning_may_be_skipped(self) -> None:
        assert trl_reasoning_accuracy([r"</think>\boxed{18}"], solution="18") == [1.0]

    @pytest.mark.parametrize("reward", [trl_accuracy, trl_reasoning_accuracy, trl_think_format], ids=repr)
    def test_of_several_messages_the_first_is_judged(self, reward: Reward) -> None:
        right, wrong = "<think></think>\\boxed{18}", "I call a tool."
        turns = [
            [{"role": "assistant", "content": text} for text in order] for order in ((right, wrong), (wrong, right))
        ]
        assert reward(turns, solution="18") == [1.0, 0.0]


class TestOutcomes:
    def test_say_what_was_read(self) -> None:
        outcome = trl_accuracy.score(batch_of([r"It is \boxed{36/2}."], ["#### 18"]))[0]
        assert (outcome.value, outcome.status, outcome.extracted, outcome.gold) == (1.0, "correct", "36/2", "18")
        assert outcome.gold_column == "solution"

    @pytest.mark.parametrize(
        ("completion", "truth", "status"),
        [
            (r"\boxed{7}", "18", "wrong"),
            ("18", "18", "no_answer"),
            (r"\boxed{18}", "eighteen", "unparseable_ground_truth"),
            (r"\boxed{18}", None, "unparseable_ground_truth"),
        ],
    )
    def test_have_a_status(self, completion: str, truth: str | None, status: str) -> None:
        assert trl_accuracy.score(batch_of([completion], [truth]))[0].status == status

    def test_have_a_status_where_the_reasoning_does_not_end(self) -> None:
        outcome = trl_reasoning_accuracy.score(batch_of([r"\boxed{18}"], ["18"]))[0]
        assert (outcome.value, outcome.status) == (0.0, "no_answer")


class TestArguments:
    def test_the_column_may_have_another_name(self) -> None:
        assert TrlAccuracy(answer_key="gold")([r"\boxed{18}"], gold=["18"]) == [1.0]

    def test_a_missing_column_is_named(self) -> None:
        with pytest.raises(ColumnError, match=r"column 'solution' is missing; the call has answer"):
            trl([""], answer=["18"])

    def test_a_reference_that_is_a_number_is_refused_with_the_remedy(self) -> None:
        with pytest.raises(ColumnError, match=r"column 'solution', row 1 is 18; .* convert the column with str"):
            trl_accuracy(["", ""], solution=["18", 18])

    @pytest.mark.parametrize("delimiters", ["</think>", [""], ["</think>", ""]])
    def test_a_bad_delimiter_is_refused(self, delimiters: Any) -> None:
        with pytest.raises(ValueError, match="reasoning_delimiters must be texts"):
            TrlReasoningAccuracy(reasoning_delimiters=delimiters)
