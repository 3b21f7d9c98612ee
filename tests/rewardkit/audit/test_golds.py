"""Specification of rewardkit.audit.audit: does each reference earn its own reward, and no other's?"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from rewardkit import (
    BoxedAccuracy,
    GroupLength,
    NgramDiversity,
    RewardFunction,
    answer_accuracy,
    boxed_accuracy,
    choice_accuracy,
    combine,
    cosine_length,
    exact_match,
    max_of,
    numeric_accuracy,
    presets,
    product,
    reward,
    route,
    soft_format,
    strict_format,
)
from rewardkit.audit import GoldAudit, audit
from rewardkit.audit.gold_report import GoldFinding
from rewardkit.contract import as_code
from rewardkit.sandbox.code_tests import CodeTests

from .data import choices, mixed, plain_sums, solutions, sums
from .planted import any_number, gold_is_in_it, obedient_judge_async
from .sound import SOUND, Sound


def kinds(found: GoldAudit) -> list[tuple[int | None, str]]:
    return [(finding.row, finding.kind) for finding in found.findings]


@pytest.mark.parametrize("case", SOUND, ids=[case.what for case in SOUND])
def test_every_reference_earns_its_reward_in_a_sound_stack(case: Sound) -> None:
    rows = [{**row, "ground_truth": row["answer"]} for row in case.data()]
    found = audit(case.stack, rows)
    assert (kinds(found), found.earned, found.rows) == ([], len(rows), len(rows))
    assert found.ok
    assert found.exit_status == 0


class TestTheHonestCompletion:
    @pytest.mark.parametrize(
        ("stack", "form"),
        [
            (boxed_accuracy, "…\n\\boxed{…}"),
            (combine(boxed_accuracy, gate=strict_format), "<think>\n…\n</think>\n<answer>\n\\boxed{…}\n</answer>"),
            (boxed_accuracy + soft_format, "<think>\n…\n</think>\n<answer>\n\\boxed{…}\n</answer>"),
            (answer_accuracy, "…\n<answer>\n\\boxed{…}\n</answer>"),
            (exact_match, "…"),
            (presets.dapo_accuracy.named("d"), "…\n\\boxed{…}"),
            (presets.sudoku_choice, "<reasoning>\n…\n</reasoning>\n<answer>\n\\boxed{…}\n</answer>"),
            (presets.willccb_gsm8k, "<reasoning>\n…\n</reasoning>\n<answer>\n…\n</answer>\n"),
        ],
    )
    def test_has_the_form_that_the_stack_pays_most(self, stack: RewardFunction, form: str) -> None:
        rows = [{**row, "ground_truth": row["answer"]} for row in choices(4)]
        assert audit(stack, rows).forms == (form,)

    def test_is_found_for_each_kind_of_row(self) -> None:
        stack = route("task", {"math": boxed_accuracy, "choice": choice_accuracy, "text": exact_match})
        found = audit(stack, mixed())
        assert found.ok
        assert set(found.forms) == {"…\n\\boxed{…}", "…"}

    def test_may_be_a_template(self) -> None:
        def dotted(completions: list[str], answer: list[str], **kwargs: Any) -> list[float]:
            return [float(f"...{gold}..." in text) for text, gold in zip(completions, answer, strict=True)]

        assert audit(dotted, plain_sums(), template="...{answer}...").ok
        assert audit(dotted, plain_sums()).counts == {"not earned": 40}

    def test_is_code_where_the_reference_is(self) -> None:
        pytest.importorskip("resource", reason="the sandbox needs POSIX")
        rows = [
            {"solution": "def add(a, b):\n    return a + b", "tests": ["assert add(1, 2) == 3"]},
            {"solution": "def sub(a, b):\n    return a + b", "tests": ["assert sub(1, 2) == -1"]},
        ]
        assert kinds(audit(CodeTests(mode="all"), rows)) == [(1, "not earned")]


class TestProblems:
    def test_a_reference_that_does_not_earn_its_reward(self) -> None:
        pytest.importorskip("math_verify", reason="needs math-verify (the extra `trl`)")
        rows = [{"solution": gold} for gold in (r"3\sqrt{13}", "3", "[1,2)", "$5$")]
        found = audit(presets.trl_accuracy, rows)
        assert kinds(found) == [(0, "not earned"), (0, "accepted"), (2, "not earned")]
        assert found.findings[0].status == "wrong"
        assert found.findings[2].status == "unparseable_ground_truth"
        assert found.earned == 2

    def test_in_a_plain_function_one_that_earns_no_more_than_a_wrong_answer(self) -> None:
        found = audit(soft_format, plain_sums(3))
        assert [finding.kind for finding in found.findings] == ["not earned"] * 3
        assert found.findings[0].detail == "it earns 1, the wrong answer '21' 1"

    def test_an_unparseable_reference(self) -> None:
        found = audit(boxed_accuracy, {"answer": ["1", r"\begin{cases}1\\2\end{cases}"]})
        assert kinds(found) == [(1, "unparseable")]
        assert audit(exact_match, {"answer": ["1", r"\begin{cases}1\\2\end{cases}"]}).ok  # text needs no parsing

    @pytest.mark.parametrize("blank", ["", "  ", "\n"])
    def test_an_empty_reference(self, blank: str) -> None:
        found = audit(boxed_accuracy, {"answer": ["1", blank]})
        assert kinds(found) == [(1, "empty")]
        assert "fill it, or set it to None" in found.findings[0].detail

    def test_a_row_that_raises_does_not_hide_the_next(self) -> None:
        found = audit(choice_accuracy, {"answer": ["E", "A", "F", "B", "G"]})
        assert kinds(found) == [(0, "raises"), (2, "raises"), (4, "raises")]
        assert "row 4 is none of the options" in found.findings[2].detail
        assert found.earned == 2

    def test_a_missing_column_is_said_once(self) -> None:
        @reward
        def cites(completion: str, source: str) -> bool:
            return source in completion

        for stack, rows in ((boxed_accuracy, [{"question": "?"}] * 3), (boxed_accuracy + cites, plain_sums())):
            found = audit(stack, rows)
            assert kinds(found) == [(None, "missing")]
            assert "column" in found.findings[0].detail
            assert found.exit_status == 1

    def test_another_row_s_different_reference_is_accepted(self) -> None:
        rows = {"answer": ["1", "11", "2"]}
        (finding,) = audit(gold_is_in_it, rows).findings
        assert (finding.row, finding.kind) == (0, "accepted")
        assert finding.detail == "the different answer '11' of another row is accepted"
        assert kinds(audit(BoxedAccuracy(tolerance=1.0), rows)) == [(0, "accepted"), (2, "accepted")]

    def test_the_same_answer_in_another_spelling_is_no_finding(self) -> None:
        assert audit(boxed_accuracy, {"answer": ["1/2", "0.5", r"\frac{1}{2}", "50%"]}).ok

    def test_every_accepted_reference_of_a_list_must_earn_it(self) -> None:
        assert audit(boxed_accuracy, {"answer": [["1/2", "0.5"], "3"]}).ok

        def first_only(completions: list[str], answer: list[list[str]], **kwargs: Any) -> list[float]:
            return [float(golds[0] in text) for text, golds in zip(completions, answer, strict=True)]

        found = audit(first_only, {"answer": [["7", "8"]]})
        assert [(finding.row, finding.gold) for finding in found.findings] == [(0, "8")]


class TestNotes:
    def test_ambiguous_references_are_told_and_pass(self) -> None:
        found = audit(boxed_accuracy, {"answer": ["4 or 5", "70,110", "6"]})
        assert kinds(found) == [(0, "ambiguous"), (1, "ambiguous")]
        assert found.ok

    def test_none_is_not_scored(self) -> None:
        found = audit(boxed_accuracy, {"answer": ["4", None]})
        assert kinds(found) == [(1, "not scored")]
        assert found.ok


@pytest.mark.parametrize(
    "stack",
    [
        2.0 * boxed_accuracy,
        max_of(boxed_accuracy, numeric_accuracy),
        product(boxed_accuracy, strict_format),
        strict_format.gate(boxed_accuracy),
        boxed_accuracy.map(float),
        cosine_length,
        boxed_accuracy + GroupLength(num_generations=4) + NgramDiversity(within="group"),
        combine(obedient_judge_async, boxed_accuracy),
        any_number,
    ],
    ids=as_code,
)
def test_the_verdict_is_found_wherever_it_stands(stack: RewardFunction) -> None:
    assert audit(stack, plain_sums(6)).earned == 6


def test_a_worked_solution_ends_in_its_answer() -> None:
    assert audit(numeric_accuracy, sums()).ok


def test_a_file_is_a_data_set(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"question": "1 + 1 = ?", "answer": "2"}\n', encoding="utf-8")
    assert audit(boxed_accuracy, path).earned == 1


def test_a_sample_is_enough_for_a_first_look() -> None:
    assert audit(boxed_accuracy, sums(40), sample=7).rows == 7


def test_columns_may_be_named() -> None:
    rows = [{"text": "1 + 1 = ?", "final": "2"}]
    assert audit(BoxedAccuracy(answer_key="final"), rows).ok
    assert audit(BoxedAccuracy(answer_key="final"), rows, answer_key="final", prompt_key="text").ok
    assert kinds(audit(boxed_accuracy, rows, prompt_key="prompt")) == [(None, "missing")]


def test_prints_as_a_table_in_which_nothing_is_markup_or_an_order_to_the_terminal() -> None:
    found = audit(choice_accuracy, {"answer": ["A", "[red]B\x1b[2J[/red]"]})
    text = repr(found)
    assert text.startswith("choice_accuracy: 1 of 2 references earn their own reward; raises 1")
    assert "[red]B�[2J" in text.replace("\n", "")
    assert "\x1b" not in text
    assert repr(audit(choice_accuracy, {"answer": ["A"]})).endswith("nothing found")


def test_more_findings_than_fit_are_counted() -> None:
    assert "and 10 more" in repr(audit(choice_accuracy, {"answer": ["A", *["E"] * 30]}))


def test_is_dicts_and_a_pickle() -> None:
    found = audit(boxed_accuracy, {"answer": ["1", " "]})
    assert found.to_dicts() == [
        {
            "row": 1,
            "kind": "empty",
            "detail": "column 'answer' holds str ' '; fill it, or set it to None",
            "gold": "str ' '",
            "status": "",
            "problem": True,
        }
    ]
    assert pickle.loads(pickle.dumps(found)) == found
    assert not GoldFinding(0, "ambiguous", "").is_problem


def test_math_verify_stacks_are_audited_too() -> None:
    pytest.importorskip("math_verify", reason="needs math-verify (the extra `trl`)")
    assert audit(presets.open_r1, solutions(6)).ok
