"""Specification of rewardkit.regex_match: a pattern found in bounded time."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardkit import ColumnError, Outcome, Reward
from rewardkit.regex_match import RegexMatch, regex_match

BACKTRACKING = r"^(?:a|aa)+$"
HOSTILE = "a" * 5000 + "b"
"""The pattern tries a number of ways that is exponential in the number of letters."""

CONFIGURED = (
    regex_match,
    RegexMatch(pattern=r"\d+ \\ '\""),
    RegexMatch(pattern_key="answer_pattern", mode="match", ignore_case=True, name="shape"),
    RegexMatch(pattern="a.b", dotall=False, multiline=True, section="answer", seconds=0.5),
)


def outcomes(reward: Reward, texts: list[str], **columns: Any) -> list[Outcome]:
    return [row.outcome for row in reward.explain(texts, **columns)]


class TestModes:
    @pytest.mark.parametrize(
        ("mode", "text", "value"),
        [
            ("search", "about 42 of them", 1.0),
            ("search", "none of them", 0.0),
            ("match", "42 of them", 1.0),
            ("match", "about 42", 0.0),
            ("fullmatch", "42", 1.0),
            ("fullmatch", "42 of them", 0.0),
            ("fullmatch", "about 42", 0.0),
        ],
    )
    def test_finds_it_anywhere_at_the_start_or_as_the_whole(self, mode: Any, text: str, value: float) -> None:
        assert RegexMatch(pattern=r"\d+", mode=mode)([text]) == [value]

    @pytest.mark.parametrize("mode", ["match", "fullmatch"])
    def test_outer_white_space_does_not_matter(self, mode: Any) -> None:
        assert RegexMatch(pattern=r"\d+", mode=mode)(["\n 42 \n"]) == [1.0]

    def test_a_pattern_that_spells_out_the_white_space_sees_it(self) -> None:
        assert RegexMatch(pattern=r"\n\d+\n", mode="fullmatch")(["\n42\n", "42"]) == [1.0, 0.0]

    def test_a_dot_matches_line_breaks_unless_told_otherwise(self) -> None:
        text = "<think>1\n2</think>"
        assert RegexMatch(pattern="<think>.*</think>")([text]) == [1.0]
        assert RegexMatch(pattern="<think>.*</think>", dotall=False)([text]) == [0.0]

    def test_anchors_are_the_ends_of_the_text_unless_multiline(self) -> None:
        assert RegexMatch(pattern="^b$")(["a\nb\nc"]) == [0.0]
        assert RegexMatch(pattern="^b$", multiline=True)(["a\nb\nc"]) == [1.0]

    def test_case_counts_unless_ignored(self) -> None:
        assert RegexMatch(pattern="paris")(["PARIS"]) == [0.0]
        assert RegexMatch(pattern="paris", ignore_case=True)(["PARIS"]) == [1.0]

    @given(text=st.text(alphabet="ab1 \n", max_size=30), mode=st.sampled_from(["search", "match", "fullmatch"]))
    @settings(deadline=None, max_examples=60)
    def test_agrees_with_re_on_the_text_or_the_text_without_its_outer_white_space(self, text: str, mode: Any) -> None:
        pattern = "a+.b|1"
        found = any(getattr(re, mode)(pattern, form, re.DOTALL) for form in (text, text.strip()))
        assert RegexMatch(pattern=pattern, mode=mode)([text]) == [float(found)]


class TestSection:
    @pytest.mark.parametrize(
        ("text", "status"),
        [
            ("<answer>42</answer>", "correct"),
            ("<answer>x</answer> <answer>42</answer>", "correct"),  # the last body counts
            ("<answer>42</answer> <answer>x</answer>", "wrong"),
            ("42 <answer>x</answer>", "wrong"),
            ("42", "no_answer"),
            ("<answer>42", "no_answer"),  # cut off by the length limit
            ("<answer> \n</answer>", "no_answer"),
            ("", "no_answer"),
        ],
    )
    def test_the_body_of_the_last_section_is_searched(self, text: str, status: str) -> None:
        (outcome,) = outcomes(RegexMatch(pattern=r"\d+", section="answer"), [text])
        assert (outcome.value, outcome.status) == (float(status == "correct"), status)

    def test_a_message_list_is_judged_by_the_text_of_the_assistant(self) -> None:
        messages = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "<answer>42</answer>"}]
        assert RegexMatch(pattern=r"\d+", mode="fullmatch", section="answer")([messages]) == [1.0]


class TestPatternsOfTheDataSet:
    def test_each_row_has_its_own_and_none_is_not_scored(self) -> None:
        assert regex_match(["a1", "a1", "a1"], pattern=[r"\d", "^1", None]) == [1.0, 0.0, None]
        assert outcomes(regex_match, ["a"], pattern=[None])[0].status == "not_scored"

    def test_a_single_one_holds_for_all_rows(self) -> None:
        assert regex_match(["1", "a"], pattern=r"\d") == [1.0, 0.0]

    def test_the_column_is_named(self) -> None:
        assert RegexMatch(pattern_key="shape")(["1"], shape=[r"\d"], pattern=["x"]) == [1.0]

    def test_the_pattern_is_shown_as_the_reference_with_its_column(self) -> None:
        (outcome,) = outcomes(regex_match, ["1"], pattern=[r"\d"])
        assert (outcome.extracted, outcome.gold, outcome.gold_column) == ("1", r"\d", "pattern")
        assert outcomes(RegexMatch(pattern=r"\d"), ["1"])[0].gold is None

    def test_flags_hold_for_these_patterns_too(self) -> None:
        assert RegexMatch(ignore_case=True)(["PARIS"], pattern=["paris"]) == [1.0]

    @pytest.mark.parametrize(
        ("column", "said"),
        [
            ({}, "column 'pattern' is missing"),
            ({"pattern": ["a"]}, "1 rows for 2 completions"),
            ({"pattern": ["a", "("]}, r"column 'pattern', row 1: pattern '\(' is no regular expression: missing \)"),
            ({"pattern": ["a", ""]}, "row 1: pattern '' matches every text; .* use None"),
            ({"pattern": ["a", 3]}, "row 1: pattern must be text, got int 3"),
            ({"pattern": ["(?aL)x", "a"]}, "row 0: .* incompatible"),
            ({"pattern": ["a{99999999999}", "a"]}, "row 0: .* repeat count too big"),
            ({"pattern": ["(" * 5000 + ")" * 5000, "a"]}, "row 0: .* recursion"),
        ],
    )
    def test_a_row_without_a_pattern_raises_with_its_number(self, column: dict[str, Any], said: str) -> None:
        with pytest.raises(ColumnError, match=said):
            regex_match(["a", "b"], **column)


class TestOutcomes:
    def test_says_what_was_matched_or_what_was_not(self) -> None:
        reward = RegexMatch(pattern=r"\d+")
        found, missed = outcomes(reward, ["about 42 of them", "none"])
        assert (found.status, found.extracted) == ("correct", "42")
        assert (missed.status, missed.detail, missed.extracted) == ("wrong", r"no search of '\\d+'", "none")

    def test_what_was_matched_is_cut(self) -> None:
        assert outcomes(RegexMatch(pattern="a+"), ["a" * 999])[0].extracted == "a" * 200

    @pytest.mark.parametrize("text", ["", " ", "\n\t"])
    def test_the_empty_completion_earns_nothing_even_where_the_pattern_matches_nothing(self, text: str) -> None:
        (outcome,) = outcomes(RegexMatch(pattern=r"\s*", mode="fullmatch"), [text])
        assert (outcome.value, outcome.status) == (0.0, "no_answer")


class TestHostile:
    def test_a_search_that_backtracks_without_end_is_cut_off_and_earns_nothing(self) -> None:
        reward = RegexMatch(pattern=BACKTRACKING, seconds=0.05)
        (outcome,) = outcomes(reward, [HOSTILE])
        assert (outcome.value, outcome.status) == (0.0, "timeout")
        assert outcome.detail == "the pattern took longer than 0.05 s"

    def test_the_other_completions_of_the_batch_are_scored(self) -> None:
        assert RegexMatch(pattern=BACKTRACKING, seconds=0.05)([HOSTILE, "aaa", f"\n{HOSTILE}"]) == [0.0, 1.0, 0.0]

    def test_a_megabyte_is_searched(self) -> None:
        reward = RegexMatch(pattern=r"(\d+)\s*\Z", section="answer")
        assert reward([f"<answer>{'a ' * 500_000}42</answer>", "<answer>" * 125_000]) == [1.0, 0.0]

    @given(text=st.text())
    @settings(deadline=None, max_examples=60)
    def test_any_text_scores(self, text: str) -> None:
        (value,) = RegexMatch(pattern=r"\w+\s\w+")([text])
        assert value in (0.0, 1.0)


class TestWindowsLineBreaks:
    def test_do_not_hide_the_end_of_a_line(self) -> None:
        reward = RegexMatch(pattern=r"^Answer: \d+$", multiline=True)
        assert reward(["1 + 1\r\nAnswer: 2\r\nDone.", "1 + 1\nAnswer: 2\nDone.", "Answer: two\r\n"]) == [1.0, 1.0, 0.0]

    def test_are_seen_by_a_pattern_that_spells_them_out(self) -> None:
        assert RegexMatch(pattern=r"1\r\n2", mode="fullmatch")(["1\r\n2", " 1\r\n2\n", "1\n2"]) == [1.0, 1.0, 0.0]


class TestCheats:
    def test_many_guesses_pass_a_search_and_not_the_whole_match_of_a_section(self) -> None:
        guesses = f"<answer>{' '.join(map(str, range(50)))}</answer>"
        assert RegexMatch(pattern="42")([guesses]) == [1.0]
        assert RegexMatch(pattern="42", mode="fullmatch", section="answer")([guesses]) == [0.0]

    def test_a_pattern_that_can_match_nothing_is_found_in_every_text(self) -> None:
        assert RegexMatch(pattern=r"\d*")(["no digits here"]) == [1.0]


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (lambda: RegexMatch(pattern="("), ValueError, r"pattern '\(' is no regular expression"),
        (lambda: RegexMatch(pattern=""), ValueError, "matches every text"),
        (lambda: RegexMatch(pattern=re.compile("a")), TypeError, "must be text, got Pattern"),
        (lambda: RegexMatch(pattern="a", pattern_key="b"), ValueError, "'a' and pattern_key='b' exclude each other"),
        (lambda: RegexMatch(mode="find"), ValueError, "mode='find' is unknown; use"),
        (lambda: RegexMatch(section="<answer>"), ValueError, "'<answer>' is no tag name"),
        (lambda: RegexMatch(seconds=0), ValueError, "seconds must be a positive number, got 0"),
        (lambda: RegexMatch(seconds=float("inf")), ValueError, "seconds .* got inf"),
    ],
)
def test_a_bad_argument_is_refused_with_its_value_and_the_remedy(
    make: Callable[[], Reward], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        make()


@pytest.mark.parametrize("reward", CONFIGURED, ids=repr)
def test_pickles_hashes_and_prints_as_code(reward: Reward) -> None:
    assert pickle.loads(pickle.dumps(reward)) == reward
    assert eval(repr(reward), {"RegexMatch": RegexMatch}) == reward
    assert isinstance(hash(reward), int)


def test_the_ready_instance_has_the_defaults() -> None:
    assert regex_match == RegexMatch()
    assert regex_match.__name__ == "regex_match"
