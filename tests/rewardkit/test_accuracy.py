"""Specification of rewardkit.accuracy: the right answer in a box, in a tag, as a letter, a number, a text."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardkit import (
    AnswerAccuracy,
    BoxedAccuracy,
    Budget,
    ChoiceAccuracy,
    ColumnError,
    ExactMatch,
    NumericAccuracy,
    Reward,
    answer_accuracy,
    boxed_accuracy,
    choice_accuracy,
    exact_match,
    numeric_accuracy,
)

ALL = (boxed_accuracy, answer_accuracy, choice_accuracy, numeric_accuracy, exact_match)


def earned(reward: Reward, completion: Any, truth: Any) -> float | None:
    return reward([completion], ground_truth=[truth])[0]


def status(reward: Reward, completion: Any, truth: Any) -> str:
    return reward.explain([completion], ground_truth=[truth])[0].status


class TestBoxedAccuracy:
    @pytest.mark.parametrize(
        ("completion", "truth", "value"),
        [
            (r"\boxed{2}", "2", 1.0),
            (r"\boxed{6}", "5", 0.0),
            (r"\fbox{2}", "2", 1.0),
            (r"first \boxed{3}, no: \boxed{2}", "2", 1.0),
            (r"first \boxed{2}, no: \boxed{3}", "2", 0.0),
            (r"\boxed{\frac{1}{2}}", "0.5", 1.0),
            (r"\boxed{\frac{\frac{1}{2}}{2}}", r"\frac{1}{4}", 1.0),
            (r"\boxed{\{1, 2\}}", r"\{1,2\}", 1.0),
            (r"$$\boxed{2}$$.", "2", 1.0),
            (r"<think>\boxed{2}</think> \boxed{3}", "3", 1.0),
            (r"<think>\boxed{2}</think> It is 2.", "2", 0.0),
            (r"<think>a</think><think>\boxed{2}</think>\boxed{3}", "3", 1.0),
            (r"<think>\boxed{2}", "2", 1.0),  # never closed: there is no part after the reasoning
            (r"\boxed{2", "2", 0.0),
            (r"\boxed{}", "2", 0.0),
            ("2", "2", 0.0),
            ("", "2", 0.0),
            (r"\boxed{2 or 3}", "2", 0.0),
            (r"\boxed{2, 3}", "2", 0.0),
            ([{"role": "assistant", "content": r"\boxed{2}"}], "2", 1.0),
        ],
    )
    def test_pays_for_the_last_box_of_the_final_part(self, completion: Any, truth: str, value: float) -> None:
        assert earned(boxed_accuracy, completion, truth) == value

    @pytest.mark.parametrize(
        "truth",
        [
            "42",
            " 42 ",
            "$42$",
            r"\(42\)",
            r"\boxed{42}",
            r"Six times seven is $\boxed{42}$.",
            "6 * 7 = 42.\n#### 42",
            42,
            42.0,
            ["41", "42"],
            ["#### 42"],
            ("x", 42),
        ],
    )
    def test_reads_every_form_of_a_reference(self, truth: Any) -> None:
        assert earned(boxed_accuracy, r"\boxed{42}", truth) == 1.0
        assert earned(boxed_accuracy, r"\boxed{43}", truth) == 0.0

    @pytest.mark.parametrize(
        ("completion", "truth", "expected"),
        [
            (r"\boxed{2}", "2", "correct"),
            (r"\boxed{3}", "2", "wrong"),
            ("3", "2", "no_answer"),
            (r"\boxed{\frac{}", r"\sqrt{2}", "no_answer"),
            (r"\boxed{@#!}", r"\sqrt{2}", "unparseable_answer"),
            (r"\boxed{2}", "@#!", "unparseable_ground_truth"),
            (r"\boxed{2}", ["@#!", "2"], "correct"),
            (r"\boxed{9^{9^{9^9}}}", r"\sqrt{2}", "undecided"),
            (r"\boxed{3}", None, "not_scored"),
        ],
    )
    def test_says_why(self, completion: str, truth: Any, expected: str) -> None:
        assert status(boxed_accuracy, completion, truth) == expected

    def test_names_the_rung_that_decided_as_detail(self) -> None:
        (outcome,) = boxed_accuracy.explain([r"\boxed{1/2}"], ground_truth="0.5")
        assert outcome.detail == "number: 1/2 = 0.5"

    @pytest.mark.parametrize("value", [None, -0.5, 0.0])
    def test_pays_what_is_told_where_it_could_not_be_decided(self, value: float | None) -> None:
        reward = BoxedAccuracy(budget=Budget(seconds=0.05), on_undecided=value)
        completions = [r"\boxed{9^{9^{9^9}}}", r"\boxed{\int_0^1 \sqrt{\sin x + x^5 e^x}\,dx}"]
        outcomes = reward.explain(completions, ground_truth=r"\sqrt{2}")
        assert [outcome.status for outcome in outcomes] == ["undecided", "timeout"]
        assert [outcome.value for outcome in outcomes] == [value, value]

    def test_decides_integrals_in_a_worker(self) -> None:
        reward = BoxedAccuracy(budget=Budget(seconds=30.0))
        assert earned(reward, r"\boxed{\int_0^1 x^2\,dx}", r"\frac13") == 1.0
        assert earned(reward, r"\boxed{\int_0^1 x^2\,dx}", r"\frac12") == 0.0

    @pytest.mark.parametrize(
        ("tolerance", "completion", "truth", "value"),
        [
            (None, "3.14", r"\pi", 0.0),
            (0.01, "3.14", r"\pi", 1.0),
            (0.001, "3.14", r"\pi", 0.0),
            (0.01, "(0.333, 1)", r"(\frac13, 1)", 1.0),
            (0.01, "x", "1.001x", 0.0),
            (0, "1/2", "0.5", 1.0),
        ],
    )
    def test_accepts_an_absolute_difference(
        self, tolerance: float | None, completion: str, truth: str, value: float
    ) -> None:
        assert earned(BoxedAccuracy(tolerance=tolerance), rf"\boxed{{{completion}}}", truth) == value
        assert earned(AnswerAccuracy(tolerance=tolerance), f"<answer>{completion}</answer>", truth) == value

    @pytest.mark.parametrize("reward_class", [BoxedAccuracy, AnswerAccuracy])
    @pytest.mark.parametrize("tolerance", [-1.0, float("inf"), float("nan")])
    def test_refuses_a_tolerance_that_is_none(self, reward_class: Any, tolerance: float) -> None:
        with pytest.raises(ValueError, match="tolerance must be a finite number >= 0, got"):
            reward_class(tolerance=tolerance)

    @pytest.mark.parametrize(
        ("completion", "last", "reject"),
        [
            (r"\boxed{2}", 1.0, 1.0),
            (r"\boxed{3}, no: \boxed{2}", 1.0, 0.0),
            (r"\boxed{4/2}, that is \boxed{2}", 1.0, 1.0),
            (r"<think>\boxed{3}</think> \boxed{2}", 1.0, 1.0),
            (r"\boxed{2}\boxed{3}", 0.0, 0.0),
        ],
    )
    def test_may_reject_boxes_that_differ(self, completion: str, last: float, reject: float) -> None:
        assert earned(BoxedAccuracy(on_conflict="last"), completion, "2") == last
        assert earned(BoxedAccuracy(on_conflict="reject"), completion, "2") == reject

    @pytest.mark.parametrize("reward_class", [BoxedAccuracy, AnswerAccuracy])
    def test_refuses_another_rule_for_conflicts(self, reward_class: Any) -> None:
        with pytest.raises(ValueError, match="on_conflict must be 'last' or 'reject', got 'first'"):
            reward_class(on_conflict="first")

    def test_says_which_boxes_differ(self) -> None:
        reward = BoxedAccuracy(on_conflict="reject")
        (outcome,) = reward.explain([r"\boxed{3} \boxed{2}"], ground_truth="2")
        assert (outcome.status, outcome.detail) == ("no_answer", "the boxes hold different answers: '3' and '2'")

    @pytest.mark.parametrize("truth", ["", " ", "$$", "####", ["2", ""]])
    def test_refuses_a_reference_without_an_answer(self, truth: Any) -> None:
        with pytest.raises(ColumnError, match=r"row 0 (is blank|holds no answer); fill it, drop the row"):
            earned(boxed_accuracy, r"\boxed{2}", truth)

    @pytest.mark.parametrize(
        "code",
        [
            "__import__('os').system('touch PWNED')",
            r"\text{__import__('os').system('touch PWNED')}",
            "[c for c in ().__class__.__base__.__subclasses__()]",
            "open('PWNED','w')",
            r"\sqrt{exec(\"open('PWNED','w')\")}",
            "'; touch PWNED; '",
            "$(touch PWNED)",
            r"\write18{touch PWNED}",
        ],
    )
    def test_runs_no_code_from_either_side(self, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        assert earned(boxed_accuracy, rf"\boxed{{{code}}}", r"\sqrt{2}") == 0.0
        assert earned(boxed_accuracy, r"\boxed{\sqrt{2}}", code) == 0.0
        for reward in (answer_accuracy, exact_match):
            assert earned(reward, f"<answer>{code}</answer>", r"\sqrt{2}") == 0.0
        assert list(tmp_path.iterdir()) == []


class TestAnswerAccuracy:
    @pytest.mark.parametrize(
        ("completion", "value"),
        [
            ("<answer>42</answer>", 1.0),
            ("<answer>\n 42 \n</answer>", 1.0),
            (r"<answer>It is \boxed{42}.</answer>", 1.0),
            ("<answer>41</answer> no: <answer>42</answer>", 1.0),
            ("<answer>42</answer> no: <answer>41</answer>", 0.0),
            ("<think><answer>42</answer></think><answer>41</answer>", 0.0),
            ("<answer>42</answer> <answer>41", 1.0),
            ("<answer>42", 0.0),
            ("42</answer>", 0.0),
            ("<answer></answer>", 0.0),
            (r"\boxed{42}", 0.0),
            (r"<answer>41} \boxed{42</answer>", 0.0),
            ("<answer>42</answer></answer>", 1.0),
            ("", 0.0),
        ],
    )
    def test_pays_for_the_last_answer_tag(self, completion: str, value: float) -> None:
        assert earned(answer_accuracy, completion, "42") == value

    def test_may_reject_boxes_in_the_tag_that_differ(self) -> None:
        completion = r"<answer>\boxed{41} or \boxed{42}</answer>"
        assert earned(answer_accuracy, completion, "42") == 1.0
        assert earned(AnswerAccuracy(on_conflict="reject"), completion, "42") == 0.0

    def test_takes_another_tag(self) -> None:
        assert earned(AnswerAccuracy(tag="final"), "<answer>1</answer><final>2</final>", "2") == 1.0

    def test_says_when_there_is_no_tag(self) -> None:
        assert status(answer_accuracy, "42", "42") == "no_answer"


class TestChoiceAccuracy:
    @pytest.mark.parametrize(
        "completion",
        [
            r"\boxed{B}",
            r"\boxed{b}",
            r"\boxed{(B)}",
            r"\boxed{B.}",
            r"\boxed{B)}",
            r"\boxed{\text{B}}",
            r"\boxed{\textbf{(B)}}",
            r"\boxed{ B }",
            "<answer>B</answer>",
            "<answer> (b) </answer>",
            r"<answer>\boxed{B}</answer>",
            r"\boxed{A} no, \boxed{B}",
            r"<think>\boxed{A}</think>\boxed{B}",
        ],
    )
    def test_reads_the_usual_ways_to_name_an_option(self, completion: str) -> None:
        assert earned(choice_accuracy, completion, "B") == 1.0

    @pytest.mark.parametrize(
        "completion",
        [
            r"\boxed{A}",
            r"\boxed{A or B}",
            r"\boxed{A, B, C, D}",
            r"\boxed{AB}",
            r"\boxed{BB}",
            r"\boxed{B: 42}",
            r"\boxed{E}",
            r"\boxed{}",
            "<answer>A B C D</answer>",
            "<answer>The answer is B</answer>",
            r"\boxed{A}\boxed{B}\boxed{C}",
            "B",
            "",
        ],
    )
    def test_pays_nothing_for_several_options_or_more_text(self, completion: str) -> None:
        assert earned(choice_accuracy, completion, "B") == 0.0

    @pytest.mark.parametrize("truth", ["B", "b", "(B)", "B.", r"\boxed{B}", "#### B", ["A", "B"]])
    def test_reads_the_reference_alike(self, truth: Any) -> None:
        assert earned(choice_accuracy, r"\boxed{B}", truth) == 1.0
        assert earned(choice_accuracy, r"\boxed{C}", truth) == 0.0

    @pytest.mark.parametrize("truth", ["E", "42", "A or B", ["A", "E"]])
    def test_refuses_a_reference_that_is_no_option(self, truth: Any) -> None:
        with pytest.raises(ColumnError, match=r"column 'ground_truth', row 0 is none of the options .*pass options="):
            earned(choice_accuracy, r"\boxed{A}", truth)

    @pytest.mark.parametrize(
        ("options", "completion", "truth"),
        [
            ("ABCDE", r"\boxed{E}", "E"),
            (("yes", "no"), "<answer>No.</answer>", "no"),
            (("1", "2", "3"), r"\boxed{2}", 2),
            (("АБ", "ВГ"), r"\boxed{вг}", "ВГ"),
            (("α", "β"), r"\boxed{β}", "β"),
            (("π", "50%", "U.S."), r"\boxed{\pi}", "π"),
            (("π", "50%", "U.S."), r"\boxed{50\%}", "50%"),
            (("π", "50%", "U.S."), "<answer>U.S.</answer>", "U.S."),
        ],
    )
    def test_takes_any_alphabet(self, options: Any, completion: str, truth: Any) -> None:
        reward = ChoiceAccuracy(options=options)
        assert earned(reward, completion, truth) == 1.0
        wrong = next(option for option in options if option != str(truth))
        assert earned(reward, rf"\boxed{{{wrong}}}", truth) == 0.0

    @pytest.mark.parametrize("options", ["", "AA", ("a", "A"), ("A", "(a)"), ("A", ""), (1, 2)])
    def test_refuses_options_that_cannot_be_told_apart(self, options: Any) -> None:
        with pytest.raises(ValueError, match="options must"):
            ChoiceAccuracy(options=options)

    @pytest.mark.parametrize(("completion", "value"), [("B", 1.0), ("b", 0.0), ("(B)", 0.0), (" B", 0.0)])
    def test_verbatim_reads_the_declared_spelling_only(self, completion: str, value: float) -> None:
        reward = ChoiceAccuracy(verbatim=True)
        assert earned(reward, rf"\boxed{{{completion}}}", "B") == value

    def test_section_limits_where_a_box_may_stand(self) -> None:
        reward = ChoiceAccuracy(section="answer", tag=None)
        assert earned(reward, r"<answer>\boxed{B}</answer>", "B") == 1.0
        assert earned(reward, r"<answer>A</answer>\boxed{B}", "B") == 0.0
        assert earned(reward, "<answer>B</answer>", "B") == 0.0


class TestNumericAccuracy:
    @pytest.mark.parametrize(
        ("completion", "truth", "value"),
        [
            ("She pays $1,050.", "1050", 1.0),
            ("3 + 4 = 7", 7, 1.0),
            ("3 + 4 = 7, so not 8", 7, 0.0),
            (r"\boxed{7}. That is 3 more than 4.", 7, 1.0),
            (r"\boxed{x = 7}. That is 3 more than 4.", 7, 1.0),
            ("<answer>7</answer> of 9", 7, 1.0),
            ("<answer>7 apples and 9 pears</answer>", 9, 1.0),
            ("<think>7</think> none", 7, 0.0),
            ("about 50%", "0.5", 1.0),
            ("about 1/2", "50%", 1.0),
            ("0.333", "1/3", 0.0),
            ("1.5e3", "1500", 1.0),
            ("-7", "7", 0.0),
            ("x=-7", "-7", 1.0),
            ("no number", "7", 0.0),
            ("", "7", 0.0),
            ("7", ["6", "7"], 1.0),
            (r"\boxed{10\text{ cm}}", "10 miles", 0.0),
        ],
    )
    def test_pays_for_the_last_number(self, completion: str, truth: Any, value: float) -> None:
        assert earned(numeric_accuracy, completion, truth) == value

    @pytest.mark.parametrize(
        ("tolerance", "completion", "truth", "value"),
        [
            (0.01, "3.14", "3.1416", 1.0),
            (0.001, "3.14", "3.1416", 0.0),
            (0.5, "3", "3.5", 1.0),
            (0.5, "3", "3.51", 0.0),
            (0.01, "49.5%", "0.5", 1.0),
            (0.5, r"\boxed{10\text{ cm}}", "10 miles", 0.0),
        ],
    )
    def test_accepts_an_absolute_difference(self, tolerance: float, completion: str, truth: str, value: float) -> None:
        assert earned(NumericAccuracy(tolerance=tolerance), completion, truth) == value

    @pytest.mark.parametrize("tolerance", [-1.0, float("inf"), float("nan")])
    def test_refuses_a_tolerance_that_is_none(self, tolerance: float) -> None:
        with pytest.raises(ValueError, match="tolerance must be a finite number >= 0, got"):
            NumericAccuracy(tolerance=tolerance)

    @pytest.mark.parametrize("truth", ["seven", "x + 1", ["7", "x"]])
    def test_refuses_a_reference_that_is_no_number(self, truth: Any) -> None:
        with pytest.raises(ColumnError, match="row 0 is not a number; use boxed_accuracy"):
            earned(numeric_accuracy, "7", truth)

    @given(st.integers(-(10**12), 10**12), st.sampled_from(["It is {}.", "{}", "So {:,} in all", r"\boxed{{{}}}"]))
    def test_finds_any_number_it_is_given(self, number: int, template: str) -> None:
        assert earned(numeric_accuracy, template.format(number), number) == 1.0
        assert earned(numeric_accuracy, template.format(number), number + 1) == 0.0


class TestExactMatch:
    @pytest.mark.parametrize(
        ("reward", "completion", "truth", "value"),
        [
            (exact_match, "Paris", "Paris", 1.0),
            (exact_match, " Paris\n", "Paris", 1.0),
            (exact_match, "paris", "Paris", 0.0),
            (exact_match, "In Paris", "Paris", 0.0),
            (exact_match, "<think>London</think>\nParis", "Paris", 1.0),
            (exact_match, "5", 5, 1.0),
            (exact_match, "5.0", 5, 0.0),
            (exact_match, "Paris", ["Rome", "Paris"], 1.0),
            (ExactMatch(ignore_case=True), "PARIS", "Paris", 1.0),
            (ExactMatch(ignore_case=True), "STRASSE", "straße", 1.0),
            (ExactMatch(tag="answer"), "Well: <answer> Paris </answer>.", "Paris", 1.0),
            (ExactMatch(tag="answer"), "Paris", "Paris", 0.0),
            (ExactMatch(transform=str.upper), "paris", "Paris", 1.0),
        ],
    )
    def test_pays_for_the_very_text(self, reward: Reward, completion: str, truth: Any, value: float) -> None:
        assert earned(reward, completion, truth) == value


HUGE = {
    "letters": "a" * 5_000_000,
    "long box": r"\boxed{" + "1" * 5_000_000 + "}",
    "nested braces": r"\boxed{" + r"\boxed{" * 100_000 + "{" * 100_000 + "2" + "}" * 200_000 + "}",
    "tags": "<answer>" * 100_000 + "</answer>" * 100_000,
    "closed thoughts": "</think>" * 100_000,
    "backslashes": r"\boxed{2}" + "\\" * 1_000_000,
    "thousands": ",111" * 250_000,
}


@pytest.mark.parametrize("reward", ALL, ids=repr)
@pytest.mark.parametrize("name", HUGE)
def test_megabytes_are_read_in_linear_time(reward: Reward, name: str) -> None:
    truth = "B" if isinstance(reward, ChoiceAccuracy) else "7"
    started = time.process_time()
    assert earned(reward, HUGE[name], truth) == 0.0
    assert time.process_time() - started < 10  # quadratic work would take minutes


near = st.lists(st.sampled_from([r"\boxed{", "}", "<answer>", "</answer>", "</think>", "8", "\\", "{", "\n"])).map(
    "".join
)


@pytest.mark.parametrize("reward", ALL, ids=repr)
@given(text=st.text() | near)
def test_no_text_raises_and_none_earns_more_than_one(reward: Reward, text: str) -> None:
    truth = "B" if isinstance(reward, ChoiceAccuracy) else "7"
    assert earned(reward, text, truth) in (0.0, 1.0)


@pytest.mark.parametrize("reward", ALL, ids=repr)
@given(text=near)
def test_markup_without_the_answer_is_never_paid(reward: Reward, text: str) -> None:
    truth = "B" if isinstance(reward, ChoiceAccuracy) else "7"
    assert earned(reward, text, truth) == 0.0


@pytest.mark.parametrize("reward", ALL, ids=repr)
def test_the_empty_completion_earns_nothing_and_says_so(reward: Reward) -> None:
    truth = "B" if isinstance(reward, ChoiceAccuracy) else "7"
    (outcome,) = reward.explain([""], ground_truth=[truth])
    assert (outcome.value, outcome.status in ("no_answer", "wrong")) == (0.0, True)
