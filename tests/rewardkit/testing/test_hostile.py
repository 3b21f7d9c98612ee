"""Specification of the catalogue of hostile completions: what it covers, and that it stays affordable."""

from __future__ import annotations

import json
import math
import sys
import unicodedata

import pytest

from rewardkit import answer_accuracy, boxed_accuracy, numeric_accuracy
from rewardkit.sections import tag_body
from rewardkit.testing import EMPTY, HOSTILE, answered


def some(text: str) -> bool:
    """Whether a completion of the catalogue contains the text."""
    return any(text in completion for completion in HOSTILE.values())


@pytest.mark.parametrize(
    "text",
    [
        "\x00",
        "\ud800",
        "\u202e",
        "\u200b",
        "9^{9^{9",
        "9**9**9",
        "{{{{",
        "[[[[",
        "<answer><answer>",
        "</answer></answer>",
        r"\boxed{42}\boxed{42}",
        r"\boxed{\boxed{",
        r"\frac{1}{1+\frac{1}{1+",
        "1/0",
        "nan",
        "-inf",
        "\\" * 1_000,
        "<!ENTITY",
        "{0.__class__}",
    ],
)
def test_holds_what_breaks_parsers(text: str) -> None:
    assert some(text)


def test_holds_a_million_characters_and_nothing_longer() -> None:
    assert max(map(len, HOSTILE.values())) == pytest.approx(1e6, rel=0.01)
    assert sum(len(text) > 50_000 for text in HOSTILE.values()) == 2


def test_holds_tags_that_are_opened_and_never_closed_and_the_other_way() -> None:
    assert any("<think>" in text and "</think>" not in text for text in HOSTILE.values())
    assert any("</answer>" in text and "<answer>" not in text for text in HOSTILE.values())


def test_holds_letters_that_look_like_others_and_digits_that_int_refuses() -> None:
    names = {unicodedata.name(character, "") for text in HOSTILE.values() for character in text[:100]}
    assert "CYRILLIC SMALL LETTER A" in names
    assert any(
        character.isdigit() and not character.isdecimal() for text in HOSTILE.values() for character in text[:99]
    )


def test_nests_deeper_than_python_may_call() -> None:
    for name, mark in (("nested JSON", "["), ("nested JSON objects", "{"), ("nested braces", "{")):
        assert HOSTILE[name].count(mark) > 4 * sys.getrecursionlimit()


def test_json_that_can_be_read_holds_what_is_no_finite_number() -> None:
    assert json.loads(HOSTILE["JSON that is not"])["answer"] == -math.inf
    assert json.loads(HOSTILE["JSON of another type"]) == []


def test_holds_more_digits_than_int_reads() -> None:
    text = HOSTILE["more digits than int() takes"]
    for digits in (tag_body(text, "answer"), text.rpartition(" ")[2]):
        with pytest.raises(ValueError, match="Exceeds the limit"):
            int(digits or "")


def test_an_answer_stands_wherever_rewards_look() -> None:
    rewards = (answer_accuracy, boxed_accuracy, numeric_accuracy)
    assert [reward([answered("17")], answer="17") for reward in rewards] == [[1.0]] * 3


def test_names_and_texts_are_all_different() -> None:
    texts = [*EMPTY.values(), *HOSTILE.values()]
    assert len(set(texts)) == len(texts)
    assert not EMPTY.keys() & HOSTILE.keys()


def test_an_empty_completion_has_no_word() -> None:
    assert all(not text.split() for text in EMPTY.values())
