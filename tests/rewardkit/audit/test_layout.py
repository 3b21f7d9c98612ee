"""Specification of rewardkit.audit.layout: the forms in which an answer may be given."""

from __future__ import annotations

import pytest

from rewardkit import soft_format, strict_format
from rewardkit.audit.layout import FORMS, REASONING, Layout, layouts


def test_the_frame_is_filled_once() -> None:
    layout = Layout("<t>{reasoning}</t>{body}", "= {answer}", ("t",))
    assert layout.write("{body}", reasoning="{body} {answer}") == "<t>{body} {answer}</t>= {body}"


@pytest.mark.parametrize(
    ("gold", "answer"),
    [("9 * 2 = 18\n#### 18", "18"), (r"so \boxed{\frac12}", r"\frac12"), (" 18 ", "18")],
)
def test_the_end_of_a_reference_is_the_answer_unless_all_of_it_is(gold: str, answer: str) -> None:
    assert Layout("{body}", "{answer}").answer_of(gold) == answer
    assert Layout("{body}", "{answer}", whole=True).answer_of(gold) == gold.strip()


def test_a_template_says_where_the_answer_goes() -> None:
    layout = Layout.of("<plan>{reasoning}</plan><br><out>{answer}</out>")
    assert layout.tags == ("plan", "out")
    assert layout.write("4", "2 + 2") == "<plan>2 + 2</plan><br><out>4</out>"
    with pytest.raises(ValueError, match=r"template 'The answer' has no \{answer\}"):
        Layout.of("The answer")


@pytest.mark.parametrize("tags", [("think", "answer"), ("a", "b", "c"), ("final",)])
def test_each_set_of_tags_is_written_strictly_and_in_one_line(tags: tuple[str, ...]) -> None:
    strict, soft = strict_format.__class__(tags=tags), soft_format.__class__(tags=tags)
    completions = [layout.write("4") for layout in layouts([tags], whole=False)]
    assert 1.0 in strict(completions) or len(tags) == 1
    assert 1.0 in soft(completions)
    assert len(set(completions)) == len(completions)


def test_there_is_a_bare_form_and_the_whole_reference_where_it_holds_more() -> None:
    forms = layouts([], whole=False)
    assert Layout("{body}", "{answer}") in forms
    assert {form.form for form in forms} == set(FORMS)
    assert len(layouts([], whole=True)) == 2 * len(forms)


def test_the_reasoning_holds_no_number_no_mark_and_no_repetition() -> None:
    assert not any(character.isdigit() or character in "<>{}\\\n" for character in REASONING)
    words = REASONING.split()
    assert len({*zip(words, words[1:], words[2:], strict=False)}) == len(words) - 2
