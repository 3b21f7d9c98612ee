"""Specification of rewardkit.contract: what goes into a reward, what comes out, how a failure is said."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Sequence
from dataclasses import FrozenInstanceError, dataclass, replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rewardkit
from rewardkit import (
    AnswerAccuracy,
    Batch,
    BoxedAccuracy,
    Budget,
    ChoiceAccuracy,
    ColumnError,
    ExactMatch,
    NumericAccuracy,
    Outcome,
    Part,
    Reward,
    RewardError,
    boxed_accuracy,
    exact_match,
    length_band,
)
from rewardkit.contract import as_code, completion_text, walk_parts

READY = tuple(value for value in vars(rewardkit).values() if isinstance(value, Reward))
CONFIGURED = (
    BoxedAccuracy(answer_key="solution", budget=Budget(seconds=2.0), on_undecided=None),
    AnswerAccuracy(tag="final", name="in_tag"),
    ChoiceAccuracy(options=("yes", "no"), verbatim=True),
    NumericAccuracy(tolerance=0.5),
    ExactMatch(tag="answer", ignore_case=True, transform=str.upper),
    ExactMatch(transform=json.dumps, name="as_json"),
)


@dataclass(frozen=True, kw_only=True, repr=False)
class Constant(Reward):
    """The same outcomes whatever the batch, for what a reward of one's own may get wrong."""

    values: tuple[Any, ...] = (1.0,)

    def outcomes(self, batch: Batch) -> list[Outcome]:
        return [Outcome(value, "scored") for value in self.values]


class TestCompletionText:
    @pytest.mark.parametrize(
        ("completion", "text"),
        [
            ("42", "42"),
            ("", ""),
            ([{"role": "assistant", "content": "42"}], "42"),
            ({"role": "assistant", "content": "42"}, "42"),
            ([{"content": "42"}], "42"),
            ([], ""),
            ([{"role": "assistant", "content": None}], ""),
            ([{"role": "assistant", "tool_calls": [{"name": "f"}]}], ""),
            ([{"role": "assistant", "content": [{"type": "text", "text": "4"}, {"type": "text", "text": "2"}]}], "42"),
            ([{"role": "assistant", "content": [{"type": "image", "image": object()}, {"text": "42"}]}], "42"),
            ([{"role": "assistant", "content": [{"type": "text", "text": None}, "42"]}], "42"),
            ([{"role": "user", "content": "5"}, {"role": "tool", "content": "6"}], ""),
            (
                [
                    {"role": "assistant", "content": "Let me look."},
                    {"role": "tool", "content": r"\boxed{7}"},
                    {"role": "assistant", "content": r"\boxed{42}"},
                ],
                "Let me look.\n\\boxed{42}",
            ),
        ],
    )
    def test_is_the_text_of_the_assistant(self, completion: Any, text: str) -> None:
        assert completion_text(completion) == text

    @pytest.mark.parametrize("completion", [None, 5, b"42", ["42"], [None]])
    def test_refuses_what_is_neither_text_nor_messages_and_names_value_and_row(self, completion: Any) -> None:
        with pytest.raises(TypeError, match=r"text or a list of messages, got .* in row 1") as error:
            exact_match(["fine", completion], label="x")
        assert repr(completion) in str(error.value)

    @pytest.mark.parametrize("content", [5, {"type": "text", "text": "42"}])
    def test_refuses_content_that_is_neither_text_nor_parts(self, content: Any) -> None:
        with pytest.raises(TypeError, match=r"content of a message must be text or a list of parts.* in row 0"):
            exact_match([[{"role": "assistant", "content": content}]], label="x")

    @given(st.text())
    def test_of_a_message_equals_the_bare_text(self, text: str) -> None:
        assert completion_text([{"role": "assistant", "content": text}]) == text


