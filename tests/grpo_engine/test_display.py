"""The display says what was logged, in a line or in a panel, and never stands in the way of the training."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from grpo_engine import display as module
from grpo_engine.display import Display, Sample, clean, plain_line, sparkline

METRICS = {
    "reward": 0.912,
    "rewards/boxed_accuracy/mean": 0.55,
    "rewards/boxed_accuracy/std": 0.3,
    "rewards/strict_format/mean": 0.721,
    "completions/mean_length": 38.2,
    "kl": 0.0021,
    "entropy": 0.61,
    "step_time": 1.1,
}
EVALUATION = {
    "eval_reward": 0.94,
    "eval_rewards/boxed_accuracy/mean": 0.58,
    "eval_completions/mean_length": 40.0,
}
SAMPLE = Sample("What is 1 + 1?", "It is 2.", 1.0, {"boxed_accuracy": 1.0, "length_band": None})


def pipe() -> Console:
    return Console(file=io.StringIO(), force_terminal=False)


def terminal(width: int = 110, height: int = 45) -> Console:
    environment = {"TERM": "xterm-256color"}
    return Console(file=io.StringIO(), force_terminal=True, width=width, height=height, _environ=environment)


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def frame(display: Display, width: int = 110, height: int = 45) -> str:
    """The live region at this moment, without colours."""
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None)
    console.print(display._render())
    return written(console)


# -------------------------------------------------------------------------------------------- plain lines


def test_a_step_is_one_line_where_there_is_no_terminal() -> None:
    console = pipe()
    with Display(total_steps=80, title="gsm8k", console=console) as display:
        display.phase("rollout")
        display.update(12, METRICS, SAMPLE)
    assert written(console) == (
        "step 12/80  reward 0.91  boxed_accuracy 0.55  strict_format 0.72  len 38  kl 0.0021  1.1 s\n"
    )


def test_an_evaluation_is_a_line_of_its_own() -> None:
    assert plain_line(40, 80, EVALUATION) == "step 40/80  held-out  reward 0.94  boxed_accuracy 0.58  len 40"


def test_what_was_not_scored_or_is_no_number_is_said() -> None:
    metrics = {"reward": float("nan"), "rewards/exact/mean": None, "kl": 1e-5, "step_time": None}
    assert plain_line(1, 2, metrics) == "step 1/2  reward nan  exact n/a  kl 1e-05"


def test_a_long_line_is_not_broken() -> None:
    console = Console(file=io.StringIO(), force_terminal=False, width=20)
    with Display(total_steps=80, title="gsm8k", console=console) as display:
        display.update(12, METRICS, None)
        display.message("a message that is much longer than twenty columns")
    assert len(written(console).splitlines()) == 2


def test_other_ranks_are_silent() -> None:
    for console in (pipe(), terminal()):
        with Display(total_steps=80, title="gsm8k", enabled=False, console=console) as display:
            display.phase("train")
            display.update(1, METRICS, SAMPLE)
            display.message("hello")
        assert written(console) == ""


def test_a_terminal_that_cannot_redraw_gets_plain_lines() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"})
    with Display(total_steps=80, title="gsm8k", console=console) as display:
        display.update(12, {"reward": 0.5}, None)
    assert written(console) == "step 12/80  reward 0.50\n"


def test_an_output_that_is_not_unicode_gets_question_marks() -> None:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="ascii")
    with Display(total_steps=2, title="t", console=Console(file=file, force_terminal=False)) as display:
        display.message("naïve → \ud800")
    assert raw.getvalue() == b"na?ve ? \n"


class ClosedPipe(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_closed_pipe_silences_the_display_and_not_the_training() -> None:
    with Display(total_steps=2, title="t", console=Console(file=ClosedPipe(), force_terminal=False)) as display:
        display.update(1, METRICS, SAMPLE)
        display.update(2, METRICS, SAMPLE)
        display.message("done")


def test_a_closed_file_silences_the_display_and_not_the_training() -> None:
    console = pipe()
    console.file.close()
    with Display(total_steps=2, title="t", console=console) as display:
        display.update(1, METRICS, SAMPLE)


# --------------------------------------------------------------------------------------------- live panel


def test_the_panel_shows_progress_rewards_health_and_the_sample() -> None:
    display = Display(total_steps=80, title="gsm8k_r1", console=terminal())
    display.update(11, METRICS | {"reward": 0.1}, SAMPLE)
    display.update(12, METRICS, SAMPLE)
    display.update(12, EVALUATION, None)
    display.phase("rollout")
    shown = frame(display)
    for text in (
        "gsm8k_r1",
        "step 12/80",
        "rollout",
        "What is 1 + 1?",
        "It is 2.",
        "length_band –",
        "entropy",
        "0.0021",
    ):
        assert text in shown, text
    (reward,) = [line for line in shown.splitlines() if line.startswith("│ reward")]
    assert reward.split()[1:5] == ["reward", "0.91", "0.94", "▁█"], "now, held-out and the history"
    assert "boxed_accuracy/std" not in shown


def test_the_panel_is_drawn_before_the_first_step() -> None:
    assert "step 0/80" in frame(Display(total_steps=80, title="t", console=terminal()))


def test_remaining_time_follows_the_pace_of_the_last_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    display = Display(total_steps=80, title="t", console=terminal())
    for step in (41, 42, 43):  # a resumed run: what came before is no measure of its pace
        now += 10.0
        display.update(step, METRICS, None)
    now += 4.0
    left = 10 * (80 - 43) - 4
    assert f"0:{left // 60:02d}:{left % 60:02d} left" in frame(display)
    assert "0:00:34 gone" in frame(display)


def test_a_number_that_is_not_finite_is_shown() -> None:
    display = Display(total_steps=80, title="t", console=terminal())
    display.update(1, METRICS | {"grad_norm": float("inf"), "kl": float("nan"), "reward": float("nan")}, None)
    shown = frame(display)
    assert "inf" in shown
    assert shown.count("nan") == 2


@pytest.mark.parametrize(("width", "height"), [(110, 45), (64, 26), (30, 24), (200, 60)])
def test_the_panel_fits_the_terminal_whatever_the_model_wrote(width: int, height: int) -> None:
    huge = Sample("a prompt\n" * 10_000, "x" * 1_000_000 + "\n" * 100_000 + "the answer", 0.0, {})
    console = terminal(width, height)
    display = Display(total_steps=80, title="t", console=console)
    display.update(1, METRICS, huge)
    shown = frame(display, width, height).splitlines()
    assert len(shown) <= height
    assert max(map(len, shown)) <= width
    assert "the answer" in "".join(shown)


def test_a_hostile_sample_can_neither_style_nor_steer_the_terminal() -> None:
    hostile = "[bold red]not markup[/] \x1b]0;owned\x07\x1b[2J\x1b[31mred\x9b5A \u202egnp \ud800 :smile: {0} %s"
    sample = Sample(hostile, hostile, 1.0, {"[red]f\x1b[2J": 1.0})
    console = terminal()
    with Display(total_steps=2, title="[red]title\x1b[2J", console=console) as display:
        display.update(1, METRICS | {"rewards/[red]f\x1b[2J/mean": 1.0}, sample)
        display.message(hostile)
        shown = frame(display)
    output = written(console)
    for harm in ("owned", "\x1b[2J", "\x9b", "\u202e", "\ud800"):
        assert harm not in output, repr(harm)
        assert harm not in shown, repr(harm)
    for text in ("[bold red]not markup[/]", ":smile: {0} %s", "[red]title", "[red]f"):
        assert text in shown, text


def test_messages_stay_in_the_scrollback_above_the_panel() -> None:
    console = terminal()
    with Display(total_steps=2, title="the title", console=console) as display:
        display.message("saved checkpoint-1")
        display.update(1, METRICS, SAMPLE)
    output = written(console)
    assert output.count("saved checkpoint-1") == 1
    assert output.rindex("the title") > output.index("saved checkpoint-1")


def test_an_error_in_the_training_passes_through_and_the_cursor_comes_back() -> None:
    console = terminal()
    with (
        pytest.raises(RuntimeError, match="out of memory"),
        Display(total_steps=2, title="t", console=console),
    ):
        raise RuntimeError("out of memory")
    assert written(console).endswith("\x1b[?25h")


# -------------------------------------------------------------------------------------------- small parts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain\ttext\nline", "plain   text\nline"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]0;never ended", ""),
        ("\x1bP1$r\x1b\\after", "after"),
        ("\x1b(B\x1b7back", "back"),
        ("a\x00b\x08c\x7fd\x85e\u2066f\u2028g", "abcdefg"),
        ("cr\r\nlf\rover", "cr\nlfover"),
        ("\x1b", ""),
        ("日本 🙂 é", "日本 🙂 é"),
    ],
)
def test_clean_leaves_only_what_can_be_read(text: str, expected: str) -> None:
    assert clean(text) == expected


def test_clean_takes_linear_time() -> None:
    begin = time.perf_counter()
    clean("\x1b[" * 100_000 + "\x1b]" * 100_000 + "\x9b0" * 100_000)
    assert time.perf_counter() - begin < 5


def test_a_sparkline_runs_from_its_smallest_to_its_largest_value() -> None:
    assert sparkline([float(i) for i in range(8)]) == module.BLOCKS
    assert sparkline([-1.0, 1.0]) == "▁█"


def test_a_sparkline_has_gaps_and_a_flat_one_is_a_line() -> None:
    assert sparkline([0.0, None, float("nan"), float("inf"), 1.0]) == "▁   █"
    assert sparkline([0.5, 0.5]) == "▄▄"
    assert sparkline([None, None]) == "  "
    assert sparkline([]) == ""


def test_a_sample_is_a_value() -> None:
    assert Sample("What is 1 + 1?", "It is 2.", 1.0, SAMPLE.rewards) == SAMPLE
    with pytest.raises(AttributeError):
        SAMPLE.prompt = "other"  # type: ignore[misc]
