"""A dozen completions, and stacks over them, that every adapter must score alike."""

from __future__ import annotations

from typing import Any, NamedTuple

from rewardkit import Keywords, LengthBand, Reward, boxed_accuracy, soft_format

NOT_SCORED = -8.0
"""Stands for ``None`` where a trainer needs a number; no stack here can earn it."""


class Row(NamedTuple):
    prompt: str
    completion: str
    answer: Any


def _tagged(reasoning: str, answer: str) -> str:
    return f"<think>{reasoning}</think><answer>{answer}</answer>"


ROWS = (
    Row("1+1?", _tagged("1 and 1 is 2", r"\boxed{2}"), "2"),
    Row("1+1?", r"It is \boxed{3}.", "2"),
    Row("1+1?", "", "2"),
    Row("a half?", r"\boxed{\frac{1}{2}}", ["0.5", "1/2"]),
    Row("a half?", _tagged("so", r"\boxed{50\%}"), ["0.5", "1/2"]),
    Row("a half?", r"wait, \boxed{2}", ["0.5", "1/2"]),
    Row("your name?", _tagged("hm", "I have none"), None),
    Row("your name?", "wait <answer> wait", None),
    Row("2^10?", "<think>" + "word " * 60 + r"</think><answer>\boxed{1,024}</answer>", "1024"),
    Row("2^10?", r"\boxed{10^3}", "1024"),
    Row("€?", "<answer>\\boxed{9^{9^{9}}}</answer>\n\n", "3"),
    Row("€?", _tagged("ß∂ 数", r"\boxed{3}") + "\n", "3"),
)
BRIEF = LengthBand(steps={0: 0.5, 20: 0.25, 50: 0.0}, unit="words", name="brief")
DOUBTS = Keywords(words=("wait",), value=0.25, name="doubts")

# Weights and values are sums of powers of two, so that single precision holds every total exactly.
STACKS: dict[str, Reward] = {
    "sum": 2.0 * boxed_accuracy + 0.5 * soft_format + 0.25 * BRIEF - DOUBTS,
    "clipped and gated": (boxed_accuracy + BRIEF - 2.0 * DOUBTS).clip(-0.25, 1.25).gate(soft_format, otherwise=-0.5),
    "nothing without a format": boxed_accuracy.gate(soft_format, otherwise=None),
    "one reward": boxed_accuracy,
    "one weight": -0.5 * soft_format,
}


def prompts() -> list[str]:
    return [row.prompt for row in ROWS]


def texts() -> list[str]:
    return [row.completion for row in ROWS]


def answers() -> list[Any]:
    return [row.answer for row in ROWS]


def conversations() -> tuple[list[list[dict[str, str]]], list[list[dict[str, str]]]]:
    """Prompts and completions as messages."""
    return (
        [[{"role": "user", "content": text}] for text in prompts()],
        [[{"role": "assistant", "content": text}] for text in texts()],
    )


def expected(stack: Reward) -> list[float | None]:
    return stack(texts(), prompts=prompts(), answer=answers())


def as_numbers(values: list[float | None]) -> list[float]:
    return [NOT_SCORED if value is None else value for value in values]