class TestCall:
    @pytest.mark.parametrize("completions", ["one text", b"bytes", {"role": "assistant"}, 5, None, iter(["a"])])
    def test_wants_a_list_of_completions_and_says_how_to_make_one(self, completions: Any) -> None:
        with pytest.raises(TypeError, match=r"completions must be a list .*wrap a single completion in a list"):
            boxed_accuracy(completions, ground_truth="1")

    @pytest.mark.parametrize("completions", [("a", "b"), ["a", "b"]])
    def test_takes_lists_and_tuples(self, completions: Sequence[str]) -> None:
        assert exact_match(completions, label="a") == [1.0, 0.0]

    def test_takes_the_keywords_of_a_trl_trainer(self) -> None:
        logged: list[Any] = []
        assert boxed_accuracy(
            prompts=[[{"role": "user", "content": "1+1?"}]] * 2,
            completions=[[{"role": "assistant", "content": rf"\boxed{{{n}}}"}] for n in (2, 3)],
            completion_ids=[[1, 2], [3]],
            trainer_state=object(),
            log_extra=lambda *row: logged.append(row),
            log_metric=lambda *row: logged.append(row),
            environments=None,
            ground_truth=["2", "2"],
            difficulty=[1, 2],
        ) == [1.0, 0.0]
        assert logged == []  # a single reward has no parts of its own to log

    @pytest.mark.parametrize("reward", READY, ids=repr)
    def test_of_no_completions_is_no_values(self, reward: Reward) -> None:
        columns = "prompts ground_truth completion_ids pattern schema language truncated tests".split()
        assert reward(completions=[], **{column: [] for column in columns}) == []

    def test_gives_a_plain_list_of_floats(self) -> None:
        values = Constant(values=(1, True, None, Fraction(1, 2)))(["a"] * 4)
        assert values == [1.0, 1.0, None, 0.5]
        assert [type(value) for value in values] == [float, float, type(None), float]

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_refuses_what_is_not_finite_and_names_reward_and_row(self, value: float) -> None:
        with pytest.raises(RewardError, match=rf"constant gave {value} in row 1"):
            Constant(values=(0.0, value))(["a", "b"])

    def test_refuses_a_wrong_number_of_values(self) -> None:
        with pytest.raises(RewardError, match="mine gave 1 values for 2 completions"):
            Constant(name="mine")(["a", "b"])

    def test_explain_gives_the_same_values_with_a_status(self) -> None:
        completions = [r"\boxed{2}", r"\boxed{3}", "2"]
        outcomes = boxed_accuracy.explain(completions, ground_truth="2")
        assert [o.value for o in outcomes] == boxed_accuracy(completions, ground_truth="2")
        assert [o.status for o in outcomes] == ["correct", "wrong", "no_answer"]


class TestColumns:
    @pytest.mark.parametrize("truth", ["2", 2, 2.0, ["2"], ("2",), [2], Fraction(2)])
    def test_broadcast_a_single_reference(self, truth: Any) -> None:
        assert boxed_accuracy([r"\boxed{2}", r"\boxed{3}", r"\boxed{2}"], ground_truth=truth) == [1.0, 0.0, 1.0]

    @pytest.mark.parametrize("rows", [0, 2, 4])
    def test_of_a_wrong_length_are_refused_with_both_numbers(self, rows: int) -> None:
        with pytest.raises(ColumnError, match=rf"'answer' has {rows} rows for 3 completions"):
            exact_match(["a", "b", "c"], answer=["a"] * rows)

    @pytest.mark.parametrize(
        ("key", "expected"),
        [(None, "one of ground_truth, answer, solution, target, label"), ("gold", "'gold'")],
    )
    def test_that_are_missing_are_named_with_those_there_are(self, key: str | None, expected: str) -> None:
        with pytest.raises(ColumnError, match="answer_key=") as error:
            ExactMatch(answer_key=key)(["a"], prompts=["p"], truth=["a"], level=[1], nothing=None)
        assert f"expected the column {expected}, the call has level, prompts, truth;" in str(error.value)

    def test_without_any_say_so(self) -> None:
        with pytest.raises(ColumnError, match="the call has no columns"):
            exact_match(["a"])

    @pytest.mark.parametrize("first", ["ground_truth", "answer", "solution", "target", "label"])
    def test_are_looked_for_in_the_order_of_the_contract(self, first: str) -> None:
        names = ("ground_truth", "answer", "solution", "target", "label")
        columns = {name: ["a" if name == first else "b"] for name in names[names.index(first) :]}
        assert exact_match(["a"], **columns) == [1.0]

    def test_named_by_answer_key_come_before_the_usual_names(self) -> None:
        assert ExactMatch(answer_key="gold")(["a"], gold=["a"], ground_truth=["b"]) == [1.0]

    def test_that_hold_lists_mean_any_of_them(self) -> None:
        assert exact_match(["a", "b", "c"], label=[["a", "b"]]) == [1.0, 1.0, 0.0]
        assert boxed_accuracy([r"\boxed{4}", r"\boxed{4}"], label=[["3", "4"], "3"]) == [1.0, 0.0]

    @pytest.mark.parametrize("reward", [exact_match, boxed_accuracy, rewardkit.choice_accuracy], ids=repr)
    def test_that_hold_none_are_not_scored(self, reward: Reward) -> None:
        values = reward([r"\boxed{A}", r"\boxed{A}"], label=[None, "B"])
        assert values == [None, 0.0]
        assert reward.explain([r"\boxed{A}"], label=[None])[0].status == "not_scored"

    @pytest.mark.parametrize(
        ("truth", "fault"),
        [
            ("", "is blank"),
            (" \n", "is blank"),
            ([], "is an empty list"),
            (["a", ""], "is blank"),
            (["a", None], "lists None"),
            (["a", ["b"]], r"lists \['b'\]"),
            (math.nan, "is nan"),
            (math.inf, "is inf"),
            (b"a", "is bytes b'a'"),
            ({"a": 1}, "is dict"),
        ],
    )
    def test_with_a_bad_reference_are_refused_naming_column_and_row(self, truth: Any, fault: str) -> None:
        with pytest.raises(ColumnError, match=rf"column 'label', row 1 {fault}"):
            exact_match(["a", "a"], label=["a", truth])

    @pytest.mark.parametrize("truth", ["#### ", r"\boxed{}", "$$", r"$\text{ }$"])
    def test_whose_reference_holds_no_answer_are_refused(self, truth: str) -> None:
        with pytest.raises(ColumnError, match=r"row 0 holds no answer; fill it, drop the row"):
            boxed_accuracy([r"\boxed{1}"], label=[truth])

    @pytest.mark.parametrize("column", ["text", b"bytes", {"a": 1}, 5])
    def test_other_than_references_must_be_lists(self, column: Any) -> None:
        with pytest.raises(ColumnError, match="column 'level' must be a list, got"):
            Batch.of(["a"], {"level": column}).column("level")

    def test_of_arrays_are_read_like_lists(self) -> None:
        numpy = pytest.importorskip("numpy")
        cells = numpy.empty(2, dtype=object)
        cells[:] = [numpy.array(["3", "4"]), "3"]
        assert boxed_accuracy([r"\boxed{4}"] * 2, label=cells) == [1.0, 0.0]
        assert boxed_accuracy([r"\boxed{4}"] * 2, label=numpy.array([4, 3])) == [1.0, 0.0]


