"""Specification of check_reward: every clause catches its breach under its own name, and nothing sound is blamed."""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import math
import pickle
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import rewardkit
from rewardkit import combine, min_of, reward, route, schedule, soft_format, strict_format, tag_count
from rewardkit.contract import completion_text
from rewardkit.testing import EMPTY, HOSTILE, ContractReport, ContractViolation, check_reward, checks, survival

NAMES = [check.__name__ for check in checks.CHECKS]


def words(completion: Any) -> float:
    """A sound score to spoil: how many words the completion has, at most 100."""
    return float(min(len(completion_text(completion).split()), 100))


def sound(completions: Any, **columns: Any) -> list[float]:
    return [words(c) for c in completions]


# --- rewards that break one clause each --------------------------------------------------------------------------


def raises_always(completions: Any, **columns: Any) -> list[float]:
    raise RuntimeError("the server is down")


def raises_on_numbers(completions: Any, **columns: Any) -> list[float]:
    if any("41" in completion_text(c) for c in completions):
        raise ValueError("41")
    return sound(completions)


def one_too_few(completions: Any, **columns: Any) -> list[float]:
    return sound(completions)[1:]


def one_too_many(completions: Any, **columns: Any) -> list[float]:
    return [*sound(completions), 0.0]


def gives_a_scalar(completions: Any, **columns: Any) -> float:
    return sum(sound(completions))


def gives_an_array_without_a_dimension(completions: Any, **columns: Any) -> Any:
    return np.array(sum(sound(completions)))


def gives_a_dict(completions: Any, **columns: Any) -> Any:
    return {"score": sound(completions)}


def gives_a_generator(completions: Any, **columns: Any) -> Iterator[float]:
    return (words(c) for c in completions)


def gives_nothing(completions: Any, **columns: Any) -> None:
    return None


def gives_nan(completions: Any, **columns: Any) -> list[float]:
    return [math.nan if "41" in completion_text(c) else words(c) for c in completions]


def gives_infinity(completions: Any, **columns: Any) -> list[float]:
    return [-math.inf if "41" in completion_text(c) else words(c) for c in completions]


def gives_strings(completions: Any, **columns: Any) -> list[str]:
    return [str(value) for value in sound(completions)]


def gives_two_dimensions(completions: Any, **columns: Any) -> Any:
    return np.array(sound(completions)).reshape(-1, 1)


def gives_an_integer_without_bounds(completions: Any, **columns: Any) -> list[int]:
    return [10**400 for _ in completions]


def gives_fractions(completions: Any, **columns: Any) -> list[Fraction]:
    return [Fraction(1, 3) for _ in completions]


def gives_lists(completions: Any, **columns: Any) -> list[list[float]]:
    return [[value] for value in sound(completions)]


def samples(completions: Any, **columns: Any) -> list[float]:
    return [value + random.random() for value in sound(completions)]


@dataclass
class RemembersCalls:
    calls: int = 0

    def __call__(self, completions: Any, **columns: Any) -> list[float]:
        self.calls += 1
        return [value / self.calls for value in sound(completions)]


def refuses_unknown_keywords(completions: Any, prompts: Any = None) -> list[float]:
    return sound(completions)


def asserts_its_keywords(completions: Any, prompts: Any = None, **columns: Any) -> list[float]:
    assert set(columns) <= {"answer", "tests", *checks.TRAINER_COLUMNS}, f"what is {sorted(columns)}?"
    return sound(completions)


def needs_a_trainer_state(completions: Any, **columns: Any) -> list[float]:
    if "trainer_state" in columns:
        return [value * columns["trainer_state"].global_step for value in sound(completions)]
    return sound(completions)


def logs_where_it_may_not(completions: Any, log_metric: Any = print, **columns: Any) -> list[float]:
    return sound(completions) if callable(log_metric) else log_metric("words", 1.0)


def counts_the_messages(completions: Any, **columns: Any) -> list[float]:
    return [float(len(c)) for c in completions]


def takes_strings_alone(completions: Any, **columns: Any) -> list[float]:
    return [float(c.lower().count("a")) for c in completions]


def reads_the_content(completions: Any, **columns: Any) -> list[float]:
    return [float(len(c[0]["content"].split()) > 2) for c in completions]


