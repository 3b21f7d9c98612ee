"""Specification of rewardkit.keywords: a bonus per distinct word, capped."""

from __future__ import annotations

import math
import pickle
import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rewardkit
from rewardkit import Keywords, Reward, keywords

AB = Keywords(words=["alpha", "beta"], value=0.2, cap=0.3)
CONFIGURED = (
    keywords,
    AB,
    Keywords(words=["wait"], value=1, cap=1, section="think", whole_words=True, ignore_case=False, name="w"),
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", 0.0),
        ("gamma", 0.0),
        ("alpha", min(0.3, 0.2 * 1)),
        ("ALPHA!", min(0.3, 0.2 * 1)),
        ("alpha beta", min(0.3, 0.2 * 2)),
        ("alpha " * 1000, min(0.3, 0.2 * 1)),  # repeating one word earns nothing
        ("alphabeta", min(0.3, 0.2 * 2)),
        ("alph a", 0.0),
    ],
)
def test_pays_for_each_distinct_word_up_to_the_cap(text: str, value: float) -> None:
    assert AB([text]) == [value]


@pytest.mark.parametrize(("text", "value"), [("Alpha", 0.0), ("alpha", 0.2)])
def test_minds_capitals_only_when_told(text: str, value: float) -> None:
    assert Keywords(words=["alpha"], value=0.2, ignore_case=False)([text]) == [value]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("then", True),
        ("Then, so", True),
        ("strengthen", False),
        ("thence", False),
        ("then2", False),
        ("éthen", False),
        ("(then)", True),
        ("well_then", True),  # an underscore is neither letter nor digit
        ("strengthen then", True),  # the search goes on after an occurrence inside a word
        ("thenthen", False),
    ],
)
def test_whole_words_do_not_count_inside_a_longer_word(text: str, found: bool) -> None:
    reward = Keywords(words=["then"], whole_words=True)
    assert reward([text]) == [0.1 * found]
    assert Keywords(words=["then"])([text]) == [0.1]


@pytest.mark.parametrize(("word", "text"), [("step:", "step:one"), ("no repeat", "No repeat."), ("+", "1+1")])
def test_whole_words_grow_only_from_letters_and_digits(word: str, text: str) -> None:
    assert Keywords(words=[word], whole_words=True)([text]) == [0.1]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("<think>alpha</think> beta", 0.2),
        ("alpha", 0.0),
        ("<think>alpha", 0.0),
        ("<think>alpha</think><think>.</think>", 0.0),
    ],
)
def test_looks_into_the_section_alone(text: str, value: float) -> None:
    assert Keywords(words=["alpha", "beta"], value=0.2, section="think")([text]) == [value]


def test_says_which_words_were_found_as_they_are_listed() -> None:
    outcome = Keywords(words=["Beta", "alpha", "gamma"]).explain(["alpha BETA"])[0]
    assert (outcome.status, outcome.detail) == ("scored", "Beta, alpha")


def test_its_own_list_is_worth_no_more_than_the_cap() -> None:
    assert keywords([" ".join(keywords.words)]) == [0.5]


@given(text=st.text(alphabet="abAB é1_-") | st.text())
@settings(deadline=None)
def test_whole_words_agree_with_a_regular_expression(text: str) -> None:
    words = ["a", "ab", "b-a"]
    letters = r"[^\W_]"
    expected = sum(re.search(rf"(?<!{letters}){re.escape(w)}(?!{letters})", text.casefold()) is not None for w in words)
    assert Keywords(words=words, whole_words=True, value=1.0, cap=9.0)([text]) == [float(expected)]


@given(text=st.text())
@settings(deadline=None)
def test_any_text_scores_within_the_cap_and_a_message_scores_the_same(text: str) -> None:
    for reward in CONFIGURED:
        (value,) = reward([text])
        assert value is not None
        assert 0.0 <= value <= reward.cap
        assert reward([[{"role": "assistant", "content": text}]]) == [value]


@pytest.mark.parametrize("reward", CONFIGURED, ids=repr)
def test_pickles_hashes_and_prints_as_code(reward: Reward) -> None:
    assert pickle.loads(pickle.dumps(reward)) == reward
    assert eval(repr(reward), vars(rewardkit).copy()) == reward
    assert isinstance(hash(reward), int)


@pytest.mark.parametrize("unit", ["a", "then", "then ", "the", "strengthen", " "])
def test_megabytes_of_near_misses_are_searched_once(unit: str) -> None:
    text = "x" + unit.replace(" ", "x") * (2_000_000 // len(unit)) + "x"
    assert Keywords(words=["then"], whole_words=True)([text]) == [0.0]


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (lambda: Keywords(words="then"), TypeError, "'then'; put it in a list"),
        (lambda: Keywords(words=[]), ValueError, "words is empty"),
        (lambda: Keywords(words=["a", " "]), ValueError, "words holds ' ', which occurs in every text"),
        (lambda: Keywords(words=["a", ""]), ValueError, "words holds ''"),
        (lambda: Keywords(words=["Then", "then"]), ValueError, "'Then' more than once"),
        (lambda: Keywords(value=0.0), ValueError, "value .* got 0.0"),
        (lambda: Keywords(value=math.inf), ValueError, "value .* got inf"),
        (lambda: Keywords(cap=-0.5), ValueError, "cap .* got -0.5; for a penalty weigh the reward"),
    ],
)
def test_a_bad_argument_is_refused_with_its_value_and_the_remedy(
    make: Callable[[], Reward], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        make()


def test_words_that_differ_in_case_are_two_words_where_case_matters() -> None:
    reward = Keywords(words=["Then", "then"], ignore_case=False)
    assert reward(["Then then", "then"]) == [0.1 * 2, 0.1]
