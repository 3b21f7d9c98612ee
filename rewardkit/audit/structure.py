r"""What a stack is made of, as far as an attacker can use it: tags, words, options, lengths, columns.

>>> from rewardkit import Keywords, StrictFormat, boxed_accuracy
>>> structure = read_structure(boxed_accuracy + StrictFormat() + Keywords(words=["because"]))
>>> structure.tag_sets, structure.words
((('think', 'answer'),), ('because',))
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rewardkit.accuracy import AnswerAccuracy, BoxedAccuracy, ChoiceAccuracy, ExactMatch
from rewardkit.audit.layout import FORMS, Layout, layouts
from rewardkit.choices import Routed
from rewardkit.contract import Reward
from rewardkit.functions import Function, PerCompletion
from rewardkit.regex_match import RegexMatch
from rewardkit.sandbox.code_tests import CodeTests
from rewardkit.schemas import JsonSchema
from rewardkit.think_format import ThinkFormat

_T = TypeVar("_T")

USUAL_TAGS = (("think", "answer"), ("reasoning", "answer"))
"""Sections that are tried where a stack has members that nothing can be read of."""

_LIMITS = ("max_length", "max_len", "max_response_length")


@dataclass(frozen=True, kw_only=True)
class Structure:
    """What the members of a stack say about themselves.

    Attributes:
        tag_sets: names of sections in order, as each format wants them.
        answer_keys: the columns that members name as their reference.
        options: the alphabet of a choice.
        words: what keyword members look for.
        lengths: (threshold, unit) of members that go by length.
        scores: the highest grades that a judge may give.
        group_sizes: completions per prompt that members ask for; 0 where they leave it to the call.
        route_columns: columns that choose a member.
        end_tokens: ids that end a completion.
        runs_code: whether a member runs a completion's code.
        equivalence: whether a member compares answers as :func:`rewardkit.equivalent` does.
        opaque: whether there is a member that nothing can be read of, such as a plain function.
        layout: the form of an honest answer.
    """

    tag_sets: tuple[tuple[str, ...], ...] = ()
    answer_keys: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    lengths: tuple[tuple[int, str], ...] = ()
    scores: tuple[float, ...] = ()
    group_sizes: tuple[int, ...] = ()
    route_columns: tuple[str, ...] = ()
    end_tokens: tuple[int, ...] = ()
    runs_code: bool = False
    equivalence: bool = False
    opaque: bool = False
    layout: Layout = field(default=Layout("{reasoning}\n{body}", "{answer}"))

    @property
    def tags(self) -> tuple[str, ...]:
        """The sections of an honest answer, else the first that the stack knows, else the usual ones."""
        return self.layout.tags or next(iter(self.tag_sets), USUAL_TAGS[0])

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """The form of an honest answer and, where members are opaque, the answer bare or boxed in each set of tags."""
        if not self.opaque:
            return (self.layout,)
        others = layouts(self.tag_sets, whole=False)
        return tuple(dict.fromkeys([self.layout, *(o for o in others if o.form in FORMS[:2] and len(o.tags) > 1)]))


def read_structure(reward: Reward) -> Structure:
    """Walk the tree and gather what its members say."""
    nodes = tuple(_walk(reward))
    opaque = any(_is_opaque(node) for node in nodes)
    sets = [*_declared_tags(nodes), *([_all_sections(nodes)] if _all_sections(nodes) else [])]
    return Structure(
        tag_sets=_distinct([*sets, *(USUAL_TAGS if opaque else ())]),
        answer_keys=_distinct(_texts(nodes, "answer_key")),
        options=_distinct(option for node in nodes for option in _sequence(node, "options")),
        words=_distinct(word for node in nodes for word in _sequence(node, "words")),
        lengths=_distinct(length for node in nodes for length in _lengths(node)),
        scores=tuple(float(scale[1]) for node in nodes if len(scale := _sequence(node, "scale")) == 2),
        group_sizes=tuple(getattr(node, "num_generations") or 0 for node in nodes if _compares_groups(node)),  # noqa: B009
        route_columns=_distinct(node.column for node in nodes if isinstance(node, Routed)),
        end_tokens=_distinct(token for node in nodes for token in _sequence(node, "eos_token_ids")),
        runs_code=any(isinstance(node, CodeTests) for node in nodes),
        equivalence=any(isinstance(node, (BoxedAccuracy, AnswerAccuracy)) for node in nodes),
        opaque=opaque,
    )


def _walk(reward: Reward) -> Iterator[Reward]:
    yield reward
    for child in reward.children:
        yield from _walk(child)


def _is_opaque(node: Reward) -> bool:
    """A leaf that is a function, or a class of which this package knows nothing."""
    own = type(node).__module__.startswith("rewardkit.") and not type(node).__module__.startswith("rewardkit.presets")
    return not node.is_composite and (not own or isinstance(node, (Function, PerCompletion)))


def _declared_tags(nodes: tuple[Reward, ...]) -> Iterator[tuple[str, ...]]:
    for node in nodes:
        tags = _sequence(node, "tags")
        if tags:
            yield tags
        if isinstance(node, ThinkFormat):
            yield ("think",)


def _all_sections(nodes: tuple[Reward, ...]) -> tuple[str, ...]:
    """The sections that members look into, those with the answer last."""
    answers = [*_texts([n for n in nodes if isinstance(n, (AnswerAccuracy, ChoiceAccuracy, ExactMatch))], "tag")]
    answers += _texts([n for n in nodes if isinstance(n, (ChoiceAccuracy, JsonSchema, RegexMatch))], "section")
    others = [name for name in _texts(nodes, "section") if name not in answers]
    return _distinct([*others, *answers])


def _lengths(node: Reward) -> Iterator[tuple[int, str]]:
    """Thresholds with the unit that they are counted in; a function as unit is taken for words."""
    unit = getattr(node, "unit", None) or ("characters" if hasattr(node, "max_len") else "tokens")
    unit = unit if isinstance(unit, str) else "words"
    for threshold, _ in _sequence(node, "steps") or ():
        yield math.ceil(threshold), unit
    for name in _LIMITS:
        limit = getattr(node, name, None)
        if isinstance(limit, (int, float)) and math.isfinite(limit):
            yield math.ceil(limit), unit


def _compares_groups(node: Reward) -> bool:
    return hasattr(node, "num_generations") and getattr(node, "within", "group") == "group"


def _texts(nodes: Sequence[Reward], name: str) -> list[str]:
    return [value for node in nodes if isinstance(value := getattr(node, name, None), str)]


def _sequence(node: Reward, name: str) -> tuple[Any, ...]:
    value = getattr(node, name, None)
    return tuple(value) if isinstance(value, (list, tuple)) else ()


def _distinct(values: Iterable[_T]) -> tuple[_T, ...]:
    return tuple(dict.fromkeys(values))