def takes_messages_alone(completions: Any, **columns: Any) -> list[float]:
    return [float(c[-1]["content"].lower().count("a")) for c in completions]


def pays_by_place(completions: Any, **columns: Any) -> list[float]:
    return [value + place for place, value in enumerate(sound(completions))]


def sorts_its_values(completions: Any, **columns: Any) -> list[float]:
    return sorted(sound(completions))


def subtracts_the_mean(completions: Any, **columns: Any) -> list[float]:
    values = sound(completions)
    return [value - sum(values) / len(values) for value in values] if values else []


def pays_what_is_said_once(completions: Any, **columns: Any) -> list[float]:
    texts = [completion_text(c) for c in completions]
    return [float(texts.count(text) == 1) for text in texts]


def divides_by_the_batch(completions: Any, **columns: Any) -> list[float]:
    return [value / 1.0 for value in sound(completions)] if 1 / len(completions) else []


def looks_at_the_first(completions: Any, **columns: Any) -> list[float]:
    assert completions[0] is not None
    return sound(completions)


def one_for_an_empty_batch(completions: Any, **columns: Any) -> list[float]:
    return sound(completions) or [0.0]


def indexes_the_first_word(completions: Any, **columns: Any) -> list[float]:
    return [float(len(completion_text(c).split()[0])) for c in completions]


def means_of_no_words(completions: Any, **columns: Any) -> list[float]:
    return [float(np.mean([len(w) for w in text.split()] or [math.nan])) for text in map(completion_text, completions)]


def encodes(completions: Any, **columns: Any) -> list[float]:
    return [float(len(completion_text(c).encode())) for c in completions]


def reads_any_number(completions: Any, **columns: Any) -> list[float]:
    last = [completion_text(c).rpartition("####")[2].strip() for c in completions]
    return [float(text) if text.removeprefix("-").isdecimal() or text == "-inf" else 0.0 for text in last]


def reads_digits(completions: Any, **columns: Any) -> list[float]:
    last = [completion_text(c).rpartition("####")[2].strip() for c in completions]
    return [float(text.isdigit() and int(text[:100]) == 42) for text in last]


def reads_json(completions: Any, **columns: Any) -> list[float]:
    return [_field(completion_text(c)) for c in completions]


def _field(text: str) -> float:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return 0.0
    return float(value["answer"] == 42) if isinstance(value, (dict, list)) else 0.0


def recurses(completions: Any, **columns: Any) -> list[float]:
    return [float(_depth(completion_text(c))) for c in completions]


def _depth(text: str) -> int:
    return 1 + _depth(text[1:]) if text.startswith("{") else 0


def strips_the_list(completions: Any, **columns: Any) -> list[float]:
    completions[:] = [completion_text(c).upper() for c in completions]
    return [float(len(c)) for c in completions]


def strips_the_messages(completions: Any, **columns: Any) -> list[float]:
    for completion in completions:
        if not isinstance(completion, str):
            completion[-1]["content"] = completion[-1]["content"].strip()
    return sound(completions)


def empties_a_column(completions: Any, answer: Any = (), **columns: Any) -> list[float]:
    while answer:
        answer.pop()
    return sound(completions)


def writes_into_a_cell(completions: Any, tests: Any = (), **columns: Any) -> list[float]:
    for cell in tests:
        cell["seen"] = True
    return sound(completions)


def extends_the_prompts(completions: Any, prompts: Any = None, **columns: Any) -> list[float]:
    prompts.append("")
    return sound(completions)


@dataclass
class KeepsALock:
    lock: Any = field(default_factory=threading.Lock)

    def __call__(self, completions: Any, **columns: Any) -> list[float]:
        with self.lock:
            return sound(completions)


@dataclass
class ForgetsInACopy:
    loaded: bool = True

    def __call__(self, completions: Any, **columns: Any) -> list[float]:
        return sound(completions) if self.loaded else [0.0] * len(completions)

    def __getstate__(self) -> dict[str, Any]:
        return {"loaded": False}


@dataclass
class SharesItsRows:
    rows: list[float] = field(default_factory=list)

    def __call__(self, completions: Any, **columns: Any) -> list[float]:
        self.rows.clear()
        for completion in completions:
            self.rows.append(words(completion))
            time.sleep(0.0002)
        return list(self.rows)


