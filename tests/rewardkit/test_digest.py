"""Specification of rewardkit.digest: functions that may give other values have other digests, and no others."""

from __future__ import annotations

import functools
import math
import operator
import random
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from functools import cached_property, partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardkit import Batch, Outcome, Reward, boxed_accuracy, exact_match
from rewardkit.digest import function_digest
from rewardkit.spec import SpecError

Of = Callable[[float], float]


def holding(held: Any) -> Any:
    """A function that differs in what it holds alone."""

    def found(value: float) -> float:
        return 1.0 if value in held else 0.0

    return found


def twice(function: Of) -> Of:
    @functools.wraps(function)
    def wrapper(value: float) -> float:
        return 2 * function(value)

    return wrapper


def thrice(function: Of) -> Of:
    @functools.wraps(function)
    def wrapper(value: float) -> float:
        return 3 * function(value)

    return wrapper


def same(value: float) -> float:
    return value


def opposite(value: float) -> float:
    return -value


def inner_twice() -> Any:
    def outer(value: float) -> float:
        @twice
        def inner(value: float) -> float:
            return value

        return inner(value)

    return outer


def inner_thrice() -> Any:
    def outer(value: float) -> float:
        @thrice
        def inner(value: float) -> float:
            return value

        return inner(value)

    return outer


class Scaled:
    """A callable object that differs in what it holds."""

    def __init__(self, factors: Any) -> None:
        self.factors = factors

    def __call__(self, value: float) -> float:
        return float(self.factors[0] * value)


class Slotted:
    __slots__ = ("factor",)

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, value: float) -> float:
        return self.factor * value


class Remembering(Scaled):
    """The same with something that is computed once."""

    @cached_property
    def first(self) -> Any:
        return self.factors[0]


class Colour(Enum):
    RED = 1
    BLUE = 2


def class_of(factor: float) -> Any:
    class Times:
        by = factor

        def __call__(self, value: float) -> float:
            return self.by * value

    return Times()


def method_of(factor: float) -> Any:
    class Times:
        def __call__(self, value: float) -> float:
            return factor * value

    return Times()


def executed(source: str, name: str) -> Any:
    """What a source that no file holds defines, as in a REPL."""
    names: dict[str, Any] = {"__name__": "typed"}
    exec(source, names)
    return names[name]


REWARDS = """
from dataclasses import dataclass
from rewardkit import Outcome, Reward

@dataclass(frozen=True, kw_only=True, repr=False)
class Base(Reward):
    def outcomes(self, batch):
        return [Outcome(VALUE, "scored") for _ in batch.texts]

@dataclass(frozen=True, kw_only=True, repr=False)
class Child(Base):
    pass
"""

DIFFERENT: dict[str, tuple[Any, Any]] = {
    "a set": (holding({1.0}), holding({0.0})),
    "a frozenset": (holding(frozenset({1.0})), holding(frozenset({0.0}))),
    "sets in a list": (holding([{1.0}]), holding([{0.0}])),
    "a pattern": (holding(re.compile("0")), holding(re.compile("1"))),
    "the flags of a pattern": (holding(re.compile("a")), holding(re.compile("a", re.IGNORECASE))),
    "fractions": (holding([Fraction(1, 2)]), holding([Fraction(1, 3)])),
    "decimals": (partial(operator.mul, Decimal(2)), partial(operator.mul, Decimal(3))),
    "arrays": (holding(np.array([1.0])), holding(np.array([0.0]))),
    "arrays of objects": (holding(np.array([Fraction(1)], object)), holding(np.array([Fraction(2)], object))),
    "the kind of an array": (holding(np.array([0], "i4")), holding(np.array([0], "f4"))),
    "numbers of numpy": (holding(np.float32(1)), holding(np.float32(2))),
    "ranges": (holding(range(3)), holding(range(4))),
    "members of an enumeration": (holding(Colour.RED), holding(Colour.BLUE)),
    "a number and its text": (holding(1.0), holding("1.0")),
    "seeds": (holding(random.Random(1)), holding(random.Random(2))),
    "rewards": (holding(boxed_accuracy), holding(exact_match)),
    "modules": (holding(math), holding(operator)),
    "functions of numpy": (np.sqrt, np.square),
    "wrapped functions of numpy": (np.vectorize(abs), np.vectorize(math.floor)),
    "bound built-ins": ({0.0: 1.0}.get, {0.0: 0.5}.get),
    "bound operators": ((2.0).__mul__, (3.0).__mul__),
    "unbound operators": (float.__neg__, float.__abs__),
    "unbound methods": (str.lower, str.upper),
    "getters": (operator.itemgetter(0), operator.itemgetter(1)),
    "decorators that keep the name": (twice(same), thrice(same)),
    "what is below such a decorator": (twice(same), twice(opposite)),
    "decorators inside": (inner_twice(), inner_thrice()),
    "what is cached": (functools.lru_cache(same), functools.lru_cache(opposite)),
    "a list of an object": (Scaled([1.0]), Scaled([2.0])),
    "a dict of an object": (Scaled({0: 1.0}), Scaled({0: 2.0})),
    "an object of an object": (Scaled(Scaled([1.0])), Scaled(Scaled([2.0]))),
    "a slot of an object": (Slotted(1.0), Slotted(2.0)),
    "a value of a class": (class_of(2.0), class_of(3.0)),
    "what a method holds": (method_of(2.0), method_of(3.0)),
    "lambdas": (lambda v: v in {1.0}, lambda v: v in {2.0}),
    "classes with no source": tuple(
        executed(f"class C:\n    def __call__(self, v):\n        return {v}", "C") for v in (1.0, 2.0)
    ),
    "the base of a reward": tuple(executed(REWARDS.replace("VALUE", v), "Child")() for v in ("1.0", "0.0")),
}


