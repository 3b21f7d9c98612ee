"""Specification of presets.own: the stacks of this project, to the last bit."""

from __future__ import annotations

import pytest

from rewardkit import ColumnError, presets
from rewardkit.contract import completion_text, walk_parts

KEYWORDS = ("row", "column", "sum", "unique", "digit", "no repeat", "clue")


def layout(words: int = 1, answer: str = r"\boxed{B}", after: str = "") -> str:
    """A completion in the layout of the sudoku stack, with so many words of reasoning."""
    return f"<reasoning>\n{' '.join(['word'] * words)}\n</reasoning>\n<answer>\n{answer}\n</answer>{after}"


def parts(completion: str, truth: str = "B") -> tuple[float | None, ...]:
    """The unweighted components in the order of the issue, and the total."""
    (outcome,) = presets.sudoku_choice.explain([completion], answer=[truth])
    return (*(part.contribution for part in outcome.parts), outcome.value)


RIGHT = layout()
ONCE = 0.125
SWAPPED = "\n<reasoning>\nx\n</reasoning>\n"


class TestSudokuChoice:
    @pytest.mark.parametrize(
        ("completion", "letter", "strict", "soft", "xml", "length", "words"),
        [
            # everything right, in the shortest way
            (RIGHT, 2.0, 1.0, 0.5, 3 * ONCE, 0.0, 0.0),
            (f"  {RIGHT}", 2.0, 1.0, 0.5, 3 * ONCE, 0.0, 0.0),
            # the letter
            (layout(answer=r"\boxed{A}"), 0.0, 1.0, 0.5, 3 * ONCE, 0.0, 0.0),
            (layout(answer=r"\boxed{b}"), 0.0, 0.0, 0.0, 3 * ONCE, 0.0, 0.0),  # lower case is no letter A-D
            (layout(answer=r"\boxed{E}"), 0.0, 0.0, 0.0, 3 * ONCE, 0.0, 0.0),
            (layout(answer="B"), 0.0, 0.0, 0.5, 3 * ONCE, 0.0, 0.0),  # not boxed
            (layout(answer=r"\boxed{ B }"), 0.0, 0.0, 0.5, 3 * ONCE, 0.0, 0.0),
            (layout(answer=r"\boxed{(B)}"), 0.0, 0.0, 0.5, 3 * ONCE, 0.0, 0.0),
            (layout(answer=r"\boxed{\text{B}}"), 0.0, 0.0, 0.5, 3 * ONCE, 0.0, 0.0),
            (layout(answer=r"\boxed{A}\boxed{B}"), 2.0, 0.0, 0.5, 3 * ONCE, 0.0, 0.0),
            (layout(answer=r"It is \boxed{B}."), 2.0, 0.0, 0.5, 3 * ONCE, 0.0, 0.0),
            (layout(answer=""), 0.0, 0.0, 0.0, 3 * ONCE, 0.0, 0.0),
            (r"\boxed{B}", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),  # outside the answer tag
            (r"<answer>\boxed{B}</answer>", 2.0, 0.0, 0.0, 0.0, 0.0, 0.0),
            # the strict layout
            (layout(answer=" \\boxed{B}"), 2.0, 0.0, 0.5, 3 * ONCE, 0.0, 0.0),
            (layout(answer="\n\\boxed{B}"), 2.0, 0.0, 0.5, 3 * ONCE, 0.0, 0.0),
            (layout(answer="\\boxed{B} "), 2.0, 0.0, 0.5, 3 * ONCE, 0.0, 0.0),
            ("Sure. " + RIGHT, 2.0, 0.0, 0.5, 3 * ONCE, 0.0, 0.0),
            (RIGHT.replace("</reasoning>\n", "</reasoning>\n\n"), 2.0, 0.0, 0.5, 3 * ONCE, 0.0, 0.0),
            (RIGHT.replace("\n", ""), 2.0, 0.0, 0.5, 0.0, 0.0, 0.0),
            # what comes after: one character is free
            (layout(after="\n"), 2.0, 1.0, 0.5, 3 * ONCE, 0.0, 0.0),
            (layout(after="\n\n"), 2.0, 1.0, 0.5, 3 * ONCE - 0.001 * 1, 0.0, 0.0),
            (layout(after="!"), 2.0, 0.0, 0.5, 3 * ONCE, 0.0, 0.0),
            (layout(after="!!"), 2.0, 0.0, 0.5, 3 * ONCE - 0.001 * 1, 0.0, 0.0),
            (layout(after="!" * 101), 2.0, 0.0, 0.5, 3 * ONCE - 0.001 * 100, 0.0, 0.0),
            (layout(after="!" * 376), 2.0, 0.0, 0.5, 3 * ONCE - 0.001 * 375, 0.0, 0.0),
            (layout(after="!" * 377), 2.0, 0.0, 0.5, 0.0, 0.0, 0.0),  # never below 0
            (layout(after="!" * 9000), 2.0, 0.0, 0.5, 0.0, 0.0, 0.0),
            # doubled tags earn no credit for themselves, and the charge counts from the last
            (layout(after="\n</answer>"), 2.0, 0.0, 0.5, 2 * ONCE, 0.0, 0.0),
            (layout(after="\n</answer>!!"), 2.0, 0.0, 0.5, 2 * ONCE - 0.001 * 1, 0.0, 0.0),
            ("<reasoning>\n" + RIGHT, 2.0, 0.0, 0.5, 2 * ONCE, 0.0, 0.0),
            (RIGHT + "\n" + RIGHT, 2.0, 0.0, 0.5, 0.0, 0.0, 0.0),
            # tags that are missing or in another order
            ("<reasoning>\nword", 0.0, 0.0, 0.0, ONCE, 0.0, 0.0),
            (
                "<answer>\n\\boxed{B}\n</answer>" + SWAPPED,
                2.0,
                0.0,
                0.0,
                3 * ONCE - 0.001 * (len(SWAPPED) - 1),
                0.0,
                0.0,
            ),
            ("", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
            # words of the reasoning
            (layout(words=19), 2.0, 1.0, 0.5, 3 * ONCE, 0.0, 0.0),
            (layout(words=20), 2.0, 1.0, 0.5, 3 * ONCE, 0.25, 0.0),
            (layout(words=49), 2.0, 1.0, 0.5, 3 * ONCE, 0.25, 0.0),
            (layout(words=50), 2.0, 1.0, 0.5, 3 * ONCE, 0.5, 0.0),
            (layout(words=99), 2.0, 1.0, 0.5, 3 * ONCE, 0.5, 0.0),
            (layout(words=100), 2.0, 1.0, 0.5, 3 * ONCE, 0.75, 0.0),
            (layout(words=5000), 2.0, 1.0, 0.5, 3 * ONCE, 0.75, 0.0),
            # keywords, each once, at most five of them
            *(
                (RIGHT.replace("word", " ".join(KEYWORDS[:n])), 2.0, 1.0, 0.5, 3 * ONCE, 0.0, min(0.1 * n, 0.5))
                for n in range(1, 8)
            ),
            (RIGHT.replace("word", "ROW row Row"), 2.0, 1.0, 0.5, 3 * ONCE, 0.0, 0.1),
        ],
    )
    def test_pays_component_by_component(
        self, completion: str, letter: float, strict: float, soft: float, xml: float, length: float, words: float
    ) -> None:
        expected = (letter, strict, soft, xml, length, words)
        assert parts(completion) == (*expected, sum(expected))

    @pytest.mark.parametrize("letter", "ABCD")
    def test_takes_the_gold_letter_from_the_data_set(self, letter: str) -> None:
        completions = [layout(answer=rf"\boxed{{{option}}}") for option in "ABCD"]
        best = 2.0 + 1.0 + 0.5 + 3 * ONCE
        values = presets.sudoku_choice(completions, answer=[letter] * 4)
        assert values == [best if option == letter else best - 2.0 for option in "ABCD"]

    @pytest.mark.parametrize("truth", ["E", "b", "AB", "1"])
    def test_refuses_a_gold_that_is_no_letter(self, truth: str) -> None:
        with pytest.raises(ColumnError, match="none of the options"):
            parts(RIGHT, truth)

    def test_names_its_components_in_the_log(self) -> None:
        (outcome,) = presets.sudoku_choice.explain([RIGHT], answer="B")
        assert [path for path, _ in walk_parts(outcome.outcome)] == [
            "choice_accuracy",
            "strict_format",
            "soft_format",
            "xml_count",
            "length_band",
            "keywords",
        ]
        assert presets.sudoku_choice.__name__ == "sudoku_choice"

    def test_sums_to_at_most_5_125(self) -> None:
        best = RIGHT.replace("word", " ".join(KEYWORDS) + " word" * 100)
        assert presets.sudoku_choice([best], answer="B") == [2.0 + 1.0 + 0.5 + 3 * ONCE + 0.75 + 0.5]

    def test_reads_conversations_like_texts(self) -> None:
        chat = [{"role": "assistant", "content": RIGHT}]
        assert completion_text(chat) == RIGHT
        assert presets.sudoku_choice([chat], answer="B") == presets.sudoku_choice([RIGHT], answer="B")


class TestGsm8kR1:
    GOOD = "<think>\n3 * 4 = 12\n</think>\n<answer>\n\\boxed{12}\n</answer>"

    @pytest.mark.parametrize(
        ("completion", "value"),
        [
            (GOOD, 1.0 + 0.5 + 4 * 0.125),
            (GOOD.replace("{12}", "{13}"), 0.5 + 4 * 0.125),
            (GOOD.replace("\\boxed{12}", "12"), 0.5 + 4 * 0.125),
            (r"\boxed{12}", 1.0),
            (r"\boxed{12.0}", 1.0),
            (GOOD + " " * 100, 1.0 + 0.5 + 4 * 0.125 - 0.001 * 100),
            (GOOD + " and more", 1.0 + 4 * 0.125 - 0.001 * 9),
            ("<think>\n3 * 4", 0.125),
            ("no idea", 0.0),
            ("", 0.0),
        ],
    )
    def test_pays_for_answer_format_and_tags(self, completion: str, value: float) -> None:
        assert presets.gsm8k_r1([completion], answer="3 * 4 = <<3*4=12>>12\n#### 12") == [pytest.approx(value)]