@dataclass
class SharesBetweenCoroutines:
    completions: Any = None

    async def __call__(self, completions: Any, **columns: Any) -> list[float]:
        self.completions = completions
        await asyncio.sleep(0.001)
        return sound(self.completions)


def needs_the_main_thread(completions: Any, **columns: Any) -> list[float]:
    if threading.current_thread() is not threading.main_thread():
        raise ValueError("signal only works in main thread of the main interpreter")
    return sound(completions)


LAMBDA = lambda completions, **columns: [words(c) for c in completions]  # noqa: E731 - what cannot be pickled

FAULTY: dict[str, tuple[Callable[..., Any], ...]] = {
    "call": (raises_always, raises_on_numbers, takes_messages_alone),
    "length": (
        one_too_few,
        one_too_many,
        gives_a_scalar,
        gives_an_array_without_a_dimension,
        gives_a_dict,
        gives_a_generator,
        gives_nothing,
    ),
    "finite": (
        gives_nan,
        gives_infinity,
        gives_strings,
        gives_two_dimensions,
        gives_an_integer_without_bounds,
        gives_fractions,
        gives_lists,
    ),
    "deterministic": (samples, RemembersCalls()),
    "unknown_keywords": (refuses_unknown_keywords, asserts_its_keywords),
    "trainer_columns": (needs_a_trainer_state, logs_where_it_may_not),
    "message_invariant": (counts_the_messages, takes_strings_alone),
    "order": (pays_by_place, sorts_its_values),
    "batch_invariant": (subtracts_the_mean, pays_what_is_said_once),
    "empty_batch": (divides_by_the_batch, looks_at_the_first, one_for_an_empty_batch),
    "empty_completion": (indexes_the_first_word, means_of_no_words),
    "hostile": (encodes, reads_any_number, reads_digits, reads_json, recurses),
    "inputs_unchanged": (
        strips_the_list,
        strips_the_messages,
        empties_a_column,
        writes_into_a_cell,
        extends_the_prompts,
    ),
    "picklable": (LAMBDA, KeepsALock(), ForgetsInACopy()),
    "threads": (SharesItsRows(), SharesBetweenCoroutines(), needs_the_main_thread),
}
PLANTED = [
    pytest.param(clause, fn, id=f"{clause}-{getattr(fn, '__name__', type(fn).__name__)}")
    for clause, functions in FAULTY.items()
    for fn in functions
]


def failed(report: ContractReport) -> set[str]:
    return {check.name for check in report.failed}


def verdicts(fn: Callable[..., Any], **given: Any) -> set[str]:
    return failed(check_reward(fn, raise_on_failure=False, **given))


class TestAFaultyReward:
    def test_is_planted_for_every_clause(self) -> None:
        assert list(FAULTY) == NAMES

    @pytest.mark.parametrize(("clause", "fn"), PLANTED)
    def test_is_caught_under_the_clause_that_it_breaks_and_no_other(self, clause: str, fn: Callable[..., Any]) -> None:
        rows = {"answer": ["4", "9", "12", "42"], "tests": [{"input": str(k)} for k in range(4)]}
        with pytest.raises(ContractViolation) as caught:
            check_reward(fn, **rows)
        assert failed(caught.value.report) == {clause}
        own = checks.MESSAGES_ALONE if fn is takes_messages_alone else checks.REMEDIES[clause]
        assert f"Remedy: {own}" in str(caught.value)

    def test_is_told_all_its_breaches_at_once(self) -> None:
        def careless(completions: Any) -> list[float]:
            return [1 / len(completion.split()) for completion in completions]

        with pytest.raises(ContractViolation) as caught:
            check_reward(careless)
        broken = {"unknown_keywords", "message_invariant", "empty_completion", "picklable"}
        assert failed(caught.value.report) == broken
        assert str(caught.value).startswith("careless: breaks 4 of 15 checks of the contract\n- unknown_keywords: ")
        assert all(f"\n- {name}: " in str(caught.value) for name in broken)
        assert str(caught.value).count("Remedy: ") == len(broken)

    def test_the_error_is_an_assertion_and_pickles(self) -> None:
        with pytest.raises(AssertionError) as caught:
            check_reward(gives_nan)
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


THREE = ["it is 41 so there", "no", "a b c"]
"""Completions of five, one and three words."""
FIVE = {str(n): f"{'x' * n}41" for n in range(1, 6)}
"""Five completions with the number 41, the shortest first."""


