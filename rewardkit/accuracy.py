r"""Rewards for the right answer: in a box, in a tag, as a letter, as a number, as text.

All of them read the final part of the completion (what follows the last ``</think>``, where there is one)
and compare with the reference in the column ``answer_key``, or in the first of ``ground_truth, answer,
solution, target, label`` that the data set has.

    >>> from rewardkit import boxed_accuracy, choice_accuracy
    >>> boxed_accuracy([r"Thus \boxed{2}.", r"Thus \boxed{6}."], ground_truth=["2", "5"])
    [1.0, 0.0]
    >>> choice_accuracy([r"\boxed{B}", "<answer>C</answer>", r"\boxed{B or C}"], answer="B")
    [1.0, 0.0, 0.0]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rewardkit.contract import Batch, ColumnError, Outcome, Reward, Status, judged
from rewardkit.equivalence import (
    Answer,
    Budget,
    Verdict,
    boxes,
    compare_all,
    extract_answer,
    last_boxed,
    reference_answer,
)
from rewardkit.equivalence.check import check
from rewardkit.equivalence.extract import OnConflict, known_conflict
from rewardkit.equivalence.ladder import exact_tolerance
from rewardkit.equivalence.reader import read
from rewardkit.equivalence.written import is_number, last_number
from rewardkit.sections import check_section, final_part, section, tag_body

_STATUS: dict[str, Status] = {
    "timeout": "timeout",
    "error": "error",
    "limit": "undecided",
    "unparseable": "unparseable_answer",
    "unparseable reference": "unparseable_ground_truth",
}


@dataclass(frozen=True, kw_only=True, repr=False)
class BoxedAccuracy(Reward):
    r"""1.0 where the last ``\boxed{...}`` (or ``\fbox{...}``) equals the reference, else 0.0.

    Equality is the policy of docs/equivalence.md, decided by :func:`rewardkit.equivalent`: same text, exact
    numbers, normal forms, values in high precision, structures member by member; what is left (integrals,
    limits) goes to sympy in a worker process that is killed when its budget ends. A reference may be bare,
    in dollars, in a box, or a worked solution that ends in ``#### 42`` (GSM8K); a list of references means
    any of them.

    Source: the accuracy reward of DeepSeek-R1 (arXiv 2501.12948, section 2.2.2). Range {0.0, 1.0}. The empty
    string earns 0.0 (no_answer). To cheat it a model has to guess: only the last box counts, so boxing
    several candidates does not help, and a box that lists them is not equal to any.

    Attributes:
        answer_key: the column with the reference.
        tolerance: largest accepted absolute difference of two numbers; ``None`` asks for exact equality.
        on_conflict: "last": of several boxes in the final part the last counts. "reject": where they hold
            different answers there is none.
        budget: seconds of wall time and bytes of memory for one comparison in a worker process.
        on_undecided: the value where the budget ended, a limit was met or the check failed: 0.0, or None for
            "not scored".

    Raises:
        ColumnError: no reference column, or a reference that is blank.
        ValueError: a negative tolerance, an unknown `on_conflict`.

    Example:
        >>> from rewardkit import boxed_accuracy
        >>> boxed_accuracy([r"\boxed{\frac{3}{6}}", r"\boxed{0.33}", "0.5"], solution=r"$\frac12$")
        [1.0, 0.0, 0.0]
    """

    answer_key: str | None = None
    tolerance: float | None = None
    on_conflict: OnConflict = "last"
    budget: Budget = Budget()
    on_undecided: float | None = 0.0

    def __post_init__(self) -> None:
        exact_tolerance(self.tolerance)
        known_conflict(self.on_conflict)

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """Correct, wrong, no_answer, unparseable_answer, undecided, timeout or error, with what decided."""
        return _judge(batch, [extract_answer(text, on_conflict=self.on_conflict) for text in batch.texts], self)


@dataclass(frozen=True, kw_only=True, repr=False)
class AnswerAccuracy(Reward):
    r"""1.0 where the text of the last ``<answer>`` equals the reference, else 0.0.

    A box inside the tag is opened. Equality, references and errors are those of :class:`BoxedAccuracy`.
    Source: the rule-based accuracy of DeepSeek-R1-Zero with its answer tags (arXiv 2501.12948, table 1).
    Range {0.0, 1.0}; the empty string earns 0.0. Only the last tag counts, so several do not help.

    Attributes:
        tag: name of the tag.
        answer_key, tolerance, on_conflict, budget, on_undecided: as in :class:`BoxedAccuracy`; a conflict is
            one between several boxes in the tag.

    Example:
        >>> from rewardkit import answer_accuracy
        >>> answer_accuracy(["<answer> 1,000 </answer>", r"<answer>\boxed{999}</answer>"], answer="1000")
        [1.0, 0.0]
    """

    tag: str = "answer"
    answer_key: str | None = None
    tolerance: float | None = None
    on_conflict: OnConflict = "last"
    budget: Budget = Budget()
    on_undecided: float | None = 0.0

    def __post_init__(self) -> None:
        exact_tolerance(self.tolerance)
        known_conflict(self.on_conflict)

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """As :meth:`BoxedAccuracy.outcomes`."""
        return _judge(batch, [self._answer(text) for text in batch.texts], self)

    def _answer(self, text: str) -> Answer:
        body = tag_body(final_part(text), self.tag)
        if body is None:
            return Answer(None, f"no <{self.tag}> in the final part")
        if not boxes(body):
            return Answer(body.strip(), f"the last <{self.tag}>")
        return extract_answer(body, on_conflict=self.on_conflict)


def _judge(batch: Batch, answers: Sequence[Answer], reward: BoxedAccuracy | AnswerAccuracy) -> list[Outcome]:
    """Compare every answer with each of its accepted references; one right is enough."""
    key, truths = batch.ground_truths(reward.answer_key)
    accepted = [_options(truth, key, batch.row(row)) for row, truth in enumerate(truths)]
    pairs = [
        (row, answer.text, option)
        for row, answer in enumerate(answers)
        if answer.text is not None
        for option in accepted[row]
    ]
    verdicts = compare_all([(answer, option) for _, answer, option in pairs], reward.budget, reward.tolerance)
    by_row: dict[int, list[Verdict]] = {}
    for (row, _, _), verdict in zip(pairs, verdicts, strict=True):
        by_row.setdefault(row, []).append(verdict)
    return [
        _outcome(answer, truth, by_row.get(row, []), reward.on_undecided, key)
        for row, (answer, truth) in enumerate(zip(answers, truths, strict=True))
    ]


def _outcome(answer: Answer, truth: Any, verdicts: list[Verdict], on_undecided: float | None, key: str) -> Outcome:
    if truth is None:
        return Outcome(None, "not_scored", "the row has no ground truth", gold_column=key)
    gold = shown(truth)
    if answer.text is None:
        return Outcome(0.0, "no_answer", answer.why, gold=gold, gold_column=key)
    text = answer.text[:200]
    right = next((v for v in verdicts if v.equal), None)
    if right is not None:
        return Outcome(1.0, "correct", f"{right.rung}: {right.detail}", (), text, gold, key)
    undecided = next((v for v in verdicts if v.equal is None), None)
    if undecided is not None:
        return Outcome(on_undecided, _STATUS[undecided.rung], f"{text!r}: {undecided.detail}", (), text, gold, key)
    verdict = verdicts[0]
    return Outcome(0.0, _STATUS.get(verdict.rung, "wrong"), f"{text!r}: {verdict.detail}", (), text, gold, key)


def shown(truth: Any) -> str:
    """A reference for a report: its text, alternatives joined by "or", cut to 200 characters."""
    options = truth if isinstance(truth, (list, tuple)) else [truth]
    return " or ".join(map(str, options))[:200]


def _options(truth: Any, key: str, row: int) -> list[str]:
    """The accepted references of a row, as text."""
    if truth is None:
        return []
    options = truth if isinstance(truth, (list, tuple)) else [truth]
    answers = [reference_answer(str(option)) for option in options]
    for option, answer in zip(options, answers, strict=True):
        if not read(answer).form:
            raise ColumnError(
                f"ground truth {option!r} in column {key!r}, row {row} holds no answer; "
                "fill it, drop the row, or set it to None for 'not scored'"
            )
    return answers


@dataclass(frozen=True, kw_only=True, repr=False)
class ChoiceAccuracy(Reward):
    r"""1.0 where the chosen option is the reference, else 0.0.

    The choice is the last ``\boxed{B}`` of the final part, or a bare option in the last ``<answer>``; the
    forms ``B``, ``(B)``, ``B.``, ``B)`` and ``\text{B}`` are read, in either case. More than one option, or
    an option with more text, is wrong: a list of all letters earns nothing.

    Range {0.0, 1.0}; the empty string earns 0.0.

    Attributes:
        options: the alphabet: a string of letters or a sequence of names, e.g. ``("yes", "no")``.
        tag: the tag that may hold a bare option; ``None`` asks for a box.
        section: look only into the last tag of this name; ``None`` looks at all of the final part.
        verbatim: read nothing but the option in its declared spelling: no brackets, stop or other case.
        answer_key: the column with the reference.

    Raises:
        ColumnError: a reference that is none of the options.
        ValueError: no options, one that is blank or no text, or two that are equal without regard to case.

    Example:
        >>> from rewardkit import ChoiceAccuracy
        >>> ChoiceAccuracy(options=("yes", "no"))(["<answer>Yes.</answer>", r"\boxed{no}"], label="yes")
        [1.0, 0.0]
    """

    options: Sequence[str] = ("A", "B", "C", "D")
    tag: str | None = "answer"
    section: str | None = None
    verbatim: bool = False
    answer_key: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", tuple(self.options))
        if not self.options or not all(isinstance(o, str) and _bare(o) for o in self.options):
            raise ValueError(f"options must be names, at least one and none blank, got {self.options!r}")
        if len({_bare(o) for o in self.options}) != len(self.options):
            raise ValueError(f"options must differ in more than case and brackets, got {self.options!r}")
        check_section(self.section)

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """Correct, wrong or no_answer, with the choice that was read."""
        key, truths = batch.ground_truths(self.answer_key)
        rows = enumerate(zip(batch.texts, truths, strict=True))
        return [self._outcome(text, self._accepted(truth, key, batch.row(row)), key) for row, (text, truth) in rows]

    def _outcome(self, text: str, accepted: list[str] | None, key: str) -> Outcome:
        if accepted is None:
            return Outcome(None, "not_scored", "the row has no ground truth", gold_column=key)
        gold = shown(accepted)
        final = section(final_part(text), self.section)
        answer = last_boxed(final)
        if answer is None and self.tag is not None:
            answer = tag_body(final, self.tag)
        if answer is None:
            why = "neither a box nor a tag with an option in the final part"
            return Outcome(0.0, "no_answer", why, gold=gold, gold_column=key)
        choice = self._read(answer)
        found = choice if choice is not None else answer[:200]
        return judged(choice in accepted, repr(found), extracted=found, gold=gold, gold_column=key)

    def _accepted(self, truth: Any, key: str, row: int) -> list[str] | None:
        if truth is None:
            return None
        accepted = []
        for option in truth if isinstance(truth, (list, tuple)) else [truth]:
            choice = self._read(reference_answer(str(option)))
            if choice is None:
                raise ColumnError(
                    f"ground truth {option!r} in column {key!r}, row {row} is none of the options "
                    f"{self.options}; pass options="
                )
            accepted.append(choice)
        return accepted

    def _read(self, text: str) -> str | None:
        """The option that the text is, in its declared spelling; ``None`` for anything else."""
        if self.verbatim:
            return text if text in self.options else None
        name = _bare(text[:200])
        return next((option for option in self.options if _bare(option) == name), None)


def _bare(option: str) -> str:
    """An option without brackets, stop and case; ``(B)``, ``B.`` and ``\\text{b}`` are all ``b``."""
    return read(option).form.strip().rstrip(".):").lstrip("(").strip().casefold()


@dataclass(frozen=True, kw_only=True, repr=False)
class NumericAccuracy(Reward):
    r"""1.0 where the last number of the final part equals the reference number, else 0.0.

    The number is the last box or the last ``<answer>`` where they hold one, or the last number in them, else
    the last number written in the text: integers, decimals, fractions, percent, thousands separators,
    scientific notation, compared as :func:`rewardkit.equivalent` compares them.

    Source: the "last number" scoring of GSM8K (arXiv 2110.14168; "flexible extract" in lm-evaluation-harness).
    Range {0.0, 1.0}; the empty string earns 0.0. A model that ends on a number by chance is paid; prefer
    :class:`BoxedAccuracy` where the prompt can ask for a box.

    Attributes:
        tolerance: largest accepted absolute difference; 0 means exact rational equality.
        answer_key: the column with the reference.

    Raises:
        ColumnError: a reference that is not a number.
        ValueError: a negative or non-finite tolerance.

    Example:
        >>> from rewardkit import NumericAccuracy, numeric_accuracy
        >>> numeric_accuracy(["She pays $1,050.", "It is 1051"], answer="#### 1050")
        [1.0, 0.0]
        >>> NumericAccuracy(tolerance=0.01)(["about 3.14"], answer="3.1416")
        [1.0]
    """

    tolerance: float = 0.0
    answer_key: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.tolerance < float("inf"):
            raise ValueError(f"tolerance must be a finite number >= 0, got {self.tolerance}")

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """Correct, wrong or no_answer, with the number that was read."""
        key, truths = batch.ground_truths(self.answer_key)
        rows = enumerate(zip(batch.texts, truths, strict=True))
        return [self._outcome(text, _true_numbers(truth, key, batch.row(row)), key) for row, (text, truth) in rows]

    def _outcome(self, text: str, truths: list[str] | None, key: str) -> Outcome:
        if truths is None:
            return Outcome(None, "not_scored", "the row has no ground truth", gold_column=key)
        gold = shown(truths)
        final = final_part(text)
        marked = last_boxed(final) or tag_body(final, "answer")
        number = _number_in(marked) if marked else None
        if number is None:
            number = last_number(final)
        if number is None:
            return Outcome(0.0, "no_answer", "no number in the final part", gold=gold, gold_column=key)
        tolerance = exact_tolerance(self.tolerance)
        right = any(check(number, truth, tolerance).equal for truth in truths)
        return judged(right, number[:200], extracted=number[:200], gold=gold, gold_column=key)


def _number_in(text: str) -> str | None:
    """The text where it is a number, else the last number in it."""
    return text if is_number(text) else last_number(text)


def _true_numbers(truth: Any, key: str, row: int) -> list[str] | None:
    if truth is None:
        return None
    numbers = _options(truth, key, row)
    for option in numbers:
        if not is_number(option):
            raise ColumnError(
                f"ground truth {option!r} in column {key!r}, row {row} is not a number; "
                "use boxed_accuracy or exact_match for such rows"
            )
    return numbers


@dataclass(frozen=True, kw_only=True, repr=False)
class ExactMatch(Reward):
    """1.0 where the text is the reference, character by character, else 0.0.

    The text is the final part of the completion, or the body of `tag` where one is given; white space at
    its ends is ignored. Range {0.0, 1.0}; the empty string earns 0.0.

    Attributes:
        tag: compare the body of the last such tag only; ``None`` compares all of the final part.
        ignore_case: compare without regard to case.
        transform: a function applied to both sides first, e.g. one that removes punctuation.
        answer_key: the column with the reference.

    Example:
        >>> from rewardkit import ExactMatch, exact_match
        >>> exact_match(["Paris", "In Paris"], label="Paris")
        [1.0, 0.0]
        >>> ExactMatch(tag="answer", ignore_case=True)(["Well: <answer>PARIS</answer>"], label="Paris")
        [1.0]
    """

    tag: str | None = None
    ignore_case: bool = False
    transform: Callable[[str], str] | None = None
    answer_key: str | None = None

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """Correct, wrong or no_answer."""
        key, truths = batch.ground_truths(self.answer_key)
        return [self._outcome(text, truth, key) for text, truth in zip(batch.texts, truths, strict=True)]

    def _outcome(self, text: str, truth: Any, key: str) -> Outcome:
        if truth is None:
            return Outcome(None, "not_scored", "the row has no ground truth", gold_column=key)
        gold = shown(truth)
        final = final_part(text)
        answer = final if self.tag is None else tag_body(final, self.tag)
        if answer is None:
            return Outcome(0.0, "no_answer", f"no <{self.tag}> in the final part", gold=gold, gold_column=key)
        accepted = truth if isinstance(truth, (list, tuple)) else [truth]
        found = answer.strip()[:200]
        right = self._form(answer) in {self._form(str(a)) for a in accepted}
        return judged(right, repr(found), extracted=found, gold=gold, gold_column=key)

    def _form(self, text: str) -> str:
        text = text.strip() if self.transform is None else self.transform(text.strip())
        return text.casefold() if self.ignore_case else text


boxed_accuracy = BoxedAccuracy()
answer_accuracy = AnswerAccuracy()
choice_accuracy = ChoiceAccuracy()
numeric_accuracy = NumericAccuracy()
exact_match = ExactMatch()
