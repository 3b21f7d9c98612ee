"""Specification of rewardkit.equivalence.extract: which text is the answer."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardkit.equivalence.extract import last_boxed, reference_answer

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