class TestARewardOfOneFormat:
    """willccb's recipe reads ``completion[0]["content"]``: with strings that fails on every row."""

    def test_of_message_lists_is_told_so_where_strings_were_given(self) -> None:
        check = check_reward(reads_the_content, answer=["4"], raise_on_failure=False)["call"]
        assert check.passed is False
        assert check.detail.startswith("takes message lists only: raises TypeError: string indices must be integers")
        assert check.detail.endswith(" on strings")
        assert "rewardkit.completion_text(completion)" in check.remedy
        assert '[[{"role": "assistant", "content": "..."}], ...] and message_invariant=False' in check.remedy

    def test_its_remedy_helps(self) -> None:
        messages = [[{"role": "assistant", "content": text}] for text in THREE]
        assert check_reward(reads_the_content, completions=messages, message_invariant=False).passed
        assert check_reward(sound, completions=THREE).passed

    def test_of_strings_is_told_so_where_message_lists_were_given(self) -> None:
        messages = [[{"role": "assistant", "content": text}] for text in THREE]
        check = check_reward(takes_strings_alone, completions=messages, raise_on_failure=False)["call"]
        assert check.detail.startswith("takes strings only: raises AttributeError: ")
        assert check.detail.endswith(" on message lists")
        assert check.remedy == checks.STRINGS_ALONE

    def test_is_told_so_where_the_other_clause_is_switched_off(self) -> None:
        report = check_reward(reads_the_content, completions=THREE, message_invariant=False, raise_on_failure=False)
        assert report["call"].remedy == checks.MESSAGES_ALONE


class TestTheSmallestExample:
    @pytest.mark.parametrize(
        ("fn", "clause", "said"),
        [
            (raises_on_numbers, "call", "raises ValueError: 41 on row 0 alone, 'it is 41 so there'"),
            (one_too_few, "length", "2 values for 3 completions"),
            (gives_a_scalar, "length", "float 9.0 instead of a list"),
            (gives_an_array_without_a_dimension, "length", "the number array(9.) instead of a list"),
            (gives_nothing, "length", "NoneType None instead of a list"),
            (gives_nan, "finite", "nan in row 0"),
            (gives_strings, "finite", "'5.0' in row 0"),
            (gives_two_dimensions, "finite", "array([5.]) in row 0"),
            (refuses_unknown_keywords, "unknown_keywords", "unexpected keyword argument"),
            (needs_a_trainer_state, "trainer_columns", "raises AttributeError: 'NoneType' object has no attribute"),
            (counts_the_messages, "message_invariant", "'no' earns 2.0, and 1.0 as a list of one message"),
            (takes_strings_alone, "message_invariant", "raises AttributeError: 'list' object has no attribute 'lower'"),
            (pays_by_place, "order", "'a b c' earns 5.0, and 3.0 in a batch that is reversed"),
            (subtracts_the_mean, "batch_invariant", "'no' earns -2.0, and 0.0 alone"),
            (pays_what_is_said_once, "batch_invariant", "'no' earns 1.0, and 0.0 in a batch that has it twice"),
            (divides_by_the_batch, "empty_batch", "raises ZeroDivisionError: division by zero on completions=[]"),
            (one_for_an_empty_batch, "empty_batch", "gives 1 value for 0 completions on completions=[]"),
            (indexes_the_first_word, "empty_completion", "raises IndexError: list index out of range on '' (empty); "),
            (means_of_no_words, "empty_completion", "gives nan in row 0 on '' (empty); also on spaces, "),
            (reads_any_number, "hostile", "gives -inf in row 0 on '"),
            (empties_a_column, "inputs_unchanged", "changes answer from ['1', '2', '3'] to []"),
            (strips_the_messages, "inputs_unchanged", "changes completions from [[{'role': 'assistant', "),
            (KeepsALock(), "picklable", "raises TypeError: cannot pickle '_thread.lock' object"),
            (needs_the_main_thread, "threads", "raises ValueError: signal only works in main thread"),
        ],
    )
    def test_is_in_the_detail(self, fn: Callable[..., Any], clause: str, said: str) -> None:
        three = ["it is 41 so there", "no ", "a b c"] if fn is strips_the_messages else THREE
        detail = check_reward(fn, completions=three, answer=["1", "2", "3"], raise_on_failure=False)[clause].detail
        assert said in detail
        assert len(detail) < 400

    def test_of_the_others_that_fail_three_are_named_and_the_rest_counted(self) -> None:
        report = check_reward(raises_on_numbers, completions=["a", "b"], raise_on_failure=False, examples=FIVE)
        assert report["hostile"].detail.endswith("(1); also on 2, 3, 4 and 1 more")
        four = {name: text for name, text in FIVE.items() if name != "5"}
        report = check_reward(raises_on_numbers, completions=["a", "b"], raise_on_failure=False, examples=four)
        assert report["hostile"].detail.endswith("(1); also on 2, 3, 4")

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({}, "raises RuntimeError: the server is down on every row, such as 'GOLD'"),
            ({"completions": THREE}, "raises RuntimeError: the server is down on every row, such as 'no'"),
            ({"completions": ["no"]}, "raises RuntimeError: the server is down on row 0 alone, 'no'"),
            ({"completions": THREE * 3}, "the server is down on each of the 8 shortest rows, such as 'no'"),
            (
                {"completions": THREE, "batch_invariant": False},
                "the server is down on the batch of 3 completions",
            ),
        ],
    )
    def test_is_not_called_the_only_one_where_every_row_raises(self, given: dict[str, Any], said: str) -> None:
        detail = check_reward(raises_always, raise_on_failure=False, answer=None, **given)["call"].detail
        assert detail.endswith(said.replace("GOLD", "42"))

    def test_a_hostile_text_is_halved_while_it_still_fails(self) -> None:
        assert check_reward(encodes, raise_on_failure=False)["hostile"].detail.startswith(
            "raises UnicodeEncodeError: 'utf-8' codec can't encode character '\\ud800' in position 0: surrogates not "
            "allowed on '\\ud800' (a lone surrogate); also on surrogates the wrong way"
        )

    def test_a_long_one_is_cut(self) -> None:
        def breaks_on_length(completions: Any, **columns: Any) -> list[float]:
            return [1 / (len(completion_text(c)) < 600_000) for c in completions]

        detail = check_reward(breaks_on_length, picklable=False, raise_on_failure=False)["hostile"].detail
        assert "raises ZeroDivisionError" in detail
        assert "(a million characters)" in detail
        assert len(detail) < 200


