"""Small data sets with known answers."""

from __future__ import annotations

from typing import Any


def sums(count: int = 40) -> list[dict[str, Any]]:
    """Word problems; in every fourth the answer stands in the middle of the prompt."""
    rows = []
    for i in range(count):
        a, b, c = 11 + 2 * i, 3 + i % 7, 5 + i % 3
        if i % 4:
            question, answer = f"Ann has {a} pears. She buys {b} more. How many does she have?", a + b
        else:
            question, answer = f"In {b} trees sit {a} birds, and {c} are blue. How many birds are there?", a
        rows.append({"prompt": question, "answer": f"I add.\n#### {answer}"})
    return rows


def plain_sums(count: int = 40) -> list[dict[str, Any]]:
    """The same with the bare number as reference."""
    return [{**row, "answer": row["answer"].rpartition(" ")[2]} for row in sums(count)]


def choices(count: int = 40) -> list[dict[str, Any]]:
    """Questions with four options."""
    letters = "ABCD"
    return [
        {"prompt": f"{n} + {n} = ?\nA) {2 * n} B) {n} C) {3 * n} D) {n + 1}", "answer": letters[n % 4]}
        for n in range(3, count + 3)
    ]


def decimals(count: int = 40) -> list[dict[str, Any]]:
    """Numbers that are not written in digits alone."""
    return [
        {"prompt": f"Half of {n}?", "answer": f"{n // 2}.5" if n % 4 == 1 else f"-{n}"} for n in range(1, 2 * count, 2)
    ]


def solutions(count: int = 40) -> list[dict[str, Any]]:
    """References as math-verify wants them."""
    return [{**row, "solution": f"${row['answer']}$"} for row in plain_sums(count)]


def mixed() -> list[dict[str, Any]]:
    """Rows of three kinds, told by the column "task"."""
    towns = "Paris London Rome Berlin Madrid Oslo Vienna Athens Lisbon Dublin Riga Tallinn".split()
    trivia = [{"prompt": f"The town with the number {i}?", "answer": town} for i, town in enumerate(towns)]
    kinds = {"math": sums(12), "choice": choices(12), "text": trivia}
    return [{**row, "task": kind} for kind, rows in kinds.items() for row in rows]
