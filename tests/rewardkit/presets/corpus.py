"""Completions of every kind, made from a seed: laid out as asked, nearly so, and not at all."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import product

MARKS = (
    "<think>", "</think>", "<answer>", "</answer>", "<reasoning>", "</reasoning>", "```python", "```", "Answer:",
    "\n", "\n", "\n", " ", "\r\n", "\u2028", "\t", "",
)  # fmt: skip
WORDS = (
    "6 * 3 = 18",
    "So",
    "Step 1:",
    "1.",
    "First,",
    "- add",
    "* double",
    "Finally,",
    "é🙂",
    "18",
    "-7",
    "²",
    "<",
    ">",
)

LAYOUTS = (
    "<think>\n6 * 3\n</think>\n<answer>\n18\n</answer>",
    "<think>\n6 *\n3\n</think>\n<answer>\n```python\nprint(18)\n```\n</answer>",
    "<think>6 * 3</think>18",
    "<reasoning>\n6 * 3\n</reasoning>\n<answer>\n18\n</answer>\n",
    "<reasoning>6 * 3</reasoning> <answer>18</answer>",
    "<reasoning>6 * 3</reasoning></reasoning>\n\n<answer>18</answer></answer>",
    "",
)


def documents(count: int, seed: int = 0) -> list[str]:
    """Texts of tags and words: half of them layouts with a few changes, half thrown together."""
    rng = random.Random(seed)
    return [*LAYOUTS, *(_changed(rng) if rng.random() < 0.5 else _thrown(rng) for _ in range(count))]


def _thrown(rng: random.Random) -> str:
    return "".join(rng.choice(MARKS + WORDS) for _ in range(rng.randrange(16)))


def _changed(rng: random.Random) -> str:
    text = rng.choice(LAYOUTS)
    for _ in range(rng.randrange(4)):
        at, width = rng.randrange(len(text) + 1), rng.choice((0, 0, 1, 8))
        text = text[:at] + rng.choice(MARKS + WORDS) + text[at + width :]
    return text


TRUTHS = ("18", "$18$", r"\boxed{18}", r"\frac{1}{3}", r"$\frac{1}{3}$", r"3\sqrt{13}", r"$3\sqrt{13}$", "0.5", "x=3",
          "(1,2)", "$[0,1)$", "1,800", "28%", "10 cm", "eighteen", "", "#### 18", "$x^2+1$", "It is 18.")  # fmt: skip
ANSWERS = ("18", "18.0", "36/2", "-18", r"\frac{1}{3}", r"\frac13", "0.333333", "3", r"3\sqrt{13}", r"\sqrt{117}",
           "0.5", "50\\%", "x=3", "(1,2)", r"\{1,2\}", "[0,1)", "1,800", "28", "0.28", "28\\%", "10 m",
           r"18\text{ dollars}", "x^2+1", "1+x^2", "", "}", r"\frac{1}{", "é", "٣")  # fmt: skip
SETTINGS = (r"So it is \boxed{%s}.", "The final answer is $%s$", "%s")
ODD = (
    "", " ", "\n", "18", "#### 18", "The answer is 18", r"\boxed{}", r"\boxed{18", r"\boxed{17} or \boxed{18}",
    r"\boxed{18} or \boxed{17}", r"\boxed{17}" + " and so on" * 20 + r" \boxed{18}", r"\boxed{\boxed{18}}", r"$$18$$",
    r"\[18\]", r"\(18\)", r"\fbox{18}", r"<think>\boxed{17}</think>\boxed{18}", "The final answer is 18",
    "final answer: $18$. I hope it is correct.", r"\boxed{18}" * 30, "$" * 99, r"$\boxed{18}$", "\\boxed{18}\x00",
    "\ud800\\boxed{18}", r"\boxed{9^{9}}", r"\boxed{\text{eighteen}}", r"\boxed{１８}",
)  # fmt: skip


def answered() -> list[tuple[str, str]]:
    """(completion, reference) pairs: every answer beside every reference, and odd completions beside three."""
    pairs = [
        (SETTINGS[(i + j) % 3] % answer, truth)
        for (i, truth), (j, answer) in product(enumerate(TRUTHS), enumerate(ANSWERS))
    ]
    return pairs + [(odd, truth) for odd in ODD for truth in ("18", "$18$", "eighteen")]


def messages(texts: Sequence[str]) -> list[list[dict[str, str]]]:
    """The texts as a trainer hands over conversations."""
    return [[{"role": "assistant", "content": text}] for text in texts]
