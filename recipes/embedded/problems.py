"""Arithmetic word problems from a seeded generator: GSM8K in miniature, with no download.

Each problem is a template (two or three steps of ``+``, ``-`` and small ``*``) filled with names, things and
numbers.  Every quantity and every intermediate result lies in 0..99, so that a model of one million parameters
can know all the arithmetic.

The two splits are disjoint by construction: the numbers *in the text of the question* decide.  A question whose
numbers add up to a multiple of five is a test question, every other one is a training question.  The same
question can therefore never be in both, whatever the seeds; a test reads the numbers back and checks the rule.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

NAMES = ("Anna", "Ben", "Carla", "David", "Emma", "Felix", "Grace", "Hugo", "Ines", "Jonas")
THINGS = ("apples", "books", "cards", "coins", "marbles", "pencils", "shells", "stamps", "stickers", "toys")
LARGEST = 99  # of any quantity or result: two digits, and a table a small model can hold
TEST_MODULUS = 5  # one question in five is a test question
SPLITS = ("train", "test")


@dataclass(frozen=True)
class Template:
    """A text with places for names and numbers, the range of each number, and the steps that solve it.

    ``ranges`` gives the smallest and largest value of ``a``, ``b``, … in order; a step is ``"left op right"`` over
    those letters and ``x``, ``y``, which are the results of the first and the second step.
    """

    text: str
    ranges: tuple[tuple[int, int], ...]
    steps: tuple[str, ...]


TEMPLATES = (
    Template(
        "{p} has {a} {things}. {q} gives {p} {b} more, and then {p} loses {c}. How many {things} does {p} have now?",
        ((5, 50), (2, 20), (2, 20)),
        ("a + b", "x - c"),
    ),
    Template(
        "{p} has {a} {things} and finds {b} more. Then {p} gives {c} to {q} and {d} to {r}. "
        "How many {things} does {p} have left?",
        ((10, 50), (2, 20), (2, 20), (2, 20)),
        ("a + b", "x - c", "y - d"),
    ),
    Template(
        "{p} fills {a} boxes with {b} {things} each. {c} {things} are left over. How many {things} are there in total?",
        ((2, 9), (2, 9), (2, 20)),
        ("a * b", "x + c"),
    ),
    Template(
        "{p} buys {a} packs of {b} {things} and gives {c} to {q}. How many {things} does {p} have left?",
        ((2, 9), (2, 9), (2, 20)),
        ("a * b", "x - c"),
    ),
    Template(
        "{p} has {a} {things}. {q} has {b} more than {p}. How many {things} do they have together?",
        ((2, 50), (2, 20)),
        ("a + b", "a + x"),
    ),
    Template(
        "{p} has {a} {things}. {q} has {b} fewer than {p}. How many {things} do they have together?",
        ((5, 50), (2, 20)),
        ("a - b", "a + x"),
    ),
    Template(
        "{p} has {a} {things}. {q} has {b} times as many. How many {things} do they have together?",
        ((2, 9), (2, 9)),
        ("a * b", "a + x"),
    ),
    Template(
        "A bus leaves with {a} people. At the first stop {b} get off and {c} get on. "
        "How many people are on the bus now?",
        ((10, 50), (2, 20), (2, 20)),
        ("a - b", "x + c"),
    ),
    Template(
        "{p} reads {a} pages on Monday, {b} on Tuesday and {c} on Friday. How many pages does {p} read in all?",
        ((2, 50), (2, 50), (2, 50)),
        ("a + b", "x + c"),
    ),
    Template(
        "A book has {a} pages. {p} reads {b} pages a day for {c} days. How many pages are left to read?",
        ((10, 50), (2, 9), (2, 9)),
        ("b * c", "a - x"),
    ),
    Template(
        "{p} has {a} dollars and earns {b} dollars an hour. How many dollars does {p} have after {c} hours?",
        ((5, 50), (2, 9), (2, 9)),
        ("b * c", "a + x"),
    ),
    Template(
        "{p} buys {a} cakes for {b} dollars each and pays with {c} dollars. How many dollars does {p} get back?",
        ((2, 9), (2, 9), (10, 50)),
        ("a * b", "c - x"),
    ),
    Template(
        "There are {a} red and {b} blue {things} in a bag. {p} takes out {c}. How many {things} are left?",
        ((3, 50), (3, 50), (2, 50)),
        ("a + b", "x - c"),
    ),
    Template(
        "{p} plants {a} rows of {b} tulips and {c} rows of {d} roses. How many flowers does {p} plant?",
        ((2, 9), (2, 9), (2, 9), (2, 9)),
        ("a * b", "c * d", "x + y"),
    ),
    Template(
        "A shop has {a} {things}. It sells {b} on Monday and {c} on Tuesday, and then {d} new ones arrive. "
        "How many {things} does the shop have now?",
        ((10, 50), (2, 20), (2, 20), (2, 50)),
        ("a - b", "x - c", "y + d"),
    ),
    Template(
        "A child pays {a} dollars and an adult pays {b} dollars. How many dollars do {c} children and {d} adults pay?",
        ((2, 4), (5, 9), (2, 9), (2, 9)),
        ("c * a", "d * b", "x + y"),
    ),
    Template(
        "{p} scores {a} points in the first game and {b} fewer in the second. {q} scores {c} more than that. "
        "How many points does {q} score?",
        ((10, 50), (2, 50), (2, 50)),
        ("a - b", "x + c"),
    ),
)

_OPERATIONS = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__}


def apply(left: int, operation: str, right: int) -> int:
    """The result of one step, ``left operation right``, where the operation is ``+``, ``-`` or ``*``.

    >>> apply(12, "-", 5)
    7
    """
    return _OPERATIONS[operation](left, right)


def problems(count: int, *, seed: int, split: str) -> list[dict[str, str]]:
    """Draw different word problems with worked answers.

    Args:
        count: how many, at least 1.
        seed: the same seed gives the same problems on every platform.
        split: ``"train"`` or ``"test"``; they share no question (see the module's text).

    Returns:
        Rows ``{"question", "answer"}``.  ``answer`` has one line a step and ends in ``#### N``, as in GSM8K.

    Raises:
        ValueError: for a count below 1, a seed that is no integer, or another split.

    Example:
        >>> row = problems(1, seed=0, split="train")[0]
        >>> print(row["question"])
        There are 29 red and 5 blue marbles in a bag. Ines takes out 18. How many marbles are left?
        >>> print(row["answer"])
        29 + 5 = 34
        34 - 18 = 16
        #### 16
    """
    for name, value in (("count", count), ("seed", seed)):
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"{name} must be an integer, got {value!r} ({type(value).__name__})")
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(map(repr, SPLITS))}, got {split!r}")
    rng = random.Random(seed)
    rows: dict[str, str] = {}
    while len(rows) < count:
        template = rng.choice(TEMPLATES)
        quantities = [rng.randint(low, high) for low, high in template.ranges]
        steps = _solve(template, quantities)
        if steps is None or (sum(quantities) % TEST_MODULUS == 0) != (split == "test"):
            continue
        question = _fill(template, quantities, rng)
        rows[question] = "\n".join([*steps, f"#### {steps[-1].rpartition(' ')[2]}"])
    return [{"question": question, "answer": answer} for question, answer in rows.items()]


def _solve(template: Template, quantities: list[int]) -> list[str] | None:
    """The lines ``12 + 7 = 19`` of the solution; None where a result leaves 0..LARGEST."""
    known = dict(zip("abcd", quantities, strict=False))
    lines = []
    for step, result_name in zip(template.steps, "xyz", strict=False):
        left, operation, right = step.split()
        result = apply(known[left], operation, known[right])
        if not 0 <= result <= LARGEST:
            return None
        known[result_name] = result
        lines.append(f"{known[left]} {operation} {known[right]} = {result}")
    return lines


def _fill(template: Template, quantities: list[int], rng: random.Random) -> str:
    """The text of a question, with names and things drawn."""
    p, q, r = rng.sample(NAMES, 3)
    numbers = dict(zip("abcd", quantities, strict=False))
    return template.text.format(p=p, q=q, r=r, things=rng.choice(THINGS), **numbers)
