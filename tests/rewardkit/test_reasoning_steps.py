"""Specification of rewardkit.reasoning_steps: distinct step markers, up to a target."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rewardkit
from rewardkit import ReasoningSteps, Reward, reasoning_steps

COUNT = ReasoningSteps(target=100)  # its value times 100 is the number of markers

CONFIGURED = (reasoning_steps, ReasoningSteps(target=5, section="think", name="layout"))


def markers(text: str) -> int:
    (value,) = COUNT([text])
    assert value is not None
    return round(value * 100)


@pytest.mark.parametrize(("count", "value"), [(0, 0.0), (1, 1 / 3), (2, 2 / 3), (3, 1.0), (4, 1.0), (50, 1.0)])
def test_is_the_share_of_the_target_and_at_most_one(count: int, value: float) -> None:
    assert reasoning_steps(["\n".join(f"Step {i}: go on" for i in range(count))]) == [value]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Step 1: add", 1),
        ("**Step 1:** add, then Step 2: double", 2),
        ("1. add\n2. double\n  3. done", 3),
        ("intro\n1. add", 1),
        ("1.add", 1),
        ("- add\n- double", 2),
        ("* add\n\t* double", 2),
        ("First, add. Second, double. Next, halve. Finally, stop.", 4),
        ("1. Step 1: First, add", 3),
        ("1. add\r\n2. double", 2),
        ("**1. Add**\n**2**. Double", 2),
        ("**Step 1**: add\n__Step 2__: double", 2),
        ("1) Add\n2) 2 + 2 = 4", 2),
        ("(1) Add\n(2) **Double**", 2),
        ("+ Add\n+ Double", 2),
        ("• Add\n•Double", 2),
        ("-\tAdd", 1),
        ("> 1. Add\n> > - Double", 2),
        ("### 1. Add\n## Step 2. Double", 2),
        ("Step 1. add\nStep 2) double\n**Step 3.** halve", 3),
        ("**First**, add", 1),
    ],
)
def test_counts_steps_numbered_lines_bullets_and_ordinal_words(text: str, count: int) -> None:
    assert markers(text) == count


@pytest.mark.parametrize(
    "text",
    [
        "1.5 is the mean",
        "it is 1. or 2.",
        "-3 + 4 = 1",
        "---",
        "* * *",
        "- - -",
        "-",
        "**bold**",
        "a - b\nc * d",
        "Thirst, first, FIRST, First of all",
        "step 1: Step one: Step 1",
        "Misstep 1: MisStep 1:",
        "as in Step 1. Then",
        "Step 1.5 is none",
        "(3) + (4) = 7",
        "(3)(4) = 12",
        "3)",
        "+3",
        "> quoted",
        "# heading",
        "Step 1234567: a number beyond reason",
    ],
)
def test_what_only_looks_like_a_marker_is_none(text: str) -> None:
    assert markers(text) == 0


@pytest.mark.parametrize(
    "text",
    [
        "First, " * 10,
        "Step 1: " * 10,
        "Step 1: Step 01: Step 001:",
        "1. add\n1. double\n01. halve",
        "- add\n- add\n* add\n-  add  ",
        "- add\n+ add\n•add\n> -\tadd",
        "1. add\n1) add\n(1) add\n**1.** add\n> 1. add",
        "Step 1: add\nStep 1. add\n**Step 1**: add",
    ],
)
def test_a_marker_that_is_repeated_counts_once(text: str) -> None:
    assert markers(text) == 1


def test_numbered_lines_count_on_every_line_and_not_only_the_first() -> None:
    assert reasoning_steps(["Let us see.\n1. Add.\n2. Double.\n3. Halve."]) == [1.0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("<think>Step 1: Step 2: Step 3:</think> 4", 1.0),
        ("<think>think</think> Step 1: Step 2: Step 3:", 0.0),
        ("Step 1: Step 2: Step 3:", 0.0),  # the section is missing
        ("<think>Step 1: Step 2: Step 3:", 0.0),  # it is cut off
        ("Step 1: Step 2: Step 3:</think> 4", 1.0),  # the prompt opened it
        ("Step 1:</think> Step 2: Step 3:", 1 / 3),
    ],
)
def test_looks_into_the_section_alone(text: str, value: float) -> None:
    assert ReasoningSteps(section="think")([text]) == [value]


@pytest.mark.parametrize("text", ["", " ", "\n\n", "The answer is 4."])
def test_a_text_without_steps_earns_nothing_and_says_so(text: str) -> None:
    (outcome,) = reasoning_steps.explain([text])
    assert (outcome.value, outcome.status, outcome.detail) == (0.0, "scored", "")


def test_says_which_markers_it_found() -> None:
    assert reasoning_steps.explain(["1. add\n* two and two\nFinally, 4"])[0].detail == "1., - two and two, Finally,"
    many = "\n".join(f"- item {i}" for i in range(9))
    assert reasoning_steps.explain([many])[0].detail.endswith("- item 5 and 3 more")


def test_bare_markers_earn_the_full_value_which_is_the_cheat_that_the_docstring_names() -> None:
    assert reasoning_steps(["First, Next, Finally,"]) == [1.0]


@given(text=st.text(alphabet=st.sampled_from("Step 1:2.-*\nFirst,Next ab")))
@settings(deadline=None, max_examples=50)
def test_more_text_never_earns_less_and_saying_it_twice_earns_no_more(text: str) -> None:
    assert markers(text) == markers(f"{text}\n{text}") <= markers(f"{text}\nStep 99: the end")


@given(text=st.text())
@settings(deadline=None, max_examples=50)
def test_any_text_scores_within_its_range_and_a_message_of_it_the_same(text: str) -> None:
    (value,) = reasoning_steps([text])
    assert value is not None
    assert 0.0 <= value <= 1.0
    assert reasoning_steps([[{"role": "assistant", "content": text}]]) == [value]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("1" * 1_000_000, 0),
        ("\n" * 1_000_000, 0),
        (" " * 1_000_000 + "1. add", 1),
        ("Step " * 200_000, 0),
        ("- " * 500_000, 0),
        ("Step 1: " * 125_000, 1),
        ("First" * 200_000 + ",", 0),
        ("> " * 500_000, 0),
        ("*" * 1_000_000, 0),
        ("(1)" + " " * 1_000_000, 0),
    ],
)
def test_a_million_characters_are_one_pass(text: str, count: int) -> None:
    assert markers(text) == count


@pytest.mark.parametrize("reward", CONFIGURED, ids=repr)
def test_pickles_hashes_and_prints_as_code(reward: Reward) -> None:
    assert pickle.loads(pickle.dumps(reward)) == reward
    assert eval(repr(reward), vars(rewardkit).copy()) == reward
    assert isinstance(hash(reward), int)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: ReasoningSteps(target=0), "target .* got 0"),
        (lambda: ReasoningSteps(target=2.5), "target .* got 2.5"),
        (lambda: ReasoningSteps(target="3"), "target .* got '3'"),
        (lambda: ReasoningSteps(section="<think>"), "'<think>' is no tag name"),
    ],
)
def test_a_bad_argument_is_refused_with_its_value(make: Callable[[], Reward], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()
