"""What the embedded policy is taught to write: the right completion, and the bad habits that RL has to remove.

The right completion is one strict text::

    <think>
    12 + 7 = 19
    19 - 5 = 14
    </think>
    <answer>
    \\boxed{14}
    </answer>

A sloppy completion has, independently, a mistake (three times in four) and a broken format (half the time).
Each habit is the minority at the token where it begins, so that the right completion stays the most probable
one: the policy knows what is right, and does it too seldom.  That is the state in which RL helps.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import TypeVar

from recipes.embedded.problems import LARGEST, apply

Step = tuple[int, str, int, int]  # left, operation, right, result
Habit = TypeVar("Habit")
_LINE = re.compile(r"(\d+) ([-+*]) (\d+) = (\d+)")


def right_completion(answer: str) -> str:
    r"""The strict completion for a worked answer.

    >>> right_completion("2 + 3 = 5\n5 * 2 = 10\n#### 10")
    '<think>\n2 + 3 = 5\n5 * 2 = 10\n</think>\n<answer>\n\\boxed{10}\n</answer>'
    """
    steps = _read(answer)
    return _write(steps, _boxed(steps[-1][3]))


def sloppy_completion(answer: str, *, rng: random.Random) -> str:
    """One draw of the policy's habits for a worked answer: MISTAKES first, then BREAKS, by their weights."""
    steps = _read(answer)
    steps, boxed = _draw(MISTAKES, rng)(steps, rng)
    return _draw(BREAKS, rng)(_write(steps, boxed))


def _read(answer: str) -> list[Step]:
    return [(int(left), op, int(right), int(result)) for left, op, right, result in _LINE.findall(answer)]


def _boxed(value: int) -> str:
    return rf"\boxed{{{value}}}"


def _write(steps: list[Step], boxed: str) -> str:
    lines = "".join(f"{left} {op} {right} = {result}\n" for left, op, right, result in steps)
    think = f"<think>\n{lines}</think>\n" if steps else ""
    return f"{think}<answer>\n{boxed}\n</answer>"


def _carry_on(steps: list[Step], at: int, changed: Step) -> list[Step]:
    """The steps with one changed, its new result used by the later ones (results are kept within 0..LARGEST)."""
    renamed = {steps[at][3]: changed[3]}
    out = [*steps[:at], changed]
    for left, op, right, result in steps[at + 1 :]:
        new_left, new_right = renamed.get(left, left), renamed.get(right, right)
        renamed[result] = min(max(apply(new_left, op, new_right), 0), LARGEST)
        out.append((new_left, op, new_right, renamed[result]))
    return out


# A mistake takes the right steps and gives the steps and the box that are written.
Mistake = Callable[[list[Step], random.Random], tuple[list[Step], str]]


def no_mistake(steps: list[Step], rng: random.Random) -> tuple[list[Step], str]:
    """All steps right, and the last result in the box."""
    return steps, _boxed(steps[-1][3])


def guess(steps: list[Step], rng: random.Random) -> tuple[list[Step], str]:
    """No steps at all: a number near one that would have come up."""
    value = rng.choice(steps)[3] + rng.choice((-10, -3, -2, -1, 1, 2, 3, 10))
    return [], _boxed(abs(value))


def wrong_operation(steps: list[Step], rng: random.Random) -> tuple[list[Step], str]:
    """One step uses another operation; the rest follows from it."""
    at = rng.randrange(len(steps))
    left, op, right, _ = steps[at]
    others = [other for other in "+-*" if other != op and 0 <= apply(left, other, right) <= LARGEST]
    if not others:
        return slip(steps, rng)
    other = rng.choice(others)
    out = _carry_on(steps, at, (left, other, right, apply(left, other, right)))
    return out, _boxed(out[-1][3])


def slip(steps: list[Step], rng: random.Random) -> tuple[list[Step], str]:
    """One result is off by one or by ten; the rest follows from it."""
    at = rng.randrange(len(steps))
    left, op, right, result = steps[at]
    off = rng.choice([off for off in (-10, -1, 1, 10) if 0 <= result + off <= LARGEST])
    out = _carry_on(steps, at, (left, op, right, result + off))
    return out, _boxed(out[-1][3])


def stop_early(steps: list[Step], rng: random.Random) -> tuple[list[Step], str]:
    """The last step is missing."""
    return steps[:-1], _boxed(steps[-2][3])


def box_another(steps: list[Step], rng: random.Random) -> tuple[list[Step], str]:
    """All steps right, and then an earlier result in the box."""
    return steps, _boxed(rng.choice(steps[:-1])[3])


def no_box(steps: list[Step], rng: random.Random) -> tuple[list[Step], str]:
    """The right number without a box: nothing that a boxed-answer reward can read."""
    return steps, str(steps[-1][3])


MISTAKES: dict[Mistake, float] = {
    no_mistake: 0.25,
    guess: 0.23,
    wrong_operation: 0.20,
    slip: 0.01,  # rare: a softened digit is unlearned far more slowly than a habit that begins at one token
    stop_early: 0.16,
    box_another: 0.11,
    no_box: 0.04,
}

# A break takes a strict text and gives one that a strict check refuses.
Break = Callable[[str], str]


def keep_format(text: str) -> str:
    """No break."""
    return text


def no_think_close(text: str) -> str:
    """``</think>`` is missing."""
    return text.replace("</think>\n", "")


def no_answer_tags(text: str) -> str:
    """The box stands bare after the thoughts."""
    return text.replace("<answer>\n", "").replace("\n</answer>", "")


def no_line_breaks(text: str) -> str:
    """The answer's tags stand on the line of the box."""
    return text.replace("<answer>\n", "<answer>").replace("\n</answer>", "</answer>")


def no_answer_close(text: str) -> str:
    """``</answer>`` is missing."""
    return text.removesuffix("\n</answer>")


def chatter(text: str) -> str:
    """A friendly word after the end."""
    return f"{text}\nI hope this helps!"


BREAKS: dict[Break, float] = {
    keep_format: 0.58,
    no_think_close: 0.09,
    no_answer_tags: 0.08,
    no_line_breaks: 0.10,
    no_answer_close: 0.06,
    chatter: 0.09,
}


def _draw(table: dict[Habit, float], rng: random.Random) -> Habit:
    return rng.choices(list(table), weights=list(table.values()))[0]