# --- rewards that keep the contract -------------------------------------------------------------------------------


async def scores_later(completions: Any, **columns: Any) -> list[float]:
    await asyncio.sleep(0)
    return sound(completions)


class ScoresLater:
    async def __call__(self, completions: Any, **columns: Any) -> list[float]:
        return await scores_later(completions)


def not_scored(completions: Any, **columns: Any) -> list[float | None]:
    return [None if "41" in completion_text(c) else words(c) for c in completions]


def gives_an_array(completions: Any, **columns: Any) -> Any:
    return np.array(sound(completions), dtype=np.float32)


def gives_zero_dimensional_arrays(completions: Any, **columns: Any) -> Any:
    return [np.array(value) for value in sound(completions)]


def gives_bools_and_integers(completions: Any, **columns: Any) -> tuple[Any, ...]:
    return tuple(True if "a" in completion_text(c) else 3 for c in completions)


def rounds_differently(completions: Any, **columns: Any) -> list[float]:
    return [value + 1e-9 * len(completions) for value in sound(completions)]


def reads_a_column(completions: Any, prompts: Any, answer: Any, **columns: Any) -> list[float]:
    return [float(str(gold) in completion_text(c)) for c, gold in zip(completions, answer, strict=True)]


def weighs(completions: Any, factor: float = 1.0, **columns: Any) -> list[float]:
    return [factor * value for value in sound(completions)]


@reward
def brief(completion: str, max_words: int = 5) -> bool:
    return len(completion.split()) <= max_words


@reward
async def brief_later(completion: str) -> float:
    await asyncio.sleep(0)
    return 1 / (1 + len(completion.split()))


