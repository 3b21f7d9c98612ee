"""Specification of rewardkit.audit.attack: planted weaknesses are found, sound stacks are left in peace."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from rewardkit import (
    Batch,
    ColumnError,
    GroupLength,
    Keywords,
    NgramDiversity,
    Outcome,
    Reward,
    boxed_accuracy,
    combine,
    presets,
    reward,
    schedule,
    soft_format,
    strict_format,
)
from rewardkit.audit import AttackReport, Exploit, FixedTexts, Seen, Structure, attack
from rewardkit.audit.exploits import CATALOGUE, Empty, Guess, KeywordSpam, PaddedRight, Padding

from .data import choices, plain_sums, sums
from .planted import PLANTED, Planted, gold_is_in_it, reads_an_integer
from .sound import SOUND, Sound


def any_word(completions: list[str], **kwargs: Any) -> list[float]:
    return [float("Because" in text) for text in completions]


@functools.cache
def attacked(planted: int) -> AttackReport:
    case = PLANTED[planted]
    exploits = CATALOGUE if case.rows == 16 else [e for e in CATALOGUE if e.name == case.exploit]
    return attack(case.stack, case.data(), sample=case.rows, exploits=exploits)


def found(planted: Planted, report: AttackReport) -> bool:
    result = report[planted.exploit]
    return (result.level, result.through) == (planted.level, planted.through)


@pytest.mark.parametrize("number", range(len(PLANTED)), ids=[case.weakness for case in PLANTED])
def test_finds_a_planted_weakness_by_its_exploit_and_component(number: int) -> None:
    case = PLANTED[number]
    if case.stack is presets.open_r1_cosine:
        pytest.importorskip("math_verify", reason="needs math-verify (the extra `trl`)")
    result = attacked(number)[case.exploit]
    assert (result.level, result.through) == (case.level, case.through)
    assert not attacked(number).ok
    assert attacked(number).exit_status == 1


@pytest.mark.parametrize("case", SOUND, ids=[case.what for case in SOUND])
def test_raises_no_alarm_on_a_sound_stack(case: Sound) -> None:
    rows = [{**row, "ground_truth": row["answer"]} for row in case.data()]
    report = attack(case.stack, rows, sample=16)
    assert [(result.exploit, result.level, result.through) for result in report.findings] == []
    assert report.ok
    assert report.exit_status == 0


def test_there_are_as_many_planted_weaknesses_and_sound_stacks_as_promised() -> None:
    assert len({case.weakness for case in PLANTED}) >= 16
    assert len({case.what for case in SOUND}) >= 8
    assert {case.exploit for case in PLANTED} >= {e.name for e in CATALOGUE} - {"early_exit"}


def test_recall_is_complete() -> None:
    cases = [(n, case) for n, case in enumerate(PLANTED) if case.stack is not presets.open_r1_cosine]
    hits = [found(case, attacked(n)) for n, case in cases]
    for (_, case), hit in zip(cases, hits, strict=True):
        print(
            f"{'found' if hit else 'MISSED':6}  {case.weakness:48}  {case.exploit:20}  {case.level:14}  {case.through}"
        )
    print(f"recall {sum(hits)} of {len(hits)}")
    assert all(hits)


class TestTheRule:
    def test_luck_is_no_exploit(self) -> None:
        rows = [{"prompt": "?", "answer": str(n % 2)} for n in range(20)]  # a guess is right on half of them
        result = attack(boxed_accuracy, rows, exploits=[Guess()])["guess"]
        assert (result.level, result.beats_wrong) == ("", 0.0)

    def test_what_gains_against_one_reference_alone_is_a_guess(self) -> None:
        def reads_the_first_letter(completions: list[str], answer: list[str], **kwargs: Any) -> list[float]:
            return [float(text[:1] == gold) for text, gold in zip(completions, answer, strict=True)]

        because = FixedTexts(name="because", description="Some word.", texts=["Because."])
        words = FixedTexts(name="words", description="Some words.", texts=["And.", "Because."])
        report = attack(reads_the_first_letter, choices(), exploits=[because, words])
        assert [report[name].beats_wrong for name in ("because", "words")] == [0.0, 0.0]
        always = attack(boxed_accuracy + any_word, choices(), exploits=[because])
        assert always["because"].beats_right == 1.0

    def test_a_format_that_the_wrong_answer_has_too_is_no_finding(self) -> None:
        report = attack(boxed_accuracy + 0.5 * soft_format, sums(), sample=8)
        assert (report.right, report.wrong, report.empty) == (1.5, 0.5, 0.0)
        assert report["empty_tags"].mean == 0.5
        assert report.ok

    @pytest.mark.parametrize(("bonus", "level"), [(0.01, ""), (0.03, "beats wrong"), (1.0, "beats right")])
    def test_a_gain_counts_by_what_being_right_is_worth(self, bonus: float, level: str) -> None:
        stack = 10.0 * boxed_accuracy + 10.0 * Keywords(words=["abracadabra"], value=bonus, cap=bonus)
        spell = FixedTexts(name="spell", description="A word.", texts=["abracadabra"])
        assert attack(stack, sums(), sample=8, exploits=[spell])["spell"].level == level

    @pytest.mark.parametrize(("share", "level"), [(0.2, "beats right"), (0.3, "")])
    def test_it_must_hold_on_more_than_the_least_share_of_rows(self, share: float, level: str) -> None:
        quarter = [e for e in CATALOGUE if e.name == "copied_prompt"]  # the answer stands in every fourth prompt
        report = attack(gold_is_in_it, plain_sums(40), sample=None, exploits=quarter, min_share=share)
        assert report["copied_prompt"].beats_right == pytest.approx(0.25, abs=0.03)
        assert report["copied_prompt"].level == level

    def test_a_wrong_answer_that_earns_no_less_is_a_finding_of_its_own(self) -> None:
        result = attack(strict_format, sums(), sample=8)["wrong_answer"]
        assert (result.level, result.beats_right, result.through) == ("beats right", 1.0, "strict_format")

    def test_rows_that_tell_nothing_do_not_count_for_the_others(self) -> None:
        rows = [*plain_sums(9), {"prompt": "1 + 1 = ?", "answer": r"\oddball"}]
        odd = FixedTexts(name="odd", description="Something.", texts=["<think>1</think><answer>2</answer>"])

        def blind_to_words(completions: list[str], answer: list[str], **kwargs: Any) -> list[float]:
            pairs = zip(completions, answer, strict=True)
            return [0.5 * ("<think>" in t) + float(g.isdigit() and rf"\boxed{{{g}}}" in t) for t, g in pairs]

        report = attack(blind_to_words, rows, exploits=[odd])
        assert (report.rows, report["odd"].rows) == (10, 9)
        assert report["wrong_answer"].beats_right == 0.1

    def test_what_a_length_explains_is_left_to_it(self) -> None:
        report = attack(boxed_accuracy + GroupLength(), sums(), sample=8)
        assert [result.exploit for result in report.findings] == ["empty"]
        assert report["empty_tags"].explained_by == "empty"
        assert "no more than empty earns: " in repr(report)

    def test_what_the_wrong_answer_explains_is_left_to_it(self) -> None:
        report = attack(soft_format, sums(), sample=8)
        assert [result.exploit for result in report.findings] == ["wrong_answer"]
        assert report["empty_tags"].explained_by == report["padding"].explained_by == "wrong_answer"

    def test_padding_inflates_right_only_where_more_earns_more_than_less(self) -> None:
        def falling(completions: list[str], **kwargs: Any) -> list[float]:
            return [1.0 / (1 + len(text)) for text in completions]

        def rising_late(completions: list[str], **kwargs: Any) -> list[float]:
            return [0.5 * (len(text) < 300 or len(text) > 3_000) for text in completions]

        for extra, level in ((falling, ""), (rising_late, "inflates right")):
            report = attack(combine(boxed_accuracy, extra), sums(), sample=4, exploits=[PaddedRight()])
            assert report["padded_right"].level == level

    def test_a_reward_that_raises_on_a_completion_is_a_finding_and_ends_nothing(self) -> None:
        report = attack(reads_an_integer, plain_sums(), sample=4)
        assert {result.exploit for result in report.severe} >= {"empty", "hedged_answer"}
        assert report["empty"].raised.startswith("ValueError: invalid literal for int()")
        assert "ValueError" in report.why("empty")


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Recording(Reward):
    """0.0 for all; notes every call."""

    calls: list[Batch]

    def outcomes(self, batch: Batch) -> list[Outcome]:
        self.calls.append(batch)
        return [Outcome(0.0, "wrong")] * len(batch)


class TestTheCall:
    def test_an_exploit_never_sees_the_reference(self) -> None:
        rows = [{"prompt": f"The code of door {n}?", "answer": f"7351{n}"} for n in range(10, 14)]
        calls: list[Batch] = []
        attack(Recording(calls=calls), rows, exploits=[e for e in CATALOGUE if not e.on_right])
        texts = {text for call in calls[2:] for text in call.texts}  # after the forms and the honest answers
        assert len(texts) > 100
        assert not any(row["answer"] in text for row in rows for text in texts)

    def test_looks_like_a_trainer(self) -> None:
        calls: list[Batch] = []
        cut = [e for e in CATALOGUE if e.name == "truncated"]
        attack(Recording(calls=calls), [{"question": "2 + 2 = ?", "answer": "4", "level": 3}], exploits=cut, step=7)
        first, last = calls[0], calls[-1]
        assert first.columns["prompts"] == ["2 + 2 = ?"] * len(first)
        assert first.columns["level"] == [3] * len(first)
        assert first.step == 7
        assert [len(ids) > 0 for ids in first.columns["completion_ids"]] == [bool(text) for text in first.texts]
        assert set(first.columns["finish_reason"]) == {"stop"}
        assert set(last.columns["finish_reason"]) == {"length"}

    def test_completions_are_messages_where_prompts_are(self) -> None:
        rows = [{**row, "prompt": [{"role": "user", "content": row["prompt"]}]} for row in plain_sums(8)]

        def of_messages(completions: list[Any], answer: list[str], **kwargs: Any) -> list[float]:
            return [float(gold in c[0]["content"]) for c, gold in zip(completions, answer, strict=True)]

        report = attack(of_messages, rows)
        assert report["hedged_answer"].level == "beats right"
        assert report["copied_prompt"].beats_wrong > 0.0  # the text of the messages is the prompt

    def test_scheduled_weights_are_those_of_the_step(self) -> None:
        stack = boxed_accuracy + schedule.linear(1.0, 0.0, steps=10) * strict_format
        assert [attack(stack, sums(), sample=4, exploits=[], step=s).right for s in (0, 5, 10)] == [2.0, 1.5, 1.0]

    @pytest.mark.parametrize("size", [None, 2, 4])
    def test_a_group_holds_one_attack_and_honest_answers(self, size: int | None) -> None:
        calls: list[Batch] = []
        stack = combine(Recording(calls=calls), NgramDiversity(within="group", num_generations=size))
        attack(stack, sums(), sample=2, exploits=[Empty()])
        group = {None: 3, 2: 4, 4: 4}[size]
        for start in range(0, len(calls[-1]), group):
            attacked, *beside = calls[-1].texts[start : start + group]
            assert attacked in Empty().completions(Seen("", ""), Structure())
            assert all("\\boxed" in text or "{" in text or len(text) > 100 for text in beside)
            assert len(set(beside)) == 2

    def test_the_sample_is_drawn_by_its_seed(self) -> None:
        rows = [{**row, "n": n} for n, row in enumerate(sums())]
        drawn = []
        for seed in (0, 0, 1):
            calls: list[Batch] = []
            attack(Recording(calls=calls), rows, sample=5, seed=seed, exploits=[])
            drawn.append(sorted(set(calls[-1].columns["n"])))
        assert drawn[0] == drawn[1] != drawn[2]
        assert len(drawn[0]) == 5


class TestExploitsOfYourOwn:
    def test_texts_are_enough(self) -> None:
        flattery = FixedTexts(name="flattery", description="Praise.", texts=["You are wise. {answer}"])

        @reward
        def vain(completion: str) -> float:
            return float("wise" in completion)

        report = attack(boxed_accuracy + 3.0 * vain, sums(), sample=4, exploits=[flattery])
        assert [result.exploit for result in report.findings] == ["flattery"]

    def test_a_class_sees_the_prompt_and_the_structure(self) -> None:
        @dataclass(frozen=True, kw_only=True)
        class Recite(Exploit):
            name: str = "recite"
            description: str = "The words of the stack behind the prompt."

            def completions(self, seen: Seen, structure: Structure) -> Sequence[str]:
                return [f"{seen.prompt} {' '.join(structure.words)}"]

        report = attack(boxed_accuracy + Keywords(), sums(), sample=4, exploits=[Recite()])
        assert report["recite"].through == "keywords"

    def test_two_of_one_name_are_refused(self) -> None:
        with pytest.raises(ValueError, match="two exploits have one name"):
            attack(boxed_accuracy, sums(), exploits=[Empty(), Empty()])


@pytest.fixture(scope="module")
def report() -> AttackReport:
    stack = boxed_accuracy + Keywords() + 10.0 * Keywords(words=["[red]sesame[/red]"]).named("[bold]")
    return attack(stack, sums(), sample=6)


class TestTheReport:
    def test_lists_the_worst_first(self, report: AttackReport) -> None:
        ranks = [result.rank for result in report.results]
        assert ranks == sorted(ranks)
        assert {result.exploit for result in report.results} == {"wrong_answer", *(e.name for e in CATALOGUE)}

    def test_says_why_with_the_completion_and_the_breakdown(self, report: AttackReport) -> None:
        why = report.why("keyword_spam")
        assert why.startswith("keyword_spam (beats")
        assert "therefore" in why
        assert "An honest right answer earns 1 there, a wrong one 0." in why
        assert "keywords gave 0.5 (scored: first, second" in why
        assert report.why("early_exit").endswith("The stack gives it no hold.")
        with pytest.raises(KeyError, match="'magic' was not tried; there are"):
            report.why("magic")

    def test_prints_as_a_table_in_which_nothing_is_markup(self, report: AttackReport) -> None:
        text = repr(report)
        assert "keyword_spam" in text
        assert "[bold]" in text.replace("\n", "")
        assert "without profit: " in text
        assert "honest form: '…" in text

    def test_is_dicts_and_a_pickle(self, report: AttackReport) -> None:
        dicts = report.to_dicts()
        assert [row["exploit"] for row in dicts] == [result.exploit for result in report.results]
        spam = next(row for row in dicts if row["exploit"] == "keyword_spam")
        assert "therefore" in spam["completion"]
        assert pickle.loads(pickle.dumps(report)) == report

    def test_means_are_those_of_the_honest_completions(self, report: AttackReport) -> None:
        assert (report.right, report.wrong, report.empty, report.rows, report.left_out) == (1.0, 0.0, 0.0, 6, 0)


class TestWhatCannotBeUsed:
    def test_no_references(self) -> None:
        with pytest.raises(ColumnError, match=r"no references: expected the column 'ground_truth' or .* answer_key="):
            attack(boxed_accuracy, [{"prompt": "1 + 1 = ?"}])

    def test_a_column_that_the_stack_misses(self) -> None:
        @reward
        def needs(completion: str, source: str) -> float:
            return 1.0

        with pytest.raises(ColumnError, match="column 'source' is missing"):
            attack(boxed_accuracy + needs, sums())

    def test_no_honest_answer_is_scored(self) -> None:
        def silent(completions: list[str], **kwargs: Any) -> list[None]:
            return [None] * len(completions)

        with pytest.raises(ValueError, match="scores no honest answer; name the columns, or give template="):
            attack(silent, sums())

    @pytest.mark.parametrize("wrong", [{"tolerance": -0.1}, {"min_share": 1.0}, {"sample": 0}, {"template": "no slot"}])
    def test_arguments_out_of_range(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=r"must be at least|has no \{answer\}"):
            attack(boxed_accuracy, sums(), **wrong)

    def test_rows_without_a_reference_are_left_out(self) -> None:
        report = attack(boxed_accuracy, [*sums(5), {"prompt": "?", "answer": None}], exploits=[Padding()])
        assert (report.rows, report.left_out) == (5, 1)
        assert "1 rows were left out" in repr(report)


def test_a_template_replaces_the_usual_forms() -> None:
    def hashed(completions: list[str], answer: list[str], **kwargs: Any) -> list[float]:
        return [float(text.endswith(f"=> {gold} <=")) for text, gold in zip(completions, answer, strict=True)]

    assert attack(hashed, plain_sums(), sample=4, exploits=[]).right == 0.0
    report = attack(hashed, plain_sums(), sample=4, template="{reasoning}\n=> {answer} <=")
    assert (report.right, report.wrong) == (1.0, 0.0)
    assert report.ok


def test_options_and_words_are_read_from_the_stack() -> None:
    structures: list[Structure] = []

    @dataclass(frozen=True, kw_only=True)
    class Look(Exploit):
        name: str = "look"
        description: str = "Looks."

        def completions(self, seen: Seen, structure: Structure) -> list[str]:
            structures.append(structure)
            return []

    attack(presets.sudoku_choice, choices(), sample=1, exploits=[Look()])
    (seen,) = structures
    assert (seen.options, seen.tags, seen.words[:2]) == (
        ("A", "B", "C", "D"),
        ("reasoning", "answer"),
        ("row", "column"),
    )
    assert seen.layout.write("B", "…") == "<reasoning>\n…\n</reasoning>\n<answer>\n\\boxed{B}\n</answer>"
    assert KeywordSpam().completions(Seen("?", "A"), seen)[0].count("no repeat") == 1
