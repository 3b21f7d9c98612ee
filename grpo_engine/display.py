"""The run as it is watched: a live panel on a terminal, one plain line a step anywhere else.

What a model wrote is untrusted: it loses its escape sequences and control characters and is never read as
markup. A display that cannot be written any more (a closed pipe) falls silent; the training goes on.
"""

from __future__ import annotations

import math
import re
import time
import unicodedata
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.errors import LiveError
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

HISTORY = 32  # steps in a sparkline: the recent past, at a width that fits beside its numbers
PACE = 50  # updates over which the remaining time is estimated
TEXT_LIMIT = 4_000  # characters of a text that are looked at; no terminal shows more
SAMPLE_LINES = (4, 10)  # lines of a sample's prompt and of its completion
BLOCKS = "▁▂▃▄▅▆▇█"
# CSI, then OSC and its kin up to their terminator, then two-character escapes. Every branch is linear.
ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|\x1b[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x9c|\x1b\\)?"
    r"|\x1b[ -/]*[0-~]?"
)
UNPRINTABLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # controls, direction marks, lone surrogates, odd line ends

LINE = (("len", "completions/mean_length", ".0f"), ("kl", "kl", ".2g"))  # a plain line, after the rewards
HEALTH = (
    ("kl", "kl"),
    ("entropy", "entropy"),
    ("grad norm", "grad_norm"),
    ("mean length", "completions/mean_length"),
    ("truncated", "completions/clipped_ratio"),
    ("dead groups", "frac_reward_zero_std"),
    ("tokens/s", "tokens_per_second"),
    ("rollout s", "time/rollout"),
    ("reward s", "time/reward"),
    ("train s", "time/train"),
)

Metrics = Mapping[str, float | None]


@dataclass(frozen=True)
class Sample:
    """One completion of the step and what it earned, None for a reward that did not score it."""

    prompt: str
    completion: str
    reward: float | None
    rewards: Mapping[str, float | None]