class TestASoundReward:
    @pytest.mark.parametrize(
        "fn",
        [
            sound,
            scores_later,
            ScoresLater(),
            not_scored,
            gives_an_array,
            gives_zero_dimensional_arrays,
            gives_bools_and_integers,
            rounds_differently,
            reads_a_column,
            functools.partial(weighs, factor=0.5),
            functools.partial(scores_later, factor=0.5),
        ],
        ids=lambda fn: getattr(fn, "__name__", type(fn).__name__),
    )
    def test_is_not_blamed(self, fn: Callable[..., Any]) -> None:
        report = check_reward(fn, answer=[41, 42, 43])
        assert [check.name for check in report.checks] == NAMES
        assert all(check.passed for check in report.checks)

    @pytest.mark.parametrize(
        "stack",
        [
            combine(soft_format, tag_count, weights=[2.0, 0.5], clip=(0.0, 2.25)),
            2.0 * rewardkit.boxed_accuracy + 0.5 * strict_format + sound,
            combine(rewardkit.answer_accuracy, not_scored),
            (rewardkit.exact_match + rewardkit.keywords).clip(0, 1).named("clipped"),
            rewardkit.boxed_accuracy.gate(soft_format, otherwise=-1.0) - 0.1 * brief,
            min_of(tag_count, brief).threshold(0.5),
            route("kind", {"math": rewardkit.boxed_accuracy, "format": soft_format}),
            combine(rewardkit.boxed_accuracy, brief_later, scores_later),
            combine(rewardkit.boxed_accuracy, brief_later, scores_later).aio,
            combine(rewardkit.boxed_accuracy, schedule.linear(1.0, 0.0, steps=10) * soft_format),
        ],
    )
    def test_nor_is_a_stack(self, stack: Callable[..., Any]) -> None:
        columns = {"answer": ["4", "9", "1/2", None], "kind": ["math", "format"] * 2}
        picklable = not inspect.iscoroutinefunction(stack)  # `aio` is a function made for one reward
        report = check_reward(stack, trainer_state=SimpleNamespace(global_step=3), picklable=picklable, **columns)
        assert all(check.passed is not False for check in report.checks)

    def test_nor_an_asynchronous_reward_where_a_loop_is_running(self) -> None:
        async def in_a_notebook() -> ContractReport:
            return check_reward(scores_later)

        assert asyncio.run(in_a_notebook()).passed

    def test_leaves_no_event_loop_behind(self) -> None:
        check_reward(scores_later)
        assert "check_reward" not in {thread.name for thread in threading.enumerate()}


# --- what is tried ------------------------------------------------------------------------------------------------


@dataclass
class Recorder:
    """A sound reward that keeps what it was called with."""

    calls: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, completions: Any, **columns: Any) -> list[float]:
        self.calls.append({"completions": completions, **columns})
        return sound(completions)