@pytest.mark.parametrize("pair", DIFFERENT.values(), ids=DIFFERENT)
def test_other_behaviour_is_another_digest(pair: tuple[Any, Any]) -> None:
    assert function_digest(pair[0]) != function_digest(pair[1])


@pytest.mark.parametrize("target", [held for pair in DIFFERENT.values() for held in pair])
def test_a_digest_says_the_same_twice(target: Any) -> None:
    assert function_digest(target) == function_digest(target)


@pytest.mark.parametrize("pair", DIFFERENT.values(), ids=DIFFERENT)
def test_and_so_do_the_fingerprints_of_what_is_mapped_by_it(pair: tuple[Any, Any]) -> None:
    assert boxed_accuracy.map(pair[0]).fingerprint != boxed_accuracy.map(pair[1]).fingerprint


def test_a_reward_whose_base_changed_has_another_fingerprint() -> None:
    one, other = DIFFERENT["the base of a reward"]
    assert one.fingerprint != other.fingerprint


def test_equal_values_have_one_digest() -> None:
    pairs = [
        (holding({"a", "b", "c"}), holding({"c", "b", "a"})),
        (holding(Fraction(1, 2)), holding(Fraction(2, 4))),
        (holding(np.arange(3)), holding(np.arange(3))),
        (Scaled([1.0]), Scaled([1.0])),
        (class_of(2.0), class_of(2.0)),
        (partial(same, a=1, b=2), partial(same, b=2, a=1)),
        (holding(threading.Lock()), holding(threading.Lock())),
    ]
    assert all(function_digest(one) == function_digest(other) for one, other in pairs)


def test_what_an_object_has_computed_does_not_count() -> None:
    target = Remembering([1.0])
    before = function_digest(target)
    assert target.first == 1.0
    assert function_digest(target) == before


CONSTANTS = """
from rewardkit.digest import function_digest
names = {}
exec('f = lambda v: v in {"a", "b", "c", "d", "e"}', names)
held = {"p", "q", "r", "s"}
print(function_digest(names["f"]), function_digest(held.__contains__))
"""


def test_hash_seeds_do_not_count() -> None:
    printed = {
        subprocess.run(
            [sys.executable, "-c", CONSTANTS],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(printed) == 1


def recursive(step: float) -> Any:
    def countdown(value: float) -> float:
        return value if value < 0 else float(countdown(value - step))

    return countdown


def test_functions_that_call_themselves_have_one() -> None:
    assert function_digest(recursive(1.0)) == function_digest(recursive(1.0)) != function_digest(recursive(2.0))


def test_so_have_lists_that_hold_themselves() -> None:
    held: list[Any] = [1.0]
    held.append(held)
    assert len(function_digest(holding(held))) == 16


def numbers() -> Iterator[float]:
    yield 1.0


class Opaque:
    def __reduce__(self) -> Any:
        raise TypeError("not to be copied")


def nested(depth: int) -> list[Any]:
    held: list[Any] = []
    for _ in range(depth):
        held = [held]
    return held


UNKNOWN = {
    "a generator": numbers(),
    "an object that is not to be copied": Opaque(),
    "a view of memory": memoryview(b"a"),
    "a function of numpy without a name": np.frompyfunc(same, 1, 1),
    "endless nesting": nested(5000),
}


@pytest.mark.parametrize("held", UNKNOWN.values(), ids=UNKNOWN)
def test_of_what_nothing_is_known_there_is_none(held: Any) -> None:
    with pytest.raises(SpecError, match="fingerprint"):
        function_digest(holding(held))
    with pytest.raises(SpecError, match="fingerprint"):
        _ = boxed_accuracy.map(holding(held)).fingerprint


@dataclass(frozen=True, kw_only=True, repr=False)
class Matching(Reward):
    """A reward of a user with a setting that is no plain value."""

    pattern: re.Pattern[str] = re.compile("a")

    def outcomes(self, batch: Batch) -> list[Outcome]:
        return [Outcome(float(bool(self.pattern.search(text))), "scored") for text in batch.texts]


def test_settings_of_every_kind_count() -> None:
    prints = {Matching(pattern=re.compile(text)).fingerprint for text in "abc"}
    assert len(prints) == 3
    assert Matching().fingerprint in prints


def test_whatever_is_released_with_this_package_counts_by_its_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Matching().fingerprint
    monkeypatch.setattr(Reward, "revision", 2)
    assert Matching().fingerprint != before


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary() | st.fractions(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        | st.frozensets(st.integers() | st.text(max_size=3), max_size=4)
    ),
    max_leaves=8,
)


@given(values, values)
def test_of_two_values_one_digest_means_equal(one: Any, other: Any) -> None:
    equal = function_digest(holding(one)) == function_digest(holding(other))
    assert not equal or one == other
    assert function_digest(holding(one)) == function_digest(
        holding(eval(repr(one), {"Fraction": Fraction, "inf": float("inf")}))
    )
