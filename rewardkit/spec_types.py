"""Whether a value read from a spec is of the kind that a field is annotated with.

>>> fits(5, str | None), fits(None, str | None), fits(1, float), fits((1.0, "a"), tuple[float, ...])
(False, True, True, False)
"""

from __future__ import annotations

import collections.abc
import re
import types
from collections.abc import Callable, Collection, Mapping
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from rewardkit.contract import Reward, RewardFunction

_MODULE = re.compile(r"\b(?:\w+\.)+(?=\w)")


@cache
def hints_of(cls: type) -> dict[str, Any]:
    """The types of its fields; none where a module that a name is from was imported for type checkers only."""
    try:
        return get_type_hints(cls)
    except (NameError, TypeError, AttributeError):
        return {}


def written(hint: Any) -> str:
    """A type for a message: names without their modules."""
    if holds_rewards(hint):
        return "a reward"
    return hint.__name__ if isinstance(hint, type) and not get_args(hint) else _MODULE.sub("", str(hint))


def holds_rewards(hint: Any) -> bool:
    """Whether a field holds a reward, so that in its place may stand the name of a ready one."""
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    return any(option is RewardFunction or (isinstance(option, type) and _is_reward(option)) for option in options)


def _is_reward(option: type) -> bool:
    return not get_args(option) and issubclass(option, Reward)


def fits(value: Any, hint: Any) -> bool:
    """Whether `value` is of the type `hint`; what cannot be decided fits, and numbers are alike."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(fits(value, option) for option in arguments)
    if origin is Literal:
        return any(type(value) is type(option) for option in arguments)  # the class says better which there are
    if hint is None or hint is types.NoneType:
        return value is None
    if hint in (int, float):
        return isinstance(value, (int, float))
    if hint is RewardFunction:
        return callable(value)
    if origin is collections.abc.Callable or hint is collections.abc.Callable:
        return callable(value) and not isinstance(value, Reward)
    if origin is None:
        return not isinstance(hint, type) or _is_instance(value, hint)
    return _contents_fit(value, origin, arguments)


def _is_instance(value: Any, hint: type) -> bool:
    try:
        return isinstance(value, hint)
    except TypeError:  # a protocol that is not for this
        return True


def _contents_fit(value: Any, origin: Any, arguments: tuple[Any, ...]) -> bool:
    if not isinstance(origin, type) or not issubclass(origin, Collection):
        return True
    if issubclass(origin, Mapping):
        pairs = value.items() if isinstance(value, Mapping) else [(None, None)]
        return isinstance(value, Mapping) and all(all(map(fits, pair, arguments)) for pair in pairs)
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Collection):
        return False
    if origin is tuple and arguments and arguments[-1] is not ...:
        return len(value) == len(arguments) and all(map(fits, value, arguments))
    return all(fits(item, arguments[0]) for item in value) if arguments else True


def item_hints(hint: Any, count: int) -> list[Any]:
    """The types of the items of a list of `count`, ``Any`` where they are not known."""
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    lists = [option for option in options if _is_list(get_origin(option)) and get_args(option)]
    if len(lists) != 1:
        return [Any] * count
    arguments = get_args(lists[0])
    fixed = get_origin(lists[0]) is tuple and arguments[-1] is not ...
    return list(arguments) if fixed and len(arguments) == count else [Any if fixed else arguments[0]] * count


def _is_list(origin: Any) -> bool:
    return isinstance(origin, type) and issubclass(origin, Collection) and not issubclass(origin, Mapping)


def list_type(hint: Any) -> Callable[[list[Any]], Any]:
    """What a list of a spec becomes: what the field says, else a tuple."""
    origin = get_origin(hint) or hint
    return origin if origin in (list, set, frozenset) else tuple
