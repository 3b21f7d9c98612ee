r"""Rewards that choose: a gate, the least or greatest of several, their product, one per kind of row.

>>> from rewardkit import boxed_accuracy, max_of, route, strict_format
>>> from rewardkit import numeric_accuracy, exact_match
>>> gated = boxed_accuracy.gate(strict_format)
>>> gated(["<think>\n1+1\n</think>\n<answer>\n\\boxed{2}\n</answer>", r"\boxed{2}"], answer="2")
[1.0, 0.0]
>>> max_of(boxed_accuracy, numeric_accuracy)([r"\boxed{2}", "It is 2"], answer="2")
[1.0, 1.0]
>>> by_task = route("task", {"math": boxed_accuracy, "trivia": exact_match})
>>> by_task([r"\boxed{2}", "Paris"], answer=["2", "Paris"], task=["math", "trivia"])
[1.0, 1.0]
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rewardkit.batch import short
from rewardkit.contract import Batch, Call, ColumnError, Composite, Outcome, Part, Plan, Reward, RewardFunction
from rewardkit.functions import as_reward


@dataclass(frozen=True, kw_only=True, repr=False)
class Gated(Composite):
    """A reward behind another: computed only where `by` gives at least `at_least`.

    Elsewhere the value is `otherwise` with the status "gated", and the reward is not computed: the rows that
    pass are scored as a batch of their own, so a reward that compares a group sees those alone. Where `by` does
    not score a completion there is no verdict, and the value is ``None``.

    Attributes:
        reward: what stands behind the gate.
        by: the reward that opens it.
        at_least: the value of `by` from which it is open.
        otherwise: finite value of the rows that it hides; ``None`` for "not scored".
    """

    reward: Reward
    by: Reward
    at_least: float = 1.0
    otherwise: float | None = 0.0

    def __post_init__(self) -> None:
        if not math.isfinite(self.at_least):
            raise ValueError(f"at_least must be finite, got {self.at_least}")
        if self.otherwise is not None and not math.isfinite(self.otherwise):
            raise ValueError(f"otherwise must be finite or None, got {self.otherwise}")

    def _default_name(self) -> str:
        return self.reward.__name__

    @property
    def gate_name(self) -> str:
        """The name of the part that opened or shut it; numbered where a gate below has the same."""
        below, inner = 1, self.reward
        while isinstance(inner, Gated):  # their parts stand on one level
            below += inner.by.__name__ == self.by.__name__
            inner = inner.reward
        return f"gate:{self.by.__name__}" + (f"#{below}" if below > 1 else "")

    def plan(self, batch: Batch) -> Plan:
        """Ask the gate first, then score the rows that pass."""
        gate_name = self.gate_name
        (verdicts,) = yield [Call(gate_name, self.by, batch)]
        passed = [i for i, v in enumerate(verdicts) if v.value is not None and v.value >= self.at_least]
        inner: dict[int, Outcome] = {}
        if passed:
            (scored,) = yield [Call("", self.reward, batch.select(passed))]
            inner = dict(zip(passed, scored, strict=True))
        gates = [Part(gate_name, None, verdict) for verdict in verdicts]
        return [self._outcome(gate, inner.get(row)) for row, gate in enumerate(gates)]

    def _outcome(self, gate: Part, inner: Outcome | None) -> Outcome:
        if inner is not None:
            return inner._replace(parts=(*inner.parts, gate))
        name, value = self.by.__name__, gate.outcome.value
        if value is None:
            return Outcome(None, "not_scored", f"{name} did not score it", (gate,))
        return Outcome(self.otherwise, "gated", f"{name} gave {value:g}, less than {self.at_least:g}", (gate,))

    def __repr__(self) -> str:
        arguments = [repr(self.by)]
        if self.at_least != 1.0:
            arguments.append(f"at_least={self.at_least!r}")
        if self.otherwise != 0.0:
            arguments.append(f"otherwise={self.otherwise!r}")
        return f"{operand_code(self.reward)}.gate({', '.join(arguments)}){name_code(self)}"


@dataclass(frozen=True, kw_only=True, repr=False)
class Several(Composite):
    """One value out of several; members that do not score a completion are left out."""

    members: tuple[Reward, ...]

    def __post_init__(self) -> None:
        require_distinct_names(self.members)

    def plan(self, batch: Batch) -> Plan:
        """Score every member on the whole batch, then choose row by row."""
        names = [member.__name__ for member in self.members]
        columns = yield [Call(name, member, batch) for name, member in zip(names, self.members, strict=True)]
        return [self._row(tuple(map(Part, names, [None] * len(names), row))) for row in zip(*columns, strict=True)]

    def _row(self, parts: tuple[Part, ...]) -> Outcome:
        scored = {i: part.outcome.value for i, part in enumerate(parts) if part.outcome.value is not None}
        return self._chosen(scored, parts) if scored else Outcome(None, "not_scored", "no component scored it", parts)

    def _chosen(self, scored: dict[int, float], parts: tuple[Part, ...]) -> Outcome:
        raise NotImplementedError

    def __repr__(self) -> str:
        arguments = [*map(repr, self.members), *([f"name={self.name!r}"] if self.name else [])]
        return f"{self._default_name()}({', '.join(arguments)})"


def _only(parts: tuple[Part, ...], chosen: int) -> Outcome:
    weighted = tuple(part._replace(weight=1.0) if i == chosen else part for i, part in enumerate(parts))
    return parts[chosen].outcome._replace(parts=weighted, unclipped=None)


@dataclass(frozen=True, kw_only=True, repr=False)
class MinOf(Several):
    """The least value; built by :func:`min_of`. Of equals the first counts."""

    def _chosen(self, scored: dict[int, float], parts: tuple[Part, ...]) -> Outcome:
        return _only(parts, min(scored, key=scored.__getitem__))


@dataclass(frozen=True, kw_only=True, repr=False)
class MaxOf(Several):
    """The greatest value; built by :func:`max_of`. Of equals the first counts."""

    def _chosen(self, scored: dict[int, float], parts: tuple[Part, ...]) -> Outcome:
        return _only(parts, max(scored, key=scored.__getitem__))


@dataclass(frozen=True, kw_only=True, repr=False)
class Product(Several):
    """The product of all values; built by :func:`product`."""

    def _chosen(self, scored: dict[int, float], parts: tuple[Part, ...]) -> Outcome:
        return Outcome(math.prod(scored.values()), "scored", "", parts)


@dataclass(frozen=True, kw_only=True, repr=False)
class Routed(Composite):
    """One reward per kind of row, chosen by a column; built by :func:`route`."""

    column: str
    routes: tuple[tuple[Any, Reward], ...]
    default: Reward | None = None

    def __post_init__(self) -> None:
        if not self.routes:
            raise ValueError("nothing to route: give at least one reward by the value of the column")
        labels = Counter(str(key) for key, _ in self.routes)
        twice = [label for label, count in labels.items() if count > 1 or label == "default"]
        if twice:
            raise ValueError(f"the route {twice[0]!r} is taken twice, or is the name of the default; rename it")

    def _default_name(self) -> str:
        return "route"

    def plan(self, batch: Batch) -> Plan:
        """Score the rows of each kind as a batch of their own."""
        rows_of: dict[str, list[int]] = {}
        for row, value in enumerate(batch.column(self.column)):
            rows_of.setdefault(self._label(value, batch.row(row)), []).append(row)
        columns = yield [Call(label, self.by_label[label], batch.select(rows)) for label, rows in rows_of.items()]
        placed = {
            row: Part(label, 1.0, outcome)
            for (label, rows), outcomes in zip(rows_of.items(), columns, strict=True)
            for row, outcome in zip(rows, outcomes, strict=True)
        }
        return [placed[row].outcome._replace(parts=(placed[row],), unclipped=None) for row in range(len(batch))]

    @cached_property
    def by_label(self) -> dict[str, Reward]:
        """The reward of every route by its key as text, and the default as "default"."""
        labelled = {str(key): reward for key, reward in self.routes}
        return labelled if self.default is None else labelled | {"default": self.default}

    @cached_property
    def _labels(self) -> dict[tuple[bool, Any], str]:
        """The routes by key; True is not 1."""
        return {(isinstance(key, bool), key): str(key) for key, _ in self.routes}

    def _label(self, value: Any, row: int) -> str:
        try:
            label = self._labels.get((isinstance(value, bool), value))
        except TypeError:  # not hashable, so none of the keys
            label = None
        if label is not None:
            return label
        if self.default is None:
            known = ", ".join(repr(key) for key, _ in self.routes)
            raise ColumnError(
                f"column {self.column!r} is {short(value)} in row {row}; the routes are {known}: add one, or default="
            )
        return "default"

    def __repr__(self) -> str:
        routes = ", ".join(f"{key!r}: {reward!r}" for key, reward in self.routes)
        default = f", default={self.default!r}" if self.default is not None else ""
        return f"route({self.column!r}, {{{routes}}}{default}{f', name={self.name!r}' if self.name else ''})"


def min_of(*rewards: RewardFunction, name: str | None = None) -> MinOf:
    """The least of several rewards, row by row; ``None`` is left out.

    Raises:
        ValueError: no reward, or two of one name.
    """
    return MinOf(members=tuple(map(as_reward, rewards)), name=name)


def max_of(*rewards: RewardFunction, name: str | None = None) -> MaxOf:
    """The greatest of several rewards, row by row; ``None`` is left out.

    Raises:
        ValueError: no reward, or two of one name.
    """
    return MaxOf(members=tuple(map(as_reward, rewards)), name=name)


def product(*rewards: RewardFunction, name: str | None = None) -> Product:
    """The product of several rewards, row by row; ``None`` is left out.

    Raises:
        ValueError: no reward, or two of one name.

    Example:
        >>> from rewardkit import boxed_accuracy, product, strict_format
        >>> product(boxed_accuracy, strict_format)([r"\\boxed{2}"], answer="2")
        [0.0]
    """
    return Product(members=tuple(map(as_reward, rewards)), name=name)


def route(
    column: str,
    rewards: Mapping[Any, RewardFunction],
    *,
    default: RewardFunction | None = None,
    name: str | None = None,
) -> Routed:
    """A reward per kind of row.

    Args:
        column: the column of the data set that tells the kind.
        rewards: a reward by value of the column (strings, whole numbers or booleans).
        default: the reward of all other rows; without it another value is an error.
        name: what trainers log it by; "route" unless given.

    Raises:
        ValueError: no route, or two that print alike.
        ColumnError: (when scored) the column is missing, or holds a value that has no route.
    """
    routes = tuple((key, as_reward(reward)) for key, reward in rewards.items())
    return Routed(column=column, routes=routes, default=None if default is None else as_reward(default), name=name)


def require_distinct_names(members: Sequence[Reward]) -> None:
    """Refuse no member at all, and two of one name."""
    if not members:
        raise ValueError("nothing to combine: pass at least one reward")
    names = Counter(member.__name__ for member in members)
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise ValueError(
            f'two components are named {twice[0]!r}, so their log entries would merge; rename one: reward.named("...")'
        )


def operand_code(reward: Reward) -> str:
    """What a method is called on, as code; a product needs brackets."""
    return f"({reward!r})" if hasattr(reward, "weight") and reward.name is None else repr(reward)


def name_code(reward: Reward) -> str:
    """The call that gives a reward its name; empty for one without."""
    return f".named({reward.name!r})" if reward.name else ""
