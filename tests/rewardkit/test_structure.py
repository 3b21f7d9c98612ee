"""Specification of rewardkit.structure: strict, soft and counted formats."""

from __future__ import annotations

import pickle
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rewardkit
from rewardkit import (
    Reward,
    SoftFormat,
    StrictFormat,
    TagCount,
    XmlCount,
    soft_format,
    strict_format,
    tag_count,
    xml_count,
)

RIGHT = "<think>\n1+1\n</think>\n<answer>\n2\n</answer>"
ALL = (strict_format, soft_format, tag_count, xml_count)
LOOSE = StrictFormat(newlines=False)
PREFILLED = StrictFormat(prefilled=True)

CONFIGURED = (
    *ALL,
    StrictFormat(tags=["answer"], newlines=False, answer_pattern=r"-?\d+", prefilled=True, name="integer"),
    SoftFormat(tags=["a", "b", "c"], answer_pattern="[A-D]"),
    TagCount(tags=["reasoning", "answer"], newlines=False),
    XmlCount(pieces=["<a>\n", "\n</a>"], credit=0.25, charge=0.01, floor=-1.0, free=1),
)

# Texts near the format: fragments that a policy under training glues together.
FRAGMENTS = ["<think>", "</think>", "<answer>", "</answer>", "\n", " ", "2", "\u200b", "é", "<", RIGHT]
near = st.lists(st.sampled_from(FRAGMENTS), max_size=14).map("".join)
texts = near | st.text()


def detail(reward: Reward, text: str) -> str:
    return reward.explain([text])[0].detail


def calls(function: Callable[[], Any]) -> int:
    """How many Python and C functions run: the number of passes over the text, whatever the machine."""
    count = 0

    def count_one(_frame: Any, event: str, _arg: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count_one)
    try:
        function()
    finally:
        sys.setprofile(before)
    return count


