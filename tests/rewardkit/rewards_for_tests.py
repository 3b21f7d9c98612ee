"""Rewards that tests share: constant ones, counting ones, failing ones; at module level, so that they pickle."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rewardkit import Batch, Function, Outcome, Reward, reward


@dataclass(frozen=True, kw_only=True, repr=False)
class Fixed(Reward):
    """Gives these values to the first completions."""

    values: Sequence[float | None] = ()

    def outcomes(self, batch: Batch) -> list[Outcome]:
        return [
            Outcome(None, "not_scored") if value is None else Outcome(value, "scored")
            for value in list(self.values)[: len(batch)]
        ]


def fixed(name: str, *values: float | None) -> Fixed:
    return Fixed(name=name, values=tuple(values))


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Counting(Reward):
    """1.0 for everything; notes the texts of every call."""

    seen: list[tuple[str, ...]]

    def outcomes(self, batch: Batch) -> list[Outcome]:
        self.seen.append(batch.texts)
        return [Outcome(1.0, "correct")] * len(batch)


def broken(completions: Sequence[Any], **kwargs: Any) -> list[float]:
    raise KeyError("no such thing")


def length(completions: Sequence[Any], **kwargs: Any) -> list[float]:
    return [float(len(completion)) for completion in completions]


async def later(completions: Sequence[Any], delays: Sequence[float] | None = None, **kwargs: Any) -> list[float]:
    await asyncio.sleep(max(delays or [0.0]))
    return [float(len(completion)) for completion in completions]


@reward
def shouts(completion: str) -> bool:
    return completion.isupper()


@reward(name="quotes", on_error="none")
def quotes_its_source(completion: str, source: str) -> float:
    """Pays for the name of the source."""
    return 1.0 if source in completion else 0.0


@reward(concurrency=2)
async def patient(completion: str, wait: float = 0.0) -> float:
    await asyncio.sleep(wait)
    return float(len(completion))


always = Function(function=length, name="always")
