"""Specification of presets.open_r1: the formulas of open-r1, written out, and math-verify as open-r1 calls it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from rewardkit import ColumnError, Reward, presets, strict_format, tag_count
from rewardkit.presets import (
    OpenR1Accuracy,
    OpenR1CodeFormat,
    open_r1,
    open_r1_accuracy,
    open_r1_code_format,
    open_r1_format,
    open_r1_reasoning_steps,
    open_r1_tag_count,
)

from . import originals
from .corpus import answered, documents, messages

PAIRS = answered()
DOCUMENTS = documents(3000)
GOOD = "<think>\n6 * 3\n</think>\n<answer>\n\\boxed{18}\n</answer>"

# open-r1's patterns, as facts: src/open_r1/rewards.py.
FORMAT = re.compile(r"^<think>\n.*?\n</think>\n<answer>\n.*?\n</answer>$", re.DOTALL | re.MULTILINE)
CODE = r"^<think>\n.*?\n</think>\n<answer>\n.*?```{}.*?```.*?\n</answer>$"
STEPS = re.compile(r"(Step \d+:|^\d+\.|\n-|\n\*|First,|Second,|Next,|Finally,)")


def wrong(reward: Reward, expected: list[float], **columns: Any) -> list[str]:
    """The documents on which a reward differs from what is expected."""
    values = reward(messages(DOCUMENTS), **columns)
    assert len({*expected}) > 1
    return [text for text, ours, theirs in zip(DOCUMENTS, values, expected, strict=True) if ours != theirs]


class TestEqualsOpenR1:
    def test_in_accuracy_on_every_answer_beside_every_reference(self) -> None:
        expected = originals.run(originals.OPEN_R1, PAIRS)["accuracy"]
        texts, truths = zip(*PAIRS, strict=True)
        values = open_r1_accuracy(messages(texts), solution=list(truths))
        assert [pair for pair, ours, theirs in zip(PAIRS, values, expected, strict=True) if ours != theirs] == []
        assert min(values.count(value) for value in (0.0, 1.0, None)) > 20

    def test_in_the_format(self) -> None:
        assert wrong(open_r1_format, [float(bool(FORMAT.match(text))) for text in DOCUMENTS]) == []

    @pytest.mark.parametrize("language", ["python", "cpp"])
    def test_in_the_format_of_code(self, language: str) -> None:
        pattern = re.compile(CODE.format(language), re.DOTALL | re.MULTILINE)
        mine = [text.replace("python", language) for text in DOCUMENTS]
        values = OpenR1CodeFormat(language=language)(mine)
        assert values == [float(bool(pattern.match(text))) for text in mine]
        assert min(values.count(0.0), values.count(1.0)) > 50

    def test_in_the_count_of_tags(self) -> None:
        pieces = ("<think>\n", "\n</think>\n", "\n<answer>\n", "\n</answer>")
        expected = [sum(0.25 for piece in pieces if text.count(piece) == 1) for text in DOCUMENTS]
        assert wrong(open_r1_tag_count, expected) == []

    def test_in_the_steps(self) -> None:
        expected = [min(1.0, len(STEPS.findall(text)) / 3) for text in DOCUMENTS]
        assert wrong(open_r1_reasoning_steps, expected) == []


class TestStack:
    def test_is_the_default_of_the_script(self) -> None:
        assert [member.__name__ for member in open_r1.members] == [
            "accuracy_reward",
            "format_reward",
            "tag_count_reward",
        ]
        assert open_r1.weights == (1.0, 1.0, 1.0)
        assert presets.open_r1 is open_r1

    @pytest.mark.parametrize(
        ("completion", "value"),
        [
            (GOOD, 1.0 + 1.0 + 1.0),
            (GOOD.replace("18", "7"), 0.0 + 1.0 + 1.0),
            (GOOD + "\nWait, no.", 1.0 + 1.0 + 1.0),  # trailing lines pass
            (GOOD + " Wait.", 1.0 + 0.0 + 1.0),
            (GOOD + "\n</answer>", 1.0 + 1.0 + 0.75),  # doubled tags pass the format
            ("<think>\n\n</think>\n<answer>\n\n</answer>", 0.0 + 1.0 + 1.0),  # around nothing
            (r"\boxed{18}", 1.0),
            ("<think>\n6 * 3", 0.25),
            ("", 0.0),
        ],
    )
    def test_adds_up(self, completion: str, value: float) -> None:
        assert open_r1([completion], solution="$18$") == [value]

    def test_leaves_out_the_accuracy_beside_a_reference_that_cannot_be_read(self) -> None:
        assert open_r1([GOOD, ""], solution="eighteen") == [2.0, 0.0]


class TestQuirks:
    @pytest.mark.parametrize(
        "completion",
        [
            GOOD + "\n" + "trailing " * 1000,
            GOOD + "\n</answer>",
            GOOD + "\n<answer>\n19\n</answer>",
            GOOD.replace("6 * 3", "<think>\n6 * 3\n</think>"),
            "<think>\n\n</think>\n<answer>\n\n</answer>",
        ],
        ids=["trailing", "doubled", "two answers", "nested", "empty"],
    )
    def test_the_format_lets_pass_what_the_mended_one_does_not(self, completion: str) -> None:
        assert open_r1_format([completion]) == [1.0]
        assert strict_format([completion]) == [0.0]

    def test_the_format_refuses_white_space_in_front_that_the_mended_one_allows(self) -> None:
        assert (open_r1_format(["\n" + GOOD]), strict_format(["\n" + GOOD])) == ([0.0], [1.0])

    def test_numbered_lines_count_as_the_first_of_the_text_alone(self) -> None:
        assert open_r1_reasoning_steps(["1. a\n2. b\n3. c", "\n1. a", "First, First, First,", "\n---\n---\n---"]) == [
            1 / 3,
            0.0,
            1.0,
            1.0,
        ]

    def test_tags_in_any_order_around_nothing_are_counted(self) -> None:
        assert open_r1_tag_count(["\n</answer>\n<answer>\n\n</think>\n<think>\n"]) == [1.0]

    def test_the_count_of_tags_is_that_of_the_plain_reward(self) -> None:
        assert open_r1_tag_count(DOCUMENTS) == tag_count(DOCUMENTS)

    def test_the_fence_of_another_language_begins_alike(self) -> None:
        layout = "<think>\n6 * 3\n</think>\n<answer>\n{}\n</answer>"
        blocks = ["```python\n```", "```python3\n```", "```cpp\n```", "```python\n", "```"]
        assert open_r1_code_format([layout.format(block) for block in blocks]) == [1.0, 1.0, 0.0, 0.0, 0.0]

    def test_a_column_of_languages_goes_before_the_setting(self) -> None:
        code = "<think>\n6 * 3\n</think>\n<answer>\n```cpp\n```\n</answer>"
        assert open_r1_code_format([code, code], language=["cpp", "python"]) == [1.0, 0.0]

    @pytest.mark.parametrize(
        "reward", [open_r1_accuracy, open_r1_format, open_r1_tag_count, open_r1_code_format, open_r1_reasoning_steps]
    )
    def test_of_several_messages_the_first_is_judged(self, reward: Reward) -> None:
        first = "<think>\nFirst,\n- a\n- b\n</think>\n<answer>\n```python\n```\n\\boxed{18}\n</answer>"
        turns = [[{"content": text} for text in order] for order in ((first, "x"), ("x", first))]
        assert reward(turns, solution="$18$") == [1.0, 0.0]


class TestHostile:
    @pytest.mark.parametrize(
        "text",
        [
            "<think>\n" * 120_000,
            "<think>\n" + "\n</think>\n<answer>\n" * 50_000,
            "<think>\n" + "\n</think>\n<answer>\n```python" * 30_000,
            "<think>\n\n</think>\n<answer>\n" + "```python```" * 80_000,
            "Step " + "1" * 10**6,
            "\n-" * 500_000,
        ],
        ids=["openings", "answers", "fences", "blocks", "digits", "bullets"],
    )
    def test_a_million_characters_are_judged_in_one_pass(self, text: str) -> None:
        for reward in (open_r1_format, open_r1_code_format, open_r1_tag_count, open_r1_reasoning_steps):
            (value,) = reward([text])
            assert value is not None
            assert 0.0 <= value <= 1.0


class TestArguments:
    def test_the_column_may_have_another_name(self) -> None:
        assert OpenR1Accuracy(answer_key="gold")([r"\boxed{18}"], gold=["$18$"]) == [1.0]

    def test_a_language_that_is_missing_in_one_row_is_refused(self) -> None:
        with pytest.raises(ColumnError, match="'language', row 1 is None"):
            open_r1_code_format(["", ""], language=["python", None])

    def test_the_format_says_what_is_missing(self) -> None:
        texts = ["", "<think>\n", "<think>\n\n</think>\n<answer>\n", "<think>\n\n</think>\n<answer>\n\n</answer>"]
        details = [row.outcome.detail for row in open_r1_format.explain(texts)]
        assert details == [
            "does not begin with <think> and a line break",
            r"no '\n</think>\n<answer>\n' in its place",
            "no </answer> that ends a line",
            "",
        ]