class TestStrictFormat:
    @pytest.mark.parametrize(
        "text",
        [RIGHT, f"\n  {RIGHT}\n\n", RIGHT.replace("1+1", "1\n\n+\n1"), RIGHT.replace("2", "\n 2 \n")],
    )
    def test_pays_for_the_whole_layout_whatever_white_space_surrounds_it(self, text: str) -> None:
        assert strict_format([text]) == [1.0]

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ("", "no <think>"),
            ("2", "no <think>"),
            ("<answer>\n2\n</answer>", "no <think>"),
            (RIGHT.replace("</think>", ""), "no </think>"),
            (RIGHT.replace("</answer>", ""), "no </answer>"),
            (RIGHT.replace("think", "Think"), "no <think>"),
            (RIGHT + "\n</answer>", "</answer> occurs 2 times"),
            (RIGHT + "\n" + RIGHT, "<think> occurs 2 times"),
            (RIGHT + "\n<answer>\n3\n</answer>", "<answer> occurs 2 times"),
            (RIGHT.replace("1+1", "<think>\n1+1\n</think>"), "<think> occurs 2 times"),
            (RIGHT.replace("1+1", "I close with </think>"), "</think> occurs 2 times"),
            (RIGHT.replace("1+1", "<answer>\n2\n</answer>"), "<answer> occurs 2 times"),
            ("<answer>\n2\n</answer>\n<think>\n1\n</think>", "<answer> stands before </think>"),
            ("</think>\n1\n<think>\n<answer>\n2\n</answer>", "</think> stands before <think>"),
            ("<think>\n<answer>\n1\n</think>\n2\n</answer>", "<answer> stands before </think>"),
            ("Sure!\n" + RIGHT, "text before <think>"),
            (RIGHT + "\ntrailing garbage", "text after </answer>"),
            (RIGHT + ".", "text after </answer>"),
            (RIGHT.replace("</think>\n", "</think>\nSo\n"), "text between </think> and <answer>"),
            (
                RIGHT.replace("</think>\n", "</think>\n\n"),
                "not exactly one line break between </think> and <answer>",
            ),
            (
                RIGHT.replace("</think>\n", "</think>"),
                "not exactly one line break between </think> and <answer>",
            ),
            (
                RIGHT.replace("</think>\n", "</think> "),
                "not exactly one line break between </think> and <answer>",
            ),
            (RIGHT.replace("1+1", ""), "empty <think>"),
            (RIGHT.replace("\n1+1\n", ""), "empty <think>"),
            (RIGHT.replace("2", " \t\u00a0"), "empty <answer>"),
            (RIGHT.replace("<think>\n", "<think>"), "no line break after <think>"),
            (RIGHT.replace("\n</think>", "</think>"), "no line break before </think>"),
            (RIGHT.replace("<answer>\n", "<answer> "), "no line break after <answer>"),
            (RIGHT.replace("\n</answer>", "</answer>"), "no line break before </answer>"),
        ],
    )
    def test_pays_nothing_else_and_says_the_first_fault(self, text: str, fault: str) -> None:
        (outcome,) = strict_format.explain([text])
        assert (outcome.value, outcome.status, outcome.detail) == (0.0, "wrong", fault)

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("<think>1+1</think><answer>2</answer>", 1.0),
            ("<think>1+1</think> \n\n <answer>2</answer>", 1.0),
            (RIGHT, 1.0),
            ("<think> </think><answer>2</answer>", 0.0),
            ("<think>1+1</think>So<answer>2</answer>", 0.0),
            ("<think>1+1</think><answer>2</answer></answer>", 0.0),
        ],
    )
    def test_without_newlines_only_the_tags_and_their_bodies_matter(self, text: str, value: float) -> None:
        assert LOOSE([text]) == [value]

    @pytest.mark.parametrize("reward", [soft_format, LOOSE])
    def test_the_classic_conversational_example_is_judged_by_its_tags(self, reward: Reward) -> None:
        completions = [
            [{"role": "assistant", "content": "<think>Add them up.</think><answer>4</answer>"}],
            [{"role": "assistant", "content": "Add them up. It is 4."}],
        ]
        assert reward(completions=completions, prompts=None) == [1.0, 0.0]

    @pytest.mark.parametrize("tags", [["a"], ["a", "b", "c"], ["plan", "self-check", "final_answer"]])
    def test_takes_any_number_of_tags(self, tags: list[str]) -> None:
        reward = StrictFormat(tags=tags)
        right = "\n".join(f"<{tag}>\nbody\n</{tag}>" for tag in tags)
        assert reward([right]) == [1.0]
        for tag in tags:
            assert reward([right.replace(f"</{tag}>", "")]) == [0.0]

    @pytest.mark.parametrize(
        ("answer", "value"),
        [("42", 1.0), ("  42  ", 1.0), ("-7", 1.0), ("42 or 43", 0.0), ("42\n43", 0.0), ("x", 0.0)],
    )
    def test_answer_pattern_must_match_the_whole_body_of_the_last_tag(self, answer: str, value: float) -> None:
        text = RIGHT.replace("1+1", "7").replace("\n2\n", f"\n{answer}\n")
        assert StrictFormat(answer_pattern=r"-?\d+")([text]) == [value]
        assert StrictFormat(answer_pattern=r"-?\d+", newlines=False)([text]) == [value]

    def test_names_the_pattern_that_was_not_matched(self) -> None:
        fault = detail(StrictFormat(answer_pattern="[A-D]"), RIGHT)
        assert fault == "the answer does not match '[A-D]'"

    def test_does_not_try_the_pattern_on_a_wrong_layout(self) -> None:
        assert detail(StrictFormat(answer_pattern="[A-D]"), RIGHT + "!") == "text after </answer>"

    def test_a_pattern_that_explodes_on_a_hostile_answer_is_stopped(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("rewardkit.structure.PATTERN_SECONDS", 0.05)
        hostile = RIGHT.replace("\n2\n", f"\n{'a' * 200}\n")
        (outcome,) = StrictFormat(answer_pattern="(?:a|aa)+b").explain([hostile])
        assert (outcome.value, outcome.status) == (0.0, "timeout")
        assert "0.05 s" in outcome.detail

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            (RIGHT.removeprefix("<think>\n"), 1.0),
            (RIGHT, 1.0),
            ("\n" + RIGHT, 1.0),
            ("\n" + RIGHT.removeprefix("<think>\n"), 1.0),
            (RIGHT.removeprefix("<think>\n1+1"), 0.0),  # nothing was reasoned
            ("1+1\n" + RIGHT, 0.0),  # the opening is there twice
            ("", 0.0),
        ],
    )
    def test_prefilled_starts_inside_the_first_body(self, text: str, value: float) -> None:
        assert PREFILLED([text]) == [value]

    @pytest.mark.parametrize("text", ["1+1</think><answer>2</answer>", "<think>1+1</think><answer>2</answer>"])
    def test_prefilled_without_newlines_needs_no_line_break(self, text: str) -> None:
        assert StrictFormat(prefilled=True, newlines=False)([text]) == [1.0]

    def test_not_prefilled_wants_the_first_opening_tag(self) -> None:
        assert detail(strict_format, RIGHT.removeprefix("<think>\n")) == "no <think>"

    @given(text=texts)
    @settings(deadline=None)
    def test_agrees_with_a_grammar_written_as_a_regular_expression(self, text: str) -> None:
        body = r"\n((?:(?!</?(?:think|answer)>)[\s\S])*)\n"
        grammar = re.fullmatch(
            rf"\s*<think>{body}</think>\n<answer>{body}</answer>\s*", text
        )  # a twin that may backtrack: these texts are short
        expected = grammar is not None and all(group.strip() for group in grammar.groups())
        assert strict_format([text]) == [float(expected)]


