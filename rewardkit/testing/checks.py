"""The clauses of the contract, each a function from a trial to "kept or not, and what was seen"."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from time import perf_counter

from rewardkit.testing.hostile import EMPTY
from rewardkit.testing.rows import Rows, unchanged
from rewardkit.testing.subject import Result, Subject, shown
from rewardkit.testing.survival import survives
from rewardkit.testing.together import at_once
from rewardkit.testing.trial import Trial, Verdict

TRAINER_COLUMNS = ("completion_ids", "trainer_state", "log_extra", "log_metric")
"""What a trainer adds to the columns of the data set, ``None`` where it has none."""
ROWS_TRIED = 8
"""Rows that are scored alone to find one on which a call raises: with a server that is down each may take long."""
MESSAGES_ALONE = (
    "read a completion with rewardkit.completion_text(completion), which takes both, or let @rewardkit.reward read it; "
    'or pass completions=[[{"role": "assistant", "content": "..."}], ...] and message_invariant=False'
)
STRINGS_ALONE = (
    "read a completion with rewardkit.completion_text(completion), which takes both, or let @rewardkit.reward read it; "
    'or pass completions=["...", ...] and message_invariant=False'
)
THREADS = 4
CALL_SECONDS = 0.001
MOST_COPIES = 256
"""Rows are repeated until a call takes this long: a thread must be interrupted in a call, not between two."""
ROUND_SECONDS = 0.05
"""The threads start together again and again for this long, as what they share is seldom hit at once."""
WAIT_SECONDS = 60.0
"""How long threads may take, beside ten times what a call took alone, before they count as stuck."""


def call(trial: Trial) -> Verdict:
    """It scores the given completions at all."""
    if not trial.base.raised:
        return True, f"{len(trial.rows)} completions"
    given, other = ("strings", "message lists") if trial.given_as_text else ("message lists", "strings")
    if not trial.score(trial.rows.as_messages() if trial.given_as_text else trial.rows.as_text()).raised:
        how = MESSAGES_ALONE if trial.given_as_text else STRINGS_ALONE
        return False, f"takes {other} only: raises {trial.base.raised} on {given}", how
    return False, f"raises {_where_it_raises(trial)}"


def _where_it_raises(trial: Trial) -> str:
    """The exception with the shortest row that meets it alone; rows that it never leaves alone are not taken out."""
    rows = trial.shortest_first()[:ROWS_TRIED] if trial.switches["batch_invariant"] else []
    alone = {row: trial.score(trial.rows.take([row])).raised for row in rows}
    row = next(filter(alone.get, rows), None)
    if row is None:
        return f"{trial.base.raised} on the batch of {len(trial.rows)} completions"
    example = shown(trial.rows.completions[row])
    if len(rows) == 1 or not all(alone.values()):
        return f"{alone[row]} on row {row} alone, {example}"
    every = "every row" if len(rows) == len(trial.rows) else f"each of the {len(rows)} shortest rows"
    return f"{alone[row]} on {every}, such as {example}"


def length(trial: Trial) -> Verdict:
    """It gives a list with one value per completion."""
    return not trial.base.shape, trial.base.shape or f"{len(trial.base.values)} values"


def finite(trial: Trial) -> Verdict:
    """Every value is a finite number or ``None``."""
    return not trial.base.unusable, trial.base.unusable or "finite numbers or None"


def deterministic(trial: Trial) -> Verdict:
    """The same call gives the same values."""
    again = (trial.score(trial.rows) for _ in range(2))
    return trial.compared(*(trial.difference(result, trial.base, trial.rows, "when called again") for result in again))


def unknown_keywords(trial: Trial) -> Verdict:
    """Columns that it does not know are no matter."""
    arguments = {**trial.rows.arguments(), "a_column_of_the_data_set": [None] * len(trial.rows)}
    result = trial.subject.score(arguments, unfiltered=True)
    return trial.compared(trial.difference(result, trial.base, trial.rows, "beside an unknown column"))


def trainer_columns(trial: Trial) -> Verdict:
    """What trainers add may be ``None``."""
    arguments = {**dict.fromkeys(TRAINER_COLUMNS), **trial.rows.arguments()}
    how = f"where {', '.join(name for name in TRAINER_COLUMNS if arguments[name] is None)} are None"
    return trial.compared(trial.difference(trial.subject.score(arguments), trial.base, trial.rows, how))


def message_invariant(trial: Trial) -> Verdict:
    """A string and the message that says it are worth the same."""
    texts, messages = trial.rows.as_text(), trial.rows.as_messages()
    plain = trial.score(texts)
    fault = trial.fault(plain)
    if fault:
        return False, f"{fault} on strings such as {shown(texts.completions[0])}"
    return trial.compared(trial.difference(trial.score(messages), plain, texts, "as a list of one message"))


def order(trial: Trial) -> Verdict:
    """A batch in another order gives the values in that order."""
    backwards = trial.rows.reversed()
    expected = Result(trial.base.values[::-1])
    return trial.compared(trial.difference(trial.score(backwards), expected, backwards, "in a batch that is reversed"))


def batch_invariant(trial: Trial) -> Verdict:
    """A value does not depend on what else is in the batch."""
    if trial.broke("order"):
        return None, "not judged: the values depend on the order"
    doubled = trial.rows.take([*range(len(trial.rows))] * 2)
    twice = Result(trial.base.values * 2)
    singles = (
        (trial.score(alone), Result((trial.base.values[row],)), alone)
        for row in trial.shortest_first()
        for alone in [trial.rows.take([row])]
    )
    differences = (trial.difference(*single, "alone") for single in singles)
    found = next(filter(None, differences), "") or trial.difference(
        trial.score(doubled), twice, doubled, "in a batch that has it twice"
    )
    return not found, found or f"{len(trial.rows)} alone, and each twice in a batch"


def empty_batch(trial: Trial) -> Verdict:
    """No completions, no values."""
    result = trial.score(trial.rows.take([]))
    fault = trial.fault(result)
    return not fault, f"{fault} on completions=[]" if fault else "no completions, no values"


def empty_completion(trial: Trial) -> Verdict:
    """A completion without a word is worth something, too."""
    return survives(trial, EMPTY)


def hostile(trial: Trial) -> Verdict:
    """No completion makes it raise."""
    return survives(trial, trial.examples)


def inputs_unchanged(trial: Trial) -> Verdict:
    """What it is given is as before afterwards."""
    forms = [trial.rows] if trial.rejects_messages else [trial.rows, trial.rows.as_messages()]
    for rows in forms:
        before, arguments = rows.arguments(), rows.arguments()
        trial.subject.score(arguments)
        for name in ("completions", "prompts", *rows.columns):
            if not unchanged(before[name], arguments[name]):
                return False, f"changes {name} from {shown(before[name], 90)} to {shown(arguments[name], 90)}"
    return True, "completions, prompts and columns are as before"


def picklable(trial: Trial) -> Verdict:
    """It can be sent to another process, and is the same there."""
    try:
        copied = pickle.loads(pickle.dumps(trial.subject.function))  # noqa: S301 - what was just pickled here
    except Exception as error:  # noqa: BLE001 - pickling raises whatever a member raises
        return False, f"raises {type(error).__name__}: {error}"
    if trial.base.raised:
        return True, "the call raises, so that the copy was not called"
    twin = Subject(copied)
    try:
        result = twin.score(trial.rows.arguments())
    finally:
        twin.close()
    difference = trial.difference(result, trial.base, trial.rows, "after pickling")
    return trial.compared(difference, kept="the copy gives the same values")


def threads(trial: Trial) -> Verdict:
    """Calls that run at the same time do not disturb one another."""
    rows = _long_enough(trial)
    alone = [(batch, trial.score(batch)) for batch in (rows, rows.reversed())]
    sound = [(batch, result) for batch, result in alone if not trial.fault(result)] or [(trial.rows, trial.base)]
    work = [sound[k % len(sound)] for k in range(THREADS)]
    started, how = perf_counter(), f"while {len(work)} threads call it"
    while True:
        results = at_once(trial.subject, [batch for batch, _ in work], seconds=WAIT_SECONDS + 10 * trial.seconds)
        for (batch, expected), result in zip(work, results, strict=True):
            found = "a call does not come back" if result is None else trial.difference(result, expected, batch, how)
            if found:
                return False, found
        if perf_counter() - started > ROUND_SECONDS:
            return trial.compared(kept=f"the same values from {THREADS} threads at once")


def _long_enough(trial: Trial) -> Rows:
    """The rows, whole copies of them, until a call takes a while."""
    rows, times = trial.rows, 1
    while times < MOST_COPIES:
        started = perf_counter()
        trial.score(rows)
        if perf_counter() - started > CALL_SECONDS:
            break
        times *= 4
        rows = trial.rows.take([*range(len(trial.rows))] * times)
    return rows


CHECKS: tuple[Callable[[Trial], Verdict], ...] = (
    call,
    length,
    finite,
    deterministic,
    unknown_keywords,
    trainer_columns,
    message_invariant,
    order,
    batch_invariant,
    empty_batch,
    empty_completion,
    hostile,
    inputs_unchanged,
    picklable,
    threads,
)
"""In the order in which they are judged: one that breaks an early clause is not blamed for it again."""

COMPARING = ("deterministic", "order", "batch_invariant")
"""Clauses about values alone: there is nothing to compare where a reward has none, or other ones each time."""

REMEDIES = {
    "call": "pass every column that it reads to check_reward; bad model output scores low and never raises",
    "length": "return a list with one value per completion, None where it does not apply",
    "finite": "return int, float, bool or None; guard divisions and logarithms, refuse NaN where it arises",
    "deterministic": "seed it by the completion, keep no state between calls; or pass deterministic=False",
    "unknown_keywords": "end the signature with **columns: trainers pass every column of the data set",
    "trainer_columns": "treat a trainer's column that is None as one that is not there",
    "message_invariant": "score one text and let @rewardkit.reward read it, or read it with "
    "rewardkit.completion_text(completion); or pass message_invariant=False and completions in the one "
    "format that it takes",
    "order": "compute row i from completions[i] and column[i]; do not sort, do not count calls",
    "batch_invariant": "compute a row from that row; a reward that compares a group is checked with "
    "batch_invariant=False",
    "empty_batch": "return [] for []; guard means and maxima over the batch",
    "empty_completion": "a completion without an answer earns its lowest value; look before you index",
    "hostile": "a completion is untrusted: catch what reading it may raise, and bound the work it causes",
    "inputs_unchanged": "work on copies; other rewards of the step get the same lists",
    "picklable": "define it with def or as a frozen dataclass at the top of a module; or pass picklable=False",
    "threads": "keep what a call computes in local variables, guard what is shared with a lock, and use no "
    "signals; or pass threads=False",
}
