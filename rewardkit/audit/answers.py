r"""References and answers: what a row accepts, a wrong answer in the same form, what a text answers by luck.

>>> accepted(["1/2", 0.5]), wrong_answer("18", ["18"])
(('1/2', '0.5'), '28')
>>> is_lucky("It is 4 or 5", ["5"]), is_lucky("It is 4 or 5", ["6"])
(True, False)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rewardkit.equivalence import boxes, reference_answer
from rewardkit.equivalence.check import check
from rewardkit.equivalence.reader import as_list, read
from rewardkit.equivalence.tree import Collection
from rewardkit.equivalence.written import last_number
from rewardkit.sections import final_part

SHORT = 40
"""A reference of at most so many characters is changed in a digit; of a longer one another row's is taken."""

_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_LETTER = re.compile(r"(?<![A-Za-z\\])[A-Za-z](?![A-Za-z])")
_LINE = re.compile(r"(?:####|[Aa]nswer\s*:)[ \t]*([^\n]{1,200})")
_TAGGED = re.compile(r">([^<>]{1,200})</")
_READ = 20_000
"""Characters at either end in which an answer is looked for."""


def accepted(value: Any) -> tuple[str, ...]:
    """The references of a cell as texts: none for ``None`` and blanks, several for a list."""
    values = value if isinstance(value, (list, tuple)) else [value]
    return tuple(str(v) for v in values if v is not None and str(v).strip())


def wrong_answer(
    answer: str, golds: Sequence[str], *, others: Iterable[str] = (), options: Sequence[str] = ()
) -> str | None:
    """An answer that is wrong and looks like the right one: an option, a number, another row's answer.

    Args:
        answer: the right one.
        golds: all references that the row accepts.
        others: answers of other rows.
        options: the alphabet of a choice.

    Returns:
        ``None`` where nothing was found that is different.
    """
    return next((wrong for wrong in _wrong(answer, others, options) if not _is_right(wrong, golds)), None)


def _wrong(answer: str, others: Iterable[str], options: Sequence[str]) -> Iterator[str]:
    if answer in options:
        at = list(options).index(answer)
        yield from (options[(at + step) % len(options)] for step in range(1, len(options)))
    if len(answer) <= SHORT:
        yield from _other_number(answer)
    yield from others
    yield from _other_number(answer)
    for at in reversed(range(len(answer))):
        if answer[at].isalpha() and answer[at].isascii():
            letter = "x" if answer[at] != "x" else "y"
            yield answer[:at] + letter + answer[at + 1 :]
            return


def _other_number(answer: str) -> Iterator[str]:
    """The leading digit of the last number changed, so that the value is far off whatever the tolerance."""
    numbers = list(_NUMBER.finditer(answer))
    if numbers:
        at = numbers[-1].start()
        for digit in (int(answer[at]) % 9 + 1, int(answer[at]) % 9 + 2):
            yield answer[:at] + str(digit % 10) + answer[at + 1 :]


def _is_right(answer: str, golds: Sequence[str]) -> bool:
    references = [form for gold in golds for form in (gold, reference_answer(gold))]
    plain = answer.strip().casefold()
    return any(plain == gold.strip().casefold() or check(answer, gold).equal is True for gold in references)


def is_lucky(text: str, golds: Sequence[str]) -> bool:
    """Whether what a completion answers first or last, in any form of answering, is right."""
    return any(_is_right(reading, golds) for reading in dict.fromkeys(_readings(text)))


def _readings(text: str) -> Iterator[str]:
    final = final_part(text)
    for part in dict.fromkeys((text, final)):
        yield part.strip()[:500]
        ends = part if len(part) <= 2 * _READ else f"{part[:_READ]}\n{part[-_READ:]}"
        yield from _ends(boxes(ends))
        for pattern in (_TAGGED, _LINE, _NUMBER, _LETTER):
            yield from _ends(pattern.findall(ends))
        yield last_number(ends) or ""
        for inner in (*_ends(boxes(ends)), *_ends(_TAGGED.findall(ends))):
            yield from _ends(_NUMBER.findall(inner))


def _ends(found: Sequence[str]) -> tuple[str, ...]:
    """The first and the last."""
    return (found[0].strip(), found[-1].strip()) if found else ()


def ambiguity(gold: str) -> str:
    """In what other way a reference may be read; empty where there is but one."""
    candidates = list(dict.fromkeys(boxes(gold)))
    if "####" not in gold and any(not check(box, candidates[-1]) for box in candidates):
        return f"it has {len(candidates)} boxes with different answers; the last counts"
    answer = reference_answer(gold)
    if as_list(answer) is not None and ",0" not in answer:  # 1,000 is no list of 1 and 000
        return f"{answer} is a number, and the list {answer.replace(',', ', ')} where the answer is one"
    value = read(answer).value
    if isinstance(value, Collection) and value.joiner == "or" and not value.braces:
        count = len(value.items)
        return f"it lists {count} values, and all of them are asked for; where one is enough, make it a list of {count}"
    return ""


def unreadable(gold: str) -> str:
    """Why a reference is equal to nothing but itself; empty where it can be read."""
    reading = read(reference_answer(gold))
    return "" if reading.value is not None else f"equal to itself only: {reading.problem}"
