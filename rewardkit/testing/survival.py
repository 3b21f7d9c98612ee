"""Whether a reward comes back, with values that the contract allows, from whatever a model may write."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence
from time import perf_counter

from rewardkit.testing.subject import shown
from rewardkit.testing.trial import Trial, Verdict

SLOW_SECONDS = 1.0
"""From when on the time of one completion is part of the report."""
MOST_NAMED = 3
"""How many other completions that fail are named: a list of seventy hides the example."""
NOTICE_SECONDS = 10.0
"""After how long a completion that is still being scored is named on stderr: the reward may never come back."""


def survives(trial: Trial, texts: Mapping[str, str]) -> Verdict:
    """Score each text; of those that fail, show the shortest, made as short as it still fails."""
    faults: dict[str, tuple[str, int]] = {}
    seconds: dict[str, float] = {}
    for place, (name, text) in enumerate(texts.items()):
        started = perf_counter()
        if _watched(trial, name, text, place):
            faults[name] = (text, place)
        seconds[name] = perf_counter() - started
    if not faults:
        return True, f"{len(texts)} completions{_slowest(seconds)}"
    name = min(faults, key=lambda key: len(faults[key][0]))
    text, place = faults.pop(name)
    text = _smallest(trial, text, place)
    return False, f"{trial.fault_on(text, place)} on {shown(text)} ({name}){_others(list(faults))}"


def _others(names: Sequence[str]) -> str:
    """The first of the other completions that fail, and how many more there are."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"; also on {', '.join(names[:MOST_NAMED])}{more}" if names else ""


def _slowest(seconds: Mapping[str, float]) -> str:
    """The completion that took longest, where that is worth saying: a trainer waits for every reward."""
    name = max(seconds, key=lambda key: seconds[key], default="")
    slow = name and seconds[name] > SLOW_SECONDS
    return f", {seconds[name]:.1f} s of it for {name}" if slow else ""


def _watched(trial: Trial, name: str, text: str, place: int) -> str:
    """The fault on a text, which is named while it is waited for."""
    timer = threading.Timer(NOTICE_SECONDS, _notice, (trial.subject.name, name))
    timer.daemon = True
    timer.start()
    try:
        return trial.fault_on(text, place)
    finally:
        timer.cancel()


def _smallest(trial: Trial, text: str, place: int) -> str:
    """The text, halved for as long as one of its halves fails in the same way."""
    kind = trial.fault_on(text, place).partition(":")[0]
    while len(text) > 1:
        halves = (text[: len(text) // 2], text[len(text) // 2 :])
        smaller = next((half for half in halves if trial.fault_on(half, place).partition(":")[0] == kind), None)
        if smaller is None:
            break
        text = smaller
    return text


def _notice(reward: str, completion: str) -> None:
    sys.stderr.write(
        f"check_reward: {reward} has not come back from the completion {completion!r} after {NOTICE_SECONDS:.0f} s\n"
    )