class TestSoftFormat:
    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            (RIGHT, ""),
            ("Hm. <think>1+1</think> So <answer>2</answer>, I say.", ""),
            ("</answer><think>1+1</think></think><answer>2</answer></answer>", ""),
            ("<answer>9</answer><think>1+1</think><answer>2</answer>", ""),
            ("", "no <think>"),
            ("1+1</think><answer>2</answer>", "no <think>"),
            ("<think>1+1<answer>2</answer>", "no </think> after <think>"),
            ("</think><think>1+1<answer>2</answer>", "no </think> after <think>"),
            ("<think>1+1</think> 2", "no <answer> after </think>"),
            ("<answer>2</answer><think>1+1</think>", "no <answer> after </think>"),
            ("<think>1+1<answer>2</answer></think>", "no <answer> after </think>"),
            ("<think>1+1</think><answer>2", "no </answer> after <answer>"),
            ("<think></think><answer>2</answer>", "empty <think>"),
            ("<think>1</think><answer> \n </answer>", "empty <answer>"),
            ("<think></think><think>1</think><answer>2</answer>", "empty <think>"),
        ],
    )
    def test_looks_for_each_pair_in_order_and_says_what_is_missing(self, text: str, fault: str) -> None:
        (outcome,) = soft_format.explain([text])
        assert (outcome.value, outcome.detail) == (float(not fault), fault)
        assert outcome.status == ("wrong" if fault else "correct")

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            (r"<think>A?</think><answer> B </answer>", 1.0),
            (r"<think>A</think><answer>B or C</answer>", 0.0),
            (r"<think>A</think><answer>BC</answer><answer>B</answer>", 0.0),  # the first pair is judged
            (r"<think><answer>BC</answer></think><answer>B</answer>", 1.0),  # after the reasoning
        ],
    )
    def test_answer_pattern_is_matched_with_the_last_section_of_the_scan(self, text: str, value: float) -> None:
        assert SoftFormat(answer_pattern="[A-D]")([text]) == [value]

    @given(text=texts)
    @settings(deadline=None)
    def test_what_is_strictly_right_is_softly_right(self, text: str) -> None:
        for tags in (("think", "answer"), ("answer",)):
            for newlines in (True, False):
                strict = StrictFormat(tags=tags, newlines=newlines)([text])[0]
                assert SoftFormat(tags=tags)([text])[0] >= strict

    @given(text=texts, before=st.text(alphabet="a<>\n"), after=texts)
    @settings(deadline=None)
    def test_text_around_a_right_completion_changes_nothing(self, text: str, before: str, after: str) -> None:
        if soft_format([text]) == [1.0]:
            assert soft_format([before + text + after]) == [1.0]


