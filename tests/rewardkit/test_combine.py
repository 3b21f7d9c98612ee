"""Specification of rewardkit.combine: component, its clip, its weight, the sum, the clip of the total."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rewardkit
from rewardkit import (
    Combined,
    Function,
    Outcome,
    Reward,
    RewardError,
    SoftFormat,
    Weighted,
    boxed_accuracy,
    combine,
    exact_match,
    soft_format,
    strict_format,
)
from rewardkit.contract import walk_parts


def longer_is_better(completions: Sequence[Any], **kwargs: Any) -> list[float]:
    return [float(len(completion)) for completion in completions]


def one(completions: Sequence[Any], **kwargs: Any) -> list[float]:
    return [1.0] * len(completions)


def nothing(completions: Sequence[Any], **kwargs: Any) -> list[None]:
    return [None] * len(completions)


def fixed(name: str, *values: float | None) -> Function:
    """A reward that gives these values to the first completions."""

    def reward(completions: Sequence[Any], **kwargs: Any) -> list[float | None]:
        return list(values)[: len(completions)]

    return Function(function=reward, name=name)


def format_check(completions: Sequence[Any], **kwargs: Any) -> list[float]:
    """The classic format reward on conversational completions."""
    import re

    texts = [completion[0]["content"] for completion in completions]
    return [1.0 if re.match(r"^<think>.*?</think><answer>.*?</answer>$", text) else 0.0 for text in texts]


def boxed_check(completions: Sequence[Any], ground_truth: Sequence[str], **kwargs: Any) -> list[float]:
    """The classic accuracy reward on strings."""
    import re

    found = [re.search(r"\\boxed\{(.*?)\}", completion) for completion in completions]
    answers = [match.group(1) if match else "" for match in found]
    return [1.0 if answer == truth else 0.0 for answer, truth in zip(answers, ground_truth, strict=True)]


class TestOrder:
    @pytest.mark.parametrize(
        ("stack", "formula"),
        [
            (combine(fixed("a", 3.0), fixed("b", 5.0)), 3.0 + 5.0),
            (combine(fixed("a", 3.0), fixed("b", 5.0), weights=[2, -1]), 2 * 3.0 - 1 * 5.0),
            (combine(fixed("a", 3.0).clip(0, 1), fixed("b", 5.0), weights=[2, 1]), 2 * min(3.0, 1.0) + 5.0),
            (combine(fixed("a", 3.0), fixed("b", 5.0), weights=[2, 1], clip=(0, 10)), min(2 * 3.0 + 5.0, 10.0)),
            (combine(fixed("a", -3.0), clip=(-1, 1)), max(-3.0, -1.0)),
            (combine(2 * fixed("a", 3.0), weights=[5]), 5 * 2 * 3.0),
            ((2 * fixed("a", 3.0)).clip(0, 4), min(2 * 3.0, 4.0)),
            (2 * fixed("a", 3.0).clip(0, 1), 2 * min(3.0, 1.0)),
            (2 * (fixed("a", 3.0) + fixed("b", 5.0)).clip(0, 6), 2 * min(3.0 + 5.0, 6.0)),
            (2 * (fixed("a", 3.0) + fixed("b", 5.0)), 2 * 3.0 + 2 * 5.0),
            ((fixed("a", 3.0) + fixed("b", 5.0)).clip(0, 7).clip(1, 2), 2.0),
            (combine(combine(fixed("a", 3.0), clip=(0, 1)), fixed("b", 5.0)), min(3.0, 1.0) + 5.0),
            (fixed("a", 3.0) * 2, 3.0 * 2),
            (sum([fixed("a", 3.0), fixed("b", 5.0), fixed("c", 1.0)]), 3.0 + 5.0 + 1.0),
        ],
        ids=lambda value: repr(value)[:40],
    )
    def test_is_component_clip_weight_sum_clip(self, stack: Reward, formula: float) -> None:
        assert stack(["x"]) == [formula]

    def test_leaves_out_what_is_not_scored(self) -> None:
        stack = combine(fixed("a", 1.0, None, None), fixed("b", 5.0, 5.0, None), weights=[2, 1])
        assert stack(["x", "y", "z"]) == [2 * 1.0 + 5.0, 5.0, None]
        assert stack.explain(["x", "y", "z"])[2].status == "not_scored"

    def test_keeps_none_through_weights_and_clips(self) -> None:
        for stack in (2 * fixed("a", None), fixed("a", None).clip(1, 2), combine(nothing, clip=(1, 2))):
            assert stack(["x"]) == [None]


class TestBreakdown:
    @given(
        st.lists(
            st.tuples(st.floats(-1e6, 1e6) | st.none(), st.floats(-1e6, 1e6)),
            min_size=1,
            max_size=6,
        )
    )
    def test_contributions_add_up_to_the_total_exactly(self, terms: list[tuple[float | None, float]]) -> None:
        stack = combine(
            *(fixed(f"r{i}", value) for i, (value, _) in enumerate(terms)),
            weights=[weight for _, weight in terms],
        )
        (outcome,) = stack.explain(["x"])
        contributions = [part.contribution for part in outcome.parts if part.contribution is not None]
        assert [part.weight for part in outcome.parts] == [weight for _, weight in terms]
        assert outcome.value == (sum(contributions) if contributions else None)

    @pytest.mark.parametrize("weight", [0.1, -3.0, 7.3])
    def test_of_a_weighted_sum_still_adds_up(self, weight: float) -> None:
        (outcome,) = (weight * (0.1 * fixed("a", 0.7) + fixed("b", 0.2))).explain(["x"])
        assert outcome.value == sum(part.contribution or 0.0 for part in outcome.parts)

    def test_keeps_components_in_order_under_their_names(self) -> None:
        stack = combine(boxed_accuracy, 0.5 * soft_format, longer_is_better, weights=[2, 1, 0])
        (outcome,) = stack.explain([r"\boxed{1}"], ground_truth="1")
        assert [(part.name, part.weight) for part in outcome.parts] == [
            ("boxed_accuracy", 2.0),
            ("soft_format", 0.5),
            ("longer_is_better", 0.0),
        ]

    def test_reaches_the_trainer_log_by_path(self) -> None:
        metrics: dict[str, float] = {}
        extra: dict[str, list[float | None]] = {}
        inner = combine(fixed("b", 5.0, None), fixed("c", None, None), name="inner")
        stack = combine(2 * fixed("a", 1.0, 2.0), inner)
        assert stack(["x", "y"], log_metric=metrics.__setitem__, log_extra=extra.__setitem__) == [2 * 1 + 5.0, 2 * 2.0]
        means = {name: value for name, value in metrics.items() if name.endswith("/mean")}
        assert means == {"rewards/a/mean": (1 + 2) / 2, "rewards/inner/mean": 5.0, "rewards/inner/b/mean": 5.0}
        added = {name: value for name, value in metrics.items() if name.endswith("/contribution")}
        assert metrics == means | added
        assert added == {
            "rewards/a/contribution": 2 * (1 + 2) / 2,
            "rewards/inner/contribution": 0.0,
            "rewards/inner/b/contribution": 5.0 / 2,
            "rewards/inner/c/contribution": 0.0,
        }
        assert extra == {"a": [1.0, 2.0], "inner": [5.0, None], "inner/b": [5.0, None], "inner/c": [None, None]}


class TestStructure:
    def test_plus_flattens_plain_sums_and_keeps_named_and_clipped_ones(self) -> None:
        a, b, c = fixed("a", 1.0), fixed("b", 1.0), fixed("c", 1.0)
        assert (a + b) + 2 * c == a + (b + 2 * c) == combine(a, b, c, weights=[1, 1, 2])
        assert len(((a + b).clip(0, 1) + c).members) == 2
        assert len(((a + b).named("ab") + c).members) == 2

    def test_weights_multiply_through(self) -> None:
        a, b = fixed("a", 1.0), fixed("b", 1.0)
        assert combine(2 * a, b, weights=[3, 1]) == combine(a, b, weights=[6, 1])
        assert combine(3 * (2 * a)) == combine(a, weights=[6])
        assert 2 * (a + 3 * b) == 2 * a + 6 * b
        assert isinstance(2 * (a + b).named("ab"), Weighted)

    def test_a_name_given_to_a_weighted_reward_survives_the_sum(self) -> None:
        assert (((2 * fixed("a", 1.0)).named("b") + one).members[0]).__name__ == "b"

    def test_sum_takes_a_list_of_rewards(self) -> None:
        assert sum([exact_match]) == exact_match
        assert sum([boxed_accuracy, strict_format]) == boxed_accuracy + strict_format
        assert one + exact_match == combine(one, exact_match)
        assert exact_match + one == combine(exact_match, one)

    @pytest.mark.parametrize(
        ("function", "name"),
        [
            (one, "one"),
            (partial(longer_is_better, scale=2), "longer_is_better"),
            (lambda completions, **kwargs: [1.0] * len(completions), "<lambda>"),
            (Function(function=one, name="uno"), "uno"),
        ],
    )
    def test_plain_functions_partials_and_lambdas_are_rewards(self, function: Callable[..., Any], name: str) -> None:
        stack = combine(function, exact_match)
        assert stack.members[0].__name__ == name
        assert stack(["a", "a"], label="a") == [2.0, 2.0]

    def test_a_callable_object_goes_by_its_class(self) -> None:
        class Judge:
            def __call__(self, completions: Sequence[Any], **kwargs: Any) -> list[float]:
                return [0.5 for _ in completions]

        assert combine(Judge()).members[0].__name__ == "Judge"

    def test_a_function_gets_prompts_and_every_column_by_keyword(self) -> None:
        seen: dict[str, Any] = {}

        def spy(**kwargs: Any) -> list[float]:
            seen.update(kwargs)
            return [0.0]

        combine(spy)(["c"], prompts=["p"], level=[3], completion_ids=[[1]])
        assert seen == {"completions": ["c"], "prompts": ["p"], "level": [3], "completion_ids": [[1]]}

    @pytest.mark.parametrize(
        "stack",
        [
            combine(boxed_accuracy, strict_format, weights=[2, 0.5], clip=(0, 2.25), name="mine"),
            combine(json.dumps, boxed_accuracy),
            combine(boxed_accuracy, clip=(-math.inf, 1)),
            2 * boxed_accuracy,
            (2 * boxed_accuracy).named("twice"),
            3 * (2 * boxed_accuracy),
            3 * (2 * boxed_accuracy).named("twice"),
            (2 * boxed_accuracy).clip(0, 1),
            2 * boxed_accuracy.clip(0, math.inf),
            boxed_accuracy.clip(0, 1).named("clipped"),
            2 * combine(boxed_accuracy, name="mine"),
            2 * Function(function=json.dumps),
            combine(combine(boxed_accuracy, clip=(0, 1), name="inner"), Function(function=json.dumps, name="uno")),
        ],
        ids=repr,
    )
    def test_pickles_compares_and_prints_as_code(self, stack: Reward) -> None:
        assert pickle.loads(pickle.dumps(stack)) == stack
        assert hash(stack) == hash(pickle.loads(pickle.dumps(stack)))
        assert eval(repr(stack), {**vars(rewardkit), "json": json}) == stack

    def test_reads_like_the_code_that_made_it(self) -> None:
        assert repr(2 * boxed_accuracy + strict_format).endswith("StrictFormat(), weights=(2.0, 1.0))")
        assert repr(combine(json.dumps, weights=[2])) == "combine(json.dumps, weights=(2.0,))"
        assert repr((2 * boxed_accuracy).named("b")) == "(2.0 * BoxedAccuracy()).named('b')"


class TestRefusals:
    @pytest.mark.parametrize(
        ("build", "error", "message"),
        [
            (lambda: combine(), ValueError, "pass at least one reward"),
            (lambda: combine(one, weights=[1, 2]), ValueError, "2 weights for 1 rewards; give one each"),
            (lambda: combine(one, weights=[]), ValueError, "0 weights for 1 rewards"),
            (lambda: combine(one, weights=[math.nan]), ValueError, "weight must be finite, got nan"),
            (lambda: math.inf * exact_match, ValueError, "weight must be finite, got inf"),
            (lambda: combine(one, clip=(1, 0)), ValueError, r"low <= high, got \(1.0, 0.0\)"),
            (lambda: exact_match.clip(math.nan, 1), ValueError, "low <= high, got"),
            (lambda: combine(one, one), ValueError, r"two components are named 'one'.*reward.named\("),
            (lambda: exact_match + exact_match, ValueError, "two components are named 'exact_match'"),
            (lambda: soft_format + SoftFormat(tags=["a"]), ValueError, "two components are named 'soft_format'"),
            (lambda: combine("boxed_accuracy"), TypeError, "must be callable, got 'boxed_accuracy'"),
            (lambda: exact_match + 1, TypeError, "int 1 cannot be added to a reward; add rewards"),
            (lambda: exact_match * exact_match, TypeError, r"of rewards take product\("),
            (lambda: "2" * exact_match, TypeError, "can't multiply|unsupported operand"),
            (lambda: combine([exact_match, soft_format]), TypeError, r"a list of 2; unpack it: combine\(\*rewards\)"),
            (
                lambda: combine(SoftFormat),
                TypeError,
                r"SoftFormat is a class; give an instance, such as SoftFormat\(\)",
            ),
            (lambda: combine(exact_match, weights=2.0), TypeError, "weights must be a list .*, got float 2.0"),
            (lambda: combine(exact_match, weights={"a": 1.0}), TypeError, "weights must be a list"),
            (lambda: combine(exact_match, weights=["1"]), TypeError, r"weights\[0\] must be a number, got str '1'"),
            (lambda: combine(exact_match, clip=2), TypeError, r"clip must be a pair \(low, high\), got int 2"),
            (lambda: exact_match.gate(soft_format, at_least="x"), TypeError, "at_least must be a number, got str 'x'"),
            (lambda: exact_match.threshold("x"), TypeError, "at_least must be a number"),
            (lambda: SoftFormat(tgas=["a"]), TypeError, "SoftFormat has no setting 'tgas'; did you mean 'tags'"),
            (lambda: exact_match.named("a/b"), ValueError, "cannot be named 'a/b'"),
            (lambda: exact_match.named(""), ValueError, "cannot be named ''"),
            (lambda: exact_match.named("rounding"), ValueError, "cannot be named 'rounding'"),
        ],
    )
    def test_of_what_cannot_be_combined_name_value_and_remedy(
        self, build: Callable[[], Any], error: type[Exception], message: str
    ) -> None:
        with pytest.raises(error, match=message):
            build()

    @pytest.mark.parametrize(
        ("returned", "message"),
        [
            ([math.nan, 0.0], "broken gave nan in row 0"),
            ([0.0, math.inf], "broken gave inf in row 1"),
            ([0.0], "broken gave 1 values for 2 completions"),
            ([0.0] * 3, "broken gave 3 values for 2 completions"),
            ("ab", "broken returned 'ab'; a reward returns a list"),
            (1.0, "broken returned 1.0; a reward returns a list"),
            (None, "broken returned None; a reward returns a list"),
            ({"a": 1.0, "b": 2.0}, "broken returned"),
            (["1.0", "2.0"], "broken gave '1.0' in row 0; expected a number or None"),
            ([0.0, [1.0]], r"broken gave \[1.0\] in row 1"),
            ([0.0, 10**400], "in row 1; expected a number"),
        ],
    )
    def test_of_a_bad_return_name_the_component(self, returned: Any, message: str) -> None:
        def broken(completions: Sequence[Any], **kwargs: Any) -> Any:
            return returned

        with pytest.raises(RewardError, match=message):
            combine(exact_match, broken)(["a", "b"], label="a")

    def test_of_a_sum_that_overflows_name_the_sum(self) -> None:
        with pytest.raises(RewardError, match="combined gave inf in row 0"):
            combine(fixed("a", 1e308), fixed("b", 1e308))(["x"])

    def test_leave_an_exception_of_a_component_as_it_is(self) -> None:
        def fails(completions: Sequence[Any], **kwargs: Any) -> list[float]:
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            combine(fails)(["x"])


class TestCanonicalExamples:
    """The three examples every trainer's documentation opens with, as plain functions and as ours."""

    LENGTHS = ("a", "abc", "")
    CHATS = (
        [{"role": "assistant", "content": "<think>1+1</think><answer>2</answer>"}],
        [{"role": "assistant", "content": "It is 2."}],
    )
    BOXES = (r"The answer is \boxed{2}.", r"The answer is \boxed{6}.")

    @pytest.mark.parametrize(
        "reward",
        [
            longer_is_better,
            combine(longer_is_better),
            rewardkit.LengthBand(steps=[(n, float(n)) for n in range(9)], unit="characters"),
        ],
    )
    def test_longer_is_better(self, reward: Callable[..., Any]) -> None:
        assert reward(completions=list(self.LENGTHS), prompts=["p"] * 3) == [float(len(c)) for c in self.LENGTHS]

    @pytest.mark.parametrize("reward", [format_check, combine(format_check), soft_format])
    def test_format_of_conversations(self, reward: Callable[..., Any]) -> None:
        assert reward(completions=list(self.CHATS), prompts=["p"] * 2) == [1.0, 0.0]

    @pytest.mark.parametrize("reward", [boxed_check, combine(boxed_check), boxed_accuracy, combine(boxed_accuracy)])
    def test_boxed_answer_against_the_ground_truth(self, reward: Callable[..., Any]) -> None:
        assert reward(completions=list(self.BOXES), prompts=["p"] * 2, ground_truth=["2", "5"]) == [1.0, 0.0]


