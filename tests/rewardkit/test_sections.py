"""Specification of rewardkit.sections: where in a completion to look."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardkit.sections import check_section, final_part, section, tag_body, trimmed

PIECES = ["<think>", "</think>", "<answer>", "</answer>", "a", "b ", "\n"]
near = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


class TestTagBody:
    @pytest.mark.parametrize(
        ("text", "body"),
        [
            ("<answer>1</answer>", "1"),
            ("<answer>1</answer> no, <answer>2</answer>", "2"),
            ("<answer>1</answer> <answer>2", "1"),  # the last pair that is complete
            ("<answer>1</answer>2</answer>", "1"),  # the first close ends it
            ("<answer></answer>", ""),
            ("<answer>1", None),
            ("1</answer>", None),
            ("</answer>1<answer>", None),
            ("1", None),
            ("", None),
        ],
    )
    def test_is_what_the_last_complete_pair_encloses(self, text: str, body: str | None) -> None:
        assert tag_body(text, "answer") == body

    @pytest.mark.parametrize(
        ("text", "body"),
        [
            ("1 + 1</think>2", "1 + 1"),  # the chat template wrote <think> into the prompt
            ("</think>2", ""),
            ("1</think>2</think>3", "1"),
            ("1</think>2<think>3", "1"),
            ("1</think><think>2</think>3", "2"),  # a pair of its own goes before
            ("<think>1</think>2", "1"),
            ("1 <think>2</think>3", "2"),
            ("<think>1", None),
            ("1", None),
        ],
    )
    def test_think_may_be_opened_by_the_prompt(self, text: str, body: str | None) -> None:
        assert tag_body(text, "think") == body

    @given(text=near)
    @settings(deadline=None, max_examples=100)
    def test_reasoning_reads_the_same_whether_prompt_or_completion_opened_it(self, text: str) -> None:
        assert tag_body(f"{text.replace('<think>', '')}</think>2", "think") == tag_body(
            f"<think>{text.replace('<think>', '')}</think>2", "think"
        )

    @given(text=near)
    @settings(deadline=None, max_examples=100)
    def test_the_final_part_holds_no_reasoning(self, text: str) -> None:
        assert tag_body(final_part(text), "think") is None

    @pytest.mark.parametrize("piece", ["<think>", "</think>", "<", "<think></think>", "a"])
    def test_a_megabyte_of_one_piece_is_one_pass(self, piece: str) -> None:
        body = tag_body(piece * (1_000_000 // len(piece)), "think")
        assert body == ("" if "</think>" in piece else None)


class TestSection:
    def test_is_the_whole_text_the_body_or_nothing(self) -> None:
        text = "1</think><answer>2</answer>"
        assert [section(text, tag) for tag in (None, "think", "answer", "proof")] == [text, "1", "2", ""]

    def test_its_name_is_checked(self) -> None:
        for tag in (None, "think", "final_answer"):
            check_section(tag)

    @pytest.mark.parametrize("tag", ["<think>", "</think>", "", "two words", 7])
    def test_what_is_no_name_of_a_tag_is_refused(self, tag: Any) -> None:
        with pytest.raises(ValueError, match="is no tag name; give letters"):
            check_section(tag)


class TestTrimmed:
    @pytest.mark.parametrize("text", ["a b", " a b\n", "\ufeffa b", "\ufeff \n a b", " \ufeff a b "])
    def test_white_space_and_one_byte_order_mark_go(self, text: str) -> None:
        assert trimmed(text) == "a b"

    def test_a_mark_elsewhere_stays(self) -> None:
        assert trimmed("\ufeff\ufeffa\ufeff") == "\ufeffa\ufeff"