class TestTagCount:
    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("", 0),
            (RIGHT, 4),
            ("<think>\n", 1),
            ("<think>\n1\n</think>\n", 2),
            ("<think>1</think><answer>2</answer>", 0),
            (RIGHT.replace("<answer>\n", "<answer>"), 3),
            (RIGHT + RIGHT, 0),
            (RIGHT + "\n</answer>" * 7, 3),
            ("<think>\n" * 1000, 0),
        ],
    )
    def test_pays_a_quarter_for_each_piece_that_occurs_exactly_once(self, text: str, found: int) -> None:
        assert tag_count([text]) == [0.25 * found]

    @pytest.mark.parametrize("tags", [["a"], ["a", "b", "c"], list("abcdefg")])
    def test_all_pieces_sum_to_exactly_one_for_any_number_of_tags(self, tags: list[str]) -> None:
        right = "\n".join(f"<{tag}>\nbody\n</{tag}>" for tag in tags)
        assert TagCount(tags=tags)([right, right.replace(f"<{tags[0]}>", "")]) == [
            1.0,
            (2 * len(tags) - 1) / (2 * len(tags)),
        ]

    def test_without_newlines_counts_the_bare_tags(self) -> None:
        bare = TagCount(newlines=False)
        assert bare(["<think>1</think><answer>2</answer>", "<think>1</think><think>"]) == [1.0, 0.25]

    def test_says_which_pieces_are_off(self) -> None:
        fault = detail(TagCount(newlines=False), "<think><think></think><answer>")
        assert fault == "'<think>' occurs 2 times, no '</answer>'"


class TestXmlCount:
    @pytest.mark.parametrize(
        ("text", "hits", "extra"),
        [
            ("", 0, 0),
            (RIGHT, 4, 0),
            (RIGHT + "\n", 4, 1),
            (RIGHT + " and more", 4, 9),
            ("<think>\nlong " + "x" * 5000, 1, 0),  # the end is missing, so nothing is after it
            (RIGHT + "\n</answer>..", 3, 2),  # counted after the last end
            (RIGHT + "x" * 10_000, 4, 10_000),
            ("\n</answer>" * 500, 0, 0),
        ],
    )
    def test_is_credit_per_piece_less_charge_per_character_after_the_end(
        self, text: str, hits: int, extra: int
    ) -> None:
        assert xml_count([text]) == [max(0.0, 0.125 * hits - 0.001 * extra)]
        assert XmlCount(free=1)([text]) == [max(0.0, 0.125 * hits - 0.001 * max(0, extra - 1))]
        assert XmlCount(floor=-3.0)([text]) == [max(-3.0, 0.125 * hits - 0.001 * extra)]

    @pytest.mark.parametrize(
        ("text", "hits", "extra"),
        [
            ("<reasoning>\n1\n</reasoning>\n<answer>\n\\boxed{A}\n</answer>", 3, 0),
            ("<reasoning>\n1\n</reasoning>\n<answer>\n\\boxed{A}\n</answer>\nand so on", 3, 10),
            ("<reasoning>\n1", 1, 0),
            ("<reasoning>1</reasoning>\n</answer>abc", 1, 3),
        ],
    )
    def test_counts_any_pieces(self, text: str, hits: int, extra: int) -> None:
        pieces = ["<reasoning>\n", "\n</reasoning>\n", "\n</answer>"]
        expected = max(0.0, 0.125 * hits - 0.001 * max(0, extra - 1))
        assert XmlCount(pieces=pieces, free=1)([text]) == [expected]

    def test_without_newlines_counts_the_bare_tags(self) -> None:
        assert XmlCount(newlines=False)(["<think>1</think><answer>2</answer>"]) == [4 * 0.125]

    def test_says_what_was_missing_and_what_was_charged(self) -> None:
        text = RIGHT.replace("<think>\n", "") + "abc"
        assert detail(xml_count, text) == "no '<think>\\n'; 3 characters after '\\n</answer>'"

    @given(text=texts, free=st.integers(0, 20), floor=st.floats(-1, 0.2))
    @settings(deadline=None)
    def test_stays_between_its_floor_and_full_credit(self, text: str, free: int, floor: float) -> None:
        (value,) = XmlCount(free=free, floor=floor)([text])
        assert value is not None
        assert floor <= value <= 4 * 0.125