class Display:
    """Shows a run while it happens; a context manager around the training loop.

    Args:
        total_steps: the planned number of optimizer steps.
        title: what is trained, for the panel's head.
        enabled: False keeps it silent, for every rank but the first.
        console: where to write; standard output if None.
    """

    def __init__(self, *, total_steps: int, title: str, enabled: bool = True, console: Console | None = None) -> None:
        self._console = console or Console()
        self._enabled = enabled
        self._total = total_steps
        self._title = title
        self._lock = Lock()  # the live region is drawn by a thread of its own
        self._live: Live | None = None
        self._step = 0
        self._phase = "start"
        self._began = self._phase_began = time.monotonic()
        self._pace: deque[tuple[float, int]] = deque(maxlen=PACE)
        self._train: dict[str, deque[float | None]] = {}
        self._held_out: dict[str, float | None] = {}
        self._sample: Sample | None = None

    def __enter__(self) -> Display:
        self._began = self._phase_began = time.monotonic()
        # A terminal that cannot move its cursor or print block characters gets plain lines.
        able = self._console.is_terminal and not self._console.is_dumb_terminal
        if self._enabled and able and self._console.encoding.startswith("utf"):
            live = Live(console=self._console, get_renderable=self._render, refresh_per_second=4)
            try:
                live.start()
                self._live = live
            except LiveError:  # the caller already shows something live; rich allows one
                pass
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        live, self._live = self._live, None
        if live is not None:
            try:
                live.stop()
            except OSError:  # the terminal is gone
                self._enabled = False

    def phase(self, name: str) -> None:
        """Say what is happening now: rollout, reward, train, evaluate, save."""
        with self._lock:
            self._phase, self._phase_began = name, time.monotonic()

    def update(self, step: int, metrics: Metrics, sample: Sample | None) -> None:
        """Show a finished step, or an evaluation: metrics whose names start with `eval_`."""
        held_out = _held_out(metrics)
        with self._lock:
            self._step = step
            self._held_out.update(held_out)
            if not held_out:
                self._pace.append((time.monotonic(), step))
                for name, value in metrics.items():
                    self._train.setdefault(name, deque(maxlen=HISTORY)).append(value)
            if sample is not None:
                self._sample = Sample(
                    _head_and_tail(sample.prompt),
                    _head_and_tail(sample.completion),
                    sample.reward,
                    dict(sample.rewards),
                )
        if self._live is None:
            self._write(plain_line(step, self._total, metrics))

    def message(self, text: str) -> None:
        """Print a line that stays in the scrollback, above the live region."""
        if self._live is None:
            self._write(clean(text))
            return
        try:
            self._console.print(Text(clean(text)))
        except OSError:  # the terminal is gone
            self._enabled = False

    def _write(self, line: str) -> None:
        if not self._enabled:
            return
        file, encoding = self._console.file, self._console.encoding
        try:
            file.write(line.encode(encoding, "replace").decode(encoding) + "\n")
            file.flush()
        except (OSError, ValueError):  # the reader of the pipe has left, or the file was closed
            self._enabled = False

    # ------------------------------------------------------------------------------- the live region

    def _render(self) -> RenderableType:
        with self._lock:
            width = max(20, self._console.width - 4)
            rewards, health = self._rewards(width), self._health(width)
            parts: list[RenderableType] = [self._progress(), Text(), rewards, Text(), health]
            used = 8 + rewards.row_count + 1 + health.row_count
            if self._sample is not None:
                parts += [Text(), *self._sample_lines(self._sample, width, self._console.height - used)]
        head = Text(f" {clean(self._title)} ", style="bold")
        return Panel(Group(*parts), title=head, title_align="left", border_style="dim", padding=(0, 1))

    def _progress(self) -> Table:
        now = time.monotonic()
        line = Table.grid(padding=(0, 2), expand=True)
        for ratio in (1, None, None, None, None):
            line.add_column(ratio=ratio, no_wrap=True)
        line.add_row(
            ProgressBar(total=max(1, self._total), completed=self._step, complete_style="cyan"),
            Text(f"step {self._step}/{self._total}", style="bold"),
            Text(f"{clean(self._phase)} {now - self._phase_began:.0f} s", style="cyan"),
            Text(f"{_clock(now - self._began)} gone"),
            Text(f"{_clock(self._remaining(now))} left"),
        )
        return line

    def _remaining(self, now: float) -> float | None:
        """Seconds to the last step at the pace of the last updates, evaluations and saves included."""
        if len(self._pace) < 2 or self._pace[-1][1] <= self._pace[0][1]:
            return None
        (first, begin), (last, end) = self._pace[0], self._pace[-1]
        return max(0.0, (last - first) / (end - begin) * (self._total - end) - (now - last))

    def _rewards(self, width: int) -> Table:
        names = _reward_names([*self._train, *self._held_out])
        longest = max((len(label) for label, _ in names), default=0)
        recent = max(8, min(HISTORY, width - longest - 22))  # 22: the two numbers and the gaps
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", expand=False)
        table.add_column("", no_wrap=True)
        table.add_column("now", justify="right", min_width=6)
        table.add_column("held-out", justify="right", no_wrap=True)
        table.add_column(f"last {recent} steps", no_wrap=True)
        for label, name in names:
            history = list(self._train.get(name, ()))
            table.add_row(
                Text(label, style="bold" if name == "reward" else ""),
                _value(history[-1] if history else None),
                _value(self._held_out[name]) if name in self._held_out else Text(),
                Text(sparkline(history[-recent:]), style="green" if name == "reward" else "cyan"),
            )
        return table

    def _health(self, width: int) -> Table:
        known = [(label, self._train[name][-1]) for label, name in HEALTH if name in self._train]
        across = max(1, min(5, width // 24))
        table = Table.grid(padding=(0, 1))
        for _ in range(across):
            table.add_column(style="dim")
            table.add_column(justify="right", min_width=6)
            table.add_column(min_width=2)
        for start in range(0, len(known), across):
            some = known[start : start + across]
            table.add_row(*(cell for label, value in some for cell in (Text(label), _value(value), "")))
        return table

    def _sample_lines(self, sample: Sample, width: int, room: int) -> list[RenderableType]:
        """The sample's score, its prompt and its completion, in as many lines as the terminal has left."""
        score = Text("sample  ", style="dim", no_wrap=True, overflow="ellipsis")
        for name, value in {"reward": sample.reward, **sample.rewards}.items():
            score.append(f"{clean(name)} ").append_text(_value(value)).append("  ")
        prompt, completion = SAMPLE_LINES
        return [
            score,
            *self._fit(sample.prompt, "dim", width, min(prompt, max(1, room // 3))),
            Text(),
            *self._fit(sample.completion, "", width, min(completion, max(1, room - room // 3))),
        ]

    def _fit(self, text: str, style: str, width: int, limit: int) -> list[Text]:
        """The text's first and last lines; the answer is usually in the last."""
        lines = list(Text(text, style=style).wrap(self._console, width))
        if len(lines) <= limit:
            return lines
        head = max(1, (limit - 1) // 2)
        tail = max(0, limit - 1 - head)
        gap = Text(f"⋯ {len(lines) - head - tail} more lines", style="dim italic")
        return [*lines[:head], gap, *lines[len(lines) - tail :]]


def plain_line(step: int, total: int, metrics: Metrics) -> str:
    """One update as one line.

    >>> plain_line(12, 80, {"reward": 0.91, "rewards/exact/mean": 0.55, "kl": 0.0021, "step_time": 1.1})
    'step 12/80  reward 0.91  exact 0.55  kl 0.0021  1.1 s'
    """
    held_out = _held_out(metrics)
    values, words = held_out or metrics, [f"step {step}/{total}", *(["held-out"] if held_out else [])]
    words += [f"{label} {_format(values[name], '.2f')}" for label, name in _reward_names(values)]
    words += [f"{label} {_format(values[name], form)}" for label, name, form in LINE if name in values]
    if values.get("step_time") is not None:
        words.append(f"{_format(values['step_time'], '.1f')} s")
    return "  ".join(words)


def clean(text: str) -> str:
    r"""Text that can only be read: no escape sequences, controls, direction marks or lone surrogates.

    >>> clean("[31mred[0m ]0;titlealarm")
    'red alarm'
    """
    plain = ESCAPES.sub("", text).replace("\r\n", "\n").expandtabs(4)
    return "".join(c for c in plain if c == "\n" or unicodedata.category(c) not in UNPRINTABLE)


def sparkline(values: Sequence[float | None]) -> str:
    """A little curve between the smallest and the largest value; a gap where there is none.

    >>> sparkline([0.0, 0.5, None, 1.0])
    '▁▅ █'
    """
    known = [value for value in values if value is not None and math.isfinite(value)]
    low, span = (min(known), max(known) - min(known)) if known else (0.0, 0.0)
    blocks = {value: BLOCKS[round((value - low) / span * 7) if span > 0 else 3] for value in known}
    return "".join(" " if value is None else blocks.get(value, " ") for value in values)


def _held_out(metrics: Metrics) -> dict[str, float | None]:
    return {name[5:]: value for name, value in metrics.items() if name.startswith("eval_")}


def _reward_names(names: Sequence[str] | Metrics) -> list[tuple[str, str]]:
    """(label, metric) of the reward and of each of its components, in the order in which they came."""
    parts = [name for name in dict.fromkeys(names) if name.startswith("rewards/") and name.endswith("/mean")]
    return [("reward", "reward")] * ("reward" in names) + [(clean(name[8:-5]), name) for name in parts]


def _head_and_tail(text: str) -> str:
    half = TEXT_LIMIT // 2
    return clean(text if len(text) <= TEXT_LIMIT else f"{text[:half]}\n⋯\n{text[-half:]}").strip("\n")


def _format(value: float | None, form: str) -> str:
    return "n/a" if value is None else format(value, form)


def _value(value: float | None) -> Text:
    """A number at a readable precision; one that is not finite is a fault and stands out."""
    if value is None:
        return Text("–", style="dim")
    if not math.isfinite(value):
        return Text(str(value), style="bold red")
    size = abs(value)
    form = ",.0f" if size >= 100 else ".1f" if size >= 10 else ".2f" if size >= 0.1 or size == 0 else ".2g"
    return Text(format(value, form), style="bold")


def _clock(seconds: float | None) -> str:
    if seconds is None:
        return "-:--:--"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