class TestReward:
    @pytest.mark.parametrize("name", [n for n, v in vars(rewardkit).items() if isinstance(v, Reward)])
    def test_that_is_ready_is_named_as_it_is_imported(self, name: str) -> None:
        assert getattr(rewardkit, name).__name__ == name

    def test_of_a_given_name_is_logged_by_it(self) -> None:
        assert BoxedAccuracy(name="right").__name__ == boxed_accuracy.named("right").__name__ == "right"
        assert boxed_accuracy.__name__ == "boxed_accuracy"

    @pytest.mark.parametrize("reward", [*READY, *CONFIGURED], ids=repr)
    def test_pickles_compares_and_prints_as_code(self, reward: Reward) -> None:
        copy = pickle.loads(pickle.dumps(reward))
        assert copy == reward
        assert hash(copy) == hash(reward)
        assert eval(repr(reward), {**vars(rewardkit), "json": json}) == reward
        assert replace(reward, name="another") != reward

    @pytest.mark.parametrize(
        ("reward", "code"),
        [
            (boxed_accuracy, "BoxedAccuracy()"),
            (NumericAccuracy(name="n", tolerance=0.5), "NumericAccuracy(tolerance=0.5, name='n')"),
            (ExactMatch(transform=str.upper), "ExactMatch(transform=str.upper)"),
            (ExactMatch(transform=json.dumps), "ExactMatch(transform=json.dumps)"),
        ],
    )
    def test_prints_what_differs_from_the_default(self, reward: Reward, code: str) -> None:
        assert repr(reward) == code

    @pytest.mark.parametrize(
        ("value", "code"),
        [
            (len, "len"),
            (math.sqrt, "math.sqrt"),
            (Fraction, "fractions.Fraction"),
            (2, "2"),
            (math.inf, "float('inf')"),
        ],
    )
    def test_prints_functions_by_their_dotted_name(self, value: object, code: str) -> None:
        assert as_code(value) == code

    def test_is_frozen(self) -> None:
        with pytest.raises(FrozenInstanceError):
            boxed_accuracy.answer_key = "x"  # type: ignore[misc]

    def test_takes_its_settings_by_keyword_only(self) -> None:
        with pytest.raises(TypeError):
            BoxedAccuracy("solution")  # type: ignore[misc]

    def test_works_on_any_columns_it_does_not_know(self) -> None:
        assert length_band(["word " * 20], anything=object(), level=["x"]) == [0.25]


def test_walk_parts_names_every_part_by_its_path() -> None:
    leaf = Outcome(1.0, "scored")
    tree = Outcome(
        3.0,
        "scored",
        parts=(Part("a", 1.0, leaf), Part("b", 2.0, Outcome(1.0, "scored", parts=(Part("c", 1.0, leaf),)))),
    )
    assert [path for path, _ in walk_parts(tree)] == ["a", "b", "b/c"]
    assert [part.contribution for part in tree.parts] == [1.0, 2.0]
    assert Part("d", 2.0, Outcome(None, "not_scored")).contribution is None
