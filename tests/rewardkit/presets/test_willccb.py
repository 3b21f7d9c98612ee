"""Specification of presets.willccb_gsm8k: the rewards of the GSM8K demonstration, their formulas written out."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from rewardkit import ColumnError, Reward, presets
from rewardkit.presets import (
    WillccbCorrectness,
    willccb_correctness,
    willccb_gsm8k,
    willccb_int,
    willccb_soft_format,
    willccb_strict_format,
    willccb_xml_count,
)

from .corpus import documents, messages

DOCUMENTS = documents(6000, seed=3)
ONE_LINE = "<reasoning>\n6 * 3 = 18\n</reasoning>\n<answer>\n18\n</answer>\n"
TWO_LINES = ONE_LINE.replace("6 * 3", "6 * 2 = 12\n12 + 6")
FLAT = "<reasoning>6 * 3 = 18</reasoning> <answer>18</answer>"

# The demonstration's formulas, as facts; no flag makes the dot match a line break.
STRICT = re.compile(r"^<reasoning>\n.*?\n</reasoning>\n<answer>\n.*?\n</answer>\n$")
SOFT = re.compile(r"<reasoning>.*?</reasoning>\s*<answer>.*?</answer>")


def answer_in(text: str) -> str:
    behind = text.rsplit("<answer>", 1)[-1]
    return behind.partition("</answer>")[0].strip()


def xml(text: str) -> float:
    """Four credits; the third and the fourth bring a charge for what follows."""
    left, right, third, fourth = (
        text.count(p) == 1 for p in ("<reasoning>\n", "\n</reasoning>\n", "\n<answer>\n", "\n</answer>")
    )
    after_line = len(text.split("\n</answer>\n")[-1])
    after_tag = len(text.split("\n</answer>")[-1])
    total = 0.125 * left + 0.125 * right
    total = total + 0.125 - after_line * 0.001 if third else total
    return total + 0.125 - (after_tag - 1) * 0.001 if fourth else total


FORMULAS: list[tuple[Reward, Callable[[str], float]]] = [
    (willccb_strict_format, lambda text: 0.5 if STRICT.match(text) else 0.0),
    (willccb_soft_format, lambda text: 0.5 if SOFT.match(text) else 0.0),
    (willccb_int, lambda text: 0.5 if answer_in(text).isdigit() else 0.0),
    (willccb_xml_count, xml),
    (willccb_correctness, lambda text: 2.0 if answer_in(text) == "18" else 0.0),
]


class TestEqualsTheDemonstration:
    @pytest.mark.parametrize(("reward", "formula"), FORMULAS, ids=lambda part: getattr(part, "__name__", None))
    def test_on_thousands_of_documents(self, reward: Reward, formula: Callable[[str], float]) -> None:
        values, expected = reward(messages(DOCUMENTS), answer="18"), [formula(text) for text in DOCUMENTS]
        assert [text for text, ours, its in zip(DOCUMENTS, values, expected, strict=True) if ours != its] == []
        assert len(set(expected)) > 1
        assert max(expected.count(value) for value in set(expected) if value > 0) > 50

    def test_in_its_sum(self) -> None:
        order = (willccb_xml_count, willccb_soft_format, willccb_strict_format, willccb_int, willccb_correctness)
        columns = [reward(DOCUMENTS, answer="18") for reward in order]
        assert willccb_gsm8k(DOCUMENTS, answer="18") == [sum(row) for row in zip(*columns, strict=True)]  # type: ignore[arg-type]


class TestStack:
    @pytest.mark.parametrize(
        ("completion", "xml_count", "soft", "strict", "integer", "correctness"),
        [
            (ONE_LINE, 4 * 0.125, 0.0, 0.5, 0.5, 2.0),
            (TWO_LINES, 4 * 0.125, 0.0, 0.0, 0.5, 2.0),
            (FLAT, 0.0, 0.5, 0.0, 0.5, 2.0),
            ("18", 0.0, 0.0, 0.0, 0.5, 2.0),
            ("-18", 0.0, 0.0, 0.0, 0.0, 0.0),
            ("", 0.0, 0.0, 0.0, 0.0, 0.0),
        ],
    )
    def test_pays_component_by_component(
        self, completion: str, xml_count: float, soft: float, strict: float, integer: float, correctness: float
    ) -> None:
        (row,) = willccb_gsm8k.explain([completion], answer="18")
        expected = (xml_count, soft, strict, integer, correctness)
        assert tuple(part.contribution for part in row.outcome.parts) == expected
        assert row.outcome.value == sum(expected)

    def test_logs_by_the_names_of_the_demonstration(self) -> None:
        assert [member.__name__ for member in presets.willccb_gsm8k.members] == [
            "xmlcount_reward_func",
            "soft_format_reward_func",
            "strict_format_reward_func",
            "int_reward_func",
            "correctness_reward_func",
        ]


class TestQuirks:
    @pytest.mark.parametrize("reward", [willccb_strict_format, willccb_soft_format], ids=repr)
    def test_reasoning_of_two_lines_earns_nothing(self, reward: Reward) -> None:
        assert reward([TWO_LINES, FLAT.replace("6 * 3", "6 *\n3")]) == [0.0, 0.0]

    def test_the_soft_format_refuses_what_the_strict_one_pays(self) -> None:
        assert (willccb_soft_format([ONE_LINE]), willccb_strict_format([ONE_LINE])) == ([0.0], [0.5])

    @pytest.mark.parametrize(
        ("end", "value"), [("\n", 0.5), ("", 0.0), ("\n\n", 0.5), ("\n\n\n", 0.0), ("\n ", 0.0), (" \n", 0.0)]
    )
    def test_the_strict_format_wants_one_line_break_at_the_end_or_two(self, end: str, value: float) -> None:
        assert willccb_strict_format([ONE_LINE.rstrip() + end]) == [value]

    def test_other_line_breaks_are_characters_to_it(self) -> None:
        assert willccb_strict_format([ONE_LINE.replace(" * ", "\r\u2028\x0b")]) == [0.5]

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            (FLAT + " and so on", 0.5),
            ("So " + FLAT, 0.0),
            (FLAT.replace("> <", ">\n\n<"), 0.5),
            (FLAT.replace("> <", ">, <"), 0.0),
            ("<reasoning></reasoning><answer></answer>", 0.5),
            ("<reasoning></reasoning> x </reasoning><answer></answer>", 0.5),
            ("<reasoning></reasoning><answer>\n</reasoning><answer></answer>", 0.0),
            ("<reasoning></reasoning>\n<answer>\n</answer>", 0.0),
        ],
    )
    def test_the_soft_format_is_a_search_within_lines(self, text: str, value: float) -> None:
        assert willccb_soft_format([text]) == [value]
        assert bool(SOFT.match(text)) == (value > 0)

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            (ONE_LINE, 4 * 0.125),
            (ONE_LINE + "x" * 100, 4 * 0.125 - 0.1 - 0.1),  # charged twice
            (ONE_LINE[:-1], 4 * 0.125 - 0.001 * (len(ONE_LINE) - 1) + 0.001),  # no line break: all of it is charged
            (ONE_LINE[: ONE_LINE.index("\n</answer>")] + "x" * 400, 3 * 0.125 - 0.001 * (len(ONE_LINE) - 11 + 400)),
            (ONE_LINE + "\n</answer>", 3 * 0.125 - 0.001 * len("\n</answer>")),  # a doubled tag
            ("\n</answer>", 0.125 + 0.001),
        ],
    )
    def test_the_count_charges_what_follows(self, text: str, value: float) -> None:
        assert willccb_xml_count([text]) == [pytest.approx(value, abs=1e-12)]

    def test_the_count_has_no_floor(self) -> None:
        assert willccb_xml_count(["\n<answer>\n" + "x" * 9990]) == [pytest.approx(0.125 - 10.0)]

    def test_bare_tags_earn_all_of_the_count(self) -> None:
        assert willccb_xml_count(["<reasoning>\n\n</reasoning>\n<answer>\n\n</answer>\n"]) == [0.5]

    @pytest.mark.parametrize(
        ("answer", "value"), [("18", 0.5), ("-3", 0.0), ("1,800", 0.0), ("2.5", 0.0), ("²", 0.5), ("٣", 0.5), ("", 0.0)]
    )
    def test_an_integer_is_what_consists_of_digits(self, answer: str, value: float) -> None:
        assert willccb_int([f"<answer>\n{answer}\n</answer>"]) == [value]

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("<answer>18</answer>", 2.0),
            ("18", 2.0),
            (" 18\n", 2.0),
            ("<answer>17</answer><answer>18</answer>", 2.0),
            ("<answer>18</answer><answer>17</answer>", 0.0),
            ("<answer>18</answer> So 18 it is.", 2.0),
            ("18</answer>17", 2.0),
            ("<answer>18.0</answer>", 0.0),
            ("<answer>$18</answer>", 0.0),
        ],
    )
    def test_correct_is_the_same_text(self, text: str, value: float) -> None:
        assert willccb_correctness([text], answer="18") == [value]

    def test_a_whole_solution_as_reference_is_never_reached(self) -> None:
        assert willccb_correctness([ONE_LINE], answer="6 * 3 = 18\n#### 18") == [0.0]

    def test_nothing_equals_a_missing_or_an_empty_reference_but_nothing(self) -> None:
        assert willccb_correctness(["18", ""], answer=[None, ""]) == [0.0, 2.0]

    def test_of_several_messages_the_first_is_judged(self) -> None:
        turns = [[{"content": text} for text in order] for order in ((ONE_LINE, "x"), ("x", ONE_LINE))]
        assert willccb_gsm8k(turns, answer="18") == [3.5, 0.0]


class TestHostile:
    @pytest.mark.parametrize(
        "text",
        [
            "<reasoning>" * 90_000,
            "<reasoning>" + "</reasoning><answer>" * 50_000,
            "<reasoning>" + "</reasoning> " * 70_000,
            "<reasoning></reasoning>" + " \n" * 400_000,
            "<reasoning>\n" * 80_000,
            "\n" * 10**6,
        ],
    )
    def test_a_million_characters_are_judged_in_one_pass(self, text: str) -> None:
        for reward in (willccb_soft_format, willccb_strict_format, willccb_int):
            assert reward([text]) == [0.0]
        assert willccb_xml_count([text]) == [xml(text)]


def test_the_column_is_answer_unless_named() -> None:
    assert WillccbCorrectness(answer_key="solution")(["18"], solution=["18"]) == [2.0]
    with pytest.raises(ColumnError, match="'answer' is missing; the call has solution"):
        willccb_gsm8k([""], solution=["18"])
    with pytest.raises(ColumnError, match="column 'answer', row 0 is 18"):
        willccb_correctness([""], answer=[18])
