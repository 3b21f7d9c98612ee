"""Specification of rewardkit.equivalence.extract: which text is the answer."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardkit.equivalence.extract import Answer, boxes, extract_answer, last_boxed, reference_answer

FRAGMENTS = [r"\boxed{", r"\fbox{", "{", "}", r"\{", r"\}", "\\\\", "\\", "2", " ", "\n", r"\frac{1}{2}"]
CONTENTS = ["2", r"\frac{1}{2}", "a b", ""]


class TestLastBoxed:
    @pytest.mark.parametrize(
        ("text", "content"),
        [
            (r"\boxed{2}", "2"),
            (r"\fbox{2}", "2"),
            (r"\boxed {2}", "2"),
            ("\\boxed\n{2}", "2"),
            (r"\boxed{}", ""),
            (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
            (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
            (r"\boxed{\{1}", r"\{1"),
            (r"\boxed{1} and \boxed{2}", "2"),
            (r"\boxed{1} and \fbox{2}", "2"),
            (r"\boxed{1} and \boxed{2", "1"),  # cut off: the last that closes
            (r"\boxed{\boxed{2}}", r"\boxed{2}"),
            (r"\boxed{1 \boxed{2}", "2"),
            (r"{ \boxed{2}", "2"),
            (r"} \boxed{2}", "2"),
            (r"\\\boxed{2}", "2"),  # a line break, then a box
            ("\\boxed{a \\\\ b}", "a \\\\ b"),
            (r"\\boxed{\\frac{1}{2}}", r"\frac{1}{2}"),  # escaped once too often
            (r"$\\boxed{\\{1, 2\\}}$", r"\{1, 2\}"),
        ],
    )
    def test_is_the_last_balanced_box(self, text: str, content: str) -> None:
        assert last_boxed(text) == content

    @pytest.mark.parametrize(
        "text", ["", "2", "boxed{2}", r"\boxed", r"\boxed 2", r"\boxed{2", r"\boxed{2\}", r"\boxes{2}"]
    )
    def test_is_none_without_one(self, text: str) -> None:
        assert last_boxed(text) is None

    @given(before=st.lists(st.sampled_from(FRAGMENTS), max_size=20).map("".join), content=st.sampled_from(CONTENTS))
    def test_at_the_end_wins_whatever_is_before_it(self, before: str, content: str) -> None:
        assert last_boxed(f"{before}\n\\boxed{{{content}}}") == content

    @given(st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join))
    def test_never_raises_and_is_a_piece_of_the_text(self, text: str) -> None:
        content = last_boxed(text)
        assert content is None or content in text or content in text.replace("\\\\", "\\")

    @pytest.mark.parametrize(
        "text",
        [
            r"\boxed{" * 200_000 + "2" + "}" * 200_000,
            r"\boxed{" + "{" * 200_000 + "2" + "}" * 200_000 + "}",
            r"\boxed{" * 300_000,
            "\\" * 5_000_001 + "boxed{2}",
            "\\boxed" + " " * 5_000_000,
            ("\\boxed" + " " * 100) * 50_000,
            "}" * 1_000_000 + r"\boxed{2}",
        ],
        ids=["boxes", "braces", "open", "backslashes", "spaces", "spaced", "closing"],
    )
    def test_reads_megabytes_in_one_pass(self, text: str) -> None:
        started = time.process_time()
        last_boxed(text)
        assert time.process_time() - started < 10  # quadratic work would take minutes


class TestBoxes:
    @pytest.mark.parametrize(
        ("text", "contents"),
        [
            ("", []),
            ("2", []),
            (r"\boxed{1}", ["1"]),
            (r"\boxed{1} then \fbox{2} then \boxed{1}", ["1", "2", "1"]),
            (r"\boxed{1 \boxed{2}} \boxed{3}", [r"1 \boxed{2}", "3"]),
            (r"\boxed{\boxed{1} \boxed{2}}", [r"\boxed{1} \boxed{2}"]),
            (r"\boxed{\frac{1}{\boxed{2}}", ["2"]),  # the outer one never closes
            (r"\boxed{1} \boxed{2", ["1"]),
            (r"\\boxed{\\pi} \boxed{\pi}", [r"\pi", r"\pi"]),
        ],
    )
    def test_are_all_that_close_and_are_in_no_other(self, text: str, contents: list[str]) -> None:
        assert boxes(text) == contents

    @given(st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join))
    def test_end_in_the_last_one(self, text: str) -> None:
        found = boxes(text)
        assert last_boxed(text) == (found[-1] if found else None)


class TestExtractAnswer:
    @pytest.mark.parametrize(
        ("text", "answer"),
        [
            (r"So \boxed{4}.", Answer("4", "the only box of the final part")),
            (r"\boxed{3}, no: \boxed{4}", Answer("4", "the last of 2 boxes of the final part")),
            (r"<think>\boxed{3}</think> So \boxed{4}.", Answer("4", "the only box of the final part")),
            (r"<think>\boxed{3}</think> So 4.", Answer(None, r"no \boxed{} in the final part")),
            (r"\boxed{}", Answer("", "the only box of the final part")),
            ("", Answer(None, r"no \boxed{} in the final part")),
        ],
    )
    def test_is_the_last_box_of_the_final_part(self, text: str, answer: Answer) -> None:
        assert extract_answer(text) == answer

    @pytest.mark.parametrize(
        ("text", "answer"),
        [
            (r"\boxed{4}", "4"),
            (r"\boxed{0.5} = \boxed{\frac12}", r"\frac12"),  # the same answer twice
            (r"\boxed{1, 2} and \boxed{2, 1}", "2, 1"),
            (r"\boxed{4} \boxed{4} \boxed{4}", "4"),
            (r"\boxed{4} or \boxed{-4}", None),
            (r"\boxed{4} \boxed{5} \boxed{4}", None),
            (r"\boxed{@} \boxed{4}", None),
            (r"<think>\boxed{5}</think> \boxed{4}", "4"),
            ("4", None),
        ],
    )
    def test_is_none_where_boxes_that_differ_are_rejected(self, text: str, answer: str | None) -> None:
        assert extract_answer(text, on_conflict="reject").text == answer

    def test_names_the_answers_that_differ(self) -> None:
        found = extract_answer(r"\boxed{4} \boxed{5}", on_conflict="reject")
        assert found.why == "the boxes hold different answers: '4' and '5'"

    def test_refuses_another_rule(self) -> None:
        with pytest.raises(ValueError, match="on_conflict must be 'last' or 'reject', got 'first'"):
            extract_answer("", on_conflict="first")  # type: ignore[arg-type]


class TestReferenceAnswer:
    @pytest.mark.parametrize(
        ("truth", "answer"),
        [
            ("42", "42"),
            (" 42\n", "42"),
            ("16 - 3 = 13, so 13 * 2 = 26.\n#### 26", "26"),
            ("#### 1 is wrong\n#### 2", "2"),
            (r"Thus $x = \boxed{\frac{1}{2}}$.", r"\frac{1}{2}"),
            (r"\boxed{1} #### 2", "2"),
            ("#### 1,000", "1,000"),
            ("$5$", "$5$"),
            ("####", ""),
        ],
    )
    def test_is_what_a_worked_solution_ends_in(self, truth: str, answer: str) -> None:
        assert reference_answer(truth) == answer
