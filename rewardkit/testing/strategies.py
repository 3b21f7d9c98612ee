r"""Hypothesis strategies for what a reward meets: completions that are right, wrong, broken, cut off and hostile.

>>> from hypothesis import given, settings
>>> from rewardkit import answer_accuracy
>>> from rewardkit.testing.strategies import batches
>>> @given(batch=batches())
... @settings(max_examples=10, deadline=None)
... def test_a_right_answer_earns_one_and_a_wrong_one_nothing(batch):
...     values = answer_accuracy(batch.completions, ground_truth=batch.ground_truth)
...     assert all(right is None or value == right for value, right in zip(values, batch.right))
>>> test_a_right_answer_earns_one_and_a_wrong_one_nothing()
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rewardkit.tags import marks, tag_names
from rewardkit.testing.hostile import EMPTY, HOSTILE

try:
    from hypothesis import strategies as st
    from hypothesis.strategies import DrawFn, SearchStrategy
except ImportError as error:
    raise ImportError(
        "rewardkit.testing.strategies needs Hypothesis; pip install hypothesis, or the extra `test` of rewardkit"
    ) from error

__all__ = [
    "DrawnBatch",
    "answers",
    "batches",
    "boxed",
    "completions",
    "hostile",
    "malformed",
    "messages",
    "truncated",
    "well_formed",
]

TAGS = ("think", "answer")
LONGEST_HOSTILE = 20_000
"""Longer ones of the catalogue are left to check_reward: a failing example should be readable."""
_WORDS = ("so", "we", "add", "both", "sides", "and", "check", "again", "because", "it", "holds,", "therefore", "done.")


class DrawnBatch(NamedTuple):
    """Completions with their references.

    Attributes:
        completions: strings.
        ground_truth: one reference per completion.
        right: 1.0 where a well-formed completion gives the reference, 0.0 where it gives another number,
            ``None`` where the completion is not well-formed and nothing is said.
    """

    completions: list[str]
    ground_truth: list[str]
    right: list[float | None]


def boxed(answer: str) -> str:
    r"""The answer as ``\boxed{answer}``, for rewards that look there: ``well_formed(write=boxed)``."""
    return f"\\boxed{{{answer}}}"


def answers() -> SearchStrategy[str]:
    """Short answers that every reader takes: integers, decimals, fractions, percentages, options, words."""
    whole, part = st.integers(-(10**6), 10**6), st.integers(1, 999)
    return st.one_of(
        whole.map(str),
        st.tuples(whole, part).map(lambda pair: f"{pair[0]}.{pair[1]:03d}"),
        st.tuples(whole, part).map(lambda pair: f"{pair[0]}/{pair[1]}"),
        st.tuples(part, part).map(lambda pair: f"\\frac{{{pair[0]}}}{{{pair[1]}}}"),
        part.map(lambda number: f"{number}%"),
        st.sampled_from("ABCDE"),
        st.sampled_from(("Paris", "yes", "seven red apples")),
    )


@st.composite
def well_formed(
    draw: DrawFn,
    *,
    tags: Sequence[str] = TAGS,
    answers: SearchStrategy[str] | None = None,
    write: Callable[[str], str] = str,
) -> str:
    r"""Each tag once, in order, on lines of its own around prose; the last one holds the answer.

    Args:
        draw: given by Hypothesis.
        tags: names of the sections, at least one.
        answers: what the last section holds; :func:`answers` unless given.
        write: how the answer is written down, such as :func:`boxed`.
    """
    return "\n".join(draw(_pieces(tags, _or_answers(answers), write)))


@st.composite
def malformed(draw: DrawFn, *, tags: Sequence[str] = TAGS, answers: SearchStrategy[str] | None = None) -> str:
    """A well-formed completion with one thing wrong: a tag missing, doubled or in the wrong place, a blank body,
    text outside."""
    pieces = draw(_pieces(tags, _or_answers(answers), str))
    places = [place for place in range(len(pieces)) if place % 3 != 1]  # every third piece is a body
    one, other = draw(st.permutations(places))[:2]
    fault = draw(st.sampled_from(("missing", "doubled", "swapped", "blank", "before", "after")))
    if fault == "missing":
        del pieces[one]
    elif fault == "doubled":
        pieces.insert(one, pieces[one])
    elif fault == "swapped":
        pieces[one], pieces[other] = pieces[other], pieces[one]
    elif fault == "blank":
        pieces[one - one % 3 + 1] = draw(st.sampled_from(("", " ", "\n")))
    else:
        pieces.insert(0 if fault == "before" else len(pieces), draw(_prose()))
    return "\n".join(pieces)


@st.composite
def truncated(draw: DrawFn, *, tags: Sequence[str] = TAGS, answers: SearchStrategy[str] | None = None) -> str:
    """The beginning of a well-formed completion, as a limit of tokens leaves it; the last tag is never closed."""
    text = draw(well_formed(tags=tags, answers=answers))
    return text[: draw(st.integers(0, len(text) - 1))]


@st.composite
def hostile(draw: DrawFn, *, tags: Sequence[str] = TAGS) -> str:
    """The shorter ones of :data:`rewardkit.testing.HOSTILE`, any text with surrogates, heaps of tags and boxes."""
    catalogue = [text for text in {**EMPTY, **HOSTILE}.values() if len(text) <= LONGEST_HOSTILE]
    shards = [
        *marks(tag_names(tags)),
        "\\boxed{",
        "\\frac{",
        "}",
        "{",
        "$",
        "\n",
        " ",
        "42",
        "-",
        "^",
        "\x00",
        "\ud800",
    ]
    every_character = st.characters(exclude_categories=())
    return draw(
        st.one_of(
            st.sampled_from(catalogue),
            st.text(every_character, max_size=200),
            st.lists(st.sampled_from(shards), max_size=60).map("".join),
        )
    )


def completions(*, tags: Sequence[str] = TAGS, answers: SearchStrategy[str] | None = None) -> SearchStrategy[str]:
    """Any completion: well-formed, malformed, truncated or hostile."""
    return st.one_of(
        well_formed(tags=tags, answers=answers),
        malformed(tags=tags, answers=answers),
        truncated(tags=tags, answers=answers),
        hostile(tags=tags),
    )


@st.composite
def messages(draw: DrawFn, *, of: SearchStrategy[str] | None = None) -> list[dict[str, object]]:
    """One assistant message that says a drawn completion, as text or as typed parts."""
    text = draw(completions() if of is None else of)
    if draw(st.booleans()):
        return [{"role": "assistant", "content": text}]
    cut = draw(st.integers(0, len(text)))
    return [{"role": "assistant", "content": [{"type": "text", "text": part} for part in (text[:cut], text[cut:])]}]


@st.composite
def batches(
    draw: DrawFn,
    *,
    tags: Sequence[str] = TAGS,
    answers: SearchStrategy[str] | None = None,
    write: Callable[[str], str] = str,
    min_size: int = 1,
    max_size: int = 8,
) -> DrawnBatch:
    """Completions with references, of which the well-formed ones are known to be right or wrong.

    Args:
        draw: given by Hypothesis.
        tags: names of the sections, at least one.
        answers: references that are answered to the letter; the wrong answers are integers.
        write: how the answer is written down, such as :func:`boxed`.
        min_size: fewest completions.
        max_size: most completions.
    """
    numbers = st.integers(-(10**6), 10**6)
    rows: list[tuple[str, str, float | None]] = []
    for kind in draw(st.lists(st.sampled_from(("right", "wrong", "other")), min_size=min_size, max_size=max_size)):
        if kind == "right":
            gold = draw(_or_answers(answers))
            rows.append((draw(well_formed(tags=tags, answers=st.just(gold), write=write)), gold, 1.0))
        elif kind == "wrong":
            number, off = draw(numbers), draw(st.integers(1, 1000))
            wrong = well_formed(tags=tags, answers=st.just(str(number + off)), write=write)
            rows.append((draw(wrong), str(number), 0.0))
        else:
            rest = st.one_of(malformed(tags=tags, answers=answers), truncated(tags=tags), hostile(tags=tags))
            rows.append((draw(rest), draw(_or_answers(answers)), None))
    return DrawnBatch([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows])


def _or_answers(given: SearchStrategy[str] | None) -> SearchStrategy[str]:
    return answers() if given is None else given


def _prose() -> SearchStrategy[str]:
    line = st.lists(st.sampled_from(_WORDS), min_size=1, max_size=12).map(" ".join)
    return st.lists(line, min_size=1, max_size=4).map("\n".join)


@st.composite
def _pieces(draw: DrawFn, tags: Sequence[str], answers: SearchStrategy[str], write: Callable[[str], str]) -> list[str]:
    """Opening tag, body, closing tag of every section in turn."""
    names = tag_names(tags)
    bodies = [draw(_prose()) for _ in names[:-1]] + [write(draw(answers))]
    return [piece for name, body in zip(names, bodies, strict=True) for piece in (f"<{name}>", body, f"</{name}>")]