class TestAll:
    @given(text=texts)
    @settings(deadline=None)
    def test_any_text_scores_within_zero_and_one_and_every_fault_is_said(self, text: str) -> None:
        for reward in (*ALL, LOOSE, PREFILLED):
            (outcome,) = reward.explain([text])
            assert outcome.value is not None
            assert 0.0 <= outcome.value <= 1.0
            assert outcome.detail or outcome.value in (0.5, 1.0)

    @given(text=texts)
    @settings(deadline=None)
    def test_a_string_and_a_message_of_the_same_text_score_the_same(self, text: str) -> None:
        for reward in CONFIGURED:
            assert reward([text]) == reward([[{"role": "assistant", "content": text}]])

    @pytest.mark.parametrize("reward", CONFIGURED, ids=repr)
    def test_pickles_hashes_and_prints_as_code(self, reward: Reward) -> None:
        assert pickle.loads(pickle.dumps(reward)) == reward
        assert eval(repr(reward), vars(rewardkit).copy()) == reward
        assert hash(replace(reward)) == hash(reward)

    def test_lists_and_tuples_of_tags_make_equal_rewards(self) -> None:
        assert StrictFormat(tags=["think", "answer"]) == strict_format
        assert XmlCount(pieces=["a"]) == XmlCount(pieces=("a",))

    @pytest.mark.parametrize("reward", ALL, ids=repr)
    def test_the_empty_batch_is_the_empty_list(self, reward: Reward) -> None:
        assert reward([]) == []

    @pytest.mark.parametrize("reward", [*ALL, LOOSE, PREFILLED], ids=repr)
    @pytest.mark.parametrize(
        "unit",
        ["<think>", "</answer>", "\n", "<", "\n</think>\n", RIGHT, "<think>\n<answer>\n", "\n</answer>"],
    )
    @pytest.mark.parametrize("position", ["alone", "before", "inside", "after"])
    def test_megabytes_of_spam_cost_a_handful_of_passes(self, reward: Reward, unit: str, position: str) -> None:
        spam = unit * (2_000_000 // len(unit))
        hostile = {
            "alone": spam,
            "before": spam + RIGHT,
            "inside": RIGHT.replace("1+1", f"1{spam}1"),
            "after": RIGHT + spam,
        }[position]
        reward(["warm"])
        assert calls(lambda: reward([hostile])) < 150

    @pytest.mark.parametrize(
        ("make", "error", "said"),
        [
            (lambda: StrictFormat(tags="think"), TypeError, r"tags=\(\"think\",\)"),
            (lambda: SoftFormat(tags=[]), ValueError, "tags is empty"),
            (lambda: TagCount(tags=["<think>"]), ValueError, "'<think>' is no tag name"),
            (lambda: TagCount(tags=["a b"]), ValueError, "'a b' is no tag name"),
            (lambda: TagCount(tags=["a\n"]), ValueError, r"'a\\n' is no tag name"),
            (lambda: TagCount(tags=["1st"]), ValueError, "'1st' is no tag name"),
            (lambda: XmlCount(tags=["a", "a"]), ValueError, "'a' is listed 2 times"),
            (lambda: XmlCount(pieces="abc"), TypeError, "'abc'; put it in a list"),
            (lambda: XmlCount(pieces=[]), ValueError, "pieces is empty"),
            (lambda: XmlCount(pieces=["a", ""]), ValueError, "pieces holds ''"),
            (lambda: XmlCount(pieces=["a", "a"]), ValueError, "'a' is listed 2 times"),
            (lambda: XmlCount(credit=0.0), ValueError, "credit .* got 0.0"),
            (lambda: XmlCount(credit=float("nan")), ValueError, "credit .* got nan"),
            (lambda: XmlCount(charge=-0.1), ValueError, "charge .* got -0.1; it is subtracted"),
            (lambda: XmlCount(floor=float("-inf")), ValueError, "floor .* got -inf"),
            (lambda: XmlCount(free=-1), ValueError, "free .* got -1"),
            (lambda: StrictFormat(answer_pattern="(a"), ValueError, r"'\(a' is no regular expression"),
            (lambda: SoftFormat(answer_pattern="[a"), ValueError, r"'\[a' is no regular expression"),
        ],
    )
    def test_a_bad_argument_is_refused_with_its_value_and_the_remedy(
        self, make: Callable[[], Reward], error: type[Exception], said: str
    ) -> None:
        with pytest.raises(error, match=said):
            make()