class TestTheCall:
    def test_completions_are_made_up_around_the_references(self) -> None:
        recorder = Recorder()
        check_reward(recorder, solution=["seventeen", ["1/2", "0.5"]])
        first = recorder.calls[0]
        assert len(first["completions"]) == 8
        assert first["solution"] == ["seventeen", ["1/2", "0.5"]] * 4
        for completion, gold in zip(first["completions"][:2], ("seventeen", "1/2"), strict=True):
            assert gold in completion
        earned = rewardkit.boxed_accuracy(first["completions"], solution=first["solution"])
        assert set(earned) == {0.0, 1.0}

    def test_given_completions_and_prompts_are_used(self) -> None:
        recorder = Recorder()
        check_reward(recorder, completions=["one", "two words"], prompts=["?", "!"], answer=[1, 2])
        assert recorder.calls[0] == {"completions": ["one", "two words"], "prompts": ["?", "!"], "answer": [1, 2]}

    @pytest.mark.parametrize("rows", [1, 3, 8, 9])
    def test_columns_are_repeated_whole(self, rows: int) -> None:
        recorder = Recorder()
        check_reward(recorder, answer=list(range(rows)))
        answers = recorder.calls[0]["answer"]
        assert len(answers) >= 8
        assert answers == list(range(rows)) * (len(answers) // rows)

    def test_every_row_has_a_prompt(self) -> None:
        recorder = Recorder()
        check_reward(recorder)
        assert all(len(call["prompts"]) == len(call["completions"]) for call in recorder.calls)

    def test_what_is_no_list_is_passed_as_it_is(self) -> None:
        state, recorder = SimpleNamespace(global_step=3), Recorder()
        check_reward(recorder, trainer_state=state, answer="42", num_generations=4)
        for call in recorder.calls:
            assert call["trainer_state"] is state
            assert (call["answer"], call["num_generations"]) == ("42", 4)

    def test_every_hostile_completion_is_tried_alone_with_a_row_of_the_columns(self) -> None:
        recorder = Recorder()
        check_reward(recorder, answer=["a", "b", "c"])
        alone = {call["completions"][0]: call["answer"] for call in recorder.calls if len(call["completions"]) == 1}
        assert set(alone) >= {*EMPTY.values(), *HOSTILE.values()}
        assert {tuple(answer) for answer in alone.values()} == {("a",), ("b",), ("c",)}

    def test_hostile_completions_are_messages_where_the_given_ones_are(self) -> None:
        recorder = Recorder()
        messages = [[{"role": "assistant", "content": text}] for text in ("one", "two")]
        check_reward(recorder, completions=messages, message_invariant=False)
        assert not any(isinstance(c, str) for call in recorder.calls for c in call["completions"])

    def test_a_catalogue_of_ones_own_takes_its_place(self) -> None:
        fails = {"mine": "let me see: 41"}
        assert verdicts(raises_on_numbers, completions=["a", "b"], examples=fails) == {"hostile"}
        assert verdicts(encodes, examples={}) == set()
        assert verdicts(encodes, examples={**HOSTILE, **fails}) == {"hostile"}

    def test_no_call_sees_what_another_one_did_to_its_arguments(self) -> None:
        assert verdicts(empties_a_column, answer=[["1"], ["2"]]) == {"inputs_unchanged"}

    def test_cells_that_cannot_be_copied_are_handed_over(self) -> None:
        assert verdicts(sound, environment=[threading.Lock(), threading.Lock()]) == set()

    def test_cells_that_have_no_equality_of_their_own_or_are_not_numbers_count_as_unchanged(self) -> None:
        assert verdicts(sound, cell=[object(), math.nan], array=[np.array([math.nan, 1.0]), np.zeros(2)]) == set()

    def test_a_slow_completion_is_named_while_it_is_waited_for_and_in_the_report(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def dawdles(completions: Any, **columns: Any) -> list[float]:
            if "slowly" in completions:
                time.sleep(0.5)
            return sound(completions)

        monkeypatch.setattr(survival, "NOTICE_SECONDS", 0.05)
        monkeypatch.setattr(survival, "SLOW_SECONDS", 0.4)
        report = check_reward(dawdles, picklable=False, examples={"honey": "fast", "molasses": "slowly"})
        assert "dawdles has not come back from the completion 'molasses'" in capsys.readouterr().err
        assert report["hostile"].detail.endswith(" s of it for molasses")

    def test_a_call_that_never_comes_back_in_a_thread_is_a_breach(self, monkeypatch: pytest.MonkeyPatch) -> None:
        released = threading.Event()

        def waits(completions: Any, **columns: Any) -> list[float]:
            if threading.current_thread() is not threading.main_thread():
                released.wait()
            return sound(completions)

        monkeypatch.setattr(checks, "WAIT_SECONDS", 0.2)
        report = check_reward(waits, picklable=False, raise_on_failure=False)
        released.set()
        assert failed(report) == {"threads"}
        assert report["threads"].detail == "a call does not come back"


def better_than_the_group(completions: Any, prompts: Any, **columns: Any) -> list[float]:
    size = columns["num_generations"]
    if len(completions) % size:
        raise ValueError(f"{len(completions)} completions are not whole groups of {size}")
    values = sound(completions)
    groups = [values[start : start + size] for start in range(0, len(values), size)]
    return [value - max(group) for group in groups for value in group]


class TestSwitches:
    @pytest.mark.parametrize(
        ("fn", "switch"),
        [
            (samples, "deterministic"),
            (pays_what_is_said_once, "batch_invariant"),
            (LAMBDA, "picklable"),
            (needs_the_main_thread, "threads"),
            (takes_strings_alone, "message_invariant"),
        ],
    )
    def test_a_clause_that_is_switched_off_is_not_judged(self, fn: Callable[..., Any], switch: str) -> None:
        check = check_reward(fn, **{switch: False})[switch]  # type: ignore[arg-type]
        assert (check.passed, check.detail) == (None, "switched off")

    def test_a_reward_that_compares_a_group_is_never_torn_from_it(self) -> None:
        given = {"answer": [1, 2, 3, 4], "num_generations": 4}
        assert check_reward(better_than_the_group, batch_invariant=False, **given).passed
        assert "batch_invariant" in verdicts(better_than_the_group, **given)

    def test_a_hostile_completion_is_met_among_the_others_of_its_group(self) -> None:
        def encodes_the_group(completions: Any, **columns: Any) -> list[float]:
            assert len(completions) in (0, 8)
            return encodes(completions)

        assert verdicts(encodes_the_group, batch_invariant=False, picklable=False) == {"hostile"}

    def test_a_reward_of_messages_alone_is_checked_on_messages(self) -> None:
        messages = [[{"role": "assistant", "content": text}] for text in ("abracadabra", "a", "")]
        assert verdicts(takes_messages_alone, completions=messages) == {"message_invariant"}
        assert check_reward(takes_messages_alone, completions=messages, message_invariant=False).passed

    def test_without_determinism_values_are_not_compared_but_everything_is_called(self) -> None:
        def samples_short_texts(completions: Any, **columns: Any) -> list[float]:
            return [random.random() / len(completion_text(c)) for c in completions]

        report = check_reward(samples_short_texts, deterministic=False, picklable=False, raise_on_failure=False)
        assert failed(report) == {"empty_completion"}
        assert report["order"].passed is None

    def test_what_follows_from_a_breach_is_not_judged(self) -> None:
        report = check_reward(raises_always, raise_on_failure=False)
        judged = {check.name for check in report.checks if check.passed is not None}
        assert judged == {"call", "picklable"}
        assert report["threads"].detail == "not judged: the call raises"


class TestArguments:
    @pytest.mark.parametrize(
        ("given", "error", "said"),
        [
            (
                {"completions": "text"},
                TypeError,
                "completions must be a list with one entry per completion, got 'text'",
            ),
            ({"prompts": "text"}, TypeError, "prompts must be a list"),
            ({"completions": [1]}, TypeError, "text or a list of messages, got int 1"),
            ({"completions": []}, ValueError, "completions is empty; give at least one row"),
            ({"answer": []}, ValueError, "answer is empty"),
            ({"completions": ["a"], "answer": ["1", "2"]}, ValueError, "answer has 2 rows and completions has 1"),
            ({"completions": ["a"], "prompts": ["1", "2"]}, ValueError, "prompts has 2 rows and completions has 1"),
            ({"answer": ["1"], "tests": [1, 2]}, ValueError, "tests has 2 rows and answer has 1"),
        ],
    )
    def test_what_does_not_fit_is_refused_as_the_callers_mistake(
        self, given: dict[str, Any], error: type[Exception], said: str
    ) -> None:
        with pytest.raises(error, match=said.replace("(", r"\(")):
            check_reward(sound, **given)

    def test_only_a_callable_is_a_reward(self) -> None:
        with pytest.raises(TypeError, match="a reward must be callable, got 3"):
            check_reward(3)  # type: ignore[arg-type]


class TestTheReport:
    def test_prints_one_line_per_clause(self) -> None:
        lines = str(check_reward(sound, threads=False)).splitlines()
        assert lines[0] == "sound: keeps the contract (14 checks)"
        assert [line.split()[0] for line in lines[1:]] == NAMES
        assert lines[1].split(maxsplit=2)[1:] == ["passed", "8 completions"]
        assert lines[-1].split(maxsplit=2)[1:] == ["-", "switched off"]

    def test_marks_what_failed_and_keeps_lines_short(self) -> None:
        report = check_reward(encodes, raise_on_failure=False)
        (line,) = [line for line in str(report).splitlines() if "FAILED" in line]
        assert line.startswith("hostile ")
        assert len(line) <= 130
        assert not report.passed

    def test_knows_its_checks_by_name(self) -> None:
        report = check_reward(sound)
        assert report["length"].name == "length"
        with pytest.raises(KeyError, match="no check is named 'speed'; there are call, length"):
            report["speed"]

    @pytest.mark.parametrize(
        ("fn", "name"),
        [
            (sound, "sound"),
            (ScoresLater(), "ScoresLater"),
            (functools.partial(weighs, factor=2.0), "weighs"),
            (tag_count.named("tags"), "tags"),
        ],
    )
    def test_calls_the_reward_by_its_name(self, fn: Callable[..., Any], name: str) -> None:
        assert check_reward(fn).reward == name
