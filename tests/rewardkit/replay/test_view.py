"""Specification of how simulations and differences print: as tables, and never as what a completion says."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from rewardkit.replay import Recorded, diff, simulate
from rewardkit.replay.view import STEPS, escaped, percent, thinned

A, B = Recorded(column="a"), Recorded(column="b")
ROWS = [
    {
        "step": n // 4,
        "prompt": str(n // 2),
        "completion": "[bold]x[/bold] \x1b[31m",
        "a": float(n % 2),
        "b": (n % 3) / 2,
    }
    for n in range(12)
]
TABLES = simulate((A + 0.5 * B).clip(0, 1.2), ROWS)


def test_a_simulation_prints_components_steps_and_findings() -> None:
    text = repr(TABLES)
    assert text.startswith("combined on 12 completions: 6 groups of 2, 3 steps")
    for word in (
        "component",
        "share",
        "varies",
        "clipped",
        "dead",
        "3 of 3 steps",
        "warning: a clip of combined binds",
    ):
        assert word in text


def test_one_step_needs_no_table_of_steps() -> None:
    assert "steps; below each component" not in repr(simulate(A, ROWS[:4]))


def test_a_difference_prints_what_changes_and_examples() -> None:
    text = repr(diff(A, B, ROWS))
    for word in (
        "a → b on 12 completions",
        "rewards change",
        "change sign",
        "prefer another completion",
        "correlation",
    ):
        assert word in text
    assert "data, line" in text


@pytest.mark.parametrize("name", ["[bold]a", "a[]", "[red", "[link=x]y"])
def test_names_are_no_markup(name: str) -> None:
    last = name.rpartition("/")[2]  # a slash makes it a path
    assert last in repr(simulate(A.named(name) + B, ROWS))
    assert name in repr(diff(A.named(name), B, ROWS))


def test_completions_are_no_markup_and_cannot_steer_the_terminal() -> None:
    out = io.StringIO()
    Console(file=out, force_terminal=True, width=120).print(diff(A, B, ROWS))
    assert r"[bold]x[/bold] \x1b[31m" in out.getvalue()
    assert "\x1b[31m" not in out.getvalue()


def test_prints_at_any_width() -> None:
    for width in (20, 80, 300):
        out = io.StringIO()
        Console(file=out, width=width).print(TABLES, diff(A, B, ROWS))
        assert max(map(len, out.getvalue().splitlines())) <= width


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a\nb\t", r"a\nb\t"), ("\x00\x9b", r"\x00\x9b"), ("\ud800", r"\ud800"), ("\u202e", r"\u202e"), ("é[x]", "é[x]")],
)
def test_what_cannot_be_seen_is_written_out(text: str, shown: str) -> None:
    assert escaped(text, 80) == shown


def test_a_huge_text_is_cut() -> None:
    assert escaped("x" * 1_000_000, 10) == "x" * 10 + " …"


def test_percentages() -> None:
    assert [percent(share) for share in (None, 0.0, -1e-9, 0.123, -0.5, 2.0)] == [
        "–",
        "0.0%",
        "0.0%",
        "12.3%",
        "-50.0%",
        "200.0%",
    ]


def test_many_steps_are_thinned_out_evenly_and_keep_both_ends() -> None:
    rows = [{"step": n, "prompt": "p", "completion": "c", "a": float(n)} for n in range(100)]
    steps = simulate(A, rows).steps
    shown = thinned(steps, STEPS)
    assert (len(shown), shown[0].step, shown[-1].step) == (STEPS, 0, 99)
    assert thinned(steps[:3], STEPS) == list(steps[:3])