Reference = Callable[[int], "float | None"]


def leaf(index: int) -> tuple[Reward, Reference]:
    values = (float(index), None, -0.25 * index)
    return fixed(f"leaf{index}", *values), lambda row: values[row]


def weighted(tree: tuple[Reward, Reference], weight: float) -> tuple[Reward, Reference]:
    reward, reference = tree
    return weight * reward, lambda row: None if (value := reference(row)) is None else weight * value


def clipped(tree: tuple[Reward, Reference], low: float, width: float) -> tuple[Reward, Reference]:
    reward, reference = tree

    def clip(row: int) -> float | None:
        value = reference(row)
        return None if value is None else min(max(value, low), low + width)

    return reward.clip(low, low + width), clip


def summed(trees: list[tuple[Reward, Reference]], count: list[int]) -> tuple[Reward, Reference]:
    count[0] += 1
    names = [f"n{count[0]}_{i}" for i in range(len(trees))]
    stack = combine(*(reward.named(name) for name, (reward, _) in zip(names, trees, strict=True)))

    def add(row: int) -> float | None:
        values = [value for _, reference in trees if (value := reference(row)) is not None]
        return sum(values) if values else None

    return stack, add


small = st.integers(-4, 4).map(lambda n: n / 2)  # halves: every order of operations is exact
count = [0]
trees = st.recursive(
    st.integers(0, 9).map(leaf),
    lambda inner: st.one_of(
        st.builds(weighted, inner, small),
        st.builds(clipped, inner, small, small.map(abs)),
        st.builds(lambda members: summed(members, count), st.lists(inner, min_size=1, max_size=3)),
    ),
    max_leaves=8,
)


@given(trees)
def test_any_tree_of_rewards_equals_its_plain_evaluation(tree: tuple[Reward, Reference]) -> None:
    reward, reference = tree
    assert reward(["x", "y", "z"]) == [reference(row) for row in range(3)]


def test_nested_parts_keep_their_statuses() -> None:
    stack = combine(combine(boxed_accuracy, name="inner"), exact_match)
    (outcome,) = stack.explain(["no box"], label="x")
    statuses = {path: part.outcome.status for path, part in walk_parts(outcome.outcome)}
    assert statuses == {"inner": "scored", "inner/boxed_accuracy": "no_answer", "exact_match": "wrong"}
    assert isinstance(outcome.outcome, Outcome)
    assert isinstance(stack, Combined)
